//! The certificate that clients of DNS over TLS and over HTTPS are shown, from the files that a configuration names.

use crate::config::{Config, Place, Problem, Problems};
use crate::server::{Identity, IdentityError};

/// Reads the certificate and its key; `None` where the configuration has no use for them.
pub fn identity(config: &Config) -> Result<Option<Identity>, Problems> {
    let Some(files) = &config.reloadable.certificate else { return Ok(None) };
    Identity::read(&files.certificate, &files.key).map(Some).map_err(|error| {
        let mut problems = Problems::default();
        problems.push(problem(&error));
        problems
    })
}

fn problem(error: &IdentityError) -> Problem {
    let problem = Problem::new(&Place::File(error.path().to_owned()), error.to_string());
    match error {
        IdentityError::Mismatch(..) => problem.help("expected the key that the certificate was made for"),
        _ => problem,
    }
}

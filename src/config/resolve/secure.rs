//! DNS over TLS and over HTTPS: what needs what, and no address twice.

use std::net::SocketAddr;
use std::path::Path;

use super::{collide, distinct_addresses, spot};
use crate::config::file::SecureFile;
use crate::config::problem::{At, Problem, Problems};
use crate::config::secure::CertificateFiles;

/// Addresses and files, where they make sense together.
pub(super) struct Secure {
    pub(super) dot: Vec<At<SocketAddr>>,
    pub(super) doh: Vec<At<SocketAddr>>,
    pub(super) files: Option<CertificateFiles>,
}

pub(super) fn secure(
    typed: SecureFile,
    listen: &[At<SocketAddr>],
    folder: &Path,
    problems: &mut Problems,
) -> Secure {
    let SecureFile { dot, doh, certificate, key, sound } = typed;
    let [dot, doh] = [dot, doh].map(|typed| distinct_addresses(typed.unwrap_or_default(), problems));
    check_taken(&dot, &[("listen", listen)], problems);
    check_taken(&doh, &[("listen", listen), ("dot", &dot)], problems);
    let asks = dot.first().or_else(|| doh.first());
    let files = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            if asks.is_none() && sound {
                let problem = Problem::new(&certificate.place, "a certificate that nobody is shown");
                problems.push(problem.help("expected `dot` or `doh` with addresses beside it"));
            }
            Some(CertificateFiles {
                certificate: folder.join(certificate.value),
                key: folder.join(key.value),
            })
        }
        (Some(certificate), None) if sound => {
            let problem = Problem::new(&certificate.place, "a certificate without its key");
            problems.push(problem.help("expected `key = \"FILE\"` beside it"));
            None
        }
        (None, Some(key)) if sound => {
            let problem = Problem::new(&key.place, "a key without its certificate");
            problems.push(problem.help("expected `certificate = \"FILE\"` beside it"));
            None
        }
        (None, None) if sound => {
            if let Some(asks) = asks {
                let problem = Problem::new(&asks.place, "TLS needs a certificate");
                let help = "expected `certificate = \"FILE\"` and `key = \"FILE\"`, both PEM, under [server]";
                problems.push(problem.help(help));
            }
            None
        }
        _ => None,
    };
    Secure { dot, doh, files }
}

/// One TCP port serves one purpose. (Port 0 is any that is free.)
fn check_taken(given: &[At<SocketAddr>], before: &[(&str, &[At<SocketAddr>])], problems: &mut Problems) {
    for at in given.iter().filter(|at| at.value.port() != 0) {
        let taken = before.iter().find_map(|(key, others)| {
            let other = others.iter().find(|other| collide(other.value, at.value))?;
            Some((key, other))
        });
        if let Some((key, other)) = taken {
            let problem = Problem::new(&at.place, format!("{} is taken already, by `{key}`", at.value));
            problems.push(problem.help(format!("that is {}", spot(&other.place))));
        }
    }
}

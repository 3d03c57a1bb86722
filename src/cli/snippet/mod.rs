//! `gatepost snippet`: prints what to tell a resolver or a mail program, or writes it where nothing is overwritten.

pub(crate) mod values;

use std::fs::{OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use super::failure::Usage;
use super::locate::EitherArgs;
use super::output::{out, talk};
use crate::config::Config;
use crate::error::ExitStatus;
use crate::snippet::wiring::Wiring;
use crate::snippet::{Program, localhost, text};

/// Print what to tell a resolver or a mail program so that it asks gatepost
///
/// The text comes from the configuration: where the server listens, its zones, what their lists are good for, and every
/// code that they can answer. A mail program rejects on block lists, weighs score lists, takes bounce lists for null senders alone
/// and lets through whom allow lists have, each as far as it can; own networks and clients that authenticate come first.
/// Each text says where it belongs and how to test it.
///
/// Print it again when lists, zones or codes change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost snippet unbound
  gatepost snippet unbound --write /etc/unbound/unbound.conf.d/gatepost.conf
  gatepost snippet postfix --config gatepost.toml
  gatepost snippet rspamd --state state      of a `gatepost up` that keeps its state there")]
pub(crate) struct Args {
    /// The resolver or mail program
    #[arg(value_enum, value_name = "PROGRAM")]
    program: Program,
    #[command(flatten)]
    from: EitherArgs,
    /// Write it into this file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let config = args.from.read()?;
    let wiring = wiring_of(&config)?;
    let text = args.program.text(&wiring).map_err(|error| anyhow!(Usage(error.to_string())))?;
    if !args.program.is_resolver() {
        wiring
            .zones
            .iter()
            .filter_map(text::same_as_test)
            .for_each(|warning| talk(format!("warning: {warning}")));
    }
    if let Some(refusal) = localhost::refusal(args.program, &wiring) {
        talk(format!("warning: {refusal}"));
    }
    // `-` is where it goes anyway.
    if let Some(path) = args.write.as_deref().filter(|path| path.as_os_str() != "-") {
        talk(write(path, &text)?);
        return Ok(ExitStatus::Ok);
    }
    let mut out = out();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

/// The wiring of a configuration, with the values of those entries in service that have their own.
pub(crate) fn wiring_of(config: &Config) -> anyhow::Result<Wiring> {
    let values = values::of(config)?;
    Wiring::of(config, |zone| values.get(zone).cloned()).map_err(|error| anyhow!(Usage(error.to_string())))
}

/// Makes the file, whole or not at all; what to say of it. A file that is there is somebody's, unless it says the same.
fn write(path: &Path, text: &str) -> anyhow::Result<String> {
    let failed = || format!("cannot write {}", path.display());
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o644).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // What is no file has no end that could be read to.
            let is_file = std::fs::metadata(path).is_ok_and(|there| there.is_file());
            if is_file && std::fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
                return Ok(format!("{} is there already and says the same", path.display()));
            }
            bail!(Usage(format!(
                "{} is there already and says something else; compare it with what is printed without --write, or name \
                 another file",
                path.display()
            )));
        }
        Err(error) => return Err(error).with_context(failed),
    };
    // Whatever the umask is: the service that reads it is somebody else.
    let written = file
        .set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| file.write_all(text.as_bytes()))
        .and_then(|()| file.sync_all());
    if let Err(error) = written {
        // Half a text is worse than none, and it is ours.
        let _ = std::fs::remove_file(path);
        return Err(error).with_context(failed);
    }
    Ok(format!("wrote {}", path.display()))
}

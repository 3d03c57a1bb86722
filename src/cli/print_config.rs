//! `gatepost print-config`: what the configuration means, every default filled in.

use std::io::Write;

use super::locate::EitherArgs;
use super::output::out;
use crate::error::ExitStatus;

/// Print the configuration in effect, every default filled in
///
/// File, then environment (GATEPOST_STATE, GATEPOST_LISTEN), then what the catalogue says of each feed. The output is
/// a configuration that reads back as itself.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost print-config --config gatepost.toml
  gatepost print-config | less")]
pub(crate) struct Args {
    #[command(flatten)]
    from: EitherArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let config = args.from.read()?;
    let mut out = out();
    out.write_all(config.to_toml().as_bytes())?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

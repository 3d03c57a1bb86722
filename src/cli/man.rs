//! `gatepost man`: generated from the definition of the commands.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;

use super::output::{out, talk};
use crate::error::ExitStatus;

/// Print the manual page, or write those of all commands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost man | man -l -
  gatepost man --dir /usr/share/man/man1")]
pub(crate) struct Args {
    /// Write gatepost.1 and one page for each command into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    if let Some(dir) = &args.dir {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        clap_mangen::generate_to(super::command(), dir)
            .with_context(|| format!("cannot write into {}", dir.display()))?;
        talk(format_args!("the manual pages are in {}", dir.display()));
        return Ok(ExitStatus::Ok);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command()).render(&mut page)?;
    let mut out = out();
    out.write_all(&page)?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

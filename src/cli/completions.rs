//! `gatepost completions`: generated from the definition of the commands.

use std::io::Write;

use super::output::out;
use crate::error::ExitStatus;

/// Print the completions of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost completions bash > /usr/share/bash-completion/completions/gatepost
  gatepost completions zsh  > \"${fpath[1]}/_gatepost\"
  gatepost completions fish > ~/.config/fish/completions/gatepost.fish")]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    // Into memory first: the generator panics when its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "gatepost", &mut script);
    let mut out = out();
    out.write_all(&script)?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

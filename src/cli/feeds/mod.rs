//! `gatepost feeds`: the catalogue, for people who choose from it.
//!
//! [`entries`] knows what there is and what of it is in use, `list` and `show` put it on the terminal, `enable` takes a
//! feed into the configuration and out of it again; what it writes is one file beside the main one ([`written`]).
//! Never: fetching anything, changing a file that a person wrote.

mod enable;
mod entries;
mod list;
mod show;
mod written;

use clap::Subcommand;

use crate::error::ExitStatus;

/// List, search and show the feeds of the catalogue, and choose from them
///
/// The catalogue knows what is published where, on what terms, and what it is good for. What anyone may fetch can be
/// enabled; what needs an account or a contract says how to get one; what is no more says since when and why.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  gatepost feeds                               all of them
  gatepost feeds --use block --only disabled   what one could reject mail on and does not yet
  gatepost feeds search tor
  gatepost feeds show spamhaus-drop            everything about one: terms, code, where to get an address off it
  gatepost feeds show dnsbl.sorbs.net          what has become of a zone
  gatepost feeds enable uceprotect-2           into conf.d/feeds.toml beside the configuration
  gatepost feeds --json | jq -r '.feeds[] | select(.state == \"enabled\") | .name'"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    // Not called `Args`: clap knows flattened structs by their names.
    #[command(flatten)]
    list: list::ListArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Search(list::SearchArgs),
    Show(show::Args),
    Enable(enable::Args),
    Disable(enable::DisableArgs),
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    match &args.command {
        None => list::run(&args.list),
        Some(Command::List(args)) => list::run(args),
        Some(Command::Search(args)) => list::search(args),
        Some(Command::Show(args)) => show::run(args),
        Some(Command::Enable(args)) => enable::run(args),
        Some(Command::Disable(args)) => enable::disable(args),
    }
}

//! `gatepost accept`: lets through what is held.

use super::by_hand::{OfList, decide};
use crate::error::ExitStatus;
use crate::sync::Wish;

/// Let a version through that is held, and put it in service
///
/// The held body is read once more; what speaks against it is yours to judge (`gatepost diff LIST` shows what it would
/// change, `gatepost status` why it waits). What no feed may list stays out of it. Where nothing is held, but versions
/// came that are older than the one in service by their own dates, the next fetch is taken whatever it is dated.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost diff uceprotect-1 | head            what it would change
  gatepost accept uceprotect-1
  gatepost accept uceprotect-1 1f3c9a2b        when that is what is held, and not when it is another by now

Exit codes: 0 it is in service, 1 nothing is held, or a zone stays as it was, 2 usage, 3 could not do it")]
pub(crate) struct Args {
    #[command(flatten)]
    of: OfList,
    /// What is to be held, by the beginning of its hash
    #[arg(value_name = "VERSION")]
    version: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    decide(&args.of, Wish::Accept(args.version.as_deref()))
}

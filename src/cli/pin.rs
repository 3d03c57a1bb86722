//! `gatepost pin` and `gatepost unpin`: a version that stays in service whatever comes.

use super::by_hand::{OfList, decide};
use crate::error::ExitStatus;
use crate::sync::Wish;

/// Keep a version of a list in service, whatever comes
///
/// The current one, or the one that is named (as for `gatepost rollback`). The list is fetched, judged and logged as
/// before, but not taken. A pinned list that grows old is reported and goes on.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost pin psbl
  gatepost pin psbl 1                          the one before the newest

Exit codes: 0 done, 1 a zone stays as it was, 2 usage, no such version, 3 could not do it")]
pub(crate) struct Args {
    #[command(flatten)]
    of: OfList,
    /// Which version
    #[arg(value_name = "VERSION")]
    version: Option<String>,
}

/// Take what comes again
///
/// For a list that was pinned or rolled back. The next fetch is judged against the version in service.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost unpin psbl

Exit codes: 0 done, 1 it is not pinned, 2 usage, 3 could not do it")]
pub(crate) struct UnpinArgs {
    #[command(flatten)]
    of: OfList,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    decide(&args.of, Wish::Pin(args.version.as_deref()))
}

pub(crate) fn unpin(args: &UnpinArgs) -> anyhow::Result<ExitStatus> {
    decide(&args.of, Wish::Unpin)
}

//! `gatepost rollback`: puts an earlier version in service and keeps it there.

use super::by_hand::{OfList, decide};
use crate::error::ExitStatus;
use crate::sync::Wish;

/// Put an earlier version of a list in service and keep it there
///
/// The one before the current, or the one that is named: by the beginning of its hash, by its number (0 is the newest, 1 the
/// one before it), or by a time at which it was in service. The list is pinned: it is fetched and judged as before, but
/// nothing is taken until `gatepost unpin LIST`. The serials of its zones rise.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost rollback psbl                       the version before this one
  gatepost rollback psbl 3f2a91                the one with this hash (gatepost history psbl)
  gatepost rollback psbl 2026-11-28            what was in service then, UTC
  gatepost rollback psbl 36h                   so long ago

Exit codes: 0 it is in service, 1 a zone stays as it was, 2 usage, no such version, 3 could not do it")]
pub(crate) struct Args {
    #[command(flatten)]
    of: OfList,
    /// Which version
    #[arg(value_name = "VERSION")]
    version: Option<String>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    decide(&args.of, Wish::RollBack(args.version.as_deref()))
}

//! What the commands share by which a person decides of a list: `accept`, `pin`, `unpin`, `rollback`.

use super::as_owner::open_store;
use super::locate::EitherArgs;
use super::logs;
use super::output::{json, out};
use super::progress::Progress;
use super::sync::{slug, status};
use crate::error::ExitStatus;
use crate::store::{Lock, Store, StoreError, Wait, Writer};
use crate::sync::{self, Wish};

/// The list, and which gatepost.
#[derive(Debug, clap::Args)]
pub(crate) struct OfList {
    /// The list
    #[arg(value_name = "LIST")]
    list: String,
    #[command(flatten)]
    from: EitherArgs,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Does it and puts in service what follows from it.
pub(crate) fn decide(args: &OfList, wish: Wish<'_>) -> anyhow::Result<ExitStatus> {
    let config = args.from.read_to_write()?;
    let list = slug(&args.list)?;
    let progress = Progress::new([list.as_str()], true);
    logs::init_above(&progress);
    let store = open_store(&config.state)?;
    // What is meant is what there is now, however long it has to wait for.
    let wish = sync::settle(&config, &store, &list, wish)?;
    let writer =
        wait_for_lock(&store, |by| progress.line(&format!("waits for the sync that is running ({by})")))?;
    let done = sync::decide(&config, &writer, &list, wish, &progress);
    progress.clear();
    let summary = done?;
    if args.json {
        json(&mut out(), &summary)?;
    }
    Ok(status(&summary))
}

/// Takes the lock, however long somebody else has it; that is told.
fn wait_for_lock(store: &Store, tell: impl FnOnce(&str)) -> Result<Writer, StoreError> {
    let mut tell = Some(tell);
    let mut wait = Wait::No;
    loop {
        match store.lock(wait)? {
            Lock::Taken(writer) => return Ok(writer),
            Lock::Busy(by) => {
                if let Some(tell) = tell.take() {
                    tell(&by);
                }
                wait = Wait::Yes;
            }
        }
    }
}

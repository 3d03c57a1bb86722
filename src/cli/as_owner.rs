//! Root's commands in a state folder that belongs to another user.
//!
//! [`open_store`] makes the process that user for good before it opens the store: whatever that user has put in the place of a
//! file or folder, or exchanges meanwhile, leads a command to nothing that is not that user's already, and what it writes
//! is that user's from the start. Never called by servers: they bind addresses later, and the service manager
//! starts them as the right user.

use std::ffi::CString;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::Context;
use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgroups, setresgid, setresuid};

use crate::store::Store;

/// Opens the store to write in it, as the owner of its folder. What only root may read must have been read before.
pub(super) fn open_store(state: &Path) -> anyhow::Result<Store> {
    let Some((uid, gid)) = other_owner(state) else { return Ok(Store::open(state)?) };
    become_user(uid, gid)
        .with_context(|| format!("cannot become user {uid}, whose {} is", state.display()))?;
    if std::fs::metadata(state).is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        anyhow::bail!(
            "user {uid}, whose {} is, may not go into a folder above it (chmod o+x that, or let the group of the user in)",
            state.display()
        );
    }
    Store::open(state).with_context(|| format!("as user {uid}, whose {} is", state.display()))
}

/// A folder that is not there yet will be root's.
fn other_owner(state: &Path) -> Option<(Uid, Gid)> {
    let found = geteuid().is_root().then(|| std::fs::metadata(state).ok()).flatten()?;
    (found.uid() != 0).then(|| (Uid::from_raw(found.uid()), Gid::from_raw(found.gid())))
}

fn become_user(uid: Uid, gid: Gid) -> nix::Result<()> {
    // What the service may read by its other groups, such as own lists, its owner's commands may.
    match User::from_uid(uid).ok().flatten().and_then(|user| CString::new(user.name).ok()) {
        Some(name) => initgroups(&name, gid)?,
        None => setgroups(&[])?,
    }
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

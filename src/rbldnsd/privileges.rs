//! Users, root folder, pid file: what a daemon gives up before it reads anything.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use nix::unistd::{Gid, Group, Uid, User, chroot, geteuid, setgid, setgroups, setuid};

use super::options::Options;
use super::reports::Confinement;

/// The user that a daemon started by root becomes unless another is named.
const DEFAULT_USER: &str = "rbldns";

impl Confinement {
    /// As the options say; a process that root started never stays root.
    pub(super) fn of(options: &Options) -> anyhow::Result<Self> {
        let ids = match (geteuid().is_root(), &options.user) {
            (true, user) => Some(ids(user.as_deref().unwrap_or(DEFAULT_USER))?),
            (false, _) => None,
        };
        Ok(Self { root: options.root.clone(), workdir: options.workdir.clone(), ids })
    }
}

/// `user[:group]`, each a name or a number.
fn ids(text: &str) -> anyhow::Result<(u32, u32)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, primary) = match (User::from_name(user)?, user.parse::<u32>()) {
        (Some(known), _) => (known.uid.as_raw(), Some(known.gid.as_raw())),
        (None, Ok(uid)) => {
            let known = User::from_uid(Uid::from_raw(uid))?;
            (uid, known.map(|known| known.gid.as_raw()))
        }
        (None, Err(_)) => bail!("unknown user `{user}`; name another with -u user[:group]"),
    };
    let gid = match group {
        None => primary.ok_or_else(|| anyhow!("user {uid} has no group; write -u {uid}:group"))?,
        Some(group) => match (Group::from_name(group)?, group.parse::<u32>()) {
            (Some(known), _) => known.gid.as_raw(),
            (None, Ok(gid)) => gid,
            (None, Err(_)) => bail!("unknown group `{group}`"),
        },
    };
    if uid == 0 {
        bail!("it is not to run as root, since that is insecure; name a user with -u");
    }
    Ok((uid, gid))
}

/// Moves into the root and working folder and becomes the user, for good.
pub(super) fn confine(confinement: &Confinement) -> anyhow::Result<()> {
    let Confinement { root, workdir, ids } = confinement;
    if let Some(root) = root {
        let failed = || format!("unable to chroot to {}", root.display());
        chroot(root).with_context(failed)?;
        std::env::set_current_dir("/").with_context(failed)?;
    }
    if let Some(workdir) = workdir {
        std::env::set_current_dir(workdir)
            .with_context(|| format!("unable to change to folder {}", workdir.display()))?;
    }
    if let Some((uid, gid)) = *ids {
        let gid = Gid::from_raw(gid);
        setgroups(&[gid]).context("unable to give up groups")?;
        setgid(gid).context("unable to change the group")?;
        setuid(Uid::from_raw(uid)).context("unable to change the user")?;
        if setuid(Uid::from_raw(0)).is_ok() {
            bail!("privileges could not be given up");
        }
        // A change of user hides /proc/self/exe, which a new loader is started from.
        nix::sys::prctl::set_dumpable(true).context("unable to stay able to start a loader")?;
    }
    Ok(())
}

/// Writes this process's id.
pub(super) fn write_pid(path: &Path) -> anyhow::Result<()> {
    let failed = || format!("unable to write the pid file {}", path.display());
    let mut file = File::create(path).with_context(failed)?;
    writeln!(file, "{}", std::process::id()).with_context(failed)
}

/// The folder for compiled zones, made and given to the user; `None` where there can be none.
pub(super) fn cache_folder(options: &Options, confinement: &Confinement) -> Option<PathBuf> {
    if confinement.root.is_some() {
        return None;
    }
    let folder = std::path::absolute(options.cache.as_ref()?).ok()?;
    let made = make(&folder, confinement.ids);
    if let Err(error) = made {
        tracing::info!(folder = %folder.display(), %error, "no cache: compiled zones are kept in memory");
        return None;
    }
    Some(folder)
}

/// A folder that is there already stays as it is.
fn make(folder: &Path, ids: Option<(u32, u32)>) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o755).create(folder)?;
    match ids {
        Some((uid, gid)) => chown(folder, Some(uid), Some(gid)),
        None => Ok(()),
    }
}

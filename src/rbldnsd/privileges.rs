//! Users, root folder, pid file: what a daemon gives up before it reads anything.

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nix::unistd::{Gid, Group, Uid, User, chroot, getegid, geteuid, setgid, setgroups, setuid};

use super::options::Options;
use super::reports::Confinement;

/// The user that a daemon started by root becomes unless another is named.
const DEFAULT_USER: &str = "rbldns";

impl Confinement {
    /// As the options say; a process that root started never stays root, and one of anybody else is what is asked for or
    /// nothing.
    pub(super) fn of(options: &Options) -> anyhow::Result<Self> {
        let ids = match (geteuid().is_root(), &options.user) {
            (true, user) => Some(ids(user.as_deref().unwrap_or(DEFAULT_USER))?),
            (false, Some(user)) => {
                be_already(user)?;
                None
            }
            (false, None) => None,
        };
        Ok(Self { root: options.root.clone(), workdir: options.workdir.clone(), ids })
    }
}

/// That somebody else is served as than was asked for must not go unseen.
fn be_already(user: &str) -> anyhow::Result<()> {
    let (uid, gid) = ids(user)?;
    let (own_uid, own_gid) = (geteuid(), getegid());
    if (own_uid.as_raw(), own_gid.as_raw()) != (uid, gid) {
        bail!(
            "-u {user}: unable to become user {uid} and group {gid}, which only root can; \
             this is user {own_uid} and group {own_gid}: leave -u out, or have root start it"
        );
    }
    Ok(())
}

/// `user[:group]`, each a name or a number. A number is the group as well, whoever has it.
fn ids(text: &str) -> anyhow::Result<(u32, u32)> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, primary) = match (user.parse(), User::from_name(user)?) {
        (Ok(number), _) => (number, number),
        (Err(_), Some(known)) => (known.uid.as_raw(), known.gid.as_raw()),
        (Err(_), None) => bail!("unknown user `{user}`; name another with -u user[:group]"),
    };
    let gid = match group {
        None => primary,
        Some(group) => match (group.parse(), Group::from_name(group)?) {
            (Ok(number), _) => number,
            (Err(_), Some(known)) => known.gid.as_raw(),
            (Err(_), None) => bail!("unknown group `{group}`"),
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

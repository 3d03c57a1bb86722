//! The state folder: whose it is, who may write there, and whether a sync can.
//!
//! Reads modes, owners and what the kernel says of the file system; changes nothing.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Uid, User};

use super::super::locate::DEFAULT_CONFIG;
use crate::config::defaults::STATE;
use crate::doctor::child::said;
use crate::doctor::files::OWNERS_ALONE;
use crate::doctor::finding::{Area, Check};
use crate::doctor::who;

/// Files of the store that are looked at.
const FILES: usize = 20_000;
/// Octets that a sync needs at least, for what it notes of a few lists.
const LEAST: u64 = 256 << 10;
/// File systems that another machine may write, whatever may be done here.
const SHARED: [&str; 8] = ["nfs", "cifs", "smb", "9p", "virtiofs", "fuse", "ceph", "gluster"];

/// `main`: the configuration's main file.
pub(super) fn look(state: &Path, main: Option<&Path>) -> Vec<Check> {
    let Ok(folder) = fs::metadata(state) else { return Vec::new() };
    let files = all_below(state);
    let mut checks = vec![others(state, &folder, main).unwrap_or_else(|| owners(state, &folder, &files))];
    checks.extend(read_only(state).or_else(|| full(state, &folder, &files)));
    checks
}

/// The state folder of the service is another user's than the service's.
fn others(state: &Path, folder: &Metadata, main: Option<&Path>) -> Option<Check> {
    // One that somebody starts by hand has its own.
    if main? != Path::new(DEFAULT_CONFIG) && state != Path::new(STATE) {
        return None;
    }
    // Root may write everywhere.
    let service = service().filter(|user| !user.uid.is_root())?;
    if folder.uid() == service.uid.as_raw() || who::owners_of("gatepost").contains(&folder.uid()) {
        return None;
    }
    let owner = User::from_uid(Uid::from_raw(folder.uid())).ok().flatten();
    let owner = owner.map_or_else(|| folder.uid().to_string(), |user| user.name);
    let (at, name) = (state.display(), &service.name);
    Some(
        Check::bad(Area::Host, "owner", format!("{at} belongs to {owner}, and the service runs as {name}"))
            .because("the service cannot write there, or not even read: no sync brings anything, or the server does not start")
            .cured_with("gives it to the service", format!("chown -R {name}: {at}")),
    )
}

/// Whom the service runs as: as its unit says, or else as packages make it.
fn service() -> Option<User> {
    let unit = || said("systemctl", &["show", "--property=LoadState,User", "gatepost.service"]);
    let unit = who::has_systemd().then(unit).flatten().map(|(_, text)| text).unwrap_or_default();
    let name = match unit.lines().any(|line| line == "LoadState=loaded") {
        true => unit.lines().find_map(|line| line.strip_prefix("User=")).filter(|name| !name.is_empty()),
        false => Some("gatepost"),
    };
    User::from_name(name.unwrap_or("root")).ok().flatten()
}

/// Nothing can be written there by anybody.
fn read_only(state: &Path) -> Option<Check> {
    if !statvfs(state).ok()?.flags().contains(FsFlags::ST_RDONLY) {
        return None;
    }
    let table = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let at = mounted(&table, &fs::canonicalize(state).ok()?)?;
    Some(
        Check::warn(Area::Host, "store-read-only", format!("{} is on {at}, which is mounted read-only", state.display()))
            .because("no sync can put anything in service: what is there is answered from until it is too old")
            .cured_by(format!("see why: `dmesg` (a disk with errors is shut by the kernel), /etc/fstab; then `mount -o remount,rw {at}` and `gatepost sync`")),
    )
}

/// Where what has `path` is mounted, if it can be read alone, not only in this place: who answers in a container may well have no
/// more, while another one syncs (proc(5), mountinfo).
fn mounted<'t>(table: &'t str, path: &Path) -> Option<&'t str> {
    let mounts = table.lines().filter_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let (at, mut system) = (mount.split(' ').nth(4)?, system.split(' '));
        Some((at, system.next()?, system.nth(1)?))
    });
    // Of those in one place the last one hides the others.
    let mounts = mounts.filter(|(at, ..)| path.starts_with(at));
    let (at, kind, options) = mounts.max_by_key(|(at, ..)| at.len())?;
    let is_shared = SHARED.iter().any(|shared| kind.starts_with(shared));
    (!is_shared && options.split(',').any(|option| option == "ro")).then_some(at)
}

/// A new version is written beside the old one.
fn full(state: &Path, folder: &Metadata, files: &[PathBuf]) -> Option<Check> {
    // Some file systems say nothing of it.
    let found = statvfs(state).ok().filter(|found| found.blocks() > 0)?;
    let blocks = if folder.uid() == 0 { found.blocks_free() } else { found.blocks_available() };
    let free = blocks * found.fragment_size();
    let sizes = files.iter().filter_map(|path| fs::symlink_metadata(path).ok()).map(|file| file.len());
    let largest = sizes.max().unwrap_or(0);
    let at = state.display();
    let what = match () {
        () if free < largest.max(LEAST) => {
            format!("{at} has {} KiB left, and its largest file has {}", free >> 10, largest >> 10)
        }
        () if found.files() > 0 && found.files_available() == 0 => {
            format!("no more files can be made in {at}")
        }
        () => return None,
    };
    Some(
        Check::warn(Area::Host, "store-full", what)
            .because("a sync writes what is new beside what is there: it fails, and what is there is answered from until it is too old")
            .cured_by(format!("make room on that file system (`df -h {at}`), then `gatepost sync`")),
    )
}

/// Who may write into it, and whether all of it is its owner's.
fn owners(state: &Path, folder: &Metadata, files: &[PathBuf]) -> Check {
    if folder.mode() & 0o022 != 0 {
        let what =
            format!("{} may be written by others (mode {:o})", state.display(), folder.mode() & 0o7777);
        return Check::warn(Area::Host, "open-store", what)
            .because("whoever writes there decides what is listed")
            .cured_with(OWNERS_ALONE, format!("chmod go-w {}", state.display()));
    }
    let owner = folder.uid();
    let what = match files.iter().find(|path| !is_usable(path, owner)) {
        Some(path) => format!("{} cannot be read or replaced by whose folder it is in", path.display()),
        None => return Check::ok(Area::Host, format!("{} is its owner's alone", state.display())),
    };
    let at = state.display();
    Check::warn(Area::Host, "owner", what)
            .because("the service runs as the owner of the state folder: what is somebody else's stays as it is, and the lists behind it grow old")
            .cured_with("gives all that is in it to its owner", format!("chown -R --reference={at} {at} && chmod -R u+rwX {at}"))
}

/// What is in a folder and below it, as far as it is worth looking.
fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop().filter(|_| found.len() < FILES) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

/// Its owner's, who may do with it what a service must.
fn is_usable(path: &Path, owner: u32) -> bool {
    let Ok(found) = fs::symlink_metadata(path) else { return true };
    let needed = if found.is_dir() { 0o700 } else { 0o400 };
    found.is_symlink() || found.uid() == owner && found.mode() & needed == needed
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_store_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            owners(folder.path(), &fs::metadata(folder.path()).unwrap(), &[]).name()
        };
        assert_eq!([mode(0o750), mode(0o770), mode(0o757)], ["", "open-store", "open-store"]);
    }

    #[test]
    fn a_mount_that_nobody_can_write() {
        let line = |at: &str, own: &str, kind: &str, all: &str| {
            format!("36 35 98:0 / {at} {own},noatime shared:1 - {kind} /dev/sda1 {all},errors=continue\n")
        };
        let root = line("/", "rw", "ext4", "rw");
        let mounted =
            |text: &str| mounted(&(root.clone() + text), Path::new("/var/lib/gatepost")).map(str::to_owned);
        assert_eq!(mounted(""), None);
        assert_eq!(mounted(&line("/var/lib", "ro", "ext4", "ro")).as_deref(), Some("/var/lib"));
        assert_eq!(mounted(&line("/var/lib/gate", "ro", "ext4", "ro")), None);
        // There alone, as a container's; over it another one; somebody else's disk.
        assert_eq!(mounted(&line("/var/lib", "ro", "ext4", "rw")), None);
        let over = line("/var", "ro", "ext4", "ro") + &line("/var", "rw", "tmpfs", "rw");
        assert_eq!(mounted(&over), None);
        assert_eq!(mounted(&line("/var/lib", "ro", "nfs4", "ro")), None);
    }
}

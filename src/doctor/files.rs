//! The files of the configuration: who may write them, and who may read what looks like a secret in them.
//!
//! Reads files and their modes; changes nothing.

use std::ffi::CString;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::finding::{Area, Check, Cure};
use crate::config::{Config, Source};

/// Words that stand before a key in the query of a URL.
const KEYS: [&str; 6] = ["key=", "token=", "auth=", "secret=", "password=", "passwd="];
/// A part of a path that is so long, with digits and letters, is no name that a person chose.
const KEY_LEN: usize = 20;
/// What cures are for.
const LETS_IN: &str = "lets the service do so";
pub(crate) const OWNERS_ALONE: &str = "leaves it to its owner alone to write there";

/// The groups of services: smaller numbers are the system's own (`shadow`, `disk`), larger ones people's.
const OF_SERVICES: Range<u32> = 100..1000;

/// `main`: the configuration's main file; `conf.d` stands beside it.
pub(crate) fn look(main: &Path, config: &Config) -> Vec<Check> {
    let files = files(main);
    let open = files.iter().chain(folders(main).iter()).find(|path| mode(path) & 0o022 != 0).cloned();
    let mut checks = Vec::new();
    if let Some(path) = open {
        let what = format!("{} may be written by others (mode {:o})", path.display(), mode(&path));
        checks.push(
            Check::warn(Area::Host, "open-configuration", what)
                .because("whoever writes there decides what is listed, and whom the service asks")
                .cured_with(OWNERS_ALONE, format!("chmod go-w {}", path.display())),
        );
    }
    checks.extend(unreadable(&config.state, &files, config));
    let lists = config.reloadable.lists.values();
    let secrets: Vec<&str> = lists
        .flat_map(|list| list.source.urls())
        .map(|url| url.as_str())
        .filter(|url| has_key(url))
        .collect();
    let told = files.iter().filter(|path| mode(path) & 0o004 != 0).find(|path| {
        fs::read_to_string(path).is_ok_and(|text| secrets.iter().any(|secret| text.contains(secret)))
    });
    if let Some(path) = told {
        let what = format!("{} has a URL with a key in it, and everybody may read it", path.display());
        let at = path.display();
        checks.push(
            Check::warn(Area::Host, "open-secret", what)
                .because("whoever has the key is who you are to that publisher")
                .cured_with(
                    "gives it to the group of the service, and hides it from others",
                    format!("chgrp gatepost {at} && chmod 640 {at}"),
                ),
        );
    }
    if checks.is_empty() && !files.is_empty() {
        checks.push(Check::ok(Area::Host, format!("{} is its owner's alone to write", main.display())));
    }
    checks
}

/// What the service, which runs as the owner of the state folder, may not read.
fn unreadable(state: &Path, files: &[PathBuf], config: &Config) -> Option<Check> {
    let owner = fs::metadata(state).ok()?;
    let service = Service { user: owner.uid(), groups: groups(owner.uid(), owner.gid()) };
    let own = config.reloadable.lists.values().filter_map(|list| match &list.source {
        Source::Files(paths) => Some(paths.iter()),
        _ => None,
    });
    let beside = files[0].with_file_name("conf.d");
    let folders = [beside].into_iter().filter(|path| path.is_dir());
    if let Some(path) = folders.into_iter().find(|path| !service.may(path, 0o5)) {
        let what = format!("the service may not look into {} (mode {:o})", path.display(), mode(&path));
        let check = Check::bad(Area::Host, "closed-configuration", what)
            .because("it goes on with what it has read before, or does not start");
        return Some(service.let_in(check, &path, "rx", state));
    }
    let paths: Vec<&PathBuf> = files.iter().chain(own.flatten()).collect();
    if let Some((path, folder)) = paths.iter().find_map(|path| Some((path, service.hindered(path)?))) {
        return Some(behind(&service, path, &folder, files[0].parent(), state));
    }
    let path = paths.into_iter().find(|path| !service.may(path, 0o4))?;
    let what = format!("the service may not read {} (mode {:o})", path.display(), mode(path));
    let check = Check::bad(Area::Host, "closed-configuration", what).because(UNREAD);
    Some(service.let_in(check, path, "r", state))
}

const UNREAD: &str = "it goes on with what it has read before, or does not start; a list in such a file does not change any more";

/// A file may be everybody's to read: who may not go through a folder above it does not come to it.
fn behind(service: &Service, path: &Path, folder: &Path, beside: Option<&Path>, state: &Path) -> Check {
    let at = folder.display();
    let what = format!("the service may not go through {at} (mode {:o}) to {}", mode(folder), path.display());
    let check = Check::bad(Area::Host, "closed-configuration", what).because(UNREAD);
    // What else lies there is nobody's business.
    if beside.and_then(|beside| fs::canonicalize(beside).ok()).is_some_and(|beside| beside == folder) {
        return service.let_in(check, folder, "x", state);
    }
    let check = match service.may_join(folder) {
        Some(cure) if mode(folder) & 0o010 != 0 => check.cured(cure),
        _ => check,
    };
    check.cured_by(
        "put the file where the service may go, such as beside the configuration, and name it there",
    )
}

/// Whom a service runs as.
pub(crate) struct Service {
    user: u32,
    groups: Vec<u32>,
}

impl Service {
    pub(crate) fn of(user: &User) -> Self {
        Self { user: user.uid.as_raw(), groups: groups(user.uid.as_raw(), user.gid.as_raw()) }
    }

    /// What `bits` of a class of users mean: 4 to read, 1 to look for a name in a folder.
    pub(crate) fn may(&self, path: &Path, bits: u32) -> bool {
        let Ok(found) = fs::metadata(path) else { return true };
        let mode = match () {
            () if self.user == 0 => return true,
            () if found.uid() == self.user => found.mode() >> 6,
            () if self.groups.contains(&found.gid()) => found.mode() >> 3,
            () => found.mode(),
        };
        mode & bits == bits
    }

    /// Lets it read a file (`r`) or go through a folder (`x`), and takes that from nobody who may: another program's files are
    /// that program's.
    fn let_in(&self, check: Check, path: &Path, bits: &str, state: &Path) -> Check {
        let Ok(found) = fs::metadata(path) else { return check };
        let at = path.display();
        match found.gid() {
            _ if found.uid() == self.user => {
                return check.cured_with(LETS_IN, format!("chmod u+{bits} {at}"));
            }
            group if self.groups.contains(&group) => {
                return check.cured_with(LETS_IN, format!("chmod g+{bits} {at}"));
            }
            0 => {
                let chgrp = format!("chgrp --reference={} {at} && chmod g+{bits} {at}", state.display());
                return check.cured_with(LETS_IN, chgrp);
            }
            _ => {}
        }
        let group_may = bits.chars().all(|bit| mode(path) & if bit == 'r' { 0o040 } else { 0o010 } != 0);
        let check = match self.may_join(path).filter(|_| group_may) {
            Some(cure) => check.cured(cure),
            None => check,
        };
        check.cured_with("lets everybody on this machine do so", format!("chmod o+{bits} {at}"))
    }

    /// Makes it a member of the group of another service, whose this file or folder is.
    fn may_join(&self, path: &Path) -> Option<Cure> {
        let group = fs::metadata(path).ok()?.gid();
        let group = Group::from_gid(Gid::from_raw(group)).ok()?.filter(|_| OF_SERVICES.contains(&group))?;
        let user = User::from_uid(Uid::from_raw(self.user)).ok()??;
        let how =
            format!("puts {} into the group that may, which a service learns when it starts", user.name);
        let lines = format!(
            "usermod -aG {} {}\nsystemctl restart gatepost\nsystemctl start gatepost-sync",
            group.name, user.name
        );
        Some(Cure { how, lines })
    }

    /// The first folder on the way to a file that it may not go through.
    pub(crate) fn hindered(&self, path: &Path) -> Option<PathBuf> {
        let path = fs::canonicalize(path).ok()?;
        let mut folders: Vec<&Path> = path.ancestors().skip(1).collect();
        folders.reverse();
        folders.into_iter().find(|folder| !self.may(folder, 0o1)).map(Path::to_owned)
    }
}

/// The groups of a user, `first` among them.
fn groups(user: u32, first: u32) -> Vec<u32> {
    let mut groups = vec![first];
    if let Ok(Some(user)) = User::from_uid(Uid::from_raw(user)) {
        let name = CString::new(user.name).unwrap_or_default();
        let more = getgrouplist(&name, user.gid).unwrap_or_default();
        groups.extend(more.into_iter().map(Gid::as_raw));
    }
    groups
}

/// The main file and those that are read after it.
fn files(main: &Path) -> Vec<PathBuf> {
    let beside = fs::read_dir(main.with_file_name("conf.d")).into_iter().flatten().flatten();
    let beside =
        beside.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "toml"));
    let mut files: Vec<PathBuf> = beside.collect();
    files.sort();
    files.insert(0, main.to_owned());
    files.retain(|path| path.is_file());
    files
}

/// Who may write into these may put another file in the place of one.
fn folders(main: &Path) -> [PathBuf; 2] {
    [main.parent().map(Path::to_owned).unwrap_or_default(), main.with_file_name("conf.d")]
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0, |found| found.mode() & 0o7777)
}

/// A key that stands in a URL: in its query, or as a part of its path.
fn has_key(url: &str) -> bool {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let query = query.to_ascii_lowercase();
    let is_key = |part: &str| {
        part.len() >= KEY_LEN
            && part.bytes().all(|octet| octet.is_ascii_alphanumeric())
            && part.bytes().any(|octet| octet.is_ascii_digit())
            && part.bytes().any(|octet| octet.is_ascii_alphabetic())
    };
    KEYS.iter().any(|key| query.contains(key)) || path.split('/').skip(3).any(is_key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_read_a_folder_may_look_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |mode: u32| {
            fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        let stranger = Service { user: u32::MAX - 1, groups: vec![u32::MAX - 1] };
        for (mode, may) in [(0o755, true), (0o700, false), (0o750, false), (0o754, false)] {
            at(mode);
            assert_eq!(stranger.may(folder.path(), 0o5), may, "{mode:o}");
        }
        let owner = fs::metadata(folder.path()).unwrap();
        let member = Service { user: u32::MAX - 1, groups: vec![owner.gid()] };
        at(0o750);
        assert!(member.may(folder.path(), 0o5));
    }

    #[test]
    fn keys_in_urls() {
        assert!(has_key("https://lists.example/get?format=txt&Token=abc"));
        assert!(has_key("https://lists.example/api/0123456789abcdef01234567/list.txt"));
        assert!(!has_key("https://lists.example/rbldnsd-all/dnsbl-1.uceprotect.net.gz"));
        assert!(!has_key("https://lists.example/list.txt?format=txt"));
        assert!(!has_key("https://raw.example/disposable-email-domains/master/disposable.conf"));
    }
}

//! Whether the rspamd that is Postfix's milter answers there, and takes its configuration: it reads nothing of that while one file of it
//! cannot be read. Reads files, connects to where it listens, and has `rspamadm` look; changes nothing.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::unistd::{Gid, Group, User};

use super::super::super::child;
use super::super::super::files::Service;
use super::super::super::finding::Cure;
use super::super::off::Read;
use super::super::rspamd;
use super::super::trouble::Trouble;
use super::proxy::{Filters, Is, file_of, is_here, is_rspamd, plain_milter};
use super::refused::{Refused, unclosed};
use crate::snippet::Program;

const NAME: &str = "mail-not-running";
/// For a connection on this host.
const PATIENCE: Duration = Duration::from_secs(2);
/// Of the system's unit of rspamd's what an administrator writes counts first.
const UNITS: [&str; 4] =
    ["/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// It does not run, or will not when it is started again. `texts` are all that were read.
pub(in super::super) fn look(filters: &Filters, listens: &[String], texts: &[Read]) -> Option<Trouble> {
    let mut milters = filters.milters.iter().filter_map(|milter| Some((milter, place_of(milter, listens)?)));
    let (milter, place) =
        milters.clone().find(|(_, place)| answers(place) == Some(false)).or_else(|| milters.next())?;
    let is_down = answers(&place) == Some(false);
    let texts: Vec<&Read> = texts.iter().filter(|read| read.program == Program::Rspamd).collect();
    let user = user();
    // What rspamd says of its files is asked where there is something to say: the answer takes it a second.
    let is_suspect = is_down || texts.iter().any(|read| is_suspect(read, user.as_ref()));
    let refused = if is_suspect { refused(user.as_ref()) } else { None };
    let of_gatepost = texts.iter().flat_map(|read| rspamd::mentions(&read.place, &read.text));
    let zones = of_gatepost.map(|mention| mention.zone).collect();
    let trouble = |at: &str, rest: String, cause: String, cure: Cure| Trouble {
        program: Program::Rspamd,
        name: NAME,
        is_bad: true,
        at: at.to_owned(),
        zones,
        rest,
        cause,
        cure,
    };
    let does = filters.unanswered(milter);
    if let Some((inside, cause, cure)) = filters.hidden(milter, &place).filter(|_| !is_down) {
        let rest = format!("Postfix looks for it at {inside}, where nothing is: {does}");
        return Some(trouble(&place, rest, cause.to_owned(), cure));
    }
    if let Some((owner, cause, cure)) = filters.shut_out(&place, listens).filter(|_| !is_down) {
        let rest = format!("Postfix's user {owner} may not write to it: {does}");
        return Some(trouble(&place, rest, cause, cure));
    }
    let Some(refused) = refused else {
        let cure = Cure {
            how: "start it (where it ends again, `journalctl -u rspamd` says why)".to_owned(),
            lines: "systemctl start rspamd".to_owned(),
        };
        let cause = "rspamd does not run, or does not listen there";
        let rest = format!("nobody answers there, where Postfix hands mail to it: {does}");
        return is_down.then(|| trouble(&place, rest, cause.to_owned(), cure));
    };
    let rest = match is_down {
        true => format!("it refuses its configuration, and does not run: {does}"),
        false => format!(
            "it refuses its configuration: it goes on with what it has read before, and will not start again; then {does}"
        ),
    };
    let name = user.as_ref().map(|user| user.name.as_str());
    let cure =
        refused.cure(name, &|path| closed_folder(path, user.as_ref()), &|path| fs::read_to_string(path).ok());
    Some(trouble(&refused.at, rest, format!("`rspamadm configtest` says: {}", refused.words), cure))
}

/// Where a milter that is rspamd's for sure is on this host: `inet:ADDRESS`, `/path`.
fn place_of(milter: &str, listens: &[String]) -> Option<String> {
    let listens =
        listens.iter().find(|place| is_rspamd(milter, std::slice::from_ref(place)) == Is::Rspamd)?;
    let milter = plain_milter(milter);
    match milter.strip_prefix("inet:") {
        Some(address) => is_here(address).then(|| milter.to_owned()),
        // As rspamd calls it: services of Postfix's may run in a chroot.
        None => listens.split_whitespace().next().map(str::to_owned),
    }
}

impl Filters {
    /// Where Postfix looks for a socket that lies elsewhere: in a chroot, or since its path has no slash before it. And why, and what has it found.
    fn hidden(&self, milter: &str, place: &str) -> Option<(String, &'static str, Cure)> {
        let path = plain_milter(milter).strip_prefix("unix:")?;
        let is_whole = path.starts_with('/');
        // One that was meant for the folder of the queue is told by its path there.
        let is_meant = path.trim_start_matches('/') == place.trim_start_matches('/');
        if !is_meant || is_whole && self.jailed.is_empty() {
            return None;
        }
        let inside = self.queue.join(path.trim_start_matches('/'));
        let is_lost = match self.jailed.is_empty() {
            true => {
                matches!(fs::symlink_metadata(&inside), Err(error) if error.kind() == ErrorKind::NotFound)
            }
            false => is_nowhere_in(&self.queue, path),
        };
        let queue = self.queue.display();
        let named = if is_whole {
            String::new()
        } else {
            format!("; and `unix:{place}` in smtpd_milters, in the place of `unix:{path}`")
        };
        let (cause, how) = match self.jailed.is_empty() {
            true => (
                "a path without a slash before it begins in the folder of Postfix's queue",
                format!("Postfix: `unix:{place}` in smtpd_milters, in the place of `unix:{path}`"),
            ),
            false => (
                "smtpd runs in a chroot there (`chroot` in master.cf, as Debian has it), and sees nothing outside: a link that leads there leads nowhere",
                format!(
                    "Postfix: have smtpd run outside the chroot{named} (or rspamd's proxy listen below {queue}, and name that place, as seen from \
                     there, in smtpd_milters)"
                ),
            ),
        };
        let out = self.jailed.iter().map(|service| format!("postconf -F {service}/chroot=n\n"));
        let lines = out.collect::<String>() + "postfix reload";
        is_lost.then(|| (inside.display().to_string(), cause, Cure { how, lines }))
    }

    /// Whom they run as, where he may not write to this socket, why, and what lets him.
    fn shut_out(&self, place: &str, listens: &[String]) -> Option<(String, String, Cure)> {
        let user = User::from_name(self.owner.as_deref()?).ok()??;
        let path = Path::new(place);
        if !path.is_absolute() || !may_not_write(&user, place) {
            return None;
        }
        let Some(folder) = Service::of(&user).hindered(path) else {
            let is_it = |listens: &&String| listens.split_whitespace().next() == Some(place);
            let file = listens.iter().find(is_it).and_then(|place| file_of(place))?;
            let mode = fs::metadata(path).ok()?.mode() & 0o777;
            let lines = format!("bind_socket = {};", opened(listens, place));
            let how = format!(
                "rspamd: in {file}, in the place of what is said of `bind_socket` there, and restart rspamd"
            );
            return Some((user.name, format!("its mode is {mode:o}"), Cure { how, lines }));
        };
        let found = fs::metadata(&folder).ok()?;
        let group = Group::from_gid(Gid::from_raw(found.gid())).ok().flatten();
        let group = group.filter(|group| group.gid.as_raw() != 0 && found.mode() & 0o010 != 0);
        let folder = folder.display();
        let cause = format!("{folder} has mode {:o}, and he may not go through it", found.mode() & 0o777);
        let (how, lines) = match group {
            Some(group) => (
                format!("make {} a member of the group {}, which may", user.name, group.name),
                format!("usermod -aG {} {}\npostfix reload", group.name, user.name),
            ),
            None => ("let others go through that folder".to_owned(), format!("chmod o+x {folder}")),
        };
        Some((user.name, cause, Cure { how, lines }))
    }

    /// What becomes of mail where this milter does not answer.
    fn unanswered(&self, milter: &str) -> &'static str {
        let own =
            milter.split_once("default_action").and_then(|(_, rest)| rest.trim_start().strip_prefix('='));
        let own = own.map(|rest| rest.trim_start().split([',', ' ', '}']).next().unwrap_or_default());
        match own.or(self.default_action.as_deref()).unwrap_or_default() {
            "accept" => "whoever is listed passes (Postfix's default action for it is accept)",
            "reject" => "all mail is refused (Postfix's default action for it is reject)",
            "quarantine" => "all mail is put on hold (Postfix's default action for it is quarantine)",
            _ => "all mail has to wait (451)",
        }
    }
}

/// Whether somebody listens at `inet:…` on this host, or at `/path`; nothing where that cannot be told.
fn answers(place: &str) -> Option<bool> {
    let kinds: Vec<Result<(), ErrorKind>> = match place.strip_prefix("inet:") {
        Some(address) => {
            let (host, port) = address.rsplit_once(':')?;
            let port = port.parse().ok()?;
            let hosts = match host.trim_matches(['[', ']']) {
                "localhost" => vec![IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)],
                host => vec![host.parse().ok()?],
            };
            let connects = |host| TcpStream::connect_timeout(&SocketAddr::new(host, port), PATIENCE);
            hosts.into_iter().map(|host| connects(host).map(drop).map_err(|error| error.kind())).collect()
        }
        None => vec![UnixStream::connect(place).map(drop).map_err(|error| error.kind())],
    };
    if kinds.contains(&Ok(())) {
        return Some(true);
    }
    let is_unsure = |kind: &Result<(), ErrorKind>| {
        matches!(kind, Err(ErrorKind::PermissionDenied | ErrorKind::TimedOut | ErrorKind::WouldBlock))
    };
    (!kinds.iter().any(is_unsure)).then_some(false)
}

/// Whether there is nothing at a path for who sees this folder as the root: links lead nowhere outside then.
fn is_nowhere_in(root: &Path, path: &str) -> bool {
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(ResolveFlag::RESOLVE_IN_ROOT);
    let found = File::open(root).map(|root| openat2(root, path, how));
    matches!(found, Ok(Err(Errno::ENOENT | Errno::ELOOP)))
}

/// That he may not write to what is there, as the system itself says: modes and groups are not all that counts.
fn may_not_write(user: &User, path: &str) -> bool {
    let becomes = becoming(user);
    let asked = becomes.iter().map(String::as_str).chain(["sh", "-c", "test -w \"$0\" || echo no", path]);
    let said = child::said("setpriv", &asked.collect::<Vec<_>>());
    // Whoever cannot become somebody else is told nothing.
    said.is_some_and(|(well, said)| well && said == "no\n")
}

/// All places of `bind_socket`, of which everybody may write to this one.
fn opened(listens: &[String], place: &str) -> String {
    let each = listens.iter().map(|listens| match listens.split_whitespace().next() == Some(place) {
        true => {
            let words = listens.split_whitespace().filter(|word| !word.starts_with("mode="));
            format!("{:?}", words.chain(["mode=0666"]).collect::<Vec<_>>().join(" "))
        }
        false => format!("{listens:?}"),
    });
    match &each.collect::<Vec<_>>()[..] {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Whether its user may not read it, or a brace is missing.
fn is_suspect(read: &Read, user: Option<&User>) -> bool {
    let path = Path::new(&read.place);
    let is_closed = user.is_some_and(|user| !Service::of(user).may(path, 0o4));
    is_closed || closed_folder(path, user).is_some() || unclosed(&read.text).is_some()
}

/// The first folder above it that the user may not go through.
fn closed_folder(path: &Path, user: Option<&User>) -> Option<String> {
    Service::of(user?).hindered(path).map(|folder| folder.display().to_string())
}

/// What it says of its configuration, as the user that it runs as.
fn refused(user: Option<&User>) -> Option<Refused> {
    // Nobody else may read all that it may.
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    // What it compiles it would keep.
    const LOOK: [&str; 3] = ["rspamadm", "--var=DBDIR=/nonexistent", "configtest"];
    let (is_right, words) = match user {
        Some(user) => {
            let becomes = becoming(user);
            let asked = becomes.iter().map(String::as_str).chain(LOOK);
            child::complained("setpriv", &asked.collect::<Vec<_>>())?
        }
        None => child::complained(LOOK[0], &LOOK[1..])?,
    };
    if is_right { None } else { Refused::of(&words) }
}

/// What `setpriv` is told to run something as him.
fn becoming(user: &User) -> [String; 4] {
    let [who, group] = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
    [who, group, "--init-groups".to_owned(), "--".to_owned()]
}

/// Whom the service manager starts it as; nothing where that is root, or cannot be told.
fn user() -> Option<User> {
    Path::new("/run/systemd/system").is_dir().then_some(())?;
    let read = |path: String| fs::read_to_string(path).ok();
    let unit = UNITS.iter().find_map(|folder| read(format!("{folder}/rspamd.service")))?;
    let mut beside: Vec<(std::ffi::OsString, String)> = Vec::new();
    for folder in UNITS {
        let entries = fs::read_dir(format!("{folder}/rspamd.service.d")).into_iter().flatten().flatten();
        for entry in entries {
            if !beside.iter().any(|(name, _)| *name == entry.file_name()) {
                beside.extend(fs::read_to_string(entry.path()).ok().map(|text| (entry.file_name(), text)));
            }
        }
    }
    beside.sort();
    let texts: Vec<&str> =
        std::iter::once(unit.as_str()).chain(beside.iter().map(|(_, text)| text.as_str())).collect();
    User::from_name(&started_as(&texts)?).ok()?.filter(|user| !user.uid.is_root())
}

/// The last that these say. One that has groups of his own may read more than can be told here.
fn started_as(units: &[&str]) -> Option<String> {
    let lines = || units.iter().flat_map(|text| text.lines()).map(str::trim);
    let value = |key: &str| {
        let mut values = lines().filter_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        values.next_back().map(str::trim).filter(|value| !value.is_empty())
    };
    value("User")
        .filter(|_| value("SupplementaryGroups").is_none() && value("Group").is_none())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_outside_the_chroot() {
        let (out, jail) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let socket = out.path().join("milter.sock");
        let place = socket.display().to_string();
        let _listens = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let told = |milter: String, jailed: bool| {
            let services = vec!["smtp/inet".to_owned()];
            let filters = Filters {
                milters: vec![milter],
                queue: jail.path().to_owned(),
                jailed: if jailed { services } else { Vec::new() },
                ..Filters::default()
            };
            look(&filters, &[format!("{place} mode=0666")], &[])
        };
        let trouble = told(format!("unix:{place}"), true).unwrap();
        let inside = jail.path().join(place.trim_start_matches('/'));
        assert!(trouble.rest.contains(&inside.display().to_string()), "{trouble:?}");
        assert_eq!(trouble.cure.lines, "postconf -F smtp/inet/chroot=n\npostfix reload");
        assert_eq!(told(format!("unix:{place}"), false), None);
        // Without the slash, chroot or not.
        let relative = || format!("unix:{}", place.trim_start_matches('/'));
        let trouble = told(relative(), false).unwrap();
        assert_eq!(trouble.cure.lines, "postfix reload");
        assert!(
            trouble
                .cure
                .how
                .contains(&format!("`unix:{place}` in smtpd_milters, in the place of `{}`", relative()))
        );
        assert!(told(relative(), true).unwrap().cure.how.contains("; and `unix:/"));
        // A link or mount that brings it there.
        fs::create_dir_all(inside.parent().unwrap()).unwrap();
        fs::write(&inside, "").unwrap();
        assert_eq!(told(format!("unix:{place}"), true), None);
        assert_eq!(told(relative(), false), None);
        // A link that leads out of the chroot, at the end of the way and on it.
        fs::remove_file(&inside).unwrap();
        std::os::unix::fs::symlink(&socket, &inside).unwrap();
        assert!(told(format!("unix:{place}"), true).is_some());
        assert_eq!(told(relative(), false), None);
        let folder = inside.parent().unwrap();
        fs::remove_dir_all(folder).unwrap();
        std::os::unix::fs::symlink(out.path(), folder).unwrap();
        assert!(told(format!("unix:{place}"), true).is_some());
        // And one that stays within.
        fs::create_dir(jail.path().join("within")).unwrap();
        fs::write(jail.path().join("within/milter.sock"), "").unwrap();
        fs::remove_file(folder).unwrap();
        std::os::unix::fs::symlink("/within", folder).unwrap();
        assert_eq!(told(format!("unix:{place}"), true), None);
    }

    #[test]
    fn a_socket_that_all_may_write_to() {
        let of = |listens: &[&str]| {
            let listens: Vec<String> = listens.iter().map(|listens| (*listens).to_owned()).collect();
            opened(&listens, "/run/m.sock")
        };
        assert_eq!(of(&["/run/m.sock mode=0660 owner=_rspamd"]), "\"/run/m.sock owner=_rspamd mode=0666\"");
        assert_eq!(of(&["*:11332", "/run/m.sock"]), "[\"*:11332\", \"/run/m.sock mode=0666\"]");
    }

    #[test]
    fn whether_somebody_listens() {
        let open = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = open.local_addr().unwrap().port();
        assert_eq!(answers(&format!("inet:localhost:{port}")), Some(true));
        assert_eq!(answers(&format!("inet:[127.0.0.1]:{port}")), Some(true));
        drop(open);
        assert_eq!(answers(&format!("inet:127.0.0.1:{port}")), Some(false));
        assert_eq!(answers("inet:filter.example:11332"), None);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("milter.sock");
        assert_eq!(answers(path.to_str().unwrap()), Some(false));
        let open = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(answers(path.to_str().unwrap()), Some(true));
        // What is left of one that has ended.
        drop(open);
        assert_eq!(answers(path.to_str().unwrap()), Some(false));
    }

    #[test]
    fn what_postfix_does_then() {
        let filters =
            |action: &str| Filters { default_action: Some(action.to_owned()), ..Filters::default() };
        let does = |action: &str, milter: &str| filters(action).unanswered(milter).to_owned();
        assert!(does("accept", "inet:localhost:11332").contains("passes"));
        assert!(does("tempfail", "inet:localhost:11332").contains("451"));
        assert!(does("reject", "{ inet:localhost:11332, default_action = accept }").contains("passes"));
        assert!(does("accept", "{ inet:localhost:11332, default_action=tempfail, x=y }").contains("451"));
        assert!(Filters::default().unanswered("inet:localhost:11332").contains("451"));
    }

    #[test]
    fn where_it_is() {
        let place = |milter: &str, listens: &str| place_of(milter, &[listens.to_owned()]);
        assert_eq!(place("{ inet:[::1]:11332, x=y }", "*:11332").as_deref(), Some("inet:[::1]:11332"));
        let socket = "/var/spool/postfix/rspamd/milter.sock mode=0666";
        assert_eq!(
            place("unix:rspamd/milter.sock", socket).as_deref(),
            Some("/var/spool/postfix/rspamd/milter.sock")
        );
        // On another host, in a container, another program.
        for other in [
            "inet:filter.example:11332",
            "inet:192.0.2.7:11332",
            "inet:localhost:8891",
            "unix:/run/opendkim.sock",
        ] {
            assert_eq!(place(other, "*:11332"), None, "{other}");
            assert_eq!(place(other, socket), None, "{other}");
        }
        assert_eq!(place("unix:/run/other/milter.sock", socket), None);
        assert_eq!(place("inet:localhost:11332", "systemd:0"), None);
    }

    #[test]
    fn whom_it_runs_as() {
        let unit = "[Service]\nExecStart=/usr/bin/rspamd -f\nUser=_rspamd\n";
        let told = |texts: &[&str]| started_as(texts);
        assert_eq!(told(&[unit]).as_deref(), Some("_rspamd"));
        assert_eq!(told(&[unit, "[Service]\nUser = mail\n"]).as_deref(), Some("mail"));
        assert_eq!(told(&[unit, "User=\n"]), None);
        assert_eq!(told(&[unit, "SupplementaryGroups=redis\n"]), None);
        assert_eq!(told(&["[Service]\n"]), None);
    }
}

//! How a list is fetched: credential, known host keys, and which of them says something about its URLs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::credential::Credential;
use crate::config::list::{ListConfig, Source};
use crate::config::problem::{At, Problem, Problems};
use crate::config::urls::{Transport, shown};

/// Puts what was typed into `list`.
pub(super) fn fetching(
    credential: Option<At<Credential>>,
    known_hosts: Option<At<PathBuf>>,
    list: &mut ListConfig,
    folder: &Path,
    problems: &mut Problems,
) {
    if let Some(at) = credential {
        let credential = At { value: at.value.from(folder), place: at.place };
        check_credential(&credential, list, problems);
        list.credential = Some(credential.value);
    }
    if let Some(at) = known_hosts {
        if !transports(list).any(|transport| transport == Transport::Ssh) {
            let problem =
                Problem::new(&at.place, "`known-hosts` says nothing about a list that no ssh brings");
            problems.push(problem.help("expected beside a URL `rsync+ssh://USER@HOST/PATH` only"));
        }
        list.known_hosts = Some(folder.join(at.value));
    }
}

fn transports(list: &ListConfig) -> impl Iterator<Item = Transport> {
    list.source.urls().iter().filter_map(Transport::of)
}

fn check_credential(at: &At<Credential>, list: &ListConfig, problems: &mut Problems) {
    let mut bad = |message: String, help: &str| problems.push(Problem::new(&at.place, message).help(help));
    if matches!(list.source, Source::Files(_) | Source::Embedded(_))
        || transports(list).all(|way| way == Transport::File)
    {
        return bad("a credential that nobody is shown".to_owned(), "expected beside `feed` or `url` only");
    }
    let ssh = transports(list).filter(|way| *way == Transport::Ssh).count();
    if ssh > 0 && ssh < list.source.urls().len() {
        return bad(
            "one credential for ssh, which takes a key, and for others, which take a line".to_owned(),
            "expected URLs that all begin with rsync+ssh://, or none",
        );
    }
    // Of its own network the operator knows who can listen.
    let open = list.source.urls().iter().find(|url| url.scheme() == "http");
    if let Some(url) = open.filter(|_| !list.allow_private) {
        return bad(
            format!("{} is http: everybody on the way could read the credential", shown(url)),
            "expected a URL that begins with https",
        );
    }
    check_file(at, problems);
}

/// A proxy of one's own may well be asked over http: who can listen there is known.
pub(super) fn check_proxy_credential(at: &At<Credential>, has_proxy: bool, problems: &mut Problems) {
    if !has_proxy {
        let problem = Problem::new(&at.place, "a credential that nobody is shown");
        problems.push(problem.help("expected beside `proxy` only"));
        return;
    }
    check_file(at, problems);
}

fn check_file(at: &At<Credential>, problems: &mut Problems) {
    let Some(path) = at.value.file() else { return };
    let shown = at.value.shown();
    // A file that is not there costs its own list, not the service.
    let mut passing = |message: String, help: &str| {
        problems.push(Problem::new(&at.place, message).help(help).passing());
    };
    match std::fs::metadata(path) {
        Err(error) => passing(
            format!("cannot read {shown}: {}", crate::config::plain(&error)),
            "expected the path of a file that is there, or \"systemd:NAME\"",
        ),
        Ok(found) if !found.is_file() => {
            passing(format!("{shown} is not a regular file"), "expected a file");
        }
        Ok(found) if found.permissions().mode() & 0o007 != 0 => passing(
            format!("everybody on this machine may read or change {shown}"),
            "expected a file that others may not (chmod o= it)",
        ),
        Ok(_) => {}
    }
}

//! A host whose mail programs are read, and nothing of theirs runs but what a test starts.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use super::{Diagnosis, Host, in_own_network};
use crate::common::loud::skipped;

pub(crate) const BLOCK: &str = "block.gatepost.internal";
pub(crate) const NAMES: &str = "dbl.gatepost.internal";
pub(crate) const SPAMASSASSINS: &str = "/etc/spamassassin/gatepost.cf";
pub(crate) const SMTP: &str = "smtp inet n - n - - smtpd\n";

/// A host that lists addresses and names, with a Postfix that has nothing of its own; says so where there is no Postfix.
pub(crate) fn with_postfix(test: &'static str, then: impl FnOnce(&Host) + Send + 'static) {
    in_own_network(test, move || {
        let host = Host::start(&[BLOCK], "");
        host.configure_more(&format!(
            "[list.names]\nfile = \"names.txt\"\nformat = \"names\"\nuse = \"block\"\ncode = \"127.0.1.6\"\n\
             [zone.\"{NAMES}\"]\nlists = [\"names\"]\n"
        ));
        if !host.main_cf("") || !Path::new("/usr/sbin/postconf").exists() {
            return skipped(test, "postfix is not installed (apt-get install postfix)");
        }
        then(&host);
    });
}

/// The same with the text for SpamAssassin in its place, and nobody who has a `.forward`.
pub(crate) fn with_spamassassin(test: &'static str, then: impl FnOnce(&Host) + Send + 'static) {
    with_postfix(test, move |host| {
        if !Path::new("/etc/spamassassin").is_dir() {
            return skipped(test, "there is no /etc/spamassassin (apt-get install spamassassin)");
        }
        host.empty("/home");
        let plugins =
            ["DNSEval", "URIDNSBL"].map(|name| format!("loadplugin Mail::SpamAssassin::Plugin::{name}\n"));
        fs::write("/etc/spamassassin/init.pre", plugins.concat()).unwrap();
        fs::write(SPAMASSASSINS, host.snippet("spamassassin")).unwrap();
        then(host);
    });
}

/// What is wrong with mail under this `main.cf` and this `master.cf`.
pub(crate) fn found(host: &Host, main: &str, master: &str) -> Diagnosis {
    fs::write("/etc/postfix/main.cf", main).unwrap();
    fs::write("/etc/postfix/master.cf", master).unwrap();
    host.doctor(&[])
}

/// The lines of the first cure.
pub(crate) fn lines(check: &Value) -> String {
    check["cures"][0]["lines"].as_str().unwrap().to_owned()
}

/// Types a cure that is a command; Postfix does not run here, and is not told.
pub(crate) fn type_in(lines: &str) {
    for line in lines.lines().filter(|line| *line != "postfix reload") {
        let done = Command::new("sh").args(["-ec", line]).output().unwrap();
        assert!(done.status.success(), "{line}: {done:?}");
    }
}

pub(crate) fn in_recipient(restrictions: &str) -> String {
    format!(
        "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    permit_sasl_authenticated,\n    reject_unauth_destination,\n{restrictions}\n"
    )
}

/// A process by this name, which ends with the test.
pub(crate) fn started(host: &Host, name: &str) -> Child {
    let program = host.site.path(name);
    if !program.exists() {
        fs::write(&program, "#!/bin/sh\nread nothing\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let start = || Command::new(&program).arg("-bd").stdin(Stdio::piped()).spawn();
    // What another thread starts may have the file open for a moment.
    let mut started = start();
    for _ in 0..50 {
        if !started.as_ref().is_err_and(|error| error.kind() == ErrorKind::ExecutableFileBusy) {
            break;
        }
        sleep(Duration::from_millis(20));
        started = start();
    }
    started.unwrap()
}

pub(crate) fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

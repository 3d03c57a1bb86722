//! A host whose mail program is wired wrongly on purpose, the doctor who says so, and a person who does what is printed, word by word.
//!
//! Nothing here knows what would be right: whoever reads a cure goes by its words, and one that says something else fails the test.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod exim;
pub(crate) mod exim_late;
pub(crate) mod postfix;
pub(crate) mod rspamd;
pub(crate) mod rspamd_runs;
pub(crate) mod spamassassin;

use std::{fs, thread};

use serde_json::Value;

use crate::common::installed;
use crate::common::program::Ended;
use crate::doctor_support::Diagnosis;
use crate::mail_support::programs::unpacked;
use crate::mail_support::{
    BLOCKED, BROAD, GOOD_BUT_BLOCKED, Host, LISTED, LISTED_AND_GOOD, Mail, UNLISTED, refusal,
};

/// On the list `also` alone.
pub(crate) const ALSO_LISTED: &str = "5.6.7.18";
/// A user of nobody's here.
const STRANGER: &str = "victim@elsewhere.example";
/// More cures than any host needs.
const CURES: usize = 6;

/// A host whose /etc is its own, the folder `etc` of its folder, without any mail program's configuration.
pub(crate) struct Patient {
    pub(crate) host: Host,
}

/// What is expected of who is right again, besides who passes in any case: who is on no list, or on a score list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Healthy {
    /// What an allow list has passes, though it is on a block list.
    pub(crate) lets: bool,
    /// What a person blocks is refused even then.
    pub(crate) people_decide: bool,
}

impl Healthy {
    /// Clients, and whether mail from them is refused.
    pub(crate) fn refuses(self) -> Vec<(&'static str, bool)> {
        let mut expected = vec![
            (LISTED, true),
            (ALSO_LISTED, true),
            (BLOCKED, true),
            (UNLISTED, false),
            (BROAD, false),
            (LISTED_AND_GOOD, !self.lets),
        ];
        if self.people_decide {
            expected.push((GOOD_BUT_BLOCKED, true));
        }
        expected
    }
}

/// As `snippet` has it.
pub(crate) const WHOLE: Healthy = Healthy { lets: true, people_decide: true };

/// Patients side by side, each with its part of the cases: most of the time they wait.
const BEDS: usize = 3;

/// Sees to each part.
pub(crate) fn side_by_side(see: impl Fn(usize) + Sync) {
    let see = &see;
    thread::scope(|scope| {
        for part in 0..BEDS {
            scope.spawn(move || see(part));
        }
    });
}

/// What belongs to a part.
pub(crate) fn shared_out<T>(cases: impl IntoIterator<Item = T>, part: usize) -> impl Iterator<Item = T> {
    cases.into_iter().skip(part).step_by(BEDS)
}

impl Patient {
    /// `None`, said loudly, where that cannot be.
    pub(crate) fn admit(test: &str) -> Option<Self> {
        let host = Host::boot(test)?;
        host.file("also.txt", &format!("{LISTED_AND_GOOD}\n{ALSO_LISTED}\n"));
        host.gatepost(&["sync"]).expect(0);
        for client in [BLOCKED, GOOD_BUT_BLOCKED] {
            host.gatepost(&["block", client]).expect(0);
        }
        // Other lists, which mail programs ask without being told, know nobody, and say so at once.
        let unbound = host.read("unbound.conf");
        let alone = "server:\n local-zone: \".\" static\n local-zone: \"gatepost.internal\" transparent\n";
        let config = host.file("unbound.conf", &unbound.replacen("server:\n", alone, 1));
        let patient = Self { host };
        patient.stop("unbound", "unbound.pid");
        let Self { host } = &patient;
        host.start("unbound", &installed("unbound", "unbound", "")?, &["-d", "-c", config.to_str().unwrap()]);
        let script = "cp -a /etc \"$0\" && cd \"$0\" && rm -rf postfix/main.cf postfix/master.cf exim4 exim spamassassin/*.cf rspamd/*.d/*.conf.local \
             rspamd/local.d/* rspamd/override.d/* rspamd/rspamd.conf.* && mkdir -p postfix exim4 && mount --bind . /etc";
        let mut shell = host.command("sh");
        let done = shell.args(["-c", script]).arg(host.path("etc")).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        host.wait("gatepost", || {
            host.is_listed(ALSO_LISTED, 53)
                && host.asked("127.0.0.1", GOOD_BUT_BLOCKED, 53).contains("127.0.2.2")
        });
        Some(patient)
    }

    /// One on which Postfix is not installed either: Debian's mail servers exclude each other.
    pub(crate) fn without_postfix(test: &str) -> Option<Self> {
        let patient = Self::admit(test)?;
        let script = "! test -e /usr/sbin/postconf || mount --bind /dev/null /usr/sbin/postconf";
        assert!(patient.host.command("sh").args(["-c", script]).status().unwrap().success());
        Some(patient)
    }

    pub(crate) fn doctor(&self) -> Diagnosis {
        // Exim is unpacked, and says of its configuration what it says where it is installed.
        let path = format!("{}:{}", unpacked("exim/usr/sbin").display(), std::env::var("PATH").unwrap());
        self.doctor_with(&path)
    }

    /// Where these folders are those of programs.
    pub(crate) fn doctor_with(&self, path: &str) -> Diagnosis {
        let mut command = self.host.command(env!("CARGO_BIN_EXE_gatepost"));
        command.env("PATH", path);
        command.args(["doctor", "--json", "--config"]).arg(self.host.path("gatepost.toml"));
        let output = command.output().unwrap();
        let text = |octets: Vec<u8>| String::from_utf8_lossy(&octets).into_owned();
        Diagnosis(Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        })
    }

    /// The doctor finds `finding` first, and the cures of what he finds, done one after the other by `follow`, leave nothing to find.
    #[track_caller]
    pub(crate) fn cure(&self, case: &str, finding: &str, follow: impl Fn(&Self, &Value)) {
        let of_mail = |found: &Diagnosis| {
            let json = found.json();
            let checks = json["checks"].as_array().unwrap().iter();
            let wrong = checks.filter(|check| check["level"] != "ok" && is_of_mail(check));
            wrong.cloned().collect::<Vec<Value>>()
        };
        let mut found = of_mail(&self.doctor());
        let names: Vec<&str> = found.iter().filter_map(|check| check["name"].as_str()).collect();
        assert_eq!(names.first(), Some(&finding), "{case}: {found:#?}");
        for _ in 0..CURES {
            let Some(first) = found.first() else { return };
            follow(self, first);
            let next = of_mail(&self.doctor());
            assert!(!next.contains(first), "{case}: the cure leaves it as it was: {first:#?}");
            found = next;
        }
        panic!("{case}: cured so often, and still {found:#?}");
    }

    /// What SMTP sessions show of who refuses nobody.
    #[track_caller]
    pub(crate) fn lets_all_in(&self, case: &str, port: u16) {
        let clients = [LISTED, ALSO_LISTED, BLOCKED, UNLISTED];
        let mails = clients.map(|client| Mail { client, ..Mail::default() });
        for (reply, client) in self.host.sessions(port, &mails).into_iter().zip(clients) {
            assert_eq!(refusal(reply), None, "{case}: {client}");
        }
    }

    /// What SMTP sessions show of who is right again.
    #[track_caller]
    pub(crate) fn is_healthy(&self, case: &str, port: u16, healthy: Healthy) {
        let mail = |client| Mail { client, ..Mail::default() };
        let relayed = |client| Mail { recipient: STRANGER, ..mail(client) };
        let mut expected = healthy.refuses();
        let mut mails: Vec<Mail<'_>> = expected.iter().map(|(client, _)| mail(client)).collect();
        for client in [UNLISTED, LISTED_AND_GOOD] {
            mails.push(relayed(client));
            expected.push((client, true));
        }
        let replies = self.host.sessions(port, &mails);
        for ((reply, mail), (_, is_refused)) in replies.iter().zip(&mails).zip(expected) {
            // Whether for ever or for now: nobody relays.
            let is_right = match mail.recipient {
                STRANGER => !reply.starts_with('2'),
                _ => refusal(reply.clone()).is_some() == is_refused,
            };
            assert!(is_right, "{case}: {mail:?}: {reply}");
        }
    }

    /// Does what a cure says to type.
    #[track_caller]
    pub(crate) fn types(&self, lines: &str) {
        // Nothing has to run for it.
        for line in lines.lines().filter(|line| *line != "postfix reload") {
            let done = self.host.command("sh").args(["-c", line]).output().unwrap();
            assert!(done.status.success(), "{line}: {done:?}");
        }
    }

    /// Ends the process of `name` whose id is in this file, and waits until it is gone.
    pub(crate) fn stop(&self, name: &str, pid_file: &str) {
        let pid = self.host.read(pid_file).trim().to_owned();
        assert!(self.host.command("kill").arg(&pid).status().unwrap().success(), "{name}: {pid:?}");
        // Nobody may have asked how it ended; what it ran is gone even so.
        let program = self.host.seen(&format!("/proc/{pid}/exe"));
        self.host.wait(name, || fs::read_link(&program).is_err());
    }
}

/// Whom a mail program asks is told beside the resolvers.
fn is_of_mail(check: &Value) -> bool {
    check["area"] == "mail" || check["name"] == "mail-other-resolver"
}

/// What the doctor prints of a finding: its head, how it is cured, and the lines of that.
pub(crate) struct Printed<'a> {
    pub(crate) what: &'a str,
    pub(crate) how: &'a str,
    pub(crate) lines: &'a str,
}

impl<'a> Printed<'a> {
    #[track_caller]
    pub(crate) fn of(check: &'a Value) -> Self {
        let cures = check["cures"].as_array().unwrap();
        assert_eq!(cures.len(), 1, "{check:#?}");
        let word = |value: &'a Value| value.as_str().unwrap();
        Self { what: word(&check["what"]), how: word(&cures[0]["how"]), lines: word(&cures[0]["lines"]) }
    }

    /// What stands where it was found: `Postfix, PLACE: …`.
    pub(crate) fn place(&self) -> &'a str {
        self.what.split_once(", ").unwrap().1.split_once(": ").unwrap().0
    }

    /// The zone: what a finding names behind its place.
    pub(crate) fn zone(&self) -> &'a str {
        self.what.split_once(": ").unwrap().1.split(' ').next().unwrap()
    }

    #[track_caller]
    pub(crate) fn is_not_understood(&self) -> ! {
        panic!("nobody knows what to do: {}: {}\n{}", self.what, self.how, self.lines)
    }

    /// What stands between the first two of these signs in the words of the cure.
    pub(crate) fn quoted(&self, before: &str, after: char) -> &'a str {
        let rest = self.how.split_once(before).unwrap_or_else(|| self.is_not_understood()).1;
        rest.split(after).next().unwrap()
    }
}

/// Whether what is to be pasted is the text of this program, among others'.
pub(crate) fn is_pasted(how: &str, program: &str) -> bool {
    how.ends_with("prints what to paste") && how.contains(program)
}

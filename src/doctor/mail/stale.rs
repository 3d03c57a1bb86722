//! Programs that were started before a file was changed that tells them to ask gatepost: they know nothing of it until they read it again. Reads
//! when files were changed and processes started; changes nothing.
//!
//! Of Postfix postscreen alone is looked at: it may run for hours (postscreen(8)), while others live for minutes, and read main.cf when they
//! begin. Exim's daemon is the same process before and after it has read its files again: its log says.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::super::finding::Cure;
use super::super::{cure, who};
use super::trouble::Trouble;
use super::{Mention, exim, postfix};
use crate::snippet::Program;

/// Files and processes have times of different grain.
const GRAIN: Duration = Duration::from_secs(2);

/// A program that reads its files when it starts.
struct Daemon {
    program: Program,
    /// Its processes, as the kernel cuts their names.
    processes: &'static [&'static str],
    /// What it begins anew when it reads its files again, and besides one by one.
    children: &'static [&'static str],
    /// What it writes anew then, where it was told of one, and never besides.
    pid_files: &'static [&'static str],
    reloads: &'static str,
}

const DAEMONS: [Daemon; 3] = [
    Daemon {
        program: Program::Postfix,
        processes: &["postscreen"],
        children: &[],
        pid_files: &[],
        reloads: "postfix reload",
    },
    Daemon {
        program: Program::Rspamd,
        processes: &["rspamd"],
        children: &[],
        pid_files: &[],
        reloads: "systemctl restart rspamd",
    },
    Daemon {
        program: Program::Spamassassin,
        processes: &["spamd", "/usr/sbin/spamd"],
        children: &["spamd child"],
        pid_files: &["/run/spamd.pid", "/run/spamassassin.pid", "/run/spamassassin/spamd.pid"],
        reloads: "systemctl restart spamd",
    },
];

pub(super) fn look(mentions: &[Mention]) -> Vec<Trouble> {
    let changed = |file: &str| fs::metadata(file).and_then(|found| found.modified()).ok();
    let found = DAEMONS.iter().filter_map(|daemon| {
        let read = daemon.read()?;
        of(daemon.program, daemon.reloads, mentions, &|file| is_after(read, changed(file)))
    });
    let reloads =
        if Path::new("/etc/exim4").is_dir() { "systemctl reload exim4" } else { "systemctl reload exim" };
    let exim = of(Program::Exim, reloads, mentions, &exim::is_older_than);
    found.chain(exim).collect()
}

fn is_after(read: SystemTime, changed: Option<SystemTime>) -> bool {
    changed.is_some_and(|changed| changed > read + GRAIN)
}

impl Daemon {
    /// When it read its files for the last time: where nothing else says it, not after the oldest child began.
    fn read(&self) -> Option<SystemTime> {
        let started = who::starts(self.processes).last().copied();
        let wrote = self.pid_files.iter().filter_map(|file| fs::metadata(file).ok()?.modified().ok()).max();
        if let (Some(started), Some(wrote)) = (started, wrote) {
            return Some(started.max(wrote));
        }
        who::starts(self.children).first().copied().or(started)
    }
}

/// `is_new`: whether a file was changed since it was read for the last time.
fn of(
    program: Program,
    reloads: &str,
    mentions: &[Mention],
    is_new: &dyn Fn(&str) -> bool,
) -> Option<Trouble> {
    let of_it = || mentions.iter().filter(|mention| mention.program == program);
    // Many uses stand in few files.
    let mut files: Vec<&str> = of_it().filter_map(file).collect();
    files.sort_unstable();
    files.dedup();
    let file = files.into_iter().find(|file| is_new(file))?;
    let there = of_it().filter(|mention| self::file(mention) == Some(file));
    let name = cure::name(program);
    Some(Trouble {
        program,
        name: "mail-not-reloaded",
        is_bad: false,
        at: file.to_owned(),
        zones: there.map(|mention| mention.zone.clone()).collect(),
        rest: format!("{name} was started before this was changed, and has not read it since"),
        cause: "it asks as the file had it then, or not at all".to_owned(),
        cure: Cure { how: "have it read its files again".to_owned(), lines: reloads.to_owned() },
    })
}

/// `/etc/rspamd/gatepost.conf` of `/etc/rspamd/gatepost.conf:3`; of Postfix's postscreen's alone.
fn file(mention: &Mention) -> Option<&str> {
    if mention.at.starts_with(postfix::SITES) {
        return postfix::MAIN_CF.into_iter().find(|file| Path::new(file).exists());
    }
    mention.at.split([':', ' ']).next().filter(|file| file.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::super::filter::Filter;
    use super::super::{Does, LooksUp};
    use super::*;

    #[test]
    fn what_was_changed_since() {
        let read = SystemTime::now();
        let at = |seconds: u64| read + Duration::from_secs(seconds);
        let mention = Mention {
            program: Program::Rspamd,
            at: "/a:3".to_owned(),
            zone: "block.gatepost.internal".parse().unwrap(),
            filter: Filter::Open,
            does: Does::Weigh,
            looks_up: LooksUp::Addresses,
        };
        let told = |program, changed: Option<SystemTime>| {
            let is_new = |file: &str| file == "/a" && is_after(read, changed);
            of(program, "r", std::slice::from_ref(&mention), &is_new).map(|trouble| trouble.at)
        };
        assert_eq!(told(Program::Rspamd, Some(at(10))).as_deref(), Some("/a"));
        assert_eq!(told(Program::Rspamd, None), None);
        assert_eq!(told(Program::Rspamd, Some(at(1))), None);
        assert_eq!(told(Program::Spamassassin, Some(at(10))), None);
    }
}

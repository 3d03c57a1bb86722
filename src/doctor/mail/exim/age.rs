//! Whether Exim's daemon has read its configuration since a file of it was changed: the process stays the same when it reads anew (SIGHUP), and
//! its log says that it has begun. Reads that log and asks `date` what the clock was; changes nothing.

use std::fs;
use std::path::Path;

use super::super::super::child::said;
use super::super::super::who;
use super::reads::NAMES;

/// Where it writes its log, by system, and what became of the one before.
const LOGS: [&str; 2] = ["/var/log/exim4/mainlog", "/var/log/exim/main.log"];
const BEFORE: &str = ".1";
/// What it says when it begins, and when it begins anew.
const BEGINS: &str = " daemon started: pid=";
/// A larger log is not read.
const MOST: u64 = 64 << 20;
/// `2026-11-28 10:00:00`, and as far as its minutes.
const STAMP: usize = 19;
const MINUTE: usize = 16;

/// Whether a daemon runs that has not read this file since it was changed; `false` where its log does not say.
pub(in super::super) fn is_older_than(file: &str) -> bool {
    let commands = who::commands_of(&NAMES);
    let runs = commands.iter().flatten().any(|word| word.starts_with("-bd"));
    let Some(log) = LOGS.into_iter().find(|log| runs && Path::new(log).exists()) else { return false };
    let text = |path: &str| {
        fs::metadata(path)
            .is_ok_and(|found| found.len() <= MOST)
            .then(|| fs::read_to_string(path).ok())
            .flatten()
    };
    let before = text(&format!("{log}{BEFORE}")).unwrap_or_default();
    let (Some(now), Some(changed), Some(written)) = (text(log), clock(file), clock(log)) else {
        return false;
    };
    has_begun_since(&(before + &now), &changed, &written) == Some(false)
}

/// When a file was changed, as Exim writes it: by the clock of this host.
fn clock(path: &str) -> Option<String> {
    let (well, text) = said("date", &["-r", path, "+%Y-%m-%d %H:%M:%S"])?;
    well.then(|| text.trim().to_owned())
}

/// Nothing where the log does not reach back as far, has nothing since, or has another clock than the one that tells when it was `written`.
fn has_begun_since(log: &str, changed: &str, written: &str) -> Option<bool> {
    let lines = || log.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let stamp = |line: &'_ str| line.get(..STAMP).map(str::to_owned);
    let (first, last) = (stamp(lines().next()?)?, stamp(lines().next_back()?)?);
    if first.as_str() >= changed || last.as_str() <= changed || last.get(..MINUTE) != written.get(..MINUTE) {
        return None;
    }
    Some(
        lines()
            .any(|line| line.contains(BEGINS) && stamp(line).is_some_and(|stamp| stamp.as_str() >= changed)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-11-28 10:00:00 Warning: purging the environment.\n Suggested action: use keep_environment.\n\
                       2026-11-28 10:00:00 exim 4.96 daemon started: pid=23, -q30m, listening for SMTP on port 25 (IPv4)\n\
                       2026-11-28 10:30:00 Start queue run: pid=40\n";

    #[test]
    fn what_its_log_says() {
        let now = "2026-11-28 10:30:02";
        let begun = |changed| has_begun_since(LOG, changed, now);
        assert_eq!(begun("2026-11-28 10:10:00"), Some(false));
        let again = format!(
            "{LOG}2026-11-28 10:31:00 pid 23: SIGHUP received: re-exec daemon\n2026-11-28 10:31:00 exim 4.96 daemon started: pid=23\n"
        );
        for (changed, begun) in
            [("2026-11-28 10:10:00", true), ("2026-11-28 10:31:00", true), ("2026-11-28 10:30:59", true)]
        {
            let later = format!("{again}2026-11-28 10:31:09 Start queue run: pid=50\n");
            assert_eq!(has_begun_since(&later, changed, "2026-11-28 10:31:10"), Some(begun), "{changed}");
        }
        // It does not reach back, has nothing since, or has another clock.
        for changed in
            ["2026-11-28 10:00:00", "2026-11-28 09:00:00", "2026-11-28 10:30:00", "2026-11-28 11:00:00"]
        {
            assert_eq!(begun(changed), None, "{changed}");
        }
        assert_eq!(has_begun_since(LOG, "2026-11-28 10:10:00", "2026-11-28 11:30:00"), None);
        assert_eq!(has_begun_since("", "2026-11-28 10:10:00", now), None);
    }
}

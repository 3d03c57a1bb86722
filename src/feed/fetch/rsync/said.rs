//! What rsync says: of the file, of what travelled, and why it failed, in words and in kinds of trouble.

use super::child::Ended;
use crate::feed::fetch::Trouble;
use crate::feed::fetch::problem::Problem;
use crate::parse::excerpt;

/// What became of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// It came.
    Moved,
    /// Size and time are the same.
    Same,
}

/// By the line that `--out-format=%i` gives (rsync(1), --itemize-changes).
pub(super) fn item(stdout: &str) -> Option<Item> {
    stdout.lines().find_map(|line| match line.get(..2) {
        Some(">f") => Some(Item::Moved),
        Some(".f") => Some(Item::Same),
        _ => None,
    })
}

/// By what `--info=skip1` says.
pub(super) fn is_over_size(stdout: &str) -> bool {
    stdout.lines().any(|line| line.ends_with("is over max-size"))
}

/// Octets received, by `--stats`.
pub(super) fn received(stdout: &str) -> Option<u64> {
    let line = stdout.lines().find_map(|line| line.strip_prefix("Total bytes received: "))?;
    line.chars().filter(|&c| c != ',').collect::<String>().trim().parse().ok()
}

/// Why it failed.
pub(super) fn problem(ended: &Ended) -> Problem {
    let Some(code) = ended.code else { return Problem::unreached("rsync was ended by a signal") };
    let words = words(&ended.stderr);
    let (trouble, what) = kind(code, &ended.stderr);
    Problem::new(
        trouble,
        if words.is_empty() {
            format!("{what} (rsync {code})")
        } else {
            format!("{what} (rsync {code}: {words})")
        },
    )
}

/// By exit code (rsync(1), EXIT VALUES), and where one of them stands for several things, by its words.
fn kind(code: i32, stderr: &str) -> (Trouble, &'static str) {
    use Trouble::{Answered, Refused, Unreached};
    let says = |what: &[&str]| what.iter().any(|what| stderr.contains(what));
    match code {
        _ if says(&["Host key verification failed", "REMOTE HOST IDENTIFICATION HAS CHANGED"]) => {
            (Refused, "its host key is not among the known ones (`known-hosts`)")
        }
        _ if says(&["Permission denied (", "UNPROTECTED PRIVATE KEY"]) => {
            (Refused, "ssh is not let in with this key (`credential`)")
        }
        5 if says(&["auth failed"]) => (Refused, "its server does not take the password"),
        5 if says(&["Unknown module"]) => (Refused, "its server has no such module"),
        5 if says(&["access denied"]) => (Refused, "its server does not let this machine in"),
        23 if says(&["No such file or directory"]) => (Refused, "its server has no such file"),
        10 => (Unreached, "nobody answered"),
        35 => (Unreached, "nobody answered in time"),
        255 | 12 if says(&["Connection refused", "Could not resolve", "timed out", "No route to host"]) => {
            (Unreached, "nobody answered")
        }
        30 => (Answered, "its server fell silent"),
        5 => (Answered, "its server did not begin"),
        11 => (Answered, "the body could not be written"),
        1 | 2 | 4 => (Answered, "its rsync and this one do not understand one another"),
        127 => (Unreached, "a program that rsync needs is not installed"),
        _ => (Answered, "the transfer broke off"),
    }
}

/// The first line that says something, for people.
fn words(stderr: &str) -> String {
    let lines = || stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().find(|line| line.starts_with("@ERROR"));
    let own = lines().find(|line| !line.starts_with("rsync error:") && !line.starts_with("Warning:"));
    error.or(own).map(|line| excerpt(line.as_bytes())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_rsync() {
        let stdout = ">f..t......\n\nNumber of files: 1 (reg: 1)\nTotal bytes received: 12,345\n";
        assert_eq!((item(stdout), received(stdout)), (Some(Item::Moved), Some(12_345)));
        assert_eq!(item(".f         \n"), Some(Item::Same));
        assert_eq!(item("big is over max-size\n"), None);
        assert!(is_over_size("big is over max-size\n") && !is_over_size(stdout));
    }

    #[test]
    fn failures_in_words() {
        let said = |code, stderr: &str| {
            let problem = problem(&Ended {
                code: Some(code),
                stdout: String::new(),
                stderr: stderr.to_owned(),
                outgrown: false,
            });
            (problem.trouble, problem.what)
        };
        let (trouble, what) =
            said(5, "@ERROR: auth failed on module lists\nrsync error: error starting (code 5)\n");
        assert_eq!(trouble, Trouble::Refused);
        assert_eq!(
            what,
            "its server does not take the password (rsync 5: @ERROR: auth failed on module lists)"
        );
        assert_eq!(said(5, "@ERROR: max connections (1) reached -- try again later\n").0, Trouble::Answered);
        assert_eq!(said(10, "").0, Trouble::Unreached);
        assert_eq!(said(30, "").0, Trouble::Answered);
        assert_eq!(said(255, "Host key verification failed.\n").0, Trouble::Refused);
        assert_eq!(said(255, "ssh: connect to host x port 22: Connection refused\n").0, Trouble::Unreached);
    }
}

//! Programs whose configuration is looked into for nothing but the names of zones: Sendmail, Haraka and OpenSMTPD. Who asks by one of them is not told
//! that nobody does. Pure but for [`here`], which reads files.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::finding::{Area, Check};
use crate::model::Name;
use crate::snippet::wiring::Wiring;

const SENDMAIL: [&str; 2] = ["/etc/mail/sendmail.cf", "/etc/sendmail.cf"];
const OPENSMTPD: [&str; 3] = ["/etc/smtpd.conf", "/etc/mail/smtpd.conf", "/usr/local/etc/mail/smtpd.conf"];
/// Where `haraka -i` is told to put its folder, as far as there is a custom.
const HARAKA: [&str; 7] = [
    "/etc/haraka",
    "/usr/local/etc/haraka",
    "/usr/local/haraka",
    "/opt/haraka",
    "/srv/haraka",
    "/var/lib/haraka",
    "/home/haraka",
];
/// By its name in Haraka, and as a package of its own.
const PLUGINS: [&str; 2] = ["dns-list", "haraka-plugin-dns-list"];

/// A program with the lines of its configuration that are no comments.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) name: &'static str,
    lines: Vec<String>,
}

pub(super) fn here() -> Vec<Other> {
    let first = |name, files: &[&str], marks: &[char]| {
        let text = files.iter().find_map(|file| fs::read_to_string(file).ok())?;
        Some(Other::of(name, &text, marks))
    };
    let haraka = HARAKA.iter().map(PathBuf::from).find(|folder| folder.join("config/plugins").is_file());
    let all = [
        first("Sendmail", &SENDMAIL, &['#']),
        first("OpenSMTPD", &OPENSMTPD, &['#']).map(Other::with_named_filters),
        haraka.map(|folder| of_haraka(&folder)),
    ];
    all.into_iter().flatten().collect()
}

/// It asks nothing where the plugin is not named.
fn of_haraka(folder: &Path) -> Other {
    let read = |file: &str| fs::read_to_string(folder.join("config").join(file)).unwrap_or_default();
    let is_on = read("plugins").lines().any(|line| PLUGINS.contains(&line.trim()));
    let text = if is_on { read("dns-list.ini") } else { String::new() };
    Other::of("Haraka", &text, &[';', '#'])
}

/// What prints what to paste into them.
pub(super) fn pasted(programs: &[&str]) -> String {
    let names: Vec<String> = programs.iter().map(|program| program.to_ascii_lowercase()).collect();
    match names.split_first() {
        None => {
            "`gatepost snippet postfix` (or exim, rspamd, spamassassin …) prints what to paste".to_owned()
        }
        Some((first, [])) => format!("`gatepost snippet {first}` prints what to paste"),
        Some((first, others)) => {
            format!("`gatepost snippet {first}` (or {}) prints what to paste", others.join(", "))
        }
    }
}

impl Other {
    fn of(name: &'static str, text: &str, marks: &[char]) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(marks));
        Self { name, lines: lines.map(str::to_owned).collect() }
    }

    /// OpenSMTPD's without those filters that no `listen` and no chain names (smtpd.conf(5)): nobody runs them.
    fn with_named_filters(self) -> Self {
        let text = self.lines.join("\n").replace("\\\n", " ");
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let words = |line: &str| -> Vec<String> {
            line.split(|c: char| c.is_whitespace() || "\"{},".contains(c)).map(str::to_owned).collect()
        };
        let declared = |line: &str| -> Option<String> {
            words(line.strip_prefix("filter ")?).into_iter().find(|word| !word.is_empty())
        };
        let is_named = |line: &String| match declared(line) {
            Some(name) => lines.iter().any(|other| other != line && words(other).contains(&name)),
            None => true,
        };
        Self { lines: lines.iter().filter(|line| is_named(line)).cloned().collect(), ..self }
    }

    /// The zones of gatepost's that it names.
    pub(super) fn asks(&self, wiring: &Wiring) -> Vec<Name> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let words = || self.lines.iter().flat_map(|line| line.split(move |c| !is_name(c)));
        let names: Vec<Name> = words()
            .filter(|word| word.contains('.'))
            .filter_map(|word| word.trim_matches('.').parse().ok())
            .collect();
        let zones = wiring.zones.iter().chain(wiring.narrower.iter().map(|(zone, _)| zone));
        // Sendmail puts the parts of an address before it.
        zones
            .map(|zone| zone.origin.clone())
            .filter(|zone| names.iter().any(|name| name.is_in(zone)))
            .collect()
    }

    /// That it asks, where it does.
    pub(super) fn check(&self, wiring: &Wiring) -> Option<Check> {
        let zones: Vec<String> = self.asks(wiring).iter().map(ToString::to_string).collect();
        let what = format!("{} asks {}; what it does then is not looked into", self.name, zones.join(", "));
        (!zones.is_empty()).then(|| Check::ok(Area::Mail, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_something_names() {
        let filter = "filter \"gatepost\" proc-exec \"filter-dnsbl -m bl.example\"";
        let kept = |more: &str| {
            let other = Other::of("OpenSMTPD", &format!("{filter}\n{more}\n"), &['#']).with_named_filters();
            other.lines.iter().any(|line| line.contains("bl.example"))
        };
        assert!(kept("listen on eth0 port 25 filter \"gatepost\""));
        assert!(kept("listen on eth0 port 25 \\\n filter gatepost"));
        assert!(kept("filter all chain { rdns, gatepost }\nlisten on eth0 filter all"));
        assert!(!kept("# listen on eth0 port 25 filter \"gatepost\""));
        assert!(!kept("listen on eth0 port 25"));
    }

    #[test]
    fn what_is_pasted_into_what_is_there() {
        assert!(pasted(&[]).contains("snippet postfix`"));
        assert!(pasted(&["OpenSMTPD"]).starts_with("`gatepost snippet opensmtpd` prints"));
        assert!(
            pasted(&["Exim", "SpamAssassin"]).starts_with("`gatepost snippet exim` (or spamassassin) prints")
        );
    }
}

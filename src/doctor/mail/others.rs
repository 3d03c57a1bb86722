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
const PLUGIN: &str = "dns-list";

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
        first("OpenSMTPD", &OPENSMTPD, &['#']),
        haraka.map(|folder| of_haraka(&folder)),
    ];
    all.into_iter().flatten().collect()
}

/// It asks nothing where the plugin is not named.
fn of_haraka(folder: &Path) -> Other {
    let read = |file: &str| fs::read_to_string(folder.join("config").join(file)).unwrap_or_default();
    let is_on = read("plugins").lines().any(|line| line.trim() == PLUGIN);
    let text = if is_on { read("dns-list.ini") } else { String::new() };
    Other::of("Haraka", &text, &[';', '#'])
}

impl Other {
    fn of(name: &'static str, text: &str, marks: &[char]) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(marks));
        Self { name, lines: lines.map(str::to_owned).collect() }
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

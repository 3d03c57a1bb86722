//! What the texts have in common: comments at the head, and what a code stands for.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;

use super::wiring::{LeftOut, WiredZone, Wiring};
use crate::model::Use;

/// A client that is blocked for a while to see mail rejected: nobody's (RFC 2544), and on no list. Haraka does not ask for
/// the addresses of RFC 5737.
pub(crate) const TRIED: &str = "198.18.0.99";

/// A text that begins with an empty line and comments.
pub(crate) struct Text {
    mark: &'static str,
    text: String,
}

impl Text {
    /// With the first line of its head. What it is appended to may lack the end of its last line: to begin with one costs nothing, and neither
    /// that line nor this one is lost.
    pub(crate) fn new(mark: &'static str, program: &str, what: &str) -> Self {
        let mut text = Self { mark, text: "\n".to_owned() };
        text.note(what);
        text.note(&format!(
            "Printed by `gatepost snippet {program}`; print it again when zones, lists or codes change."
        ));
        text
    }

    /// A comment; an empty one parts.
    pub(crate) fn note(&mut self, line: &str) {
        let _ = writeln!(self.text, "{}", format!("{} {line}", self.mark).trim_end());
    }

    /// A line.
    pub(crate) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
    }

    /// How to see that a resolver asks gatepost.
    pub(crate) fn resolver_test(&mut self, wiring: &Wiring, asks: &str) {
        if let Some(beyond) = wiring.beyond {
            let (here, port) = (wiring.server.ip(), beyond.port());
            let there = match beyond.ip() {
                ip if ip.is_unspecified() => "this machine's address".to_owned(),
                ip => ip.to_string(),
            };
            self.note(&format!(
                "On another machine {there}, port {port}, in the place of {here}; and its address in `access` here, under [server]."
            ));
        }
        let (question, answer) = wiring.question();
        self.note(&format!("Test: dig {asks}+short {question}     must print {answer}"));
    }

    /// How to see that a mail program rejects.
    pub(crate) fn mail_test(&mut self, how: &str) {
        self.note(&format!("Test: `gatepost block {TRIED} --for 10m`, then {how}"));
    }

    /// What each code of the zones that are asked means, and which zones are not asked.
    pub(crate) fn legend(&mut self, wiring: &Wiring) {
        self.note("");
        for zone in &wiring.zones {
            for (use_, codes) in &zone.codes {
                for code in meanings(codes) {
                    self.note(&format!("{} {use_}: {code}", zone.origin));
                }
            }
            if let Some(warning) = same_as_test(zone) {
                self.note(&warning);
            }
            if zone.unknown_values {
                self.note(&format!(
                    "{}: its entries bring values of their own, which are known when it is in service; print this again then.",
                    zone.origin
                ));
            }
        }
        for (origin, why) in &wiring.left_out {
            let because = match why {
                LeftOut::Bogons => "it lists your own networks, too".to_owned(),
                LeftOut::Within(wider) => format!("{wider} has its lists"),
            };
            self.note(&format!("{origin} is not asked: {because}."));
        }
    }

    /// That some zones are of no use to this program.
    pub(crate) fn cannot(&mut self, what: &str, zones: &[&WiredZone]) {
        let zones: Vec<String> = zones.iter().map(|zone| zone.origin.to_string()).collect();
        if !zones.is_empty() {
            self.note(&format!("{what}: {}", zones.join(", ")));
        }
    }

    pub(crate) fn end(self) -> String {
        self.text
    }
}

/// That a zone's names are not looked up for 127.0.0.2.
pub(crate) fn same_as_test(zone: &WiredZone) -> Option<String> {
    let list = zone.same_as_test.as_ref()?;
    Some(format!(
        "{}: 127.0.0.2 ({list}) rejects no name, since the test point answers it, too: a client that says \"EHLO test\" would be \
         refused. Give the list a code, such as code = \"127.0.1.1\", and print this again.",
        zone.origin
    ))
}

/// `127.0.0.4 uceprotect-1, …`, a few on a line.
fn meanings(codes: &BTreeMap<Ipv4Addr, String>) -> Vec<String> {
    let each: Vec<String> = codes.iter().map(|(code, of)| format!("{code} {of}")).collect();
    each.chunks(3).map(|few| few.join(", ")).collect()
}

/// The zones that list something good for `use_`, names or addresses.
pub(crate) fn zones(wiring: &Wiring, use_: Use, names: bool) -> Vec<&WiredZone> {
    match names {
        true => wiring.names(use_).map(|asked| asked.zone).filter(|zone| !zone.addresses).collect(),
        false => wiring.addresses(use_).map(|asked| asked.zone).collect(),
    }
}

//! A hosts file: `address name…`. The names are listed; the address (`0.0.0.0` as a rule) is not.

use super::diag::Bad;
use super::driver::{Failure, LineFormat, Outcome, Sink};
use super::names::host_name;
use super::plain::EndMark;
use super::{Options, Trailer, entry, plain};
use crate::model::Name;
use crate::set::Scope;

/// What every hosts file maps for the machine itself.
const OWN_NAMES: [&str; 11] = [
    "localhost",
    "localhost.localdomain",
    "local",
    "broadcasthost",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-localnet",
    "ip6-mcastprefix",
    "ip6-allnodes",
    "ip6-allrouters",
    "ip6-allhosts",
];

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Hosts {
    notes: bool,
    cover_subdomains: bool,
    /// The names of the present line.
    names: Vec<Name>,
    end: EndMark,
}

impl Hosts {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            notes: options.notes,
            cover_subdomains: options.names_cover_subdomains,
            names: Vec::new(),
            end: EndMark::default(),
        }
    }
}

impl LineFormat for Hosts {
    fn begin(&mut self, _: &mut Sink) {
        self.end = EndMark::default();
    }

    fn line(&mut self, line: &[u8], out: &mut Sink) -> Result<Outcome, Failure> {
        let comment = line.iter().position(|&b| b == b'#').unwrap_or(line.len());
        let text = &line[..comment];
        if text.trim_ascii().is_empty() {
            plain::comment(line, out);
            self.end.comment(line, out);
            return Ok(Outcome::Ignored);
        }
        self.read_names(text)?;
        if self.names.is_empty() {
            return Ok(Outcome::Ignored);
        }
        let note = if self.notes { &line[(comment + 1).min(line.len())..] } else { b"" };
        let value = out.noted(note);
        let count = self.names.len() as u64;
        for name in self.names.drain(..) {
            if self.cover_subdomains {
                out.builder.name(name.clone(), Scope::Below, value);
            }
            out.builder.name(name, Scope::Exact, value);
        }
        Ok(Outcome::Entries(count))
    }

    fn end(&mut self, out: &mut Sink) -> Trailer {
        self.end.verdict(out)
    }
}

impl Hosts {
    /// Fills `self.names`; one bad name refuses the line.
    fn read_names(&mut self, text: &[u8]) -> Result<(), Bad> {
        self.names.clear();
        let mut words = words(text);
        let (address, at) = words.next().unwrap_or((b"", 0));
        // `fe80::1%lo0`: the zone index is of no interest.
        let bare = address.split(|&b| b == b'%').next().unwrap_or_default();
        if !entry::is_address(bare) {
            return Err(Bad::new(at, "no address before the name"));
        }
        let mut any = false;
        for (word, at) in words {
            any = true;
            let own = OWN_NAMES.iter().any(|own| word.eq_ignore_ascii_case(own.as_bytes()));
            if own || word == address {
                continue;
            }
            self.names.push(host_name(word).map_err(|bad| bad.shifted(at))?);
        }
        if any { Ok(()) } else { Err(Bad::new(text.len(), "an address without a name")) }
    }
}

/// The words of a text and where each begins.
fn words(text: &[u8]) -> impl Iterator<Item = (&[u8], usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += plain::blanks(&text[at..]);
        let rest = &text[at..];
        let len = rest.iter().position(|&b| plain::is_blank(b)).unwrap_or(rest.len());
        let word = (&rest[..len], at);
        at += len;
        (len > 0).then_some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Format, parse};
    use super::*;

    #[test]
    fn names_not_addresses() {
        let text = "# Updated: Sun, 13 Mar 2022 00:11:05 +0000\n127.0.0.1 localhost\n::1 ip6-localhost ip6-loopback\n\
            fe80::1%lo0 localhost\n0.0.0.0 0.0.0.0\n0.0.0.0 spam.example # why\n127.0.0.1\ta.example  b.example\n\
            c.example\n0.0.0.0 0056.0151.0121.0114\n0.0.0.0 d.example e/f.example\n0.0.0.0 \n0.0.0.0 192.0.2.1\n";
        let mut bad = Vec::new();
        let parsed = parse(Format::Hosts, &Options::default(), text.as_bytes(), &mut |d| {
            bad.push((d.line, d.column));
        })
        .unwrap();
        let names: Vec<_> = parsed.set.names.iter().map(|n| n.name.to_string()).collect();
        assert_eq!(names, ["a.example", "b.example", "spam.example"]);
        assert!(parsed.set.v4.hosts.is_empty() && parsed.set.v4.blocks.is_empty());
        assert_eq!(bad, [(8, 1), (9, 9), (10, 20), (11, 9), (12, 9)]);
        assert_eq!((parsed.report.entries, parsed.report.ignored), (3, 5));
        assert!(parsed.report.stamp.is_some());
    }
}

//! `$` lines: what a file says of its zone, its texts and itself.

use jiff::Timestamp;

use super::super::Options;
use super::super::diag::Bad;
use super::super::driver::{Failure, Sink};
use super::super::plain;
use super::super::report::Validity;
use super::name::name;
use super::options::RbldnsdOptions;
use super::time::{duration, span, unsigned, validity};
use super::value::Variables;
use crate::model::{Name, Ns, Soa, Ttl};

/// Name servers that are taken from one `$NS` line.
const NS_MAX: usize = 32;

/// What the special lines of a data set have said so far.
#[derive(Debug, Clone)]
pub(in super::super) struct Specials {
    now: Option<Timestamp>,
    /// What holds for all files.
    pub(super) options: RbldnsdOptions,
    /// `$0` to `$9` and `$=`.
    pub(super) variables: Variables,
    /// `$TTL` in force; `None`: the server's own default.
    pub(super) ttl: Option<Ttl>,
    /// Addresses that a listing may hold (`$MAXRANGE4`); goes on into later files and only shrinks.
    max_range: u64,
}

impl Specials {
    pub(in super::super) fn new(options: &Options) -> Self {
        let Options { now, rbldnsd, .. } = *options;
        Self { now, options: rbldnsd, variables: Variables::default(), ttl: None, max_range: 1 << 32 }
    }

    /// Acts on what stands behind the `$` of a line.
    pub(super) fn line(&mut self, text: &[u8], out: &mut Sink) -> Result<(), Failure> {
        let directives = &mut out.builder.directives;
        match read(text, self.ttl, self.options)? {
            // The first of each wins.
            Special::Soa(soa) => {
                let soa = directives.soa.get_or_insert(soa);
                out.report.stamp = out.report.stamp.or_else(|| soa.serial.and_then(dated));
            }
            Special::Ns(ns) => directives.ns = directives.ns.take().or(ns),
            Special::Ttl(ttl) => self.ttl = ttl,
            Special::MaxRange(size) if size > self.max_range => {
                return Err(Bad::new(0, "$MAXRANGE4 can only be made smaller").into());
            }
            Special::MaxRange(size) => self.max_range = size,
            Special::Timestamp(validity) => self.timestamp(validity, out)?,
            Special::Variable(number, text) => self.variables.define(number, text),
            Special::Base(text) => self.variables.define_base(text),
        }
        Ok(())
    }

    /// Whether a listing of so many addresses is too large.
    pub(super) fn check_range(&self, addresses: u64) -> Result<(), Bad> {
        if addresses > self.max_range {
            return Err(Bad::new(0, format!("{addresses} addresses, $MAXRANGE4 allows {}", self.max_range)));
        }
        Ok(())
    }

    fn timestamp(&self, validity: Validity, out: &mut Sink) -> Result<(), Failure> {
        if let (Some(from), Some(now)) = (validity.from, self.now)
            && from > now
        {
            return Err(Failure::File(format!("the data are stamped {from}, which lies in the future")));
        }
        let report = &mut out.report;
        report.stamp = report.stamp.max(validity.from);
        report.validity.from = report.validity.from.max(validity.from);
        // The earliest end of all files counts.
        let ends = report.validity.until.into_iter().chain(validity.until);
        report.validity.until = ends.min();
        Ok(())
    }
}

/// The date in a serial of the form YYYYMMDDnn (RFC 1912 section 2.2). Many count hours in the last two digits, others
/// versions: they are taken for hours as long as they can be.
fn dated(serial: u32) -> Option<Timestamp> {
    let (day, number) = (serial / 100, serial % 100);
    let date =
        jiff::civil::Date::new((day / 10_000) as i16, (day / 100 % 100) as i8, (day % 100) as i8).ok()?;
    // Seconds since 1970 begin with other digits.
    let hour = number.min(23) as i8;
    (2000..2100)
        .contains(&date.year())
        .then(|| jiff::tz::Offset::UTC.to_timestamp(date.at(hour, 0, 0, 0)).ok())?
}

/// A line without the blanks around it, and where it begins. A NUL, which ends the line for rbldnsd, spoils it.
pub(super) fn content(line: &[u8]) -> Result<(usize, &[u8]), Bad> {
    let start = plain::blanks(line);
    let text = line[start..].trim_ascii_end();
    match memchr::memchr(0, text) {
        Some(nul) => Err(Bad::new(start + nul, "NUL octet")),
        None => Ok((start, text)),
    }
}

/// A special line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Special<'a> {
    Soa(Soa),
    /// `None`: every name on the line is disabled.
    Ns(Option<Ns>),
    /// `None`: the server's own default.
    Ttl(Option<Ttl>),
    /// Addresses that an entry may hold.
    MaxRange(u64),
    Timestamp(Validity),
    /// `$0` to `$9`.
    Variable(usize, &'a [u8]),
    /// `$=`.
    Base(&'a [u8]),
}

/// Whether a line is special, and where its word begins. Files shared with other servers hide the `$` behind a
/// comment sign: `#$TTL` acts as well as `$TTL`.
pub(super) fn begins(line: &[u8]) -> Option<usize> {
    match line {
        [b'$', ..] => Some(1),
        [b'#' | b';' | b':', b'$', ..] => Some(2),
        _ => None,
    }
}

/// The word behind the `$`, and what follows it.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&b| plain::is_blank(b)).unwrap_or(text.len()))
}

/// Reads what stands behind the `$`. `ttl` is the one in force at this line.
pub(super) fn read(text: &[u8], ttl: Option<Ttl>, options: RbldnsdOptions) -> Result<Special<'_>, Bad> {
    let (word, rest) = word(text);
    let end = word.len();
    let words: Vec<&[u8]> =
        rest.split(|&b| plain::is_blank(b)).filter(|word| !word.is_empty()).take(NS_MAX * 4).collect();
    let in_force = |said: Ttl| options.ttl(said).or(ttl).unwrap_or(options.default_ttl);
    let wrong = |form: &'static str| Bad::new(end, form);
    match word.to_ascii_uppercase().as_slice() {
        b"SOA" => soa(&words, in_force)
            .map(Special::Soa)
            .ok_or_else(|| wrong("write `$SOA ttl origin person serial refresh retry expire minimum`")),
        b"NS" | b"NAMESERVER" => {
            ns(&words, in_force).map(Special::Ns).ok_or_else(|| wrong("write `$NS ttl name …`"))
        }
        b"TTL" => match words[..] {
            [seconds] => duration(seconds),
            _ => None,
        }
        .map(|seconds| Special::Ttl(options.ttl(seconds)))
        .ok_or_else(|| wrong("write `$TTL time`")),
        b"MAXRANGE4" => match words[..] {
            [size] => max_range(size),
            _ => None,
        }
        .map(Special::MaxRange)
        .ok_or_else(|| wrong("write `$MAXRANGE4 size` or `$MAXRANGE4 /length`")),
        b"TIMESTAMP" => {
            validity(&words).map(Special::Timestamp).ok_or_else(|| wrong("write `$TIMESTAMP stamp [end]`"))
        }
        [digit @ b'0'..=b'9'] => definition(rest)
            .map(|text| Special::Variable(usize::from(digit - b'0'), text))
            .ok_or_else(|| wrong("no text")),
        b"=" => definition(rest).map(Special::Base).ok_or_else(|| wrong("no text")),
        _ => Err(Bad::new(0, "unknown special line")),
    }
}

fn definition(rest: &[u8]) -> Option<&[u8]> {
    let text = rest.trim_ascii();
    (!text.is_empty()).then_some(text)
}

fn soa(words: &[&[u8]], in_force: impl Fn(u32) -> Ttl) -> Option<Soa> {
    let &[ttl, mname, rname, serial, refresh, retry, expire, minimum] = words else { return None };
    let serial = unsigned(serial)?;
    Some(Soa {
        ttl: in_force(duration(ttl)?),
        mname: whole_name(mname)?,
        rname: whole_name(rname)?,
        serial: (serial > 0).then_some(serial),
        refresh: span(refresh)?,
        retry: span(retry)?,
        expire: span(expire)?,
        minimum: span(minimum)?,
    })
}

/// A name in rbldnsd's notation; nothing but dots is the root.
fn whole_name(text: &[u8]) -> Option<Name> {
    let (found, _) = name(text).ok()?;
    Some(found.unwrap_or_else(Name::root))
}

/// `-name` is disabled, repeated names count once. A comment behind the names is one (rbldnsd takes its words for
/// names).
fn ns(words: &[&[u8]], in_force: impl Fn(u32) -> Ttl) -> Option<Option<Ns>> {
    let (&ttl, names) = words.split_first()?;
    let ttl = in_force(duration(ttl)?);
    let mut hosts: Vec<Name> = Vec::new();
    let mut any = false;
    for &name in names.iter().take_while(|name| !name.starts_with(b"#") && !name.starts_with(b";")) {
        any = true;
        if name.starts_with(b"-") {
            continue;
        }
        let name = whole_name(name)?;
        if !hosts.contains(&name) && hosts.len() < NS_MAX {
            hosts.push(name);
        }
    }
    any.then(|| (!hosts.is_empty()).then_some(Ns { ttl, hosts }))
}

fn max_range(text: &[u8]) -> Option<u64> {
    let size = match text.strip_prefix(b"/") {
        Some(len) => 1 << (32 - unsigned(len).filter(|&len| len <= 32)?),
        None => u64::from(unsigned(text)?),
    };
    (size > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], ttl: Option<Ttl>) -> Result<Special<'_>, Bad> {
        super::read(text, ttl, RbldnsdOptions::default())
    }

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn dates_in_serials() {
        let shown = |serial| dated(serial).map(|at| at.to_string());
        assert_eq!(shown(2026070618).as_deref(), Some("2026-07-06T18:00:00Z"));
        assert_eq!(shown(2026070699).as_deref(), Some("2026-07-06T23:00:00Z"), "a version, not an hour");
        for none in [0, 7, 1_782_000_000, 2026130101, 2026023001, u32::MAX] {
            assert_eq!(dated(none), None, "{none}");
        }
    }

    #[test]
    fn begins_with_a_dollar_sign_somehow() {
        for (line, at) in [
            ("$TTL 1", Some(1)),
            ("#$TTL 1", Some(2)),
            (";$T", Some(2)),
            (":$T", Some(2)),
            ("# $T", None),
            ("1.2.3.4", None),
            ("##$", None),
        ] {
            assert_eq!(begins(line.as_bytes()), at, "{line}");
        }
    }

    #[test]
    fn good() {
        let soa = Soa {
            ttl: 2100,
            mname: name("ns.x"),
            rname: name("h.x"),
            serial: None,
            refresh: 3600,
            retry: 60,
            expire: 86_400,
            minimum: 604_800,
        };
        assert_eq!(read(b"SOA 0 ns.x h.x. 0 1h 60 1d 1w", None), Ok(Special::Soa(soa.clone())));
        let with_ttl = Soa { ttl: 77, serial: Some(u32::MAX), ..soa };
        assert_eq!(read(b"soa 0 ns.x h.x 4294967295 1h 60 1d 1w", Some(77)), Ok(Special::Soa(with_ttl)));
        let ns = |ttl, hosts: &[&str]| {
            Ok(Special::Ns(Some(Ns { ttl, hosts: hosts.iter().map(|h| name(h)).collect() })))
        };
        assert_eq!(read(b"NS 0 a.x -b.x A.x c.x.", None), ns(2100, &["a.x", "c.x"]));
        assert_eq!(read(b"NameServer 30 n.x # c", None), ns(30, &["n.x"]));
        assert_eq!(read(b"NS 1 -n.x", None), Ok(Special::Ns(None)));
        assert_eq!(read(br"NS 1 .a..x a\046.x .", None), ns(1, &["a.x", r"a\..x", "."]));
        assert_eq!(read(b"TTL 1h", None), Ok(Special::Ttl(Some(3600))));
        assert_eq!(read(b"TTL 0", None), Ok(Special::Ttl(None)));
        assert_eq!(read(b"MAXRANGE4 /24", None), Ok(Special::MaxRange(256)));
        assert_eq!(read(b"MaxRange4 10", None), Ok(Special::MaxRange(10)));
        assert_eq!(read(b"1\t two  words ", None), Ok(Special::Variable(1, b"two  words")));
        assert_eq!(read(b"= <$=>", None), Ok(Special::Base(b"<$=>")));
        assert!(matches!(read(b"TIMESTAMP 2001:02:03 +1d", None), Ok(Special::Timestamp(_))));
    }

    /// Seen in rbldnsd 1.0 with `-t`: bounds hold for what is said, not for what 0 stands for, and not for the SOA's
    /// minimum.
    #[test]
    fn bounds() {
        let options = RbldnsdOptions { default_ttl: 1000, min_ttl: 100, max_ttl: 5000, ..Default::default() };
        for (said, ttl, expect) in
            [(5, None, 100), (99_999, None, 5000), (0, None, 1000), (0, Some(7), 7), (300, Some(7), 300)]
        {
            let soa = format!("SOA {said} a.x b.x 0 1 1 1 90000");
            let Ok(Special::Soa(soa)) = super::read(soa.as_bytes(), ttl, options) else { panic!("{said}") };
            assert_eq!((soa.ttl, soa.minimum), (expect, 90_000), "{said}");
            let Ok(Special::Ns(Some(ns))) = super::read(format!("NS {said} a.x").as_bytes(), ttl, options)
            else {
                panic!("{said}")
            };
            assert_eq!(ns.ttl, expect, "{said}");
        }
        for (text, ttl) in [("TTL 5", Some(100)), ("TTL 1d", Some(5000)), ("TTL 0", None)] {
            assert_eq!(super::read(text.as_bytes(), None, options), Ok(Special::Ttl(ttl)), "{text}");
        }
    }

    #[test]
    fn bad() {
        for text in [
            "SOA 1 ns.x h.x 1 1 1 1",
            "SOA 1 ns.x h.x 1 1 1 1 1 1",
            "SOA 1 ns.x h.x 4294967296 1 1 1 1",
            r"SOA 1 a\256.b h.x 1 1 1 1 1",
            "NS x n.x",
            "NS 1",
            "NS",
            r"NS 1 a\256.b",
            "TTL",
            "TTL 7 x",
            "TTL 1h30m",
            "MAXRANGE4 0",
            "MAXRANGE4 /33",
            "TIMESTAMP",
            "TIMESTAMP x",
            "0",
            "0 ",
            "=",
            "",
            "A x",
            "10 x",
            "0x",
            "INCLUDE x",
            "DATASET ip4set x",
            " TTL 6",
        ] {
            assert!(read(text.as_bytes(), None).is_err(), "{text}");
        }
    }
}

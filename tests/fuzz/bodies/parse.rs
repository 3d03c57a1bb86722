//! Any octets as a list: no panic, a bounded run, and the same result on every way through.

use std::io::{self, Read};

use gatepost::guard::payload;
use gatepost::model::AccessList;
use gatepost::parse::{
    AccessParser, Column, Columns, Diag, Format, LINE_MAX, NOTE_MAX, Options, Parsed, REPEATS,
    RbldnsdOptions, TEXT_MAX, parse,
};

/// Everything that must hold for any octets given to the parser of `format`. `step` is how many octets arrive at a
/// time.
pub(crate) fn any_bytes(format: Format, data: &[u8], step: usize) {
    parse_one(format, data);
    payload_one(format, data);
    pieces_do_not_matter(format, data, step);
    if HAS_FAST_PATH.contains(&format) {
        fast_equals_slow(format, data);
    }
}

/// The formats whose lines may be read by the fast path.
pub(crate) const HAS_FAST_PATH: [Format; 6] =
    [Format::Plain, Format::Netset, Format::Names, Format::Ip4set, Format::Ip4tset, Format::Ip4trie];

/// Parses `data` as `format` with every option on, and checks what must hold for any input.
pub(crate) fn parse_one(format: Format, data: &[u8]) {
    let columns = Columns { address: Column::At(1), note: Some(Column::Titled("note".into())) };
    let now = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let rbldnsd = RbldnsdOptions { host_bits: true, default_ttl: 60, min_ttl: 30, max_ttl: 90 };
    let all = Options { notes: true, columns, names_cover_subdomains: true, now, rbldnsd };
    for options in [Options::default(), all] {
        let Some((parsed, bad)) = read(format, &options, data) else { continue };
        let report = &parsed.report;
        let told = report.repeated.min(REPEATS as u64);
        assert_eq!(report.bad + told, bad.len() as u64);
        assert!(report.lines <= data.len() as u64 + 1);
        assert!(report.bad + report.ignored <= report.lines);
        assert!(
            parsed.set.len() as u64 <= report.entries * 2,
            "a name may stand for itself and all below it"
        );
        let mut last = 0;
        for (at, diag) in bad.iter().enumerate() {
            if at as u64 == report.bad {
                // What is repeated is known when all is read.
                last = 0;
            }
            assert!(diag.line > last && diag.line <= report.lines, "{diag}");
            assert!(diag.column >= 1 && diag.column as usize <= LINE_MAX + 1, "{diag}");
            assert!(diag.text.chars().count() <= TEXT_MAX * 10 + 1, "escapes are ten characters at most");
            assert!(!diag.text.chars().any(char::is_control));
            last = diag.line;
        }
        let all = parsed.set.parts().flat_map(|part| &part.values);
        for value in all {
            assert!(value.note.as_deref().is_none_or(|note| note.len() <= NOTE_MAX));
        }
    }
}

/// The pieces in which the input arrives do not matter.
pub(crate) fn pieces_do_not_matter(format: Format, data: &[u8], step: usize) {
    struct Drip<'a>(&'a [u8], usize);
    impl Read for Drip<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let take = self.1.min(self.0.len()).min(out.len());
            out[..take].copy_from_slice(&self.0[..take]);
            self.0 = &self.0[take..];
            Ok(take)
        }
    }
    let options = Options::default();
    let mut bad = Vec::new();
    let dripped = parse(format, &options, Drip(data, step), &mut |d| bad.push(d)).ok();
    assert_eq!(dripped.map(|parsed| (parsed, bad)), read(format, &options, data));
}

/// A blank at the end of a line means nothing, but no fast path takes such a line.
pub(crate) fn fast_equals_slow(format: Format, data: &[u8]) {
    let mut slow = Vec::with_capacity(data.len() * 2);
    for line in data.split_inclusive(|&b| b == b'\n') {
        let (text, end) = match line {
            [text @ .., b'\r', b'\n'] => (text, &b"\r\n"[..]),
            [text @ .., b'\n'] => (text, &b"\n"[..]),
            // The last line of a CRLF file that lost its LF: the CR is still its end.
            [text @ .., b'\r'] => (text, &b"\r"[..]),
            _ => (line, &b""[..]),
        };
        slow.extend_from_slice(text);
        slow.extend_from_slice(b" ");
        slow.extend_from_slice(end);
    }
    let options = Options::default();
    let (Some((fast, fast_bad)), Some((slow, slow_bad))) =
        (read(format, &options, data), read(format, &options, &slow))
    else {
        return;
    };
    assert_eq!(fast.set, slow.set);
    assert_eq!(fast.report.entries, slow.report.entries);
    let places = |bad: &[Diag]| bad.iter().map(|d| (d.line, d.reason.clone())).collect::<Vec<_>>();
    assert_eq!(places(&fast_bad), places(&slow_bad));
}

/// An access list is read whole or refused by line: nothing that looks like a client is left out.
pub(crate) fn access_list(data: &[u8]) {
    for host_bits in [false, true] {
        let rbldnsd = RbldnsdOptions { host_bits, ..RbldnsdOptions::default() };
        let mut parser = AccessParser::new(&Options { rbldnsd, ..Options::default() });
        let mut left_out = Vec::new();
        if let Err(error) = parser.read(data, &mut |diag| left_out.push(diag)) {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().starts_with("line "), "{error}");
            continue;
        }
        assert!(left_out.iter().all(|diag| diag.text.contains('$')), "only `$` lines are: {left_out:?}");
        let list = parser.finish();
        assert!(list.clients.len() <= data.split(|&b| b == b'\n').count());
        let text = serde_json::to_vec(&list).unwrap();
        assert_eq!(serde_json::from_slice::<AccessList>(&text).unwrap(), list);
    }
}

/// The look at a body before it is parsed.
pub(crate) fn payload_one(format: Format, data: &[u8]) {
    for len in [data.len() as u64, u64::MAX] {
        for allow_empty in [false, true] {
            let _ = payload::check(data, len, format, allow_empty);
        }
    }
}

pub(crate) fn read(format: Format, options: &Options, data: &[u8]) -> Option<(Parsed, Vec<Diag>)> {
    let mut bad = Vec::new();
    match parse(format, options, data, &mut |d| bad.push(d)) {
        Ok(parsed) => Some((parsed, bad)),
        // Memory reads without errors: the file as a whole is refused, with a sentence.
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().starts_with("line "), "{error}");
            None
        }
    }
}

//! Any octets at all, given to every parser: no panic, a bounded run, and the same result on every way through.
//!
//! The bodies are plain functions over bytes, so that a fuzzer can call them.

use std::io::{self, Read};

use gatepost::guard::payload;
use gatepost::parse::{Column, Columns, Diag, Format, LINE_MAX, NOTE_MAX, Options, Parsed, TEXT_MAX, parse};
use proptest::prelude::*;

/// Parses `data` as `format` with every option on, and checks what must hold for any input.
fn parse_one(format: Format, data: &[u8]) {
    let columns = Columns { address: Column::At(1), note: Some(Column::Titled("note".into())) };
    let now = Some("2026-01-01T00:00:00Z".parse().unwrap());
    let all = Options { notes: true, columns, names_cover_subdomains: true, now };
    for options in [Options::default(), all] {
        let Some((parsed, bad)) = read(format, &options, data) else { continue };
        let report = &parsed.report;
        assert_eq!(report.bad, bad.len() as u64);
        assert!(report.lines <= data.len() as u64 + 1);
        assert!(report.bad + report.ignored <= report.lines);
        assert!(
            parsed.set.len() as u64 <= report.entries * 2,
            "a name may stand for itself and all below it"
        );
        let mut last = 0;
        for diag in &bad {
            assert!(diag.line > last && diag.line <= report.lines, "{diag}");
            assert!(diag.column >= 1 && diag.column as usize <= LINE_MAX + 1, "{diag}");
            assert!(diag.text.chars().count() <= TEXT_MAX * 10 + 1, "escapes are ten characters at most");
            assert!(!diag.text.chars().any(char::is_control));
            last = diag.line;
        }
        for value in &parsed.set.values {
            assert!(value.note.as_deref().is_none_or(|note| note.len() <= NOTE_MAX));
        }
    }
}

/// The pieces in which the input arrives do not matter.
fn pieces_do_not_matter(format: Format, data: &[u8], step: usize) {
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
fn fast_equals_slow(format: Format, data: &[u8]) {
    let mut slow = Vec::with_capacity(data.len() * 2);
    for line in data.split_inclusive(|&b| b == b'\n') {
        let (text, end) = match line {
            [text @ .., b'\r', b'\n'] => (text, &b"\r\n"[..]),
            [text @ .., b'\n'] => (text, &b"\n"[..]),
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

/// The look at a body before it is parsed.
fn payload_one(format: Format, data: &[u8]) {
    for len in [data.len() as u64, u64::MAX] {
        for allow_empty in [false, true] {
            let _ = payload::check(data, len, format, allow_empty);
        }
    }
}

fn read(format: Format, options: &Options, data: &[u8]) -> Option<(Parsed, Vec<Diag>)> {
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

/// Text that comes near the formats.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        1 => "[0-9.]{1,18}",
        1 => "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[-/][0-9.]{1,15}",
        1 => "[0-9a-f:]{2,20}(/[0-9]{1,3})?",
        1 => "[*.!]?[a-z0-9_.-]{1,20}",
        1 => "[#;:]?\\$(SOA|NS|TTL|TIMESTAMP|MAXRANGE4|[0-9=A-Z])[ 0-9a-z.:+/-]{0,20}",
        1 => ":[0-9.]{0,9}:?[a-z$0-9= ]{0,8}",
        1 => "[#;] ?(EOF|END [0-9] entries|Entries : [0-9] unique|Updated: [0-9T:-]{8,20}|[ -~]{0,9})",
        1 => "\\{\"(cidr|type|size|records)\":(\"[0-9./a-z]{1,12}\"|[0-9]{1,4})\\}",
        1 => "[,\"\t a-z]{1,8}",
    ];
    let separator = prop_oneof![4 => Just("\n"), 1 => Just("\r\n"), 1 => Just(" "), 1 => Just(","), 1 => Just("\t"), 1 => Just("")];
    proptest::collection::vec((piece, separator), 0..24).prop_map(|rows| {
        rows.into_iter()
            .flat_map(|(piece, separator)| [piece, separator.to_owned()])
            .collect::<String>()
            .into_bytes()
    })
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![near(), proptest::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn parsers_take_anything(data in anything(), step in 1usize..40) {
        for format in Format::ALL {
            parse_one(format, &data);
            payload_one(format, &data);
            pieces_do_not_matter(format, &data, step);
        }
    }

    #[test]
    fn no_line_is_read_differently_when_it_is_fast(data in anything()) {
        for format in [Format::Plain, Format::Netset, Format::Names, Format::Ip4set] {
            fast_equals_slow(format, &data);
        }
    }
}

/// Lines and blocks around the sizes of buffers.
#[test]
fn sizes_around_the_buffer() {
    for pad in
        [0, 1, 7, 262_120, 262_127, 262_128, 262_129, 262_144, 524_272, LINE_MAX - 1, LINE_MAX, LINE_MAX + 1]
    {
        let data = [b"192.0.2.1\n#", &vec![b'x'; pad][..], b"\n192.0.2.2\n192.0.2.3"].concat();
        for format in Format::ALL {
            parse_one(format, &data);
            pieces_do_not_matter(format, &data, 65_536);
        }
        let (parsed, _) = read(Format::Plain, &Options::default(), &data).unwrap();
        assert_eq!(parsed.set.v4.hosts.len(), 3, "{pad}");
    }
}

use super::*;

#[test]
fn names_of_formats() {
    for format in Format::ALL {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    let error = "ip4set".parse::<Format>().unwrap_err();
    assert!(error.to_string().contains("rbldnsd:ip4set"), "{error}");
}

#[test]
fn a_line_beyond_the_cap_is_one_bad_line() {
    let text = [b"192.0.2.1\n# ", &vec![b'x'; LINE_MAX][..], b"\n192.0.2.2\n"].concat();
    let mut bad = Vec::new();
    let parsed = parse(Format::Plain, &Options::default(), &text[..], &mut |d| bad.push(d)).unwrap();
    assert_eq!(parsed.set.v4.hosts.len(), 2);
    assert_eq!((bad[0].line, bad[0].column, bad.len()), (2, LINE_MAX as u32 + 1, 1));
    assert!(bad[0].text.chars().count() <= TEXT_MAX + 1);
    let long_comment = [b"# ", &vec![b'x'; 70_000][..], b"\n192.0.2.2\n"].concat();
    let parsed =
        parse(Format::Plain, &Options::default(), &long_comment[..], &mut |d| panic!("{d}")).unwrap();
    assert_eq!(parsed.report.ignored, 1);
}

#[test]
fn reports_survive_json() {
    let text = "; Last-Modified: Thu, 20 Aug 2026 12:53:45 GMT\nword\n192.0.2.0/24 ; SBL1\n; EOF\n";
    let report = parse(Format::Drop, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().report;
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    assert!((report.bad_share() - 0.5).abs() < 1e-9);
}

#[test]
fn several_files_count_for_themselves() {
    let mut parser = Parser::new(Format::Drop, &Options::default());
    let mut lines = Vec::new();
    parser.read(&b"192.0.2.0/24 ; SBL1\n; EOF\n"[..], &mut |_| {}).unwrap();
    parser.read(&b"x\n198.51.100.0/24 ; SBL2\n; EOF\n"[..], &mut |d| lines.push(d.line)).unwrap();
    let parsed = parser.finish();
    assert_eq!(parsed.report.trailer, Trailer::True);
    assert_eq!(lines, [1]);
    assert_eq!(parsed.report.entries, 2);
}

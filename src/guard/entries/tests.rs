use super::shape::covered;
use super::*;
use crate::model::Span;
use crate::parse::{Format, Options, Parsed, parse};

fn read(format: Format, text: &str) -> Parsed {
    parse(format, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap()
}

fn judged(format: Format, text: &str, limits: &Limits) -> Judgement {
    let parsed = read(format, text);
    judge(&parsed.set, &parsed.report, limits, &NeverList::of_feed(limits.bogons, &[]), &NeverList::default())
}

fn plain(text: &str) -> Judgement {
    judged(Format::Plain, text, &Limits::default())
}

/// The one reason's sentence.
fn only(judgement: &Judgement) -> String {
    assert_eq!(judgement.reasons.len(), 1, "{:?}", judgement.reasons);
    judgement.reasons[0].to_string()
}

#[test]
fn a_good_list() {
    let judgement = plain("1.2.3.4\n1.2.3.4\n5.6.0.0/16\n2606:4700::/32\n");
    assert_eq!((judgement.decision, judgement.reasons.len()), (Decision::Accept, 0));
    assert_eq!((judgement.entries, judgement.dropped.total()), (3, 0));
    assert_eq!(judgement.coverage_v4, 65_537.0 / 2f64.powi(32));
}

#[test]
fn end_marks() {
    let cut = judged(Format::Drop, "1.2.3.0/24 ; SBL1\n", &Limits::default());
    assert_eq!(cut.decision, Decision::Reject);
    assert_eq!(only(&cut), "the file was cut: the end mark of format `drop` is missing");
    let wrong = judged(Format::Plain, "1.2.3.4\n# END 2 entries\n", &Limits::default());
    assert_eq!(wrong.decision, Decision::Reject);
    assert_eq!(only(&wrong), "the file is not whole: the end mark counts 2 entries, the file holds 1");
    assert_eq!(
        judged(Format::Drop, "1.2.3.0/24 ; SBL1\n; EOF", &Limits::default()).decision,
        Decision::Accept
    );
}

#[test]
fn bad_lines() {
    let good = "1.2.3.4\n".repeat(99);
    assert_eq!(plain(&format!("{good}09.1.1.1\n")).decision, Decision::Accept, "1 % may be bad");
    let judgement = plain(&format!("{good}09.1.1.1\nword\n"));
    assert_eq!(judgement.decision, Decision::Hold);
    let said = only(&judgement);
    assert!(
        said.starts_with("2 of 101 lines are bad (1.98 %, at most 1.00 % may be): line 100, column 1: octet"),
        "{said}"
    );
    let all = Limits { max_bad_share: 1.0, min_entries: 0, ..Limits::default() };
    assert_eq!(judged(Format::Plain, "word\n", &all).decision, Decision::Accept);
}

#[test]
fn too_few() {
    assert_eq!(only(&plain("# nothing\n")), "0 usable entries, at least 1 are due");
    let few = Limits { min_entries: 3, ..Limits::default() };
    assert_eq!(judged(Format::Plain, "1.2.3.4\n1.2.3.5\n1.2.3.4\n", &few).decision, Decision::Hold);
    let empty = Limits { allow_empty: true, ..few };
    assert_eq!(judged(Format::Plain, "# nothing\n", &empty).decision, Decision::Accept);
    assert_eq!(judged(Format::Plain, "1.2.3.4\n", &empty).decision, Decision::Hold);
    assert_eq!(plain("127.0.0.1\n10.0.0.1\n").decision, Decision::Hold, "nothing usable");
    assert_eq!(judged(Format::Ip4set, "!1.2.3.4\n", &Limits::default()).decision, Decision::Hold);
    let excluded = judged(Format::Ip4trie, "1.2.3.0/24\n!1.2.3.0/25\n!1.2.3.128/25\n", &Limits::default());
    assert_eq!((excluded.entries, excluded.decision), (0, Decision::Hold));
}

#[test]
fn the_world() {
    for (format, text) in [
        (Format::Plain, "0.0.0.0/0\n"),
        (Format::Plain, "::/0\n"),
        (Format::Ip4set, "0.0.0.0-255.255.255.255\n"),
    ] {
        let judgement = judged(format, text, &Limits::default());
        assert_eq!(judgement.decision, Decision::Hold);
        assert!(judgement.reasons[0].to_string().ends_with("/0` lists every address"), "{judgement:?}");
    }
    let judgement = plain("1.0.0.0-100.0.0.0\n");
    assert_eq!(judgement.reasons.len(), 2);
    assert_eq!(judgement.reasons[0].to_string(), "1 entries are broader than /8: 1.0.0.0-100.0.0.0");
}

#[test]
fn short_prefixes() {
    assert_eq!(plain("4.0.0.0/8\n").decision, Decision::Accept);
    assert_eq!(only(&plain("4.0.0.0/7\n1.2.3.4\n")), "1 entries are broader than /8: 4.0.0.0/7");
    assert_eq!(plain("2600::/16\n").decision, Decision::Accept);
    assert_eq!(only(&plain("2600::/15\n")), "1 entries are broader than /16: 2600::/15");
    // What nobody may list is out of them before they are judged: 11.0.0.0/8 is left, and of the next one seven /8.
    assert_eq!(plain("10.0.0.0/7\n").decision, Decision::Accept);
    assert_eq!(only(&plain("8.0.0.0/5\n")), "1 entries are broader than /8: 8.0.0.0/5");
}

#[test]
fn coverage_without_the_never_list() {
    // 14 % of IPv4 as published, nearly nothing once unusable space is out.
    let bogons = "0.0.0.0/8\n10.0.0.0/8\n127.0.0.0/8\n224.0.0.0/3\n1.2.3.0/24\n";
    let judgement = plain(bogons);
    assert_eq!((judgement.decision, judgement.dropped.never, judgement.entries), (Decision::Accept, 4, 1));
    assert_eq!(judgement.coverage_v4, 256.0 / 2f64.powi(32));
    assert_eq!(judgement.dropped.sample[0], "0.0.0.0/8");
    let broad: String = (11..32).map(|n| format!("{n}.0.0.0/8\n{n}.1.0.0/16\n{n}.1.1.1\n")).collect();
    assert_eq!(only(&plain(&broad)), "the list covers 8.20 % of IPv4, at most 8.00 % may be");
    // 169.254/16 lies within: it is taken out of the middle of a block.
    assert_eq!(plain("169.0.0.0/8\n").coverage_v4, f64::from((1 << 24) - (1 << 16)) / 2f64.powi(32));
}

#[test]
fn bogon_lists() {
    let limits = Limits::default().of_bogons();
    let judged = |text: &str| judged(Format::Plain, text, &limits);
    let special = "0.0.0.0/8\n10.0.0.0/8\n100.64.0.0/10\n127.0.0.0/8\n224.0.0.0/3\n8000::/1\n3000::/4\n::1\n";
    let judgement = judged(special);
    assert_eq!((judgement.decision, judgement.dropped.never, judgement.entries), (Decision::Accept, 2, 6));
    assert_eq!(judgement.coverage_v4, 0.0, "how much of it there is does not count");
    // What is in use is no bogon, however it is said.
    let kinds = |text: &str| judged(text).reasons.iter().map(Reason::kind).collect::<Vec<_>>();
    assert_eq!(kinds("0.0.0.0/0\n"), ["everything", "coverage"]);
    assert_eq!(kinds("::/0\n"), ["everything", "coverage"]);
    assert_eq!(
        kinds("0.0.0.0/1\n128.0.0.0/1\n::/1\n8000::/1\n"),
        ["everything", "short-prefix", "coverage", "coverage"]
    );
    assert_eq!(kinds("2000::/4\n"), ["everything", "coverage"]);
    assert_eq!(only(&judged("8.0.0.0/5\n224.0.0.0/3\n")), "1 entries are broader than /8: 8.0.0.0/5");
    let eights: String = (41..81).map(|n| format!("{n}.0.0.0/8\n")).collect();
    assert_eq!(only(&judged(&eights)), "the list covers 15.62 % of IPv4, at most 8.00 % may be");
    // A registry's two halves are all that it has.
    let halves = |groups: &[u16]| -> String {
        groups.iter().map(|group| format!("{group:x}::/13\n{:x}::/13\n", group + 8)).collect()
    };
    assert_eq!(judged(&halves(&[0x2400, 0x2630, 0x2800, 0x2a10, 0x2c00])).decision, Decision::Accept);
    assert_eq!(
        only(&judged(&halves(&[0x2400, 0x2630, 0x2800, 0x2a00, 0x2a10, 0x2c00]))),
        "the list covers 74.57 % of what registries give out of IPv6, at most 70.00 % may be"
    );
}

/// A list of bogons that leaves less and less: below its limit, and still broken.
#[test]
fn bogon_lists_that_spread() {
    let parsed =
        |text: &str| parse(Format::Plain, &Options::default(), text.as_bytes(), &mut |_| {}).unwrap().set;
    let before = parsed("2400::/13\n2800::/12\n2c00::/12\n8000::/1\n");
    let reasons = |more: &str, limits: &Limits| {
        let now = parsed(&format!("2400::/13\n2800::/12\n2c00::/12\n8000::/1\n{more}"));
        Difference::between(&before, &now, &NeverList::loopback()).reasons(limits)
    };
    let limits = Limits::default().of_bogons();
    assert_eq!(reasons("3000::/4\n2a00::/16\n", &limits), [], "a sixteenth");
    let [spread] = &reasons("2408::/15\n", &limits)[..] else { panic!("one reason") };
    assert_eq!(
        spread.to_string(),
        "25.0 % of what was not listed of a registry's IPv6 space is listed now, at most 10.0 % may be"
    );
    assert!(!spread.is_change() && spread.decision() == Decision::Hold);
    assert_eq!(reasons("2408::/15\n", &Limits::default()), [], "coverage says it of other lists");
}

#[test]
fn half_of_ipv6_in_use() {
    // Each is as short as may be, and of such lists there are few entries: nothing is compared.
    let groups = (0x2400..0x2410).chain(0x2a00..0x2a10);
    let text: String = groups.map(|group| format!("{group:x}::/16\n{group:x}:1::/32\n")).collect();
    assert_eq!(
        only(&plain(&text)),
        "the list covers 24.86 % of what registries give out of IPv6, at most 8.00 % may be"
    );
    assert_eq!(plain("2a00::/16\n2003::/16\n2002::/16\n").decision, Decision::Accept);
    assert!(only(&plain("2001::/16\n")).contains("2001::/16"), "all that is in use there");
}

#[test]
fn whole_domains() {
    let names = |text: &str| judged(Format::Names, text, &Limits::default());
    assert_eq!(names("com\n*.example.com\n.example.org\n").decision, Decision::Accept, "com itself");
    assert_eq!(
        only(&names("example.org\n*.com\n.net\n")),
        "2 entries list all names below one of fewer than 2 labels (a public suffix is one): *.com, *.net"
    );
    assert_eq!(
        judged(Format::Names, "*.zip\n", &Limits { shortest_name: 1, ..Limits::default() }).decision,
        Decision::Accept
    );
    assert_eq!(
        only(&names(
            "*.bbc.co.uk\nco.uk\n*.co.uk\n.com.br\n*.x.kawasaki.jp\n*.city.kawasaki.jp\n*.github.io\n"
        )),
        "3 entries list all names below one of fewer than 2 labels (a public suffix is one): *.com.br, *.x.kawasaki.jp, *.co.uk"
    );
    // The root is no name to begin with.
    for root in ["..", "*..", ".", "*", "*."] {
        let judgement = names(&format!("example.org\n{root}\n"));
        assert_eq!((judgement.entries, judgement.decision), (1, Decision::Hold), "{root}: {judgement:?}");
    }
}

/// However addresses are listed, so much is too much.
#[test]
fn names_that_spell_addresses_cover_them() {
    let dnset = |text: &str| judged(Format::Dnset, text, &Limits::default());
    let sixteens = |nets: u32| -> String {
        (20..20 + nets).flat_map(|net| (0..256).map(move |n| format!("*.{n}.{net}\n"))).collect()
    };
    assert_eq!(dnset(&sixteens(20)).decision, Decision::Accept);
    assert_eq!(only(&dnset(&sixteens(21))), "the list covers 8.20 % of IPv4, at most 8.00 % may be");
    let few = dnset("4.3.2.1\n*.1.168.192\n1.0.0.127\n2.0.0.127\nname.example\n");
    assert_eq!((few.entries, few.dropped.never, few.decision), (3, 2, Decision::Accept));
    assert_eq!(few.dropped.sample, ["1.0.0.127", "*.1.168.192"]);
}

#[test]
fn subzones_in_the_place_of_addresses() {
    let combined = |sub: &str| {
        judged(Format::Combined, &format!("$DATASET ip4set:a {sub} @\n1.2.3.4\n"), &Limits::default())
    };
    assert_eq!(combined("bad").decision, Decision::Accept);
    for sub in ["23", "3.3.0.23", "127", "8.b.d.0.1.0.0.2", "f.f.f.f.0.0.0.0", "test", "invalid"] {
        let said = only(&combined(sub));
        assert_eq!(
            said,
            format!(
                "its subzone `{sub}` takes the place of addresses or of a test point, for all lists of a zone"
            )
        );
    }
}

/// What an owner of a name gives away below it is as much as a public suffix to whoever lists the whole tree.
#[test]
fn whole_trees_below_private_suffixes() {
    let names = |text: &str| judged(Format::Dnset, text, &Limits::default());
    for suffix in ["uk.com", "eu.org", "s3.amazonaws.com", "org.ru"] {
        let said = only(&names(&format!("a.example\n.{suffix}\n")));
        assert!(said.ends_with(&format!("(a public suffix is one): *.{suffix}")), "{said}");
        for part in [format!("*.{suffix}\n"), format!("{suffix}\n"), format!(".bad.{suffix}\n")] {
            assert_eq!(names(&part).decision, Decision::Accept, "{part}");
        }
    }
    let host = names(".ec2-192-0-2-7.compute-1.amazonaws.com\n");
    assert_eq!(host.decision, Decision::Accept, "where every name is a suffix: {host:?}");
    let broad = Limits { shortest_name: 1, ..Limits::default() };
    assert_eq!(judged(Format::Dnset, ".uk.com\n", &broad).decision, Decision::Accept);
}

#[test]
fn junk_names_are_left_out() {
    let names = |text: &str| judged(Format::Names, text, &Limits::default());
    let junk = |count: usize| -> String { (0..count).map(|n| format!("*.tt{n}p\n")).collect() };
    let few = names(&format!("example.org\n{}", junk(100)));
    assert_eq!((few.decision, few.dropped.unknown_tld, few.entries), (Decision::Accept, 100, 1), "{few:?}");
    assert_eq!(few.dropped.sample[0], "*.tt0p");
    let many = names(&format!("example.org\n{}", junk(101)));
    assert!(
        only(&many).starts_with("101 entries list all names below a top-level domain that does not exist")
    );
    assert!(!many.reasons[0].is_change());
    // A real one stays what it is, and so does the name alone.
    assert_eq!(names("example.org\n*.com\n*.ttp\n").reasons[0].kind(), "short-name");
    assert_eq!(names("ttp\nexample.org\n").dropped.total(), 0);
}

#[test]
fn canaries() {
    let networks = ["17.0.0.0/8", "9.9.9.9", "2620:149::/32"].map(|network| network.parse().unwrap());
    let canaries = NeverList::default().with(&networks);
    let never = NeverList::special_purpose().with(&networks);
    let judge = |text: &str, max_canaries| {
        let parsed = read(Format::Plain, text);
        judge(&parsed.set, &parsed.report, &Limits { max_canaries, ..Limits::default() }, &never, &canaries)
    };
    let text = "1.2.3.4\n17.1.1.1\n17.5.0.0/16\n9.9.9.0/24\n2620:149::5\n16.0.0.0/8\n";
    let few = judge(text, 4);
    assert_eq!((few.decision, few.dropped.canaries, few.dropped.never), (Decision::Accept, 4, 3));
    let many = judge(text, 3);
    assert_eq!(many.decision, Decision::Hold);
    assert_eq!(
        only(&many),
        "4 entries list canary networks, at most 3 may: 17.1.1.1, 9.9.9.0/24, 17.5.0.0/16, 2620:149::5"
    );
    assert!(!many.reasons[0].is_change());
}

#[test]
fn error_codes() {
    let judgement = judged(
        Format::Ip4set,
        "1.2.3.4\n1.2.3.5 :127.255.255.254:over quota\n1.2.3.0/28 :127.255.255.1:\n!1.2.3.7\n127.0.0.2 :127.255.255.1:\n",
        &Limits::default(),
    );
    assert_eq!((judgement.dropped.error_code, judgement.dropped.never, judgement.entries), (2, 1, 1));
    let all = judged(Format::Ip4set, ":127.255.255.255:x\n1.2.3.4\n", &Limits::default());
    assert_eq!((all.decision, all.entries), (Decision::Hold, 0));
}

#[test]
fn judgements_survive_json_and_more_reasons() {
    let mut judgement = plain("1.2.3.4\n");
    judgement.add(Reason::Coverage { of: "IPv4".into(), share: 9.0, limit: 8.0 });
    assert_eq!(judgement.decision, Decision::Hold);
    judgement.add(Reason::EndMark { said: "x".into() });
    assert_eq!(judgement.decision, Decision::Reject);
    let json = serde_json::to_string(&judgement).unwrap();
    assert_eq!(serde_json::from_str::<Judgement>(&json).unwrap(), judgement);
}

proptest::proptest! {
    /// Counting in one pass agrees with counting address by address.
    #[test]
    fn coverage_counts_addresses(
        spans in proptest::collection::vec((0u32..300, 0u32..40), 0..20),
        holes in proptest::collection::vec((0u32..300, 0u32..40), 0..6),
    ) {
        let span = |&(first, extent): &(u32, u32)| Span { first, last: first + extent };
        let mut builder = crate::set::SetBuilder::new(crate::set::Overlap::Narrowest);
        let value = builder.value(&Default::default());
        spans.iter().for_each(|s| builder.v4(span(s), value));
        let own: Vec<_> = holes.iter().map(|h| crate::model::Subject::V4(span(h))).collect();
        let never = NeverList::default().with(&own);
        let naive = (0..400u32)
            .filter(|&a| spans.iter().any(|s| span(s).contains(a)) && !never.contains_v4(a))
            .count();
        proptest::prop_assert_eq!(covered(&builder.finish(), &never), naive as u64);
    }
}

/// Each section is as broad as it is: what two subzones list is not covered twice, and no section hides.
#[test]
fn sections_are_judged_one_by_one() {
    let judge = |text: &str| judged(Format::Combined, text, &Limits::default());
    let good =
        judge("$DATASET ip4set a\n1.2.3.4\n5.0.0.0/8\n$DATASET ip4trie b\n5.0.0.0/8\n!5.6/16\n10.1.1.1\n");
    assert_eq!((good.decision, good.entries, good.dropped.never), (Decision::Accept, 3, 1));
    assert_eq!(good.coverage_v4, 16_777_217.0 / 2f64.powi(32));
    let wide = judge("$DATASET ip4set a\n1.2.3.4\n$DATASET ip4trie b\n64.0.0.0/7\n");
    assert_eq!(wide.decision, Decision::Hold);
    assert!(only(&wide).contains("64.0.0.0/7"), "{}", only(&wide));
    assert_eq!(judge("$DATASET ip4set a\n# nothing\n").reasons, [Reason::TooFew { entries: 0, limit: 1 }]);
}

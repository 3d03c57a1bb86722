use std::net::Ipv4Addr;

use super::super::{Compiled, Except, compile};
use super::*;
use crate::model::{ContentHash, Ns, Soa, Use};
use crate::parse::{Format, Options, parse};

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn member(list: &str, format: Format, text: &str) -> Member {
    let parsed = parse(format, &Options::default(), text.as_bytes(), &mut |bad| panic!("{bad}")).unwrap();
    Member {
        name: list.to_owned(),
        set: Arc::new(parsed.set),
        hash: ContentHash::of(text.as_bytes()),
        use_: Use::Block,
        code: Ipv4Addr::new(127, 0, 0, 2),
        text: Template::default(),
        keep_values: true,
        foreign: false,
        never: None,
    }
}

fn spec(members: Vec<Member>) -> ZoneSpec {
    let x = name("x");
    let soa = Soa {
        ttl: 1,
        mname: x.clone(),
        rname: x.clone(),
        serial: None,
        refresh: 1,
        retry: 1,
        expire: 1,
        minimum: 1,
    };
    let zone = ZoneData {
        origin: name("z"),
        base: None,
        soa,
        ns: Ns { ttl: 1, hosts: vec![x] },
        ttl: 300,
        test_points: true,
        combined: false,
    };
    ZoneSpec { zone, members, excepts: Vec::new(), subzones: Vec::new() }
}

/// What the names of a zone say: `NAME` or `*.NAME`, and texts; names that exist alone with `-`.
fn names(compiled: &Compiled) -> Vec<String> {
    let said = |id: u32| {
        let sets = &compiled.answers[id as usize].records;
        let texts = sets.iter().filter_map(|set| match &set.data {
            crate::model::RrData::Texts(texts) => Some(texts.iter().map(|text| text.to_string())),
            crate::model::RrData::Wire(_) => None,
        });
        texts.flatten().collect::<Vec<_>>().join(",")
    };
    let nodes = compiled.names.iter().filter(|node| !["test", "invalid"].contains(&&*node.name.to_string()));
    let shown = nodes.flat_map(|node| {
        let exact = node.exact.map(|id| format!("{}={}", node.name, said(id)));
        let below = node.below.map(|id| format!("*.{}={}", node.name, said(id)));
        let alone =
            (node.exact.is_none() && node.below.is_none() && node.parent).then(|| format!("{}-", node.name));
        [exact, below, alone]
    });
    shown.flatten().collect()
}

#[test]
fn a_zone_without_sections_is_itself() {
    let spec = spec(vec![member("own", Format::Ip4set, "1.1.1.1\n")]);
    let expanded = expand(spec.clone(), |_| true);
    assert_eq!(expanded.len(), 1);
    assert_eq!(compile(&expanded[0]), compile(&spec));
}

#[test]
fn sections_answer_in_their_subzones_alone() {
    let text = "$DATASET ip4set a @\n1.1.1.1\n$DATASET ip4set a\n1.1.1.2\n$DATASET ip4trie c.b.a\n1.1.1.3\n";
    let mut spec = spec(vec![member("own", Format::Combined, text)]);
    spec.excepts.push(Except {
        name: "not".to_owned(),
        set: member("", Format::Ip4set, "1.1.1.2\n").set,
        hash: ContentHash::of(b""),
    });
    let zones = expand(spec, |_| true);
    let shown: Vec<_> = zones
        .iter()
        .map(|zone| {
            let compiled = compile(zone);
            let base = zone.zone.base.as_ref().map(ToString::to_string);
            // The test point is one.
            (zone.zone.origin.to_string(), base, compiled.v4.addresses() - 1, names(&compiled))
        })
        .collect();
    let base = || Some("z".to_owned());
    assert_eq!(
        shown,
        [
            (
                "z".to_owned(),
                None,
                1,
                vec!["a-".to_owned(), "b.a-".into(), "c.b.a-".into(), ".-".into()].sorted()
            ),
            ("a.z".into(), base(), 1, vec!["b-".to_owned(), "c.b-".into(), ".-".into()].sorted()),
            ("c.b.a.z".into(), base(), 1, vec![]),
        ]
    );
    // Every section is a list of its own under the list's name.
    assert_eq!(
        compile(&zones[1]).lists.iter().map(|list| &*list.name).collect::<Vec<_>>(),
        ["own", "own", "not"]
    );
}

trait Sorted {
    fn sorted(self) -> Self;
}

impl Sorted for Vec<String> {
    /// As nodes are: by the wire form of names.
    fn sorted(mut self) -> Self {
        self.sort_by_key(|shown| name(shown.trim_end_matches('-')));
        self
    }
}

#[test]
fn a_zone_of_subzones_alone_lists_nothing() {
    let zones = expand(spec(vec![member("own", Format::Combined, "$DATASET ip4set a\n1.1.1.1\n")]), |_| true);
    let base = compile(&zones[0]);
    assert_eq!((base.v4.addresses(), base.zone.test_points, base.lists.len()), (0, false, 0));
    assert!(compile(&zones[1]).zone.test_points);
}

#[test]
fn subzones_that_others_serve_are_left_out() {
    let text = "$DATASET ip4set a b\n1.1.1.1\n";
    let zones = expand(spec(vec![member("own", Format::Combined, text)]), |origin| *origin != name("a.z"));
    let origins: Vec<_> = zones.iter().map(|zone| zone.zone.origin.to_string()).collect();
    assert_eq!(origins, ["z", "b.z"]);
    assert_eq!(zones[0].subzones, [name("b")]);
    let text = "$DATASET ip4set a 127 0.127 2.0.0.127 1.0.0.127 test f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0\n1.1.1.1\n";
    let zones = expand(spec(vec![member("own", Format::Combined, text)]), |_| true);
    let origins: Vec<_> = zones.iter().map(|zone| zone.zone.origin.to_string()).collect();
    assert_eq!(origins, ["z", "a.z"], "no subzone stands in the place of a test point");
    let long = "x".repeat(63);
    let text = format!("$DATASET ip4set {long}.{long}.{long}.{} b\n1.1.1.1\n", "x".repeat(61));
    assert_eq!(expand(spec(vec![member("own", Format::Combined, &text)]), |_| true).len(), 2);
}

/// Seen in rbldnsd 1.0: another data set of the zone answers for names in a subzone as well.
#[test]
fn others_answer_beside_a_subzone() {
    let dnset = "x.a exact $\n*.a below $\n*.y.a y $\n!n.a\na apex $\nother o\n";
    let wide = "*.z above $\n*.q.z closer $\n";
    let combined = "$DATASET dnset a\nx own $\n$DATASET dnset b.a @\nw w $\n";
    let members = vec![
        member("names", Format::Dnset, dnset),
        member("addresses", Format::Ip4set, "1.1.1.1\n"),
        member("own", Format::Combined, combined),
    ];
    let zones = expand(spec(members), |_| true);
    let shown: Vec<_> = zones.iter().map(|zone| names(&compile(zone))).collect();
    let listed =
        |shown: &[String]| -> Vec<String> { shown.iter().filter(|s| !s.ends_with('-')).cloned().collect() };
    assert_eq!(
        listed(&shown[1]),
        [
            ".=apex a",
            "*..=below a",
            "b=below a",
            "*.b=below a",
            "*.n=below a",
            "x=exact x.a,own $",
            "*.x=below a",
            "y=below a",
            "*.y=y y.a"
        ]
    );
    // What is above a subzone of the same list says nothing in it; what others say does.
    assert_eq!(listed(&shown[2]), [".=below a", "*..=below a", "w=below a,w $", "*.w=below a"]);
    assert_eq!(zones[1].members.iter().map(|member| &*member.name).collect::<Vec<_>>(), ["names", "own"]);

    let seen = |text, sub| {
        let set = seen_from(&member("", Format::Dnset, text).set, &name(sub));
        set.map(|set| names(&compile(&spec(vec![Member { set, ..member("", Format::Dnset, "") }]))))
            .unwrap_or_default()
    };
    assert_eq!(seen(wide, "p.q.z"), [".=closer q.z", "*..=closer q.z"]);
    assert_eq!(seen(wide, "q.z"), [".=above z", "*..=closer q.z"]);
    assert_eq!(seen(wide, "z"), ["*..=above z", "q=above z", "*.q=closer q.z"]);
    assert_eq!(seen(wide, "other"), [""; 0]);
}

//! What zones say, asked without packets.

mod dns_support;

use std::net::{Ipv4Addr, Ipv6Addr};

use dns_support::{except, hosts, labels, listed_name, member, plain, records, spec, zone};
use gatepost::compile::ZoneSpec;
use gatepost::model::{Rtype, Span, Use, Value};
use gatepost::set::Scope;
use gatepost::snapshot::RdataRef;
use gatepost::zone::{Content, TextBuf, Trouble, Verdict, Zone};

/// What a question gets, in short.
fn say(zone: &Zone<Vec<u8>>, below: &str, rtype: Rtype) -> String {
    let labels = labels(below);
    match zone.verdict(&labels).content(rtype) {
        Content::Records(records) => {
            let data = records.iter().map(|datum| match datum.rdata {
                RdataRef::Wire(&[a, b, c, d]) => Ipv4Addr::new(a, b, c, d).to_string(),
                RdataRef::Wire(octets) => format!("{octets:?}"),
                RdataRef::Text(pieces) => {
                    String::from_utf8_lossy(TextBuf::fill(pieces, datum.matched).as_bytes()).into_owned()
                }
            });
            format!("{} {}", records.ttl(), data.collect::<Vec<_>>().join(","))
        }
        Content::Soa => "soa".to_owned(),
        Content::Ns => "ns".to_owned(),
        Content::NoData => "nodata".to_owned(),
        Content::NxDomain => "nxdomain".to_owned(),
        Content::Unavailable(trouble) => format!("{trouble:?}"),
    }
}

fn a(zone: &Zone<Vec<u8>>, below: &str) -> String {
    say(zone, below, Rtype::A)
}

fn nibbles(address: &str) -> String {
    let address = u128::from(address.parse::<Ipv6Addr>().unwrap());
    (0..32).map(|at| format!("{:x}", address >> (4 * at) & 15)).collect::<Vec<_>>().join(".")
}

fn v4_zone() -> Zone<Vec<u8>> {
    let mut spec = spec("bl.example");
    member(&mut spec, "one", Use::Block, 5, "$ is bad", |set| {
        hosts(set, &["1.2.3.4", "203.0.113.9"]);
        let value = plain(set);
        set.v4(Span { first: 0x0a00_0000, last: 0x0a00_ffff }, value);
    });
    zone(&spec)
}

#[test]
fn addresses() {
    let zone = v4_zone();
    assert_eq!(a(&zone, "4.3.2.1"), "300 127.0.0.5");
    assert_eq!(say(&zone, "4.3.2.1", Rtype::TXT), "300 1.2.3.4 is bad");
    assert_eq!(say(&zone, "4.3.2.1", Rtype::ANY), "300 127.0.0.5");
    for other in [28, 65, 257, 1000, 2, 6] {
        assert_eq!(say(&zone, "4.3.2.1", Rtype(other)), "nodata");
    }
    assert_eq!(a(&zone, "5.3.2.1"), "nxdomain");
    assert_eq!(say(&zone, "7.255.0.10", Rtype::TXT), "300 10.0.255.7 is bad");
    assert_eq!(a(&zone, "0.0.1.10"), "nxdomain");
}

#[test]
fn forms_that_are_no_address() {
    let zone = v4_zone();
    for bad in
        ["004.3.2.1", "+4.3.2.1", "4.3.2.01", "260.3.2.1", "x.3.2.1", "4.4.3.2.1", "x.4.3.2.1", "1.2.3.4.x"]
    {
        assert_eq!(a(&zone, bad), "nxdomain", "{bad}");
    }
}

#[test]
fn something_below_makes_it_exist() {
    let zone = v4_zone();
    for above in
        ["3.2.1", "2.1", "1", "113.0.203", "0.203", "0.10", "10", "255.0.10", "127", "0.127", "0.0.127"]
    {
        assert_eq!(a(&zone, above), "nodata", "{above}");
        assert_eq!(say(&zone, above, Rtype::ANY), "nodata", "{above}");
    }
    for nothing in ["4.2.1", "3.1", "200", "1.10", "0.1.10"] {
        assert_eq!(a(&zone, nothing), "nxdomain", "{nothing}");
    }
}

#[test]
fn test_points() {
    let zone = v4_zone();
    assert_eq!(a(&zone, "2.0.0.127"), "300 127.0.0.2");
    assert!(say(&zone, "2.0.0.127", Rtype::TXT).starts_with("300 "));
    assert_eq!(a(&zone, "1.0.0.127"), "nxdomain");
}

#[test]
fn apex() {
    let zone = v4_zone();
    assert_eq!(say(&zone, "", Rtype::SOA), "soa");
    assert_eq!(say(&zone, "", Rtype::NS), "ns");
    assert_eq!(say(&zone, "", Rtype::ANY), "soa");
    assert_eq!(say(&zone, "", Rtype::A), "nodata");
    assert_eq!(zone.authority().serial(), 7);
    assert_eq!(zone.authority().negative_ttl, 60);
    assert_eq!(zone.authority().soa_ttl, 3600);
}

#[test]
fn the_negative_ttl_is_the_lesser_one() {
    let mut spec = spec("bl.example");
    (spec.zone.soa.ttl, spec.zone.soa.minimum) = (30, 3600);
    assert_eq!(zone(&spec).authority().negative_ttl, 30);
}

#[test]
fn ipv6() {
    let mut spec = spec("six.example");
    member(&mut spec, "six", Use::Block, 6, "$", |set| {
        let value = plain(set);
        let first = u128::from("2001:db8:7::".parse::<Ipv6Addr>().unwrap());
        set.v6(Span { first, last: first | u128::MAX >> 48 }, value);
        hosts(set, &["198.51.100.1"]);
    });
    let zone = zone(&spec);
    assert_eq!(say(&zone, &nibbles("2001:db8:7::5"), Rtype::TXT), "300 2001:db8:7::5");
    assert_eq!(a(&zone, &nibbles("2001:db8:8::")), "nxdomain");
    let whole = nibbles("2001:db8:7::");
    for len in (1..32).map(|count| count * 2 - 1) {
        let above = &whole[whole.len() - len..];
        assert_eq!(a(&zone, above), "nodata", "{above}");
    }
    assert_eq!(a(&zone, "3"), "nxdomain");
    assert_eq!(a(&zone, "9.0.1.0.0.2"), "nxdomain");
    assert_eq!(a(&zone, &format!("0.{whole}")), "nxdomain");
}

/// IPv4 that comes in IPv6's form is looked up as IPv4, and what leads there exists.
#[test]
fn mapped_addresses() {
    let zone = v4_zone();
    assert_eq!(say(&zone, &nibbles("::ffff:1.2.3.4"), Rtype::TXT), "300 1.2.3.4 is bad");
    assert_eq!(a(&zone, &nibbles("::ffff:127.0.0.2")), "300 127.0.0.2");
    assert_eq!(a(&zone, &nibbles("::ffff:127.0.0.1")), "nxdomain");
    assert_eq!(a(&zone, &nibbles("::ffff:1.2.3.5")), "nxdomain");
    assert_eq!(a(&zone, &nibbles("::1.2.3.4")), "nxdomain");
    let whole = nibbles("::ffff:1.2.3.4");
    for len in (1..32).map(|count| count * 2 - 1) {
        let above = &whole[whole.len() - len..];
        assert_eq!(a(&zone, above), "nodata", "{above}");
    }
    let elsewhere = nibbles("::ffff:1.3.0.0");
    assert_eq!(a(&zone, &elsewhere["0.0.0.0.".len()..]), "nxdomain");
}

/// `1.2` is two octets and two nibbles: either may have something below.
#[test]
fn digits_are_read_both_ways() {
    let mut spec = spec("six.example");
    spec.zone.test_points = false;
    member(&mut spec, "six", Use::Block, 6, "", |set| {
        let value = plain(set);
        let first = 0x21 << 120;
        set.v6(Span { first, last: first | u128::MAX >> 8 }, value);
    });
    let zone = zone(&spec);
    assert_eq!(a(&zone, "2"), "nodata");
    assert_eq!(a(&zone, "1.2"), "nodata");
    assert_eq!(a(&zone, "4.3.1.2"), "nodata");
    assert_eq!(a(&zone, "4.3.2.1"), "nxdomain");
    assert_eq!(a(&zone, "0"), "nxdomain");
}

#[test]
fn names() {
    let mut spec = spec("dbl.example");
    member(&mut spec, "names", Use::Block, 7, "$ listed", |set| {
        listed_name(set, "bad.example", false);
        listed_name(set, "wild.example", true);
        set.exclude_name(dns_support::name("good.wild.example"), Scope::Exact);
    });
    let zone = zone(&spec);
    assert_eq!(say(&zone, "bad.example", Rtype::TXT), "300 bad.example listed");
    assert_eq!(a(&zone, "x.bad.example"), "nxdomain");
    assert_eq!(say(&zone, "a.b.wild.example", Rtype::TXT), "300 wild.example listed");
    // Not listed itself, but what is below it is.
    assert_eq!(a(&zone, "good.wild.example"), "nodata");
    assert_eq!(a(&zone, "x.good.wild.example"), "300 127.0.0.7");
    assert_eq!(a(&zone, "wild.example"), "nodata");
    assert_eq!(a(&zone, "example"), "nodata");
    assert_eq!(a(&zone, "test"), "300 127.0.0.2");
    assert_eq!(a(&zone, "invalid"), "nxdomain");
    assert_eq!(a(&zone, "elsewhere"), "nxdomain");
}

/// A zone may hold addresses and names: what both say adds up, equal records once, the smallest TTL.
#[test]
fn address_and_name_add_up() {
    let mut spec = spec("both.example");
    member(&mut spec, "addresses", Use::Block, 5, "address $", |set| hosts(set, &["1.2.3.4", "9.9.9.9"]));
    member(&mut spec, "names", Use::Block, 6, "name $", |set| {
        let a = set.value(&Value { code: Some(Ipv4Addr::new(127, 0, 0, 5)), ..Value::default() });
        let b = set.value(&records(15, &[&[0, 10, 0]]));
        set.directives.ttl = Some(20);
        set.name(dns_support::name("4.3.2.1"), Scope::Exact, a);
        set.name(dns_support::name("9.9.9.9"), Scope::Exact, b);
        listed_name(set, "3.2.1", true);
    });
    let zone = zone(&spec);
    assert_eq!(say(&zone, "4.3.2.1", Rtype::TXT), "20 address 1.2.3.4,name 4.3.2.1");
    assert_eq!(a(&zone, "4.3.2.1"), "20 127.0.0.5");
    assert_eq!(a(&zone, "9.9.9.9"), "300 127.0.0.5");
    assert_eq!(say(&zone, "9.9.9.9", Rtype(15)), "20 [0, 10, 0]");
    assert_eq!(zone.behind(&labels("4.3.2.1")).unwrap(), [Some("addresses"), Some("names")]);
    assert_eq!(zone.behind(&labels("x.y.3.2.1")).unwrap(), [Some("names")]);
    assert_eq!(a(&zone, "x.y.3.2.1"), "20 127.0.0.6");
}

fn combined() -> ZoneSpec {
    let mut spec = spec("all.example");
    spec.zone.combined = true;
    for (list, code) in [("one", 5), ("two", 6), ("three", 7)] {
        member(&mut spec, list, Use::Block, code, &format!("{list} $"), |set| {
            hosts(set, &["1.1.1.1"]);
            hosts(
                set,
                &[match list {
                    "one" => "1.1.1.2",
                    "two" => "1.1.1.3",
                    _ => "1.1.1.4",
                }],
            );
        });
    }
    except(&mut spec, "own", |set| hosts(set, &["8.8.8.8"]));
    spec
}

#[test]
fn expired_lists_fall_silent() {
    let zone = zone(&combined());
    assert_eq!(a(&zone, "1.1.1.1"), "300 127.0.0.5,127.0.0.6,127.0.0.7");
    let masked = zone.masked(|list| list == "two").unwrap();
    assert_eq!(masked.expired(), ["two"]);
    let behind = |zone: &Zone<Vec<u8>>, below: &str| {
        let lists = zone.behind(&labels(below)).unwrap();
        lists.iter().map(|list| list.unwrap_or("itself").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(behind(&zone, "1.1.1.1"), ["one", "two", "three"]);
    assert_eq!(behind(&masked, "1.1.1.1"), ["one", "three"]);
    assert!(behind(&masked, "3.1.1.1").is_empty() && behind(&zone, "8.8.8.8").is_empty());
    assert_eq!(behind(&masked, "2.0.0.127"), ["itself"]);
    assert_eq!(a(&masked, "1.1.1.1"), "300 127.0.0.5,127.0.0.7");
    assert_eq!(say(&masked, "1.1.1.1", Rtype::TXT), "300 one 1.1.1.1,three 1.1.1.1");
    assert_eq!(a(&masked, "2.1.1.1"), "300 127.0.0.5");
    assert_eq!(a(&masked, "3.1.1.1"), "nxdomain");
    assert_eq!(a(&masked, "2.0.0.127"), "300 127.0.0.2");
    // What was masked comes back when the list is fresh again.
    let fresh = masked.masked(|_| false).unwrap();
    assert_eq!(a(&fresh, "3.1.1.1"), "300 127.0.0.6");
    assert!(fresh.expired().is_empty());
    // The zone from which it was made is as it was.
    assert_eq!(a(&zone, "3.1.1.1"), "300 127.0.0.6");
}

#[test]
fn without_an_unexpired_list_there_is_no_answer() {
    let zone = zone(&combined()).masked(|_| true).unwrap();
    for below in ["1.1.1.1", "2.0.0.127", "", "9.9.9.9"] {
        assert!(matches!(zone.verdict(&labels(below)), Verdict::Unavailable(Trouble::Expired)));
    }
}

#[test]
fn allow_lists_never_expire() {
    let mut spec = spec("wl.example");
    member(&mut spec, "good", Use::Allow, 2, "", |set| hosts(set, &["1.1.1.1"]));
    let zone = zone(&spec).masked(|_| true).unwrap();
    assert_eq!(a(&zone, "1.1.1.1"), "300 127.0.0.2");
    assert!(zone.expired().is_empty());
}

#[test]
fn a_zone_of_nothing_but_test_points() {
    let zone = zone(&spec("empty.example")).masked(|_| true).unwrap();
    assert_eq!(a(&zone, "2.0.0.127"), "300 127.0.0.2");
    assert_eq!(a(&zone, "1.1.1.1"), "nxdomain");
}

#[test]
fn six_to_four_addresses() {
    let rbldnsd = || {
        let mut spec = spec("bl.example");
        member(&mut spec, "rbl", Use::Block, 5, "$ is bad", |set| {
            hosts(set, &["1.2.3.4"]);
            set.directives.six_to_four = true;
        });
        spec
    };
    let zone_of_one = zone(&rbldnsd());
    let below = nibbles("2002:102:304:5::6");
    assert_eq!(a(&zone_of_one, &below), "300 127.0.0.5");
    assert_eq!(say(&zone_of_one, &below, Rtype::TXT), "300 1.2.3.4 is bad");
    assert_eq!(zone_of_one.behind(&labels(&below)).unwrap(), [Some("rbl")]);
    assert_eq!(a(&zone_of_one, &nibbles("2002:102:305::")), "nxdomain");
    // Each name above it exists, and no name beside it.
    for taken in 1..32 {
        let labels = below.splitn(taken + 1, '.').last().unwrap();
        assert_eq!(a(&zone_of_one, labels), "nodata", "{labels}");
    }
    let beside = nibbles("2002:102:305::");
    assert_eq!(a(&zone_of_one, &beside[2 * 20..]), "nxdomain");
    assert_eq!(a(&zone_of_one, "3.0.0.2"), "nxdomain");
    // IPv6 entries of its own go first.
    let mut both = rbldnsd();
    member(&mut both, "six", Use::Block, 6, "", |set| {
        let value = plain(set);
        set.v6(Span::host(0x2002_0102_0304 << 80), value);
        set.directives.six_to_four = true;
    });
    assert_eq!(a(&zone(&both), &nibbles("2002:102:304::")), "300 127.0.0.6");
    // A list of another kind says nothing of 6to4.
    let mut mixed = rbldnsd();
    member(&mut mixed, "plain", Use::Block, 6, "", |set| hosts(set, &["1.2.3.4"]));
    assert_eq!(a(&zone(&mixed), &below), "nxdomain");
}

#[test]
fn records_of_any_type() {
    let mut spec = spec("bl.example");
    member(&mut spec, "generic", Use::Block, 5, "x", |set| {
        let alias = set.value(&records(5, &[b"\x01b\x00"]));
        set.name(dns_support::name("alias"), Scope::Exact, alias);
        let address = set.value(&records(1, &[&[10, 0, 0, 1]]));
        set.name(dns_support::name("host"), Scope::Exact, address);
    });
    let zone_of_records = zone(&spec);
    assert_eq!(a(&zone_of_records, "alias"), "300 [1, 98, 0]");
    assert_eq!(say(&zone_of_records, "alias", Rtype::TXT), "300 [1, 98, 0]");
    assert_eq!(a(&zone_of_records, "host"), "300 10.0.0.1");
    assert_eq!(say(&zone_of_records, "host", Rtype::TXT), "nodata");
    // Records alone are no block list: no test points.
    assert!(!zone_of_records.snapshot().zone().test_points);
    assert_eq!(a(&zone_of_records, "2.0.0.127"), "nxdomain");
    assert_eq!(a(&zone_of_records, "test"), "nxdomain");
    member(&mut spec, "names", Use::Block, 5, "x", |set| listed_name(set, "spam.example", false));
    assert_eq!(a(&zone(&spec), "test"), "300 127.0.0.2");
}

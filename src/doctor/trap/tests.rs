use super::*;
use crate::client::Record;

const SERIAL: u32 = 7;

fn reply(rcode: Rcode) -> Reply {
    Reply {
        rcode,
        authoritative: false,
        recursive: true,
        same_letters: true,
        truncated: false,
        answers: Vec::new(),
        authorities: Vec::new(),
        edns: true,
    }
}

fn a(addresses: &[[u8; 4]]) -> Reply {
    let record = |address: &[u8; 4]| Record {
        owner: "2.0.0.127.bl.example.".to_owned(),
        rtype: Rtype::A,
        ttl: 300,
        data: Data::A((*address).into()),
    };
    Reply { answers: addresses.iter().map(record).collect(), ..reply(Rcode::NOERROR) }
}

fn nxdomain(owner: &str, primary: &str, serial: u32) -> Reply {
    let data = Data::Other(format!("{primary} {serial} 3600 600 86400 60"));
    let soa = Record { owner: owner.to_owned(), rtype: Rtype::SOA, ttl: 60, data };
    Reply { authorities: vec![soa], ..reply(Rcode::NXDOMAIN) }
}

fn right() -> Reply {
    a(&[[127, 0, 0, 2]])
}

fn ours(serial: u32) -> Reply {
    nxdomain("bl.example.", "ns.bl.example. x.bl.example.", serial)
}

fn silence() -> Result<Reply, ClientError> {
    Err(ClientError::Timeout(([127, 0, 0, 1], 53).into()))
}

struct Case {
    listed: Result<Reply, ClientError>,
    unlisted: Option<Reply>,
    unchecked: Option<Reply>,
    unlisted_unchecked: Option<Reply>,
    kept: Option<Reply>,
    signed: Option<Reply>,
    ttls: Ttls<Option<Ttl>>,
    world: Option<Reply>,
    soa: Option<Reply>,
    is_alive: bool,
    since: u64,
}

fn of(listed: Reply) -> Case {
    Case {
        listed: Ok(listed),
        unlisted: None,
        unchecked: None,
        unlisted_unchecked: None,
        kept: None,
        signed: None,
        ttls: Ttls { listed: None, unlisted: None },
        world: None,
        soa: None,
        is_alive: true,
        since: 3600,
    }
}

fn judged(case: Case) -> Option<Trap> {
    judged_in("bl.example", case)
}

fn judged_in(zone: &str, case: Case) -> Option<Trap> {
    judge(&Observed {
        zone: &zone.parse().unwrap(),
        in_service: InService {
            serial: SERIAL,
            since: Duration::from_secs(case.since),
            ttls: Ttls { listed: 300, unlisted: 60 },
        },
        expected: &[Ipv4Addr::new(127, 0, 0, 2)],
        listed: case.listed,
        unlisted: case.unlisted,
        unchecked: case.unchecked,
        unlisted_unchecked: case.unlisted_unchecked,
        kept: case.kept,
        signed: case.signed,
        ttls: case.ttls,
        authority: Some(("ns.bl.example".parse().unwrap(), "x.bl.example".parse().unwrap())),
        soa: case.soa,
        world: case.world,
        is_alive: case.is_alive,
    })
}

#[test]
fn what_is_right_is_right() {
    assert_eq!(judged(Case { unlisted: Some(ours(SERIAL)), ..of(right()) }), None);
    // dnsmasq says that it has authority and that it recurses.
    assert_eq!(judged(of(Reply { authoritative: true, ..right() })), None);
    // A new serial, and a minute in which the old one may be remembered.
    assert_eq!(judged(Case { unlisted: Some(ours(SERIAL - 1)), since: 60, ..of(right()) }), None);
}

#[test]
fn who_resolves_nothing_else() {
    let asked = |root: Reply| judged(Case { world: Some(root), ..of(right()) });
    assert_eq!(asked(reply(Rcode::REFUSED)), Some(Trap::ResolvesNothingElse));
    assert_eq!(asked(reply(Rcode::SERVFAIL)), None);
    assert_eq!(asked(reply(Rcode::NOERROR)), None);
}

#[test]
fn whose_zone_it_is() {
    let asked = |unlisted: Option<Reply>, soa: Option<Reply>| judged(Case { unlisted, soa, ..of(right()) });
    let others = Some(nxdomain("bl.example.", "ns.old.example. x.bl.example.", SERIAL));
    assert_eq!(asked(others, None), Some(Trap::AsksAnother));
    // It names nobody where it denies: then it is asked.
    let named = |reply: Reply| Reply { rcode: Rcode::NOERROR, answers: reply.authorities, ..right() };
    let nobody = || Some(reply(Rcode::NXDOMAIN));
    assert_eq!(asked(nobody(), Some(named(ours(SERIAL - 1)))), None);
    assert_eq!(asked(nobody(), Some(reply(Rcode::NOERROR))), Some(Trap::AsksAnother));
    assert_eq!(asked(nobody(), Some(reply(Rcode::SERVFAIL))), Some(Trap::AsksAnother));
    assert_eq!(asked(nobody(), None), None);
}

#[test]
fn who_validates_when_asked() {
    let asked = |reply| judged(Case { signed: Some(reply), ..of(right()) });
    assert_eq!(asked(reply(Rcode::SERVFAIL)), Some(Trap::ValidatesWhenAsked));
    assert_eq!(asked(right()), None);
    // What it gets and keeps it need not give: nobody who signs the root could be asked.
    let kept = |has| judged(Case { kept: Some(has), ..of(reply(Rcode::SERVFAIL)) });
    assert_eq!(kept(right()), Some(Trap::Validates));
    assert_eq!(kept(reply(Rcode::NOERROR)), Some(Trap::Unreached));
}

#[test]
fn no_answer_has_four_reasons() {
    let servfail = || of(reply(Rcode::SERVFAIL));
    assert_eq!(judged(servfail()), Some(Trap::Unreached));
    assert_eq!(judged(Case { unchecked: Some(right()), ..servfail() }), Some(Trap::Validates));
    let filtered =
        Case { unlisted: Some(ours(SERIAL)), unchecked: Some(reply(Rcode::SERVFAIL)), ..servfail() };
    assert_eq!(judged(filtered), Some(Trap::RefusesAddress));
    assert_eq!(
        judged(Case { listed: silence(), unchecked: Some(right()), ..servfail() }),
        Some(Trap::Validates)
    );
    assert_eq!(judged(Case { listed: silence(), ..servfail() }), Some(Trap::Unreached));
    assert_eq!(judged(Case { listed: silence(), is_alive: false, ..servfail() }), Some(Trap::Silent));
}

#[test]
fn refused_is_not_one_thing() {
    let refused = || of(reply(Rcode::REFUSED));
    assert_eq!(judged(refused()), Some(Trap::RefusesClient));
    // Knot Resolver's rebinding module.
    assert_eq!(judged(Case { unlisted: Some(ours(SERIAL)), ..refused() }), Some(Trap::RefusesAddress));
    let other = Case { unlisted: Some(reply(Rcode::SERVFAIL)), ..refused() };
    assert_eq!(judged(other), Some(Trap::Unreached));
}

#[test]
fn an_empty_answer_is_a_filters() {
    assert_eq!(judged(of(reply(Rcode::NOERROR))), Some(Trap::EmptiesAnswer));
    let elsewhere = [192, 0, 2, 77];
    assert_eq!(judged(of(a(&[elsewhere]))), Some(Trap::Invents(vec![Data::A(elsewhere.into())])));
    let both = a(&[[127, 0, 0, 2], elsewhere]);
    assert!(matches!(judged(of(both)), Some(Trap::Invents(_))));
    let caught = Case { unlisted: Some(a(&[elsewhere])), ..of(right()) };
    assert_eq!(judged(caught), Some(Trap::Invents(vec![Data::A(elsewhere.into())])));
}

#[test]
fn who_says_that_there_is_no_such_name() {
    let unbound = nxdomain("example.", "localhost. nobody.invalid.", 1);
    assert_eq!(judged(of(unbound)), Some(Trap::BuiltIn));
    let bind = nxdomain("example.", "EXAMPLE. .", 0);
    assert_eq!(judged(of(bind)), Some(Trap::BuiltIn));
    assert_eq!(judged(of(reply(Rcode::NXDOMAIN))), Some(Trap::BuiltIn));
    let root = nxdomain(".", "a.root-servers.net. nstld.verisign-grs.com.", 2_026_010_100);
    assert_eq!(judged(of(root)), Some(Trap::AsksTheWorld(".".to_owned())));
    let own = |primary| Reply { authoritative: true, ..nxdomain("example.", primary, 7) };
    for primary in ["ns.example. x.example.", "example. x.example.", "localhost. root.localhost."] {
        let above = Trap::HasTheZoneAbove("example.".to_owned());
        assert_eq!(judged(of(own(primary))), Some(above), "{primary}");
    }
    assert_eq!(judged(of(own("localhost. nobody.invalid."))), Some(Trap::BuiltIn));
    assert_eq!(judged(of(ours(SERIAL))), Some(Trap::Minimises));
    assert_eq!(judged(of(ours(3))), Some(Trap::Remembers(3)));
    // That the other test point is remembered for too long is the same.
    let remembered = Case { unlisted: Some(ours(3)), since: 63, ..of(right()) };
    assert_eq!(judged(remembered), Some(Trap::Remembers(3)));
}

#[test]
fn what_lasts_too_long() {
    let judged = |listed, unlisted| {
        judged(Case { ttls: Ttls { listed: Some(listed), unlisted: Some(unlisted) }, ..of(right()) })
    };
    let kept = |listed, seconds, says| Some(Trap::Keeps(Kept { listed, seconds, says }));
    assert_eq!(judged(300, 60), None);
    assert_eq!(judged(301, 60), kept(true, 301, 300));
    assert_eq!(judged(12, 61), kept(false, 61, 60));
    assert_eq!(
        (ttl(&right()), ttl(&ours(SERIAL)), ttl(&reply(Rcode::NXDOMAIN))),
        (Some(300), Some(60), None)
    );
}

/// NXDOMAIN for what is listed alone is no zone of its own.
#[test]
fn a_name_that_is_denied_for_its_address() {
    let denied = |listed| judged(Case { unlisted: Some(ours(SERIAL)), ..of(listed) });
    assert_eq!(denied(reply(Rcode::NXDOMAIN)), Some(Trap::DeniesAddress));
    assert_eq!(denied(ours(SERIAL)), Some(Trap::Minimises));
    let none = Case { unlisted: Some(reply(Rcode::NXDOMAIN)), ..of(reply(Rcode::NXDOMAIN)) };
    assert_eq!(judged(none), Some(Trap::BuiltIn));
}

#[test]
fn names_below_localhost() {
    let home = || of(a(&[[127, 0, 0, 1]]));
    assert_eq!(judged_in("bl.localhost", home()), Some(Trap::BuiltIn));
    assert!(matches!(judged(home()), Some(Trap::Invents(_))));
    assert!(matches!(judged_in("bl.localhost", of(a(&[[192, 0, 2, 7]]))), Some(Trap::Invents(_))));
}

#[test]
fn an_authoritative_server_is_no_resolver() {
    let gatepost = || of(Reply { authoritative: true, recursive: false, ..right() });
    let root = |rcode, recursive| Some(Reply { recursive, ..reply(rcode) });
    assert_eq!(judged(Case { world: root(Rcode::REFUSED, false), ..gatepost() }), Some(Trap::IsNoResolver));
    // dnsdist, with a resolver behind it, and with one that is away.
    assert_eq!(judged(Case { world: root(Rcode::NOERROR, true), ..gatepost() }), None);
    assert_eq!(judged(Case { world: root(Rcode::SERVFAIL, false), ..gatepost() }), None);
    assert_eq!(judged(gatepost()), None);
}

#[test]
fn two_traps_at_once() {
    // unbound that validates and takes addresses out: without validation both show.
    let both = Case {
        unchecked: Some(reply(Rcode::NOERROR)),
        unlisted: Some(reply(Rcode::SERVFAIL)),
        unlisted_unchecked: Some(ours(SERIAL)),
        ..of(reply(Rcode::SERVFAIL))
    };
    assert_eq!(judged(both), Some(Trap::ValidatesAndFilters));
}

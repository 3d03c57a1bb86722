//! The pure part: what `parse` reads and where `encode` stops. The rows of the table of replies, with zones behind
//! them, are in `tests/dns_replies.rs`.

use super::*;
use crate::model::Rtype;

const PLAIN: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x02Bl\x07eXample\x00\x00\x10\x00\x01";
const OPT: &[u8] = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00";

fn with_opt(opts: &[&[u8]]) -> Vec<u8> {
    let mut packet = [PLAIN, &opts.concat()].concat();
    packet[11] = opts.len() as u8;
    packet
}

/// A query for a name of 255 octets, class CH.
fn longest(opt: bool) -> Vec<u8> {
    let label = [&[61][..], &[b'a'; 61]].concat();
    let name = [&label.repeat(4)[..], b"\x05abcde\x00"].concat();
    assert_eq!(name.len(), 255);
    let mut packet = [&PLAIN[..12], &name, b"\x00\x10\x00\x03"].concat();
    if opt {
        packet[11] = 1;
        packet.extend_from_slice(OPT);
    }
    packet
}

/// A test's names live as long as the test.
fn parse<'p>(packet: &'p [u8]) -> Result<Query<'p>, Refusal<'p>> {
    super::parse(packet, Box::leak(Box::new(LowerName::ROOT)))
}

#[test]
fn a_query() {
    let query = parse(PLAIN).unwrap();
    assert_eq!((query.id(), query.qtype, query.class, query.opt), (0x1234, Rtype::TXT, class::IN, None));
    assert_eq!(query.name.as_wire(), b"\x02bl\x07example\x00");
    assert_eq!(query.name.ancestry().collect::<Vec<_>>(), [(2, 0), (1, 3), (0, 11)]);
    assert_eq!(query.udp_limit(), 512);
    assert_eq!(query.essence(), PLAIN);
}

#[test]
fn the_longest_name() {
    let packet = longest(false);
    let query = parse(&packet).unwrap();
    assert_eq!(query.name.as_wire().len(), 255);
    assert_eq!(query.name.ancestry().last(), Some((0, 254)));
    let labels = [b'a'; 61];
    let again =
        LowerName::from_labels([&labels[..], &labels, &labels, &labels, b"ABCDE"].into_iter()).unwrap();
    assert_eq!(again.as_wire(), query.name.as_wire());
    let too_long = [&labels[..], &labels, &labels, &labels, b"abcdef"];
    assert!(LowerName::from_labels(too_long.into_iter()).is_none());
    let most = LowerName::from_labels(std::iter::repeat_n(&b"a"[..], 127)).unwrap();
    assert_eq!((most.as_wire().len(), most.ancestry().count()), (255, 128));
    assert!(LowerName::from_labels(std::iter::repeat_n(&b"a"[..], 128)).is_none());
    assert!(LowerName::from_labels([&[b'a'; 64][..]].into_iter()).is_none());
    assert!(LowerName::from_labels([&b""[..]].into_iter()).is_none());
}

#[test]
fn edns() {
    let packet = with_opt(&[OPT]);
    let query = parse(&packet).unwrap();
    assert_eq!(query.opt, Some(Opt { size: 1232, version: 0, dnssec_ok: true, cookie: None }));
    assert_eq!(query.essence(), packet);
    for (size, limit) in [(0, 512), (511, 512), (513, 513), (1232, 1232), (1233, 1232), (65_535, 1232)] {
        let mut packet = packet.clone();
        let at = PLAIN.len() + 3;
        packet[at..at + 2].copy_from_slice(&u16::to_be_bytes(size));
        assert_eq!(parse(&packet).unwrap().udp_limit(), limit, "{size}");
    }
    let mut odd = with_opt(&[OPT]);
    odd.extend_from_slice(b"junk");
    assert_eq!(parse(&odd).unwrap().essence(), packet);
}

#[test]
fn refusals() {
    let rcode = |packet: &[u8]| match parse(packet) {
        Err(Refusal::Answer(denial)) => (denial.rcode, denial.head.len() > 12, denial.opt.is_some()),
        other => panic!("{other:?}"),
    };
    let silence = |packet: &[u8]| match parse(packet) {
        Err(Refusal::Silent(why)) => why,
        other => panic!("{other:?}"),
    };
    let with = |at: usize, octet: u8| {
        let mut packet = PLAIN.to_vec();
        packet[at] = octet;
        packet
    };
    assert_eq!(silence(&PLAIN[..11]), Silence::Short);
    assert_eq!(silence(&with(2, 0x80)), Silence::Response);
    // A response with another opcode or without a question is a response still.
    assert_eq!(silence(&with(2, 0xa8)), Silence::Response);
    assert_eq!(silence(&with(12, 0xc0)), Silence::Question);
    assert_eq!(silence(&with(12, 0x40)), Silence::Question);
    assert_eq!(silence(&PLAIN[..PLAIN.len() - 1]), Silence::Question);
    assert_eq!(rcode(&with(2, 0x28)), (Rcode::NOTIMP, false, false));
    assert_eq!(rcode(&with(5, 0)), (Rcode::FORMERR, false, false));
    assert_eq!(rcode(&with(4, 1)), (Rcode::FORMERR, false, false));
    let mut update = with_opt(&[OPT]);
    update[2] = 0x28;
    assert_eq!(rcode(&update), (Rcode::NOTIMP, false, true), "OPT for OPT");
    let none = [&PLAIN[..4], &[0; 7], &[1], OPT].concat();
    assert_eq!(rcode(&none), (Rcode::FORMERR, false, true), "OPT for OPT");
    let twice = [&PLAIN[..5], &[2, 0, 0, 0, 0, 0, 1], &PLAIN[12..], &PLAIN[12..], OPT].concat();
    assert_eq!(rcode(&twice), (Rcode::FORMERR, false, true), "OPT for OPT");
    assert_eq!(rcode(&twice[..twice.len() - 1]), (Rcode::FORMERR, false, false), "it is cut");
    assert_eq!(rcode(&with(11, 1)), (Rcode::FORMERR, true, false));
    assert_eq!(rcode(&with_opt(&[OPT, OPT])), (Rcode::FORMERR, true, true));
    assert_eq!(rcode(&with(PLAIN.len() - 3, 252)), (Rcode::REFUSED, true, false));
    assert_eq!(rcode(&with(PLAIN.len() - 1, 4)), (Rcode::REFUSED, true, false));
    let mut version = OPT.to_vec();
    version[6] = 1;
    assert_eq!(rcode(&with_opt(&[&version])), (Rcode::BADVERS, true, true));
    // What cannot be read comes before what is not spoken.
    assert_eq!(rcode(&with_opt(&[&version, OPT])), (Rcode::FORMERR, true, true));
}

/// The last octet that fits and the first that does not.
#[test]
fn replies_end_at_the_limit() {
    for opt in [false, true] {
        let packet = longest(opt);
        let query = parse(&packet).unwrap();
        let fits = 512 - 12 - 259 - 13 - if opt { 11 } else { 0 };
        for (len, truncated) in [(fits, false), (fits + 1, true)] {
            let text = "x".repeat(len);
            let mut out = [0xaa; 1232];
            let encoded = encode(&query, &Reply::Version(&text), 512, &mut out);
            assert_eq!(encoded.truncated, truncated, "{len}");
            assert_eq!(out[2] & 0x02 != 0, truncated);
            assert_eq!(encoded.len, if truncated { 271 + if opt { 11 } else { 0 } } else { 512 });
            assert_eq!(out[6..8], [0, u8::from(!truncated)]);
            assert!(out[512..].iter().all(|&octet| octet == 0xaa), "nothing behind the limit is touched");
        }
    }
}

#[test]
fn extended_codes_go_into_opt() {
    let mut opt = OPT.to_vec();
    opt[6] = 3;
    let packet = with_opt(&[&opt]);
    let Err(Refusal::Answer(denial)) = parse(&packet) else { panic!("refused") };
    let mut out = [0; 512];
    let encoded = refuse(&denial, &mut out);
    let reply = &out[..encoded.len];
    assert_eq!(reply[3], 0);
    assert!(reply.ends_with(b"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x00"));
}

/// An OPT record with these options.
fn opt_with(options: &[u8]) -> Vec<u8> {
    let mut opt = OPT.to_vec();
    opt[10] = options.len() as u8;
    [opt, options.to_vec()].concat()
}

#[test]
fn cookies() {
    let client = *b"\x01\x02\x03\x04\x05\x06\x07\x08";
    let option = |server: &[u8]| [&[0, 10, 0, 8 + server.len() as u8], &client[..], server].concat();
    let cookie = |options: &[u8]| parse(&with_opt(&[&opt_with(options)])).map(|query| query.cookie()).ok();
    let mine = Some(Cookie { client, server: Some([7; 16]) });
    assert_eq!(cookie(&option(b"")), Some(Some(Cookie { client, server: None })));
    assert_eq!(cookie(&option(&[7; 16])), Some(mine));
    // Others' cookies, and other options around ours.
    assert_eq!(cookie(&option(&[7; 8])), Some(Some(Cookie { client, server: None })));
    assert_eq!(cookie(&option(&[7; 32])), Some(Some(Cookie { client, server: None })));
    assert_eq!(
        cookie(&[&b"\x00\x03\x00\x00"[..], &option(&[7; 16]), b"\xff\xff\x00\x01x"].concat()),
        Some(mine)
    );
    // The first counts (RFC 7873 section 5.2); no length but these can be.
    assert_eq!(cookie(&[option(&[7; 16]), option(b"")].concat()), Some(mine));
    for wrong in [&b"\x00\x0a\x00\x00"[..], b"\x00\x0a\x00\x07aaaaaaa", &option(&[7; 7]), &option(&[7; 33])] {
        assert_eq!(cookie(wrong), None, "{wrong:?}");
    }

    let packet = with_opt(&[&opt_with(&option(b""))]);
    let mut query = parse(&packet).unwrap();
    let mut out = [0; 512];
    let mut reply = |query: &Query<'_>| {
        let len = encode(query, &Reply::Empty(Rcode::REFUSED, Some(Ede::PROHIBITED)), 512, &mut out).len;
        out[PLAIN.len()..len].to_vec()
    };
    // None is granted: none is sent.
    assert_eq!(reply(&query)[9..], *b"\x00\x06\x00\x0f\x00\x02\x00\x12");
    query.opt.as_mut().unwrap().grant(Some([9; 16]));
    assert_eq!(query.essence()[PLAIN.len() + 11..], option(&[9; 16]));
    let options = [&option(&[9; 16])[..], b"\x00\x0f\x00\x02\x00\x12"].concat();
    assert_eq!(reply(&query)[9..], [&[0, options.len() as u8], &options[..]].concat());
    // Who asks without EDNS is told neither.
    let mut query = parse(PLAIN).unwrap();
    query.opt.iter_mut().for_each(|opt| opt.grant(Some([9; 16])));
    assert_eq!(reply(&query), b"");
    assert_eq!(slip(&query, &mut out).len, PLAIN.len());
    assert_eq!(out[2..4], [0x83, 0]);
}

//! Packets as nobody should send them: what comes back of each program, octet for octet where it matters.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use super::reply::{A, ANY, NS, Said, TXT};
use super::servers::{Folder, Pair};
use super::{Case, Hits};
use crate::common::dns::question;

/// All that must be met at least once.
pub(crate) const ALL: &[&str] = &[
    "AA or TC set in a question: NOTIMP there, answered here",
    "no or several questions: silence there, FORMERR here",
    "another opcode without a whole question: silence there, NOTIMP here",
    "another opcode: opcode, RD and question come back otherwise",
    "records that the header counts and that are not there: ignored there, FORMERR here",
    "EDNS version above 0: ignored there, BADVERS here",
    "OPT twice, misplaced or malformed: ignored there, FORMERR here",
    "OPT for OPT here, above 512 octets only there",
    "an answer of more than 512 octets: records left out and AA cleared there, TC here",
    "an answer between 1232 and 2048 octets: whole there, TC here",
    "class ANY: as IN there, REFUSED here",
    "version.bind: another program",
    "version.bind: flags and response code of the question come back there, AA is set here",
    "version.bind and version.server for ANY are told here only",
    "types 250 to 254 and from 256 on: NOTIMP there",
    "transfers: NOTIMP there, REFUSED here",
    "ANY: every type there, one here (RFC 8482)",
];

/// What came back.
#[derive(Clone, PartialEq, Eq)]
struct Back {
    /// The third and fourth octet of the header.
    flags: [u8; 2],
    /// What stands behind the header as far as the question reached in what was sent, when one is counted.
    question: Vec<u8>,
    said: Option<Said>,
    opt: Option<Vec<u8>>,
    len: usize,
}

impl std::fmt::Debug for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { flags, said, opt, len, .. } = self;
        write!(f, "{len} octets, flags {flags:02x?}, opt {opt:02x?}, {said:?}")
    }
}

/// A packet and what it is called.
struct Sent {
    name: String,
    octets: Vec<u8>,
}

/// A question for something of the zone.
fn ask(below: &str, qtype: u16) -> Vec<u8> {
    let dot = if below.is_empty() { "" } else { "." };
    question(&format!("{below}{dot}packets.peer"), qtype)
}

/// With this done to it.
fn with(mut octets: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut octets);
    octets
}

/// With an OPT record that says this.
fn edns(octets: Vec<u8>, size: u16, version: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    with(octets, |octets| {
        octets[11] += 1;
        octets.extend([0, 0, 41]);
        octets.extend(size.to_be_bytes());
        octets.extend([0, version, flags, 0]);
        octets.extend((data.len() as u16).to_be_bytes());
        octets.extend(data);
    })
}

/// The zone that is asked.
fn case() -> Case {
    let many: String = (0..60).map(|n| format!("1.1.1.9 :{}:\n", n + 2)).collect();
    let more: String = (0..100).map(|n| format!("1.1.1.8 :{}:\n", n + 2)).collect();
    Case::new("packets", "rbldnsd:ip4set", &format!("1.1.1.1 :3:one $\n{many}{more}"))
        .beside("rbldnsd:dnset", ".name :4:$\n")
}

fn all() -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut put = |name: String, octets: Vec<u8>| sent.push(Sent { name, octets });
    let listed = || ask("1.1.1.1", A);
    put("plain".to_owned(), listed());
    // Every value of both flag octets that is a query, and each opcode with each kind of flag.
    for bits in 0..=255 {
        put(format!("flags {bits:02x} 00"), with(listed(), |octets| octets[2] = bits));
        put(format!("flags 00 {bits:02x}"), with(listed(), |octets| octets[3] = bits));
    }
    for count in [0u16, 2, 3, 256, 257, 65535] {
        let octets = with(listed(), |octets| octets[4..6].copy_from_slice(&count.to_be_bytes()));
        put(format!("{count} questions"), octets);
    }
    for len in 0..listed().len() {
        put(format!("cut at {len}"), with(listed(), |octets| octets.truncate(len)));
        put(
            format!("opcode 2, cut at {len}"),
            with(listed(), |octets| {
                octets[2] = 0x10;
                octets.truncate(len);
            }),
        );
    }
    for (at, octet) in
        [(12, 64), (12, 63), (12, 0xc0), (12, 255), (12, 2), (14, 0xc0), (14, 0x40), (20, 0xc0), (20, 1)]
    {
        put(format!("octet {at} is {octet}"), with(listed(), |octets| octets[at] = octet));
    }
    // Names of every length around the limit.
    for len in 228..=245 {
        let label = "x".repeat(59);
        let name = format!("{label}.{label}.{label}.{}", "y".repeat(len - 180));
        put(format!("a name of {len} octets below"), ask(&name, A));
    }
    put("a label of 63".to_owned(), ask(&format!("{}.name", "x".repeat(63)), A));
    put("the root".to_owned(), question("", A));
    put("another name".to_owned(), question("packets.other", A));
    put("a name that ends alike".to_owned(), question("xpackets.peer", A));
    for name in [
        "1.1.1.1.pAcKeTs.PEER",
        "NAME.packets.peer",
        "X.nAmE.Packets.Peer",
        "PACKETS.PEER",
        "1.1.1.2.PACKETS.peer",
    ] {
        for qtype in [A, TXT, NS, 6, 28] {
            put(format!("{name} for {qtype}"), question(name, qtype));
        }
    }
    for tail in [&[0][..], b"trailing octets", &[0xff; 300]] {
        put(format!("{} octets behind it", tail.len()), with(listed(), |octets| octets.extend(tail)));
    }
    // Records in the other sections: whole, and counted only.
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4];
    for section in [7, 9, 11] {
        put(
            format!("a record in section {section}"),
            with(listed(), |octets| {
                octets[section] = 1;
                octets.extend(record);
            }),
        );
        put(format!("a record less in section {section}"), with(listed(), |octets| octets[section] = 1));
        put(
            format!("half a record in section {section}"),
            with(listed(), |octets| {
                octets[section] = 1;
                octets.extend(&record[..7]);
            }),
        );
    }
    for class in [0u16, 1, 2, 3, 4, 254, 255, 256, 65535] {
        let classed = |octets: Vec<u8>| {
            with(octets, |octets| {
                let at = octets.len() - 2;
                octets[at..].copy_from_slice(&class.to_be_bytes());
            })
        };
        put(format!("class {class}"), classed(listed()));
        put(format!("class {class}, not listed"), classed(ask("1.1.1.2", A)));
        put(format!("class {class} at the apex"), classed(ask("", 6)));
        for name in [
            "version.bind",
            "version.server",
            "VERSION.Bind",
            "x.version.bind",
            "authors.bind",
            "hostname.bind",
        ] {
            for qtype in [TXT, A, ANY] {
                put(format!("class {class} {name} for {qtype}"), classed(question(name, qtype)));
            }
        }
        put(
            format!("class {class} version.bind, rcode 3"),
            with(classed(question("version.bind", TXT)), |octets| octets[3] = 0x83),
        );
    }
    for qtype in (0..=300).chain([32768, 32769, 65280, 65535]) {
        for below in ["1.1.1.1", "1.1.1.2", "", "name"] {
            put(format!("type {qtype} of `{below}`"), ask(below, qtype));
        }
        put(format!("type {qtype} outside"), question("outside.example", qtype));
    }
    for size in
        [0, 1, 511, 512, 513, 522, 523, 524, 600, 1000, 1231, 1232, 1233, 1500, 2047, 2048, 2049, 4096, 65535]
    {
        for below in ["1.1.1.1", "1.1.1.2", "9.1.1.1", "8.1.1.1", ""] {
            put(format!("{size} octets for `{below}`"), edns(ask(below, A), size, 0, 0, b""));
        }
    }
    put("60 records".to_owned(), ask("9.1.1.1", A));
    put("60 records of any type".to_owned(), ask("9.1.1.1", ANY));
    put("DO".to_owned(), edns(listed(), 1232, 0, 0x80, b""));
    put("options".to_owned(), edns(listed(), 1232, 0, 0, &[0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 3, 0, 0]));
    put("EDNS 1".to_owned(), edns(listed(), 1232, 1, 0, b""));
    put("EDNS 255".to_owned(), edns(listed(), 1232, 255, 0, b""));
    put("OPT twice".to_owned(), edns(edns(listed(), 1232, 0, 0, b""), 1232, 0, 0, b""));
    put("OPT with half an option".to_owned(), edns(listed(), 1232, 0, 0, &[0, 10, 0, 8, 1]));
    put("OPT as an answer".to_owned(), with(edns(listed(), 1232, 0, 0, b""), |octets| octets.swap(7, 11)));
    put(
        "OPT behind a record".to_owned(),
        edns(
            with(listed(), |octets| {
                octets[11] = 1;
                octets.extend(record);
            }),
            1232,
            0,
            0,
            b"",
        ),
    );
    put(
        "OPT of a name".to_owned(),
        with(edns(listed(), 1232, 0, 0, b""), |octets| {
            let at = octets.len() - 11;
            octets.splice(at..=at, [1, b'x', 0]);
        }),
    );
    put(
        "OPT cut".to_owned(),
        with(edns(listed(), 1232, 0, 0, b""), |octets| {
            octets.pop();
        }),
    );
    sent
}

/// Sends everything to both and compares. Returns the hits and how many packets there were.
pub(crate) fn compare(rbldnsd: &std::path::Path) -> (Hits, usize) {
    let (folder, case) = (Folder::new(), case());
    let pair = Pair::start(rbldnsd, &folder, &super::arguments(std::slice::from_ref(&case), &folder));
    let sent = all();
    let (mut hits, mut faults) = (Hits::new(), Vec::new());
    for (packet, (theirs, ours)) in
        sent.iter().zip(exchange(pair.theirs.address, &sent).zip(exchange(pair.ours.address, &sent)))
    {
        match judge(packet, theirs.as_ref(), ours.as_ref()) {
            Ok(found) => found.into_iter().for_each(|why| *hits.entry(why).or_default() += 1),
            Err(what) => {
                faults.push(format!("{what}: {}\n    there {theirs:?}\n    here  {ours:?}", packet.name));
            }
        }
    }
    let shown = faults.iter().take(30).map(|fault| format!("\n  {fault}")).collect::<String>();
    assert!(faults.is_empty(), "{} differences that are not deliberate:{shown}", faults.len());
    (hits, sent.len())
}

/// What comes back for each. A question that is always answered goes behind each packet: when its reply comes first,
/// there is none.
fn exchange(server: SocketAddr, sent: &[Sent]) -> impl Iterator<Item = Option<Back>> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.connect(server).expect("a local server");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut buffer = vec![0; 65536];
    sent.iter()
        .map(move |packet| {
            let id = |octets: &[u8]| octets.get(..2).map(<[u8]>::to_vec);
            let octets = with(packet.octets.clone(), |octets| {
                octets.iter_mut().take(2).for_each(|octet| *octet = 0x55);
            });
            socket.send(&octets).expect("sent");
            socket.send(&with(ask("1.1.1.1", A), |octets| octets[..2].fill(0xaa))).expect("sent");
            let mut back = None;
            loop {
                let len = socket.recv(&mut buffer).expect("the question behind it is answered");
                let reply = &buffer[..len];
                if id(reply) == Some(vec![0xaa; 2]) {
                    return back;
                }
                assert!(back.is_none() && id(reply) == Some(vec![0x55; 2]), "{}: {reply:02x?}", packet.name);
                back = Some(Back::read(reply, &octets));
            }
        })
        .collect::<Vec<_>>()
        .into_iter()
}

impl Back {
    fn read(reply: &[u8], sent: &[u8]) -> Self {
        let counted = reply[4..6] == [0, 1];
        let end = question_end(sent).filter(|_| counted).unwrap_or(12);
        let opt = (reply[11] > 0 && reply.len() >= 11).then(|| reply[reply.len() - 11..].to_vec());
        Self {
            flags: [reply[2], reply[3]],
            question: reply.get(12..end).unwrap_or_default().to_vec(),
            said: (end > 12)
                .then(|| Said::read(reply, &sent[..end]).unwrap_or_else(|| panic!("{reply:02x?}"))),
            opt: opt.filter(|opt| opt[..3] == [0, 0, 41]),
            len: reply.len(),
        }
    }
}

/// Where the question ends that begins behind the header.
fn question_end(sent: &[u8]) -> Option<usize> {
    let mut at = 12;
    loop {
        match *sent.get(at)? {
            0 => return (at + 5 <= sent.len()).then_some(at + 5),
            len => at += 1 + usize::from(len),
        }
    }
}

/// `Ok`: alike but for these; `Err`: what is not.
fn judge(
    packet: &Sent,
    theirs: Option<&Back>,
    ours: Option<&Back>,
) -> Result<Vec<&'static str>, &'static str> {
    let sent = &packet.octets;
    let end = question_end(sent);
    let tail = end.map_or(&[][..], |end| &sent[end.saturating_sub(4)..end]);
    let (qtype, class) = match tail {
        &[a, b, c, d] => (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])),
        _ => (0, 0),
    };
    let opcode = sent.get(2).map_or(0, |flags| flags & 0x78);
    let why = |index: usize| Ok(vec![ALL[index]]);
    let (theirs, ours) = match (theirs, ours) {
        (None, None) => return Ok(Vec::new()),
        (None, Some(ours)) if sent[4..6] != [0, 1] && opcode == 0 && ours.flags[1] & 15 == 1 => {
            return why(1);
        }
        (None, Some(ours))
            if opcode != 0 && ours.flags[1] & 15 == 4 && (end.is_none() || sent[4..6] != [0, 1]) =>
        {
            return why(2);
        }
        (Some(theirs), Some(ours)) => (theirs, ours),
        _ => return Err("silence"),
    };
    let rcodes = (theirs.flags[1] & 15, ours.flags[1] & 15);
    let answered = |back: &Back| matches!(back.flags[1] & 15, 0 | 3);
    if opcode != 0 {
        let same =
            rcodes == (4, 4) && theirs.flags[0] == 0x80 && ours.flags[0] == 0x80 | opcode | sent[2] & 1;
        return if same { why(3) } else { Err("the answer to another opcode") };
    }
    if sent[2] & 6 != 0 {
        let same = rcodes.0 == 4
            && theirs.flags[0] == 0x80
            && answered(ours)
            && ours.flags[0] & 0x83 == 0x80 | sent[2] & 1;
        return if same { why(0) } else { Err("the answer to AA or TC") };
    }
    if theirs.question != sent[12..end.unwrap_or(12)] || (ours.question != theirs.question) {
        return Err("the question that comes back");
    }
    if class == 3 {
        return version(packet, qtype, theirs, ours);
    }
    let records = sent.len() > end.unwrap_or(0) || sent[6..12] != [0; 6];
    if records && answered(theirs) && rcodes.1 == 1 {
        let opt = sent.windows(3).any(|at| at == [0, 0, 41]) && !packet.name.contains("cut")
            || packet.name.contains("of a name");
        return why(if opt { 6 } else { 4 });
    }
    if packet.name.starts_with("EDNS ") {
        let badvers = answered(theirs) && ours.opt.as_ref().is_some_and(|opt| opt[5] == 1) && rcodes.1 == 0;
        return if badvers { why(5) } else { Err("the answer to another version") };
    }
    let mut found = Vec::new();
    match (&theirs.opt, &ours.opt) {
        (None, None) => {}
        (there, Some(_)) if there.is_none() == (theirs.len <= 512) => found.push(ALL[7]),
        _ => return Err("OPT"),
    }
    if class == 255 {
        return if rcodes.1 == 5 && theirs.flags[0] & 4 == 0 {
            Ok([found, vec![ALL[10]]].concat())
        } else {
            Err("class ANY")
        };
    }
    if rcodes.0 == 4 && matches!(qtype, 251 | 252) && rcodes.1 == 5 {
        return Ok([found, vec![ALL[15]]].concat());
    }
    if rcodes.0 == 4 && matches!(qtype, 250..=254 | 256..) {
        let outside = sent[12..].starts_with(b"\x07outside");
        let answered = if outside { rcodes.1 == 5 } else { answered(ours) };
        return if answered { Ok([found, vec![ALL[14]]].concat()) } else { Err("other types") };
    }
    let (Some(there), Some(here)) = (&theirs.said, &ours.said) else { return Err("what was said") };
    if here.truncated {
        let why = match (there.authoritative, theirs.len) {
            (false, _) => ALL[8],
            (true, 1222..) => ALL[9],
            _ => return Err("TC"),
        };
        return Ok([found, vec![why]].concat());
    }
    if qtype == ANY
        && here.answers.iter().all(|record| there.answers.contains(record))
        && here.answers.len() < there.answers.len()
    {
        return Ok([found, vec![ALL[16]]].concat());
    }
    if theirs.flags != ours.flags {
        return Err("the flags");
    }
    if (there.rcode, &there.answers) != (here.rcode, &here.answers) || there.soa != here.soa {
        return Err("the answer");
    }
    Ok(found)
}

/// Class CH: both tell a version or refuse.
fn version(packet: &Sent, qtype: u16, theirs: &Back, ours: &Back) -> Result<Vec<&'static str>, &'static str> {
    let (there, here) = (theirs.said.as_ref().ok_or("CH")?, ours.said.as_ref().ok_or("CH")?);
    let name = packet.octets[12..].to_ascii_lowercase();
    match (there.answers.is_empty(), here.answers.is_empty()) {
        (true, false) if name.starts_with(b"\x07version") && qtype == ANY => return Ok(vec![ALL[13]]),
        (there, here) if there != here => return Err("whether a version is told"),
        _ => {}
    }
    if here.answers.is_empty() {
        return if (there.rcode, here.rcode) == (5, 5) { Ok(Vec::new()) } else { Err("CH") };
    }
    let mut found = vec![ALL[11]];
    if theirs.flags != ours.flags {
        found.push(ALL[12]);
    }
    Ok(found)
}

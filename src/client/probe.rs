//! The test points of a zone (RFC 5782 section 5), asked over the socket: is this list answering as a list must?

use std::net::Ipv4Addr;

use super::{Client, ClientError, Data, Over, Reply, rcode_name};
use crate::model::{Name, Rtype};
use crate::wire::Rcode;

/// What the test points of a zone said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The zone.
    pub zone: Name,
    /// Each check and its result.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was asked and what has to come, for people.
    pub what: &'static str,
    /// What came instead; `None` when it is right.
    pub wrong: Option<String>,
}

impl Probe {
    /// Whether all is right.
    pub fn is_right(&self) -> bool {
        self.checks.iter().all(|check| check.wrong.is_none())
    }
}

/// A test: what people read, what is asked, and what makes a reply right.
type Test = (&'static str, &'static str, Rtype, fn(&Reply) -> bool);

const POINTS: [Test; 3] = [
    ("127.0.0.2 is listed with A 127.0.0.2 alone", "2.0.0.127", Rtype::A, |reply| {
        reply.rcode == Rcode::NOERROR
            && reply.answers.len() == 1
            && reply.answers[0].data == Data::A(Ipv4Addr::new(127, 0, 0, 2))
    }),
    ("127.0.0.2 has a text", "2.0.0.127", Rtype::TXT, |reply| {
        let is_text =
            |data: &Data| matches!(data, Data::Txt(strings) if strings.iter().any(|s| !s.is_empty()));
        reply.rcode == Rcode::NOERROR && reply.answers.iter().any(|record| is_text(&record.data))
    }),
    ("127.0.0.1 is not listed (NXDOMAIN)", "1.0.0.127", Rtype::A, |reply| {
        reply.rcode == Rcode::NXDOMAIN && reply.answers.is_empty()
    }),
];

const APEX: Test = ("the zone has a start of authority", "", Rtype::SOA, |reply| {
    reply.rcode == Rcode::NOERROR && reply.answers.iter().any(|record| record.rtype == Rtype::SOA)
});

/// Asks `client`'s server for the test points of `zone`. An error means that nothing can be said: no reply came.
pub fn probe(client: &Client, zone: &Name, over: Over) -> Result<Probe, ClientError> {
    probe_with(zone, true, true, |name, rtype| client.ask(name, rtype, over))
}

/// The same for a subzone, which is a list like any other but has no start of authority.
pub fn probe_subzone(client: &Client, zone: &Name, over: Over) -> Result<Probe, ClientError> {
    probe_with(zone, true, false, |name, rtype| client.ask(name, rtype, over))
}

/// Asks by `ask` for what `zone` has: test points, a start of authority.
pub fn probe_with<E>(
    zone: &Name,
    points: bool,
    apex: bool,
    mut ask: impl FnMut(&Name, Rtype) -> Result<Reply, E>,
) -> Result<Probe, E> {
    let mut checks = Vec::new();
    let points = POINTS.into_iter().filter(|_| points);
    for (what, below, rtype, is_right) in points.chain(apex.then_some(APEX)) {
        let name = match below {
            "" => zone.clone(),
            // An origin so long that no address fits below it lists none.
            _ => match below.parse::<Name>().ok().and_then(|name| name.below(zone)) {
                Some(name) => name,
                None => continue,
            },
        };
        let reply = ask(&name, rtype)?;
        let right = reply.authoritative && is_right(&reply);
        checks.push(Check { what, wrong: (!right).then(|| describe(&reply)) });
    }
    Ok(Probe { zone: zone.clone(), checks })
}

fn describe(reply: &Reply) -> String {
    let rcode = rcode_name(reply.rcode);
    let authority = if reply.authoritative { "" } else { ", without authority" };
    let data: Vec<String> = reply.answers.iter().map(|record| record.data.to_string()).collect();
    let records = if data.is_empty() { "no records".to_owned() } else { data.join(", ") };
    format!("{rcode}, {records}{authority}")
}

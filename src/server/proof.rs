//! The test points of a world (RFC 5782 section 5), asked before it is put in service.
//!
//! Each goes the way of a packet, from the octets of a query to those of a reply, but for sockets and access lists: what
//! passes here is answered rightly. Read [`prove`].

use std::net::{IpAddr, Ipv4Addr};

use super::respond::{Moment, Outcome, Transport, respond};
use super::{ReloadError, Served, World};
use crate::client::{ask_directly, probe_with};
use crate::model::Name;
use crate::wire::STREAM_MAX;

/// Asks `world`, which no access list guards yet, for the test points of `zone`, or where it has none for its start of
/// authority. What waits, or has fallen silent, is not asked.
pub(super) fn prove(world: &World, zone: &Name) -> Result<(), ReloadError> {
    let Some(Served::Ready(served)) = world.zone(zone) else { return Ok(()) };
    if served.is_silent() {
        return Ok(());
    }
    let points = served.snapshot().zone().test_points;
    let ask = |name: &Name, rtype| ask_directly(name, rtype, |packet| answer(world, packet));
    let unproven = |what: String| ReloadError::Unproven { zone: zone.clone(), what };
    let probe = probe_with(zone, points, served.base().is_none(), ask).map_err(unproven)?;
    match probe.checks.into_iter().find_map(|check| Some((check.what, check.wrong?))) {
        None => Ok(()),
        Some((what, wrong)) => Err(unproven(format!("{what}: got {wrong}"))),
    }
}

fn answer(world: &World, packet: &[u8]) -> Option<Vec<u8>> {
    const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let mut out = vec![0; STREAM_MAX];
    match respond(world, NOBODY, packet, Transport::Stream, Moment::now(), &mut out) {
        Outcome::Reply { encoded, .. } => {
            out.truncate(encoded.len);
            Some(out)
        }
        Outcome::Silent(_) | Outcome::Denied | Outcome::Limited => None,
    }
}

//! A DNS master file (RFC 1035 section 5): a zone with its subzones, as any DNS server loads it.
//!
//! A wildcard answers for names whose closest ancestor that exists is the name below its `*` (RFC 4592), and for every
//! label that stands there. So a whole /24, /16 or /8 with one answer is a wildcard only where no question for an IPv6
//! address can lead (a label of two digits sees to that), and an IPv6 prefix only below four nibbles, where no question
//! for an IPv4 address leads; everything else is written out. Names that must exist without a record, so that a wildcard
//! ends at them, have one of a private type. Read [`master`] first, then [`part`].

mod part;
mod record;
mod text;

use std::io::Write;

use super::{ExportError, Losses};
use crate::zone::Zone;
use part::Part;
use text::write_host;

/// Writes a zone and its subzones, in one file of the zone; `zones` begins with the zone itself.
pub fn master<D: AsRef<[u8]>>(zones: &[Zone<D>], out: &mut impl Write) -> Result<Losses, ExportError> {
    let mut losses = Losses::default();
    let Some(base) = zones.first() else { return Ok(losses) };
    let data = base.snapshot().zone();
    write!(out, "$ORIGIN ")?;
    write_host(&data.origin, out)?;
    write!(out, "\n@\t{}\tSOA\t", data.soa.ttl)?;
    write_host(&data.soa.mname, out)?;
    write!(out, " ")?;
    write_host(&data.soa.rname, out)?;
    let soa = &data.soa;
    let numbers = [base.authority().serial(), soa.refresh, soa.retry, soa.expire, soa.minimum];
    numbers.iter().try_for_each(|number| write!(out, " {number}"))?;
    writeln!(out)?;
    for host in &data.ns.hosts {
        write!(out, "\t{}\tNS\t", data.ns.ttl)?;
        write_host(host, out)?;
        writeln!(out)?;
    }
    for (index, zone) in zones.iter().enumerate() {
        if index > 0 {
            write!(out, "$ORIGIN ")?;
            write_host(zone.origin(), out)?;
            writeln!(out)?;
        }
        let subzones = zones.iter().filter(|other| other.origin() != zone.origin());
        let subzones = subzones.filter_map(|other| other.origin().relative_to(zone.origin()));
        Part::new(zone, subzones.collect(), out).write(&mut losses)?;
    }
    for (loss, number) in losses.iter() {
        writeln!(out, "; {number} {loss}")?;
    }
    Ok(losses)
}

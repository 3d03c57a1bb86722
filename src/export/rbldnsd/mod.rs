//! rbldnsd's text: one data set of the type combined, whose sections answer in the zone itself or in a subzone.
//!
//! A trie holds one value for a prefix and a section has one TTL. So an answer is taken apart into *rows*, an A value with
//! a text each ([`row`]): the first of every answer stand in one section for each TTL, the second in the next, and so
//! on; whoever reads the file adds the sections up. Spans are disjoint, thus the fewest prefixes that make them up say
//! the same. Names stand in a dnset for each TTL, with `!name` where a wildcard above does not hold, and what is more
//! than A and TXT in a generic.

mod addresses;
mod dnset;
mod escape;
mod generic;
mod row;

use std::io::Write;

use super::{ExportError, Loss, Losses, all, names};
use crate::model::{Name, Ttl};
use crate::snapshot::Snapshot;
use escape::write_name;

/// Sections that a file may have: gatepost reads no more.
const MOST_SECTIONS: usize = 1000;

/// Name servers that a line may have.
const MOST_HOSTS: usize = 32;

/// Writes `snapshot` and its `subzones` as a data set of rbldnsd's type combined, with `serial` in its `$SOA`; 0 is the time of the
/// file.
pub fn rbldnsd<D: AsRef<[u8]>>(
    snapshot: &Snapshot<D>,
    subzones: &[Snapshot<D>],
    serial: u32,
    out: &mut impl Write,
) -> Result<Losses, ExportError> {
    let mut losses = Losses::default();
    head(snapshot, serial, &mut losses, out)?;
    let mut sections = MOST_SECTIONS;
    part(snapshot, &Name::root(), &mut sections, &mut losses, out)?;
    for subzone in subzones {
        if let Some(at) = subzone.zone().origin.relative_to(&snapshot.zone().origin) {
            part(subzone, &at, &mut sections, &mut losses, out)?;
        }
    }
    Ok(losses)
}

/// The sections that answer `at` a subzone, or in the zone itself.
fn part<D: AsRef<[u8]>>(
    snapshot: &Snapshot<D>,
    at: &Name,
    sections: &mut usize,
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    addresses::write(("ip4trie", at), snapshot, || snapshot.v4_spans(all()), sections, losses, out)?;
    let of_v4 = *sections;
    addresses::write(("ip6trie", at), snapshot, || snapshot.v6_spans(all()), sections, losses, out)?;
    let nodes = names::nodes(snapshot)?;
    let records = dnset::write(at, snapshot, &nodes, sections, losses, out)?;
    generic::write(at, snapshot, &records, losses, out)?;
    let six_to_four = snapshot.lists().iter().filter(|list| !list.except).all(|list| list.six_to_four);
    if *sections == of_v4 && records.is_empty() && !six_to_four {
        // Sections of IPv4 alone would answer for 6to4 addresses when gatepost reads them.
        section(("ip6trie", at), None, out)?;
    }
    Ok(())
}

/// Comments, `$SOA`, `$NS`.
fn head<D: AsRef<[u8]>>(
    snapshot: &Snapshot<D>,
    serial: u32,
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let zone = snapshot.zone();
    let (soa, ns) = (&zone.soa, &zone.ns);
    write!(out, "# ")?;
    write_host(&zone.origin, out)?;
    writeln!(out, ", a data set of the type combined, as gatepost exported it")?;
    write!(out, "$SOA {} ", soa.ttl)?;
    write_host(&soa.mname, out)?;
    write!(out, " ")?;
    write_host(&soa.rname, out)?;
    let numbers = [serial, soa.refresh, soa.retry, soa.expire, soa.minimum];
    numbers.iter().try_for_each(|number| write!(out, " {number}"))?;
    write!(out, "\n$NS {}", ns.ttl)?;
    for host in ns.hosts.iter().take(MOST_HOSTS) {
        write!(out, " ")?;
        write_host(host, out)?;
    }
    writeln!(out)?;
    losses.add(Loss::NameServers, ns.hosts.len().saturating_sub(MOST_HOSTS) as u64);
    losses.add(Loss::ZeroTtl, [soa.ttl, ns.ttl].into_iter().filter(|&ttl| ttl == 0).count() as u64);
    Ok(())
}

/// A whole name.
fn write_host(name: &Name, out: &mut impl Write) -> Result<(), ExportError> {
    let wire = name.as_wire();
    match &wire[..wire.len() - 1] {
        [] => write!(out, ".")?,
        labels => write_name(labels, out)?,
    }
    Ok(())
}

/// Begins a section: its type, and the subzone in which it answers; the root for the zone itself.
fn section((kind, at): (&str, &Name), ttl: Option<Ttl>, out: &mut impl Write) -> Result<(), ExportError> {
    write!(out, "$DATASET {kind} ")?;
    match *at == Name::root() {
        true => write!(out, "@")?,
        false => write_host(at, out)?,
    }
    writeln!(out)?;
    if let Some(ttl) = ttl {
        writeln!(out, "$TTL {ttl}")?;
    }
    Ok(())
}

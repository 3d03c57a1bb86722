//! Records of names as a section of a generic.

use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::super::{ExportError, Loss, Losses};
use super::escape::{is_space, write_name};
use super::{section, write_host};
use crate::compile::AnswerId;
use crate::model::{Name, Rtype, Ttl};
use crate::snapshot::{RdataRef, Snapshot};
use crate::zone::{Matched, TextBuf};

/// Writes the answers of these names.
pub(super) fn write<D: AsRef<[u8]>>(
    at: &Name,
    snapshot: &Snapshot<D>,
    names: &[(&[u8], AnswerId)],
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    if names.is_empty() {
        return Ok(());
    }
    section(("generic", at), None, out)?;
    for &(name, answer) in names {
        for set in snapshot.answer(answer)?.record_sets() {
            losses.add(Loss::ZeroTtl, u64::from(set.ttl == 0));
            for data in set.data() {
                match data {
                    RdataRef::Text(pieces) => {
                        let text = TextBuf::fill(pieces, Matched::Name(name));
                        texts(name, set.ttl, &[text.as_bytes()], losses, out)?;
                    }
                    RdataRef::Wire(data) if set.rtype == Rtype::TXT => {
                        texts(name, set.ttl, &strings(data), losses, out)?;
                    }
                    RdataRef::Wire(data) => record(name, set.ttl, set.rtype, data, losses, out)?,
                }
            }
        }
    }
    Ok(())
}

fn begin(name: &[u8], ttl: Ttl, rtype: &str, out: &mut impl Write) -> Result<(), ExportError> {
    match name {
        [] => out.write_all(b"@")?,
        _ => write_name(name, out)?,
    }
    write!(out, " {ttl} {rtype} ")?;
    Ok(())
}

/// A TXT record. Within quotes everything stands for itself, also blanks at the ends, but `" "` parts strings. Without them
/// the line's rest is one string, as it is also when only one of its ends is a quote.
fn texts(
    name: &[u8],
    ttl: Ttl,
    strings: &[&[u8]],
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let has_quotes = strings.iter().any(|string| string.contains(&b'"'));
    let is_whole = |string: &&[u8]| !string.iter().any(|&octet| matches!(octet, 0 | b'\n'));
    let (bare, quotable) = match strings {
        [only] if has_quotes => {
            let is_closed = matches!(only, [b'"', .., b'"']);
            let mut ends = [only.first(), only.last()].into_iter().flatten();
            (!is_closed && !ends.any(|&octet| is_space(octet)), !parts(only))
        }
        _ => (false, !has_quotes),
    };
    if !bare && !quotable || strings.is_empty() || !strings.iter().all(is_whole) {
        losses.add(Loss::Record, 1);
        return Ok(());
    }
    losses.add(Loss::GatepostAlone, u64::from(strings.len() > 1));
    begin(name, ttl, "TXT", out)?;
    for (index, string) in strings.iter().enumerate() {
        let quote: &[u8] = if bare { b"" } else { b"\"" };
        let gap: &[u8] = if index == 0 { b"" } else { b" " };
        out.write_all(&[gap, quote, string, quote].concat())?;
    }
    out.write_all(b"\n")?;
    Ok(())
}

/// Whether a string holds what would part it: a quote, blanks, a quote.
fn parts(string: &[u8]) -> bool {
    let behind_quotes =
        string.iter().enumerate().filter(|(_, octet)| **octet == b'"').map(|(at, _)| &string[at + 1..]);
    behind_quotes.into_iter().any(|rest| {
        let blanks = rest.iter().take_while(|octet| is_space(**octet)).count();
        blanks > 0 && rest.get(blanks) == Some(&b'"')
    })
}

fn strings(mut data: &[u8]) -> Vec<&[u8]> {
    let mut strings = Vec::new();
    while let Some((&len, rest)) = data.split_first() {
        let (string, rest) = rest.split_at(rest.len().min(len.into()));
        strings.push(string);
        data = rest;
    }
    strings
}

fn record(
    name: &[u8],
    ttl: Ttl,
    rtype: Rtype,
    data: &[u8],
    losses: &mut Losses,
    out: &mut impl Write,
) -> Result<(), ExportError> {
    let host = |data: &[u8]| Name::from_wire(data).filter(|host| host.as_wire().len() == data.len());
    match (rtype, data) {
        (Rtype::A, &[a, b, c, d]) => {
            begin(name, ttl, "A", out)?;
            write!(out, "{}", Ipv4Addr::new(a, b, c, d))?;
        }
        (Rtype::AAAA, data) if data.len() == 16 => {
            let address = data.iter().fold(0u128, |address, &octet| address << 8 | u128::from(octet));
            begin(name, ttl, "AAAA", out)?;
            write!(out, "{}", Ipv6Addr::from(address))?;
        }
        (Rtype::MX, &[high, low, ref rest @ ..]) if host(rest).is_some() => {
            begin(name, ttl, "MX", out)?;
            write!(out, "{} ", u16::from_be_bytes([high, low]))?;
            host(rest).iter().try_for_each(|host| write_host(host, out))?;
        }
        (Rtype::CNAME | Rtype::NS, data) if host(data).is_some() => {
            begin(name, ttl, if rtype == Rtype::NS { "NS" } else { "CNAME" }, out)?;
            host(data).iter().try_for_each(|host| write_host(host, out))?;
        }
        _ => {
            losses.add(Loss::Record, 1);
            return Ok(());
        }
    }
    losses.add(Loss::GatepostAlone, u64::from(!matches!(rtype, Rtype::A | Rtype::MX)));
    out.write_all(b"\n")?;
    Ok(())
}

//! A list of addresses, prefixes and names, one a line.

use std::io::Write;

use super::names::{self, Node, is_below, labels};
use super::{ExportError, Loss, Losses, all};
use crate::model::{Address, Span, write_label};
use crate::snapshot::Snapshot;

/// Writes what `snapshot` lists: IPv4, then IPv6, each in order and in the fewest prefixes, then names in the canonical
/// order of DNS (`*.name` holds what is below the name, `.name` both). Reads as the format `plain`, with names as
/// `names`.
pub fn plain<D: AsRef<[u8]>>(snapshot: &Snapshot<D>, out: &mut impl Write) -> Result<Losses, ExportError> {
    // Neighbours with different answers are one prefix here.
    let v4 = snapshot.v4_spans(all()).map(|item| item.map(|item| item.span));
    let v6 = snapshot.v6_spans(all()).map(|item| item.map(|item| item.span));
    addresses(v4, out)?;
    addresses(v6, out)?;
    let mut losses = Losses::default();
    let mut line = String::new();
    // The last name written together with all below it.
    let mut wildcard: Option<&[u8]> = None;
    for Node { labels: name, exact, below, .. } in names::nodes(snapshot)? {
        if wildcard.is_some_and(|above| is_below(name, above)) {
            losses.add(Loss::Exclusions, u64::from(exact.is_none() || below.is_none()));
            continue;
        }
        let sign = match (exact, below) {
            (Some(_), Some(_)) => ".",
            (None, Some(_)) => "*.",
            (Some(_), None) => "",
            (None, None) => continue,
        };
        if !is_host_name(name) {
            losses.add(Loss::Names, 1);
            continue;
        }
        line.clear();
        for label in labels(name) {
            line.push('.');
            let _ = write_label(label, &mut line);
        }
        writeln!(out, "{sign}{}", &line[1..])?;
        wildcard = below.map(|_| name).or(wildcard);
    }
    Ok(losses)
}

fn addresses<A: Address, E>(
    spans: impl Iterator<Item = Result<Span<A>, E>>,
    out: &mut impl Write,
) -> Result<(), ExportError>
where
    ExportError: From<E>,
{
    let mut open: Option<Span<A>> = None;
    let write = |span: Option<Span<A>>, out: &mut dyn Write| {
        span.into_iter().flat_map(Span::prefixes).try_for_each(|prefix| writeln!(out, "{prefix}"))
    };
    for span in spans {
        let span = span?;
        match &mut open {
            Some(open) if open.last.next() == Some(span.first) => open.last = span.last,
            open => write(open.replace(span), out)?,
        }
    }
    Ok(write(open, out)?)
}

/// As the format `names` reads one: letters, digits, `-` and `_`, not numbers alone.
fn is_host_name(name: &[u8]) -> bool {
    let is_plain = |label: &[u8]| label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let is_number = |label: &[u8]| match label {
        [b'0', b'x', hex @ ..] => hex.iter().all(u8::is_ascii_hexdigit),
        _ => label.iter().all(u8::is_ascii_digit),
    };
    !name.is_empty() && labels(name).all(is_plain) && !labels(name).all(is_number)
}

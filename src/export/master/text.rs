//! Names and texts as master files hold them (RFC 1035 section 5.1).

use std::io::{self, Write};

use super::super::names::labels;
use crate::model::Name;

/// A whole name, with its last dot.
pub(super) fn write_host(name: &Name, out: &mut impl Write) -> io::Result<()> {
    let wire = name.as_wire();
    write_owner(&wire[..wire.len() - 1], out)?;
    out.write_all(b".")
}

/// A name relative to the origin in force, from its labels in wire form; none of them: nothing. The label `*` is a
/// wildcard.
pub(super) fn write_owner(name: &[u8], out: &mut impl Write) -> io::Result<()> {
    for (index, label) in labels(name).enumerate() {
        if index > 0 {
            out.write_all(b".")?;
        }
        for &octet in label {
            match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'*' => out.write_all(&[octet])?,
                _ => write!(out, "\\{octet:03}")?,
            }
        }
    }
    Ok(())
}

/// A character-string in quotes.
pub(super) fn write_string(string: &[u8], out: &mut impl Write) -> io::Result<()> {
    out.write_all(b"\"")?;
    for &octet in string {
        match octet {
            b'"' | b'\\' => out.write_all(&[b'\\', octet])?,
            b' '..=b'~' => out.write_all(&[octet])?,
            _ => write!(out, "\\{octet:03}")?,
        }
    }
    out.write_all(b"\"")
}

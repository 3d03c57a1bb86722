//! The query log: a line for every query that got a reply, as rbldnsd writes it.
//!
//! `epoch client name TYPE CLASS: RCODE/answers/octets`. A worker collects the lines of a batch and hands them over at
//! once ([`QueryLog::put`]), so that the log costs a lock a batch. Never: queries without a reply, what an answer says.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::fcntl::OFlag;

use crate::model::Rtype;

/// Octets that are kept before they are written, unless each batch is.
const BUFFER: usize = 1 << 16;

/// Where lines go.
pub struct QueryLog {
    out: Mutex<Out>,
    /// Nothing is kept back.
    unbuffered: bool,
}

struct Out {
    to: Box<dyn Write + Send>,
    kept: Vec<u8>,
    /// Writing has failed and that was said.
    failed: bool,
}

impl std::fmt::Debug for QueryLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QueryLog").field("unbuffered", &self.unbuffered).finish_non_exhaustive()
    }
}

impl QueryLog {
    /// A log that writes to `to`; `unbuffered`: each batch at once.
    pub fn new(to: Box<dyn Write + Send>, unbuffered: bool) -> Self {
        Self { out: Mutex::new(Out { to, kept: Vec::new(), failed: false }), unbuffered }
    }

    /// Takes whole lines over.
    pub fn put(&self, lines: &[u8]) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.kept.extend_from_slice(lines);
        if self.unbuffered || out.kept.len() >= BUFFER {
            out.write();
        }
    }

    /// Writes what is kept.
    pub fn flush(&self) {
        self.out.lock().unwrap_or_else(PoisonError::into_inner).write();
    }

    /// Writes what is kept, and goes on in another place.
    pub fn reopen(&self, to: Box<dyn Write + Send>) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write();
        out.to = to;
        out.failed = false;
    }
}

impl Out {
    /// A log that cannot be written must not hold up answers: its lines are lost, which is said once.
    fn write(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        let written = self.to.write_all(&self.kept).and_then(|()| self.to.flush());
        self.kept.clear();
        if let Err(error) = written
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!(%error, "the query log cannot be written; lines are lost");
        }
    }
}

impl Drop for QueryLog {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Adds the line of a query and its reply to `lines`. A reply without a question in it (to what could not be read) has
/// no line.
pub(super) fn line(lines: &mut Vec<u8>, client: IpAddr, reply: &[u8]) {
    let _ = add(lines, client, reply);
}

fn add(lines: &mut Vec<u8>, client: IpAddr, reply: &[u8]) -> Option<()> {
    let question = reply.get(12..).filter(|_| reply[4..6] == [0, 1])?;
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut text = String::with_capacity(96);
    let _ = write!(text, "{epoch} {} ", client.to_canonical());
    let rest = name(&mut text, question)?;
    let [type_high, type_low, class_high, class_low] = *rest.first_chunk()?;
    let _ = writeln!(
        text,
        " {} {}: {}/{}/{}",
        type_name(Rtype(u16::from_be_bytes([type_high, type_low]))),
        class(u16::from_be_bytes([class_high, class_low])),
        rcode(reply[3] & 0x0f),
        u16::from_be_bytes([reply[6], reply[7]]),
        reply.len(),
    );
    lines.extend_from_slice(text.as_bytes());
    Some(())
}

/// A name as it was asked, in master-file form without the final dot; what follows it.
fn name<'a>(text: &mut String, wire: &'a [u8]) -> Option<&'a [u8]> {
    let mut rest = wire;
    let mut first = true;
    loop {
        let (&len, tail) = rest.split_first()?;
        if len == 0 {
            if first {
                text.push('.');
            }
            return Some(tail);
        }
        let (label, tail) = tail.split_at_checked(len.into())?;
        if !std::mem::take(&mut first) {
            text.push('.');
        }
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b'@' | b'$' | b';' => {
                    text.push('\\');
                    text.push(octet.into());
                }
                0x21..=0x7e => text.push(octet.into()),
                _ => drop(write!(text, "\\{octet:03}")),
            }
        }
        rest = tail;
    }
}

/// The names that rbldnsd has; types that came later are `typeN` there as well.
pub(super) fn type_name(rtype: Rtype) -> String {
    let known = match rtype.0 {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        20 => "ISDN",
        28 => "AAAA",
        29 => "LOC",
        33 => "SRV",
        35 => "NAPTR",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        other => return format!("type{other}"),
    };
    known.to_owned()
}

fn class(code: u16) -> String {
    match code {
        1 => "IN".to_owned(),
        3 => "CH".to_owned(),
        4 => "HS".to_owned(),
        255 => "ANY".to_owned(),
        other => format!("class{other}"),
    }
}

fn rcode(code: u8) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMPL",
        5 => "REFUSED",
        _ => "OTHER",
    }
}

/// Opens a log file for appending, with the rights that the process's mask leaves. Waits for nobody: a named pipe that
/// has no reader cannot be opened.
pub fn append_to(path: &Path) -> io::Result<Box<dyn Write + Send>> {
    let flags = OFlag::O_NONBLOCK.bits();
    Ok(Box::new(File::options().append(true).create(true).custom_flags(flags).open(path)?))
}

//! `gatepost lookup`: who has this address, prefix or name, and why.
//!
//! Reads the store as the server reads it; needs no running server. `find` asks the zones, `lists` the lists,
//! `show` tells.

mod find;
mod lists;
mod show;

use std::io::Write;

use anyhow::anyhow;

use super::failure::{Usage, is_broken_pipe};
use super::locate::EitherArgs;
use super::logs;
use super::output::{json, out};
use super::view::View;
use crate::error::ExitStatus;
use crate::model::{AddrError, Address, Span, Subject};
use find::Found;

/// Show which zones and lists have an address, a prefix or a name, and why
///
/// For an address or a name: what each zone answers, and of each list the entry as published, its value and text. For
/// a prefix: what is listed inside it. Reads the store; needs no running server.
///
/// Exit codes: 0 not listed, 1 listed, 2 usage, 3 cannot tell (a zone that might list it has no data).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost lookup 192.0.2.7
  gatepost lookup 2001:db8::25
  gatepost lookup 192.0.2.0/24                 your own network: is anybody in it listed?
  gatepost lookup spam.example                 in lists of names
  gatepost lookup 192.0.2.7 --json | jq '.lists[].list'")]
pub(crate) struct Args {
    /// IPv4 or IPv6 address, prefix, or name
    what: String,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Of a prefix: show so many spans of each zone at most
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    most: usize,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let subject = subject(&args.what)?;
    let view = View::of(args.from.read()?)?;
    let found = find::find(&view, &subject, args.most)?;
    match print(args.json, &found) {
        // What was found is found, however little of it somebody wanted to read.
        Err(error) if !is_broken_pipe(&error) => Err(error),
        _ => Ok(found.status()),
    }
}

fn print(as_json: bool, found: &Found) -> anyhow::Result<()> {
    let mut out = out();
    if as_json {
        json(&mut out, found)?;
    } else {
        show::write(found, &mut out)?;
    }
    Ok(out.flush()?)
}

/// What is meant; IPv4 in IPv6's clothes (`::ffff:192.0.2.7`) is that IPv4 address, as in a question.
fn subject(text: &str) -> anyhow::Result<Subject> {
    let refused = |error: AddrError| {
        let help = match error {
            AddrError::HostBits => {
                let network = text.split_once('/').and_then(|(address, len)| {
                    let len: u8 = len.parse().ok()?;
                    match address.parse::<std::net::IpAddr>().ok()? {
                        std::net::IpAddr::V4(v4) => Some(u32::from(v4).prefix(len).to_string()),
                        std::net::IpAddr::V6(v6) => Some(u128::from(v6).prefix(len).to_string()),
                    }
                });
                network.map_or_else(String::new, |network| format!("; did you mean {network}?"))
            }
            _ => String::new(),
        };
        anyhow!(Usage(format!("`{text}`: {error}{help}")))
    };
    let subject: Subject = text.trim().parse().map_err(refused)?;
    const MAPPED: Span<u128> = Span { first: 0xffff_0000_0000, last: 0xffff_ffff_ffff };
    Ok(match subject {
        Subject::V6(span) if MAPPED.contains(span.first) && MAPPED.contains(span.last) => {
            Subject::V4(Span { first: span.first as u32, last: span.last as u32 })
        }
        subject => subject,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant() {
        assert_eq!(subject("192.0.2.7").unwrap().to_string(), "192.0.2.7");
        assert_eq!(subject("::ffff:192.0.2.7").unwrap().to_string(), "192.0.2.7");
        assert_eq!(subject("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        let error = subject("192.0.2.7/24").unwrap_err().to_string();
        assert!(error.contains("did you mean 192.0.2.0/24?"), "{error}");
        assert!(subject("192.0.2.7/24").unwrap_err().is::<Usage>());
        assert!(subject("not a name").is_err());
    }
}

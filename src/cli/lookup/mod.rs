//! `gatepost lookup`: who has this address, prefix or name, and why.
//!
//! Reads the store as the server reads it, local decisions included; needs no running server. `find` asks the zones, `lists` the
//! lists, `since` and `history` how the lists came to be what they are, `show` tells.

mod find;
mod history;
mod lists;
mod show;
mod since;

use std::io::Write;

use anyhow::anyhow;

use super::failure::{Usage, is_broken_pipe};
use super::locate::EitherArgs;
use super::logs;
use super::output::{json, out};
use super::view::{View, ZoneView};
use crate::error::ExitStatus;
use crate::model::{AddrError, Address, Name, Span, Subject, parse_ipv4};
use crate::zone::{Nibbles, Octets, Question};
use find::Found;

/// Show which zones and lists have an address, a prefix or a name, and why
///
/// For an address or a name: what each zone answers, and of each list the entry as published, its value and text, since
/// when it is there, which fetch brought it, and where to get off. For a prefix: what is listed inside it. Reads the
/// store; needs no running server.
///
/// Exit codes: 0 not listed, 1 listed, 2 usage, 3 cannot tell (a zone that might list it has no data).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost lookup 192.0.2.7
  gatepost lookup 2001:db8::25
  gatepost lookup 192.0.2.0/24                 your own network: is anybody in it listed?
  gatepost lookup spam.example                 in lists of names
  gatepost lookup 7.2.0.192.bl.example.net     as a mail log shows it
  gatepost lookup 192.0.2.7 --history          when it came and went
  gatepost lookup 192.0.2.7 --json | jq '.lists[].list'")]
pub(crate) struct Args {
    /// IPv4 or IPv6 address, prefix, or name
    what: String,
    #[command(flatten)]
    from: EitherArgs,
    /// Show when it came into each list and went, as far back as that is kept
    #[arg(long)]
    history: bool,
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
    let subject = asked_of(view.zones.iter().map(ZoneView::origin), subject);
    let mut found = find::find(&view, &subject, args.most);
    if args.history {
        found.history = Some(history::history(&view, &subject, &mut found.unreadable));
    }
    match print(args.json, &view, &found) {
        // What was found is found, however little of it somebody wanted to read.
        Err(error) if !is_broken_pipe(&error) => Err(error),
        _ => Ok(found.status()),
    }
}

/// A name below a zone's origin, as mail logs and resolvers show it, is the question that it spells.
pub(crate) fn asked_of<'a>(origins: impl Iterator<Item = &'a Name>, subject: Subject) -> Subject {
    let Subject::Name(name) = &subject else { return subject };
    let origins = origins.filter(|origin| name.is_in(origin));
    let Some(origin) = origins.max_by_key(|origin| origin.as_wire().len()) else { return subject };
    let wire = name.as_wire();
    let labels = &wire[..wire.len() - origin.as_wire().len()];
    let question = Question::read(labels);
    if let Some(v4) = question.octets.and_then(Octets::address) {
        return Subject::V4(Span::host(v4));
    }
    if let Some(v6) = question.nibbles.and_then(Nibbles::address) {
        return Subject::V6(Span::host(v6));
    }
    match Name::from_wire(&[labels, &[0]].concat()) {
        Some(below) if below != Name::root() => Subject::Name(below),
        _ => subject,
    }
}

fn print(as_json: bool, view: &View, found: &Found) -> anyhow::Result<()> {
    let mut out = out();
    if as_json {
        json(&mut out, found)?;
    } else {
        show::write(found, &view.now, &mut out)?;
    }
    Ok(out.flush()?)
}

/// What is meant; IPv4 in IPv6's clothes (`::ffff:192.0.2.7`) is that IPv4 address, as in a question.
pub(crate) fn subject(text: &str) -> anyhow::Result<Subject> {
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
    match text.trim().parse().map_err(refused)? {
        Subject::Name(_) if looks_like_addresses(text.trim()) => {
            let help = range(text.trim()).map_or_else(String::new, |help| format!("; {help}"));
            Err(anyhow!(Usage(format!(
                "`{text}` looks like addresses and is none: expected an address as 192.0.2.7 or 2001:db8::7, a prefix as \
                 192.0.2.0/24, or a name{help}"
            ))))
        }
        subject => Ok(subject.unmapped()),
    }
}

/// No host is called so (the last label of a name is no number): a range, or an address in a form that some programs take.
fn looks_like_addresses(text: &str) -> bool {
    let is_number = |part: &str| match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
        Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
        None => part.bytes().all(|b| b.is_ascii_digit()),
    };
    text.split(['.', '-']).all(is_number) && text.bytes().any(|b| b.is_ascii_digit())
}

/// What a range is in prefixes.
fn range(text: &str) -> Option<String> {
    /// So many are typed by hand.
    const SHOWN: usize = 12;
    let (first, last) = text.split_once('-')?;
    let address = |text: &str| parse_ipv4(text.trim().as_bytes()).ok();
    let prefixes: Vec<String> = Span::new(address(first)?, address(last)?)?
        .prefixes()
        .take(SHOWN + 1)
        .map(|span| span.to_string())
        .collect();
    let more = if prefixes.len() > SHOWN { " …" } else { "" };
    Some(format!("that range is {}{more}", prefixes[..prefixes.len().min(SHOWN)].join(" ")))
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
        for bad in [
            "1.2.3.0-1.2.3.9",
            "1.2.3.0-9",
            "0x7f.1",
            "0x7f000001",
            "0X7F.0.0.1",
            "1.2-3",
            "1.2.3.9-1.2.3.0",
            "1.2.3.4-",
        ] {
            let error = subject(bad).unwrap_err();
            assert!(
                error.is::<Usage>() && error.to_string().contains("expected an address"),
                "{bad}: {error}"
            );
        }
        let error = subject("1.2.3.0-1.2.3.9").unwrap_err().to_string();
        assert!(error.ends_with("; that range is 1.2.3.0/29 1.2.3.8/31"), "{error}");
        let many = subject("1.0.0.1-2.255.255.254").unwrap_err().to_string();
        assert!(many.ends_with(" …"), "{many}");
        for good in ["1-2.example", "0x7f.example", "7.2.0.192.bl.example", "xn--1.de", "0xyz.1a"] {
            assert!(matches!(subject(good).unwrap(), Subject::Name(_)), "{good}");
        }
    }
}

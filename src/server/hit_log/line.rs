//! From a listing to its line.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;

use super::Record;
use crate::config::ShownClients;
use crate::model::{Name, Rtype};
use crate::server::World;
use crate::server::query_log::type_name;
use crate::server::respond::{Behind, behind};
use crate::wire::Contents;

/// Adds the line of a listing. The lists are those that would list the name now: for the moment after a new generation
/// they may be others than those that did, and `-` when none is left.
pub(super) fn add(lines: &mut String, world: &World, clients: ShownClients, record: &Record<'_>) {
    // Every listing was an answer to a question.
    let Some(contents) = Contents::read(record.reply) else { return };
    let Some(name) = Name::from_wire(contents.name.as_wire()) else { return };
    let Ok(at) = Timestamp::from_second(record.wall.into()) else { return };
    let _ = write!(lines, "{at} ");
    add_client(lines, clients, record.client);
    let _ = write!(lines, " {name} {} ", type_name(contents.qtype).to_ascii_uppercase());
    match behind(world, record.client, &contents.name) {
        Behind::Access => lines.push_str("(access)"),
        Behind::Lists(lists) => {
            add_all(lines, lists.iter(), |lines, list| lines.push_str(list.unwrap_or("(test-point)")));
        }
    }
    lines.push(' ');
    add_all(lines, contents.answers(), |lines, (rtype, data)| add_answer(lines, rtype, data));
    lines.push('\n');
}

fn add_all<T>(lines: &mut String, items: impl Iterator<Item = T>, add: impl Fn(&mut String, T)) {
    let mut is_first = true;
    for item in items {
        if !std::mem::take(&mut is_first) {
            lines.push(',');
        }
        add(lines, item);
    }
    if is_first {
        lines.push('-');
    }
}

fn add_client(lines: &mut String, clients: ShownClients, client: IpAddr) {
    let _ = match (clients, client) {
        (ShownClients::Whole, client) => write!(lines, "{client}"),
        (ShownClients::Network, IpAddr::V4(v4)) => {
            write!(lines, "{}/24", Ipv4Addr::from(u32::from(v4) & u32::MAX << 8))
        }
        (ShownClients::Network, IpAddr::V6(v6)) => {
            write!(lines, "{}/48", Ipv6Addr::from(u128::from(v6) & u128::MAX << 80))
        }
        (ShownClients::None, _) => write!(lines, "-"),
    };
}

/// Addresses as they are, texts in quotes, of anything else the type.
fn add_answer(lines: &mut String, rtype: Rtype, data: &[u8]) {
    let _ = match (rtype, data) {
        (Rtype::A, &[a, b, c, d]) => write!(lines, "{}", Ipv4Addr::new(a, b, c, d)),
        (Rtype::TXT, strings) => return add_strings(lines, strings),
        (rtype, _) => write!(lines, "({})", type_name(rtype).to_ascii_uppercase()),
    };
}

/// The strings of a TXT record, as in a zone file.
fn add_strings(lines: &mut String, mut strings: &[u8]) {
    let mut is_first = true;
    while let Some((string, rest)) =
        strings.split_first().and_then(|(&len, rest)| rest.split_at_checked(len.into()))
    {
        strings = rest;
        lines.push_str(if std::mem::take(&mut is_first) { "\"" } else { " \"" });
        for &octet in string {
            match octet {
                b'"' | b'\\' => lines.extend(['\\', char::from(octet)]),
                b' '..=b'~' => lines.push(char::from(octet)),
                _ => drop(write!(lines, "\\{octet:03}")),
            }
        }
        lines.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(clients: ShownClients, client: &str, answers: &[(u16, &[u8])]) -> String {
        let mut reply = [0, 0, 0x84, 0, 0, 1, 0, answers.len() as u8, 0, 0, 0, 0].to_vec();
        reply.extend_from_slice(b"\x04a b\n\x04LIST\x00\x00\x41\x00\x01");
        for (rtype, data) in answers {
            reply.extend_from_slice(b"\xc0\x0c");
            reply.extend_from_slice(&rtype.to_be_bytes());
            reply.extend_from_slice(&[0, 1, 0, 0, 1, 44, 0, data.len() as u8]);
            reply.extend_from_slice(data);
        }
        let mut lines = String::new();
        let record = Record { wall: 1_796_058_000, client: client.parse().unwrap(), reply: &reply };
        add(&mut lines, &World::new([], None, None), clients, &record);
        lines
    }

    #[test]
    fn clients_are_shown_as_configured() {
        for (clients, client, shown) in [
            (ShownClients::Whole, "192.0.2.77", "192.0.2.77"),
            (ShownClients::Network, "192.0.2.77", "192.0.2.0/24"),
            (ShownClients::Whole, "2001:db8:1:2::3", "2001:db8:1:2::3"),
            (ShownClients::Network, "2001:db8:1:2::3", "2001:db8:1::/48"),
            (ShownClients::None, "2001:db8:1:2::3", "-"),
        ] {
            let expected = format!("2026-11-30T17:00:00Z {shown} a\\032b\\010.list TYPE65 - -\n");
            assert_eq!(line(clients, client, &[]), expected);
        }
    }

    #[test]
    fn answers_stay_in_their_line() {
        let answers: [(u16, &[u8]); 4] =
            [(1, &[127, 0, 0, 2]), (1, &[127]), (16, b"\x05a\"\\\nb\x02cd"), (15, &[0, 10, 0])];
        let line = line(ShownClients::None, "::1", &answers);
        assert!(line.ends_with(" - 127.0.0.2,(A),\"a\\\"\\\\\\010b\" \"cd\",(MX)\n"), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}

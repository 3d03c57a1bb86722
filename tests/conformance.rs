//! DNS as the standards have it: every scenario of `tests/scenarios`, over every transport, and what NSD and Knot answer
//! on the same zones.
#![cfg(feature = "full")]

mod common;
mod dns_support;
mod knot_support;
mod nsd_support;
mod scenario_support;
mod stream_support;

use std::fs;
use std::path::Path;

use common::say;
use scenario_support::message::{self, FIELDS};
use scenario_support::servers::{Gatepost, Running, Way};
use scenario_support::{Book, Peer, Reply, Scenario, page};

/// What is said to a scenario in one way.
fn reply(way: &Way<'_>, scenario: &Scenario) -> Result<Reply, String> {
    let octets = way.ask(&scenario.asked.octets, scenario.asked.first.as_deref());
    octets.map(|octets| message::read(&octets, &scenario.asked.octets)).transpose()
}

/// A reply as a scenario file has it.
fn shown(reply: &Result<Reply, String>) -> String {
    match reply {
        Err(why) => format!("    no message: {why}\n"),
        Ok(None) => "    reply nothing\n".to_owned(),
        Ok(Some(lines)) => FIELDS
            .iter()
            .flat_map(|field| lines.get(field).into_iter().flatten().map(move |line| (field, line)))
            .map(|(field, line)| format!("    {field} {line}\n"))
            .collect(),
    }
}

/// What is wrong with a reply; `choice`: why it is not `ours`.
fn fault(expected: &Reply, ours: &Reply, is_choice: bool, said: &Result<Reply, String>) -> Option<String> {
    if said.as_ref() == Ok(expected) {
        return None;
    }
    let what = if !is_choice {
        "does not answer as expected, and nothing says why"
    } else if said.as_ref() == Ok(ours) {
        "answers as gatepost: the choice no longer applies"
    } else {
        "does not answer as the choice says"
    };
    Some(format!("{what}:\n{}expected:\n{}", shown(said), shown(&Ok(expected.clone()))))
}

#[test]
fn every_scenario_everywhere() {
    let book = Book::read();
    let mut faults = page::complaints(&book);
    let gatepost = Gatepost::start();
    let (mut exchanges, mut silent) = (0, 0);
    for scenario in &book.scenarios {
        for (number, (name, way)) in gatepost.ways().into_iter().enumerate() {
            if !scenario.over[number.min(1)] {
                continue;
            }
            exchanges += 1;
            let said = reply(&way, scenario);
            let expected = &scenario.expected;
            silent += u32::from(expected.is_none());
            let wrong = fault(expected, expected, false, &said);
            faults.extend(wrong.map(|wrong| {
                format!("{} {}: gatepost over {name} {wrong}", scenario.place, scenario.title)
            }));
        }
    }
    gatepost.stop();
    say(&format!(
        "conformance: {} scenarios over UDP, TCP, TLS and HTTPS: {exchanges} exchanges, {silent} of them without a reply",
        book.scenarios.len()
    ));
    let mut asked = Vec::new();
    for peer in Peer::ALL {
        let Some(running) = Running::start(peer, "every_scenario_everywhere") else { continue };
        asked.push(peer);
        let mut differ = 0;
        for scenario in &book.scenarios {
            for (transport, way) in running.ways().iter().enumerate() {
                if !scenario.over[transport] {
                    continue;
                }
                let (expected, difference) = scenario.of(peer, transport);
                differ += u32::from(difference.is_some());
                let said = reply(way, scenario);
                let wrong = fault(expected, &scenario.expected, difference.is_some(), &said);
                let over = ["UDP", "TCP"][transport];
                faults.extend(wrong.map(|wrong| {
                    format!("{} {}: {peer} over {over} {wrong}", scenario.place, scenario.title)
                }));
            }
        }
        say(&format!("conformance: {peer} over UDP and TCP: {differ} exchanges differ by choice"));
    }
    let shared = book.scenarios.iter().filter(|scenario| scenario.differences.is_empty()).count();
    say(&format!(
        "conformance: {shared} of {} scenarios shared by all of gatepost, NSD, Knot; {} choices explain the others; asked: {asked:?}",
        book.scenarios.len(),
        book.choices.len()
    ));
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_page_has_the_choices() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/protocol.md");
    let page = fs::read_to_string(path).unwrap();
    let table = page::table(&Book::read());
    assert!(page::table_of(&page) == table, "docs/protocol.md should have\n{table}");
}

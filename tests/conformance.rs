//! DNS as the standards have it: every scenario of `tests/scenarios`, over every transport, and what NSD and Knot answer
//! on the same zones.
#![cfg(feature = "full")]

mod common;
mod dns_support;
mod nameserver_support;
mod scenario_support;
mod stream_support;

use std::fs;
use std::path::Path;

use common::{say, skipped};
use scenario_support::message::{self, FIELDS};
use scenario_support::servers::{Gatepost, Running, Way};
use scenario_support::{Book, Peer, Reply, Scenario, page};

/// What is said to a scenario in one way. What is no message is one, `malformed`, so that scenarios can say so.
fn reply(way: &Way<'_>, scenario: &Scenario) -> Reply {
    let octets = way.ask(&scenario.asked.octets, scenario.asked.first.as_deref())?;
    Some(message::read(&octets, &scenario.asked.octets).unwrap_or_else(message::malformed))
}

/// A reply as a scenario file has it.
fn shown(reply: &Reply) -> String {
    let Some(lines) = reply else { return "    reply nothing\n".to_owned() };
    let all =
        FIELDS.iter().flat_map(|field| lines.get(field).into_iter().flatten().map(move |line| (field, line)));
    all.map(|(field, line)| format!("    {field} {line}\n")).collect()
}

/// What is wrong with a reply; `is_choice`: there is a reason why it is not `ours`.
fn fault(expected: &Reply, ours: &Reply, is_choice: bool, said: &Reply) -> Option<String> {
    if said == expected {
        return None;
    }
    let what = if !is_choice {
        "does not answer as expected, and nothing says why"
    } else if said == ours {
        "answers as gatepost: the choice no longer applies"
    } else {
        "does not answer as the choice says"
    };
    Some(format!("{what}:\n{}expected:\n{}", shown(said), shown(expected)))
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
            faults.extend(
                wrong.map(|wrong| {
                    format!("{} {}: gatepost over {name} {wrong}", scenario.place, scenario.title)
                }),
            );
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
        let (version, known) = (Running::version(peer), &book.versions[&peer]);
        asked.push(format!("{peer} {version}"));
        let mut strange = Vec::new();
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
                strange.extend(wrong.map(|wrong| {
                    format!("{} {}: {peer} over {over} {wrong}", scenario.place, scenario.title)
                }));
            }
        }
        say(&format!("conformance: {peer} over UDP and TCP: {differ} exchanges differ by choice"));
        // Another version may have made up its mind otherwise; nobody here is to blame for that.
        if version == *known {
            faults.extend(strange);
        } else if !strange.is_empty() {
            let (count, all) = (strange.len(), strange.join("\n"));
            let why =
                format!("{count} exchanges with {peer} {version}, which are not as with {known}:\n{all}");
            skipped("every_scenario_everywhere", &why);
        }
    }
    let shared = |but: &[&str]| {
        let is_shared = |scenario: &&Scenario| {
            let mut choices = scenario.differences.iter().flat_map(|one| &one.choices);
            choices.all(|choice| but.contains(&&**choice))
        };
        book.scenarios.iter().filter(is_shared).count()
    };
    say(&format!(
        "conformance: {} of {} scenarios shared by all three, {} but for NSD's NS records; {} choices explain the rest; \
         asked: {}",
        shared(&[]),
        book.scenarios.len(),
        shared(&["ns"]),
        book.choices.len(),
        asked.join(", ")
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

/// The checks of this file can fail.
#[test]
fn a_difference_is_found() {
    let said = |text: &str| Some(message::Lines::from([("reply", vec![text.to_owned()])]));
    let (ours, theirs) = (said("NOERROR qr aa"), said("FORMERR qr"));
    assert_eq!(fault(&ours, &ours, false, &ours), None);
    assert_eq!(fault(&theirs, &ours, true, &theirs), None);
    let found = |expected: &Reply, is_choice, said: &Reply| fault(expected, &ours, is_choice, said).unwrap();
    assert!(found(&ours, false, &theirs).contains("nothing says why"));
    assert!(found(&ours, false, &None).contains("reply nothing"));
    assert!(found(&theirs, true, &ours).contains("no longer applies"));
    assert!(found(&theirs, true, &said("REFUSED qr")).contains("as the choice says"));
    let mut book = Book::read();
    assert_eq!(page::complaints(&book), Vec::<String>::new());
    book.choices[0].there = "nobody".to_owned();
    assert_eq!(page::complaints(&book), ["choice ns tells of {}, the scenarios of {Nsd}"]);
    book.choices.remove(0);
    book.scenarios.clear();
    assert_eq!(page::complaints(&book).len(), book.choices.len());
}

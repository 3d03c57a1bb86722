//! The table of choices in `docs/protocol.md`, as the scenarios have it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Book, Peer};

const BEGIN: &str = "<!-- choices: held against tests/scenarios -->\n";
const END: &str = "<!-- end of choices -->";

/// The table that the choices make.
pub(crate) fn table(book: &Book) -> String {
    let mut table = "| asked | gatepost | others | why |\n| --- | --- | --- | --- |\n".to_owned();
    for choice in &book.choices {
        let (asked, here, there, why) = (&choice.asked, &choice.here, &choice.there, &choice.why);
        let _ = writeln!(table, "| {asked} | {here} | {there} | {why} |");
    }
    table
}

/// The table that stands in a page.
pub(crate) fn table_of(page: &str) -> &str {
    let (_, rest) = page.split_once(BEGIN).expect("where the table begins");
    rest.split_once(END).expect("where the table ends").0
}

/// What is wrong with the choices themselves: one that no scenario needs, one that says nothing, one that tells of another
/// peer than the scenarios do.
pub(crate) fn complaints(book: &Book) -> Vec<String> {
    let mut complaints = Vec::new();
    for choice in &book.choices {
        let name = &choice.name;
        if [&choice.asked, &choice.here, &choice.there, &choice.why].iter().any(|text| text.is_empty()) {
            complaints.push(format!("choice {name} leaves something unsaid"));
        }
        let differences = book.scenarios.iter().flat_map(|scenario| &scenario.differences);
        let peers: BTreeSet<Peer> =
            differences.filter(|one| one.choices.contains(name)).map(|one| one.peer).collect();
        let told: BTreeSet<Peer> =
            Peer::ALL.into_iter().filter(|peer| choice.there.contains(&peer.to_string())).collect();
        if peers != told {
            complaints.push(format!("choice {name} tells of {told:?}, the scenarios of {peers:?}"));
        }
    }
    complaints
}

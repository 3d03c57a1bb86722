//! What has a resolver ask gatepost for names that lie below a domain which it answers for itself. Pure.

use super::finding::Cure;
use crate::model::Name;
use crate::snippet::wiring::Wiring;
use crate::snippet::{Program, unbound};

/// Where no line helps.
pub(crate) const ANOTHER_NAME: &str = "give the zone another name, such as one below gatepost.internal, and print `gatepost snippet` again for the resolver and the mail programs";

/// The lines of unbound's that are not in `text` yet.
pub(crate) fn transparent(wiring: &Wiring, text: &str) -> String {
    let lines = wiring.domains.iter().map(unbound::transparent);
    lines.filter(|line| !text.contains(line.trim_end())).collect()
}

/// A zone of the resolver's own, `above`, has no delegation of what gatepost answers. Tried with BIND, which forwards what is delegated, whoever it
/// is delegated to; and with unbound, which does not.
pub(crate) fn cures(above: &str, program: Option<Program>, wiring: &Wiring) -> Vec<Cure> {
    let Ok(above_name) = above.parse::<Name>() else { return Vec::new() };
    let below: Vec<&Name> = wiring.domains.iter().filter(|domain| domain.is_in(&above_name)).collect();
    let bind = || {
        let records = below.iter().map(|domain| format!("{domain}. 300 IN NS localhost."));
        Cure {
            how: format!(
                "BIND: delegate it in the file of the zone `{above}`, raise its serial, then `rndc reload {above}` (where the world asks this server for that zone, too, rather take a name outside it)"
            ),
            lines: records.collect::<Vec<_>>().join("\n"),
        }
    };
    let unbound = || Cure {
        how: format!(
            "unbound: in the `auth-zone` of `{above}`, in the place of a `for-downstream` that is there, then `systemctl restart unbound`"
        ),
        lines: "    for-downstream: no\n    for-upstream: yes".to_owned(),
    };
    let mut cures = match program {
        Some(Program::Bind) => vec![bind()],
        Some(Program::Unbound) => vec![unbound()],
        Some(_) => Vec::new(),
        None => vec![bind(), unbound()],
    };
    cures.push(Cure {
        how: format!("give the zone a name that is not below `{above}`, such as one below gatepost.internal, and print `gatepost snippet` again for the resolver and the mail programs"),
        lines: String::new(),
    });
    cures
}

//! Zones below `localhost`, which resolvers answer by themselves (RFC 6761): what each takes, and who takes none. Pure.

use super::Program;
use super::wiring::Wiring;
use crate::model::Name;

/// What to say of a resolver that cannot be told of such a zone, if there is one.
pub(crate) fn refusal(program: Program, wiring: &Wiring) -> Option<String> {
    let who = match program {
        Program::PdnsRecursor => "PowerDNS recursor",
        Program::SystemdResolved => "systemd-resolved",
        _ => return None,
    };
    let zones: Vec<String> = domains(wiring).map(ToString::to_string).collect();
    if zones.is_empty() {
        return None;
    }
    Some(format!(
        "{}: {who} answers 127.0.0.1 by itself to every name below localhost, whatever it is told; give the zone another name, such \
         as one below gatepost.internal, or take another resolver.",
        zones.join(", ")
    ))
}

/// The names below `localhost` that a resolver is told of.
pub(super) fn domains(wiring: &Wiring) -> impl Iterator<Item = &Name> {
    wiring.domains.iter().filter(|domain| is_below(domain))
}

pub(crate) fn is_below(name: &Name) -> bool {
    name.is_in(&"localhost".parse().expect("a name"))
}

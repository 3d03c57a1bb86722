//! How each trap of a resolver is told: its name, what it looks like, and why it is so. Pure.

use super::keeps;
use super::trap::Trap;
use crate::snippet::Program;

/// How a trap is told.
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) looks_like: String,
    pub(crate) cause: String,
    /// What to do where no line helps.
    pub(crate) otherwise: Option<String>,
}

impl Told {
    /// `loopback`: gatepost answers there.
    pub(crate) fn of(trap: &Trap, program: Option<Program>, loopback: bool) -> Self {
        let told = |name, looks_like: &str, cause: &str| Self {
            name,
            looks_like: looks_like.to_owned(),
            cause: cause.to_owned(),
            otherwise: None,
        };
        let or = |told: Self, otherwise: &str| Self { otherwise: Some(otherwise.to_owned()), ..told };
        match trap {
            Trap::Silent => or(
                told(
                    "resolver-silent",
                    "no reply",
                    "nobody answers at this address of /etc/resolv.conf; every lookup waits for it",
                ),
                "start it, or take its line out of /etc/resolv.conf",
            ),
            Trap::Validates => told(
                "resolver-validates",
                "SERVFAIL, though it gets the answer",
                "it validates, and nobody signs the zone: it must be told not to look for signatures there",
            ),
            Trap::ValidatesWhenAsked => or(
                told(
                    "resolver-validates",
                    "the answer, but SERVFAIL when asked whether it is signed (AD),",
                    "it validates for programs that ask for it, as dig does and rspamd with enable_dnssec, and nobody signs the zone: it must be told not to look for signatures there",
                ),
                "give it a negative trust anchor for the zone",
            ),
            Trap::ValidatesAndFilters => told(
                "resolver-validates",
                "SERVFAIL, and an empty answer or an error when signatures need not be right (CD)",
                "two things at once: it validates, and nobody signs the zone; and a filter against rebinding takes addresses in 127.0.0.0/8 for an attack",
            ),
            Trap::Unreached => {
                let cause = match program {
                    Some(Program::Unbound) if loopback => {
                        "it gets no answer: unbound asks nobody on loopback unless told to, or it has not been told of gatepost"
                    }
                    _ => "it gets no answer: it has not been told of gatepost, or cannot reach it",
                };
                told("resolver-unreached", "SERVFAIL", cause)
            }
            Trap::ResolvesNothingElse => or(
                told(
                    "resolver-resolves-nothing-else",
                    "the answer, but REFUSED for all other names (the root),",
                    "it has no server but gatepost, which answers for its own zones alone, and no link has one of its own",
                ),
                "give a link a server of its own (`resolvectl status` shows them), or have a resolver in its place that can ask both: `gatepost snippet unbound`",
            ),
            Trap::AsksAnother => told(
                "resolver-asks-another",
                "the answer, but another server's,",
                "it asks another server for this zone, such as the one before gatepost, or remembers what that said (its SOA record is not gatepost's): what gatepost lists and whom you block does not count there",
            ),
            Trap::RefusesAddress => told(
                "resolver-refuses-address",
                "SERVFAIL or REFUSED, though it gets the answers",
                "a filter against rebinding: it takes answers in 127.0.0.0/8 for an attack",
            ),
            Trap::DeniesAddress => or(
                told(
                    "resolver-denies-address",
                    "NXDOMAIN, though it gets the answers",
                    "a filter of its own: it says that there is no name whose address is in 127.0.0.0/8",
                ),
                "take that filter out",
            ),
            Trap::EmptiesAnswer => told(
                "resolver-empties-answer",
                "an empty answer, as if not listed",
                "a filter of its own, most likely one against rebinding: it takes addresses in 127.0.0.0/8 out of answers",
            ),
            Trap::BuiltIn => told(
                "resolver-built-in",
                "an answer of its own, as if not listed",
                "it answers for this name by itself and asks nobody: a built-in local zone, one of your own, or a blocking list",
            ),
            Trap::AsksTheWorld(above) => told(
                "resolver-asks-the-world",
                &format!("NXDOMAIN from `{above}`"),
                match program {
                    Some(Program::Unbound) => {
                        "it asks the world, which has no such zone: it has not been told of gatepost, or answers below what it has verified not to be there (`forward-no-cache` is missing)"
                    }
                    _ => "it asks the world, which has no such zone: it has not been told of gatepost",
                },
            ),
            Trap::HasTheZoneAbove(above) => told(
                "resolver-has-zone-above",
                &format!("NXDOMAIN from its own `{above}`"),
                &format!(
                    "it is authoritative for `{above}`, where no delegation says that this name is another's: it asks nobody, whatever it has been told of gatepost"
                ),
            ),
            Trap::Minimises => or(
                told(
                    "resolver-minimises",
                    "NXDOMAIN, though gatepost lists it",
                    "it asks for parts of the name first, and something that is not gatepost says that there is nothing below them",
                ),
                "let it forward the zone instead of minimising: `gatepost snippet`",
            ),
            Trap::Remembers(serial) => or(
                told(
                    "resolver-remembers",
                    &format!("what serial {serial} said"),
                    "it remembers what is not listed for longer than the zone allows (unbound: cache-min-ttl, serve-expired; BIND: min-ncache-ttl; dnsmasq: neg-ttl), so new listings come late",
                ),
                "restart it, and take such a setting out",
            ),
            Trap::RemembersFailure => or(
                told(
                    "resolver-remembers-failure",
                    "SERVFAIL (and an answer for another name)",
                    "it was asked for this name while gatepost did not answer, and remembers that for a while: whoever it was asked for passes until then",
                ),
                "wait a minute, or restart it",
            ),
            Trap::HoldsForDead => or(
                told(
                    "resolver-remembers-failure",
                    "SERVFAIL (it has been told of gatepost)",
                    "it holds gatepost for dead, which did not answer for a while, and asks it again within a minute; until then mail passes",
                ),
                "wait a minute, or restart it",
            ),
            Trap::Keeps(kept) => or(
                told(
                    "resolver-keeps",
                    &format!(
                        "keeps {} for {} seconds, not the zone's {},",
                        if kept.listed { "what is listed" } else { "what is not listed" },
                        kept.seconds,
                        kept.says
                    ),
                    keeps::why(kept),
                ),
                "take out the setting that has it keep everything for a while",
            ),
            Trap::RefusesClient => or(
                told(
                    "resolver-refuses",
                    "REFUSED",
                    "it does not answer this host, or is an authoritative server that has no such zone",
                ),
                "let it answer this host (unbound: access-control; BIND: allow-recursion), or name another in /etc/resolv.conf",
            ),
            Trap::Invents(data) => {
                let data: Vec<String> = data.iter().map(ToString::to_string).collect();
                or(
                    told(
                        "resolver-invents",
                        &format!("the answer {}", data.join(", ")),
                        "it, or something before it, answers instead of gatepost; without a value filter that rejects all mail",
                    ),
                    "take another resolver; `gatepost snippet unbound` has one ask gatepost",
                )
            }
            Trap::IsNoResolver => or(
                told(
                    "resolver-is-gatepost",
                    "the answer, from an authoritative server",
                    "/etc/resolv.conf names a server that resolves nothing else: all other names are refused",
                ),
                "put a resolver in between: `gatepost snippet unbound`",
            ),
        }
    }
}

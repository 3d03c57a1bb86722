//! Restrictions that ask lists before they let one's own people pass: whom a list has cannot send, though he is one of them.
//!
//! A cure here moves questions, or lets those pass who logged in: it takes out nothing that may keep a stranger out, and lets nobody
//! relay. Pure.

use super::super::super::finding::Cure;
use super::super::Harsh;
use super::again::CLASSES;
use super::asking::{Asking, asking};
use super::config::{Parameters, Service};
use super::doors::{SUBMISSION, at, doors, is_closed, overridden, own};
use super::effect::RESTRICTIONS;
use super::restrictions::{OWN, questions, words};
use super::{Setup, screen};
use crate::model::Name;

const RECIPIENT: &str = "smtpd_recipient_restrictions";
/// What keeps strangers from relaying: lines that ask lists go behind it.
const RELAY: [&str; 2] = ["reject_unauth_destination", "defer_unauth_destination"];

pub(in super::super) fn harsh(setup: &Setup) -> Vec<Harsh> {
    let mut all: Vec<Harsh> = screen::at_submission(setup);
    let services = services(setup);
    for name in RESTRICTIONS {
        let main = setup.parameters.get(name).map_or("", String::as_str);
        let inherits = |service: &&Service| own(service, name, setup).is_none();
        all.extend(disordered(name, main, &setup.parameters));
        let asked: Vec<&Service> = services.iter().copied().filter(inherits).collect();
        all.extend(for_who_logs_in(setup, name, main, &asked));
        for service in services.iter().copied().chain(doors(setup)).filter(|service| !inherits(service)) {
            let value = own(service, name, setup).unwrap_or_default();
            let at = format!("{}/{} {name}", service.name, service.kind);
            let found = disordered(&at, &value, &setup.parameters).or_else(|| {
                services
                    .contains(&service)
                    .then(|| with_a_value_of_its_own(setup, service, &at, name, &value))
                    .flatten()
            });
            all.extend(found);
        }
    }
    all
}

/// The services by which one's own people send, who log in there.
fn services(setup: &Setup) -> Vec<&Service> {
    let services = setup.services.iter().flatten().filter(|service| service.command == "smtpd");
    let logs_in = |service: &&Service| {
        let (is_inner, port) = at(service);
        let logs_in =
            overridden(setup, service).get("smtpd_sasl_auth_enable").is_some_and(|value| value == "yes");
        let is_own = own(service, "smtpd_sasl_auth_enable", setup).is_some();
        let lets_in = || {
            service.overrides.iter().any(|(name, value)| {
                RESTRICTIONS.contains(&name.as_str()) && words(value).any(|word| word == OWN[1])
            })
        };
        // On the ports for it who is let in by logging in is meant to, even where `main.cf` has not switched that on yet.
        let is_for_own = match SUBMISSION.contains(&port) {
            true => logs_in || lets_in(),
            false => logs_in && (is_own || lets_in() && is_closed(setup, service)),
        };
        service.kind == "inet" && !is_inner && is_for_own
    };
    services.filter(logs_in).collect()
}

/// A value with those of classes in their places.
fn inlined(value: &str, parameters: &Parameters) -> String {
    let classes = parameters.get(CLASSES).map_or("", String::as_str);
    let classes: Vec<&str> = words(classes).collect();
    let mut depth = 0;
    let inlined = words(value).map(|word| {
        let outside = depth == 0;
        depth += word.matches('{').count() as i32 - word.matches('}').count() as i32;
        match parameters.get(word).filter(|_| outside && classes.contains(&word)) {
            Some(value) => value.as_str(),
            None => word,
        }
    });
    inlined.collect::<Vec<_>>().join(" ")
}

fn refuses(asking: &Asking) -> bool {
    asking.refusing().next().is_some()
}

fn zones<'a>(asking: impl Iterator<Item = &'a Asking>) -> Vec<Name> {
    asking.flat_map(Asking::zones).collect()
}

fn lines(asking: &[&Asking]) -> String {
    asking.iter().map(|asking| asking.line()).collect::<Vec<_>>().join("\n")
}

/// What asks and stands before what lets one's own people pass.
fn disordered(at: &str, value: &str, parameters: &Parameters) -> Option<Harsh> {
    let all = asking(value, parameters);
    // What stands at the end of a list is looked at when somebody comes as far.
    let value = inlined(value, parameters);
    let reached = format!("{value} reject_rbl_client end.test");
    let last = questions(&reached).pop().filter(|last| last.barred.is_none())?;
    let late = |asking: &&Asking| (0..OWN.len()).any(|own| last.spares[own] && asking.is_before(own));
    let early: Vec<&Asking> = all.iter().filter(late).collect();
    let refusing = || early.iter().copied().filter(|asking| refuses(asking));
    let is_missed = |own: &usize| {
        refusing().flat_map(Asking::refusing).any(|asks| last.spares[*own] && !asks.spares(*own))
    };
    let missed: Vec<&str> = (0..OWN.len()).filter(is_missed).map(|own| OWN[own]).collect();
    let first = missed.first()?;
    let behind = words(&value).filter(|word| OWN.contains(word) || RELAY.contains(word)).last()?;
    Some(Harsh {
        at: at.to_owned(),
        zones: zones(refusing()),
        whom: if *first == OWN[0] { "own networks are" } else { "who logs in is" },
        cause: format!("what lets them pass stands behind it, and comes too late: {}", missed.join(", ")),
        cure: Cure {
            how: format!("move these lines behind `{behind}`, in their order"),
            lines: lines(&early),
        },
    })
}

/// Questions of `main.cf` that services for submission ask of who logs in.
fn for_who_logs_in(setup: &Setup, name: &str, main: &str, services: &[&Service]) -> Option<Harsh> {
    let all = asking(main, &setup.parameters);
    let value = inlined(main, &setup.parameters);
    // Before RCPT nobody knows yet who logs in, and with this each list is looked at as soon as it can be.
    let is_early = setup.parameters.get("smtpd_delay_reject").is_some_and(|value| value == "no")
        && matches!(name, "smtpd_client_restrictions" | "smtpd_helo_restrictions");
    let is_harsh = |asking: &&Asking| asking.refusing().any(|asks| is_early || !asks.spares(1));
    let harsh: Vec<&Asking> = all.iter().filter(is_harsh).collect();
    let first = services.first().filter(|_| !harsh.is_empty())?;
    // Told already, and right when that is.
    if !is_early && words(&value).any(|word| word == OWN[1]) {
        return None;
    }
    let names: Vec<&str> = services.iter().map(|service| service.name.as_str()).collect();
    let cure = match is_plain(&value) {
        // Who is no stranger there is let in by what `-o` says, and nobody else is.
        true if services.iter().all(|service| is_shut(setup, service)) => Cure {
            how: "who comes there has to log in anyway: leave this list out there".to_owned(),
            lines: services
                .iter()
                .map(|service| format!("postconf -P \"{}/{}/{name}=\"\n", service.name, service.kind))
                .chain(["postfix reload".to_owned()])
                .collect(),
        },
        true if !is_early => Cure {
            how: format!("in main.cf, at the front of {name}, then `postfix reload`"),
            lines: format!("    {},", OWN[1]),
        },
        _ => moved(setup, first, name, &all.iter().filter(|asking| asking.is_reached()).collect::<Vec<_>>()),
    };
    Some(Harsh {
        at: name.to_owned(),
        zones: zones(harsh.into_iter()),
        whom: "who logs in is",
        cause: format!(
            "it holds for {} of master.cf, too, and nothing in it lets who logs in pass before",
            names.join(", ")
        ),
        cure,
    })
}

/// Whether what `-o` says lets nobody in but own networks and who logged in: what else might, a stranger might say, too.
fn is_shut(setup: &Setup, service: &Service) -> bool {
    RESTRICTIONS.iter().filter_map(|name| own(service, name, setup)).any(|value| {
        let mut words = words(&value).skip_while(|word| OWN.contains(word));
        words.next() == Some("reject")
    })
}

/// Nothing but questions, and what lets one's own people pass: it keeps out whom a list has, and nobody else.
fn is_plain(value: &str) -> bool {
    let mut words = words(value);
    while let Some(word) = words.next() {
        match word {
            _ if OWN.contains(&word) || word == "permit" => {}
            _ if questions(&format!("{word} a.test")).len() == 1 => drop(words.next()),
            _ => return false,
        }
    }
    true
}

/// Questions go where who logs in has been let pass before; what stands beside them stays.
fn moved(setup: &Setup, service: &Service, name: &str, asks: &[&Asking]) -> Cure {
    let there = setup.parameters.get(RECIPIENT).map_or("", String::as_str);
    let is_asked_there = own(service, RECIPIENT, setup).is_none();
    let mut behind = words(there).filter(|word| OWN.contains(word) || RELAY.contains(word));
    let has = |wanted: &str| words(there).any(|word| word == wanted);
    let lines = lines(asks);
    match () {
        () if name != RECIPIENT && there.is_empty() => Cure {
            how: format!("in main.cf: out of {name}, and"),
            lines: format!(
                "{RECIPIENT} =\n    {},\n    {},\n{}",
                OWN[0],
                OWN[1],
                lines.trim_end_matches(',')
            ),
        },
        () if name != RECIPIENT && (has(OWN[1]) || !is_asked_there) && behind.next().is_some() => {
            let last = behind
                .last()
                .or_else(|| words(there).find(|word| OWN.contains(word) || RELAY.contains(word)));
            let last = last.unwrap_or(OWN[1]);
            Cure { how: format!("in main.cf: out of {name}, and into {RECIPIENT}, behind `{last}`"), lines }
        }
        () => Cure {
            how: format!(
                "have `{}` stand before these lines, in a list where nothing behind them may keep somebody out",
                OWN[1]
            ),
            lines,
        },
    }
}

/// Questions that `-o` of such a service asks.
fn with_a_value_of_its_own(
    setup: &Setup,
    service: &Service,
    at: &str,
    name: &str,
    value: &str,
) -> Option<Harsh> {
    let all = asking(value, &setup.parameters);
    let is_harsh = |asking: &&Asking| asking.refusing().any(|asks| !asks.spares(1));
    let harsh: Vec<&Asking> = all.iter().filter(is_harsh).collect();
    if harsh.is_empty() {
        return None;
    }
    let cure = match is_shut(setup, service) && is_plain(&inlined(value, &setup.parameters)) {
        true => Cure {
            how: "who comes there has to log in anyway: leave this list out there".to_owned(),
            lines: format!("postconf -P \"{}/{}/{name}=\"\npostfix reload", service.name, service.kind),
        },
        false => moved(setup, service, RECIPIENT, &harsh),
    };
    Some(Harsh {
        at: at.to_owned(),
        zones: zones(harsh.into_iter()),
        whom: "who logs in is",
        cause: "nothing in it lets who logs in pass before".to_owned(),
        cure,
    })
}

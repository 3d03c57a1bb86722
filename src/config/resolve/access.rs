//! Access lists and limits: which keys belong to which action, and no client twice.

use std::path::Path;

use crate::config::access::{AccessConfig, AccessRule, RateLimit};
use crate::config::file::{AccessFile, RuleFile, ServerKeys};
use crate::config::problem::{At, Place, Problem, Problems};
use crate::config::values::{AccessWord, Network};
use crate::config::words::Code;
use crate::model::{Address, Given, Span, Subject, Template};

use super::spot;

pub(super) fn access(typed: AccessFile, folder: &Path, problems: &mut Problems) -> AccessConfig {
    let AccessFile { rules, files } = typed;
    let files = files.into_iter().map(|at| folder.join(at.value)).collect();
    AccessConfig { rules: resolved(rules, problems), files }
}

fn resolved(typed: Vec<RuleFile>, problems: &mut Problems) -> Vec<AccessRule> {
    let mut seen: Vec<(Subject, Place)> = Vec::new();
    let mut rules = Vec::new();
    for RuleFile { keys, clients, place, sound } in typed {
        for client in &clients {
            match seen.iter().find(|(known, _)| *known == client.value.0) {
                Some((_, first)) => problems.push(
                    Problem::new(&client.place, format!("client {} is in the list twice", client.value.0))
                        .help(format!("the first one is {}", spot(first))),
                ),
                None => seen.push((client.value.0.clone(), client.place.clone())),
            }
        }
        if let (true, Some(place)) = (clients.is_empty() && sound, &place) {
            let problem = Problem::new(place, "a rule for nobody");
            problems.push(problem.help("expected addresses or prefixes, such as \"192.0.2.0/24\""));
        }
        // A missing one has been reported.
        let Some(word) = keys.action else { continue };
        if word.value != AccessWord::List {
            let beside = [keys.code.as_ref().map(|at| &at.place), keys.text.as_ref().map(|at| &at.place)];
            for place in beside.into_iter().flatten() {
                problems.push(
                    Problem::new(place, "only a client that is told of a listing has a code and a text")
                        .help("expected beside `action = \"list\"`"),
                );
            }
        }
        let given = match word.value {
            AccessWord::Allow => Given::Allow,
            AccessWord::Empty => Given::Empty,
            AccessWord::Refuse => Given::Refuse,
            AccessWord::Drop => Given::Drop,
            AccessWord::List => Given::List {
                code: keys.code.map_or(Code::ALONE, |at| at.value).address(),
                text: keys.text.map(|at| Template::parse(at.value.0.as_bytes())).unwrap_or_default(),
            },
        };
        rules.push(AccessRule { clients: clients.into_iter().map(|at| at.value.0).collect(), given });
    }
    rules
}

/// How often networks are answered: what `[server]` says of it.
pub(super) fn limit(
    keys: &ServerKeys,
    exempt: Option<Vec<At<Network>>>,
    problems: &mut Problems,
) -> RateLimit {
    let default = RateLimit::default();
    let rate = keys.rate_limit.as_ref().map(|at| {
        u32::try_from(at.value).ok().filter(|&rate| rate <= RATE_MAX).unwrap_or_else(|| {
            let problem = Problem::new(&at.place, format!("{} is out of range", at.value));
            problems
                .push(problem.help(format!("expected up to {RATE_MAX} replies a second, or 0 for no limit")));
            0
        })
    });
    let exempt = exempt.map(|networks| {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for at in &networks {
            match at.value.0.clone().unmapped() {
                Subject::V4(span) => v4.push((span, &at.place)),
                Subject::V6(span) => v6.push((span, &at.place)),
                Subject::Name(_) => {}
            }
        }
        for place in [strangers(v4, V4_HALF), strangers(v6, V6_HALF)].into_iter().flatten() {
            let problem = Problem::new(place, "everybody is exempt");
            problems.push(problem.help("expected `rate-limit = 0` where no limit is wanted"));
        }
        networks.into_iter().map(|at| at.value.0).collect()
    });
    RateLimit {
        rate: rate.unwrap_or(default.rate),
        slip: keys.rate_limit_slip.as_ref().map_or(default.slip, |at| at.value),
        loopback: keys.rate_limit_loopback.as_ref().is_some_and(|at| at.value),
        exempt: exempt.unwrap_or(default.exempt),
    }
}

/// The place of the widest of these networks, when they are together as many addresses as only strangers can have.
fn strangers<A: Address>(mut networks: Vec<(Span<A>, &Place)>, half: u128) -> Option<&Place> {
    networks.sort_by_key(|(span, _)| span.first);
    let mut after = Some(A::ZERO);
    let mut addresses = 0u128;
    for (span, _) in &networks {
        let Some(rest) = after.and_then(|after| Span::new(span.first.max(after), span.last)) else {
            continue;
        };
        addresses = addresses.saturating_add(rest.extent()).saturating_add(1);
        after = rest.last.next();
    }
    let widest = networks.iter().max_by_key(|(span, _)| span.extent());
    widest.filter(|_| addresses >= half).map(|&(_, place)| place)
}

/// Replies a second above which a limit is none.
const RATE_MAX: u32 = 1_000_000;

/// Half of all addresses, and half of those that are given out (2000::/3).
const V4_HALF: u128 = 1 << 31;
const V6_HALF: u128 = 1 << 124;

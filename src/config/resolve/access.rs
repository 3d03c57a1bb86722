//! Access lists and limits: which keys belong to which action, and no client twice.

use std::path::Path;

use crate::config::access::{AccessConfig, AccessRule, RateLimit};
use crate::config::file::{AccessFile, RuleFile, ServerKeys};
use crate::config::problem::{At, Place, Problem, Problems};
use crate::config::values::{AccessWord, Network};
use crate::config::words::Code;
use crate::model::{Given, Span, Subject, Template};

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
        for at in &networks {
            if [V4_ALL, V6_ALL].contains(&at.value.0) {
                let problem = Problem::new(&at.place, "everybody is exempt");
                problems.push(problem.help("expected `rate-limit = 0` where no limit is wanted"));
            }
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

/// Replies a second above which a limit is none.
const RATE_MAX: u32 = 1_000_000;

const V4_ALL: Subject = Subject::V4(Span { first: 0, last: u32::MAX });
const V6_ALL: Subject = Subject::V6(Span { first: 0, last: u128::MAX });

//! Zones: which lists may stand together, and under which codes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::list::{Lists, list_text};
use super::{no_mailbox, spot};
use crate::config::defaults;
use crate::config::file::{MemberKeys, ZoneFile, ZoneKeys};
use crate::config::list::ListConfig;
use crate::config::problem::{At, Place, Problem, Problems, did_you_mean};
use crate::config::words::{Code, Slug};
use crate::config::zone::{MemberConfig, ZoneConfig};
use crate::model::{Name, Ns, Soa, Ttl, Use};
use crate::parse::Format;

/// A zone as typed, under its origin.
type Typed = (At<Name>, ZoneFile);

pub(super) fn zones(
    files: Vec<(PathBuf, Vec<Typed>)>,
    lists: &Lists,
    problems: &mut Problems,
) -> Vec<ZoneConfig> {
    let mut seen: BTreeMap<Name, Place> = BTreeMap::new();
    let mut zones = Vec::new();
    let files = files
        .into_iter()
        .flat_map(|(folder, zones)| zones.into_iter().map(move |zone| (folder.clone(), zone)));
    for (folder, (origin, typed)) in files {
        if let Some(first) = seen.get(&origin.value) {
            problems.push(
                Problem::new(&origin.place, format!("zone `{}` is defined twice", origin.value))
                    .help(format!("the first one is {}", spot(first))),
            );
            continue;
        }
        seen.insert(origin.value.clone(), origin.place.clone());
        zones.push(one_zone(&origin, typed, &folder, lists, problems));
    }
    zones.sort_by(|a: &ZoneConfig, b| a.origin.cmp(&b.origin));
    zones
}

fn one_zone(
    origin: &At<Name>,
    typed: ZoneFile,
    folder: &Path,
    lists: &Lists,
    problems: &mut Problems,
) -> ZoneConfig {
    let ZoneFile { keys, lists: typed_lists, lists_place, lists_sound, except, ns, access } = typed;
    match &lists_place {
        None => {
            let problem = Problem::new(&origin.place, format!("zone `{}` has no lists", origin.value));
            problems.push(problem.help("expected `lists = [\"NAME\", …]`"));
        }
        Some(place) if typed_lists.is_empty() && lists_sound => {
            problems.push(Problem::new(place, "a zone without lists").help("expected at least one list"));
        }
        Some(_) => {}
    }
    // What could not be read has been reported; the rest of such an array is not judged by half.
    let members = if lists_sound { members(typed_lists, lists, problems) } else { Vec::new() };
    let excepts = excepts(except, &members, lists, problems);
    let hosts: Vec<Name> = match ns.filter(|hosts| !hosts.is_empty()) {
        Some(hosts) => hosts.into_iter().map(|at| at.value).collect(),
        None => vec![origin.value.clone()],
    };
    let ZoneKeys { keep_values, test_points, soa_mname, soa_rname, .. } = keys;
    let soa_ttl = ttl(keys.soa_ttl, defaults::SOA_TTL, problems);
    ZoneConfig {
        origin: origin.value.clone(),
        keep_values: keep_values.map_or(members.len() == 1, |at| at.value),
        members,
        excepts,
        soa: Soa {
            ttl: soa_ttl,
            mname: soa_mname.map_or_else(|| hosts[0].clone(), |at| at.value),
            rname: soa_rname.map_or_else(no_mailbox, |at| at.value),
            serial: None,
            refresh: ttl(keys.soa_refresh, defaults::SOA_REFRESH, problems),
            retry: ttl(keys.soa_retry, defaults::SOA_RETRY, problems),
            expire: ttl(keys.soa_expire, defaults::SOA_EXPIRE, problems),
            minimum: ttl(keys.negative_ttl, defaults::NEGATIVE_TTL, problems),
        },
        ns: Ns { ttl: soa_ttl, hosts },
        ttl: ttl(keys.ttl, defaults::TTL, problems),
        test_points: test_points.is_none_or(|at| at.value),
        access: super::access::access(access, folder, problems),
    }
}

fn members(typed: Vec<MemberKeys>, lists: &Lists, problems: &mut Problems) -> Vec<MemberConfig> {
    let combined = typed.len() > 1;
    let mut members = Vec::new();
    let mut uses: Vec<(Use, Place)> = Vec::new();
    let mut codes = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for MemberKeys { list, code, text } in typed {
        let Some(list) = list else { continue };
        if !seen.insert(list.value.clone()) {
            problems.push(Problem::new(&list.place, format!("list `{}` is in the zone twice", list.value)));
            continue;
        }
        let Some(config) = known(&list, lists, problems) else { continue };
        uses.push((config.use_, list.place.clone()));
        if combined && config.limits.bogons {
            problems.push(
                Problem::new(&list.place, format!("`{}` lists private address space", list.value))
                    .help("expected in a zone of its own: mail from inside would be rejected"),
            );
        }
        let place = code.as_ref().map_or_else(|| list.place.clone(), |at| at.place.clone());
        let alone = (!combined).then_some(Code::ALONE);
        let Some(code) = code.map(|at| at.value).or(config.code).or(alone) else {
            problems.push(
                Problem::new(&list.place, format!("list `{}` has no code", list.value))
                    .help("expected `code = \"127.0.1.x\"` in the list or beside its name here"),
            );
            continue;
        };
        if let Some(other) = codes.insert(code, list.value.clone()) {
            problems.push(
                Problem::new(&place, format!("`{other}` has the code {code} in this zone already"))
                    .help("expected a code of its own for each list"),
            );
        }
        let text = text.map_or_else(|| config.text.clone(), |at| list_text(&at.value.0, &list.value));
        members.push(MemberConfig { list: list.value, code, text });
    }
    let lists_something = uses.iter().any(|(use_, _)| use_.can_list());
    for (_, place) in uses.iter().filter(|(use_, _)| lists_something && !use_.can_list()) {
        problems.push(
            Problem::new(place, "an allow list among lists to be rejected on")
                .help("expected in `except`, where it takes addresses out, or in a zone of allow lists"),
        );
    }
    members
}

fn excepts(
    typed: Vec<At<Slug>>,
    members: &[MemberConfig],
    lists: &Lists,
    problems: &mut Problems,
) -> Vec<Slug> {
    let mut excepts = Vec::new();
    for list in typed {
        let Some(config) = known(&list, lists, problems) else { continue };
        if config.format == Format::Combined {
            let problem =
                Problem::new(&list.place, format!("`{}` answers in subzones of its own", list.value));
            problems.push(problem.help("expected among `lists`"));
        } else if config.use_ != Use::Allow {
            problems.push(
                Problem::new(&list.place, format!("`{}` is a {} list", list.value, config.use_))
                    .help("expected a list with `use = \"allow\"`: what it holds is taken out of the zone"),
            );
        } else if excepts.contains(&list.value) || members.iter().any(|member| member.list == list.value) {
            problems.push(Problem::new(&list.place, format!("list `{}` is in the zone twice", list.value)));
        } else {
            excepts.push(list.value);
        }
    }
    excepts
}

fn ttl(typed: Option<At<Duration>>, default: Duration, problems: &mut Problems) -> Ttl {
    let seconds = typed.as_ref().map_or(default, |at| at.value).as_secs();
    match Ttl::try_from(seconds) {
        Ok(seconds) if seconds <= i32::MAX as u32 => seconds,
        _ => {
            if let Some(at) = typed {
                let problem = Problem::new(&at.place, "longer than a TTL can be");
                problems.push(problem.help("expected 68 years at most"));
            }
            0
        }
    }
}

fn known<'a>(list: &At<Slug>, lists: &'a Lists, problems: &mut Problems) -> Option<&'a ListConfig> {
    if let Some((config, _)) = lists.get(&list.value) {
        return config.as_ref();
    }
    let hint = did_you_mean(list.value.as_str(), lists.keys().map(Slug::as_str));
    problems.push(
        Problem::new(&list.place, format!("there is no list `{}`{hint}", list.value))
            .help(format!("expected a `[list.{}]`", list.value)),
    );
    None
}

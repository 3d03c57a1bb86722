//! What was typed → what it means. Every cross check lives here.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::embedded::bogons;
use super::feeds::{Feed, Feeds, Fetch};
use super::file::{File, ListFile, MemberKeys, ZoneFile};
use super::format::check_format;
use super::list::{Ages, Limits, ListConfig, Source};
use super::problem::{At, Place, Problem, Problems, did_you_mean};
use super::reach::check_private;
use super::words::Slug;
use super::zone::{MemberConfig, ZoneConfig};
use super::{Config, Overrides, Reloadable, Server, Sync, defaults};
use crate::model::{Name, Ns, Soa, Template, Ttl, Use};

/// A file as typed and the folder that its relative paths start from.
pub(crate) struct Typed {
    pub(crate) file: File,
    pub(crate) folder: PathBuf,
}

/// The main file with its additions, and what environment and flags say.
pub(crate) fn resolve(
    main: Typed,
    additions: Vec<Typed>,
    overrides: &Overrides,
    feeds: &Feeds,
    problems: &mut Problems,
) -> Config {
    let Typed { file, folder } = main;
    let own_networks = file.own_networks.into_iter().map(|at| at.value.0).collect();
    let state = overrides.state.clone().or_else(|| file.top.state.map(|at| folder.join(at.value)));
    let listen = match (&overrides.listen[..], file.listen) {
        ([], None) => vec![defaults::LISTEN],
        ([], Some(typed)) => distinct_addresses(typed, problems),
        (given, _) => given.to_vec(),
    };
    let catalogue =
        overrides.catalogue.clone().or_else(|| file.sync.catalogue.map(|at| folder.join(at.value)));

    if let Some(timer) = file.sync.timer.as_ref().filter(|timer| timer.value.is_zero()) {
        problems.push(Problem::new(&timer.place, "a timer without a pause").help("expected such as \"15m\""));
    }

    let mut list_files = vec![(folder, file.lists)];
    let mut zone_files = file.zones;
    for addition in additions {
        list_files.push((addition.folder, addition.file.lists));
        zone_files.extend(addition.file.zones);
    }
    let lists = lists(list_files, feeds, problems);
    let zones = zones(zone_files, &lists, problems);

    fn or<T>(key: Option<At<T>>, default: T) -> T {
        key.map_or(default, |at| at.value)
    }
    Config {
        state: state.unwrap_or_else(|| defaults::STATE.into()),
        server: Server {
            listen,
            workers: or(file.server.workers, defaults::WORKERS),
            tcp_connections: or(file.server.tcp_connections, defaults::TCP_CONNECTIONS),
            tcp_connections_per_client: or(
                file.server.tcp_connections_per_client,
                defaults::TCP_CONNECTIONS_PER_CLIENT,
            ),
            tcp_idle: or(file.server.tcp_idle, defaults::TCP_IDLE),
        },
        reloadable: Reloadable {
            version_bind: file.server.version_bind.map(|at| at.value.0),
            sync: Sync {
                timer: file.sync.timer.map(|at| at.value),
                own_networks,
                catalogue,
                contact: file.sync.contact.map(|at| at.value.0),
                keep: or(file.sync.keep, defaults::KEEP),
                keep_size: file.sync.keep_size.map_or(defaults::KEEP_SIZE, |at| at.value.0),
            },
            lists: lists.into_iter().filter_map(|(name, (list, _))| Some((name, list?))).collect(),
            zones,
        },
    }
}

fn distinct_addresses(typed: Vec<At<SocketAddr>>, problems: &mut Problems) -> Vec<SocketAddr> {
    let mut seen = BTreeSet::new();
    for at in &typed {
        if !seen.insert(at.value) {
            problems.push(Problem::new(&at.place, format!("{} is in the list twice", at.value)));
        }
    }
    typed.into_iter().map(|at| at.value).collect()
}

/// By name; `None` for a list that is there but wrong, so that a zone that names it is not blamed too.
type Lists = BTreeMap<Slug, (Option<ListConfig>, Place)>;

fn lists(files: Vec<(PathBuf, Vec<(At<Slug>, ListFile)>)>, feeds: &Feeds, problems: &mut Problems) -> Lists {
    let mut lists = Lists::new();
    for (folder, typed) in files {
        for (name, list) in typed {
            let resolved = one_list(&name, list, &folder, feeds, problems);
            if let Some((_, first)) = lists.get(&name.value) {
                let problem = Problem::new(&name.place, format!("list `{}` is defined twice", name.value));
                problems.push(problem.help(format!("the first one is {}", spot(first))));
                continue;
            }
            lists.insert(name.value, (resolved, name.place));
        }
    }
    lists
}

/// "FILE:LINE" of a place.
fn spot(place: &Place) -> String {
    let problem = Problem::new(place, "");
    match (problem.file(), problem.line_and_column()) {
        (Some(file), Some((line, _))) => format!("in {}:{line}", file.display()),
        _ => "elsewhere".to_owned(),
    }
}

fn one_list(
    name: &At<Slug>,
    typed: ListFile,
    folder: &Path,
    feeds: &Feeds,
    problems: &mut Problems,
) -> Option<ListConfig> {
    let ListFile { keys, limits, given, sound } = typed;
    let sources = given.iter().filter(|key| ["feed", "url", "file"].contains(key)).count();
    if sources != 1 {
        let message = match sources {
            0 => format!("list `{}` comes from nowhere", name.value),
            _ => format!("list `{}` comes from several places at once", name.value),
        };
        problems.push(
            Problem::new(&name.place, message).help("expected exactly one of `feed`, `url` and `file`"),
        );
        return None;
    }
    let allow_private = keys.allow_private.as_ref().map(|at| at.value);
    let mut list = if let Some(feed) = &keys.feed {
        for (key, place) in [
            ("format", keys.format.as_ref().map(|at| &at.place)),
            ("column", keys.column.as_ref().map(|at| &at.place)),
        ] {
            if let Some(place) = place {
                let message = format!("`{key}` beside `feed`: the catalogue says how a feed is written");
                problems.push(Problem::new(place, message));
            }
        }
        from_feed(name, feed, feeds, problems)?
    } else {
        let format = match &keys.format {
            Some(format) => check_format(format, keys.column.as_ref(), problems),
            None if given.contains(&"format") => None,
            None => {
                let problem = Problem::new(&name.place, format!("list `{}` has no `format`", name.value));
                problems.push(problem.help("expected how its text is written, such as `format = \"plain\"`"));
                None
            }
        };
        if !given.contains(&"use") {
            let problem = Problem::new(&name.place, format!("list `{}` has no `use`", name.value));
            problems.push(problem.help("expected \"block\", \"score\", \"bounce\" or \"allow\""));
        }
        let (source, ages, max_size) = match (&keys.url, &keys.file) {
            (Some(url), _) => {
                check_private(url, allow_private.unwrap_or(false), problems);
                (Source::Http(vec![url.value.0.clone()]), Ages::FEED, defaults::MAX_SIZE)
            }
            (None, Some(file)) => {
                let path = folder.join(&file.value);
                check_file(&path, &file.place, problems);
                (Source::File(path), Ages::NEVER, defaults::MAX_FILE_SIZE)
            }
            (None, None) => return None,
        };
        let is_file = matches!(source, Source::File(_));
        ListConfig {
            name: name.value.clone(),
            feed: None,
            title: name.value.to_string(),
            lookup: None,
            source,
            format: format?,
            use_: keys.use_.as_ref()?.value,
            code: None,
            text: list_text(defaults::TEXT, &name.value),
            ages,
            floor: if is_file { Duration::ZERO } else { defaults::FLOOR },
            limits: Limits::FEED,
            max_size,
            allow_private: false,
        }
    };
    if let Some(use_) = keys.use_ {
        list.use_ = use_.value;
    }
    if let Some(code) = keys.code {
        list.code = Some(code.value);
    }
    if let Some(text) = keys.text {
        list.text = list_text(&text.value.0, &name.value);
    }
    if let Some(floor) = keys.floor {
        check_floor(&floor, &list, problems);
        list.floor = floor.value;
    }
    list.ages = limits.ages(list.ages);
    list.limits = limits.limits(list.limits);
    if let Some(size) = &limits.max_size {
        list.max_size = size.value.0;
    }
    list.allow_private = allow_private.unwrap_or(list.allow_private);
    if let (Some(soft), Some(hard)) = (list.ages.soft, list.ages.hard)
        && soft > hard
    {
        let place = limits.soft_age.or(limits.hard_age).map_or(name.place.clone(), |at| at.place);
        problems.push(Problem::new(&place, "the soft age is above the hard age"));
    }
    for (key, width) in [(&limits.shortest_prefix_v4, 32), (&limits.shortest_prefix_v6, 128)] {
        if let Some(at) = key
            && at.value > width
        {
            problems.push(
                Problem::new(&at.place, format!("a prefix of {} bits", at.value))
                    .help(format!("expected {width} at most")),
            );
        }
    }
    sound.then_some(list)
}

/// A list's text with its name put in.
fn list_text(text: &str, name: &Slug) -> Template {
    Template::parse(text.replace("{name}", name.as_str()).as_bytes())
}

fn from_feed(name: &At<Slug>, feed: &At<Slug>, feeds: &Feeds, problems: &mut Problems) -> Option<ListConfig> {
    if feed.value.as_str() == defaults::BOGONS {
        return Some(ListConfig { name: name.value.clone(), ..bogons() });
    }
    let Some(known) = feeds.feed(&feed.value) else {
        let names = feeds.iter().map(|feed| feed.name.as_str()).chain([defaults::BOGONS]);
        let hint = did_you_mean(feed.value.as_str(), names);
        problems.push(
            Problem::new(&feed.place, format!("no feed `{}` in the catalogue{hint}", feed.value))
                .help("expected one of those that `gatepost feeds` names, or `url` with `format`"),
        );
        return None;
    };
    if known.terms.fetch == Fetch::Registered {
        problems.push(
            Problem::new(&feed.place, format!("feed `{}` is for those who have registered", known.name))
                .help(format!("see {}; {}", known.homepage, known.terms.text)),
        );
        return None;
    }
    Some(list_of(known, name.value.clone()))
}

/// The list `name` of a feed, with all that the catalogue says of it.
pub(crate) fn list_of(feed: &Feed, name: Slug) -> ListConfig {
    ListConfig {
        text: list_text(&feed.text, &name),
        name,
        feed: Some(feed.name.clone()),
        title: feed.title.clone(),
        lookup: feed.lookup.clone(),
        source: Source::Http(feed.urls.clone()),
        format: feed.format.clone(),
        use_: feed.use_,
        code: Some(feed.code),
        ages: feed.ages,
        floor: feed.floor,
        limits: feed.limits,
        max_size: feed.max_size,
        allow_private: feed.allow_private,
    }
}

/// The publisher's floor can be raised, not lowered.
fn check_floor(floor: &At<Duration>, list: &ListConfig, problems: &mut Problems) {
    if list.feed.is_some() && floor.value < list.floor {
        let asked = super::units::format_duration(list.floor);
        problems.push(
            Problem::new(&floor.place, "fetching more often than the publisher allows")
                .help(format!("expected \"{asked}\" or more")),
        );
    }
}

fn check_file(path: &Path, place: &Place, problems: &mut Problems) {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => {
            problems
                .push(Problem::new(place, format!("{} is a folder", path.display())).help("expected a file"));
        }
        Ok(_) => {}
        Err(error) => {
            let message = format!("cannot read {}: {}", path.display(), super::plain(&error));
            problems.push(Problem::new(place, message).help("expected a file that is there"));
        }
    }
}

fn zones(files: Vec<(At<Name>, ZoneFile)>, lists: &Lists, problems: &mut Problems) -> Vec<ZoneConfig> {
    let mut seen: BTreeMap<Name, Place> = BTreeMap::new();
    let mut zones = Vec::new();
    for (origin, typed) in files {
        if let Some(first) = seen.get(&origin.value) {
            problems.push(
                Problem::new(&origin.place, format!("zone `{}` is defined twice", origin.value))
                    .help(format!("the first one is {}", spot(first))),
            );
            continue;
        }
        seen.insert(origin.value.clone(), origin.place.clone());
        zones.push(one_zone(&origin, typed, lists, problems));
    }
    zones.sort_by(|a: &ZoneConfig, b| a.origin.cmp(&b.origin));
    zones
}

fn one_zone(origin: &At<Name>, typed: ZoneFile, lists: &Lists, problems: &mut Problems) -> ZoneConfig {
    if typed.lists.is_empty() && typed.lists_place.is_none() {
        problems.push(
            Problem::new(&origin.place, format!("zone `{}` has no lists", origin.value))
                .help("expected `lists = [\"NAME\", …]`"),
        );
    } else if let (true, Some(place)) = (typed.lists.is_empty(), &typed.lists_place) {
        if typed.lists_sound {
            problems.push(Problem::new(place, "a zone without lists").help("expected at least one list"));
        }
    }
    let mut members = Vec::new();
    let mut uses: Vec<(Use, Place)> = Vec::new();
    let mut codes = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let combined = typed.lists.len() > 1;
    for MemberKeys { list, code, text } in typed.lists {
        let Some(list) = list else { continue };
        if !seen.insert(list.value.clone()) {
            problems.push(Problem::new(&list.place, format!("list `{}` is in the zone twice", list.value)));
            continue;
        }
        let Some(config) = known(&list, lists, problems) else { continue };
        if !typed.lists_sound {
            continue;
        }
        uses.push((config.use_, list.place.clone()));
        if combined && config.limits.bogons {
            problems.push(
                Problem::new(&list.place, format!("`{}` lists private address space", list.value))
                    .help("expected in a zone of its own: mail from inside would be rejected"),
            );
        }
        let place = code.as_ref().map_or(&list.place, |at| &at.place).clone();
        let Some(code) = code.map(|at| at.value).or(config.code) else {
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
    let mut excepts = Vec::new();
    for list in typed.except {
        let Some(config) = known(&list, lists, problems) else { continue };
        if config.use_ != Use::Allow {
            problems.push(
                Problem::new(&list.place, format!("`{}` is a {} list", list.value, config.use_))
                    .help("expected a list with `use = \"allow\"`: what it holds is taken out of the zone"),
            );
        } else if excepts.contains(&list.value) || seen.contains(&list.value) {
            problems.push(Problem::new(&list.place, format!("list `{}` is in the zone twice", list.value)));
        } else {
            excepts.push(list.value);
        }
    }
    let keys = typed.keys;
    let mut ttl = |key: Option<At<Duration>>, default: Duration| -> Ttl {
        let seconds = key.as_ref().map_or(default, |at| at.value).as_secs();
        match (Ttl::try_from(seconds), key) {
            (Ok(seconds), _) if seconds <= i32::MAX as u32 => seconds,
            (_, Some(at)) => {
                problems.push(
                    Problem::new(&at.place, "longer than a TTL can be").help("expected 68 years at most"),
                );
                0
            }
            _ => 0,
        }
    };
    let soa_ttl = ttl(keys.soa_ttl, defaults::SOA_TTL);
    let ns = typed.ns.filter(|hosts| !hosts.is_empty());
    let hosts: Vec<Name> = match ns {
        Some(hosts) => hosts.into_iter().map(|at| at.value).collect(),
        None => vec![origin.value.clone()],
    };
    ZoneConfig {
        keep_values: keys.keep_values.map_or(members.len() == 1, |at| at.value),
        members,
        excepts,
        soa: Soa {
            ttl: soa_ttl,
            mname: keys.soa_mname.map_or_else(|| hosts[0].clone(), |at| at.value),
            rname: keys.soa_rname.map_or_else(no_mailbox, |at| at.value),
            serial: None,
            refresh: ttl(keys.soa_refresh, defaults::SOA_REFRESH),
            retry: ttl(keys.soa_retry, defaults::SOA_RETRY),
            expire: ttl(keys.soa_expire, defaults::SOA_EXPIRE),
            minimum: ttl(keys.negative_ttl, defaults::NEGATIVE_TTL),
        },
        ns: Ns { ttl: soa_ttl, hosts },
        ttl: ttl(keys.ttl, defaults::TTL),
        test_points: keys.test_points.is_none_or(|at| at.value),
        origin: origin.value.clone(),
    }
}

pub(crate) fn no_mailbox() -> Name {
    defaults::SOA_RNAME.parse().expect("a name")
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

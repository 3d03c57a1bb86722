//! The configuration as typed: format version 1.
//!
//! Everything here is optional and remembers its place; what it means is settled in `resolve`. A file of another
//! version is refused by its number, so that a later version can read this one through a module of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::credential::Credential;
use crate::config::format::FormatKeys;
use crate::config::list::Ages;
use crate::config::problem::{At, Document, Place, Problem, Problems};
use crate::config::read::{Table, keys, parse};
use crate::config::secure::HttpPath;
use crate::config::shown::ShownClients;
use crate::config::values::{
    AccessWord, HttpUrl, Limit, Network, Share, Size, SourceUrl, Text, Times, Version,
};
use crate::config::words::{Code, Slug};
use crate::guard::entries::Limits;
use crate::model::{Name, Use};

/// The one version there is.
const VERSION: u64 = 1;

/// A main file or one of `conf.d`.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) top: TopKeys,
    pub(crate) server: ServerKeys,
    pub(crate) listen: Option<Vec<At<SocketAddr>>>,
    pub(crate) secure: SecureFile,
    pub(crate) access: AccessFile,
    pub(crate) rate_limit_exempt: Option<Vec<At<Network>>>,
    pub(crate) sync: SyncKeys,
    pub(crate) own_networks: Vec<At<Network>>,
    pub(crate) canaries: Vec<At<Network>>,
    pub(crate) hook: Option<Vec<At<String>>>,
    pub(crate) lists: Vec<(At<Slug>, ListFile)>,
    pub(crate) zones: Vec<(At<Name>, ZoneFile)>,
}

keys! {
    /// Outside any table.
    pub(crate) struct TopKeys {
        "version" version: u64,
        "state" state: PathBuf,
    }
}

keys! {
    /// `[server]`, but its arrays and what [`SecureFile`] has.
    pub(crate) struct ServerKeys {
        "open" open: bool,
        "workers" workers: u16,
        "pin-workers" pin_workers: bool,
        "tcp-connections" tcp_connections: u32,
        "tcp-connections-per-client" tcp_connections_per_client: u32,
        "tcp-idle" tcp_idle: Duration,
        "doh-path" doh_path: HttpPath,
        "hit-log" hit_log: PathBuf,
        "hit-log-clients" hit_log_clients: ShownClients,
        "version-bind" version_bind: Version,
        "rate-limit" rate_limit: u64,
        "rate-limit-slip" rate_limit_slip: u8,
        "rate-limit-loopback" rate_limit_loopback: bool,
    }
}

keys! {
    /// `[sync]`, but its arrays.
    pub(crate) struct SyncKeys {
        "timer" timer: Duration,
        "catalogue" catalogue: PathBuf,
        "contact" contact: Text,
        "proxy" proxy: HttpUrl,
        "proxy-credential" proxy_credential: Credential,
        "ca-file" ca_file: PathBuf,
        "keep" keep: Duration,
        "keep-size" keep_size: Size,
        "keep-history" keep_history: Duration,
        "keep-history-size" keep_history_size: Size,
    }
}

keys! {
    /// `[list.NAME]`, but `urls`, `files`, [`FormatKeys`] and [`LimitKeys`].
    pub(crate) struct ListKeys {
        "feed" feed: Slug,
        "url" url: SourceUrl,
        "file" file: PathBuf,
        "use" use_: Use,
        "code" code: Code,
        "text" text: Text,
        "floor" floor: Duration,
        "allow-private" allow_private: bool,
        "credential" credential: Credential,
        "known-hosts" known_hosts: PathBuf,
    }
}

keys! {
    /// When a list is too old, and what it must look like.
    pub(crate) struct LimitKeys {
        "soft-age" soft_age: Limit,
        "hard-age" hard_age: Limit,
        "unchanged-age" unchanged_age: Limit,
        "max-size" max_size: Size,
        "max-bad-share" max_bad_share: Share,
        "min-entries" min_entries: u64,
        "max-coverage" max_coverage: Share,
        "max-coverage-v6" max_coverage_v6: Share,
        "shortest-prefix-v4" shortest_prefix_v4: u8,
        "shortest-prefix-v6" shortest_prefix_v6: u8,
        "shortest-name" shortest_name: u8,
        "max-shrink" max_shrink: Share,
        "max-growth" max_growth: Times,
        "max-gone" max_gone: Share,
        "compare-above" compare_above: u64,
        "max-canaries" max_canaries: u64,
        "max-unknown-tlds" max_unknown_tlds: u64,
        "allow-empty" allow_empty: bool,
        "bogons" bogons: bool,
    }
}

keys! {
    /// `[zone."ORIGIN"]`, but its arrays.
    pub(crate) struct ZoneKeys {
        "keep-values" keep_values: bool,
        "test-points" test_points: bool,
        "ttl" ttl: Duration,
        "negative-ttl" negative_ttl: Duration,
        "soa-ttl" soa_ttl: Duration,
        "soa-mname" soa_mname: Name,
        "soa-rname" soa_rname: Name,
        "soa-refresh" soa_refresh: Duration,
        "soa-retry" soa_retry: Duration,
        "soa-expire" soa_expire: Duration,
    }
}

keys! {
    /// An item of a zone's `lists` that is a table.
    pub(crate) struct MemberKeys {
        "list" list: Slug,
        "code" code: Code,
        "text" text: Text,
    }
}

keys! {
    /// An item of `access`, but `clients`.
    pub(crate) struct AccessKeys {
        "action" action: AccessWord,
        "code" code: Code,
        "text" text: Text,
    }
}

/// What DNS over TLS and over HTTPS needs.
#[derive(Debug, Default)]
pub(crate) struct SecureFile {
    pub(crate) dot: Option<Vec<At<SocketAddr>>>,
    pub(crate) doh: Option<Vec<At<SocketAddr>>>,
    pub(crate) certificate: Option<At<PathBuf>>,
    pub(crate) key: Option<At<PathBuf>>,
    /// Nothing in them was wrong so far.
    pub(crate) sound: bool,
}

/// `access` and `access-files`.
#[derive(Debug, Default)]
pub(crate) struct AccessFile {
    pub(crate) rules: Vec<RuleFile>,
    pub(crate) files: Vec<At<PathBuf>>,
}

/// What some clients are given, as typed.
#[derive(Debug)]
pub(crate) struct RuleFile {
    pub(crate) keys: AccessKeys,
    pub(crate) clients: Vec<At<Network>>,
    pub(crate) place: Option<Place>,
    /// Nothing in `clients` was wrong so far.
    pub(crate) sound: bool,
}

/// A list as typed.
#[derive(Debug)]
pub(crate) struct ListFile {
    pub(crate) keys: ListKeys,
    pub(crate) urls: Option<Vec<At<SourceUrl>>>,
    pub(crate) files: Option<Vec<At<PathBuf>>>,
    pub(crate) format: FormatKeys,
    pub(crate) limits: LimitKeys,
    /// Of the keys that a list must have, those that are there, right or wrong.
    pub(crate) given: Vec<&'static str>,
    /// Nothing in it was wrong so far.
    pub(crate) sound: bool,
}

impl ListFile {
    /// Where it is to be fetched, when it says so itself.
    pub(crate) fn own_urls(&self) -> Option<&[At<SourceUrl>]> {
        self.urls.as_deref().or_else(|| self.keys.url.as_ref().map(std::slice::from_ref))
    }
}

/// A zone as typed.
#[derive(Debug)]
pub(crate) struct ZoneFile {
    pub(crate) keys: ZoneKeys,
    pub(crate) lists: Vec<MemberKeys>,
    pub(crate) lists_place: Option<Place>,
    /// Nothing in `lists` was wrong so far.
    pub(crate) lists_sound: bool,
    pub(crate) except: Vec<At<Slug>>,
    pub(crate) ns: Option<Vec<At<Name>>>,
    pub(crate) access: AccessFile,
}

impl LimitKeys {
    /// The keys given that judge a list, and where they stand.
    pub(crate) fn judging(&self) -> impl Iterator<Item = (&'static str, &Place)> {
        fn place<T>(key: &Option<At<T>>) -> Option<&Place> {
            key.as_ref().map(|at| &at.place)
        }
        [
            ("max-bad-share", place(&self.max_bad_share)),
            ("min-entries", place(&self.min_entries)),
            ("max-coverage", place(&self.max_coverage)),
            ("max-coverage-v6", place(&self.max_coverage_v6)),
            ("shortest-prefix-v4", place(&self.shortest_prefix_v4)),
            ("shortest-prefix-v6", place(&self.shortest_prefix_v6)),
            ("shortest-name", place(&self.shortest_name)),
            ("max-shrink", place(&self.max_shrink)),
            ("max-growth", place(&self.max_growth)),
            ("max-gone", place(&self.max_gone)),
            ("compare-above", place(&self.compare_above)),
            ("max-canaries", place(&self.max_canaries)),
            ("max-unknown-tlds", place(&self.max_unknown_tlds)),
            ("allow-empty", place(&self.allow_empty)),
        ]
        .into_iter()
        .filter_map(|(key, place)| Some((key, place?)))
    }

    /// The ages, `default` where none is given.
    pub(crate) fn ages(&self, default: Ages) -> Ages {
        let age = |key: &Option<At<Limit>>, default| key.as_ref().map_or(default, |at| at.value.0);
        Ages {
            soft: age(&self.soft_age, default.soft),
            hard: age(&self.hard_age, default.hard),
            unchanged: age(&self.unchanged_age, default.unchanged),
        }
    }

    /// The limits, `default` where none is given.
    pub(crate) fn limits(&self, default: Limits) -> Limits {
        fn or<T: Copy>(key: &Option<At<T>>, default: T) -> T {
            key.as_ref().map_or(default, |at| at.value)
        }
        let default = if or(&self.bogons, false) && !default.bogons { default.of_bogons() } else { default };
        Limits {
            max_bad_share: or(&self.max_bad_share, Share(default.max_bad_share)).0,
            min_entries: or(&self.min_entries, default.min_entries),
            max_coverage_v4: or(&self.max_coverage, Share(default.max_coverage_v4)).0,
            max_coverage_v6: or(&self.max_coverage_v6, Share(default.max_coverage_v6)).0,
            shortest_v4: or(&self.shortest_prefix_v4, default.shortest_v4),
            shortest_v6: or(&self.shortest_prefix_v6, default.shortest_v6),
            shortest_name: or(&self.shortest_name, default.shortest_name),
            max_shrink: or(&self.max_shrink, Share(default.max_shrink)).0,
            max_growth: or(&self.max_growth, Times(default.max_growth)).0,
            max_gone: or(&self.max_gone, Share(default.max_gone)).0,
            compare_above: or(&self.compare_above, default.compare_above),
            max_canaries: or(&self.max_canaries, default.max_canaries),
            max_unknown_tlds: or(&self.max_unknown_tlds, default.max_unknown_tlds),
            allow_empty: or(&self.allow_empty, default.allow_empty),
            bogons: or(&self.bogons, default.bogons),
        }
    }
}

impl File {
    /// The main file: may say everything. `None` when it is not TOML.
    pub(crate) fn main(document: &Arc<Document>, problems: &mut Problems) -> Option<Self> {
        let entries = parse(document, problems)?;
        let mut table = Table::root(document.clone(), &entries);
        let top = TopKeys::read(&mut table, problems);
        if !check_version(&table, top.version.as_ref(), problems) {
            return Some(Self::default());
        }
        let mut file = Self { top, ..Self::default() };
        if let Some(mut server) = table.table("server", problems) {
            let before = problems.len();
            file.listen = server.array("listen", problems);
            if problems.len() == before
                && let (Some([]), Some(place)) = (file.listen.as_deref(), server.place_of("listen"))
            {
                problems.push(Problem::new(&place, "no address to listen on").help("expected at least one"));
            }
            file.secure = secure(&mut server, problems);
            file.access = access(&mut server, problems);
            file.rate_limit_exempt = server.array("rate-limit-exempt", problems);
            file.server = ServerKeys::read(&mut server, problems);
            server.finish(problems);
        }
        if let Some(mut sync) = table.table("sync", problems) {
            file.sync = SyncKeys::read(&mut sync, problems);
            file.own_networks = sync.array("own-networks", problems).unwrap_or_default();
            file.canaries = sync.array("canaries", problems).unwrap_or_default();
            file.hook = sync.array("hook", problems);
            sync.finish(problems);
        }
        file.lists_and_zones(&mut table, problems);
        table.finish(problems);
        Some(file)
    }

    /// A file of `conf.d`: may add lists and zones. `None` when it is not TOML.
    pub(crate) fn addition(document: &Arc<Document>, problems: &mut Problems) -> Option<Self> {
        let entries = parse(document, problems)?;
        let mut table = Table::root(document.clone(), &entries);
        let version = table.value("version", problems);
        let mut file = Self::default();
        if !check_version(&table, version.as_ref(), problems) {
            return Some(file);
        }
        file.lists_and_zones(&mut table, problems);
        table.finish(problems);
        Some(file)
    }

    fn lists_and_zones(&mut self, table: &mut Table<'_>, problems: &mut Problems) {
        for (name, mut table) in table.tables::<Slug>("list", problems) {
            let before = problems.len();
            let keys = ListKeys::read(&mut table, problems);
            let (urls, files) =
                (table.array::<SourceUrl>("urls", problems), table.array::<PathBuf>("files", problems));
            if problems.len() == before {
                refuse_empty("urls", "no URL", urls.as_deref(), &table, problems);
                refuse_empty("files", "no file", files.as_deref(), &table, problems);
            }
            let format = FormatKeys::read(&mut table, problems);
            let limits = LimitKeys::read(&mut table, problems);
            let must = ["feed", "url", "urls", "file", "files", "format", "use"];
            let given = must.into_iter().filter(|key| table.has(key)).collect();
            table.finish(problems);
            let sound = problems.len() == before;
            self.lists.push((name, ListFile { keys, urls, files, format, limits, given, sound }));
        }
        for (origin, mut table) in table.tables::<Name>("zone", problems) {
            let lists_place = table.place_of("lists");
            let before = problems.len();
            let lists = members(&mut table, problems);
            let lists_sound = problems.len() == before;
            let except = table.array("except", problems).unwrap_or_default();
            let ns = table.array("ns", problems);
            let access = access(&mut table, problems);
            let keys = ZoneKeys::read(&mut table, problems);
            table.finish(problems);
            let zone = ZoneFile { keys, lists, lists_place, lists_sound, except, ns, access };
            self.zones.push((origin, zone));
        }
        // TOML's tables come by name; the second of two spellings is the one further down.
        self.zones.sort_by_key(|(origin, _)| Problem::order(&origin.place));
    }
}

fn refuse_empty<T>(
    key: &str,
    message: &str,
    items: Option<&[At<T>]>,
    table: &Table<'_>,
    problems: &mut Problems,
) {
    if let (Some([]), Some(place)) = (items, table.place_of(key)) {
        problems.push(Problem::new(&place, message).help("expected at least one"));
    }
}

fn members(table: &mut Table<'_>, problems: &mut Problems) -> Vec<MemberKeys> {
    let Some(items) = table.items("lists", "the name of a list or a table `{ list = … }`", problems) else {
        return Vec::new();
    };
    let mut members = Vec::new();
    for item in items {
        if let Some(mut member) = table.item_table(item) {
            member.require(&["list"], problems);
            let keys = MemberKeys::read(&mut member, problems);
            member.finish(problems);
            members.push(keys);
        } else if let Some(list) = table.item_value(item, problems) {
            members.push(MemberKeys { list: Some(list), ..MemberKeys::default() });
        }
    }
    members
}

fn secure(table: &mut Table<'_>, problems: &mut Problems) -> SecureFile {
    let before = problems.len();
    let (dot, doh) = (table.array("dot", problems), table.array("doh", problems));
    let (certificate, key) = (table.value("certificate", problems), table.value("key", problems));
    SecureFile { dot, doh, certificate, key, sound: problems.len() == before }
}

fn access(table: &mut Table<'_>, problems: &mut Problems) -> AccessFile {
    let rules = rules(table, problems);
    let before = problems.len();
    let files = table.array("access-files", problems);
    if problems.len() == before
        && let (Some([]), Some(place)) = (files.as_deref(), table.place_of("access-files"))
    {
        problems.push(Problem::new(&place, "no file").help("expected at least one"));
    }
    AccessFile { rules, files: files.unwrap_or_default() }
}

fn rules(table: &mut Table<'_>, problems: &mut Problems) -> Vec<RuleFile> {
    const RULE: &str = "a table `{ clients = [\"192.0.2.0/24\"], action = \"refuse\" }`";
    let mut rules = Vec::new();
    for item in table.items("access", RULE, problems).unwrap_or_default() {
        let Some(mut rule) = table.item_table(item) else {
            let problem = Problem::new(&table.place_of_item(item), "not a rule");
            problems.push(problem.help(format!("expected {RULE}")));
            continue;
        };
        rule.require(&["clients", "action"], problems);
        let place = rule.place_of("clients");
        let before = problems.len();
        let clients = rule.array("clients", problems).unwrap_or_default();
        let sound = problems.len() == before;
        let keys = AccessKeys::read(&mut rule, problems);
        rule.finish(problems);
        rules.push(RuleFile { keys, clients, place, sound });
    }
    rules
}

/// Whether the rest of the file means what this version thinks.
fn check_version(table: &Table<'_>, version: Option<&At<u64>>, problems: &mut Problems) -> bool {
    let expected = format!("expected `version = {VERSION}`");
    match version {
        Some(version) if version.value != VERSION => {
            let message = format!("this program reads version {VERSION} of the configuration");
            problems.push(Problem::new(&version.place, message).help(expected));
            false
        }
        Some(_) => true,
        None => {
            if table.place_of("version").is_none() {
                problems.push(Problem::new(&table.place(), "missing key `version`").help(expected));
            }
            true
        }
    }
}

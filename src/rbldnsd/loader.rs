//! The loader: a process that looks at the files, compiles what has changed and hands it over.
//!
//! It gives up its privileges before it opens a list, works one `Request::Check` after another, and ends with the
//! process that started it. What cannot be loaded is reported and tried again with the next check; what was handed over
//! before stays in service. Read [`run`], then `Loader::check`.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::cache::{Cache, Made};
use super::channel::Channel;
use super::files::{self, Content, Stamp};
use super::options::{DataSet, DataSetKind, ZoneSpec};
use super::privileges;
use super::reports::{Job, Part, Report, Request};
use crate::compile::{self, Member, compile, expand};
use crate::config::defaults;
use crate::model::{ContentHash, Name, Ns, Soa, Template, Use};
use crate::ops::leave_to_parent;
use crate::parse::{Diag, Format};
use crate::set::codec;
use crate::snapshot::{self, Mapped, Snapshot};

/// Raised whenever the same files compile to something else.
const COMPILER: u32 = 5;

/// Octets of a snapshot that are written at a time.
const WRITE: usize = 1 << 18;

/// Works for whoever holds the other end of `socket`, until that is closed.
pub fn run(socket: UnixStream) -> anyhow::Result<()> {
    leave_to_parent()?;
    let channel = Channel::new(socket);
    let Some((Request::Job(job), _)) = channel.receive()? else { return Ok(()) };
    privileges::confine(&job.confinement)?;
    let mut loader = Loader::new(*job, channel);
    while let Some((request, _)) = loader.channel.receive()? {
        match request {
            Request::Job(_) => {}
            Request::Check => loader.check()?,
        }
    }
    Ok(())
}

struct Loader {
    job: Job,
    channel: Channel,
    cache: Cache,
    /// For each zone what was handed over last.
    zones: Vec<Known>,
    /// And for each access list what its files were then.
    access: HashMap<usize, KnownAccess>,
    /// For each data set the last zone that it is in.
    last_use: HashMap<usize, usize>,
    /// Data sets beside others in a zone: a change of another may make one needed again.
    shared: HashSet<usize>,
}

/// What is known of an access list.
struct KnownAccess {
    stamps: Vec<Stamp>,
    is_fresh: bool,
}

/// What is known of a zone.
#[derive(Default)]
struct Known {
    /// Names what was handed over last.
    key: Option<ContentHash>,
    /// It is to be made again though its files look the same.
    is_fresh: bool,
}

/// Everything that decides what a zone compiles to, or a data set is read as.
#[derive(Serialize)]
struct MadeFrom<'a> {
    compiler: u32,
    program: &'a str,
    origin: Option<&'a Name>,
    data_sets: Vec<(&'a DataSet, &'a [Stamp])>,
    ttls: super::Ttls,
    host_bits: bool,
    gzip: bool,
}

/// What a snapshot in the cache does not say itself; its provenance.
#[derive(Serialize, Deserialize)]
struct Kept {
    serial: u32,
    until: Option<i64>,
    subzones: usize,
}

/// What was done in a round.
#[derive(Default)]
struct Round {
    /// The data sets that were read, for the zones that share them.
    contents: HashMap<usize, Result<Rc<Content>, String>>,
    made: Made,
}

impl Loader {
    fn new(job: Job, channel: Channel) -> Self {
        let zones = job.specs.zones.iter().map(|_| Known::default()).collect();
        let cache = Cache::new(job.cache.clone());
        let uses = job.specs.zones.iter().enumerate();
        let last_use = uses.flat_map(|(at, zone)| zone.lists.iter().map(move |&list| (list, at))).collect();
        let several = job.specs.zones.iter().filter(|zone| zone.lists.len() > 1);
        let shared = several.flat_map(|zone| zone.lists.iter().copied()).collect();
        Self { job, channel, cache, zones, access: HashMap::new(), last_use, shared }
    }

    /// Looks at every file, and loads the zones whose files have changed. Errors are those of the channel.
    fn check(&mut self) -> io::Result<()> {
        let began = Instant::now();
        let stamps: Vec<_> = self.job.specs.data_sets.iter().map(files::stamps).collect();
        let mut round = Round::default();
        let (mut changed, mut failed) = (0, 0);
        for data_set in self.job.specs.access_lists() {
            match self.access(data_set, &stamps[data_set])? {
                Ok(is_new) => changed += usize::from(is_new),
                Err(why) => {
                    failed += 1;
                    let name = self.job.specs.data_sets[data_set].to_string();
                    self.tell(&Report::Failed { part: Part::Access { data_set, name }, why })?;
                }
            }
        }
        for (index, zone) in self.job.specs.zones.clone().iter().enumerate() {
            let of = |at: usize| stamps[at].as_ref().map(Vec::as_slice).map_err(String::clone);
            let result = match self.job.made_from(zone, of) {
                Ok(key) if self.zones[index].key == Some(key) && !self.zones[index].is_fresh => continue,
                Ok(key) => self.load(index, zone, &key, &stamps, &mut round)?,
                Err(why) => Err(why),
            };
            // A data set that no zone behind this one has need not be held any longer.
            round.contents.retain(|data_set, _| self.last_use[data_set] > index);
            match result {
                Ok(()) => changed += 1,
                Err(why) => {
                    failed += 1;
                    self.tell(&Report::Failed { part: Part::Zone(zone.origin.clone()), why })?;
                }
            }
        }
        self.cache.forget_others(&round.made);
        let milliseconds = began.elapsed().as_millis() as u64;
        self.tell(&Report::Done { changed, failed, milliseconds })
    }

    /// Hands an access list over if its files look different; whether it did.
    fn access(
        &mut self,
        data_set: usize,
        stamps: &Result<Vec<Stamp>, String>,
    ) -> io::Result<Result<bool, String>> {
        let stamps = match stamps {
            Ok(stamps) => stamps,
            Err(why) => return Ok(Err(why.clone())),
        };
        if self.access.get(&data_set).is_some_and(|known| known.stamps == *stamps && !known.is_fresh) {
            return Ok(Ok(false));
        }
        let spec = &self.job.specs.data_sets[data_set];
        let began = Instant::now();
        let clients = match self.reading(|on_bad| files::read_clients(&self.job, spec, on_bad))? {
            Ok(clients) => clients,
            Err(why) => return Ok(Err(why)),
        };
        let files::Clients { list, stamps, is_fresh, warnings } = clients;
        self.warn(warnings)?;
        self.tell(&Report::Read {
            data_set: spec.to_string(),
            entries: list.clients.len() as u64,
            bad: 0,
            modified: newest(&stamps).unwrap_or(0),
            milliseconds: began.elapsed().as_millis() as u64,
        })?;
        self.tell(&Report::Access { data_set, list })?;
        self.access.insert(data_set, KnownAccess { stamps, is_fresh });
        Ok(Ok(true))
    }

    /// Reads something, and tells of the lines that are left out. The outer error is the channel's.
    fn reading<T>(
        &self,
        read: impl FnOnce(&mut dyn FnMut(&Path, Diag)) -> Result<T, String>,
    ) -> io::Result<Result<T, String>> {
        let mut broken = None;
        let result = read(&mut |file, diag| {
            let told = self.tell(&Report::BadLine { file: file.to_owned(), diag });
            broken = broken.take().or_else(|| told.err());
        });
        broken.map_or(Ok(result), Err)
    }

    fn warn(&self, warnings: Vec<String>) -> io::Result<()> {
        warnings.into_iter().try_for_each(|text| self.tell(&Report::Warning { text }))
    }

    fn tell(&self, report: &Report) -> io::Result<()> {
        self.channel.send(report, None)
    }

    /// Hands a zone over, from the cache or compiled now. The inner error says why that cannot be done.
    fn load(
        &mut self,
        index: usize,
        zone: &ZoneSpec,
        key: &ContentHash,
        stamps: &[Result<Vec<Stamp>, String>],
        round: &mut Round,
    ) -> io::Result<Result<(), String>> {
        let prefix = self.job.prefix(zone);
        if !self.zones[index].is_fresh && self.offer_from_cache(zone, &prefix, key)? {
            self.zones[index].key = Some(*key);
            return Ok(Ok(()));
        }
        let mut contents = Vec::new();
        for &data_set in &zone.lists {
            let stamps = stamps[data_set].as_deref().unwrap_or_default();
            match self.content(data_set, stamps, self.zones[index].is_fresh, round)? {
                Ok(content) => contents.push(content),
                Err(why) => return Ok(Err(why)),
            }
        }
        // What was read counts, not what was there when the round began.
        let read: HashMap<usize, &[Stamp]> =
            zone.lists.iter().zip(&contents).map(|(&at, content)| (at, &content.stamps[..])).collect();
        let key = match self.job.made_from(zone, |at| Ok(read[&at])) {
            Ok(key) => key,
            Err(why) => return Ok(Err(why)),
        };
        let no_list = contents.iter().find_map(|content| content.report.is_no_list(content.set.is_empty()));
        if let Some(why) = no_list {
            if self.zones[index].key.is_some() {
                return Ok(Err(format!("{why}; that is no list")));
            }
            self.tell(&Report::Warning { text: format!("zone {}: {why}", zone.origin) })?;
        }
        if let Err(why) = self.make(zone, &prefix, &key, &contents)? {
            return Ok(Err(why));
        }
        round.made.zone(&prefix, &key);
        self.zones[index] =
            Known { key: Some(key), is_fresh: contents.iter().any(|content| content.is_fresh) };
        Ok(Ok(()))
    }

    /// A data set, read once a round; as it was kept when its files look the same and `insist` is not set.
    fn content(
        &self,
        data_set: usize,
        stamps: &[Stamp],
        insist: bool,
        round: &mut Round,
    ) -> io::Result<Result<Rc<Content>, String>> {
        if let Some(known) = round.contents.get(&data_set) {
            return Ok(known.clone());
        }
        let spec = &self.job.specs.data_sets[data_set];
        let prefix = self.job.hash(None, vec![(spec, &[])]).short();
        let key = self.job.hash(None, vec![(spec, stamps)]);
        let kept = self.cache.find_set(&prefix, &key).filter(|_| !insist);
        let is_kept = kept.is_some();
        let read = match kept {
            Some((report, set)) => Ok(Content::new(set, report, stamps.to_vec(), false)),
            None => self.read(spec)?,
        };
        let read = read.map(Rc::new);
        if let Ok(content) = &read
            && !is_kept
            && self.shared.contains(&data_set)
        {
            let key = self.job.hash(None, vec![(spec, &content.stamps)]);
            self.cache.keep_set(&prefix, &key, &content.report, &codec::encode(&content.set).0);
            round.made.set(&prefix, &key);
        }
        round.contents.insert(data_set, read.clone());
        Ok(read)
    }

    fn read(&self, spec: &DataSet) -> io::Result<Result<Content, String>> {
        let began = Instant::now();
        let DataSetKind::List(format) = spec.kind else {
            return Ok(Err(format!("{spec} is an access list")));
        };
        let mut read = self.reading(|on_bad| files::read(&self.job, spec, format, on_bad))?;
        if let Ok(content) = &mut read {
            self.warn(std::mem::take(&mut content.warnings))?;
            self.tell(&Report::Read {
                data_set: spec.to_string(),
                entries: content.report.entries,
                bad: content.report.bad,
                modified: newest(&content.stamps).unwrap_or(0),
                milliseconds: began.elapsed().as_millis() as u64,
            })?;
        }
        Ok(read)
    }

    fn offer_from_cache(&self, zone: &ZoneSpec, prefix: &str, key: &ContentHash) -> io::Result<bool> {
        let Some(first) = self.cache.find(prefix, key, 0) else { return Ok(false) };
        let Ok(kept) = serde_json::from_value::<Kept>(first.1.provenance().clone()) else { return Ok(false) };
        let mut found = vec![first];
        for number in 1..=kept.subzones {
            let Some(next) = self.cache.find(prefix, key, number) else { return Ok(false) };
            found.push(next);
        }
        for (file, snapshot) in &found {
            self.hand_over(zone, file, snapshot, kept.serial, kept.until, true)?;
        }
        Ok(true)
    }

    fn make(
        &self,
        zone: &ZoneSpec,
        prefix: &str,
        key: &ContentHash,
        contents: &[Rc<Content>],
    ) -> io::Result<Result<(), String>> {
        let until = contents.iter().filter_map(|content| content.report.validity.until).min();
        let until = until.map(|end| end.as_second());
        let mut spec = self.job.compiled_spec(zone, contents);
        let modified = contents.iter().flat_map(|content| &content.stamps).map(Stamp::modified).max();
        let serial = spec.zone.soa.serial.take().unwrap_or_else(|| modified.unwrap_or(1).max(1) as u32);
        let zones = expand(spec, |subzone| self.job.is_served(zone, subzone));
        let kept = json!(Kept { serial, until, subzones: zones.len() - 1 });
        let mut made = Vec::new();
        for (number, spec) in zones.iter().enumerate().rev() {
            let compiled = compile(spec);
            let write = |file: &mut File| {
                let mut out = BufWriter::with_capacity(WRITE, file);
                snapshot::write(&compiled, &kept, &mut out).map(drop)
            };
            let file = match self.cache.keep(prefix, key, number, write) {
                Ok(file) => file,
                Err(error) => return Ok(Err(format!("{}: {error}", spec.zone.origin))),
            };
            made.push(file);
        }
        for file in made.iter().rev() {
            match Mapped::of(file).and_then(Snapshot::open) {
                Ok(snapshot) => self.hand_over(zone, file, &snapshot, serial, until, false)?,
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
        Ok(Ok(()))
    }

    fn hand_over(
        &self,
        zone: &ZoneSpec,
        file: &File,
        snapshot: &Snapshot<Mapped>,
        serial: u32,
        until: Option<i64>,
        cached: bool,
    ) -> io::Result<()> {
        let origin = snapshot.zone().origin.clone();
        for text in missing_test_points(&self.job, zone, snapshot) {
            self.tell(&Report::Warning { text: format!("zone {origin}: {text}") })?;
        }
        let report = Report::Zone { base: zone.origin.clone(), origin, serial, until, cached };
        self.channel.send(&report, Some(file.as_fd()))
    }
}

/// The time of the file that was changed last, in seconds since 1970.
fn newest(stamps: &[Stamp]) -> Option<i64> {
    stamps.iter().map(Stamp::modified).max()
}

impl Job {
    /// Names what a zone is made of: with these stamps of its data sets, or why they cannot be had.
    fn made_from<'a>(
        &'a self,
        zone: &'a ZoneSpec,
        stamps: impl Fn(usize) -> Result<&'a [Stamp], String>,
    ) -> Result<ContentHash, String> {
        let data_sets = zone.lists.iter().map(|&at| Ok((&self.specs.data_sets[at], stamps(at)?)));
        Ok(self.hash(Some(&zone.origin), data_sets.collect::<Result<_, String>>()?))
    }

    fn hash(&self, origin: Option<&Name>, data_sets: Vec<(&DataSet, &[Stamp])>) -> ContentHash {
        let made_from = MadeFrom {
            compiler: COMPILER,
            program: env!("CARGO_PKG_VERSION"),
            origin,
            data_sets,
            ttls: self.ttls,
            host_bits: self.host_bits,
            gzip: self.gzip,
        };
        ContentHash::of(&serde_json::to_vec(&made_from).expect("plain data"))
    }

    /// Stands for the zone in the cache, whatever its files hold.
    fn prefix(&self, zone: &ZoneSpec) -> String {
        let text = zone.origin.to_string();
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let origin: String = text.chars().filter(plain).take(100).collect();
        let data_sets = zone.lists.iter().map(|&at| (&self.specs.data_sets[at], &[][..])).collect();
        format!("{origin}-{}", self.hash(Some(&zone.origin), data_sets).short())
    }
}

impl Job {
    /// Whether a subzone is asked for where it would be served: a zone of the command line that lies between goes before.
    fn is_served(&self, zone: &ZoneSpec, subzone: &Name) -> bool {
        let mut inner =
            self.specs.zones.iter().map(|other| &other.origin).filter(|other| **other != zone.origin);
        !inner.any(|other| other.is_in(&zone.origin) && subzone.is_in(other))
    }

    /// What the compiler is told: values stand as written, nothing is forced, nothing is refused.
    fn compiled_spec(&self, zone: &ZoneSpec, contents: &[Rc<Content>]) -> compile::ZoneSpec {
        let seconds = |duration: std::time::Duration| duration.as_secs() as u32;
        let origin = &zone.origin;
        let soa = Soa {
            ttl: seconds(defaults::SOA_TTL),
            mname: origin.clone(),
            rname: defaults::SOA_RNAME.parse().unwrap_or_else(|_| Name::root()),
            serial: None,
            refresh: seconds(defaults::SOA_REFRESH),
            retry: seconds(defaults::SOA_RETRY),
            expire: seconds(defaults::SOA_EXPIRE),
            minimum: seconds(defaults::NEGATIVE_TTL),
        };
        let ns = Ns { ttl: seconds(defaults::SOA_TTL), hosts: vec![origin.clone()] };
        // The first data set of the zone that says something of it counts.
        let said_soa = contents.iter().find_map(|content| content.set.directives.soa.clone());
        let said_ns = contents.iter().find_map(|content| content.set.directives.ns.clone());
        let members = zone.lists.iter().zip(contents).map(|(&at, content)| Member {
            name: self.specs.data_sets[at].to_string(),
            set: Arc::clone(&content.set),
            // Nobody looks for the set by what it holds, so that is not read once more to be hashed.
            hash: self.hash(None, vec![(&self.specs.data_sets[at], &content.stamps)]),
            use_: Use::Block,
            code: Ipv4Addr::new(127, 0, 0, 2),
            text: Template::default(),
            keep_values: true,
            foreign: false,
            never: None,
        });
        compile::ZoneSpec {
            members: members.collect(),
            excepts: Vec::new(),
            zone: compile::ZoneData {
                soa: said_soa.unwrap_or(soa),
                ns: said_ns.unwrap_or(ns),
                ttl: self.ttls.default,
                test_points: false,
                combined: zone.lists.len() > 1,
                base: None,
                origin: origin.clone(),
            },
            subzones: Vec::new(),
        }
    }
}

/// What RFC 5782 section 5 asks for and the zone does not have: nobody can tell from outside whether it works, or it
/// looks as if everything were listed.
fn missing_test_points(job: &Job, zone: &ZoneSpec, snapshot: &Snapshot<Mapped>) -> Vec<&'static str> {
    let holds = |formats: &[Format]| {
        let kinds = zone.lists.iter().map(|&at| job.specs.data_sets[at].kind);
        kinds.into_iter().any(|kind| matches!(kind, DataSetKind::List(format) if formats.contains(&format)))
    };
    let mut missing = Vec::new();
    let listed = |a: [u8; 4]| snapshot.v4(u32::from_be_bytes(a)).is_ok_and(|answer| answer.is_some());
    let named = |name: &[u8]| snapshot.name(name).is_ok_and(|found| found.answer.is_some());
    if holds(&[Format::Ip4set, Format::Ip4tset, Format::Ip4trie]) {
        if !listed([127, 0, 0, 2]) {
            missing.push("the test point 127.0.0.2 is not listed (RFC 5782 section 5)");
        }
        if listed([127, 0, 0, 1]) {
            missing.push("127.0.0.1 is listed, which tells clients that everything is (RFC 5782 section 5)");
        }
    }
    if holds(&[Format::Dnset, Format::Dnhash]) {
        if !named(b"\x04test") {
            missing.push("the test point `test` is not listed (RFC 5782 section 5)");
        }
        if named(b"\x07invalid") {
            missing.push("`invalid` is listed, which tells clients that everything is (RFC 5782 section 5)");
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rbldnsd::options::{Specs, Ttls};
    use crate::rbldnsd::reports::Confinement;

    /// The data sets that a check reads.
    fn read_by_check(loader: &mut Loader, reports: &Channel) -> Vec<String> {
        loader.check().unwrap();
        let mut read = Vec::new();
        loop {
            match reports.receive().unwrap().unwrap().0 {
                Report::Read { data_set, .. } => read.push(data_set),
                Report::Failed { why, .. } => panic!("{why}"),
                Report::Done { .. } => return read,
                _ => {}
            }
        }
    }

    /// It may have been written once more within the same tick of the clock.
    #[test]
    fn what_was_fresh_is_read_again_though_it_looks_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let [list, clients, cache] = ["list", "clients", "cache"].map(|name| folder.path().join(name));
        std::fs::create_dir(&cache).unwrap();
        let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lists/trie.1.txt");
        // The second zone's list is kept as a set as well.
        let typed = [
            format!("a.example:ip4set:{}", list.display()),
            format!("b.example:ip4tset:{}", list.display()),
            "b.example:dnset:/dev/null".to_owned(),
            format!("b.example:acl:{}", clients.display()),
            format!("c.example:ip4trie:{}", old.display()),
        ];
        let specs = Specs::parse(&typed).unwrap();
        let [set, tset, _, acl, trie] = [0, 1, 2, 3, 4].map(|at| specs.data_sets[at].to_string());
        let (here, reports) = UnixStream::pair().unwrap();
        let reports = Channel::new(reports);
        let job = Job {
            confinement: Confinement::default(),
            cache: Some(cache),
            ttls: Ttls::default(),
            host_bits: false,
            gzip: true,
            specs,
        };
        let mut loader = Loader::new(job, Channel::new(here));
        let wanted = BTreeSet::from([set, tset, acl]);
        let mut again = BTreeSet::new();
        // On a busy machine a file may be old before it is read.
        for _ in 0..1000 {
            std::fs::write(&clients, "127.0.0.1 :pass\n").unwrap();
            std::fs::write(&list, "127.0.0.2\n").unwrap();
            let read = read_by_check(&mut loader, &reports);
            assert!(wanted.iter().all(|data_set| read.contains(data_set)), "{read:?}");
            again.extend(read_by_check(&mut loader, &reports));
            if again.is_superset(&wanted) {
                break;
            }
        }
        assert!(again.is_superset(&wanted), "{again:?}");
        assert!(!again.contains(&trie), "what is old is read once");
    }
}

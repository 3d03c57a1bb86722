//! The loader: a process that looks at the files, compiles what has changed and hands it over.
//!
//! It gives up its privileges before it opens a list, works one `Request::Check` after another, and ends with the
//! process that started it. What cannot be loaded is reported and tried again with the next check; what was handed over
//! before stays in service. Read [`run`], then `Loader::check`.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter};
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
use super::files::{self, Account, Content, Stamp};
use super::made_from::missing_test_points;
use super::options::{DataSet, DataSetKind, ZoneSpec};
use super::privileges;
use super::reports::{BadLines, Job, Part, Report, Request};
use crate::compile::{compile, expand};
use crate::model::{ContentHash, Name};
use crate::ops::leave_to_parent;
use crate::parse::Diag;
use crate::set::codec;
use crate::snapshot::{self, Mapped, Snapshot};

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
            Request::Again(origin) => loader.forget(&origin),
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
    /// What the files of each data set were when their lines were told of: read again as they were, they say nothing new.
    told: HashMap<usize, Vec<Stamp>>,
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
    /// What it is not made of, and why not: none of its files has changed since it was refused.
    refused: Option<(ContentHash, String)>,
}

/// What a snapshot in the cache does not say itself; its provenance.
#[derive(Serialize, Deserialize)]
struct Kept {
    serial: u32,
    until: Option<i64>,
    subzones: usize,
    /// Of the files that it was made from.
    bad_lines: BadLines,
    /// Why they are no list, where nothing better was there.
    no_list: Option<String>,
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
        let (access, told) = (HashMap::new(), HashMap::new());
        Self { job, channel, cache, zones, access, last_use, shared, told }
    }

    /// What this zone was made of last is to be handed over again.
    fn forget(&mut self, origin: &Name) {
        let zones = self.job.specs.zones.iter().zip(&mut self.zones);
        zones.filter(|(zone, _)| zone.origin == *origin).for_each(|(_, known)| known.key = None);
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
                Ok(key) => match &self.zones[index].refused {
                    Some((refused, why)) if *refused == key => Err(why.clone()),
                    _ => self.load(index, zone, &key, &stamps, &mut round)?,
                },
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
        let is_new = self.told.get(&data_set) != Some(stamps);
        let read = self.reading(is_new, |on_bad| files::read_clients(&self.job, spec, on_bad))?;
        let is_fresh = read.as_ref().is_ok_and(|clients| clients.is_fresh);
        has_told(&mut self.told, data_set, stamps, is_fresh);
        let clients = match read {
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

    /// Reads something and, if it is new, tells of the lines that are left out. The outer error is the channel's.
    fn reading<T>(
        &self,
        is_new: bool,
        read: impl FnOnce(&mut dyn FnMut(&Path, &Diag)) -> Result<T, String>,
    ) -> io::Result<Result<T, String>> {
        let mut broken = None;
        let result = read(&mut |file, diag| {
            if is_new {
                let told = self.tell(&Report::BadLine { file: file.to_owned(), diag: diag.clone() });
                broken = broken.take().or_else(|| told.err());
            }
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
        let is_fresh = contents.iter().any(|content| content.is_fresh);
        if let Some(why) = contents.iter().find_map(|content| content.account.no_list.as_ref()) {
            if self.zones[index].key == Some(key) {
                // Read once more only because it was new: it has been told.
                self.zones[index].is_fresh = is_fresh;
                return Ok(Ok(()));
            }
            if self.zones[index].key.is_some() {
                let why = format!("{why}; that is no list");
                self.zones[index].refused = Some((key, why.clone())).filter(|_| !is_fresh);
                return Ok(Err(why));
            }
            self.tell(&no_list(zone, why))?;
        }
        if let Err(why) = self.make(zone, &prefix, &key, &contents)? {
            return Ok(Err(why));
        }
        round.made.zone(&prefix, &key);
        self.zones[index] = Known { key: Some(key), is_fresh, refused: None };
        Ok(Ok(()))
    }

    /// A data set, read once a round; as it was kept when its files look the same and `insist` is not set.
    fn content(
        &mut self,
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
            Some((account, set)) => Ok(Content {
                set: Arc::new(set),
                account,
                stamps: stamps.to_vec(),
                is_fresh: false,
                warnings: Vec::new(),
            }),
            None => {
                let is_new = self.told.get(&data_set).is_none_or(|told| told != stamps);
                let read = self.read(spec, is_new)?;
                let is_fresh = read.as_ref().is_ok_and(|content| content.is_fresh);
                has_told(&mut self.told, data_set, stamps, is_fresh);
                read
            }
        };
        let read = read.map(Rc::new);
        if let Ok(content) = &read
            && !is_kept
            && self.shared.contains(&data_set)
        {
            let key = self.job.hash(None, vec![(spec, &content.stamps)]);
            self.cache.keep_set(&prefix, &key, &content.account, &codec::encode(&content.set).0);
            round.made.set(&prefix, &key);
        }
        round.contents.insert(data_set, read.clone());
        Ok(read)
    }

    fn read(&self, spec: &DataSet, is_new: bool) -> io::Result<Result<Content, String>> {
        let began = Instant::now();
        let DataSetKind::List(format) = spec.kind else {
            return Ok(Err(format!("{spec} is an access list")));
        };
        let mut read = self.reading(is_new, |on_bad| files::read(&self.job, spec, format, on_bad))?;
        if let Ok(content) = &mut read
            && is_new
        {
            let Account { report, .. } = &content.account;
            self.tell(&Report::Read {
                data_set: spec.to_string(),
                entries: report.entries,
                bad: report.bad,
                modified: newest(&content.stamps).unwrap_or(0),
                milliseconds: began.elapsed().as_millis() as u64,
            })?;
            self.warn(std::mem::take(&mut content.warnings))?;
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
        let BadLines { first, more } = kept.bad_lines;
        for (file, diag) in first {
            self.tell(&Report::BadLine { file, diag })?;
        }
        if more > 0 {
            let text = format!("zone {}: {more} more lines were left out when it was compiled", zone.origin);
            self.tell(&Report::Warning { text })?;
        }
        if let Some(why) = &kept.no_list {
            self.tell(&no_list(zone, why))?;
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
        let until = contents.iter().filter_map(|content| content.account.report.validity.until).min();
        let until = until.map(|end| end.as_second());
        let mut spec = self.job.compiled_spec(zone, contents);
        let modified = contents.iter().flat_map(|content| &content.stamps).map(Stamp::modified).max();
        let serial = spec.zone.soa.serial.take().unwrap_or_else(|| modified.unwrap_or(1).max(1) as u32);
        let zones = expand(spec, |subzone| self.job.is_served(zone, subzone));
        let mut bad_lines = BadLines::default();
        contents.iter().for_each(|content| bad_lines.extend(&content.account.bad_lines));
        let no_list = contents.iter().find_map(|content| content.account.no_list.clone());
        let kept = json!(Kept { serial, until, subzones: zones.len() - 1, bad_lines, no_list });
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

/// The lines of files that look like this were told of. What was fresh may have others by now.
fn has_told(told: &mut HashMap<usize, Vec<Stamp>>, data_set: usize, stamps: &[Stamp], is_fresh: bool) {
    match is_fresh {
        true => drop(told.remove(&data_set)),
        false => drop(told.insert(data_set, stamps.to_vec())),
    }
}

/// A zone has nothing but what is no list, and had nothing better before.
fn no_list(zone: &ZoneSpec, why: &str) -> Report {
    Report::Warning { text: format!("zone {}: {why}", zone.origin) }
}

/// The time of the file that was changed last, in seconds since 1970.
fn newest(stamps: &[Stamp]) -> Option<i64> {
    stamps.iter().map(Stamp::modified).max()
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

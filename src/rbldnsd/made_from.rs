//! What a zone is made of: what names it in the cache, what the compiler is told of it, what it should hold.
//!
//! Reads no file. Read [`Job::compiled_spec`] first.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use serde::Serialize;

use super::files::{Content, Stamp};
use super::options::{DataSet, DataSetKind, ZoneSpec};
use super::reports::Job;
use crate::compile::{self, Member};
use crate::config::defaults;
use crate::model::{ContentHash, Name, Template, Use};
use crate::parse::Format;
use crate::snapshot::{Mapped, Snapshot};

/// Raised whenever the same files compile to something else.
const COMPILER: u32 = 6;

/// Everything that decides what a zone compiles to, or a data set is read as.
#[derive(Serialize)]
struct MadeFrom<'a> {
    compiler: u32,
    program: &'a str,
    /// What the files' names are relative to.
    folder: Option<PathBuf>,
    origin: Option<&'a Name>,
    data_sets: Vec<(&'a DataSet, &'a [Stamp])>,
    ttls: super::Ttls,
    host_bits: bool,
    gzip: bool,
}

impl Job {
    /// Names what a zone is made of: with these stamps of its data sets, or why they cannot be had.
    pub(super) fn made_from<'a>(
        &'a self,
        zone: &'a ZoneSpec,
        stamps: impl Fn(usize) -> Result<&'a [Stamp], String>,
    ) -> Result<ContentHash, String> {
        let data_sets = zone.lists.iter().map(|&at| Ok((&self.specs.data_sets[at], stamps(at)?)));
        Ok(self.hash(Some(&zone.origin), data_sets.collect::<Result<_, String>>()?))
    }

    pub(super) fn hash(&self, origin: Option<&Name>, data_sets: Vec<(&DataSet, &[Stamp])>) -> ContentHash {
        let made_from = MadeFrom {
            compiler: COMPILER,
            program: env!("CARGO_PKG_VERSION"),
            folder: std::env::current_dir().ok(),
            origin,
            data_sets,
            ttls: self.ttls,
            host_bits: self.host_bits,
            gzip: self.gzip,
        };
        ContentHash::of(&serde_json::to_vec(&made_from).expect("plain data"))
    }

    /// Stands for the zone in the cache, whatever its files hold.
    pub(super) fn prefix(&self, zone: &ZoneSpec) -> String {
        let text = zone.origin.to_string();
        let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let origin: String = text.chars().filter(plain).take(100).collect();
        let data_sets = zone.lists.iter().map(|&at| (&self.specs.data_sets[at], &[][..])).collect();
        format!("{origin}-{}", self.hash(Some(&zone.origin), data_sets).short())
    }

    /// Whether a subzone is asked for where it would be served: a zone of the command line that lies between goes before.
    pub(super) fn is_served(&self, zone: &ZoneSpec, subzone: &Name) -> bool {
        let mut inner =
            self.specs.zones.iter().map(|other| &other.origin).filter(|other| **other != zone.origin);
        !inner.any(|other| other.is_in(&zone.origin) && subzone.is_in(other))
    }

    /// What the compiler is told: values stand as written, nothing is forced, nothing is refused.
    pub(super) fn compiled_spec(&self, zone: &ZoneSpec, contents: &[Rc<Content>]) -> compile::ZoneSpec {
        let origin = &zone.origin;
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
                soa: said_soa.unwrap_or_else(|| defaults::soa(origin)),
                ns: said_ns.unwrap_or_else(|| defaults::ns(origin)),
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
pub(super) fn missing_test_points(
    job: &Job,
    zone: &ZoneSpec,
    snapshot: &Snapshot<Mapped>,
) -> Vec<&'static str> {
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

//! Sets → answers: every overlap, exclusion, exception and combination of lists is settled here, so that a question
//! is one bounded lookup whatever the zone is made of.
//!
//! [`compile()`] takes a [`ZoneSpec`] and gives a [`Compiled`]: disjoint spans of addresses and names, each with an
//! [`AnswerId`], and the table of answers. The same sets and settings give an equal result in any order of input.
//! Members with sections (rbldnsd's combined) make several zones of one: [`expand`] comes before [`compile()`] then.
//! Never: sockets, async, file formats, the clock.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::guard::NeverList;
use crate::model::{ContentHash, Name, Ns, RrSet, Soa, Span, Template, Ttl, Use};
use crate::set::Set;

/// Index of an answer in the answer table of a zone.
pub type AnswerId = u32;

/// What a zone is made of: the resolved configuration, with its sets.
#[derive(Debug, Clone)]
pub struct ZoneSpec {
    /// Names, times and test points.
    pub zone: ZoneData,
    /// The lists that answer, in the order of the configuration.
    pub members: Vec<Member>,
    /// Lists whose addresses and names are taken out of the zone.
    pub excepts: Vec<Except>,
    /// Names below the origin that are zones of their own ([`expand`]): what is above them exists (RFC 8020).
    pub subzones: Vec<Name>,
}

/// A list in a zone.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its content.
    pub set: Arc<Set>,
    /// The name of its content.
    pub hash: ContentHash,
    /// What it is good for.
    pub use_: Use,
    /// Its code in this zone.
    pub code: Ipv4Addr,
    /// Its text in this zone: `$` is the subject, `{note}` what the feed notes beside the entry.
    pub text: Template,
    /// Values of entries (code, text, records) stand as published; otherwise `code` and `text` replace them.
    pub keep_values: bool,
    /// A stranger's feed: everything but printable ASCII is replaced in its texts.
    pub foreign: bool,
    /// Addresses that this list cannot list, whatever it holds (feeds; own files are served as written).
    pub never: Option<Arc<NeverList>>,
}

/// A list that takes addresses out of a zone.
#[derive(Debug, Clone)]
pub struct Except {
    /// Its name.
    pub name: String,
    /// Its content.
    pub set: Arc<Set>,
    /// The name of its content.
    pub hash: ContentHash,
}

/// What a zone says of itself. Stored in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneData {
    /// The origin.
    pub origin: Name,
    /// Of a subzone: the origin of the zone that it is a part of, whose start of authority and name servers follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Name>,
    /// Start of authority, without the serial.
    pub soa: Soa,
    /// Name servers.
    pub ns: Ns,
    /// TTL of answers whose data brings none.
    pub ttl: Ttl,
    /// The test points of RFC 5782 section 5 are forced, whatever the lists say.
    pub test_points: bool,
    /// Several lists behind one question: each has a test point of its own at its code.
    pub combined: bool,
}

/// What the snapshot says of a list. Index = the `list` of a [`Part`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListData {
    /// Its name.
    pub name: String,
    /// Names its content: the hash of its set or, of files in the manner of rbldnsd, that of what files they were.
    pub set: ContentHash,
    /// What it is good for.
    #[serde(rename = "use")]
    pub use_: Use,
    /// It takes out instead of listing.
    pub except: bool,
    /// Its code in this zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Ipv4Addr>,
    /// Entries as published.
    pub entries: u64,
    /// Values of its entries that fell back to the list's text because the zone had too many answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub texts_dropped: bool,
    /// Its IPv4 entries answer for 6to4 addresses as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub six_to_four: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A compiled zone, ready to be written as a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// What the zone says of itself.
    pub zone: ZoneData,
    /// The lists in it: members first, then excepts.
    pub lists: Vec<ListData>,
    /// IPv4: sorted, disjoint; neighbours with one answer are joined.
    pub v4: SpansV4,
    /// IPv6: sorted, disjoint; neighbours with one answer are joined.
    pub v6: SpansV6,
    /// Names.
    pub names: NameTree,
    /// The answers.
    pub answers: Vec<Answer>,
    /// What single lists say: the index is the `value` of a [`Part`].
    pub values: Vec<Vec<RrSet>>,
}

/// A span of addresses and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered<A> {
    /// The addresses.
    pub span: Span<A>,
    /// Their answer.
    pub answer: AnswerId,
}

/// A node of the tree of names below the origin: what the zone says for the name itself and for names below it that
/// have no node of their own. All lists, exclusions and wildcards are already in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameNode {
    /// Relative to the origin.
    pub name: Name,
    /// For the name itself.
    pub exact: Option<AnswerId>,
    /// For names below it without a node.
    pub below: Option<AnswerId>,
    /// Something below it is listed by a node of its own or by `below`: it exists (RFC 8020).
    pub parent: bool,
}

impl NameNode {
    /// It answers, for itself or for names below it.
    pub fn is_listed(&self) -> bool {
        self.exact.is_some() || self.below.is_some()
    }
}

/// One reply: which lists hit and the record sets that say so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Answer {
    /// The lists that hit, in their order, and what each of them says.
    pub parts: Vec<Part>,
    /// All of it put together.
    pub records: Vec<RrSet>,
}

/// One list's part of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Part {
    /// Index of the list, or [`Part::ZONE`].
    pub list: u16,
    /// Index into the values of the zone.
    pub value: u32,
}

impl Part {
    /// The zone itself says it: a test point.
    pub const ZONE: u16 = u16::MAX;
}

mod answers;
mod compose;
mod diff;
mod merge;
mod name_tree;
mod names;
mod resolve;
mod spans;
mod spans_v6;
mod subzones;
mod sweep;
mod zone;

pub use answers::{MAX_ANSWERS, MAX_PARTS};
pub use compose::{Budget, compose, compose_again};
pub use diff::{Diff, listed_v4};
pub use name_tree::{NameTree, TreeNode};
pub use spans::SpansV4;
pub use spans_v6::SpansV6;
pub use subzones::expand;
pub use zone::compile;

//! The compiled file of one zone: written once, mapped read-only, looked up in place.
//!
//! [`write()`] makes it from a [`Compiled`](crate::compile::Compiled); [`Snapshot`] reads it from any octets, usually a
//! [`Mapped`] file. Read [`Snapshot`] first. Never: DNS packets, list formats, which snapshot is in service.
//!
//! The rest of this page is the specification of the format, version 2. All numbers are little-endian and unaligned;
//! records have no padding but what is written here, reserved fields are zero, bit 0 is the lowest of a number. Equal
//! zones give equal octets, section by section. Whatever an index, an offset or a count says, a reader checks it
//! against the octets there are: a structure that points outside its section is damage ([`Damaged`]), no answer.
//!
//! # Header
//!
//! The first 4096 octets. A hash is BLAKE3, 32 octets.
//!
//! | offset | | |
//! | ---: | --- | --- |
//! | 0 | 6 octets | `GPSNAP` |
//! | 6 | u16 | version of the format: 2 |
//! | 8 | u32 | length of the header: 4096 |
//! | 12 | u32 | number of sections, at most 71 |
//! | 16 | u64 | length of the file |
//! | 24 | hash | content hash: over id, length and hash, as in the table, of each section without flag 2, in the table's order |
//! | 56 | hash | over the whole header with this field zero |
//! | 88 | 8 octets | reserved |
//! | 96 | | section table, zero behind its end |
//!
//! Section table, ascending by id, no id twice:
//!
//! | offset | | |
//! | ---: | --- | --- |
//! | 0 | u32 | id |
//! | 4 | u32 | flags. 1: critical, a reader that does not know the section refuses the file. 2: no part of the content hash |
//! | 8 | u64 | offset in the file, a multiple of 4096, at least 4096 |
//! | 16 | u64 | length, at least 1 |
//! | 24 | hash | over the octets of the section |
//!
//! Sections do not overlap; their order in the file is free. Octets between them are zero; the file ends with the last
//! of them. A section that would be empty is left out. Known sections have the flags given here and no others:
//!
//! | id | flags | name | |
//! | --- | --- | --- | --- |
//! | 0x01 | 1 | meta | required. JSON: `zone` ([`ZoneData`](crate::compile::ZoneData)), `lists` (an array of [`ListData`](crate::compile::ListData)); at most 1 MiB |
//! | 0x02 | 2 | provenance | required. JSON of any kind; at most 1 MiB |
//! | 0x03 | 1 | answers | required |
//! | 0x10 | 1 | v4-root | absent when no IPv4 address is listed; then there is no other v4 section either |
//! | 0x11 | 1 | v4-sparse | |
//! | 0x12 | 1 | v4-slots | |
//! | 0x13 | 1 | v4-chunks | |
//! | 0x20 | 1 | v6 | |
//! | 0x30 | 1 | names | |
//! | 0x40, 0x41 | 1 | | reserved for access lists by IPv4 and IPv6 address |
//! | 0x50 to 0x5f | 2 | | reserved for results of the guard and other notes |
//!
//! **Answer ids** are indices into the table of answers, 32 bits wide. 0xffffffff is none and means "no answer".
//!
//! # IPv4
//!
//! An address has an entry for its /8 (the *root*), then perhaps a *slot* for its /16, then perhaps a *chunk* of octets
//! in which its last sixteen bits, the *suffix*, are looked for.
//!
//! **v4-root**, 2072 octets: u64 spans (neighbours with one answer are one), u64 addresses, u32 width of an answer id in
//! chunks (4, 8, 16 or 32 bits; the least that holds all ids of the zone), u32 reserved, then for each first octet:
//!
//! | offset | | |
//! | ---: | --- | --- |
//! | 0 | u8 | kind |
//! | 1 | u8 | count |
//! | 2 | u16 | reserved |
//! | 4 | u32 | value |
//!
//! * kind 0: nothing is listed.
//! * kind 1: all of the /8 has the answer `value`.
//! * kind 2: `count` rows of v4-sparse from row `value` on (a writer does so up to 64 spans).
//! * kind 3: 256 rows of v4-slots from row `value` on, by the second octet.
//!
//! **v4-sparse**: rows of u32 first, u32 last (addresses, both included, inside the /8), u32 answer; ascending, disjoint.
//!
//! **v4-slots**: rows of u32 place, u32 answer. Bits 0 to 3 of the place are the kind of the chunk; bit 4 says that its
//! addresses have different answers (*mixed*, then `answer` is 0; otherwise it is the answer of all of them); bits 5 to
//! 31 are the offset of the chunk in v4-chunks, in units of eight octets.
//!
//! | kind | chunk |
//! | --- | --- |
//! | 0 | *full*: every address of the /16 is listed; no chunk. Never mixed |
//! | 1 | *runs*: u16 number of runs, then for each u16 first and u16 last suffix, ascending, disjoint; when mixed, an answer for each run |
//! | 2 | *bitmap*: for each third octet a u16, the set bits before its first (modulo 2^16); 65536 bits, suffix s at bit s mod 8 of octet s / 8; when mixed, an answer for each set bit |
//! | 3 | *empty*: nothing is listed; no chunk. Never mixed |
//! | 7 + b, b from 0 to 8 | *buckets* by the first b bits of the suffix |
//!
//! Answers of runs and bitmaps are packed without gaps in `width` bits each, lower bits first. 4 to 6 are reserved.
//!
//! Buckets: an *index* of 2^b + 1 numbers, u8 for b up to 6 and u16 above; entry i is the number of suffixes in all
//! buckets before bucket i. Then for each suffix in ascending order a *lane*: the 16 - b bits of the suffix below the
//! bucket's, and above them, when mixed, the answer in `width` bits. Lanes are packed without gaps, lower bits first:
//! lane n begins n * (16 - b + width) bits behind the index.
//!
//! Chunks begin at multiples of eight octets; v4-chunks ends with eight zero octets behind the last, so that a reader
//! may load eight wherever a lane begins. A writer takes the form with the fewest octets, of equal ones the first of
//! buckets, runs, bitmap, with b = 0 up to 4 suffixes, and so on doubling to 5 up to 128, 6 up to 255, 7 up to 1024.
//!
//! *Why these*: every list that was measured has most of its addresses scattered over many /16s. Buckets cost 1.25
//! octets an address and the slot, whatever the number of answers they share, need no rank or select, and a lookup
//! touches three cache lines: slot, index, lane. Structures by /24 with ranks were smaller on lists that are dense
//! (1.5 octets) and slower by half; 16-bit suffixes without an index of buckets were larger and slower.
//!
//! # IPv6
//!
//! **v6**: u64 spans, u64 blocks; the blocks; the columns, 17 zero octets behind the last. The spans ascend and are
//! disjoint. A block is for 64 of them, the last one for the rest:
//!
//! | offset | | |
//! | ---: | --- | --- |
//! | 0 | u128 | *base*, the first address of its first span |
//! | 16 | u64 | where its columns begin, in octets from the first column on |
//! | 24 | u64 | which of its spans are *odd*, the lowest bit for the first |
//! | 32 | u32 | the least answer in it |
//! | 36 | u8 | spans |
//! | 37 | u8 | *shift*, at most 128 |
//! | 38 | u8, u8, u8 | bits of a number in each of its first three columns, the least that hold all |
//! | 41 | 3 octets | reserved |
//!
//! The lower *shift* bits are zeros in the first address of a span and ones in the last, unless it is odd. The columns
//! have a number for each span: how far its first address is from the base, and its last from its first, all shifted right
//! by *shift*; then its answer less the least one. A fourth column has for each odd span the lower *shift* bits of its
//! first address and of its last. All of them are packed without gaps, lower bits first, and the next block begins with
//! a whole octet. A writer takes the shift for which the columns are shortest.
//!
//! *Why this*: a list of /64s costs what their own bits differ and less than an octet, whatever is listed beside them.
//!
//! # Names
//!
//! Nodes of a tree below the origin: each listed name, and every name above one, the origin (the name without labels)
//! among them. A name stands in wire form, lower case, without the root's zero octet. Its *hash* is FNV-1a of 64 bits
//! over its labels from the right to the left, each with its length octet before it: so a walk from the right extends
//! one hash.
//!
//! **names**: u32 nodes, u32 bits of the directory (at most 24), u32 row of the origin, u32 octets, u32 nodes with
//! an answer, u32 width of an answer in a node (1, 2 or 4 octets; the least that holds all); the *directory*; the nodes;
//! the octets of names. The directory has 2^bits + 1 u32: entry i is the number of nodes whose hash has highest bits below
//! i. The *tag* of a node is the 16 bits behind those. Nodes ascend by directory bits, tag, and name as octets compare:
//!
//! | offset | | |
//! | ---: | --- | --- |
//! | 0 | u16 | tag |
//! | 2 | u32 | where its name begins in the octets of names (a name that ends another shares its octets) |
//! | 6 | u8 | octets of its name |
//! | 7 | width | answer for the name itself; all bits set: none |
//! | | width | answer for names below it without a node; all bits set: none, and nothing below it is listed; one less: none, and something is |
//!
//! To look a name up, find its longest ending that is a node, by one label more at a time. If that is all of it, the
//! answer is the node's own, and the name exists if it has one or if something below it is listed. Otherwise the answer is that for
//! names below.
//!
//! # Answers
//!
//! **answers**: u32 counts of answers, parts, values, references, record sets, octets; then these, one after another:
//!
//! * answers: u32 first reference, u32 first part, u16 references, u16 parts;
//! * parts: u16 list (index into `lists`; 0xffff is the zone itself), u16 reserved, u32 value;
//! * values, what one list says: u32 first reference, u16 references, u16 reserved;
//! * references: u32 record set;
//! * record sets: u16 type, u8 kind, u8 reserved, u32 TTL, u32 offset and u32 length in the octets, u16 number of
//!   records, u16 reserved;
//! * octets: each record is a u16 length and as many octets. Kind 0: its RDATA in wire form. Kind 1: the text of a TXT
//!   record as pieces, each a length octet and as many octets, or a zero octet where the address asked for or the listed
//!   name goes ([`Template`](crate::model::Template)).
//!
//! The records of one answer or value take at most 2^20 octets.

mod answers;
mod error;
mod header;
mod layout;
mod mmap;
mod names;
mod read;
#[cfg(test)]
mod testing;
mod v4;
mod v6;
mod verify;
mod write;

pub use answers::{AnswerRef, Rdata, RdataRef, RecordSets, RrSetRef};
pub use error::{Damaged, Section, SnapshotError, WriteError};
pub use mmap::{FileId, Mapped};
pub use names::{NameFound, StoredName};
pub use read::{Counts, Snapshot};
pub use write::{Written, write};

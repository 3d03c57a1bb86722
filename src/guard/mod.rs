//! The checks between a download and its use.
//!
//! [`payload::check`] looks at a body before it is parsed: is this a list at all? [`entries::judge`] looks at the
//! parsed list: would using it harm mail? [`entries::compare`] holds it against an earlier version: is it still the same
//! list? [`NeverList`] holds what no feed may list; `compile` takes it out of every feed, whatever was judged. Never:
//! fetching, the clock, the store; what becomes of a held list is `sync`'s to settle.

pub mod entries;
mod never;
pub mod payload;
mod special;

pub use never::NeverList;
pub use special::{SPECIAL_V4, SPECIAL_V6, Special};

use std::net::Ipv4Addr;

/// A values that lists use for errors (queries over quota, through an open resolver) and that clients take for a
/// listing: 127.255.255.0/24. No entry of a feed may answer with one.
pub fn is_error_code(code: Ipv4Addr) -> bool {
    code.octets()[..3] == [127, 255, 255]
}

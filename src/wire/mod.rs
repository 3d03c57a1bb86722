//! DNS messages as bytes: a bounded parser of queries and an encoder of replies into the caller's buffer.
//!
//! Read [`Query`] first, then [`encode`]. Never: allocation, recursion, following of compression pointers, DNS library
//! types, sockets, decisions about zones.

mod contents;
mod lifetime;
mod options;
mod query;
mod reply;

pub use contents::Contents;
pub use lifetime::lifetime;
pub use options::{Cookie, Ede, option};
pub use query::{Denial, LowerName, Opt, Query, Refusal, Silence, parse};
pub use reply::{Encoded, Reply, encode, refuse, slip};

/// The most that is sent over UDP, and what replies state as our own size (DNS flag day 2020).
pub const UDP_MAX: usize = 1232;

/// The most that is sent over UDP to a client that says nothing (RFC 1035 section 4.2.1).
pub const UDP_PLAIN: usize = 512;

/// The most that a stream carries in one message (RFC 1035 section 4.2.2).
pub const STREAM_MAX: usize = 65_535;

/// DNS classes that matter here.
pub mod class {
    /// Internet.
    pub const IN: u16 = 1;
    /// Chaos: what servers say of themselves.
    pub const CH: u16 = 3;
}

/// A response code (RFC 6895 section 2.3); above 15 only with EDNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rcode(pub u16);

impl Rcode {
    /// An answer, or that there is none of this type.
    pub const NOERROR: Self = Self(0);
    /// The query cannot be read.
    pub const FORMERR: Self = Self(1);
    /// No answer can be given now.
    pub const SERVFAIL: Self = Self(2);
    /// There is no such name and none below it.
    pub const NXDOMAIN: Self = Self(3);
    /// An opcode other than QUERY.
    pub const NOTIMP: Self = Self(4);
    /// Not ours to say.
    pub const REFUSED: Self = Self(5);
    /// An EDNS version above 0 (RFC 6891 section 6.1.3).
    pub const BADVERS: Self = Self(16);
}

#[cfg(test)]
mod tests;

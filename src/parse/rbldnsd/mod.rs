//! rbldnsd's zone files, with the meaning they have there.
//!
//! Laid out by what its data set types share: [`special`] reads `$` lines (with [`time`] for durations and stamps),
//! [`value`] what stands beside an entry and what its texts become, [`ip4`] its address notation, and [`ip4set`] is
//! the first of the types. Where the original is plainly wrong this differs on purpose: a byte order mark and CR LF
//! are harmless, `$MAXRANGE4` never drops an exclusion, a TTL above RFC 2181's 31 bits and NUL octets are refused,
//! and every bad line is reported, not five.

mod ip4;
mod ip4set;
mod special;
mod time;
mod value;

pub(super) use ip4set::Ip4set;

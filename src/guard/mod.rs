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

use crate::model::{RrData, RrSet, Rtype, Value};

/// Whether a list may answer with this: an address in 127.0.0.0/8, but not 127.0.0.1 (RFC 5782 section 5) or
/// 127.255.255.0/24, which lists use for errors (queries over quota, through an open resolver) and clients take
/// for a listing.
pub fn is_answer(code: Ipv4Addr) -> bool {
    let [net, _, _, _] = code.octets();
    net == 127 && code != Ipv4Addr::LOCALHOST && !is_error(&code.octets())
}

/// Whether an entry says what no feed may: a code that is no answer, or among its records an address that means an error.
pub fn says_no_answer(value: &Value) -> bool {
    let has_error = |set: &RrSet| match &set.data {
        RrData::Wire(data) => set.rtype == Rtype::A && data.iter().any(|rdata| is_error(rdata)),
        RrData::Texts(_) => false,
    };
    value.code.is_some_and(|code| !is_answer(code)) || value.records.iter().any(has_error)
}

fn is_error(address: &[u8]) -> bool {
    address.starts_with(&[127, 255, 255])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        let is = |code: &str| is_answer(code.parse().unwrap());
        for answer in ["127.0.0.2", "127.0.0.3", "127.0.1.9", "127.0.2.2", "127.1.0.1", "127.255.254.1"] {
            assert!(is(answer), "{answer}");
        }
        for none in ["127.0.0.1", "127.255.255.254", "0.0.0.0", "1.2.3.4", "255.255.255.255"] {
            assert!(!is(none), "{none}");
        }
    }
}

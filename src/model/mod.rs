//! The words everything else is built from: addresses and spans of them, DNS names, record sets, texts.
//!
//! Pure values with exact text forms. Never: I/O, DNS packets, list formats.
//! Read [`Span`] first, then [`Value`]: what one entry of a list says.

mod access;
mod addr;
mod hash;
mod name;
mod record;
mod text;
mod tree_name;

pub use access::{AccessList, Given};
pub use addr::{AddrError, Address, Span, Subject, parse_ipv4, parse_ipv6};
pub use hash::{ContentHash, Hasher};
pub use name::{Name, NameError, write_label};
pub use record::{Ns, OVERLAY_CODE, RrData, RrSet, Rtype, Soa, Ttl, Value};
pub use text::{Piece, Pieces, Template, is_unseen};
pub use tree_name::TreeName;

/// What a feed is good for (its publisher's scope and ours), the most severe first. Decides which zones a list may join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Good enough to reject mail on.
    Block,
    /// Too broad to reject on; adds to a score.
    Score,
    /// Only for mail with a null sender.
    Bounce,
    /// Takes addresses out of the lists it is an exception of.
    Allow,
}

impl Use {
    /// Block, score and bounce lists can list an address; an allow list cannot.
    pub fn can_list(self) -> bool {
        self != Self::Allow
    }
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Block => "block",
            Self::Score => "score",
            Self::Bounce => "bounce",
            Self::Allow => "allow",
        })
    }
}

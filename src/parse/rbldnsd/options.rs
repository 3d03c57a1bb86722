//! What rbldnsd is told of its files on its command line.

use crate::model::Ttl;

/// The TTL of `$SOA` and `$NS` that say 0 where no `$TTL` stands before them: rbldnsd's default of 35 minutes.
const DEFAULT_TTL: Ttl = 2100;

/// RFC 2181 section 8: a TTL has 31 bits.
pub(super) const TTL_MAX: Ttl = i32::MAX as u32;

/// How rbldnsd's files are read beside what they say themselves. Of no meaning to other formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RbldnsdOptions {
    /// `-e`: a prefix with host bits set stands for the whole prefix; otherwise its line is bad.
    pub host_bits: bool,
    /// `-t`: what `$SOA` and `$NS` that say 0 have where no `$TTL` stands before them, in seconds.
    pub default_ttl: Ttl,
    /// `-t`: TTLs of files that are smaller are raised to this, in seconds.
    pub min_ttl: Ttl,
    /// `-t`: TTLs of files that are larger are lowered to this, in seconds. No less than `min_ttl`.
    pub max_ttl: Ttl,
}

impl Default for RbldnsdOptions {
    fn default() -> Self {
        Self { host_bits: false, default_ttl: DEFAULT_TTL, min_ttl: 0, max_ttl: TTL_MAX }
    }
}

impl RbldnsdOptions {
    /// What becomes of a TTL in a file; `None` for 0, which leaves it to the default in force. (The minimum of a SOA
    /// is no TTL of a record: bounds do not touch it.)
    pub(super) fn ttl(self, said: Ttl) -> Option<Ttl> {
        (said > 0).then(|| said.min(self.max_ttl).max(self.min_ttl))
    }
}

//! rbldnsd's ip6trie: IPv6 prefixes, each with a value of its own if it likes; the longest answers, and of a repeated
//! one the first entry.

use super::super::diag::Bad;
use super::data_set::Kind;
use super::ip6;
use super::options::RbldnsdOptions;
use crate::model::Span;
use crate::set::{Repeats, SetBuilder};

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Ip6trie;

impl Kind for Ip6trie {
    type Key = Span<u128>;

    fn begin(builder: &mut SetBuilder) {
        builder.repeats = Repeats::First;
    }

    /// `::1`, where `:1` would be a default.
    fn is_entry(line: &[u8]) -> bool {
        line.starts_with(b"::")
    }

    fn entry(text: &[u8], options: RbldnsdOptions, key: &mut Span<u128>) -> Result<usize, Bad> {
        let end;
        (*key, end) = ip6::network(text, options.host_bits)?;
        Ok(end)
    }
}

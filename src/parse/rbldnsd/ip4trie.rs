//! rbldnsd's ip4trie: IPv4 prefixes, each with a value of its own if it likes; the longest answers, and of a repeated
//! one the first entry.

use super::super::diag::Bad;
use super::data_set::Kind;
use super::ip4;
use super::options::RbldnsdOptions;
use crate::model::Span;
use crate::set::{Repeats, SetBuilder};

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Ip4trie;

impl Kind for Ip4trie {
    type Key = Span<u32>;
    const BARE: bool = true;

    fn begin(builder: &mut SetBuilder) {
        builder.repeats = Repeats::First;
        builder.directives.six_to_four = true;
    }

    fn entry(text: &[u8], options: RbldnsdOptions, key: &mut Span<u32>) -> Result<usize, Bad> {
        let end;
        (*key, end) = ip4::network(text, options.host_bits)?;
        Ok(end)
    }
}

//! rbldnsd's ip4set: IPv4 addresses, prefixes and ranges, each with a value of its own if it likes.

use super::super::diag::Bad;
use super::data_set::Kind;
use super::ip4;
use super::options::RbldnsdOptions;
use crate::model::Span;
use crate::set::SetBuilder;

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Ip4set;

impl Kind for Ip4set {
    type Key = Span<u32>;
    const BARE: bool = true;

    fn begin(builder: &mut SetBuilder) {
        builder.directives.six_to_four = true;
    }

    fn entry(text: &[u8], options: RbldnsdOptions, key: &mut Span<u32>) -> Result<usize, Bad> {
        let end;
        (*key, end) = ip4::entry(text, options.host_bits)?;
        Ok(end)
    }
}

#[cfg(test)]
mod tests;

//! rbldnsd's ip6tset: /64s written as four words, all with the value of the data set's first default line. Whole
//! addresses can be excluded.

use super::super::diag::Bad;
use super::data_set::Kind;
use super::ip6;
use super::options::RbldnsdOptions;
use crate::model::Span;

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Ip6tset;

impl Kind for Ip6tset {
    type Key = Span<u128>;
    const ONE_VALUE: bool = true;

    fn entry(text: &[u8], _options: RbldnsdOptions, key: &mut Span<u128>) -> Result<usize, Bad> {
        let words = ip6::words(text)?;
        if words.shortened || words.count != 4 {
            return Err(Bad::new(0, "an entry of an ip6tset has exactly four words"));
        }
        *key = words.network();
        ip6::ended(text, words)
    }

    fn exclusion(text: &[u8], _options: RbldnsdOptions, key: &mut Span<u128>) -> Result<(), Bad> {
        let words = ip6::words(text)?;
        if !words.is_address() {
            return Err(Bad::new(0, "only whole addresses can be excluded from an ip6tset"));
        }
        *key = words.network();
        ip6::ended(text, words).map(drop)
    }
}

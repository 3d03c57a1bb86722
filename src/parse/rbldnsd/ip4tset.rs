//! rbldnsd's ip4tset: IPv4 addresses, all with the value of the data set's first default line.

use super::super::diag::Bad;
use super::data_set::Kind;
use super::ip4;
use super::options::RbldnsdOptions;
use crate::set::SetBuilder;

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Ip4tset;

impl Kind for Ip4tset {
    type Key = u32;
    const ONE_VALUE: bool = true;
    const BARE: bool = true;

    fn begin(builder: &mut SetBuilder) {
        builder.directives.six_to_four = true;
    }

    fn entry(text: &[u8], _options: RbldnsdOptions, key: &mut u32) -> Result<usize, Bad> {
        let end;
        (*key, end) = ip4::address(text)?;
        Ok(end)
    }

    fn exclusion(_text: &[u8], _options: RbldnsdOptions, _key: &mut u32) -> Result<(), Bad> {
        Err(Bad::new(0, "an ip4tset has no exclusions"))
    }
}

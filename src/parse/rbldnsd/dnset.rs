//! rbldnsd's dnset (and its fork's dnhash, which is written the same way): names, each with a value of its own if it
//! likes. `*.name` holds what is below the name, `.name` the name and what is below it.

use super::super::diag::Bad;
use super::data_set::Kind;
use super::name::tree_name;
use super::options::RbldnsdOptions;
use crate::model::TreeName;
use crate::set::Scope;

/// See the module's documentation.
#[derive(Debug)]
pub(in super::super) struct Dnset;

impl Kind for Dnset {
    type Key = (TreeName, &'static [Scope]);

    fn entry(text: &[u8], _options: RbldnsdOptions, key: &mut Self::Key) -> Result<usize, Bad> {
        let (scopes, skip): (&[Scope], usize) = match text {
            [b'*', b'.', ..] => (&[Scope::Below], 2),
            [b'.', ..] => (&[Scope::Exact, Scope::Below], 1),
            _ => (&[Scope::Exact], 0),
        };
        key.1 = scopes;
        match tree_name(&text[skip..], &mut key.0).map_err(|bad| bad.shifted(skip))? {
            end if !key.0.is_root() => Ok(skip + end),
            _ => Err(Bad::new(skip, "not a name")),
        }
    }
}

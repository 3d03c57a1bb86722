//! Names: the node that answers for a name, in as many steps as it has labels.

use crate::compile::AnswerId;

/// What the zone says of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameFound {
    /// Its answer, when it is listed.
    pub answer: Option<AnswerId>,
    /// It is listed, or something below it is (RFC 8020: NODATA instead of NXDOMAIN).
    pub exists: bool,
    /// Offset in the labels asked for where the node that answers begins: the listed name, for `$`.
    pub listed_at: usize,
}

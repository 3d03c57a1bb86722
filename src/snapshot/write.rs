//! Compiled zone → file.

use std::io::{Seek, Write};

use super::WriteError;
use crate::compile::Compiled;
use crate::model::ContentHash;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The hash of the content: provenance and padding apart.
    pub content: ContentHash,
    /// Octets of the file.
    pub len: u64,
}

/// Writes the snapshot of `compiled` at the start of `out`, which must be empty. Equal zones give equal octets, but for `provenance`.
pub fn write(
    compiled: &Compiled,
    provenance: &serde_json::Value,
    out: &mut (impl Write + Seek),
) -> Result<Written, WriteError> {
    let _ = (compiled, provenance, out);
    todo!()
}

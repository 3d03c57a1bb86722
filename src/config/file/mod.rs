//! The configuration as typed, one module for each version of the file. A later version reads the earlier ones through
//! their modules; there is one so far.

pub(crate) mod v1;

pub(crate) use v1::{
    AccessFile, File, LimitKeys, ListFile, ListKeys, MemberKeys, RuleFile, SecureFile, ServerKeys, ZoneFile,
    ZoneKeys,
};

//! Access lists as configured: which clients are given what.

use std::path::PathBuf;

use crate::model::{AccessList, Given, Subject};

/// Who is answered.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AccessConfig {
    /// As the configuration says.
    pub rules: Vec<AccessRule>,
    /// And as these files say, written as rbldnsd's acl; of equal prefixes the rules count.
    pub files: Vec<PathBuf>,
}

/// What some clients are given.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRule {
    /// Addresses and prefixes.
    pub clients: Vec<Subject>,
    /// What they are given.
    pub given: Given,
}

impl AccessConfig {
    /// Everybody is answered.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.files.is_empty()
    }

    /// What the rules say.
    pub fn list(&self) -> AccessList {
        let clients = self
            .rules
            .iter()
            .flat_map(|rule| rule.clients.iter().map(|client| (client.clone(), rule.given.clone())));
        AccessList { ttl: None, clients: clients.collect() }
    }
}

//! Access lists and limits as configured: which clients are given what, and how often.

use std::path::PathBuf;

use super::defaults;
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

/// How often networks are answered over UDP.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// Replies a second to each network; 0 = without a limit.
    pub rate: u32,
    /// Of what is above it every so manieth gets an empty reply with TC; 0 = none.
    pub slip: u8,
    /// Loopback is limited, too.
    pub loopback: bool,
    /// Networks without a limit.
    pub exempt: Vec<Subject>,
}

impl Default for RateLimit {
    fn default() -> Self {
        let exempt = defaults::RATE_LIMIT_EXEMPT.map(|network| network.parse().expect("a constant"));
        Self {
            rate: defaults::RATE_LIMIT,
            slip: defaults::RATE_LIMIT_SLIP,
            loopback: false,
            exempt: exempt.to_vec(),
        }
    }
}

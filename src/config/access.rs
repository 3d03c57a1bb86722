//! Access lists as configured: which clients are given what.

use std::sync::Arc;

use super::words::Code;
use crate::model::{RrData, RrSet, Rtype, Subject, Template, Ttl};
use crate::zone::{Access, Action};

/// What some clients are given.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessRule {
    /// Addresses and prefixes.
    pub clients: Vec<Subject>,
    /// What they are given.
    pub action: AccessAction,
}

/// What a client is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessAction {
    /// Answers.
    Allow,
    /// That everything is listed: with this code, and this text if any.
    List(Code, Option<Template>),
    /// That nothing is listed.
    Empty,
    /// REFUSED.
    Refuse,
    /// No reply.
    Drop,
}

impl AccessAction {
    /// The word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::List(..) => "list",
            Self::Empty => "empty",
            Self::Refuse => "refuse",
            Self::Drop => "drop",
        }
    }
}

/// The access list of `rules`; records that they bring are given `ttl`.
pub fn access(rules: &[AccessRule], ttl: Ttl) -> Arc<Access> {
    let clients = rules.iter().flat_map(|rule| {
        let action = action(&rule.action, ttl);
        rule.clients.iter().map(move |client| (client.clone(), action.clone()))
    });
    Arc::new(Access::new(clients))
}

fn action(action: &AccessAction, ttl: Ttl) -> Action {
    match action {
        AccessAction::Allow => Action::Allow,
        AccessAction::Empty => Action::Empty,
        AccessAction::Refuse => Action::Refuse,
        AccessAction::Drop => Action::Drop,
        AccessAction::List(code, text) => {
            let code = RrData::Wire(vec![code.address().octets().to_vec()]);
            let text =
                text.clone().map(|text| RrSet { rtype: Rtype::TXT, ttl, data: RrData::Texts(vec![text]) });
            Action::Listed([RrSet { rtype: Rtype::A, ttl, data: code }].into_iter().chain(text).collect())
        }
    }
}

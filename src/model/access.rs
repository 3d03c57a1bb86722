//! What an access list says: clients, and what each is given.

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::{Subject, Template, Ttl};

/// An access list as written: longest prefixes and repetitions are settled by whoever asks it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AccessList {
    /// TTL of the records that it brings; `None`: its zone's.
    pub ttl: Option<Ttl>,
    /// Prefixes of addresses, in the order of the list.
    pub clients: Vec<(Subject, Given)>,
}

/// What a client is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    /// Answers.
    Allow,
    /// That everything is listed.
    List {
        /// The A record.
        code: Ipv4Addr,
        /// The text, in which `$` is the client; empty: no TXT.
        #[serde(with = "pieces")]
        text: Template,
    },
    /// That nothing is listed.
    Empty,
    /// REFUSED.
    Refuse,
    /// No reply.
    Drop,
}

impl Given {
    /// The word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::List { .. } => "list",
            Self::Empty => "empty",
            Self::Refuse => "refuse",
            Self::Drop => "drop",
        }
    }
}

/// Texts to the octet: they need not be UTF-8.
mod pieces {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::model::Template;

    pub(super) fn serialize<S: Serializer>(text: &Template, serializer: S) -> Result<S::Ok, S::Error> {
        text.as_pieces().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Template, D::Error> {
        let pieces = Vec::<u8>::deserialize(deserializer)?;
        Template::from_pieces(&pieces).ok_or_else(|| de::Error::custom("a text that is cut"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn travels_whole() {
        let listed = Given::List { code: [127, 0, 0, 9].into(), text: Template::parse(b"$ caf\xe9 5$$") };
        let clients = [("10.0.0.0/8", Given::Refuse), ("2001:db8::/32", listed), ("10.1.2.3", Given::Allow)];
        let clients = clients.map(|(client, given)| (client.parse().unwrap(), given)).to_vec();
        let list = AccessList { ttl: Some(60), clients };
        let text = serde_json::to_string(&list).unwrap();
        assert_eq!(serde_json::from_str::<AccessList>(&text).unwrap(), list);
        assert!(serde_json::from_str::<AccessList>(&text.replace("10.1.2.3", "10.1.2.3/7")).is_err());
    }
}

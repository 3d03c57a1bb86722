//! What logs show of clients.

/// How a client is written into the hit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownClients {
    /// Its address.
    Whole,
    /// Its network: IPv4 /24, IPv6 /48.
    Network,
    /// Not at all.
    None,
}

impl ShownClients {
    /// The word for it in a configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Network => "network",
            Self::None => "none",
        }
    }
}

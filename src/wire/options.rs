//! EDNS options: cookies (RFC 7873) and extended errors (RFC 8914). All others are ignored.

/// Codes of options.
pub mod option {
    /// A cookie.
    pub const COOKIE: u16 = 10;
    /// An extended error.
    pub const EDE: u16 = 15;
}

/// A client's cookie, and the server's beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookie {
    /// What the client chose.
    pub client: [u8; 8],
    /// What a server gave it: in a query what it still has, `None` also where its form is not ours (RFC 9018 section 4);
    /// in a reply what it is to keep, without which the reply carries no cookie.
    pub server: Option<[u8; 16]>,
}

/// Why there is no answer, in more words than a response code (RFC 8914 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ede(pub u16);

impl Ede {
    /// The zone has no data yet.
    pub const NOT_READY: Self = Self(14);
    /// The client is not one that is answered.
    pub const PROHIBITED: Self = Self(18);
    /// The name lies in no zone of this server.
    pub const NOT_AUTHORITATIVE: Self = Self(20);
    /// A class, or a type of question, that nobody is answered.
    pub const NOT_SUPPORTED: Self = Self(21);
    /// The zone's data are too old or damaged.
    pub const INVALID_DATA: Self = Self(24);
}

impl Cookie {
    /// Octets of the option in a reply, its head included.
    pub(super) const LEN: usize = 4 + 8 + 16;

    /// From the option's data; `None` when its length cannot be (RFC 7873 section 5.2.2).
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let (&client, server) = data.split_first_chunk()?;
        match server.len() {
            0 | 8..=32 => Some(Self { client, server: server.try_into().ok() }),
            _ => None,
        }
    }

    /// The option as it stands in a reply.
    pub(super) fn option(self) -> Option<[u8; Self::LEN]> {
        let mut option = [0; Self::LEN];
        option[1] = option::COOKIE as u8;
        option[3] = Self::LEN as u8 - 4;
        option[4..12].copy_from_slice(&self.client);
        option[12..].copy_from_slice(&self.server?);
        Some(option)
    }
}

impl Ede {
    /// Octets of the option in a reply, its head included.
    pub(super) const LEN: usize = 4 + 2;

    /// The option as it stands in a reply: no text, which programs should not read anyway (RFC 8914 section 2).
    pub(super) fn option(self) -> [u8; Self::LEN] {
        let [high, low] = self.0.to_be_bytes();
        [0, option::EDE as u8, 0, 2, high, low]
    }
}

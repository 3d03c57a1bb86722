//! The list that is part of the program: special-purpose addresses, so that there is something to serve without a
//! network.

use super::defaults;
use super::list::{Ages, ListConfig, Source};
use super::words::{Code, Slug};
use crate::guard::entries::Limits;
use crate::model::{Template, Use};
use crate::parse::{Format, Options};

/// Its text, written from the IANA registries of special-purpose addresses, without 127.0.0.0/8.
const TEXT: &str = include_str!("../../zones/bogons.txt");

/// Its code, in the ledger `zones/codes.txt`.
const CODE: std::net::Ipv4Addr = std::net::Ipv4Addr::new(127, 0, 0, 3);

/// The embedded list.
pub(crate) fn bogons() -> ListConfig {
    ListConfig {
        name: name(),
        feed: Some(name()),
        own_copy: false,
        title: "Addresses that no mail can come from (IANA special-purpose registries)".to_owned(),
        lookup: None,
        source: Source::Embedded(TEXT),
        format: Format::Plain,
        // The registry and its document stand beside each entry.
        options: Options { notes: true, ..Options::default() },
        use_: Use::Score,
        code: Some(Code::try_from(CODE).expect("a code of the ledger")),
        text: Template::parse(b"$ is special-purpose address space: {note}"),
        ages: Ages::NEVER,
        floor: std::time::Duration::ZERO,
        limits: Limits::default().of_bogons(),
        max_size: defaults::MAX_SIZE,
        allow_private: false,
        credential: None,
        known_hosts: None,
    }
}

fn name() -> Slug {
    defaults::BOGONS.parse().expect("a name")
}

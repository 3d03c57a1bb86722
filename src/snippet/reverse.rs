//! Reverse zones that resolvers answer by themselves, since the world has none (RFC 6303). Pure.

use crate::model::Name;

/// The zone that is built in and that `domain` lies in. BIND has each by itself, as unbound has.
pub(super) fn built_in(domain: &Name) -> Option<Name> {
    let private =
        (16..32).map(|second| format!("{second}.172")).chain((64..128).map(|second| format!("{second}.100")));
    let others =
        ["0", "10", "127", "254.169", "2.0.192", "100.51.198", "113.0.203", "255.255.255.255", "168.192"];
    let v4 = private.chain(others.map(str::to_owned)).map(|net| format!("{net}.in-addr.arpa"));
    let v6 =
        ["d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2"].map(|net| format!("{net}.ip6.arpa"));
    let mut zones = v4.chain(v6).filter_map(|zone| zone.parse::<Name>().ok());
    zones.find(|zone| domain.is_in(zone))
}

pub(super) fn is_private(domain: &Name) -> bool {
    built_in(domain).is_some()
}

//! What unbound is told that has a listing last longer than its zone says: whom a list has let go is refused all the same.
//!
//! Asks `unbound-checkconf`; changes nothing.

use std::net::IpAddr;

use super::finding::{Area, Check, Cure};
use super::who;
use crate::config::Config;

/// Of the unbound that runs here, when it is among the `resolvers`.
pub(super) fn look(config: &Config, resolvers: &[IpAddr]) -> Vec<Check> {
    if !resolvers.iter().any(|resolver| who::is_here(*resolver)) {
        return Vec::new();
    }
    let shortest = config.reloadable.zones.iter().map(|zone| zone.ttl).min();
    kept(shortest.unwrap_or(u32::MAX), &who::unbound_has)
}

/// `shortest`: the least time in seconds that a zone has a listing last. `has`: what unbound has for a setting.
fn kept(shortest: u32, has: &dyn Fn(&str) -> Option<String>) -> Vec<Check> {
    let told = |what: String, cause: &str, how: &str, lines: &str| {
        let how = format!("unbound: {how}, then `systemctl restart unbound`");
        let check = Check::warn(Area::Resolver, "resolver-keeps", what);
        check.because(cause).cured(Cure { how, lines: lines.to_owned() })
    };
    let number = |setting: &str| has(setting)?.parse::<u32>().ok();
    let mut checks = Vec::new();
    if let Some(least) = number("cache-min-ttl").filter(|least| *least > shortest) {
        checks.push(told(
            format!(
                "unbound keeps what is listed for {least} seconds (cache-min-ttl), and a zone says {shortest}"
            ),
            "whom a list lets go, or `gatepost allow` lets pass, is refused until then",
            "where its configuration has cache-min-ttl",
            &format!("server:\n    cache-min-ttl: {}", shortest.min(60)),
        ));
    }
    if has("serve-expired").as_deref() == Some("yes") && number("serve-expired-client-timeout") == Some(0) {
        checks.push(told(
            "unbound answers from what is too old before it asks again (serve-expired)".to_owned(),
            "whom a list has let go, or `gatepost allow` lets pass, is refused once more, however long ago that was",
            "beside serve-expired, so that it asks first and what is old is for when nobody answers (RFC 8767)",
            "server:\n    serve-expired-client-timeout: 1800",
        ));
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_a_listing_last() {
        let told = |least: &str, expired: &str, timeout: &str| {
            let has = |setting: &str| {
                let value = match setting {
                    "cache-min-ttl" => least,
                    "serve-expired" => expired,
                    _ => timeout,
                };
                Some(value.to_owned())
            };
            let checks = kept(300, &has);
            checks.iter().flat_map(Check::cures).map(|cure| cure.lines.clone()).collect::<Vec<_>>()
        };
        assert_eq!(told("0", "no", "0"), [""; 0]);
        assert_eq!(told("300", "yes", "1800"), [""; 0]);
        assert_eq!(told("3600", "no", "0"), ["server:\n    cache-min-ttl: 60"]);
        assert_eq!(told("60", "yes", "0"), ["server:\n    serve-expired-client-timeout: 1800"]);
        assert_eq!(kept(300, &|_| None), []);
    }
}

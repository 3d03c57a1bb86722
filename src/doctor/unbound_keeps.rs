//! What unbound is told that has it answer from what is too old: whom a list has let go is refused all the same.
//!
//! Asks `unbound-checkconf`; changes nothing.

use std::net::IpAddr;

use super::finding::{Area, Check, Cure};
use super::who;

/// Of the unbound that runs here, when it is among the `resolvers`; nothing where it keeps nothing of gatepost's.
pub(crate) fn look(resolvers: &[IpAddr], keeps_nothing: impl Fn() -> bool) -> Option<Check> {
    let is_here = resolvers.iter().any(|resolver| who::is_here(*resolver));
    is_here.then(|| kept(&who::unbound_has)).flatten().filter(|_| !keeps_nothing())
}

/// `has`: what unbound has for a setting.
fn kept(has: &dyn Fn(&str) -> Option<String>) -> Option<Check> {
    if has("serve-expired")? != "yes" || has("serve-expired-client-timeout")? != "0" {
        return None;
    }
    let what = "unbound answers from what is too old before it asks again (serve-expired)";
    let how = "unbound: beside serve-expired, so that it asks first and what is old is for when nobody answers (RFC 8767), \
               then `systemctl restart unbound`";
    let check = Check::warn(Area::Resolver, "resolver-keeps", what).because(
        "whom a list has let go, or `gatepost allow` lets pass, is refused once more, however long ago that was",
    );
    Some(check.cured(Cure {
        how: how.to_owned(),
        lines: "server:\n    serve-expired-client-timeout: 1800".to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_from_what_is_too_old() {
        let told = |expired: &str, timeout: &str| {
            kept(&|setting| Some(if setting == "serve-expired" { expired } else { timeout }.to_owned()))
                .is_some()
        };
        assert!(told("yes", "0") && !told("no", "0") && !told("yes", "1800"));
        assert!(kept(&|_| None).is_none());
    }
}

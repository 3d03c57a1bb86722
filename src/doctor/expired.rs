//! What a resolver is told that has it answer from what has expired: whom a list has let go is refused all the same.
//!
//! Asks `unbound-checkconf` and `named-checkconf`, and reads dnsmasq's lines; changes nothing.

use std::net::IpAddr;

use super::child::said;
use super::finding::{Area, Check, Cure};
use super::lines::{self, Line};
use super::who;
use crate::snippet::Program;

const CAUSE: &str =
    "whom a list has let go, or `gatepost allow` lets pass, is refused once more, however long ago that was";

/// Of those that run here, when one is among the `resolvers`; nothing of an unbound that keeps nothing of gatepost's.
pub(crate) fn look(resolvers: &[IpAddr], keeps_nothing: impl Fn() -> bool) -> Vec<Check> {
    if !resolvers.iter().any(|resolver| who::is_here(*resolver)) {
        return Vec::new();
    }
    let unbound = unbound(&who::unbound_has).filter(|_| !keeps_nothing());
    let dnsmasq = || dnsmasq(&lines::of(Program::Dnsmasq));
    let bind = || bind(&named_has()?);
    unbound.or_else(dnsmasq).or_else(bind).into_iter().collect()
}

/// `has`: what unbound has for a setting.
fn unbound(has: &dyn Fn(&str) -> Option<String>) -> Option<Check> {
    if has("serve-expired")? != "yes" || has("serve-expired-client-timeout")? != "0" {
        return None;
    }
    Some(check(
        "unbound",
        "serve-expired",
        "unbound: beside serve-expired, so that it asks first and what is old is for when nobody answers (RFC 8767), \
         then `systemctl restart unbound`",
        "server:\n    serve-expired-client-timeout: 1800",
    ))
}

fn dnsmasq(lines: &[Line]) -> Option<Check> {
    let line = lines.iter().find(|line| line.option("use-stale-cache").is_some())?;
    let how = format!("dnsmasq: take `{}` ({}) out, then `systemctl restart dnsmasq`", line.text, line.place);
    Some(check("dnsmasq", "use-stale-cache", &how, ""))
}

/// `text`: the configuration of BIND's as `named-checkconf` prints it.
fn bind(text: &str) -> Option<Check> {
    const AT_ONCE: &str = "stale-answer-client-timeout 0;";
    let has = |wanted: &str| text.lines().any(|line| line.trim() == wanted);
    if !["stale-answer-enable yes;", "stale-cache-enable yes;", AT_ONCE].into_iter().all(has) {
        return None;
    }
    let how = format!(
        "BIND: in the place of `{AT_ONCE}`, so that what is old is for when nobody answers, then `rndc reload`"
    );
    Some(check("BIND", "stale-answer-enable", &how, "stale-answer-client-timeout off;"))
}

fn named_has() -> Option<String> {
    let file = who::configuration_of("named")?;
    let mut arguments = vec!["-p"];
    arguments.extend(file.as_deref());
    let programs = ["named-checkconf", "/usr/bin/named-checkconf", "/usr/sbin/named-checkconf"];
    let (_, text) = programs.iter().find_map(|program| said(program, &arguments))?;
    Some(text)
}

fn check(program: &str, setting: &str, how: &str, lines: &str) -> Check {
    let what = format!("{program} answers from what is too old before it asks again ({setting})");
    let cure = Cure { how: how.to_owned(), lines: lines.to_owned() };
    Check::warn(Area::Resolver, "resolver-keeps", what).because(CAUSE).cured(cure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_answered_from_what_is_too_old() {
        let told = |expired: &str, timeout: &str| {
            unbound(&|setting| Some(if setting == "serve-expired" { expired } else { timeout }.to_owned()))
                .is_some()
        };
        assert!(told("yes", "0") && !told("no", "0") && !told("yes", "1800"));
        assert!(unbound(&|_| None).is_none());
    }

    #[test]
    fn what_the_others_call_it() {
        let line = |text: &str| [Line { place: "d:1".to_owned(), text: text.to_owned() }];
        assert!(
            dnsmasq(&line("--use-stale-cache")).is_some() && dnsmasq(&line("use-stale-cache=60")).is_some()
        );
        assert!(dnsmasq(&line("cache-size=0")).is_none());
        let text = "options {\n\tstale-answer-client-timeout 0;\n\tstale-answer-enable yes;\n\tstale-cache-enable yes;\n};\n";
        assert!(bind(text).is_some());
        for right in
            [text.replace("timeout 0", "timeout off"), text.replace("enable yes", "enable no"), String::new()]
        {
            assert!(bind(&right).is_none(), "{right}");
        }
    }
}

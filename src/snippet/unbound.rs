//! unbound: a forward-zone, and what keeps its answers.

use super::reverse;
use super::text::Text;
use super::wiring::Wiring;
use crate::model::Name;

/// Names that unbound answers by itself unless told otherwise.
const BUILT_IN: [&str; 7] =
    ["test", "invalid", "onion", "localhost", "home.arpa", "resolver.arpa", "service.arpa"];

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "#",
        "unbound",
        "unbound: asks gatepost for its zones. For a file in /etc/unbound/unbound.conf.d.",
    );
    text.note("Then restart unbound: `systemctl restart unbound`.");
    text.resolver_test(wiring, "");
    text.line(lines(wiring).trim_end());
    text.end()
}

/// The lines without comments.
pub(crate) fn lines(wiring: &Wiring) -> String {
    let server = wiring.server;
    let mut lines = String::from("server:\n");
    if server.ip().is_loopback() {
        lines.push_str("    do-not-query-localhost: no\n");
    }
    for domain in &wiring.domains {
        // Nobody signs it; its answers are in 127.0.0.0/8; nothing built in answers instead.
        lines.push_str(&format!("    domain-insecure: \"{domain}\"\n    private-domain: \"{domain}\"\n"));
        if is_built_in(domain) {
            lines.push_str(&transparent(domain));
        }
    }
    // What it keeps it also looks for there, and finds that the root denies `internal` (harden-below-nxdomain); and gatepost is near.
    for domain in &wiring.domains {
        lines.push_str(&format!(
            "forward-zone:\n    name: \"{domain}\"\n    forward-addr: {}@{}\n    forward-no-cache: yes\n",
            server.ip(),
            server.port()
        ));
    }
    lines
}

/// Whatever a local zone above it answers.
pub(crate) fn transparent(domain: &Name) -> String {
    format!("    local-zone: \"{domain}\" transparent\n")
}

fn is_built_in(domain: &Name) -> bool {
    let is_in = |name: &&str| domain.is_in(&name.parse().expect("a name"));
    BUILT_IN.iter().any(is_in) || reverse::is_private(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(server: &str, domain: &str) -> String {
        lines(&Wiring {
            server: server.parse().unwrap(),
            domains: vec![domain.parse().unwrap()],
            zones: Vec::new(),
            left_out: Vec::new(),
            narrower: Vec::new(),
            beyond: None,
        })
    }

    #[test]
    fn it_may_ask_loopback_only_if_it_has_to() {
        let here = at("127.0.0.1:5354", "gatepost.internal");
        assert!(here.contains("do-not-query-localhost: no\n"));
        assert!(here.contains("forward-addr: 127.0.0.1@5354\n"));
        assert!(at("[::1]:5354", "gatepost.internal").contains("forward-addr: ::1@5354\n"));
        assert!(!at("192.0.2.1:5354", "gatepost.internal").contains("localhost"));
    }

    #[test]
    fn what_it_answers_itself_is_opened_as_far_as_needed() {
        assert!(at("127.0.0.1:5354", "bl.test").contains("local-zone: \"bl.test\" transparent\n"));
        assert!(!at("127.0.0.1:5354", "bl.test.example").contains("local-zone"));
        for (domain, is_built_in) in [
            ("1.168.192.in-addr.arpa", true),
            ("20.172.in-addr.arpa", true),
            ("d.f.ip6.arpa", true),
            ("1.169.192.in-addr.arpa", false),
            ("172.in-addr.arpa", false),
        ] {
            assert_eq!(at("127.0.0.1:5354", domain).contains("local-zone"), is_built_in, "{domain}");
        }
    }
}

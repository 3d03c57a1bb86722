//! systemd-resolved: a server for the zones, and negative trust anchors.

use super::text::Text;
use super::wiring::Wiring;
use super::{Program, localhost};

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "#",
        "systemd-resolved",
        "systemd-resolved: asks gatepost for its zones. For a file in /etc/systemd/resolved.conf.d.",
    );
    text.note("It asks a global server for all else, too; gatepost refuses that, and the server of the link answers. Where no link has one");
    text.note("(`resolvectl status`), nothing else is resolved any more. A mail server is better served by one of the other resolvers.");
    text.note("It asks nobody while loopback is the only interface that is up.");
    text.note(
        "Of several global servers it asks one for everything: no other DNS= in resolved.conf and beside it.",
    );
    if let Some(refusal) = localhost::refusal(Program::SystemdResolved, wiring) {
        text.note(&refusal);
    }
    text.note("Then `systemctl restart systemd-resolved`.");
    text.resolver_test(wiring, "");
    text.line("[Resolve]");
    text.line(&format!("DNS={}", wiring.server));
    let domains: Vec<String> = wiring.domains.iter().map(|domain| format!("~{domain}")).collect();
    text.line(&format!("Domains={}", domains.join(" ")));
    text.note("");
    text.note("Where DNSSEC is on: these lines, without the sign of a comment, in /etc/dnssec-trust-anchors.d/gatepost.negative:");
    wiring.domains.iter().for_each(|domain| text.note(&domain.to_string()));
    text.end()
}

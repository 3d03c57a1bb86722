//! BIND: a zone of type forward, and what keeps its answers.

use super::text::Text;
use super::wiring::Wiring;

/// Where the text for outside of `options` begins.
const BESIDE: &str = "Beside options { … }; Debian: named.conf.local.";

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new("//", "bind", "BIND: asks gatepost for its zones. Two parts.");
    text.resolver_test(wiring, "");
    let domains: Vec<String> = wiring.domains.iter().map(|domain| format!("\"{domain}\";")).collect();
    let domains = domains.join(" ");
    text.line("");
    text.note("Within options { … }; Debian: named.conf.options. Nobody signs these zones; add them to validate-except if it stands there.");
    text.line(&format!("validate-except {{ {domains} }};"));
    text.note("Where deny-answer-addresses stands (a rebinding filter), its end must be as here, or answers are SERVFAIL:");
    text.note(&format!("deny-answer-addresses {{ 127.0.0.0/8; }} except-from {{ {domains} }};"));
    if wiring.domains.iter().any(|domain| domain.is_in(&"home.arpa".parse().expect("a name"))) {
        text.line("disable-empty-zone \"home.arpa\";");
    }
    text.line("");
    text.note(BESIDE);
    for domain in &wiring.domains {
        text.line(&format!("zone \"{domain}\" {{"));
        text.line("    type forward;\n    forward only;");
        text.line(&format!(
            "    forwarders {{ {} port {}; }};\n}};",
            wiring.server.ip(),
            wiring.server.port()
        ));
    }
    text.end()
}

//! PowerDNS recursor: forward-zones, and negative trust anchors in Lua.

use super::text::Text;
use super::wiring::Wiring;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "#",
        "pdns-recursor",
        "PowerDNS recursor: asks gatepost for its zones. For a file in /etc/powerdns/recursor.d.",
    );
    text.note("(The form of recursor.conf; not that of recursor.yml.)");
    text.resolver_test(wiring, "");
    let zones: Vec<String> =
        wiring.domains.iter().map(|domain| format!("{domain}={}", wiring.server)).collect();
    text.note("Where forward-zones stands already: forward-zones+= instead.");
    text.line(&format!("forward-zones={}", zones.join(",")));
    text.note("");
    text.note("Nobody signs these zones, and a question with AD or DO set has them validated. So, without the sign of a comment, in");
    text.note("the file that lua-config-file names (Debian: /etc/powerdns/recursor.lua):");
    for domain in &wiring.domains {
        text.note(&format!("addNTA(\"{domain}\", \"gatepost's, not signed\")"));
    }
    text.end()
}

//! BIND: a zone of type forward, and, as comments since they belong elsewhere, the options that keep its answers.

use std::collections::BTreeSet;

use super::text::Text;
use super::wiring::Wiring;
use super::{localhost, reverse};
use crate::model::Name;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "//",
        "bind",
        "BIND: asks gatepost for its zones. For named.conf.local or a file that named.conf includes, beside options { … }.",
    );
    text.note("Where named.conf has views, BIND takes zones within them alone: put these within each view, with `include` or as they are.");
    text.note("Then restart BIND: `systemctl restart named`.");
    text.resolver_test(wiring, "");
    let domains: Vec<String> = wiring.domains.iter().map(|domain| format!("\"{domain}\";")).collect();
    let domains = domains.join(" ");
    text.note("");
    text.note("BIND takes the next line within options { … } alone (Debian: named.conf.options): put it there, without the sign of a");
    text.note("comment, or add to validate-except if it stands there. Nobody signs these zones.");
    text.note(&format!("validate-except {{ {domains} }};"));
    let home: Name = "home.arpa".parse().expect("a name");
    let built_in =
        |domain: &Name| reverse::built_in(domain).or_else(|| domain.is_in(&home).then(|| home.clone()));
    let built_in: BTreeSet<Name> = wiring.domains.iter().filter_map(built_in).collect();
    if !built_in.is_empty() {
        text.note("And what follows, since BIND answers for it by itself:");
        built_in.iter().for_each(|zone| text.note(&format!("disable-empty-zone \"{zone}\";")));
    }
    let mut below = localhost::domains(wiring).peekable();
    if below.peek().is_some() {
        text.note("Debian's BIND has the zone localhost itself, and asks nobody for what lies in it unless its file (/etc/bind/db.local)");
        text.note("says that it is somebody else's. Add there, without the sign of a comment, or give the zone another name:");
        below.for_each(|domain| text.note(&format!("{domain}. 300 IN NS localhost.")));
    }
    text.note("Where deny-answer-addresses stands (a rebinding filter), its end must be as here, or answers are SERVFAIL:");
    text.note(&format!("deny-answer-addresses {{ 127.0.0.0/8; }} except-from {{ {domains} }};"));
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

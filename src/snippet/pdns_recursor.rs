//! PowerDNS recursor: forward-zones, and negative trust anchors in Lua.

use super::text::Text;
use super::wiring::Wiring;
use super::{Program, localhost};

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "#",
        "pdns-recursor",
        "PowerDNS recursor: asks gatepost for its zones. For a file in /etc/powerdns/recursor.d.",
    );
    text.note("(The form of recursor.conf; not that of recursor.yml.)");
    if let Some(refusal) = localhost::refusal(Program::PdnsRecursor, wiring) {
        text.note(&refusal);
    }
    text.note("");
    text.note("Nobody signs these zones, and it validates: by default what is asked with AD or DO, as dig does (dnssec=process), or everything.");
    text.note("It takes what follows in Lua alone, so it belongs, without the sign of a comment, into the file that lua-config-file names.");
    text.note("On Debian, with this text in recursor.d/gatepost.conf, once, from /etc/powerdns:");
    text.note("    sed -n 's/^# addNTA/addNTA/p' recursor.d/gatepost.conf >> recursor.lua");
    for domain in &wiring.domains {
        text.note(&format!("addNTA(\"{domain}\", \"gatepost's, not signed\")"));
    }
    text.note("");
    text.note("Then restart it: `systemctl restart pdns-recursor`.");
    text.resolver_test(wiring, "");
    text.note("SERVFAIL: the lines above are missing in the Lua file, or it has not been restarted since.");
    let zones: Vec<String> =
        wiring.domains.iter().map(|domain| format!("{domain}={}", wiring.server)).collect();
    text.note("Where forward-zones stands elsewhere, too: forward-zones+= in the file of both that is read later (recursor.conf first, then those in");
    text.note("recursor.d by their names), and = in the other. Of two = the later alone holds; += without one before keeps it from starting.");
    text.line(&format!("forward-zones={}", zones.join(",")));
    text.end()
}

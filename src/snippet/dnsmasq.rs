//! dnsmasq: a server for the zones, past its rebinding filter.

use super::text::Text;
use super::wiring::Wiring;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text =
        Text::new("#", "dnsmasq", "dnsmasq: asks gatepost for its zones. For a file in /etc/dnsmasq.d.");
    text.note("Then restart dnsmasq: it reads this when it starts.");
    text.resolver_test(wiring, "");
    for domain in &wiring.domains {
        text.line(&format!("server=/{domain}/{}#{}", wiring.server.ip(), wiring.server.port()));
        // Says nothing where stop-dns-rebind is off.
        text.line(&format!("rebind-domain-ok=/{domain}/"));
    }
    text.end()
}

//! Knot Resolver: a stub policy for the zones, past cache and rebinding filter.

use super::text::Text;
use super::wiring::Wiring;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "--",
        "knot-resolver",
        "Knot Resolver 5: asks gatepost for its zones. For kresd.conf, before other policies.",
    );
    text.note("Then restart all of it: `systemctl restart 'kresd@*'`.");
    text.resolver_test(wiring, "");
    let domains: Vec<String> = wiring.domains.iter().map(|domain| format!("'{domain}.'")).collect();
    text.line(&format!("local gatepost = policy.todnames({{ {} }})", domains.join(", ")));
    text.note("NO_CACHE: what it remembers of the root says that such names do not exist. ALLOW_LOCAL: the rebinding module lets answers through.");
    text.line("policy.add(policy.suffix(policy.FLAGS({ 'NO_CACHE', 'ALLOW_LOCAL' }), gatepost))");
    text.line(&format!(
        "policy.add(policy.suffix(policy.STUB({{ '{}@{}' }}), gatepost))",
        wiring.server.ip(),
        wiring.server.port()
    ));
    text.end()
}

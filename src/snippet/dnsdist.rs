//! dnsdist: a pool for the zones, with a health check that they answer.

use super::text::Text;
use super::wiring::Wiring;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "--",
        "dnsdist",
        "dnsdist: asks gatepost for its zones. For dnsdist.conf, before other rules.",
    );
    text.note("Then restart dnsdist.");
    text.resolver_test(wiring, "");
    let (question, _) = wiring.question();
    let (name, rtype) = question.split_once(' ').unwrap_or((&question, "A"));
    // The default check asks for a name that is not in the zones.
    text.line(&format!(
        "newServer{{address=\"{}\", name=\"gatepost\", pool=\"gatepost\", checkName=\"{name}.\", checkType=\"{rtype}\", mustResolve=true}}",
        wiring.server
    ));
    text.line("getPool(\"gatepost\"):setCache(newPacketCache(100000))");
    let domains: Vec<String> = wiring.domains.iter().map(|domain| format!("\"{domain}.\"")).collect();
    text.line("local gatepost = newSuffixMatchNode()");
    domains.iter().for_each(|domain| text.line(&format!("gatepost:add(newDNSName({domain}))")));
    text.note("While the check fails mail servers are told at once instead of being left to wait, and let mail pass.");
    text.line(
        "addAction(AndRule({SuffixMatchNodeRule(gatepost), NotRule(PoolAvailableRule(\"gatepost\"))}), RCodeAction(DNSRCode.SERVFAIL))",
    );
    text.line("addAction(SuffixMatchNodeRule(gatepost), PoolAction(\"gatepost\"))");
    text.end()
}

//! Exim: statements for the ACL of RCPT.

use super::codes;
use super::text::{TRIED, Text};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// What the refused client reads.
const MESSAGE: &str = "Service unavailable; client [$sender_host_address] blocked using $dnslist_domain\
                       ${if def:dnslist_text {; $dnslist_text}}";

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new("#", "exim", "Exim: the RCPT ACL refuses what gatepost lists.");
    text.note("For the ACL that acl_smtp_rcpt names, before what accepts mail for local domains; Debian: a file named by");
    text.note("CHECK_RCPT_LOCAL_ACL_FILE. `relay_from_hosts` is the host list of your own networks in Exim's example configuration.");
    text.mail_test(&format!("exim -bh {TRIED}, then HELO, MAIL and RCPT: 550."));
    text.legend(wiring);

    let addresses: Vec<String> = wiring.addresses(Use::Block).map(item).collect();
    let names: Vec<String> = wiring.names(Use::Block).map(item).collect();
    if !addresses.is_empty() {
        statement(&mut text, "deny", wiring, &[], &addresses, &[&format!("message = {MESSAGE}")]);
    }
    if !names.is_empty() {
        let keyed: Vec<String> = names
            .iter()
            .flat_map(|item| [format!("{item}/$sender_address_domain"), format!("{item}/$sender_helo_name")])
            .collect();
        let message = "message = Service unavailable; $dnslist_matched blocked using $dnslist_domain\
                       ${if def:dnslist_text {; $dnslist_text}}";
        statement(&mut text, "deny", wiring, &["!senders = :"], &keyed, &[message]);
    }
    let bounce: Vec<String> = wiring.addresses(Use::Bounce).map(item).collect();
    if !bounce.is_empty() {
        statement(&mut text, "deny", wiring, &["senders = :"], &bounce, &[&format!("message = {MESSAGE}")]);
    }
    for asked in wiring.addresses(Use::Score) {
        let header = "add_header = X-Gatepost-Score: $dnslist_domain ($dnslist_value)";
        statement(&mut text, "warn", wiring, &[], &[item(asked)], &[header]);
    }
    text.end()
}

fn item(asked: Asked<'_>) -> String {
    format!("{}={}", asked.zone.origin, codes::list(asked.codes.keys(), ","))
}

/// An ACL statement that leaves alone own networks, who authenticated, and whom an allow list has.
fn statement(
    text: &mut Text,
    verb: &str,
    wiring: &Wiring,
    conditions: &[&str],
    lists: &[String],
    modifiers: &[&str],
) {
    text.line("");
    text.line(verb);
    text.line("  !hosts = : +relay_from_hosts");
    text.line("  !authenticated = *");
    conditions.iter().for_each(|condition| text.line(&format!("  {condition}")));
    let allow: Vec<String> = wiring.addresses(Use::Allow).map(item).collect();
    if !allow.is_empty() {
        text.line(&format!("  !dnslists = {}", allow.join(" : ")));
    }
    text.line(&format!("  dnslists = {}", lists.join(" : \\\n             ")));
    modifiers.iter().for_each(|modifier| text.line(&format!("  {modifier}")));
}

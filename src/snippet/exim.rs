//! Exim: statements for the ACL of RCPT.

use super::codes;
use super::text::{TRIED, Text};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// What the refused client reads.
const MESSAGE: &str = "Service unavailable; client [$sender_host_address] blocked using $dnslist_domain\
                       ${if def:dnslist_text {; $dnslist_text}}";

/// And for a name that it said.
const NAMED: &str = "message = Service unavailable; $dnslist_matched blocked using $dnslist_domain\
                     ${if def:dnslist_text {; $dnslist_text}}";

/// The names that are looked up. Exim splits at colons and slashes, which an address literal (`[IPv6:2001:db8::1]`) has.
const KEYS: [&str; 2] =
    [r"${sg{$sender_address_domain}{\N[^-.\w]\N}{-}}", r"${sg{$sender_helo_name}{\N[^-.\w]\N}{-}}"];

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new("#", "exim", "Exim: the RCPT ACL refuses what gatepost lists.");
    text.note("For the ACL that acl_smtp_rcpt names, before what accepts mail for local domains. Debian: a file of its own, named by");
    text.note("`CHECK_RCPT_LOCAL_ACL_FILE = /etc/exim4/…` in /etc/exim4/exim4.conf.localmacros, or where the configuration is split");
    text.note("(dc_use_split_config='true') in /etc/exim4/conf.d/main/000_local; then update-exim4.conf, and reload Exim.");
    text.note("`relay_from_hosts` is the host list of your own networks in Exim's example configuration.");
    text.mail_test(&format!("exim -bh {TRIED}, then HELO, MAIL and RCPT: 550."));
    text.legend(wiring);

    let refuses = format!("message = {MESSAGE}");
    let (addresses, names) = (wiring.rejecting(false), wiring.rejecting(true));
    for (addresses, names, unless) in [
        // What a person blocks stays blocked, whatever an allow list says.
        (addresses.always, names.always, ""),
        (addresses.unless_allowed, names.unless_allowed, &*allowed(wiring)),
    ] {
        let addresses: Vec<String> = addresses.iter().map(item).collect();
        statement(&mut text, "deny", unless, &[], &addresses, &refuses);
        let keyed: Vec<String> =
            names.iter().map(item).flat_map(|item| KEYS.map(|key| format!("{item}/{key}"))).collect();
        statement(&mut text, "deny", unless, &["!senders = :"], &keyed, NAMED);
    }
    let allowed = allowed(wiring);
    let bounce: Vec<String> = wiring.addresses(Use::Bounce).map(|asked| item(&asked)).collect();
    statement(&mut text, "deny", &allowed, &["senders = :"], &bounce, &refuses);
    for asked in wiring.addresses(Use::Score) {
        let header = "add_header = X-Gatepost-Score: $dnslist_domain ($dnslist_value)";
        statement(&mut text, "warn", &allowed, &[], &[item(&asked)], header);
    }
    text.end()
}

/// The allow lists.
fn allowed(wiring: &Wiring) -> String {
    wiring.addresses(Use::Allow).map(|asked| item(&asked)).collect::<Vec<_>>().join(" : ")
}

fn item(asked: &Asked<'_>) -> String {
    format!("{}={}", asked.zone.origin, codes::list(asked.codes.keys(), ","))
}

/// An ACL statement that leaves alone own networks, who authenticated, and whom `unless` has; nothing without `lists`.
fn statement(
    text: &mut Text,
    verb: &str,
    unless: &str,
    conditions: &[&str],
    lists: &[String],
    modifier: &str,
) {
    if lists.is_empty() {
        return;
    }
    text.line("");
    text.line(verb);
    text.line("  !hosts = : +relay_from_hosts");
    text.line("  !authenticated = *");
    conditions.iter().for_each(|condition| text.line(&format!("  {condition}")));
    if !unless.is_empty() {
        text.line(&format!("  !dnslists = {unless}"));
    }
    text.line(&format!("  dnslists = {}", lists.join(" : \\\n             ")));
    text.line(&format!("  {modifier}"));
}

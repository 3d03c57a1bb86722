//! What each instance of Postfix adds to what was found, and whether one of them asks nobody while another asks. Pure but for the copy of
//! `resolv.conf` that chrooted services see, which is read.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::{fs, io};

use super::super::super::finding::{Area, Check, Cure};
use super::super::super::{cure, resolv_conf};
use super::super::{DNS, Elsewhere, Found, Harsh, Idle, is_ours, main_cf};
use super::doors::{doors, overridden};
use super::restrictions::{shuts, words};
use super::tables::outside;
use super::{RESTRICTIONS, Setup, again, effect, harsh, threshold, weights};
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;

/// One of several.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Instance {
    /// Where its files are.
    folder: String,
    /// Whom it asks, or would if what it is told had an effect.
    zones: Vec<Name>,
    /// Strangers hand it mail, and nothing is known that may look at it but its own restrictions.
    is_open: bool,
}

/// Instances that strangers reach, and that ask nobody while another one asks.
pub(in super::super) fn unasking(instances: &[Instance], wiring: &Wiring) -> Vec<Check> {
    let asks = |instance: &&Instance| instance.zones.iter().any(|zone| is_ours(zone, wiring));
    let Some(asking) = instances.iter().find(asks) else { return Vec::new() };
    let silent = instances.iter().filter(|instance| instance.is_open && !asks(instance));
    let checks = silent.map(|Instance { folder, .. }| {
        let what = format!("Postfix of {folder} takes mail from strangers and asks no zone of gatepost's");
        let cause = format!("that of {} asks: who is listed passes by the other door", asking.folder);
        Check::warn(Area::Mail, "mail-not-asked", what).because(cause).cured_by(format!(
            "put what `gatepost snippet postfix` prints into {folder}/main.cf, and then `postfix -c {folder} reload`; or, if strangers are not to reach it, `inet_interfaces = loopback-only` there"
        ))
    });
    checks.collect()
}

fn is_open(setup: &Setup) -> bool {
    // What may refuse by itself.
    const OTHERS: [&str; 3] = ["smtpd_milters", "content_filter", "smtpd_proxy_filter"];
    // What it takes mail for.
    const OWN: [&str; 7] = [
        "mydestination",
        "relay_domains",
        "virtual_alias_domains",
        "virtual_alias_maps",
        "virtual_mailbox_domains",
        "virtual_mailbox_maps",
        "relay_recipient_maps",
    ];
    let is_inner = |word: &str| {
        let address: Option<IpAddr> = word.trim_matches(['[', ']']).parse().ok();
        let is_private = |address: IpAddr| match address {
            IpAddr::V4(address) => address.is_loopback() || address.is_private(),
            IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
        };
        matches!(word, "loopback-only" | "localhost") || address.is_some_and(is_private)
    };
    let is_shut = |value: &str| {
        let policy = outside(value).iter().any(|asked| !setup.tables.contains_key(asked.table));
        shuts(value) || policy || value.contains("check_policy_service")
    };
    let mut doors = doors(setup).into_iter().map(|service| overridden(setup, service));
    doors.any(|parameters| {
        let value = |name: &str| parameters.get(name).map_or("", String::as_str);
        let disabled =
            words(value("master_service_disable")).any(|kind| kind == "inet" || kind.ends_with("/inet"));
        let mut interfaces = words(value("inet_interfaces")).peekable();
        let is_inner = interfaces.peek().is_some() && interfaces.all(is_inner);
        // It has no mail of its own to take (`mydestination =`): it relays for its own people.
        let has_domains =
            !parameters.contains_key("mydestination") || OWN.iter().any(|name| !value(name).is_empty());
        let is_filtered = OTHERS.iter().any(|name| !value(name).is_empty());
        !disabled
            && !is_inner
            && has_domains
            && !is_filtered
            && !RESTRICTIONS.iter().any(|name| is_shut(value(name)))
    })
}

/// What the services of a chrooted Postfix see of `/etc/resolv.conf`: a copy, made when Postfix was started.
fn chrooted(copy: &Path) -> Option<Elsewhere> {
    // Without a copy the C library asks this machine itself.
    let text = match fs::read_to_string(copy) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(_) => return None,
    };
    let at = copy.display();
    Some(Elsewhere {
        who: format!("Postfix, whose services run in a chroot and read {at},"),
        servers: resolv_conf::servers(&text).into_iter().map(|(ip, _)| SocketAddr::new(ip, DNS)).collect(),
        cure: Cure {
            how: "bring the copy up to date (Debian makes it when Postfix starts)".to_owned(),
            lines: format!("cp /etc/resolv.conf {at}\npostfix reload"),
        },
    })
}

impl Found {
    /// What an instance of Postfix does.
    pub(in super::super) fn postfix(&mut self, setup: &Setup) {
        self.programs.insert(cure::name(Program::Postfix));
        let (mut mentions, mut idle) = effect(setup);
        let mut harsh = harsh(setup);
        let file = setup.main_cf();
        self.broken.extend(setup.glued().iter().map(|glued| main_cf::glued(glued, &file)));
        self.broken.extend(setup.broken().iter().map(|broken| main_cf::broken(broken, &file)));
        self.again.extend(again(setup));
        if let Some(folder) = setup.instance() {
            let of = |at: &mut String| *at = format!("{at} of {folder}");
            let typed = |cure: &mut Cure| {
                for text in [&mut cure.how, &mut cure.lines] {
                    *text = text
                        .replace("postconf -", &format!("postconf -c {folder} -"))
                        .replace("postfix reload", &format!("postfix -c {folder} reload"));
                }
            };
            mentions.iter_mut().for_each(|mention| of(&mut mention.at));
            for Idle { at, cure, .. } in &mut idle {
                of(at);
                typed(cure);
            }
            for Harsh { at, cure, .. } in &mut harsh {
                of(at);
                typed(cure);
            }
        }
        let zones =
            mentions.iter().map(|mention| &mention.zone).chain(idle.iter().flat_map(|idle| &idle.zones));
        self.instances.push(Instance {
            folder: setup.folder.clone(),
            zones: zones.cloned().collect(),
            is_open: is_open(setup),
        });
        self.mentions.extend(mentions);
        self.idle.extend(idle);
        self.harsh.extend(harsh);
        self.unread.extend(setup.unread());
        // Of several with sites the first counts: weights say nothing beside another's threshold.
        if self.weights.is_empty() {
            self.weights = weights(setup);
            self.threshold = threshold(setup).or(self.threshold);
        }
        self.elsewhere.extend(setup.chrooted().and_then(|at| chrooted(&at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_strangers_reach_it_and_its_restrictions_alone_look() {
        const SMTPD: &str = "smtp inet n - y - - smtpd\n";
        let open = |main: &str, master: &str| is_open(&Setup::read(main, Some(master)));
        assert!(open("myhostname = x\n", SMTPD));
        assert!(open("smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination\n", SMTPD));
        for shut in [
            "inet_interfaces = loopback-only\n",
            "inet_interfaces = 127.0.0.1, 10.0.0.1\n",
            "master_service_disable = inet\n",
            "smtpd_client_restrictions = permit_mynetworks, reject\n",
            "smtpd_recipient_restrictions = check_policy_service inet:127.0.0.1:10023\n",
            "smtpd_recipient_restrictions = check_client_access ldap:/a\n",
            "smtpd_milters = inet:localhost:11332\n",
            "mydestination =\n",
        ] {
            assert!(!open(shut, SMTPD), "{shut}");
        }
        assert!(open("mydestination =\nvirtual_mailbox_domains = example.org\n", SMTPD));
        assert!(!open("", "127.0.0.1:10025 inet n - y - - smtpd\n"));
        assert!(!open("", "submission inet n - y - - smtpd\n"));
    }
}

//! Whether Postfix hands mail to a SpamAssassin that answers: by `spamc`, which hands all mail on where no spamd is, or to nobody at all. What calls
//! it otherwise (procmail, a milter) is not known here, and nothing is said of it; what amavis does is in `amavis`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::super::super::finding::Cure;
use super::super::postfix::Misplaced;
use super::super::trouble::Trouble;
use super::super::{Idle, Mention};
use crate::model::Name;
use crate::snippet::Program;

/// Where spamc asks unless it is told of another place (spamc(1)).
const PORT: u16 = 783;
/// What names another place; read where it is there.
const CONFIGURATION: &str = "/etc/spamassassin/spamc.conf";
/// How long a connection on this host may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// How Postfix hands on mail that comes in by one of its services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct HandsOn {
    /// `smtp/inet`, where it is known.
    pub(in super::super) door: Option<String>,
    /// Strangers' mail comes by it at second hand, if at all: what comes back from a filter may do so, too.
    pub(in super::super) is_aside: bool,
    /// What calls spamc, with the words that it is called with.
    pub(in super::super) to_spamc: Option<(String, String)>,
    /// amavis gets it, which calls SpamAssassin by itself.
    pub(in super::super) to_amavis: bool,
    /// Somebody else may get it, who calls SpamAssassin.
    pub(in super::super) may_reach_others: bool,
    /// What hands it to somebody who does not.
    pub(in super::super) to_strangers: Vec<String>,
    /// Who may call it is set, but not for this mail.
    pub(in super::super) misplaced: Option<Misplaced>,
}

impl HandsOn {
    pub(in super::super) fn is_to_nobody(&self) -> bool {
        !self.may_reach_others && !self.to_amavis && self.to_spamc.is_none()
    }

    pub(in super::super) fn is_amavis_alone(&self) -> bool {
        self.to_amavis && !self.may_reach_others && self.to_spamc.is_none()
    }
}

fn zones(mentions: &[Mention]) -> Vec<Name> {
    let of_it = mentions.iter().filter(|mention| mention.program == Program::Spamassassin);
    of_it.map(|mention| mention.zone.clone()).collect()
}

/// No spamd where spamc asks.
pub(in super::super) fn down(hands: &HandsOn, mentions: &[Mention]) -> Option<Trouble> {
    let (at, called) = hands.to_spamc.as_ref().filter(|(_, called)| asks_at_its_port(called))?;
    if zones(mentions).is_empty() || Path::new(CONFIGURATION).exists() || answers(PORT) {
        return None;
    }
    let does = match called.split_whitespace().any(|word| word == "-x") {
        true => "all mail waits",
        false => "it hands all mail on as it is, so whoever is listed passes",
    };
    Some(Trouble {
        program: Program::Spamassassin,
        name: "mail-not-running",
        is_bad: true,
        at: at.clone(),
        zones: zones(mentions),
        rest: format!("spamc finds no spamd at 127.0.0.1:{PORT}: {does}"),
        cause: "spamd does not run, or listens elsewhere".to_owned(),
        cure: Cure {
            how: "start it (Debian: of the package spamd; before that the service was called spamassassin)"
                .to_owned(),
            lines: "systemctl enable --now spamd".to_owned(),
        },
    })
}

/// Postfix keeps mail to itself: all that strangers send, or what comes by one of its services.
pub(in super::super) fn unasked(all: &[HandsOn], mentions: &[Mention]) -> Option<Idle> {
    // Where Postfix asks itself SpamAssassin may be what somebody tried before.
    let asks_itself = mentions.iter().any(|mention| mention.program == Program::Postfix);
    let is_for_nobody = all.iter().all(HandsOn::is_to_nobody);
    let mut kept = all.iter().filter(|hands| hands.is_to_nobody() && (is_for_nobody || !hands.is_aside));
    let hands = kept.next().filter(|_| !asks_itself)?;
    let door = hands.door.as_deref().unwrap_or("main.cf");
    let idle = |at: String, cause: String, how: &str, lines: &str| Idle {
        program: Program::Spamassassin,
        at,
        zones: zones(mentions),
        matters: is_for_nobody && hands.misplaced.is_some(),
        cause,
        cure: Cure { how: how.to_owned(), lines: lines.to_owned() },
    };
    if let Some(Misplaced { cause, lines, .. }) = &hands.misplaced {
        let cause = format!(
            "Postfix hands mail of strangers' that comes by {door} to nobody who could call it: {cause}"
        );
        return Some(idle(format!("{door} (master.cf)"), cause, "Postfix: type", lines));
    }
    let how = "have Postfix hand mail to what calls SpamAssassin: amavis, spamass-milter or spamc; or let Postfix ask itself: `gatepost snippet postfix`";
    let (at, whose, nothing) = match is_for_nobody {
        true => (
            "main.cf".to_owned(),
            "mail",
            "no smtpd_milters, content_filter, mailbox_command or transport is set",
        ),
        false => (
            format!("{door} (master.cf)"),
            "mail that comes by it",
            "neither content_filter nor smtpd_milters is set there",
        ),
    };
    let cause = match &hands.to_strangers[..] {
        [] => nothing.to_owned(),
        strangers => format!("{}, and nothing of that calls it", strangers.join(", ")),
    };
    Some(idle(at, format!("Postfix hands {whose} to nobody who could call it: {cause}"), how, ""))
}

/// It is told of no other place.
fn asks_at_its_port(called: &str) -> bool {
    const ELSEWHERE: [&str; 5] = ["-d", "-U", "-p", "-F", "--"];
    // What stands behind `-e` is for the program that it hands mail on to.
    let mut own = called.split_whitespace().take_while(|word| *word != "-e");
    !own.any(|word| ELSEWHERE.iter().any(|option| word.starts_with(option)))
}

/// Whether somebody does, or may.
fn answers(port: u16) -> bool {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].into_iter().any(|host| {
        match TcpStream::connect_timeout(&SocketAddr::new(host, port), PATIENCE) {
            Ok(_) => true,
            Err(error) => !matches!(
                error.kind(),
                ErrorKind::ConnectionRefused | ErrorKind::AddrNotAvailable | ErrorKind::NetworkUnreachable
            ),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn where_spamc_asks() {
        assert!(asks_at_its_port("-u ${user} -e /usr/sbin/sendmail"));
        assert!(asks_at_its_port("-u ${recipient} -e /usr/lib/dovecot/deliver -d ${recipient}"));
        assert!(!asks_at_its_port("-d other -e x"));
    }

    #[test]
    fn whether_somebody_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(answers(port));
        drop(listener);
        assert!(!answers(port));
    }
}

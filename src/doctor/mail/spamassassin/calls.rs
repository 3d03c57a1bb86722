//! Whether Postfix hands mail to a SpamAssassin that answers: by `spamc`, which hands all mail on where no spamd is, or to nobody at all. What calls
//! it otherwise (procmail, a milter) is not known here, and nothing is said of it; what amavis does is in `amavis`.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::super::super::finding::Cure;
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

/// How Postfix hands mail on that comes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct HandsOn {
    /// What calls spamc, with the words that it is called with.
    pub(in super::super) to_spamc: Option<(String, String)>,
    /// amavis gets it, which calls SpamAssassin by itself.
    pub(in super::super) to_amavis: bool,
    /// Somebody else may get it, who calls SpamAssassin.
    pub(in super::super) may_reach_others: bool,
    /// What hands it to somebody who does not.
    pub(in super::super) to_strangers: Vec<String>,
}

impl HandsOn {
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

/// Postfix keeps all mail to itself.
pub(in super::super) fn unasked(hands: &HandsOn, mentions: &[Mention]) -> Option<Idle> {
    // Where Postfix asks itself SpamAssassin may be what somebody tried before.
    let asks_itself = mentions.iter().any(|mention| mention.program == Program::Postfix);
    if hands.may_reach_others || hands.to_amavis || hands.to_spamc.is_some() || asks_itself {
        return None;
    }
    let cause = match &hands.to_strangers[..] {
        [] => "no smtpd_milters, content_filter, mailbox_command or transport is set".to_owned(),
        strangers => format!("{}, and nothing of that calls it", strangers.join(", ")),
    };
    Some(Idle {
        program: Program::Spamassassin,
        at: "main.cf".to_owned(),
        zones: zones(mentions),
        matters: false,
        cause: format!("Postfix hands mail to nobody who could call it: {cause}"),
        cure: Cure {
            how: "have Postfix hand mail to what calls SpamAssassin: amavis, spamass-milter or spamc; or let Postfix ask itself: `gatepost snippet postfix`"
                .to_owned(),
            lines: String::new(),
        },
    })
}

/// It is told of no other place.
fn asks_at_its_port(called: &str) -> bool {
    const ELSEWHERE: [&str; 5] = ["-d", "-U", "-p", "-F", "--"];
    !called.split_whitespace().any(|word| ELSEWHERE.iter().any(|option| word.starts_with(option)))
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
        assert!(!asks_at_its_port("-d other"));
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

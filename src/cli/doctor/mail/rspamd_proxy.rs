//! Where rspamd's proxy listens, and whether Postfix hands it mail there. Pure but for [`here`], which reads files.
//!
//! Never a guess: of a milter on another machine, or at a place that cannot be compared, nothing is said.

use std::fs;
use std::net::IpAddr;

use super::super::super::snippet::Program;
use super::super::finding::Cure;
use super::{Idle, Mention};
use crate::model::Name;

/// In its own files, those that count more first; and where it listens unless they say so.
const FILES: [&str; 3] = [
    "/etc/rspamd/override.d/worker-proxy.inc",
    "/etc/rspamd/local.d/worker-proxy.inc",
    "/etc/rspamd/worker-proxy.inc",
];
/// Those in which any worker may be told something.
const ANY_WORKER: [&str; 3] =
    ["/etc/rspamd/rspamd.conf.override", "/etc/rspamd/rspamd.conf.local", "/etc/rspamd/rspamd.conf"];
const WORKER: &str = "rspamd_proxy";
const COMES_AS: &str = "localhost:11332";

/// To whom Postfix hands mail that comes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filters {
    /// `smtpd_milters` of `main.cf`, as it stands there.
    pub(super) in_main: String,
    /// Each milter, of `master.cf`, too.
    pub(super) milters: Vec<String>,
    /// Through another filter it may come to anybody.
    pub(super) is_filtered: bool,
}

impl Filters {
    /// Of several instances of Postfix.
    pub(super) fn and(mut self, other: Option<Self>) -> Self {
        let other = other.unwrap_or_default();
        self.milters.extend(other.milters);
        Self { is_filtered: self.is_filtered || other.is_filtered, ..self }
    }
}

/// The places at which rspamd's proxy listens, as its files say: `localhost:11332`, `/run/rspamd/milter.sock mode=0666`.
pub(super) fn here() -> Vec<String> {
    listens(&|path| fs::read_to_string(path).ok())
}

fn listens(read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let own = FILES.iter().map(|path| places(&read(path).unwrap_or_default(), 0));
    // What stands in no file for it alone stands in a block of its name.
    let [above, beside, own_block] = ANY_WORKER.map(|path| {
        let text = plain(&read(path).unwrap_or_default());
        let block = text.split_once(WORKER).map_or("", |(_, block)| block).to_owned();
        places(block.split("worker \"").next().unwrap_or_default(), 1)
    });
    let mut all = [above].into_iter().chain(own).chain([beside, own_block]);
    all.find(|places| !places.is_empty()).unwrap_or_else(|| vec![COMES_AS.to_owned()])
}

fn plain(text: &str) -> String {
    text.lines().flat_map(|line| [line.split('#').next().unwrap_or_default(), "\n"]).collect()
}

/// Each `bind_socket = "…"`, or list of several, in a block at this depth.
fn places(text: &str, depth: usize) -> Vec<String> {
    let text = plain(text);
    let mut places = Vec::new();
    for (at, _) in text.match_indices("bind_socket") {
        let before = &text[..at];
        if before.matches('{').count() != before.matches('}').count() + depth {
            continue;
        }
        let value = text[at..].split_once('=').map_or("", |(_, value)| value);
        let value = value.split(';').next().unwrap_or_default();
        places.extend(value.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    places
}

/// Whether a milter is where rspamd listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    Rspamd,
    Other,
    /// It cannot be told from here.
    Unsure,
}

fn is_rspamd(milter: &str, listens: &[String]) -> Is {
    let milter = milter.trim_matches(['{', '}', ' ']).split([',', ' ']).next().unwrap_or_default();
    let each = listens.iter().map(|place| {
        let place = place.split_whitespace().next().unwrap_or_default();
        match (milter.split_once(':'), place.starts_with('/')) {
            _ if place.starts_with("systemd:") => Is::Unsure,
            (Some(("inet", address)), false) => same_port(address, place),
            (Some(("unix" | "local", path)), true) => same_path(path, place),
            (Some(("inet", address)), true) => {
                if is_here(address) {
                    Is::Other
                } else {
                    Is::Unsure
                }
            }
            (Some(("unix" | "local", _)), false) => Is::Other,
            _ => Is::Unsure,
        }
    });
    let each: Vec<Is> = each.collect();
    [Is::Rspamd, Is::Unsure].into_iter().find(|is| each.contains(is)).unwrap_or(Is::Other)
}

fn same_port(address: &str, place: &str) -> Is {
    let port = |text: &str| text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    // A place without a port has the one that it comes with.
    match (port(address), port(place).or_else(|| port(COMES_AS))) {
        (Some(one), Some(other)) if one == other => Is::Rspamd,
        (Some(_), Some(_)) if is_here(address) => Is::Other,
        _ => Is::Unsure,
    }
}

/// Whether an address of a milter's is on this host for sure.
fn is_here(address: &str) -> bool {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Chrooted services call a socket by less than its whole name, and folders have several names.
fn same_path(path: &str, place: &str) -> Is {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let path = path.trim_start_matches('/');
    match () {
        () if place.trim_start_matches('/') == path || place.ends_with(&format!("/{path}")) => Is::Rspamd,
        () if name(path) == name(place) || path.contains("rspamd") => Is::Unsure,
        () => Is::Other,
    }
}

/// rspamd has rules, and the mail server that was found does not ask it, as far as that can be told.
pub(super) fn unasked(mentions: &[Mention], filters: &Filters, listens: &[String]) -> Option<Idle> {
    let zones: Vec<Name> = mentions
        .iter()
        .filter(|mention| mention.program == Program::Rspamd)
        .map(|mention| mention.zone.clone())
        .collect();
    let all_are_others = filters.milters.iter().all(|milter| is_rspamd(milter, listens) == Is::Other);
    if zones.is_empty() || filters.is_filtered || !all_are_others {
        return None;
    }
    let place = milter_of(listens.first().map_or(COMES_AS, String::as_str));
    let idle = |zones, matters, cause, how: &str, lines| Idle {
        program: Program::Rspamd,
        at: "main.cf".to_owned(),
        zones,
        matters,
        cause,
        cure: Cure { how: how.to_owned(), lines },
    };
    if filters.milters.is_empty() {
        return Some(idle(
            Vec::new(),
            true,
            "Postfix asks nobody for mail that comes in: neither main.cf nor master.cf has smtpd_milters or a content_filter".to_owned(),
            "Postfix: in main.cf, and `postfix reload` (rspamd's proxy listens there)",
            format!("smtpd_milters = {place}\nmilter_default_action = accept"),
        ));
    }
    let before = if filters.in_main.is_empty() { String::new() } else { format!("{}, ", filters.in_main) };
    Some(idle(
        zones,
        false,
        format!(
            "Postfix hands mail to {}, and rspamd's proxy listens at {}: it sees none, unless what is asked there passes it on",
            filters.milters.join(", "),
            listens.join(", ")
        ),
        "Postfix: in main.cf, in the place of its smtpd_milters, and `postfix reload`",
        format!("smtpd_milters = {before}{{ {place}, default_action=accept }}"),
    ))
}

/// As Postfix calls it.
fn milter_of(place: &str) -> String {
    let place = place.split_whitespace().next().unwrap_or_default();
    if place.starts_with('/') {
        return format!("unix:{place}");
    }
    let port = place.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    let host = if host.is_empty() || host.starts_with('*') || host.starts_with("0.0.0.0") {
        "localhost"
    } else {
        host
    };
    format!("inet:{host}:{}", port.unwrap_or(11332))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::mail::rspamd;

    const OPENDKIM: &str = "inet:localhost:8891";

    fn told(milters: &[&str], listens: &[&str]) -> Option<(bool, String)> {
        let mentions = rspamd::mentions("a", "rbls {\n a {\n rbl = \"a.test\";\n }\n}\n");
        let filters = Filters {
            in_main: milters.join(", "),
            milters: milters.iter().map(|milter| (*milter).to_owned()).collect(),
            is_filtered: false,
        };
        let listens: Vec<String> = listens.iter().map(|place| (*place).to_owned()).collect();
        assert_eq!(unasked(&mentions, &Filters { is_filtered: true, ..filters.clone() }, &listens), None);
        assert_eq!(unasked(&[], &filters, &listens), None);
        unasked(&mentions, &filters, &listens).map(|idle| (idle.matters, idle.cure.lines))
    }

    #[test]
    fn whose_milter_it_is() {
        let comes = [COMES_AS];
        let more = |place: &str| {
            Some((false, format!("smtpd_milters = {OPENDKIM}, {{ {place}, default_action=accept }}")))
        };
        assert_eq!(told(&[OPENDKIM], &comes), more("inet:localhost:11332"));
        assert_eq!(told(&[OPENDKIM], &["*:11900"]), more("inet:localhost:11900"));
        assert_eq!(
            told(&[OPENDKIM], &["/run/rspamd/milter.sock mode=0666"]),
            more("unix:/run/rspamd/milter.sock")
        );
        assert_eq!(
            told(&["unix:/run/opendkim/opendkim.sock"], &comes).map(|(matters, _)| matters),
            Some(false)
        );
        assert_eq!(
            told(&["inet:localhost:11332"], &["localhost:11900"]).map(|(matters, _)| matters),
            Some(false)
        );
        assert_eq!(
            told(&[], &comes).unwrap(),
            (true, "smtpd_milters = inet:localhost:11332\nmilter_default_action = accept".to_owned())
        );
        for milters in [
            &[OPENDKIM, "inet:localhost:11332"][..],
            &["inet:[::1]:11332"],
            &["{ inet:127.0.0.1:11332, connect_timeout=10s }"],
            // On another machine rspamd may run, too.
            &["inet:filter.example:8891"],
            &["inet:localhost:dkim"],
        ] {
            assert_eq!(told(milters, &comes), None, "{milters:?}");
        }
        for (milter, place) in [
            ("unix:/run/rspamd/milter.sock", "/run/rspamd/milter.sock mode=0666"),
            ("unix:rspamd/milter.sock", "/var/spool/postfix/rspamd/milter.sock"),
            ("unix:/var/run/rspamd/milter.sock", "/run/rspamd/milter.sock"),
            (OPENDKIM, "systemd:0"),
        ] {
            assert_eq!(told(&[milter], &[place]), None, "{milter}");
        }
    }

    #[test]
    fn where_it_listens() {
        let conf = "worker \"normal\" {\n bind_socket = \"localhost:11333\";\n}\nworker \"rspamd_proxy\" {\n    bind_socket = \"localhost:11332\";\n x { bind_socket = \"no\"; }\n}\n\
                    worker \"fuzzy\" {\n bind_socket = \"localhost:11335\";\n}\n";
        let of = |files: &[(&str, &str)]| {
            listens(&|path| {
                let own =
                    files.iter().find(|(name, _)| path.ends_with(name)).map(|(_, text)| (*text).to_owned());
                own.or_else(|| path.ends_with("/rspamd.conf").then(|| conf.to_owned()))
            })
        };
        assert_eq!(of(&[]), ["localhost:11332"]);
        let local = (
            "local.d/worker-proxy.inc",
            "# bind_socket = \"x:1\";\nbind_socket = [\"*:11900\", \"/run/r.sock mode=0660\"];\n",
        );
        assert_eq!(of(&[local]), ["*:11900", "/run/r.sock mode=0660"]);
        assert_eq!(
            of(&[local, ("override.d/worker-proxy.inc", "bind_socket = \"localhost:1\";")]),
            ["localhost:1"]
        );
        assert_eq!(
            of(&[("rspamd.conf.local", "worker \"rspamd_proxy\" { bind_socket = \"localhost:2\"; }")]),
            ["localhost:2"]
        );
    }
}

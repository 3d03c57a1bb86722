//! Where rspamd's proxy listens, and whether Postfix hands it mail there. Pure but for [`here`] and [`Ground::here`], which read files.
//!
//! Never a guess: of a milter on another machine, or at a place that cannot be compared, nothing is said.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use super::super::super::finding::Cure;
use super::super::postfix::{Misplaced, without_blanks};
use super::super::trouble::Trouble;
use super::super::{Idle, Mention, STOPS};
use crate::model::Name;
use crate::snippet::Program;

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

/// Ports of other milters, as their packages and manuals have them: OpenDKIM, OpenDMARC, ClamAV.
const ANOTHERS: [u16; 5] = [8891, 8893, 12301, 54321, 7357];
/// What the sockets of such milters are called after.
const NAMES: [&str; 5] = ["opendkim", "opendmarc", "openarc", "clamav", "milter-greylist"];

/// To whom Postfix hands mail that comes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Filters {
    /// `smtpd_milters` of `main.cf`.
    pub(in super::super) in_main: Vec<String>,
    /// Each milter that is asked of strangers' mail.
    pub(in super::super) milters: Vec<String>,
    /// By each way that it comes.
    pub(in super::super) handed: Vec<Handed>,
    /// What `main.cf` has it do where a milter does not answer.
    pub(in super::super) default_action: Option<String>,
    /// Where paths without a slash before them begin.
    pub(in super::super) queue: PathBuf,
    /// Services for mail that see nothing outside it.
    pub(in super::super) jailed: Vec<String>,
    /// Whom they run as.
    pub(in super::super) owner: Option<String>,
}

/// To whom it hands what comes by one of its services.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Handed {
    /// `smtp/inet`, where it is known.
    pub(in super::super) door: Option<String>,
    /// Strangers' mail comes by it at second hand, if at all.
    pub(in super::super) is_aside: bool,
    /// Those that are asked there.
    pub(in super::super) milters: Vec<String>,
    /// `-o` says so in the place of `main.cf`.
    pub(in super::super) has_own: bool,
    /// Through another filter it may come to anybody.
    pub(in super::super) is_filtered: bool,
    /// What is set and does not hold there.
    pub(in super::super) misplaced: Vec<Misplaced>,
}

impl Filters {
    /// Of several instances of Postfix.
    pub(in super::super) fn and(mut self, other: Option<Self>) -> Self {
        let other = other.unwrap_or_default();
        self.milters.extend(other.milters);
        self.handed.extend(other.handed);
        self
    }
}

/// The places at which rspamd's proxy listens, as its files say: `localhost:11332`, `/run/rspamd/milter.sock mode=0666`.
pub(in super::super) fn here() -> Vec<String> {
    listens(&|path| fs::read_to_string(path).ok())
}

/// The file that says so of a place.
pub(in super::super) fn file_of(place: &str) -> Option<&'static str> {
    let says = |path: &&str| {
        let text = fs::read_to_string(path).unwrap_or_default();
        places(&text, 0).iter().chain(&places(&text, 1)).any(|known| known == place)
    };
    FILES.into_iter().chain(ANY_WORKER).find(says)
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

/// What listens on this host.
pub(in super::super) struct Ground<'a> {
    /// Where rspamd's proxy does.
    pub(in super::super) listens: &'a [String],
    /// Ports of rspamd's other workers, which speak no milter.
    pub(in super::super) others: &'a [u16],
    /// Ports at which somebody listens, where that can be seen.
    pub(in super::super) open: Option<Vec<u16>>,
}

impl<'a> Ground<'a> {
    pub(in super::super) fn here(listens: &'a [String], others: &'a [u16]) -> Self {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).ok());
        let open = tables[0].is_some().then(|| tables.iter().flatten().flat_map(|text| open(text)).collect());
        Self { listens, others, open }
    }

    /// Why no milter is there, where that is sure.
    fn lacks(&self, milter: &str) -> Option<String> {
        if is_rspamd(milter, self.listens) != Is::Other {
            return None;
        }
        let place = plain_milter(milter);
        let address = place.strip_prefix("inet:").filter(|address| is_here(address))?;
        let port = address.rsplit_once(':')?.1.parse::<u16>().ok()?;
        if self.others.contains(&port) {
            return Some(format!("at {place} another worker of rspamd's listens, which speaks no milter"));
        }
        let is_shut = self.open.as_ref().is_some_and(|open| !open.contains(&port));
        is_shut.then(|| format!("nobody listens at {place}"))
    }

    /// Of `milters` that nobody answers those go that were meant for rspamd: for sure, or as far as can be told.
    fn is_replaced(&self, milter: &str, milters: &[String]) -> bool {
        let is_lost = |milter: &str| self.lacks(milter).is_some();
        let is_sure = |milter: &str| is_lost(milter) && self.is_of_rspamd(milter);
        match milters.iter().any(|milter| is_sure(milter)) {
            true => is_sure(milter),
            false => is_lost(milter) && !is_anothers(milter),
        }
    }

    /// Whether it can only have been meant for rspamd.
    fn is_of_rspamd(&self, milter: &str) -> bool {
        let port = plain_milter(milter).rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        port.is_some_and(|port| self.others.contains(&port) || COMES_AS.ends_with(&format!(":{port}")))
    }
}

/// Ports that are listened at, as the kernel's table of sockets has them.
fn open(table: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (local, _, state) = (words.next()?, words.next()?, words.next()?);
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok().filter(|_| state == "0A")
    };
    table.lines().filter_map(port).collect()
}

/// Without braces and what is set for it alone.
pub(in super::super) fn plain_milter(milter: &str) -> &str {
    milter.trim_matches(['{', '}', ' ']).split([',', ' ']).next().unwrap_or_default()
}

/// Whether it is known for something else than judging mail by lists.
pub(in super::super) fn is_anothers(milter: &str) -> bool {
    let place = plain_milter(milter);
    let is_port = |port: &u16| place.ends_with(&format!(":{port}"));
    ANOTHERS.iter().any(is_port) || NAMES.iter().any(|name| place.contains(name))
}

/// Whether a milter is where rspamd listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Is {
    Rspamd,
    Other,
    /// It cannot be told from here.
    Unsure,
}

pub(in super::super) fn is_rspamd(milter: &str, listens: &[String]) -> Is {
    let milter = plain_milter(milter);
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
pub(in super::super) fn is_here(address: &str) -> bool {
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

/// Whether mail goes to rspamd.
pub(in super::super) fn reaches(filters: &Filters, listens: &[String]) -> bool {
    filters.milters.iter().any(|milter| is_rspamd(milter, listens) == Is::Rspamd)
}

fn idle(at: String, zones: Vec<Name>, matters: bool, cause: String, how: &str, lines: String) -> Idle {
    Idle { program: Program::Rspamd, at, zones, matters, cause, cure: Cure { how: how.to_owned(), lines } }
}

/// rspamd has rules, and the mail server that was found does not ask it, as far as that can be told.
pub(in super::super) fn unasked(
    mentions: &[Mention],
    filters: &Filters,
    ground: &Ground<'_>,
) -> Option<Idle> {
    let listens = ground.listens;
    let zones: Vec<Name> = mentions
        .iter()
        .filter(|mention| mention.program == Program::Rspamd)
        .map(|mention| mention.zone.clone())
        .collect();
    if zones.is_empty() {
        return None;
    }
    let all_are_others =
        |milters: &[String]| milters.iter().all(|milter| is_rspamd(milter, listens) == Is::Other);
    let is_unasked = |handed: &&Handed| !handed.is_filtered && all_are_others(&handed.milters);
    let unasked: Vec<&Handed> = filters.handed.iter().filter(is_unasked).collect();
    let is_everywhere = unasked.len() == filters.handed.len();
    let handed = unasked.into_iter().find(|handed| is_everywhere || !handed.is_aside)?;
    let is_of_rspamd =
        |misplaced: &&Misplaced| misplaced.milters().any(|milter| is_rspamd(milter, listens) == Is::Rspamd);
    let door = handed.door.as_deref().unwrap_or_default();
    let type_it = "Postfix: type";
    if let Some(Misplaced { cause, lines, .. }) = handed.misplaced.iter().find(is_of_rspamd) {
        let cause = format!("{cause}: rspamd sees none of the mail of strangers' that comes by {door}");
        return Some(idle(format!("{door} (master.cf)"), zones, true, cause, type_it, lines.clone()));
    }
    let place = milter_of(listens.first().map_or(COMES_AS, String::as_str));
    if handed.milters.is_empty() && !handed.has_own {
        return Some(idle(
            "main.cf".to_owned(),
            Vec::new(),
            true,
            "Postfix asks nobody for mail that comes in: neither main.cf nor master.cf has smtpd_milters or a content_filter for it".to_owned(),
            "Postfix: in main.cf, and `postfix reload` (rspamd's proxy listens there)",
            format!("smtpd_milters = {place}\nmilter_default_action = accept"),
        ));
    }
    let mut cause = format!(
        "Postfix hands mail to {}, and rspamd's proxy listens at {}: it sees none, unless what is asked there passes it on",
        if handed.milters.is_empty() { "nobody".to_owned() } else { handed.milters.join(", ") },
        listens.join(", ")
    );
    let lacking: Vec<String> = handed.milters.iter().filter_map(|milter| ground.lacks(milter)).collect();
    if !lacking.is_empty() {
        cause = format!(
            "{cause}. {}: all mail waits (451) unless milter_default_action is accept",
            lacking.join(", and ")
        );
    }
    let there = handed.milters.iter().filter(|milter| !ground.is_replaced(milter, &handed.milters));
    let right = there.cloned().chain([format!("{{ {place}, default_action=accept }}")]);
    if handed.has_own {
        let right = without_blanks(&right.collect::<Vec<_>>().join(", "));
        let lines = format!("postconf -P \"{door}/smtpd_milters={right}\"\npostfix reload");
        return Some(idle(format!("{door} (master.cf)"), zones, true, cause, type_it, lines));
    }
    let how = "Postfix: in main.cf, in the place of its smtpd_milters, and `postfix reload`";
    Some(idle("main.cf".to_owned(), zones, !lacking.is_empty(), cause, how, milters(right)))
}

/// Mail goes to rspamd, and to another place, too, that was meant for it and where no milter is.
pub(in super::super) fn stops(
    mentions: &[Mention],
    filters: &Filters,
    ground: &Ground<'_>,
) -> Option<Trouble> {
    if !reaches(filters, ground.listens) {
        return None;
    }
    let is_lost = |milter: &&String| ground.is_of_rspamd(milter) && ground.lacks(milter).is_some();
    let lost = filters.in_main.iter().find(is_lost)?;
    let of_rspamd = mentions.iter().filter(|mention| mention.program == Program::Rspamd);
    Some(Trouble {
        program: Program::Postfix,
        name: STOPS,
        is_bad: true,
        at: "smtpd_milters".to_owned(),
        zones: of_rspamd.map(|mention| mention.zone.clone()).collect(),
        rest: "all mail has to wait (451) unless milter_default_action is accept".to_owned(),
        cause: format!("{}; rspamd's proxy is asked, too", ground.lacks(lost)?),
        cure: Cure {
            how: "Postfix: in main.cf, in the place of its smtpd_milters, and `postfix reload`".to_owned(),
            lines: milters(filters.in_main.iter().filter(|milter| !is_lost(milter)).cloned()),
        },
    })
}

fn milters(all: impl Iterator<Item = String>) -> String {
    format!("smtpd_milters = {}", all.collect::<Vec<_>>().join(", "))
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
    use crate::doctor::mail::postfix::Setup;
    use crate::doctor::mail::rspamd;

    const SMTPD: &str = "smtp inet n - y - - smtpd\n";
    const OPENDKIM: &str = "inet:localhost:8891";

    fn told(milters: &[&str], listens: &[&str]) -> Option<(bool, String)> {
        let mentions = rspamd::mentions("a", "rbls {\n a {\n rbl = \"a.test\";\n }\n}\n");
        let listens: Vec<String> = listens.iter().map(|place| (*place).to_owned()).collect();
        let ground = Ground { listens: &listens, others: &[11333], open: Some(vec![8891, 11332, 11900]) };
        let main = format!("smtpd_milters = {}\n", milters.join(", "));
        let filters = Setup::read(&main, Some(SMTPD)).filters();
        let filtered = Setup::read(&format!("{main}content_filter = x\n"), Some(SMTPD)).filters();
        assert_eq!(unasked(&mentions, &filtered, &ground), None);
        assert_eq!(unasked(&[], &filters, &ground), None);
        unasked(&mentions, &filters, &ground).map(|idle| (idle.matters, idle.cure.lines))
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
    fn where_nobody_is() {
        let comes = [COMES_AS];
        let alone = |matters| {
            Some((matters, "smtpd_milters = { inet:localhost:11332, default_action=accept }".to_owned()))
        };
        assert_eq!(told(&["inet:localhost:11333"], &comes), alone(true));
        assert_eq!(told(&["inet:127.0.0.1:11399"], &comes), alone(true));
        // Another's that does not run stays, too: nobody knows here whether it is to.
        let (_, lines) = told(&["inet:localhost:8893", "inet:localhost:11399"], &comes).unwrap();
        assert!(lines.contains("8893") && !lines.contains("11399"), "{lines}");
        let (_, lines) = told(&["inet:localhost:11399", "inet:localhost:11333"], &comes).unwrap();
        assert!(lines.contains("11399") && !lines.contains("11333"), "{lines}");
        let (matters, lines) = told(&[OPENDKIM, "{ inet:[::1]:11399 }"], &comes).unwrap();
        assert!(matters && lines.contains(OPENDKIM) && !lines.contains("11399"), "{lines}");
        assert_eq!(
            open(
                " sl  local_address\n 0: 0100007F:2C44 00000000:0000 0A 0\n 1: 0100007F:2C45 0100007F:1 01\n"
            ),
            [11332]
        );

        let listens = [COMES_AS.to_owned()];
        let mentions = rspamd::mentions("a", "rbls {\n a {\n rbl = \"a.test\";\n }\n}\n");
        let told = |milters: &[&str], open: Option<Vec<u16>>| {
            let all: Vec<String> = milters.iter().map(|milter| (*milter).to_owned()).collect();
            let filters = Filters { in_main: all.clone(), milters: all, ..Filters::default() };
            let ground = Ground { listens: &listens, others: &[11333], open };
            stops(&mentions, &filters, &ground).map(|told| told.cure.lines)
        };
        let right = "smtpd_milters = inet:localhost:11332";
        assert_eq!(told(&["inet:localhost:11333", "inet:localhost:11332"], None).as_deref(), Some(right));
        // Nobody is there now: that is rspamd's to cure, and of others nothing is said.
        assert_eq!(told(&["inet:localhost:11332", OPENDKIM], Some(vec![])), None);
        assert_eq!(told(&["inet:localhost:11333"], None), None);
    }

    #[test]
    fn what_comes_by_each_service() {
        let (listens, mentions) =
            ([COMES_AS.to_owned()], rspamd::mentions("a", "rbls {\n a {\n rbl = \"a.test\";\n }\n}\n"));
        let told = |main: &str, master: &str| {
            let filters = Setup::read(main, Some(master)).filters();
            let ground = Ground { listens: &listens, others: &[], open: None };
            unasked(&mentions, &filters, &ground).map(|idle| (idle.at, idle.cure.lines))
        };
        let asked = "smtpd_milters = inet:localhost:11332\n";
        let own = "  -o smtpd_milters=inet:localhost:11332\n";
        let screened = |own_of_it: &str, own_of_smtpd: &str| {
            format!("smtp inet n - y - 1 postscreen\n{own_of_it}smtpd pass - - y - - smtpd\n{own_of_smtpd}")
        };
        let submission = format!("submission inet n - y - - smtpd\n{own}");
        for (main, master, lines) in [
            (asked, format!("{SMTPD}  -o smtpd_milters=\n"), "postconf -PX \"smtp/inet/smtpd_milters\"\n"),
            (asked, format!("{SMTPD}  -o smtpd_milters={OPENDKIM}\n"), "postconf -PX"),
            (
                asked,
                format!("{SMTPD}  -o receive_override_options=no_milters,no_address_mappings\n"),
                "postconf -P \"smtp/inet/receive_override_options=no_address_mappings\"\n",
            ),
            (
                "smtpd_milters = inet:localhost:11332\nreceive_override_options = no_milters\n",
                SMTPD.to_owned(),
                "postconf -e \"receive_override_options=\"\n",
            ),
            (
                "",
                screened(own, ""),
                "postconf -P \"smtpd/pass/smtpd_milters=inet:localhost:11332\"\npostconf -PX \"smtp/inet/smtpd_milters\"\n",
            ),
            (
                "",
                format!("{SMTPD}{submission}"),
                "postconf -P \"smtp/inet/smtpd_milters=inet:localhost:11332\"\npostfix reload",
            ),
            ("", SMTPD.to_owned(), "smtpd_milters = inet:localhost:11332\n"),
            (
                "",
                format!("{SMTPD}  -o smtpd_milters={OPENDKIM}\n"),
                "postconf -P \"smtp/inet/smtpd_milters=inet:localhost:8891,{inet:localhost:11332,default_action=accept}\"\n",
            ),
            (
                "",
                format!("{SMTPD}{own}[2001:db8::1]:25 inet n - y - - smtpd\n"),
                "postconf -P \"[2001:db8::1]:25/inet/smtpd_milters=",
            ),
            (
                "",
                format!("{SMTPD}{own}  -o receive_override_options=no_milters\n"),
                "postconf -P \"smtp/inet/receive_override_options=\"\n",
            ),
        ] {
            let told = told(main, &master);
            let found = told.as_ref().is_some_and(|(_, typed)| typed.starts_with(lines));
            assert!(found, "{main} {master}: {told:?}");
        }
        let private = format!("{SMTPD}{own}10.0.0.1:smtp inet n - y - - smtpd\n");
        let both = format!("{SMTPD}  -o smtpd_milters={OPENDKIM},inet:localhost:11332\n");
        for (main, master) in [
            (asked, both),
            (OPENDKIM, format!("{SMTPD}{own}")),
            ("", screened("", own)),
            ("", private),
            ("", format!("{SMTPD}{own}10025 inet n - y - - smtpd\n")),
            ("smtpd_milter_maps = cidr:/m\n", SMTPD.to_owned()),
        ] {
            assert_eq!(told(main, &master), None, "{main} {master}");
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

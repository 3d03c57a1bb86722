//! What a resolver and a mail program must know of a gatepost, from its configuration: where it answers, for which
//! names, and what each answer of each zone is good for.
//!
//! [`Wiring`] is made once, and every program's text comes from it; so does what looks whether such texts are in use.
//! Never: files and sockets, how any program writes it down.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use crate::client::reachable;
use crate::config::{Code, Config, ListConfig, Slug, ZoneConfig, defaults};
use crate::model::{Name, Use};
use crate::parse::Format;

/// What code 127.0.2.2 stands for.
const DECISION: &str = "gatepost block";

/// How other programs come to what is served.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wiring {
    /// Where the resolver beside it is to ask.
    pub(crate) server: SocketAddr,
    /// Where other machines can, if that is another address: an unspecified one is any of this machine's.
    pub(crate) beyond: Option<SocketAddr>,
    /// What it is to ask there: these names and all below them. None lies in another.
    pub(crate) domains: Vec<Name>,
    /// The zones that mail programs ask, in the order of their origins.
    pub(crate) zones: Vec<WiredZone>,
    /// The other zones, each with the reason.
    pub(crate) left_out: Vec<(Name, LeftOut)>,
    /// Zones whose lists stand in a wider one, with its name: for programs that cannot tell that one's codes apart.
    pub(crate) narrower: Vec<(WiredZone, Name)>,
}

/// A zone that mail programs ask.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WiredZone {
    /// Its origin.
    pub(crate) origin: Name,
    /// What it is called where a program wants a word: capitals, digits and `_`; no other zone's.
    pub(crate) tag: String,
    /// It lists addresses.
    pub(crate) addresses: bool,
    /// It lists names.
    pub(crate) names: bool,
    /// What it may answer, by what that is good for; no use without codes.
    pub(crate) codes: BTreeMap<Use, Codes>,
    /// Names are not looked up for 127.0.0.2, though this list answers it: the name `test`, which anybody can say in HELO, is
    /// answered the same.
    pub(crate) same_as_test: Option<String>,
    /// Entries bring values of their own, and no data are in service that would show which.
    pub(crate) unknown_values: bool,
    /// The test points are there.
    pub(crate) test_points: bool,
}

/// Codes, each with what it stands for.
pub(crate) type Codes = BTreeMap<Ipv4Addr, String>;

/// Why no mail program is to ask a zone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum LeftOut {
    /// It lists addresses that cannot send mail from outside, those of the own network among them.
    Bogons,
    /// All its lists stand in this zone, each with its code.
    Within(Name),
}

/// A zone, and those of its codes that are good for one thing.
#[derive(Debug, Clone)]
pub(crate) struct Asked<'a> {
    pub(crate) zone: &'a WiredZone,
    pub(crate) codes: Codes,
}

/// What mail is rejected for.
#[derive(Debug)]
pub(crate) struct Rejecting<'a> {
    /// Whatever allow lists say: what a person blocks. Empty where there are no allow lists, since then nothing has to be told apart.
    pub(crate) always: Vec<Asked<'a>>,
    /// Unless an allow list has it.
    pub(crate) unless_allowed: Vec<Asked<'a>>,
}

/// Why there is nothing to wire.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum NotWired {
    #[error(
        "resolvers ask over UDP, and nothing listens there (`listen` is empty); \
         expected such as `listen = [\"127.0.0.1:5354\"]` under [server]"
    )]
    NoListen,
    #[error(
        "the server listens on port 0, which is another one at every start; expected such as 127.0.0.1:5354"
    )]
    AnyPort,
    #[error("no zone is served: there is no `[zone.\"NAME\"]` in the configuration")]
    NoZones,
}

impl Wiring {
    /// Of what `config` serves. `values` gives the values of the entries of a zone whose lists bring their own; `None`
    /// when nothing is in service.
    pub(crate) fn of(
        config: &Config,
        values: impl Fn(&Name) -> Option<BTreeSet<Ipv4Addr>>,
    ) -> Result<Self, NotWired> {
        let (lists, zones) = (&config.reloadable.lists, &config.reloadable.zones);
        if zones.is_empty() {
            return Err(NotWired::NoZones);
        }
        let mut wiring = Self {
            server: server(&config.server.listen)?,
            beyond: beyond(&config.server.listen),
            domains: domains(zones),
            zones: Vec::new(),
            left_out: Vec::new(),
            narrower: Vec::new(),
        };
        for zone in zones {
            match left_out(zone, zones, lists) {
                Some(why) => {
                    if let LeftOut::Within(wider) = &why {
                        wiring.narrower.push((wired(zone, lists, &values), wider.clone()));
                    }
                    wiring.left_out.push((zone.origin.clone(), why));
                }
                None => wiring.zones.push(wired(zone, lists, &values)),
            }
        }
        wiring.decisions();
        wiring.tags();
        Ok(wiring)
    }

    /// The zones of addresses that list something good for `use_`.
    pub(crate) fn addresses(&self, use_: Use) -> impl Iterator<Item = Asked<'_>> + Clone {
        self.asked(use_).filter(|asked| asked.zone.addresses)
    }

    /// The zones of names that list something good for `use_`.
    pub(crate) fn names(&self, use_: Use) -> impl Iterator<Item = Asked<'_>> + Clone {
        let is_test =
            |zone: &WiredZone, code: Ipv4Addr| zone.same_as_test.is_some() && code == Code::ALONE.address();
        self.asked(use_).filter(|asked| asked.zone.names).filter_map(move |asked| {
            let zone = asked.zone;
            asked.only(|code| !is_test(zone, code))
        })
    }

    /// What mail is rejected for: of addresses, or of names.
    pub(crate) fn rejecting(&self, names: bool) -> Rejecting<'_> {
        let all: Vec<Asked<'_>> = match names {
            true => self.names(Use::Block).collect(),
            false => self.addresses(Use::Block).collect(),
        };
        if self.asked(Use::Allow).next().is_none() {
            return Rejecting { always: Vec::new(), unless_allowed: all };
        }
        let only = |wanted: fn(Ipv4Addr) -> bool| {
            all.iter().cloned().filter_map(|asked| asked.only(wanted)).collect()
        };
        Rejecting {
            always: only(|code| code == Code::OVERLAY),
            unless_allowed: only(|code| code != Code::OVERLAY),
        }
    }

    fn asked(&self, use_: Use) -> impl Iterator<Item = Asked<'_>> + Clone {
        self.zones.iter().filter_map(move |zone| Some(Asked { zone, codes: zone.codes.get(&use_)?.clone() }))
    }

    /// For a program that tells no codes apart: beside a zone that mixes uses it asks those that lie in it and do not.
    pub(crate) fn untold(&self) -> Self {
        let is_mixed =
            |origin: &Name| self.zones.iter().any(|zone| zone.origin == *origin && zone.is_mixed());
        let narrower = self.narrower.iter().filter(|(zone, wider)| !zone.is_mixed() && is_mixed(wider));
        let mut untold = self.clone();
        untold.zones.extend(narrower.map(|(zone, _)| zone.clone()));
        untold.left_out.retain(|(origin, _)| untold.zones.iter().all(|zone| zone.origin != *origin));
        untold
    }

    /// What to ask to see that the way is open, and what must come back.
    pub(crate) fn question(&self) -> (String, &'static str) {
        let block = self.addresses(Use::Block).map(|asked| asked.zone);
        match block.chain(&self.zones).find(|zone| zone.test_points) {
            Some(zone) => (format!("2.0.0.127.{} A", zone.origin), "127.0.0.2"),
            None => {
                let zones = self.zones.iter().map(|zone| &zone.origin);
                let origin = zones.chain(self.left_out.iter().map(|(origin, _)| origin)).next();
                (format!("{} SOA", origin.unwrap_or(&self.domains[0])), "a record")
            }
        }
    }

    /// What a person blocks is answered in every zone but those of allow lists, beside what lists say. It rejects where
    /// something else does; where nothing does, in every zone that it is answered in.
    fn decisions(&mut self) {
        let rejects = |zones: &[WiredZone], kind: fn(&WiredZone) -> bool| {
            zones.iter().any(|zone| kind(zone) && zone.codes.contains_key(&Use::Block))
        };
        let addresses = rejects(&self.zones, |zone| zone.addresses);
        let names = rejects(&self.zones, |zone| zone.names);
        for zone in &mut self.zones {
            let rejected_elsewhere = (!zone.addresses || addresses) && (!zone.names || names);
            let use_ = match zone.codes.keys().min() {
                None | Some(Use::Allow) => continue,
                Some(strongest) if rejected_elsewhere => *strongest,
                Some(_) => Use::Block,
            };
            zone.codes.entry(use_).or_default().insert(Code::OVERLAY, DECISION.to_owned());
        }
    }

    /// A word for each zone: its name below the usual suffix where it is there, and never one that another zone's word becomes
    /// with what is put behind it.
    fn tags(&mut self) {
        let suffix: Name = defaults::UP_SUFFIX.parse().expect("a name");
        let mut taken: Vec<String> = Vec::new();
        for zone in &mut self.zones {
            let name = zone.origin.relative_to(&suffix).filter(|name| *name != Name::root());
            let name = name.unwrap_or_else(|| zone.origin.clone()).to_string();
            let word: String =
                name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            let word = word.trim_matches('_').to_ascii_uppercase();
            let most = zone.longest_tag();
            let fitted = |end: String| {
                let start = word.get(..most - end.len()).unwrap_or(&word).trim_end_matches('_');
                format!("{start}{end}")
            };
            let ends = std::iter::once(String::new()).chain((2..).map(|number| format!("_{number}")));
            let is_free = |tag: &String| !taken.iter().any(|other| are_confused(tag, other));
            zone.tag = ends.map(fitted).find(is_free).expect("numbers do not end");
            taken.push(zone.tag.clone());
        }
    }
}

impl WiredZone {
    /// SpamAssassin complains of rules whose names are longer than 40 signs: `GATEPOST_…_BLOCK_NAMES_DECIDED`.
    fn longest_tag(&self) -> usize {
        let part = |is_there: bool, text: &str| if is_there { text.len() } else { 0 };
        let ends = part(self.is_mixed(), "_BOUNCE")
            + part(self.names && self.addresses, "_NAMES")
            + part(self.codes.contains_key(&Use::Block), "_DECIDED");
        40 - "GATEPOST_".len() - ends
    }

    /// Its lists are good for different things.
    fn is_mixed(&self) -> bool {
        self.codes.len() > 1
    }
}

impl Asked<'_> {
    /// With the codes that are `wanted` alone; nothing when none is.
    fn only(mut self, wanted: impl Fn(Ipv4Addr) -> bool) -> Option<Self> {
        self.codes.retain(|code, _| wanted(*code));
        Some(self).filter(|asked| !asked.codes.is_empty())
    }
}

/// What programs' texts put behind a zone's word.
const ENDINGS: [&str; 11] =
    ["ALLOWED", "BLOCK", "SCORE", "BOUNCE", "ALLOW", "DECIDED", "NAMES", "HELO", "RDNS", "OTHER", "ANY"];

/// Whether one word is the other, or becomes it with endings.
fn are_confused(one: &str, other: &str) -> bool {
    let ends = |long: &str, short: &str| {
        let end = long.strip_prefix(short).and_then(|end| end.strip_prefix('_'));
        end.is_some_and(|end| end.split('_').all(|word| ENDINGS.contains(&word)))
    };
    one == other || ends(one, other) || ends(other, one)
}

/// The first loopback address, so that nothing leaves the machine; else the first.
fn server(listen: &[SocketAddr]) -> Result<SocketAddr, NotWired> {
    let at = || listen.iter().copied().map(reachable);
    let server = at().find(|at| at.ip().is_loopback()).or_else(|| at().next()).ok_or(NotWired::NoListen)?;
    if server.port() == 0 { Err(NotWired::AnyPort) } else { Ok(server) }
}

/// For those who cannot ask on loopback, when that is what resolvers here are told.
fn beyond(listen: &[SocketAddr]) -> Option<SocketAddr> {
    let is_loopback = server(listen).is_ok_and(|server| server.ip().is_loopback());
    listen.iter().copied().find(|at| is_loopback && !at.ip().is_loopback() && at.port() != 0)
}

/// Each zone by itself: what else lies beside it may be somebody's who has to be asked for it. But all below the suffix that
/// is meant for it is gatepost's.
fn domains(zones: &[ZoneConfig]) -> Vec<Name> {
    let suffix: Name = defaults::UP_SUFFIX.parse().expect("a name");
    let named = zones.iter().map(|zone| if zone.origin.is_in(&suffix) { &suffix } else { &zone.origin });
    let named: BTreeSet<&Name> = named.collect();
    let is_within = |name: &Name| named.iter().any(|other| *other != name && name.is_in(other));
    let mut domains: Vec<Name> =
        named.iter().filter(|name| !is_within(name)).map(|name| (*name).clone()).collect();
    domains.sort_by_key(Name::to_string);
    domains
}

fn left_out(zone: &ZoneConfig, zones: &[ZoneConfig], lists: &BTreeMap<Slug, ListConfig>) -> Option<LeftOut> {
    let of = |zone: &ZoneConfig| -> BTreeSet<Slug> {
        zone.members.iter().map(|member| member.list.clone()).collect()
    };
    let members = of(zone);
    if members.iter().filter_map(|name| lists.get(name)).any(|list| list.limits.bogons) {
        return Some(LeftOut::Bogons);
    }
    let wider = zones.iter().find(|other| {
        let theirs = of(other);
        !other.keep_values
            && theirs.len() > members.len()
            && theirs.is_superset(&members)
            && zone.excepts.iter().all(|list| other.excepts.contains(list))
    });
    wider.map(|wider| LeftOut::Within(wider.origin.clone()))
}

fn wired(
    zone: &ZoneConfig,
    lists: &BTreeMap<Slug, ListConfig>,
    values: &impl Fn(&Name) -> Option<BTreeSet<Ipv4Addr>>,
) -> WiredZone {
    let mut wired = WiredZone {
        origin: zone.origin.clone(),
        tag: String::new(),
        addresses: false,
        names: false,
        codes: BTreeMap::new(),
        same_as_test: None,
        unknown_values: false,
        test_points: zone.test_points,
    };
    // Of entries with values of their own nobody can tell which list they are from: the mildest use of all holds.
    let mut mildest: Option<Use> = None;
    for member in &zone.members {
        let Some(list) = lists.get(&member.list) else { continue };
        let (addresses, names) = holds(list.format);
        wired.addresses |= addresses;
        wired.names |= names;
        if zone.keep_values && list.format.is_rbldnsd() {
            mildest = mildest.max(Some(list.use_));
        } else {
            let codes = wired.codes.entry(list.use_).or_default();
            codes.insert(member.code.address(), member.list.to_string());
        }
    }
    if let Some(use_) = mildest {
        let found = values(&zone.origin);
        wired.unknown_values = found.is_none();
        // What an entry without a value answers there.
        let found = found.unwrap_or_else(|| [Code::ALONE.address()].into());
        let known: BTreeSet<Ipv4Addr> = wired.codes.values().flat_map(BTreeMap::keys).copied().collect();
        let real = found.into_iter().filter(|code| is_listing(*code) && !known.contains(code));
        wired.codes.entry(use_).or_default().extend(real.map(|code| (code, "its entries".to_owned())));
    }
    wired.codes.retain(|_, codes| !codes.is_empty());
    if zone.test_points && wired.names {
        let mut codes = wired.codes.values();
        wired.same_as_test = codes.find_map(|codes| codes.get(&Code::ALONE.address())).cloned();
    }
    wired
}

/// Whether a mail program may take the answer for a listing: RFC 5782 section 2.1, and 127.255.255.x means an error.
fn is_listing(code: Ipv4Addr) -> bool {
    !matches!(code.octets(), [127, 255, 255, _] | [127, 0, 0, 0 | 1])
        && code.is_loopback()
        && code != Code::OVERLAY
}

/// Whether a format brings addresses, and whether names.
fn holds(format: Format) -> (bool, bool) {
    match format {
        Format::Hosts | Format::Names | Format::Dnset | Format::Dnhash => (false, true),
        Format::Generic | Format::Combined => (true, true),
        _ => (true, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Feeds;

    fn listening(on: &[&str]) -> Result<SocketAddr, NotWired> {
        server(&on.iter().map(|at| at.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn the_resolver_asks_on_loopback_where_it_can() {
        let at = |text: &str| Ok(text.parse().unwrap());
        assert_eq!(listening(&["192.0.2.1:53", "[::1]:5354", "127.0.0.1:5354"]), at("[::1]:5354"));
        assert_eq!(listening(&["0.0.0.0:5354"]), at("127.0.0.1:5354"));
        assert_eq!(listening(&["[::]:53"]), at("[::1]:53"));
        assert_eq!(listening(&["192.0.2.1:53", "198.51.100.1:53"]), at("192.0.2.1:53"));
        assert_eq!(listening(&[]), Err(NotWired::NoListen));
        assert_eq!(listening(&["127.0.0.1:0"]), Err(NotWired::AnyPort));
    }

    #[test]
    fn what_up_serves_is_one_domain_and_one_block_zone() {
        let feeds = crate::feed::catalogue::load(None).unwrap();
        let suffix = "gatepost.internal".parse().unwrap();
        let config = Config::for_up("state".into(), &suffix, &feeds, Vec::new()).unwrap();
        let wiring = Wiring::of(&config, |_| None).unwrap();
        assert_eq!(wiring.domains, [suffix]);
        let block: Vec<&str> = wiring.addresses(Use::Block).map(|asked| asked.zone.tag.as_str()).collect();
        assert_eq!(block, ["BLOCK"]);
        let left = |zone: &str| {
            let zone: Name = zone.parse().unwrap();
            wiring.left_out.iter().find(|(origin, _)| *origin == zone).map(|(_, why)| why.clone())
        };
        assert_eq!(left("bogons.gatepost.internal"), Some(LeftOut::Bogons));
        let within = LeftOut::Within("block.gatepost.internal".parse().unwrap());
        assert_eq!(left("spamhaus-drop.gatepost.internal"), Some(within));
        let codes = wiring.addresses(Use::Block).next().unwrap().codes;
        assert_eq!(codes[&Code::OVERLAY], DECISION);
        assert!(codes.keys().all(|code| is_listing(*code) || *code == Code::OVERLAY), "{codes:?}");
        // What a person blocks weighs where lists weigh, and means nothing in a zone of allow lists.
        assert!(wiring.addresses(Use::Score).all(|asked| asked.codes.contains_key(&Code::OVERLAY)));
        assert!(wiring.addresses(Use::Allow).all(|asked| !asked.codes.contains_key(&Code::OVERLAY)));
        assert!(wiring.addresses(Use::Bounce).count() > 0 && wiring.addresses(Use::Allow).count() > 0);
    }

    #[test]
    fn nothing_to_serve_is_nothing_to_wire() {
        let suffix = "gatepost.internal".parse().unwrap();
        let mut config = Config::for_up("state".into(), &suffix, &Feeds::default(), Vec::new()).unwrap();
        // The embedded zone alone: a resolver may know of it, a mail program has nothing to ask.
        let wiring = Wiring::of(&config, |_| None).unwrap();
        assert!(wiring.zones.is_empty());
        assert_eq!(wiring.question().0, "bogons.gatepost.internal SOA");
        config.reloadable.zones.clear();
        assert_eq!(Wiring::of(&config, |_| None), Err(NotWired::NoZones));
    }
}

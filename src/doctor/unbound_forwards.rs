//! What unbound is told to ask gatepost for, and whether it keeps what it gets.
//!
//! What it keeps of others stands before it: once it has verified that there is nothing called `internal`, which the root says to
//! anybody's question for a name there, it asks nobody for names below (`harden-below-nxdomain`, RFC 8020), wherever it was told to ask
//! for them. Names of which it keeps nothing (`forward-no-cache`) it does not look up there.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::finding::{Area, Check, Cure};
use super::lines::Line;
use super::who;
use crate::model::Name;
use crate::snippet::wiring::Wiring;

pub(crate) const NAME: &str = "resolver-denied-above";

/// Domains that nobody can have in the world: what lies in them the root denies, with a signature.
const NOBODYS: [&str; 12] = [
    "internal",
    "lan",
    "home",
    "corp",
    "mail",
    "local",
    "localdomain",
    "intranet",
    "private",
    "priv",
    "dnsbl",
    "rbl",
];

/// A `forward-zone` or `stub-zone`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) name: Name,
    /// Where it is named.
    pub(crate) place: String,
    /// `forward` or `stub`.
    kind: &'static str,
    keeps_nothing: bool,
    /// Whom it asks, and where that stands.
    asks: Vec<Line>,
}

/// Of all lines of its configuration, in their order.
pub(crate) fn of(lines: &[Line]) -> Vec<Forward> {
    let mut forwards: Vec<Forward> = Vec::new();
    // The section that is open, and what it has said before its name.
    let mut kind = None;
    let mut keeps_nothing = false;
    let mut asks: Vec<Line> = Vec::new();
    let mut is_named = false;
    for line in lines {
        match line.text.as_str() {
            "forward-zone:" => (kind, keeps_nothing) = (Some("forward"), false),
            "stub-zone:" => (kind, keeps_nothing) = (Some("stub"), false),
            text if text.ends_with(':') && !text.contains(' ') => kind = None,
            _ => {}
        }
        if line.text.ends_with(':') {
            asks.clear();
            is_named = false;
        }
        let Some(kind) = kind else { continue };
        if let Some(name) = line.value_of("name").and_then(|name| name.parse().ok()) {
            let (place, asks) = (line.place.clone(), std::mem::take(&mut asks));
            forwards.push(Forward { name, place, kind, keeps_nothing, asks });
            is_named = true;
        } else if line.value_of(&format!("{kind}-addr")).is_some() {
            match forwards.last_mut().filter(|_| is_named) {
                Some(last) => last.asks.push(line.clone()),
                None => asks.push(line.clone()),
            }
        } else if let Some(value) = line.value_of(&format!("{kind}-no-cache")) {
            keeps_nothing = value == "yes";
            if let Some(last) = forwards.last_mut().filter(|last| last.kind == kind) {
                last.keeps_nothing = keeps_nothing;
            }
        }
    }
    forwards
}

/// What unbound asks for a name by: of those above it the nearest. One for all the world is none of gatepost's.
fn over<'a>(forwards: &'a [Forward], name: &Name) -> Option<&'a Forward> {
    let above = forwards.iter().filter(|forward| forward.name != Name::root() && name.is_in(&forward.name));
    above.max_by_key(|forward| forward.name.as_wire().len())
}

/// Whether it was told whom to ask for a name.
pub(crate) fn is_told(name: &Name, lines: &[Line]) -> bool {
    over(&of(lines), name).is_some()
}

/// The names that it has to ask gatepost for.
fn names(wiring: &Wiring) -> impl Iterator<Item = &Name> {
    wiring.domains.iter().chain(wiring.zones.iter().map(|zone| &zone.origin))
}

/// Whether the unbound that these lines are of keeps nothing of what gatepost answers.
pub(crate) fn keep_nothing(lines: &[Line], wiring: &Wiring) -> bool {
    let forwards = of(lines);
    let told: Vec<&Forward> = names(wiring).filter_map(|name| over(&forwards, name)).collect();
    !told.is_empty() && told.iter().all(|forward| forward.keeps_nothing)
}

/// Where it is told to ask gatepost, and keeps what it gets.
fn lacking(forwards: &[Forward], wiring: &Wiring) -> Vec<Forward> {
    let mut lacking: Vec<Forward> = Vec::new();
    // What is for somebody else is none of gatepost's.
    let is_ours = |forward: &Forward| {
        let asked: Vec<SocketAddr> = forward.asks.iter().filter_map(asked).collect();
        asked.is_empty() || asked.iter().any(|at| is_gateposts(*at, wiring))
    };
    for forward in names(wiring).filter_map(|name| over(forwards, name)) {
        if !forward.keeps_nothing && is_ours(forward) && !lacking.contains(forward) {
            lacking.push(forward.clone());
        }
    }
    lacking
}

/// Whom it asks for a zone by turns with gatepost, and where that stands.
pub(crate) fn besides(zone: &Name, wiring: &Wiring, lines: &[Line]) -> Vec<(SocketAddr, Line)> {
    let forwards = of(lines);
    let Some(forward) = over(&forwards, zone) else { return Vec::new() };
    let (own, others): (Vec<&Line>, Vec<&Line>) =
        forward.asks.iter().partition(|line| asked(line).is_some_and(|at| is_gateposts(at, wiring)));
    match own.is_empty() {
        true => Vec::new(),
        false => others.into_iter().filter_map(|line| Some((asked(line)?, line.clone()))).collect(),
    }
}

/// Whom a line has it ask: `ADDRESS`, `ADDRESS@PORT` or `ADDRESS@PORT#NAME`.
fn asked(line: &Line) -> Option<SocketAddr> {
    let value = line.text.split_once(':').map_or("", |(_, value)| value.trim().trim_matches('"'));
    let value = value.split('#').next().unwrap_or_default();
    let (ip, port) = value.split_once('@').unwrap_or((value, "53"));
    Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
}

fn is_gateposts(at: SocketAddr, wiring: &Wiring) -> bool {
    let is_beyond = |beyond: SocketAddr| beyond.ip().is_unspecified() || beyond.ip() == at.ip();
    at.port() == wiring.server.port()
        && (at.ip() == wiring.server.ip() || wiring.beyond.is_some_and(is_beyond))
}

/// That it was told to ask somebody else for names that are gatepost's, as it was before. What it asks for a domain above is another's.
pub(crate) fn astray(wiring: &Wiring, lines: &[Line]) -> Option<(String, Cure)> {
    let server = wiring.server;
    let mut wrong: Vec<&Line> = Vec::new();
    let mut kinds = BTreeSet::new();
    let forwards = of(lines);
    for forward in &forwards {
        let is_ours = wiring.domains.iter().any(|domain| forward.name.is_in(domain));
        if is_ours && !forward.asks.iter().filter_map(asked).any(|at| is_gateposts(at, wiring)) {
            wrong.extend(&forward.asks);
            kinds.insert(forward.kind);
        }
    }
    let first = &wrong.first()?.text;
    let places: Vec<String> = wrong.iter().map(|line| format!("`{}` ({})", line.text, line.place)).collect();
    let at = format!("{}@{}", server.ip(), server.port());
    let cure = Cure {
        how: format!("unbound: in the place of {}, then `systemctl restart unbound`", places.join(", ")),
        lines: kinds.iter().map(|kind| format!("    {kind}-addr: {at}")).collect::<Vec<_>>().join("\n"),
    };
    Some((format!("it was told to ask somebody else (`{first}`), and gatepost answers at {at}"), cure))
}

/// That it may deny a name, or, as it has just done so, does.
pub(crate) fn denied(name: &Name, wiring: &Wiring, lines: &[Line]) -> Option<(String, Cure)> {
    let forwards = of(lines);
    let forward = over(&forwards, name).filter(|forward| !forward.keeps_nothing)?;
    let cause = format!(
        "it was told of gatepost ({}), and answers from what it has verified: that there is nothing above this name. Any question for a name in \
         that domain, such as a spammer's sender address, has it do so for an hour (harden-below-nxdomain), and mail from whom lists have passes",
        forward.place
    );
    Some((cause, opening(&lacking(&forwards, wiring))))
}

fn opening(lacking: &[Forward]) -> Cure {
    let sections: Vec<String> = lacking
        .iter()
        .map(|Forward { name, place, kind, .. }| format!("in the `{kind}-zone` of `{name}` ({place})"))
        .collect();
    let kinds: BTreeSet<&str> = lacking.iter().map(|forward| forward.kind).collect();
    let lines: Vec<String> = kinds.iter().map(|kind| format!("    {kind}-no-cache: yes")).collect();
    let how = format!(
        "unbound: {}, so that it asks gatepost each time, then `systemctl restart unbound`",
        sections.join(", ")
    );
    Cure { how, lines: lines.join("\n") }
}

/// Of the unbound that runs here, when it is among the `resolvers`.
pub(crate) fn look(resolvers: &[IpAddr], wiring: &Wiring, lines: impl Fn() -> Vec<Line>) -> Option<Check> {
    let is_here = resolvers.iter().any(|resolver| who::is_here(*resolver));
    is_here.then(|| may_deny(wiring, &lines(), &who::unbound_has)).flatten()
}

fn may_deny(wiring: &Wiring, lines: &[Line], has: &dyn Fn(&str) -> Option<String>) -> Option<Check> {
    let domain = wiring.domains.iter().find(|domain| is_nobodys(domain))?;
    let lacking = lacking(&of(lines), wiring);
    if lacking.is_empty() {
        return None;
    }
    let anchors = ["auto-trust-anchor-file", "trust-anchor-file", "trust-anchor", "trusted-keys-file"];
    let validates = has("module-config")?.contains("validator")
        && anchors.iter().any(|anchor| has(anchor).is_some_and(|has| !has.is_empty()));
    if !validates || has("harden-below-nxdomain")? != "yes" {
        return None;
    }
    let what = format!("unbound stops asking for {domain} once anybody has asked it for a name beside that");
    let check = Check::warn(Area::Resolver, NAME, what).because(
        "the root says, signed, that there is no such domain, and what it has verified stands for all names below for an hour \
         (harden-below-nxdomain): one mail from a made-up sender in that domain, and mail from whom lists have passes",
    );
    Some(check.cured(opening(&lacking)))
}

fn is_nobodys(domain: &Name) -> bool {
    NOBODYS.iter().any(|nobodys| domain.is_in(&nobodys.parse().expect("a name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        let lines = (1..)
            .zip(text.lines())
            .map(|(at, line)| Line { place: format!("u:{at}"), text: line.trim().to_owned() });
        lines.collect()
    }

    fn wiring(domain: &str) -> Wiring {
        Wiring {
            server: "127.0.0.1:5354".parse().unwrap(),
            domains: vec![domain.parse().unwrap()],
            zones: Vec::new(),
            left_out: Vec::new(),
            narrower: Vec::new(),
            beyond: None,
        }
    }

    const TOLD: &str =
        "server:\n port: 53\nforward-zone:\n name: \"gatepost.internal\"\n forward-addr: 127.0.0.1@5354\n";

    #[test]
    fn whom_it_was_told_to_ask() {
        let told =
            |text: &str| astray(&wiring("bl.example"), &lines(text)).map(|(_, cure)| (cure.how, cure.lines));
        let zone = |name: &str, asks: &str| format!("forward-zone:\n name: \"{name}\"\n{asks}\n");
        let (how, lines) = told(&zone("bl.example", " forward-addr: 127.0.0.1@530")).unwrap();
        assert!(
            how.contains("`forward-addr: 127.0.0.1@530` (") && lines == "    forward-addr: 127.0.0.1@5354",
            "{how}"
        );
        let before = "stub-zone:\n stub-addr: 127.0.0.1@530\n name: pol.bl.example\n";
        assert_eq!(told(before).unwrap().1, "    stub-addr: 127.0.0.1@5354");
        for right in [
            zone("bl.example", " forward-addr: 127.0.0.1@5354"),
            zone("bl.example", " forward-addr: 192.0.2.9@53\n forward-addr: \"127.0.0.1@5354#x\""),
            zone("example", " forward-addr: 192.0.2.9"),
            zone("other.example", " forward-addr: 192.0.2.9"),
            zone("bl.example", ""),
        ] {
            assert_eq!(told(&right), None, "{right}");
        }
    }

    #[test]
    fn whom_it_asks_besides() {
        let told = |text: &str| {
            let zone = "a.bl.example".parse().unwrap();
            let besides = besides(&zone, &wiring("bl.example"), &lines(text));
            besides.into_iter().map(|(server, line)| format!("{server} {}", line.place)).collect::<Vec<_>>()
        };
        let zone = "stub-zone:\n name: bl.example\n stub-addr: 127.0.0.1@530\n stub-addr: 127.0.0.1@5354\n stub-addr: ::1\n";
        assert_eq!(told(zone), ["127.0.0.1:530 u:3", "[::1]:53 u:5"]);
        assert_eq!(told(&zone.replace("5354", "5355")), [""; 0], "gatepost is not asked at all");
        assert_eq!(
            told(&format!("{zone}stub-zone:\n name: a.bl.example\n stub-addr: 127.0.0.1@5354\n")),
            [""; 0]
        );
        assert_eq!(told(&zone.replace("bl.example", "other.example")), [""; 0]);
    }

    #[test]
    fn what_it_asks_and_keeps() {
        let keeps = |text: &str| !keep_nothing(&lines(text), &wiring("gatepost.internal"));
        assert!(keeps(TOLD) && keeps("server:\n") && keeps(&format!("{TOLD} forward-no-cache: no\n")));
        for nothing in [
            format!("{TOLD} forward-no-cache: yes\n"),
            TOLD.replace(" name", " forward-no-cache: yes\n name"),
            TOLD.replace("forward", "stub") + " stub-no-cache: \"yes\"\n",
            format!(
                "forward-zone:\n name: \".\"\n forward-addr: 192.0.2.1\n{TOLD} forward-no-cache: yes\nremote-control:\n"
            ),
        ] {
            assert!(!keeps(&nothing), "{nothing}");
        }
        // What stands in another section is none of it.
        let other = format!("{TOLD}forward-zone:\n name: \"a.example\"\n forward-no-cache: yes\n");
        assert!(keeps(&other));
        assert!(keep_nothing(&lines(&other), &wiring("bl.a.example")));
    }

    #[test]
    fn a_denial_above() {
        let validates = |setting: &str| {
            Some(
                match setting {
                    "module-config" => "validator iterator",
                    "harden-below-nxdomain" => "yes",
                    "auto-trust-anchor-file" => "/var/lib/unbound/root.key",
                    _ => "",
                }
                .to_owned(),
            )
        };
        let told = |domain: &str, text: &str, has: &dyn Fn(&str) -> Option<String>| {
            may_deny(&wiring(domain), &lines(text), has).is_some()
        };
        assert!(told("gatepost.internal", TOLD, &validates));
        assert!(!told("gatepost.internal", &format!("{TOLD} forward-no-cache: yes\n"), &validates));
        assert!(!told("gatepost.internal", "server:\n", &validates));
        let real = TOLD.replace("gatepost.internal", "bl.example.org");
        assert!(!told("bl.example.org", &real, &validates));
        for (setting, value) in
            [("module-config", "iterator"), ("harden-below-nxdomain", "no"), ("auto-trust-anchor-file", "")]
        {
            let has = |asked: &str| if asked == setting { Some(value.to_owned()) } else { validates(asked) };
            assert!(!told("gatepost.internal", TOLD, &has), "{setting}");
        }
        assert!(!told("gatepost.internal", TOLD, &|_| None));
        let (cause, cure) = denied(
            &"2.0.0.127.gatepost.internal".parse().unwrap(),
            &wiring("gatepost.internal"),
            &lines(TOLD),
        )
        .unwrap();
        assert!(cause.contains("(u:4)") && cure.how.contains("`forward-zone` of `gatepost.internal` (u:4)"));
        assert_eq!(cure.lines, "    forward-no-cache: yes");
        // A wider zone of somebody else's, beside what asks gatepost.
        let wider = "forward-zone:\n name: \"gatepost.internal\"\n forward-addr: 192.0.2.9\n";
        assert!(!told("gatepost.internal", wider, &validates));
        // What has all the world asked of another is none of gatepost's.
        let root = TOLD.replace("gatepost.internal", ".");
        assert!(!told("gatepost.internal", &root, &validates));
        // Zones that were told one by one are named at once.
        let two = [("stub", "a"), ("forward", "b")].map(|(kind, zone)| {
            format!("{kind}-zone:\n name: \"{zone}.gatepost.internal\"\n {kind}-addr: 127.0.0.1@5354\n")
        });
        let mut each = wiring("gatepost.internal");
        each.domains.extend(["a.gatepost.internal", "b.gatepost.internal"].map(|name| name.parse().unwrap()));
        let check = may_deny(&each, &lines(&two.concat()), &validates).unwrap();
        assert_eq!(check.cures()[0].lines, "    forward-no-cache: yes\n    stub-no-cache: yes");
        assert!(
            check.cures()[0].how.contains("of `a.gatepost.internal` (u:2), in the `forward-zone`"),
            "{check:?}"
        );
    }
}

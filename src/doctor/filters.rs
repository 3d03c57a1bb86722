//! Settings of an administrator's own that keep a listing from whoever asks, whatever a resolver has been told of gatepost: which
//! lines do it, where they can be read, and else which may. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::finding::Cure;
use super::keeps;
use super::lines::Line;
use super::sample::Sample;
use super::trap::Trap;
use super::who::UnboundAsks;
use super::{cure, unbound_forwards};
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;

/// Types of `local-zone` that let questions pass.
const OPEN: [&str; 6] =
    ["transparent", "typetransparent", "always_transparent", "nodefault", "inform", "ipset"];

/// Lines that do it.
pub(crate) struct Own {
    pub(crate) cause: String,
    pub(crate) cure: Cure,
}

/// Whether a line does it.
type Guilt = fn(&Line, &Trap, &Sample, &Wiring) -> bool;

/// The lines of its configuration that do it, if some of those that can be read do.
pub(crate) fn own(
    trap: &Trap,
    program: Program,
    sample: &Sample,
    wiring: &Wiring,
    lines: &[Line],
) -> Option<Own> {
    if let Trap::Keeps(kept) = trap {
        return keeps::own(kept, program, lines);
    }
    let (restart, is_guilty): (_, Guilt) = match program {
        Program::Unbound => ("systemctl restart unbound", of_unbound),
        Program::Dnsmasq => ("systemctl restart dnsmasq", of_dnsmasq),
        _ => return None,
    };
    let guilty: Vec<String> = lines
        .iter()
        .filter(|line| is_guilty(line, trap, sample, wiring))
        .map(|line| format!("`{}` ({})", line.text, line.place))
        .collect();
    if guilty.is_empty() {
        return (program == Program::Unbound).then(|| from_above(sample, wiring, lines)).flatten();
    }
    let guilty = guilty.join(", ");
    let name = cure::name(program);
    if program == Program::Dnsmasq && is_of_others(trap) {
        // It may be what somebody has tried to tell it.
        let text = program.text(wiring).unwrap_or_default();
        let told = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        return Some(Own {
            cause: format!("its configuration has {guilty}: of two that name a domain the longer holds"),
            cure: Cure {
                how: format!(
                    "{name}: take {guilty} out, have this in a file in /etc/dnsmasq.d, then `{restart}`"
                ),
                lines: told.collect::<Vec<_>>().join("\n"),
            },
        });
    }
    Some(Own {
        cause: format!("its configuration has {guilty}, which answers instead of gatepost"),
        cure: Cure { how: format!("{name}: take {guilty} out, then `{restart}`"), lines: String::new() },
    })
}

/// A local zone where gatepost is asked, or below: one above is opened by a line.
fn of_unbound(line: &Line, _: &Trap, sample: &Sample, wiring: &Wiring) -> bool {
    if let Some((name, is_open)) = local_zone(line) {
        let is_below = sample.listed.is_in(&name) && wiring.domains.iter().any(|domain| name.is_in(domain));
        return is_below && !is_open;
    }
    let Some(value) = line.value_of("response-ip") else { return false };
    let Some((block, action)) = value.split_once(char::is_whitespace) else { return false };
    action.trim() != "inform" && has_any(block.trim_matches('"'), &sample.answers)
}

/// The name of a `local-zone`, and whether it lets questions pass.
fn local_zone(line: &Line) -> Option<(Name, bool)> {
    let (name, kind) = line.value_of("local-zone")?.rsplit_once(char::is_whitespace)?;
    let name = name.trim().trim_matches('"').parse().ok()?;
    Some((name, OPEN.contains(&kind.trim_matches('"'))))
}

/// A local zone above gatepost's domains which answers for what lies in it, as no nearer one lets questions pass.
fn from_above(sample: &Sample, wiring: &Wiring, lines: &[Line]) -> Option<Own> {
    let zones = lines.iter().filter_map(|line| Some((line, local_zone(line)?)));
    let over = zones.filter(|(_, (name, _))| sample.listed.is_in(name));
    let (line, (_, is_open)) = over.max_by_key(|(_, (name, _))| name.as_wire().len())?;
    if is_open {
        return None;
    }
    // To be told, too, where it has not been.
    let number = usize::from(!unbound_forwards::is_told(&sample.listed, lines));
    let cures = cure::cures(&Trap::BuiltIn, Some(Program::Unbound), wiring, UnboundAsks::default());
    Some(Own {
        cause: format!(
            "its configuration has `{}` ({}), which answers for all that lies in that domain, gatepost's zones, too",
            line.text, line.place
        ),
        cure: Cure {
            how: "unbound: in a file in /etc/unbound/unbound.conf.d, then `systemctl restart unbound`"
                .to_owned(),
            lines: cures.into_iter().nth(number)?.lines,
        },
    })
}

/// It asks others than gatepost.
fn is_of_others(trap: &Trap) -> bool {
    matches!(trap, Trap::AsksTheWorld(_) | Trap::Unreached | Trap::RefusesClient)
}

fn of_dnsmasq(line: &Line, trap: &Trap, sample: &Sample, wiring: &Wiring) -> bool {
    let has = |word: &str| line.option(word).is_some_and(|block| has_any(block, &sample.answers));
    match trap {
        Trap::EmptiesAnswer if line.option("filter-A").is_some() => return true,
        Trap::DeniesAddress | Trap::BuiltIn if has("bogus-nxdomain") => return true,
        Trap::RefusesAddress | Trap::Unreached if has("ignore-address") => return true,
        Trap::Invents(_) if line.option("alias").is_some_and(|alias| is_changed(alias, &sample.answers)) => {
            return true;
        }
        Trap::EmptiesAnswer | Trap::BuiltIn | Trap::Invents(_) => {}
        _ if is_of_others(trap) => {}
        _ => return false,
    }
    // `address=/a/b/VALUE`, and `local=/a/` or `server=/a/` that names nobody to ask.
    let names = ["address", "local", "server"].into_iter().find_map(|word| Some((word, line.option(word)?)));
    let Some((word, names)) = names else { return false };
    let mut names: Vec<&str> = names.trim_start_matches('/').split('/').collect();
    let at = names.pop().unwrap_or_default();
    let is_below = |name: &str| {
        let name = name.trim_start_matches('*').trim_start_matches('.').parse::<Name>();
        name.is_ok_and(|name| {
            sample.listed.is_in(&name) && wiring.domains.iter().any(|domain| name.is_in(domain))
        })
    };
    let is_ours = at == format!("{}#{}", wiring.server.ip(), wiring.server.port());
    let may = match is_of_others(trap) {
        true => word == "server" && !is_ours && !at.is_empty(),
        false => word == "address" || at.is_empty(),
    };
    may && names.into_iter().any(is_below)
}

fn has_any(block: &str, answers: &[Ipv4Addr]) -> bool {
    answers.iter().any(|answer| super::who::has(block, IpAddr::V4(*answer)))
}

/// `OLD,NEW`, `OLD,NEW,MASK` and `FIRST-LAST,NEW,MASK`.
fn is_changed(alias: &str, answers: &[Ipv4Addr]) -> bool {
    let mut words = alias.split(',').map(str::trim);
    let Some(old) = words.next() else { return false };
    if let Some((first, last)) = old.split_once('-') {
        let (Ok(first), Ok(last)) = (first.parse::<Ipv4Addr>(), last.parse::<Ipv4Addr>()) else {
            return false;
        };
        return answers.iter().any(|answer| (first..=last).contains(answer));
    }
    let Ok(old) = old.parse::<Ipv4Addr>() else { return false };
    let mask = words.nth(1).and_then(|mask| mask.parse::<Ipv4Addr>().ok()).map_or(u32::MAX, u32::from);
    answers.iter().any(|answer| u32::from(*answer) & mask == u32::from(old) & mask)
}

/// What may do it where no line of a snippet's opens it, or where it is not sure that one does. `lines`: what could be read, and
/// has none that does it.
pub(crate) fn suspects(trap: &Trap, program: Option<Program>, wiring: &Wiring, lines: &[Line]) -> Vec<Cure> {
    if let Trap::Keeps(kept) = trap {
        return keeps::suspects(kept, program);
    }
    let all =
        [Program::Unbound, Program::Bind, Program::Dnsmasq, Program::PdnsRecursor, Program::KnotResolver];
    let programs = match &program {
        Some(program) => std::slice::from_ref(program),
        None => &all,
    };
    programs.iter().filter_map(|program| suspect(trap, *program, wiring, lines)).collect()
}

fn suspect(trap: &Trap, program: Program, wiring: &Wiring, lines: &[Line]) -> Option<Cure> {
    let name = cure::name(program);
    let out = |what: &str, restart: &str| Cure {
        how: format!(
            "{name}: where its configuration has {what}, take it out; then `systemctl restart {restart}`"
        ),
        lines: String::new(),
    };
    // What could be read has no such line.
    let is_read = !lines.is_empty();
    match (trap, program) {
        (Trap::EmptiesAnswer, Program::Dnsmasq) if !is_read => {
            Some(out("filter-A, or address for this name", "dnsmasq"))
        }
        (Trap::DeniesAddress, Program::Dnsmasq) if !is_read => {
            Some(out("bogus-nxdomain for such addresses", "dnsmasq"))
        }
        (Trap::BuiltIn, Program::Dnsmasq) if !is_read => {
            Some(out("address or local for this name", "dnsmasq"))
        }
        (Trap::RefusesAddress, Program::Dnsmasq) if !is_read => {
            Some(out("ignore-address for such addresses", "dnsmasq"))
        }
        (Trap::Invents(_), Program::Dnsmasq) if !is_read => Some(out("alias or address for it", "dnsmasq")),
        (Trap::BuiltIn, Program::Unbound) if !is_read => {
            Some(out("a local-zone of this name, or of one below", "unbound"))
        }
        (Trap::DeniesAddress | Trap::EmptiesAnswer, Program::KnotResolver) => {
            Some(out("policy.rpz or a rule of policy that answers for such addresses", "'kresd@*'"))
        }
        (
            Trap::DeniesAddress
            | Trap::EmptiesAnswer
            | Trap::Invents(_)
            | Trap::RefusesAddress
            | Trap::BuiltIn,
            Program::Bind,
        ) => Some(passed("the first zone of its response-policy", "`rndc reload`", name, wiring)),
        (_, Program::Unbound) if is_read && !lines.iter().any(|line| line.text.starts_with("rpz:")) => None,
        (
            Trap::DeniesAddress | Trap::EmptiesAnswer | Trap::Invents(_) | Trap::BuiltIn,
            Program::Unbound | Program::PdnsRecursor,
        ) => Some(passed("its first RPZ", "restart it", name, wiring)),
        _ => None,
    }
}

/// What a name says goes before what an address says (draft-vixie-dnsop-dns-rpz, section 5).
fn passed(zone: &str, then: &str, name: &str, wiring: &Wiring) -> Cure {
    let lines = wiring.domains.iter().map(|domain| format!("*.{domain} CNAME rpz-passthru."));
    Cure {
        how: format!(
            "{name}: where it filters answers by a policy (RPZ), in the file of {zone}, in the place of what that has for these names, raise its serial, then {then}"
        ),
        lines: lines.collect::<Vec<_>>().join("\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::trap::Kept;
    use super::*;

    fn wiring() -> Wiring {
        Wiring {
            server: "127.0.0.1:5354".parse().unwrap(),
            domains: vec!["bl.example".parse().unwrap()],
            zones: Vec::new(),
            left_out: Vec::new(),
            narrower: Vec::new(),
            beyond: None,
        }
    }

    fn guilty(program: Program, trap: &Trap, text: &str) -> bool {
        let sample = Sample {
            subject: "127.0.0.2".to_owned(),
            listed: "2.0.0.127.bl.example".parse().unwrap(),
            answers: vec![Ipv4Addr::new(127, 0, 0, 2)],
            ttl: 300,
            unlisted: None,
        };
        let line = Line { place: "file:1".to_owned(), text: text.to_owned() };
        let own = own(trap, program, &sample, &wiring(), &[line]);
        own.is_some_and(|own| own.cure.how.contains(text) && own.cure.how.contains("file:1"))
    }

    #[test]
    fn a_local_zone_of_unbounds_above() {
        let sample = Sample {
            subject: "127.0.0.2".to_owned(),
            listed: "2.0.0.127.bl.example".parse().unwrap(),
            answers: Vec::new(),
            ttl: 300,
            unlisted: None,
        };
        let told = |texts: &[&str]| {
            let line = |text: &&str| Line { place: "file:1".to_owned(), text: (*text).to_owned() };
            let forward = ["forward-zone:", "name: \"bl.example\"", "forward-addr: 127.0.0.1@5354"];
            let lines: Vec<Line> = texts.iter().chain(&forward).map(line).collect();
            own(&Trap::RefusesClient, Program::Unbound, &sample, &wiring(), &lines).map(|own| own.cure.lines)
        };
        let above = "local-zone: \"example.\" refuse";
        let opened = Some("server:\n    local-zone: \"bl.example\" transparent".to_owned());
        assert_eq!(told(&[above]), opened);
        assert_eq!(told(&["local-zone: \".\" static", "local-zone: \"other.example\" transparent"]), opened);
        for right in [
            &["local-zone: \"bl.example\" transparent", above][..],
            &["local-zone: \"example\" inform"],
            &["local-zone: \"org\" deny"],
            &[],
        ] {
            assert_eq!(told(right), None, "{right:?}");
        }
    }

    /// Where nothing can be read and nobody knows who it is, too.
    #[test]
    fn what_takes_listings_out_is_never_without_a_suspect() {
        let (bare, kept) = (wiring(), Kept { listed: true, seconds: 900, says: 300 });
        for trap in [
            Trap::DeniesAddress,
            Trap::EmptiesAnswer,
            Trap::RefusesAddress,
            Trap::BuiltIn,
            Trap::Invents(Vec::new()),
            Trap::Keeps(kept),
        ] {
            assert!(suspects(&trap, None, &bare, &[]).len() > 1, "{trap:?}");
        }
        assert!(suspects(&Trap::Validates, None, &bare, &[]).is_empty());
        // What was read and is not there is none.
        let line = Line { place: "file:1".to_owned(), text: "port: 53".to_owned() };
        assert!(suspects(&Trap::EmptiesAnswer, Some(Program::Unbound), &bare, &[line]).is_empty());
    }

    #[test]
    fn lines_of_unbound() {
        let guilty = |text: &str| guilty(Program::Unbound, &Trap::BuiltIn, text);
        for text in [
            "local-zone: \"bl.example.\" static",
            "local-zone: 127.bl.example always_nxdomain",
            "local-zone: bl.example \"refuse\"",
            "response-ip: 127.0.0.0/8 deny",
        ] {
            assert!(guilty(text), "{text}");
        }
        for text in [
            "local-zone: \"example\" static",
            "local-zone: \"bl.example\" transparent",
            "local-zone: \"other.bl.example\" static",
            "response-ip: 10.0.0.0/8 deny",
            "private-address: 127.0.0.0/8",
        ] {
            assert!(!guilty(text), "{text}");
        }
    }

    #[test]
    fn lines_of_dnsmasq() {
        let invents = Trap::Invents(Vec::new());
        for (trap, text, is) in [
            (&Trap::EmptiesAnswer, "filter-A", true),
            (&Trap::EmptiesAnswer, "--filter-A", true),
            (&Trap::EmptiesAnswer, "filter-AAAA", false),
            (&Trap::EmptiesAnswer, "stop-dns-rebind", false),
            (&Trap::DeniesAddress, "bogus-nxdomain=127.0.0.2", true),
            (&Trap::DeniesAddress, "bogus-nxdomain = 127.0.0.0/8", true),
            (&Trap::DeniesAddress, "bogus-nxdomain=127.0.0.3", false),
            (&Trap::RefusesAddress, "ignore-address=127.0.0.2", true),
            (&Trap::BuiltIn, "address=/bl.example/", true),
            (&Trap::BuiltIn, "address=/other.example/127.bl.example/", true),
            (&Trap::BuiltIn, "local=/bl.example/", true),
            (&Trap::BuiltIn, "server=/bl.example/127.0.0.1#5354", false),
            (&Trap::BuiltIn, "address=/example/", false),
            (&invents, "address=/bl.example/#", true),
            (&invents, "alias=127.0.0.2,192.0.2.1", true),
            (&invents, "alias=127.0.0.0,192.0.2.0,255.255.255.0", true),
            (&invents, "alias=127.0.0.1-127.0.0.9,192.0.2.0,255.255.255.0", true),
            (&invents, "alias=127.0.0.3,192.0.2.1", false),
        ] {
            assert_eq!(guilty(Program::Dnsmasq, trap, text), is, "{trap:?} {text}");
        }
    }
}

//! Allow lists that are served, and that a program does not ask which refuses by block lists: whom both have is refused, and nobody is told. Of
//! Exim statement by statement; of Postfix smtpd and postscreen each as a whole. Pure.

mod exim;
mod smtpd;

use std::collections::{BTreeMap, BTreeSet};

use super::super::finding::{Area, Check};
use super::judge::Served;
use super::{Does, LooksUp, Mention, cured, postfix};
use crate::config::{Code, Config};
use crate::model::{Name, Use};
use crate::snippet::Program;
use crate::snippet::wiring::{Asked, Wiring};

/// What docs/doctor.md calls it.
const NAME: &str = "mail-allow-unheeded";

/// `weights` are postscreen's sites, each with what it weighs.
pub(super) fn checks(
    mentions: &[Mention],
    weights: &[(Mention, i64)],
    served: &Served<'_>,
    config: &Config,
) -> Vec<Check> {
    let allowing = Allowing { served, config };
    if allowing.zones().next().is_none() {
        return Vec::new();
    }
    let threshold = served.threshold().unwrap_or(1);
    let does = |weight: i64| if weight < threshold { Does::Weigh } else { Does::Reject };
    let sites = weights.iter().map(|(site, weight)| Mention { does: does(*weight), ..site.clone() });
    let sites: Vec<Mention> = sites.collect();
    let of_smtpd =
        |mention: &&Mention| mention.program == Program::Postfix && !mention.at.starts_with(postfix::SITES);
    let asking: Vec<&Mention> = mentions.iter().filter(of_smtpd).collect();
    let sums = |_: usize, _: usize| true;
    let screened = allowing.unheeded(&sites.iter().collect::<Vec<_>>(), sums).map(|(mention, zones)| {
        told(mention, &zones).cured(cured::sites(served.wiring(), served.threshold()))
    });
    let asked = allowing.unheeded(&asking, |permit, refusing| smtpd::is_heeded(&asking, permit, refusing));
    let asked = asked.and_then(|(mention, zones)| {
        let cure = allowing.of_smtpd(mention, &asking)?;
        Some(told(mention, &zones).cured(cure))
    });
    // Its cure is the same.
    let overruled = allowing.overruled(&asking, &sites).filter(|_| asked.is_none());
    screened.into_iter().chain(asked).chain(overruled).chain(allowing.of_exim(mentions)).collect()
}

fn told(mention: &Mention, allow: &BTreeSet<Name>) -> Check {
    let allow: Vec<String> = allow.iter().map(ToString::to_string).collect();
    let program = super::cure::name(mention.program);
    let what =
        format!("{program}, {}: {} refuses whom {} has, too", mention.at, mention.zone, allow.join(" or "));
    Check::warn(Area::Mail, NAME, what).because(
        "that allow list is served, and nothing asks it before that holds there: whom both lists have is refused",
    )
}

/// The allow lists that there are.
struct Allowing<'a> {
    served: &'a Served<'a>,
    config: &'a Config,
}

impl<'a> Allowing<'a> {
    fn wiring(&self) -> &'a Wiring {
        self.served.wiring()
    }

    fn zones(&self) -> impl Iterator<Item = Asked<'a>> {
        self.wiring().addresses(Use::Allow)
    }

    /// Be it one whose lists stand in a wider zone, too.
    fn is_one(&self, zone: &Name) -> bool {
        self.served.zone(zone).is_some_and(|wired| wired.addresses && wired.codes.contains_key(&Use::Allow))
    }

    /// Whether it refuses whom block lists have.
    fn lists(&self, mention: &Mention) -> bool {
        let wired = self.served.zone(&mention.zone).filter(|wired| wired.addresses);
        let codes = wired.and_then(|wired| wired.codes.get(&Use::Block));
        let mut of_lists = codes.into_iter().flat_map(BTreeMap::keys).filter(|code| **code != Code::OVERLAY);
        mention.does == Does::Reject
            && mention.looks_up == LooksUp::Addresses
            && of_lists.any(|code| mention.filter.lets(*code))
    }

    /// Those that have somebody whom this use of a block list refuses: what a zone excepts is not in it anyway.
    fn refused_by(&self, mention: &Mention) -> BTreeSet<Name> {
        if !self.lists(mention) {
            return BTreeSet::new();
        }
        let (all, zones) = (&self.config.reloadable.lists, &self.config.reloadable.zones);
        let of = |origin: &Name| zones.iter().find(|zone| zone.origin == *origin);
        let excepted = of(&mention.zone).map(|zone| &zone.excepts[..]).unwrap_or_default();
        let has_more = |origin: &Name| {
            let mut members = of(origin).into_iter().flat_map(|zone| &zone.members);
            members.any(|member| {
                let allows = all.get(&member.list).is_some_and(|list| list.use_ == Use::Allow);
                allows && !excepted.contains(&member.list)
            })
        };
        self.zones().map(|asked| asked.zone.origin.clone()).filter(has_more).collect()
    }

    /// Whether it refuses what a person blocks.
    fn decides(&self, mention: &Mention) -> bool {
        mention.does == Does::Reject
            && mention.looks_up == LooksUp::Addresses
            && self.served.zone(&mention.zone).is_some_and(|wired| wired.addresses)
            && mention.filter.lets(Code::OVERLAY)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{exim, postfix, uses};
    use super::*;

    /// What is told of Exim with this ACL, or of Postfix with these lines, and the cure's lines. `excepts`: whom allow lists have is in no block
    /// zone.
    fn told(program: Program, text: &str, excepts: bool) -> Vec<(String, String)> {
        let mut config = config();
        if !excepts {
            config.reloadable.zones.iter_mut().for_each(|zone| zone.excepts.clear());
        }
        told_of(&config, program, text)
    }

    fn told_of(config: &Config, program: Program, text: &str) -> Vec<(String, String)> {
        let wiring = Wiring::of(config, |_| None).unwrap();
        let setup = postfix::Setup::read(text, None);
        let found = match program {
            Program::Postfix => exim::Uses { mentions: postfix::effect(&setup).0, ..exim::Uses::default() },
            _ => uses(program, Path::new("a"), &format!("acl_smtp_rcpt = r\nbegin acl\nr:\n{text}")),
        };
        let served = Served::of(config, &wiring).stated(found.statements, found.besides);
        let served = served.screened_from(postfix::threshold(&setup));
        let checks = checks(&found.mentions, &postfix::weights(&setup), &served, config);
        let lines = |check: &Check| check.cures().first().map(|cure| cure.lines.clone()).unwrap_or_default();
        checks.iter().map(|check| (format!("{check:?}"), lines(check))).collect()
    }

    fn config() -> Config {
        let feeds = crate::feed::catalogue::load(None).unwrap();
        Config::for_up("state".into(), &"gatepost.internal".parse().unwrap(), &feeds, Vec::new()).unwrap()
    }

    fn wiring() -> Wiring {
        Wiring::of(&config(), |_| None).unwrap()
    }

    fn allow() -> (String, String) {
        let wiring = wiring();
        let asked = wiring.addresses(Use::Allow).next().unwrap();
        (asked.zone.origin.to_string(), asked.codes.keys().next().unwrap().to_string())
    }

    #[test]
    fn exim_refuses_whom_an_allow_list_has() {
        let deny = "  deny\n    message = no\n    dnslists = block.gatepost.internal=127.0.0.4,127.0.2.2\n";
        let found = told(Program::Exim, deny, false);
        let [(what, lines)] = &found[..] else { panic!("{found:?}") };
        let (zone, code) = allow();
        assert!(
            what.contains("Exim, a:6: block.gatepost.internal refuses whom ") && what.contains(&zone),
            "{what}"
        );
        let (first, second) = lines.split_once("\n\n").unwrap();
        assert_eq!(first, "  deny\n    message = no\n    dnslists = block.gatepost.internal=127.0.2.2");
        assert!(second.contains(&format!("\n    !dnslists = {zone}={code}")), "{lines}");
        assert!(second.ends_with("dnslists = block.gatepost.internal=127.0.0.4,127.0.2.2"), "{lines}");
        assert_eq!(told(Program::Exim, &format!("{lines}\n"), false), []);
        // Nobody is refused who is on an allow list; or allow lists are asked, in whatever way.
        assert_eq!(told(Program::Exim, deny, true), []);
        for before in [
            format!("  accept\n    dnslists = {zone}={code}\n    domains = x\n"),
            format!("  warn\n    dnslists = {zone}={code}\n    set acl_m_x = 1\n"),
        ] {
            assert_eq!(told(Program::Exim, &format!("{before}{deny}"), false), [], "{before}");
        }
        // By an expansion; or where another ACL is asked, too.
        let looked_up =
            format!("    condition = ${{if !eq{{${{lookup dnsdb{{defer_never,a=x.{zone}}}}}}}{{{code}}}}}\n");
        for asks in [
            deny.replace("    dnslists", &format!("{looked_up}    dnslists")),
            deny.replace(
                "    dnslists",
                &format!("    !dnslists = ${{if x{{{zone}={code}}}}}\n    dnslists"),
            ),
            format!("  warn set acl_m_x = ${{lookup dnsdb{{a=x.{}}}}}\n{deny}", zone.to_ascii_uppercase()),
            format!("  deny\n    !dnslists = {zone}={code}\n    !acl = lists\n  accept\nlists:\n{deny}"),
            deny.replace("    dnslists", "    acl = not_ok\n    dnslists")
                + &format!("  accept\nnot_ok:\n  deny dnslists = {zone}={code}\n  accept\n"),
        ] {
            assert_eq!(told(Program::Exim, &asks, false), [], "{asks}");
        }
        for other in [
            "  deny\n    dnslists = block.gatepost.internal=127.0.2.2\n",
            "  warn\n    dnslists = block.gatepost.internal=127.0.0.4\n",
            "  deny\n    dnslists = zen.spamhaus.org=127.0.0.2\n",
        ] {
            assert_eq!(told(Program::Exim, other, false), [], "{other}");
        }
        // What it asks of others stays.
        let more = deny.replace("    dnslists", "    !dnslists = list.dnswl.org=127.0.5.1\n    dnslists");
        let found = told(Program::Exim, &more, false);
        assert!(
            found[0].1.contains("    !dnslists = list.dnswl.org=127.0.5.1\n    !dnslists = "),
            "{found:?}"
        );
        let text = Program::Exim.text(&wiring()).unwrap();
        assert_eq!(told(Program::Exim, &text, false), []);
    }

    /// Of two the one that is not asked.
    #[test]
    fn exim_asks_one_of_two_allow_lists() {
        let (zone, code) = allow();
        let two = || {
            let mut config = config();
            let zones = &mut config.reloadable.zones;
            zones.iter_mut().for_each(|zone| zone.excepts.clear());
            let mut other = zones.iter().find(|other| other.origin.to_string() == zone).unwrap().clone();
            let list = other.members[0].list.clone();
            other.origin = "other.gatepost.internal".parse().unwrap();
            other.members[0].list = "other".parse().unwrap();
            zones.push(other);
            let lists = &mut config.reloadable.lists;
            let same = lists[&list].clone();
            lists.insert("other".parse().unwrap(), same);
            config
        };
        let told = |acl: &str| told_of(&two(), Program::Exim, acl);
        let deny = "  deny\n    dnslists = block.gatepost.internal=127.0.0.4\n";
        let found = told(deny);
        assert!(
            found.len() == 1 && found[0].0.contains(&format!("other.gatepost.internal or {zone}")),
            "{found:?}"
        );
        let one = deny.replace("    dnslists", &format!("    !dnslists = {zone}={code}\n    dnslists"));
        for asks in [one, format!("  warn dnslists = {zone}={code}\n    set acl_m_x = 1\n{deny}")] {
            let found = told(&asks);
            let [(what, lines)] = &found[..] else { panic!("{asks}: {found:?}") };
            assert!(what.contains("refuses whom other.gatepost.internal has"), "{what}");
            assert!(lines.contains(&format!("!dnslists = other.gatepost.internal={code}\n")), "{lines}");
            let statement = asks.rsplit_once("  deny\n").unwrap().1;
            assert_eq!(told(&asks.replace(&format!("  deny\n{statement}"), &format!("{lines}\n"))), []);
        }
    }

    #[test]
    fn postfix_refuses_whom_an_allow_list_has() {
        let reject = "smtpd_recipient_restrictions = reject_unauth_destination,\n  reject_rbl_client block.gatepost.internal=127.0.0.4\n";
        let found = told(Program::Postfix, reject, false);
        let [(what, lines)] = &found[..] else { panic!("{found:?}") };
        assert!(
            what.contains("smtpd_recipient_restrictions: block.gatepost.internal refuses whom "),
            "{what}"
        );
        let first: Vec<&str> = lines.lines().map(|line| line.split('=').next().unwrap().trim()).collect();
        assert_eq!(first[0], "reject_rbl_client block.gatepost.internal", "{lines}");
        assert!(
            lines.lines().next().unwrap().contains("=127.0.2.2")
                && first[1].starts_with("permit_dnswl_client "),
            "{lines}"
        );
        assert!(
            first.len() > 2 && first[2..].contains(&"reject_rbl_client block.gatepost.internal"),
            "{lines}"
        );
        let cured = format!("smtpd_recipient_restrictions = reject_unauth_destination,\n{lines}\n");
        assert_eq!(told(Program::Postfix, &cured, false), []);
        assert_eq!(told(Program::Postfix, reject, true), []);
        // A permit in another list, or behind it, is no answer; what a class or a table does is left open.
        let permit = lines.lines().find(|line| line.contains("permit_")).unwrap();
        let elsewhere = |list: &str| format!("{list} = {permit}\n{reject}");
        let found = told(Program::Postfix, &elsewhere("smtpd_client_restrictions"), false);
        assert!(found.len() == 1 && found[0].1 == *lines, "{found:?}");
        assert_eq!(told(Program::Postfix, &elsewhere("smtpd_restriction_classes = l\nl"), false).len(), 1);
        let class = format!("{}, l\n", elsewhere("smtpd_restriction_classes = l\nl").trim_end());
        assert_eq!(told(Program::Postfix, &class, false), []);
        let behind = told(Program::Postfix, &format!("{},\n{permit}\n", reject.trim_end()), false);
        assert!(behind.len() == 1 && behind[0].1 == *lines, "{behind:?}");
        // What postscreen refuses for, and what it only weighs.
        let sites = |weight: i64, more: &str| {
            let sites = format!("block.gatepost.internal=127.0.0.4*{weight}{more}");
            let text = format!("postscreen_dnsbl_sites = {sites}\npostscreen_dnsbl_threshold = 3\n");
            told(Program::Postfix, &text, false).into_iter().map(|(what, _)| what).collect::<Vec<_>>()
        };
        let found = sites(3, "");
        assert!(found.len() == 1 && found[0].contains("postscreen_dnsbl_sites: block."), "{found:?}");
        let (zone, code) = allow();
        assert_eq!(sites(3, &format!(", {zone}={code}*-9")), [""; 0]);
        assert_eq!(sites(2, ""), [""; 0]);
    }
    /// One allow list of two, and what a person blocks behind a permit.
    #[test]
    fn one_of_two_and_what_a_person_blocks() {
        let text = Program::Postfix.text(&wiring()).unwrap();
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("_client ")).collect();
        let of =
            |word: &str| -> Vec<&str> { lines.iter().copied().filter(|line| line.contains(word)).collect() };
        let (permits, decides) = (of("permit_dnswl"), of("=127.0.2.2"));
        let rest: Vec<&str> = of("reject_").into_iter().filter(|line| !decides.contains(line)).collect();
        let list = |parts: &[&[&str]]| {
            let lines: Vec<&str> = parts.concat().iter().map(|line| line.trim_end_matches(',')).collect();
            format!("smtpd_recipient_restrictions =\n{}\n", lines.join(",\n"))
        };
        let whole = list(&[&decides, &permits, &rest]);
        assert_eq!(told(Program::Postfix, &whole, false), []);
        let (zone, _) = allow();
        // Another allow list, which came later.
        let mut config = config();
        let zones = &mut config.reloadable.zones;
        zones.iter_mut().for_each(|zone| zone.excepts.clear());
        let mut second = zones.iter().find(|other| other.origin.to_string() == zone).unwrap().clone();
        second.origin = "more.gatepost.internal".parse().unwrap();
        zones.push(second);
        let found = told_of(&config, Program::Postfix, &whole);
        let [(what, lines)] = &found[..] else { panic!("{found:?}") };
        assert!(what.contains("refuses whom more.gatepost.internal has, too"), "{what}");
        assert!(
            lines.contains("permit_dnswl_client more.gatepost.internal=") && lines.contains(permits[0]),
            "{lines}"
        );
        let cured = format!("smtpd_recipient_restrictions =\n{lines}\n");
        assert_eq!(told_of(&config, Program::Postfix, &cured), []);
        let late = told(Program::Postfix, &list(&[&permits, &decides, &rest]), false);
        let [(what, lines)] = &late[..] else { panic!("{late:?}") };
        assert!(what.contains("is let in though a person blocks him") && what.contains(&zone), "{what}");
        let cured = format!("smtpd_recipient_restrictions =\n{lines}\n");
        assert_eq!(told(Program::Postfix, &cured, false), []);
        // Refused already, or nobody is.
        let before = format!("smtpd_client_restrictions = {}\n", decides[0].trim());
        assert_eq!(told(Program::Postfix, &(before + &list(&[&permits, &decides, &rest])), false), []);
        assert_eq!(told(Program::Postfix, &list(&[&permits, &rest]), false), []);
    }
}

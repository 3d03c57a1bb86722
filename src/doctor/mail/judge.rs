//! What is wrong with the uses of zones that mail programs make. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use super::super::cure;
use super::super::finding::{Area, Check, Cure};
use super::fault::{self, Fault};
use super::statement::{self, Statement};
use super::{Again, Does, Harsh, Idle, LooksUp, Mention, cured, is_ours, main_cf, postfix, unanswered};
use crate::config::{Code, Config, Retired, is_public};
use crate::model::{Name, Use};
use crate::snippet::Program;
use crate::snippet::wiring::{LeftOut, WiredZone, Wiring};

/// What is served, as mail programs may use it.
pub(super) struct Served<'a> {
    wiring: &'a Wiring,
    /// The zones whose lists stand in a wider one.
    inner: Vec<WiredZone>,
    /// postscreen's, where it is set.
    threshold: Option<i64>,
    /// Exim's.
    statements: Vec<Statement>,
    /// What stands besides them, in small letters.
    besides: String,
    /// Mail comes to Exim, and to no Postfix that may be set up beside it.
    is_exim_alone: bool,
}

impl<'a> Served<'a> {
    pub(super) fn of(config: &Config, wiring: &'a Wiring) -> Self {
        Self {
            wiring,
            inner: inner(config, wiring),
            threshold: None,
            statements: Vec::new(),
            besides: String::new(),
            is_exim_alone: false,
        }
    }

    pub(super) fn screened_from(self, threshold: Option<i64>) -> Self {
        Self { threshold, ..self }
    }

    pub(super) fn met_by_exim(self, is_exim_alone: bool) -> Self {
        Self { is_exim_alone, ..self }
    }

    pub(super) fn stated(self, statements: Vec<Statement>, besides: String) -> Self {
        Self { statements, besides, ..self }
    }

    /// What is to be pasted in the place of a use; nothing where the text has nothing for it.
    pub(super) fn cure(&self, mention: &Mention, mentions: &[Mention]) -> Option<Cure> {
        match mention.program {
            Program::Exim => statement::cure(mention, &self.statements, self.wiring),
            _ => cured::cure(mention, mentions, self.wiring, self.threshold),
        }
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// Whether Exim may ask for it in another way than by lists of statements.
    pub(super) fn may_ask_besides(&self, zone: &Name) -> bool {
        self.besides.contains(&zone.to_string())
    }

    pub(super) fn wiring(&self) -> &Wiring {
        self.wiring
    }

    pub(super) fn threshold(&self) -> Option<i64> {
        self.threshold
    }

    pub(super) fn zone(&self, origin: &Name) -> Option<&WiredZone> {
        self.wiring.zones.iter().chain(&self.inner).find(|zone| zone.origin == *origin)
    }
}

/// The zones within others, each as if it were alone.
fn inner(config: &Config, wiring: &Wiring) -> Vec<WiredZone> {
    let within = wiring.left_out.iter().filter(|(_, why)| matches!(why, LeftOut::Within(_)));
    let zones = within.filter_map(|(origin, _)| {
        let mut alone = config.clone();
        alone.reloadable.zones.retain(|zone| zone.origin == *origin);
        Wiring::of(&alone, |_| None).ok()?.zones.pop()
    });
    zones.collect()
}

/// Of the lines without effect those that would ask gatepost. `threshold` is postscreen's, where it is set, `again` what `main.cf` sets more
/// than once.
pub(super) fn without_effect(
    idle: &[Idle],
    mentions: &[Mention],
    again: &[Again],
    wiring: &Wiring,
    threshold: Option<i64>,
) -> Vec<Check> {
    let asked = |zone: &Name| mentions.iter().any(|mention| mention.zone == *zone);
    let checks = idle.iter().filter_map(|idle| {
        // That a zone is none is told by itself.
        let is_served = |zone: &Name| {
            let left_out = wiring.left_out.iter().map(|(origin, _)| origin);
            wiring.zones.iter().map(|zone| &zone.origin).chain(left_out).any(|origin| origin == zone)
        };
        let ours = |zone: &&Name| is_ours(zone, wiring) && (is_served(zone) || !asked(zone));
        let zones: Vec<&Name> = idle.zones.iter().filter(ours).collect();
        let program = cure::name(idle.program);
        let (what, is_bad) = match zones.first() {
            Some(zone) => {
                let what = format!("{program}, {}: what asks {zone} has no effect", idle.at);
                (what, idle.matters || zones.iter().any(|zone| !asked(zone)))
            }
            // It concerns all that the program would ask.
            None if idle.zones.is_empty()
                && mentions
                    .iter()
                    .any(|mention| mention.program == idle.program && is_ours(&mention.zone, wiring)) =>
            {
                (format!("{program}, {}: what asks gatepost has no effect", idle.at), true)
            }
            None => return None,
        };
        let check = match is_bad {
            true => Check::bad(Area::Mail, "mail-no-effect", what),
            false => Check::warn(Area::Mail, "mail-no-effect", what),
        };
        // How much each site has to weigh is known beside the threshold alone.
        let is_of_weights = idle.at.starts_with(postfix::THRESHOLD);
        let cure = match again.iter().find(|again| again.put_out(idle)) {
            Some(again) => main_cf::sites_again(again, wiring),
            None if is_of_weights => cured::sites(wiring, threshold),
            None => idle.cure.clone(),
        };
        Some(check.because(idle.cause.clone()).cured(cure))
    });
    checks.collect()
}

/// Lines that ask gatepost before they let one's own people pass.
pub(super) fn harsh(harsh: &[Harsh], wiring: &Wiring) -> Vec<Check> {
    let ours = |harsh: &&Harsh| harsh.zones.iter().any(|zone| is_ours(zone, wiring));
    let checks = harsh.iter().filter(ours).map(|harsh| {
        let what = format!(
            "Postfix, {}: {} refused when a list of gatepost's has the address",
            harsh.at, harsh.whom
        );
        let check = Check::warn(Area::Mail, "mail-own-people", what);
        check.because(harsh.cause.clone()).cured(harsh.cure.clone())
    });
    checks.collect()
}

/// What is wrong with each, and with all of a program's together.
pub(super) fn judge(mentions: &[Mention], served: &Served<'_>, resolver: Option<IpAddr>) -> Vec<Check> {
    let each = mentions.iter().filter_map(|mention| wrong(mention, mentions, served, resolver)).collect();
    let is_met = |mention: &&Mention| !(served.is_exim_alone && mention.program == Program::Postfix);
    let met: Vec<Mention> = mentions.iter().filter(is_met).cloned().collect();
    let of_statements = statement::checks(&served.statements, &met, served.wiring).into_iter();
    let of_statements = of_statements.chain(unanswered::checks(&served.statements, served.wiring));
    let each = of_statements.chain(fault::checks(each));
    let lacking = lacking(mentions, served).into_iter().chain(beside_others(mentions, served));
    each.chain(lacking).chain(unweighed(mentions, served)).collect()
}

/// Filters that want all codes of an address, and do not take all that its zone has: who is listed twice passes.
fn beside_others(mentions: &[Mention], served: &Served<'_>) -> Vec<Check> {
    let wanting = mentions.iter().filter(|mention| mention.filter.wants_all() && mention.does != Does::Weigh);
    let checks = wanting.filter_map(|mention| {
        let wired = served.zone(&mention.zone)?;
        let codes = || wired.codes.values().flatten();
        // That it takes none is told by itself.
        codes().find(|(code, _)| mention.filter.lets(**code))?;
        let others: Vec<String> = codes()
            .filter(|(code, _)| !mention.filter.lets(**code))
            .map(|(code, of)| format!("{code} ({of})"))
            .collect();
        let program = cure::name(mention.program);
        let what = format!(
            "{program}, {}: {} is asked for whom it lists by nothing else than these codes",
            mention.at, mention.zone
        );
        let cause = format!(
            "`==` and `=&` want all codes of an address: who has {}, too, passes",
            others.join(" or ")
        );
        let check = Check::warn(Area::Mail, "mail-lacks-code", what).because(cause);
        (!others.is_empty()).then(|| check.cured(cured(mention, mentions, served)))
    });
    checks.collect()
}

/// postscreen refuses whom a score list has, since nobody has said how much it takes.
fn unweighed(mentions: &[Mention], served: &Served<'_>) -> Option<Check> {
    let is_score = |mention: &&Mention| {
        let zone = served.zone(&mention.zone).filter(|_| mention.at.starts_with("postscreen_dnsbl_sites"));
        zone.is_some_and(|zone| {
            zone.codes
                .get(&Use::Score)
                .is_some_and(|codes| codes.keys().any(|code| mention.filter.lets(*code)))
        })
    };
    let site = mentions.iter().find(is_score).filter(|_| served.threshold.is_none())?;
    let what = format!("Postfix, postscreen_dnsbl_threshold: {} alone refuses mail", site.zone);
    let check = Check::bad(Area::Mail, "mail-wrong-use", what);
    Some(
        check
            .because("it is not set, and is 1 then: a score list, which is for weighing, is enough")
            .cured(cured::sites(served.wiring, None)),
    )
}

fn wrong<'a>(
    mention: &'a Mention,
    mentions: &[Mention],
    served: &Served<'_>,
    resolver: Option<IpAddr>,
) -> Option<Fault<'a>> {
    let wiring = served.wiring;
    let zone = &mention.zone;
    let ours = is_ours(zone, wiring);
    if let Some(retired) = Retired::of_zone(zone).filter(|_| !ours) {
        let cure = by(format!("{}; {}", out(mention.program), retired.advice()));
        let rest = "is a list that is no more";
        return Some(Fault::bad(mention, "mail-retired", rest, retired.sentence(), cure));
    }
    let wired = served.zone(zone);
    let left_out = wiring.left_out.iter().find(|(origin, _)| origin == zone).map(|(_, why)| why);
    if ours && wired.is_none() && left_out.is_none() {
        let cure = by(meant_zone(mention, mentions, wiring));
        let cause = "gatepost has no such zone";
        return Some(Fault::bad(mention, "mail-unknown-zone", "is not served", cause, cure));
    }
    if mention.does == Does::Reject && left_out == Some(&LeftOut::Bogons) {
        let cause = "it lists addresses of private networks, too";
        let rest = "rejects your own networks";
        return Some(Fault::bad(mention, "mail-wrong-use", rest, cause, by(out(mention.program))));
    }
    if let Some(rest) = wired.and_then(|wired| mistaken(mention, wired)) {
        let cause = "what it is asked for stands in no such list, so nobody is ever listed there";
        let cure = match served.cure(mention, mentions) {
            Some(cure) if mention.program == Program::Postfix => {
                Cure { how: format!("{}, in the place of these", cure.how), ..cure }
            }
            Some(cure) => cure,
            None => by_text(mention),
        };
        return Some(Fault::bad(mention, "mail-wrong-use", rest, cause, cure));
    }
    if mention.program == Program::Exim && statement::is_code(zone) {
        let cause = "it is a code: a colon begins another zone there, and codes are parted by commas";
        let cure = by(format!("Exim: write a comma in the place of the colon before {zone}"));
        return Some(Fault::bad(mention, "mail-unknown-zone", "is no zone", cause, cure));
    }
    let of_weight = |name, rest: &str, cause: &str| {
        let fault = Fault::bad(mention, name, rest, cause, cured(mention, mentions, served));
        Some(Fault { is_bad: mention.does != Does::Weigh, ..fault })
    };
    if mention.filter.is_open() {
        let then = match mention.does {
            Does::Reject => "reject all mail",
            Does::RejectBounces => "reject all bounces",
            Does::Weigh => "weigh on all mail",
            Does::Let => "let in all mail",
        };
        let cause = format!("an error code, or a stranger who gets the domain, would then {then}");
        return of_weight("mail-no-filter", "takes any answer for a listing", &cause);
    }
    // rspamd has symbols of its own for what those lists say so, which weigh nothing.
    let has_symbols = mention.program == Program::Rspamd && !ours;
    if let Some(code) = mention.filter.error().filter(|_| !has_symbols) {
        let cause = "that is no listing: with 127.255.255.x lists say that they refuse to answer, and 127.0.0.1 is listed nowhere";
        return of_weight("mail-wide-filter", &format!("takes {code} for a listing"), cause);
    }
    if let Some(wired) = wired {
        let misused = wired.codes.iter().filter(|(use_, _)| !may(mention.does, **use_));
        let misused: Vec<String> = misused
            .flat_map(|(use_, codes)| codes.iter().map(move |(code, of)| (use_, code, of)))
            .filter(|(_, code, _)| mention.filter.lets(**code))
            .map(|(use_, code, of)| format!("{code} ({of}) is for {}", meant(*use_)))
            .collect();
        if !misused.is_empty() {
            let cure = served.cure(mention, mentions).unwrap_or_else(|| by_text(mention));
            let rest = "is used for what it is not good for";
            return Some(Fault::bad(mention, "mail-wrong-use", rest, misused.join("; "), cure));
        }
        let mut codes = wired.codes.values().flat_map(BTreeMap::keys);
        if !wired.unknown_values && !codes.any(|code| mention.filter.may_let(*code)) {
            let cause = "so nothing that is listed there counts";
            return of_weight("mail-dead-filter", "is asked for codes that none of its lists has", cause);
        }
    }
    let open = resolver.filter(|resolver| !ours && is_public(*resolver))?;
    let cause = "operators of lists refuse public resolvers: such a list answers nothing, or an error code for every address";
    let cure = by(
        "run a resolver here and name it first in /etc/resolv.conf; or serve the list from here: `gatepost feeds`",
    );
    let rest = format!("is asked through {open}");
    Some(Fault::warn(mention, "mail-public-resolver", rest, cause, cure))
}

/// In the place of a zone that is none: what may be asked so, and is not yet.
fn meant_zone(mention: &Mention, mentions: &[Mention], wiring: &Wiring) -> String {
    let fits = |zone: &&WiredZone| {
        mistaken(mention, zone).is_none() && zone.codes.keys().any(|use_| may(mention.does, *use_))
    };
    let is_asked = |zone: &WiredZone| {
        mentions.iter().any(|other| other.program == mention.program && other.zone == zone.origin)
    };
    let fitting: Vec<&WiredZone> = wiring.zones.iter().filter(fits).collect();
    let named = |zones: &mut dyn Iterator<Item = &&WiredZone>| {
        zones.map(|zone| zone.origin.to_string()).collect::<Vec<_>>().join(", ")
    };
    let out = out(mention.program);
    let all = named(&mut fitting.iter());
    match named(&mut fitting.iter().filter(|zone| !is_asked(zone))) {
        _ if fitting.is_empty() => out.to_owned(),
        free if free.is_empty() => format!("{out}; what may be asked so is: {all}"),
        free => format!("one of {free}"),
    }
}

/// Whether a zone is asked for addresses that lists names, or the other way round.
fn mistaken(mention: &Mention, wired: &WiredZone) -> Option<&'static str> {
    match mention.looks_up {
        LooksUp::Addresses if !wired.addresses => Some("is asked for addresses, and lists names"),
        LooksUp::Names if !wired.names => Some("is asked for names, and lists addresses"),
        _ => None,
    }
}

/// What does away with a question.
fn out(program: Program) -> &'static str {
    match program {
        Program::Exim => {
            "take it out there, and the whole statement where that asks nothing else: without a condition it holds for all mail"
        }
        _ => "take it out there",
    }
}

fn by(how: impl Into<String>) -> Cure {
    Cure { how: how.into(), lines: String::new() }
}

/// Where the text has nothing in its place.
fn by_text(mention: &Mention) -> Cure {
    by(format!(
        "{}; `gatepost snippet {}` uses each list for what it is good for",
        out(mention.program),
        cure::name(mention.program).to_lowercase()
    ))
}

fn cured(mention: &Mention, mentions: &[Mention], served: &Served<'_>) -> Cure {
    served.cure(mention, mentions).unwrap_or_else(|| match is_ours(&mention.zone, served.wiring) {
        true => by_text(mention),
        false => by("name the codes that are listings, as the list's operator documents them"),
    })
}

/// Codes that a program does not take, of zones that it asks for others of the same use: what a list brings that came later passes.
fn lacking(mentions: &[Mention], served: &Served<'_>) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut seen = BTreeSet::new();
    for mention in mentions {
        let program = cure::name(mention.program);
        let Some(wired) = served.zone(&mention.zone).filter(|wired| !wired.unknown_values) else { continue };
        if mistaken(mention, wired).is_some() {
            continue;
        }
        let same = |other: &&Mention| {
            other.program == mention.program && other.zone == mention.zone && mistaken(other, wired).is_none()
        };
        for (use_, codes) in wired.codes.iter().filter(|(use_, _)| is_for(mention.does, **use_)) {
            let takes = |other: &&Mention, code: &Ipv4Addr| {
                other.filter.is_open() || is_for(other.does, *use_) && other.filter.may_let(*code)
            };
            if !codes.keys().any(|code| takes(&mention, code))
                || !seen.insert((program, &mention.zone, *use_))
            {
                continue;
            }
            // Of names the text asks for no code that the test point answers, too.
            let is_left_out = |code: &Ipv4Addr| {
                !wired.addresses && wired.same_as_test.is_some() && *code == Code::ALONE.address()
            };
            let lacking: Vec<String> = codes
                .iter()
                .filter(|(code, _)| !is_left_out(code))
                .filter(|(code, _)| !mentions.iter().filter(same).any(|other| takes(&other, code)))
                .map(|(code, of)| format!("{code} ({of})"))
                .collect();
            if lacking.is_empty() {
                continue;
            }
            // What a person blocks may be asked apart, before allow lists: what lists bring does not belong there.
            let is_lists =
                |other: &&Mention| codes.keys().any(|code| *code != Code::OVERLAY && takes(other, code));
            let mention = mentions.iter().filter(same).find(is_lists).unwrap_or(mention);
            let what = format!(
                "{program}, {}: {} is not asked for {}",
                mention.at,
                mention.zone,
                lacking.join(", ")
            );
            let check = Check::warn(Area::Mail, "mail-lacks-code", what)
                .because("what has one of these codes alone passes; a filter has to be printed again when lists or codes change");
            checks.push(check.cured(cured(mention, mentions, served)));
        }
    }
    checks
}

/// Whether doing that is a way to use such lists.
fn is_for(does: Does, use_: Use) -> bool {
    does == Does::Weigh || may(does, use_) && (does, use_) != (Does::RejectBounces, Use::Block)
}

/// Whether a list of this use is good for that.
fn may(does: Does, use_: Use) -> bool {
    match does {
        Does::Reject => use_ == Use::Block,
        Does::RejectBounces => matches!(use_, Use::Block | Use::Bounce),
        Does::Weigh => true,
        Does::Let => use_ == Use::Allow,
    }
}

pub(super) fn meant(use_: Use) -> &'static str {
    match use_ {
        Use::Block => "rejecting",
        Use::Score => "weighing",
        Use::Bounce => "null senders alone",
        Use::Allow => "letting in",
    }
}

//! What rspamd does with whom a list has: whether that is what the list is good for. Pure.
//!
//! Told of what its files say for sure: an expression of other signs than and, or and not may mean anything.

use std::collections::BTreeSet;

use super::super::super::finding::{Area, Check, Cure};
use super::super::filter::Filter;
use super::super::judge::Served;
use super::super::{Does, LooksUp, Mention, is_ours};
use super::rules::{Force, Honors, Rule, Rules};
use crate::config::Code;
use crate::model::{Name, Use};
use crate::snippet::Program;
use crate::snippet::rspamd::{REJECT, SCORE};
use crate::snippet::wiring::WiredZone;

/// rspamd's own symbol for mail with a null sender that looks like a bounce.
const BOUNCE: &str = "BOUNCE";

/// What a symbol of a rule's stands for.
struct Symbol<'a> {
    name: &'a str,
    rule: &'a Rule,
    mention: Mention,
    wired: &'a WiredZone,
    uses: BTreeSet<Use>,
}

/// What is not done for whom a list has that is good for rejecting: one check for all that have the same cause.
struct Unforced {
    name: &'static str,
    zones: Vec<Name>,
    first: String,
    symbols: Vec<String>,
    cause: String,
    cure: Cure,
}

impl Rules {
    /// Rules that are not loaded, and what else is wrong. Each use is told apart by its symbols, and does what rspamd does with it.
    pub(in super::super) fn judge(
        &self,
        mentions: &mut Vec<Mention>,
        served: &Served<'_>,
    ) -> [Vec<Check>; 2] {
        let loaded_not = self.loaded_not(mentions, served);
        let mut checks = Vec::new();
        self.tell_apart(mentions);
        let all = mentions.clone();
        let symbols: Vec<Symbol<'_>> =
            self.rules.iter().flat_map(|rule| symbols(rule, &all, served)).collect();
        let allowing: Vec<&Symbol<'_>> = symbols
            .iter()
            .filter(|symbol| symbol.is_alone(Use::Allow) && symbol.rule.looks_up_addresses())
            .collect();
        for symbol in &symbols {
            let cured = |at: &str, what: &str| cure(symbol, at, what, &all, served);
            checks.extend(self.weighs_wrong(symbol, &cured));
            checks.extend(self.forces_wrong(symbol, &cured));
            checks.extend(self.allowed_in_vain(symbol, &allowing, &cured));
            checks.extend(asks_relays(symbol, &cured));
        }
        checks.extend(self.weigh_together(&symbols));
        checks.extend(self.unforced(&symbols, &all, served));
        let of_it = mentions.iter_mut().filter(|mention| mention.program == Program::Rspamd);
        for mention in of_it {
            let symbol = symbols.iter().find(|symbol| symbol.mention == *mention);
            mention.does = symbol.map_or(mention.does, |symbol| self.does(symbol));
        }
        [loaded_not, checks]
    }

    /// Rules of which something is set twice; their uses are taken out.
    fn loaded_not(&self, mentions: &mut Vec<Mention>, served: &Served<'_>) -> Vec<Check> {
        let mut checks = Vec::new();
        let mut told: BTreeSet<(String, String)> = BTreeSet::new();
        let all = mentions.clone();
        for twice in &self.twice {
            let here = |mention: &&Mention| twice.zones.iter().any(|(at, _)| *at == mention.at);
            let Some(mention) =
                all.iter().find(here).filter(|mention| is_ours(&mention.zone, served.wiring()))
            else {
                continue;
            };
            mentions.retain(|mention| !here(&mention));
            let [first, .., last] = &twice.places[..] else { continue };
            // Two texts have many rules in common.
            let is_whole = twice.zones.len() > 1;
            if is_whole && !told.insert((file(first).to_owned(), file(last).to_owned())) {
                continue;
            }
            let is_of_it = |(path, _): &&(String, [String; 2])| first == last && *path == file(first);
            if let Some((path, lines)) = self.again.iter().find(is_of_it) {
                checks.push(included_again(path, lines, &mention.zone));
                continue;
            }
            let what = format!("rspamd, {last}: what asks {} has no effect", mention.zone);
            let twofold = if is_whole { "the rule" } else { &twice.key };
            let cause = format!(
                "{twofold} stands at {first}, too: of what is merged each setting has two values then, and rspamd loads no such rule"
            );
            let other = twice.places.iter().find(|at| file(at) != file(&mention.at));
            let check = Check::bad(Area::Mail, "mail-no-effect", what).because(cause);
            checks.push(match other.filter(|_| !is_whole) {
                Some(other) => check.cured(without(&format!("{} at {other}", twice.key))),
                None => match served.cure(mention, &all) {
                    Some(cure) => check.cured(cure),
                    None => check.cured(without(&format!("{} at {last}", twice.key))),
                },
            });
        }
        checks
    }

    /// A use for each symbol in the place of one for the rule.
    fn tell_apart(&self, mentions: &mut Vec<Mention>) {
        let mut apart = Vec::new();
        for mention in mentions.drain(..) {
            let rule = self.rules.iter().find(|rule| {
                mention.program == Program::Rspamd && rule.at == mention.at && rule.zone == mention.zone
            });
            let Some(rule) = rule else {
                apart.push(mention);
                continue;
            };
            let looks_up = match (rule.looks_up_addresses(), rule.looks_up_names()) {
                (true, false) => LooksUp::Addresses,
                (false, true) => LooksUp::Names,
                _ => LooksUp::Something,
            };
            for (_, filter) in &rule.symbols {
                apart.push(Mention { filter: filter.clone(), looks_up, ..mention.clone() });
            }
        }
        *mentions = apart;
    }

    fn does(&self, symbol: &Symbol<'_>) -> Does {
        let is_forced = |more: &[&str]| {
            let symbols: Vec<&str> = std::iter::once(symbol.name).chain(more.iter().copied()).collect();
            self.forced(&symbols) == Some(true)
        };
        match () {
            // That it rejects what it should not is told with what makes it.
            () if symbol.is_alone(Use::Block) && is_forced(&[]) => Does::Reject,
            () if symbol.is_alone(Use::Bounce) && is_forced(&[BOUNCE]) => Does::RejectBounces,
            () if symbol.rule.is_whitelist => Does::Let,
            () => Does::Weigh,
        }
    }

    /// Score lists of which one is enough, allow lists that weigh against a mail, block lists that weigh for it.
    fn weighs_wrong(&self, symbol: &Symbol<'_>, cured: &dyn Fn(&str, &str) -> Cure) -> Option<Check> {
        let weight = self.weight(symbol.name)?;
        let Symbol { name, mention: Mention { zone, .. }, .. } = symbol;
        let value = weight.value;
        let reaches = self.reject.filter(|reject| value >= *reject);
        let is_lenient = symbol.uses.contains(&Use::Score) || symbol.uses.contains(&Use::Bounce);
        let (rest, cause) = match reaches {
            _ if symbol.is_alone(Use::Allow) && value > 0.0 => (
                format!("{zone} is for letting in, and {name} weighs {value}"),
                "who is on an allow list is taken for a spammer for it".to_owned(),
            ),
            _ if symbol.is_alone(Use::Block) && value < 0.0 && self.forced(&[name]) != Some(true) => (
                format!("{zone} is for rejecting, and {name} weighs {value}"),
                "who is on it is let in for it".to_owned(),
            ),
            Some(reject) if is_lenient => (
                format!("{zone} is not for rejecting, and {name} weighs {value}"),
                format!("{reject} reject a mail (actions): it is enough alone"),
            ),
            _ => return None,
        };
        // It weighs no more than the text has it weigh: what rejects is too low.
        let lowered = self.reject_at.as_ref().filter(|_| reaches.is_some() && is_lenient && value <= SCORE);
        if let (Some(at), Some(reject)) = (lowered, reaches) {
            let what = format!("rspamd, {at}: {rest}");
            let cause = format!(
                "`reject = {reject}` there: it is enough alone, and the weights are made for {REJECT}"
            );
            return Some(Check::bad(Area::Mail, "mail-wrong-use", what).because(cause).cured(raised(at)));
        }
        let what = format!("rspamd, {}: {rest}", weight.at);
        let check = Check::bad(Area::Mail, "mail-wrong-use", what).because(cause);
        Some(check.cured(cured(&weight.at, &format!("the weight of {name}"))))
    }

    /// Two score lists that are enough, as somebody has lowered what rejects.
    fn weigh_together(&self, symbols: &[Symbol<'_>]) -> Option<Check> {
        let (reject, at) = self.reject.zip(self.reject_at.as_ref())?;
        let of_lists = symbols.iter().filter(|symbol| symbol.is_alone(Use::Score));
        let mut weights: Vec<(f64, &str)> =
            of_lists.filter_map(|symbol| Some((self.weight(symbol.name)?.value, symbol.name))).collect();
        weights.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
        weights.dedup();
        let [(one, first), (other, second), ..] = weights[..] else { return None };
        let both = one + other;
        // Who has raised weights has meant that; that one is enough alone is told by itself.
        if one > SCORE || one >= reject || both < reject {
            return None;
        }
        let what = format!("rspamd, {at}: {first} and {second} together weigh {both}");
        let cause = format!(
            "`reject = {reject}` there: score lists are for weighing, and who is on two of them is rejected; the weights are made for {REJECT}"
        );
        Some(Check::warn(Area::Mail, "mail-wrong-use", what).because(cause).cured(raised(at)))
    }

    /// `force_actions` that rejects for a list that is not for that.
    fn forces_wrong(&self, symbol: &Symbol<'_>, cured: &dyn Fn(&str, &str) -> Cure) -> Option<Check> {
        let force = self.forces(&[symbol.name])?;
        let wrong: Vec<String> = symbol.codes(|use_| use_ != Use::Block);
        if wrong.is_empty() {
            return None;
        }
        let Symbol { name, mention: Mention { zone, .. }, .. } = symbol;
        let what = format!("rspamd, {}: {zone} is used for what it is not good for", force.at);
        let cause = format!("{} rejects for {name}: {}", force.name, wrong.join("; "));
        let check = Check::bad(Area::Mail, "mail-wrong-use", what).because(cause);
        Some(check.cured(cured(&force.at, &format!("the rule {} of force_actions", force.name))))
    }

    /// Whom an allow list has is rejected all the same.
    fn allowed_in_vain(
        &self,
        symbol: &Symbol<'_>,
        allowing: &[&Symbol<'_>],
        cured: &dyn Fn(&str, &str) -> Cure,
    ) -> Option<Check> {
        // What a person blocks counts more.
        let is_of_lists = symbol.taken().any(|(_, code)| code != Code::OVERLAY);
        if !symbol.is_alone(Use::Block) || !is_of_lists || self.forced(&[symbol.name]) != Some(true) {
            return None;
        }
        let vain = |allow: &&&Symbol<'_>| {
            let is_asked = !symbol.rule.is_excepted_by(allow.rule, allow.name);
            is_asked && self.forced(&[symbol.name, allow.name]) == Some(true)
        };
        let unheeded: Vec<&str> = allowing.iter().filter(vain).map(|allow| allow.name).collect();
        let force = self.forces(&[symbol.name, unheeded.first()?])?;
        let Symbol { name, mention: Mention { zone, .. }, .. } = symbol;
        let what = format!("rspamd, {}: {zone} rejects whom an allow list has, too", force.at);
        let check = Check::bad(Area::Mail, "mail-allow-unheeded", what).because(format!(
            "`{}` of {} holds for {name} beside {}",
            force.expression,
            force.name,
            unheeded.join(" and ")
        ));
        Some(check.cured(cured(&force.at, &format!("the rule {} of force_actions", force.name))))
    }

    /// Block lists for which nothing rejects, and bounce lists.
    fn unforced(&self, symbols: &[Symbol<'_>], all: &[Mention], served: &Served<'_>) -> Vec<Check> {
        let mut groups: Vec<Unforced> = Vec::new();
        for symbol in
            symbols.iter().filter(|symbol| symbol.rule.looks_up_addresses() && symbol.wired.addresses)
        {
            let asked = match () {
                () if symbol.is_alone(Use::Block) => vec![symbol.name],
                () if symbol.is_alone(Use::Bounce) => vec![symbol.name, BOUNCE],
                () => continue,
            };
            let weight = self.weight(symbol.name).map_or(0.0, |weight| weight.value);
            let is_heavy = self.reject.is_some_and(|reject| weight >= reject);
            // That it lets in is told by itself.
            if is_heavy || weight < 0.0 || symbol.rule.is_whitelist || self.forced(&asked) != Some(false) {
                continue;
            }
            let Some((cause, cure)) = self.why_unforced(symbol, all, served) else { continue };
            let zone = symbol.mention.zone.clone();
            let of_it = match self.reject {
                Some(reject) => format!("{} weighs {weight} of {reject}", symbol.name),
                None => format!("{} weighs {weight}, and no weight rejects", symbol.name),
            };
            match groups.iter_mut().find(|group| group.cause == cause && group.cure == cure) {
                Some(group) => {
                    group.zones.push(zone);
                    group.symbols.push(of_it);
                }
                None => groups.push(Unforced {
                    name: "mail-weight",
                    zones: vec![zone],
                    first: symbol.mention.at.clone(),
                    symbols: vec![of_it],
                    cause,
                    cure,
                }),
            }
        }
        groups.into_iter().map(Unforced::check).collect()
    }

    /// What keeps `force_actions` from rejecting for it, and what cures that.
    fn why_unforced(
        &self,
        symbol: &Symbol<'_>,
        all: &[Mention],
        served: &Served<'_>,
    ) -> Option<(String, Cure)> {
        let name = symbol.name;
        let cured = |at: &str, what: &str| cure(symbol, at, what, all, served);
        if let Some(at) = &self.forces_off {
            let cause = format!("`enabled = false` at {at} switches force_actions off");
            return Some((
                cause,
                Cure { how: format!("take that line out of {at}, and restart rspamd"), lines: String::new() },
            ));
        }
        if let Some(at) = &self.forces_of_old {
            let cause = format!(
                "the block `actions` of force_actions at {at} is of an older form: rspamd looks at no rule beside it"
            );
            let how = format!(
                "take the block `actions` at {at} out (as `rules {{ NAME {{ action = …; expression = …; }} }}` it can stay), and restart rspamd"
            );
            return Some((cause, Cure { how, lines: String::new() }));
        }
        let rejects = |force: &&Force| force.mentions(name) && force.action == "reject";
        if let Some(softens) = self.softens(&[name])
            && self.forces.iter().any(|force| rejects(&force))
        {
            let Force { name: milder, action, at, .. } = softens;
            let cause = format!(
                "{milder} of force_actions holds for {name}, too, and has the action `{action}` ({at}): of several rules that hold one counts, and nobody says that it is the strictest"
            );
            return Some((cause, without(&format!("the rule {milder} of force_actions at {at}"))));
        }
        let of_it = |force: &&Force| force.mentions(name);
        let Some(force) = self.forces.iter().find(of_it) else {
            return Some(match &self.forces_instead {
                Some(at) => (
                    format!(
                        "the block `force_actions` at {at} takes the place of all others, and has no rule for it"
                    ),
                    Cure {
                        how: format!(
                            "take the block `force_actions` at {at} out (its own rules, as `rules {{ … }}` without the braces around that, go into \
                             /etc/rspamd/local.d/force_actions.conf), and restart rspamd"
                        ),
                        lines: String::new(),
                    },
                ),
                None => (
                    "force_actions has no rule for it, and its weight is not enough alone".to_owned(),
                    cured("", ""),
                ),
            });
        };
        let rule = format!("the rule {} of force_actions", force.name);
        let Force { name: force_name, action, expression, at, .. } = force;
        if let Some((key, places)) = &force.twice {
            let other = places.iter().find(|at| file(at) != file(&symbol.mention.at));
            let cause = format!(
                "`{key}` of {force_name} stands at {}: what is merged has all of them, and the rule does nothing",
                places.join(" and at ")
            );
            return Some((cause, cured(other.map_or("", String::as_str), &format!("`{key}` of {rule}"))));
        }
        if action != "reject" {
            return Some((
                format!("{force_name} of force_actions has the action `{action}` ({at})"),
                cured(at, &rule),
            ));
        }
        let action = self.action(&[name]);
        if let Some(Honors { key, at, .. }) = force.spares(action) {
            let does = if *key == "honor_action" { "has" } else { "has not" };
            let cause = format!(
                "`{key}` of {force_name} at {at} {does} \"{action}\", which is what {name} alone weighs: rspamd leaves it at that"
            );
            return Some((cause, without(&format!("`{key}` of {rule} at {at}"))));
        }
        let cause =
            format!("`{expression}` of {force_name} in force_actions does not hold for it alone ({at})");
        Some((cause, cured(at, &rule)))
    }
}

impl Unforced {
    fn check(self) -> Check {
        let mut zones: Vec<String> = Vec::new();
        for zone in self.zones.iter().map(ToString::to_string) {
            if !zones.contains(&zone) {
                zones.push(zone);
            }
        }
        let what = format!(
            "rspamd, {}: who is on a list of {} is not rejected for it ({})",
            self.first,
            zones.join(", "),
            self.symbols.join(", ")
        );
        Check::bad(Area::Mail, self.name, what).because(self.cause).cured(self.cure)
    }
}

impl Symbol<'_> {
    /// The codes that it takes.
    fn taken(&self) -> impl Iterator<Item = (Use, std::net::Ipv4Addr)> {
        let all = self.wired.codes.iter().flat_map(|(use_, codes)| codes.keys().map(|code| (*use_, *code)));
        all.filter(|(_, code)| self.mention.filter.lets(*code))
    }

    fn codes(&self, wanted: impl Fn(Use) -> bool) -> Vec<String> {
        let uses = self.wired.codes.iter().filter(|(use_, _)| wanted(**use_));
        let codes = uses.flat_map(|(use_, codes)| codes.iter().map(move |(code, of)| (*use_, code, of)));
        let taken = codes.filter(|(_, code, _)| self.mention.filter.lets(**code));
        taken
            .map(|(use_, code, of)| format!("{code} ({of}) is for {}", super::super::judge::meant(use_)))
            .collect()
    }

    fn is_alone(&self, wanted: Use) -> bool {
        !self.uses.is_empty() && self.uses.iter().all(|use_| *use_ == wanted)
    }
}

/// Those of a rule that asks a zone which is served.
fn symbols<'a>(rule: &'a Rule, all: &[Mention], served: &'a Served<'_>) -> Vec<Symbol<'a>> {
    let Some(wired) = served.zone(&rule.zone) else { return Vec::new() };
    let of = |(name, filter): &'a (String, Filter)| {
        let is_it = |mention: &&Mention| {
            mention.program == Program::Rspamd && mention.at == rule.at && mention.filter == *filter
        };
        let mention = all.iter().find(is_it)?.clone();
        // A filter that takes anything is told by itself.
        let is_open = filter.is_open();
        let mut symbol = Symbol { name, rule, mention, wired, uses: BTreeSet::new() };
        if !is_open {
            symbol.uses = symbol.taken().map(|(use_, _)| use_).collect();
        }
        Some(symbol)
    };
    rule.symbols.iter().filter_map(of).collect()
}

/// What has rspamd ask for whom a mail came by, in the place of who brought it, or beside him.
fn asks_relays(symbol: &Symbol<'_>, cured: &dyn Fn(&str, &str) -> Cure) -> Option<Check> {
    let at = symbol.rule.relays().filter(|_| symbol.wired.addresses && !symbol.uses.is_empty())?;
    let Symbol { mention: Mention { zone, .. }, rule, .. } = symbol;
    let clients = rule.asks_for_clients();
    let (what, cause) = match clients {
        true => (
            format!("rspamd, {at}: {zone} is asked for every relay that a mail came by"),
            "`checks` has \"received\" beside \"from\": who is listed at home is punished though his provider, who is not, hands his mail over",
        ),
        false => (
            format!(
                "rspamd, {at}: {zone} is asked for the relays that a mail came by, and not for who brought it"
            ),
            "`checks` has \"received\" and no \"from\": who is listed passes, and who is not is punished for a relay before him, which anybody can make up",
        ),
    };
    let check = match clients && symbol.is_alone(Use::Score) {
        true => Check::warn(Area::Mail, "mail-every-relay", what),
        false => Check::bad(Area::Mail, "mail-every-relay", what),
    };
    Some(check.because(cause).cured(cured(at, "\"received\"")))
}

/// What rejects, as the weights are made for.
fn raised(at: &str) -> Cure {
    Cure {
        how: format!(
            "this in the place of `reject` at {at}, and restart rspamd (who wants to reject at less divides all weights alike)"
        ),
        lines: format!("reject = {REJECT};"),
    }
}

/// What stands in the file of the rule is cured by the text for that file; elsewhere it goes.
fn cure(symbol: &Symbol<'_>, at: &str, what: &str, all: &[Mention], served: &Served<'_>) -> Cure {
    let is_elsewhere = !at.is_empty() && file(at) != file(&symbol.mention.at);
    match served.cure(&symbol.mention, all).filter(|_| !is_elsewhere) {
        Some(cure) => cure,
        None => without(&format!("{what} at {at}")),
    }
}

/// A line `.include` that stands twice.
fn included_again(path: &str, [first, last]: &[String; 2], zone: &Name) -> Check {
    let what = format!("rspamd, {last}: what asks {zone} has no effect");
    let cause = format!(
        "{path} is included at {first} already: of what is merged each setting has two values then, and rspamd loads no such rule"
    );
    let cure = without(&format!("the line `.include` at {last}"));
    Check::bad(Area::Mail, "mail-no-effect", what).because(cause).cured(cure)
}

fn without(what: &str) -> Cure {
    Cure { how: format!("take {what} out, and restart rspamd"), lines: String::new() }
}

/// `FILE` of `FILE:LINE`
fn file(at: &str) -> &str {
    at.rsplit_once(':').map_or(at, |(file, _)| file)
}

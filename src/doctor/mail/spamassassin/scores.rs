//! What SpamAssassin's rules score: whether that is what their lists are good for, beside what makes a mail spam. And for which relays of a mail they
//! ask. Pure.
//!
//! Told of rules of which the files say all: one that another condition goes with (`meta A && B`) may be meant otherwise.

use std::collections::{BTreeMap, BTreeSet};

use super::super::super::finding::{Area, Check, Cure};
use super::super::expression::holds;
use super::super::filter::{Filter, of_pattern};
use super::super::judge::Served;
use super::super::off::{Read, columns, made_of};
use super::super::spamassassin::arguments;
use super::super::{Does, Mention};
use super::amavis::Amavis;
use crate::model::{Name, Use};
use crate::snippet::Program;

/// Where nothing says otherwise.
pub(in super::super) const REQUIRED: f64 = 5.0;
const SETTING: &str = "required_score";
/// Less than this marks a mail and does no more.
pub(in super::super) const FAINT: f64 = 0.01;
/// What has a rule end the judgement, and what is added to its score then.
const SHORTCIRCUIT: &str = "Mail::SpamAssassin::Plugin::Shortcircuit";
const ENDS: f64 = 100.0;
/// What makes `check_rbl` look at some relays alone.
const ENDINGS: [&str; 3] = ["-lastexternal", "-firsttrusted", "-notfirsthop"];

/// Rules and scores, as the files have them.
#[derive(Debug, Default)]
pub(in super::super) struct Scored {
    /// What each looks for, by its name, those too that are made of others and hold for them alone.
    rules: BTreeMap<String, Vec<(Name, Filter)>>,
    /// Those that are made of others, where each stands and of what.
    pub(in super::super) metas: BTreeMap<String, (String, String)>,
    /// What the others look for, that is what metas may be made of.
    pub(in super::super) asking: BTreeMap<String, Vec<(Name, Filter)>>,
    pub(in super::super) scores: BTreeMap<String, Score>,
    /// What makes a mail spam, where that is set.
    pub(in super::super) required: Option<Level>,
    sets: Vec<Set>,
}

/// From which score on a mail is spam, for SpamAssassin or for who calls it.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Level {
    pub(in super::super) name: &'static str,
    pub(in super::super) value: f64,
    pub(in super::super) at: String,
}

impl Level {
    /// The cure of one that is out of all measure.
    pub(in super::super) fn usual(&self) -> Cure {
        let Self { name, at, .. } = self;
        if *name != SETTING {
            let how = format!("in the place of the line at {at}, and restart amavis");
            return Cure { how, lines: format!("{name} = {REQUIRED:.1};") };
        }
        let how = format!(
            "take that line out of {at}, and restart what calls it: {REQUIRED} is what SpamAssassin has without it"
        );
        Cure { how, lines: String::new() }
    }
}

/// What `check_rbl` calls an answer.
#[derive(Debug)]
struct Set {
    name: String,
    zone: Name,
    at: String,
    /// What looks into it.
    rules: Vec<String>,
}

#[derive(Debug)]
pub(in super::super) struct Score {
    /// Of mail for which lists are asked, without and with what was learned; nothing where that is not plain.
    values: Vec<f64>,
    pub(in super::super) at: String,
}

impl Score {
    pub(in super::super) fn least(&self) -> Option<f64> {
        self.values.iter().copied().reduce(f64::min)
    }

    pub(in super::super) fn most(&self) -> Option<f64> {
        self.values.iter().copied().reduce(f64::max)
    }
}

impl Scored {
    pub(in super::super) fn of(texts: &[Read]) -> Self {
        let mut scored = Self::default();
        let mut subtests: Vec<(&str, Vec<String>)> = Vec::new();
        let mut ends: BTreeMap<&str, Score> = BTreeMap::new();
        let mut may_end = false;
        for read in texts.iter().filter(|read| read.program == Program::Spamassassin) {
            for (at, line) in read.text.lines().enumerate() {
                let line = line.split('#').next().unwrap_or_default().trim();
                let at = || format!("{}:{}", read.place, at + 1);
                let words: Vec<&str> = line.split_whitespace().collect();
                match words[..] {
                    // Of a name the last is the rule.
                    ["header", rule, ..] => {
                        scored.metas.remove(rule);
                        if let Some(call) = arguments(line, "eval:check_rbl(") {
                            scored.asks(rule, &call, at());
                        } else if let Some(call) = arguments(line, "eval:check_rbl_sub(") {
                            subtests.push((rule, call));
                        }
                    }
                    ["urirhssub", rule, zone, _, code, ..] => scored.rule(rule, zone, of_pattern(code)),
                    ["urirhsbl", rule, zone, ..] => scored.rule(rule, zone, Filter::Open),
                    ["meta", rule, ..] => {
                        subtests.retain(|(of, _)| *of != rule);
                        scored.rules.remove(rule);
                        scored.metas.insert(rule.to_owned(), (at(), made_of(line).to_owned()));
                    }
                    ["score", rule, ref values @ ..] => {
                        // Beside `(1)`, which is added to what there was.
                        let is_plain = values.iter().all(|value| value.parse::<f64>().is_ok());
                        let values = if is_plain { columns(values) } else { Vec::new() };
                        scored.scores.insert(rule.to_owned(), Score { values, at: at() });
                    }
                    ["loadplugin" | "tryplugin", SHORTCIRCUIT, ..] => may_end = true,
                    ["shortcircuit", rule, "spam"] => {
                        ends.insert(rule, Score { values: vec![ENDS], at: at() });
                    }
                    ["shortcircuit", rule, ..] => drop(ends.remove(rule)),
                    ["required_score" | "required_hits", value, ..] => {
                        scored.required =
                            value.parse().ok().map(|value| Level { name: SETTING, value, at: at() });
                    }
                    _ => {}
                }
            }
        }
        // Whatever is set for it.
        let ends = ends.into_iter().filter(|_| may_end);
        scored.scores.extend(ends.map(|(rule, score)| (rule.to_owned(), score)));
        for (rule, call) in subtests {
            let [set, pattern, ..] = &call[..] else { continue };
            let mut zones: Vec<Name> = Vec::new();
            for of in scored.sets.iter_mut().filter(|of| of.name == *set) {
                of.rules.push(rule.to_owned());
                zones.push(of.zone.clone());
            }
            for zone in zones {
                scored.rule(rule, &zone.to_string(), of_pattern(pattern));
            }
        }
        scored.asking.clone_from(&scored.rules);
        scored.rules.extend(scored.made_of_one());
        scored
    }

    /// amavis goes by a level of its own.
    pub(in super::super) fn required_by(self, amavis: Option<Amavis>) -> Self {
        let Some(amavis) = amavis else { return self };
        Self { required: amavis.level(), ..self }
    }

    fn asks(&mut self, rule: &str, call: &[String], at: String) {
        let [set, zone, rest @ ..] = call else { return };
        // One that scores nothing is there for those that look into its answer.
        let looks = !rule.starts_with("__") || !rest.is_empty();
        if let Ok(zone) = zone.trim_end_matches('.').parse() {
            let rules = Some(rule.to_owned()).filter(|_| looks).into_iter().collect();
            self.sets.push(Set { name: set.clone(), zone, at, rules });
        }
        if looks {
            self.rule(rule, zone, rest.first().map_or(Filter::Open, |pattern| of_pattern(pattern)));
        }
    }

    fn rule(&mut self, rule: &str, zone: &str, filter: Filter) {
        if let Ok(zone) = zone.trim_end_matches('.').parse() {
            self.rules.entry(rule.to_owned()).or_default().push((zone, filter));
        }
    }

    /// Rules that hold when one of others does, whatever else is not there, such as an allow list.
    fn made_of_one(&self) -> BTreeMap<String, Vec<(Name, Filter)>> {
        let of = |rule: &String| {
            let alone = |asks: &&String| self.holds(rule, &|name| name == asks.as_str());
            self.asking
                .iter()
                .filter(|(asks, _)| alone(asks))
                .flat_map(|(_, looks_for)| looks_for.clone())
                .collect()
        };
        let made: BTreeMap<String, Vec<_>> = self.metas.keys().map(|rule| (rule.clone(), of(rule))).collect();
        made.into_iter()
            .filter(|(rule, looks_for)| !looks_for.is_empty() && !self.holds(rule, &|_| false))
            .collect()
    }

    /// Whether a rule holds where these are there that are made of no others.
    pub(in super::super) fn holds(&self, rule: &str, is_there: &dyn Fn(&str) -> bool) -> bool {
        self.holds_within(rule, is_there, 0)
    }

    fn holds_within(&self, rule: &str, is_there: &dyn Fn(&str) -> bool, depth: usize) -> bool {
        /// Rules that are made of rules that are made of rules.
        const DEPTH: usize = 8;
        match self.metas.get(rule).filter(|_| depth < DEPTH) {
            Some((_, of)) => {
                holds(of, &|name| self.holds_within(name, is_there, depth + 1)).unwrap_or_default()
            }
            None => is_there(rule),
        }
    }

    /// What is wrong. A use that is judged by its score here is taken for weighing elsewhere.
    pub(in super::super) fn judge(&self, mentions: &mut [Mention], served: &Served<'_>) -> Vec<Check> {
        let printed = Program::Spamassassin.text(served.wiring()).unwrap_or_default();
        let required = self.required.as_ref().map_or(REQUIRED, |level| level.value);
        let mut checks = Vec::new();
        let mut weighing: Vec<(f64, &str, &Name)> = Vec::new();
        for (rule, looks_for) in self.rules.iter().filter(|(rule, _)| !rule.starts_with("__")) {
            let Some((score, (zone, _))) = self.scores.get(rule).zip(looks_for.first()) else { continue };
            let Some(least) = score.least() else { continue };
            let uses = uses(looks_for, served);
            if uses.is_empty() {
                continue;
            }
            let is_alone = |wanted: Use| uses.iter().all(|use_| *use_ == wanted);
            let right = |use_| format!("score    {rule} {:.1}", suggested(&printed, rule, use_));
            let mut tell = |use_: Use, rest: String, cause: String| {
                let what = format!("SpamAssassin, {}: {zone} {rest}", score.at);
                let check = Check::bad(Area::Mail, "mail-wrong-use", what).because(cause);
                checks.push(check.cured(in_place(&score.at, right(use_))));
            };
            if is_alone(Use::Allow) && least > FAINT {
                let cause = "who is on an allow list is taken for a spammer for it".to_owned();
                tell(Use::Allow, format!("is for letting in, and {rule} scores {least}"), cause);
            } else if !uses.contains(&Use::Allow) && least < -FAINT {
                for mention in mentions.iter_mut() {
                    let is_of = mention.program == Program::Spamassassin
                        && looks_for
                            .iter()
                            .any(|(zone, filter)| *zone == mention.zone && *filter == mention.filter);
                    if is_of && mention.does == Does::Let {
                        mention.does = Does::Weigh;
                    }
                }
                let use_ = uses.iter().next().copied().unwrap_or(Use::Block);
                let cause = "who is on it is let in for it".to_owned();
                tell(use_, format!("is not for letting in, and {rule} scores {least}"), cause);
            } else if is_alone(Use::Score) && least >= required {
                let cause = format!(
                    "a score list is for weighing, and {required} make a mail spam: it is enough alone"
                );
                tell(Use::Score, format!("is for weighing, and {rule} scores {least}"), cause);
            } else if is_alone(Use::Score) {
                weighing.push((least, rule, zone));
            }
        }
        checks.extend(self.together(&mut weighing, required, &printed));
        checks.extend(self.unheeded(served, required));
        checks.extend(self.short(served, &printed).or_else(|| self.overruled(served, required)));
        checks.extend(self.every_relay(mentions, served));
        checks
    }

    /// Two score lists that are enough.
    fn together(&self, weighing: &mut [(f64, &str, &Name)], required: f64, printed: &str) -> Option<Check> {
        let right = |rule: &str| suggested(printed, rule, Use::Score);
        weighing.sort_by(|one, other| other.0.total_cmp(&one.0));
        let [(one, first, _), (other, second, _), ..] = weighing else { return None };
        if *one + *other < required || *other <= FAINT {
            return None;
        }
        let at = &self.scores.get(*first)?.at;
        let what = format!("SpamAssassin, {at}: {first} and {second} together score {}", *one + *other);
        let check = Check::warn(Area::Mail, "mail-wrong-use", what).because(format!(
            "score lists are for weighing, and {required} make a mail spam: who is on two of them is a spammer"
        ));
        Some(match &self.required {
            Some(level) if level.value < REQUIRED && *one + *other < REQUIRED => check.cured(level.usual()),
            _ if right(first) + right(second) < required => {
                let lines: Vec<String> = weighing
                    .iter()
                    .filter(|(score, rule, _)| *score > right(rule))
                    .map(|(_, rule, _)| format!("score    {rule} {:.1}", right(rule)))
                    .collect();
                check.cured(Cure {
                    how: "SpamAssassin: in the place of the scores that these rules have, and restart what calls it".to_owned(),
                    lines: lines.join("\n"),
                })
            }
            _ => check.cured_by("SpamAssassin: lower scores for them, or a higher required_score"),
        })
    }

    /// Zones that are asked for each relay that a mail came by: those before the last anybody may be, or may have made up.
    fn every_relay(&self, mentions: &[Mention], served: &Served<'_>) -> Vec<Check> {
        let sets = self.sets.iter().filter(|set| !ENDINGS.iter().any(|ending| set.name.ends_with(ending)));
        let checks = sets.filter_map(|Set { zone, at, rules, .. }| {
            let wired = served.zone(zone).filter(|wired| wired.addresses)?;
            let of = mentions
                .iter()
                .find(|mention| mention.program == Program::Spamassassin && mention.zone == *zone)?;
            // What is there to be seen alone does nobody any harm.
            let is_faint = |rule: &String| {
                let values = self.scores.get(rule).map(|score| &score.values[..]).unwrap_or_default();
                !values.is_empty() && values.iter().all(|value| value.abs() <= FAINT)
            };
            if !rules.is_empty() && rules.iter().all(is_faint) {
                return None;
            }
            let what = format!("SpamAssassin, {at}: {zone} is asked for every relay that a mail came by");
            let check = match wired.codes.keys().all(|use_| *use_ == Use::Score) {
                true => Check::warn(Area::Mail, "mail-every-relay", what),
                false => Check::bad(Area::Mail, "mail-every-relay", what),
            };
            let check = check.because(
                "who is listed at home is punished though his provider, who is not, hands his mail over; and a relay that an allow list has \
                 is easily made up. `-lastexternal` behind the name of the set has it ask for the one that brought the mail",
            );
            Some(match served.cure(of, mentions) {
                Some(cure) => check.cured(cure),
                None => check.cured_by("SpamAssassin: put `-lastexternal` behind the name of the set, in all rules that have it"),
            })
        });
        checks.collect()
    }
}

/// What the lists are good for whose codes the rule looks for.
fn uses(looks_for: &[(Name, Filter)], served: &Served<'_>) -> BTreeSet<Use> {
    let all = looks_for.iter().filter_map(|(zone, filter)| Some((served.zone(zone)?, filter)));
    let uses = all.flat_map(|(wired, filter)| {
        let taken = wired.codes.iter().filter(move |(_, codes)| codes.keys().any(|code| filter.lets(*code)));
        taken.map(|(use_, _)| *use_)
    });
    uses.collect()
}

/// What is printed for the rule, or for such a list.
pub(in super::super) fn suggested(printed: &str, rule: &str, use_: Use) -> f64 {
    let line = printed.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("score") && words.next() == Some(rule)).then(|| words.next()?.parse().ok())?
    });
    line.unwrap_or(match use_ {
        Use::Block | Use::Bounce => 6.0,
        Use::Score => 1.5,
        Use::Allow => -5.0,
    })
}

pub(in super::super) fn in_place(at: &str, lines: String) -> Cure {
    Cure { how: format!("SpamAssassin: in the place of the line at {at}, and restart what calls it"), lines }
}

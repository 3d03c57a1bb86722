//! What SpamAssassin's rules come to together, for whom gatepost has listed: whether who is on a block list is spam, and who is on an allow list,
//! too, is not. Pure.
//!
//! Rules that ask others than gatepost are taken for not holding, and so is all else that a rule may be made of.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::super::super::finding::{Area, Check, Cure};
use super::super::cured;
use super::super::judge::Served;
use super::scores::{FAINT, Level, REQUIRED, Score, Scored, in_place, suggested};
use crate::config::Code;
use crate::model::{Name, Use};
use crate::snippet::wiring::WiredZone;

/// Hardly a mail ever scores that.
const NEVER: f64 = 18.0;

/// A zone that answers a code.
type Listing<'a> = (&'a Name, Ipv4Addr);

/// What a listing comes to.
struct Sum<'a> {
    /// The columns of scores may differ.
    least: f64,
    most: f64,
    /// The rule that adds most, and its score.
    of: (&'a str, &'a Score),
}

impl Scored {
    /// Block lists that make spam of whom an allow list has.
    pub(in super::super) fn unheeded(&self, served: &Served<'_>, required: f64) -> Option<Check> {
        let zones = &served.wiring().zones;
        let allowing: Vec<Listing<'_>> = zones.iter().filter_map(|zone| first(zone, Use::Allow)).collect();
        let blocking: Vec<Listing<'_>> = zones.iter().filter_map(|zone| first(zone, Use::Block)).collect();
        // Each alone, and whom all have.
        let sets = blocking.iter().map(std::slice::from_ref).chain([&blocking[..]]);
        let spam = |listed: &[Listing<'_>]| {
            self.sum(listed, false).filter(|sum| sum.least >= required).map(|sum| sum.of)
        };
        let lets_in = |allow: Listing<'_>| self.sum(&[allow], false).is_some_and(|sum| sum.most < -FAINT);
        let (blocked, allow, (rule, score)) =
            sets.filter(|blocked| spam(blocked).is_some()).find_map(|blocked| {
                let unheeded = allowing.iter().filter(|allow| lets_in(**allow)).find_map(|allow| {
                    let both: Vec<Listing<'_>> = blocked.iter().chain([allow]).copied().collect();
                    Some((*allow, spam(&both)?))
                });
                unheeded.map(|(allow, of)| (blocked, allow, of))
            })?;
        let whose: BTreeSet<String> = blocked.iter().map(|(zone, _)| zone.to_string()).collect();
        let whose: Vec<String> = whose.into_iter().collect();
        let what = format!(
            "SpamAssassin, {}: who is on {} is spam although {} has him",
            score.at,
            whose.join(" and "),
            allow.0
        );
        let check = Check::warn(Area::Mail, "mail-allow-unheeded", what).because(format!(
            "an allow list is for letting in: what it scores does not make up for {rule}, and {required} make a mail spam"
        ));
        Some(check.cured(self.heeding(rule, served)))
    }

    /// The rule that looks for allow lists, as it is printed; or all, where what it is made of is not there.
    fn heeding(&self, rule: &str, served: &Served<'_>) -> Cure {
        let whole = cured::whole_spamassassin(served.wiring());
        let printed = |line: &&str| {
            let mut words = line.split_whitespace();
            words.next() == Some("meta") && words.next() == Some(rule)
        };
        let is_there = |name: &str| self.asking.contains_key(name) || self.metas.contains_key(name);
        let meta = whole.lines.lines().find(printed).zip(self.metas.get(rule)).filter(|(line, (_, of))| {
            let printed = super::super::off::made_of(line);
            let names = printed.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            printed != of && names.filter(|name| !name.is_empty()).all(is_there)
        });
        match meta {
            Some((line, (at, _))) => in_place(at, line.to_owned()),
            None => whole,
        }
    }

    /// Lists for rejecting that make no spam, as somebody has raised what makes it and left their scores.
    pub(in super::super) fn short(&self, served: &Served<'_>, printed: &str) -> Option<Check> {
        let level = self.required.as_ref().filter(|level| level.value > REQUIRED)?;
        let Level { name, value: required, at } = level;
        let zones = &served.wiring().zones;
        let allowing: Vec<Listing<'_>> = zones.iter().filter_map(|zone| first(zone, Use::Allow)).collect();
        let mut told: Option<(Name, f64)> = None;
        let mut lines = Vec::new();
        for zone in zones {
            for (use_, codes) in
                zone.codes.iter().filter(|(use_, _)| matches!(use_, Use::Block | Use::Bounce))
            {
                for code in codes.keys() {
                    let mut listed = vec![(&zone.origin, *code)];
                    // What a person blocks stays blocked, whatever allow lists say.
                    if (*use_, *code) == (Use::Block, Code::OVERLAY) {
                        listed.extend(allowing.iter().copied());
                    }
                    let Some(Sum { most, of: (rule, score), .. }) = self.sum(&listed, true) else { continue };
                    let Some(scores) = score.most().filter(|most| *most > FAINT) else { continue };
                    // Who has lowered a score weighs by it.
                    if most >= *required || scores < suggested(printed, rule, *use_) {
                        continue;
                    }
                    told.get_or_insert_with(|| (zone.origin.clone(), most));
                    let line = format!("score    {rule} {:.1}", scores + required - most + 1.0);
                    if !lines.contains(&line) {
                        lines.push(line);
                    }
                }
            }
        }
        let (zone, most) = told?;
        let what = format!("SpamAssassin, {at}: {name} is {required}, and who is on {zone} scores {most}");
        let check = Check::warn(Area::Mail, "mail-weight", what);
        if *required > NEVER {
            return Some(
                check.because("so that hardly a mail is ever spam, listed or not").cured(level.usual()),
            );
        }
        let check = check
            .because("a list for rejecting is not enough alone, and mail from whom it has is no spam for it");
        Some(check.cured(in_place_of_scores(&lines)))
    }

    /// Allow lists that let in whom a person blocks.
    pub(in super::super) fn overruled(&self, served: &Served<'_>, required: f64) -> Option<Check> {
        let zones = &served.wiring().zones;
        let allowing: Vec<Listing<'_>> = zones.iter().filter_map(|zone| first(zone, Use::Allow)).collect();
        let decided = zones.iter().filter(|zone| {
            zone.codes.get(&Use::Block).is_some_and(|codes| codes.contains_key(&Code::OVERLAY))
        });
        let lost = decided.filter_map(|zone| {
            let person = (&zone.origin, Code::OVERLAY);
            // That it is not enough alone is somebody's choice.
            self.sum(&[person], false).filter(|sum| sum.least >= required)?;
            let all: Vec<Listing<'_>> = allowing.iter().copied().chain([person]).collect();
            let Sum { least, of: (rule, score), .. } = self.sum(&all, false)?;
            let enough = score.most()? + required - least + 1.0;
            (least < required).then_some((zone, rule, score, least, enough))
        });
        let lost: Vec<_> = lost.collect();
        let (zone, rule, score, least, _) = lost.first()?;
        let what = format!(
            "SpamAssassin, {}: whom a person blocks in {} scores {least} where allow lists have him",
            score.at, zone.origin
        );
        let check = Check::warn(Area::Mail, "mail-block-unheeded", what).because(format!(
            "what a person blocks counts more than what lists say: {rule} has to make up for what all allow lists score, and {required} make a mail spam"
        ));
        let mut lines: Vec<String> =
            lost.iter().map(|(_, rule, .., enough)| format!("score    {rule} {enough:.1}")).collect();
        lines.dedup();
        Some(check.cured(in_place_of_scores(&lines)))
    }

    /// What who is listed so scores for it. `rest`: whether what else rules are made of may hold. `None`: nothing, or nobody knows.
    fn sum(&self, listed: &[Listing<'_>], rest: bool) -> Option<Sum<'_>> {
        let finds = |rule: &str| {
            self.asking.get(rule).is_some_and(|looks_for| {
                let hits = |(zone, code): &Listing<'_>| {
                    looks_for.iter().any(|(asked, filter)| asked == *zone && filter.lets(*code))
                };
                listed.iter().any(hits)
            })
        };
        let may = |rule: &str| finds(rule) || rest && !self.asking.contains_key(rule);
        let nothing_asked = |rule: &str| rest && !self.asking.contains_key(rule);
        let for_it = |rule: &str| {
            self.holds(rule, &finds) && !self.holds(rule, &|_| false)
                || self.holds(rule, &may) && !self.holds(rule, &nothing_asked)
        };
        let scored = self.scores.iter().filter(|(rule, _)| !rule.starts_with("__") && for_it(rule));
        let scored: Vec<(&str, &Score)> = scored.map(|(rule, score)| (rule.as_str(), score)).collect();
        let of = scored.iter().max_by(|one, other| {
            let most = |score: &Score| score.most().unwrap_or_default();
            most(one.1).total_cmp(&most(other.1))
        });
        let least = scored.iter().map(|(_, score)| score.least()).sum::<Option<f64>>()?;
        let most = scored.iter().map(|(_, score)| score.most()).sum::<Option<f64>>()?;
        Some(Sum { least, most, of: *of? })
    }
}

fn in_place_of_scores(lines: &[String]) -> Cure {
    Cure {
        how: "SpamAssassin: in the place of the scores that these rules have, and restart what calls it"
            .to_owned(),
        lines: lines.join("\n"),
    }
}

/// One code of the zone's that a list answers.
fn first(zone: &WiredZone, use_: Use) -> Option<Listing<'_>> {
    let code = zone.codes.get(&use_)?.keys().find(|code| **code != Code::OVERLAY)?;
    Some((&zone.origin, *code))
}

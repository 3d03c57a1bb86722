//! The same of Exim, statement by statement. Pure.

use std::collections::BTreeSet;

use super::super::super::finding::{Check, Cure};
use super::super::Mention;
use super::super::statement::{List, REFUSING, Statement, line};
use super::{Allowing, told};
use crate::config::Code;
use crate::model::Name;
use crate::snippet::Program;

/// What a condition of Exim's is about.
fn word(condition: &str) -> &str {
    condition.split('=').next().unwrap_or_default().trim()
}

impl<'a> Allowing<'a> {
    /// Each statement that refuses so whom an allow list has that is asked neither there nor by what is none of these.
    pub(super) fn of_exim(&self, mentions: &[Mention]) -> Vec<Check> {
        let statements = self.served.statements();
        let asked = |statement: &'a Statement, is_meant: fn(&List) -> bool| {
            let lists = statement.lists.iter().filter(move |list| is_meant(list));
            lists.flat_map(|list| &list.items).filter_map(|(_, mention)| mention.as_ref())
        };
        let is_refusing = |statement: &&Statement| REFUSING.contains(&&*statement.verb);
        let calls = |statement: &Statement| {
            let mut words = statement.conditions.iter().map(|condition| word(condition));
            words.any(|word| matches!(word, "acl" | "!acl"))
        };
        // What it makes of these is a person's own way: a variable, an `accept` before, an ACL that is called.
        let otherwise =
            statements.iter().flat_map(|statement| match is_refusing(&statement) && !calls(statement) {
                true => asked(statement, |list| !list.is_negated),
                false => asked(statement, |_| true),
            });
        let otherwise: Vec<&Name> = otherwise.map(|mention| &mention.zone).collect();
        let checks = statements.iter().filter(is_refusing).filter_map(|statement| {
            let spared = asked(statement, |list| list.is_negated).map(|mention| &mention.zone);
            let heeded: Vec<&Name> = spared.chain(otherwise.iter().copied()).collect();
            // Who asks a part of a zone asks it.
            let is_heeded = |zone: &Name| {
                let mut parts = self.wiring().narrower.iter().filter(|(_, wider)| wider == zone);
                heeded.contains(&zone)
                    || parts.any(|(part, _)| heeded.contains(&&part.origin))
                    || self.served.may_ask_besides(zone)
            };
            let (mention, zones) = asked(statement, |_| true).find_map(|mention| {
                let mut zones = self.refused_by(mention);
                zones.retain(|zone| !is_heeded(zone));
                (!zones.is_empty()).then_some((mention, zones))
            })?;
            let check = told(mention, &zones);
            let allowed = line(true, &[self.allowed(&zones)]);
            Some(match self.of_statement(statement, &allowed, mentions) {
                Some(cure) => check.cured(cure),
                None => check.cured_by(format!(
                    "Exim: put the line `{allowed}` into the statement that begins at {}",
                    statement.at
                )),
            })
        });
        checks.collect()
    }

    fn of_statement(&self, statement: &Statement, allowed: &str, mentions: &[Mention]) -> Option<Cure> {
        let mut lists = statement.lists.iter().filter(|list| !list.is_negated);
        let (Some(list), None) = (lists.next(), lists.next()) else { return None };
        let decided: BTreeSet<String> = list
            .items
            .iter()
            .filter_map(|(_, mention)| mention.as_ref())
            .filter(|mention| self.decides(mention) && !self.is_decided_before(mention, &list.at, mentions))
            .map(|mention| format!("{}={}", mention.zone, Code::OVERLAY))
            .collect();
        let written = |conditions: Vec<String>| {
            let lines: String = conditions.iter().map(|condition| format!("\n    {condition}")).collect();
            format!("  {}{lines}", statement.verb)
        };
        let mut statements = Vec::new();
        if !decided.is_empty() {
            let decided = line(false, &decided.into_iter().collect::<Vec<_>>());
            let conditions = statement.conditions.iter().filter(|condition| word(condition) != "!dnslists");
            let conditions = conditions.map(|condition| match word(condition) {
                "dnslists" => decided.clone(),
                _ => condition.clone(),
            });
            statements.push(written(conditions.collect()));
        }
        let conditions = statement.conditions.iter().flat_map(|condition| {
            let allow = (word(condition) == "dnslists").then(|| allowed.to_owned());
            allow.into_iter().chain([condition.clone()])
        });
        statements.push(written(conditions.collect()));
        Some(Cure {
            how: format!("Exim: in the place of the whole statement that begins at {}", statement.at),
            lines: statements.join("\n\n"),
        })
    }

    /// As Exim asks these.
    fn allowed(&self, zones: &BTreeSet<Name>) -> String {
        let text = Program::Exim.text(self.wiring()).unwrap_or_default();
        let list = text.lines().find_map(|text| text.trim().strip_prefix("!dnslists = "));
        let is_meant = |item: &&str| zones.iter().any(|zone| item.starts_with(&format!("{zone}=")));
        list.into_iter().flat_map(|list| list.split(" : ")).filter(is_meant).collect::<Vec<_>>().join(" : ")
    }

    fn is_decided_before(&self, mention: &Mention, at: &str, mentions: &[Mention]) -> bool {
        let others = mentions.iter().filter(|other| other.program == Program::Exim && other.at != at);
        let mut alike = others.filter(|other| other.zone == mention.zone && self.decides(other));
        alike.any(|other| self.refused_by(other).is_empty())
    }
}

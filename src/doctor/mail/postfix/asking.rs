//! Which restrictions of a list ask: by themselves, or by a class that they name, with the table that names it. Each is moved whole. Pure.

use super::super::Does;
use super::again::CLASSES;
use super::config::Parameters;
use super::restrictions::{Question, Restriction, naming, questions, restrictions, words};
use crate::model::Name;

/// A restriction that asks.
#[derive(Debug)]
pub(super) struct Asking {
    /// As it stands in the list.
    text: String,
    asks: Vec<Asked>,
}

/// What it asks, in its class or in its place.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    does: Does,
    zone: Option<Name>,
    /// Somebody comes as far.
    is_reached: bool,
    /// Which of one's own people were let pass before.
    spares: [bool; 2],
}

impl Asking {
    /// As it is pasted into a list.
    pub(super) fn line(&self) -> String {
        format!("    {},", self.text)
    }

    pub(super) fn is_reached(&self) -> bool {
        self.asks.iter().any(|asks| asks.is_reached)
    }

    /// Those that refuse whom a list has.
    pub(super) fn refusing(&self) -> impl Iterator<Item = &Asked> {
        self.asks.iter().filter(|asks| asks.does == Does::Reject && asks.is_reached)
    }

    pub(super) fn zones(&self) -> impl Iterator<Item = Name> {
        self.refusing().filter_map(|asks| asks.zone.clone())
    }

    /// Whether these people are not let pass before all that it asks.
    pub(super) fn is_before(&self, own: usize) -> bool {
        self.asks.iter().any(|asks| !asks.spares[own])
    }
}

impl Asked {
    fn of(question: &Question<'_>) -> Self {
        Self {
            does: question.does,
            zone: question.mention("").map(|mention| mention.zone),
            is_reached: question.barred.is_none(),
            spares: question.spares,
        }
    }

    pub(super) fn spares(&self, own: usize) -> bool {
        self.spares[own]
    }
}

/// Those of a value, in its order.
pub(super) fn asking(value: &str, parameters: &Parameters) -> Vec<Asking> {
    let classes = parameters.get(CLASSES).map_or("", String::as_str);
    let classes: Vec<&str> = words(classes).filter(|class| parameters.contains_key(*class)).collect();
    let null = parameters.get("smtpd_null_access_lookup_key").map_or("<>", String::as_str);
    let mut before = String::new();
    let mut all = Vec::new();
    for Restriction { text, word, argument, .. } in restrictions(value) {
        let is_class = argument.is_none() && classes.contains(&word);
        let named = |class: &&&str| is_class && word == **class || !naming(&text, class, null).is_empty();
        let within: Vec<&str> = match is_class || word.starts_with("check_") {
            true => classes.iter().filter(named).map(|class| parameters[*class].as_str()).collect(),
            false => vec![text.as_str()],
        };
        let asks: Vec<Asked> = within.into_iter().flat_map(|within| behind(&before, within)).collect();
        // Whom a class lets pass that a table names it lets pass for those alone whom the table has.
        let goes_on = if is_class { parameters[word].as_str() } else { text.as_str() };
        before = format!("{before} {goes_on}");
        if !asks.is_empty() {
            all.push(Asking { text, asks });
        }
    }
    all
}

/// What a part of a list asks that stands behind another.
fn behind(before: &str, part: &str) -> Vec<Asked> {
    let all = format!("{before} {part}");
    questions(&all).iter().skip(questions(before).len()).map(Asked::of).collect()
}

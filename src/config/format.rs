//! How a list's text is written: the format and what goes with it.

use super::problem::{At, Problem, Problems};
use super::read::keys;
use crate::parse::{Column, Columns, Format, Options};

keys! {
    /// How a list is written.
    pub(crate) struct FormatKeys {
        "format" format: Format,
        "column" column: String,
        "note-column" note_column: String,
        "notes" notes: bool,
        "subdomains" subdomains: bool,
    }
}

impl FormatKeys {
    /// What they say together; `None` when that is nothing.
    pub(crate) fn resolve(&self, problems: &mut Problems) -> Option<(Format, Options)> {
        let format = self.format.as_ref()?;
        let is_csv = format.value == Format::Csv;
        for column in [&self.column, &self.note_column].into_iter().flatten().filter(|_| !is_csv) {
            let message = format!("`{}` has no columns with names", format.value);
            problems
                .push(Problem::new(&column.place, message).help("expected beside `format = \"csv\"` only"));
        }
        if is_csv && self.column.is_none() {
            let problem = Problem::new(&format.place, "which column holds the address?");
            problems.push(problem.help("expected `column = \"NAME\"`"));
        }
        let titled = |at: &At<String>| Column::Titled(at.value.clone());
        let mut options = Options::default();
        if is_csv {
            options.columns = Columns {
                address: self.column.as_ref().map(titled)?,
                note: self.note_column.as_ref().map(titled),
            };
        }
        self.change(&mut options);
        Some((format.value, options))
    }

    /// What may be said beside a feed of the catalogue, too.
    pub(crate) fn change(&self, options: &mut Options) {
        if let Some(notes) = &self.notes {
            options.notes = notes.value;
        }
        if let Some(subdomains) = &self.subdomains {
            options.names_cover_subdomains = subdomains.value;
        }
    }

    /// Reports what only the catalogue may say of its feeds.
    pub(crate) fn refuse_beside_feed(&self, problems: &mut Problems) {
        let places = [
            ("format", self.format.as_ref().map(|at| &at.place)),
            ("column", self.column.as_ref().map(|at| &at.place)),
            ("note-column", self.note_column.as_ref().map(|at| &at.place)),
        ];
        for (key, place) in places {
            if let Some(place) = place {
                let message = format!("`{key}` beside `feed`: the catalogue says how a feed is written");
                problems.push(Problem::new(place, message));
            }
        }
    }
}

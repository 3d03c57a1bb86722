//! How a list's text is written: the format and what goes with it.

use std::time::Duration;

use super::problem::{At, Place, Problem, Problems};
use super::read::keys;
use crate::model::Ttl;
use crate::parse::{Column, Columns, Format, Options, RbldnsdOptions};

keys! {
    /// How a list is written.
    pub(crate) struct FormatKeys {
        "format" format: Format,
        "column" column: String,
        "note-column" note_column: String,
        "notes" notes: bool,
        "subdomains" subdomains: bool,
        "host-bits" host_bits: bool,
        "ttl-default" ttl_default: Duration,
        "ttl-min" ttl_min: Duration,
        "ttl-max" ttl_max: Duration,
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
        if format.value.is_rbldnsd() {
            options.rbldnsd = self.rbldnsd(problems);
        } else {
            for (key, place) in self.of_rbldnsd() {
                let Some(place) = place else { continue };
                let message = format!("`{key}` says nothing about `{}`", format.value);
                problems
                    .push(Problem::new(place, message).help("expected beside one of rbldnsd's formats only"));
            }
        }
        self.change(&mut options);
        Some((format.value, options))
    }

    /// How rbldnsd's files are read.
    fn rbldnsd(&self, problems: &mut Problems) -> RbldnsdOptions {
        let default = RbldnsdOptions::default();
        let mut ttl = |key: &Option<At<Duration>>, default: Ttl| {
            let Some(at) = key else { return default };
            let seconds = Ttl::try_from(at.value.as_secs())
                .ok()
                .filter(|&seconds| seconds <= RbldnsdOptions::default().max_ttl);
            seconds.unwrap_or_else(|| {
                let problem = Problem::new(&at.place, "longer than a TTL can be");
                problems.push(problem.help("expected 68 years at most"));
                default
            })
        };
        let min_ttl = ttl(&self.ttl_min, default.min_ttl);
        let max_ttl = ttl(&self.ttl_max, default.max_ttl);
        let said_default = ttl(&self.ttl_default, default.default_ttl);
        let bounds = [&self.ttl_min, &self.ttl_max].into_iter().flatten().next_back();
        match (&self.ttl_default, bounds) {
            (_, Some(at)) if min_ttl > max_ttl => {
                problems.push(Problem::new(&at.place, "`ttl-min` is above `ttl-max`"));
            }
            (Some(at), Some(_)) if !(min_ttl..=max_ttl).contains(&said_default) => {
                problems.push(Problem::new(&at.place, "`ttl-default` lies outside `ttl-min` and `ttl-max`"));
            }
            _ => {}
        }
        RbldnsdOptions {
            host_bits: self.host_bits.as_ref().is_some_and(|at| at.value),
            default_ttl: said_default.min(max_ttl).max(min_ttl),
            min_ttl,
            max_ttl,
        }
    }

    /// What rbldnsd's formats alone can be told, and where it stands.
    fn of_rbldnsd(&self) -> [(&'static str, Option<&Place>); 4] {
        [
            ("host-bits", self.host_bits.as_ref().map(|at| &at.place)),
            ("ttl-default", self.ttl_default.as_ref().map(|at| &at.place)),
            ("ttl-min", self.ttl_min.as_ref().map(|at| &at.place)),
            ("ttl-max", self.ttl_max.as_ref().map(|at| &at.place)),
        ]
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
        for (key, place) in places.into_iter().chain(self.of_rbldnsd()) {
            if let Some(place) = place {
                let message = format!("`{key}` beside `feed`: the catalogue says how a feed is written");
                problems.push(Problem::new(place, message));
            }
        }
    }
}

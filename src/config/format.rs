//! The form of a list's text, by name.

use std::fmt;

use super::problem::{At, Problem, Problems};
use super::read::FormatName;

/// A form that the parsers know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Format {
    name: &'static str,
    /// Of a CSV file: the column with the address, by its name.
    pub column: Option<String>,
}

/// The names of all forms.
pub(crate) const NAMES: [&str; 9] =
    ["plain", "drop", "drop-json", "netset", "csv", "dshield", "hosts", "names", "rbldnsd:ip4set"];

impl Format {
    /// By its name.
    pub fn new(name: &str, column: Option<String>) -> Option<Self> {
        NAMES.iter().find(|known| **known == name).map(|name| Self { name, column })
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

/// The form named by `format` and `column` together.
pub(crate) fn check_format(
    name: &At<FormatName>,
    column: Option<&At<String>>,
    problems: &mut Problems,
) -> Option<Format> {
    let is_csv = name.value.0 == "csv";
    match column {
        Some(column) if !is_csv => {
            let message = format!("`{}` has no columns with names", name.value.0);
            problems
                .push(Problem::new(&column.place, message).help("expected beside `format = \"csv\"` only"));
            return None;
        }
        None if is_csv => {
            problems.push(
                Problem::new(&name.place, "which column holds the address?")
                    .help("expected `column = \"NAME\"`"),
            );
            return None;
        }
        _ => {}
    }
    Format::new(name.value.0, column.map(|at| at.value.clone()))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

//! Who is asked for what: two lists of one URL would ask its publisher twice within its floor, which each list keeps for itself.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Url;

use super::spot;
use crate::config::list::ListConfig;
use crate::config::problem::{At, Place, Problem, Problems};
use crate::config::urls::{question, shown};
use crate::config::words::Slug;

/// Which list asks where.
#[derive(Default)]
pub(super) struct Asked(BTreeMap<String, (Slug, Place)>);

impl Asked {
    /// Notes whom `list` asks; `places`: where its URLs stand, or the feed that they are of.
    pub(super) fn note(&mut self, list: &ListConfig, places: &[Place], problems: &mut Problems) {
        let Some(last) = places.last() else { return };
        for (number, url) in list.source.urls().iter().enumerate() {
            let Some(one) = question(url) else { continue };
            let place = places.get(number).unwrap_or(last);
            match self.0.get(&one) {
                None => {
                    self.0.insert(one, (list.name.clone(), place.clone()));
                }
                Some((first, _)) if *first == list.name => {}
                Some((first, at)) => {
                    let message = format!("list `{first}` asks {} already", shown(url));
                    let help = format!(
                        "its publisher would be asked twice ({first} does {}); expected one list, which several zones can have",
                        spot(at)
                    );
                    problems.push(Problem::new(place, message).help(help));
                }
            }
        }
    }
}

/// One URL twice in `urls` would be asked twice in a row.
pub(crate) fn check_twice<T>(typed: &[At<T>], url: impl Fn(&T) -> &Url, problems: &mut Problems) {
    let mut seen = BTreeSet::new();
    for at in typed {
        let url = url(&at.value);
        // In the clear it may be a way that is there when the other is not.
        if question(url).is_some_and(|one| !seen.insert((url.scheme(), one))) {
            problems.push(Problem::new(&at.place, format!("{} is in the list twice", shown(url))));
        }
    }
}

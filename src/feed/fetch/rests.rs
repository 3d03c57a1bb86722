//! Servers that want to be left alone, whatever list, mirror or redirect leads there; and where a list has been asked for already.
//!
//! Both are of one sync: how long servers rest beyond it stands in the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Url;

use super::Trouble;
use super::problem::Problem;
use super::turns::host;
use crate::feed::schedule::obeyed;

/// Until when which server wants to be left alone.
#[derive(Debug, Clone, Default)]
pub struct Rests(Arc<Mutex<BTreeMap<String, Instant>>>);

impl Rests {
    /// It wants to be for so long.
    pub fn note(&self, server: &str, left: Duration) {
        let until = Instant::now() + Duration::from_secs(obeyed(left.as_secs()));
        let mut all = self.0.lock().expect("no holder panics");
        let known = all.entry(server.to_owned()).or_insert(until);
        *known = until.max(*known);
    }

    /// Somebody knows what it risks to ask it.
    pub fn lift(&self, url: &Url) {
        if let Some(server) = server(url) {
            self.0.lock().expect("no holder panics").remove(&server);
        }
    }

    /// How long the server of `url` still wants to be.
    pub fn left(&self, url: &Url) -> Option<Duration> {
        let all = self.0.lock().expect("no holder panics");
        let left = all.get(&server(url)?)?.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Why `at` is not asked for what stands at `asked`. Who has led there has answered, and is not asked again for as long.
    pub(super) fn refuses(&self, at: &Url, asked: &Url) -> Option<Problem> {
        let left = self.left(at)?;
        if at == asked {
            return Some(Problem::unreached("passed over: its server asked to be left alone"));
        }
        let server = server(at)?;
        let what = format!("passed over: it leads to {server}, which asked to be left alone");
        Some(Problem { retry_after: Some(left), ..Problem::answered(what) })
    }
}

/// Where a list has been asked for: two mirrors may lead to one place.
#[derive(Debug, Clone, Default)]
pub struct Asked(Arc<Mutex<BTreeSet<Url>>>);

impl Asked {
    /// What came of asking there, not more of it.
    pub(super) fn note(&self, at: &Url) {
        self.0.lock().expect("no holder panics").insert(without_fragment(at));
    }

    /// Why `at` is not asked for what stands at `asked`.
    pub(super) fn refuses(&self, at: &Url, asked: &Url) -> Option<Problem> {
        if !self.0.lock().expect("no holder panics").contains(&without_fragment(at)) {
            return None;
        }
        let trouble = if at == asked { Trouble::Unreached } else { Trouble::Answered };
        Some(Problem::new(trouble, "passed over: another place led where it does, and that was of no use"))
    }
}

fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

/// What tells servers apart: a host by any way, at the port of that way; another port has another server.
pub(crate) fn server(url: &Url) -> Option<String> {
    let host = host(url)?;
    let own = match url.scheme() {
        "rsync" => 873,
        "rsync+ssh" => 22,
        // Of http and https the parser knows it.
        _ => 0,
    };
    Some(match url.port().filter(|port| *port != own) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn a_server_rests_for_every_way_to_it() {
        let rests = Rests::default();
        rests.note("a.example", Duration::from_secs(60));
        rests.note("a.example", Duration::from_secs(30));
        for way in [
            "https://a.example/l",
            "http://A.example./other",
            "https://a.example:443/",
            "rsync://A.EXAMPLE:873/m/l",
            "rsync+ssh://u@a.example:22/l",
        ] {
            assert!(rests.left(&url(way)).is_some_and(|left| left > Duration::from_secs(50)), "{way}");
        }
        for other in
            ["https://b.example/l", "https://a.example:8443/l", "rsync://a.example:8730/m/l", "file:///l"]
        {
            assert_eq!(rests.left(&url(other)), None, "{other}");
        }
        rests.note("b.example", Duration::ZERO);
        assert_eq!(rests.left(&url("https://b.example/")), None);
        rests.note("b.example", Duration::MAX);
        assert!(rests.left(&url("https://b.example/")).is_some());
        rests.lift(&url("https://a.example/l"));
        assert_eq!(rests.left(&url("https://a.example/l")), None);
    }

    #[test]
    fn a_place_is_asked_once_whoever_leads_there() {
        let asked = Asked::default();
        let (at, first) = (url("https://a.example/l"), url("https://m.example/l"));
        assert!(asked.refuses(&at, &first).is_none());
        asked.note(&url("https://a.example/l#x"));
        // Who led there was burdened; who is not asked was not.
        assert_eq!(asked.refuses(&at, &first).unwrap().trouble, Trouble::Answered);
        assert_eq!(asked.refuses(&at, &at).unwrap().trouble, Trouble::Unreached);
        assert!(asked.refuses(&url("https://a.example/l?other"), &first).is_none());
    }
}

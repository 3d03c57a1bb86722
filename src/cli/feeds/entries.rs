//! What there is to choose from: the catalogue's feeds, the embedded list, lists that are no more; and what of it the
//! configuration has.

use anyhow::anyhow;
use serde_json::{Value, json};

use super::super::failure::Usage;
use super::super::locate::EitherArgs;
use super::super::output::{WARN, styled, talk};
use crate::config::{
    Code, Config, Feed, Feeds, Fetch, Kind, ListConfig, NotOffered, Retired, Slug, bogons, did_you_mean,
};
use crate::feed::catalogue;
use crate::model::{Name, Use};

/// The catalogue, and the configuration if there is one.
pub(super) struct Entries {
    feeds: Feeds,
    embedded: ListConfig,
    config: Option<Config>,
}

/// Something that can be chosen, or could be once.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    Feed(&'a Feed),
    Embedded(&'a ListConfig),
    Retired(&'static Retired),
    NotOffered(&'static NotOffered),
}

/// What stands between a feed and its use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum State {
    /// The configuration has it
    Enabled,
    /// Anyone may fetch it, and the configuration does not have it
    Disabled,
    /// It needs an account, a contract or an agreement
    Registered,
    /// It is no more
    Retired,
    /// It is no feed here, for a reason
    NotOffered,
}

/// So many names are told of those that say something like what was typed.
const MOST_LIKE: usize = 5;

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Registered => "registered",
            Self::Retired => "retired",
            Self::NotOffered => "not-offered",
        }
    }
}

impl Entries {
    /// With the configuration that `from` names or that stands in its usual place. One that cannot be read says so on
    /// stderr and hides nothing of the catalogue.
    pub(super) fn read(from: &EitherArgs) -> anyhow::Result<Self> {
        let config = match from.read_if_any() {
            Err(error) if from.is_given() => return Err(error),
            Err(error) => {
                let first = error.to_string().lines().next().unwrap_or_default().to_owned();
                talk(styled(WARN, format_args!("what is enabled cannot be told: {first}")));
                None
            }
            Ok(config) => config,
        };
        let folder = config.as_ref().and_then(|config| config.reloadable.sync.catalogue.clone());
        Ok(Self { feeds: catalogue::load(folder.as_deref())?, embedded: bogons(), config })
    }

    /// All of them, what cannot be chosen last.
    pub(super) fn all(&self) -> Vec<Entry<'_>> {
        let mut all: Vec<Entry<'_>> =
            self.feeds.iter().map(Entry::Feed).chain([Entry::Embedded(&self.embedded)]).collect();
        all.sort_by(|a, b| a.name().cmp(b.name()));
        // An own catalogue may have what the program takes for dead.
        all.extend(
            Retired::all().iter().filter(|old| self.feeds.feed(&old.name).is_none()).map(Entry::Retired),
        );
        let is_new = |list: &&NotOffered| self.feeds.feed(&list.name).is_none();
        all.extend(NotOffered::all().iter().filter(is_new).map(Entry::NotOffered));
        all
    }

    /// The one of that name, or of a zone that it answered in.
    pub(super) fn called(&self, typed: &str) -> anyhow::Result<Entry<'_>> {
        let name = typed.parse::<Slug>().ok();
        let found = name.as_ref().and_then(|name| {
            let named = self.all().into_iter().find(|entry| entry.name() == name);
            let named = named.or_else(|| Retired::called(name).map(Entry::Retired));
            named.or_else(|| NotOffered::called(name).map(Entry::NotOffered))
        });
        let zone = || typed.parse::<Name>().ok().and_then(|zone| Retired::of_zone(&zone)).map(Entry::Retired);
        found.or_else(zone).ok_or_else(|| {
            let mut hint = did_you_mean(typed, self.all().iter().map(|entry| entry.name().as_str()));
            let like = self.all().into_iter().filter(|entry| entry.words().contains(&typed.to_lowercase()));
            let like: Vec<String> = like.map(|entry| format!("`{}`", entry.name())).take(MOST_LIKE).collect();
            if hint.is_empty() && !like.is_empty() {
                hint = format!(" (there is {})", like.join(", "));
            }
            anyhow!(Usage(format!(
                "no feed `{typed}` in the catalogue{hint}; `gatepost feeds` shows them all"
            )))
        })
    }

    /// The configuration's lists of this feed.
    pub(super) fn lists(&self, entry: Entry<'_>) -> impl Iterator<Item = &ListConfig> {
        let name = entry.name().clone();
        let lists = self.config.iter().flat_map(|config| config.reloadable.lists.values());
        lists.filter(move |list| list.feed.as_ref() == Some(&name))
    }

    /// The zones that have this list, as one that answers or as an exception.
    pub(super) fn zones(&self, list: &Slug) -> Vec<String> {
        let zones = self.config.iter().flat_map(|config| &config.reloadable.zones);
        zones.filter(|zone| zone.lists().any(|of| of == list)).map(|zone| zone.origin.to_string()).collect()
    }

    pub(super) fn state(&self, entry: Entry<'_>) -> State {
        match entry {
            Entry::Retired(_) => State::Retired,
            Entry::NotOffered(_) => State::NotOffered,
            _ if self.lists(entry).next().is_some() => State::Enabled,
            Entry::Feed(Feed { terms, .. }) if terms.fetch != Fetch::Anyone => State::Registered,
            Entry::Feed(_) | Entry::Embedded(_) => State::Disabled,
        }
    }

    /// What a line of `list` says, as JSON.
    pub(super) fn brief(&self, entry: Entry<'_>) -> Value {
        json!({
            "name": entry.name(),
            "title": entry.title(),
            "use": entry.use_().map(|use_| use_.to_string()),
            "kind": entry.kind().map(Kind::word),
            "code": entry.code(),
            "state": self.state(entry).word(),
            "lists": self.lists(entry).map(|list| &list.name).collect::<Vec<_>>(),
        })
    }
}

impl<'a> Entry<'a> {
    pub(super) fn name(self) -> &'a Slug {
        match self {
            Self::Feed(feed) => &feed.name,
            Self::Embedded(list) => &list.name,
            Self::Retired(retired) => &retired.name,
            Self::NotOffered(list) => &list.name,
        }
    }

    pub(super) fn title(self) -> &'a str {
        match self {
            Self::Feed(feed) => &feed.title,
            Self::Embedded(list) => &list.title,
            Self::Retired(retired) => &retired.title,
            Self::NotOffered(list) => &list.title,
        }
    }

    pub(super) fn use_(self) -> Option<Use> {
        match self {
            Self::Feed(feed) => Some(feed.use_),
            Self::Embedded(list) => Some(list.use_),
            Self::Retired(_) | Self::NotOffered(_) => None,
        }
    }

    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Feed(feed) => Some(feed.kind),
            Self::Embedded(_) => Some(Kind::Reserved),
            Self::Retired(_) | Self::NotOffered(_) => None,
        }
    }

    pub(super) fn code(self) -> Option<String> {
        let code: Option<Code> = match self {
            Self::Feed(feed) => Some(feed.code),
            Self::Embedded(list) => list.code,
            Self::Retired(_) | Self::NotOffered(_) => None,
        };
        code.map(|code| code.to_string())
    }

    /// Everything that a search looks at.
    pub(super) fn words(self) -> String {
        let mut words = vec![self.name().to_string(), self.title().to_owned()];
        words.extend(self.kind().map(|kind| kind.word().to_owned()));
        match self {
            Self::Feed(feed) => {
                words.push(feed.homepage.clone());
                words.extend(feed.urls.iter().map(ToString::to_string));
                if let Fetch::Registered { access } = &feed.terms.fetch {
                    words.push(access.clone());
                }
            }
            Self::Embedded(_) => {}
            Self::Retired(retired) => {
                words.extend(retired.also.iter().map(ToString::to_string));
                words.extend(retired.zones.iter().map(ToString::to_string));
                words.push(retired.reason.clone());
            }
            Self::NotOffered(list) => {
                words.extend(list.also.iter().map(ToString::to_string));
                words.push(list.reason.clone());
            }
        }
        words.join("\n").to_lowercase()
    }
}

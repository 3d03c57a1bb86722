//! What the catalogue says of a feed, and the reader of its files (`zones/feeds/NAME.toml`).
//!
//! Which files make up the catalogue is `feed::catalogue`'s business.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use super::defaults;
use super::file::LimitKeys;
use super::format::FormatKeys;
use super::list::Ages;
use super::problem::{At, Document, Place, Problem, Problems, did_you_mean};
use super::reach::check_private;
use super::read::{Table, document, from_string, from_word, keys, parse};
use super::resolve::check_twice;
use super::toml_files;
use super::values::{FeedUrl, HttpUrl, Text};
use super::words::{Code, Slug};
use crate::guard::entries::Limits;
use crate::model::Use;
use crate::parse::{Format, Options};

/// What somebody publishes.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// Its name, the same for ever.
    pub name: Slug,
    /// A line for people.
    pub title: String,
    /// Where it is: the same content at each, tried in order. None when it is for registered users, each of whom has
    /// a place of their own.
    pub urls: Vec<Url>,
    /// How it is written.
    pub format: Format,
    /// What the parser is told besides.
    pub options: Options,
    /// What it is good for.
    pub use_: Use,
    /// Its code, the same for ever (`zones/codes.txt`).
    pub code: Code,
    /// What to say of an address on it.
    pub text: String,
    /// What gets an address onto it.
    pub kind: Kind,
    /// Where to look an address up, and how to get it off.
    pub lookup: Option<String>,
    /// Its publisher's page.
    pub homepage: String,
    /// On what conditions.
    pub terms: Terms,
    /// Least time between two fetches.
    pub floor: Duration,
    /// When it is too old.
    pub ages: Ages,
    /// What it must look like.
    pub limits: Limits,
    /// Largest body, in octets.
    pub max_size: u64,
    /// May be fetched from loopback and private addresses.
    pub allow_private: bool,
    /// It is marked for `gatepost up`.
    pub up: bool,
}

impl Feed {
    /// Whether `gatepost up` serves it: it is marked for that, and anyone may fetch it.
    pub fn is_for_up(&self) -> bool {
        self.up && self.terms.fetch == Fetch::Anyone
    }
}

/// What gets an address onto a feed: what its owner has to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The address itself sent abuse.
    Abuse,
    /// The machine is in somebody else's hands: infected, broken into, an open proxy.
    Exploited,
    /// By its provider's or the list's rules no mail comes from there: space of homes, addresses without a name.
    Policy,
    /// The whole network is in the hands of abusers.
    Network,
    /// Other addresses around it sent abuse.
    Neighbourhood,
    /// The address sent bounces for mail that it never got.
    Backscatter,
    /// An anonymising relay: tells nothing of who is behind it.
    Anonymiser,
    /// Space that cannot send mail at all.
    Reserved,
    /// Names, of domains and hosts, instead of addresses.
    Names,
    /// Well-behaved senders.
    Welcome,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Abuse,
        Self::Exploited,
        Self::Policy,
        Self::Network,
        Self::Neighbourhood,
        Self::Backscatter,
        Self::Anonymiser,
        Self::Reserved,
        Self::Names,
        Self::Welcome,
    ];

    /// As feed files say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Abuse => "abuse",
            Self::Exploited => "exploited",
            Self::Policy => "policy",
            Self::Network => "network",
            Self::Neighbourhood => "neighbourhood",
            Self::Backscatter => "backscatter",
            Self::Anonymiser => "anonymiser",
            Self::Reserved => "reserved",
            Self::Names => "names",
            Self::Welcome => "welcome",
        }
    }
}

/// On what conditions a feed is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Them, in a sentence or two.
    pub text: String,
    /// Who may fetch it.
    pub fetch: Fetch,
    /// Who may be given a copy.
    pub redistribute: Redistribute,
}

/// Who may fetch a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetch {
    /// Anyone.
    Anyone,
    /// Those who have registered, paid or been let in.
    Registered {
        /// How to become one of them, in a sentence.
        access: String,
    },
}

/// Who may be given a copy of a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redistribute {
    /// Nobody.
    Never,
    /// Machines of the same organisation.
    Internal,
    /// Anyone.
    Public,
}

impl Redistribute {
    /// As feed files say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Internal => "internal",
            Self::Public => "public",
        }
    }
}

/// The feeds of a catalogue, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Feeds(BTreeMap<Slug, Feed>);

impl Feeds {
    /// The feed called `name`.
    pub fn feed(&self, name: &Slug) -> Option<&Feed> {
        self.0.get(name)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Feed> {
        self.0.values()
    }

    /// Those that `gatepost up` serves.
    pub fn for_up(&self) -> impl Iterator<Item = &Feed> {
        self.iter().filter(|feed| feed.is_for_up())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads all `*.toml` in a folder.
    pub fn read_folder(folder: &Path) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let documents: Vec<_> = toml_files(folder, true, &mut problems)
            .iter()
            .filter_map(|path| document(path, &mut problems))
            .collect();
        let feeds = Self::read(documents.iter().map(|document| (&*document.path, &*document.text)));
        match feeds {
            Ok(feeds) => problems.or(|| feeds),
            Err(others) => {
                problems.extend(others);
                Err(problems)
            }
        }
    }

    /// Reads the feed files `(path, text)`; the path is for messages, its last part names the feed.
    pub fn read<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<Self, Problems> {
        let mut feeds = BTreeMap::new();
        let mut codes: BTreeMap<Code, Slug> = BTreeMap::new();
        let mut problems = Problems::default();
        for (path, text) in files {
            let document = Arc::new(Document { path: path.to_owned(), text: text.to_owned() });
            let Some((feed, code_at)) = read_feed(&document, &mut problems) else { continue };
            if let Some(other) = codes.insert(feed.code, feed.name.clone()) {
                let message = format!("code {} is `{other}`'s already", feed.code);
                problems
                    .push(Problem::new(&code_at, message).help("expected a code of its own for each feed"));
            }
            feeds.insert(feed.name.clone(), feed);
        }
        problems.or(|| Self(feeds))
    }
}

from_string!(
    Kind,
    "\"abuse\", \"exploited\", \"policy\", \"network\", \"neighbourhood\", \"backscatter\", \"anonymiser\", \"reserved\", \
     \"names\" or \"welcome\"",
    |text| Kind::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
        let hint = did_you_mean(text, Kind::ALL.map(Kind::word));
        format!("unknown word `{text}`{hint}")
    })
);

/// [`Fetch`] as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FetchWord {
    Anyone,
    Registered,
}

from_word!(FetchWord, "\"anyone\" or \"registered\"", {
    "anyone" => FetchWord::Anyone,
    "registered" => FetchWord::Registered,
});

from_word!(Redistribute, "\"never\", \"internal\" or \"public\"", {
    "never" => Redistribute::Never,
    "internal" => Redistribute::Internal,
    "public" => Redistribute::Public,
});

keys! {
    /// The keys of a feed file, but `urls`, `terms` and those of [`FormatKeys`] and [`LimitKeys`].
    pub(crate) struct FeedKeys {
        "name" name: Slug,
        "title" title: String,
        "use" use_: Use,
        "code" code: Code,
        "text" text: Text,
        "kind" kind: Kind,
        "lookup" lookup: Text,
        "homepage" homepage: HttpUrl,
        "floor" floor: Duration,
        "allow-private" allow_private: bool,
        "up" up: bool,
    }
}

keys! {
    /// The keys of the table `terms`.
    pub(crate) struct TermsKeys {
        "text" text: String,
        "fetch" fetch: FetchWord,
        "access" access: String,
        "redistribute" redistribute: Redistribute,
    }
}

fn read_feed(document: &Arc<Document>, problems: &mut Problems) -> Option<(Feed, Place)> {
    let entries = parse(document, problems)?;
    let mut table = Table::root(document.clone(), &entries);
    let required = ["name", "title", "format", "use", "code", "text", "kind", "homepage", "floor", "terms"];
    table.require(&required, problems);
    let keys = FeedKeys::read(&mut table, problems);
    let format_keys = FormatKeys::read(&mut table, problems);
    let limit_keys = LimitKeys::read(&mut table, problems);
    let urls = table.array::<FeedUrl>("urls", problems);
    if let (Some([]), Some(place)) = (urls.as_deref(), table.place_of("urls")) {
        problems.push(Problem::new(&place, "no URL").help("expected at least one"));
    }
    let terms = table.table("terms", problems).and_then(|table| read_terms(table, problems));
    match (terms.as_ref().map(|terms| &terms.fetch), table.place_of("urls")) {
        (Some(Fetch::Registered { .. }), Some(place)) => {
            let problem = Problem::new(&place, "a feed for registered users has no URL that is everybody's");
            problems.push(problem.help("expected `access` alone, in [terms]"));
        }
        (Some(Fetch::Anyone), None) => table.require(&["urls"], problems),
        _ => {}
    }
    table.finish(problems);

    let allow_private = keys.allow_private.as_ref().is_some_and(|at| at.value);
    urls.iter().flatten().for_each(|url| check_private(&url.value.0, &url.place, allow_private, problems));
    check_twice(urls.as_deref().unwrap_or_default(), |url| &url.0, problems);
    if let Some(name) = &keys.name {
        check_name(name, document, problems);
    }
    let format = format_keys.resolve(problems);

    let code = keys.code?;
    let (format, options) = format?;
    let feed = Feed {
        name: keys.name?.value,
        title: keys.title?.value,
        urls: urls.into_iter().flatten().map(|at| at.value.0).collect(),
        format,
        options,
        use_: keys.use_?.value,
        code: code.value,
        text: keys.text?.value.0,
        kind: keys.kind?.value,
        lookup: keys.lookup.map(|at| at.value.0),
        homepage: keys.homepage?.value.0.to_string(),
        terms: terms?,
        floor: keys.floor?.value,
        ages: limit_keys.ages(Ages::FEED),
        limits: limit_keys.limits(Limits::default()),
        max_size: limit_keys.max_size.map_or(defaults::MAX_SIZE, |at| at.value.0),
        allow_private,
        up: keys.up.is_none_or(|at| at.value),
    };
    Some((feed, code.place))
}

fn read_terms(mut table: Table<'_>, problems: &mut Problems) -> Option<Terms> {
    table.require(&["text", "fetch", "redistribute"], problems);
    let keys = TermsKeys::read(&mut table, problems);
    let word = keys.fetch.map(|at| at.value);
    match (word, &keys.access) {
        (Some(FetchWord::Anyone), Some(access)) => {
            let problem = Problem::new(&access.place, "`access` to a feed that anyone may fetch");
            problems.push(problem.help("expected beside `fetch = \"registered\"` only"));
        }
        (Some(FetchWord::Registered), None) => table.require(&["access"], problems),
        _ => {}
    }
    table.finish(problems);
    let fetch = match word? {
        FetchWord::Anyone => Fetch::Anyone,
        FetchWord::Registered => Fetch::Registered { access: keys.access?.value },
    };
    Some(Terms { text: keys.text?.value, fetch, redistribute: keys.redistribute?.value })
}

fn check_name(name: &At<Slug>, document: &Document, problems: &mut Problems) {
    let stem = document.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("");
    if stem != name.value.as_str() {
        let message = format!("the file's name is `{stem}`, the feed's is `{}`", name.value);
        problems.push(Problem::new(&name.place, message).help("expected the same name"));
    }
    if [defaults::BOGONS, defaults::UP_COMBINED].contains(&name.value.as_str()) {
        problems.push(Problem::new(&name.place, format!("`{}` is taken by the program", name.value)));
    }
}

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
use super::problem::{At, Document, Place, Problem, Problems};
use super::reach::check_private;
use super::read::{Table, document, from_word, keys, parse};
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
    /// Where it is: the same content at each, tried in order.
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
}

/// What gets an address onto a feed: what its owner has to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The address itself sent abuse: an infected or misused machine.
    Abuse,
    /// The whole network is in the hands of abusers.
    Network,
    /// The address sent bounces for mail that it never got.
    Backscatter,
    /// An anonymising relay: tells nothing of who is behind it.
    Anonymiser,
    /// Space that cannot send mail at all.
    Reserved,
    /// Well-behaved senders.
    Welcome,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// Anyone.
    Anyone,
    /// Those who have registered, paid or been let in.
    Registered,
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

from_word!(Kind, "\"abuse\", \"network\", \"backscatter\", \"anonymiser\", \"reserved\" or \"welcome\"", {
    "abuse" => Kind::Abuse,
    "network" => Kind::Network,
    "backscatter" => Kind::Backscatter,
    "anonymiser" => Kind::Anonymiser,
    "reserved" => Kind::Reserved,
    "welcome" => Kind::Welcome,
});

from_word!(Fetch, "\"anyone\" or \"registered\"", {
    "anyone" => Fetch::Anyone,
    "registered" => Fetch::Registered,
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
    }
}

keys! {
    /// The keys of the table `terms`.
    pub(crate) struct TermsKeys {
        "text" text: String,
        "fetch" fetch: Fetch,
        "redistribute" redistribute: Redistribute,
    }
}

fn read_feed(document: &Arc<Document>, problems: &mut Problems) -> Option<(Feed, Place)> {
    let entries = parse(document, problems);
    let mut table = Table::root(document.clone(), &entries);
    let required =
        ["name", "title", "urls", "format", "use", "code", "text", "kind", "homepage", "floor", "terms"];
    table.require(&required, problems);
    let keys = FeedKeys::read(&mut table, problems);
    let format_keys = FormatKeys::read(&mut table, problems);
    let limit_keys = LimitKeys::read(&mut table, problems);
    let urls = table.array::<FeedUrl>("urls", problems);
    if let (Some([]), Some(place)) = (urls.as_deref(), table.place_of("urls")) {
        problems.push(Problem::new(&place, "no URL").help("expected at least one"));
    }
    let terms = table.table("terms", problems).and_then(|mut table| {
        table.require(TermsKeys::KEYS, problems);
        let keys = TermsKeys::read(&mut table, problems);
        table.finish(problems);
        Some(Terms {
            text: keys.text?.value,
            fetch: keys.fetch?.value,
            redistribute: keys.redistribute?.value,
        })
    });
    table.finish(problems);

    let allow_private = keys.allow_private.as_ref().is_some_and(|at| at.value);
    urls.iter().flatten().for_each(|url| check_private(&url.value.0, &url.place, allow_private, problems));
    if let Some(name) = &keys.name {
        check_name(name, document, problems);
    }
    let format = format_keys.resolve(problems);

    let code = keys.code?;
    let (format, options) = format?;
    let feed = Feed {
        name: keys.name?.value,
        title: keys.title?.value,
        urls: urls?.into_iter().map(|at| at.value.0).collect(),
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
    };
    Some((feed, code.place))
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

//! Lists: where each comes from, and what it may say besides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::asked::{Asked, check_twice};
use super::fetching::fetching;
use super::spot;
use crate::config::defaults;
use crate::config::embedded::bogons;
use crate::config::feeds::{Feed, Feeds, Fetch};
use crate::config::file::{LimitKeys, ListFile, ListKeys};
use crate::config::list::{Ages, ListConfig, Source, is_folder};
use crate::config::not_offered::NotOffered;
use crate::config::problem::{At, Place, Problem, Problems, did_you_mean};
use crate::config::reach::check_private;
use crate::config::retired::Retired;
use crate::config::units::format_duration;
use crate::config::urls::Transport;
use crate::config::values::SourceUrl;
use crate::config::words::Slug;
use crate::config::zone::ZoneConfig;
use crate::guard::entries::Limits;
use crate::model::Template;

/// By name; `None` for a list that is there but wrong, so that a zone that names it is not blamed too.
pub(super) type Lists = BTreeMap<Slug, (Option<ListConfig>, Place)>;

/// The lists of one file and the folder that its relative paths start from.
pub(super) type ListsOfFile = (PathBuf, Vec<(At<Slug>, ListFile)>);

pub(super) fn lists(files: Vec<ListsOfFile>, feeds: &Feeds, problems: &mut Problems) -> Lists {
    let (mut lists, mut asked) = (Lists::new(), Asked::default());
    for (folder, typed) in files {
        for (name, list) in typed {
            let places = places_of_urls(&list);
            let resolved = one_list(&name, list, &folder, feeds, problems);
            if let Some((_, first)) = lists.get(&name.value) {
                let problem = Problem::new(&name.place, format!("list `{}` is defined twice", name.value));
                problems.push(problem.help(format!("the first one is {}", spot(first))));
                continue;
            }
            if let Some(list) = &resolved {
                asked.note(list, &places, problems);
            }
            lists.insert(name.value, (resolved, name.place));
        }
    }
    lists
}

/// Where its URLs stand, or the feed that they are of.
fn places_of_urls(typed: &ListFile) -> Vec<Place> {
    match (typed.own_urls(), &typed.keys.feed) {
        (Some(urls), _) => urls.iter().map(|at| at.place.clone()).collect(),
        (None, feed) => feed.iter().map(|at| at.place.clone()).collect(),
    }
}

/// A text with `{note}` in it asks for the notes, in the list or in a zone that has it.
pub(super) fn note_what_texts_ask_for(lists: &mut Lists, zones: &[ZoneConfig]) {
    let members = zones.iter().flat_map(|zone| &zone.members);
    let asked: BTreeSet<&Slug> =
        members.filter(|member| asks_for_note(&member.text)).map(|member| &member.list).collect();
    for (name, (list, _)) in lists {
        if let Some(list) = list {
            list.options.notes |= asked.contains(name) || asks_for_note(&list.text);
        }
    }
}

fn asks_for_note(text: &Template) -> bool {
    text.to_string().contains("{note}")
}

fn one_list(
    name: &At<Slug>,
    typed: ListFile,
    folder: &Path,
    feeds: &Feeds,
    problems: &mut Problems,
) -> Option<ListConfig> {
    let is_given = |keys: &[&str]| typed.given.iter().filter(|key| keys.contains(key)).count();
    let sources = is_given(&["feed", "url", "urls", "file", "files"]);
    let is_own_copy = sources == 2 && is_given(&["feed"]) == 1 && is_given(&["url", "urls"]) == 1;
    if sources != 1 && !is_own_copy {
        let message = match sources {
            0 => format!("list `{}` comes from nowhere", name.value),
            _ => format!("list `{}` comes from several places at once", name.value),
        };
        let problem = Problem::new(&name.place, message);
        let expected = "expected exactly one of `feed`, `url`, `urls`, `file` and `files`, or `feed` with a `url` of your own";
        problems.push(problem.help(expected));
        return None;
    }
    let mut list = match &typed.keys.feed {
        Some(feed) => {
            let mut list = from_feed(name, feed, is_own_copy, feeds, problems)?;
            match typed.own_urls() {
                Some(urls) => take_own_copy(&mut list, urls, &typed, problems),
                None => typed.format.refuse_beside_feed(problems),
            }
            typed.format.change(&mut list.options);
            list
        }
        None => own_list(name, &typed, folder, problems)?,
    };
    let ListFile { keys, limits, sound, .. } = typed;
    let ListKeys { use_, code, text, floor, allow_private, credential, known_hosts, .. } = keys;
    list.use_ = use_.map_or(list.use_, |at| at.value);
    list.code = code.map(|at| at.value).or(list.code);
    list.allow_private = allow_private.map_or(list.allow_private, |at| at.value);
    if let Some(text) = text {
        list.text = list_text(&text.value.0, &name.value);
    }
    if let Some(floor) = floor {
        check_floor(&floor, &list, problems);
        list.floor = floor.value;
    }
    list.ages = limits.ages(list.ages);
    list.limits = limits.limits(list.limits);
    if let Some(size) = &limits.max_size {
        list.max_size = size.value.0;
    }
    check_limits(name, &list, limits, problems);
    fetching(credential, known_hosts, &mut list, folder, problems);
    sound.then_some(list)
}

/// The feed's content from where the operator says: an own mirror, or what a subscriber is let in to. It may be written
/// in another way there.
fn take_own_copy(list: &mut ListConfig, urls: &[At<SourceUrl>], typed: &ListFile, problems: &mut Problems) {
    let allow_private = typed.keys.allow_private.as_ref().is_some_and(|at| at.value);
    urls.iter().for_each(|url| check_place(url, allow_private, problems));
    check_twice(urls, |url| &url.0, problems);
    list.source = Source::Urls(urls.iter().map(|url| url.value.0.clone()).collect());
    list.own_copy = true;
    if typed.format.format.is_none() {
        typed.format.refuse_beside_feed(problems);
    } else if let Some((format, options)) = typed.format.resolve(problems) {
        (list.format, list.options) = (format, options);
    }
}

/// Whether anybody is there who may be asked.
fn check_place(url: &At<SourceUrl>, allow_private: bool, problems: &mut Problems) {
    check_private(&url.value.0, &url.place, allow_private, problems);
    if let Some(retired) = Retired::of_url(&url.value.0) {
        problems.push(Problem::new(&url.place, retired.sentence()).help(retired.advice()));
    }
}

/// A list that is not of the catalogue: from a URL or from files.
fn own_list(name: &At<Slug>, typed: &ListFile, folder: &Path, problems: &mut Problems) -> Option<ListConfig> {
    let ListFile { keys, files, format, given, .. } = typed;
    if !given.contains(&"format") {
        let problem = Problem::new(&name.place, format!("list `{}` has no `format`", name.value));
        problems.push(problem.help("expected how its text is written, such as `format = \"plain\"`"));
    }
    if !given.contains(&"use") {
        let problem = Problem::new(&name.place, format!("list `{}` has no `use`", name.value));
        problems.push(problem.help("expected \"block\", \"score\", \"bounce\" or \"allow\""));
    }
    let format = format.resolve(problems);
    let files = files.as_deref().or_else(|| keys.file.as_ref().map(std::slice::from_ref));
    let (source, ages, floor, max_size) = match (typed.own_urls(), files) {
        (Some(urls), _) if !urls.is_empty() => {
            let allowed = keys.allow_private.as_ref().is_some_and(|at| at.value);
            urls.iter().for_each(|url| check_place(url, allowed, problems));
            check_twice(urls, |url| &url.0, problems);
            let urls: Vec<_> = urls.iter().map(|at| at.value.0.clone()).collect();
            // Nobody minds how often a file here is looked at.
            let is_here = urls.iter().all(|url| Transport::of(url) == Some(Transport::File));
            let floor = if is_here { Duration::ZERO } else { defaults::FLOOR };
            (Source::Urls(urls), Ages::FEED, floor, defaults::MAX_SIZE)
        }
        (_, Some(files)) if !files.is_empty() => {
            let source = Source::Files(own_files(files, folder, problems));
            (source, Ages::NEVER, Duration::ZERO, defaults::MAX_FILE_SIZE)
        }
        _ => return None,
    };
    let (format, options) = format?;
    Some(ListConfig {
        name: name.value.clone(),
        feed: None,
        own_copy: false,
        title: name.value.to_string(),
        lookup: None,
        source,
        format,
        options,
        use_: keys.use_.as_ref()?.value,
        code: None,
        text: list_text(defaults::TEXT, &name.value),
        ages,
        floor,
        limits: Limits::default(),
        max_size,
        allow_private: false,
        credential: None,
        known_hosts: None,
    })
}

/// Limits that contradict each other, cannot be, or would have no effect.
fn check_limits(name: &At<Slug>, list: &ListConfig, limits: LimitKeys, problems: &mut Problems) {
    if matches!(list.source, Source::Files(_)) {
        for (key, place) in limits.judging() {
            let problem = Problem::new(place, format!("`{key}` has no effect on own files"));
            problems
                .push(problem.help("own files are served as written; expected beside `feed` or `url` only"));
        }
    }
    for (key, width) in [(&limits.shortest_prefix_v4, 32), (&limits.shortest_prefix_v6, 128)] {
        if let Some(at) = key.as_ref().filter(|at| at.value > width) {
            let problem = Problem::new(&at.place, format!("a prefix of {} bits", at.value));
            problems.push(problem.help(format!("expected {width} at most")));
        }
    }
    if let (Some(soft), Some(hard)) = (list.ages.soft, list.ages.hard)
        && soft > hard
    {
        let place = limits.soft_age.or(limits.hard_age).map_or_else(|| name.place.clone(), |at| at.place);
        let ages = format!("{} and {}", format_duration(soft), format_duration(hard));
        problems.push(
            Problem::new(&place, "the soft age is above the hard age").help(format!("they would be {ages}")),
        );
    }
}

/// A list's text with its name put in.
pub(super) fn list_text(text: &str, name: &Slug) -> Template {
    Template::parse(text.replace("{name}", name.as_str()).as_bytes())
}

/// `is_own_copy`: its content comes from somewhere else.
fn from_feed(
    name: &At<Slug>,
    feed: &At<Slug>,
    is_own_copy: bool,
    feeds: &Feeds,
    problems: &mut Problems,
) -> Option<ListConfig> {
    if feed.value.as_str() == defaults::BOGONS {
        if is_own_copy {
            let problem = Problem::new(&feed.place, format!("`{}` is part of the program", feed.value));
            problems.push(problem.help("expected `url` with `format` and `use`, without `feed`"));
        }
        return Some(ListConfig { name: name.value.clone(), ..bogons() });
    }
    let Some(known) = feeds.feed(&feed.value) else {
        problems.push(no_such_feed(feed, feeds));
        return None;
    };
    if let Fetch::Registered { access } = &known.terms.fetch
        && !is_own_copy
    {
        problems.push(
            Problem::new(&feed.place, format!("feed `{}` is for those who have registered", known.name))
                .help(format!("{access} Then write your `url` beside `feed`. See {}", known.homepage)),
        );
        return None;
    }
    Some(list_of(known, name.value.clone()))
}

/// An operator's own catalogue may have a feed of a retired name; the program's has none.
fn no_such_feed(feed: &At<Slug>, feeds: &Feeds) -> Problem {
    if let Some(retired) = Retired::called(&feed.value) {
        return Problem::new(&feed.place, retired.sentence()).help(retired.advice());
    }
    if let Some(list) = NotOffered::called(&feed.value) {
        return Problem::new(&feed.place, list.sentence()).help(list.advice());
    }
    let names = feeds.iter().map(|feed| feed.name.as_str()).chain([defaults::BOGONS]);
    let hint = did_you_mean(feed.value.as_str(), names);
    Problem::new(&feed.place, format!("no feed `{}` in the catalogue{hint}", feed.value))
        .help("expected a name that `gatepost feeds` shows; or `url` with `format`")
}

/// The list `name` of a feed, with all that the catalogue says of it.
pub(crate) fn list_of(feed: &Feed, name: Slug) -> ListConfig {
    let text = list_text(&feed.text, &name);
    let mut options = feed.options.clone();
    options.notes |= asks_for_note(&text);
    ListConfig {
        text,
        name,
        feed: Some(feed.name.clone()),
        own_copy: false,
        title: feed.title.clone(),
        lookup: feed.lookup.clone(),
        source: Source::Urls(feed.urls.clone()),
        format: feed.format,
        options,
        use_: feed.use_,
        code: Some(feed.code),
        ages: feed.ages,
        floor: feed.floor,
        limits: feed.limits.clone(),
        max_size: feed.max_size,
        allow_private: feed.allow_private,
        credential: None,
        known_hosts: None,
    }
}

/// The publisher's floor can be raised, not lowered.
fn check_floor(floor: &At<Duration>, list: &ListConfig, problems: &mut Problems) {
    if list.feed.is_some() && floor.value < list.floor {
        let asked = format_duration(list.floor);
        problems.push(
            Problem::new(&floor.place, "fetching more often than the publisher allows")
                .help(format!("expected \"{asked}\" or more")),
        );
    }
}

/// In their order: a variable of rbldnsd's files is what the first of them says.
fn own_files(typed: &[At<PathBuf>], folder: &Path, problems: &mut Problems) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for file in typed {
        let path = folder.join(&file.value);
        check_file(&path, &file.place, problems);
        if files.contains(&path) {
            problems.push(Problem::new(&file.place, format!("{} is in the list twice", path.display())));
        }
        files.push(path);
    }
    files
}

fn check_file(path: &Path, place: &Place, problems: &mut Problems) {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() && !is_folder(path) => {
            // A file that somebody moves away for a moment costs its own list, not the service.
            let problem = Problem::new(place, format!("{} is a folder", path.display()));
            problems.push(problem.help("expected a file, or `/` behind it for all files in it").passing());
        }
        Ok(_) => {}
        Err(error) => {
            let message = format!("cannot read {}: {}", path.display(), crate::config::plain(&error));
            problems.push(Problem::new(place, message).help("expected a file that is there").passing());
        }
    }
}

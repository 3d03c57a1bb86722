//! `gatepost feeds enable` and `disable`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{anyhow, bail};

use super::super::as_owner::open_store;
use super::super::failure::Usage;
use super::super::locate::EitherArgs;
use super::super::output::{HEAD, WARN, out, styled, talk};
use super::super::terms;
use super::written::{Desk, Written, Zone};
use crate::config::{Config, Feed, Feeds, Fetch, NotOffered, Retired, Slug, bogons, defaults, did_you_mean};
use crate::error::ExitStatus;
use crate::feed::catalogue;
use crate::model::{Name, Use};
use crate::store::{Store, Terms};

/// Take feeds into the configuration: a list and a zone for each, in conf.d/feeds.toml
///
/// The main file is never written. Each feed answers in a zone of its own, or with --zone all of them in that one,
/// together with what was enabled into it before; allow lists take addresses out of it. The terms are shown once and
/// must be accepted. A server that runs takes the change over when it is told to reload (SIGHUP).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost feeds enable uceprotect-2
  gatepost feeds enable spamhaus-drop uceprotect-1 whitelisted-org --zone block.gatepost.internal
  gatepost feeds enable feodo --accept-terms    in a script")]
pub(super) struct Args {
    /// The feeds' names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// The zone that they answer in [default: NAME.gatepost.internal for each]
    #[arg(long, value_name = "ORIGIN")]
    zone: Option<Name>,
    /// The feeds' terms are accepted (`gatepost feeds show NAME` shows them)
    #[arg(long)]
    accept_terms: bool,
    #[command(flatten)]
    from: EitherArgs,
}

/// Take feeds out of the configuration again that `gatepost feeds enable` took into it
#[derive(Debug, clap::Args)]
pub(super) struct DisableArgs {
    /// The feeds' names
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    #[command(flatten)]
    from: EitherArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let desk = Desk::at(args.from.service()?)?;
    let config = desk.config()?;
    let feeds = catalogue::load(config.reloadable.sync.catalogue.as_deref())?;
    let mut choices = Vec::new();
    for name in distinct(&args.names) {
        choices.push(Choice::of(name, &feeds)?);
    }
    // What lists comes first: it decides what an allow list in the same zone does.
    choices.sort_by_key(|choice| !choice.use_.can_list());

    let before = desk.read()?;
    let mut plan = Plan {
        config: &config,
        feeds: &feeds,
        written: before.clone(),
        said: Vec::new(),
        new: Vec::new(),
        answering: Vec::new(),
    };
    for choice in &choices {
        plan.add(choice, args.zone.as_ref())?;
    }
    for origin in std::mem::take(&mut plan.answering) {
        plan.except_again(&origin, !before.zones.contains_key(&origin));
    }
    let new: Vec<&Feed> = plan.new.iter().filter_map(|name| feeds.feed(name)).collect();
    let (seen, unseen) = unseen(&config, new)?;
    if !unseen.is_empty() {
        accept(&unseen, args.accept_terms)?;
    }
    if plan.written != before {
        desk.put(&plan.written)?;
        plan.said.push(format!("written: {}", desk.path().display()));
    }
    if let Err(error) = remember(&config, seen, &unseen) {
        talk(styled(WARN, format_args!("that the terms were shown is not remembered: {error:#}")));
    }
    let mut out = out();
    plan.said.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()?;
    if !plan.new.is_empty() {
        let names: Vec<&str> = plan.new.iter().map(Slug::as_str).collect();
        talk(format_args!(
            "a running server takes it over on SIGHUP; `gatepost sync {}` fetches at once",
            names.join(" ")
        ));
    }
    Ok(ExitStatus::Ok)
}

pub(super) fn disable(args: &DisableArgs) -> anyhow::Result<ExitStatus> {
    let desk = Desk::at(args.from.service()?)?;
    let mut written = desk.read()?;
    let before = written.clone();
    let mut said = Vec::new();
    for name in distinct(&args.names) {
        let slug = name.parse::<Slug>().map_err(|()| Usage(format!("`{name}` is no feed's name")))?;
        if written.lists.contains(&slug) {
            let zones = written.zones.clone();
            written.remove(&slug);
            said.push(format!("{slug} is disabled"));
            for (origin, zone) in zones.iter().filter(|(origin, _)| !written.zones.contains_key(*origin)) {
                let excepted =
                    zone.except.iter().map(|list| format!(", and {list} takes nothing out of it any more"));
                said.push(format!("zone {origin} is gone with it{}", excepted.collect::<String>()));
            }
        } else if let Some(list) = desk.config().ok().as_ref().and_then(|config| list_of(config, &slug)) {
            bail!(Usage(format!(
                "{slug} stands in a file that a person wrote, as [list.{list}]: take it out there"
            )));
        } else {
            said.push(format!("{slug} was not enabled"));
        }
    }
    if written != before {
        desk.put(&written)?;
        said.push(format!("written: {}", desk.path().display()));
    }
    for list in written.lists.iter().filter(|list| written.zones_with(list).is_empty()) {
        said.push(format!(
            "{list} answers in no zone of this file now, and excepts nothing there, until a feed is enabled beside it"
        ));
    }
    let mut out = out();
    said.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

fn distinct(names: &[String]) -> impl Iterator<Item = &String> {
    let mut seen = BTreeSet::new();
    names.iter().filter(move |name| seen.insert(*name))
}

/// A feed that may be enabled.
struct Choice {
    name: Slug,
    use_: Use,
}

impl Choice {
    fn of(typed: &str, feeds: &Feeds) -> anyhow::Result<Self> {
        let Ok(name) = typed.parse::<Slug>() else {
            let zone = typed.parse::<Name>().ok();
            return Err(match zone.as_ref().and_then(Retired::of_zone) {
                Some(retired) => refused(retired),
                None => anyhow!(Usage(format!("`{typed}` is no feed's name"))),
            });
        };
        if name.as_str() == defaults::BOGONS {
            return Ok(Self { name, use_: bogons().use_ });
        }
        let Some(feed) = feeds.feed(&name) else {
            if let Some(retired) = Retired::called(&name) {
                return Err(refused(retired));
            }
            if let Some(list) = NotOffered::called(&name) {
                bail!(Usage(format!("{}; {}", list.sentence(), list.advice())));
            }
            let hint = did_you_mean(typed, feeds.iter().map(|feed| feed.name.as_str()));
            bail!(Usage(format!("no feed `{name}` in the catalogue{hint}; `gatepost feeds` shows them all")));
        };
        if let Fetch::Registered { access } = &feed.terms.fetch {
            bail!(Usage(format!(
                "{name} is for those who have registered. {access} Then write into the configuration, with a URL of your \
                 own:\n\n[list.{name}]\nfeed = \"{name}\"\nurl = \"…\"\n\nSee {}",
                feed.homepage
            )));
        }
        Ok(Self { name, use_: feed.use_ })
    }
}

fn refused(retired: &Retired) -> anyhow::Error {
    anyhow!(Usage(format!("{}; {}", retired.sentence(), retired.advice())))
}

/// The list of that feed, whatever it is called.
fn list_of<'a>(config: &'a Config, feed: &Slug) -> Option<&'a Slug> {
    let lists = &config.reloadable.lists;
    lists.values().find(|list| list.feed.as_ref() == Some(feed)).map(|list| &list.name)
}

/// What will be written, and what is said of it.
struct Plan<'a> {
    config: &'a Config,
    feeds: &'a Feeds,
    written: Written,
    said: Vec<String>,
    /// Feeds that were not enabled before.
    new: Vec<Slug>,
    /// Zones that one of them answers in now.
    answering: Vec<Name>,
}

impl Plan<'_> {
    fn add(&mut self, choice: &Choice, zone: Option<&Name>) -> anyhow::Result<()> {
        let name = &choice.name;
        let is_written = self.written.lists.contains(name);
        if !is_written && let Some(list) = list_of(self.config, name) {
            if let Some(zone) = zone {
                bail!(Usage(format!(
                    "{name} is enabled already, as [list.{list}] in a file that a person wrote: name that list in the \
                     zone {zone} there"
                )));
            }
            self.said.push(format!("{name} is enabled already, as list {list}"));
            return Ok(());
        }
        let own = format!("{name}.{}", defaults::UP_SUFFIX);
        let origin = match zone {
            Some(zone) => zone.clone(),
            None if is_written => {
                self.said.push(format!("{name} is enabled already{}", self.places(name)));
                return Ok(());
            }
            None => own.parse::<Name>().map_err(|error| Usage(format!("{own}: {error}")))?,
        };
        if self.written.zones_with(name).contains(&&origin) {
            self.said.push(format!("{name} is enabled already{}", self.places(name)));
            return Ok(());
        }
        if !self.written.zones.contains_key(&origin)
            && self.config.reloadable.zones.iter().any(|zone| zone.origin == origin)
        {
            bail!(Usage(format!(
                "zone {origin} stands in a file that a person wrote: enable {name} without --zone, then name it among \
                 that zone's `lists`"
            )));
        }
        let does = put_into(self.written.zones.entry(origin.clone()).or_default(), choice, self.feeds)
            .ok_or_else(|| {
                Usage(format!("{origin} answers from allow lists: name another zone for {name}"))
            })?;
        self.said.push(format!("{} {does} {origin}", styled(HEAD, name)));
        if choice.use_.can_list() && name.as_str() != defaults::BOGONS && !self.answering.contains(&origin) {
            self.answering.push(origin);
        }
        if !is_written {
            self.written.lists.push(name.clone());
            self.written.lists.sort();
            self.new.push(name.clone());
        }
        Ok(())
    }

    /// An allow list that has lost its zone, when the last feed there was disabled, takes addresses out of what is enabled now: nobody
    /// is to be refused whom it let through before. Of one that does so elsewhere it is said that it does not in a new zone.
    fn except_again(&mut self, origin: &Name, is_new: bool) {
        let zones = &self.config.reloadable.zones;
        let is_named = |list: &Slug| zones.iter().any(|zone| zone.lists().any(|of| of == list));
        let allows = |list: &&Slug| self.feeds.feed(list).is_some_and(|feed| !feed.use_.can_list());
        let excepts = |list: &Slug| self.written.zones.values().any(|zone| zone.except.contains(list));
        let is_left = |list: &Slug| self.written.zones_with(list).is_empty() && !is_named(list);
        let allowing = || self.written.lists.iter().filter(allows);
        let left: Vec<Slug> = allowing().filter(|list| is_left(list)).cloned().collect();
        let elsewhere: Vec<Slug> = allowing().filter(|list| is_new && excepts(list)).cloned().collect();
        let Some(zone) = self.written.zones.get_mut(origin) else { return };
        for list in elsewhere.iter().filter(|list| !zone.except.contains(list)) {
            self.said.push(format!(
                "{list} takes nothing out of {origin}; `gatepost feeds enable {list} --zone {origin}` has it do so"
            ));
        }
        for list in left {
            self.said.push(format!(
                "{} takes addresses out of {origin}: it had no zone any more",
                styled(HEAD, &list)
            ));
            zone.except.push(list);
        }
    }

    fn places(&self, list: &Slug) -> String {
        let zones: Vec<String> = self.written.zones_with(list).iter().map(ToString::to_string).collect();
        if zones.is_empty() { String::new() } else { format!(", in {}", zones.join(", ")) }
    }
}

/// An allow list takes addresses out of what else is in the zone; alone it answers. `None`: what is there are allow
/// lists, and nothing else may stand beside them.
fn put_into(zone: &mut Zone, choice: &Choice, feeds: &Feeds) -> Option<&'static str> {
    let allows = |list: &Slug| feeds.feed(list).is_some_and(|feed| !feed.use_.can_list());
    let of_allow_lists = zone.lists.iter().any(allows);
    match choice.use_.can_list() {
        true if of_allow_lists => return None,
        false if !zone.lists.is_empty() && !of_allow_lists => {
            zone.except.push(choice.name.clone());
            return Some("takes addresses out of");
        }
        _ => zone.lists.push(choice.name.clone()),
    }
    Some("answers in")
}

/// What was shown so far, and those of the feeds whose terms were not.
fn unseen<'a>(config: &Config, new: Vec<&'a Feed>) -> anyhow::Result<(Terms, Vec<&'a Feed>)> {
    let seen = match Store::existing(&config.state) {
        Ok(store) => terms::seen(&store)?,
        Err(_) => Terms::default(),
    };
    let unseen = terms::unseen(new.into_iter(), &seen);
    Ok((seen, unseen))
}

/// In the state folder, if there is one: a service that has never run makes it, as whoever it runs as.
fn remember(config: &Config, seen: Terms, feeds: &[&Feed]) -> anyhow::Result<()> {
    if feeds.is_empty() || !config.state.is_dir() {
        return Ok(());
    }
    Ok(terms::remember(&open_store(&config.state)?, seen, feeds)?)
}

/// Shows the terms and has them accepted.
fn accept(feeds: &[&Feed], given: bool) -> anyhow::Result<()> {
    terms::tell("Terms of the feeds", feeds);
    if given {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        bail!(Usage("nothing was changed: --accept-terms says that you accept these terms".to_owned()));
    }
    let _ = write!(anstream::stderr(), "Do you accept them? [y/N] ");
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    bail!(Usage("nothing was changed: the terms were not accepted".to_owned()))
}

//! `gatepost diff`: what differs between two versions of a list.

use std::io::Write;

use anyhow::anyhow;
use serde_json::{Value, json};

use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs;
use super::output::{BAD, DIM, GOOD, counted, grouped, json, out, styled, talk};
use super::sync::slug;
use crate::config::{Config, Slug};
use crate::error::ExitStatus;
use crate::model::ContentHash;
use crate::set::{Change, Set, changes};
use crate::store::{Held, ListDir, Now, Store, Versions};
use crate::sync::status_as;

/// Show what differs between two versions of a list
///
/// Entries as published, `+` what the second version alone has, `-` what the first one alone has. Without versions: what is
/// held against what is in service, or, when nothing is held, what is in service against the version before it. With one:
/// from that to what is in service. A version is `held`, `current`, the beginning of its hash, its number (0 is the newest)
/// or a time at which it was in service.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost diff psbl                           what is held, or what the last version changed
  gatepost diff psbl 2 1                       between two versions (gatepost history psbl)
  gatepost diff psbl 24h | grep -c '^+'        what came within a day

Exit codes: 0 no entry differs, 1 some do, 2 usage, no such version, 3 cannot tell")]
pub(crate) struct Args {
    /// The list
    #[arg(value_name = "LIST")]
    list: String,
    /// From this version
    #[arg(value_name = "A")]
    a: Option<String>,
    /// To this one
    #[arg(value_name = "B", requires = "a")]
    b: Option<String>,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let config = args.from.read()?;
    let list = slug(&args.list)?;
    let store = Store::existing(&config.state)?;
    let kept = Kept::of(&config, &list, store.list(&list))?;
    let [from, to] = kept.asked(args)?;
    let (old, new) = (kept.read(&from)?, kept.read(&to)?);
    let mut out = out();
    let changed;
    if args.json {
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        changed = changes(&old, &new, &mut |change, entry| {
            let into = if change == Change::Added { &mut added } else { &mut removed };
            into.push(entry.to_string());
        });
        let value = json!({
            "list": list,
            "from": from.as_json(),
            "to": to.as_json(),
            "added": added,
            "removed": removed,
            "kept": changed.kept,
        });
        json(&mut out, &value)?;
    } else {
        writeln!(out, "{}", styled(DIM, format_args!("# {list}: from {from} to {to}")))?;
        let mut written = Ok(());
        changed = changes(&old, &new, &mut |change, entry| {
            let (sign, style) = if change == Change::Added { ('+', GOOD) } else { ('-', BAD) };
            if written.is_ok() {
                written = writeln!(out, "{}", styled(style, format_args!("{sign}{entry}")));
            }
        });
        written.and_then(|()| out.flush())?;
        talk(format_args!(
            "{} came, {} went, {} are in both",
            counted(changed.added, "entry", "entries"),
            grouped(changed.removed),
            grouped(changed.kept)
        ));
        if changed.is_none() && from.hash != to.hash {
            talk("what their entries say differs");
        }
    }
    out.flush()?;
    Ok(ExitStatus::found(!changed.is_none()))
}

/// What of a list can be compared.
struct Kept {
    list: ListDir,
    current: Option<ContentHash>,
    held: Option<Held>,
    versions: Versions,
    now: i64,
}

/// A version and how a person calls it.
struct Side {
    name: &'static str,
    hash: ContentHash,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.hash.short())?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " ({})", self.name) }
    }
}

impl Side {
    fn as_json(&self) -> Value {
        json!({ "set": self.hash, "name": (!self.name.is_empty()).then_some(self.name) })
    }
}

impl Kept {
    fn of(config: &Config, name: &Slug, list: ListDir) -> anyhow::Result<Self> {
        let configured = config.reloadable.lists.get(name);
        let configured =
            configured.ok_or_else(|| Usage(format!("there is no list `{name}` in the configuration")))?;
        let status = status_as(configured, &list)?;
        let current = status.set.map(|set| set.hash);
        let held = list.held()?.filter(|_| status.waits);
        let versions = Versions::of(&list, current)?;
        Ok(Self { current, held, versions, now: Now::read().stamp().wall, list })
    }

    fn asked(&self, args: &Args) -> anyhow::Result<[Side; 2]> {
        Ok(match (&args.a, &args.b) {
            (Some(a), Some(b)) => [self.find(a)?, self.find(b)?],
            (Some(a), None) if a == "held" => [self.current(args)?, self.find(a)?],
            (Some(a), None) => [self.find(a)?, self.current(args)?],
            _ if self.held.is_some() => [self.current(args)?, self.find("held")?],
            _ => {
                let current = self.current(args)?;
                let previous = self.versions.previous().ok_or_else(|| self.versions.no_previous())?;
                [Side { name: "before it", hash: previous.set }, current]
            }
        })
    }

    fn current(&self, args: &Args) -> anyhow::Result<Side> {
        let hash = self.current.ok_or_else(|| anyhow!("{} has no version in service", args.list))?;
        Ok(Side { name: "in service", hash })
    }

    fn find(&self, text: &str) -> anyhow::Result<Side> {
        if text == "held" {
            let held = self.held.as_ref().ok_or_else(|| Usage("nothing is held".to_owned()))?;
            return Ok(Side { name: "held", hash: held.set.hash });
        }
        let hash = self.versions.find(text, self.now)?;
        Ok(Side { name: if Some(hash) == self.current { "in service" } else { "" }, hash })
    }

    fn read(&self, side: &Side) -> anyhow::Result<Set> {
        Ok(if side.name == "held" { self.list.held_set(&side.hash) } else { self.list.set(&side.hash) }?)
    }
}

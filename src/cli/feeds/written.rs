//! The one file that `gatepost feeds` writes: `conf.d/feeds.toml` beside the main configuration.
//!
//! It holds lists of feeds and zones of those lists, and nothing else: a file with more in it was changed by a person
//! and is left alone. Always written whole, and only after the configuration that it makes was read and found good.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, Permissions, create_dir, set_permissions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use super::super::failure::Usage;
use super::super::files::{give_to_owner_of, replace};
use super::super::output::talk;
use crate::config::{CONF_D, Config, Draft, Overrides, Slug};
use crate::feed::catalogue;
use crate::model::Name;

/// Its name.
const FILE: &str = "feeds.toml";

/// What it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Feeds; a list is called as its feed.
    pub(super) lists: Vec<Slug>,
    /// By origin.
    pub(super) zones: BTreeMap<Name, Zone>,
}

/// A zone in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Zone {
    pub(super) lists: Vec<Slug>,
    #[serde(default)]
    pub(super) except: Vec<Slug>,
}

/// The file as typed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typed {
    version: u64,
    #[serde(default)]
    list: BTreeMap<Slug, TypedList>,
    #[serde(default)]
    zone: BTreeMap<String, Zone>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypedList {
    feed: Slug,
}

/// A service's configuration while this process alone changes the file beside it.
pub(super) struct Desk {
    main: PathBuf,
    _lock: File,
}

impl Desk {
    /// `main`: the main file. Waits for another `gatepost feeds` that is at work there.
    pub(super) fn at(main: PathBuf) -> anyhow::Result<Self> {
        let folder = main.parent().unwrap_or_else(|| Path::new("/"));
        let lock = File::open(folder)
            .and_then(|folder| folder.lock().map(|()| folder))
            .with_context(|| format!("cannot open {}", folder.display()))?;
        Ok(Self { main, _lock: lock })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> PathBuf {
        self.main.with_file_name(CONF_D).join(FILE)
    }

    /// The configuration as it is. One that `check-config` calls bad is an error.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        Ok(good(Draft::read(&self.main, overrides()?)?)?)
    }

    /// The file as it is.
    pub(super) fn read(&self) -> anyhow::Result<Written> {
        let path = self.path();
        match std::fs::read_to_string(&path) {
            Ok(text) => Written::parse(&text).map_err(|why| {
                anyhow!(Usage(format!(
                    "{} is not as `gatepost feeds` writes it ({why}); call it something else, and it is yours",
                    path.display()
                )))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Written::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Puts `written` in the file's place if the configuration is good with it.
    pub(super) fn put(&self, written: &Written) -> anyhow::Result<()> {
        let text = written.text();
        let draft = Draft::read_as_if(&self.main, overrides()?, Some((FILE, &text)))?;
        good(draft).inspect_err(|_| talk("nothing was changed: with that the configuration would be bad"))?;
        let path = self.path();
        if written.lists.is_empty() {
            return remove(&path);
        }
        let folder = make_folder(&path)?;
        replace(
            &path,
            |out| Ok(out.write_all(text.as_bytes())?),
            |new, ()| Ok(give_to_owner_of(&folder, new)?),
        )
    }
}

fn overrides() -> anyhow::Result<Overrides> {
    Ok(Overrides::from_environment(|name| std::env::var_os(name))?)
}

/// As `check-config` judges it.
fn good(draft: Draft) -> Result<Config, crate::config::Problems> {
    let config = catalogue::understand(draft)?;
    if config.absent.is_empty() { Ok(config) } else { Err(config.absent) }
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// `conf.d`, of the same owner as the folder it is in.
fn make_folder(path: &Path) -> anyhow::Result<PathBuf> {
    let Some((folder, above)) = path.parent().and_then(|folder| Some((folder, folder.parent()?))) else {
        bail!("{} has no folder", path.display());
    };
    if !folder.is_dir() {
        let failed = || format!("cannot create {}", folder.display());
        create_dir(folder).with_context(failed)?;
        // Whatever umask root has: the service reads it.
        set_permissions(folder, Permissions::from_mode(0o755)).with_context(failed)?;
        give_to_owner_of(above, folder).with_context(failed)?;
    }
    Ok(folder.to_owned())
}

impl Written {
    /// The zones in which a list stands.
    pub(super) fn zones_with(&self, list: &Slug) -> Vec<&Name> {
        self.zones.iter().filter(|(_, zone)| zone.has(list)).map(|(origin, _)| origin).collect()
    }

    /// Takes a list out. A zone without a list to answer from goes, too: what was only an exception there must not begin
    /// to list.
    pub(super) fn remove(&mut self, list: &Slug) {
        self.lists.retain(|other| other != list);
        for zone in self.zones.values_mut() {
            zone.lists.retain(|other| other != list);
            zone.except.retain(|other| other != list);
        }
        self.zones.retain(|_, zone| !zone.lists.is_empty());
    }

    fn parse(text: &str) -> Result<Self, String> {
        let typed: Typed = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if typed.version != 1 {
            return Err(format!("version {}", typed.version));
        }
        if let Some((name, _)) = typed.list.iter().find(|(name, list)| **name != list.feed) {
            return Err(format!("list `{name}` is of a feed with another name"));
        }
        let zones = typed.zone.into_iter().map(|(origin, zone)| match origin.parse() {
            Ok(name) => Ok((name, zone)),
            Err(_) => Err(format!("`{origin}` is no zone")),
        });
        Ok(Self { lists: typed.list.into_keys().collect(), zones: zones.collect::<Result<_, _>>()? })
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# Written by `gatepost feeds enable` and `gatepost feeds disable`, which keep nothing that you write here.\n\
             version = 1\n",
        );
        let quoted = |lists: &[Slug]| {
            let quoted: Vec<String> = lists.iter().map(|list| format!("\"{list}\"")).collect();
            format!("[{}]", quoted.join(", "))
        };
        for list in &self.lists {
            let _ = write!(text, "\n[list.{list}]\nfeed = \"{list}\"\n");
        }
        for (origin, zone) in &self.zones {
            let _ = write!(text, "\n[zone.\"{origin}\"]\nlists = {}\n", quoted(&zone.lists));
            if !zone.except.is_empty() {
                let _ = writeln!(text, "except = {}", quoted(&zone.except));
            }
        }
        text
    }
}

impl Zone {
    fn has(&self, list: &Slug) -> bool {
        self.lists.contains(list) || self.except.contains(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slugs(names: &[&str]) -> Vec<Slug> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn example() -> Written {
        let zone = Zone { lists: slugs(&["one", "two"]), except: slugs(&["good"]) };
        Written {
            lists: slugs(&["good", "one", "two"]),
            zones: [("bl.example".parse().unwrap(), zone)].into(),
        }
    }

    #[test]
    fn it_reads_what_it_writes() {
        for written in [Written::default(), example()] {
            assert_eq!(Written::parse(&written.text()), Ok(written));
        }
    }

    #[test]
    fn what_a_person_wrote_is_seen() {
        for (more, why) in [
            ("[server]\nopen = true\n", "unknown field `server`"),
            ("[list.x]\nfeed = \"x\"\nfloor = \"9h\"\n", "unknown field `floor`"),
            ("[list.x]\nfeed = \"y\"\n", "list `x` is of a feed with another name"),
            ("[zone.\"z.example\"]\nlists = [\"one\"]\nttl = \"1h\"\n", "unknown field `ttl`"),
        ] {
            let said = Written::parse(&format!("{}{more}", example().text())).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }

    #[test]
    fn an_exception_never_begins_to_list() {
        let mut written = example();
        written.remove(&"one".parse().unwrap());
        assert_eq!(written.zones.len(), 1);
        written.remove(&"two".parse().unwrap());
        assert_eq!(written, Written { lists: slugs(&["good"]), zones: BTreeMap::new() });
    }
}

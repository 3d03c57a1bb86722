//! Postfix: what it has in effect, as `postconf` says it where it is there, else as its files read. Asks and reads; changes nothing.
//!
//! `config` reads the files' text, `margin` what of it lost its blanks, `glued` which of its lines are two, `misspelt` which of its zones and filters it cannot read, `restrictions` what a list of smtpd's asks, `tables` what its tables bring in, `asking` by which of its lines, `screen` what postscreen
//! does, and `effect` finds the zones that are asked, and those that are named where that has no effect, `order` whom they refuse that they
//! should not, `again` what is set twice, `doors`
//! by which of its services strangers' mail comes, `ways` what holds there, `hands` whom it hands mail to, and `instances` puts together what each of several does.

mod again;
mod asking;
mod config;
mod doors;
mod effect;
mod glued;
mod hands;
mod instances;
mod margin;
mod misspelt;
mod order;
mod restrictions;
mod screen;
mod tables;
mod ways;
mod welcome;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::child::{postconf, postmap};
use super::rspamd::proxy::{Filters, Handed};
use config::{Parameters, Service, Written};
use tables::Tables;

pub(super) use again::again;
pub(super) use effect::{RESTRICTIONS, of as effect, threshold, weights};
pub(super) use glued::Glued;
pub(super) use hands::Texts;
pub(super) use instances::{Instance, unasking};
pub(super) use margin::{Broken, GoesOn};
pub(super) use order::harsh;
pub(super) use screen::{SITES, THRESHOLD, weights as site_weights};
pub(super) use ways::{Misplaced, without_blanks};

/// Where its configuration is.
const FOLDERS: [&str; 2] = ["/etc/postfix", "/usr/local/etc/postfix"];
pub(super) const MAIN_CF: [&str; 2] = ["/etc/postfix/main.cf", "/usr/local/etc/postfix/main.cf"];
/// Where it keeps its queue, and what a chroot shows of the system.
const QUEUE: &str = "/var/spool/postfix";
/// Whom its services run as.
const OWNER: &str = "postfix";
/// Larger than this is no table that somebody wrote; what it says is not waited for.
const MOST: u64 = 16 << 20;

/// A Postfix.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// What `main.cf` has, word for word.
    written: Vec<Written>,
    /// What holds, with the values of other parameters in their places.
    parameters: Parameters,
    /// Lines that are not what they were meant to be; all else is as if they were.
    broken: Vec<Broken>,
    /// Lines that are two; all else is as if they were.
    glued: Vec<Glued>,
    /// `None`: there is no `master.cf` to be read.
    services: Option<Vec<Service>>,
    /// What its lists of restrictions name, as far as it can be read.
    tables: Tables,
    /// Where `main.cf` and `master.cf` are.
    folder: String,
    /// The folder of one that runs beside the first.
    instance: Option<String>,
}

impl Setup {
    /// The one that is here, if one is, and the instances that run beside it (`multi_instance_directories`).
    pub(super) fn here() -> Vec<Result<Self, (PathBuf, io::Error)>> {
        let Some(first) = FOLDERS.iter().find_map(|folder| Self::of_folder(folder)) else {
            return Vec::new();
        };
        let Ok(first) = first else { return vec![first] };
        let value = |setup: &Self, name: &str| setup.parameters.get(name).cloned().unwrap_or_default();
        // What manages them starts those alone that are switched on.
        let is_managed = !value(&first, "multi_instance_wrapper").is_empty();
        let runs = |setup: &Self| !is_managed || value(setup, "multi_instance_enable") == "yes";
        let folders = value(&first, "multi_instance_directories");
        let more = restrictions::words(&folders).filter_map(|folder| {
            let setup = Self::of_folder(folder)?;
            Some(setup.map(|setup| Self { instance: Some(folder.to_owned()), ..setup }))
        });
        let more: Vec<_> = more.filter(|setup| setup.as_ref().map_or(true, runs)).collect();
        std::iter::once(Ok(first)).chain(more).collect()
    }

    fn of_folder(folder: &str) -> Option<Result<Self, (PathBuf, io::Error)>> {
        let main = Path::new(folder).join("main.cf");
        match fs::read_to_string(&main) {
            Ok(text) => Some(Ok(Self::installed(folder, &text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => Some(Err((main, error))),
        }
    }

    /// The folder of an instance that runs beside the first one.
    pub(super) fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    fn installed(folder: &str, main: &str) -> Self {
        let master = postconf(&["-c", folder, "-M"])
            .or_else(|| fs::read_to_string(Path::new(folder).join("master.cf")).ok());
        let setup = Self { folder: folder.to_owned(), ..Self::read(main, master.as_deref()) };
        // With lines that are none it says nothing, or something else than was meant.
        let is_whole = setup.broken.is_empty() && setup.glued.is_empty();
        let said = Some(["-c", folder, "-nx"]).filter(|_| is_whole).and_then(|asked| postconf(&asked));
        let setup = match said {
            Some(said) => Self { parameters: config::in_effect(&config::written(&said)), ..setup },
            None => setup,
        };
        Self { tables: setup.read_tables(folder), ..setup }
    }

    fn read_tables(&self, folder: &str) -> Tables {
        let is_large = |path: &str| fs::metadata(path).is_ok_and(|found| found.len() > MOST);
        let text = |path: &str| {
            let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
            fs::read_to_string(Some(path).filter(|path| is_file && !is_large(path))?).ok()
        };
        let keyed = |table: &str| {
            // Made of the text, which is left beside it as a rule.
            let (_, place) = table.split_once(':')?;
            let is_large = ["", ".cdb", ".db", ".lmdb"].iter().any(|end| is_large(&format!("{place}{end}")));
            (!is_large).then(|| postmap(&["-c", folder, "-s", table])).flatten()
        };
        let lists = self.lists();
        let named = lists.iter().flat_map(|list| tables::outside(list)).map(|asked| asked.table);
        let screens = self.values_of(&|name| name == again::ACCESS);
        let screens = screens.iter().flat_map(|value| restrictions::elements(value));
        let domains = welcome::naming(&self.parameters).filter(|word| word.contains(':'));
        tables::read(named.chain(screens).chain(domains), &text, &keyed)
    }

    /// The values of its lists of restrictions, and of classes of them.
    fn lists(&self) -> Vec<String> {
        self.values_of(&|name| RESTRICTIONS.contains(&name) || effect::is_class(self, name))
    }

    /// The values that parameters have, in `main.cf` and for services by themselves.
    fn values_of(&self, is_wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        let overrides = self.services.iter().flatten().flat_map(|service| &service.overrides);
        let set = self.parameters.iter().chain(overrides.map(|(name, value)| (name, value)));
        set.filter(|(name, _)| is_wanted(name))
            .map(|(_, value)| config::expanded(value, &self.parameters))
            .collect()
    }

    /// Tables of its lists that cannot be read here.
    pub(super) fn unread(&self) -> Vec<String> {
        let lists = self.lists();
        let asked = lists.iter().flat_map(|value| tables::outside(value));
        let tables = asked.filter(|asked| asked.by != "check_policy_service").map(|asked| asked.table);
        tables.filter(|table| !self.tables.contains_key(*table)).map(str::to_owned).collect()
    }

    /// From the texts of its files alone.
    pub(super) fn read(main: &str, master: Option<&str>) -> Self {
        let (main, glued) = glued::parted(main);
        let (main, mut broken) = margin::mended(&main);
        let mut written = config::written(&main);
        let stood = |line: &mut usize| *line = glued::stood(*line, &glued);
        written.iter_mut().for_each(|written| stood(&mut written.line));
        for Broken { line, goes_on, .. } in &mut broken {
            stood(line);
            goes_on.iter_mut().flat_map(|GoesOn { lines: (first, last), .. }| [first, last]).for_each(stood);
        }
        let raw = config::in_effect(&written);
        let parameters = raw.iter().map(|(name, value)| (name.clone(), config::expanded(value, &raw)));
        let parameters: Parameters = parameters.collect();
        // Before compatibility level 1 `-` meant yes.
        let old = parameters.get("compatibility_level").is_none_or(|level| level == "0");
        let services = master.map(|text| config::services(text, old));
        Self {
            written,
            parameters,
            broken,
            glued,
            services,
            tables: Tables::new(),
            folder: FOLDERS[0].to_owned(),
            instance: None,
        }
    }

    pub(super) fn main_cf(&self) -> String {
        format!("{}/main.cf", self.folder)
    }

    /// Lines of `main.cf` that are not what they were meant to be.
    pub(super) fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// Lines of `main.cf` that are two.
    pub(super) fn glued(&self) -> &[Glued] {
        &self.glued
    }

    /// To whom it hands mail that comes in.
    pub(super) fn filters(&self) -> Filters {
        let each = |value: &str| restrictions::elements(value).map(str::to_owned).collect::<Vec<_>>();
        let ways = ways::ways(self).into_iter().map(|way| Handed {
            door: way.door(),
            is_aside: way.is_aside(),
            milters: each(way.value(ways::MILTERS)),
            has_own: way.has_own(ways::MILTERS, self),
            is_filtered: ways::OTHERS.iter().any(|name| !way.value(name).is_empty()),
            misplaced: way.misplaced(self),
        });
        let handed: Vec<Handed> = ways.collect();
        let mut milters: Vec<String> = Vec::new();
        for milter in handed.iter().flat_map(|handed| &handed.milters) {
            if !milters.contains(milter) {
                milters.push(milter.clone());
            }
        }
        Filters {
            in_main: each(self.parameters.get(ways::MILTERS).map_or("", String::as_str)),
            milters,
            handed,
            default_action: self.parameters.get("milter_default_action").cloned(),
            queue: PathBuf::from(self.queue()),
            jailed: self.jailed(),
            owner: Some(self.parameters.get("mail_owner").map_or(OWNER, String::as_str).to_owned()),
        }
    }

    fn queue(&self) -> &str {
        self.parameters.get("queue_directory").map_or(QUEUE, String::as_str)
    }

    /// The services for mail that run in a chroot, which is the folder of the queue.
    fn jailed(&self) -> Vec<String> {
        let jailed =
            self.services.iter().flatten().filter(|service| service.command == "smtpd" && service.chroot);
        jailed.map(|service| format!("{}/{}", service.name, service.kind)).collect()
    }

    /// The `resolv.conf` that its chrooted services see, where those that ask lists run in one.
    pub(super) fn chrooted(&self) -> Option<PathBuf> {
        let asks = |service: &&Service| matches!(service.command.as_str(), "smtpd" | "dnsblog");
        let mut services = self.services.iter().flatten().filter(asks);
        services.any(|service| service.chroot).then(|| Path::new(self.queue()).join("etc/resolv.conf"))
    }
}

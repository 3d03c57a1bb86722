//! The third station: what mail programs do with the answers, as far as their configuration can be read.
//!
//! A file for each program turns its text into [`Mention`]s; what is wrong with them `judge` says. Pure but for [`read_all`], which reads
//! files, asks `postconf` and `rspamadm` and changes nothing.

mod cured;
mod exim;
mod expression;
mod fault;
mod filter;
mod forgotten;
mod judge;
mod main_cf;
mod off;
mod others;
mod postfix;
mod rspamd;
mod spamassassin;
mod stale;
mod statement;
mod trouble;
mod unanswered;
mod unheeded;
mod weights;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::finding::{Area, Check, Cure, Level};
use super::{child, cure, mynetworks, who};
use crate::config::Config;
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;
use filter::Filter;
use judge::{Served, harsh, judge, without_effect};
use spamassassin::calls::HandsOn;
use trouble::Trouble;
pub(crate) use unanswered::NAME as STOPS;

/// A zone that a mail program asks.
#[derive(Debug, Clone, PartialEq)]
struct Mention {
    program: Program,
    /// The parameter, rule or line.
    at: String,
    zone: Name,
    filter: Filter,
    does: Does,
    looks_up: LooksUp,
}

/// What the program asks the zone for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LooksUp {
    Addresses,
    Names,
    /// Nobody can tell here.
    Something,
}

/// What the program does when the zone answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Reject,
    /// Reject mail with a null sender alone.
    RejectBounces,
    Weigh,
    Let,
}

/// Lines that ask lists, and that no mail comes by.
#[derive(Debug, Clone, PartialEq)]
struct Idle {
    program: Program,
    at: String,
    zones: Vec<Name>,
    /// Mail passes, even where other lines ask the same.
    matters: bool,
    cause: String,
    cure: Cure,
}

/// Lines that ask lists before they let one's own people pass.
#[derive(Debug, Clone, PartialEq)]
struct Harsh {
    at: String,
    zones: Vec<Name>,
    /// Whom they refuse, and `is` or `are`.
    whom: &'static str,
    cause: String,
    cure: Cure,
}

/// A list that `main.cf` sets more than once.
#[derive(Debug, Clone, PartialEq)]
struct Again {
    /// The `main.cf`.
    file: String,
    name: String,
    /// Those that something of is lost, and the one that holds.
    lines: Vec<usize>,
    last: usize,
    /// The zones that what holds has to do with.
    asks: Vec<Name>,
    lost: Vec<String>,
    /// What there is in all of them.
    joined: Vec<String>,
    /// postscreen's threshold before the last of the lines, and the one that holds.
    thresholds: (i64, i64),
}

/// A program that asks others than the servers of `/etc/resolv.conf`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Elsewhere {
    /// Who, and where it says so.
    pub(crate) who: String,
    /// Whom it asks.
    pub(crate) servers: Vec<SocketAddr>,
    /// What has it ask the same as all others.
    pub(crate) cure: Cure,
}

/// What was found of mail programs.
#[derive(Debug, Default)]
pub(crate) struct Found {
    programs: BTreeSet<&'static str>,
    mentions: Vec<Mention>,
    idle: Vec<Idle>,
    /// Exim's.
    statements: Vec<statement::Statement>,
    /// What stands in its files besides them.
    besides: String,
    harsh: Vec<Harsh>,
    troubles: Vec<Trouble>,
    /// Instances of Postfix, where there are several.
    instances: Vec<postfix::Instance>,
    /// What Postfix asks and does not run.
    down: Vec<Trouble>,
    /// What was started before it was told to ask.
    stale: Vec<Trouble>,
    /// What asks and nobody reads.
    astray: Vec<Trouble>,
    /// Of Exim what it refuses, and what it does not read.
    hindered: exim::Hindered,
    /// It runs, and no Postfix.
    is_exim_alone: bool,
    /// Its macros that are defined twice.
    twice: Vec<exim::Twice>,
    /// SpamAssassin's rules, with what they score.
    scored: spamassassin::scores::Scored,
    again: Vec<Again>,
    /// Postfix's lines that are not what they were meant to be.
    broken: Vec<Check>,
    elsewhere: Vec<Elsewhere>,
    /// Postfix's tables that cannot be read here, and may ask, too.
    unread: Vec<String>,
    closed: Vec<Check>,
    /// SpamAssassin's rules that weigh next to nothing.
    faint: Vec<off::Faint>,
    /// rspamd's rules beside which it looks at none of its own.
    alone: Option<rspamd::blocks::Alone>,
    /// What rspamd's rules are, all its files together.
    rules: rspamd::rules::Rules,
    /// SpamAssassin's, of which nobody knows whether they count.
    undecided: Vec<spamassassin::blocks::Undecided>,
    /// Programs of which it is only known whether they ask.
    others: Vec<others::Other>,
    /// postscreen's, where it is set.
    threshold: Option<i64>,
    /// What postscreen's sites weigh.
    weights: Vec<(Mention, i64)>,
}

/// The port of whom no other is told.
const DNS: u16 = 53;

/// Debian makes it out of others.
const EXIM_MADE: &str = "/var/lib/exim4/config.autogenerated";
const MADE_OF: &str = "Debian makes config.autogenerated: edit what it has these lines from, below /etc/exim4 (conf.d/acl, or exim4.conf.template \
    where that is not split), and then `update-exim4.conf` and `systemctl reload exim4`";
/// Of the other programs the texts that they read.
const FILES: [(Program, &[&str]); 2] = [
    (
        Program::Rspamd,
        &[
            "/etc/rspamd/local.d/rbl.conf",
            "/etc/rspamd/override.d/rbl.conf",
            "/etc/rspamd/rspamd.conf.local",
            "/etc/rspamd/rspamd.conf.local.override",
            "/etc/rspamd/rspamd.conf.override",
            "/etc/rspamd/local.d/options.inc",
            "/etc/rspamd/override.d/options.inc",
        ],
    ),
    (Program::Spamassassin, &["/etc/spamassassin", "/etc/mail/spamassassin"]),
];

/// What spamd is started with, by system.
const SPAMD: [&str; 3] = ["/etc/default/spamd", "/etc/default/spamassassin", "/etc/sysconfig/spamassassin"];

/// Reads the configurations that are here. `resolvers` are those of /etc/resolv.conf.
pub(crate) fn read_all(resolvers: &[IpAddr]) -> Found {
    let mut found = Found::default();
    let mut postfix: Option<rspamd::proxy::Filters> = None;
    let mut hands: Vec<Vec<HandsOn>> = Vec::new();
    let outside = postfix::Texts::here();
    for setup in postfix::Setup::here() {
        match setup {
            Ok(setup) => {
                postfix = Some(setup.filters().and(postfix));
                hands.push(setup.hands_on(&outside));
                found.postfix(&setup);
            }
            Err((path, error)) => found.closed.push(closed(&path, &error)),
        }
    }
    // Where nobody may look, something may be.
    let is_there = |path: &str| {
        fs::symlink_metadata(path)
            .map_or_else(|error| error.kind() == io::ErrorKind::PermissionDenied, |_| true)
    };
    let reads = exim::Reads::here(&is_there);
    let exim: Vec<&str> = reads.iter().map(|reads| reads.file.as_str()).collect();
    let mut texts = Vec::new();
    let mut is_whole = true;
    for (program, paths) in std::iter::once((Program::Exim, &exim[..])).chain(FILES) {
        let paths = distinct(paths.iter().map(PathBuf::from));
        let (paths, more): (Vec<_>, Vec<_>) = paths.iter().map(|path| files(path)).unzip();
        let closed_before = found.closed.len();
        found.closed.extend(more.into_iter().flatten().map(|(path, error)| closed(&path, &error)));
        for path in distinct(paths.into_iter().flatten()) {
            match fs::read_to_string(&path) {
                Ok(text) => {
                    // Its other settings do not make a program one that asks lists.
                    if !path.ends_with("options.inc") {
                        found.programs.insert(cure::name(program));
                    }
                    texts.push(off::Read { program, place: path.display().to_string(), text });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => found.closed.push(closed(&path, &error)),
            }
        }
        is_whole &= program != Program::Spamassassin || found.closed.len() == closed_before;
    }
    rspamd::files::include(&mut texts, &|path| fs::read_to_string(path).ok());
    let unloaded = spamassassin::relays::unloaded(&texts, is_whole);
    let resolved = spamassassin::blocks::resolve(&mut texts, is_whole, spamassassin_version);
    spamassassin::again::settle(&mut texts);
    for read in &texts {
        found.add(read.program, Path::new(&read.place), &read.text);
    }
    found.mentions.retain(|mention| mention.program != Program::Spamassassin);
    found.mentions.extend(spamassassin::all(&texts));
    found.idle.extend(resolved.hidden);
    found.idle.extend(spamassassin::relays::dead(&unloaded, &found.mentions));
    found.troubles.extend(spamassassin::relays::trusting(&texts, &found.mentions));
    found.troubles.extend(spamassassin::astray::shut(&found.mentions, &spamassassin::astray::is_roots));
    let amavis =
        spamassassin::amavis::Amavis::here().filter(|_| hands.iter().flatten().any(HandsOn::is_amavis_alone));
    found.idle.extend(amavis.iter().flat_map(|amavis| amavis.off(&found.mentions)));
    found.scored = spamassassin::scores::Scored::of(&texts).required_by(amavis);
    if let Some(read) = reads.first() {
        let running = who::processes();
        let runs = |names: &[&str]| running.iter().any(|name| names.contains(&name.as_str()));
        found.is_exim_alone = runs(&["exim4", "exim"]) && !runs(&["master"]);
        let debians = exim::Debians { files: &plain_files, read: &|path| fs::read_to_string(path).ok() };
        found.hindered = exim::Hindered::of(read, &debians, &found.twice, found.zones(Program::Exim));
    }
    found.astray.extend(rspamd::files::astray(&texts, &|path| fs::read_to_string(path).ok()));
    found.astray.extend(spamassassin::astray::astray(&|path| fs::read_to_string(path).ok()));
    found.undecided = resolved.undecided;
    found.faint = off::faint(&texts);
    found.idle.extend(off::off(&texts, &mut found.mentions));
    found.alone = rspamd::blocks::alone(&rspamd::blocks::parts(&texts), &found.mentions);
    found.idle.extend(rspamd::files::idle(&texts, &rspamd::files::besides(), &mut found.mentions));
    let tree = rspamd::tree::tree(&|path| fs::read_to_string(path).ok());
    found.rules = rspamd::rules::Rules::of(&tree);
    found.rules.again = rspamd::files::included_again(&texts);
    let local = rspamd::local::Local::of(&tree, &found.rules, &|path| fs::read_to_string(path).ok());
    found.idle.extend(local.everybody());
    found.troubles.extend(local.strangers());
    found
        .idle
        .extend(SPAMD.iter().find_map(|path| spamassassin::started(path, &fs::read_to_string(path).ok()?)));
    // Where Exim is, it may ask either, if its configuration says whom.
    let of_exim: Vec<&off::Read> = texts.iter().filter(|read| read.program == Program::Exim).collect();
    let exim_may_ask = exim.first().is_some_and(|path| is_there(path))
        && (of_exim.is_empty()
            || of_exim.iter().any(|read| exim::may_scan(&read.text, &|path| fs::read_to_string(path).ok())));
    let postfix_asks = postfix.filter(|_| !exim_may_ask);
    // Of several instances one may hand mail to another.
    if let [hands] = &hands[..]
        && postfix_asks.is_some()
    {
        found.down.extend(hands.iter().find_map(|hands| spamassassin::calls::down(hands, &found.mentions)));
        found.idle.extend(spamassassin::calls::unasked(hands, &found.mentions).filter(|_| !has_forwards()));
    }
    if let Some(filters) = postfix_asks {
        let workers = rspamd::workers::Workers::of(&tree);
        let listens = rspamd::proxy::here();
        let ground = rspamd::proxy::Ground::here(&listens, &workers.others);
        let is_reached = rspamd::proxy::reaches(&filters, &listens);
        found.idle.extend(rspamd::proxy::unasked(&found.mentions, &filters, &ground));
        let misled = workers.idle().filter(|_| is_reached);
        if misled.is_none() {
            found.down.extend(rspamd::runs::look(&filters, &listens, &texts));
        }
        found.idle.extend(misled);
        found.troubles.extend(rspamd::proxy::stops(&found.mentions, &filters, &ground));
        let own = if is_reached { mynetworks::public(&mynetworks::here()) } else { Vec::new() };
        found.troubles.extend(local.forgotten(&own));
    }
    found.stale = stale::look(&found.mentions);
    found.others = others::here();
    found.programs.extend(found.others.iter().map(|other| other.name));
    let is_other = |server: &SocketAddr| server.port() != DNS || !resolvers.contains(&server.ip());
    found.elsewhere.retain(|elsewhere| elsewhere.servers.iter().any(is_other));
    found
}

/// Whether some user here has his mail handed on by himself (local(8)).
fn has_forwards() -> bool {
    homes().any(|home| home.join(".forward").exists())
}

/// Of people, and root's.
fn homes() -> impl Iterator<Item = PathBuf> {
    let homes = fs::read_dir("/home").into_iter().flatten().flatten().map(|entry| entry.path());
    homes.chain([PathBuf::from("/root")])
}

/// `SpamAssassin version 4.0.1`, `SpamAssassin Server version 4.0.1`
fn spamassassin_version() -> Option<String> {
    let said = ["spamassassin", "spamd"].iter().find_map(|program| child::said(program, &["--version"]));
    let (_, text) = said?;
    let version = |line: &str| {
        line.strip_prefix("SpamAssassin ")?.split_once("version ").map(|(_, version)| version.to_owned())
    };
    text.lines().find_map(version)
}

fn closed(path: &Path, error: &io::Error) -> Check {
    let what = format!("cannot read {}: {error}", path.display());
    Check::unknown(Area::Mail, "mail-closed", what).cured_by("ask as root")
}

impl Found {
    fn add(&mut self, program: Program, path: &Path, text: &str) {
        let place = path.display().to_string();
        let found = uses(program, path, text);
        self.mentions.extend(found.mentions);
        self.idle.extend(found.idle);
        self.statements.extend(found.statements);
        self.troubles.extend(found.troubles);
        self.twice.extend(found.twice);
        self.besides.push_str(&found.besides);
        let (servers, parameter) = match program {
            Program::Rspamd => (rspamd::servers(text), "nameserver"),
            Program::Spamassassin => (spamassassin::servers(text), "dns_server"),
            _ => return,
        };
        if !servers.is_empty() {
            self.elsewhere.push(Elsewhere {
                who: format!("{}, as {place} says ({parameter}),", cure::name(program)),
                servers,
                cure: Cure {
                    how: format!("take {parameter} out of {place}, or name the resolver there that knows of gatepost; then restart {}", cure::name(program)),
                    lines: String::new(),
                },
            });
        }
        if let Some((line, at)) = spamassassin::off(text).filter(|_| program == Program::Spamassassin) {
            self.idle.push(Idle {
                program,
                at: format!("{place}:{at}"),
                zones: Vec::new(),
                matters: true,
                cause: format!("`{line}` keeps it from asking any list"),
                cure: Cure {
                    how: format!("take that line out of {place}, and restart what calls it"),
                    lines: String::new(),
                },
            });
        }
    }

    /// What a program asks, or would.
    fn zones(&self, program: Program) -> Vec<Name> {
        let mentions = self.mentions.iter().filter(|mention| mention.program == program);
        let idle = self.idle.iter().filter(|idle| idle.program == program).flat_map(|idle| &idle.zones);
        mentions.map(|mention| &mention.zone).chain(idle).cloned().collect()
    }

    /// Who asks others than the servers of `/etc/resolv.conf`.
    pub(crate) fn elsewhere(&self) -> &[Elsewhere] {
        &self.elsewhere
    }
}

/// What is wrong with what was `found`. `resolver` is the first of /etc/resolv.conf.
pub(crate) fn look(
    mut found: Found,
    config: &Config,
    wiring: &Wiring,
    resolver: Option<IpAddr>,
) -> Vec<Check> {
    let mut checks = found.closed;
    if found.programs.is_empty() {
        let what = "no configuration of a mail program is here";
        checks.push(Check::ok(Area::Mail, what));
        return checks;
    }
    let served =
        Served::of(config, wiring).screened_from(found.threshold).stated(found.statements, found.besides);
    let served = served.met_by_exim(found.is_exim_alone);
    let idle = without_effect(&found.idle, &found.mentions, &found.again, wiring, found.threshold);
    let has_idle = !idle.is_empty();
    let refused = found.hindered.refused(wiring);
    let is_refused = !refused.is_empty();
    checks.extend(refused);
    checks.extend(found.broken);
    checks.extend(trouble::checks(&found.down, wiring));
    checks.extend(postfix::unasking(&found.instances, wiring));
    checks.extend(idle);
    checks.extend(main_cf::again(&found.again, wiring));
    checks.extend(harsh(&found.harsh, wiring));
    checks.extend(trouble::checks(&found.troubles, wiring));
    let scored = found.scored.judge(&mut found.mentions, &served);
    let [loaded_not, ruled] = found.rules.judge(&mut found.mentions, &served);
    checks.extend(loaded_not);
    checks.extend(judge(&found.mentions, &served, resolver));
    checks.extend(scored);
    checks.extend(ruled);
    checks.extend(weights::judge(&found.weights, &served));
    let is_ours_alone = |alone: &&rspamd::blocks::Alone| alone.zones.iter().any(|zone| is_ours(zone, wiring));
    checks.extend(found.alone.iter().filter(is_ours_alone).map(rspamd::blocks::Alone::check));
    checks.extend(found.undecided.iter().map(spamassassin::blocks::Undecided::check));
    let perhaps: Vec<&Name> = found.undecided.iter().flat_map(|undecided| &undecided.zones).collect();
    let mut asked = found.mentions.iter().map(|mention| &mention.zone).chain(perhaps.iter().copied());
    let programs: Vec<&str> = found.programs.into_iter().collect();
    let mut astray = trouble::checks(&found.astray, wiring);
    astray.extend(found.hindered.elsewhere(wiring));
    let has_idle = has_idle || is_refused || !astray.is_empty();
    let others: Vec<Check> = found.others.iter().filter_map(|other| other.check(wiring)).collect();
    let besides: Vec<Name> = found.others.iter().flat_map(|other| other.asks(wiring)).collect();
    let is_right = !has_idle && !checks.iter().any(|check| matches!(check.level, Level::Bad | Level::Warn));
    if !asked.any(|zone| is_ours(zone, wiring)) {
        checks.extend(astray);
        if !others.is_empty() {
            checks.extend(others);
        } else if !has_idle && wiring.zones.is_empty() {
            let what = "no list is served that is for mail programs: `gatepost feeds` shows those that may be enabled";
            checks.push(Check::ok(Area::Mail, what));
        } else if !has_idle {
            checks.push(
                Check::bad(Area::Mail, "mail-not-asked", asks_nothing(&programs))
                    .because(unused(&found.unread))
                    .cured_by(others::pasted(&programs)),
            );
        }
    } else {
        if is_right && found.unread.is_empty() {
            let perhaps: Vec<&Name> = perhaps.iter().copied().chain(&besides).collect();
            checks.extend(forgotten::check(&found.mentions, &perhaps, wiring));
            checks.extend(unheeded::checks(&found.mentions, &found.weights, &served, config));
            checks.extend(weights::overruled(&found.weights, &served));
            checks.extend(trouble::checks(&found.stale, wiring));
        }
        if checks.is_empty() {
            checks.extend(others);
            let uses = match found.mentions.len() {
                1 => "1 use of a zone, as it should be".to_owned(),
                number => format!("{number} uses of zones, each as it should be"),
            };
            checks.push(Check::ok(Area::Mail, format!("{}: {uses}", programs.join(", "))));
        }
    }
    let is_about_ours = |faint: &&off::Faint| faint.zones.iter().any(|zone| is_ours(zone, wiring));
    checks.extend(found.faint.iter().filter(is_about_ours).map(off::Faint::check));
    checks.into_iter().map(|check| check.noted(EXIM_MADE, MADE_OF)).collect()
}

/// The files in a folder, by their names.
fn plain_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

fn unused(unread: &[String]) -> String {
    let cause = "the lists are served, but no mail program that was found here uses them";
    match unread {
        [] => cause.to_owned(),
        tables => format!("{cause}, unless it is told to by what cannot be read here: {}", tables.join(", ")),
    }
}

fn asks_nothing(programs: &[&str]) -> String {
    match programs {
        [others @ .., last] if !others.is_empty() => {
            format!("{} and {last} ask no zone of gatepost's", others.join(", "))
        }
        _ => format!("{} asks no zone of gatepost's", programs.concat()),
    }
}

fn is_ours(zone: &Name, wiring: &Wiring) -> bool {
    wiring.domains.iter().any(|domain| zone.is_in(domain))
}

/// Without what is another name of one before it: Debian's /etc/mail/spamassassin is a link.
fn distinct(paths: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    paths.filter(|path| seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.clone()))).collect()
}

/// The file, or what SpamAssassin reads in the folder, in its order; and the folder that cannot be looked into.
fn files(path: &Path) -> (Vec<PathBuf>, Option<(PathBuf, io::Error)>) {
    if !path.is_dir() {
        return (vec![path.to_owned()], None);
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()),
        Err(error) => return (Vec::new(), Some((path.to_owned(), error))),
    };
    let ends = |path: &PathBuf, wanted: &str| path.extension().is_some_and(|end| end == wanted);
    let mut files: Vec<PathBuf> = entries.filter(|path| ends(path, "pre") || ends(path, "cf")).collect();
    files.sort_by_key(|path| (!ends(path, "pre"), path.clone()));
    (files, None)
}

/// What asks, and what has no effect by what stands in the same text.
fn uses(program: Program, path: &Path, text: &str) -> exim::Uses {
    let place = path.display().to_string();
    let mentions = match program {
        Program::Exim => return exim::uses(&place, text, &|path| fs::read_to_string(path).ok()),
        Program::Rspamd => rspamd::mentions(&place, text),
        _ => spamassassin::mentions(&place, text),
    };
    exim::Uses { mentions, ..exim::Uses::default() }
}

#[cfg(test)]
mod tests;

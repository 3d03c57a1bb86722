//! `gatepost serve`: the service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::Level;

use super::failure::Usage;
use super::locate::{self, ConfigArgs};
use super::logs::LogArgs;
use super::output::{counted, short_duration};
use super::progress::Progress;
use crate::config::{self, Config, HttpPath, ListConfig, Problem, Problems, Slug};
use crate::error::ExitStatus;
use crate::ops::{
    Clients, Conduct, Ended, FEWEST_FILES, FeedAges, Nohup, Report, Said, Service, TooFewFiles,
    expired_lists, feed_ages, handed, identity, raise_open_files,
};
use crate::server::{
    AccessLists, Addresses, Handed, HitLog, Identity, Limits, ReloadError, Secure, Served, Server, Settings,
    Sockets, StartError, cores,
};
use crate::store::{Outcome, Store};

/// Answer DNS questions from the store; the service
///
/// Answers from the compiled zones in the state folder, over UDP and TCP (where the configuration says so also over TLS and
/// HTTPS), and takes new ones over within a second
/// without losing a question. With a timer in the configuration (`timer` under `[sync]`) it also starts `gatepost sync` in a
/// process of its own; without one somebody else's timer does.
///
/// SIGHUP reads the configuration again, addresses and certificate included, under nohup as well, and opens the hit log again.
/// It is taken over whole or, after a mistake in it or when an address cannot be had, not at all. SIGTERM and SIGINT answer
/// what has come and exit with 0. Speaks to systemd (Type=notify, watchdog) and takes the sockets over that it hands it for
/// addresses of the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost serve --config /etc/gatepost/gatepost.toml
  GATEPOST_LISTEN=127.0.0.1:5300 gatepost serve --config gatepost.toml
  gatepost status --probe                      does it answer as it should? (health check)")]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Copy compiled zones into memory that nobody can change, instead of mapping their files: for state folders that others can write to
    #[arg(long)]
    private_copy: bool,
    #[command(flatten)]
    log: LogArgs,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let _flush = args.log.init_apart(Level::INFO);
    args.log.told(serve(args))
}

fn serve(args: &Args) -> anyhow::Result<ExitStatus> {
    let path = std::path::absolute(args.config.path())?;
    let files = raise_open_files()?;
    let mut config = locate::read(&path)?;
    locate::keep_off_up(&config)?;
    let store = Store::open(&config.state)?;
    tell_absent(&config);
    let wanted = config.server.tcp_connections;
    config.server.tcp_connections = connections(&config.server, workers(&config.server), files)?;
    let clients = Clients::read(&config)?;
    let lists = Arc::new(Mutex::new(config.reloadable.lists.clone()));
    let identity = identity(&config)?;
    tell_complaint(identity.as_ref());
    let access = clients.lists().clone();
    let server = start(&config, handed(), access, identity, store.clone(), &lists, args.private_copy)?;
    // A configuration that is read again is held against what was read, not against what there was room for.
    config.server.tcp_connections = wanted;
    // Takes the signals before anybody is told that it listens: whoever reads that may send one at once.
    let service = Service::new(server, path.clone(), config.reloadable.sync.timer, Nohup::Overruled)?;
    tell_addresses(service.server(), &config.server.doh_path);
    let progress = Progress::log();
    let mut daemon = Daemon { path, config, store, clients, lists, progress };
    tracing::info!("{}", daemon.status(service.server()));
    if let Some(timer) = daemon.config.reloadable.sync.timer {
        tracing::info!("looks for lists that are due every {}", short_duration(timer));
    }
    service.run(&mut daemon);
    tracing::info!("stopped");
    Ok(ExitStatus::Ok)
}

/// How many connections are let in: as many as are configured, or as many as there are descriptors for. Above that nobody would
/// be let in any more, while here those who are idle make room. An error where there is no room for the sockets themselves.
pub(crate) fn connections(
    server: &config::Server,
    workers: usize,
    descriptors: u64,
) -> Result<u32, TooFewFiles> {
    // A socket for each worker, and the listeners.
    let sockets = server.listen.len() * (workers + 1) + server.dot.len() + server.doh.len();
    let needed = FEWEST_FILES + sockets as u64;
    TooFewFiles::check(descriptors, needed + 1)?;
    // The files of zones are kept open as long as three quarters of the descriptors are free, which a start takes some of.
    let kept = (descriptors / 4).saturating_sub(FEWEST_FILES / 2);
    let room = (descriptors - needed).saturating_sub(kept).max(1);
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    if room < server.tcp_connections {
        tracing::warn!(
            "the limit of {descriptors} open files has room for {room} connections, not for the {} of `tcp-connections` \
             (ulimit -n; LimitNOFILE= of systemd)",
            server.tcp_connections
        );
    }
    Ok(room.min(server.tcp_connections))
}

/// As configured, or one for each core.
pub(crate) fn workers(server: &config::Server) -> usize {
    server.workers.map_or_else(cores, usize::from)
}

/// Starts the server of `config`. Which lists are too old is decided by what `lists` says then.
pub(crate) fn start(
    config: &Config,
    handed: Handed,
    access: AccessLists,
    identity: Option<Identity>,
    store: Store,
    lists: &Arc<Mutex<BTreeMap<Slug, ListConfig>>>,
    private_copy: bool,
) -> anyhow::Result<Server> {
    let settings = Settings { private_copy, ..settings(config, access, identity) };
    let expired = expired_lists(store, Arc::clone(lists));
    let sockets = Sockets::fit(handed, &settings);
    sockets.and_then(|sockets| Server::start_bound(sockets, &settings, Box::new(expired))).map_err(|error| {
        if let StartError::Stray(_) = error {
            return Usage(format!(
                "{error}; the `listen` of gatepost.toml and of gatepost.socket must agree"
            ))
            .into();
        }
        let help = help_with(&error);
        let error = anyhow::Error::new(error);
        help.map_or(error, |help| anyhow::anyhow!("{help}"))
    })
}

fn settings(config: &Config, access: AccessLists, identity: Option<Identity>) -> Settings {
    let server = &config.server;
    Settings {
        listen: server.listen.clone(),
        workers: workers(server),
        pin_workers: server.pin_workers,
        streams: Limits {
            connections: server.tcp_connections as usize,
            per_client: server.tcp_connections_per_client as usize,
            idle: server.tcp_idle,
            ..Limits::default()
        },
        secure: identity.map(|identity| Secure {
            dot: server.dot.clone(),
            doh: server.doh.clone(),
            path: server.doh_path.clone(),
            identity,
        }),
        version: config.reloadable.version_bind.clone(),
        access,
        hit_log: server
            .hit_log
            .as_ref()
            .map(|path| HitLog { path: path.clone(), clients: server.hit_log_clients }),
        ..Settings::new(config.state.clone(), origins(config))
    }
}

fn origins(config: &Config) -> Vec<crate::model::Name> {
    config.reloadable.zones.iter().map(|zone| zone.origin.clone()).collect()
}

/// What to do when the sockets cannot be had.
fn help_with(error: &StartError) -> Option<String> {
    let StartError::Bind { address, transport, cause } = error else { return None };
    let port = address.port();
    match cause.kind() {
        std::io::ErrorKind::AddrInUse => Some(format!(
            "{address} is in use: another gatepost or rbldnsd may be running there, or a resolver\n  \
             who it is:        ss -lunpt 'sport = :{port}'\n  \
             another address:  --listen (gatepost up), `listen` in the configuration or GATEPOST_LISTEN, such as 127.0.0.1:{}",
            port.checked_add(1).unwrap_or(5355)
        )),
        std::io::ErrorKind::PermissionDenied if port < 1024 => Some(format!(
            "cannot listen on {address}, {transport}: ports below 1024 need root or CAP_NET_BIND_SERVICE; \
             the default, 127.0.0.1:5354, needs neither"
        )),
        std::io::ErrorKind::AddrNotAvailable => {
            Some(format!("cannot listen on {address}, {transport}: this machine has no such address"))
        }
        _ => None,
    }
}

/// How often access files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The service, told what happens.
struct Daemon {
    path: PathBuf,
    config: Config,
    store: Store,
    clients: Clients,
    lists: Arc<Mutex<BTreeMap<Slug, ListConfig>>>,
    progress: Progress,
}

impl Conduct for Daemon {
    fn said(&mut self, _: &Server, said: &Said) {
        match said {
            Said::Report(report) if is_routine(&self.config, report) => {}
            Said::Report(report) => self.progress.report(report),
            Said::Line(line) => tracing::warn!("sync: {line}"),
            Said::Ended(ended) => tell_end(*ended),
        }
    }

    fn refused(&mut self, error: &ReloadError) {
        // The server has logged it.
        tracing::debug!(%error, "refused");
    }

    fn reload(&mut self, server: &mut Server) -> Option<Option<Duration>> {
        // All that can fail comes first: files, the world of the zones, addresses. Then nothing is in the way of any of it.
        let files = raise_open_files();
        let read = locate::read(&self.path).and_then(|config| {
            let (clients, identity) = (Clients::read(&config)?, identity(&config)?);
            // Until the next start there are as many threads and, where there is room, connections as there are.
            let tcp_connections = self.config.server.tcp_connections;
            let running = config::Server { tcp_connections, ..config.server.clone() };
            let connections = connections(&running, server.workers(), files?)?;
            Ok((config, clients, identity, connections))
        });
        let (config, clients, identity, connections) = match read {
            Ok(read) => read,
            Err(error) => {
                log_refusal(&error);
                return None;
            }
        };
        tell_absent(&config);
        let wanted = addresses(&config.server);
        let version = config.reloadable.version_bind.clone();
        let prepared = match server.prepare(origins(&config), version, clients.lists().clone()) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::error!("the old configuration stays: {error}");
                return None;
            }
        };
        let moved = server.move_to(&wanted, &config.server.doh_path, |server| {
            renew(identity.as_ref(), server);
            self.lists.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&config.reloadable.lists);
            // It fails with the thread that serves, which has said so.
            let _ = prepared.apply();
        });
        if let Err(error) = moved {
            tracing::error!("the old configuration stays: {error}");
            return None;
        }
        server.let_in(connections as usize);
        if wanted != addresses(&self.config.server) {
            tell_addresses(server, &config.server.doh_path);
        }
        let new = &config.server;
        let (listen, dot, doh) = (new.listen.clone(), new.dot.clone(), new.doh.clone());
        let moved = config::Server { listen, dot, doh, open: new.open, ..self.config.server.clone() };
        if *new != moved || config.state != self.config.state {
            tracing::warn!("a changed [server] (but for addresses) or state folder needs a restart");
        }
        let Addresses { listen, dot, doh } = wanted;
        self.config.server = config::Server { listen, dot, doh, ..moved };
        self.clients = clients;
        self.config.reloadable = config.reloadable;
        tracing::info!("the configuration was read again: {}", self.status(server));
        Some(self.config.reloadable.sync.timer)
    }

    fn look(&mut self, server: &Server) -> Option<Duration> {
        if !self.clients.have_files() {
            return None;
        }
        match self.clients.look(&self.config) {
            Ok(None) => {}
            Ok(Some(lists)) => {
                let version = self.config.reloadable.version_bind.clone();
                // What goes wrong here is logged by the server.
                let _ = server.configure(origins(&self.config), version, lists.clone());
                tracing::info!("the access files were read again");
            }
            Err(problems) => {
                problems.iter().for_each(|problem| tracing::error!("{}", in_a_line(problem)));
                tracing::error!("the access lists stay as they were");
            }
        }
        Some(LOOK)
    }

    fn status(&self, server: &Server) -> String {
        let world = server.world();
        let zones = world.zones().count() as u64;
        let waiting = world.zones().filter(|(_, served)| !matches!(served, Served::Ready(_))).count();
        let zones = counted(zones, "zone", "zones");
        let generation =
            world.generation().map_or_else(String::new, |number| format!(", generation {number}"));
        let feeds = ages(&feed_ages(&self.store, self.config.reloadable.lists.values()));
        match waiting {
            0 => format!("{zones} in service{generation}{feeds}"),
            waiting => format!("{zones}, {waiting} of them without data yet (SERVFAIL){generation}{feeds}"),
        }
    }
}

/// The ages of feeds, behind what is in service; nothing where there are none.
fn ages(feeds: &FeedAges) -> String {
    let FeedAges { feeds, oldest, soft, hard, absent } = feeds;
    if *feeds == 0 {
        return String::new();
    }
    let mut text = format!("; {}", counted(*feeds, "feed", "feeds"));
    if let Some((age, list)) = oldest {
        text += &format!(", the oldest confirmed {} ago ({list})", short_duration(*age));
    }
    for (count, what) in [(soft, "too old"), (hard, "so old that they are silent"), (absent, "not there yet")]
    {
        if *count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

/// Own files that are not there: their lists stay as they were, and the next sync looks again.
fn tell_absent(config: &Config) {
    config.absent.iter().for_each(|problem| tracing::warn!("{}", in_a_line(problem)));
}

fn addresses(server: &config::Server) -> Addresses {
    Addresses { listen: server.listen.clone(), dot: server.dot.clone(), doh: server.doh.clone() }
}

fn tell_addresses(server: &Server, path: &HttpPath) {
    for address in server.addresses() {
        tracing::info!("listening on {address}, UDP and TCP");
    }
    for address in server.dot_addresses() {
        tracing::info!("listening on {address}, DNS over TLS");
    }
    for address in server.doh_addresses() {
        tracing::info!("listening on {address}, DNS over HTTPS (https://{address}{path})");
    }
}

/// Takes a changed certificate over.
fn renew(identity: Option<&Identity>, server: &mut Server) {
    if identity.is_some_and(|identity| server.renew(identity)) {
        tracing::info!("clients are shown another certificate from now on");
    }
    tell_complaint(identity);
}

fn tell_complaint(identity: Option<&Identity>) {
    if let Some(complaint) = identity.and_then(Identity::complaint) {
        tracing::error!("{complaint}: clients that look at it will not ask");
    }
}

/// A line for each mistake, so that each has its level and place in the log.
fn log_refusal(error: &anyhow::Error) {
    let Some(problems) = error.downcast_ref::<Problems>() else {
        return tracing::error!("the old configuration stays: {error:#}");
    };
    problems.iter().for_each(|problem| tracing::error!("{}", in_a_line(problem)));
    tracing::error!("the old configuration stays; `gatepost check-config` shows more");
}

fn in_a_line(problem: &Problem) -> String {
    let file = problem.file().map_or_else(String::new, |file| format!("{}:", file.display()));
    let place =
        problem.line_and_column().map_or_else(String::new, |(line, column)| format!("{line}:{column}:"));
    format!("{file}{place} {}", problem.message())
}

/// An own or embedded list that did not change is looked at on every run: no news.
pub(crate) fn is_routine(config: &Config, report: &Report) -> bool {
    let Report::List(done) = report else { return false };
    let own = config.reloadable.lists.values().any(|list| list.is_own() && list.name.as_str() == done.list);
    own && done.outcome == Some(Outcome::Confirmed)
}

fn tell_end(ended: Ended) {
    match ended {
        Ended::With(ExitStatus::Ok | ExitStatus::Found) => tracing::debug!("the sync has ended"),
        Ended::With(status) => {
            tracing::error!(
                "the sync could not work (exit code {}); what is in service stays",
                status.code()
            );
        }
        Ended::Badly(status) => tracing::error!("the sync died ({status}); what is in service stays"),
    }
}

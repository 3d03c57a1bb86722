//! `gatepost up`: everything at once, nothing to configure.
//!
//! Makes the configuration of the catalogue's free feeds, writes it into the state folder, starts the server and runs
//! the sync in a process of its own. `hints` says how to use what is served, `show` puts it on the terminal.

mod hints;
mod show;

use std::fs::Permissions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, anyhow, bail};

use super::failure::Usage;
use super::files::give_to_owner_of;
use super::locate::{UP_CONFIG, default_state};
use super::logs;
use super::progress::Progress;
use super::serve::{connections, start, workers};
use super::terms;
use crate::config::{Config, Feeds, Overrides, Slug, defaults, reaches_the_public};
use crate::error::ExitStatus;
use crate::feed::catalogue;
use crate::model::Name;
use crate::ops::{Nohup, Service, raise_open_files};
use crate::server::{AccessLists, Handed};
use crate::store::{Store, StoreError};
use show::Screen;

/// Serve public blocklists on this machine, nothing to configure
///
/// Downloads the feeds of the catalogue that are marked for it (anyone may fetch them), checks and compiles them, and answers DNS questions
/// from them on loopback until Ctrl-C. Each list is a zone of its own, and block.SUFFIX answers for all lists that are
/// good enough to reject mail on, in one question. A feed is never fetched more often than its publisher allows, also
/// when this is started again and again.
///
/// What it fetched stays in the state folder and is served at once the next time.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost up
  gatepost up --listen 127.0.0.1:5300 --listen '[::1]:5300'
  gatepost up --suffix bl.example.net          zones are psbl.bl.example.net and so on
  gatepost status                              in another terminal: lists, ages, what is in service
  gatepost lookup 192.0.2.7                    in another terminal: who lists this address")]
pub(crate) struct Args {
    /// State folder [default: ~/.local/state/gatepost, /var/lib/gatepost for root]
    #[arg(long, value_name = "DIR", env = "GATEPOST_STATE", hide_env_values = true)]
    state: Option<PathBuf>,
    /// The zones are LIST.NAME and block.NAME
    #[arg(long, value_name = "NAME", default_value = defaults::UP_SUFFIX)]
    suffix: Name,
    /// Feed files (NAME.toml) instead of the built-in catalogue
    #[arg(long, value_name = "DIR")]
    catalogue: Option<PathBuf>,
    /// Address and port, UDP and TCP; may be given several times [env: GATEPOST_LISTEN=] [default: 127.0.0.1:5354]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Vec<SocketAddr>,
    /// Answer everybody, on an address that strangers can reach
    #[arg(long)]
    open: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let state = state_folder(args)?;
    let catalogue = args.catalogue.as_deref().map(std::path::absolute).transpose()?;
    let feeds = catalogue::load(catalogue.as_deref())?;
    let listen = match &args.listen[..] {
        [] => Overrides::from_environment(|name| std::env::var_os(name))?.listen,
        given => given.to_vec(),
    };
    let mut config = Config::for_up(state, &args.suffix, &feeds, listen)
        .map_err(|error| anyhow!(Usage(format!("--suffix {}: {error}", args.suffix))))?;
    config.reloadable.sync.catalogue = catalogue;
    config.server.open = args.open;
    if let Some(address) = config.server.listen.iter().find(|at| !args.open && reaches_the_public(at.ip())) {
        bail!(Usage(format!(
            "strangers can reach {address}; --open answers them all, `gatepost serve` can be told whom to answer"
        )));
    }

    if config.state.join("generation.json").exists() && !config.state.join(UP_CONFIG).exists() {
        bail!(Usage(format!(
            "{} is the state folder of a service; name another with --state DIR",
            config.state.display()
        )));
    }

    let progress = Progress::new(config.reloadable.lists.keys().map(Slug::as_str), false);
    logs::init_above(&progress);
    config.server.tcp_connections =
        connections(&config.server, workers(&config.server), raise_open_files()?)?;
    let store = Store::open(&config.state)?;
    let lists = Arc::new(Mutex::new(config.reloadable.lists.clone()));
    let server =
        start(&config, Handed::default(), AccessLists::default(), None, store.clone(), &lists, false)?;
    // With the ports that were really taken: a check must find them.
    config.server.listen = server.addresses().to_vec();
    let path = config.state.join(UP_CONFIG);
    write_config(&path, &config)?;

    let mut screen = Screen::new(config, args.suffix.clone(), progress);
    // Takes the signals before anything is said: whoever reads that it answers may send one at once.
    let timer = Some(defaults::UP_TIMER);
    let service = Service::new(server, path, timer, Nohup::Respected)?;
    screen.begin();
    show_terms(&feeds, &store)?;
    screen.look(service.server());
    service.run(&mut screen);
    screen.end();
    Ok(ExitStatus::Ok)
}

fn state_folder(args: &Args) -> anyhow::Result<PathBuf> {
    let state = args.state.clone().filter(|state| !state.as_os_str().is_empty()).or_else(default_state);
    let state = state.ok_or_else(|| {
        anyhow!(Usage("no home folder to keep state in; name one with --state DIR".to_owned()))
    })?;
    Ok(std::path::absolute(state)?)
}

/// Replaces the configuration that the sync process, `status` and `lookup` read.
fn write_config(path: &Path, config: &Config) -> anyhow::Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let mut file =
        tempfile::Builder::new().prefix(".tmp-").tempfile_in(&config.state).with_context(failed)?;
    let head = "# Written by `gatepost up` at every start, for its sync process, `status` and `lookup`. To run a service,\n\
                # copy it, change what you like (`state` above all), and start `gatepost serve --config FILE`.\n\n";
    file.write_all(head.as_bytes())
        .and_then(|()| file.write_all(config.to_toml().as_bytes()))
        .with_context(failed)?;
    file.as_file().set_permissions(Permissions::from_mode(0o644)).with_context(failed)?;
    give_to_owner_of(&config.state, file.path()).with_context(failed)?;
    file.persist(path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}

/// Shows the terms of the feeds that will be fetched and that nobody was shown yet, and remembers that.
fn show_terms(feeds: &Feeds, store: &Store) -> Result<(), StoreError> {
    let seen = terms::seen(store)?;
    let new = terms::unseen(feeds.for_up(), &seen);
    if new.is_empty() {
        return Ok(());
    }
    terms::tell("Terms of the feeds (shown once; by going on you accept them)", &new);
    terms::remember(store, seen, &new)
}

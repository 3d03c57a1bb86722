//! Which configuration a command is about.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

use super::failure::Usage;
use crate::config::{Config, Overrides};
use crate::feed::catalogue;

/// Where packages put the configuration of the service.
pub(crate) const DEFAULT_CONFIG: &str = "/etc/gatepost/gatepost.toml";

/// The configuration that `up` writes into its state folder for its sync process, `status` and `lookup`.
pub(crate) const UP_CONFIG: &str = "up.toml";

/// `--config`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ConfigArgs {
    /// The configuration [default: /etc/gatepost/gatepost.toml]
    #[arg(long, short, value_name = "FILE", env = "GATEPOST_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

/// `--config` or `--state`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct EitherArgs {
    /// The configuration of the service [env: GATEPOST_CONFIG=] [default: /etc/gatepost/gatepost.toml if it is there]
    // Not clap's `env`: what the environment says would be at odds with a --state that a person typed.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The state folder of `gatepost up` [default: the one that `up` uses]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    state: Option<PathBuf>,
}

impl ConfigArgs {
    /// Where it is.
    pub(crate) fn path(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| DEFAULT_CONFIG.into())
    }
}

/// Whose configuration it is.
enum Whose {
    /// A service's, at this path.
    Service(PathBuf),
    /// That of `gatepost up`, in this state folder.
    Up(PathBuf),
}

impl EitherArgs {
    /// Reads it.
    pub(crate) fn read(&self) -> anyhow::Result<Config> {
        match self.whose()? {
            Whose::Service(path) => read_absolute(&path),
            Whose::Up(state) => read_up(&state),
        }
    }

    /// Reads it to change what is in its store.
    pub(crate) fn read_to_write(&self) -> anyhow::Result<Config> {
        match self.whose()? {
            Whose::Service(path) => {
                let config = read_absolute(&path)?;
                keep_off_up(&config)?;
                Ok(config)
            }
            Whose::Up(state) => read_up(&state),
        }
    }

    /// Whether a person said which one.
    pub(crate) fn is_given(&self) -> bool {
        self.config.is_some() || self.state.is_some()
    }

    /// Reads it where there is one.
    pub(crate) fn read_if_any(&self) -> anyhow::Result<Option<Config>> {
        match self.any()? {
            Some(Whose::Service(path)) => read_absolute(&path).map(Some),
            Some(Whose::Up(state)) => read_up(&state).map(Some),
            None => Ok(None),
        }
    }

    /// Where the configuration of a service is. `gatepost up` makes its own at every start.
    pub(crate) fn service(&self) -> anyhow::Result<PathBuf> {
        match self.whose()? {
            Whose::Service(path) => Ok(std::path::absolute(path)?),
            Whose::Up(state) => Err(anyhow!(Usage(format!(
                "`gatepost up` makes the configuration in {} at every start; to choose, run a service of your own and \
                 name its configuration with --config",
                state.display()
            )))),
        }
    }

    fn whose(&self) -> anyhow::Result<Whose> {
        self.any()?.ok_or_else(|| {
            anyhow!(Usage(format!(
                "which gatepost? There is no {DEFAULT_CONFIG}, and `gatepost up` has not run here; name one with --config FILE or --state DIR"
            )))
        })
    }

    fn any(&self) -> anyhow::Result<Option<Whose>> {
        if let Some(config) = &self.config {
            return Ok(Some(whose(config)));
        }
        if let Some(state) = &self.state {
            if !state.join(UP_CONFIG).exists() {
                return Err(anyhow!(Usage(format!(
                    "{} is no state folder of `gatepost up`: it has no {UP_CONFIG}; name the service's configuration with --config",
                    state.display()
                ))));
            }
            return Ok(Some(Whose::Up(state.clone())));
        }
        if let Some(config) = std::env::var_os("GATEPOST_CONFIG").filter(|path| !path.is_empty()) {
            return Ok(Some(whose(Path::new(&config))));
        }
        let service = PathBuf::from(DEFAULT_CONFIG);
        let up = default_state().filter(|state| state.join(UP_CONFIG).exists());
        Ok(if service.exists() { Some(Whose::Service(service)) } else { up.map(Whose::Up) })
    }
}

fn whose(config: &Path) -> Whose {
    match config.parent().filter(|_| config.file_name().is_some_and(|name| name == UP_CONFIG)) {
        Some(state) => Whose::Up(state.to_owned()),
        None => Whose::Service(config.to_owned()),
    }
}

/// Two configurations that write into one store would take each other's zones out of service.
pub(crate) fn keep_off_up(config: &Config) -> anyhow::Result<()> {
    let up = config.state.join(UP_CONFIG);
    if !up.exists() {
        return Ok(());
    }
    Err(anyhow!(Usage(format!(
        "{} is the state folder of `gatepost up`: give the service another `state`, or remove {} to take it over",
        config.state.display(),
        up.display()
    ))))
}

/// Reads the configuration at `path`, as environment and defaults complete it. Paths in it are relative to it: named in
/// another way by another command, the same file would look like another one to the store.
fn read_absolute(path: &Path) -> anyhow::Result<Config> {
    read(&std::path::absolute(path)?)
}

/// What `gatepost up` left in its state folder. The folder in which it lies is the one that counts, whatever it was
/// called then and whatever the environment says: a copy acts on itself.
fn read_up(state: &Path) -> anyhow::Result<Config> {
    let state = std::path::absolute(state)?;
    let path = state.join(UP_CONFIG);
    Ok(catalogue::configure(&path, Overrides { state: Some(state), ..Overrides::default() })?)
}

/// The same with the path as it was typed, for messages.
pub(crate) fn read(path: &Path) -> anyhow::Result<Config> {
    let overrides = Overrides::from_environment(|name| std::env::var_os(name))?;
    Ok(catalogue::configure(path, overrides)?)
}

/// The state folder of `up`: the service's for root, the person's own otherwise. `None` without a home.
pub(crate) fn default_state() -> Option<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Some(crate::config::defaults::STATE.into());
    }
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")))?;
    Some(folder.join("gatepost"))
}

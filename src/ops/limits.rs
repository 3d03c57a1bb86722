//! What the system lets a process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What whatever listens or fetches has open beside its sockets and zones: logs, the store, the runtime of streams, that of
/// signals, a channel to a child, and a file that is read.
pub const FEWEST_FILES: u64 = 32;

/// A limit under which nothing can be done.
#[derive(Debug, thiserror::Error)]
#[error(
    "the limit of {limit} open files is too low, {needed} are needed at least: \
     raise it (ulimit -n {needed}; LimitNOFILE={needed} in a unit of systemd)"
)]
pub struct TooFewFiles {
    limit: u64,
    needed: u64,
}

impl TooFewFiles {
    /// `Err` when a process that may have `limit` files open needs more.
    pub fn check(limit: u64, needed: u64) -> Result<(), Self> {
        if limit < needed { Err(Self { limit, needed }) } else { Ok(()) }
    }
}

/// Lets this process, and those that it starts, have as many files open as it may: what a shell or a service manager
/// leaves it at first (1,024 mostly) is meant for programs that cannot count further. Where that is not to be had, it stays.
/// How many there may be then, which are [`enough_open_files`].
pub fn raise_open_files() -> anyhow::Result<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!(%error, "the limit of open files stays");
    }
    enough_open_files()
}

/// How many files this process may have open; an error when they are fewer than [`FEWEST_FILES`].
///
/// To be called before anything that listens or fetches: tokio panics when it cannot open what it needs for its first runtime,
/// so that is opened here, as long as there is room.
pub fn enough_open_files() -> anyhow::Result<u64> {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    TooFewFiles::check(limit, FEWEST_FILES)?;
    drop(tokio::runtime::Builder::new_current_thread().enable_io().build()?);
    Ok(limit)
}

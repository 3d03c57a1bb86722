//! What the system lets a process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process, and those that it starts, have as many files open as it may: what a shell or a service manager
/// leaves it at first (1,024 mostly) is meant for programs that cannot count further. Where that is not to be had, it stays.
/// How many there may be then.
pub fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::debug!(%error, "the limit of open files stays");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

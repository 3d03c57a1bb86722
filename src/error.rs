//! How the program ends: the one place where exit codes are decided.

use std::process::ExitCode;

/// The exit codes, the same for every command but `rbldnsd`, which ends as rbldnsd does ([`as_there`](Self::as_there)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ExitStatus {
    /// 0: all is well; what was looked up is not listed.
    Ok,
    /// 1: what was looked up is listed; a list was held, refused or not reached; a check found something wrong.
    Found,
    /// 2: the command line or the configuration is wrong; nothing was done.
    Usage,
    /// 3: cannot tell, or could not do it: no data yet, no reply, no permission, no room, an address in use.
    CannotTell,
}

impl ExitStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Found, Self::Usage, Self::CannotTell];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::CannotTell => 3,
        }
    }

    /// What init scripts of rbldnsd's know: 0, or 1 whatever went wrong.
    pub fn as_there(self) -> Self {
        Self::found(self != Self::Ok)
    }

    /// `Found` if something was found, else `Ok`.
    pub fn found(something: bool) -> Self {
        if something { Self::Found } else { Self::Ok }
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        status.code().into()
    }
}

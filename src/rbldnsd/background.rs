//! Going to the background: the process that a person started waits until the one in the background answers.
//!
//! That one is this program again, with the same command line, in a session of its own; a pipe on its stdin takes the
//! word that it is ready. Until then what it says goes to the terminal as well.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

use crate::ops::{be_called, this_program};

/// Says to a process that it is the one in the background.
const MARK: &str = "GATEPOST_IN_BACKGROUND";

/// What is said when questions are answered.
const READY: u8 = b'+';

/// Whether this is the process in the background.
pub fn is_behind() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts the process in the background and waits until it answers.
pub fn go() -> anyhow::Result<()> {
    let (mut word, theirs) = io::pipe()?;
    let mut args = std::env::args_os();
    let mut child = Command::new(this_program()?)
        // The name decides which command line it is.
        .arg0(args.next().unwrap_or_default())
        .args(args)
        .env(MARK, "1")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()
        .context("no process for the background can be started")?;
    let mut said = Vec::new();
    word.read_to_end(&mut said)?;
    if said == [READY] {
        return Ok(());
    }
    let status = child.wait()?;
    bail!("not started ({status})");
}

/// What the process behind has to tell, and where its output goes then.
pub struct Word {
    /// The end of the pipe.
    pipe: File,
    /// Opened at once: in another root folder there may be none.
    nothing: File,
}

impl Word {
    /// Leaves the session of the person who started it.
    pub fn take() -> anyhow::Result<Self> {
        let pipe = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if let Some(name) = std::env::args_os().next().as_deref().map(Path::new).and_then(Path::file_name) {
            be_called(name);
        }
        setsid().context("unable to leave the session")?;
        let nothing = File::options().read(true).write(true).open("/dev/null").context("/dev/null")?;
        dup2_stdin(&nothing)?;
        Ok(Self { pipe, nothing })
    }

    /// Says that questions are answered, and lets go of the terminal: of stdout only when nothing is written there.
    pub fn ready(mut self, keeps_stdout: bool) {
        let released = self.pipe.write_all(&[READY]).and_then(|()| {
            if !keeps_stdout {
                dup2_stdout(&self.nothing)?;
            }
            dup2_stderr(&self.nothing)?;
            Ok(())
        });
        if let Err(error) = released {
            tracing::warn!(%error, "the terminal is still held");
        }
    }
}

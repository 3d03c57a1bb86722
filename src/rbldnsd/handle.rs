//! The serving process's hold on its loader.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use super::channel::Channel;
use super::reports::{Job, Report, Request};
use super::zones::{self, Opened};
use crate::model::Name;
use crate::ops::{NOT_INHERITED, this_program};

/// The command of the loader, which no person gives.
pub const LOADER_COMMAND: &str = "rbldnsd-loader";

/// What the C library's allocator is told of the loader, unless somebody told it something else: what is large is given
/// back as soon as it is free.
const ALLOCATOR: (&str, &str) = ("GLIBC_TUNABLES", "glibc.malloc.mmap_threshold=1048576");

/// Something from the loader.
#[derive(Debug)]
pub(super) enum Heard {
    /// It says something; a zone comes with its snapshot, mapped already: thousands that wait for their turn must not
    /// hold a descriptor each.
    Said(Report, Option<Opened>),
    /// A line of its stderr: what went wrong where it could not say so otherwise.
    Line(String),
    /// It has ended; always the last.
    Ended(Option<ExitStatus>),
}

/// A loader at work.
pub(super) struct Handle {
    channel: Arc<Channel>,
}

impl Handle {
    /// Starts one and tells it what it is to load.
    pub(super) fn spawn(job: &Job, on: impl Fn(Heard) + Send + Sync + 'static) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (tunables, value) = ALLOCATOR;
        let mut command = Command::new(this_program()?);
        command.arg(LOADER_COMMAND).env(tunables, std::env::var_os(tunables).unwrap_or_else(|| value.into()));
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        let mut child = command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let on = Arc::new(on);
        if let Some(stderr) = child.stderr.take() {
            let on = Arc::clone(&on);
            let lines =
                move || BufReader::new(stderr).lines().map_while(Result::ok).for_each(|l| on(Heard::Line(l)));
            thread::Builder::new().name("loader-stderr".into()).spawn(lines)?;
        }
        let channel = Arc::new(Channel::new(ours));
        channel.send(&Request::Job(Box::new(job.clone())), None)?;
        let listening = Arc::clone(&channel);
        thread::Builder::new().name("loader".into()).spawn(move || listen(&listening, child, &*on))?;
        Ok(Self { channel })
    }

    /// Asks it to look at the files.
    pub(super) fn check(&self) -> io::Result<()> {
        self.channel.send(&Request::Check, None)
    }

    /// Has it hand over a zone once more, with the next check.
    pub(super) fn again(&self, origin: Name) -> io::Result<()> {
        self.channel.send(&Request::Again(origin), None)
    }
}

fn listen(channel: &Channel, mut child: Child, on: &dyn Fn(Heard)) {
    loop {
        match channel.receive::<Report>() {
            Ok(Some((report, descriptor))) => {
                on(Heard::Said(report, descriptor.map(|descriptor| zones::open(&File::from(descriptor)))));
            }
            Ok(None) => break,
            Err(error) => {
                tracing::error!(%error, "the loader cannot be understood");
                let _ = child.kill();
                break;
            }
        }
    }
    on(Heard::Ended(child.wait().ok()));
}

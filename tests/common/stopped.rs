//! A process of a debug build that stands still at a named step (`store::killpoint`), to be killed there.

use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A process that stands still at a point.
pub(crate) struct Stopped(Child);

impl Stopped {
    /// Starts it and waits until it has stopped itself.
    #[track_caller]
    pub(crate) fn at(mut command: Command, point: &str) -> Self {
        command.env("GATEPOST_STOP_AT", point).stdout(Stdio::null()).stderr(Stdio::null());
        let child = Self(command.spawn().expect("it starts"));
        match waitpid(child.pid(), Some(WaitPidFlag::WUNTRACED)).expect("our child") {
            WaitStatus::Stopped(_, Signal::SIGSTOP) => child,
            other => panic!("{point} was never reached: {other:?}"),
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }

    pub(crate) fn kill(mut self) {
        kill(self.pid(), Signal::SIGKILL).expect("our child");
        self.0.wait().expect("our child");
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

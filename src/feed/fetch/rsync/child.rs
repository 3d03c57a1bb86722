//! The child: bounded in time and in what it writes, and never left behind.
//!
//! It runs in a process group of its own, under a shell that holds a leash: a pipe that nobody writes to. When whoever
//! started it is gone, however that ended, the kernel closes the pipe and the shell ends the whole group, ssh and all. At
//! the wall time limit the group is killed from here. The size of a file is limited by the kernel (`ulimit -f`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::feed::fetch::problem::Problem;
use crate::feed::fetch::{OnProgress, Progress};

/// `$1`: the largest file in blocks of 512 octets. The rest is the command.
const SHELL: &str = r#"
ulimit -f "$1" 2>/dev/null
shift
exec 3<&0 </dev/null
{ read -r _ <&3; kill -KILL 0; } >/dev/null 2>&1 &
leash=$!
"$@" 3<&-
code=$?
kill -KILL "$leash"
exit "$code"
"#;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Octets of what it says that are kept.
const KEPT: usize = 64 * 1024;

/// What is to be run.
pub(super) struct Job<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [OsString],
    /// All of it.
    pub(super) environment: &'a [(&'static str, OsString)],
    /// Where it writes; nobody else does.
    pub(super) folder: &'a Path,
    pub(super) max_size: u64,
    pub(super) total: Duration,
    pub(super) progress: OnProgress<'a>,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None`: by a signal.
    pub(super) code: Option<i32>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// It wrote more than it may.
    pub(super) outgrown: bool,
}

/// Where a program is. `Err` says that it is not installed.
pub(super) fn find(program: &'static str) -> Result<PathBuf, Problem> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/bin", "/bin", "/usr/local/bin"].map(PathBuf::from));
    let mut paths = folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(program));
    paths.find(|path| path.is_file()).ok_or_else(|| {
        Problem::unreached(format!("`{program}` is not installed: lists by rsync need it (Debian: apt-get install rsync openssh-client)"))
    })
}

/// Runs it to its end.
pub(super) async fn run(job: &Job<'_>) -> Result<Ended, Problem> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SHELL).arg("sh").arg(job.max_size.div_ceil(512).to_string());
    command.arg(job.program).args(job.arguments).current_dir(job.folder);
    command.env_clear().envs(job.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let cannot = |error: std::io::Error| Problem::unreached(format!("cannot start rsync: {error}"));
    let mut child = command.spawn().map_err(cannot)?;
    let mut group = Group(child.id());
    let done = tokio::time::timeout(job.total, wait(job, &mut child)).await;
    if matches!(done, Ok(Ok(_))) {
        // Waited for: its number may be somebody else's by now.
        group.0 = None;
    }
    drop(group);
    let _ = child.wait().await;
    done.unwrap_or_else(|_| Err(Problem::answered(format!("not done after {} seconds", job.total.as_secs()))))
}

async fn wait(job: &Job<'_>, child: &mut Child) -> Result<Ended, Problem> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    // Held until the end: closed, it ends the group.
    let _leash = child.stdin.take();
    let work = async { tokio::join!(read(stdout), read(stderr), child.wait()) };
    tokio::pin!(work);
    loop {
        let look = tokio::time::sleep(LOOK);
        tokio::select! {
            (stdout, stderr, status) = &mut work => {
                let status = status.map_err(|error| Problem::unreached(format!("cannot wait for rsync: {error}")))?;
                let outgrown = !status.success()
                    && (largest(job.folder) >= job.max_size || stderr.contains("File too large"));
                return Ok(Ended { code: status.code(), stdout, stderr, outgrown });
            }
            () = look => {
                let received = largest(job.folder);
                if received > job.max_size {
                    return Err(Problem::too_large(job.max_size));
                }
                (job.progress)(Progress { received, total: None });
            }
        }
    }
}

/// What it says, as far as it is kept; the rest is read and thrown away.
async fn read(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let (mut kept, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The largest file that it is writing.
fn largest(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let written = entries.filter(|entry| entry.file_name() != "body");
    written.filter_map(|entry| Some(entry.metadata().ok()?.len())).max().unwrap_or(0)
}

/// A process group that does not outlive this, unless it is let go.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        // Its leader has not been waited for, so that the number is still its.
        if let Some(id) = self.0.and_then(|id| i32::try_from(id).ok()) {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::fetch::Trouble;

    /// Runs a script of the shell's as if it were rsync.
    async fn script(folder: &Path, text: &str, total: u64) -> Result<Ended, Problem> {
        let arguments = ["-c".into(), text.into()];
        let job = Job {
            program: Path::new("/bin/sh"),
            arguments: &arguments,
            environment: &[("RSYNC_PASSWORD", "x".into())],
            folder,
            max_size: 100_000,
            total: Duration::from_secs(total),
            progress: &|_| {},
        };
        run(&job).await
    }

    /// Whether a process runs; one that is over and waits to be reaped does not.
    fn runs(id: &str) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
    }

    #[tokio::test]
    async fn what_it_says_and_how_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let ended =
            script(folder.path(), "echo out; echo err >&2; /usr/bin/env >names; exit 23", 60).await.unwrap();
        assert_eq!((ended.code, &*ended.stdout, &*ended.stderr), (Some(23), "out\n", "err\n"));
        let names = std::fs::read_to_string(folder.path().join("names")).unwrap();
        let mut names: Vec<&str> = names.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // What shells set by themselves.
        names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name));
        assert_eq!(names, ["RSYNC_PASSWORD"]);
        let chatty =
            script(folder.path(), "while echo 0123456789; do :; done | head -c 1000000", 60).await.unwrap();
        assert_eq!(chatty.stdout.len(), KEPT);
    }

    #[tokio::test]
    async fn no_file_grows_beyond_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        match script(folder.path(), "cat /dev/zero >.body.x; exit 11", 60).await {
            Ok(ended) => assert!(ended.outgrown, "{ended:?}"),
            Err(problem) => assert!(problem.what.starts_with("larger than"), "{problem:?}"),
        }
        let size = std::fs::metadata(folder.path().join(".body.x")).unwrap().len();
        assert!(size <= 100_352, "{size}");
    }

    #[tokio::test]
    async fn time_is_limited_for_it_and_all_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let text = "sleep 1000 & echo $! >one; (trap '' TERM HUP; sleep 1000 & echo $! >two; wait) & wait";
        let problem = script(folder.path(), text, 1).await.unwrap_err();
        assert_eq!((problem.trouble, &*problem.what), (Trouble::Answered, "not done after 1 seconds"));
        for file in ["one", "two"] {
            let id = std::fs::read_to_string(folder.path().join(file)).unwrap();
            while runs(&id) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    #[tokio::test]
    async fn it_ends_with_whoever_gives_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        {
            let script = script(folder.path(), "echo $$ >one; sleep 1000", 1000);
            tokio::pin!(script);
            while !path.exists() || std::fs::read_to_string(&path).unwrap().is_empty() {
                let look = tokio::time::sleep(Duration::from_millis(10));
                tokio::select! { _ = &mut script => panic!("it sleeps"), () = look => {} }
            }
        }
        let id = std::fs::read_to_string(&path).unwrap();
        while runs(&id) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

//! The file of a log that outlives renaming, full disks and readers that do not read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;

/// How often it is looked whether the file still has its name.
const LOOK: Duration = Duration::from_secs(1);
/// Queries say who writes to whom: nobody else's to read.
const MODE: u32 = 0o640;

/// A file that is appended to.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// `None` until it could be opened.
    file: Option<File>,
    looked: Instant,
    /// Trouble has been told of.
    failed: bool,
    /// The last line was written in part.
    cut: bool,
}

impl LogFile {
    /// Opens or makes the file. When that fails it is said, and [`look`](Self::look) tries again.
    pub(super) fn open(path: PathBuf) -> Self {
        let mut this = Self { path, file: None, looked: Instant::now(), failed: false, cut: false };
        this.reopen();
        this
    }

    /// Goes on in the file that has the name now. When it cannot be opened, lines go on into the one that is open.
    pub(super) fn reopen(&mut self) {
        // Waits for nobody: a named pipe that has no reader cannot be opened.
        let flags = OFlag::O_NONBLOCK.bits();
        let opened =
            File::options().append(true).create(true).mode(MODE).custom_flags(flags).open(&self.path);
        match opened {
            Ok(file) => {
                (self.file, self.failed, self.cut) = (Some(file), false, false);
            }
            Err(error) => self.tell(&error, "cannot be opened"),
        }
    }

    /// Now and then: goes on in another file when ours is gone, renamed or was never opened.
    pub(super) fn look(&mut self) {
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let ours = self.file.as_ref().and_then(|file| file.metadata().ok());
        let there = fs::metadata(&self.path).ok();
        let id = |file: fs::Metadata| (file.dev(), file.ino());
        if ours.is_none() || there.map(id) != ours.map(id) {
            self.reopen();
        }
    }

    /// Appends whole lines; tells how many of them are lost.
    pub(super) fn write(&mut self, lines: &[u8]) -> u64 {
        let count = |lines: &[u8]| lines.iter().filter(|&&octet| octet == b'\n').count() as u64;
        let Some(file) = self.file.as_mut().filter(|_| !lines.is_empty()) else { return count(lines) };
        let mut mended = Ok(());
        if self.cut {
            (_, mended) = append(file, b"\n");
            self.cut = mended.is_err();
        }
        let (written, result) = match mended {
            Ok(()) => append(file, lines),
            failed => (0, failed),
        };
        self.cut |= lines[..written].last().is_some_and(|&last| last != b'\n');
        if let Err(error) = result {
            self.tell(&error, "cannot be written");
        }
        count(&lines[written..])
    }

    fn tell(&mut self, error: &io::Error, what: &str) {
        if !std::mem::replace(&mut self.failed, true) {
            tracing::error!(%error, file = %self.path.display(), "the hit log {what}; lines are lost");
        }
    }
}

/// How much could be written, and what came then.
fn append(file: &mut File, octets: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while written < octets.len() {
        match file.write(&octets[written..]) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    fn look_now(log: &mut LogFile) {
        log.looked = Instant::now().checked_sub(LOOK).unwrap();
        log.look();
    }

    #[test]
    fn a_file_that_is_renamed_or_deleted_is_followed_by_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hits.log");
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        fs::write(&path, "before\n").unwrap();
        let mut log = LogFile::open(path.clone());
        assert_eq!(log.write(b"one\n"), 0);
        fs::rename(&path, folder.path().join("old")).unwrap();
        assert_eq!(log.write(b"two\n"), 0);
        log.reopen();
        assert_eq!(log.write(b"three\n"), 0);
        assert_eq!((read("old").as_str(), read("hits.log").as_str()), ("before\none\ntwo\n", "three\n"));
        // Nobody else may read it.
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o007, 0);
        fs::remove_file(&path).unwrap();
        look_now(&mut log);
        assert_eq!(log.write(b"four\n"), 0);
        assert_eq!(read("hits.log"), "four\n");
        look_now(&mut log);
        assert_eq!(log.write(b"five\n"), 0);
        assert_eq!(read("hits.log"), "four\nfive\n");
    }

    #[test]
    fn what_cannot_be_opened_is_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("later/hits.log");
        let mut log = LogFile::open(path.clone());
        assert_eq!(log.write(b"one\ntwo\n"), 2);
        fs::create_dir(folder.path().join("later")).unwrap();
        look_now(&mut log);
        assert_eq!(log.write(b"three\n"), 0);
        assert_eq!(fs::read_to_string(path).unwrap(), "three\n");
    }

    #[test]
    fn a_full_disk_loses_lines() {
        let mut log = LogFile::open("/dev/full".into());
        assert_eq!(log.write(b"one\ntwo\n"), 2);
        assert_eq!(log.write(b""), 0);
        assert!(log.failed);
    }

    #[test]
    fn a_pipe_that_nobody_reads_holds_up_nothing_and_lines_stay_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mkfifo(&path, Mode::from_bits_truncate(0o600)).unwrap();
        let mut log = LogFile::open(path.clone());
        assert_eq!(log.write(b"nobody\n"), 1);
        let flags = OFlag::O_NONBLOCK.bits();
        let mut reader = File::options().read(true).custom_flags(flags).open(&path).unwrap();
        look_now(&mut log);
        // Lines of seven octets do not fill a pipe evenly.
        let lines = b"a line\n".repeat(1000);
        let (mut lost, mut rounds) = (0, 0);
        while lost == 0 {
            lost += log.write(&lines);
            rounds += 1;
        }
        let mut text = [0; 1 << 20];
        let filled = reader.read(&mut text).unwrap();
        assert_eq!(log.write(b"after\n"), 0);
        let more = reader.read(&mut text[filled..]).unwrap();
        let text = std::str::from_utf8(&text[..filled + more]).unwrap();
        assert!(text.ends_with("\nafter\n"));
        let whole = text.lines().filter(|&line| line == "a line").count() as u64;
        assert_eq!(whole + lost, rounds * 1000);
    }
}

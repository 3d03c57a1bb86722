//! What programs of the system say, within a time: whoever asks is never kept waiting by one of them.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Long enough for what reads a few files.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether it ended well, and what it printed. Nothing where there is no such program, or when it does not end.
pub(crate) fn said(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
    heard(command, |child| child.stdout.take())
}

/// The same of what it complains of.
pub(crate) fn complained(program: &str, arguments: &[&str]) -> Option<(bool, String)> {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    heard(command, |child| child.stderr.take())
}

fn heard<R: Read + Send + 'static>(
    mut command: Command,
    voice: impl FnOnce(&mut Child) -> Option<R>,
) -> Option<(bool, String)> {
    let mut child = command.stdin(Stdio::null()).spawn().ok()?;
    let mut voice = voice(&mut child)?;
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let _ = voice.read_to_end(&mut text);
        let _ = tell.send(text);
    });
    let text = told.recv_timeout(PATIENCE);
    if text.is_err() {
        let _ = child.kill();
    }
    let ended = child.wait().ok()?;
    Some((ended.success(), String::from_utf8_lossy(&text.ok()?).into_owned()))
}

pub(crate) fn postconf(arguments: &[&str]) -> Option<String> {
    postfix(["postconf", "/usr/sbin/postconf"], arguments)
}

pub(crate) fn postmap(arguments: &[&str]) -> Option<String> {
    postfix(["postmap", "/usr/sbin/postmap"], arguments)
}

/// What one of Postfix's programs prints; sbin is not on everybody's path.
fn postfix(programs: [&str; 2], arguments: &[&str]) -> Option<String> {
    let said = programs.iter().find_map(|program| said(program, arguments));
    said.filter(|(well, _)| *well).map(|(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_and_how_it_ended() {
        assert_eq!(said("sh", &["-c", "echo yes"]), Some((true, "yes\n".to_owned())));
        assert_eq!(said("sh", &["-c", "echo no; exit 3"]), Some((false, "no\n".to_owned())));
        assert_eq!(said("/nonexistent/program", &[]), None);
        let complaint = complained("sh", &["-c", "echo yes; echo no >&2; exit 3"]);
        assert_eq!(complaint, Some((false, "no\n".to_owned())));
    }

    #[test]
    fn nobody_is_waited_for_for_ever() {
        let start = std::time::Instant::now();
        assert_eq!(said("sleep", &["60"]), None);
        assert!(start.elapsed() < Duration::from_secs(30));
    }
}

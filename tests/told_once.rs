//! A list that is held or refused is told once and loudly, with real processes: in the log, and to a program of the
//! operator's. Whatever that does, the sync goes on.
#![cfg(feature = "full")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::hosts;
use common::program::{Ended, run};
use common::site::Site;
use serde_json::Value;

fn site(sync: &str) -> Site {
    let site = Site::new();
    let list = Site::list("victim", 1, "");
    site.configure(&(format!("[sync]\n{sync}\n") + &list + &Site::zone("victim.example", &["victim"], "")));
    site.put("victim", hosts(0, 1000));
    site.sync(&["victim"]).expect(0);
    site
}

/// A hook that writes down what it is told.
fn hook(path: &Path, more: &str) {
    let script = format!(
        "#!/bin/sh\nprintf '%s %s %s [%s]\\n' \"$1\" \"$GATEPOST_LIST\" \"$GATEPOST_OUTCOME\" \"$GATEPOST_REASONS\" >> \"$2\"\n{more}\n"
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn it_is_told_once_and_loudly() {
    let folder = tempfile::tempdir().unwrap();
    let (program, told) = (folder.path().join("hook"), folder.path().join("told"));
    hook(&program, "exit 3");
    let site = site(&format!("hook = [{program:?}, \"a b\", {told:?}]"));
    let read = || fs::read_to_string(&told).unwrap_or_default();
    let timer = || {
        run([
            OsStr::new("sync"),
            OsStr::new("--log-format"),
            OsStr::new("text"),
            OsStr::new("--config"),
            site.config().as_os_str(),
        ])
    };
    // The timer comes when its pause is over.
    let due = || {
        let path = site.state().join("feeds/victim/status.json");
        let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        status.as_object_mut().unwrap().remove("next");
        fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
    };
    let warned = |ran: &Ended, word: &str| {
        ran.stderr.lines().filter(|line| line.contains("WARN") && line.contains(word)).count()
    };

    site.put("victim", hosts(0, 100));
    due();
    let first = timer().expect(1);
    assert_eq!(
        warned(&first, "victim: held: 100 entries after 1000 are 90.0 % fewer"),
        1,
        "{}",
        first.stderr
    );
    // That it failed is told and changes nothing.
    assert_eq!(warned(&first, "the hook"), 1, "{}", first.stderr);
    let line = read();
    assert!(line.starts_with("a b victim held [100 entries after 1000 are 90.0 % fewer"), "{line}");
    assert!(line.contains("\n900 of the 1000 old entries are gone"), "one reason a line: {line}");
    for entries in [100, 99] {
        site.put("victim", hosts(0, entries));
        due();
        let again = timer().expect(1);
        assert_eq!(warned(&again, "held"), 0, "{}", again.stderr);
        assert_eq!(read(), line, "told again");
    }
    // Something else is told.
    site.put("victim", "<html>");
    due();
    assert_eq!(warned(&timer().expect(1), "victim: refused: the body is a web page"), 1);
    assert!(read().contains("a b victim rejected [the body is a web page"), "{}", read());
    // After a good version the same trouble is new.
    site.put("victim", hosts(0, 1000));
    due();
    timer().expect(0);
    let before = read().len();
    site.put("victim", "<html>");
    due();
    assert_eq!(warned(&timer().expect(1), "refused"), 1);
    assert!(read().len() > before);
}

/// What was not read has no entries in the log: those in service are not its own.
#[test]
fn the_log_counts_what_came() {
    let site = site("hook = []");
    let last = |body: Option<&str>| {
        match body {
            Some(body) => site.put("victim", body),
            None => site.web.put(
                "/victim",
                common::feed_server::Page { status: Some(404), ..common::feed_server::Page::new("") },
            ),
        }
        site.sync(&["victim"]);
        let log = fs::read_to_string(site.state().join("feeds/victim/log.jsonl")).unwrap();
        let line: Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
        (line["outcome"].as_str().unwrap().to_owned(), line["entries"].clone(), line["set"].is_null())
    };
    assert_eq!(last(Some("<html>")), ("rejected".to_owned(), Value::Null, true));
    assert_eq!(last(None), ("failed".to_owned(), Value::Null, true));
    assert_eq!(last(Some("192.0.2.1\n5.6.7.8\n")), ("held".to_owned(), 2.into(), false));
    assert_eq!(last(Some(&hosts(0, 1001))), ("accepted".to_owned(), 1001.into(), false));
}

/// Killed between what is written down and the telling, the next sync tells it; after that it is told once.
#[cfg(debug_assertions)]
#[test]
fn killed_before_it_is_told_it_is_told_by_the_next() {
    for (point, least) in gatepost::store::killpoint::TELLING.into_iter().zip(0..) {
        let folder = tempfile::tempdir().unwrap();
        let (program, told) = (folder.path().join("hook"), folder.path().join("told"));
        hook(&program, "");
        let site = site(&format!("hook = [{program:?}, \"x\", {told:?}]"));
        let read = || fs::read_to_string(&told).unwrap_or_default().matches("x victim rejected").count();
        site.put("victim", "<html>");
        let mut command = common::program::gatepost();
        command.args(["sync", "victim", "--config"]).arg(site.config());
        common::stopped::Stopped::at(command, point).kill();
        // The hook is not this process's child, and may still be about it.
        let begun = std::time::Instant::now();
        while read() < least && begun.elapsed().as_secs() < 20 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_eq!(read(), least, "{point}");
        site.sync(&["victim"]).expect(1);
        assert_eq!(read(), least + 1, "{point}: rather twice than never");
        site.sync(&["victim"]).expect(1);
        assert_eq!(read(), least + 1, "{point}: once is enough");
    }
}

#[test]
fn a_hook_that_is_not_there_is_only_told() {
    let site = site("hook = [\"/nonexistent/hook\"]");
    site.put("victim", "<html>");
    let ran = site.sync(&["victim"]).expect(1);
    assert!(ran.stderr.contains("the hook /nonexistent/hook cannot be run"), "{}", ran.stderr);
    site.configure("[sync]\nhook = [\"hook\"]\n");
    let refused = run(["check-config", site.config().to_str().unwrap()]).expect(2);
    assert!(refused.stderr.contains("`hook` is not a whole path"), "{}", refused.stderr);
}

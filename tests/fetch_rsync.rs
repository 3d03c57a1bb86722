//! Fetching by rsync, from Debian's daemon and over ssh, both real and on loopback: what travels, who is let in, every way
//! to fail, and that nothing is left behind, neither a file nor a process.
#![cfg(feature = "full")]

mod common;
mod rsync_support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use common::site::Site;
use common::{installed, program, skipped};
use gatepost::config::{Config, Feeds, ListConfig};
use gatepost::feed::catalogue;
use gatepost::feed::fetch::{FetchError, Fetched, Fetcher, Known, Outcome, Times, Trouble};
use nix::sys::signal::Signal;
use rsync_support::{Daemon, PASSWORD, Relay, Sshd, USER, Way, wait_for_processes};
use tempfile::TempDir;

/// Where a list is fetched to.
struct Here {
    folder: TempDir,
}

impl Here {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A list as a configuration gives it.
    fn list(&self, url: &str, more: &str) -> ListConfig {
        let text = format!(
            "version = 1\n[list.made-up]\nurl = {url:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\n\
             max-size = \"1MB\"\n{more}\n"
        );
        fs::write(self.path("gatepost.toml"), text).unwrap();
        let config = catalogue::configure(&self.path("gatepost.toml"), Default::default());
        let mut config = config.unwrap_or_else(|problems| panic!("{problems}"));
        config.reloadable.lists.remove(&"made-up".parse().unwrap()).unwrap()
    }

    async fn fetch(&self, list: &ListConfig, known: &Known) -> Result<Outcome, FetchError> {
        let body = tempfile::Builder::new().prefix(".tmp-").tempfile_in(self.folder.path()).unwrap();
        fetcher().fetch(list, known, body, &|_| {}).await
    }

    async fn fetched(&self, list: &ListConfig, known: &Known) -> Fetched {
        match self.fetch(list, known).await {
            Ok(Outcome::Fetched(fetched)) => fetched,
            other => panic!("{other:?}"),
        }
    }

    /// Why there was none; nothing is left behind.
    async fn refused(&self, list: &ListConfig, known: &Known) -> FetchError {
        let error = self.fetch(list, known).await.expect_err("no list");
        assert_eq!(self.leftovers(), Vec::<String>::new(), "{error}");
        wait_for_processes(&self.folder.path().display().to_string(), false);
        error
    }

    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(self.folder.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// Keeps a body as the store does.
    fn keep(&self, fetched: Fetched) -> Known {
        let path = self.path("body");
        fetched.body.persist(&path).unwrap();
        Known { validators: vec![fetched.validators], body: Some(path), ..Known::default() }
    }
}

fn fetcher() -> Fetcher {
    let times = Times {
        connect: Duration::from_secs(2),
        idle: Duration::from_secs(2),
        total: Duration::from_secs(12),
    };
    let suffix = "example.net".parse().unwrap();
    let config = Config::for_up("/nowhere".into(), &suffix, &Feeds::default(), Vec::new()).unwrap();
    Fetcher::new(&config.reloadable.sync, times)
}

fn rsync(test: &str) -> Option<PathBuf> {
    installed("rsync", "rsync", test)
}

fn body(fetched: &Fetched) -> String {
    // Through the file that the store syncs and through its name: they are the same one.
    let by_name = fs::read(fetched.body.path()).unwrap();
    let mut by_file = Vec::new();
    std::io::Read::read_to_end(&mut fetched.body.as_file(), &mut by_file).unwrap();
    assert_eq!(by_file, by_name);
    String::from_utf8(by_name).unwrap()
}

/// A list that packs about as well as real ones.
fn addresses(count: u32) -> Vec<String> {
    (0..count)
        .map(|n| {
            let [a, b, c, d] = n.wrapping_mul(2_654_435_761).to_be_bytes();
            format!("{a}.{b}.{c}.{d}\n")
        })
        .collect()
}

#[tokio::test]
async fn only_what_differs_travels() {
    let Some(rsync) = rsync("only_what_differs_travels") else { return };
    let daemon = Daemon::start(&rsync);
    let here = Here::new();
    let relay = Relay::new(daemon.address, Way::Straight);
    let list = here.list(&relay.url("open/list.txt"), "");
    let mut lines = addresses(20_000);
    daemon.put("list.txt", lines.concat());

    let first = here.fetched(&list, &Known::default()).await;
    assert_eq!(body(&first), lines.concat());
    assert!(first.complete && first.answered.status.is_none());
    let (whole, ..) = relay.counted();
    assert!(first.received > whole / 2 && first.received <= whole, "{} of {whole}", first.received);
    assert_eq!(first.validators.url, relay.url("open/list.txt"));
    assert!(first.validators.last_modified.as_deref().is_some_and(|date| date.ends_with(" GMT")));
    let known = here.keep(first);

    // The same file: nothing of it travels.
    let again = here.fetch(&list, &known).await.unwrap();
    assert!(matches!(again, Outcome::NotModified(_)), "{again:?}");
    let (same, ..) = relay.counted();

    // Five lines are others.
    for n in [100, 5_000, 10_000, 15_000, 19_000] {
        lines[n] = "192.0.2.1\n".to_owned();
    }
    daemon.put("list.txt", lines.concat());
    let second = here.fetched(&list, &known).await;
    assert_eq!(body(&second), lines.concat());
    let (differences, sums, _) = relay.counted();
    // And without the body of before all of it.
    let without = Known { body: None, ..known.clone() };
    let third = here.fetched(&list, &without).await;
    assert_eq!(body(&third), lines.concat());
    let (all, ..) = relay.counted();
    common::say(&format!(
        "rsync of {} octets: whole {whole}, again {all}; five lines changed {differences} down and {sums} up; unchanged {same}",
        lines.concat().len()
    ));
    assert!(differences * 10 < all && same * 10 < all, "{differences} and {same} against {all}");
    drop((second, third));
    assert_eq!(here.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_of_before_that_is_another_does_no_harm() {
    let Some(rsync) = rsync("a_body_of_before_that_is_another_does_no_harm") else { return };
    let daemon = Daemon::start(&rsync);
    let here = Here::new();
    let list = here.list(&daemon.url("open/list.txt"), "");
    let text = addresses(2_000).concat();
    daemon.put("list.txt", &text);
    // As long, and of a time that could be taken for the source's.
    fs::File::options()
        .append(true)
        .open(daemon.path("list.txt"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let basis = here.path("body");
    for junk in [vec![b'x'; text.len()], Vec::new(), vec![0; 900_000], vec![b'x'; 3_000_000]] {
        fs::write(&basis, junk).unwrap();
        let known = Known { body: Some(basis.clone()), ..Known::default() };
        assert_eq!(body(&here.fetched(&list, &known).await), text);
    }
    let known = Known { body: Some(here.path("gone")), ..Known::default() };
    assert_eq!(body(&here.fetched(&list, &known).await), text);
}

#[tokio::test]
async fn passwords() {
    let Some(rsync) = rsync("passwords") else { return };
    let daemon = Daemon::start(&rsync);
    daemon.put("list.txt", "192.0.2.1\n");
    let here = Here::new();
    let key = here.path("key");
    let with = |text: &str, mode: u32| {
        fs::write(&key, text).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        here.list(&daemon.url("closed/list.txt"), "credential = \"key\"")
    };
    let list = with(&format!("{USER}:{PASSWORD}\n"), 0o600);
    assert_eq!(body(&here.fetched(&list, &Known::default()).await), "192.0.2.1\n");
    for (text, trouble, said) in [
        (
            &*format!("{USER}:wrong\n"),
            Trouble::Refused,
            "does not take the password (rsync 5: @ERROR: auth failed",
        ),
        (&*format!("stranger:{PASSWORD}\n"), Trouble::Refused, "does not take the password"),
        ("X-Key: abc\n", Trouble::Unreached, "takes a credential `USER:PASSWORD` only"),
        ("abc\n", Trouble::Unreached, "key: neither `USER:PASSWORD` nor `HEADER: VALUE`"),
    ] {
        let error = here.refused(&with(text, 0o600), &Known::default()).await;
        assert!(error.trouble() == trouble && error.to_string().contains(said), "{error}");
        assert!(!error.to_string().contains(PASSWORD), "{error}");
    }
    let error = here.refused(&with(&format!("{USER}:{PASSWORD}\n"), 0o604), &Known::default()).await;
    assert!(error.to_string().contains("key: everybody on this machine may read"), "{error}");
    assert!(!error.reached());
    let none = here.list(&daemon.url("closed/list.txt"), "");
    let error = here.refused(&none, &Known::default()).await;
    assert_eq!(error.trouble(), Trouble::Refused, "{error}");
}

#[tokio::test]
async fn what_is_no_file_there() {
    let Some(rsync) = rsync("what_is_no_file_there") else { return };
    let daemon = Daemon::start(&rsync);
    let here = Here::new();
    fs::create_dir(daemon.path("folder")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", daemon.path("link")).unwrap();
    nix::unistd::mkfifo(&daemon.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    daemon.put("huge.txt", vec![b'1'; 1_000_001]);
    for (path, trouble, said) in [
        ("open/missing", Trouble::Refused, "its server has no such file"),
        ("vanished/list.txt", Trouble::Refused, "its server has no such module"),
        ("open/folder", Trouble::Answered, "no plain file"),
        ("open/link", Trouble::Answered, "no plain file"),
        ("open/pipe", Trouble::Answered, "no plain file"),
        ("open/huge.txt", Trouble::Answered, "larger than 1000000 octets"),
    ] {
        let error = here.refused(&here.list(&daemon.url(path), ""), &Known::default()).await;
        assert!(error.trouble() == trouble && error.to_string().contains(said), "{path}: {error}");
        assert!(error.to_string().starts_with(&format!("made-up: {}: ", daemon.url(path))), "{error}");
    }
    // It was a list before.
    daemon.put("list.txt", "192.0.2.1\n");
    let list = here.list(&daemon.url("open/list.txt"), "");
    let known = here.keep(here.fetched(&list, &Known::default()).await);
    daemon.put("list.txt", vec![b'1'; 1_000_001]);
    let error = here.refused(&list, &known).await;
    assert!(error.to_string().contains("larger than 1000000 octets"), "{error}");
    fs::remove_file(daemon.path("list.txt")).unwrap();
    let error = here.refused(&list, &known).await;
    assert!(error.to_string().contains("no such file"), "{error}");
}

#[tokio::test]
async fn silence_trickles_and_cuts() {
    let Some(rsync) = rsync("silence_trickles_and_cuts") else { return };
    let daemon = Daemon::start(&rsync);
    daemon.put("list.txt", addresses(20_000).concat());
    let here = Here::new();
    let relayed = |way| {
        let relay = Relay::new(daemon.address, way);
        let list = here.list(&relay.url("open/list.txt"), "");
        (relay, list)
    };
    let (_relay, list) = relayed(Way::StallsAfter(20_000));
    // rsync keeps a connection alive by itself in the middle of a file: then the limit in all ends it.
    let error = here.refused(&list, &Known::default()).await;
    let said = error.to_string();
    assert!(
        error.reached()
            && (said.contains("fell silent (rsync 30") || said.ends_with("not done after 12 seconds")),
        "{error}"
    );
    let (_relay, list) = relayed(Way::Trickles);
    let error = here.refused(&list, &Known::default()).await;
    assert!(error.reached() && error.to_string().ends_with("not done after 12 seconds"), "{error}");
    let (_relay, list) = relayed(Way::CutsAfter(20_000));
    let error = here.refused(&list, &Known::default()).await;
    assert!(error.reached() && error.to_string().contains("the transfer broke off (rsync 12"), "{error}");
    // Nobody at all, and a daemon that stands still.
    let list = here.list(&daemon.url("open/list.txt"), "");
    daemon.signal(Signal::SIGSTOP);
    let error = here.refused(&list, &Known::default()).await;
    assert!(
        error.to_string().contains("nobody answered in time") || error.to_string().contains("fell silent"),
        "{error}"
    );
    daemon.signal(Signal::SIGCONT);
    assert!(here.fetch(&list, &Known::default()).await.is_ok());
    drop(daemon);
    let error = here.refused(&list, &Known::default()).await;
    assert_eq!((error.trouble(), error.reached()), (Trouble::Unreached, false), "{error}");
    assert!(error.to_string().contains("nobody answered (rsync 10"), "{error}");
}

#[tokio::test]
async fn private_addresses_need_leave() {
    let here = Here::new();
    for (url, said) in [
        ("rsync://localhost:1/open/list.txt", "localhost is at 127.0.0.1"),
        ("rsync+ssh://me@localhost:1/list.txt", "localhost is at "),
        ("rsync://127.1:1/open/list.txt", "127.1 is at 127.0.0.1: not a public address"),
    ] {
        let mut list = here.list(url, "");
        list.allow_private = false;
        if rsync("private_addresses_need_leave").is_none() {
            return;
        }
        let error = here.refused(&list, &Known::default()).await;
        assert!(error.to_string().contains(said) || error.to_string().contains("is at ::1"), "{error}");
        assert!(error.to_string().contains("not a public address"), "{error}");
    }
}

#[tokio::test]
async fn over_ssh() {
    const TEST: &str = "over_ssh";
    let (Some(_), Some(sshd), Some(keygen), Some(_)) = (
        rsync(TEST),
        installed("sshd", "openssh-server", TEST),
        installed("ssh-keygen", "openssh-client", TEST),
        installed("ssh", "openssh-client", TEST),
    ) else {
        return;
    };
    let sshd = match Sshd::start(&sshd, &keygen) {
        Ok(sshd) => sshd,
        Err(why) => return skipped(TEST, &why),
    };
    let here = Here::new();
    let file = sshd.path("list.txt");
    let mut lines = addresses(2_000);
    fs::write(&file, lines.concat()).unwrap();
    let keys = |key: &str, hosts: &str| {
        let (key, hosts) = (sshd.path(key), sshd.path(hosts));
        format!("credential = \"{}\"\nknown-hosts = \"{}\"", key.display(), hosts.display())
    };
    let list = here.list(&sshd.url(&file), &keys("user", "known_hosts"));
    let known = here.keep(here.fetched(&list, &Known::default()).await);
    assert_eq!(fs::read_to_string(here.path("body")).unwrap(), lines.concat());
    assert!(matches!(here.fetch(&list, &known).await.unwrap(), Outcome::NotModified(_)));
    lines[7] = "192.0.2.1\n".to_owned();
    fs::write(&file, lines.concat()).unwrap();
    let changed = here.fetched(&list, &known).await;
    assert_eq!(body(&changed), lines.concat());
    assert!(changed.received < 6_000, "{} octets for a line of 2,000", changed.received);
    drop(changed);

    fs::write(
        sshd.path("other_hosts"),
        fs::read_to_string(sshd.path("known_hosts")).unwrap().replace("]:", "]:1"),
    )
    .unwrap();
    for (list, said) in [
        (here.list(&sshd.url(&file), &keys("stranger", "known_hosts")), "ssh is not let in with this key"),
        (
            here.list(&sshd.url(&file), &keys("user", "other_hosts")),
            "its host key is not among the known ones",
        ),
        (
            here.list(&sshd.url(&sshd.path("gone")), &keys("user", "known_hosts")),
            "its server has no such file",
        ),
    ] {
        let error = here.refused(&list, &known).await;
        assert!(error.trouble() == Trouble::Refused && error.to_string().contains(said), "{error}");
    }
    let nobody = here.list("rsync+ssh://me@127.0.0.1:1/list.txt", &keys("user", "known_hosts"));
    let error = here.refused(&nobody, &known).await;
    assert_eq!(error.trouble(), Trouble::Unreached, "{error}");
}

/// A list of a service, from fetching to the answer and in everything that is printed.
#[test]
fn a_secret_is_in_no_output() {
    let Some(rsync) = rsync("a_secret_is_in_no_output") else { return };
    let daemon = Daemon::start(&rsync);
    daemon.put("list.txt", "5.6.7.8\n");
    let site = Site::new();
    let token = "t0ken-of-the-web";
    let write = |name: &str, text: &str| {
        fs::write(site.path(name), text).unwrap();
        fs::set_permissions(site.path(name), Permissions::from_mode(0o600)).unwrap();
    };
    write("rsync.key", &format!("{USER}:{PASSWORD}\n"));
    write("web.key", &format!("Authorization: Bearer {token}\n"));
    // What it is told it tells again: in its error, and in what it gives for a list.
    site.web.put("/web", common::feed_server::Page::new(format!("Error: not found for Bearer {token}\n")));
    let list = |name: &str, code: u8, url: &str, key: &str| {
        Site::list(name, code, &format!("credential = {key:?}")).replace(&format!("WEB/{name}"), url)
    };
    site.configure(
        &(list("by-rsync", 1, &daemon.url("closed/list.txt"), "rsync.key")
            + &list("by-web", 2, "WEB/web", "web.key")
            + &Site::zone("one.example", &["by-rsync"], "")),
    );
    let mut said = String::new();
    let done = site.sync(&["by-rsync"]).expect(0);
    assert_eq!(done.json()["lists"][0]["outcome"], "accepted", "{done:?}");
    said += &format!("{done:?}");
    let done = site.sync(&["by-web"]).expect(1);
    let asked = site.web.asked().pop().unwrap();
    assert_eq!(asked.headers["authorization"], format!("Bearer {token}"), "it was shown");
    said += &format!("{done:?}");
    write("rsync.key", &format!("{USER}:{PASSWORD}-no-more\n"));
    let config = site.config();
    let run = |arguments: &[&str]| {
        let ended = program::run(
            arguments.iter().map(AsRef::as_ref).chain(["--config".as_ref(), config.as_os_str()]),
        );
        format!("{ended:?}")
    };
    said += &run(&["sync", "by-rsync", "--log-format", "text"]);
    for command in
        [&["status"][..], &["status", "--json"], &["print-config"], &["lookup", "5.6.7.8"], &["sync", "-v"]]
    {
        said += &run(command);
    }
    let checked = program::run(["check-config".as_ref(), config.as_os_str()]);
    said += &format!("{checked:?}");
    // Provenance, status and whatever else the state folder holds, but the lists as they came.
    for file in site.files("") {
        if !file.contains("/body-") && !file.contains("/held/") {
            said += &String::from_utf8_lossy(&fs::read(site.state().join(&file)).unwrap());
        }
    }
    assert!(said.contains("by-rsync") && said.contains("does not take the password"), "{said}");
    for secret in [PASSWORD, token] {
        let at =
            said.find(secret).map(|at| said[at.saturating_sub(300)..].chars().take(500).collect::<String>());
        assert_eq!(at, None);
    }
}

/// Whoever ends a sync, however hard, ends rsync with it; the next one sweeps what it left.
#[test]
fn a_killed_sync_leaves_nothing() {
    let Some(rsync) = rsync("a_killed_sync_leaves_nothing") else { return };
    let daemon = Daemon::start(&rsync);
    daemon.put("list.txt", addresses(20_000).concat());
    let site = Site::new();
    let relay = Relay::new(daemon.address, Way::StallsAfter(20_000));
    let configure = |url: &str| {
        site.configure(
            &(Site::list("one", 1, "max-coverage = 1.0").replace("WEB/one", url)
                + &Site::zone("one.example", &["one"], "")),
        );
    };
    configure(&relay.url("open/list.txt"));
    let mut child = program::gatepost().arg("sync").arg("--config").arg(site.config()).spawn().unwrap();
    // It stands in the arguments of rsync, as where to put the list.
    let word = format!("{}/feeds/one/.tmp-", site.state().display());
    wait_for_processes(&word, true);
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_processes(&word, false);
    configure(&daemon.url("open/list.txt"));
    assert!(
        site.files("feeds/one").iter().any(|file| file.starts_with(".tmp-")),
        "{:?}",
        site.files("feeds/one")
    );
    site.sync(&["one"]).expect(0);
    assert!(
        !site.files("feeds/one").iter().any(|file| file.contains(".tmp-")),
        "{:?}",
        site.files("feeds/one")
    );
}

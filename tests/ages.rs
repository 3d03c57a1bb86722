//! What happens to lists that nobody confirms any more, with real processes: their answers are taken out of their
//! zones while these serve, a zone without any list left says so (SERVFAIL, never "not listed"), an allow list stays,
//! and a confirmation brings the answers back without a new snapshot. Ages are made by rewriting the stamps in the
//! store, so nothing here waits for a clock.
#![cfg(feature = "full")]

mod common;

use std::path::{Path, PathBuf};

use common::dns::{A, NOERROR, NXDOMAIN, Over, Reply, SERVFAIL, TXT, ask};
use common::feed_server::{FeedServer, Page};
use common::program::{Server, gatepost, generation, run, sync};
use serde_json::Value;

const DAY: i64 = 86_400;

struct Site {
    folder: tempfile::TempDir,
    web: FeedServer,
}

impl Site {
    /// Lists `old` and `young`, an allow list `good`; a zone for each of the first two, and one for all.
    fn new() -> Self {
        let web = FeedServer::start();
        web.put("/old", Page::new("192.0.3.1\n192.0.3.2\n192.0.3.3\n"));
        web.put("/young", Page::new("192.0.3.2\n192.0.3.4\n"));
        web.put("/good", Page::new("192.0.3.3\n"));
        let folder = tempfile::tempdir().expect("a folder");
        let list = |name: &str, use_: &str, code: u8| {
            format!(
                "[list.{name}]\nurl = \"{}\"\nformat = \"plain\"\nuse = \"{use_}\"\ncode = \"127.0.1.{code}\"\n\
                 text = \"$ is in {name}\"\nfloor = \"0s\"\nsoft-age = \"12h\"\nhard-age = \"2d\"\nallow-private = true\n",
                web.url(&format!("/{name}"))
            )
        };
        let text = [
            "version = 1\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n".to_owned(),
            list("old", "block", 1),
            list("young", "block", 2),
            list("good", "allow", 3),
            "[zone.\"old.example\"]\nlists = [\"old\"]\n[zone.\"young.example\"]\nlists = [\"young\"]\n\
             [zone.\"all.example\"]\nlists = [\"old\", \"young\"]\nexcept = [\"good\"]\n"
                .to_owned(),
        ];
        std::fs::write(folder.path().join("gatepost.toml"), text.concat()).expect("a file");
        Self { folder, web }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("gatepost.toml")
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Changes the status of a list as if `change` had happened to its stamps.
    fn restamp(&self, list: &str, change: impl Fn(&mut Value)) {
        let path = self.state().join("feeds").join(list).join("status.json");
        let mut status: Value =
            serde_json::from_slice(&std::fs::read(&path).expect("a status")).expect("JSON");
        for stamp in ["last_attempt", "last_contact", "last_confirmed", "content_since"] {
            change(&mut status[stamp]);
        }
        replace(&path, &serde_json::to_vec(&status).expect("JSON"));
    }
}

/// As the store does it: a reader never sees half a file.
fn replace(path: &Path, octets: &[u8]) {
    let beside = path.with_extension("test");
    std::fs::write(&beside, octets).expect("a file");
    std::fs::rename(&beside, path).expect("a file");
}

/// So many days older, in this boot.
fn older(days: i64) -> impl Fn(&mut Value) {
    move |stamp| {
        stamp["wall"] = (stamp["wall"].as_i64().expect("a stamp") - days * DAY).into();
        stamp["boottime"] = 0.into();
        // Longer ago than this boot: then it was another.
        stamp["boot"] = "another boot".into();
    }
}

fn a(server: &Server, name: &str) -> Reply {
    ask(server.dns, Over::Udp, name, A)
}

fn codes(reply: &Reply) -> Vec<String> {
    reply.a.iter().map(|&octets| std::net::Ipv4Addr::from(octets).to_string()).collect()
}

#[test]
fn expired_lists_are_taken_out_and_come_back() {
    let site = Site::new();
    sync(&site.config(), &[]).expect(0);
    let before = generation(&site.state()).expect("published");
    let mut server = Server::serve(&site.config());
    assert_eq!(codes(&a(&server, "2.3.0.192.all.example")), ["127.0.1.1", "127.0.1.2"]);
    assert_eq!(codes(&a(&server, "1.3.0.192.old.example")), ["127.0.1.1"]);
    assert_eq!(a(&server, "3.3.0.192.all.example").rcode, NXDOMAIN, "the allow list holds");

    // Past its soft age a list is reported and serves on.
    site.restamp("old", older(1));
    let status = run(["status", "--config", site.config().to_str().unwrap(), "--json"]);
    assert_eq!(status.code, Some(1), "an old list is a problem: {status:?}");
    assert_eq!(codes(&a(&server, "1.3.0.192.old.example")), ["127.0.1.1"]);

    // Past its hard age it is masked: alone in a zone the zone cannot tell, beside others they answer alone.
    site.restamp("old", older(3));
    site.restamp("good", older(30));
    let dns = server.dns;
    server.wait_for(|_| (ask(dns, Over::Udp, "1.3.0.192.old.example", A).rcode == SERVFAIL).then_some(()));
    for over in [Over::Udp, Over::Tcp] {
        for name in ["1.3.0.192.old.example", "2.0.0.127.old.example", "9.9.9.9.old.example"] {
            assert_eq!(ask(dns, over, name, A).rcode, SERVFAIL, "{name} over {over:?}");
        }
        let both = ask(dns, over, "2.3.0.192.all.example", A);
        assert_eq!((both.rcode, codes(&both)), (NOERROR, vec!["127.0.1.2".to_owned()]));
        assert_eq!(ask(dns, over, "2.3.0.192.all.example", TXT).txt, ["192.0.3.2 is in young"]);
        assert_eq!(ask(dns, over, "1.3.0.192.all.example", A).rcode, NXDOMAIN);
        assert_eq!(ask(dns, over, "3.3.0.192.all.example", A).rcode, NXDOMAIN, "an allow list stays");
        assert_eq!(codes(&ask(dns, over, "2.0.0.127.all.example", A)), ["127.0.0.2"], "test points stay");
    }

    let mut probe = gatepost();
    probe.args(["status", "--probe", "--config"]).arg(site.config()).env("GATEPOST_LISTEN", dns.to_string());
    let probe = probe.output().expect("the program starts");
    assert_eq!(probe.status.code(), Some(1), "a zone that died of age is no healthy server: {probe:?}");
    assert!(String::from_utf8_lossy(&probe.stdout).contains("too old"), "{probe:?}");

    // The publisher says "not modified": the answers are back, from the snapshot that was there.
    sync(&site.config(), &["old"]).expect(0);
    assert_eq!(site.web.asked().last().map(|asked| asked.status), Some(304));
    server.wait_for(|_| (ask(dns, Over::Udp, "1.3.0.192.old.example", A).rcode == NOERROR).then_some(()));
    assert_eq!(codes(&a(&server, "2.3.0.192.all.example")), ["127.0.1.1", "127.0.1.2"]);
    assert_eq!(generation(&site.state()).expect("published"), before, "no new generation");
    let (code, said) = server.stop();
    assert_eq!(code, Some(0), "{said}");
}

/// Within one boot the wall clock and the time since boot must agree: a wall clock that leaps ahead (or was behind
/// when the list was confirmed) does not silence a list that was confirmed a minute ago.
#[test]
fn a_leap_of_the_wall_clock_expires_nothing() {
    let site = Site::new();
    sync(&site.config(), &[]).expect(0);
    let behind =
        |stamp: &mut Value| stamp["wall"] = (stamp["wall"].as_i64().expect("a stamp") - 30 * DAY).into();
    site.restamp("old", behind);
    let ahead =
        |stamp: &mut Value| stamp["wall"] = (stamp["wall"].as_i64().expect("a stamp") + 30 * DAY).into();
    site.restamp("young", ahead);
    let server = Server::serve(&site.config());
    assert_eq!(codes(&a(&server, "1.3.0.192.old.example")), ["127.0.1.1"]);
    assert_eq!(codes(&a(&server, "4.3.0.192.young.example")), ["127.0.1.2"]);
    assert_eq!(server.stop().0, Some(0));
}

/// After a reboot the wall clock counts, but never earlier than the newest time the store has seen: a machine that
/// wakes up in 1970 does not take an old list for a new one, and one that wakes up right keeps a fresh list.
#[test]
fn a_reboot_forgets_no_age() {
    let site = Site::new();
    sync(&site.config(), &[]).expect(0);
    let rebooted = |stamp: &mut Value| stamp["boot"] = "another boot".into();
    site.restamp("young", rebooted);
    site.restamp("old", older(3));
    let server = Server::serve(&site.config());
    assert_eq!(codes(&a(&server, "4.3.0.192.young.example")), ["127.0.1.2"]);
    assert_eq!(a(&server, "1.3.0.192.old.example").rcode, SERVFAIL, "from the first answer on");
    assert_eq!(server.stop().0, Some(0));
}

/// A clock that was stepped ahead makes earlier versions old: none of them goes by it, nor what is known of how they changed.
#[test]
fn a_clock_that_was_stepped_ahead_deletes_nothing() {
    let site = Site::new();
    let list = site.state().join("feeds/old");
    let count = |folder: &str, prefix: &str| {
        let names = std::fs::read_dir(list.join(folder)).expect("a folder");
        names.filter(|name| name.as_ref().unwrap().file_name().to_string_lossy().starts_with(prefix)).count()
    };
    let next = |n: u32| {
        site.web.put("/old", Page::new(format!("192.0.3.1\n192.0.3.{}\n", n + 10)));
        sync(&site.config(), &["old"]).expect(0);
    };
    (0..8).for_each(next);
    assert_eq!((count("", "set-"), count("deltas", "delta-")), (8, 7));
    // A year passes on the wall, and nothing since this machine booted.
    let year = 365 * DAY;
    let status = |change: &dyn Fn(&mut Value)| {
        let mut status = serde_json::from_slice(&std::fs::read(list.join("status.json")).unwrap()).unwrap();
        change(&mut status);
        replace(&list.join("status.json"), &serde_json::to_vec(&status).unwrap());
    };
    let back = |stamp: &mut Value| stamp["wall"] = (stamp["wall"].as_i64().unwrap() - year).into();
    status(&|status| {
        for stamp in ["last_attempt", "last_contact", "last_confirmed", "content_since", "believed"] {
            back(&mut status[stamp]);
        }
    });
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(year.cast_unsigned());
    for file in std::fs::read_dir(&list).unwrap().map(|file| file.unwrap()) {
        if file.file_name().to_string_lossy().starts_with("set-") {
            std::fs::File::options().append(true).open(file.path()).unwrap().set_modified(then).unwrap();
        }
    }
    for file in std::fs::read_dir(list.join("deltas")).unwrap().map(|file| file.unwrap()) {
        let name = file.file_name().to_string_lossy().into_owned();
        let parts: Vec<&str> = name.split('-').collect();
        if let ["delta", number, time, rest @ ..] = &parts[..] {
            let time = time.parse::<i64>().unwrap() - year;
            let renamed = format!("delta-{number}-{time}-{}", rest.join("-"));
            std::fs::rename(file.path(), list.join("deltas").join(renamed)).unwrap();
        }
    }
    (8..11).for_each(next);
    assert_eq!((count("", "set-"), count("deltas", "delta-")), (11, 10));
    // After a reboot nobody can tell; then few go at once.
    status(&|status| status["believed"]["boot"] = "another boot".into());
    next(11);
    assert_eq!((count("", "set-"), count("deltas", "delta-")), (10, 9));
}

//! A real process killed by SIGKILL at each named step of a sync: it stops itself there (a returned error would not
//! do: no code of ours may run after the kill), a server answers from the store meanwhile, and then it is killed. What
//! was in service answers after a restart, the next sync succeeds, and nothing piles up.
//!
//! Only a debug build has the steps (`store::killpoint`).
#![cfg(all(feature = "full", debug_assertions))]

mod common;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use common::dns::{A, Over, ask};
use common::feed_server::Page;
use common::program::{Server, gatepost};
use common::say;
use common::site::Site;
use common::stopped::Stopped;
use gatepost::store::killpoint;

/// Points at a time. They wait more than they work.
const THREADS: usize = 4;

/// The first version, the next one, and one that is held: more than one line in a hundred is bad.
const FIRST: &str = "5.6.7.1\n5.6.7.9\n";
const SECOND: &str = "5.6.7.2\n5.6.7.9\n";
const HELD: &str = "5.6.7.3\n5.6.7.9\nnot an address\n";

#[test]
fn killed_at_each_step() {
    let names = || killpoint::names().chain(killpoint::TELLING.map(str::to_owned));
    let points = Mutex::new(names());
    let reached = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let point = points.lock().unwrap().next();
                    let Some(point) = point else { return };
                    if point.starts_with("terms-") {
                        up(&point);
                    } else {
                        one(&point);
                    }
                    reached.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let all = names().count();
    assert_eq!(reached.into_inner(), all);
    say(&format!("killed by SIGKILL at {all} steps: the last good generation answered each time"));
}

/// What a zone of the two lists says, as the last octets of what is listed.
fn said(server: &Server) -> BTreeSet<u8> {
    let listed =
        |host: &u8| !ask(server.dns, Over::Udp, &format!("{host}.7.6.5.both.example"), A).a.is_empty();
    [1, 2, 3, 9, 40].into_iter().filter(listed).collect()
}

fn one(point: &str) {
    let site = Site::new();
    let lists = Site::list("changes", 1, "") + &Site::list("stays", 2, "");
    site.configure(&(lists + &Site::zone("both.example", &["changes", "stays"], "")));
    site.put("changes", FIRST);
    site.put("stays", "5.6.7.40\n");
    let first = BTreeSet::from([1, 9, 40]);
    let second = BTreeSet::from([2, 9, 40]);

    // The seed is written once in the life of a store: its steps are reached in one without a past.
    let fresh = point.starts_with("seed-");
    if !fresh {
        // Sets, bodies and snapshots of a past, so that there is something to prune. Deltas begin with the first change.
        let past = if point.starts_with("anchor-") { 50..50 } else { 50..54 };
        for host in past {
            site.put("changes", format!("5.6.7.{host}\n"));
            site.sync(&["changes", "stays"]).expect(0);
        }
        site.put("changes", FIRST);
        site.sync(&["changes", "stays"]).expect(0);
    }
    let server = site.serve();
    if !fresh {
        assert_eq!(said(&server), first, "{point}");
    }
    let held = point.starts_with("held-") || point.starts_with("trouble-");
    site.web.put("/changes", Page::new(if held { HELD } else { SECOND }));

    let mut command = gatepost();
    command.arg("sync").arg("--config").arg(site.config()).arg("changes");
    if fresh {
        command.arg("stays");
    }
    let stopped = Stopped::at(command, point);
    // While it stands there: either the old or the new version, whole, and the server answers.
    let expected = |now: &BTreeSet<u8>| match (fresh, held) {
        (true, _) => now.is_empty() || *now == second,
        (false, true) => *now == first,
        (false, false) => *now == first || *now == second,
    };
    let now = said(&server);
    assert!(expected(&now), "{point}, stopped: {now:?}");
    stopped.kill();
    let now = said(&server);
    assert!(expected(&now), "{point}, killed: {now:?}");
    let (code, talk) = server.stop();
    assert_eq!(code, Some(0), "{point}: {talk}");

    // After a restart of the server what is in service is what the generation names.
    let mut server = site.serve();
    if !fresh {
        server.wait_for_serial("both.example", site.serial("both.example"));
    }
    let now = said(&server);
    assert!(expected(&now), "{point}, restarted: {now:?}");

    // The next sync takes the lock, sweeps and goes on.
    site.put("changes", SECOND);
    site.sync(&["changes", "stays"]).expect(0);
    server.wait_for_serial("both.example", site.serial("both.example"));
    assert_eq!(said(&server), second, "{point}, next sync");
    nothing_piles_up(&site, point);
}

fn nothing_piles_up(site: &Site, point: &str) {
    let files = site.files("");
    assert!(!files.iter().any(|name| name.contains(".tmp-")), "{point}: {files:?}");
    let count = |prefix: &str| files.iter().filter(|name| name.starts_with(prefix)).count();
    // Two bodies, at least three sets (the last week's are kept), the snapshots of three generations; a killed sync
    // may leave one of each that no other was.
    assert!(count("feeds/changes/body-") <= 2, "{point}: {files:?}");
    assert!(count("feeds/changes/set-") <= 7, "{point}: {files:?}");
    assert!(count("snapshots/") <= 3, "{point}: {files:?}");
    let held = files.iter().any(|name| name.starts_with("feeds/changes/held/"));
    assert!(!held, "{point}: a good version came after what was held: {files:?}");
}

/// Terms are written by `up` itself: killed there, it shows them again and goes on.
fn up(point: &str) {
    let site = Site::new();
    std::fs::create_dir(site.path("catalogue")).unwrap();
    let url = site.web.url("/one");
    let feed = format!(
        "name = \"one\"\ntitle = \"Made-up\"\nurls = [\"{url}\"]\nformat = \"plain\"\nuse = \"block\"\n\
         code = \"127.0.0.201\"\ntext = \"$ is in it\"\nkind = \"abuse\"\nhomepage = \"https://one.example/\"\n\
         floor = \"1h\"\nallow-private = true\n[terms]\ntext = \"Free for friends.\"\nfetch = \"anyone\"\n\
         redistribute = \"never\"\n"
    );
    std::fs::write(site.path("catalogue/one.toml"), feed).unwrap();
    site.put("one", "5.6.7.8\n");
    let command = || {
        let mut command = gatepost();
        command.args(["up", "--listen", "127.0.0.1:0", "--suffix", "lists.example"]);
        command.arg("--state").arg(site.state()).arg("--catalogue").arg(site.path("catalogue"));
        command
    };
    Stopped::at(command(), point).kill();
    let mut server = Server::start(command());
    let dns = server.dns;
    server.wait_for(|_| {
        let listed = ask(dns, Over::Udp, "8.7.6.5.block.lists.example", A).a == [[127, 0, 0, 201]];
        listed.then_some(())
    });
    let (code, talk) = server.stop();
    assert_eq!(code, Some(0), "{point}: {talk}");
    let files = site.files("");
    assert!(files.contains(&"terms.json".to_owned()), "{point}: {files:?}");
    assert!(!files.iter().any(|name| name.contains(".tmp-")), "{point}: {files:?}");
}

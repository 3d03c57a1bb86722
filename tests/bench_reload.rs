//! What `gatepost bench` says of a server under load whose lists change with every sync: every answer comes, and every answer
//! is right.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use common::program;
use common::say;
use common::site::Site;

#[test]
fn syncs_under_load_lose_nothing() {
    let site = Site::new();
    let limits = "max-shrink = 1.0\nmax-gone = 1.0\nmax-growth = 99.0\n";
    site.configure(&(Site::list("one", 1, limits) + &Site::zone("one.example", &["one"], "")));
    // Entries that stay, and others that come and go with each version.
    let stays: String = (0..200).map(|n| format!("5.0.0.{n}\n")).collect();
    let version = |turn: u32| -> String {
        (0..20_000u32)
            .filter(|n| !(n + turn).is_multiple_of(7))
            .map(|n| format!("6.1.{}.{}\n", n / 250, n % 250))
            .collect()
    };
    site.put("one", stays.clone() + &version(0));
    site.sync(&["one"]).expect(0);
    fs::write(site.path("hits"), &stays).unwrap();
    let server = site.serve();
    let dns = server.dns.to_string();
    let hits = site.path("hits");
    let (syncs, first) = (AtomicU32::new(0), site.serial("one.example"));
    let ran = thread::scope(|scope| {
        let bench = scope.spawn(|| {
            let args = [
                "bench",
                "--server",
                &dns,
                "--zone",
                "one.example",
                "--rate",
                "2000",
                "--duration",
                "5s",
                "--json",
            ];
            let hits = ["--hit-share".as_ref(), "100".as_ref(), "--hits".as_ref(), hits.as_os_str()];
            program::run(args.iter().map(|arg| arg.as_ref()).chain(hits))
        });
        while !bench.is_finished() {
            let turn = syncs.fetch_add(1, Ordering::Relaxed) + 1;
            site.put("one", stays.clone() + &version(turn));
            site.sync(&["one"]).expect(0);
            thread::sleep(Duration::from_millis(300));
        }
        bench.join().unwrap()
    });
    let json = ran.expect(0).json();
    assert_eq!(json["sent"], json["right"], "{json:#}");
    for none in ["wrong", "lost", "late", "unknown", "twice", "unsent"] {
        assert_eq!(json[none], 0, "{none}: {json:#}");
    }
    assert!(json["sent"].as_u64().unwrap() > 5000, "{json:#}");
    let syncs = syncs.into_inner();
    assert!(syncs >= 3 && site.serial("one.example") > first, "{syncs} syncs");
    assert_eq!(server.stop().0, Some(0));
    say(&format!("{} questions during {syncs} syncs that reload: none lost, none wrong", json["sent"]));
}

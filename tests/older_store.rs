//! A state folder as an earlier gatepost left it (of November 2026: snapshots of format 1, sets of format 1, no deltas, a status that knows nothing of
//! holds, pins and dates): nothing in it is misread, and the next sync makes again what has another form now, without its publishers.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::path::Path;

use serde_json::Value;

use common::dns::{A, NOERROR, NXDOMAIN, Over, SERVFAIL, ask};
use common::feed_server::Page;
use common::program::{generation, run, serial};
use common::site::Site;

const ZONE: &str = "old.example";

/// What a status did not have then.
const LATER: [&str; 9] =
    ["body", "refused", "waits", "told", "dates", "end_mark", "stale", "pinned", "brought"];

/// Says of every file there whose name begins so that it is of format 1: behind six octets that say what it is.
fn older(folder: &Path, start: &str) {
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if !entry.file_name().to_str().unwrap().starts_with(start) {
            continue;
        }
        let mut octets = fs::read(entry.path()).unwrap();
        assert_eq!(octets[..2], *b"GP");
        assert!(octets[6] > 1, "there was no such format");
        octets[6] = 1;
        // Whoever writes files of the store puts others in their place.
        fs::remove_file(entry.path()).unwrap();
        fs::write(entry.path(), octets).unwrap();
        seen += 1;
    }
    assert!(seen > 0, "nothing like {start} in {}", folder.display());
}

/// The folder as it was left, with a list of somebody who is not there any more and one of one's own.
fn site() -> Site {
    let site = Site::new();
    let own = "[list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.2\"\n";
    fs::write(site.path("own.txt"), "198.51.100.9\n203.0.113.0/24\n").unwrap();
    site.configure(&(own.to_owned() + &Site::list("fed", 1, "") + &Site::zone(ZONE, &["fed", "own"], "")));
    site.put("fed", "9.9.9.9\n8.8.4.0/24\n");
    site.sync(&[]).expect(0);

    older(&site.state().join("snapshots"), ZONE);
    for list in ["fed", "own"] {
        let folder = site.state().join("feeds").join(list);
        older(&folder, "set-");
        fs::remove_dir_all(folder.join("deltas")).unwrap();
        let path = folder.join("status.json");
        let mut status: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        LATER.iter().for_each(|key| drop(status.as_object_mut().unwrap().remove(*key)));
        fs::write(&path, serde_json::to_vec(&status).unwrap()).unwrap();
    }
    site.web.put("/fed", Page::status(503, "gone"));
    site
}

#[test]
fn it_is_read_and_kept() {
    let site = site();
    let was = (generation(&site.state()).unwrap()["number"].as_u64(), serial(&site.state(), ZONE).unwrap());
    let confirmed = |status: &Value| {
        let lists = status["lists"].as_array().unwrap().iter();
        lists.map(|list| list["confirmed"]["at"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let stamps = confirmed(&site.status());

    // Its snapshot has another form: no answer rather than a wrong one.
    let mut server = site.serve();
    let dns = server.dns;
    assert_eq!(ask(dns, Over::Udp, &format!("9.9.9.9.{ZONE}"), A).rcode, SERVFAIL);
    assert!(server.said().contains("format version 1"), "{}", server.said());
    // It is whole: nobody is told to look for a sick disk.
    let config = site.config();
    let said = run(["status", "--config", config.to_str().unwrap()]).stdout;
    assert!(said.contains("its snapshot has an older format, which the next sync makes again"), "{said}");
    assert!(!said.contains("damaged") && !server.said().contains("damaged"), "{said}\n{}", server.said());

    // What its publisher gave then is here, and he is not needed.
    site.sync(&[]).expect(1);
    server.wait_for(|_| {
        let reply = ask(dns, Over::Udp, &format!("9.9.9.9.{ZONE}"), A);
        (reply.rcode == NOERROR).then_some(())
    });
    for (name, rcode, values) in [
        ("9.9.9.9", NOERROR, vec![[127, 0, 1, 1]]),
        ("77.4.8.8", NOERROR, vec![[127, 0, 1, 1]]),
        ("9.100.51.198", NOERROR, vec![[127, 0, 1, 2]]),
        ("10.9.9.9", NXDOMAIN, vec![]),
    ] {
        let reply = ask(dns, Over::Udp, &format!("{name}.{ZONE}"), A);
        assert_eq!((reply.rcode, reply.a), (rcode, values), "{name}");
    }
    // The content is what it was, and so is its serial: no resolver has to ask again.
    assert_eq!(
        (generation(&site.state()).unwrap()["number"].as_u64(), serial(&site.state(), ZONE).unwrap()),
        was
    );

    // The list of somebody else is as old as it was, and goes on from there.
    let status = site.status();
    assert_eq!(confirmed(&status)[0], stamps[0], "{status:#}");
    assert_eq!(status["lists"][0]["entries"], 2, "{status:#}");
    assert_eq!(status["unreadable"].as_array().unwrap().len(), 0, "{status:#}");
    assert_eq!(site.fetch("fed", "9.9.9.9\n8.8.4.0/24\n9.9.9.10\n")["outcome"], "accepted");
}

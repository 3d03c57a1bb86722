//! `$TIMESTAMP` in rbldnsd's files, with real processes: data that have ended by their own words are no longer
//! answered from, and newer ones are.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use common::dns::{A, NOERROR, NXDOMAIN, Over, SERVFAIL, ask};
use common::program::run;
use common::site::Site;

fn rcode(dns: SocketAddr, name: &str) -> u8 {
    ask(dns, Over::Udp, name, A).rcode
}

fn own(name: &str, code: u8) -> String {
    format!(
        "[list.{name}]\nfile = \"{name}.txt\"\nformat = \"rbldnsd:ip4set\"\nuse = \"block\"\ncode = \"127.0.1.{code}\"\n"
    )
}

/// In so many seconds, as `$TIMESTAMP` has it.
fn in_seconds(seconds: u64) -> String {
    let then = jiff::Timestamp::now() + Duration::from_secs(seconds);
    then.strftime("%Y:%m:%d:%H:%M:%S").to_string()
}

#[test]
fn a_zone_ends_with_the_first_of_its_own_files_and_comes_back() {
    let site = Site::new();
    let zones = Site::zone("one.example", &["one"], "")
        + &Site::zone("both.example", &["one", "two"], "")
        + &Site::zone("two.example", &["two"], "");
    site.configure(&(own("one", 1) + &own("two", 2) + &zones));
    let one = site.path("one.txt");
    // It may end before anything is served or while it is: it ends.
    fs::write(&one, format!("$TIMESTAMP 0 {}\n192.0.3.1\n", in_seconds(3))).unwrap();
    fs::write(site.path("two.txt"), "$TIMESTAMP 2001:02:03 2090:01:01\n192.0.3.2\n").unwrap();
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    let dns = server.dns;
    server.wait_for(|_| (rcode(dns, "1.3.0.192.one.example") == SERVFAIL).then_some(()));
    // The whole zone; the list alone may have fallen silent a moment before it.
    server.wait_for(|_| (rcode(dns, "2.3.0.192.both.example") == SERVFAIL).then_some(()));
    assert_eq!(rcode(dns, "2.3.0.192.two.example"), NOERROR);
    let status = run(["status", "--config", site.config().to_str().unwrap()]);
    assert!(status.stdout.contains("$TIMESTAMP"), "{status:?}");

    // The same entries with a later end are no new content, but they count.
    fs::write(&one, "$TIMESTAMP 0 2090:01:01\n192.0.3.1\n").unwrap();
    site.sync(&[]).expect(0);
    server.wait_for(|_| (rcode(dns, "1.3.0.192.one.example") == NOERROR).then_some(()));
    assert_eq!(rcode(dns, "2.3.0.192.both.example"), NOERROR);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_feed_that_ends_falls_silent_alone() {
    let site = Site::new();
    let feed = Site::list("feed", 1, "").replace("\"plain\"", "\"rbldnsd:ip4set\"");
    let zones =
        Site::zone("feed.example", &["feed"], "") + &Site::zone("both.example", &["feed", "other"], "");
    site.configure(&(feed + &Site::list("other", 2, "") + &zones));
    site.put("feed", "$TIMESTAMP 2001:02:03 2002:01:01\n5.6.7.8\n");
    site.put("other", "5.6.7.9\n");
    site.sync(&[]).expect(0);
    let server = site.serve();
    assert_eq!(rcode(server.dns, "8.7.6.5.feed.example"), SERVFAIL);
    assert_eq!(rcode(server.dns, "8.7.6.5.both.example"), NXDOMAIN);
    assert_eq!(rcode(server.dns, "9.7.6.5.both.example"), NOERROR);
    assert_eq!(server.stop().0, Some(0));
}

/// Data that ended before they came do not take the place of good ones; and a person who goes back to a version does not get
/// the end of the one that he left.
#[test]
fn the_end_of_another_version() {
    let site = Site::new();
    let feed = Site::list("feed", 1, "").replace("\"plain\"", "\"rbldnsd:ip4set\"");
    site.configure(&(feed + &Site::zone("feed.example", &["feed"], "")));
    site.put("feed", "5.6.7.8\n");
    site.sync(&["feed"]).expect(0);
    let mut server = site.serve();
    let dns = server.dns;
    let now = |name: &str| rcode(dns, &format!("{name}.7.6.5.feed.example"));
    assert_eq!(now("8"), NOERROR);

    site.put("feed", "$TIMESTAMP 2001:02:03 2002:01:01\n5.6.7.8\n5.6.7.9\n");
    let refused = site.sync(&["feed"]).expect(1);
    assert!(format!("{refused:?}").contains("its data have ended at 2002-01-01T00:00:00Z"), "{refused:?}");
    assert_eq!((now("8"), now("9")), (NOERROR, NXDOMAIN));

    site.put("feed", format!("$TIMESTAMP 0 {}\n5.6.7.8\n5.6.7.9\n", in_seconds(3)));
    site.sync(&["feed"]).expect(0);
    server.wait_for(|_| (now("9") == SERVFAIL).then_some(()));
    run(["rollback", "feed", "--config", site.config().to_str().unwrap()]).expect(0);
    server.wait_for(|_| (now("8") == NOERROR).then_some(()));
    assert_eq!(now("9"), NXDOMAIN);
    assert_eq!(server.stop().0, Some(0));
}

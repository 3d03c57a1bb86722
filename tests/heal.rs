//! One damaged file of the store costs itself and nothing else: the next sync makes it again from what is there, and
//! every other list goes on.
#![cfg(feature = "full")]

mod common;

use std::fs;
use std::path::PathBuf;

use common::dns::{A, Over, SERVFAIL, ask};
use common::site::Site;

fn site() -> Site {
    let site = Site::new();
    let lists = [Site::list("one", 1, ""), Site::list("two", 2, "")];
    let zones = [Site::zone("one.example", &["one"], ""), Site::zone("all.example", &["one", "two"], "")];
    site.configure(&[lists.concat(), zones.concat()].concat());
    site.put("one", "5.6.7.8\n");
    site.put("two", "9.9.9.9\n");
    site.sync(&[]).expect(0);
    site
}

/// The only file of this kind in the store.
fn file(site: &Site, folder: &str, start: &str) -> PathBuf {
    let mut found = site.files(folder).into_iter().filter(|name| name.starts_with(start));
    let name = found.next().unwrap_or_else(|| panic!("{folder} has no {start}"));
    assert!(found.next().is_none(), "{folder} has several {start}");
    site.state().join(folder).join(name)
}

fn damage(path: &PathBuf) {
    let mut octets = fs::read(path).unwrap();
    let at = octets.iter().rposition(|&octet| octet != 0).unwrap();
    octets[at] ^= 0x55;
    // Written beside and renamed: the server may have the old one mapped.
    let beside = path.with_extension("test");
    fs::write(&beside, octets).unwrap();
    fs::rename(&beside, path).unwrap();
}

/// Both lists answer in a server that starts now.
fn all_is_well(site: &Site) {
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).a, [[127, 0, 1, 1]]);
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.all.example", A).a, [[127, 0, 1, 1]]);
    assert_eq!(ask(server.dns, Over::Udp, "9.9.9.9.all.example", A).a, [[127, 0, 1, 2]]);
    assert_eq!(server.stop().0, Some(0));
}

#[test]
fn a_damaged_snapshot_is_built_again() {
    let site = site();
    damage(&file(&site, "snapshots", "one.example-"));
    let server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).rcode, SERVFAIL, "never a wrong answer");
    drop(server);
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

#[test]
fn a_damaged_status_costs_no_list() {
    let site = site();
    fs::write(site.state().join("feeds/one/status.json"), "{").unwrap();
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

#[test]
fn a_damaged_set_is_read_again_from_its_body() {
    let site = site();
    damage(&file(&site, "feeds/one", "set-"));
    // Its zone has to be built again, and its server is of no help.
    site.put("two", "9.9.9.9\n1.2.3.4\n");
    site.web.put("/one", common::feed_server::Page::status(503, "later"));
    site.sync(&[]).expect(1);
    all_is_well(&site);
}

#[test]
fn a_set_and_a_body_that_are_gone_are_fetched_again() {
    let site = site();
    fs::remove_file(file(&site, "feeds/one", "set-")).unwrap();
    fs::remove_file(file(&site, "feeds/one", "body-")).unwrap();
    site.sync(&[]);
    all_is_well(&site);
}

#[test]
fn a_cut_generation_is_made_again() {
    let site = site();
    let path = site.state().join("generation.json");
    let text = site.generation();
    fs::write(&path, &text[..text.len() / 2]).unwrap();
    site.sync(&[]).expect(0);
    all_is_well(&site);
}

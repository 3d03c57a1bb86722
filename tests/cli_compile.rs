//! `compile` and `inspect`: text → snapshot → what is in it.
#![cfg(feature = "full")]

mod cli_support;

use std::io::Write;
use std::process::Stdio;

use cli_support::Place;
use gatepost::snapshot::{Mapped, Snapshot};

const LIST: &str = "192.0.2.7\n192.0.2.128/25 # office\n1.2.3.999\n2001:db8::/32\nnonsense here\n";

fn compile(place: &Place, more: &[&str]) -> cli_support::Ran {
    place.run(&[&["compile", "--format", "plain", "--zone", "bl.example.net"], more].concat())
}

#[test]
fn what_goes_in_comes_out() {
    let place = Place::new();
    place.write("list.txt", LIST);
    let ran = compile(&place, &["list.txt", "-o", "bl.snapshot"]).ended_with(1).says("3 entries");
    // Each bad line with its place, and nothing else is wrong with the snapshot.
    let ran = ran.talks("list.txt:3:7: octet above 255: 1.2.3.999").talks("list.txt:5:");
    assert!(ran.err.contains("2 lines were unreadable"), "{}", ran.err);

    let snapshot = Snapshot::open(Mapped::open(&place.path("bl.snapshot")).unwrap()).unwrap();
    snapshot.verify().unwrap();
    let listed = |address: &str| {
        let address: std::net::Ipv4Addr = address.parse().unwrap();
        snapshot.v4(address.into()).unwrap().is_some()
    };
    for address in ["192.0.2.7", "192.0.2.128", "192.0.2.255", "127.0.0.2"] {
        assert!(listed(address), "{address}");
    }
    for address in ["192.0.2.8", "192.0.2.127", "192.0.3.0", "127.0.0.1"] {
        assert!(!listed(address), "{address}");
    }

    let seen = place.run(&["inspect", "bl.snapshot", "--verify", "--json"]).ended_with(0).json();
    assert_eq!(seen["counts"]["v4_addresses"], 130);
    assert_eq!(seen["verified"]["whole"], true);
    assert_eq!(seen["zone"]["origin"], "bl.example.net");
    assert_eq!(seen["lists"][0]["entries"], 3);
    assert_eq!(seen["provenance"]["report"]["bad"], 2);
    assert!(seen["sections"].as_array().unwrap().iter().any(|section| section["section"] == "answers"));
    let answers = seen["answers"].as_array().unwrap();
    assert!(answers.iter().any(|answer| answer["records"][0]["data"][0] == "127.0.0.2"), "{answers:?}");
    let text = place.run(&["inspect", "bl.snapshot"]).ended_with(0).says("130 addresses");
    assert!(text.out.contains("$ is listed in bl.example.net"));
    place.run(&["inspect", "bl.snapshot", "--answers", "1"]).ended_with(0).says("and 1 more");
}

#[test]
fn code_text_and_notes() {
    let place = Place::new();
    place.write("list.txt", "192.0.2.7 # SBL1\n");
    let text = "$ is bad ({note})";
    compile(&place, &["list.txt", "-o", "s", "--code", "127.0.0.9", "--text", text]).ended_with(0);
    let seen = place.run(&["inspect", "s"]).ended_with(0).says("127.0.0.9");
    assert!(seen.out.contains("$ is bad (SBL1)"), "{}", seen.out);
}

#[test]
fn packed_files_several_files_and_stdin_are_one_list() {
    let place = Place::new();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(b"192.0.2.1\n192.0.2.2\n").unwrap();
    place.write("packed", packed.finish().unwrap()).write("plain", "192.0.2.3\n");
    place.write("all", "192.0.2.3\n192.0.2.2\n192.0.2.1\n");
    compile(&place, &["packed", "plain", "-o", "a"]).ended_with(0);
    compile(&place, &["all", "-o", "b"]).ended_with(0);
    let mut child = place
        .command(&["compile", "--format", "plain", "--zone", "bl.example.net", "-", "-o", "c"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(place.read("all").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let content =
        |name: &str| place.run(&["inspect", "--json", name]).ended_with(0).json()["content"].clone();
    assert_eq!(content("a"), content("b"));
    assert_eq!(content("b"), content("c"));
}

#[test]
fn other_formats() {
    let place = Place::new();
    place.write("feed.csv", "seen,ip\n2026-01-01,192.0.2.9\n");
    let csv =
        ["compile", "--format", "csv", "--column", "ip", "--zone", "bl.example", "feed.csv", "-o", "csv"];
    place.run(&csv).ended_with(0);
    let missing =
        ["compile", "--format", "csv", "--column", "IP4", "--zone", "bl.example", "feed.csv", "-o", "x"];
    place.run(&missing).ended_with(3).talks("feed.csv");
    place.write("set", ":127.0.0.3:$ is spam\n192.0.2.0/30\n!192.0.2.1\n");
    place
        .run(&["compile", "--format", "rbldnsd:ip4set", "--zone", "bl.example", "set", "-o", "set.s"])
        .ended_with(0);
    place.run(&["inspect", "set.s"]).ended_with(0).says("127.0.0.3").says("$ is spam");
    place.write("names", "spam.example\n*.ham.example\n");
    place
        .run(&["compile", "--format", "names", "--zone", "dbl.example", "names", "-o", "names.s"])
        .ended_with(0);
}

#[test]
fn a_cut_file_is_refused_and_what_was_there_stays() {
    let place = Place::new();
    place
        .write("drop.txt", "; Spamhaus DROP List\n192.0.2.0/24 ; SBL1\n; EOF\n")
        .write("cut.txt", "192.0.2.0/24 ; SBL1\n");
    let drop =
        |file: &str| place.run(&["compile", "--format", "drop", "--zone", "bl.example", file, "-o", "s"]);
    drop("drop.txt").ended_with(0);
    let before = std::fs::read(place.path("s")).unwrap();
    drop("cut.txt").ended_with(1).talks("nothing was written");
    assert_eq!(std::fs::read(place.path("s")).unwrap(), before);
}

#[test]
fn what_cannot_be_done_is_said() {
    let place = Place::new();
    compile(&place, &["missing", "-o", "s"]).ended_with(3).talks("missing");
    place.write("list.txt", "192.0.2.1\n");
    compile(&place, &["list.txt", "-o", "no/such/folder/s"]).ended_with(3).talks("no/such/folder");
    compile(&place, &["list.txt", "-o", "."]).ended_with(2);
    assert!(std::fs::read_dir(place.path("")).unwrap().count() == 1, "something was left behind");
}

#[test]
fn damaged_and_foreign_files() {
    let place = Place::new();
    place.write("list.txt", LIST).write("empty", "");
    compile(&place, &["list.txt", "-o", "s"]).ended_with(1);
    let whole = std::fs::read(place.path("s")).unwrap();
    place.write("cut", &whole[..whole.len() - 1]);
    let mut flipped = whole;
    *flipped.last_mut().unwrap() ^= 1;
    place.write("flipped", &flipped);
    place.run(&["inspect", "list.txt"]).ended_with(1).talks("not a snapshot");
    place.run(&["inspect", "empty"]).ended_with(1).talks("empty");
    place.run(&["inspect", "cut"]).ended_with(1).talks("cut");
    place.run(&["inspect", "--verify", "flipped"]).ended_with(1);
    place.run(&["inspect", "missing"]).ended_with(3).talks("missing");
    // One bad one does not hide the others.
    place.run(&["inspect", "cut", "s"]).ended_with(1).says("130 addresses");
}

/// A snapshot takes the place of a snapshot, never that of a device or a pipe; a link stays one.
#[test]
fn only_files_are_replaced() {
    let place = Place::new();
    place.write("list.txt", "192.0.2.7\n").write("real", "");
    let pipe = place.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for target in ["pipe", "/dev/null"] {
        compile(&place, &["list.txt", "-o", target]).ended_with(2).talks("no regular file");
    }
    assert!(!std::fs::symlink_metadata(&pipe).unwrap().is_file());
    std::os::unix::fs::symlink("real", place.path("link")).unwrap();
    compile(&place, &["list.txt", "-o", "link"]).ended_with(0);
    assert!(std::fs::symlink_metadata(place.path("link")).unwrap().is_symlink());
    place.run(&["inspect", "--verify", "real"]).ended_with(0).says("2 addresses");
}

/// A snapshot is mapped, and nobody need ever write to a pipe.
#[test]
fn a_pipe_is_no_snapshot() {
    let place = Place::new();
    place.write("list.txt", "192.0.2.7\n");
    compile(&place, &["list.txt", "-o", "s"]).ended_with(0);
    assert!(std::process::Command::new("mkfifo").arg(place.path("pipe")).status().unwrap().success());
    std::os::unix::fs::symlink("pipe", place.path("link")).unwrap();
    for path in ["pipe", "link"] {
        place.run(&["inspect", path]).ended_with(3).talks("write what a pipe brings to a file first");
        place.run(&["export", path, "--format", "plain"]).ended_with(3).talks("no plain file");
    }
    place.run(&["inspect", "s"]).ended_with(0);
}

#[test]
fn for_programs() {
    let place = Place::new();
    place.write("list.txt", LIST).write("page.html", "<html>\n");
    let told = compile(&place, &["list.txt", "-o", "s", "--json"]).ended_with(1).json();
    assert_eq!((&told["written"], &told["listed"]["addresses"]), (&true.into(), &130.into()));
    assert!(told["report"]["bad"].as_u64().unwrap() > 0, "{told}");
    let told = compile(&place, &["page.html", "-o", "s", "--json"]).ended_with(1).json();
    assert_eq!(told["written"], false);
    assert!(told["reason"].is_string(), "{told}");
    compile(&place, &["list.txt", "-o", "-"]).ended_with(2).talks("name one after -o");
    assert!(!place.path("-").exists());
}

/// What is no list never takes the place of a good snapshot, and no input is written over.
#[test]
fn a_good_snapshot_stays() {
    let place = Place::new();
    place.write("list.txt", "192.0.2.7\n");
    compile(&place, &["list.txt", "-o", "bl.snapshot"]).ended_with(0);
    let good = std::fs::read(place.path("bl.snapshot")).unwrap();
    place.write("page.html", "<html>\n502 Bad Gateway\n</html>\n");
    compile(&place, &["page.html", "-o", "bl.snapshot"]).ended_with(1).talks("nothing was written");
    assert_eq!(std::fs::read(place.path("bl.snapshot")).unwrap(), good);
    compile(&place, &["list.txt", "-o", "./list.txt"]).ended_with(2).talks("the one to write");
    assert_eq!(std::fs::read_to_string(place.path("list.txt")).unwrap(), "192.0.2.7\n");
}

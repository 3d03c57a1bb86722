//! `gatepost export`: which snapshot is meant, where its text goes, what is told.
#![cfg(feature = "full")]

mod cli_support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use cli_support::Place;

fn compiled(place: &Place, format: &str, text: &str) {
    place.write("list", text);
    place.run(&["compile", "--format", format, "--zone", "bl.example", "list", "-o", "s"]).ended_with(0);
}

fn content(place: &Place, snapshot: &str) -> serde_json::Value {
    place.run(&["inspect", "--json", snapshot]).ended_with(0).json()["answers"].clone()
}

#[test]
fn text_compiles_to_the_same_answers() {
    let place = Place::new();
    compiled(
        &place,
        "rbldnsd:ip4set",
        "$SOA 60 a.x b.x 9 1 2 3 4\n:3:$ is bad\n10.0.0.0/9\n!10.0.0.1\n10.2.2.2 :4:x\n",
    );
    let ran = place.run(&["export", "s", "--format", "rbldnsd"]).ended_with(0);
    assert_eq!(ran.err, "");
    ran.says("$SOA 60 a.x b.x 9 1 2 3 4\n").says("10.0.0.0\n10.0.0.2/31\n").says("10.2.2.2 :127.0.0.4:x\n");
    place.run(&["export", "s", "--format", "rbldnsd", "-o", "text"]).ended_with(0).says("of bl.example");
    let again = ["compile", "--format", "rbldnsd:combined", "--zone", "bl.example", "text", "-o", "t"];
    place.run(&again).ended_with(0);
    assert_eq!(
        content(&place, "s").as_array().unwrap().len(),
        content(&place, "t").as_array().unwrap().len()
    );
    place.run(&["export", "t", "--format", "plain"]).ended_with(0).says("10.2.0.0/15\n").says("127.0.0.2\n");
}

#[test]
fn a_zone_in_service_has_its_serial() {
    let place = Place::new();
    cli_support::own_lists(&place, "127.0.0.1:0");
    place.run(&["sync", "--config", "gatepost.toml"]).ended_with(0);
    let config = ["--config", "gatepost.toml"];
    let export =
        |zone: &str, format: &str| place.run(&[&["export", zone, "--format", format], &config[..]].concat());
    let generation: serde_json::Value = serde_json::from_str(&place.read("state/generation.json")).unwrap();
    let serial = &generation["zones"]["bl.example.net"]["serial"];
    export("BL.example.net.", "rbldnsd").ended_with(0).says(&format!(" nobody.invalid {serial} "));
    // Less the exception.
    export("bl.example.net", "plain")
        .ended_with(0)
        .says("198.51.100.16/30\n198.51.100.21\n")
        .says("2001:db8::/32\n");
    export("names.example.net", "plain").ended_with(0).says("spam.example\n");
    export("other.example", "plain").ended_with(2).talks("in service: ").talks("bl.example.net");
    export("no file/", "plain").ended_with(2).talks("no file");
}

/// The content of a zone in service is without its serial; its file says it all the same.
#[test]
fn a_file_in_service_has_the_serial_of_its_data() {
    let place = Place::new();
    cli_support::own_lists(&place, "127.0.0.1:0");
    let config = place.read("gatepost.toml")
        + "[list.rb]\nfile = \"rb.txt\"\nformat = \"rbldnsd:ip4set\"\nuse = \"block\"\ncode = \"127.0.1.30\"\n\
           [zone.\"rb.example.net\"]\nlists = [\"rb\"]\n";
    place.write("gatepost.toml", config);
    let synced_with = |serial: u32| {
        place.write("rb.txt", format!("$SOA 60 a.x b.x {serial} 1 2 3 4\n192.0.2.1\n"));
        place.run(&["sync", "--config", "gatepost.toml"]).ended_with(0);
        let generation: serde_json::Value =
            serde_json::from_str(&place.read("state/generation.json")).unwrap();
        format!("state/snapshots/{}", generation["zones"]["rb.example.net"]["file"].as_str().unwrap())
    };
    let serial_of = |file: &str, serial: u32| {
        let ran = place.run(&["export", file, "--format", "rbldnsd"]).ended_with(0);
        ran.says(&format!("$SOA 60 a.x b.x {serial} 1 2 3 4\n"));
    };
    let before = synced_with(2_026_112_401);
    serial_of(&before, 2_026_112_401);
    serial_of(&synced_with(2_026_112_402), 2_026_112_402);
    serial_of(&before, 2_026_112_401);
    // Where the data leave it open, so does the file.
    serial_of(&synced_with(0), 0);
}

#[test]
fn what_is_left_out_is_told() {
    let place = Place::new();
    compiled(&place, "names", "spam.example\n192.0.2.1\n2001:db8::/32\n");
    let json = place.run(&["export", "s", "--format", "roaring", "-o", "r", "--json"]).ended_with(1);
    let json = json.talks("IPv6 spans were left out").talks("names were left out").json();
    assert_eq!(json["listed"]["addresses"], 2);
    assert_eq!(json["left_out"].as_array().unwrap().len(), 2);
    let bitmap = std::fs::File::open(place.path("r")).unwrap();
    let bitmap = roaring::RoaringBitmap::deserialize_from(bitmap).unwrap();
    assert_eq!(bitmap.iter().collect::<Vec<_>>(), [0x7f00_0002, 0xc000_0201]);
}

#[test]
fn files_are_replaced_whole_and_only_files() {
    let place = Place::new();
    compiled(&place, "plain", "192.0.2.1\n");
    place
        .run(&["export", "s", "--format", "plain", "-o", "/dev/null"])
        .ended_with(2)
        .talks("no regular file");
    place.run(&["export", "s", "--format", "plain", "-o", "s"]).ended_with(2).talks("snapshot itself");
    place.run(&["export", "s", "--format", "plain", "--json"]).ended_with(2);
    place.run(&["export", "s", "--format", "csv"]).ended_with(2);
    place.write("out", "old");
    let mut octets = std::fs::read(place.path("s")).unwrap();
    *octets.last_mut().unwrap() ^= 1;
    place.write("damaged", octets);
    place.run(&["export", "damaged", "--format", "plain", "-o", "out"]).ended_with(3).talks("damaged");
    assert_eq!(place.read("out"), "old");
    place.run(&["export", "s", "--format", "plain", "-o", "out"]).ended_with(0);
    assert_eq!(place.read("out"), "127.0.0.2\n192.0.2.1\n");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let place = Place::new();
    let text: String =
        (0..200_000).map(|n| format!("10.{}.{}.{}\n", n >> 15 & 255, n >> 7 & 255, n << 1 & 255)).collect();
    compiled(&place, "plain", &text);
    let mut child = place
        .command(&["export", "s", "--format", "plain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    assert_eq!(first, "10.0.0.0\n");
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.as_slice()), (Some(0), &b""[..]));
}

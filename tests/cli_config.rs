//! `check-config` and `print-config`.
#![cfg(feature = "full")]

mod cli_support;

use cli_support::{Place, own_lists};

#[test]
fn a_good_configuration() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    place.run(&["check-config", "gatepost.toml"]).ended_with(0).says("good: 3 lists, 3 zones");
    let json = place.run(&["check-config", "gatepost.toml", "--json"]).ended_with(0).json();
    assert_eq!(json["good"], true);
    assert_eq!(json["problems"], serde_json::json!([]));
    assert_eq!((&json["lists"], &json["zones"]), (&3.into(), &3.into()));
    // Good, but whoever wrote it wants something else.
    place.write("empty.toml", "version = 1\n");
    place.run(&["check-config", "empty.toml"]).ended_with(0).talks("there is no `[zone.");
}

#[test]
fn a_flag_stands_above_the_environment() {
    let place = Place::new();
    let run = |args: &[&str]| {
        let ran = place.command(args).env("GATEPOST_CONFIG", "of-the-environment.toml").output().unwrap();
        String::from_utf8_lossy(&ran.stderr).into_owned()
    };
    assert!(run(&["status"]).contains("of-the-environment.toml"));
    assert!(run(&["status", "--config", "typed.toml"]).contains("typed.toml"));
    assert!(run(&["status", "--state", "typed"]).contains("typed is no state folder of `gatepost up`"));
}

/// What most lists answer is what a list answers that is alone and says nothing.
#[test]
fn alone_in_its_zone_a_list_needs_no_code() {
    let place = Place::new();
    place.write("own.txt", "192.0.2.7\n").write(
        "gatepost.toml",
        "version = 1\nstate = \"state\"\n[list.own]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\n\
         [zone.\"bl.example\"]\nlists = [\"own\"]\n",
    );
    place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
    let found = place.run(&["lookup", "-c", "gatepost.toml", "--json", "192.0.2.7"]).ended_with(1).json();
    assert_eq!(found["zones"][0]["records"][0]["data"], serde_json::json!(["127.0.0.2"]));
    place.write("again.toml", &place.run(&["print-config", "-c", "gatepost.toml"]).ended_with(0).out);
    place.run(&["check-config", "again.toml"]).ended_with(0);
}

#[test]
fn every_mistake_with_its_place() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    let bad = place.read("gatepost.toml").replace("code = \"127.0.1.5\"", "code = \"192.0.2.1\"")
        + "\n[zone.\"x.example\"]\nlists = [\"own\", \"nobody\"]\ncolour = \"red\"\n";
    place.write("gatepost.toml", bad);
    let ran = place.run(&["check-config", "gatepost.toml"]).ended_with(2);
    let ran = ran.talks("gatepost.toml:9:8:").talks("`nobody`").talks("colour").talks("3 mistakes");
    assert_eq!(ran.out, "");
    let json = place.run(&["check-config", "gatepost.toml", "--json"]).ended_with(2).json();
    assert_eq!(json["good"], false);
    let problems = json["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 3);
    for problem in problems {
        assert!(problem["line"].is_u64() && problem["column"].is_u64(), "{problem}");
        assert!(problem["message"].is_string() && problem["text"].is_string(), "{problem}");
        assert!(problem["expected"].as_str().unwrap().starts_with("expected "), "{problem}");
    }
    place.run(&["check-config", "missing.toml"]).ended_with(2).talks("missing.toml");
    assert_eq!(place.run(&["check-config", "missing.toml", "--json"]).ended_with(2).json()["good"], false);
}

#[test]
fn what_is_printed_reads_back_as_itself() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    let printed =
        place.run(&["print-config", "--config", "gatepost.toml"]).ended_with(0).says("tcp-idle").out;
    place.write("again.toml", &printed);
    let again = place.run(&["print-config", "--config", "again.toml"]).ended_with(0).out;
    assert_eq!(again, printed);
}

#[test]
fn the_environment_stands_above_the_file() {
    let place = Place::new();
    own_lists(&place, "127.0.0.1:5354");
    let printed = place
        .command(&["print-config"])
        .env("GATEPOST_CONFIG", "gatepost.toml")
        .env("GATEPOST_STATE", "/elsewhere")
        .env("GATEPOST_LISTEN", "127.0.0.1:5300, [::1]:5300")
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("state = \"/elsewhere\""), "{printed}");
    assert!(printed.contains("listen = [\"127.0.0.1:5300\", \"[::1]:5300\"]"), "{printed}");
    let wrong =
        place.command(&["check-config", "gatepost.toml"]).env("GATEPOST_LISTEN", "53").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("GATEPOST_LISTEN"));
}

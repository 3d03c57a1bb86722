//! `gatepost snippet`: what it prints for the configuration that is shipped, which uses and codes go where, and how it
//! writes files. That the programs understand it is proved by tests/snippets_resolvers.rs and tests/snippets_mail.rs.
#![cfg(feature = "full")]

mod cli_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_support::{Place, Ran};

/// Each program, and the name of its file in deploy/snippets.
const PROGRAMS: [(&str, &str); 15] = [
    ("postfix", "postfix.cf"),
    ("postscreen", "postscreen.cf"),
    ("exim", "exim.acl"),
    ("rspamd", "rspamd.conf"),
    ("spamassassin", "spamassassin.cf"),
    ("haraka", "haraka.ini"),
    ("opensmtpd", "opensmtpd.conf"),
    ("sendmail", "sendmail.mc"),
    ("unbound", "unbound.conf"),
    ("bind", "bind.conf"),
    ("dnsmasq", "dnsmasq.conf"),
    ("pdns-recursor", "pdns-recursor.conf"),
    ("dnsdist", "dnsdist.conf"),
    ("knot-resolver", "knot-resolver.conf"),
    ("systemd-resolved", "systemd-resolved.conf"),
];

const MAIL: [&str; 8] =
    ["postfix", "postscreen", "exim", "rspamd", "spamassassin", "haraka", "opensmtpd", "sendmail"];

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// A list of every use, of addresses and of names, in zones as different as they can be.
const ALL_USES: &str = r#"version = 1
state = "state"
[server]
listen = ["192.0.2.1:53", "127.0.0.1:5300"]
[list.bad]
file = "list.txt"
format = "plain"
use = "block"
code = "127.0.1.5"
[list.worse]
file = "list.txt"
format = "plain"
use = "block"
code = "127.0.1.6"
[list.broad]
file = "list.txt"
format = "plain"
use = "score"
code = "127.0.1.7"
[list.backscatter]
file = "list.txt"
format = "plain"
use = "bounce"
code = "127.0.1.8"
[list.good]
file = "list.txt"
format = "plain"
use = "allow"
code = "127.0.1.9"
[list.domains]
file = "names.txt"
format = "names"
use = "block"
code = "127.0.1.10"
[list.own]
file = "own.ip4set"
format = "rbldnsd:ip4set"
use = "score"
[zone."bl.example.net"]
lists = ["bad", "worse"]
except = ["good"]
[zone."bad.example.net"]
lists = ["bad"]
[zone."broad.example.net"]
lists = ["broad"]
[zone."bounce.example.net"]
lists = ["backscatter"]
[zone."ok.example.net"]
lists = ["good"]
[zone."dbl.test"]
lists = ["domains"]
[zone."own.bl.example.net"]
lists = ["own"]
"#;

fn all_uses() -> Place {
    let place = Place::new();
    place.write("list.txt", "203.0.113.9\n");
    place.write("names.txt", "bad.example\n");
    place.write("own.ip4set", ":127.0.0.9:mine\n203.0.113.9\n203.0.113.10 :127.0.0.2:default\n");
    place.write("gatepost.toml", ALL_USES);
    place
}

fn snippet(place: &Place, program: &str) -> String {
    place.run(&["snippet", program, "--config", "gatepost.toml"]).ended_with(0).out
}

/// The lines that are no comments.
fn told(text: &str) -> String {
    let is_comment = |line: &str| ["#", "//", "--", ";", "dnl #"].iter().any(|mark| line.starts_with(mark));
    text.lines().filter(|line| !is_comment(line)).map(|line| format!("{line}\n")).collect()
}

/// What lies under deploy/snippets is what the program prints for deploy/gatepost.toml; with GATEPOST_WRITE_SNIPPETS=1 it
/// is made so.
#[test]
fn the_shipped_texts_are_the_programs() {
    let place = Place::new();
    place.write("gatepost.toml", fs::read(deploy().join("gatepost.toml")).unwrap());
    for (program, file) in PROGRAMS {
        let text = snippet(&place, program);
        let path = deploy().join("snippets").join(file);
        if std::env::var_os("GATEPOST_WRITE_SNIPPETS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &text).unwrap();
        }
        let shipped = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(shipped, text, "{}: GATEPOST_WRITE_SNIPPETS=1 writes it again", path.display());
    }
    let files = fs::read_dir(deploy().join("snippets")).unwrap().count();
    assert_eq!(files, PROGRAMS.len(), "a file in deploy/snippets is no program's");
}

#[test]
fn every_text_has_real_codes_alone_and_says_how_to_test_it() {
    let place = all_uses();
    for (program, _) in PROGRAMS {
        let text = snippet(&place, program);
        assert_eq!(text.matches("Test: ").count(), 1, "{program}: {text}");
        assert!(text.contains(&format!("`gatepost snippet {program}`")), "{text}");
        let told = told(&text);
        assert!(!told.contains("127.255"), "{told}");
        match MAIL.contains(&program) {
            // The zone that the wider one holds is not asked, and says so.
            true => assert!(
                text.contains("bad.example.net is not asked: bl.example.net has its lists."),
                "{text}"
            ),
            false => {
                // No zone lies in another one that is asked for; the loopback address is the one to ask.
                assert!(!told.contains("own.bl.example.net") && told.contains("dbl.test"), "{told}");
                assert!(told.contains("5300") && !told.contains("192.0.2.1"), "{told}");
            }
        }
    }
}

#[test]
fn uses_go_where_they_belong() {
    let place = all_uses();
    let postfix = told(&snippet(&place, "postfix"));
    let at = |what: &str| postfix.find(what).unwrap_or_else(|| panic!("no {what} in {postfix}"));
    let order = [
        "gatepost_bounce =",
        "reject_rbl_client bounce.example.net=127.0.1.8",
        "permit_mynetworks",
        "permit_sasl_authenticated",
        "reject_unauth_destination",
        "reject_rbl_client bl.example.net=127.0.2.2",
        "reject_rhsbl_sender dbl.test=127.0.2.2",
        "permit_dnswl_client ok.example.net=127.0.1.9",
        "reject_rbl_client bl.example.net=127.0.1.[5;6]",
        "reject_rhsbl_sender dbl.test=127.0.1.10",
        "check_sender_access inline:{{<> = gatepost_bounce}}",
    ];
    assert!(order.windows(2).all(|two| at(two[0]) < at(two[1])), "{postfix}");
    assert!(!postfix.contains("broad.example.net") && !postfix.contains("own.bl"), "{postfix}");

    let postscreen = told(&snippet(&place, "postscreen"));
    // Four filters of score lists, one of block lists; and one of allow lists, which a person's block outweighs.
    for part in [
        "bl.example.net=127.0.1.[5;6]*5",
        "broad.example.net=127.0.1.7*1",
        "own.bl.example.net=127.0.0.2*1",
        "ok.example.net=127.0.1.9*-9",
        "    bl.example.net=127.0.2.2*14",
        "threshold = 5",
    ] {
        assert!(postscreen.contains(part), "{part}: {postscreen}");
    }
    assert!(!postscreen.contains("bounce.example.net"), "{postscreen}");

    let exim = told(&snippet(&place, "exim"));
    assert!(exim.contains("\n  dnslists = bl.example.net=127.0.2.2\n"), "{exim}");
    let lists = "\n  !dnslists = ok.example.net=127.0.1.9\n  dnslists = bl.example.net=127.0.1.5,127.0.1.6\n";
    assert!(exim.contains(lists), "{exim}");
    assert!(exim.contains("dbl.test=127.0.1.10/${sg{$sender_address_domain}"), "{exim}");
    assert_eq!(exim.matches("!authenticated = *").count(), exim.matches("\n  dnslists = ").count(), "{exim}");

    // A client without a name would switch off a rule that also looks at links.
    let rspamd = told(&snippet(&place, "rspamd"));
    for rule in [
        "checks = [\"urls\", \"emails\"]",
        "checks = [\"helo\"]",
        "checks = [\"rdns\"]",
        "returncodes { GATEPOST_BL_EXAMPLE_NET = [\"127.0.1.5\", \"127.0.1.6\"]; }",
        "ignore_whitelist = true;",
        "returncodes { GATEPOST_BL_EXAMPLE_NET_DECIDED = [\"127.0.2.2\"]; }",
        "expression = \"GATEPOST_BL_EXAMPLE_NET_DECIDED\";",
        "expression = \"GATEPOST_BL_EXAMPLE_NET & !GATEPOST_OK_EXAMPLE_NET\";",
        "expression = \"GATEPOST_BOUNCE_EXAMPLE_NET & BOUNCE & !GATEPOST_OK_EXAMPLE_NET\";",
    ] {
        assert!(rspamd.contains(rule), "{rule}: {rspamd}");
    }

    // An allow list of names is asked for what the mail program has verified alone.
    let trusted =
        ALL_USES.replace("format = \"names\"\nuse = \"block\"", "format = \"names\"\nuse = \"allow\"");
    place.write("gatepost.toml", trusted);
    let of_names = told(&snippet(&place, "rspamd"));
    assert!(of_names.contains("checks = [\"rdns\"]") && !of_names.contains("helo"), "{of_names}");
    assert!(!of_names.contains("urls"), "{of_names}");
    place.write("gatepost.toml", ALL_USES);

    let haraka = told(&snippet(&place, "haraka"));
    assert!(haraka.contains("[bl.example.net]\ntype=block\nipv6=true\nreject=true"), "{haraka}");
    assert!(haraka.contains("[broad.example.net]\ntype=block\nipv6=true\nreject=false"), "{haraka}");
    assert!(haraka.contains("[ok.example.net]\ntype=allow"), "{haraka}");

    let sendmail = told(&snippet(&place, "sendmail"));
    assert!(
        sendmail.contains(
            "\nC{Gatepost1}127.0.1.5 127.0.1.6 127.0.2.2\ndivert(0)dnl\npushdef(`ednsbl', `gatepost')dnl\n\
             FEATURE(`enhdnsbl', `bl.example.net', `', `', `$={Gatepost1}$+', `$+$={Gatepost1}$+')dnl\n"
        ),
        "{sendmail}"
    );
    assert_eq!(sendmail.matches("FEATURE(`enhdnsbl'").count(), 1, "{sendmail}");
    let opensmtpd = told(&snippet(&place, "opensmtpd"));
    for program in ["haraka", "opensmtpd"] {
        let said = snippet(&place, program);
        assert!(said.contains("lets through, even whom a person blocks: ok.example.net"), "{said}");
    }
    assert!(opensmtpd.contains("filter-dnsbl -m -- -w ok.example.net bl.example.net\""), "{opensmtpd}");
}

/// Where a program can use no zone a text without one would do harm.
#[test]
fn programs_that_can_use_no_zone() {
    let place = all_uses();
    let names = "version = 1\nstate = \"state\"\n[list.domains]\nfile = \"names.txt\"\nformat = \"names\"\nuse = \"block\"\n\
                 code = \"127.0.1.10\"\n[zone.\"dbl.test\"]\nlists = [\"domains\"]\n";
    place.write("gatepost.toml", names);
    for program in ["haraka", "opensmtpd"] {
        let ran = place.run(&["snippet", program, "--config", "gatepost.toml"]).ended_with(2);
        ran.talks("it can use none of the zones");
    }
}

/// Who is on all score lists is no spammer for that, however many there are; and whom an allow list has is none for block lists.
#[test]
fn spamassassin_weighs() {
    let place = all_uses();
    let more: String = (1..=5)
        .map(|number| {
            format!("[list.more-{number}]\nfile = \"list.txt\"\nformat = \"plain\"\nuse = \"score\"\ncode = \"127.0.5.{number}\"\n\
                     [zone.\"more-{number}.example.net\"]\nlists = [\"more-{number}\"]\n")
        })
        .collect();
    for (more, each) in [("", "1.5"), (&*more, "0.7")] {
        place.write("gatepost.toml", ALL_USES.to_owned() + more);
        let text = snippet(&place, "spamassassin");
        let scores: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("score ") && line.ends_with(each))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert_eq!(scores.len(), if more.is_empty() { 2 } else { 7 }, "{text}");
        assert!(scores.iter().sum::<f64>() < 5.0, "{scores:?}");
    }
    let text = snippet(&place, "spamassassin");
    for (rule, made_of) in [
        ("GATEPOST_BL_EXAMPLE_NET", "__GATEPOST_BL_EXAMPLE_NET"),
        ("GATEPOST_BOUNCE_EXAMPLE_NET", "__GATEPOST_BOUNCE_EXAMPLE_NET && __GATEPOST_NULL_SENDER"),
        ("GATEPOST_DBL_TEST", "(__GATEPOST_DBL_TEST_127_0_1_10)"),
    ] {
        let meta = format!("\nmeta     {rule} {made_of} && !GATEPOST_OK_EXAMPLE_NET\n");
        assert!(text.contains(&meta), "{rule}: {text}");
    }
    // What a person blocks, and what weighs, asks for no allow list.
    assert_eq!(text.matches("!GATEPOST_OK_EXAMPLE_NET").count(), 3, "{text}");
    place.write(
        "gatepost.toml",
        ALL_USES.replace("use = \"allow\"", "use = \"score\"").replace("except = [\"good\"]\n", ""),
    );
    let text = snippet(&place, "spamassassin");
    assert!(!text.contains('!') && text.contains("\nheader   GATEPOST_BL_EXAMPLE_NET eval:"), "{text}");
}

/// A zone that mixes uses is of no use to a program that tells no codes apart; the narrower one that lies in it is.
#[test]
fn beside_a_zone_that_mixes_uses() {
    let place = all_uses();
    let mixed = ALL_USES.replace("lists = [\"bad\", \"worse\"]", "lists = [\"bad\", \"worse\", \"broad\"]");
    place.write("gatepost.toml", mixed);
    for (program, line) in [
        ("haraka", "[bad.example.net]\ntype=block\nipv6=true\nreject=true"),
        ("opensmtpd", " bad.example.net\""),
    ] {
        let text = snippet(&place, program);
        assert!(text.contains(line) && !text.contains("bad.example.net is not asked"), "{text}");
    }
    assert!(!told(&snippet(&place, "sendmail")).contains("bad.example.net"));
}

/// Without allow lists nothing has to be told apart.
#[test]
fn what_a_person_blocks_is_apart_where_allow_lists_are() {
    let place = all_uses();
    let without = ALL_USES.replace("use = \"allow\"", "use = \"score\"").replace("except = [\"good\"]\n", "");
    place.write("gatepost.toml", without);
    assert!(snippet(&place, "exim").contains("dnslists = bl.example.net=127.0.1.5,127.0.1.6,127.0.2.2\n"));
    assert!(!snippet(&place, "rspamd").contains("_DECIDED"));
    assert!(!snippet(&place, "spamassassin").contains("_DECIDED"));
}

/// postscreen's sites weigh something, whatever there is for them to outweigh.
#[test]
fn allow_lists_alone() {
    let place = all_uses();
    let allow = "version = 1\nstate = \"state\"\n[list.good]\nfile = \"list.txt\"\nformat = \"plain\"\nuse = \"allow\"\n\
                 [zone.\"ok.example.net\"]\nlists = [\"good\"]\n";
    place.write("gatepost.toml", allow);
    let text = snippet(&place, "postscreen");
    assert!(text.contains("ok.example.net=127.0.0.2*-1\n"), "{text}");
}

/// A list of names alone in its zone answers what the test point answers.
#[test]
fn the_test_point_of_names_rejects_nobody() {
    let place = all_uses();
    place.write("gatepost.toml", ALL_USES.replace("code = \"127.0.1.10\"\n", ""));
    for program in MAIL {
        let ran = place.run(&["snippet", program, "--config", "gatepost.toml"]).ended_with(0);
        let ran =
            ran.talks("warning: dbl.test: 127.0.0.2 (domains) rejects no name").talks("code = \"127.0.1.1\"");
        assert!(ran.out.contains("dbl.test: 127.0.0.2 (domains) rejects no name"), "{}", ran.out);
        let told = told(&ran.out);
        let near_zone = told.lines().filter(|line| line.contains("dbl.test"));
        near_zone.for_each(|line| assert!(!line.contains("127.0.0.2"), "{line}"));
        assert!(!told.contains("DBL_TEST = [\"127.0.0.2"), "{told}");
    }
    let postfix = told(&snippet(&place, "postfix"));
    assert!(postfix.contains("reject_rhsbl_helo dbl.test=127.0.2.2"), "a person's block stands: {postfix}");
    // Without test points it is a listing and nothing else.
    let without = ALL_USES.replace("code = \"127.0.1.10\"\n", "");
    place.write(
        "gatepost.toml",
        without.replace("lists = [\"domains\"]", "lists = [\"domains\"]\ntest-points = false"),
    );
    assert!(snippet(&place, "postfix").contains("reject_rhsbl_helo dbl.test=127.0.0.2"));
}

/// A zone's word and what is put behind it is not another zone's word.
#[test]
fn no_two_rules_have_one_name() {
    let place = all_uses();
    let zones = ALL_USES.replace("lists = [\"bad\", \"worse\"]", "lists = [\"bad\", \"broad\"]");
    place.write("gatepost.toml", zones.replace("\"own.bl.example.net\"", "\"bl.example.net-score\""));
    for (program, rule) in [("rspamd", "symbol = "), ("spamassassin", "describe ")] {
        let told = told(&snippet(&place, program));
        let mut names: Vec<&str> = told
            .lines()
            .filter_map(|line| line.trim_start().strip_prefix(rule)?.split_whitespace().next())
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert!(all >= 7 && names.len() == all, "{program}: {told}");
    }
}

#[test]
fn resolvers_are_told_of_their_traps() {
    let place = all_uses();
    let unbound = told(&snippet(&place, "unbound"));
    for line in [
        "do-not-query-localhost: no",
        "domain-insecure: \"bl.example.net\"",
        "private-domain: \"bl.example.net\"",
        "local-zone: \"dbl.test\" transparent",
        "forward-addr: 127.0.0.1@5300",
    ] {
        assert!(unbound.contains(line), "{line}: {unbound}");
    }
    // No one else's names are taken along.
    assert!(!unbound.contains("\"example.net\""), "{unbound}");
    assert!(!unbound.contains("local-zone: \"bl.example.net\""), "{unbound}");
    assert!(told(&snippet(&place, "dnsmasq")).contains("rebind-domain-ok=/bl.example.net/"));
    assert!(
        snippet(&place, "bind").contains("\n// validate-except { \"bad.example.net\"; \"bl.example.net\";")
    );
    assert!(snippet(&place, "bind").contains("except-from { \"bad.example.net\"; \"bl.example.net\";"));
    assert!(snippet(&place, "pdns-recursor").contains("addNTA(\"bl.example.net\""));
    assert!(told(&snippet(&place, "dnsdist")).contains("checkName=\"2.0.0.127.bl.example.net.\""));
    assert!(told(&snippet(&place, "knot-resolver")).contains("ALLOW_LOCAL"));
}

/// Entries of rbldnsd's formats have values of their own: they are read where they are in service.
#[test]
fn values_of_entries_are_those_in_service() {
    let place = all_uses();
    let before = snippet(&place, "spamassassin");
    assert!(before.contains("own.bl.example.net: its entries bring values of their own"), "{before}");
    place.run(&["sync", "--config", "gatepost.toml"]).ended_with(0);
    let after = snippet(&place, "spamassassin");
    assert!(!after.contains("bring values of their own"), "{after}");
    assert!(after.contains(r"^(?:127\.0\.0\.(?:2|9)|127\.0\.2\.(?:2))$"), "{after}");
}

#[test]
fn a_file_is_written_once_and_never_over_another() {
    let place = all_uses();
    let write = |file: &str| -> Ran {
        place.run(&["snippet", "unbound", "--config", "gatepost.toml", "--write", file])
    };
    assert_eq!(write("new.conf").ended_with(0).talks("wrote new.conf").out, "");
    assert_eq!(place.read("new.conf"), snippet(&place, "unbound"));
    assert_eq!(fs::metadata(place.path("new.conf")).unwrap().permissions().mode() & 0o7777, 0o644);
    write("new.conf").ended_with(0).talks("new.conf is there already and says the same");

    place.write("new.conf", "server:\n");
    write("new.conf").ended_with(2).talks("new.conf is there already and says something else");
    assert_eq!(place.read("new.conf"), "server:\n");
    std::os::unix::fs::symlink("target", place.path("link.conf")).unwrap();
    write("link.conf").ended_with(2).talks("link.conf is there already");
    assert!(!place.path("target").exists(), "a link was followed");
    // A pipe has no end to be compared with.
    let pipe = place.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    write("pipe").ended_with(2).talks("pipe is there already");
    assert_eq!(write("-").ended_with(0).out, snippet(&place, "unbound"));
    assert!(!place.path("-").exists(), "a file of that name was made");
    write("nowhere/new.conf").ended_with(3).talks("cannot write nowhere/new.conf");
}

#[test]
fn what_cannot_be_wired_is_said() {
    let place = all_uses();
    let with = |change: &dyn Fn(String) -> String| {
        place.write("gatepost.toml", change(ALL_USES.to_owned()));
        place.run(&["snippet", "postfix", "--config", "gatepost.toml"])
    };
    let listen = "listen = [\"192.0.2.1:53\", \"127.0.0.1:5300\"]";
    with(&|text| text.replace(listen, "listen = [\"127.0.0.1:0\"]")).ended_with(2).talks("port 0");
    with(&|text| text.split("[zone.").next().unwrap().to_owned()).ended_with(2).talks("no zone is served");
    place.run(&["snippet", "nonsense"]).ended_with(2).talks("knot-resolver");
    place.run(&["snippet", "postfix", "--config", "nowhere.toml"]).ended_with(2);
}

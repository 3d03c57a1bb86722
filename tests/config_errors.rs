//! Each mistake in a configuration and what is said of it: file, line, column, what was expected, the line and a caret.
#![cfg(feature = "full")]

use std::fs;
use std::path::Path;

use gatepost::config::{Config, Overrides, Problems};
use gatepost::feed::catalogue;
use gatepost::parse::Format;

const HEAD: &str = "version = 1\n";

/// Everything a zone needs, so that a mistake elsewhere is the only one.
const GOOD: &str = r#"version = 1
[list.own]
file = "own.txt"
format = "plain"
use = "block"
code = "127.0.1.1"
[list.friends]
file = "own.txt"
format = "plain"
use = "allow"
"#;

fn configure(folder: &Path, text: &str) -> Result<Config, Problems> {
    fs::write(folder.join("own.txt"), "192.0.2.1\n").unwrap();
    let path = folder.join("gatepost.toml");
    fs::write(&path, text).unwrap();
    catalogue::configure(&path, Overrides::default())
}

/// What is said of `text`, with the folder's name taken out.
fn said(text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let problems = configure(folder.path(), text).map_or_else(|problems| problems, |config| config.absent);
    assert!(!problems.is_empty(), "a mistake");
    problems.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[track_caller]
fn says(text: &str, expected: &str) {
    assert_eq!(said(text), expected.trim_start_matches('\n'), "\n--- for\n{text}");
}

#[track_caller]
fn good(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    configure(folder.path(), text).unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn the_good_one_is_good() {
    good(&format!("{GOOD}[zone.\"bl.example\"]\nlists = [\"own\"]\nexcept = [\"friends\"]\n"));
}

#[test]
fn unknown_keys() {
    says(
        "version = 1\n[server]\nlistn = [\"127.0.0.1:5354\"]\n",
        r#"
gatepost.toml:3:1: unknown key `listn` (did you mean `listen`?)
  |
3 | listn = ["127.0.0.1:5354"]
  | ^^^^^
  = expected one of: listen, dot, doh, certificate, key, access, access-files, rate-limit-exempt, open, workers, pin-workers, tcp-connections, tcp-connections-per-client, tcp-idle, doh-path, hit-log, hit-log-clients, version-bind, rate-limit, rate-limit-slip, rate-limit-loopback"#,
    );
    says(
        "version = 1\n[sever]\nworkers = 2\n",
        r#"
gatepost.toml:2:2: unknown key `sever` (did you mean `server`?)
  |
2 | [sever]
  |  ^^^^^
  = expected one of: version, state, server, sync, list, zone"#,
    );
    let said = said(&format!("{GOOD}[zone.\"bl.example\"]\nlists = [{{ list = \"own\", txt = \"x\" }}]\n"));
    assert!(said.starts_with("gatepost.toml:12:26: unknown key `txt` (did you mean `text`?)"), "{said}");
}

#[test]
fn wrong_types_and_values() {
    says(
        "version = 1\n[server]\nworkers = \"two\"\n",
        r#"
gatepost.toml:3:11: a value of the wrong type: string
  |
3 | workers = "two"
  |           ^^^^^
  = expected a whole number from 1 to 65535"#,
    );
    says(
        "version = 1\n[server]\nworkers = 0\n",
        r#"
gatepost.toml:3:11: 0 is out of range
  |
3 | workers = 0
  |           ^
  = expected a whole number from 1 to 65535"#,
    );
    says(
        "version = 1\n[sync]\ntimer = \"15 minutes\"\n",
        r#"
gatepost.toml:3:9: `15 minutes` is not a duration
  |
3 | timer = "15 minutes"
  |         ^^^^^^^^^^^^
  = expected a duration such as "15m", "36h" or "7d""#,
    );
    says(
        "version = 1\n[server]\nlisten = [\"127.0.0.1:5354\", \"127.0.0.1\"]\n",
        r#"
gatepost.toml:3:29: `127.0.0.1` has no port
  |
3 | listen = ["127.0.0.1:5354", "127.0.0.1"]
  |                             ^^^^^^^^^^^
  = expected an address and a port such as "127.0.0.1:5354" or "[::1]:5354""#,
    );
    says(
        "version = 1\n[server]\nworkers = 2\ntcp-idle = \"0s\"\n",
        r#"
gatepost.toml:4:12: nobody could ask in time
  |
4 | tcp-idle = "0s"
  |            ^^^^
  = expected "1s" or more"#,
    );
    good("version = 1\n[server]\ntcp-idle = \"1s\"\n");
    for (key, value, message) in [
        ("timer", "\"0s\"", "a timer without a pause"),
        ("keep-size", "\"10 megs\"", "`10 megs` is not a size"),
        ("own-networks", "[\"10.0.0.1/8\"]", "`10.0.0.1/8` is not an address or a prefix: host bits set"),
        ("own-networks", "[\"mail.example\"]", "`mail.example` is not an address or a prefix"),
        (
            "own-networks",
            "[\"0.0.0.0/0\"]",
            "`0.0.0.0/0` is nobody's own network: no feed could list anything there",
        ),
        ("own-networks", "[\"22.0.0.0/7\"]", "`22.0.0.0/7` is nobody's own network"),
        ("own-networks", "[\"2000::/3\"]", "`2000::/3` is nobody's own network"),
        ("own-networks", "\"10.0.0.0/8\"", "a value of the wrong type: string"),
        ("contact", "\"caf\\u00e9\"", "a character that an SMTP reply cannot hold"),
        ("proxy", "\"socks5://127.0.0.1\"", "`socks5:` is no way to fetch"),
        ("proxy", "\"http://me:pw@127.0.0.1\"", "a user name or password in a URL"),
        ("proxy-credential", "\"systemd:proxy\"", "a credential that nobody is shown"),
        ("proxy-credential", "\"systemd:a/b\"", "`a/b` is not the name of a credential"),
        ("ca-file", "\"\"", "an empty path"),
        ("ca-file", "\"https:/h.example/x\"", "a URL where the path of a file is expected"),
        ("ca-file", "\"h.example/x?key=k\"", "a URL where the path of a file is expected"),
        ("proxy", "\"http://127.0.0.1:3128/?key=k\"", "a proxy has no `?`"),
    ] {
        let said = said(&format!("{HEAD}[sync]\n{key} = {value}\n"));
        assert!(said.starts_with("gatepost.toml:3:") && said.contains(message), "{key} = {value}:\n{said}");
    }
}

/// As wide as a network is that somebody has; of what is not public, all of it.
#[test]
fn wide_networks_of_ones_own() {
    good(
        "version = 1\n[sync]\nown-networks = [\"17.0.0.0/8\", \"10.0.0.0/7\", \"2a00::/16\", \"fc00::/7\", \"240.0.0.0/4\"]\n",
    );
}

#[test]
fn the_hit_log() {
    says(
        "version = 1\n[server]\nhit-log-clients = \"networks\"\n",
        r#"
gatepost.toml:3:19: unknown word `networks` (did you mean `network`?)
  |
3 | hit-log-clients = "networks"
  |                   ^^^^^^^^^^
  = expected "whole", "network" or "none""#,
    );
    let said = said("version = 1\n[server]\nhit-log = \"\"\n");
    assert!(said.starts_with("gatepost.toml:3:11: an empty path"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let text = "version = 1\n[server]\nhit-log = \"logs/hits\"\n";
    let server = configure(folder.path(), text).unwrap().server;
    assert_eq!(server.hit_log, Some(folder.path().join("logs/hits")), "from the file's folder on");
}

#[test]
fn not_toml() {
    let said = said("version = 1\nstate = /var/lib\n[server\nworkers = 1\n");
    assert!(said.contains("gatepost.toml:2:") && said.contains("gatepost.toml:3:"), "{said}");
    let twice = self::said("version = 1\nstate = \"a\"\nstate = \"b\"\n");
    assert!(twice.contains("gatepost.toml:3:1") && twice.contains("duplicate"), "{twice}");
}

/// What stands behind a bracket that is not closed is no list of mistakes.
#[test]
fn one_mistake_is_told_once() {
    says(
        "version = 1\n[server]\nlisten = [\"127.0.0.1:5354\"\nworkers = 1\ntcp-idle = \"10s\"\n[list.x]\nfile = \"x\"\n",
        r#"
gatepost.toml:3:10: `[` is not closed
  |
3 | listen = ["127.0.0.1:5354"
  |          ^
  = expected `]` before line 4"#,
    );
    // Nothing is said of a list whose keys went with the mistake, nor of the zone that asks for it.
    let rest = "code = \"127.0.1.1\"\n[zone.\"bl.example\"]\nlists = [\"own\", \"gone\"]\n";
    says(
        &format!("version = 1\n[list.own]\nfiles = [\n  \"a\", # it's [\n  \"b\",\nuse = \"block\"\n{rest}"),
        r#"
gatepost.toml:3:9: `[` is not closed
  |
3 | files = [
  |         ^
  = expected `]` before line 6"#,
    );
    says(
        &format!("version = 1\n[list.own\nfile = \"a\"\n{rest}"),
        r#"
gatepost.toml:2:10: unclosed table, expected `]`
  |
2 | [list.own
  |          ^"#,
    );
    says(
        &format!("{GOOD}[zone.\"bl.example\"]\nlists = [{{ list = \"own\", text = \"x\" ]\n"),
        r#"
gatepost.toml:12:10: `{` is not closed
   |
12 | lists = [{ list = "own", text = "x" ]
   |          ^
   = expected `}` before column 37"#,
    );
    says(
        "version = 1\n[sync]\nown-networks = [\"10.0.0.0/8\", # all\n\n",
        r#"
gatepost.toml:3:16: `[` is not closed
  |
3 | own-networks = ["10.0.0.0/8", # all
  |                ^
  = expected `]` before the end"#,
    );
    // It is the quote, and then whatever it brings.
    let quote = said("version = 1\n[server]\nlisten = [\"127.0.0.1:5354]\nworkers = 1\nopen = false\n");
    assert!(quote.starts_with("gatepost.toml:3:") && quote.matches("gatepost.toml:").count() == 1, "{quote}");
    let text = said("version = 1\nstate = \"\"\"a\n[server]\nworkers = 1\n");
    assert_eq!(text.matches("gatepost.toml:").count(), 1, "{text}");
}

#[test]
fn versions() {
    says(
        "state = \"x\"\n",
        r#"
gatepost.toml:1:1: missing key `version`
  |
1 | state = "x"
  | ^
  = expected `version = 1`"#,
    );
    // Of a file that means something else nothing more is said.
    says(
        "version = 2\nnonsense = true\n",
        r#"
gatepost.toml:1:11: this program reads version 1 of the configuration
  |
1 | version = 2
  |           ^
  = expected `version = 1`"#,
    );
}

#[test]
fn missing_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.toml");
    let error = catalogue::configure(&path, Overrides::default()).unwrap_err();
    assert_eq!(error.to_string(), format!("{}: cannot read it: No such file or directory", path.display()));
    says(
        "version = 1\n[list.x]\nfile = \"gone.txt\"\nformat = \"plain\"\nuse = \"allow\"\n",
        r#"
gatepost.toml:3:8: cannot read gone.txt: No such file or directory
  |
3 | file = "gone.txt"
  |        ^^^^^^^^^^
  = expected a file that is there"#,
    );
    let said = said("version = 1\n[list.x]\nfile = \".\"\nformat = \"plain\"\nuse = \"allow\"\n");
    assert!(said.contains("is a folder"), "{said}");
    let said = self::said("version = 1\n[sync]\ncatalogue = \"nowhere\"\n[server]\nwrokers = 1\n");
    assert!(said.contains("nowhere: cannot read the folder") && said.contains("`wrokers`"), "{said}");
}

#[test]
fn where_a_list_comes_from() {
    says(
        "version = 1\n[list.x]\nuse = \"allow\"\n",
        r#"
gatepost.toml:2:7: list `x` comes from nowhere
  |
2 | [list.x]
  |       ^
  = expected exactly one of `feed`, `url`, `urls`, `file` and `files`, or `feed` with a `url` of your own"#,
    );
    let both = said("version = 1\n[list.x]\nfeed = \"cins\"\nfile = \"own.txt\"\n");
    assert!(both.starts_with("gatepost.toml:2:7: list `x` comes from several places at once"), "{both}");
    says(
        "version = 1\n[list.x]\nfeed = \"uceprotect\"\n",
        r#"
gatepost.toml:3:8: no feed `uceprotect` in the catalogue (did you mean `uceprotect-1`?)
  |
3 | feed = "uceprotect"
  |        ^^^^^^^^^^^^
  = expected a name that `gatepost feeds` shows; or `url` with `format`"#,
    );
    for (keys, message) in [
        ("url = \"https://example.net/x\"\nuse = \"score\"", "2:7: list `x` has no `format`"),
        ("url = \"https://example.net/x\"\nformat = \"plain\"", "2:7: list `x` has no `use`"),
        (
            "url = \"https://example.net/x\"\nformat = \"plan\"\nuse = \"score\"",
            "4:10: unknown format `plan` (did you mean `plain`?)",
        ),
        (
            "url = \"https://example.net/x\"\nformat = \"csv\"\nuse = \"score\"",
            "4:10: which column holds the address?",
        ),
        (
            "url = \"ftp://example.net/x\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: `ftp:` is no way to fetch a feed",
        ),
        (
            "url = \"https://a:b@example.net/x\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: a user name or password in a URL",
        ),
        (
            "url = \"rsync://me@example.net/lists/x\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: a user name or password in a URL",
        ),
        (
            "url = \"rsync://example.net/lists\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: it names no file (rsync://HOST/MODULE/PATH)",
        ),
        (
            "url = \"rsync+ssh://me@example.net/$(id)\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: a path of rsync's has letters, digits",
        ),
        (
            "url = \"file:///srv/lists/\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: it names no file (file:///PATH",
        ),
        (
            "urls = [\"https://example.net/x\", \"http://10.0.0.1/x\"]\nformat = \"plain\"\nuse = \"score\"",
            "3:34: 10.0.0.1 is not a public address",
        ),
        ("urls = []\nformat = \"plain\"\nuse = \"score\"", "3:8: no URL"),
        (
            "url = \"https://example.net/x\"\nurls = [\"https://example.net/x\"]\nformat = \"plain\"\nuse = \"score\"",
            "2:7: list `x` comes from several places at once",
        ),
        ("feed = \"bogons\"\ncredential = \"systemd:../x\"", "4:14: `../x` is not the name of a credential"),
        (
            "url = \"https://example.net/x\"\nformat = \"plain\"\nuse = \"score\"\ncredential = \"no-such\"",
            "6:14: cannot read *** (it may be the credential itself): ",
        ),
        (
            "url = \"https://example.net/x\"\nformat = \"plain\"\nuse = \"score\"\ncredential = \"./no-such\"",
            "6:14: cannot read ./no-such: ",
        ),
        (
            "url = \"http://example.net/x\"\nformat = \"plain\"\nuse = \"score\"\ncredential = \"systemd:x\"",
            "6:14: http://example.net/x is http: everybody on the way could read the credential",
        ),
        ("feed = \"cins\"\nknown-hosts = \"x\"", "4:15: `known-hosts` says nothing about"),
        (
            "file = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncredential = \"own.txt\"",
            "6:14: a credential that nobody is shown",
        ),
        (
            "urls = [\"https://example.net/x\", \"rsync+ssh://example.net/x\"]\nformat = \"plain\"\nuse = \"score\"\n\
             credential = \"systemd:x\"",
            "6:14: one credential for ssh",
        ),
        (
            "url = \"http://10.0.0.1/x\"\nformat = \"plain\"\nuse = \"score\"",
            "3:7: 10.0.0.1 is not a public address",
        ),
        ("feed = \"cins\"\nformat = \"plain\"", "4:10: `format` beside `feed`"),
        ("feed = \"cins\"\nfloor = \"5m\"", "4:9: fetching more often than the publisher allows"),
        ("feed = \"cins\"\nuse = \"blok\"", "4:7: unknown word `blok` (did you mean `block`?)"),
        ("feed = \"cins\"\nsoft-age = \"30d\"", "4:12: the soft age is above the hard age"),
        ("feed = \"cins\"\nmax-bad-share = 1.5", "4:17: 1.5 is not a share"),
        ("feed = \"cins\"\nshortest-prefix-v4 = 33", "4:22: a prefix of 33 bits"),
        (
            "file = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\nmin-entries = 9",
            "6:15: `min-entries` has no effect on own files",
        ),
        (
            "file = \"own.txt\"\nfiles = [\"own.txt\"]\nformat = \"plain\"\nuse = \"block\"",
            "2:7: list `x` comes from several places at once",
        ),
        (
            "files = [\"https://h.example/x?key=k\"]\nformat = \"plain\"\nuse = \"block\"",
            "3:10: a URL where the path",
        ),
        ("files = []\nformat = \"plain\"\nuse = \"block\"", "3:9: no file"),
        ("files = [\"own.txt\", \"own.txt\"]\nformat = \"plain\"\nuse = \"block\"", "3:21: "),
        (
            "file = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\nhost-bits = true",
            "6:13: `host-bits` says nothing about `plain`",
        ),
        ("feed = \"cins\"\nttl-max = \"1h\"", "4:11: `ttl-max` beside `feed`"),
        (
            "file = \"own.txt\"\nformat = \"rbldnsd:dnset\"\nuse = \"block\"\nttl-min = \"2h\"\nttl-max = \"1h\"",
            "7:11: `ttl-min` is above `ttl-max`",
        ),
        (
            "file = \"own.txt\"\nformat = \"rbldnsd:dnset\"\nuse = \"block\"\nttl-max = \"1h\"\nttl-default = \"2h\"",
            "7:15: `ttl-default` lies outside `ttl-min` and `ttl-max`",
        ),
        (
            "file = \"own.txt\"\nformat = \"rbldnsd:dnset\"\nuse = \"block\"\nttl-max = \"4000w\"",
            "6:11: longer than a TTL can be",
        ),
    ] {
        let said = said(&format!("version = 1\n[list.x]\n{keys}\n"));
        assert!(said.starts_with(&format!("gatepost.toml:{message}")), "{keys}\n{said}");
    }
}

#[test]
fn nobody_is_asked_twice_for_the_same() {
    let list = |name: &str, source: &str| format!("[list.{name}]\n{source}\n");
    let own =
        |name: &str, source: &str| list(name, &format!("{source}\nformat = \"plain\"\nuse = \"block\""));
    says(
        &(HEAD.to_owned() + &list("y", "feed = \"psbl\"") + &list("z", "feed = \"psbl\"")),
        r#"
gatepost.toml:5:8: list `y` asks rsync://psbl-mirror.surriel.com/psbl/psbl.txt already
  |
5 | feed = "psbl"
  |        ^^^^^^
  = its publisher would be asked twice (y does in gatepost.toml:3); expected one list, which several zones can have"#,
    );
    for (first, second) in [
        (
            "url = \"https://example.net/l\"",
            "urls = [\"https://mirror.example.net/l\", \"https://example.net/l\"]",
        ),
        ("url = \"https://example.net/l\"", "url = \"https://EXAMPLE.net:443/l#part\""),
        ("url = \"https://example.net/l\"", "url = \"https://example.net.//%6C\""),
        ("url = \"https://example.net/l\"", "url = \"http://example.net/l?\""),
        ("url = \"rsync://example.net/m/l\"", "url = \"rsync://Example.NET:873/m//l\""),
        ("url = \"rsync+ssh://a@example.net/l\"", "url = \"rsync+ssh://a@example.net:22/l\""),
        ("url = \"https://example.net/l?key=1\"", "url = \"https://example.net/l?key=1\""),
        ("url = \"rsync+ssh://a@example.net/l\"", "url = \"rsync+ssh://b@example.net/l\""),
        (
            "url = \"https://example.net/l\"",
            "url = \"https://example.net/l\"\ncredential = \"systemd:other\"",
        ),
    ] {
        let said = said(&(HEAD.to_owned() + &own("a", first) + &own("b", second)));
        assert!(said.contains("list `a` asks ") && said.contains("(a does in gatepost.toml:3)"), "{said}");
    }
    // Of a key only a digest is said, and the line itself is shown without it.
    let key = own("a", "url = \"https://example.net/l?key=hunter2\"");
    let said = said(&(HEAD.to_owned() + &key + &key.replace("list.a", "list.b")));
    assert!(said.contains("list `a` asks https://example.net/l?...") && !said.contains("hunter2"), "{said}");
    // A feed and its own URL, an own copy elsewhere, other keys, and files here, of which nobody is asked.
    let both =
        list("a", "feed = \"psbl\"") + &own("b", "url = \"rsync://psbl-mirror.surriel.com/psbl/psbl.txt\"");
    assert!(
        self::said(&(HEAD.to_owned() + &both))
            .contains("list `a` asks rsync://psbl-mirror.surriel.com/psbl/psbl.txt already")
    );
    good(
        &(HEAD.to_owned()
            + &list("a", "feed = \"psbl\"")
            + &list("b", "feed = \"psbl\"\nurl = \"https://example.net/psbl\"")
            + &own("c", "url = \"https://example.net/l?key=1\"")
            + &own("d", "url = \"https://example.net/l?key=2\"")
            + &own("e", "url = \"file:///srv/l\"")
            + &own("f", "url = \"file:///srv/l\"")
            + &own("g", "file = \"own.txt\"")
            + &own("h", "file = \"own.txt\"")),
    );
    for twice in ["url", "feed = \"psbl\"\nurl"].map(|keys| keys.replace("url", "urls")) {
        let urls = format!(
            "{twice} = [\"https://example.net/l?k=1\", \"https://x.example/l\", \"https://example.net/l?k=1\"]"
        );
        let said = self::said(&(HEAD.to_owned() + &own("a", &urls)));
        assert!(
            said.contains(": https://example.net/l?...") && said.contains(" is in the list twice"),
            "{said}"
        );
    }
}

#[test]
fn names_of_lists_and_zones() {
    for bad in ["Own", "own_list", "\"../own\"", "\"\"", "-own"] {
        let said = said(&format!("version = 1\n[list.{bad}]\nfeed = \"cins\"\n"));
        assert!(
            said.starts_with("gatepost.toml:2:7: `") && said.contains("is not a name for a list"),
            "{said}"
        );
    }
    for (bad, why) in [
        ("bl..example", "is not a DNS name: empty label"),
        (".", "is not a name of letters"),
        ("bl/x.example", "is not a name of letters"),
        ("bl example", "is not a DNS name: character"),
    ] {
        let said = said(&format!("{GOOD}[zone.\"{bad}\"]\nlists = [\"own\"]\n"));
        assert!(said.starts_with("gatepost.toml:11:7: `") && said.contains(why), "{said}");
    }
}

#[test]
fn codes() {
    for (code, why) in [
        ("128.0.0.1", "it lies outside 127.0.0.0/8"),
        ("127.255.255.254", "127.255.255.x is how lists say that something is wrong"),
        ("127.0.0.1", "127.0.0.1 and 127.0.0.2 are the test points"),
        ("127.0.0.2", "127.0.0.1 and 127.0.0.2 are the test points"),
        ("127.0.2.2", "is the code of local decisions"),
        ("5", "it is not an IPv4 address"),
    ] {
        let said = said(&format!("version = 1\n[list.x]\nfeed = \"cins\"\ncode = \"{code}\"\n"));
        assert!(said.starts_with(&format!("gatepost.toml:4:8: `{code}` cannot be a code: ")), "{said}");
        assert!(said.contains(why), "{said}");
    }
    says(
        &format!(
            "{GOOD}[list.more]\nfeed = \"cins\"\n[zone.\"bl.example\"]\nlists = [\"own\", {{ list = \"more\", code = \"127.0.1.1\" }}]\n"
        ),
        r#"
gatepost.toml:14:41: `own` has the code 127.0.1.1 in this zone already
   |
14 | lists = ["own", { list = "more", code = "127.0.1.1" }]
   |                                         ^^^^^^^^^^^
   = expected a code of its own for each list"#,
    );
}

#[test]
fn the_second_of_two_spellings_is_the_one_further_down() {
    let said = said(&format!(
        "{GOOD}[zone.\"bl.example\"]\nlists = [\"own\"]\n[zone.\"BL.example\"]\nlists = [\"own\"]\n"
    ));
    assert!(said.starts_with("gatepost.toml:13:7: zone `bl.example` is defined twice"), "{said}");
    assert!(said.contains("gatepost.toml:11"), "{said}");
}

#[test]
fn access_lists() {
    let server = |rules: &str| said(&format!("version = 1\n[server]\naccess = [{rules}]\n"));
    for (rules, message) in [
        (
            "{ clients = [\"10.0.0.0/8\"], action = \"refus\" }",
            "3:48: unknown word `refus` (did you mean `refuse`?)",
        ),
        (
            "{ clients = [\"10.0.0.1/8\"], action = \"allow\" }",
            "3:24: `10.0.0.1/8` is not an address or a prefix",
        ),
        (
            "{ clients = [\"x.example\"], action = \"allow\" }",
            "3:24: `x.example` is not an address or a prefix",
        ),
        ("{ action = \"allow\" }", "3:11: missing key `clients`"),
        ("{ clients = [\"::/0\"] }", "3:11: missing key `action`"),
        ("\"10.0.0.0/8\"", "3:11: not a rule"),
        ("{ clients = [], action = \"drop\" }", "3:23: a rule for nobody"),
        (
            "{ clients = [\"::/0\"], action = \"refuse\", text = \"go\" }",
            "3:59: only a client that is told of a listing",
        ),
        (
            "{ clients = [\"::1\", \"::/0\"], action = \"drop\" }, { clients = [\"::1\"], action = \"allow\" }",
            "3:72: client ::1 is in the list twice",
        ),
    ] {
        let said = server(rules);
        assert!(said.starts_with(&format!("gatepost.toml:{message}")), "{said}");
    }
}

#[test]
fn strangers() {
    let config = |keys: &str| format!("version = 1\n[server]\n{keys}\n");
    // Teredo (RFC 4380) is reached by everybody, although no feed comes from there.
    for address in
        ["0.0.0.0:53", "9.9.9.9:53", "[::]:53", "[2620:fe::fe]:53", "[2001::1]:53", "[2001:0:53aa:64c::1]:53"]
    {
        let said = said(&config(&format!("listen = [\"127.0.0.1:54\", \"{address}\"]")));
        assert!(said.starts_with("gatepost.toml:3:27: strangers can reach"), "{said}");
        let allowed =
            ["open = true", "access = [{ clients = [\"0.0.0.0/0\", \"::/0\"], action = \"refuse\" }]"];
        for more in allowed {
            good(&config(&format!("listen = [\"{address}\"]\n{more}")));
        }
    }
    for (address, clients) in
        [("0.0.0.0:53", "203.0.113.9"), ("[::]:53", "0.0.0.0/0"), ("0.0.0.0:53", "::ffff:9.9.9.9")]
    {
        let rule = format!("access = [{{ clients = [\"{clients}\"], action = \"refuse\" }}]");
        assert!(
            said(&config(&format!("listen = [\"{address}\"]\n{rule}"))).contains("strangers"),
            "{clients}"
        );
    }
    // That somebody is allowed refuses nobody.
    let rule = "access = [{ clients = [\"192.0.2.0/24\"], action = \"allow\" }]";
    assert!(said(&config(&format!("listen = [\"0.0.0.0:53\"]\n{rule}"))).contains("strangers"));
    for address in
        ["127.0.0.2:53", "10.0.0.1:53", "[::1]:53", "[fd00::1]:53", "169.254.1.1:53", "[2001:db8::1]:53"]
    {
        good(&config(&format!("listen = [\"{address}\"]")));
    }
}

#[test]
fn what_a_zone_may_hold() {
    let zone = |keys: &str| said(&format!("{GOOD}[zone.\"bl.example\"]\n{keys}\n"));
    for (keys, message) in [
        ("lists = [\"own\", \"ow\"]", "12:17: there is no list `ow` (did you mean `own`?)"),
        ("lists = [\"own\", \"friends\"]", "12:17: list `friends` has no code"),
        (
            "lists = [\"own\", { list = \"friends\", code = \"127.0.1.9\" }]",
            "12:26: an allow list among lists",
        ),
        ("lists = []", "12:9: a zone without lists"),
        ("ttl = \"5m\"", "11:7: zone `bl.example` has no lists"),
        ("lists = [\"own\", \"own\"]", "12:17: list `own` is in the zone twice"),
        ("lists = [\"own\"]\nexcept = [\"own\"]", "13:11: `own` is a block list"),
        (
            "lists = [\"own\"]\nexcept = [\"friend\"]",
            "13:11: there is no list `friend` (did you mean `friends`?)",
        ),
        ("lists = [\"own\"]\nttl = \"5000w\"", "13:7: longer than a TTL can be"),
        ("lists = [\"own\", 5]", "12:17: a value of the wrong type: integer"),
        ("lists = [{ code = \"127.0.1.7\" }]", "12:10: missing key `list`"),
        ("lists = [\"own\"]\nns = [\"a..b\"]", "13:7: `a..b` is not a DNS name"),
        ("lists = [\"own\"]\nsoa-rname = \"a@b.example\"", "13:13: `a@b.example` is not a name of letters"),
    ] {
        let said = zone(keys);
        assert!(said.starts_with(&format!("gatepost.toml:{message}")), "{keys}\n{said}");
    }
    // A zone of allow lists alone is a zone for `permit_dnswl_client`.
    let folder = tempfile::tempdir().unwrap();
    let text =
        format!("{GOOD}[zone.\"wl.example\"]\nlists = [{{ list = \"friends\", code = \"127.0.1.9\" }}]\n");
    assert!(configure(folder.path(), &text).is_ok());
    // Private address space must not be in a zone that mail is rejected on.
    let bogons = said(&format!(
        "{GOOD}[list.b]\nfeed = \"bogons\"\n[zone.\"bl.example\"]\nlists = [\"own\", \"b\"]\n"
    ));
    assert!(bogons.starts_with("gatepost.toml:14:17: `b` lists private address space"), "{bogons}");
}

/// TLS needs a whole pair and somebody to show it to, and every address has one purpose.
#[test]
fn what_tls_needs() {
    let config = |keys: &str| format!("version = 1\n[server]\n{keys}\n");
    let pair = "certificate = \"a.pem\"\nkey = \"a.key\"";
    for (keys, expected) in [
        ("dot = [\"127.0.0.1:853\"]", "gatepost.toml:3:8: TLS needs a certificate"),
        ("doh = [\"127.0.0.1:443\"]", "gatepost.toml:3:8: TLS needs a certificate"),
        (
            "doh = [\"127.0.0.1:443\"]\ncertificate = \"a.pem\"",
            "gatepost.toml:4:15: a certificate without its key",
        ),
        ("dot = [\"127.0.0.1:853\"]\nkey = \"a.key\"", "gatepost.toml:4:7: a key without its certificate"),
        (pair, "gatepost.toml:3:15: a certificate that nobody is shown"),
    ] {
        let said = said(&config(keys));
        assert!(said.starts_with(expected), "{said}");
        assert_eq!(said.matches("gatepost.toml:").count(), 1, "one mistake: {said}");
    }
    for (addresses, expected) in [
        ("dot = [\"127.0.0.1:5354\"]", "127.0.0.1:5354 is taken already, by `listen`"),
        ("dot = [\"127.0.0.1:853\"]\ndoh = [\"127.0.0.1:853\"]", "127.0.0.1:853 is taken already, by `dot`"),
        ("dot = [\"0.0.0.0:853\"]", "strangers can reach"),
        ("doh = [\"[::]:443\"]", "strangers can reach"),
        ("dot = [\"127.0.0.1\"]", "127.0.0.1"),
    ] {
        let said = said(&config(&format!("{addresses}\n{pair}")));
        assert!(said.contains(expected), "{said}");
    }
    let doh = format!("doh = [\"127.0.0.1:443\"]\n{pair}");
    for path in ["", "dns", "/{x}", "/a?b", "/ä", "/*"] {
        let said = said(&config(&format!("{doh}\ndoh-path = \"{path}\"")));
        assert!(said.starts_with("gatepost.toml:6:12: "), "{path}: {said}");
        assert!(said.contains("expected the path of a URL"), "{path}: {said}");
    }
    good(&config(&format!("{doh}\ndoh-path = \"/~a/b-c_d.e\"\ndot = [\"127.0.0.1:0\"]")));
}

#[test]
fn listen_addresses_twice() {
    says(
        "version = 1\n[server]\nlisten = [\"[::1]:5354\", \"[::1]:5354\"]\n",
        r#"
gatepost.toml:3:25: [::1]:5354 is in the list twice
  |
3 | listen = ["[::1]:5354", "[::1]:5354"]
  |                         ^^^^^^^^^^^^"#,
    );
}

#[test]
fn listen_addresses_that_cannot_be() {
    for (addresses, place, expected) in [
        (
            r#""127.0.0.1:5354", "0.0.0.0:5354""#,
            "3:29",
            "0.0.0.0:5354 and 127.0.0.1:5354 have addresses in common",
        ),
        (
            r#""[::ffff:127.0.0.1]:5354""#,
            "3:11",
            "`[::ffff:127.0.0.1]:5354` is an IPv4 address in IPv6's clothes",
        ),
        (r#""224.0.0.1:5354""#, "3:11", "`224.0.0.1:5354` is no address of one machine"),
        (r#""[ff02::1]:5354""#, "3:11", "`[ff02::1]:5354` is no address of one machine"),
        (r#""255.255.255.255:5354""#, "3:11", "`255.255.255.255:5354` is no address of one machine"),
    ] {
        let said = said(&format!("version = 1\n[server]\nlisten = [{addresses}]\nopen = true\n"));
        assert!(said.starts_with(&format!("gatepost.toml:{place}: {expected}")), "{addresses}: {said}");
    }
    let dot = "dot = [\"[::]:5354\"]\ncertificate = \"a.pem\"\nkey = \"a.key\"\nopen = true";
    let said = said(&format!("version = 1\n[server]\nlisten = [\"[::1]:5354\"]\n{dot}\n"));
    assert!(said.contains("[::]:5354 is taken already, by `listen`"), "{said}");
    good(
        "version = 1\n[server]\nlisten = [\"0.0.0.0:5354\", \"[::]:5354\", \"127.0.0.1:5355\"]\nopen = true\n",
    );
}

#[test]
fn a_version_that_no_reply_can_hold() {
    let config = |len| format!("version = 1\n[server]\nversion-bind = \"{}\"\n", "x".repeat(len));
    good(&config(255));
    let said = said(&config(256));
    assert!(said.contains("gatepost.toml:3:16: 256 octets are more than the 255 of a TXT string"), "{said}");
}

#[test]
fn feeds_for_the_registered() {
    let folder = tempfile::tempdir().unwrap();
    let feeds = folder.path().join("feeds");
    fs::create_dir(&feeds).unwrap();
    fs::write(
        feeds.join("paid.toml"),
        r#"
name = "paid"
title = "A list for subscribers"
format = "plain"
use = "block"
code = "127.0.0.77"
text = "$ is on it"
kind = "abuse"
homepage = "https://example.net/"
floor = "1h"
[terms]
text = "Subscription needed."
fetch = "registered"
access = "Write to its publisher."
redistribute = "never"
"#,
    )
    .unwrap();
    let text = "version = 1\n[sync]\ncatalogue = \"feeds\"\n[list.x]\nfeed = \"paid\"\n";
    let said = configure(folder.path(), text).unwrap_err().to_string();
    assert!(said.contains("gatepost.toml:5:8: feed `paid` is for those who have registered"), "{said}");
    let how = "= Write to its publisher. Then write your `url` beside `feed`. See https://example.net/";
    assert!(said.contains(how), "{said}");

    // Whoever was let in says where, and how it is written there if that differs.
    let own = format!("{text}url = \"https://example.net/mine\"\n");
    let config = configure(folder.path(), &own).unwrap();
    let list = config.reloadable.lists.values().next().unwrap();
    assert_eq!(list.source.urls()[0].as_str(), "https://example.net/mine");
    assert_eq!((list.format, list.code.unwrap().to_string().as_str()), (Format::Plain, "127.0.0.77"));
    assert_eq!(list.feed.as_ref().unwrap().as_str(), "paid");
    let other = format!("{own}format = \"csv\"\ncolumn = \"ip\"\n");
    let config = configure(folder.path(), &other).unwrap();
    assert_eq!(config.reloadable.lists.values().next().unwrap().format, Format::Csv);
    // What is printed reads back as itself.
    let mut again = configure(folder.path(), &config.to_toml()).unwrap();
    again.state.clone_from(&config.state);
    assert_eq!(again, config);

    for (keys, message) in [
        ("url = \"https://example.net/mine\"\ncolumn = \"ip\"", "7:10: `column` beside `feed`"),
        ("url = \"http://10.0.0.1/\"", "6:7: 10.0.0.1 is not a public address"),
        ("url = \"https://example.net/\"\nfile = \"x\"", "4:7: list `x` comes from several places at once"),
    ] {
        let said = configure(folder.path(), &format!("{text}{keys}\n")).unwrap_err().to_string();
        assert!(said.contains(message), "{message}\n--- not in\n{said}");
    }
    let bogons = "version = 1\n[list.x]\nfeed = \"bogons\"\nurl = \"https://example.net/\"\n";
    let said = configure(folder.path(), bogons).unwrap_err().to_string();
    assert!(said.contains("gatepost.toml:3:8: `bogons` is part of the program"), "{said}");
}

#[test]
fn what_is_no_more_is_refused_with_date_and_reason() {
    says(
        "version = 1\n[list.x]\nfeed = \"nixspam\"\n",
        r#"
gatepost.toml:3:8: NiX Spam is no more since 2025-01-16: shut down by its operators, and the zone emptied
  |
3 | feed = "nixspam"
  |        ^^^^^^^^^
  = blocklist-de-mail or uceprotect-1 may do instead"#,
    );
    // From where it could be fetched, too, also as an own copy of another feed.
    for keys in [
        "url = \"rsync://rsync.sorbs.net/zones/spam\"\nformat = \"plain\"\nuse = \"block\"",
        "urls = [\"https://a.example/\", \"https://www.sorbs.net/spam\"]\nformat = \"plain\"\nuse = \"block\"",
        "feed = \"blocklist-de-mail\"\nurl = \"https://dnsbl.sorbs.net/spam\"",
    ] {
        let said = said(&format!("version = 1\n[list.x]\n{keys}\n"));
        assert!(said.contains("SORBS is no more since 2024-06-05: shut down by its owner"), "{keys}: {said}");
    }
}

/// Whatever was mistyped around it, a password is in nothing that is said.
#[test]
fn passwords_in_mistyped_addresses() {
    let secret = "s3cr3tPa55";
    for address in [
        "http://joe:PW@h.example/x",
        "http//joe:PW@h.example/x",
        "joe:PW@h.example/x",
        "http:/joe:PW@h.example/x",
        "http:joe:PW@h.example/x",
        "//joe:PW@h.example/x",
        "http://joe:?PW@h.example/x",
        "http://joe:#PW@h.example/x",
        "http://joe:1?PW@h.example/x",
        "http://joe:PW/x@h.example/x",
        "http://joe:p@PW@h.example/x",
        "http://joe:PW@h.example:99999/x",
        " http://joe:PW@h.example/x",
        "rsync://joe:PW@h.example/m/x",
        "rsync+ssh://joe:PW@h.example/x",
        "ftp://joe:PW@h.example/x",
        "http://joe:PW@[::1/x",
        "http://joe:PW x@h.example/x",
        "http://joe:PW\\u0001@h.example/x",
        "http://joe:'PW'@h.example/x",
        "http://joe:PW",
        "h.example:3128:joe:PW",
        "192.0.2.1:3128:joe:PW",
        "joe:PW:h.example:3128",
    ] {
        let address = address.replace("PW", secret);
        for keys in [
            format!("[list.x]\nurl = \"{address}\"\nformat = \"plain\"\nuse = \"block\"\n"),
            format!(
                "[list.x]\nurls = [\"https://a.example/\", \"{address}\"]\nformat = \"plain\"\nuse = \"block\"\n"
            ),
            format!("[sync]\nproxy = \"{address}\"\n"),
            format!(
                "[list]\nx = {{ url = \"{address}\", format = \"plain\", use = \"block\", {}frob = 1 }}\n",
                " ".repeat(120)
            ),
            format!("[list.x]\nurl = \"{address}\n"),
        ] {
            let said = said(&format!("version = 1\n{keys}"));
            assert!(!said.contains(secret) && said.contains("***"), "{keys}\n{said}");
        }
    }
    for credential in [
        "joe:PW",
        "Authorization: Bearer PW",
        "systemd:joe:PW",
        "joe:PW/x",
        "X-Api-Key: /PW",
        "Bearer PW",
        "PW",
        "PW/x+y==",
    ] {
        let credential = credential.replace("PW", secret);
        for keys in [
            format!(
                "[list.x]\nurl = \"https://a.example/\"\nformat = \"plain\"\nuse = \"block\"\ncredential = \"{credential}\"\n"
            ),
            format!("[sync]\nproxy = \"http://a.example/\"\nproxy-credential = '{credential}'\n"),
            format!("[sync]\nproxy-credential = {credential}\n"),
        ] {
            let said = said(&format!("version = 1\n{keys}"));
            assert!(!said.contains(secret) && said.contains("***"), "{keys}\n{said}");
        }
    }
}

#[test]
fn files_of_the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("a.toml", "name = \"b\"\nurls = []\nfetch = true\n");
    file(
        "c.toml",
        "name = \"c\"\nurls = [\"http://127.0.0.1:8/\"]\ncode = \"127.0.0.9\"\n[terms]\nfetch = \"anybody\"\n",
    );
    file(
        "d.toml",
        "name = \"d\"\nurls = [\"https://example.net/\"]\nkind = \"abus\"\n[terms]\ntext = \"x\"\nfetch = \"registered\"\n\
         access = \"Ask.\"\nredistribute = \"never\"\n",
    );
    file("e.toml", "name = \"e\"\n[terms]\nfetch = \"registered\"\n");
    file(
        "f.toml",
        "name = \"f\"\n[terms]\ntext = \"x\"\nfetch = \"anyone\"\naccess = \"Ask.\"\nredistribute = \"public\"\n",
    );
    let said = catalogue::load(Some(folder.path())).unwrap_err().to_string();
    for message in [
        "d.toml:2:8: a feed for registered users has no URL that is everybody's",
        "d.toml:3:8: unknown word `abus` (did you mean `abuse`?)",
        "e.toml:2:2: missing key `access`",
        "f.toml:5:10: `access` to a feed that anyone may fetch",
        "f.toml:1:1: missing key `urls`",
        "a.toml:1:8: the file's name is `a`, the feed's is `b`",
        "a.toml:2:8: no URL",
        "a.toml:3:1: unknown key `fetch`",
        "a.toml:1:1: missing key `terms`",
        "c.toml:2:9: 127.0.0.1 is not a public address",
        "c.toml:5:9: unknown word `anybody`",
        "c.toml:4:2: missing key `redistribute`",
    ] {
        assert!(said.contains(message), "{message}\n--- not in\n{said}");
    }
}

#[test]
fn additions() {
    let folder = tempfile::tempdir().unwrap();
    let conf_d = folder.path().join("conf.d");
    fs::create_dir(&conf_d).unwrap();
    fs::write(
        conf_d.join("10-more.toml"),
        "version = 1\n[list.more]\nfeed = \"cins\"\n[zone.\"more.example\"]\nlists = [\"more\"]\n",
    )
    .unwrap();
    fs::write(conf_d.join("notes.txt"), "not read").unwrap();
    let config = configure(folder.path(), GOOD).unwrap();
    assert_eq!(config.reloadable.lists.len(), 3);
    assert_eq!(config.reloadable.zones.len(), 1);

    fs::write(
        conf_d.join("20-bad.toml"),
        "version = 1\n[list.own]\nfeed = \"cins\"\n[server]\nworkers = 2\n",
    )
    .unwrap();
    let said = configure(folder.path(), GOOD).unwrap_err().to_string();
    assert!(said.contains("20-bad.toml:2:7: list `own` is defined twice"), "{said}");
    assert!(said.contains("gatepost.toml:2"), "{said}");
    assert!(said.contains("20-bad.toml:4:2: unknown key `server`"), "{said}");
}

#[test]
fn all_mistakes_are_reported_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let text = "version = 1\nstat = \"x\"\n[server]\nworkers = -1\n[list.a]\nfeed = \"nope\"\n[list.b]\n[zone.\"z.example\"]\nlists = [\"a\", \"c\"]\nttl = 5\n";
    let problems = configure(folder.path(), text).unwrap_err();
    let places: Vec<(usize, usize)> =
        problems.iter().filter_map(|problem| problem.line_and_column()).collect();
    assert_eq!(places, [(2, 1), (4, 11), (6, 8), (7, 7), (9, 15), (10, 7)], "{problems}");
}

#[test]
fn limits() {
    good(
        "version = 1\n[server]\nrate-limit = 0\nrate-limit-slip = 0\nrate-limit-exempt = [\"192.0.2.0/24\"]\n",
    );
    says(
        "version = 1\n[server]\nrate-limit-exempt = [\"0.0.0.0/0\"]\n",
        r#"
gatepost.toml:3:22: everybody is exempt
  |
3 | rate-limit-exempt = ["0.0.0.0/0"]
  |                      ^^^^^^^^^^^
  = expected `rate-limit = 0` where no limit is wanted"#,
    );
    let said = said("version = 1\n[server]\nrate-limit = 1000001\nrate-limit-exempt = [\"::/0\"]\n");
    assert!(said.contains("gatepost.toml:3:14: 1000001 is out of range"), "{said}");
    assert!(said.contains("gatepost.toml:4:22: everybody is exempt"), "{said}");
    let exempt = |networks: &str| format!("version = 1\n[server]\nrate-limit-exempt = [{networks}]\n");
    // In pieces, and in IPv6's clothes.
    for (networks, column) in [
        (r#""192.0.2.0/24", "0.0.0.0/1", "128.0.0.0/2", "192.0.0.0/2""#, 38),
        (r#""::ffff:0:0/96""#, 22),
        (r#""::ffff:0:0/97", "128.0.0.0/1""#, 39),
        (r#""2000::/4", "3000::/4""#, 34),
    ] {
        let said = self::said(&exempt(networks));
        assert!(
            said.contains(&format!("gatepost.toml:3:{column}: everybody is exempt")),
            "{networks}: {said}"
        );
    }
    good(&exempt(r#""10.0.0.0/8", "64.0.0.0/3", "64.0.0.0/3", "fc00::/7", "::ffff:192.0.2.0/120""#));
}

//! The template in `deploy/`, and the configuration that reads back as itself.

use std::collections::BTreeSet;
use std::path::Path;

use super::file::v1;
use super::*;

const TEMPLATE: &str = include_str!("../../deploy/gatepost.toml");

/// The template with the lines that begin with one of `marks` uncommented.
fn template(marks: &[&str]) -> String {
    let is_key = |rest: &str| rest.starts_with(|c: char| c.is_ascii_lowercase()) && rest.contains(" = ");
    TEMPLATE
        .lines()
        .map(|line| match marks.iter().find_map(|mark| line.strip_prefix(mark)) {
            Some(rest) if is_key(rest) || rest.starts_with('[') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect()
}

fn catalogue() -> Feeds {
    Feeds::read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("zones/feeds")).unwrap()
}

fn configure(path: &Path, overrides: Overrides) -> Result<Config, Problems> {
    Draft::read(path, overrides)?.resolve(&catalogue())
}

fn read(folder: &Path, text: &str) -> Config {
    let path = folder.join("gatepost.toml");
    std::fs::write(&path, text).unwrap();
    configure(&path, Overrides::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn the_template_shows_the_defaults() {
    let folder = tempfile::tempdir().unwrap();
    own_files(folder.path());
    // As shipped it is a configuration that works, and what it leaves out are the named defaults.
    let shipped = read(folder.path(), TEMPLATE);
    assert_eq!(shipped.state, Path::new(defaults::STATE));
    assert_eq!(shipped.server.listen, [defaults::LISTEN]);
    // Every `#key = value` is the default of that key: writing it changes nothing. The folder of other feed files
    // is not there.
    let without_catalogue = |text: String| text.replace("catalogue = \"/etc/", "#catalogue = \"/etc/");
    let examples = read(folder.path(), &without_catalogue(template(&["## "])));
    let all = read(folder.path(), &without_catalogue(template(&["## ", "#"])));
    assert_eq!(all, examples);
    assert_eq!(examples.reloadable.lists.len(), shipped.reloadable.lists.len() + 4);
    assert_ne!(all.reloadable.sync.timer, None);
}

/// What the template's examples name.
fn own_files(folder: &Path) {
    for name in ["own-networks.txt", "customers-1.ip4set", "customers-2.ip4set"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
}

#[test]
fn the_template_shows_every_key() {
    let text = template(&["## ", "#"]);
    let shown: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .collect();
    let lists_of_keys = [
        v1::TopKeys::KEYS,
        v1::ServerKeys::KEYS,
        v1::SyncKeys::KEYS,
        v1::LimitKeys::KEYS,
        v1::ListKeys::KEYS,
        &["urls", "files", "format", "notes", "subdomains", "host-bits", "ttl-default", "ttl-min", "ttl-max"],
        v1::ZoneKeys::KEYS,
        &[
            "listen",
            "dot",
            "doh",
            "certificate",
            "key",
            "own-networks",
            "canaries",
            "hook",
            "lists",
            "except",
            "ns",
        ],
    ];
    for key in lists_of_keys.into_iter().flatten() {
        assert!(shown.contains(key), "`{key}` is not in the template");
    }
    assert!(TEMPLATE.contains(" column = \"ip\"") && TEMPLATE.contains(" note-column = "));
}

#[test]
fn what_is_printed_reads_back_as_itself() {
    let folder = tempfile::tempdir().unwrap();
    own_files(folder.path());
    let text = template(&["## "]).replace("catalogue = \"/etc/", "#catalogue = \"/etc/");
    let config = read(folder.path(), &text);
    assert_eq!(read(folder.path(), &config.to_toml()), config);

    let feeds = catalogue();
    let suffix = defaults::UP_SUFFIX.parse().unwrap();
    let up = Config::for_up("/tmp/x".into(), &suffix, &feeds, Vec::new()).unwrap();
    assert_eq!(read(folder.path(), &up.to_toml()), up);
}

#[test]
fn up_makes_a_zone_of_each_feed_and_one_of_all() {
    let feeds = catalogue();
    let suffix = "dnsbl.example.net".parse().unwrap();
    let config = Config::for_up("/tmp/x".into(), &suffix, &feeds, Vec::new()).unwrap();
    let zone = |label: &str| {
        let origin = format!("{label}.dnsbl.example.net").parse().unwrap();
        config.reloadable.zones.iter().find(|zone| zone.origin == origin).unwrap()
    };
    // Serving more of the catalogue here costs everybody who tries gatepost, and its publishers, more: on purpose only.
    let lists: Vec<&str> = config.reloadable.lists.keys().map(Slug::as_str).collect();
    assert_eq!(
        lists,
        [
            "backscatterer",
            "blocklist-de-mail",
            "bogons",
            "cins",
            "et-compromised",
            "greensnow",
            "ipsum",
            "spamhaus-drop",
            "spamhaus-drop-v6",
            "tor-exits",
            "uceprotect-1",
            "whitelisted-org",
        ]
    );
    assert_eq!(config.reloadable.zones.len(), lists.len() + 1);
    let block = zone("block");
    let members: Vec<&str> = block.members.iter().map(|member| member.list.as_str()).collect();
    assert_eq!(members, ["blocklist-de-mail", "spamhaus-drop", "spamhaus-drop-v6", "uceprotect-1"]);
    assert_eq!(block.excepts.iter().map(Slug::as_str).collect::<Vec<_>>(), ["whitelisted-org"]);
    assert!(!block.keep_values && block.zone_data().combined);
    let codes: BTreeSet<Code> = block.members.iter().map(|member| member.code).collect();
    assert_eq!(codes.len(), members.len());
    let bogons = zone("bogons");
    assert!(bogons.keep_values && !bogons.zone_data().combined && bogons.excepts.is_empty());
    assert_eq!(zone("tor-exits").zone_data().soa.minimum, 60);
    assert_eq!(config.reloadable.sync.timer, Some(defaults::UP_TIMER));
}

#[test]
fn flags_go_before_environment_and_environment_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gatepost.toml");
    std::fs::write(&path, "version = 1\nstate = \"here\"\n[server]\nlisten = [\"127.0.0.1:1\"]\n").unwrap();
    let environment = Overrides::from_environment(|name| match name {
        "GATEPOST_STATE" => Some("/environment".into()),
        "GATEPOST_LISTEN" => Some("127.0.0.1:2, [::1]:2".into()),
        _ => None,
    })
    .unwrap();
    let file = configure(&path, Overrides::default()).unwrap();
    assert_eq!(
        (file.state, file.server.listen),
        (folder.path().join("here"), vec!["127.0.0.1:1".parse().unwrap()])
    );
    let both = configure(&path, environment.clone()).unwrap();
    assert_eq!(both.state, Path::new("/environment"));
    assert_eq!(both.server.listen, ["127.0.0.1:2".parse().unwrap(), "[::1]:2".parse().unwrap()]);
    let flags = Overrides { state: Some("/flag".into()), ..Overrides::default() };
    let all = configure(&path, flags.over(environment)).unwrap();
    assert_eq!(all.state, Path::new("/flag"));
    assert_eq!(all.server.listen.len(), 2);

    let bad = Overrides::from_environment(|name| (name == "GATEPOST_LISTEN").then(|| "localhost".into()));
    assert_eq!(
        bad.unwrap_err().to_string(),
        "GATEPOST_LISTEN: `localhost` is not an address and a port\n  = expected such as 127.0.0.1:5354 or [::1]:5354"
    );
}

#[test]
fn the_embedded_list_is_whole() {
    let list = bogons();
    let Source::Embedded(text) = list.source else { panic!("{:?}", list.source) };
    let mut bad = Vec::new();
    let parsed = crate::parse::parse(list.format, &list.options, text.as_bytes(), &mut |diag| bad.push(diag));
    let set = parsed.unwrap().set;
    assert_eq!(bad, []);
    let [private, loopback] = [[10, 1, 2, 3], [127, 0, 0, 1]].map(u32::from_be_bytes);
    let entries = set.v4_entries_with(private);
    assert_eq!(set.value(entries[0].value).note.as_deref(), Some("Private-Use (RFC 1918)"));
    assert!(set.v4_entries_with(loopback).is_empty() && !set.v6.is_empty());
}

//! What must hold between runs, with real processes: nothing new without new content, lists that do not disturb each
//! other, floors, failures, and what the combined zone of `gatepost up` says.
#![cfg(feature = "full")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use common::dns::{A, NOERROR, NXDOMAIN, Over, SERVFAIL, SOA, TXT, ask, ask_all, question};
use common::feed_server::{Lie, Page};
use common::naive::{Content, Kind};
use common::program::{Server, gatepost, run};
use common::site::Site;
use common::{feeds, made_up, skipped};

/// The same entries under another header: no new set, no new snapshot, no new serial, and the server has nothing to
/// take over.
#[test]
fn a_header_alone_is_no_new_content() {
    same_entries(&[made_up("lists/drop.1.txt"), made_up("lists/drop.2.txt")]);
    if let Some(folder) = feeds("a_header_alone_is_no_new_content") {
        // The middle one even comes from a stale cache, with an `Expires` in the past.
        let names =
            ["21a", "21b-stale", "21c"].map(|day| format!("spamhaus-drop-txt/drop.2026-08-{day}.txt"));
        same_entries(&names.map(|name| folder.join(name)));
        // And another order of the lines.
        let names =
            ["psbl.2026-07-11.txt.gz", "psbl-sorted.2026-07-11.txt.gz"].map(|name| format!("psbl/{name}"));
        same_entries(&names.map(|name| folder.join(name)));
    }
}

fn same_entries(versions: &[impl AsRef<Path>]) {
    let site = Site::new();
    let drop = versions[0].as_ref().to_string_lossy().contains("drop");
    let format = if drop { "drop" } else { "plain" };
    let list = Site::list("drop", 1, "").replace("\"plain\"", &format!("{format:?}"));
    site.configure(&(list + &Site::zone("drop.example", &["drop"], "")));
    let mut before = None;
    for version in versions {
        site.put("drop", fs::read(version).unwrap());
        let done = site.sync(&["drop"]).expect(0).json();
        assert!(matches!(done["lists"][0]["outcome"].as_str(), Some("accepted" | "trimmed")), "{done:#}");
        let now = (site.generation(), site.files("snapshots"), sets(&site, "drop"));
        match &before {
            None => before = Some(now),
            Some(before) => {
                assert_eq!(&now, before, "{}", version.as_ref().display());
                assert!(done["published"].is_null(), "{done:#}");
                assert_eq!(done["zones"], serde_json::json!([]));
            }
        }
    }
    assert_eq!(site.web.hits("/drop"), versions.len());
}

fn sets(site: &Site, list: &str) -> Vec<String> {
    site.files(&format!("feeds/{list}")).into_iter().filter(|name| name.starts_with("set-")).collect()
}

/// One list changes: its zones are built again from the stored set of the other one, whose text is not even there
/// any more; zones without it stay as they are.
#[test]
fn one_list_changed_and_the_others_were_not_read_again() {
    let site = Site::new();
    site.configure(
        &[
            Site::list("one", 1, ""),
            Site::list("other", 2, ""),
            Site::zone("both.example", &["one", "other"], ""),
            Site::zone("one.example", &["one"], ""),
            Site::zone("other.example", &["other"], ""),
        ]
        .concat(),
    );
    site.put("one", "5.6.7.8\n");
    site.put("other", "8.8.4.4\n");
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    let serial = site.serial("other.example");
    for body in site.files("feeds/other").iter().filter(|name| name.starts_with("body-")) {
        fs::remove_file(site.state().join("feeds/other").join(body)).unwrap();
    }
    let before = times(&site, "feeds/other");
    assert!(before.keys().any(|name| name.starts_with("set-")));

    site.put("one", "5.6.7.9\n");
    let done = site.sync(&["one"]).expect(0).json();
    let zones = done["zones"].as_array().unwrap().iter().map(|zone| zone["origin"].as_str().unwrap());
    assert_eq!(zones.collect::<BTreeSet<_>>(), BTreeSet::from(["both.example", "one.example"]));
    assert_eq!(times(&site, "feeds/other"), before);
    assert_eq!(site.serial("other.example"), serial);

    server.wait_for_serial("both.example", site.serial("both.example"));
    let codes = |name: &str| ask(server.dns, Over::Udp, name, A).a;
    assert_eq!(codes("9.7.6.5.both.example"), [[127, 0, 1, 1]]);
    assert_eq!(codes("4.4.8.8.both.example"), [[127, 0, 1, 2]]);
    assert!(codes("8.7.6.5.both.example").is_empty());
    assert_eq!(codes("4.4.8.8.other.example"), [[127, 0, 1, 2]]);
}

/// When each file below a folder of the store was last written.
fn times(site: &Site, folder: &str) -> BTreeMap<String, SystemTime> {
    let modified =
        |name: &String| fs::metadata(site.state().join(folder).join(name)).unwrap().modified().unwrap();
    site.files(folder).into_iter().map(|name| (name.clone(), modified(&name))).collect()
}

/// A change of the configuration is a change of content: the zone is built again, and nothing is fetched for it.
#[test]
fn a_changed_configuration_is_compiled_from_the_stored_sets() {
    let site = Site::new();
    let lists = Site::list("one", 1, "floor = \"1h\"").replace("floor = \"0s\"\n", "");
    site.configure(&(lists.clone() + &Site::zone("one.example", &["one"], "")));
    site.put("one", "5.6.7.8\n");
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).a, [[127, 0, 1, 1]]);

    site.configure(&(lists.replace("127.0.1.1", "127.0.1.7") + &Site::zone("one.example", &["one"], "")));
    site.sync(&[]).expect(0);
    assert_eq!(site.web.hits("/one"), 1);
    server.wait_for_serial("one.example", site.serial("one.example"));
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.one.example", A).a, [[127, 0, 1, 7]]);
}

/// The publisher's floor holds for a timer and for a person; what was not asked for is no failure.
#[test]
fn the_floor_holds_for_everybody() {
    let site = Site::new();
    let list = Site::list("one", 1, "floor = \"1h\"").replace("floor = \"0s\"\n", "");
    site.configure(&(list + &Site::zone("one.example", &["one"], "")));
    site.put("one", "5.6.7.8\n");
    site.sync(&[]).expect(0);
    for lists in [&[][..], &["one"], &["one"]] {
        let done = site.sync(lists).expect(0).json();
        assert!(done["lists"][0]["outcome"].is_null());
        assert!(done["lists"][0]["waits"][0].as_u64().is_some_and(|left| left > 3000), "{done:#}");
    }
    assert_eq!(site.web.hits("/one"), 1);
}

/// What is not modified is confirmed and makes nothing new; gzip on the way is taken off.
#[test]
fn not_modified_is_a_confirmation() {
    let site = Site::new();
    let lists = Site::list("tagged", 1, "") + &Site::list("dated", 2, "");
    site.configure(&(lists + &Site::zone("both.example", &["tagged", "dated"], "")));
    site.web.put("/tagged", Page { gzip: true, ..Page::new("5.6.7.8\n".repeat(50)) });
    let dated = Page { last_modified: Some("Fri, 21 Aug 2026 16:44:02 GMT".into()), ..Page::default() };
    site.web.put("/dated", Page { body: b"8.8.4.4\n".to_vec(), ..dated });
    site.sync(&["tagged", "dated"]).expect(0);
    let before = (site.generation(), site.files("snapshots"));
    let done = site.sync(&["tagged", "dated"]).expect(0).json();
    for list in done["lists"].as_array().unwrap() {
        assert_eq!(list["outcome"], "confirmed", "{list:#}");
    }
    assert_eq!((site.generation(), site.files("snapshots")), before);
    let statuses: Vec<u16> = site.web.asked().iter().map(|asked| asked.status).collect();
    assert_eq!(statuses, [200, 200, 304, 304]);
    let asked = site.web.asked();
    assert!(asked.iter().any(|asked| asked.headers.contains_key("if-none-match")));
    assert!(asked.iter().any(|asked| asked.headers.contains_key("if-modified-since")));
}

/// Each list's failure is a line with its reason; the good ones are served, and a list that was good before serves on.
#[test]
fn a_failed_feed_is_a_line_and_the_others_serve() {
    let site = Site::new();
    let names = ["good", "missing", "broken", "cut", "short", "silent", "was-good"];
    let mut text: String = names.iter().zip(1..).map(|(name, code)| Site::list(name, code, "")).collect();
    text += &Site::zone("all.example", &names, "");
    text += &Site::zone("missing.example", &["missing"], "");
    site.configure(&text);
    site.put("was-good", "8.8.4.4\n");
    site.put("good", "5.6.7.8\n");
    site.sync(&["was-good"]).expect(0);
    let server = site.serve();
    let list = "5.6.7.8\n".repeat(20_000);
    site.web.put("/broken", Page::status(503, "try later"));
    site.web.put("/cut", Page { lie: Lie::Cut(50_000), ..Page::new(list.clone()) });
    site.web.put("/short", Page { lie: Lie::TooShort(3), ..Page::new(list) });
    site.web.put("/silent", Page { lie: Lie::Silence, ..Page::default() });
    site.web.put("/was-good", Page::status(500, "<html>"));

    let done = site.sync(&names).expect(1).json();
    let mut server = server;
    let outcomes: BTreeMap<&str, (&str, String)> = done["lists"]
        .as_array()
        .unwrap()
        .iter()
        .map(|list| {
            let name = list["list"].as_str().unwrap();
            (name, (list["outcome"].as_str().unwrap(), list["reasons"].to_string()))
        })
        .collect();
    assert_eq!(outcomes["good"].0, "accepted");
    for (name, reason) in [("missing", "404"), ("broken", "503"), ("was-good", "500")] {
        assert_eq!(outcomes[name].0, "failed", "{outcomes:?}");
        assert!(outcomes[name].1.contains(reason), "{outcomes:?}");
    }
    // Nobody can tell a body from a whole one whose server announces less than it has; the half line is reported.
    let short = done["lists"].as_array().unwrap().iter().find(|list| list["list"] == "short").unwrap();
    assert_eq!((&short["outcome"], &short["bad_lines"]), (&"accepted".into(), &1.into()));
    for name in ["cut", "silent"] {
        assert!(matches!(outcomes[name].0, "failed" | "rejected" | "held"), "{name}: {outcomes:?}");
        assert!(outcomes[name].1.len() > 10, "{name}: no reason: {outcomes:?}");
    }
    server.wait_for_serial("all.example", site.serial("all.example"));
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.all.example", A).a, [[127, 0, 1, 1], [127, 0, 1, 5]]);
    assert_eq!(ask(server.dns, Over::Udp, "4.4.8.8.all.example", A).a, [[127, 0, 1, 7]]);
    // A zone whose only list never came says that it cannot tell.
    assert_eq!(ask(server.dns, Over::Udp, "8.7.6.5.missing.example", A).rcode, SERVFAIL);
    assert_eq!(ask(server.dns, Over::Udp, "missing.example", SOA).rcode, SERVFAIL);
    let status = site.status();
    let broken = status["lists"].as_array().unwrap().iter().find(|list| list["name"] == "broken").unwrap();
    assert!(broken["reasons"].to_string().contains("503"), "{broken:#}");
}

/// New generations are taken over while questions come in: none is lost and none is answered wrongly.
#[test]
fn no_question_is_lost_while_generations_change() {
    let site = Site::new();
    site.configure(&(Site::list("one", 1, "") + &Site::zone("one.example", &["one"], "")));
    site.put("one", "5.6.7.8\n5.6.8.0\n");
    site.sync(&[]).expect(0);
    let mut server = site.serve();
    let dns = server.dns;
    let stop = AtomicBool::new(false);
    let asked = AtomicUsize::new(0);
    thread::scope(|scope| {
        for over in [Over::Udp, Over::Tcp] {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // `ask_all` panics when one gets no reply.
                    let names = ["8.7.6.5.one.example", "7.7.6.5.one.example"].iter().cycle().take(500);
                    ask_all(dns, over, names.map(|name| (question(name, A), *name)), |name, reply| {
                        assert_eq!(reply.a.len(), usize::from(name.starts_with('8')), "{name}: {reply:?}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
        for version in 1..6 {
            site.put("one", format!("5.6.7.8\n5.6.8.{version}\n"));
            site.sync(&["one"]).expect(0);
            server.wait_for_serial("one.example", site.serial("one.example"));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) >= 1000);
    let (code, said) = server.stop();
    assert_eq!(code, Some(0), "{said}");
}

/// `gatepost up` with feed files of ours.
struct Up {
    site: Site,
}

impl Up {
    /// Each feed: name, use, last octet of the code, and its entries (nothing: its server says 503).
    fn new(feeds: &[(&str, &str, u8, &str)]) -> Self {
        let site = Site::new();
        fs::create_dir(site.path("catalogue")).unwrap();
        for (name, use_, code, entries) in feeds {
            let url = site.web.url(&format!("/{name}"));
            let file = format!(
                "name = \"{name}\"\ntitle = \"Made-up {name}\"\nurls = [\"{url}\"]\nformat = \"plain\"\n\
                 use = \"{use_}\"\ncode = \"127.0.0.{code}\"\ntext = \"$ is in {name}\"\nkind = \"abuse\"\n\
                 homepage = \"https://{name}.example/\"\nfloor = \"1h\"\nallow-private = true\n[terms]\n\
                 text = \"Free for {name}'s friends.\"\nfetch = \"anyone\"\nredistribute = \"never\"\n"
            );
            fs::write(site.path("catalogue").join(format!("{name}.toml")), file).unwrap();
            let page = match *entries {
                "" => Page::status(503, "down"),
                entries => Page::new(entries),
            };
            site.web.put(&format!("/{name}"), page);
        }
        Self { site }
    }

    fn start(&self) -> Server {
        let mut command: Command = gatepost();
        command.arg("up").args(["--listen", "127.0.0.1:0", "--suffix", "lists.example"]);
        command.arg("--state").arg(self.site.state()).arg("--catalogue").arg(self.site.path("catalogue"));
        Server::start(command)
    }
}

/// The floor holds over restarts, terms are shown once, and what was fetched is served at once the next time.
#[test]
fn starting_up_ten_times_fetches_once() {
    let up = Up::new(&[("one", "block", 201, "5.6.7.8\n"), ("two", "score", 202, "5.6.7.9\n")]);
    for start in 0..10 {
        let mut server = up.start();
        // Its first sync has ended.
        server.wait_for(|said| said.contains("Ctrl-C ends it").then_some(()));
        let dns = server.dns;
        server.wait_for(|_| {
            let listed = ask(dns, Over::Udp, "8.7.6.5.block.lists.example", A).a == [[127, 0, 0, 201]];
            listed.then_some(())
        });
        let (code, said) = server.stop();
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said.contains("Free for one's friends."), start == 0, "start {start}: {said}");
    }
    assert_eq!((up.site.web.hits("/one"), up.site.web.hits("/two")), (1, 1));
}

/// The combined zone: only what is good enough to reject on, less the allow lists, each with its own code.
#[test]
fn the_combined_zone_answers_for_block_lists_alone() {
    let up = Up::new(&[
        ("abuse", "block", 201, "5.6.7.8\n5.6.7.9\n5.6.7.10\n"),
        ("network", "block", 202, "5.6.7.0/29\n5.6.7.8\n"),
        ("broad", "score", 203, "5.6.7.20\n"),
        ("backscatter", "bounce", 204, "5.6.7.21\n"),
        ("welcome", "allow", 205, "5.6.7.9\n"),
    ]);
    let mut server = up.start();
    server.wait_for(|said| said.contains("reject_rbl_client").then_some(()));
    let dns = server.dns;
    let codes = |name: &str| ask(dns, Over::Udp, &format!("{name}.lists.example"), A).a;
    server.wait_for(|_| (!codes("9.7.6.5.welcome").is_empty()).then_some(()));
    assert_eq!(codes("8.7.6.5.block"), [[127, 0, 0, 201], [127, 0, 0, 202]]);
    assert_eq!(codes("3.7.6.5.block"), [[127, 0, 0, 202]]);
    assert_eq!(codes("9.7.6.5.abuse"), [[127, 0, 0, 201]]);
    for (name, own) in [("20.7.6.5", "broad"), ("21.7.6.5", "backscatter"), ("9.7.6.5", "welcome")] {
        assert!(codes(&format!("{name}.block")).is_empty(), "{name}");
        assert_eq!(codes(&format!("{name}.{own}")).len(), 1, "{name} in {own}");
    }
    // Test points: of the zone, and one for each code.
    assert_eq!(codes("2.0.0.127.block"), [[127, 0, 0, 2]]);
    assert_eq!(codes("201.0.0.127.block"), [[127, 0, 0, 201]]);
    assert_eq!(codes("202.0.0.127.block"), [[127, 0, 0, 202]]);
    let text = ask(dns, Over::Udp, "8.7.6.5.block.lists.example", TXT);
    assert!(text.txt.concat().contains("5.6.7.8 is in abuse"), "{text:?}");
    assert!(text.txt.concat().contains("5.6.7.8 is in network"), "{text:?}");

    // What it prints works as it is printed.
    let said = server.said();
    assert!(said.contains("block.lists.example=127.0.0.[201;202]"), "{said}");
    let dig = said.lines().rev().find_map(|line| line.trim().strip_prefix("dig ")).expect("a dig line");
    match Command::new("dig").args(dig.split_whitespace()).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "127.0.0.2", "dig {dig}"),
        Err(_) => skipped(
            "the_combined_zone_answers_for_block_lists_alone",
            "the printed dig line: dig is not installed",
        ),
    }
    // And so do the commands beside it.
    let state = up.site.state();
    let state = state.to_str().unwrap();
    run(["status", "--probe", "--state", state]).expect(0);
    assert!(run(["lookup", "--state", state, "5.6.7.8"]).expect(1).stdout.contains("abuse"));
    run(["lookup", "--state", state, "5.6.7.200"]).expect(0);
}

/// Without a block list the combined zone cannot tell; the zone that is part of the program answers at once.
#[test]
fn the_combined_zone_waits_for_a_block_list() {
    let up = Up::new(&[("one", "block", 201, ""), ("two", "score", 202, "5.6.7.9\n")]);
    let mut server = up.start();
    server.wait_for(|said| said.contains("Ctrl-C ends it").then_some(()));
    let dns = server.dns;
    let ask = |name: &str| ask(dns, Over::Udp, &format!("{name}.lists.example"), A);
    server.wait_for(|_| (ask("9.7.6.5.two").rcode == NOERROR).then_some(()));
    assert_eq!(ask("2.0.0.127.block").rcode, SERVFAIL);
    assert_eq!(ask("9.7.6.5.block").rcode, SERVFAIL);
    assert_eq!(ask("1.1.168.192.bogons").rcode, NOERROR);
    assert_eq!(ask("2.0.0.127.bogons").a, [[127, 0, 0, 2]]);
    assert_eq!(ask("8.8.8.8.bogons").rcode, NXDOMAIN);
    let said = server.said();
    assert!(said.contains("503"), "the failure is a line: {said}");
    let dig = said.lines().rev().find_map(|line| line.trim().strip_prefix("dig ")).expect("a dig line");
    assert!(!dig.contains(".block."), "a question that works at that moment: {dig}");
}

/// An own list is served as written: no guard, no never-list; and it is an exception where it is told to be.
#[test]
fn own_files_are_served_as_written() {
    let site = Site::new();
    let content = Content::read(Kind::Lines, &fs::read(made_up("lists/level.1.netset")).unwrap());
    fs::copy(made_up("lists/level.1.netset"), site.path("own.netset")).unwrap();
    fs::write(site.path("mine.txt"), "5.6.7.0/24\n").unwrap();
    site.put("feed", "5.6.7.8\n5.6.8.8\n");
    site.configure(
        &[
            "[list.own]\nfile = \"own.netset\"\nformat = \"netset\"\nuse = \"block\"\ncode = \"127.0.1.1\"\n",
            "[list.mine]\nfile = \"mine.txt\"\nformat = \"plain\"\nuse = \"allow\"\n",
            &Site::list("feed", 2, ""),
            &Site::zone("own.example", &["own"], ""),
            &Site::zone("feed.example", &["feed"], "except = [\"mine\"]"),
        ]
        .concat(),
    );
    site.sync(&[]).expect(0);
    let server = site.serve();
    let codes = |name: &str| ask(server.dns, Over::Udp, name, A).a;
    // 10/8, 192.168/16 and 224/3 are in it.
    assert!(content.v4.len() > 40);
    for name in ["1.2.3.10", "9.9.168.192", "5.4.3.230"] {
        assert_eq!(codes(&format!("{name}.own.example")), [[127, 0, 1, 1]], "{name}");
    }
    // The test points are forced nevertheless, though the list has all of 127/8.
    assert_eq!(codes("2.0.0.127.own.example"), [[127, 0, 0, 2]]);
    assert!(codes("1.0.0.127.own.example").is_empty());
    assert!(codes("8.7.6.5.feed.example").is_empty());
    assert_eq!(codes("8.8.6.5.feed.example"), [[127, 0, 1, 2]]);
}

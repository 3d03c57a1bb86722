//! A feed's server that turns hostile after a good version: it stalls, lies about lengths, never ends, sends bombs and cut
//! archives, redirects to where nobody should go, refuses, and gives new validators to bad bodies. Whatever it does, the
//! answers in service stay, the reason is named, the good version stays known by its validators and nothing is left behind.
#![cfg(feature = "full")]

mod common;

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::dns::{A, Over, ask};
use common::hostile::{Act, Hostile, response};
use common::program::{self, Server};
use common::say;
use common::site::Site;
use gatepost::feed::catalogue;
use gatepost::store::Store;
use gatepost::sync::{self, Event, Watcher};

fn ok(body: &[u8]) -> Vec<u8> {
    response("200 OK\nETag: \"bad\"\nLast-Modified: Sun, 22 Nov 2026 10:00:00 GMT", body)
}

const GOOD: &[u8] = b"5.6.7.8\n5.6.7.9\n";
const GOOD_HEAD: &str = "200 OK\nETag: \"good\"\nLast-Modified: Sat, 21 Nov 2026 10:00:00 GMT";

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 3).unwrap()
}

/// As `zip` of Debian would write it.
fn zip(text: &[u8], members: usize) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    let packed = encoder.finish().unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(text);
    let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
    for number in [crc.sum(), packed.len() as u32, text.len() as u32] {
        common.extend(number.to_le_bytes());
    }
    common.extend([4, 0, 0, 0]);
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for _ in 0..members {
        let at = archive.len() as u32;
        archive.extend([b"PK\x03\x04", &common[..], b"list", &packed].concat());
        directory.extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &at.to_le_bytes(), b"list"].concat());
    }
    let at = archive.len() as u32;
    let counts = [0, 0, 0, 0, members as u8, 0, members as u8, 0];
    let end =
        [b"PK\x05\x06", &counts[..], &(directory.len() as u32).to_le_bytes(), &at.to_le_bytes(), &[0, 0]]
            .concat();
    [archive, directory, end].concat()
}

/// Text that packs about as well as a list.
fn list(lines: u32) -> Vec<u8> {
    (0..lines).fold(Vec::new(), |mut text, n| {
        let [_, b, c, d] = n.wrapping_mul(2_654_435_761).to_be_bytes();
        writeln!(text, "5.{b}.{c}.{d}").unwrap();
        text
    })
}

/// A list that was good once.
struct Victim {
    site: Site,
    hostile: Hostile,
    server: Option<Server>,
    before: (String, Vec<String>, serde_json::Value),
}

impl Victim {
    /// Keys of the list, keys of `[sync]`, where it is (`HOSTILE` is the server).
    fn new(url: &str, keys: &str, sync: &str) -> Self {
        let hostile = Hostile::start();
        let site = Site::new();
        let url = url.replace("HOSTILE", &hostile.address.to_string());
        let sync = sync.replace("HOSTILE", &hostile.address.to_string());
        let list = format!(
            "[list.victim]\nurl = {url:?}\nformat = \"plain\"\nuse = \"block\"\nfloor = \"0s\"\n{keys}\n[sync]\n{sync}\n"
        );
        site.configure(&(list + &Site::zone("victim.example", &["victim"], "")));
        hostile.does(Act::Say(response(GOOD_HEAD, GOOD)));
        site.sync(&["victim"]).expect(0);
        let server = site.serve();
        let mut victim = Self { site, hostile, server: Some(server), before: Default::default() };
        victim.before = victim.state();
        victim.answers();
        victim
    }

    /// What must not change: the generation, the files of the list, its validators.
    fn state(&self) -> (String, Vec<String>, serde_json::Value) {
        let status = fs::read_to_string(self.site.state().join("feeds/victim/status.json")).unwrap();
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        let mut files = self.site.files("feeds/victim");
        files.extend(self.site.files("snapshots"));
        // What is held is put aside, and that is all there may be.
        files.retain(|file| !file.starts_with("held/"));
        (self.site.generation(), files, status["validators"].clone())
    }

    fn answers(&self) {
        let dns = self.server.as_ref().unwrap().dns;
        for (name, listed) in [("8.7.6.5", 1), ("9.7.6.5", 1), ("1.7.6.5", 0)] {
            let reply = ask(dns, Over::Udp, &format!("{name}.victim.example"), A);
            assert_eq!(reply.a.len(), listed, "{name}: {reply:?}");
        }
    }

    /// One bad turn: what it is called, what the server does, a word of the reason.
    #[track_caller]
    fn suffers(&self, name: &str, act: Act, word: &str) {
        self.hostile.does(act);
        let done = self.site.sync(&["victim"]).expect(1).json();
        let list = &done["lists"][0];
        let reasons = list["reasons"].to_string();
        assert!(reasons.contains(word), "{name}: {list:#}");
        assert_eq!(self.state(), self.before, "{name}");
        assert_eq!(self.site.status()["lists"][0]["reasons"], list["reasons"], "{name}");
        let asked = self.hostile.asked().concat().to_ascii_lowercase();
        assert!(asked.contains("if-none-match: \"good\""), "{name}: the good one is still known: {asked}");
        self.answers();
    }

    /// The good one is back: it need not even be sent again.
    fn recovers(&self) {
        self.hostile.does(Act::Say(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_vec()));
        let done = self.site.sync(&["victim"]).expect(0).json();
        assert_eq!(done["lists"][0]["outcome"], "confirmed", "{done:#}");
        self.answers();
    }
}

const OPEN: &str = "allow-private = true\nmax-size = \"2MB\"\nmax-coverage = 1.0";

#[test]
fn bodies_and_lengths() {
    let victim = Victim::new("http://HOSTILE/list", OPEN, "");
    let head = "HTTP/1.1 200 OK\r\nETag: \"bad\"\r\n";
    let raw = |rest: &str| format!("{head}{rest}").into_bytes();
    let large = list(60_000).repeat(12);
    // One line again and again: read as far as it is unpacked, it is a list.
    let same = b"5.6.7.8\n".repeat(1 << 19);
    let good_gzip = gzip(GOOD);
    let mut flipped = good_gzip.clone();
    let crc = flipped.len() - 6;
    flipped[crc] ^= 1;
    let says = Act::Say;
    let faults: Vec<(&str, Act, &str)> = vec![
        ("nothing", says(Vec::new()), "the body"),
        ("no HTTP", says(b"220 mail.example.net ESMTP\r\n".to_vec()), "http"),
        ("half a head", says(raw("Content-Le")), "http"),
        ("an endless head", Act::Endless(head.into(), b'a'), "http"),
        ("shorter than said", says(raw("Content-Length: 99\r\n\r\n5.6.7.8\n")), "cut after 8 octets"),
        (
            "chunks without an end",
            says(raw("Transfer-Encoding: chunked\r\n\r\n8\r\n5.6.7.8\n\r\n")),
            "cut after 8 octets",
        ),
        (
            "a chunk that lies",
            says(raw("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n5.6.7.8\n")),
            "cut after 0",
        ),
        ("two lengths", says(raw("Content-Length: 8\r\nContent-Length: 9\r\n\r\n5.6.7.8\n")), "http"),
        ("half a line", says(raw("Connection: close\r\n\r\n5.6.7.8\n5.6")), "within a line"),
        (
            "half a line in a coding without an end",
            says(raw("Transfer-Encoding: identity\r\nConnection: close\r\n\r\n5.6.7.8\n5.6")),
            "within a line",
        ),
        (
            "pieces of gzip, and nobody says how many",
            says([raw("Connection: close\r\n\r\n"), gzip(b"5.6.7.8\n"), gzip(b"5.6.7.9\n")].concat()),
            "several pieces",
        ),
        (
            "frames of zstd, and nobody says how many",
            says([raw("Connection: close\r\n\r\n"), zstd(b"5.6.7.8\n"), zstd(b"5.6.7.9\n")].concat()),
            "several pieces",
        ),
        (
            "half a line in gzip",
            says([raw("Connection: close\r\n\r\n"), gzip(b"5.6.7.8\n5.6")].concat()),
            "within a line",
        ),
        ("said to be too large", says(raw("Content-Length: 2000001\r\n\r\n")), "larger than 2000000 octets"),
        ("without end", Act::Endless(raw("Connection: close\r\n\r\n"), b'\n'), "larger than 2000000 octets"),
        (
            "chunks without end",
            Act::Endless(raw("Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"), b'1'),
            "larger than 2000000 octets",
        ),
        ("empty", says(ok(b"")), "empty"),
        ("a page", says(ok(b"<!DOCTYPE html>\n<html>")), "web page"),
        ("JSON", says(ok(b"{\"error\":\"quota\"}")), "JSON"),
        ("prose", says(ok(b"You can only fetch the data every 30 minutes - sorry.\n")), "message"),
        ("a gzip bomb", says(ok(&gzip(&same))), "times its size"),
        ("a zstd bomb", says(ok(&zstd(&same))), "times its size"),
        ("a zip bomb", says(ok(&zip(&same, 1))), "times its size"),
        ("a bomb in a bomb", says(ok(&gzip(&gzip(&same)))), "times its size"),
        ("three layers", says(ok(&gzip(&zstd(&gzip(GOOD))))), "compressed more than"),
        ("large when unpacked", says(ok(&zstd(&large))), "after decompression"),
        ("cut gzip", says(ok(&good_gzip[..good_gzip.len() - 9])), "the body"),
        ("gzip without its checksum", says(ok(&good_gzip[..good_gzip.len() - 8])), ""),
        ("damaged gzip", says(ok(&flipped)), ""),
        ("cut zstd", says(ok(&zstd(GOOD)[..20])), ""),
        ("cut zip", says(ok(&zip(GOOD, 1)[..60])), "zip archive is damaged or cut"),
        ("a zip of two", says(ok(&zip(GOOD, 2))), "more than one member"),
        ("junk behind gzip", says(ok(&[&good_gzip[..], b"5.6.7.1\n"].concat())), ""),
        ("packed as nobody asked", says(response("200 OK\nContent-Encoding: br", b"x")), "packed with `br`"),
    ];
    let count = faults.len();
    for (name, act, word) in faults {
        // Two of them are only cut where the transport does not tell; any reason will do.
        let word = if ["nothing", "cut gzip"].contains(&name) { "" } else { word };
        victim.suffers(name, act, if word == "http" { "http://" } else { word });
    }
    victim.recovers();
    say(&format!("hostile bodies: {count} turns, no answer changed"));
}

#[test]
fn statuses() {
    let victim = Victim::new("http://HOSTILE/list", OPEN, "");
    for status in [204, 206, 400, 401, 403, 404, 410, 418, 451, 500, 502] {
        let act = Act::Say(response(&format!("{status} X\nETag: \"bad\""), b"5.6.7.1\n"));
        victim.suffers(&status.to_string(), act, &status.to_string());
    }
    // Retry-After is obeyed by a person, too, over restarts of the program.
    for status in [429, 503] {
        let act = Act::Say(response(&format!("{status} X\nRetry-After: 7200"), b""));
        victim.suffers(&status.to_string(), act, &status.to_string());
        let done = victim.site.sync(&["victim"]).expect(0).json();
        let waits = &done["lists"][0]["waits"];
        assert!(waits[0].as_u64().is_some_and(|seconds| (7000..=7200).contains(&seconds)), "{done:#}");
        assert_eq!(victim.hostile.asked().len(), 0, "it is left alone");
        // By force it is asked all the same, and what that risks is said.
        victim.hostile.does(Act::Say(response("404 X", b"")));
        let forced = program::run(
            ["sync", "--force", "victim", "--config"]
                .map(AsRef::as_ref)
                .into_iter()
                .chain([victim.site.config().as_os_str()]),
        );
        assert_eq!(victim.hostile.asked().len(), 1);
        assert!(
            forced.stderr.contains("by force")
                && forced.stderr.contains("block addresses that come too often"),
            "{forced:?}"
        );
    }
    victim.recovers();
    let unnamed = program::run(["sync", "--force", "--config", "x"]);
    assert_eq!(unnamed.code, Some(2), "--force is for named lists: {unnamed:?}");
}

#[test]
fn redirects() {
    // A proxy that is the hostile server: it can be any public server without leaving this machine.
    let proxy = "proxy = \"http://HOSTILE\"";
    let victim = Victim::new("http://lists.example.net/list", "max-size = \"200kB\"", proxy);
    let asked = victim.hostile.asked().concat();
    assert!(asked.starts_with("GET http://lists.example.net/list HTTP/1.1"), "{asked}");
    let to = |location: &str| Act::Say(response(&format!("302 X\nLocation: {location}"), b""));
    for (location, word) in [
        ("http://127.0.0.1:8080/", "127.0.0.1 is not a public address"),
        ("http://2130706433/", "127.0.0.1 is not a public address"),
        ("http://0x7f.1/", "127.0.0.1 is not a public address"),
        ("http://[::1]/", "::1 is not a public address"),
        ("http://[::ffff:10.0.0.1]/", "not a public address"),
        ("http://169.254.169.254/latest/meta-data/", "169.254.169.254 is not a public address"),
        ("http://localhost/", "localhost is at "),
        ("ftp://lists.example.net/", "a redirect to `ftp:`"),
        ("file:///etc/passwd", "a redirect to `file:`"),
        ("rsync://lists.example.net/a/b", "a redirect to `rsync:`"),
        ("http://me:pw@lists.example.net/", "a redirect with a password"),
        ("http://lists.example.net/list#again", "a redirect to itself"),
        ("again/", "more than 5 redirects"),
        ("http://[", "a redirect to nowhere"),
    ] {
        victim.suffers(location, to(location), word);
    }
    victim.recovers();
}

/// A stall ends by the limit of the program itself (half a minute); nothing here depends on how long that is.
#[test]
fn stalls() {
    let victim = Victim::new("http://HOSTILE/list", OPEN, "");
    victim.suffers(
        "a stall in the body",
        Act::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n5.6.7.8\n".to_vec()),
        "timed out",
    );
    victim.recovers();
}

/// Validators of the answers that were not accepted are never shown again, and new ones of a good body are.
#[test]
fn validators_change_with_what_is_accepted_alone() {
    let victim = Victim::new("http://HOSTILE/list", OPEN, "");
    victim.suffers("a bad body", Act::Say(ok(b"<html>")), "web page");
    victim.hostile.does(Act::Say(response("200 OK\nETag: \"newer\"", b"5.6.7.8\n5.6.7.9\n5.6.8.1\n")));
    victim.site.sync(&["victim"]).expect(0);
    assert!(victim.hostile.asked().concat().contains("\"good\""));
    victim.hostile.does(Act::Say(b"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n".to_vec()));
    victim.site.sync(&["victim"]).expect(0);
    let asked = victim.hostile.asked().concat().to_ascii_lowercase();
    assert!(asked.contains("if-none-match: \"newer\"") && !asked.contains("if-modified-since"), "{asked}");
}

/// Packed bodies that are good are read, however they are packed.
#[test]
fn packed_in_any_way() {
    let victim = Victim::new("http://HOSTILE/list", OPEN, "");
    for (name, body, coding) in [
        ("gzip", gzip(GOOD), "gzip"),
        ("zstd", zstd(GOOD), "zstd"),
        ("zip", zip(GOOD, 1), "identity"),
        ("gzip of a zip", gzip(&zip(GOOD, 1)), "gzip"),
    ] {
        let head = format!("200 OK\nETag: \"{name}\"\nContent-Encoding: {coding}");
        victim.hostile.does(Act::Say(response(&head, &body)));
        let done = victim.site.sync(&["victim"]).expect(0).json();
        assert_eq!(
            (&done["lists"][0]["outcome"], &done["lists"][0]["entries"]),
            (&"accepted".into(), &2.into()),
            "{name}"
        );
        victim.answers();
    }
    let asked = victim.hostile.asked().concat().to_ascii_lowercase();
    assert!(asked.contains("accept-encoding: gzip, zstd"), "{asked}");
}

/// A list by `file://` is somebody else's: judged, and not read again while it is the same.
#[test]
fn a_file_is_judged_like_a_download() {
    let site = Site::new();
    let path = site.path("dropped.txt");
    let list = format!(
        "[list.dropped]\nurl = \"file://{}\"\nformat = \"plain\"\nuse = \"block\"\nmax-size = \"1kB\"\n",
        path.display()
    );
    site.configure(&(list + &Site::zone("dropped.example", &["dropped"], "")));
    let outcome = |code: i32, word: &str| {
        let done = site.sync(&["dropped"]).expect(code).json();
        let list = &done["lists"][0];
        assert!(list["reasons"].to_string().contains(word), "{list:#}");
        list["outcome"].as_str().unwrap_or_default().to_owned()
    };
    let write = |text: &str| fs::write(&path, text).unwrap();
    assert_eq!(outcome(1, "cannot read it"), "failed");
    write("5.6.7.8\n127.0.0.1\n");
    assert_eq!(outcome(0, "no feed may list"), "trimmed");
    write("<html>");
    assert_eq!(outcome(1, "web page"), "rejected");
    write(&"5.6.7.8\n".repeat(200));
    assert_eq!(outcome(1, "larger than 1000 octets"), "failed");
    assert_eq!(site.files("feeds/dropped").iter().filter(|file| file.contains("tmp")).count(), 0);
}

/// All files of a folder are one list of the operator's.
#[test]
fn a_folder_is_a_list() {
    let site = Site::new();
    fs::create_dir(site.path("lists.d")).unwrap();
    let list = "[list.own]\nfile = \"lists.d/\"\nformat = \"plain\"\nuse = \"block\"\n";
    site.configure(&(list.to_owned() + &Site::zone("own.example", &["own"], "")));
    let entries = |code: i32| site.sync(&["own"]).expect(code).json()["lists"][0]["entries"].clone();
    fs::write(site.path("lists.d/a.txt"), "5.6.7.8\n").unwrap();
    assert_eq!(entries(0), 1);
    fs::write(site.path("lists.d/b.txt"), "5.6.7.9\n").unwrap();
    fs::write(site.path("lists.d/.c.txt"), "5.6.7.10\n").unwrap();
    assert_eq!(entries(0), 2);
    fs::remove_file(site.path("lists.d/a.txt")).unwrap();
    assert_eq!(entries(0), 1);
    fs::remove_file(site.path("lists.d/b.txt")).unwrap();
    assert_eq!(entries(1), 1, "the last good list stays");
}

/// A key behind the `?` of a URL goes to its server, and nowhere else: not into the store, not to any output but that of the
/// configuration, not when the server says it again.
#[test]
fn a_key_in_a_url_is_shown_to_nobody() {
    let (first, second) = (Hostile::start(), Hostile::start());
    let site = Site::new();
    let urls = [&first, &second].map(|server| format!("http://{}/list?key=hunter2two", server.address));
    let list = format!("[list.one]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\n");
    site.configure(
        &(list + "allow-private = true\nfloor = \"0s\"\n" + &Site::zone("z.example", &["one"], "")),
    );
    first.does(Act::Say(response("503 X\nRetry-After: 3600", b"")));
    second.does(Act::Say(response(GOOD_HEAD, GOOD)));
    let config = site.config();
    let run = |command: &[&str]| {
        let ran =
            program::run(command.iter().map(OsStr::new).chain(["--config".as_ref(), config.as_os_str()]));
        ran.stdout + &ran.stderr
    };
    let mut said = run(&["sync", "-v", "one"]);
    assert!(second.asked()[0].starts_with("GET /list?key=hunter2two "));
    // The validator is still that of this place.
    second.does(Act::Say(response("304 X", b"")));
    said += &run(&["sync", "-v", "one"]);
    assert!(second.asked()[0].contains("\"good\""));
    for rubbish in [&b"<html>no key hunter2two"[..], b"too many requests with hunter2two\n"] {
        second.does(Act::Say(response(GOOD_HEAD, rubbish)));
        said += &run(&["sync", "-v", "one"]);
    }
    second.does(Act::Say(response("403 X", b"")));
    said += &run(&["sync", "-v", "one"]);
    for command in [
        &["status"][..],
        &["history", "one"],
        &["history", "one", "--json"],
        &["lookup", "5.6.7.8"],
        &["status", "--json"],
    ] {
        said += &run(command);
    }
    for file in site.files("") {
        said += &String::from_utf8_lossy(&fs::read(site.state().join(file)).unwrap());
    }
    assert!(said.contains("/list?...") && said.contains("no key ***"), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    assert!(run(&["print-config"]).contains("/list?key=hunter2two"));
}

/// What a server says again of what it was shown is neither kept nor told, whatever it calls it, nor where it sends on to.
#[test]
fn a_secret_said_again() {
    let hostile = Hostile::start();
    let elsewhere = Hostile::start();
    let site = Site::new();
    let secret = "S3cr3t-T0ken";
    let file = site.path("credential");
    fs::write(&file, format!("X-Api-Key: {secret}\n")).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    site.configure(&format!(
        "[list.one]\nurl = \"http://{}/list\"\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n\
         credential = {file:?}\n{}",
        hostile.address,
        Site::zone("one.example", &["one"], "")
    ));
    hostile.does(Act::Say(response(&format!("200 OK\nETag: \"{secret}\"\nLast-Modified: {secret}"), GOOD)));
    let mut told = format!("{:?}", site.sync(&["one"]).expect(0));
    elsewhere.does(Act::Say(response("200 OK", b"5.6.7.8\n")));
    let to = format!("302 X\nLocation: http://{}/get/{secret}/list", elsewhere.address);
    hostile.does(Act::Say(response(&to, b"")));
    told += &format!("{:?}", site.sync(&["one"]).expect(0));
    assert!(elsewhere.asked().concat().contains(&format!("/get/{secret}/list")));
    hostile.does(Act::Say(response(&format!("200 OK\nContent-Encoding: {secret}"), GOOD)));
    told += &format!("{:?}", site.sync(&["one"]).expect(1));
    told += &site.status().to_string();
    told += &site.on_list("history", "one", &["--json"]).expect(0).stdout;
    for name in site.files("") {
        told += &String::from_utf8_lossy(&fs::read(site.state().join(name)).unwrap());
    }
    assert!(told.contains("packed with `***`"), "{told}");
    let said = told.to_lowercase().contains(&secret.to_lowercase());
    assert!(!said && told.contains("accepted") && told.contains("/get/***/list"), "{told}");
    assert!(hostile.asked().concat().contains(secret), "it was shown");
}

/// Whoever speaks no TLS, hangs up in the middle of it or says nothing was asked all the same: the floor holds.
#[test]
fn a_server_without_tls_is_left_alone_too() {
    type Manner = fn(&mut TcpStream) -> std::io::Result<()>;
    fn hear(stream: &mut TcpStream) -> std::io::Result<()> {
        stream.read(&mut [0; 4096]).map(drop)
    }
    let manners: [(&str, Manner); 5] = [
        ("another protocol", |stream| {
            stream.write_all(b"220 mail.example.net ESMTP\r\n")?;
            hear(stream)
        }),
        ("hangs up", hear),
        // What has not been read makes the kernel reset the connection.
        ("resets", |stream| stream.peek(&mut [0; 16]).map(drop)),
        ("hangs up in the middle", |stream| {
            hear(stream)?;
            stream.write_all(b"\x16\x03\x03\0\x7a\x02")
        }),
        ("says nothing", |stream| {
            hear(stream)?;
            stream.set_read_timeout(Some(Duration::from_secs(30)))?;
            hear(stream)
        }),
    ];
    thread::scope(|scope| {
        for (name, manner) in manners {
            scope.spawn(move || shakes_no_hands(name, manner));
        }
    });
}

fn shakes_no_hands(name: &str, manner: fn(&mut TcpStream) -> std::io::Result<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let greeted = Arc::new(AtomicUsize::new(0));
    let counted = greeted.clone();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Who says nothing either was not let in for long.
            if stream.peek(&mut [0; 1]).is_ok_and(|read| read > 0) {
                counted.fetch_add(1, Ordering::Relaxed);
                let _ = manner(&mut stream);
            }
        }
    });
    let site = Site::new();
    site.configure(&format!(
        "[list.one]\nurl = \"https://{address}/list\"\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"1h\"\n"
    ));
    for _ in 0..5 {
        site.sync(&["one"]);
    }
    let reasons = site.first_list()["reasons"].to_string();
    assert_eq!(greeted.load(Ordering::Relaxed), 1, "{name}: {reasons}");
}

struct Quiet;

impl Watcher for Quiet {
    fn event(&self, _: &Event<'_>) {}
}

/// The floor: however often a sync is called, the publisher is asked once. Most calls are made in this process, each with a
/// store opened anew, some by the program itself, by the timer's way and by a person's.
#[test]
fn a_thousand_syncs_are_one_question() {
    let site = Site::new();
    site.put("one", "5.6.7.8\n");
    site.configure(
        &(Site::list("one", 1, "").replace("floor = \"0s\"", "floor = \"1h\"")
            + &Site::zone("one.example", &["one"], "")),
    );
    let asked_before = site.web.hits("/one");
    assert_eq!(asked_before, 0);
    let calls = AtomicUsize::new(0);
    let config = catalogue::configure(&site.config(), Default::default()).unwrap();
    for n in 0..1000 {
        calls.fetch_add(1, Ordering::Relaxed);
        let lists: Vec<_> = if n % 2 == 0 { vec!["one".parse().unwrap()] } else { Vec::new() };
        if n % 40 < 2 {
            let names: Vec<&str> = lists.iter().map(|_| "one").collect();
            site.sync(&names).expect(0);
            continue;
        }
        let store = Store::open(&config.state).unwrap();
        let options = sync::Options { lists, wait: true, force: false };
        let summary = sync::run(&config, &store, &options, &Quiet).unwrap();
        assert!(summary.lists.iter().all(|list| list.waits.is_some()), "{summary:?}");
    }
    assert_eq!((calls.into_inner(), site.web.hits("/one")), (1000, 1));
}

/// One question at a time to a host, whatever lists and mirrors lead there.
#[test]
fn mirrors_take_their_turn() {
    let site = Site::new();
    let gauge = Gauge::start();
    let url = |host: &str, path: &str| format!("http://{host}:{}/{path}", gauge.address.port());
    let mut text = String::new();
    for (n, hosts) in [
        ["localhost", "127.0.0.1"],
        ["127.0.0.1", "localhost"],
        ["127.0.0.1", "127.0.0.1"],
        ["localhost", "127.0.0.1"],
    ]
    .iter()
    .enumerate()
    {
        let urls = [url(hosts[0], &format!("gone{n}")), url(hosts[1], &format!("list{n}"))];
        text += &format!(
            "[list.l{n}]\nurls = {urls:?}\nformat = \"plain\"\nuse = \"block\"\nallow-private = true\nfloor = \"0s\"\n"
        );
    }
    site.configure(&text);
    let done = site.sync(&[]).expect(0).json();
    assert_eq!(done["lists"].as_array().unwrap().len(), 4, "{done:#}");
    let most = gauge.most.lock().unwrap().clone();
    assert_eq!(most.values().max(), Some(&1), "{most:?}");
    assert_eq!(gauge.questions.load(Ordering::Relaxed), 8);
}

/// A server that knows how many questions it had at a time, by the host that was asked.
struct Gauge {
    address: SocketAddr,
    most: Arc<Mutex<std::collections::BTreeMap<String, usize>>>,
    questions: Arc<AtomicUsize>,
}

impl Gauge {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let gauge =
            Self { address: listener.local_addr().unwrap(), most: Arc::default(), questions: Arc::default() };
        let (most, questions) = (gauge.most.clone(), gauge.questions.clone());
        let open: Arc<Mutex<std::collections::BTreeMap<String, usize>>> = Arc::default();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let (most, open, questions) = (most.clone(), open.clone(), questions.clone());
                thread::spawn(move || {
                    let mut question = [0; 4096];
                    let Ok(read @ 1..) = stream.read(&mut question) else { return };
                    let question = String::from_utf8_lossy(&question[..read]).to_ascii_lowercase();
                    let host = question.lines().find(|line| line.starts_with("host:")).unwrap().to_owned();
                    questions.fetch_add(1, Ordering::Relaxed);
                    let now = {
                        let mut open = open.lock().unwrap();
                        *open.entry(host.clone()).and_modify(|n| *n += 1).or_insert(1)
                    };
                    most.lock()
                        .unwrap()
                        .entry(host.clone())
                        .and_modify(|n| *n = (*n).max(now))
                        .or_insert(now);
                    // Long enough for another to come in between, if it could.
                    thread::sleep(Duration::from_millis(100));
                    *open.lock().unwrap().get_mut(&host).unwrap() -= 1;
                    let status = if question.contains("/gone") { "503 X" } else { "200 OK" };
                    let _ = stream.write_all(&response(status, GOOD));
                });
            }
        });
        gauge
    }
}

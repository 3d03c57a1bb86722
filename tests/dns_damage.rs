//! What happens to the files of a server while it has them mapped: each promise of ARCHITECTURE.md ("Damage while
//! running").
#![cfg(feature = "full")]

mod cli_support;
mod dns_support;

use std::fs::{self, File, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cli_support::{Place, until};
use dns_support::{hosts, member, query, spec, store, with_opt};
use gatepost::client::{Client, Over};
use gatepost::model::{Rtype, Use};
use gatepost::server::{Server, Settings};
use gatepost::wire::Rcode;
use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;

struct Fixture {
    state: tempfile::TempDir,
    settings: Settings,
    server: Server,
}

/// `bl.example` and `other.example`, both with 1.2.3.4, looked at again and again.
fn fixture(private_copy: bool) -> Fixture {
    let state = tempfile::tempdir().unwrap();
    let zones = ["bl.example", "other.example"].map(|origin| {
        let mut zone = spec(origin);
        zone.zone.test_points = true;
        member(&mut zone, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["1.2.3.4"]));
        zone
    });
    store::publish(state.path(), 1, &[(&zones[0], 1), (&zones[1], 1)]);
    for entry in fs::read_dir(state.path().join("snapshots")).unwrap() {
        fs::set_permissions(entry.unwrap().path(), Permissions::from_mode(0o444)).unwrap();
    }
    // The clock of a file system ticks slowly.
    std::thread::sleep(Duration::from_millis(20));
    let mut settings = store::settings(state.path(), &[&zones[0], &zones[1]]);
    settings.watch = Duration::from_millis(50);
    settings.private_copy = private_copy;
    let server = Server::start(&settings, Box::new(Default::default)).unwrap();
    Fixture { state, settings, server }
}

impl Fixture {
    fn path(&self, zone: &str) -> PathBuf {
        let files = fs::read_dir(self.state.path().join("snapshots")).unwrap();
        let mut files = files.map(|entry| entry.unwrap().path());
        files.find(|path| path.file_name().unwrap().to_string_lossy().starts_with(zone)).unwrap()
    }

    fn rcode(&self, zone: &str) -> Rcode {
        rcode(self.server.addresses()[0], zone)
    }

    /// What is said of it over UDP and TCP, alike: response code and extended error (RFC 8914).
    fn told(&self, zone: &str) -> (Rcode, Option<u16>) {
        let packet = with_opt(query(&format!("4.3.2.1.{zone}"), 1), 1232, 0, 0, &[]);
        let server = self.server.addresses()[0];
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.send_to(&packet, server).unwrap();
        let mut udp = [0; 2000];
        let len = socket.recv(&mut udp).unwrap();
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&[&(packet.len() as u16).to_be_bytes(), &packet[..]].concat()).unwrap();
        let mut tcp_len = [0; 2];
        stream.read_exact(&mut tcp_len).unwrap();
        let mut tcp = vec![0; usize::from(u16::from_be_bytes(tcp_len))];
        stream.read_exact(&mut tcp).unwrap();
        let [over_udp, over_tcp] = [&udp[..len], &tcp].map(|reply| {
            let message = Message::from_vec(reply).unwrap();
            let ede = match message.edns.as_ref().and_then(|edns| edns.option(15.into())) {
                Some(EdnsOption::Unknown(_, data)) => Some(u16::from_be_bytes([data[0], data[1]])),
                _ => None,
            };
            (Rcode(u16::from(message.response_code)), ede)
        });
        assert_eq!(over_udp, over_tcp);
        over_udp
    }

    /// Opened by somebody who may do everything.
    fn open(&self, zone: &str) -> File {
        let path = self.path(zone);
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        File::options().write(true).open(path).unwrap()
    }
}

fn rcode(server: SocketAddr, zone: &str) -> Rcode {
    Client::new(server).ask(&format!("4.3.2.1.{zone}").parse().unwrap(), Rtype::A, Over::Udp).unwrap().rcode
}

#[test]
fn what_is_overwritten_answers_servfail_until_it_is_whole_again() {
    let fixture = fixture(false);
    assert_eq!(fixture.rcode("bl.example"), Rcode::NOERROR);
    let whole = fs::read(fixture.path("bl.example")).unwrap();
    let modified = fs::metadata(fixture.path("bl.example")).unwrap().modified().unwrap();
    let mut file = fixture.open("bl.example");
    file.seek(SeekFrom::Start(whole.len() as u64 / 2)).unwrap();
    file.write_all(&[0xff; 64]).unwrap();
    // Dated back, as if nothing had happened.
    file.set_modified(modified).unwrap();
    until("the zone falls silent", || fixture.rcode("bl.example") == Rcode::SERVFAIL);
    assert_eq!(fixture.told("bl.example"), (Rcode::SERVFAIL, Some(24)), "and says that its data are invalid");
    assert_eq!(fixture.told("other.example"), (Rcode::NOERROR, None), "the others go on");
    // What the next sync does: another file under the name.
    let path = fixture.path("bl.example");
    fs::write(path.with_extension("new"), &whole).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    until("it answers again", || fixture.rcode("bl.example") == Rcode::NOERROR);
    fixture.server.stop();
}

#[test]
fn what_is_damaged_before_the_start_is_told_as_invalid_data() {
    let mut fixture = fixture(false);
    let mut file = fixture.open("bl.example");
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&[0xff; 64]).unwrap();
    let another = Server::start(&fixture.settings, Box::new(Default::default)).unwrap();
    std::mem::replace(&mut fixture.server, another).stop();
    assert_eq!(fixture.told("bl.example"), (Rcode::SERVFAIL, Some(24)));
    assert_eq!(fixture.told("other.example"), (Rcode::NOERROR, None));
    fixture.server.stop();
}

#[test]
fn what_is_overwritten_is_found_under_whatever_name_it_is_now() {
    let fixture = fixture(false);
    let path = fixture.path("bl.example");
    let mut file = fixture.open("bl.example");
    fs::rename(&path, fixture.state.path().join("elsewhere")).unwrap();
    std::thread::sleep(fixture.settings.watch * 4);
    assert_eq!(fixture.rcode("bl.example"), Rcode::NOERROR, "it is what it was");
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&[0xff; 64]).unwrap();
    until("the zone falls silent", || fixture.rcode("bl.example") == Rcode::SERVFAIL);
    assert_eq!(fixture.rcode("other.example"), Rcode::NOERROR);
    fixture.server.stop();
}

/// Another configuration's sync has been at work in the store.
#[test]
fn what_the_generation_forgot_is_watched_as_long_as_it_serves() {
    let fixture = fixture(false);
    let path = fixture.path("bl.example");
    let generation = fixture.state.path().join("generation.json");
    let mut known: serde_json::Value = serde_json::from_slice(&fs::read(&generation).unwrap()).unwrap();
    known["number"] = 2.into();
    known["zones"].as_object_mut().unwrap().remove("bl.example").unwrap();
    fs::write(generation.with_extension("new"), known.to_string()).unwrap();
    fs::rename(generation.with_extension("new"), &generation).unwrap();
    fixture.server.reload().unwrap();
    assert_eq!(fixture.rcode("bl.example"), Rcode::NOERROR);
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let mut file = File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&[0xff; 64]).unwrap();
    until("the zone falls silent", || fixture.rcode("bl.example") == Rcode::SERVFAIL);
    fixture.server.stop();
}

#[test]
fn what_is_cut_is_no_longer_read() {
    let fixture = fixture(false);
    let file = fixture.open("bl.example");
    // Nobody asks meanwhile: reading what is gone would be the end (see the supervised one below).
    file.set_len(100).unwrap();
    std::thread::sleep(fixture.settings.watch * 20);
    assert_eq!(fixture.told("bl.example"), (Rcode::SERVFAIL, Some(24)));
    assert_eq!(fixture.rcode("other.example"), Rcode::NOERROR);
    fixture.server.stop();
}

#[test]
fn what_is_deleted_replaced_or_touched_serves_on() {
    let fixture = fixture(false);
    fs::set_permissions(fixture.path("bl.example"), Permissions::from_mode(0o400)).unwrap();
    let other = fixture.path("other.example");
    fs::write(other.with_extension("new"), b"something else").unwrap();
    fs::rename(other.with_extension("new"), &other).unwrap();
    std::thread::sleep(fixture.settings.watch * 10);
    for zone in ["bl.example", "other.example"] {
        assert_eq!(fixture.rcode(zone), Rcode::NOERROR, "{zone}");
    }
    fs::remove_file(fixture.path("bl.example")).unwrap();
    std::thread::sleep(fixture.settings.watch * 10);
    assert_eq!(fixture.rcode("bl.example"), Rcode::NOERROR);
    fixture.server.stop();
}

#[test]
fn a_private_copy_cannot_be_changed() {
    let fixture = fixture(true);
    let mut file = fixture.open("bl.example");
    file.write_all(&[0; 4096]).unwrap();
    file.set_len(10).unwrap();
    std::thread::sleep(fixture.settings.watch * 10);
    assert_eq!(fixture.rcode("bl.example"), Rcode::NOERROR);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(maps.contains("memfd:gatepost-zone"), "{maps}");
    fixture.server.stop();
}

/// A list whose test points are not what they must be is no list: the old world stays.
#[test]
fn a_world_that_answers_wrongly_is_not_put_in_service() {
    let fixture = fixture(false);
    let mut wrong = spec("bl.example");
    // Says that its test points are forced, and was made by something that does not force them.
    wrong.zone.test_points = false;
    member(&mut wrong, "list", Use::Block, 5, "$ is bad", |set| hosts(set, &["127.0.0.1", "9.9.9.9"]));
    let (octets, content) = dns_support::bytes_that_claim_test_points(&wrong);
    let file = "bl.example-wrong";
    fs::write(fixture.state.path().join("snapshots").join(file), octets).unwrap();
    let entry = serde_json::json!({ "file": file, "content": content, "made_from": content, "serial": 2, "built": 0 });
    let generation =
        serde_json::json!({ "version": 1, "number": 2, "created": 0, "zones": { "bl.example": entry } });
    let path = fixture.state.path().join("generation.json");
    fs::write(path.with_extension("new"), generation.to_string()).unwrap();
    fs::rename(path.with_extension("new"), &path).unwrap();
    let refused = fixture.server.reload().unwrap_err().to_string();
    assert!(refused.contains("bl.example does not answer as it must: 127.0.0.2 is listed"), "{refused}");
    assert_eq!(fixture.rcode("bl.example"), Rcode::NOERROR, "the old world stays");
    assert_eq!(fixture.server.world().generation(), Some(1));
    fixture.server.stop();
}

/// A cut may end the process. Started again, as systemd does it, it answers at once: what is damaged SERVFAIL, all
/// else rightly.
#[test]
fn supervised_it_answers_again_after_a_cut() {
    let place = Place::new();
    place.write("list", "1.2.3.4\n").write(
        "gatepost.toml",
        "version = 1\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n\
         [list.own]\nfile = \"list\"\nformat = \"plain\"\nuse = \"block\"\n\
         [zone.\"bl.example\"]\nlists = [\"own\"]\n[zone.\"other.example\"]\nlists = [\"own\"]\n",
    );
    place.run(&["sync", "--config", "gatepost.toml"]).ended_with(0);
    let service = place.start(&["serve", "--config", "gatepost.toml"]);
    let server = service.address();
    until("data", || rcode(server, "bl.example") == Rcode::NOERROR);
    let snapshots = fs::read_dir(place.path("state/snapshots")).unwrap().map(|entry| entry.unwrap().path());
    let path = snapshots.into_iter().find(|path| path.to_string_lossy().contains("/bl.example-")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o222, 0, "nobody may write it");
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(100).unwrap();
    // Asked all the while; whether it dies or finds out first is chance.
    let mut client = Client::new(server);
    client.timeout = Duration::from_millis(200);
    let name = "4.3.2.1.bl.example".parse().unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let mut service = Some(service);
    loop {
        assert!(Instant::now() < end, "neither SERVFAIL nor an end");
        match client.ask(&name, Rtype::A, Over::Udp) {
            Ok(reply) if reply.rcode == Rcode::SERVFAIL => break,
            Ok(_) => {}
            Err(_) if cli_support::is_running(service.as_ref().unwrap().pid()) => {}
            Err(_) => {
                // The supervisor's part.
                drop(service.take());
                service = Some(place.start(&["serve", "--config", "gatepost.toml"]));
                client.server = service.as_ref().unwrap().address();
            }
        }
    }
    assert_eq!(rcode(client.server, "other.example"), Rcode::NOERROR);
    place.run(&["sync", "--config", "gatepost.toml"]);
    until("the next sync mends it", || rcode(client.server, "bl.example") == Rcode::NOERROR);
    service.unwrap().stop().ended_with(0);
}

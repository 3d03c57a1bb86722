//! `gatepost rbldnsd` as a process, and what it answers.

use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;
use nix::unistd::geteuid;

use super::{Place, Running};

/// A folder that the user may read whom a daemon started by root becomes.
pub(crate) fn place() -> Place {
    let place = Place::new();
    fs::set_permissions(place.path("."), Permissions::from_mode(0o777)).unwrap();
    place
}

/// The command with a cache of its own, as somebody who is not root.
pub(crate) fn command(place: &Place, args: &[&str]) -> Command {
    let mut command = place.command(&["rbldnsd"]);
    if geteuid().is_root() {
        command.args(["-u", "nobody"]);
    }
    command.args(args).env("GATEPOST_CACHE", place.path("cache"));
    command
}

/// In the foreground on a port of its own, and its address.
pub(crate) fn started(place: &Place, args: &[&str]) -> (Running, SocketAddr) {
    let daemon = Running::new(command(place, &[&["-n", "-b", "127.0.0.1/0"], args].concat()));
    let server = address(&daemon);
    daemon.talks("zones reloaded");
    (daemon, server)
}

pub(crate) fn address(daemon: &Running) -> SocketAddr {
    let talk = daemon.talks("listening on 127.0.0.1/");
    let digits = talk.split("listening on 127.0.0.1/").nth(1).unwrap();
    let port: String = digits.chars().take_while(char::is_ascii_digit).collect();
    format!("127.0.0.1:{port}").parse().unwrap()
}

pub(crate) fn rcode(server: SocketAddr, name: &str) -> Rcode {
    // A reply has to come; when, on a busy machine, is not what is tested.
    let client = Client { timeout: Duration::from_secs(60), ..Client::new(server) };
    client.ask(&name.parse().unwrap(), Rtype::A, Over::Udp).expect("a reply").rcode
}

pub(crate) fn is_listed(server: SocketAddr, address: &str, zone: &str) -> bool {
    let mut octets: Vec<_> = address.split('.').collect();
    octets.reverse();
    rcode(server, &format!("{}.{zone}", octets.join("."))) == Rcode::NOERROR
}

//! A system without the calls for many packets: each question is answered all the same, on one address and on all.
#![cfg(feature = "full")]

mod cli_support;
#[path = "common/loud.rs"]
mod loud;

use std::process::Command;

use cli_support::{Place, Running, own_lists, under};
use gatepost::client::{Client, Over};
use gatepost::model::Rtype;
use gatepost::wire::Rcode;

#[test]
fn without_recvmmsg_and_sendmmsg() {
    let Some(strace) = loud::installed("strace", "strace", "without_recvmmsg_and_sendmmsg") else { return };
    for (listen, addresses) in [
        ("127.0.0.1:0", &["127.0.0.1"][..]),
        ("0.0.0.0:0", &["127.0.0.1", "127.0.0.77"]),
        ("[::]:0", &["[::1]"]),
    ] {
        let place = Place::new();
        own_lists(&place, listen);
        let open = place.read("gatepost.toml").replace("[server]\n", "[server]\nopen = true\n");
        place.write("gatepost.toml", open);
        place.run(&["sync", "-c", "gatepost.toml"]).ended_with(0);
        // -D: the program is our child, not strace's, and ends with the test.
        let mut traced = Command::new(&strace);
        traced.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=recvmmsg,sendmmsg"]);
        traced.args(["-e", "inject=recvmmsg,sendmmsg:error=ENOSYS"]);
        let service = Running::new(under(traced, &place.command(&["serve", "-c", "gatepost.toml"])));
        let talk = service.talks("listening on ");
        let port = talk.lines().find_map(port).unwrap_or_else(|| panic!("{talk}"));
        for address in addresses {
            let client = Client::new(format!("{address}:{port}").parse().unwrap());
            let name = "7.2.0.192.bl.example.net".parse().unwrap();
            let reply = client
                .ask(&name, Rtype::A, Over::Udp)
                .unwrap_or_else(|error| panic!("{listen}, {address}: {error}"));
            assert_eq!(reply.rcode, Rcode::NOERROR, "{listen}, {address}");
        }
    }
}

/// Of `… listening on ADDRESS/PORT` or `ADDRESS:PORT …`.
fn port(line: &str) -> Option<u16> {
    let rest = line.split_once("listening on ")?.1;
    let word = rest.split_whitespace().next()?;
    let digits: String =
        word.chars().rev().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().ok()
}

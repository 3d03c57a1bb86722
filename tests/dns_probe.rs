//! The probe against a real server: right, wrong and silent zones.
#![cfg(feature = "full")]

mod dns_support;

use std::time::Duration;

use dns_support::{hosts, member, spec, store};
use gatepost::client::{Client, ClientError, Over, probe};
use gatepost::model::Use;
use gatepost::server::Server;

#[test]
fn test_points() {
    let state = tempfile::tempdir().unwrap();
    let mut right = spec("right.example");
    right.zone.combined = true;
    member(&mut right, "list", Use::Block, 9, "$", |set| hosts(set, &["1.2.3.4"]));
    // An own list served as written, which lists the world's own address and has no text.
    let mut wrong = spec("wrong.example");
    wrong.zone.test_points = false;
    member(&mut wrong, "list", Use::Block, 9, "", |set| hosts(set, &["127.0.0.1", "127.0.0.2"]));
    let waiting = spec("waiting.example");
    store::publish(state.path(), 1, &[(&right, 1), (&wrong, 1)]);
    let server = Server::start(
        &store::settings(state.path(), &[&right, &wrong, &waiting]),
        Box::new(Default::default),
    )
    .unwrap();
    let client = Client { server: server.addresses()[0], timeout: Duration::from_secs(10) };
    for over in [Over::Udp, Over::Tcp] {
        let report = probe(&client, &right.zone.origin, over).unwrap();
        assert!(report.is_right(), "{report:?}");
        assert_eq!(report.checks.len(), 4);
        let wrong_ones = |origin| -> Vec<_> {
            let report = probe(&client, origin, over).unwrap();
            assert!(!report.is_right());
            report.checks.into_iter().filter_map(|check| check.wrong).collect()
        };
        assert_eq!(
            wrong_ones(&wrong.zone.origin),
            ["NOERROR, 127.0.0.9", "NOERROR, no records", "NOERROR, 127.0.0.9"]
        );
        assert_eq!(wrong_ones(&waiting.zone.origin), ["SERVFAIL, no records, without authority"; 4]);
        assert_eq!(
            wrong_ones(&dns_support::name("other.example")),
            ["REFUSED, no records, without authority"; 4]
        );
    }
    server.stop();
    let client = Client { timeout: Duration::from_millis(50), ..client };
    assert!(matches!(
        probe(&client, &right.zone.origin, Over::Udp),
        Err(ClientError::Timeout(_) | ClientError::Io { .. })
    ));
}

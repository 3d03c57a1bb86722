//! How to try what is served: a question that works now, a client that is rejected.

use std::net::{Ipv4Addr, SocketAddr};

use crate::client::reachable;
use crate::config::ZoneConfig;
use crate::model::Name;

/// A question for the test address of `zone`, and what it answers.
pub(crate) fn dig(zone: &Name, listen: SocketAddr) -> String {
    let server = reachable(listen);
    format!("dig @{} -p {} +short 2.0.0.127.{zone} A", server.ip(), server.port())
}

/// A client that the restrictions reject: in a zone of several lists 127.0.0.V is listed with the code 127.0.0.V.
/// Not 127.0.0.2, whose answer is no list's.
pub(crate) fn test_client(zone: &ZoneConfig) -> Option<Ipv4Addr> {
    let mut codes = zone.members.iter().map(|member| member.code.address());
    codes.find(|code| zone.members.len() > 1 && code.octets().starts_with(&[127, 0, 0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_go_where_the_server_can_be_reached() {
        let zone = "block.gatepost.internal".parse().unwrap();
        assert_eq!(
            dig(&zone, "0.0.0.0:5354".parse().unwrap()),
            "dig @127.0.0.1 -p 5354 +short 2.0.0.127.block.gatepost.internal A"
        );
        assert!(dig(&zone, "[::1]:53".parse().unwrap()).starts_with("dig @::1 -p 53 "));
    }
}

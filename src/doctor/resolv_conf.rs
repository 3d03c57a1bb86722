//! What the C library asks: `/etc/resolv.conf`, as resolv.conf(5) has it. Pure.

use std::net::{IpAddr, Ipv4Addr};

/// More than these it does not ask.
const SERVERS: usize = 3;

/// A server: its address, and of a link-local one the interface.
pub(crate) type Server = (IpAddr, Option<String>);

/// The servers in the order in which they are asked. With none it asks the one on this machine.
pub(crate) fn servers(text: &str) -> Vec<Server> {
    let servers = text.lines().filter_map(|line| {
        // The word must begin the line.
        let rest = line.strip_prefix("nameserver").filter(|rest| rest.starts_with([' ', '\t']))?;
        let word = rest.split_whitespace().next()?;
        match word.split_once('%') {
            Some((address, interface)) => Some((address.parse().ok()?, Some(interface.to_owned()))),
            None => Some((word.parse().ok()?, None)),
        }
    });
    let servers: Vec<Server> = servers.take(SERVERS).collect();
    if servers.is_empty() { vec![(Ipv4Addr::LOCALHOST.into(), None)] } else { servers }
}

/// Whether it asks each of them in turn first.
pub(crate) fn rotates(text: &str) -> bool {
    let options = text.lines().filter_map(|line| line.strip_prefix("options"));
    options.flat_map(str::split_whitespace).any(|option| option == "rotate")
}

/// Whether `/etc/nsswitch.conf` has the C library ask DNS for hosts; without a line it does.
pub(crate) fn asks_dns(nsswitch: &str) -> bool {
    let hosts = nsswitch.lines().find_map(|line| line.trim_start().strip_prefix("hosts:"));
    hosts.is_none_or(|hosts| hosts.split_whitespace().any(|word| matches!(word, "dns" | "resolve")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_c_library_reads_it() {
        let text = "# nameserver 192.0.2.1\nsearch example\n nameserver 192.0.2.9\nnameserver 127.0.0.1\nnameserver\t::1\n\
                    nameserver nonsense\nnameserver fe80::1%eth0\nnameserver 192.0.2.4\noptions edns0\n";
        let local: Server = (IpAddr::from([127, 0, 0, 1]), None);
        let scoped: Server = ("fe80::1".parse().unwrap(), Some("eth0".to_owned()));
        assert_eq!(servers(text), [local.clone(), ("::1".parse().unwrap(), None), scoped]);
        assert_eq!(servers("search example\n"), [local]);
    }

    #[test]
    fn whom_it_asks_first() {
        assert!(rotates("nameserver ::1\noptions edns0 rotate\n"));
        assert!(!rotates("# options rotate\nsearch rotate\noptions edns0\n") && !rotates(""));
    }

    #[test]
    fn where_names_are_looked_for() {
        assert!(
            asks_dns("")
                && asks_dns("hosts: files dns\n")
                && asks_dns("hosts:\tfiles resolve [!UNAVAIL=return]")
        );
        assert!(!asks_dns("passwd: files\nhosts: files myhostname\n"));
    }
}

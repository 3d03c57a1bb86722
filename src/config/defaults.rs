//! Every default, named and explained. `deploy/gatepost.toml` shows them all; a test holds the two together.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

// What a list must look like is the guard's to say.
pub use crate::guard::entries::{
    COMPARE_ABOVE, MAX_BAD_SHARE, MAX_CANARIES, MAX_COVERAGE_V4, MAX_GONE, MAX_GROWTH, MAX_SHRINK,
    MIN_ENTRIES, SHORTEST_V4, SHORTEST_V6,
};

use super::{HttpPath, ShownClients};
use crate::model::{Name, Ns, Soa};

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const MIB: u64 = 1 << 20;

/// State folder of a service. (`gatepost up` picks one that a person may write to.)
pub const STATE: &str = "/var/lib/gatepost";

/// Loopback alone: a DNSBL mirror is for the machines beside it, and 53 is the resolver's.
pub const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 5354);

/// Where questions over HTTPS go, as in the examples of RFC 8484.
pub fn doh_path() -> HttpPath {
    "/dns-query".parse().expect("a path")
}

/// Connections at a time over TCP, TLS and HTTPS, all clients together.
pub const TCP_CONNECTIONS: u32 = 200;

/// Connections at a time from one client: an IPv4 address, an IPv6 /64.
pub const TCP_CONNECTIONS_PER_CLIENT: u32 = 20;

/// A connection without a question for so long is closed (RFC 7766 section 6.2.3 asks for a few seconds).
pub const TCP_IDLE: Duration = Duration::from_secs(10);

/// What the hit log shows of clients: it is there to find the machine that asks.
pub const HIT_LOG_CLIENTS: ShownClients = ShownClients::Whole;

/// Replies a second over UDP to each network that is not exempt: far above what one resolver asks.
pub const RATE_LIMIT: u32 = 1000;

/// Of what is above the limit every so manieth gets an empty reply with TC: a real client asks again over TCP.
pub const RATE_LIMIT_SLIP: u8 = 2;

/// Networks without a limit: no stranger's replies are sent there (RFC 1918, RFC 4193, RFC 4291 section 2.5.6).
pub const RATE_LIMIT_EXEMPT: [&str; 5] =
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"];

/// How often `up` looks whether a feed is due. What is really fetched is decided by each feed's floor.
pub const UP_TIMER: Duration = Duration::from_secs(15 * 60);

/// How long earlier versions of a list are kept for a rollback. Three are kept whatever their age.
pub const KEEP: Duration = Duration::from_secs(7 * DAY);

/// What the earlier versions of one list may take on disk, beyond the three that are always kept.
pub const KEEP_SIZE: u64 = 256 * MIB;

/// How long is kept how a list changed: since when an entry is there, and when it came and went.
pub const KEEP_HISTORY: Duration = Duration::from_secs(90 * DAY);

/// What that may take on disk for one list. A list of 150,000 addresses takes 15 to 50 kB a day.
pub const KEEP_HISTORY_SIZE: u64 = 64 * MIB;

/// A feed not confirmed for so long is reported.
pub const SOFT_AGE: Duration = Duration::from_secs(36 * HOUR);

/// A feed not confirmed for so long stops listing (allow lists go on).
pub const HARD_AGE: Duration = Duration::from_secs(7 * DAY);

/// A feed that is confirmed again and again but has not changed for so long is reported: a dead feed can answer
/// "not modified" for ever.
pub const UNCHANGED_AGE: Duration = Duration::from_secs(30 * DAY);

/// Least time between two fetches of a feed whose publisher asks for nothing else.
pub const FLOOR: Duration = Duration::from_secs(HOUR);

/// Largest body of a feed as transferred. Decoded it may be [`DECODED_FACTOR`] times that.
pub const MAX_SIZE: u64 = 64 * MIB;

/// Largest own file. It is the operator's, so this only catches a mistake such as a device or a log.
pub const MAX_FILE_SIZE: u64 = 4096 * MIB;

/// Decoded size may be so many times the transferred limit: 256 MiB at the defaults.
pub const DECODED_FACTOR: u64 = 4;

/// TTL of answers whose data brings none.
pub const TTL: Duration = Duration::from_secs(300);

/// TTL of "not listed" (RFC 2308): how long a new listing may go unseen.
pub const NEGATIVE_TTL: Duration = Duration::from_secs(60);

/// TTL of a zone's SOA and NS records.
pub const SOA_TTL: Duration = Duration::from_secs(HOUR);

/// SOA refresh. Nobody transfers these zones; the value is for tools that look at it.
pub const SOA_REFRESH: Duration = Duration::from_secs(HOUR);

/// SOA retry.
pub const SOA_RETRY: Duration = Duration::from_secs(600);

/// SOA expire.
pub const SOA_EXPIRE: Duration = Duration::from_secs(7 * DAY);

/// Mailbox in a SOA that names none: says plainly that there is none (RFC 6303 section 3 does the same).
pub const SOA_RNAME: &str = "nobody.invalid";

/// The SOA record of a zone about which nothing is said.
pub fn soa(origin: &Name) -> Soa {
    Soa {
        ttl: seconds(SOA_TTL),
        mname: origin.clone(),
        rname: SOA_RNAME.parse().expect("a name"),
        serial: None,
        refresh: seconds(SOA_REFRESH),
        retry: seconds(SOA_RETRY),
        expire: seconds(SOA_EXPIRE),
        minimum: seconds(NEGATIVE_TTL),
    }
}

/// The NS records of such a zone: itself.
pub fn ns(origin: &Name) -> Ns {
    Ns { ttl: seconds(SOA_TTL), hosts: vec![origin.clone()] }
}

fn seconds(duration: Duration) -> u32 {
    duration.as_secs() as u32
}

/// Suffix of the zones of `gatepost up`.
///
/// `internal` was set aside for private use by ICANN in 2024 and will never be delegated. Unlike `test`, `local`,
/// `localhost`, `invalid`, `onion` and `home.arpa` it is in no resolver's built-in list of names to refuse: not in
/// unbound's default local zones, not in BIND's empty zones; systemd-resolved has it among its built-in negative
/// trust anchors, so that it does not even need DNSSEC to be told.
pub const UP_SUFFIX: &str = "gatepost.internal";

/// Label of the combined zone of `gatepost up`, and so no name for a list there.
pub const UP_COMBINED: &str = "block";

/// Name of the embedded list of special-purpose addresses.
pub const BOGONS: &str = "bogons";

/// What `{name}` in a text stands for is filled in once, from the list's name.
pub const TEXT: &str = "$ is listed in {name}";

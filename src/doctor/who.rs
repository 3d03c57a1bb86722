//! Which program a resolver is: by what it says of itself, or by what runs here.

use std::fs::{self, DirEntry};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::{SysconfVar, sysconf};

use super::child::said;
use crate::snippet::Program;

/// The names of resolvers' processes, cut as the kernel cuts them.
const PROCESSES: [(&str, Program); 8] = [
    ("unbound", Program::Unbound),
    ("named", Program::Bind),
    ("dnsmasq", Program::Dnsmasq),
    ("pdns_recursor", Program::PdnsRecursor),
    ("pdns-r/worker", Program::PdnsRecursor),
    ("dnsdist", Program::Dnsdist),
    ("kresd", Program::KnotResolver),
    ("systemd-resolve", Program::SystemdResolved),
];

/// The resolver that says `version` of itself (version.bind CH TXT).
pub(crate) fn by_version(version: &str) -> Option<Program> {
    let version = version.to_ascii_lowercase();
    let starts = |word: &str| version.starts_with(word);
    Some(match () {
        () if starts("unbound") => Program::Unbound,
        () if starts("dnsmasq") => Program::Dnsmasq,
        () if starts("powerdns recursor") => Program::PdnsRecursor,
        () if starts("dnsdist") => Program::Dnsdist,
        () if starts("knot resolver") => Program::KnotResolver,
        () if starts("bind") || starts("9.") => Program::Bind,
        () => return None,
    })
}

/// systemd-resolved's own addresses are nobody else's.
pub(crate) fn by_address(address: IpAddr) -> Option<Program> {
    let stub = [IpAddr::from([127, 0, 0, 53]), IpAddr::from([127, 0, 0, 54])];
    stub.contains(&address).then_some(Program::SystemdResolved)
}

/// The resolver that runs on this machine, if it is one alone.
pub(crate) fn by_processes(names: &[String]) -> Option<Program> {
    let mut running = names.iter().filter_map(|name| PROCESSES.iter().find(|(known, _)| known == name));
    let (_, first) = running.next()?;
    running.all(|(_, other)| other == first).then_some(*first)
}

/// What keeps unbound from asking, as its configuration has it: nothing where nobody can say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UnboundAsks {
    /// `do-ip6`
    pub(crate) ipv6: Option<bool>,
    /// The contrary of `do-not-query-localhost`
    pub(crate) localhost: Option<bool>,
}

impl UnboundAsks {
    /// What the unbound that runs here has.
    pub(crate) fn here() -> Self {
        let says = |setting: &str| match unbound_has(setting)?.as_str() {
            "yes" => Some(true),
            "no" => Some(false),
            _ => None,
        };
        Self { ipv6: says("do-ip6"), localhost: says("do-not-query-localhost").map(|does_not| !does_not) }
    }
}

/// The `do-not-query-address` of the unbound that runs here that has `address`.
pub(crate) fn unbound_asks_nobody_in(address: IpAddr) -> Option<String> {
    let text = unbound_has("do-not-query-address")?;
    text.lines().map(str::trim).find(|block| has(block, address)).map(str::to_owned)
}

/// Whether a block, `127.0.0.0/8` or an address, has `address`.
pub(crate) fn has(block: &str, address: IpAddr) -> bool {
    let (start, length) = block.split_once('/').unwrap_or((block, "128"));
    let (Ok(start), Ok(length)) = (start.parse::<IpAddr>(), length.parse::<u32>()) else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let ((one, all), (other, of_other)) = (bits(start), bits(address));
    let shift = 128 - length.min(all);
    all == of_other && (shift == 128 || one >> shift == other >> shift)
}

/// Whether the unbound that runs here speaks TLS to everybody whom it asks.
pub(crate) fn unbound_speaks_tls() -> bool {
    unbound_has("tls-upstream").is_some_and(|value| value == "yes")
}

/// What the unbound that runs here has for a setting: nothing where nobody can say.
pub(crate) fn unbound_has(setting: &str) -> Option<String> {
    let file = configuration_of("unbound")?;
    let mut arguments = vec!["-o", setting];
    arguments.extend(file.as_deref());
    let programs = ["unbound-checkconf", "/usr/sbin/unbound-checkconf"];
    let (well, text) = programs.iter().find_map(|program| said(program, &arguments))?;
    well.then(|| text.trim().to_owned())
}

/// What the program that runs here, and sees the same files, was started with: `Some(None)` when it was told of no file (`-c`).
pub(crate) fn configuration_of(program: &str) -> Option<Option<String>> {
    let words = arguments_of(program)?;
    let mut words = words.iter();
    let file = words.find_map(|word| word.strip_prefix("-c").map(str::to_owned));
    let file =
        file.map(|file| if file.is_empty() { words.next().cloned().unwrap_or_default() } else { file });
    match file {
        Some(file) if !file.starts_with('/') => None,
        file => Some(file),
    }
}

/// What the program that runs here, and sees the same files, was started with.
pub(crate) fn arguments_of(program: &str) -> Option<Vec<String>> {
    let files = |folder: &Path| fs::read_link(folder.join("ns/mnt")).ok();
    let own = files(Path::new("/proc/self"));
    let mut processes = here().filter(|path| name(path).as_deref() == Some(program) && files(path) == own);
    let words = fs::read_to_string(processes.next()?.join("cmdline")).ok()?;
    Some(words_of(&words))
}

/// What all programs of these names that run here were started with, as far as they may see the same files.
pub(super) fn commands_of(names: &[&str]) -> Vec<Vec<String>> {
    let files = |folder: &Path| fs::read_link(folder.join("ns/mnt")).ok();
    let own = files(Path::new("/proc/self"));
    let is_one = |path: &PathBuf| {
        name(path).is_some_and(|name| names.contains(&name.as_str()))
            && files(path).is_none_or(|its| Some(its) == own)
    };
    let commands = here().filter(is_one).filter_map(|path| fs::read_to_string(path.join("cmdline")).ok());
    commands.map(|command| words_of(&command)).collect()
}

/// When the programs of these names were started that run here and see the same files, the oldest first.
pub(super) fn starts(names: &[&str]) -> Vec<SystemTime> {
    let Some(at) = started() else { return Vec::new() };
    let files = |folder: &Path| fs::read_link(folder.join("ns/mnt")).ok();
    let own = files(Path::new("/proc/self"));
    let is_one =
        |path: &PathBuf| name(path).is_some_and(|name| names.contains(&name.as_str())) && files(path) == own;
    let mut starts: Vec<SystemTime> = here().filter(is_one).filter_map(|path| at(&path)).collect();
    starts.sort_unstable();
    starts
}

/// Tells of a process's folder when it was started.
fn started() -> Option<impl Fn(&Path) -> Option<SystemTime>> {
    let ticks = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let up = fs::read_to_string("/proc/uptime").ok()?;
    let up: f64 = up.split_whitespace().next()?.parse().ok()?;
    let booted = SystemTime::now() - Duration::from_secs_f64(up);
    Some(move |path: &Path| {
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        // Behind the name, which may have anything in it (proc(5), field 22).
        let since_boot: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
        Some(booted + Duration::from_millis(since_boot * 1000 / ticks))
    })
}

fn words_of(command: &str) -> Vec<String> {
    command.split('\0').skip(1).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// The names of the other processes in this network that can be seen: those of containers have one of their own.
pub(crate) fn processes() -> Vec<String> {
    here().filter_map(|path| name(&path)).collect()
}

/// Whose the processes of this name are.
pub(crate) fn owners_of(program: &str) -> Vec<u32> {
    let processes = here().filter(|path| name(path).as_deref() == Some(program));
    processes.filter_map(|path| Some(fs::metadata(path).ok()?.uid())).collect()
}

fn name(process: &Path) -> Option<String> {
    Some(fs::read_to_string(process.join("comm")).ok()?.trim_end().to_owned())
}

/// Their folders.
fn here() -> impl Iterator<Item = PathBuf> {
    let network = |folder: &Path| fs::read_link(folder.join("ns/net"));
    let own = network(Path::new("/proc/self")).ok();
    let is_other = |folder: &DirEntry| {
        let pid = folder.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        pid.is_some_and(|pid| pid != std::process::id())
    };
    let paths =
        fs::read_dir("/proc").into_iter().flatten().flatten().filter(is_other).map(|folder| folder.path());
    // Whose network may not be seen may be in this one; who has ended has none.
    paths.filter(move |path| match network(path) {
        Ok(network) => own.as_ref().is_none_or(|own| *own == network),
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    })
}

/// Whether `address` is one of this machine's.
pub(crate) fn is_here(address: IpAddr) -> bool {
    address.is_loopback() || own_addresses().contains(&address)
}

/// The addresses of all interfaces.
pub(crate) fn own_addresses() -> Vec<IpAddr> {
    let interfaces = nix::ifaddrs::getifaddrs().into_iter().flatten();
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::from(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::from(v6.ip())))
    });
    addresses.collect()
}

/// Where another machine finds what listens at this address: at the one that packets to it leave from, or else the first of this machine's.
pub(crate) fn as_seen(at: SocketAddr, by: IpAddr) -> Option<SocketAddr> {
    if !at.ip().is_unspecified() {
        return Some(at);
    }
    if let Some(ip) = towards(by).filter(|ip| at.is_ipv6() || ip.is_ipv4()) {
        return Some(SocketAddr::new(ip, at.port()));
    }
    let is_link_local = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let is_of_it = |ip: &IpAddr| at.is_ipv6() || ip.is_ipv4();
    let mut own = own_addresses().into_iter();
    let ip = own.find(|ip| !ip.is_loopback() && !is_link_local(ip) && is_of_it(ip))?;
    Some(SocketAddr::new(ip, at.port()))
}

/// The address of this machine that packets to another one leave from. Sends none.
fn towards(other: IpAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if other.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((other, 53)).ok()?;
    socket.local_addr().ok().map(|at| at.ip())
}

/// Whether this system was started by systemd.
pub(crate) fn has_systemd() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolvers_say_what_they_are() {
        for (version, program) in [
            ("unbound 1.17.1", Some(Program::Unbound)),
            ("9.18.49-1~deb12u3-Debian", Some(Program::Bind)),
            ("dnsmasq-2.90", Some(Program::Dnsmasq)),
            ("PowerDNS Recursor 4.8.8", Some(Program::PdnsRecursor)),
            ("none of your business", None),
        ] {
            assert_eq!(by_version(version), program, "{version}");
        }
        assert_eq!(by_address(IpAddr::from([127, 0, 0, 53])), Some(Program::SystemdResolved));
        assert_eq!(by_address(IpAddr::from([127, 0, 0, 1])), None);
    }

    #[test]
    fn a_block_has_an_address() {
        let has = |block, address: &str| has(block, address.parse().unwrap());
        for block in ["127.0.0.0/8", "127.0.0.7", "127.0.0.7/32", "0.0.0.0/0"] {
            assert!(has(block, "127.0.0.7") && !has(block, "::1"), "{block}");
        }
        assert!(has("::1", "::1") && has("::/0", "::1") && !has("127.0.0.0/30", "127.0.0.7"));
        assert!(!has("", "127.0.0.1"));
    }

    #[test]
    fn when_a_program_was_started() {
        let before = SystemTime::now();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = *starts(&["sleep"]).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // Others of that name may run.
        assert!(started + Duration::from_secs(2) > before, "{:?}", before.duration_since(started));
        assert!(started < SystemTime::now() + Duration::from_secs(2));
        assert!(starts(&["no such program"]).is_empty());
    }

    #[test]
    fn one_that_runs_alone_is_meant() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(by_processes(&names(&["sh", "unbound", "sshd"])), Some(Program::Unbound));
        let recursor = names(&["pdns_recursor", "pdns-r/worker"]);
        assert_eq!(by_processes(&recursor), Some(Program::PdnsRecursor));
        assert_eq!(by_processes(&names(&["unbound", "systemd-resolve"])), None);
        assert_eq!(by_processes(&names(&["sh"])), None);
    }
}

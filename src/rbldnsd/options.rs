//! The command line, understood.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Name, Ttl};
use crate::parse::{self, Format};

/// Where questions come unless another port is named.
const DNS_PORT: u16 = 53;

/// Everything that options and zones say. The letter of each option stands beside it.
#[derive(Debug, Clone)]
pub struct Options {
    /// `-b`: `host[/port]`, as typed.
    pub bind: Vec<String>,
    /// `-4`, `-6`.
    pub family: Family,
    /// `-u user[:group]`.
    pub user: Option<String>,
    /// `-r`: the root folder from then on.
    pub root: Option<PathBuf>,
    /// `-w`: the working folder, inside the root.
    pub workdir: Option<PathBuf>,
    /// `-p`.
    pub pid_file: Option<PathBuf>,
    /// `-n`.
    pub foreground: bool,
    /// `-q`: answers before the data are there; that they cannot be loaded is no reason to stop.
    pub quick: bool,
    /// `-t`.
    pub ttls: Ttls,
    /// `-c`; `None` = never.
    pub check: Option<Duration>,
    /// `-e`: host bits in a CIDR are masked instead of refused.
    pub host_bits: bool,
    /// Not `-C`: gzip files are unpacked.
    pub gzip: bool,
    /// What `version.bind` is told; `None` after two `-v`.
    pub version: Option<String>,
    /// `-l`.
    pub query_log: Option<Target>,
    /// `-s`.
    pub statistics: Option<Target>,
    /// `-F`: the facility of syslog(3).
    pub facility: String,
    /// Where compiled zones are kept.
    pub cache: Option<PathBuf>,
    /// What is served.
    pub specs: Specs,
}

/// All `zone:type:file,file…` of a command line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Specs {
    /// The data sets, each once.
    pub data_sets: Vec<DataSet>,
    /// The zones, in the order in which they are first named, each before those that it lies in.
    pub zones: Vec<ZoneSpec>,
    /// The access list of the server: an index into the data sets.
    pub access: Option<usize>,
}

/// Which addresses a host name of `-b` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// All.
    #[default]
    Any,
    /// `-4`.
    V4,
    /// `-6`.
    V6,
}

/// `-t def:min:max`, in seconds; 0 = no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ttls {
    /// Of answers whose data bring none.
    pub default: Ttl,
    /// What files say is raised to this.
    pub min: Ttl,
    /// What files say is lowered to this.
    pub max: Ttl,
}

/// A file with a sign before its name: `[+]file`, `[+]-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `+`.
    pub plus: bool,
    /// The file; `-` is stdout where that makes sense.
    pub path: PathBuf,
}

/// A data set: a type and its files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DataSet {
    /// Its type.
    pub kind: DataSetKind,
    /// Its files, read one after another.
    pub files: Vec<PathBuf>,
}

/// The type of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DataSetKind {
    /// Entries.
    List(Format),
    /// Who is answered.
    Acl,
}

/// A zone and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSpec {
    /// Its origin.
    pub origin: Name,
    /// Its lists, in the order of the command line: indices into the data sets.
    pub lists: Vec<usize>,
    /// Its access list.
    pub access: Option<usize>,
}

/// What is wrong with the command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(String);

impl Mistake {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }
}

impl Default for Ttls {
    fn default() -> Self {
        Self { default: 2100, min: 0, max: 0 }
    }
}

impl std::str::FromStr for Ttls {
    type Err = Mistake;

    /// `def[:min[:max]]`; any of them may be left out.
    fn from_str(text: &str) -> Result<Self, Mistake> {
        let mut ttls = Self::default();
        if text.is_empty() {
            return Err(Mistake("no time is named: write def:min:max, such as 35m".to_owned()));
        }
        let parts: Vec<&str> = text.strip_suffix(':').unwrap_or(text).split(':').collect();
        if parts.len() > 3 {
            return Err(Mistake(format!("`{text}` is not def:min:max")));
        }
        for (part, slot) in parts.iter().zip([&mut ttls.default, &mut ttls.min, &mut ttls.max]) {
            if !part.is_empty() {
                *slot = parse::seconds(part.as_bytes().trim_ascii_end())
                    .ok_or_else(|| Mistake(format!("`{part}` is no time, such as 35m")))?;
            }
        }
        let Self { default, min, max } = ttls;
        if default == 0 || (min > 0 && default < min) || (max > 0 && default > max) || (max > 0 && min > max)
        {
            return Err(Mistake(format!("inconsistent def:min:max ttl: {default}:{min}:{max}")));
        }
        Ok(ttls)
    }
}

impl Target {
    /// `None` where no file is named, which scripts say of a log that is not wanted (`-l "$LOG"`).
    pub fn named(text: &str) -> Option<Self> {
        let (plus, path) = match text.strip_prefix('+') {
            Some(path) => (true, path),
            None => (false, text),
        };
        (!path.is_empty()).then(|| Self { plus, path: path.into() })
    }
}

impl fmt::Display for DataSet {
    /// `type:file,file`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        for (file, sign) in self.files.iter().zip(std::iter::once(':').chain(std::iter::repeat(','))) {
            write!(f, "{sign}{}", file.display())?;
        }
        Ok(())
    }
}

impl DataSetKind {
    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Acl => "acl",
            Self::List(format) => format.name().strip_prefix("rbldnsd:").unwrap_or_else(|| format.name()),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if text == "acl" {
            return Some(Self::Acl);
        }
        format!("rbldnsd:{text}").parse().ok().map(Self::List)
    }
}

impl Options {
    /// The addresses of all `-b`, each once.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, Mistake> {
        let mut addresses = Vec::new();
        for typed in &self.bind {
            let (host, port) = match typed.split_once('/') {
                Some((host, port)) => (host, port_of(port)?),
                None => (typed.as_str(), DNS_PORT),
            };
            let wanted = |at: &SocketAddr| match self.family {
                Family::Any => true,
                Family::V4 => at.is_ipv4(),
                Family::V6 => at.is_ipv6(),
            };
            let found =
                (host, port).to_socket_addrs().map_err(|error| Mistake(format!("{host}: {error}")))?;
            let found: Vec<_> = found.filter(wanted).collect();
            if found.is_empty() {
                return Err(Mistake(format!("{host}: no address of the family that was asked for")));
            }
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        Ok(addresses)
    }
}

/// A number, or a name of /etc/services; nothing is DNS's own.
fn port_of(text: &str) -> Result<u16, Mistake> {
    if text.is_empty() {
        return Ok(DNS_PORT);
    }
    if let Ok(port) = text.parse() {
        return Ok(port);
    }
    let services = std::fs::read_to_string("/etc/services").unwrap_or_default();
    let known = services.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, port) = (words.next()?, words.next()?);
        let is_it = name == text || words.any(|alias| alias == text);
        port.strip_suffix("/udp").filter(|_| is_it)?.parse().ok()
    });
    known.ok_or_else(|| Mistake(format!("{text}: no such port or service")))
}

/// Where no zone is named; nobody can mean the root.
fn is_root(origin: &str) -> bool {
    origin.bytes().all(|octet| octet == b'.')
}

impl Specs {
    /// Reads them in their order; what is named twice is one.
    pub fn parse(typed: &[String]) -> Result<Self, Mistake> {
        let mut specs = Self::default();
        let mut known = HashMap::new();
        typed.iter().try_for_each(|spec| specs.add(spec, &mut known))?;
        if let Some(zone) = specs.zones.iter().find(|zone| zone.lists.is_empty()) {
            let origin = &zone.origin;
            return Err(Mistake(format!("missing data for zone `{origin}`: an access list alone is none")));
        }
        if specs.zones.is_empty() {
            return Err(Mistake("no zone(s) to service specified (-h for help)".to_owned()));
        }
        Ok(specs)
    }

    /// The access lists, each once: indices into the data sets.
    pub fn access_lists(&self) -> BTreeSet<usize> {
        self.zones.iter().filter_map(|zone| zone.access).chain(self.access).collect()
    }

    /// `known`: where each data set is. Comparing paths is too slow to look at all of thousands.
    fn add(&mut self, spec: &str, known: &mut HashMap<DataSet, usize>) -> Result<(), Mistake> {
        let mut parts = spec.splitn(3, ':');
        let (Some(origin), Some(kind), Some(files)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Mistake(format!("invalid zone spec `{spec}`: write zone:type:file,file…")));
        };
        let kind = DataSetKind::parse(kind).ok_or_else(|| {
            let types = Format::ALL.into_iter().filter(|format| format.is_rbldnsd());
            let known: Vec<_> = types.map(|format| DataSetKind::List(format).name()).chain(["acl"]).collect();
            Mistake(format!("unknown dataset type `{kind}` in `{spec}`; known are: {}", known.join(", ")))
        })?;
        // As there, both signs part names, and what is empty between two of them is none.
        let files = files.split([',', ':']).filter(|file| !file.is_empty());
        let files: Vec<PathBuf> = files.map(PathBuf::from).collect();
        if files.is_empty() {
            return Err(Mistake(format!("missing filenames in `{spec}`")));
        }
        let index = *known.entry(DataSet { kind, files }).or_insert_with_key(|data_set| {
            self.data_sets.push(data_set.clone());
            self.data_sets.len() - 1
        });
        if is_root(origin) {
            return match (kind, self.access) {
                (DataSetKind::Acl, None) => {
                    self.access = Some(index);
                    Ok(())
                }
                (DataSetKind::Acl, Some(_)) => Err(Mistake("the server has two access lists".to_owned())),
                (DataSetKind::List(_), _) => Err(Mistake(format!(
                    "missing domain name in `{spec}`: a list cannot be served as the root zone"
                ))),
            };
        }
        let origin: Name = origin.parse().map_err(|error| Mistake(format!("`{spec}`: {error}")))?;
        let zone = self.zone(&origin);
        match kind {
            DataSetKind::Acl if zone.access.is_some() => {
                return Err(Mistake(format!("zone {origin} has two access lists")));
            }
            DataSetKind::Acl => zone.access = Some(index),
            DataSetKind::List(_) if zone.lists.contains(&index) => {}
            DataSetKind::List(_) => zone.lists.push(index),
        }
        Ok(())
    }

    fn zone(&mut self, origin: &Name) -> &mut ZoneSpec {
        let known = self.zones.iter().position(|zone| zone.origin == *origin);
        let at = known.unwrap_or_else(|| {
            // Before the first zone that it lies in, which is the order of statistics there as well.
            let at = self.zones.iter().position(|zone| origin.is_in(&zone.origin));
            let at = at.unwrap_or(self.zones.len());
            self.zones.insert(at, ZoneSpec { origin: origin.clone(), lists: Vec::new(), access: None });
            at
        });
        &mut self.zones[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(specs: &[&str]) -> Result<Specs, Mistake> {
        Specs::parse(&specs.iter().map(|&spec| spec.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn data_sets_are_shared_and_zones_add_up() {
        let Specs { data_sets, zones, access } = parsed(&[
            "a.example:ip4set:one,two",
            "b.example:ip4set:one,two",
            "A.example:dnset:names:odd",
            ":acl:clients",
            "b.example:acl:clients",
        ])
        .unwrap();
        let shown: Vec<_> = data_sets.iter().map(DataSet::to_string).collect();
        assert_eq!(shown, ["ip4set:one,two", "dnset:names,odd", "acl:clients"]);
        assert_eq!((zones.len(), &zones[0].lists, &zones[1].lists), (2, &vec![0, 1], &vec![0]));
        assert_eq!((access, zones[0].access, zones[1].access), (Some(2), None, Some(2)));
    }

    #[test]
    fn what_is_empty_among_files_is_none() {
        for spec in ["a.example:ip4set:x,y", "a.example:ip4set:,x,,y,", "a.example:ip4set::x:y:"] {
            let specs = parsed(&["b.example:ip4set:x,y", spec]).unwrap();
            assert_eq!(specs.data_sets.len(), 1, "{spec}: {specs:?}");
        }
    }

    #[test]
    fn a_target_without_a_file_is_none() {
        assert_eq!((Target::named(""), Target::named("+")), (None, None));
        assert_eq!(Target::named("+-"), Some(Target { plus: true, path: "-".into() }));
        assert_eq!(Target::named("a+"), Some(Target { plus: false, path: "a+".into() }));
    }

    #[test]
    fn no_port_is_the_one_of_dns() {
        assert_eq!((port_of(""), port_of("5300")), (Ok(53), Ok(5300)));
        assert!(port_of("nothing").is_err());
    }

    /// The order of rbldnsd 1.0's statistics.
    #[test]
    fn zones_stand_before_those_that_they_lie_in() {
        let typed = ["b", "z", "x.y.z", "y.z", "a", "z.b"].map(|zone| format!("{zone}:ip4set:e"));
        let specs = Specs::parse(&typed).unwrap();
        let shown: Vec<_> = specs.zones.iter().map(|zone| zone.origin.to_string()).collect();
        assert_eq!(shown, ["z.b", "b", "x.y.z", "y.z", "z", "a"]);
    }

    #[test]
    fn mistakes_are_told() {
        for (specs, message) in [
            (&["a.example"][..], "invalid zone spec"),
            (&["a.example:ip4set"], "invalid zone spec"),
            (&["a.example:ip4set:"], "missing filenames in `a.example:ip4set:`"),
            (&["a.example:ip4set:,:,"], "missing filenames"),
            (&["a.example:foo:a"], "unknown dataset type `foo`"),
            (&[":acl:a"], "no zone(s)"),
            (&["a..example:ip4set:a"], "a..example"),
            (&["a.example:acl:a", "a.example:acl:b"], "two access lists"),
            (&["a.example:acl:a"], "missing data"),
            (&[".:ip4set:a"], "missing domain name in `.:ip4set:a`"),
            (&[":ip4set:a"], "missing domain name in `:ip4set:a`"),
            (&[".:acl:a", ":acl:b", "a.example:ip4set:a"], "the server has two access lists"),
            (&[], "no zone(s)"),
        ] {
            let error = parsed(specs).unwrap_err().to_string();
            assert!(error.contains(message), "{specs:?}: {error}");
        }
    }

    #[test]
    fn ttls() {
        let ttls = |text: &str| text.parse::<Ttls>().ok().map(|ttls| (ttls.default, ttls.min, ttls.max));
        assert_eq!(ttls("30"), Some((30, 0, 0)));
        assert_eq!(ttls("::60m"), Some((2100, 0, 3600)));
        assert_eq!(ttls("1h:30m:2h"), Some((3600, 1800, 7200)));
        // Blanks behind a time, and a sign at the end.
        assert_eq!(ttls("60 "), Some((60, 0, 0)));
        assert_eq!(ttls("1h :30m\t:2h:"), Some((3600, 1800, 7200)));
        assert_eq!(ttls(":::"), Some((2100, 0, 0)));
        for bad in ["", "1:2:3", "x", "1:2:3:4", "0", "::2m", "30:60", " 60", "60: 5", " ", "::::", "60: "] {
            assert_eq!(ttls(bad), None, "{bad}");
        }
    }
}

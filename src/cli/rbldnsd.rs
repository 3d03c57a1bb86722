//! `gatepost rbldnsd`: rbldnsd's command line.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{anyhow, bail};
use tracing::Level;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::failure::{Usage, is_broken_pipe};
use crate::error::ExitStatus;
use crate::ops::log::{self, Format};
use crate::ops::{Syslog, be_called, raise_open_files};
use crate::parse::seconds;
use crate::rbldnsd::background::{self, Word};
use crate::rbldnsd::{Family, Options, Specs, Target, Ttls, daemon, dump, loader};

/// The name of the program whose command line this is, and under which it logs.
const NAME: &str = "rbldnsd";

/// Serve rbldnsd's data files with rbldnsd's command line
///
/// Takes the options and zones of rbldnsd with the meaning they have there, and its files as they are. To switch,
/// write `gatepost rbldnsd` where `rbldnsd` stood, or call the program `rbldnsd`. What differs on purpose is listed in
/// docs/rbldnsd.md; `gatepost import-rbldnsd` prints the same as a configuration of gatepost's own.
///
/// Files are compiled by a process of its own and kept in a cache folder, so that a restart maps them instead of
/// reading them again; the last good data serve on when a file cannot be loaded. SIGHUP looks at the files now and
/// opens the query log again, SIGUSR1 logs statistics, SIGUSR2 starts them again from zero, SIGTERM ends with 0.
#[derive(Debug, clap::Args)]
#[command(
    disable_help_flag = true,
    args_override_self = true,
    after_help = "\
Data set types: ip4set ip4tset ip4trie ip6tset ip6trie dnset dnhash generic combined acl
Exit codes: 0 when it was told to end, 1 for whatever keeps it from serving

Examples:
  gatepost rbldnsd -n -b 127.0.0.1/5300 bl.example.net:ip4set:list.txt
  gatepost rbldnsd -b 192.0.2.1 -u rbldns -w /var/lib/rbldns -p /run/rbldnsd.pid \\
      bl.example.net:ip4set:own,spam bl.example.net:dnset:names :acl:clients"
)]
pub(crate) struct Args {
    /// Zones: NAME:TYPE:FILE,FILE… each; repeated names are one zone
    #[arg(value_name = "ZONE:TYPE:FILE,…", required = true)]
    zones: Vec<String>,
    /// Listen on this address or host name, UDP and TCP, beside what the service manager hands over; may be given several
    /// times [port: 53]
    #[arg(short = 'b', value_name = "ADDRESS/PORT")]
    bind: Vec<String>,
    /// IPv4 addresses of host names only
    #[arg(short = '4', conflicts_with = "v6")]
    v4: bool,
    /// IPv6 addresses of host names only
    #[arg(short = '6')]
    v6: bool,
    /// Run as this user, for which root must start it [started by root: rbldns]
    #[arg(short = 'u', value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Change the root folder
    #[arg(short = 'r', value_name = "DIR")]
    root: Option<PathBuf>,
    /// Change the working folder, after -r
    #[arg(short = 'w', value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// Write the process id here, before -r
    #[arg(short = 'p', value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Stay in the foreground and log to stderr
    #[arg(short = 'n')]
    foreground: bool,
    /// Answer SERVFAIL while data are loaded for the first time; that they cannot be is no reason to stop
    #[arg(short = 'q')]
    quick: bool,
    /// TTL of answers whose data bring none, and bounds for those that files say
    #[arg(short = 't', value_name = "DEF[:MIN[:MAX]]", default_value = "35m")]
    ttls: Ttls,
    /// How often files are looked at; 0 = never, which also keeps data from ending ($TIMESTAMP)
    #[arg(short = 'c', value_name = "TIME", default_value = "1m", value_parser = time)]
    check: u32,
    /// Mask host bits of CIDRs instead of refusing the line
    #[arg(short = 'e')]
    host_bits: bool,
    /// Refuse files that are compressed
    #[arg(short = 'C')]
    no_gzip: bool,
    /// Accepted: answers go on while files are loaded, always
    #[arg(short = 'f')]
    fork: bool,
    /// Accepted: answers about entries never carry NS records
    #[arg(short = 'a')]
    minimal: bool,
    /// Accepted without effect: answers about entries never carry NS records
    #[arg(short = 'A')]
    full: bool,
    /// Say no version to version.bind; twice: refuse it
    #[arg(short = 'v', action = clap::ArgAction::Count)]
    hide_version: u8,
    /// A line here for every query that gets a reply; `-` is stdout, + writes each at once; none where no file is named
    #[arg(short = 'l', value_name = "[+]FILE", allow_hyphen_values = true)]
    query_log: Option<String>,
    /// A line with statistics here with every -c; + counts from line to line; none where no file is named
    #[arg(short = 's', value_name = "[+]FILE")]
    statistics: Option<String>,
    /// Facility of syslog
    #[arg(short = 'F', value_name = "FACILITY", default_value = "daemon")]
    facility: String,
    /// Print all zones as master files and exit
    #[arg(short = 'd')]
    dump: bool,
    /// Refused: a library for another program cannot be loaded into this one
    #[arg(short = 'x', value_name = "LIB", hide = true)]
    extension: Option<String>,
    /// Refused, as -x
    #[arg(short = 'X', value_name = "ARG", hide = true)]
    extension_argument: Option<String>,
    /// Where compiled zones are kept between two starts [default: $CACHE_DIRECTORY; /var/cache/gatepost/rbldnsd for root, ~/.cache/gatepost/rbldnsd for others]
    #[arg(long, value_name = "DIR", env = "GATEPOST_CACHE", hide_env_values = true)]
    cache: Option<PathBuf>,
    /// Show this help
    #[arg(short = 'h', long = "help", action = clap::ArgAction::Help)]
    help: Option<bool>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let options = options(args)?;
    raise_open_files()?;
    if args.dump {
        return print_zones(&options);
    }
    // A service manager that waits to be told counts on the process it started.
    let syslog = Syslog::open(&options.facility, NAME, !options.quick)
        .ok_or_else(|| anyhow!(Usage(format!("{}: no such facility of syslog", options.facility))))?;
    let stays = options.foreground || std::env::var_os("NOTIFY_SOCKET").is_some();
    if !stays && !background::is_behind() {
        background::go()?;
        return Ok(ExitStatus::Ok);
    }
    if stays {
        log::init(Format::Text, Level::INFO, BoxMakeWriter::new(io::stderr));
        daemon::run(&options, || {})?;
        return Ok(ExitStatus::Ok);
    }
    let word = Word::take()?;
    log::init(Format::Prioritised, Level::INFO, BoxMakeWriter::new(syslog.clone()));
    let keeps_stdout = options.query_log.as_ref().is_some_and(|log| log.path == Path::new("-"));
    let done = daemon::run(&options, || {
        syslog.be_quiet();
        word.ready(keeps_stdout);
    });
    if let Err(error) = done {
        tracing::error!("{error:#}");
        return Ok(ExitStatus::CannotTell);
    }
    Ok(ExitStatus::Ok)
}

/// All zones as master files, whatever the options say of serving.
fn print_zones(options: &Options) -> anyhow::Result<ExitStatus> {
    log::init(Format::Text, Level::WARN, BoxMakeWriter::new(io::stderr));
    let mut out = io::BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match dump::run(options, &mut out) {
        Ok(zones) => {
            for (zone, losses) in &zones {
                losses.iter().for_each(|(loss, number)| tracing::warn!("zone {zone}: {number} {loss}"));
            }
            Ok(ExitStatus::Ok)
        }
        Err(error) if is_broken_pipe(&error) => Ok(ExitStatus::Ok),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(ExitStatus::Found)
        }
    }
}

/// The loader: for the process that started it, which is at the other end of stdin.
pub(crate) fn load() -> anyhow::Result<ExitStatus> {
    // Not as the server is called: signals sent by that name are the server's.
    be_called("gatepost-loader".as_ref());
    log::init(Format::Bare, Level::WARN, BoxMakeWriter::new(io::stderr));
    let socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    if socket.local_addr().is_err() {
        bail!(Usage("this is for the process that started it".to_owned()));
    }
    loader::run(socket)?;
    Ok(ExitStatus::Ok)
}

/// A program that is called `rbldnsd` is `gatepost rbldnsd`, and says `rbldnsd` of itself.
pub(crate) fn by_name(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.collect();
    let called = args.first().map(Path::new).and_then(Path::file_name);
    let known = args.get(1).is_some_and(|first| first == NAME || first == crate::rbldnsd::LOADER_COMMAND);
    if called.is_some_and(|name| name == NAME) && !known {
        // Without a name of the program the command alone stands in its usage.
        args.splice(..1, [OsString::new(), NAME.into()]);
    }
    args
}

/// Whether this is rbldnsd's command line, understood or not.
pub(crate) fn is_meant(args: &[OsString]) -> bool {
    args.get(1).is_some_and(|command| command == NAME)
}

pub(super) fn options(args: &Args) -> anyhow::Result<Options> {
    if args.extension.is_some() || args.extension_argument.is_some() {
        bail!(Usage("-x and -X load libraries made for rbldnsd itself, which cannot run here".to_owned()));
    }
    let specs = Specs::parse(&args.zones).map_err(|error| anyhow!(Usage(error.to_string())))?;
    let version = match args.hide_version {
        0 => Some(concat!("gatepost ", env!("CARGO_PKG_VERSION")).to_owned()),
        1 => Some("gatepost".to_owned()),
        _ => None,
    };
    Ok(Options {
        bind: args.bind.clone(),
        family: match (args.v4, args.v6) {
            (true, _) => Family::V4,
            (_, true) => Family::V6,
            _ => Family::Any,
        },
        user: args.user.clone(),
        root: args.root.clone(),
        workdir: args.workdir.clone(),
        pid_file: args.pid_file.clone(),
        foreground: args.foreground,
        quick: args.quick,
        ttls: args.ttls,
        check: (args.check > 0).then(|| Duration::from_secs(args.check.into())),
        host_bits: args.host_bits,
        gzip: !args.no_gzip,
        version,
        query_log: args.query_log.as_deref().and_then(Target::named),
        statistics: args.statistics.as_deref().and_then(Target::named),
        facility: args.facility.clone(),
        cache: args.cache.clone().or_else(default_cache),
        specs,
    })
}

fn time(text: &str) -> Result<u32, String> {
    seconds(text.as_bytes().trim_ascii_end()).ok_or_else(|| "write a time such as 60 or 5m".to_owned())
}

/// The service manager's, the system's for root, the person's own otherwise. `None` without a home.
fn default_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(managed) = folder("CACHE_DIRECTORY") {
        return Some(managed);
    }
    if nix::unistd::geteuid().is_root() {
        return Some("/var/cache/gatepost/rbldnsd".into());
    }
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(cache.join("gatepost/rbldnsd"))
}

//! `gatepost export`: a snapshot → what other programs read.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use serde_json::json;

use super::failure::Usage;
use super::files::{self, CHUNK};
use super::locate::EitherArgs;
use super::logs;
use super::output::{WARN, grouped, json, octets, out, styled, talk};
use crate::error::ExitStatus;
use crate::export::{self, ExportError, Losses};
use crate::model::Name;
use crate::snapshot::{Mapped, Snapshot};
use crate::store::{Store, ZoneEntry};

/// Write a compiled zone as text or bitmap that other programs read
///
/// Writes what the snapshot holds: overlaps, exclusions, exceptions and test points are settled in it, and lists that
/// have become too old since are still in it. Subzones of combined lists are written with their zone for rbldnsd; for other formats,
/// and out of a file, each is a snapshot of its own, exported by its own name. What a format cannot hold is counted and told on
/// stderr.
///
/// Exit codes: 0 written, 1 written, but something was left out, 2 usage, 3 could not do it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Formats:
  rbldnsd  one data set of rbldnsd's type combined, which answers as the snapshot does: values, texts, TTLs, $SOA, $NS
  plain    addresses and prefixes, then names, one a line, without values; reads as `plain`, with names as `names`
  roaring  all IPv4 addresses as a Roaring bitmap (32 bits, portable form), without values

Examples:
  gatepost export bl.example.net --format rbldnsd -o bl.rbldnsd      a zone in service
  gatepost export bl.snapshot --format plain | sort | head           a file
  rbldnsd -n -b 127.0.0.1/5301 bl.example.net:combined:bl.rbldnsd    the same answers")]
pub(crate) struct Args {
    /// A snapshot, or the name of a zone in service
    #[arg(value_name = "SNAPSHOT|ZONE")]
    what: PathBuf,
    /// What to write
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Format,
    /// Where to [default: stdout]
    #[arg(long, short, value_name = "OUT")]
    output: Option<PathBuf>,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON about what was written
    #[arg(long, requires = "output")]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Rbldnsd,
    Plain,
    Roaring,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let to_file = args.output.as_deref().filter(|path| path.as_os_str() != "-");
    let target = to_file.map(files::target).transpose()?;
    if target.is_none() && args.format == Format::Roaring && io::stdout().is_terminal() {
        bail!(Usage("a bitmap is nothing for a terminal: name a file with -o".to_owned()));
    }
    if target.is_none() && args.json {
        bail!(Usage("--json is about a file: name one with -o".to_owned()));
    }
    if to_file.is_some_and(|output| files::is_same_file(output, &args.what)) {
        bail!(Usage(format!("{} is the snapshot itself", args.what.display())));
    }
    let meant = open(args)?;
    let losses = match &target {
        Some(target) => files::replace(target, |file| Ok(write(args.format, &meant, file)?), |_, _| Ok(()))?,
        None => {
            let mut out = BufWriter::with_capacity(CHUNK, io::stdout().lock());
            let losses = write(args.format, &meant, &mut out)?;
            out.flush()?;
            losses
        }
    };
    if let Some(target) = &target {
        tell(args, &meant, target, &losses)?;
    }
    let left_out = left_out(args.format, &meant, &losses);
    for (number, what) in &left_out {
        talk(styled(WARN, format_args!("{} {what}", grouped(*number))));
    }
    Ok(ExitStatus::found(!left_out.is_empty()))
}

/// What is exported.
struct Meant {
    snapshot: Snapshot<Mapped>,
    /// Those of the zone's subzones.
    subzones: Vec<Snapshot<Mapped>>,
    serial: u32,
}

/// What a format does not have, each with its number.
fn left_out(format: Format, meant: &Meant, losses: &Losses) -> Vec<(u64, String)> {
    let mut all: Vec<_> = losses.iter().map(|(loss, number)| (number, loss.to_string())).collect();
    if format != Format::Rbldnsd && !meant.subzones.is_empty() {
        let names: Vec<String> = meant.subzones.iter().map(|zone| zone.zone().origin.to_string()).collect();
        let what =
            format!("subzones were left out, which are exported by their own names: {}", names.join(", "));
        all.push((names.len() as u64, what));
    }
    all
}

fn write(format: Format, meant: &Meant, out: &mut impl Write) -> Result<Losses, ExportError> {
    let Meant { snapshot, subzones, serial } = meant;
    match format {
        Format::Rbldnsd => export::rbldnsd(snapshot, subzones, *serial, out),
        Format::Plain => export::plain(snapshot, out),
        Format::Roaring => export::roaring(snapshot, out),
    }
}

/// The snapshot that is meant, whole.
fn open(args: &Args) -> anyhow::Result<Meant> {
    if args.what.exists() {
        let snapshot = whole(&args.what)?;
        let serial = serial_of(&snapshot);
        return Ok(Meant { snapshot, subzones: Vec::new(), serial });
    }
    let shown = args.what.display();
    let origin = args.what.to_str().and_then(|name| name.parse::<Name>().ok());
    let origin = origin
        .ok_or_else(|| anyhow!(Usage(format!("there is no file {shown}, and no zone can be called so"))))?;
    let store = Store::existing(&args.from.read()?.state)?;
    let generation = store.generation()?.unwrap_or_default();
    let Some(entry) = generation.zones.get(&origin) else {
        let known: Vec<String> = generation.zones.keys().map(Name::to_string).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        bail!(Usage(format!(
            "there is no file {shown} and no zone {origin} in service; in service: {known}"
        )));
    };
    let is_part = |part: &&ZoneEntry| part.base.as_ref() == Some(&origin);
    let subzones = generation.zones.values().filter(is_part).map(|part| in_service(&store, part));
    Ok(Meant {
        snapshot: in_service(&store, entry)?,
        subzones: subzones.collect::<anyhow::Result<_>>()?,
        serial: entry.serial,
    })
}

fn in_service(store: &Store, entry: &ZoneEntry) -> anyhow::Result<Snapshot<Mapped>> {
    let path = store.snapshot(&entry.file);
    let snapshot = whole(&path)?;
    if snapshot.content_hash() != entry.content {
        bail!("{} is not what the generation says", path.display());
    }
    Ok(snapshot)
}

/// The serial that the data of a snapshot file insist on, else 0.
fn serial_of(snapshot: &Snapshot<Mapped>) -> u32 {
    // What is put in service has its serial beside its content.
    let beside = || u32::try_from(snapshot.provenance()["serial"].as_u64()?).ok();
    snapshot.zone().soa.serial.or_else(beside).unwrap_or(0)
}

fn whole(path: &Path) -> anyhow::Result<Snapshot<Mapped>> {
    let open = || {
        let snapshot = Snapshot::open(files::mapped(path)?)?;
        snapshot.verify()?;
        Ok::<_, crate::snapshot::SnapshotError>(snapshot)
    };
    open().with_context(|| format!("cannot export {}", path.display()))
}

fn tell(args: &Args, meant: &Meant, target: &Path, losses: &Losses) -> anyhow::Result<()> {
    let len = std::fs::metadata(target)?.len();
    let snapshot = &meant.snapshot;
    if args.json {
        let left_out = left_out(args.format, meant, losses);
        let left_out: Vec<_> =
            left_out.iter().map(|(number, what)| json!({ "number": number, "what": what })).collect();
        let counts = snapshot.counts();
        json(
            &mut out(),
            &json!({
                "output": target,
                "octets": len,
                "zone": snapshot.zone().origin,
                "content": snapshot.content_hash(),
                "listed": {
                    "addresses": counts.v4_addresses, "ipv6_spans": counts.v6_spans, "names": counts.names,
                },
                "left_out": left_out,
            }),
        )?;
        return Ok(());
    }
    let mut out = out();
    writeln!(out, "{}: {} of {}", target.display(), octets(len), snapshot.zone().origin)?;
    Ok(out.flush()?)
}

//! `gatepost compile`: text → verified snapshot, without store and configuration.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, anyhow, bail};
use clap::builder::PossibleValuesParser;
use indicatif::ProgressBar;
use serde_json::json;

use super::failure::Usage;
use super::files;
use super::output::{BAD, WARN, counted, grouped, json, octets, out, styled, talk};
use super::progress::reading_bar;
use crate::compile::{Compiled, Member, ZoneData, ZoneSpec, compile, expand};
use crate::config::defaults;
use crate::error::ExitStatus;
use crate::feed::decode::{decode, decode_with_tail};
use crate::model::{Name, Template, Use};
use crate::parse::{Column, Columns, Format, Options, Parsed, Parser, Report, Trailer};
use crate::set::{Set, codec};
use crate::snapshot::{self, Mapped, Snapshot, Written};

/// Octets read at a time: large, so that reading costs few system calls.
const READ: usize = 1 << 20;

/// Why sections of rbldnsd's combined cannot go into one snapshot.
const SEVERAL_ZONES: &str =
    "its sections make several zones, and a snapshot holds one: configure it as a list";

/// Compile list files into a snapshot
///
/// The files together are one list, served as written: no guard, no never-list; the test points of RFC 5782 are put
/// in. Gzip is found by content; `-` is stdin. Every unreadable line is shown and left out. The snapshot is written
/// beside OUT, verified, and renamed.
///
/// Exit codes: 0 written, 1 written, but unreadable lines were left out, or refused because a file was cut or makes several zones, 2 usage,
/// 3 could not do it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost compile --format plain --zone bl.example.net list.txt -o bl.snapshot
  gatepost compile --format csv --column ip --zone bl.example.net feed.csv.gz -o bl.snapshot
  gatepost compile --format rbldnsd:ip4set --zone bl.example.net old/*.ip4set -o bl.snapshot
  gatepost inspect bl.snapshot --verify")]
pub(crate) struct Args {
    /// How the files are written
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(Format::ALL.map(Format::name)))]
    format: String,
    /// Of CSV files: the column with the address, by its title
    #[arg(long, value_name = "NAME")]
    column: Option<String>,
    /// The zone's origin
    #[arg(long, value_name = "NAME")]
    zone: Name,
    /// What entries answer that say nothing themselves
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.2", value_parser = code)]
    code: Ipv4Addr,
    /// What they say: `$` is the address, {note} what stands beside an entry [default: "$ is listed in ZONE"]
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Where the snapshot goes
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// Print JSON; bad lines are told on stderr as ever
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let format: Format = args.format.parse()?;
    if (format == Format::Csv) != args.column.is_some() {
        bail!(Usage("--column belongs to --format csv, and that needs it".to_owned()));
    }
    if args.output.as_os_str() == "-" {
        bail!(Usage("a snapshot is a file to be mapped; name one after -o".to_owned()));
    }
    let target = files::target(&args.output)?;
    if args.files.iter().any(|file| files::is_same_file(file, &args.output)) {
        bail!(Usage(format!("{} is a file to read and the one to write", args.output.display())));
    }
    let text = args.text.clone().unwrap_or_else(|| format!("$ is listed in {}", args.zone));
    let (Parsed { set, report }, no_list) =
        read(&args.files, args.column.as_deref(), format, text.contains("{note}"))?;
    let cut = report.trailer == Trailer::Absent && format.has_end_mark();
    let cut = cut.then(|| "the file is not whole: its end mark is missing".to_owned());
    if let Some(reason) = no_list.or_else(|| report.is_no_list(set.is_empty())).or(cut) {
        return refused(args, &reason, &report);
    }
    let (entries, bad) = (report.entries, report.bad);
    let provenance = json!({
        "program": concat!("gatepost ", env!("CARGO_PKG_VERSION")),
        "files": args.files,
        "format": format,
        "report": report,
    });
    let member = member(set, args.code, Template::parse(text.as_bytes()));
    let [zone] = &expand(spec(args.zone.clone(), member, true), |_| true)[..] else {
        return refused(args, SEVERAL_ZONES, &report);
    };
    let compiled = compile(zone);
    let counts = Listed::of(&compiled);
    let written = write(&compiled, &provenance, &target)?;
    if args.json {
        json(
            &mut out(),
            &json!({
                "written": true,
                "output": args.output,
                "zone": args.zone,
                "content": written.content,
                "octets": written.len,
                "listed": counts,
                "report": report,
            }),
        )?;
        return Ok(ExitStatus::found(bad > 0));
    }
    tell(&args.output, entries, &counts, &written)?;
    if bad > 0 {
        let lines = counted(bad, "line was", "lines were");
        talk(styled(WARN, format_args!("{lines} unreadable and left out")));
    }
    Ok(ExitStatus::found(bad > 0))
}

/// What a list file lists, below `origin`, without test points: for other commands.
pub(super) fn listed_in(file: &Path, format: Format, origin: &Name) -> anyhow::Result<Compiled> {
    let (Parsed { set, report }, no_list) = read(&[file.to_owned()], None, format, false)?;
    let of_file = |reason| format!("{}: {reason}", file.display());
    if let Some(reason) = no_list.or_else(|| report.is_no_list(set.is_empty()).map(of_file)) {
        bail!("{reason}");
    }
    let member = member(set, Ipv4Addr::new(127, 0, 0, 2), Template::parse(b"$"));
    let [zone] = &expand(spec(origin.clone(), member, false), |_| true)[..] else {
        bail!("{}: {SEVERAL_ZONES}", file.display());
    };
    Ok(compile(zone))
}

fn refused(args: &Args, reason: &str, report: &Report) -> anyhow::Result<ExitStatus> {
    if args.json {
        json(&mut out(), &json!({ "written": false, "reason": reason, "report": report }))?;
    } else {
        talk(format_args!("{} {reason}", styled(BAD, "nothing was written:")));
    }
    Ok(ExitStatus::Found)
}

fn code(text: &str) -> Result<Ipv4Addr, String> {
    match text.parse::<Ipv4Addr>() {
        Ok(code) if code.octets()[0] == 127 => Ok(code),
        Ok(_) => Err("clients take only answers within 127.0.0.0/8 for a listing".to_owned()),
        Err(_) => Err("not an IPv4 address".to_owned()),
    }
}

/// The list, and why a file is no part of one.
fn read(
    files: &[PathBuf],
    column: Option<&str>,
    format: Format,
    notes: bool,
) -> anyhow::Result<(Parsed, Option<String>)> {
    let columns = column.map_or_else(Columns::default, |title| Columns {
        address: Column::Titled(title.to_owned()),
        note: None,
    });
    let now = jiff::Timestamp::now();
    let mut parser = Parser::new(format, &Options { notes, columns, now: Some(now), ..Options::default() });
    let sizes = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|found| found.len());
    let bar = reading_bar(sizes.sum(), "reading");
    let mut bad_lines = BufWriter::new(anstream::stderr());
    let mut no_list = None;
    for file in files {
        let failed = || format!("cannot read {}", file.display());
        let source: Box<dyn Read + Send> = if file.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(file).with_context(failed)?)
        };
        let counted = Counted { inner: source, bar: bar.clone() };
        let source = io::BufReader::with_capacity(READ, counted);
        let has_tail = AtomicBool::new(false);
        let text = match format.is_rbldnsd() {
            true => decode_with_tail(source, u64::MAX, &has_tail),
            false => decode(source, u64::MAX),
        };
        let text = text.with_context(failed)?;
        let mut on_bad = |diag: crate::parse::Diag| {
            let line =
                format!("{}:{}:{}: {}: {}", file.display(), diag.line, diag.column, diag.reason, diag.text);
            // That nobody reads it is no reason to stop.
            bar.suspend(|| drop(writeln!(bad_lines, "{line}")));
        };
        if let Some(why) = parser.read(text, &mut on_bad).with_context(failed)? {
            no_list.get_or_insert_with(|| format!("{}: {why}", file.display()));
        }
        if has_tail.into_inner() {
            let _ = writeln!(
                bad_lines,
                "{}: what lies behind its gzip data is no gzip and ignored",
                file.display()
            );
        }
    }
    let _ = bad_lines.flush();
    bar.finish_and_clear();
    Ok((parser.finish(), no_list))
}

/// Moves the bar.
struct Counted<R> {
    inner: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bar.inc(read as u64);
        Ok(read)
    }
}

/// The one list of the zone.
fn member(set: Set, code: Ipv4Addr, text: Template) -> Member {
    let hash = codec::hash(&set);
    Member {
        name: "compiled".to_owned(),
        set: Arc::new(set),
        hash,
        use_: Use::Block,
        code,
        text,
        keep_values: true,
        foreign: false,
        never: None,
    }
}

fn spec(origin: Name, member: Member, test_points: bool) -> ZoneSpec {
    let directives = &member.set.directives;
    let zone = ZoneData {
        soa: directives.soa.clone().unwrap_or_else(|| defaults::soa(&origin)),
        ns: directives.ns.clone().unwrap_or_else(|| defaults::ns(&origin)),
        ttl: defaults::TTL.as_secs() as u32,
        test_points,
        combined: false,
        base: None,
        origin,
    };
    ZoneSpec { zone, members: vec![member], excepts: Vec::new(), subzones: Vec::new() }
}

/// Writes the snapshot, which takes its name when it was read again and is whole.
fn write(compiled: &Compiled, provenance: &serde_json::Value, target: &Path) -> anyhow::Result<Written> {
    files::replace(
        target,
        |file| Ok(snapshot::write(compiled, provenance, file)?),
        |path, written| {
            let reopened = Snapshot::open(Mapped::open(path)?)?;
            reopened.verify()?;
            match reopened.content_hash() == written.content {
                true => Ok(()),
                false => Err(anyhow!("other octets came back")),
            }
        },
    )
}

/// What is listed, for the last line.
#[derive(serde::Serialize)]
struct Listed {
    #[serde(rename = "addresses")]
    v4: u64,
    #[serde(rename = "ipv6_spans")]
    v6: u64,
    names: u64,
    answers: u64,
}

impl Listed {
    fn of(compiled: &Compiled) -> Self {
        Self {
            v4: compiled.v4.addresses(),
            v6: compiled.v6.len() as u64,
            names: compiled.names.listed() as u64,
            answers: compiled.answers.len() as u64,
        }
    }
}

fn tell(target: &Path, entries: u64, listed: &Listed, written: &Written) -> anyhow::Result<()> {
    let mut kinds = Vec::new();
    if listed.v4 > 0 {
        kinds.push(counted(listed.v4, "address", "addresses"));
    }
    if listed.v6 > 0 {
        kinds.push(counted(listed.v6, "IPv6 span", "IPv6 spans"));
    }
    if listed.names > 0 {
        kinds.push(counted(listed.names, "name", "names"));
    }
    let mut out = out();
    writeln!(
        out,
        "{}: {} -> {}, {}, {} ({} octets), content {}",
        target.display(),
        counted(entries, "entry", "entries"),
        kinds.join(", "),
        counted(listed.answers, "answer", "answers"),
        octets(written.len),
        grouped(written.len),
        written.content.short(),
    )?;
    out.flush()?;
    Ok(())
}

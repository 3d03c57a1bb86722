//! `gatepost inspect`: what is in a snapshot.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};

use super::files;
use super::logs;
use super::output::{
    Align, BAD, Cell, GOOD, HEAD, NOTHING, Out, Table, WARN, counted, grouped, json, octets, out,
    short_duration, styled, talk, utc,
};
use super::records::{self, Records};
use crate::compile::Part;
use crate::error::ExitStatus;
use crate::snapshot::{Mapped, Snapshot, SnapshotError};
use crate::store::{Attempt, By, Outcome};

/// Show what is in a snapshot: counts, sections, answers, lists, provenance
///
/// Exit codes: 0 it is a snapshot (with --verify: and whole), 1 it is damaged or none, 3 it cannot be read.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost inspect bl.snapshot
  gatepost inspect /var/lib/gatepost/snapshots/* --verify
  gatepost inspect --json bl.snapshot | jq .provenance")]
pub(crate) struct Args {
    /// The snapshots
    #[arg(value_name = "SNAPSHOT", required = true)]
    files: Vec<PathBuf>,
    /// Also check every hash (reads all of the file)
    #[arg(long)]
    verify: bool,
    /// So many answers at most
    #[arg(long, value_name = "NUMBER", default_value_t = 10)]
    answers: u32,
    /// Print JSON, one object for each snapshot
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let mut out = out();
    let mut status = ExitStatus::Ok;
    for (at, file) in args.files.iter().enumerate() {
        let opened = files::mapped(file).and_then(Snapshot::open);
        let snapshot = match opened {
            Err(SnapshotError::Io(error)) => {
                return Err(error).with_context(|| format!("cannot read {}", file.display()));
            }
            Err(error) => {
                out.flush()?;
                talk(format_args!("{}: {}", file.display(), styled(BAD, error)));
                status = ExitStatus::Found;
                continue;
            }
            Ok(snapshot) => snapshot,
        };
        let verified = args.verify.then(|| snapshot.verify());
        if let Some(Err(_)) = verified {
            status = ExitStatus::Found;
        }
        let seen = Seen {
            file,
            snapshot: &snapshot,
            verified: verified.as_ref(),
            answers: answers(&snapshot, args.answers)?,
        };
        if args.json {
            json(&mut out, &seen.as_json())?;
        } else {
            if at > 0 {
                writeln!(out)?;
            }
            seen.write(&mut out)?;
        }
    }
    out.flush()?;
    Ok(status)
}

struct Seen<'a> {
    file: &'a PathBuf,
    snapshot: &'a Snapshot<Mapped>,
    verified: Option<&'a Result<(), SnapshotError>>,
    answers: Vec<Answer>,
}

struct Answer {
    lists: Vec<String>,
    records: Vec<Records>,
}

fn answers(snapshot: &Snapshot<Mapped>, most: u32) -> Result<Vec<Answer>, SnapshotError> {
    let ids = 0..snapshot.counts().answers.min(u64::from(most)) as u32;
    let answers = ids.map(|id| {
        let answer = snapshot.answer(id)?;
        let lists = answer.parts().map(|part| list_name(snapshot, part)).collect();
        Ok(Answer { lists, records: answer.record_sets().map(records::of_set).collect() })
    });
    answers.collect()
}

fn list_name(snapshot: &Snapshot<Mapped>, part: Part) -> String {
    let list = snapshot.lists().get(usize::from(part.list));
    list.map_or_else(|| "test point".to_owned(), |list| list.name.clone())
}

/// What brought the sets in a snapshot, by its provenance.
fn brought(provenance: &Value) -> Table {
    let mut table = Table::new([
        ("LIST", Align::Left),
        ("TAKEN", Align::Left),
        ("BY", Align::Left),
        ("HOW", Align::Left),
        ("ENTRIES", Align::Right),
        ("FROM", Align::Left),
    ]);
    for (list, from) in provenance["lists"].as_object().into_iter().flatten() {
        let Ok(attempt) = serde_json::from_value::<Attempt>(from["brought"].clone()) else { continue };
        let how = match (attempt.act, attempt.outcome) {
            (Some(act), _) => act.to_string(),
            (None, Outcome::Trimmed) => "taken in part".to_owned(),
            (None, _) => "taken".to_owned(),
        };
        table.row([
            list.clone().into(),
            utc(attempt.wall).into(),
            Cell::from(if attempt.by == By::Person { "person" } else { "timer" }),
            how.into(),
            attempt.entries.map_or_else(|| NOTHING.to_owned(), grouped).into(),
            attempt.url.unwrap_or_else(|| NOTHING.to_owned()).into(),
        ]);
    }
    table
}

impl Seen<'_> {
    fn write(&self, out: &mut Out) -> anyhow::Result<()> {
        let (snapshot, zone) = (self.snapshot, self.snapshot.zone());
        let counts = snapshot.counts();
        let size = snapshot.data().as_ref().len() as u64;
        let seconds = |ttl: u32| short_duration(std::time::Duration::from_secs(u64::from(ttl)));
        let mut field =
            |name: &str, value: String| writeln!(out, "{} {value}", styled(HEAD, format_args!("{name:9}")));
        field("file", format!("{} ({})", self.file.display(), octets(size)))?;
        field("zone", zone.origin.to_string())?;
        if let Some(base) = &zone.base {
            field("part of", base.to_string())?;
        }
        field("content", snapshot.content_hash().to_string())?;
        match self.verified {
            None => {}
            Some(Ok(())) => field("verified", styled(GOOD, "whole: every hash is right"))?,
            Some(Err(error)) => field("verified", styled(BAD, error))?,
        }
        if counts.v4_addresses > 0 {
            let each = size as f64 / counts.v4_addresses as f64;
            let spans = counted(counts.v4_spans, "span", "spans");
            let each = if counts.v6_spans + counts.names > 0 {
                String::new()
            } else {
                format!(", {each:.2} octets each")
            };
            field(
                "IPv4",
                format!("{} in {spans}{each}", counted(counts.v4_addresses, "address", "addresses")),
            )?;
        }
        if counts.v6_spans > 0 {
            field("IPv6", counted(counts.v6_spans, "span", "spans"))?;
        }
        if counts.names > 0 {
            field("names", counted(counts.names, "name", "names"))?;
        }
        field(
            "answers",
            format!(
                "{}, {}",
                grouped(counts.answers),
                counted(counts.values, "value of a list", "values of lists")
            ),
        )?;
        let points = if zone.test_points { "forced" } else { "as the data has them" };
        field(
            "TTL",
            format!(
                "{}, of \"not listed\" {}; test points {points}",
                seconds(zone.ttl),
                seconds(zone.soa.minimum)
            ),
        )?;

        writeln!(out, "\n{}", styled(HEAD, "Lists"))?;
        let mut table = Table::new([
            ("LIST", Align::Left),
            ("USE", Align::Left),
            ("CODE", Align::Left),
            ("ENTRIES", Align::Right),
            ("SET", Align::Left),
        ]);
        for list in snapshot.lists() {
            let use_ = if list.except { "except".to_owned() } else { list.use_.to_string() };
            let code = list.code.map_or_else(|| NOTHING.to_owned(), |code| code.to_string());
            table.row([
                list.name.clone().into(),
                use_.into(),
                code.into(),
                grouped(list.entries).into(),
                list.set.short().into(),
            ]);
        }
        table.write(out, "  ")?;
        for list in snapshot.lists().iter().filter(|list| list.texts_dropped) {
            let note = format!("{}: too many texts; its entries say the list's own", list.name);
            writeln!(out, "  {}", styled(WARN, note))?;
        }

        writeln!(out, "\n{}", styled(HEAD, "Sections"))?;
        let mut table =
            Table::new([("SECTION", Align::Left), ("OCTETS", Align::Right), ("SHARE", Align::Right)]);
        for (section, len) in snapshot.sections() {
            let share = format!("{:.1} %", len as f64 * 100.0 / size as f64);
            table.row([section.to_string().into(), grouped(len).into(), share.into()]);
        }
        table.write(out, "  ")?;
        self.write_answers(out)?;
        let provenance = serde_json::to_string_pretty(snapshot.provenance())?;
        writeln!(out, "\n{}", styled(HEAD, "Provenance"))?;
        brought(snapshot.provenance()).write(out, "  ")?;
        provenance.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
        Ok(())
    }

    fn write_answers(&self, out: &mut Out) -> anyhow::Result<()> {
        if self.answers.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{}", styled(HEAD, "Answers ($ is what was asked for)"))?;
        let mut table = Table::new([
            ("ID", Align::Right),
            ("A", Align::Left),
            ("LISTS", Align::Left),
            ("TEXT", Align::Left),
        ]);
        for (id, answer) in self.answers.iter().enumerate() {
            let texts: Vec<&str> = records::texts(&answer.records).collect();
            table.row([
                id.to_string().into(),
                records::values(&answer.records).into(),
                answer.lists.join(", ").into(),
                texts.join(" | ").into(),
            ]);
        }
        table.write(out, "  ")?;
        let more = self.snapshot.counts().answers.saturating_sub(self.answers.len() as u64);
        if more > 0 {
            writeln!(out, "  and {} more (--answers NUMBER)", grouped(more))?;
        }
        Ok(())
    }

    fn as_json(&self) -> Value {
        let snapshot = self.snapshot;
        let sections: Vec<Value> = snapshot
            .sections()
            .map(|(section, len)| json!({ "section": section.to_string(), "octets": len }))
            .collect();
        let answers: Vec<Value> = self
            .answers
            .iter()
            .enumerate()
            .map(|(id, answer)| json!({ "id": id, "lists": answer.lists, "records": answer.records }))
            .collect();
        let verified = self.verified.map(|result| match result {
            Ok(()) => json!({ "whole": true }),
            Err(error) => json!({ "whole": false, "why": error.to_string() }),
        });
        json!({
            "file": self.file,
            "octets": snapshot.data().as_ref().len(),
            "content": snapshot.content_hash(),
            "verified": verified,
            "zone": snapshot.zone(),
            "counts": snapshot.counts(),
            "lists": snapshot.lists(),
            "sections": sections,
            "answers": answers,
            "provenance": snapshot.provenance(),
        })
    }
}

//! `gatepost check-config`: every mistake of a configuration, each with its place.

use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::locate::{self, DEFAULT_CONFIG};
use super::output::{GOOD, WARN, counted, json, out, styled, talk};
use crate::config::{Problem, Problems};
use crate::error::ExitStatus;
use crate::ops::{Clients, identity};

/// Check a configuration and show all that is wrong with it
///
/// Nothing is fetched, written or served. Exit code 0: it is good; 2: it has mistakes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost check-config gatepost.toml
  gatepost check-config --json gatepost.toml | jq '.problems[].message'")]
pub(crate) struct Args {
    /// The configuration; conf.d/*.toml beside it belongs to it
    #[arg(value_name = "FILE", default_value = DEFAULT_CONFIG)]
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    let found = locate::read(&args.file).and_then(|config| {
        if !config.absent.is_empty() {
            return Err(config.absent.into());
        }
        Clients::read(&config)?;
        let complaint = identity(&config)?.and_then(|identity| identity.complaint());
        Ok((config, complaint))
    });
    if args.json {
        let counts = found.as_ref().ok().map(|(config, _)| {
            let parts = &config.reloadable;
            (parts.lists.len(), parts.zones.len())
        });
        let warnings: Vec<_> = found.iter().filter_map(|(_, complaint)| complaint.clone()).collect();
        let problems = match &found {
            Ok(_) => Problems::default(),
            Err(error) => match error.downcast_ref::<Problems>() {
                Some(problems) => problems.clone(),
                None => return found.map(|_| ExitStatus::Ok),
            },
        };
        let good = problems.is_empty();
        let problems: Vec<_> = problems.iter().map(describe).collect();
        json(
            &mut out(),
            &json!({
                "file": args.file,
                "good": good,
                "lists": counts.map(|(lists, _)| lists),
                "zones": counts.map(|(_, zones)| zones),
                "problems": problems,
                "warnings": warnings,
            }),
        )?;
        return Ok(if good { ExitStatus::Ok } else { ExitStatus::Usage });
    }
    let (config, complaint) = found?;
    let mut out = out();
    let lists = counted(config.reloadable.lists.len() as u64, "list", "lists");
    let zones = counted(config.reloadable.zones.len() as u64, "zone", "zones");
    writeln!(out, "{}: {}: {lists}, {zones}", args.file.display(), styled(GOOD, "good"))?;
    out.flush()?;
    if let Some(complaint) = complaint {
        talk(styled(WARN, complaint));
    }
    if config.reloadable.zones.is_empty() {
        talk(styled(WARN, "there is no `[zone.\"NAME\"]` in it: every question would be refused"));
    }
    Ok(ExitStatus::Ok)
}

fn describe(problem: &Problem) -> serde_json::Value {
    let place = problem.line_and_column();
    json!({
        "file": problem.file(),
        "line": place.map(|(line, _)| line),
        "column": place.map(|(_, column)| column),
        "message": problem.message(),
        "expected": problem.advice(),
        "text": problem.to_string(),
    })
}

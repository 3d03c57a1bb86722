//! From the options that say what is asked to the questions.

use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};

use super::super::compile::listed_in;
use super::super::failure::Usage;
use super::super::files;
use super::Args;
use crate::load::{Draw, FileError, Questions, draw, read};
use crate::snapshot::{self, Snapshot};
use crate::zone::Zone;

/// Questions that are drawn from a list; then they begin anew. Enough to spread over any list's memory.
const DRAWN: usize = 1 << 20;

pub(super) fn make(args: &Args) -> anyhow::Result<Questions> {
    let mut questions = Questions::new(args.edns);
    if let Some(path) = &args.queries {
        let failed = || format!("cannot read {}", path.display());
        let file = File::open(path).with_context(failed)?;
        read(BufReader::new(file), &mut questions).map_err(|error| match error {
            FileError::Line { line, column, reason } => {
                anyhow!(Usage(format!("{}:{line}:{column}: {reason}", path.display())))
            }
            FileError::Io(error) => anyhow!(error).context(failed()),
        })?;
        if questions.is_empty() {
            return Err(anyhow!(Usage(format!("{}: no line asks anything", path.display()))));
        }
        return Ok(questions);
    }
    // No more than are asked: to draw a million of them takes a moment.
    let number = args.count.map_or(DRAWN, |count| usize::try_from(count).unwrap_or(DRAWN).min(DRAWN));
    let what =
        |exact| Draw { questions: number, hit_share: args.hit_share, rtype: args.rtype.rtype(), exact };
    let (path, drawn) = if let Some(path) = &args.snapshot {
        let zone =
            opened(files::mapped(path).with_context(|| format!("cannot read {}", path.display()))?, path)?;
        (path, draw(&zone, &what(true), &mut questions))
    } else if let (Some(path), Some(origin)) = (&args.hits, &args.zone) {
        let compiled = listed_in(path, args.format.parse()?, origin)?;
        let mut octets = Cursor::new(Vec::new());
        snapshot::write(&compiled, &serde_json::Value::Null, &mut octets)?;
        // What its entries say is not known of the server: some values come from its configuration.
        (path, draw(&opened(octets.into_inner(), path)?, &what(false), &mut questions))
    } else {
        return Err(anyhow!(Usage("nothing says what to ask".to_owned())));
    };
    drawn.with_context(|| path.display().to_string())?;
    Ok(questions)
}

fn opened<D: AsRef<[u8]>>(octets: D, path: &Path) -> anyhow::Result<Zone<D>> {
    let snapshot = Snapshot::open(octets).with_context(|| path.display().to_string())?;
    Ok(Zone::new(Arc::new(snapshot), 1))
}

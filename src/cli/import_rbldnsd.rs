//! `gatepost import-rbldnsd`: rbldnsd's command line → gatepost.toml.

use std::io::Write;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::Parser;

use super::failure::Usage;
use super::output::out;
use super::rbldnsd;
use crate::config::defaults;
use crate::error::ExitStatus;
use crate::rbldnsd::to_toml;

/// Print the configuration that serves what a command line of rbldnsd serves
///
/// Everything behind the options of this command is read as rbldnsd reads it. The result goes to stdout: lists and
/// zones of the same files, served by `gatepost serve` with a store, feeds beside them if you like, and reloads of
/// gatepost's own.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost import-rbldnsd -- -b 127.0.0.1/5300 -w /var/lib/rbldns bl.example.net:ip4set:list > gatepost.toml
  gatepost import-rbldnsd -- \"$RBLDNSD\"              a whole command line in one word is parted as a shell does
  gatepost check-config gatepost.toml")]
pub(crate) struct Args {
    /// The state folder to write into it
    #[arg(long, value_name = "DIR", default_value = defaults::STATE)]
    state: PathBuf,
    /// rbldnsd's options and zones, after `--`
    #[arg(value_name = "COMMANDLINE", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command_line: Vec<String>,
}

/// What stands behind the name of the program.
#[derive(Debug, Parser)]
#[command(name = "rbldnsd")]
struct CommandLine {
    #[command(flatten)]
    args: rbldnsd::Args,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    // People paste whole lines, with the program in front, and quote them.
    let words = words(&args.command_line)?;
    let words = words.iter().map(String::as_str);
    let is_program = |word: &&str| word.rsplit('/').next() == Some("rbldnsd");
    let skip = usize::from(words.clone().next().is_some_and(|word| is_program(&word)));
    let typed = match CommandLine::try_parse_from(std::iter::once("rbldnsd").chain(words.skip(skip))) {
        Ok(typed) => typed,
        Err(told) => {
            let _ = told.print();
            return Ok(if told.use_stderr() { ExitStatus::Usage } else { ExitStatus::Ok });
        }
    };
    let options = rbldnsd::options(&typed.args)?;
    let text = to_toml(&options, &args.state).map_err(|error| anyhow!(Usage(error.to_string())))?;
    let mut out = out();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitStatus::Ok)
}

/// A line that is a single word is parted as a shell would.
fn words(typed: &[String]) -> anyhow::Result<Vec<String>> {
    match typed {
        [line] if line.contains(char::is_whitespace) => {
            let words = shlex::split(line);
            words.ok_or_else(|| anyhow!(Usage(format!("`{line}`: a quote is not closed"))))
        }
        words => Ok(words.to_vec()),
    }
}

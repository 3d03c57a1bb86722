//! The command line: one file for each command, and what they share.
//!
//! [`main`] reads the command line, runs the command and gives the exit code ([`ExitStatus`]). stdout is data, stderr
//! is talk. Never: DNS or file-format logic; commands put the other modules together and show what they say.

mod accept;
mod as_owner;
mod bench;
mod by_hand;
mod check_config;
mod compare;
mod compile;
mod completions;
mod decide;
mod diff;
mod doctor;
mod export;
mod failure;
mod feeds;
mod files;
mod history;
mod import_rbldnsd;
mod inspect;
mod locate;
mod logs;
mod lookup;
mod man;
mod output;
mod overlay;
mod pin;
mod print_config;
mod probe;
mod progress;
mod rbldnsd;
mod records;
mod rollback;
mod serve;
mod snippet;
mod status;
mod sync;
mod targets;
mod terms;
mod up;
mod view;

use std::ffi::OsString;
use std::sync::LazyLock;

use clap::builder::Styles;
use clap::builder::styling::AnsiColor;
use clap::{CommandFactory, Parser, Subcommand};

use crate::error::ExitStatus;
use crate::rbldnsd::LOADER_COMMAND;

const EXAMPLES: &str = "\
Examples:
  gatepost up                              serve public blocklists on 127.0.0.1:5354 at once
  gatepost lookup 192.0.2.7                which lists have it, and why
  gatepost allow 192.0.2.7 --for 7d        let it pass now, whatever lists say
  gatepost status                          lists, ages, decisions, what is in service
  gatepost serve --config gatepost.toml    the service: answers, and syncs on a timer
  gatepost snippet postfix                 what to paste into your mail program or resolver
  gatepost doctor                          why is mail not rejected?

Exit codes:
  0  all is well; not listed
  1  listed; a list was held, refused or not reached; a check found something wrong
  2  the command line or the configuration is wrong
  3  cannot tell, or could not do it

Every command explains itself: gatepost help COMMAND";

/// A self-hosted DNSBL mirror: public blocklists in, DNS answers out.
///
/// gatepost downloads blocklists, checks them, compiles them into mapped files and answers DNSBL questions from those
/// for the mail servers next to it. The lookups of your mail server never leave your network.
#[derive(Debug, Parser)]
#[command(name = "gatepost", version = version(), after_help = EXAMPLES, styles = STYLES, max_term_width = 110)]
#[command(disable_help_subcommand = false, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Serve(serve::Args),
    Sync(sync::Args),
    Status(status::Args),
    Lookup(lookup::Args),
    Allow(decide::AllowArgs),
    Block(decide::BlockArgs),
    Overlay(overlay::Args),
    Accept(accept::Args),
    Diff(diff::Args),
    History(history::Args),
    Rollback(rollback::Args),
    Pin(pin::Args),
    Unpin(pin::UnpinArgs),
    Feeds(feeds::Args),
    CheckConfig(check_config::Args),
    PrintConfig(print_config::Args),
    Snippet(snippet::Args),
    Doctor(doctor::Args),
    Compile(compile::Args),
    Inspect(inspect::Args),
    Export(export::Args),
    Bench(bench::Args),
    Compare(compare::Args),
    Rbldnsd(rbldnsd::Args),
    ImportRbldnsd(import_rbldnsd::Args),
    #[command(name = LOADER_COMMAND, hide = true)]
    RbldnsdLoader,
    Completions(completions::Args),
    Man(man::Args),
}

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Runs the command that the command line asks for; its exit code.
pub fn main() -> ExitStatus {
    let args = rbldnsd::by_name(std::env::args_os());
    let is_rbldnsd = rbldnsd::is_meant(&args);
    let status = run(args);
    if is_rbldnsd { status.as_there() } else { status }
}

fn run(args: Vec<OsString>) -> ExitStatus {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are no errors and go to stdout. That nobody reads them is none either.
            let _ = told.print();
            return if told.use_stderr() { ExitStatus::Usage } else { ExitStatus::Ok };
        }
    };
    let done = match &cli.command {
        Command::Up(args) => up::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Sync(args) => sync::run(args),
        Command::Status(args) => status::run(args),
        Command::Lookup(args) => lookup::run(args),
        Command::Allow(args) => decide::allow(args),
        Command::Block(args) => decide::block(args),
        Command::Overlay(args) => overlay::run(args),
        Command::Accept(args) => accept::run(args),
        Command::Diff(args) => diff::run(args),
        Command::History(args) => history::run(args),
        Command::Rollback(args) => rollback::run(args),
        Command::Pin(args) => pin::run(args),
        Command::Unpin(args) => pin::unpin(args),
        Command::Feeds(args) => feeds::run(args),
        Command::CheckConfig(args) => check_config::run(args),
        Command::PrintConfig(args) => print_config::run(args),
        Command::Snippet(args) => snippet::run(args),
        Command::Doctor(args) => doctor::run(args),
        Command::Compile(args) => compile::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Export(args) => export::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Rbldnsd(args) => rbldnsd::run(args),
        Command::ImportRbldnsd(args) => import_rbldnsd::run(args),
        Command::RbldnsdLoader => rbldnsd::load(),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
    };
    done.unwrap_or_else(|error| failure::tell(&error))
}

/// The definition of all commands: help, completions and man pages come from it.
fn command() -> clap::Command {
    Cli::command()
}

/// The version, and the commit when the build knew it (`GATEPOST_COMMIT`).
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("GATEPOST_COMMIT") {
        Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
        None => env!("CARGO_PKG_VERSION").to_owned(),
    });
    &VERSION
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_definition_is_sound() {
        super::command().debug_assert();
    }
}

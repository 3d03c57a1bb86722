//! Logs: one line an event on stderr, for people, for machines, or for the journal.
//!
//! `GATEPOST_LOG` filters as `RUST_LOG` does elsewhere (`debug`, `warn,gatepost::feed=debug`). hickory-server is held
//! to warnings whatever the filter says: it logs two lines for every reply.

use std::fmt;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use tracing::{Event, Level, Subscriber};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{Compact, Format as Lines, Writer};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The environment variable with the filter.
pub const FILTER: &str = "GATEPOST_LOG";

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people; in the journal with priorities instead of times.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// A priority in angle brackets and the text, for [`Syslog`](super::Syslog).
    Prioritised,
    /// The text alone, for whoever logs it as their own.
    Bare,
}

/// Writes what is left of a log when it is dropped, as far as that goes within a second.
#[must_use]
pub struct Flush {
    _guard: WorkerGuard,
}

/// Lines that wait for a reader of stderr that has fallen behind; what comes above that is lost.
const LINES: usize = 8192;

/// stderr in a thread of its own: whoever reads it (a journal that stands still, a full pipe) keeps nobody from work.
pub fn stderr_apart() -> (BoxMakeWriter, Flush) {
    let builder = NonBlockingBuilder::default().lossy(true).buffered_lines_limit(LINES).thread_name("log");
    let (writer, guard): (NonBlocking, _) = builder.finish(std::io::stderr());
    (BoxMakeWriter::new(writer), Flush { _guard: guard })
}

/// Installs the log for this process. `level` counts where the environment says nothing. A second call does nothing.
pub fn init(format: Format, level: Level, writer: BoxMakeWriter) {
    let filter = std::env::var(FILTER).ok().filter(|filter| !filter.trim().is_empty());
    let filter = filter.unwrap_or_else(|| level.to_string());
    let filter = EnvFilter::builder()
        .parse_lossy(filter)
        .add_directive("hickory_server=warn".parse().expect("a directive"));
    // A line that cannot be written (a full disk, a reader that is gone) is lost. To tell that on stderr, as it would by
    // default, ends the program where it is stderr that cannot be written.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    let installed = match format {
        Format::Json => builder.json().flatten_event(true).with_current_span(false).try_init(),
        Format::Prioritised => builder.event_format(Journal::new()).try_init(),
        Format::Bare => {
            builder.compact().without_time().with_level(false).with_target(false).with_ansi(false).try_init()
        }
        Format::Text if in_journal() => builder.event_format(Journal::new()).try_init(),
        Format::Text => builder.compact().with_target(false).with_ansi(colours_wanted()).try_init(),
    };
    // Somebody else's log (a test's) is as good.
    drop(installed);
}

/// Whether stderr is the journal itself: systemd says which device and inode that is (systemd.exec(5)).
pub fn in_journal() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    let Ok(stderr) = nix::sys::stat::fstat(std::io::stderr().as_fd()) else { return false };
    stream == format!("{}:{}", stderr.st_dev, stderr.st_ino)
}

fn colours_wanted() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The priority of syslog(3) that the journal files a line under.
pub fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// Lines for the journal: it has the time and the program's name already.
struct Journal(Lines<Compact, ()>);

impl Journal {
    fn new() -> Self {
        let lines = tracing_subscriber::fmt::format().compact().without_time();
        Self(lines.with_target(false).with_level(false).with_ansi(false))
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

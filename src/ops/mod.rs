//! What a long-running process needs around the server: logs, signals, the service manager, the sync child, the timer.
//!
//! [`Service`] puts them together: one loop that waits for whatever happens next. Both `serve` and `up` run it, each
//! with its own [`Conduct`]. Never: DNS, list formats, the command line, writing to the store.

mod ages;
mod child;
mod clients;
mod identity;
mod limits;
pub mod log;
mod losses;
pub mod report;
mod service;
mod signals;
mod statistics;
mod syslog;
mod systemd;
mod timer;
mod watchdog;

pub use ages::{FeedAges, expired_lists, feed_ages, next_due};
pub use child::{Ended, Said, SyncChild, be_called, this_program, with_parent};
pub use clients::Clients;
pub use identity::identity;
pub use limits::{FEWEST_FILES, TooFewFiles, enough_open_files, raise_open_files};
pub use report::{EventLines, ListDone, Report, Weight};
pub use service::{Conduct, Service};
pub use signals::{GRACE, Nohup, Signal, is_told_to_end, leave_to_parent, listen};
pub use statistics::Statistics;
pub use syslog::Syslog;
pub use systemd::{Manager, NOT_INHERITED, handed};
pub use timer::Timer;

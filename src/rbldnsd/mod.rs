//! rbldnsd's command line: its options and zones with the meaning they have there, over gatepost's own parts.
//!
//! The serving process ([`daemon`]) binds, drops its privileges and answers. It never reads a list: a [`loader`] process,
//! started early and with the same privileges dropped, looks at the files, compiles what has changed and hands each
//! zone over as an open descriptor (`channel`) of a file in the `cache`, or of sealed memory where there is none. So a
//! restart maps what was compiled before, and a crash or a peak of memory there leaves the answers alone.
//!
//! Read [`Options`] first, then [`daemon::run`] and [`loader::run`]. Never: guards and the never-list (the files are the
//! operator's word), DNS.

pub mod background;
mod cache;
mod channel;
pub mod daemon;
mod data;
pub mod dump;
mod files;
mod handle;
mod import;
pub mod loader;
mod logs;
mod made_from;
mod options;
mod privileges;
mod reports;
mod zones;

pub use handle::LOADER_COMMAND;
pub use import::to_toml;
pub use options::{DataSet, DataSetKind, Family, Mistake, Options, Specs, Target, Ttls, ZoneSpec};

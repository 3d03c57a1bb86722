//! Load for DNS servers, with every answer checked: what `gatepost bench` does.
//!
//! [`Questions`] are made first, whole: from a query file ([`read`]) or from a zone whose content is known ([`draw()`]). Then
//! [`load()`] sends them as a [`Plan`] says and gives a [`Tally`]. [`round`] does the same to several servers that were
//! started for it ([`Server`]), with the CPU time that each took. [`around()`] draws questions without answers, for two servers
//! to be asked side by side.
//!
//! Never: deciding whom it may send to (the command does), several packets in one system call on the way out (no
//! client's questions reach a server as a train), TCP, retries: what is lost is counted.

mod around;
mod check;
mod compare;
mod draw;
mod file;
mod port;
mod process;
mod questions;
mod random;
mod run;
mod tally;

pub use around::{around, test_domains};
pub use check::Fault;
pub use compare::{CompareError, Quartiles, Round, all_run, await_answers, round, try_question};
pub use draw::{Draw, DrawError, draw};
pub use file::{FileError, read, type_name};
pub use process::{Cores, Server, pin};
pub use questions::{Expected, Questions};
pub use run::{Pace, Plan, load};
pub use tally::{Tally, Wrong};

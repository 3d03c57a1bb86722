//! gatepost: a self-hosted DNSBL mirror and lookup server.
//!
//! Public blocklists come in, DNS answers go out. Data flows one way, and a module uses only modules that stand
//! before it:
//!
//! | stage | modules | what happens there |
//! | --- | --- | --- |
//! | words | [`model`], [`set`] | addresses, names, texts; a list in its canonical form |
//! | reading | [`parse`], [`guard`] | text → set, and whether it is safe to use |
//! | building | [`compile`], [`snapshot`] | sets → address to answer, in a file that is mapped |
//! | answering | [`zone`], [`wire`] | what a zone says of a question, and the octets that say it |
//! | handing on | [`export`] | a snapshot → rbldnsd's files, plain lists, bitmaps, master files |
#![cfg_attr(
    feature = "full",
    doc = "| keeping | [`config`], [`store`], [`feed`] | settings, the state folder, fetching |"
)]
#![cfg_attr(
    feature = "full",
    doc = "| serving | [`server`] | sockets, threads, the swap of what is served |"
)]
#![cfg_attr(
    feature = "full",
    doc = "| asking | [`client`], [`load`] | one question to a server, and as many as it bears |"
)]
#![cfg_attr(
    feature = "full",
    doc = "| wiring | `snippet`, `doctor` | what mail programs and resolvers are told, and what is wrong with how they ask |"
)]
//!
//! The first five rows are the pure core: they build without the feature `full`, without tokio, hickory or reqwest.
//! Where to start reading: [`compile`] for what a zone means, [`snapshot`] for the file format, `server::respond` for
//! what happens to a packet, `sync` for what happens to a list.

pub mod model;
pub mod set;

pub mod guard;
pub mod parse;

pub mod compile;
pub mod snapshot;

pub mod wire;
pub mod zone;

pub mod export;

#[cfg(feature = "full")]
pub mod config;
#[cfg(feature = "full")]
pub mod feed;
#[cfg(feature = "full")]
pub mod store;

#[cfg(feature = "full")]
pub mod client;
#[cfg(feature = "full")]
pub mod load;
#[cfg(feature = "full")]
pub mod server;

#[cfg(feature = "full")]
pub mod sync;

#[cfg(feature = "full")]
mod doctor;
#[cfg(feature = "full")]
mod snippet;

#[cfg(feature = "full")]
pub mod cli;
#[cfg(feature = "full")]
pub mod error;
#[cfg(feature = "full")]
pub mod ops;
#[cfg(feature = "full")]
pub mod rbldnsd;

//! gatepost: a self-hosted DNSBL mirror and lookup server.
pub mod compile;
#[cfg(feature = "full")]
pub mod config;
#[cfg(feature = "full")]
pub mod feed;
pub mod guard;
pub mod model;
pub mod parse;
pub mod set;
#[cfg(feature = "full")]
pub mod store;

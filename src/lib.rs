//! gatepost: a self-hosted DNSBL mirror and lookup server.
#[cfg(feature = "full")]
pub mod client;
pub mod compile;
pub mod guard;
pub mod model;
pub mod parse;
#[cfg(feature = "full")]
pub mod server;
pub mod set;
pub mod snapshot;
pub mod wire;
pub mod zone;

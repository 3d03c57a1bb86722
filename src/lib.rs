//! gatepost: a self-hosted DNSBL mirror and lookup server.
pub mod compile;
pub mod guard;
pub mod model;
pub mod parse;
pub mod set;
pub mod snapshot;
#[cfg(feature = "full")]
pub mod client;
#[cfg(feature = "full")]
pub mod server;
pub mod wire;
pub mod zone;

//! gatepost: a self-hosted DNSBL mirror and lookup server.
pub mod model;
pub mod set;

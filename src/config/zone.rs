//! A zone: which lists answer in it, and what it says of itself.

use super::access::AccessConfig;
use super::words::{Code, Slug};
use crate::compile::ZoneData;
use crate::model::{Name, Ns, Soa, Template, Ttl};

/// A zone as configured, every default filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneConfig {
    /// Its origin.
    pub origin: Name,
    /// The lists that answer, in order.
    pub members: Vec<MemberConfig>,
    /// Allow lists whose addresses and names are taken out.
    pub excepts: Vec<Slug>,
    /// Values of entries stand as published; otherwise each list's code and text replace them.
    pub keep_values: bool,
    /// Start of authority.
    pub soa: Soa,
    /// Name servers.
    pub ns: Ns,
    /// TTL of answers whose data brings none, in seconds.
    pub ttl: Ttl,
    /// The test points of RFC 5782 are forced.
    pub test_points: bool,
    /// Who is answered; what a client is given by this and by the server's own list is the stricter.
    pub access: AccessConfig,
}

/// A list in a zone.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberConfig {
    /// Its name.
    pub list: Slug,
    /// Its code here.
    pub code: Code,
    /// Its text here; `{note}` is still in it.
    pub text: Template,
}

impl ZoneConfig {
    /// What the compiler and the snapshot are told of the zone.
    pub fn zone_data(&self) -> ZoneData {
        ZoneData {
            origin: self.origin.clone(),
            soa: self.soa.clone(),
            ns: self.ns.clone(),
            ttl: self.ttl,
            test_points: self.test_points,
            combined: self.members.len() > 1,
            base: None,
        }
    }

    /// The lists that a change of concerns this zone: members and excepts.
    pub fn lists(&self) -> impl Iterator<Item = &Slug> {
        self.members.iter().map(|member| &member.list).chain(&self.excepts)
    }
}

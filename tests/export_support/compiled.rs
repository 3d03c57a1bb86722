//! What a case compiles to, without a server.

use std::net::Ipv4Addr;
use std::sync::Arc;

use gatepost::compile::{Member, ZoneSpec, expand};
use gatepost::model::{ContentHash, Template, Use};
use gatepost::parse::{Format, Options, Parser};
use gatepost::set::Set;

use crate::dns_support;
use crate::peer_support::Case;

impl Case {
    /// The zone as gatepost compiles it, with its subzones: nothing forced, values as published. None where a file is
    /// refused.
    pub(crate) fn specs(&self) -> Vec<ZoneSpec> {
        let beside = self.beside.iter().map(|(format, file)| self.read(format, std::slice::from_ref(file)));
        let sets: std::io::Result<Vec<Set>> =
            std::iter::once(self.read(self.format, &self.files)).chain(beside).collect();
        let Ok(sets) = sets else { return Vec::new() };
        let mut spec = dns_support::spec(&self.origin);
        spec.zone.ttl = self.options.default_ttl;
        spec.zone.test_points = false;
        if let Some(soa) = sets.iter().find_map(|set| set.directives.soa.as_ref()) {
            spec.zone.soa = soa.clone();
        }
        if let Some(ns) = sets.iter().find_map(|set| set.directives.ns.as_ref()) {
            spec.zone.ns = ns.clone();
        }
        spec.members.extend(sets.into_iter().map(|set| Member {
            name: "data-set".to_owned(),
            hash: ContentHash::of(self.origin.as_bytes()),
            set: Arc::new(set),
            use_: Use::Block,
            code: Ipv4Addr::new(127, 0, 0, 2),
            text: Template::default(),
            keep_values: true,
            foreign: false,
            never: None,
        }));
        expand(spec, |_| true)
    }

    fn read(&self, format: &str, files: &[Vec<u8>]) -> std::io::Result<Set> {
        let format: Format = format.parse().expect(format);
        let mut parser = Parser::new(format, &Options { rbldnsd: self.options, ..Options::default() });
        files.iter().try_for_each(|file| parser.read(&file[..], &mut |_| {}).map(drop))?;
        Ok(parser.finish().set)
    }
}

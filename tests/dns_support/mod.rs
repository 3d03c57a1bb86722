//! Zones for the DNS tests: built the way the program builds them, from sets through the compiler to a snapshot.
#![allow(dead_code)] // each test file uses its part

use std::io::Cursor;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use gatepost::compile::{Except, Member, ZoneData, ZoneSpec, compile};
use gatepost::model::{ContentHash, Name, Ns, RrData, RrSet, Rtype, Soa, Template, Use, Value};
#[cfg(feature = "full")]
use gatepost::server::respond::Moment;
use gatepost::set::{Overlap, Scope, Set, SetBuilder, codec};
use gatepost::snapshot::{self, Snapshot};
use gatepost::zone::Zone;

/// Whoever asks where that does not matter.
pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// And when.
#[cfg(feature = "full")]
pub(crate) const NOW: Moment = Moment { wall: 1_800_000_000, micros: 0 };

/// A name from its text.
pub(crate) fn name(text: &str) -> Name {
    text.parse().expect(text)
}

/// The labels of `text` in wire form without the final zero octet.
pub(crate) fn labels(text: &str) -> Vec<u8> {
    if text.is_empty() {
        return Vec::new();
    }
    let wire = name(text).as_wire().to_vec();
    wire[..wire.len() - 1].to_vec()
}

/// A zone without lists: SOA TTL 3600, minimum 60, TTL 300, NS `ns.` below the origin.
pub(crate) fn spec(origin: &str) -> ZoneSpec {
    let origin = name(origin);
    let below = |label: &str| name(label).below(&origin).expect("short");
    ZoneSpec {
        zone: ZoneData {
            soa: Soa {
                ttl: 3600,
                mname: below("ns"),
                rname: name("hostmaster.example"),
                serial: None,
                refresh: 7200,
                retry: 900,
                expire: 86400,
                minimum: 60,
            },
            ns: Ns { ttl: 3600, hosts: vec![below("ns"), name("ns2.example")] },
            ttl: 300,
            test_points: true,
            combined: false,
            base: None,
            origin,
        },
        members: Vec::new(),
        excepts: Vec::new(),
        subzones: Vec::new(),
    }
}

/// Adds a list of `use_` with a code and a text; `fill` puts its entries in.
pub(crate) fn member(
    spec: &mut ZoneSpec,
    list: &str,
    use_: Use,
    code: u8,
    text: &str,
    fill: impl FnOnce(&mut SetBuilder),
) {
    let (set, hash) = set(fill);
    spec.members.push(Member {
        name: list.to_owned(),
        set,
        hash,
        use_,
        code: Ipv4Addr::new(127, 0, 0, code),
        text: Template::parse(text.as_bytes()),
        keep_values: true,
        foreign: false,
        never: None,
    });
}

/// Adds an exception list.
pub(crate) fn except(spec: &mut ZoneSpec, list: &str, fill: impl FnOnce(&mut SetBuilder)) {
    let (set, hash) = set(fill);
    spec.excepts.push(Except { name: list.to_owned(), set, hash });
}

fn set(fill: impl FnOnce(&mut SetBuilder)) -> (Arc<Set>, ContentHash) {
    let mut builder = SetBuilder::new(Overlap::Narrowest);
    fill(&mut builder);
    let set = builder.finish();
    let hash = codec::encode(&set).1;
    (Arc::new(set), hash)
}

/// The value of entries that say nothing themselves.
pub(crate) fn plain(builder: &mut SetBuilder) -> u32 {
    builder.value(&Value::default())
}

/// Lists single addresses.
pub(crate) fn hosts(builder: &mut SetBuilder, addresses: &[&str]) {
    let value = plain(builder);
    for address in addresses {
        builder.host(u32::from(address.parse::<Ipv4Addr>().expect(address)), value);
    }
}

/// Lists a name, and with `below` what is below it.
pub(crate) fn listed_name(builder: &mut SetBuilder, text: &str, below: bool) {
    let value = plain(builder);
    builder.name(name(text), if below { Scope::Below } else { Scope::Exact }, value);
}

/// A value of one record set in wire form.
pub(crate) fn records(rtype: u16, data: &[&[u8]]) -> Value {
    let data = RrData::Wire(data.iter().map(|octets| octets.to_vec()).collect());
    Value { records: vec![RrSet { rtype: Rtype(rtype), ttl: 0, data }], ..Value::default() }
}

/// The octets of the snapshot of a zone, and the hash of its content.
pub(crate) fn bytes(spec: &ZoneSpec) -> (Vec<u8>, ContentHash) {
    let mut out = Cursor::new(Vec::new());
    let written = snapshot::write(&compile(spec), &serde_json::json!({}), &mut out).expect("written");
    (out.into_inner(), written.content)
}

/// The same, saying that its test points are forced, whatever is in it.
pub(crate) fn bytes_that_claim_test_points(spec: &ZoneSpec) -> (Vec<u8>, ContentHash) {
    let mut compiled = compile(spec);
    compiled.zone.test_points = true;
    let mut out = Cursor::new(Vec::new());
    let written = snapshot::write(&compiled, &serde_json::json!({}), &mut out).expect("written");
    (out.into_inner(), written.content)
}

/// The zone, served from memory under serial 7.
pub(crate) fn zone(spec: &ZoneSpec) -> Zone<Vec<u8>> {
    let snapshot = Snapshot::open(bytes(spec).0).expect("opens");
    snapshot.verify().expect("is whole");
    Zone::new(Arc::new(snapshot), 7)
}

/// A query packet: header with RD, the question as given (its case too), and what `more` adds.
pub(crate) fn query(owner: &str, qtype: u16) -> Vec<u8> {
    let mut packet = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00".to_vec();
    for label in owner.split('.').filter(|label| !label.is_empty()) {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.push(0);
    packet.extend_from_slice(&qtype.to_be_bytes());
    packet.extend_from_slice(&[0, 1]);
    packet
}

/// Adds an OPT record.
pub(crate) fn with_opt(mut packet: Vec<u8>, size: u16, version: u8, flags: u8, options: &[u8]) -> Vec<u8> {
    packet[11] += 1;
    let [high, low] = size.to_be_bytes();
    packet.extend_from_slice(&[0, 0, 41, high, low, 0, version, flags, 0]);
    packet.extend_from_slice(&(options.len() as u16).to_be_bytes());
    packet.extend_from_slice(options);
    packet
}

/// What a message says, for comparison: hickory's records are equal whatever their TTLs and classes.
#[cfg(feature = "full")]
pub(crate) fn meaning(octets: &[u8]) -> (hickory_proto::op::Message, Vec<String>) {
    let message = hickory_proto::op::Message::from_vec(octets).expect("a message");
    let rest =
        message.all_sections().map(|record| format!("{} {} {}", record.ttl, record.dns_class, record.data));
    let rest = rest.collect();
    (message, rest)
}

#[cfg(feature = "full")]
pub(crate) mod store {
    //! A store as the server reads it.

    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use gatepost::compile::ZoneSpec;
    use gatepost::server::{Settings, World};
    use gatepost::store::Store;

    /// Settings of a server of these zones on a free loopback port.
    pub(crate) fn settings(state: &Path, zones: &[&ZoneSpec]) -> Settings {
        let zones = zones.iter().filter(|spec| spec.zone.base.is_none());
        let origins = zones.map(|spec| spec.zone.origin.clone()).collect();
        let mut settings = Settings::new(state.to_owned(), origins);
        settings.listen = vec!["127.0.0.1:0".parse().expect("address")];
        settings
    }

    /// The world of the generation in `state`, without a server.
    pub(crate) fn world(settings: &Settings) -> World {
        let store = Store::existing(&settings.state).expect("a store");
        let generation = store.generation().expect("readable").expect("a generation");
        let nothing = World::new([], None, None);
        World::build(settings, &store, &generation, &BTreeSet::new(), &nothing).expect("sound snapshots")
    }

    /// Puts the zones in service, as sync does: snapshots first, then the generation, each renamed into place.
    pub(crate) fn publish(state: &Path, number: u64, zones: &[(&ZoneSpec, u32)]) {
        let folder = state.join("snapshots");
        fs::create_dir_all(&folder).expect("folder");
        let mut entries = serde_json::Map::new();
        for (spec, serial) in zones {
            let (bytes, content) = super::bytes(spec);
            let origin = spec.zone.origin.to_string();
            let file = format!("{origin}-{}", content.short());
            if !folder.join(&file).exists() {
                rename_into(&folder.join(&file), &bytes);
            }
            let mut entry = serde_json::json!({
                "file": file, "content": content, "made_from": content, "serial": serial, "built": 0,
            });
            if let Some(base) = &spec.zone.base {
                entry["base"] = base.to_string().into();
            }
            entries.insert(origin, entry);
        }
        let generation =
            serde_json::json!({ "version": 1, "number": number, "created": 0, "zones": entries });
        rename_into(&state.join("generation.json"), generation.to_string().as_bytes());
    }

    fn rename_into(path: &Path, bytes: &[u8]) {
        let beside: PathBuf = path.with_extension("new");
        fs::write(&beside, bytes).expect("written");
        fs::rename(beside, path).expect("renamed");
    }
}

//! What must hold for any octets. Fuzz targets call it without end, tests call it for a while and for every file of
//! `tests/fuzz/corpora`.
#![allow(dead_code)] // each target uses its part

pub(crate) mod parse;
pub(crate) mod reader;
pub(crate) mod set;
pub(crate) mod wire;

use gatepost::parse::Format;

/// The targets: each name is also that of its corpus and of its file in `fuzz_targets`.
pub(crate) const TARGETS: [&str; 21] = [
    "reader",
    "wire",
    "set",
    "parse_plain",
    "parse_drop",
    "parse_drop_json",
    "parse_netset",
    "parse_csv",
    "parse_dshield",
    "parse_hosts",
    "parse_names",
    "parse_rbldnsd_ip4set",
    "parse_rbldnsd_ip4tset",
    "parse_rbldnsd_ip4trie",
    "parse_rbldnsd_ip6tset",
    "parse_rbldnsd_ip6trie",
    "parse_rbldnsd_dnset",
    "parse_rbldnsd_dnhash",
    "parse_rbldnsd_generic",
    "parse_rbldnsd_combined",
    "parse_rbldnsd_acl",
];

/// Runs the target called `name`.
pub(crate) fn run(name: &str, data: &[u8]) {
    match name {
        "reader" => reader::any_bytes(data),
        "wire" => wire::any_bytes(data),
        "set" => set::any_bytes(data),
        "parse_rbldnsd_acl" => parse::access_list(data),
        parser => {
            let format = Format::ALL.into_iter().find(|format| target(*format) == parser);
            // Pieces of a size that changes with the input.
            let step = 1 + data.first().map_or(0, |&octet| usize::from(octet % 37));
            parse::any_bytes(format.expect("a target"), data, step);
        }
    }
}

/// The target of a format: `drop-json` → `parse_drop_json`.
pub(crate) fn target(format: Format) -> String {
    format!("parse_{}", format.name().replace(['-', ':'], "_"))
}

//! Any octets at all, given to every parser: no panic, a bounded run, and the same result on every way through.
//!
//! What must hold is in `fuzz/bodies/parse.rs`, which the fuzz targets call too.

#[path = "fuzz/bodies/parse.rs"]
#[allow(dead_code)] // `any_bytes` is the fuzz targets'
mod body;

use body::{
    HAS_FAST_PATH, access_list, fast_equals_slow, parse_one, payload_one, pieces_do_not_matter, read,
};
use gatepost::parse::{Format, LINE_MAX, Options};
use proptest::prelude::*;

/// Text that comes near the formats.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => "[0-9]{1,3}(\\.[0-9]{1,3}){3}",
        1 => "[0-9.]{1,18}",
        1 => "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}[-/][0-9.]{1,15}",
        1 => "[0-9a-f:]{2,20}(/[0-9]{1,3})?",
        1 => "[*.!]?[a-z0-9_.-]{1,20}",
        1 => "[#;:]?\\$(SOA|NS|TTL|TIMESTAMP|MAXRANGE4|[0-9=A-Z])[ 0-9a-z.:+/-]{0,20}",
        1 => "[#;:]?\\$(DATASET|dataset) (ip4set|ip4trie|dnset|ip6tset|generic|acl|foo)(:[a-z])?( [a-z@.\\\\]{1,4}){0,3}",
        1 => ":[0-9.]{0,9}:?[a-z$0-9= ]{0,8}",
        1 => "[#;] ?(EOF|END [0-9] entries|Entries : [0-9] unique|Updated: [0-9T:-]{8,20}|[ -~]{0,9})",
        1 => "\\{\"(cidr|type|size|records)\":(\"[0-9./a-z]{1,12}\"|[0-9]{1,4})\\}",
        1 => "[a-z@*.\\\\0-9]{1,9} ([0-9]{1,3}[hd]? )?(IN )?(A|AAAA|TXT|MX|CNAME|NS)( [0-9.]{1,9}| \"[a-z]{0,3}\"){0,3}",
        1 => "!?([0-9a-f]{0,4}:){1,8}[0-9a-f]{0,4}(/[0-9]{1,3})?( :[0-9]:[a-z$]{0,3})?",
        1 => "[,\"\t a-z]{1,8}",
    ];
    let separator = prop_oneof![4 => Just("\n"), 1 => Just("\r\n"), 1 => Just(" "), 1 => Just(","), 1 => Just("\t"), 1 => Just("")];
    proptest::collection::vec((piece, separator), 0..24).prop_map(|rows| {
        rows.into_iter()
            .flat_map(|(piece, separator)| [piece, separator.to_owned()])
            .collect::<String>()
            .into_bytes()
    })
}

/// Lines that come near an access list's.
fn clients() -> impl Strategy<Value = Vec<u8>> {
    const CLIENT: &str = "([0-9]{1,3}(\\.[0-9]{1,3}){0,3}|[0-9a-f:]{2,12})(/[0-9]{1,3})?";
    const ACTION: &str = "[ \t]?([:=](ignore|refuse|EMPTY|pass|blackhole|[a-z]{1,3}|[0-9.]{1,4}(:[a-z$]{0,3})?)|[a-z #;$]{0,4})";
    let line = prop_oneof![
        6 => (CLIENT, ACTION).prop_map(|(client, action)| client + &action),
        2 => ACTION,
        1 => "[#;:]?\\$(TTL|MAXRANGE4|SOA|NS|[0-9=]|[A-Z]{1,3}) [0-9a-z/]{0,4}",
    ];
    proptest::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n").into_bytes())
}

fn anything() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![near(), proptest::collection::vec(any::<u8>(), 0..300)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn parsers_take_anything(data in anything(), step in 1usize..40) {
        for format in Format::ALL {
            parse_one(format, &data);
            payload_one(format, &data);
            pieces_do_not_matter(format, &data, step);
        }
    }

    #[test]
    fn access_lists_take_anything(data in prop_oneof![clients(), anything()]) {
        access_list(&data);
    }

    #[test]
    fn no_line_is_read_differently_when_it_is_fast(data in anything()) {
        for format in HAS_FAST_PATH {
            fast_equals_slow(format, &data);
        }
    }
}

/// Lines and blocks around the sizes of buffers.
#[test]
fn sizes_around_the_buffer() {
    for pad in
        [0, 1, 7, 262_120, 262_127, 262_128, 262_129, 262_144, 524_272, LINE_MAX - 1, LINE_MAX, LINE_MAX + 1]
    {
        let data = [b"192.0.2.1\n#", &vec![b'x'; pad][..], b"\n192.0.2.2\n192.0.2.3"].concat();
        for format in Format::ALL {
            parse_one(format, &data);
            pieces_do_not_matter(format, &data, 65_536);
        }
        let (parsed, _) = read(Format::Plain, &Options::default(), &data).unwrap();
        assert_eq!(parsed.set.v4.hosts.len(), 3, "{pad}");
    }
}

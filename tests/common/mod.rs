//! What the end-to-end tests share: an HTTP server that serves and lies, the program as a process, a DNS client of a
//! few lines, and lists read in the plainest way. Nothing here uses the program's own parsers or encoders.
#![allow(dead_code)] // each test file uses its part

pub(crate) mod dns;
pub(crate) mod feed_server;
pub(crate) mod hostile;
pub(crate) mod loud;
pub(crate) mod naive;
pub(crate) mod program;
pub(crate) mod site;
pub(crate) mod stopped;

use std::path::{Path, PathBuf};

#[allow(unused_imports)] // each test file uses its part
pub(crate) use loud::{feeds, installed, say, skipped};

/// A file of the made-up lists in `tests/data`.
pub(crate) fn made_up(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

/// The lines of a list of single addresses: 5.6.0.0 and the `from`th behind it, up to the one before the `to`th.
pub(crate) fn hosts(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("5.6.{}.{}\n", n / 256, n % 256)).collect()
}

/// The octets of a file, unpacked when its name ends in `.gz`.
pub(crate) fn unpacked(path: &Path) -> Vec<u8> {
    let octets = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_none_or(|extension| extension != "gz") {
        return octets;
    }
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::MultiGzDecoder::new(&octets[..]), &mut text).expect("gzip");
    text
}

/// A port of 127.0.0.1 that nobody has now, over UDP or TCP.
pub(crate) fn free_port() -> u16 {
    loop {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = tcp.local_addr().expect("bound");
        if std::net::UdpSocket::bind(address).is_ok() {
            return address.port();
        }
    }
}

/// Random numbers with a fixed seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

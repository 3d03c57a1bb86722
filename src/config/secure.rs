//! DNS over TLS and over HTTPS as configured.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The files of a certificate and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate, its chain after it.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// The path of a URL: `/` and then letters, digits, `/`, `-`, `_`, `.` and `~`. Nothing that a router gives a meaning to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpPath(Box<str>);

impl HttpPath {
    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HttpPath {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~');
        if text.starts_with('/') && text.bytes().all(good) { Ok(Self(text.into())) } else { Err(()) }
    }
}

impl fmt::Display for HttpPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! Certificates and TLS handshakes: rustls with the ring provider, TLS 1.2 and 1.3.
//!
//! An [`Identity`] is a certificate with its key, read and found to fit. [`Keys`] hold the one that connections from now on
//! are shown; a renewal changes nothing for those that are open. Never: deciding when to read files again.

use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, InconsistentKeys, RootCertStore, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Dropped;
use crate::config::open_file;

/// Octets of a PEM file: a chain has a few thousand.
const FILE_MAX: u64 = 1 << 20;
/// What connections to DNS over TLS agree on, if they ask (RFC 7858, registry of RFC 7301).
const DOT: &[&[u8]] = &[b"dot"];
/// What connections to DNS over HTTPS agree on, the better first.
const DOH: &[&[u8]] = &[H2, b"http/1.1"];
/// HTTP/2 as both sides call it.
const H2: &[u8] = b"h2";

/// A certificate with its chain, and the key that fits it.
#[derive(Clone)]
pub struct Identity(Arc<CertifiedKey>);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the key.
        f.debug_struct("Identity").field("certificates", &self.0.cert.len()).finish_non_exhaustive()
    }
}

/// Why files are no identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read.
    #[error("cannot be read: {1}")]
    Read(PathBuf, io::Error),
    /// A file is far too large.
    #[error("more than {FILE_MAX} octets are no PEM file")]
    Size(PathBuf),
    /// It is not written as PEM.
    #[error("it is not PEM: {1}")]
    Pem(PathBuf, pem::Error),
    /// No certificate in it.
    #[error("there is no certificate in it (expected `-----BEGIN CERTIFICATE-----`)")]
    NoCertificate(PathBuf),
    /// No key in it.
    #[error("there is no private key in it (expected `-----BEGIN PRIVATE KEY-----`, without a password)")]
    NoKey(PathBuf),
    /// The certificate cannot be used.
    #[error("its first certificate cannot be used: {1}")]
    Certificate(PathBuf, rustls::Error),
    /// The key cannot be used.
    #[error("its key cannot be used: {1}")]
    Key(PathBuf, rustls::Error),
    /// The key is another certificate's.
    #[error("it is not the key of {}", .1.display())]
    Mismatch(PathBuf, PathBuf),
}

impl IdentityError {
    /// The file that is wrong.
    pub fn path(&self) -> &Path {
        match self {
            Self::Read(path, _)
            | Self::Size(path)
            | Self::Pem(path, _)
            | Self::NoCertificate(path)
            | Self::NoKey(path)
            | Self::Certificate(path, _)
            | Self::Key(path, _)
            | Self::Mismatch(path, _) => path,
        }
    }
}

impl Identity {
    /// Reads a certificate, its chain after it, and its key, both PEM.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let of = |error, path: &Path| IdentityError::Pem(path.to_owned(), error);
        let text = read(certificate)?;
        let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
        let chain = chain.map_err(|error| of(error, certificate))?;
        let Some(first) = chain.first() else {
            return Err(IdentityError::NoCertificate(certificate.to_owned()));
        };
        let unusable = |error| IdentityError::Certificate(certificate.to_owned(), error);
        ParsedCertificate::try_from(first).map_err(unusable)?;
        let secret = match PrivateKeyDer::from_pem_slice(&read(key)?) {
            Ok(secret) => secret,
            Err(pem::Error::NoItemsFound) => return Err(IdentityError::NoKey(key.to_owned())),
            Err(error) => return Err(of(error, key)),
        };
        match CertifiedKey::from_der(chain, secret, &ring::default_provider()) {
            Ok(certified) => Ok(Self(Arc::new(certified))),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(IdentityError::Mismatch(key.to_owned(), certificate.to_owned()))
            }
            Err(error) => Err(IdentityError::Key(key.to_owned(), error)),
        }
    }

    /// What clients will not like about the certificate now: it is over, or has not begun.
    pub fn complaint(&self) -> Option<String> {
        let first = ParsedCertificate::try_from(self.0.cert.first()?).ok()?;
        // Nobody is trusted here, so the verdict is never good; but times are looked at before trust.
        let algorithms = ring::default_provider().signature_verification_algorithms;
        let verdict = verify_server_cert_signed_by_trust_anchor(
            &first,
            &RootCertStore::empty(),
            &[],
            UnixTime::now(),
            algorithms.all,
        );
        let Err(rustls::Error::InvalidCertificate(error)) = verdict else { return None };
        let said = |time: UnixTime| {
            let time =
                i64::try_from(time.as_secs()).ok().and_then(|at| jiff::Timestamp::from_second(at).ok());
            time.map_or_else(String::new, |time| format!(" ({time})"))
        };
        match error {
            CertificateError::Expired => Some("the certificate has expired".to_owned()),
            CertificateError::ExpiredContext { not_after, .. } => {
                Some(format!("the certificate has expired{}", said(not_after)))
            }
            CertificateError::NotValidYet => Some("the certificate is not valid yet".to_owned()),
            CertificateError::NotValidYetContext { not_before, .. } => {
                Some(format!("the certificate is not valid yet{}", said(not_before)))
            }
            _ => None,
        }
    }

    fn config(&self, protocols: &[&[u8]]) -> Arc<ServerConfig> {
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let versions = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let versions = versions.expect("ring has what TLS 1.2 and 1.3 need");
        let resolver = Arc::new(SingleCertAndKey::from(Arc::clone(&self.0)));
        let mut config = versions.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let read = |error| IdentityError::Read(path.to_owned(), error);
    let mut octets = Vec::new();
    open_file(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut octets)).map_err(read)?;
    if octets.len() as u64 > FILE_MAX {
        return Err(IdentityError::Size(path.to_owned()));
    }
    Ok(octets)
}

/// What connections from now on are shown.
pub(super) struct Keys(ArcSwap<Shown>);

struct Shown {
    identity: Identity,
    dot: Arc<ServerConfig>,
    doh: Arc<ServerConfig>,
}

impl Keys {
    pub(super) fn new(identity: &Identity) -> Self {
        Self(ArcSwap::from_pointee(Shown::new(identity)))
    }

    /// Whether it is another than before. Then nobody can resume what was agreed on with that one: its key may be lost to
    /// somebody.
    pub(super) fn renew(&self, identity: &Identity) -> bool {
        // The same certificate has the same key.
        let changes = self.0.load().identity.0.cert != identity.0.cert;
        if changes {
            self.0.store(Arc::new(Shown::new(identity)));
        }
        changes
    }

    pub(super) fn dot(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.load().dot)
    }

    pub(super) fn doh(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.load().doh)
    }
}

impl Shown {
    fn new(identity: &Identity) -> Self {
        Self { identity: identity.clone(), dot: identity.config(DOT), doh: identity.config(DOH) }
    }
}

/// The handshake, which must not take longer than `time`.
pub(super) async fn greet(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    time: Duration,
) -> Result<TlsStream<TcpStream>, Dropped> {
    let greeted = timeout(time, TlsAcceptor::from(config).accept(stream)).await;
    greeted.ok().and_then(Result::ok).ok_or(Dropped::Handshake)
}

/// Whether both sides agreed on HTTP/2.
pub(super) fn is_h2(stream: &TlsStream<TcpStream>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(H2)
}

//! The HTTP clients: one for public addresses and one for any, each made when it is first needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Client, Proxy, Url, redirect};

use crate::config::Sync;
use crate::feed::fetch::Times;
use crate::feed::fetch::problem::{Problem, chain};
use crate::feed::fetch::reach::PublicOnly;

/// They and what they are made of.
pub(in crate::feed::fetch) struct Clients {
    agent: String,
    times: Times,
    proxy: Option<Url>,
    ca_file: Option<PathBuf>,
    public: OnceLock<Result<Client, String>>,
    any: OnceLock<Result<Client, String>>,
}

impl Clients {
    pub(in crate::feed::fetch) fn new(sync: &Sync, times: Times) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let agent = match &sync.contact {
            Some(contact) => format!("gatepost/{version} (+{contact})"),
            None => format!("gatepost/{version}"),
        };
        let (proxy, ca_file) = (sync.proxy.clone(), sync.ca_file.clone());
        Self { agent, times, proxy, ca_file, public: OnceLock::new(), any: OnceLock::new() }
    }

    /// Whether somebody else resolves names and connects.
    pub(super) fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    pub(super) fn client(&self, any_address: bool) -> Result<&Client, Problem> {
        let slot = if any_address { &self.any } else { &self.public };
        let made = slot.get_or_init(|| self.make(any_address));
        made.as_ref().map_err(Problem::unreached)
    }

    fn make(&self, any_address: bool) -> Result<Client, String> {
        // reqwest panics without a provider. Somebody else having installed one is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(&self.agent)
            .connect_timeout(self.times.connect)
            .read_timeout(self.times.idle)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy();
        if let Some(path) = &self.ca_file {
            builder = builder.tls_certs_merge(authorities(path)?);
        }
        match &self.proxy {
            Some(proxy) => {
                builder = builder.proxy(Proxy::all(proxy.as_str()).map_err(|error| chain(&error))?);
            }
            None if !any_address => builder = builder.dns_resolver(Arc::new(PublicOnly)),
            None => {}
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let failed = |what: String| format!("ca-file {}: {what}", path.display());
    let text = std::fs::read(path).map_err(|error| failed(format!("cannot read it: {error}")))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| failed(chain(&error)))?;
    if found.is_empty() {
        return Err(failed("no certificate in it (expected PEM)".to_owned()));
    }
    Ok(found)
}

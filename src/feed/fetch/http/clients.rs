//! The HTTP clients: one for public addresses and one for any, each made when it is first needed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reqwest::{Certificate, Client, Proxy, Url, redirect};

use crate::config::Sync;
use crate::feed::fetch::Times;
use crate::feed::fetch::problem::{Problem, chain};
use crate::feed::fetch::reach::PublicOnly;
use crate::feed::files::cannot_read;
use crate::feed::secret::Secret;

/// They and what they are made of.
pub(in crate::feed::fetch) struct Clients {
    agent: String,
    times: Times,
    proxy: Option<Url>,
    /// Read once: what it is in this sync.
    proxy_secret: Option<Result<Secret, String>>,
    ca_file: Option<PathBuf>,
    public: OnceLock<Result<Client, String>>,
    any: OnceLock<Result<Client, String>>,
}

impl Clients {
    pub(in crate::feed::fetch) fn new(sync: &Sync, times: Times) -> Self {
        let agent = agent(sync.contact.as_deref(), env!("CARGO_PKG_REPOSITORY"));
        let (proxy, ca_file) = (sync.proxy.clone(), sync.ca_file.clone());
        let proxy_secret = sync.proxy_credential.as_ref().filter(|_| proxy.is_some()).map(Secret::read);
        Self { agent, times, proxy, proxy_secret, ca_file, public: OnceLock::new(), any: OnceLock::new() }
    }

    /// Whether somebody else resolves names and connects.
    pub(super) fn has_proxy(&self) -> bool {
        self.proxy.is_some()
    }

    /// What the proxy is shown.
    pub(in crate::feed::fetch) fn proxy_secret(&self) -> Option<&Secret> {
        self.proxy_secret.as_ref()?.as_ref().ok()
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
            // Over HTTP/2 a body that breaks off without an error looks as one that has ended.
            .http1_only()
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
                let mut proxy = Proxy::all(proxy.as_str()).map_err(|error| chain(&error))?;
                if let Some(secret) = &self.proxy_secret {
                    let Some((user, password)) = secret.as_ref().map_err(String::clone)?.password() else {
                        return Err("a proxy takes a credential `USER:PASSWORD` only".to_owned());
                    };
                    proxy = proxy.basic_auth(user, password);
                }
                builder = builder.proxy(proxy);
            }
            None if !any_address => builder = builder.dns_resolver(Arc::new(PublicOnly)),
            None => {}
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// Who asks, and where to complain: to the operator, else to the program's home, if it has one.
fn agent(contact: Option<&str>, home: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match contact.unwrap_or(home) {
        "" => format!("gatepost/{version}"),
        contact => format!("gatepost/{version} (+{contact})"),
    }
}

/// The certificates in a PEM file.
fn authorities(path: &Path) -> Result<Vec<Certificate>, String> {
    let failed = |what: String| format!("ca-file {}: {what}", path.display());
    let text = std::fs::read(path).map_err(|error| failed(cannot_read(&error)))?;
    let found = Certificate::from_pem_bundle(&text).map_err(|error| failed(chain(&error)))?;
    if found.is_empty() {
        return Err(failed("no certificate in it (expected PEM)".to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_to_write_to() {
        let (version, home) = (env!("CARGO_PKG_VERSION"), "https://example.net/gatepost");
        assert_eq!(
            agent(Some("postmaster@example.org"), home),
            format!("gatepost/{version} (+postmaster@example.org)")
        );
        assert_eq!(agent(None, home), format!("gatepost/{version} (+{home})"));
        assert_eq!(agent(None, ""), format!("gatepost/{version}"));
    }
}

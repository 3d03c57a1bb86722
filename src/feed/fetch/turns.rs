//! One question at a time for each host, whatever lists, mirrors and redirects lead there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use reqwest::Url;
use tokio::sync::OwnedMutexGuard;

/// Who may ask which host.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// Leave to ask a host, until it is dropped. Nobody may wait for a second one with a first in hand.
#[derive(Debug)]
pub(super) struct Turn {
    _host: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits until nobody else asks the host of `url`. Files have none.
    pub(super) async fn take(&self, url: &Url) -> Turn {
        let Some(host) = host(url) else { return Turn { _host: None } };
        let mutex = {
            let mut hosts = self.0.lock().expect("no holder panics");
            hosts.entry(host).or_default().clone()
        };
        Turn { _host: Some(mutex.lock_owned().await) }
    }
}

/// What tells hosts apart: names in lower case without a final dot, whatever the port and the way.
pub(crate) fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_host_is_asked_once_at_a_time_by_any_way() {
        let turns = Turns::default();
        let url = |text: &str| text.parse::<Url>().unwrap();
        let first = turns.take(&url("https://example.net/a")).await;
        let again = url("rsync://EXAMPLE.net.:873/module/b");
        let waits = |url: Url| {
            let turns = &turns;
            async move { tokio::time::timeout(Duration::from_millis(20), turns.take(&url)).await.is_err() }
        };
        assert!(waits(again.clone()).await);
        assert!(!waits(url("https://example.org/a")).await);
        assert!(!waits(url("file:///a")).await && !waits(url("file:///a")).await);
        drop(first);
        assert!(!waits(again).await);
    }
}

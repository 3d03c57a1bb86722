//! The configuration of `gatepost up`: the feeds of the catalogue that are marked for it, nothing to write.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::embedded::bogons;
use super::feeds::Feeds;
use super::list::ListConfig;
use super::resolve::list_of;
use super::words::Slug;
use super::zone::{MemberConfig, ZoneConfig};
use super::{AccessConfig, Config, Problems, RateLimit, Reloadable, Server, Sync, defaults};
use crate::model::{Name, NameError, Use};

impl Config {
    /// Each feed of [`Feeds::for_up`] as a list and a zone `NAME.SUFFIX`; `block.SUFFIX` of all lists good enough
    /// to reject on, less the allow lists; `bogons.SUFFIX` embedded. `Err` when the suffix is too long for a list's
    /// name before it.
    pub fn for_up(
        state: PathBuf,
        suffix: &Name,
        feeds: &Feeds,
        listen: Vec<SocketAddr>,
    ) -> Result<Self, NameError> {
        let fetched = feeds.for_up().map(|feed| list_of(feed, feed.name.clone()));
        let lists: BTreeMap<Slug, ListConfig> =
            fetched.chain([bogons()]).map(|list| (list.name.clone(), list)).collect();

        let mut zones = Vec::new();
        for list in lists.values() {
            zones.push(zone(list.name.as_str(), suffix, members(lists.values(), |l| l.name == list.name))?);
        }
        let combined = members(lists.values(), |list| list.use_ == Use::Block);
        if !combined.is_empty() {
            let mut combined = zone(defaults::UP_COMBINED, suffix, combined)?;
            combined.keep_values = false;
            combined.excepts =
                lists.values().filter(|list| list.use_ == Use::Allow).map(|list| list.name.clone()).collect();
            zones.push(combined);
        }
        zones.sort_by(|a, b| a.origin.cmp(&b.origin));
        Ok(Self {
            state,
            server: Server {
                listen: if listen.is_empty() { vec![defaults::LISTEN] } else { listen },
                dot: Vec::new(),
                doh: Vec::new(),
                doh_path: defaults::doh_path(),
                open: false,
                workers: None,
                pin_workers: false,
                tcp_connections: defaults::TCP_CONNECTIONS,
                tcp_connections_per_client: defaults::TCP_CONNECTIONS_PER_CLIENT,
                tcp_idle: defaults::TCP_IDLE,
                hit_log: None,
                hit_log_clients: defaults::HIT_LOG_CLIENTS,
            },
            reloadable: Reloadable {
                access: AccessConfig::default(),
                limit: RateLimit::default(),
                version_bind: None,
                certificate: None,
                sync: Sync {
                    timer: Some(defaults::UP_TIMER),
                    own_networks: Vec::new(),
                    canaries: Vec::new(),
                    hook: None,
                    catalogue: None,
                    contact: None,
                    proxy: None,
                    proxy_credential: None,
                    ca_file: None,
                    keep: defaults::KEEP,
                    keep_size: defaults::KEEP_SIZE,
                    keep_history: defaults::KEEP_HISTORY,
                    keep_history_size: defaults::KEEP_HISTORY_SIZE,
                },
                lists,
                zones,
            },
            absent: Problems::default(),
        })
    }
}

/// The lists that `pick` takes and that have a code, as members.
fn members<'a>(
    lists: impl Iterator<Item = &'a ListConfig>,
    pick: impl Fn(&ListConfig) -> bool,
) -> Vec<MemberConfig> {
    lists
        .filter(|list| pick(list))
        .filter_map(|list| {
            Some(MemberConfig { list: list.name.clone(), code: list.code?, text: list.text.clone() })
        })
        .collect()
}

fn zone(label: &str, suffix: &Name, members: Vec<MemberConfig>) -> Result<ZoneConfig, NameError> {
    let origin = label.parse::<Name>()?.below(suffix).ok_or(NameError::NameLength)?;
    Ok(ZoneConfig {
        members,
        excepts: Vec::new(),
        keep_values: true,
        soa: defaults::soa(&origin),
        ns: defaults::ns(&origin),
        ttl: defaults::TTL.as_secs() as u32,
        test_points: true,
        access: AccessConfig::default(),
        origin,
    })
}

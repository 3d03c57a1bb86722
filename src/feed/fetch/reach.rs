//! Where a download may go: names are judged by what they resolve to, address literals by themselves.

use std::net::{IpAddr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::problem::Problem;
use crate::config::is_public;

/// Resolves names to public addresses alone: what was judged is what is connected to.
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?.map(|at| at.ip()).collect();
            let public = judged(name.as_str(), found)?;
            Ok(Box::new(public.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}

/// The addresses of the host of `url`, those that a list with this leave may be fetched from.
pub(super) async fn addresses(url: &Url, any_address: bool) -> Result<Vec<IpAddr>, Problem> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let found = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => tokio::net::lookup_host((host, 0))
            .await
            .map_err(|error| Problem::unreached(format!("{host}: {error}")))?
            .map(|at| at.ip())
            .collect(),
    };
    if any_address { Ok(found) } else { judged(host, found).map_err(Problem::answered) }
}

/// Refuses a host by its address, when the address itself stands there.
pub(super) fn check_literal(url: &Url, any_address: bool) -> Result<(), Problem> {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse::<IpAddr>() {
        Ok(address) if !any_address => {
            judged(host, vec![address]).map_err(Problem::answered)?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The public ones of the addresses of a host. `Err` says that it has no others.
fn judged(host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, String> {
    let (public, others): (Vec<IpAddr>, Vec<IpAddr>) = found.into_iter().partition(|ip| is_public(*ip));
    if !public.is_empty() {
        return Ok(public);
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Err(format!("{address} is not a public address"));
    }
    let others: Vec<String> = others.iter().map(IpAddr::to_string).collect();
    Err(format!("{host} is at {}: not a public address", others.join(", ")))
}

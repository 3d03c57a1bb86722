//! The services of `master.cf` by which strangers' mail comes to smtpd, and what holds there. Pure.

use std::net::IpAddr;

use super::Setup;
use super::config::{Parameters, Service, expanded};
use super::effect::RESTRICTIONS;
use super::restrictions::{shuts, words};

/// Services for one's own people, who authenticate: nobody there is asked for in lists.
pub(super) const SUBMISSION: [&str; 5] = ["submission", "submissions", "smtps", "587", "465"];

/// The services by which strangers' mail comes to smtpd.
pub(super) fn doors(setup: &Setup) -> Vec<&Service> {
    let services = setup.services.iter().flatten().filter(|service| service.command == "smtpd");
    let is_door = |service: &&Service| match service.kind.as_str() {
        "pass" => true,
        "inet" => {
            let (is_inner, port) = at(service);
            // What comes back from a filter comes by another port than strangers know.
            let is_known = matches!(port, "smtp" | "25");
            let is_shut_in = !is_known && hears_loopback_alone(setup, service);
            let is_filters = !is_known
                && (own(service, "content_filter", setup).is_some_and(|value| value.is_empty())
                    || port != "2525" && is_private(service));
            !SUBMISSION.contains(&port)
                && !is_inner
                && !is_shut_in
                && !is_closed(setup, service)
                && !is_filters
        }
        _ => false,
    };
    services.filter(is_door).collect()
}

/// Whether it has no address of its own, and all are loopback's (`inet_interfaces`).
fn hears_loopback_alone(setup: &Setup, service: &Service) -> bool {
    let interfaces = setup.parameters.get("inet_interfaces").map_or("", String::as_str);
    let mut interfaces = words(interfaces).peekable();
    !service.name.contains(':')
        && interfaces.peek().is_some()
        && interfaces.all(|word| word == "loopback-only" || LOCAL.contains(&word) || word.starts_with("127."))
}

/// Whether it listens on loopback, and its port.
pub(super) fn at(service: &Service) -> (bool, &str) {
    let (host, port) = service.name.rsplit_once(':').unwrap_or(("", &service.name));
    let host = host.trim_matches(['[', ']']);
    (LOCAL.contains(&host) || host.starts_with("127."), port)
}

/// Names of loopback, as `/etc/hosts` has them.
const LOCAL: [&str; 6] =
    ["localhost", "::1", "ip6-localhost", "ip6-loopback", "localhost6", "localhost.localdomain"];

/// Whether it listens on an address that the world cannot reach but through somebody who passes it on.
pub(super) fn is_private(service: &Service) -> bool {
    let host = service.name.rsplit_once(':').map_or("", |(host, _)| host.trim_matches(['[', ']']));
    match host.parse() {
        Ok(IpAddr::V4(address)) => address.is_private(),
        Ok(IpAddr::V6(address)) => address.is_unique_local(),
        Err(_) => false,
    }
}

/// What `-o` says.
pub(super) fn own(service: &Service, name: &str, setup: &Setup) -> Option<String> {
    let (_, value) = service.overrides.iter().rfind(|(own, _)| own == name)?;
    Some(expanded(value, &setup.parameters))
}

/// Whether what `-o` says keeps strangers out.
pub(super) fn is_closed(setup: &Setup, service: &Service) -> bool {
    service.overrides.iter().any(|(name, value)| {
        RESTRICTIONS.contains(&name.as_str()) && shuts(&expanded(value, &setup.parameters))
    })
}

/// The parameters as a service has them.
pub(super) fn overridden(setup: &Setup, service: &Service) -> Parameters {
    let mut parameters = setup.parameters.clone();
    for (name, value) in &service.overrides {
        parameters.insert(name.clone(), expanded(value, &setup.parameters));
    }
    parameters
}

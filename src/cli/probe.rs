//! The health check: does the running server answer as it should?

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

use super::output::{BAD, GOOD, Out, WARN, counted, styled};
use super::view::{View, ZoneView};
use crate::client::{Client, ClientError, Over, probe, probe_subzone, rcode_name, reachable};
use crate::config::Config;
use crate::error::ExitStatus;
use crate::model::{Name, Rtype};
use crate::wire::Rcode;
use crate::zone::{Access, Action};

/// What the server said on each of its addresses.
pub(crate) struct Health {
    checks: Vec<Checked>,
}

/// What it said of a zone.
pub(crate) struct Checked {
    pub(crate) server: SocketAddr,
    pub(crate) over: &'static str,
    pub(crate) zone: Name,
    pub(crate) found: Found,
}

/// Whether that is right.
pub(crate) enum Found {
    /// The test points are right.
    Right,
    /// SERVFAIL, as it must be as long as the zone has nothing to answer from.
    Waits,
    /// These are not.
    Wrong(Vec<String>),
    /// No reply.
    Silence(String),
}

impl Checked {
    /// The server knows no such zone, or does not answer this host.
    pub(crate) fn is_unknown(&self) -> bool {
        self.is_all("REFUSED")
    }

    /// SERVFAIL from a server that has had data of the zone.
    pub(crate) fn is_failure(&self) -> bool {
        self.is_all("SERVFAIL")
    }

    /// Each thing that is wrong is that it answers with this code.
    fn is_all(&self, code: &str) -> bool {
        matches!(&self.found, Found::Wrong(wrong) if wrong.iter().all(|what| what.contains(code)))
    }
}

/// Where the server listens, as far as this machine may ask there: it asks from the same address, and `access` may be for others alone.
/// All of them where it may ask nowhere.
pub(crate) fn addresses(config: &Config) -> Vec<SocketAddr> {
    let access = Access::of_lists(&[config.reloadable.access.list()], 0);
    let (open, shut): (Vec<_>, Vec<_>) = config
        .server
        .listen
        .iter()
        .copied()
        .map(reachable)
        .partition(|at| *access.of(at.ip()) == Action::Allow);
    if open.is_empty() { shut } else { open }
}

/// Asks the server of `view` on every address it listens on, over UDP and TCP.
pub(crate) fn ask(view: &View) -> Health {
    let mut checks = Vec::new();
    let zones: Vec<&ZoneView> = view.zones.iter().collect();
    for address in addresses(&view.config) {
        let client = Client::new(address);
        for over in [Over::Udp, Over::Tcp] {
            checks.extend(ask_over(&client, over, &zones));
        }
    }
    Health { checks }
}

/// Asks `client`'s server for these zones.
pub(crate) fn ask_over(client: &Client, over: Over, zones: &[&ZoneView]) -> Vec<Checked> {
    let mut checks = Vec::new();
    let transport = match over {
        Over::Udp => "UDP",
        Over::Tcp => "TCP",
    };
    for zone in zones {
        let found = check(client, zone, over).unwrap_or_else(|error| Found::Silence(error.to_string()));
        // A server that is silent for one zone is for all: no need to wait once more for each.
        let silent = matches!(found, Found::Silence(_));
        checks.push(Checked { server: client.server, over: transport, zone: zone.origin().clone(), found });
        if silent {
            break;
        }
    }
    checks
}

fn check(client: &Client, zone: &ZoneView, over: Over) -> Result<Found, ClientError> {
    if zone.answering().is_none() {
        let reply = client.ask(zone.origin(), Rtype::SOA, over)?;
        let found = match reply.rcode {
            // It had something to say once: mail is no longer checked against it, and nobody may have noticed.
            Rcode::SERVFAIL if zone.entry.is_some() => {
                let why = zone.trouble().unwrap_or_else(|| "its data cannot be used".to_owned());
                Found::Wrong(vec![format!("SERVFAIL: {why}")])
            }
            Rcode::SERVFAIL => Found::Waits,
            // A sync has put its first data in service since the store was read, or what the store says of it can no
            // longer be read: the server decides.
            Rcode::NOERROR => Found::Right,
            other => {
                let code = rcode_name(other);
                Found::Wrong(vec![format!("it has no data and answers with {code}, as it must not")])
            }
        };
        if !matches!(found, Found::Right) {
            return Ok(found);
        }
    }
    // As the snapshot has it: zones of records alone have none, whatever the configuration says.
    if zone.answering().is_some_and(|zone| !zone.snapshot().zone().test_points) {
        let reply = client.ask(zone.origin(), Rtype::SOA, over)?;
        // A subzone is a name within its zone.
        let right = reply.rcode == Rcode::NOERROR && (zone.is_subzone() || !reply.answers.is_empty());
        return Ok(if right {
            Found::Right
        } else {
            let code = rcode_name(reply.rcode);
            Found::Wrong(vec![format!("it has no start of authority: got {code}")])
        });
    }
    let probe = if zone.is_subzone() { probe_subzone } else { probe };
    let probed = probe(client, zone.origin(), over)?;
    let wrong = probed
        .checks
        .iter()
        .filter_map(|check| Some(format!("{}: got {}", check.what, check.wrong.as_ref()?)));
    let wrong: Vec<String> = wrong.collect();
    Ok(if wrong.is_empty() { Found::Right } else { Found::Wrong(wrong) })
}

impl Health {
    /// 0 when every zone is right (or waits as it must, and not all of them do), 3 without a reply, else 1.
    pub(crate) fn status(&self) -> ExitStatus {
        let any = |is: fn(&Found) -> bool| self.checks.iter().any(|check| is(&check.found));
        if any(|found| matches!(found, Found::Wrong(_))) {
            return ExitStatus::Found;
        }
        if self.checks.is_empty() || any(|found| matches!(found, Found::Silence(_))) {
            return ExitStatus::CannotTell;
        }
        ExitStatus::found(!any(|found| matches!(found, Found::Right)))
    }

    /// A line for each server and transport, one for each zone that is wrong, and one in all.
    pub(crate) fn write(&self, out: &mut Out) -> anyhow::Result<()> {
        let ways = self.checks.chunk_by(|a, b| (a.server, a.over) == (b.server, b.over));
        for way in ways {
            let count = |is: fn(&Found) -> bool| way.iter().filter(|check| is(&check.found)).count() as u64;
            let right = count(|found| matches!(found, Found::Right));
            let waiting = count(|found| matches!(found, Found::Waits));
            let waiting = match waiting {
                0 => String::new(),
                many => styled(WARN, format_args!(", {many} without data yet (SERVFAIL)")),
            };
            let right = counted(right, "zone right", "zones right");
            writeln!(out, "{} {:3}  {right}{waiting}", way[0].server, way[0].over)?;
            for Checked { zone, found, .. } in way {
                match found {
                    Found::Right | Found::Waits => {}
                    Found::Wrong(wrong) => {
                        for what in wrong {
                            writeln!(out, "  {} {zone}: {what}", styled(BAD, "wrong"))?;
                        }
                    }
                    Found::Silence(why) => writeln!(out, "  {} {why}", styled(BAD, "silent:"))?,
                }
            }
        }
        let verdict = match self.status() {
            ExitStatus::Ok if !self.waiting().is_empty() => styled(
                WARN,
                format_args!(
                    "the server answers as it should; nothing is listed yet in {}, which {} for first data",
                    self.waiting().join(", "),
                    if self.waiting().len() == 1 { "waits" } else { "wait" }
                ),
            ),
            ExitStatus::Ok => styled(GOOD, "the server answers as it should"),
            ExitStatus::CannotTell => styled(BAD, "cannot tell: no reply"),
            _ => styled(BAD, "the server does not answer as it should"),
        };
        writeln!(out, "{verdict}")?;
        Ok(())
    }

    /// The zones that have nothing to answer from yet: mail is not checked against them.
    fn waiting(&self) -> Vec<String> {
        let waiting = self.checks.iter().filter(|check| matches!(check.found, Found::Waits));
        let waiting: BTreeSet<String> = waiting.map(|check| check.zone.to_string()).collect();
        waiting.into_iter().collect()
    }

    pub(crate) fn as_json(&self) -> Value {
        let checks: Vec<Value> = self
            .checks
            .iter()
            .map(|check| {
                let (result, why) = match &check.found {
                    Found::Right => ("right", Vec::new()),
                    Found::Waits => ("waits", Vec::new()),
                    Found::Wrong(why) => ("wrong", why.clone()),
                    Found::Silence(why) => ("silent", vec![why.clone()]),
                };
                json!({ "server": check.server, "over": check.over, "zone": check.zone, "result": result, "why": why })
            })
            .collect();
        json!({ "right": self.status() == ExitStatus::Ok, "waiting": self.waiting(), "checks": checks })
    }
}

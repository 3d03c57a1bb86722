//! What of the host will bite: socket buffers, the clock, the state folder, files of the configuration, units, own networks.
//!
//! Reads files, asks systemd and `ss`; changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::super::output::{short_duration, since};
use super::super::view::{ListView, View};
use super::{own, state};
use crate::doctor::child::said;
use crate::doctor::finding::{Area, Check, Cure};
use crate::doctor::{files, mynetworks, who};
use crate::feed::schedule::{Asker, Due, due};

/// What is shipped for it.
const SYSCTL: &str = include_str!("../../../deploy/sysctl.d/60-gatepost.conf");
/// Where the package puts it.
const SHIPPED: &str = "/usr/lib/sysctl.d/60-gatepost.conf";
/// What the timer starts.
const SYNC: &str = "gatepost-sync.service";
const SERVER: &str = "gatepost.service";
const SOCKET: &str = "gatepost.socket";
const TIMER: &str = "gatepost-sync.timer";
/// Later than this nobody looks for lists that are due.
const OVERDUE: Duration = Duration::from_secs(2 * 3600);

/// `main`: the configuration's main file, where a person wrote it.
pub(super) fn look(view: &View, main: Option<&Path>) -> Vec<Check> {
    let mut checks = Vec::new();
    let limit = fs::read_to_string("/proc/sys/net/core/rmem_max").ok();
    checks.extend(buffers(limit.as_deref(), || sockets(view), Path::new(SHIPPED).exists()));
    checks.push(clock(view));
    checks.extend(state::look(&view.config.state, main));
    checks.extend(main.into_iter().flat_map(|main| files::look(main, &view.config)));
    checks.extend(syncs(view));
    if who::has_systemd() {
        checks.extend(units(view));
    }
    checks.extend(own::look(view, &who::own_addresses(), &mynetworks::here()));
    checks
}

/// `limit`: what /proc says; in a network of its own there is nothing to read. `sockets`: what those have that are there, which
/// systemd may have opened with more than the limit.
fn buffers(limit: Option<&str>, sockets: impl Fn() -> Option<u64>, is_shipped: bool) -> Option<Check> {
    let limit: u64 = limit?.trim().parse().ok()?;
    let line = SYSCTL.lines().last()?;
    let wanted: u64 = line.rsplit(' ').next()?.parse().ok()?;
    if limit >= wanted {
        return Some(Check::ok(Area::Host, format!("receive buffers may have {limit} octets (rmem_max)")));
    }
    // The kernel doubles what is asked for.
    if let Some(octets) = sockets().filter(|octets| *octets >= 2 * wanted) {
        let what = format!("the sockets that are open have receive buffers of {octets} octets");
        return Some(Check::ok(Area::Host, what));
    }
    let cure = match is_shipped {
        true => Cure {
            how: format!("{SHIPPED} says so from the next start of this machine on; to have it now"),
            lines: "sysctl --system\nsystemctl restart gatepost".to_owned(),
        },
        false => Cure {
            how: "in a file in /etc/sysctl.d, then `sysctl --system`, and restart gatepost".to_owned(),
            lines: line.to_owned(),
        },
    };
    let what = format!("receive buffers may have {limit} octets (rmem_max), not {wanted}");
    Some(
        Check::warn(Area::Host, "buffers", what)
            .because("questions are lost when more come at once than the buffer holds; a small mail server need not care")
            .cured(cure),
    )
}

/// The smallest receive buffer of the UDP sockets that are open where gatepost listens.
fn sockets(view: &View) -> Option<u64> {
    let ports: BTreeSet<u16> = view.config.server.listen.iter().map(|at| at.port()).collect();
    let mut smallest = None;
    for port in ports {
        let (well, text) = said("ss", &["-Hlnum", &format!("sport = :{port}")])?;
        let found = smallest_buffer(&text).filter(|_| well)?;
        smallest = Some(smallest.map_or(found, |octets: u64| octets.min(found)));
    }
    smallest
}

/// `skmem:(r0,rb16640000,t0,…)` for each socket.
fn smallest_buffer(text: &str) -> Option<u64> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.filter_map(|word| word.strip_prefix("rb")?.parse().ok()).min()
}

fn clock(view: &View) -> Check {
    let (now, newest) = (view.now.clocks.wall, view.now.newest);
    if view.now.clock_is_unset() || newest > now + 60 {
        let behind = Duration::from_secs(u64::try_from(newest - now).unwrap_or(0));
        let what = format!("the clock is {} behind what the store has seen", short_duration(behind));
        return Check::warn(Area::Host, "clock", what)
            .because("ages of lists cannot be told, and certificates of feeds may look as if they were not valid yet")
            .cured_by("let something set the clock: `timedatectl set-ntp true`, or chrony");
    }
    Check::ok(Area::Host, "the clock is not behind the store's")
}

/// Somebody looks for lists that are due.
fn syncs(view: &View) -> Option<Check> {
    let late = view.lists.iter().filter(|list| !list.config.is_own()).filter_map(|list| {
        let Due::Now =
            due(&list.status, list.config.source.urls(), list.config.floor, Asker::Timer, &view.now)
        else {
            return None;
        };
        let age = list.status.last_attempt.as_ref().map(|stamp| view.now.age(stamp))?;
        (age > list.config.floor + OVERDUE).then_some((age, &list.config.name))
    });
    let timer_on = "`systemctl enable --now gatepost-sync.timer`, or `timer = \"15m\"` under [sync] and a running server";
    let Some((age, name)) = late.max() else {
        let (path, age) = view.lists.iter().find_map(|list| list.unread.as_ref())?;
        let what = format!("{} was changed {}, and no sync has read it since", path.display(), since(*age));
        let check = Check::warn(Area::Host, "timer", what)
            .because("what a list has now counts from the next sync on: until then it is answered as it was before")
            .cured_by("`gatepost sync` reads it now");
        return Some(check.cured_by(format!("to have that done: {timer_on}")));
    };
    let timer = match view.config.reloadable.sync.timer {
        Some(_) => "the server's own timer (`timer` under [sync]) does not run, since no server does",
        None => "no `timer` is set under [sync], and no timer of the system runs `gatepost sync`",
    };
    Some(
        Check::bad(Area::Host, "timer", format!("{name} is due, and was last asked for {}", since(age)))
            .because(timer)
            .cured_by(timer_on),
    )
}

/// The service comes back after a restart of the machine.
fn units(view: &View) -> Vec<Check> {
    let says = |verb: &str, unit: &str| {
        said("systemctl", &[verb, unit]).map(|(_, text)| text.trim().to_owned()).unwrap_or_default()
    };
    let mut checks = Vec::new();
    // Where it is not started with the machine, the first question may start it.
    let is_woken = says("is-enabled", SOCKET) == "enabled" && is_off(&says("is-enabled", SERVER));
    let server = if is_woken { SOCKET } else { SERVER };
    for (unit, wanted) in [(server, true), (TIMER, view.config.reloadable.sync.timer.is_none())] {
        let enabled = says("is-enabled", unit);
        if enabled.is_empty() || enabled == "not-found" || !wanted {
            continue; // it runs in another way
        }
        let active = says("is-active", unit);
        let what = format!("{unit} is {enabled} and {active}");
        let cause = match (is_off(&enabled), matches!(active.as_str(), "failed" | "inactive")) {
            (false, false) => {
                checks.push(Check::ok(Area::Host, what));
                continue;
            }
            (true, false) => "after the next restart of this machine nobody starts it",
            (false, true) => "it does not run now; the next restart of this machine starts it",
            (true, true) => "it does not run, and after the next restart of this machine nobody starts it",
        };
        let unmask = if enabled.starts_with("masked") {
            format!("systemctl unmask {unit} && ")
        } else {
            String::new()
        };
        checks.push(
            Check::warn(Area::Host, "unit", what).because(cause).cured_with(
                "has it run, after a restart too",
                format!("{unmask}systemctl enable --now {unit}"),
            ),
        );
    }
    // 1: a list was held, refused or not reached, which is said of that list.
    let code = || said("systemctl", &["show", "--property=ExecMainStatus", SYNC]).map(|(_, text)| text);
    let is_of_a_list = || {
        code().is_some_and(|code| code.trim() == "ExecMainStatus=1")
            && view.lists.iter().any(ListView::is_problem)
    };
    if says("is-failed", SYNC) == "failed" && !is_of_a_list() {
        checks.push(
            Check::bad(Area::Host, "sync-failed", format!("{SYNC} failed when it last ran"))
                .because("the timer starts it, and it does not end well: lists grow old, own ones among them")
                .cured(Cure {
                    how: "see why; when that is mended, start it".to_owned(),
                    lines: format!("journalctl -n 50 -u {SYNC}\nsystemctl start {SYNC}"),
                }),
        );
    }
    checks
}

/// Whether systemd does not start such a unit with the machine.
fn is_off(enabled: &str) -> bool {
    matches!(enabled, "disabled" | "masked" | "masked-runtime")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_those_that_are_shipped() {
        let found = |limit, sockets, shipped| buffers(limit, || sockets, shipped);
        let level = |limit, sockets| found(limit, sockets, false).map(|check| check.name());
        assert_eq!(level(Some("212992\n"), None), Some("buffers"));
        assert_eq!(level(Some("8320000\n"), None), Some(""));
        assert_eq!(level(None, None), None);
        // What systemd has opened, and what the service has opened itself within the limit.
        assert_eq!(level(Some("4194304\n"), Some(16_640_000)), Some(""));
        assert_eq!(level(Some("4194304\n"), Some(8_388_608)), Some("buffers"));
        let cure = |shipped| format!("{:?}", found(Some("212992"), None, shipped));
        assert!(cure(true).contains(SHIPPED) && cure(true).contains("sysctl --system"));
        assert!(!cure(false).contains(SHIPPED) && cure(false).contains("net.core.rmem_max"));
    }

    #[test]
    fn buffers_as_ss_shows_them() {
        let line = "UNCONN 0 0 127.0.0.1:5354 0.0.0.0:* skmem:(r0,rb16640000,t0,tb212992,f0,w0,o0,bl0,d0)\n";
        assert_eq!(smallest_buffer(line), Some(16_640_000));
        assert_eq!(smallest_buffer(&(line.to_owned() + &line.replace("rb1664", "rb42"))), Some(420_000));
        assert_eq!(smallest_buffer(""), None);
    }
}

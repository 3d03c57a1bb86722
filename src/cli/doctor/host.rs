//! What of the host will bite: socket buffers, the clock, files of the store and of the configuration, units, own networks.
//!
//! Reads files and asks systemd; changes nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::super::output::{short_duration, since};
use super::super::view::View;
use super::finding::{Area, Check, Cure};
use super::{files, own, who};
use crate::feed::schedule::{Asker, Due, due};

/// What is shipped for it.
const SYSCTL: &str = include_str!("../../../deploy/sysctl.d/60-gatepost.conf");
/// Later than this nobody looks for lists that are due.
const OVERDUE: Duration = Duration::from_secs(2 * 3600);

/// `main`: the configuration's main file, where a person wrote it.
pub(super) fn look(view: &View, main: Option<&Path>) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(buffers(fs::read_to_string("/proc/sys/net/core/rmem_max").ok().as_deref()));
    checks.push(clock(view));
    checks.extend(store(&view.config.state));
    checks.extend(main.into_iter().flat_map(|main| files::look(main, &view.config)));
    checks.extend(syncs(view));
    if who::has_systemd() {
        checks.extend(units(view));
    }
    checks.extend(own::look(view, &who::own_addresses(), own::mynetworks().as_deref()));
    checks
}

/// `limit`: what /proc says; in a network of its own there is nothing to read.
fn buffers(limit: Option<&str>) -> Option<Check> {
    let limit: u64 = limit?.trim().parse().ok()?;
    let line = SYSCTL.lines().last()?;
    let wanted: u64 = line.rsplit(' ').next()?.parse().ok()?;
    Some(match limit >= wanted {
        true => Check::ok(Area::Host, format!("receive buffers may have {limit} octets (rmem_max)")),
        false => Check::warn(Area::Host, "buffers", format!("receive buffers may have {limit} octets (rmem_max), not {wanted}"))
            .because("questions are lost when more come at once than the buffer holds; a small mail server need not care")
            .cured(Cure { how: "in a file in /etc/sysctl.d, then `sysctl --system`, and restart gatepost".to_owned(), lines: line.to_owned() }),
    })
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

/// Who may write into the store, and whether all of it is its owner's.
fn store(state: &Path) -> Option<Check> {
    let folder = fs::metadata(state).ok()?;
    if folder.mode() & 0o022 != 0 {
        let what =
            format!("{} may be written by others (mode {:o})", state.display(), folder.mode() & 0o7777);
        return Some(
            Check::warn(Area::Host, "open-store", what)
                .because("whoever writes there decides what is listed")
                .cured_by(format!("chmod go-w {}", state.display())),
        );
    }
    let below = ["generation.json", "overlay.jsonl", "lock", "feeds", "snapshots"];
    let foreign =
        below.iter().find(|name| fs::metadata(state.join(name)).is_ok_and(|file| file.uid() != folder.uid()));
    Some(match foreign {
        Some(name) => Check::warn(
            Area::Host,
            "owner",
            format!("{} is not its folder's owner's", state.join(name).display()),
        )
        .because("the service cannot replace what belongs to somebody else")
        .cured_by(format!("chown -R --reference={} {}", state.display(), state.display())),
        None => Check::ok(Area::Host, format!("{} is its owner's alone", state.display())),
    })
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
    let (age, name) = late.max()?;
    let timer = match view.config.reloadable.sync.timer {
        Some(_) => "the server's own timer (`timer` under [sync]) does not run, since no server does",
        None => "no `timer` is set under [sync], and no timer of the system runs `gatepost sync`",
    };
    Some(
        Check::bad(Area::Host, "timer", format!("{name} is due, and was last asked for {}", since(age)))
            .because(timer)
            .cured_by("`systemctl enable --now gatepost-sync.timer`, or `timer = \"15m\"` under [sync] and a running server"),
    )
}

/// The service comes back after a restart of the machine.
fn units(view: &View) -> Vec<Check> {
    let says = |verb: &str, unit: &str| {
        let said = Command::new("systemctl").args([verb, unit]).output().ok()?;
        Some(String::from_utf8_lossy(&said.stdout).trim().to_owned())
    };
    let mut checks = Vec::new();
    for (unit, wanted) in
        [("gatepost.service", true), ("gatepost-sync.timer", view.config.reloadable.sync.timer.is_none())]
    {
        let enabled = says("is-enabled", unit).unwrap_or_default();
        if enabled.is_empty() || enabled == "not-found" || !wanted {
            continue; // it runs in another way
        }
        let active = says("is-active", unit).unwrap_or_default();
        checks.push(match (enabled.as_str(), active.as_str()) {
            ("disabled" | "masked", _) | (_, "failed" | "inactive") => {
                Check::warn(Area::Host, "unit", format!("{unit} is {enabled} and {active}"))
                    .because("after the next restart of this machine nobody starts it")
                    .cured_by(format!("systemctl enable --now {unit}"))
            }
            _ => Check::ok(Area::Host, format!("{unit} is {enabled} and {active}")),
        });
    }
    checks
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn buffers_are_those_that_are_shipped() {
        let level = |limit| buffers(limit).map(|check| check.name());
        assert_eq!(level(Some("212992\n")), Some("buffers"));
        assert_eq!(level(Some("8320000\n")), Some(""));
        assert_eq!(level(None), None);
    }

    #[test]
    fn the_store_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
            store(folder.path()).unwrap().name()
        };
        assert_eq!([mode(0o750), mode(0o770), mode(0o757)], ["", "open-store", "open-store"]);
    }
}

//! What the C library finds of a name that the servers of `/etc/resolv.conf` were asked for, and what stands between them.

use std::net::{IpAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::finding::{Area, Check, Cure};
use super::resolv_conf::asks_dns;
use super::sample::Sample;
use crate::model::Name;

/// How long the C library may take: it tries each server twice, five seconds each.
const PATIENCE: Duration = Duration::from_secs(6);

/// The C library, as mail programs ask it.
pub(crate) fn look(zone: &Name, sample: &Sample, wrong: bool, nsswitch: &str) -> Check {
    let Sample { subject, listed, answers, .. } = sample;
    let name = format!("{listed}.");
    let (tell, told) = mpsc::channel();
    let question = name.clone();
    // It knows no time limit of ours. What it still waits for ends with the process.
    thread::spawn(move || {
        let found =
            (question.as_str(), 0).to_socket_addrs().map(|found| found.map(|at| at.ip()).collect::<Vec<_>>());
        let _ = tell.send(found);
    });
    let found = match told.recv_timeout(PATIENCE) {
        Ok(Ok(found))
            if !found.is_empty() && found.iter().all(|ip| answers.iter().any(|a| IpAddr::V4(*a) == *ip)) =>
        {
            return Check::ok(Area::Resolver, format!("the C library finds {subject} listed in {zone}"));
        }
        Ok(Ok(found)) => found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer in time".to_owned(),
    };
    let check = Check::bad(
        Area::Resolver,
        "c-library",
        format!("the C library does not find {subject} listed in {zone}: {found}"),
    );
    if wrong {
        return check.because("it asks the servers above").cured_by("set those right first");
    }
    match asks_dns(nsswitch) {
        true => check
            .because("the servers answer rightly, so something stands before them: /etc/hosts, a module of /etc/nsswitch.conf, or a cache such as nscd")
            .cured_by(format!("`getent hosts {name}` asks the same; take out of the line `hosts:` in /etc/nsswitch.conf what stands before dns")),
        false => check
            .because("the line `hosts:` in /etc/nsswitch.conf does not have it ask DNS")
            .cured(Cure { how: "in /etc/nsswitch.conf".to_owned(), lines: "hosts: files dns".to_owned() }),
    }
}

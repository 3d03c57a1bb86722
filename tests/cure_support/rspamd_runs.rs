//! An rspamd as Postfix's milter that is started as the service manager would, and a person who does what the doctor says of one that does not run.

use std::fs;

use serde_json::Value;

use super::{Patient, Printed};
use crate::common::installed;

/// Whom its unit names.
const USER: &str = "_rspamd";
/// Where it listens besides, in a folder of its own.
pub(crate) const SOCKET: &str = "/run/rspamd/milter.sock";

/// Has the host look as if a service manager ran it: nothing else lies in its `/run`.
pub(crate) fn under_systemd(patient: &Patient) {
    let script = format!(
        "mount -t tmpfs nothing /run && mkdir -p /run/systemd/system /run/rspamd && chown {USER} /run/rspamd && \
         mkdir \"$0\" && chown {USER} \"$0\""
    );
    let mut shell = patient.host.command("sh");
    let done = shell.args(["-c", &script]).arg(patient.host.path("service")).output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// `systemctl start rspamd`, as its unit has it. Waits until its proxy listens at this port, or at its socket.
pub(crate) fn start(patient: &Patient, port: Option<u16>) {
    let host = &patient.host;
    let folder = host.path("service").display().to_string();
    let variables = ["RUNDIR", "DBDIR", "LOGDIR"].map(|name| format!("--var={name}={folder}"));
    let [who, group] = [format!("--reuid={USER}"), format!("--regid={USER}")];
    let mut arguments = vec![who.as_str(), &group, "--init-groups", "--", "/usr/bin/rspamd", "-f"];
    arguments.extend(["-c", "/etc/rspamd/rspamd.conf"]);
    arguments.extend(variables.iter().map(String::as_str));
    host.start("service", &installed("setpriv", "util-linux", "").unwrap(), &arguments);
    match port {
        Some(port) => host.wait_for_port("service", "127.0.0.1", port),
        None => {
            let socket = host.seen(SOCKET);
            host.wait("service", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        }
    }
}

/// Does what is printed of one that does not run, or that Postfix does not come to.
pub(crate) fn follow(patient: &Patient, check: &Value, port: Option<u16>, is_running: bool) {
    let printed = Printed::of(check);
    if printed.how.contains(", which may") || printed.how == "let others go through that folder" {
        return patient.types(printed.lines);
    }
    if printed.how.starts_with("start it") {
        assert_eq!(printed.lines, "systemctl start rspamd");
    } else if printed.how.starts_with("let the user _rspamd, that rspamd runs as, read ") {
        patient.types(printed.lines);
    } else if printed.how.contains(", in the place of what is said of `bind_socket` there") {
        let file = printed.quoted("in /", ',').to_owned();
        let text: String =
            patient.host.read(&file).lines().filter(|line| !line.contains("bind_socket")).collect();
        fs::write(patient.host.path(&file), format!("{text}\n{}\n", printed.lines)).unwrap();
    } else if printed.how.starts_with("put what is missing ") {
        let file = printed.quoted(" of /", ',').trim_start_matches('/');
        let mut text: Vec<String> = patient.host.read(file).lines().map(str::to_owned).collect();
        let at = match printed.how.contains("at the end of") {
            true => text.len(),
            false => printed.quoted("before line ", ' ').parse::<usize>().unwrap() - 1,
        };
        text.splice(at..at, printed.lines.lines().map(str::to_owned));
        fs::write(patient.host.path(file), text.join("\n") + "\n").unwrap();
    } else {
        printed.is_not_understood();
    }
    let restarts =
        ["`systemctl restart rspamd`", "and restart rspamd"].iter().any(|words| printed.how.contains(words));
    assert!(printed.lines.contains("systemctl") || restarts);
    if is_running {
        patient.stop("service", "service.pid");
        // Its workers may end later than it, and hold the port for so long.
        if let Some(port) = port {
            patient.host.wait_for_no_port("service", "127.0.0.1", port);
        }
    }
    start(patient, port);
}

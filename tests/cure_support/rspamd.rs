//! An rspamd that is wired wrongly, and a person who edits its files as the doctor's words say.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{Healthy, Patient, Printed};
use crate::mail_support::programs::{RSPAMD, SENDER, mail};

/// Where what a person writes is.
pub(crate) const LOCAL: &str = "etc/rspamd/rspamd.conf.local";
pub(crate) const TEXT: &str = "etc/rspamd/gatepost.conf";
pub(crate) const ASTRAY: &str = "etc/rspamd/local.d/gatepost.conf";
pub(crate) const MODULE: &str = "etc/rspamd/local.d/rbl.conf";
pub(crate) const OVERRIDE: &str = "etc/rspamd/override.d/rbl.conf";
pub(crate) const INSTEAD: &str = "etc/rspamd/rspamd.conf.override";
pub(crate) const OPTIONS: &str = "etc/rspamd/local.d/options.inc";
pub(crate) const FORCED: &str = "etc/rspamd/local.d/force_actions.conf";
pub(crate) const PROXY: &str = "etc/rspamd/local.d/worker-proxy.inc";
pub(crate) const ACTIONS: &str = "etc/rspamd/local.d/actions.conf";
pub(crate) const GROUPS: &str = "etc/rspamd/local.d/groups.conf";

/// Gives the patient these files, and no others of a person's.
pub(crate) fn wire(patient: &Patient, files: &[(&str, &str)]) {
    for file in [ASTRAY, TEXT, LOCAL, MODULE, OVERRIDE, INSTEAD, OPTIONS, FORCED, GROUPS, PROXY, ACTIONS] {
        let _ = fs::remove_file(patient.host.path(file));
    }
    files.iter().for_each(|(file, text)| drop(patient.host.file(file, text)));
}

/// The line by which what is printed is brought in.
pub(crate) fn include(text: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix("# .include")).expect("how to include it");
    format!(".include{line}\n")
}

/// Runs it as it is wired now, and sees whom it rejects.
#[track_caller]
pub(crate) fn is_healthy(patient: &Patient, program: &Path, rspamc: &Path, case: &str, healthy: Healthy) {
    let host = &patient.host;
    let config = host.file("rspamd.conf", RSPAMD);
    // What it has compiled it keeps there.
    let _ = fs::create_dir(host.path("rspamd"));
    let variable = |name: &str| format!("--var={name}={}", host.path("rspamd").display());
    let (run, data) = (variable("RUNDIR"), variable("DBDIR"));
    host.start("rspamd", program, &["-f", "-i", "-c", config.to_str().unwrap(), &run, &data]);
    host.wait_for_port("rspamd", "127.0.0.1", 11333);
    judges(patient, rspamc, "rspamd.log", case, healthy);
    patient.stop("rspamd", "rspamd.pid");
    // Its workers may end later than it, and knew nothing of the files of the next case.
    host.wait_for_no_port("rspamd", "127.0.0.1", 11333);
}

/// Sees whom the one rejects that runs.
#[track_caller]
pub(crate) fn judges(patient: &Patient, rspamc: &Path, log: &str, case: &str, healthy: Healthy) {
    let host = &patient.host;
    let expected = healthy.refuses();
    let scans = expected.iter().map(|(client, _)| {
        let mail = host.file(&format!("{client}.mail"), &mail(client, SENDER, ""));
        let mut rspamc = host.command(rspamc);
        rspamc.args(["-h", "127.0.0.1:11333", "--ip", client, "--from", SENDER, "--helo", "client.example"]);
        rspamc.args(["--rcpt", "user@example.org", "symbols"]).arg(mail);
        rspamc.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let scans: Vec<_> = scans.collect();
    for (scan, (client, is_rejected)) in scans.into_iter().zip(expected) {
        let output = scan.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Action: "), "{case}: {client}: {output:?}");
        let log = host.read(log);
        assert_eq!(said.contains("Action: reject"), is_rejected, "{case}: {client}: {said}{log}");
    }
}

/// Does what is printed of a finding.
pub(crate) fn follow(patient: &Patient, check: &Value) {
    let printed = Printed::of(check);
    let edit = |name: &str, edited: &dyn Fn(&mut Vec<String>)| {
        let mut text: Vec<String> = patient.host.read(name).lines().map(str::to_owned).collect();
        edited(&mut text);
        fs::write(patient.host.path(name), text.join("\n") + "\n").unwrap();
    };
    // `/etc/rspamd/FILE:LINE`, counted from 1.
    let found = |place: &str| {
        let (file, line) = place.strip_prefix('/').unwrap().rsplit_once(':').unwrap();
        (file.to_owned(), line.parse::<usize>().unwrap() - 1)
    };
    let whole = printed.how.starts_with("take the text of `gatepost snippet rspamd` whole");
    if whole
        || printed.how.contains("in /etc/rspamd/gatepost.conf, in the place of all that asks gatepost there")
    {
        for file in [LOCAL, MODULE, OVERRIDE] {
            edit(file, &|text| {
                while let Some(at) = text.iter().position(|line| line.contains(".gatepost.internal\";")) {
                    take_block(text, at);
                }
            });
        }
        // Nothing else stands there.
        let text = if whole { patient.host.snippet("rspamd") } else { printed.lines.to_owned() };
        assert!(printed.how.contains("line `.include`"), "{}", printed.how);
        patient.host.file(TEXT, &text);
        let local = patient.host.read(LOCAL);
        let include = include(&patient.host.snippet("rspamd"));
        patient.host.file(LOCAL, &if local.contains(&include) { local } else { include + &local });
    } else if printed.how.starts_with("move what is gatepost's out of that file") {
        // All that stands there is.
        assert!(
            printed
                .how
                .contains("to /etc/rspamd/gatepost.conf, have this line in /etc/rspamd/rspamd.conf.local")
        );
        patient.host.file(TEXT, &patient.host.read(LOCAL));
        patient.host.file(LOCAL, &format!("{}\n", printed.lines));
    } else if printed.how.contains("have this line in /etc/rspamd/rspamd.conf.local") {
        if printed.how.starts_with("move /etc/rspamd/local.d/gatepost.conf to /etc/rspamd/gatepost.conf") {
            fs::rename(patient.host.path(ASTRAY), patient.host.path(TEXT)).unwrap();
        }
        patient.host.file(LOCAL, &format!("{}\n", printed.lines));
    } else if printed.how.starts_with("take that line out of ") {
        let (file, line) = found(printed.quoted("out of ", ','));
        edit(&file, &|text| text[line] = text[line].replace("enabled = false;", ""));
    } else if printed.how.starts_with("this in the place of `reject` at ") {
        let (file, line) = found(printed.quoted(" at ", ','));
        edit(&file, &|text| text[line] = printed.lines.to_owned());
    } else if printed.how.starts_with("take the line `.include` at ") {
        let (file, line) = found(printed.quoted(" at ", ' '));
        edit(&file, &|text| assert!(text.remove(line).starts_with(".include")));
    } else if printed.how.starts_with("take the blocks `") {
        let blocks =
            printed.how.split("` at ").skip(1).map(|rest| found(rest.split([' ', ',']).next().unwrap()));
        // From the end: what is taken out moves what stands behind it.
        for (file, line) in blocks.collect::<Vec<_>>().into_iter().rev() {
            edit(&file, &|text| take_block(text, line));
        }
    } else if printed.how.starts_with("take the block `") {
        let (file, line) = found(printed.quoted("` at ", ' '));
        edit(&file, &|text| take_block(text, line));
    } else if printed.how.starts_with("take the weight of ") || printed.how.starts_with("take the rule ") {
        let (file, line) = found(printed.quoted(" at ", ' '));
        edit(&file, &|text| take_block(text, line));
    } else if printed.how.starts_with("take `") || printed.how.starts_with("take \"") {
        let (file, line) = found(printed.quoted(" at ", ' '));
        let setting = printed.how["take ".len()..].split(' ').next().unwrap().trim_matches('`');
        edit(&file, &|text| {
            let (before, rest) = text[line].split_once(setting).unwrap();
            let rest = if setting.starts_with('"') { rest } else { rest.split_once(';').unwrap().1 };
            text[line] = format!("{before}{rest}");
        });
    } else if let Some(rest) =
        printed.how.strip_prefix("take ").filter(|how| how.contains(" out of `local_addrs`"))
    {
        let (file, line) = found(printed.quoted(" at ", ' '));
        let network = rest.split(' ').next().unwrap();
        edit(&file, &|text| text[line] = text[line].replace(&format!("\"{network}\""), ""));
    } else if printed.how.starts_with("take nameserver out of ") {
        let file = printed.quoted("out of /", ',').to_owned();
        edit(&file, &|text| {
            text.iter_mut().for_each(|line| *line = line.replace("nameserver = \"127.0.0.9\";", ""));
        });
    } else if printed.how.starts_with("take it out") {
        let (file, line) = found(printed.place());
        edit(&file, &|text| take_block(text, line));
    } else if let Some(zones) = printed.how.strip_prefix("one of ") {
        let right = zones.split(", ").find(|zone| zone[..2] == printed.zone()[..2]).unwrap();
        let (file, line) = found(printed.place());
        edit(&file, &|text| text[line] = text[line].replace(printed.zone(), right));
    } else if super::is_pasted(printed.how, "rspamd") {
        let text = patient.host.snippet("rspamd");
        patient.host.file(LOCAL, &include(&text));
        patient.host.file(TEXT, &text);
    } else {
        printed.is_not_understood();
    }
}

/// Takes out the innermost block that this line stands in.
fn take_block(text: &mut Vec<String>, line: usize) {
    let mut depth = 0;
    let start = (0..=line).rev().find(|at| {
        depth += text[*at].matches('{').count() as i32 - text[*at].matches('}').count() as i32;
        depth > 0
    });
    let start = start.unwrap();
    let mut depth = 0;
    let end = (start..text.len()).find(|at| {
        depth += text[*at].matches('{').count() as i32 - text[*at].matches('}').count() as i32;
        depth <= 0
    });
    text.drain(start..=end.unwrap());
}

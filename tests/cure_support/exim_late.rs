//! Statements of an Exim that stand too late, and a person who moves them up as the doctor's words say; and Debian's configuration, made of many
//! files or of one.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::exim::{CONFIG, statement};
use super::{Patient, Printed};
use crate::common::skipped;
use crate::mail_support::programs::unpacked;

/// The file that Debian's macro CHECK_RCPT_LOCAL_ACL_FILE names.
pub(crate) const LOCAL_ACL: &str = "etc/exim4/gatepost.acl";
/// Where that is asked for.
const ASKED_FOR: &str = "  .ifdef CHECK_RCPT_LOCAL_ACL_FILE";

/// What `update-exim4.conf` makes its file of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Form {
    Split,
    Single,
}

impl Form {
    /// The file of a person's macros.
    fn macros(self) -> &'static str {
        match self {
            Self::Split => "etc/exim4/conf.d/main/000_local",
            Self::Single => "etc/exim4/exim4.conf.localmacros",
        }
    }

    /// The file that has the ACL of RCPT.
    fn acl(self) -> &'static str {
        match self {
            Self::Split => "etc/exim4/conf.d/acl/30_exim4-config_check_rcpt",
            Self::Single => "etc/exim4/exim4.conf.template",
        }
    }
}

/// Gives the patient Debian's configuration in this form; `false`, said loudly, where its package is not.
pub(crate) fn wire_debian(test: &str, patient: &Patient, form: Form, local_acl: &str) -> bool {
    let package = unpacked("exim/etc/exim4");
    if !package.join("exim4.conf.template").is_file() {
        skipped(
            test,
            "no configuration of Debian's for Exim below the target folder (.ci/run unpacks it there)",
        );
        return false;
    }
    let script = "cp -a \"$0\"/. /etc/exim4/ && for folder in lib spool log; do mount -t tmpfs nothing /var/$folder && \
         mkdir /var/$folder/exim4 && chown Debian-exim /var/$folder/exim4 || exit; done";
    let done = patient.host.command("sh").args(["-c", script]).arg(package).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let split = form == Form::Split;
    patient.host.file(
        "etc/exim4/update-exim4.conf.conf",
        &format!(
            "dc_eximconfig_configtype='internet'\ndc_other_hostnames='example.org'\ndc_local_interfaces='192.0.2.1'\n\
             dc_relay_nets=''\ndc_relay_domains=''\ndc_use_split_config='{split}'\ndc_localdelivery='mail_spool'\n"
        ),
    );
    let macros = "MAIN_HARDCODE_PRIMARY_HOSTNAME = mx.example.org\nCHECK_RCPT_LOCAL_ACL_FILE = /etc/exim4/gatepost.acl\n";
    patient.host.file("etc/exim4/conf.d/main/000_local", macros);
    patient.host.file("etc/exim4/exim4.conf.localmacros", macros);
    patient.host.file("etc/mailname", "mx.example.org\n");
    patient.host.file("etc/aliases", "user: :blackhole:\n");
    patient.host.file(LOCAL_ACL, local_acl);
    make(patient);
    true
}

/// Puts a statement before that line of the ACL of RCPT which brings the file in.
pub(crate) fn before_local_acl(patient: &Patient, form: Form, statement: &str) {
    let text = patient.host.read(form.acl());
    assert_eq!(text.matches(ASKED_FOR).count(), 1);
    fs::write(patient.host.path(form.acl()), text.replace(ASKED_FOR, &format!("{statement}\n{ASKED_FOR}")))
        .unwrap();
    make(patient);
}

/// Takes the text to where the other form has its files.
pub(crate) fn lay_astray(patient: &Patient, form: Form) {
    const NAME: &str = "MAIN_HARDCODE_PRIMARY_HOSTNAME = mx.example.org\n";
    let text = patient.host.read(LOCAL_ACL);
    let macros = match form {
        Form::Single => {
            fs::remove_file(patient.host.path(LOCAL_ACL)).unwrap();
            patient.host.file("etc/exim4/conf.d/acl/31_gatepost", &text);
            NAME.to_owned()
        }
        Form::Split => patient.host.read("etc/exim4/exim4.conf.localmacros"),
    };
    patient.host.file("etc/exim4/exim4.conf.localmacros", &macros);
    patient.host.file("etc/exim4/conf.d/main/000_local", NAME);
    make(patient);
}

/// Names the file as the doctor's words say.
pub(crate) fn name_it(patient: &Patient, check: &Value) {
    let printed = Printed::of(check);
    let (line, applied) = printed.lines.split_once('\n').unwrap();
    assert_eq!(applied, "update-exim4.conf && systemctl reload exim4");
    patient.types(line);
    make(patient);
}

/// Gives the file another time the line that names the text, as a command does that is typed again.
pub(crate) fn name_again(patient: &Patient, form: Form) {
    let macros = form.macros();
    let text = patient.host.read(macros);
    let line = text.lines().find(|line| line.starts_with("CHECK_RCPT_LOCAL_ACL_FILE")).unwrap();
    fs::write(patient.host.path(macros), format!("{text}{line}\n")).unwrap();
}

/// Takes out the line that is named.
pub(crate) fn take_out(patient: &Patient, check: &Value) {
    let printed = Printed::of(check);
    let (file, line) = printed.quoted("take out the line at ", ',').rsplit_once(':').unwrap();
    let file = file.strip_prefix('/').unwrap();
    let mut text: Vec<String> = patient.host.read(file).lines().map(str::to_owned).collect();
    text.remove(line.parse::<usize>().unwrap() - 1);
    fs::write(patient.host.path(file), text.join("\n") + "\n").unwrap();
    assert_eq!(printed.lines, "update-exim4.conf && systemctl restart exim4");
    make(patient);
}

/// Does what is printed of something that nothing is made of; `text` is what may stand where it does not belong.
pub(crate) fn set_right(patient: &Patient, text: &str, check: &Value) {
    const WRITE: &str = "gatepost snippet exim --write /";
    let printed = Printed::of(check);
    if printed.how.contains("take these statements out of ") {
        let file = printed.quoted("take these statements out of /", ',');
        let all = patient.host.read(file);
        assert_eq!(all.matches(text).count(), 1, "{file}: {all}");
        fs::write(patient.host.path(file), all.replace(text, "")).unwrap();
    }
    let (lines, applied) = printed.lines.rsplit_once('\n').unwrap();
    assert_eq!(applied, "update-exim4.conf && systemctl restart exim4");
    for line in lines.lines() {
        match line.strip_prefix(WRITE) {
            Some(file) => drop(patient.host.file(file, &patient.host.snippet("exim"))),
            None => patient.types(line),
        }
    }
    make(patient);
}

/// Makes `/var/lib/exim4/config.autogenerated`.
pub(crate) fn make(patient: &Patient) {
    let done = patient.host.command("sh").arg(unpacked("exim/usr/sbin/update-exim4.conf")).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}

/// Runs Exim with the configuration that it finds by itself.
pub(crate) fn while_debian_runs(patient: &Patient, program: &Path, see: impl FnOnce()) {
    let script = "mkdir -p /run/exim4 && chown Debian-exim /run/exim4; exec \"$0\" -bdf";
    patient.host.start("exim", Path::new("/bin/sh"), &["-c", script, program.to_str().unwrap()]);
    patient.host.wait_for_port("exim", "192.0.2.1", 25);
    see();
    patient.stop("exim", "exim.pid");
}

/// Moves up what is printed, in the one file that Exim reads.
pub(crate) fn move_up(patient: &Patient, check: &Value) {
    move_within(patient, &Printed::of(check), CONFIG, CONFIG);
}

/// The same where Debian makes that of others.
pub(crate) fn move_up_in(patient: &Patient, form: Form, check: &Value) {
    let printed = Printed::of(check);
    assert!(printed.how.contains("edit what it has these lines from, below /etc/exim4"), "{}", printed.how);
    move_within(patient, &printed, LOCAL_ACL, form.acl());
    make(patient);
}

/// Takes the printed statements out of `from` and puts them into `to`, before what stands at the place that is named.
fn move_within(patient: &Patient, printed: &Printed<'_>, from: &str, to: &str) {
    let place = printed.quoted("move these statements up, before the `accept` at ", ';');
    let (file, line) = place.rsplit_once(':').unwrap();
    let read = patient.host.command("cat").arg(file).output().unwrap();
    let read: Vec<String> = String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned).collect();
    let before = &read[statement(&read, line.parse::<usize>().unwrap() - 1)];
    assert_eq!(before[0].split_whitespace().next(), Some("accept"), "{before:?}");

    let mut text: Vec<String> = patient.host.read(from).lines().map(str::to_owned).collect();
    let mut moved = Vec::new();
    for told in printed.lines.split("\n\n") {
        let found = statements(&text).into_iter().find(|found| words(&text[found.clone()]) == words_of(told));
        let found = found.unwrap_or_else(|| panic!("no such statement: {told}\nin {text:#?}"));
        moved.extend(text.drain(found));
        moved.push(String::new());
    }
    fs::write(patient.host.path(from), text.join("\n") + "\n").unwrap();

    let mut text: Vec<String> = patient.host.read(to).lines().map(str::to_owned).collect();
    let at = text.windows(before.len()).position(|lines| lines == before).unwrap();
    text.splice(at..at, moved);
    fs::write(patient.host.path(to), text.join("\n") + "\n").unwrap();
}

/// The lines of each that asks a list.
fn statements(text: &[String]) -> Vec<Range<usize>> {
    let asks =
        |line: &usize| text[*line].contains("dnslists") || text[*line].trim_start().starts_with("acl = ");
    (0..text.len()).filter(asks).map(|line| statement(text, line)).collect()
}

fn words(lines: &[String]) -> Vec<String> {
    words_of(&lines.join("\n"))
}

/// Whatever lines it is written in.
fn words_of(text: &str) -> Vec<String> {
    text.replace("\\\n", " ").split_whitespace().map(str::to_owned).collect()
}

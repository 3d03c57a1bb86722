//! An Exim that is wired wrongly, and a person who edits its ACL as the doctor's words say.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;

use super::{Patient, Printed, exim_late};
use crate::mail_support::programs::exim_config;

pub(crate) const CONFIG: &str = "etc/exim4/exim4.conf";

/// Gives the patient these statements in the ACL of RCPT.
pub(crate) fn wire(patient: &Patient, acl: &str) {
    patient.host.file(CONFIG, &exim_config(acl));
}

/// Runs it as it is wired now, for as long as `see` looks.
pub(crate) fn while_it_runs(patient: &Patient, program: &Path, see: impl FnOnce()) {
    while_it_runs_with(patient, program, &format!("/{CONFIG}"), see);
}

/// The same with another file.
pub(crate) fn while_it_runs_with(patient: &Patient, program: &Path, file: &str, see: impl FnOnce()) {
    let _ = fs::create_dir(patient.host.path("exim"));
    patient.host.give("Debian-exim", "exim");
    patient.host.start("exim", program, &["-C", file, "-bdf"]);
    patient.host.wait_for_port("exim", "192.0.2.1", 25);
    see();
    patient.stop("exim", "exim.pid");
}

/// Does what is printed of a finding.
pub(crate) fn follow(patient: &Patient, check: &Value) {
    let printed = Printed::of(check);
    if printed.how.starts_with("move these statements up") {
        return exim_late::move_up(patient, check);
    }
    let mut text: Vec<String> = patient.host.read(CONFIG).lines().map(str::to_owned).collect();
    if printed.how.contains("in the place of the whole list that begins at ") {
        let found = statement(&text, number(&printed));
        let list = lists(&text, found).into_iter().find(|list| list.contains(&number(&printed))).unwrap();
        let all = condition(&text[list.clone()]);
        let (head, _) = all.split_once('=').unwrap();
        // What stands before it in that line, such as the verb.
        let before = &head[..head.len() - head.trim_start().len()];
        let verb = head.trim().split(' ').next().filter(|word| !word.contains("dnslists"));
        let verb = verb.map(|verb| format!("{before}{verb}"));
        let lines = printed.lines.lines().map(|line| format!("  {line}"));
        text.splice(list, verb.into_iter().chain(lines));
    } else if printed.how.contains("in the place of the whole statement that begins at ") {
        let begins = printed.how.rsplit_once(':').unwrap().1;
        let found = statement(&text, begins.parse::<usize>().unwrap() - 1);
        text.splice(found, printed.lines.lines().map(str::to_owned));
    } else if printed.how.contains("these statements before that one at ") {
        let begins = statement(&text, number(&printed)).start;
        let lines = printed.lines.lines().map(str::to_owned).chain([String::new()]);
        text.splice(begins..begins, lines);
    } else if printed.how.contains("write `deny` in the place of `defer` in the line at ") {
        let line = printed.how.rsplit_once(':').unwrap().1.parse::<usize>().unwrap() - 1;
        text[line] = text[line].replacen("defer", "deny", 1);
    } else if printed.how.contains("take out the line at ") {
        let (file, line) = printed.quoted("take out the line at ", ',').rsplit_once(':').unwrap();
        assert_eq!(file, format!("/{CONFIG}"));
        text.remove(line.parse::<usize>().unwrap() - 1);
    } else if printed.how.contains("take the whole statement that begins at ") {
        let begins = printed.quoted("that begins at ", ' ').rsplit_once(':').unwrap().1;
        let found = statement(&text, begins.parse::<usize>().unwrap() - 1);
        text.drain(found);
        let acl = format!("{}:", printed.quoted("at the front of the ACL ", ','));
        let front = text.iter().position(|line| *line == acl).unwrap() + 1;
        text.splice(front..front, printed.lines.lines().map(str::to_owned));
    } else if printed.how.starts_with("take it out") {
        let found = statement(&text, number(&printed));
        let lists = lists(&text, found.clone());
        let list = lists.iter().find(|list| list.contains(&number(&printed))).unwrap().clone();
        let all = condition(&text[list.clone()]);
        let (head, items) = all.split_once('=').unwrap();
        let items: Vec<&str> = items.split(" :").map(str::trim).collect();
        let kept: Vec<&str> =
            items.iter().copied().filter(|item| !item.starts_with(printed.zone())).collect();
        if !kept.is_empty() {
            text.splice(list, [format!("{head}= {}", kept.join(" : "))]);
        } else if lists.len() == 1 && printed.how.contains("the whole statement where that asks nothing else")
        {
            text.drain(found);
        } else {
            text.drain(list);
        }
    } else if let Some(zones) = printed.how.strip_prefix("one of ") {
        let right = zones.split(", ").find(|zone| zone[..2] == printed.zone()[..2]).unwrap();
        text.iter_mut().for_each(|line| *line = line.replace(printed.zone(), right));
    } else if super::is_pasted(printed.how, "exim") {
        let at = text.iter().position(|line| line == "acl_check_rcpt:").unwrap() + 1;
        text.splice(at..at, patient.host.snippet("exim").lines().map(str::to_owned));
    } else {
        printed.is_not_understood();
    }
    fs::write(patient.host.path(CONFIG), text.join("\n") + "\n").unwrap();
}

/// The line that a finding names, counted from 0.
fn number(printed: &Printed<'_>) -> usize {
    let number: usize = printed.place().rsplit(':').next().unwrap().parse().unwrap();
    number - 1
}

fn is_negated(condition: &str) -> bool {
    condition.contains("!dnslists")
}

/// The lines of the statement that this line belongs to.
pub(super) fn statement(text: &[String], line: usize) -> Range<usize> {
    let begins = |line: &String| {
        ["accept", "defer", "deny", "drop", "warn", "require"]
            .contains(&line.split_whitespace().next().unwrap_or_default())
    };
    let start = (0..=line).rfind(|line| begins(&text[*line])).unwrap();
    let end = (start + 1..text.len()).find(|line| begins(&text[*line]) || text[*line].trim().is_empty());
    start..end.unwrap_or(text.len())
}

/// Its lists, each with the lines that it goes on in.
fn lists(text: &[String], statement: Range<usize>) -> Vec<Range<usize>> {
    let starts = statement.filter(|line| text[*line].contains("dnslists ="));
    let list = |start: usize| {
        let end = (start..text.len()).find(|line| !text[*line].ends_with('\\')).unwrap();
        start..end + 1
    };
    starts.map(list).collect()
}

/// In one line.
fn condition(lines: &[String]) -> String {
    let parts = lines.iter().enumerate().map(|(at, line)| {
        let line = line.trim_end_matches('\\');
        if at == 0 { line } else { line.trim_start() }
    });
    parts.collect()
}

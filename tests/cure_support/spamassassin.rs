//! A SpamAssassin that is wired wrongly, and a person who edits its files as the doctor's words say.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Healthy, Patient, Printed};
use crate::mail_support::programs::{SENDER, SPAMASSASSIN, mail};

/// The file that `snippet` is for.
pub(crate) const RULES: &str = "etc/spamassassin/gatepost.cf";
/// One that is read behind it.
pub(crate) const LOCAL: &str = "etc/spamassassin/local.cf";

/// Gives the patient these rules, and these lines more of its own.
pub(crate) fn wire(patient: &Patient, rules: &str, local: &str) {
    patient.host.file(RULES, rules);
    patient.host.file(LOCAL, &(SPAMASSASSIN.to_owned() + local));
}

/// Sees what it calls spam as it is wired now.
#[track_caller]
pub(crate) fn is_healthy(patient: &Patient, program: &Path, case: &str, healthy: Healthy) {
    let host = &patient.host;
    let lint = host.command(program).args(["-x", "--lint"]).output().unwrap();
    assert!(lint.status.success(), "{case}: {lint:?}");
    let expected = healthy.refuses();
    let mut command = host.command(program);
    command.args(["-x", "-t"]);
    for (client, _) in &expected {
        command.arg(host.file(&format!("{client}.mail"), &mail(client, SENDER, "")));
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let warned = String::from_utf8_lossy(&output.stderr);
    let verdicts: Vec<&str> = said.split("X-Spam-Status: ").skip(1).collect();
    assert_eq!(verdicts.len(), expected.len(), "{case}: {said}{warned}");
    for (verdict, (client, is_spam)) in verdicts.iter().zip(expected) {
        assert_eq!(verdict.starts_with("Yes"), is_spam, "{case}: {client}: {verdict}{warned}");
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
    let found = |place: &str| {
        let (file, line) = place.strip_prefix('/').unwrap().rsplit_once(':').unwrap();
        (file.to_owned(), line.parse::<usize>().unwrap() - 1)
    };
    if printed.how.contains("these rules in the place of yours") {
        let (file, _) = found(printed.place());
        edit(&file, &|text| {
            take_rules(text, printed.zone());
            text.extend(printed.lines.lines().map(str::to_owned));
        });
    } else if let Some(moved) = printed.how.strip_prefix("move /") {
        let (from, rest) = moved.split_once(" to /").unwrap();
        let to = rest.split(',').next().unwrap();
        fs::rename(patient.host.path(from), patient.host.path(to)).unwrap();
    } else if printed.how.contains("gatepost.cf, in the place of all that asks gatepost there") {
        patient.host.file(RULES, &(printed.lines.to_string() + "\n"));
    } else if printed.how.contains("in the place of the line at ") {
        let (file, line) = found(printed.quoted("in the place of the line at ", ','));
        edit(&file, &|text| drop(text.splice(line..=line, printed.lines.lines().map(str::to_owned))));
    } else if printed.how.contains("in the place of the scores that these rules have") {
        let rule = |line: &str| line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        for file in [RULES, LOCAL] {
            edit(file, &|text| {
                text.retain(|line| {
                    !line.starts_with("score") || !printed.lines.lines().any(|new| rule(new) == rule(line))
                });
            });
        }
        edit(LOCAL, &|text| text.extend(printed.lines.lines().map(str::to_owned)));
    } else if printed.how.contains("in that line, your own addresses in the place of ") {
        let network = printed.quoted("in the place of ", ' ').to_owned();
        let (file, line) = found(printed.place());
        edit(&file, &|text| text[line] = text[line].replace(&network, ""));
    } else if printed.how.starts_with("take that line out of ") {
        let place = printed.quoted("out of ", ',');
        let (file, line) = match place.rsplit_once(':') {
            Some(_) => found(place),
            // The line is named by what it says.
            None => (place[1..].to_owned(), found(printed.place()).1),
        };
        edit(&file, &|text| drop(text.remove(line)));
    } else if printed.how.starts_with("take dns_server out of ") {
        let file = printed.quoted("out of /", ',').to_owned();
        edit(&file, &|text| text.retain(|line| !line.starts_with("dns_server")));
    } else if printed.how.starts_with("take it out") {
        let (file, _) = found(printed.place());
        edit(&file, &|text| take_rules(text, printed.zone()));
    } else if let Some(zones) = printed.how.strip_prefix("one of ") {
        let right = zones.split(", ").find(|zone| zone[..2] == printed.zone()[..2]).unwrap();
        let (file, line) = found(printed.place());
        edit(&file, &|text| text[line] = text[line].replace(printed.zone(), right));
    } else if super::is_pasted(printed.how, "spamassassin") {
        patient.host.file(RULES, &patient.host.snippet("spamassassin"));
    } else {
        printed.is_not_understood();
    }
}

/// Takes out the rules that ask a zone, with those that look into their answers, and all that is said of them.
fn take_rules(text: &mut Vec<String>, zone: &str) {
    let word = |line: &str, at: usize| line.split_whitespace().nth(at).unwrap_or_default().to_owned();
    let asks: Vec<String> = text.iter().filter(|line| line.contains(&format!("{zone}."))).cloned().collect();
    let sets: Vec<&str> = asks.iter().filter_map(|line| line.split('\'').nth(1)).collect();
    let mut rules: Vec<String> = asks.iter().map(|line| word(line, 1)).collect();
    let subtests =
        text.iter().filter(|line| sets.iter().any(|set| line.contains(&format!("check_rbl_sub('{set}'"))));
    rules.extend(subtests.map(|line| word(line, 1)));
    let metas = text.iter().filter(|line| {
        line.starts_with("meta")
            && line.split_whitespace().skip(2).any(|of| rules.iter().any(|rule| rule == of))
    });
    let metas: Vec<String> = metas.map(|line| word(line, 1)).collect();
    rules.extend(metas);
    text.retain(|line| !rules.contains(&word(line, 1)));
}

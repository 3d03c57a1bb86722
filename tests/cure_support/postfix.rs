//! A Postfix that is wired wrongly, and a person who edits `main.cf` and `master.cf` as the doctor's words say.
//!
//! The files that are edited have one item on a line, as `snippet` prints them.

use std::fs;

use serde_json::Value;

use super::{Patient, Printed};
use crate::mail_support::programs::{POSTFIX, SERVICES, start_postfix};

/// smtpd on port 25.
pub(crate) const SMTPD: &str = "smtp inet n - n - - smtpd\n";
/// postscreen there, and the smtpd behind it.
pub(crate) const POSTSCREEN: &str = "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n\
     dnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n";

const MAIN: &str = "etc/postfix/main.cf";
const MASTER: &str = "etc/postfix/master.cf";

/// Gives the patient these lines behind the head of `main.cf`, and these services.
pub(crate) fn wire(patient: &Patient, main: &str, services: &str) {
    patient.host.file(MAIN, &(POSTFIX.to_owned() + main));
    patient.host.file(MASTER, &(services.to_owned() + SERVICES));
}

/// Runs it as it is wired now, which remembers nobody, for as long as `see` looks.
pub(crate) fn while_it_runs(patient: &Patient, see: impl FnOnce()) {
    let _ = fs::remove_dir_all(patient.host.path("data"));
    start_postfix(&patient.host, &patient.host.path("etc/postfix"));
    see();
    // Its script stays beside it.
    patient.stop("postfix", "queue/pid/master.pid");
}

/// Does what is printed of a finding.
pub(crate) fn follow(patient: &Patient, check: &Value) {
    let printed = Printed::of(check);
    let (how, lines) = (printed.how, printed.lines);
    let edit = |name: &str, edited: &dyn Fn(&mut Vec<String>)| {
        let mut text: Vec<String> = patient.host.read(name).lines().map(str::to_owned).collect();
        edited(&mut text);
        fs::write(patient.host.path(name), text.join("\n") + "\n").unwrap();
    };
    if how.contains(", in the place of lines ") {
        edit(MAIN, &|text| {
            let (first, last) = printed.quoted("of lines ", ',').split_once(" to ").unwrap();
            let [first, last] = [first, last].map(|number| number.parse::<usize>().unwrap());
            text.splice(first - 1..last, lines.lines().map(str::to_owned));
        });
    } else if how.contains(", these two lines in the place of line ") {
        edit(MAIN, &|text| {
            let line = printed.quoted("in the place of line ", ',').parse::<usize>().unwrap();
            text.splice(line - 1..line, lines.lines().map(str::to_owned));
        });
    } else if how.contains(", in the place of all lines that set ") || how.contains(", in the place of line ")
    {
        edit(MAIN, &|text| set(text, &lines.lines().map(str::to_owned).collect::<Vec<_>>()));
    } else if how.starts_with("move these lines behind `") {
        edit(MAIN, &|text| {
            text.retain(|line| !lines.lines().any(|moved| item(moved) == item(line)));
            let last = printed.quoted("behind `", '`');
            let at = parameter(text, printed.place()).rfind(|line| is_word(&text[*line], last)).unwrap();
            ended(text, at + 1);
            insert(text, at + 1, &lines.lines().collect::<Vec<_>>());
        });
    } else if how.contains("out of main.cf") || how.contains("take it out of master.cf") {
        patient.types(lines);
    } else if how.contains("these lines but the last are for main.cf") {
        edit(MAIN, &|text| {
            text.retain(|line| !names(line, printed.zone()));
            let (class, last) = lines.rsplit_once('\n').unwrap();
            let end = parameter(text, "smtpd_recipient_restrictions").end;
            ended(text, end);
            insert(text, end, &[last]);
            set(text, &class.lines().map(str::to_owned).collect::<Vec<_>>());
        });
    } else if how.contains("in the place of all that asks this zone there") {
        edit(MAIN, &|text| {
            let place = parameter(text, printed.place());
            let last = place.clone().rfind(|line| names(&text[*line], printed.zone())).unwrap();
            let allows = place.clone().find(|line| text[*line].contains("permit_dnswl_client"));
            let allows = allows.filter(|_| how.contains("before permit_dnswl_client"));
            let (decided, others): (Vec<&str>, Vec<&str>) =
                lines.lines().partition(|line| allows.is_some() && line.contains("127.0.2.2"));
            let mut edited = Vec::new();
            for line in place.clone() {
                if Some(line) == allows {
                    edited.extend(decided.iter().map(|line| (*line).to_owned()));
                }
                if !names(&text[line], printed.zone()) {
                    edited.push(text[line].clone());
                }
                // Behind the allow lists, if these stand further down.
                if line == last.max(allows.unwrap_or_default()) {
                    ended_last(&mut edited);
                    edited.extend(others.iter().map(|line| (*line).to_owned()));
                }
            }
            text.splice(place, edited);
        });
    } else if let Some((_, zones)) = how.split_once("in the place of all that asks these zones there: ") {
        edit(MAIN, &|text| {
            let asks = |line: &String| zones.split(", ").any(|zone| names(line, zone));
            let place = parameter(text, printed.place());
            let first = place.clone().find(|line| asks(&text[*line])).unwrap();
            let kept = text[place.clone()].iter().filter(|line| !asks(line)).cloned().collect::<Vec<_>>();
            text.splice(place, kept);
            ended(text, first);
            insert(text, first, &lines.lines().collect::<Vec<_>>());
        });
    } else if how.contains("in main.cf, in the place of those of your sites that ask gatepost") {
        edit(MAIN, &|text| {
            let mut yours: Vec<String> = text.drain(parameter(text, "postscreen_dnsbl_sites")).collect();
            yours.retain(|line| line.starts_with(' ') && !line.contains("gatepost.internal"));
            let mut printed: Vec<String> = lines.lines().map(str::to_owned).collect();
            let end = printed.iter().rposition(|line| line.starts_with(' ')).unwrap();
            printed.splice(end + 1..end + 1, yours);
            set(text, &printed);
        });
    } else if how.starts_with("move `") {
        edit(MAIN, &|text| {
            let end = printed.quoted("move `", '`');
            let place = parameter(text, printed.place());
            let at = place.clone().find(|line| is_word(&text[*line], end)).unwrap();
            ended(text, place.end);
            let moved = text.remove(at);
            text.insert(place.end - 1, moved.trim_end_matches(',').to_owned());
        });
    } else if how.starts_with("move these lines before `") {
        edit(MAIN, &|text| {
            text.retain(|line| !lines.lines().any(|moved| item(moved) == item(line)));
            let end = printed.quoted("before `", '`');
            let at = parameter(text, printed.place()).find(|line| is_word(&text[*line], end)).unwrap();
            insert(text, at, &lines.lines().collect::<Vec<_>>());
        });
    } else if how.contains("take `warn_if_reject` out before these lines") {
        edit(MAIN, &|text| {
            for line in text {
                if lines.lines().any(|told| item(line) == format!("warn_if_reject {}", item(told))) {
                    *line = line.replace("warn_if_reject ", "");
                }
            }
        });
    } else if how.contains("add these lines to what `-o ") {
        edit(MASTER, &|text| {
            let name = printed.quoted("to what `-o ", '`');
            let line = text.iter_mut().find(|line| line.contains(&format!("-o {name}="))).unwrap();
            let value = line.split_once('=').unwrap().1.replace(',', " ");
            let more: Vec<&str> = lines.lines().map(item).collect();
            *line = format!("  -o {{ {name} = {value} {} }}", more.join(", "));
        });
    } else if how.contains("… postscreen` (what `-o` says below it stays)") {
        edit(MASTER, &|text| {
            let (name, _) = printed.quoted("of the line of `", '`').split_once(" inet … ").unwrap();
            let begins = format!("{name} inet ");
            let line = text
                .iter()
                .position(|line| line.starts_with(&begins) && line.ends_with("postscreen"))
                .unwrap();
            text.splice(line..=line, lines.lines().map(str::to_owned));
        });
    } else if how.contains("add these lines to that one") {
        edit(MAIN, &|text| {
            let number: usize = printed.quoted("take out line ", ';').trim().parse().unwrap();
            let name = printed.place().split(' ').next().unwrap();
            let taken = {
                let end = text[number..].iter().position(|line| !line.starts_with(' '));
                number - 1..end.map_or(text.len(), |end| number + end)
            };
            text.drain(taken);
            let end = parameter(text, name).end;
            ended(text, end);
            insert(text, end, &lines.lines().collect::<Vec<_>>());
        });
    } else if how.contains("into smtpd_recipient_restrictions, behind reject_unauth_destination")
        || how.contains("name it in smtpd_recipient_restrictions")
        || how.contains("at the end of smtpd_recipient_restrictions")
    {
        edit(MAIN, &|text| {
            let end = parameter(text, "smtpd_recipient_restrictions").end;
            ended(text, end);
            insert(text, end, &lines.lines().collect::<Vec<_>>());
        });
    } else if how.contains("in place of the line of `smtp inet … smtpd`") {
        edit(MASTER, &|text| {
            text.retain(|line| !(line.starts_with("smtp ") && line.ends_with("smtpd")));
            insert(text, 0, &lines.lines().collect::<Vec<_>>());
        });
    } else if how.starts_with("in master.cf, then") {
        edit(MASTER, &|text| insert(text, 0, &lines.lines().collect::<Vec<_>>()));
    } else if how.starts_with("in main.cf, then") {
        edit(MAIN, &|text| set(text, &lines.lines().map(str::to_owned).collect::<Vec<_>>()));
    } else if how.starts_with("take it out") {
        edit(MAIN, &|text| text.retain(|line| !names(line, printed.zone())));
    } else if let Some(zones) = how.strip_prefix("one of ") {
        edit(MAIN, &|text| {
            // The first in which the letters go on as in what is written wrongly.
            let right = zones.split(", ").find(|zone| zone[..2] == printed.zone()[..2]).unwrap();
            text.iter_mut().for_each(|line| *line = line.replace(printed.zone(), right));
        });
    } else if how.starts_with("`gatepost snippet postfix`") {
        let snippet = patient.host.snippet("postfix");
        edit(MAIN, &|text| set(text, &snippet.lines().map(str::to_owned).collect::<Vec<_>>()));
    } else {
        printed.is_not_understood();
    }
}

/// What stands in a line, without blanks and the comma that parts it from the next.
fn item(line: &str) -> &str {
    line.trim().trim_end_matches(',')
}

/// Whether a line is this restriction, with these arguments or, where none are named, whatever they are.
fn is_word(line: &str, word: &str) -> bool {
    item(line) == word || item(line).split(' ').next() == Some(word)
}

/// Whether a line asks a zone.
fn names(line: &str, zone: &str) -> bool {
    item(line).split([' ', '=', '*']).any(|word| word == zone)
}

/// The lines of a parameter that stands there for the last time.
#[track_caller]
fn parameter(text: &[String], name: &str) -> std::ops::Range<usize> {
    let is_it = |line: &String| line.split_once('=').is_some_and(|(word, _)| word.trim_end() == name);
    let start = text.iter().rposition(is_it).unwrap_or_else(|| panic!("no {name} in {text:#?}"));
    let end = text[start + 1..].iter().position(|line| !line.starts_with(' '));
    start..end.map_or(text.len(), |end| start + 1 + end)
}

fn insert(text: &mut Vec<String>, at: usize, lines: &[&str]) {
    text.splice(at..at, lines.iter().map(|line| (*line).to_owned()));
}

/// Puts a comma behind the last line.
fn ended_last(text: &mut [String]) {
    let end = text.len();
    ended(text, end);
}

/// Puts a comma behind the line before this one, as a person does who goes on there.
fn ended(text: &mut [String], at: usize) {
    if !text[at - 1].ends_with([',', '=']) {
        text[at - 1].push(',');
    }
}

/// Parameters, in the place of those of their names.
fn set(text: &mut Vec<String>, lines: &[String]) {
    for line in lines.iter().filter(|line| !line.starts_with([' ', '#'])) {
        let Some((name, _)) = line.split_once('=') else { continue };
        let is_there =
            |text: &[String]| text.iter().any(|line| line.starts_with(&format!("{} =", name.trim())));
        while is_there(text) {
            let place = parameter(text, name.trim());
            text.drain(place);
        }
    }
    text.extend(lines.iter().cloned());
}

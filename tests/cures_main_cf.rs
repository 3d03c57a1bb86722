//! `main.cf` of a Postfix, written so that something is lost on purpose: the doctor names it, what he prints is done as it is printed, and
//! then he finds nothing more of mail, and real sessions show that what was there before holds, and what gatepost lists is refused.
#![cfg(feature = "full")]

mod common;
mod cure_support;
mod doctor_support;
mod mail_support;

use common::installed;
use cure_support::postfix::{POSTSCREEN, SMTPD, follow, while_it_runs, wire};
use cure_support::{ALSO_LISTED, Patient, WHOLE};
use mail_support::{BACKSCATTER, LISTED, Mail, UNLISTED, refusal};

/// Whom the owner of the host refuses himself.
const BANNED: &str = "5.6.7.30";

fn admit(test: &str) -> Option<Patient> {
    installed("postfix", "postfix", test)?;
    Patient::admit(test)
}

/// Whether each is refused, for good.
#[track_caller]
fn are_refused<const N: usize>(patient: &Patient, mails: [(&str, &str); N]) -> [bool; N] {
    let mails = mails.map(|(client, sender)| Mail { client, sender, ..Mail::default() });
    let replies = patient.host.sessions(25, &mails);
    let refused: Vec<bool> = replies.into_iter().map(|reply| refusal(reply).is_some()).collect();
    refused.try_into().unwrap()
}

/// The text that is printed, below lines of one's own that set the same.
#[test]
fn pasted_below_own_lines() {
    let Some(patient) = admit("pasted_below_own_lines") else { return };
    let right = patient.host.snippet("postfix");
    let list = format!(
        "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    check_client_access inline:{{{{{BANNED} = reject}}}},\n    reject_unauth_destination,\n    permit\n"
    );
    let class = format!(
        "smtpd_restriction_classes = banned\nbanned = reject\nsmtpd_client_restrictions = check_client_access inline:{{{{{BANNED} = banned}}}}\n"
    );
    for (case, finding, main) in [
        ("a list", "mail-set-again", format!("{list}{right}")),
        ("classes", "mail-set-again", format!("{class}{right}")),
        ("classes that come later", "mail-no-effect", format!("{right}{class}")),
    ] {
        wire(&patient, &main, SMTPD);
        patient.cure(case, finding, follow);
        while_it_runs(&patient, || {
            patient.is_healthy(case, 25, WHOLE);
            let refused = are_refused(&patient, [(BANNED, "a@b.example"), (BACKSCATTER, ""), (UNLISTED, "")]);
            assert_eq!(refused, [true, true, false], "{case}");
        });
    }
    // What has nothing to do with it may be set as often as somebody likes.
    let own = "smtpd_helo_restrictions = reject_invalid_helo_hostname\nsmtpd_helo_restrictions =\nsmtpd_banner = a\nsmtpd_banner = b\n";
    wire(&patient, &format!("{own}{right}"), SMTPD);
    assert_eq!(patient.doctor().findings(&["mail"]), [""; 0]);
}

/// postscreen's, with sites and a threshold of one's own.
#[test]
fn pasted_below_own_sites() {
    let Some(patient) = admit("pasted_below_own_sites") else { return };
    let right = patient.host.snippet("postscreen");
    let own = format!(
        "postscreen_access_list =\n    cidr:{{{{{BANNED}/32 reject}}}},\n    permit_mynetworks\npostscreen_blacklist_action = enforce\n\
         postscreen_dnsbl_sites =\n    other.test=127.0.0.2*7\npostscreen_dnsbl_threshold = 7\n"
    );
    wire(&patient, &(own + &right), POSTSCREEN);
    patient.cure("sites", "mail-set-again", follow);
    let main = patient.host.read("etc/postfix/main.cf");
    let number =
        |line: &str| line.rsplit(['*', ' ']).next().unwrap().trim_end_matches(',').parse::<u32>().unwrap();
    let of = |what: &str| main.lines().rfind(|line| line.contains(what)).map(number).unwrap();
    assert_eq!(of("other.test="), of("postscreen_dnsbl_threshold ="), "{main}");
    while_it_runs(&patient, || {
        patient.is_healthy("sites", 25, WHOLE);
        assert_eq!(are_refused(&patient, [(BANNED, "a@b.example")]), [true]);
    });
}

/// The text without the blanks that its lines begin with.
#[test]
fn pasted_without_blanks() {
    let Some(patient) = admit("pasted_without_blanks") else { return };
    for (program, services) in [("postfix", SMTPD), ("postscreen", POSTSCREEN)] {
        let right = patient.host.snippet(program);
        let flat: String = right.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        wire(&patient, &flat, services);
        patient.cure(program, "mail-broken-line", follow);
        while_it_runs(&patient, || patient.is_healthy(program, 25, WHOLE));
    }
}

/// A text that is added to a file whose last line has no end.
#[test]
fn added_to_a_line_without_an_end() {
    let Some(patient) = admit("added_to_a_line_without_an_end") else { return };
    for (program, services) in [("postfix", SMTPD), ("postscreen", POSTSCREEN)] {
        let right = patient.host.snippet(program);
        let own = "smtpd_helo_required = yes\nsmtpd_data_restrictions = reject_unauth_pipelining";
        wire(&patient, &format!("{own}{right}"), services);
        assert_eq!(patient.doctor().findings(&["mail"]), [""; 0], "{program}");
        while_it_runs(&patient, || patient.is_healthy(program, 25, WHOLE));

        // As texts began once, and without what they begin with.
        let bare: String =
            right.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect();
        for (case, text) in [("comments", right.trim_start()), ("parameters", bare.trim_start())] {
            wire(&patient, &format!("{own}{text}"), services);
            patient.cure(case, "mail-broken-line", follow);
            let main = patient.host.read("etc/postfix/main.cf");
            assert!(main.contains(&format!("{own}\n{text}")), "{program}, {case}: {main}");
            while_it_runs(&patient, || patient.is_healthy(case, 25, WHOLE));
        }
    }
}

/// Lists, and a class for null senders with the table that names it, before one's own people.
#[test]
fn own_people_come_last() {
    let Some(patient) = admit("own_people_come_last") else { return };
    let right = patient.host.snippet("postfix");
    let (head, list) = right.split_once("smtpd_recipient_restrictions =\n").unwrap();
    let people = "    permit_mynetworks,\n    permit_sasl_authenticated,\n    reject_unauth_destination,\n";
    let asks = list.strip_prefix(people).unwrap();
    let table = "    check_sender_access inline:{{<> = gatepost_bounce}}\n";
    let others = asks.strip_suffix(table).unwrap();
    let own = format!("mynetworks = 127.0.0.1/32 {BACKSCATTER}/32 {ALSO_LISTED}/32\n");
    for (case, list) in [
        ("all", format!("{},\n{}\n", asks.trim_end(), people.trim_end_matches(",\n"))),
        (
            "the class alone",
            format!("{},\n{people}{}\n", table.trim_end(), others.trim_end().trim_end_matches(',')),
        ),
    ] {
        let main = format!("{own}{head}smtpd_recipient_restrictions =\n{list}");
        wire(&patient, &main, SMTPD);
        while_it_runs(&patient, || {
            assert_eq!(are_refused(&patient, [(BACKSCATTER, "")]), [true], "{case}: before");
        });
        patient.cure(case, "mail-own-people", follow);
        while_it_runs(&patient, || {
            let mails = [
                (BACKSCATTER, ""),
                (ALSO_LISTED, "a@b.example"),
                (LISTED, "a@b.example"),
                (LISTED, ""),
                (UNLISTED, ""),
            ];
            assert_eq!(are_refused(&patient, mails), [false, false, true, true, false], "{case}");
        });
        // Strangers with a null sender are asked for in that class still.
        patient.host.file(
            "etc/postfix/main.cf",
            &patient.host.read("etc/postfix/main.cf").replace(&format!("{BACKSCATTER}/32 "), ""),
        );
        while_it_runs(&patient, || {
            assert_eq!(are_refused(&patient, [(BACKSCATTER, "")]), [true], "{case}: strangers");
        });
    }
}

/// An allow list before what keeps strangers from relaying is no finding: Postfix does not heed it there.
#[test]
fn an_allow_list_lets_nobody_relay() {
    let Some(patient) = admit("an_allow_list_lets_nobody_relay") else { return };
    let right = patient.host.snippet("postfix");
    let keeps = "    reject_unauth_destination,\n";
    let lets = right.lines().find(|line| line.contains("permit_dnswl_client")).unwrap();
    let later = right.replacen(keeps, "", 1).replacen(lets, &format!("{lets}\n{}", keeps.trim_end()), 1);
    assert_ne!(later, right);
    wire(&patient, &format!("smtpd_relay_restrictions =\n{later}"), SMTPD);
    assert_eq!(patient.doctor().findings(&["mail"]), [""; 0]);
    while_it_runs(&patient, || patient.is_healthy("later", 25, WHOLE));
}

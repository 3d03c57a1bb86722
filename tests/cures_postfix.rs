//! Postfix, wired wrongly on purpose: the doctor names what is wrong, what he prints is done as it is printed, and then he finds nothing
//! more of mail, and real sessions show that whom a block list has is refused, and nobody else, and that no stranger's mail is relayed.
#![cfg(feature = "full")]

mod common;
mod cure_support;
mod doctor_support;
mod mail_support;

use common::installed;
use cure_support::postfix::{POSTSCREEN, SMTPD, follow, while_it_runs, wire};
use cure_support::{Healthy, Patient, WHOLE, shared_out, side_by_side};
use mail_support::{BACKSCATTER, LISTED, Mail, UNLISTED, refusal};

fn admit(test: &str) -> Option<Patient> {
    installed("postfix", "postfix", test)?;
    Patient::admit(test)
}

/// smtpd's text with `from` changed into `to`, which must be in it.
#[track_caller]
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}: {text}");
    text.replace(from, to)
}

/// The lines without those that have one of these in them.
fn without(text: &str, what: &[&str]) -> String {
    let kept = text.lines().filter(|line| !what.iter().any(|what| line.contains(what)));
    kept.map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn is_cured(patient: &Patient, case: &str, finding: &str, main: &str, services: &str, healthy: Healthy) {
    wire(patient, main, services);
    patient.cure(case, finding, follow);
    while_it_runs(patient, || patient.is_healthy(case, 25, healthy));
}

/// Filters of smtpd that are not there, take too much, too little or what nobody has; lists that are none; uses that are none.
#[test]
fn smtpd_asks_wrongly() {
    side_by_side(smtpd_asks_wrongly_in_part);
}

fn smtpd_asks_wrongly_in_part(part: usize) {
    let Some(patient) = admit("smtpd_asks_wrongly") else { return };
    let right = patient.host.snippet("postfix");
    let open = "    reject_rbl_client block.gatepost.internal=127.0.1.5,\n";
    let one = without(
        &right,
        &[
            "block.gatepost.internal=127.0.2",
            "block.gatepost.internal=127.0.3",
            "block.gatepost.internal=127.0.4",
        ],
    );
    let block = "    permit_dnswl_client block.gatepost.internal=127.0.1.5,\n";
    // Nobody who asks no allow list is told of one.
    let own = "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    reject_unauth_destination,\n    reject_rbl_client block.gatepost.internal\n";
    // Asked before strangers are kept from relaying.
    let early = "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    reject_rbl_client block.gatepost.internal,\n    reject_unauth_destination\n";
    let cases = [
        (
            "no filter",
            "mail-no-filter",
            changed(&one, open, "    reject_rbl_client block.gatepost.internal,\n"),
        ),
        (
            "wide filter",
            "mail-wide-filter",
            changed(
                &one,
                open,
                "    reject_rbl_client block.gatepost.internal=127.[0..255].[0..255].[0..255],\n",
            ),
        ),
        (
            "dead filter",
            "mail-dead-filter",
            changed(&one, open, "    reject_rbl_client block.gatepost.internal=127.0.9.9,\n"),
        ),
        ("codes of lists that came later", "mail-lacks-code", without(&right, &["=127.0.4.6"])),
        ("what a person blocks", "mail-lacks-code", without(&right, &["block.gatepost.internal=127.0.2.2"])),
        (
            "a zone that is none",
            "mail-unknown-zone",
            changed(&right, open, &(open.to_owned() + &open.replace("block", "blok"))),
        ),
        (
            "a list that is no more",
            "mail-retired",
            changed(
                &right,
                open,
                &(open.to_owned() + "    reject_rbl_client dnsbl.sorbs.net=127.0.0.[2..14],\n"),
            ),
        ),
        (
            "a score list rejects",
            "mail-wrong-use",
            changed(
                &right,
                open,
                &(open.to_owned() + "    reject_rbl_client broad.gatepost.internal=127.0.1.7,\n"),
            ),
        ),
        (
            "an allow list rejects",
            "mail-wrong-use",
            changed(&right, "permit_dnswl_client ok.", "reject_rbl_client ok."),
        ),
        (
            "nothing asks",
            "mail-not-asked",
            "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    reject_unauth_destination\n"
                .to_owned(),
        ),
        ("a block list lets in", "mail-wrong-use", changed(&one, open, block)),
        ("own lines", "mail-no-filter", own.to_owned()),
        ("early", "mail-no-filter", early.to_owned()),
        ("no allow list", "mail-allow-unheeded", without(&right, &["permit_dnswl_client"])),
    ];
    for (case, finding, main) in shared_out(cases, part) {
        is_cured(&patient, case, finding, &main, SMTPD, WHOLE);
    }
}

/// A bounce list is for null senders alone.
#[test]
fn smtpd_and_null_senders() {
    let Some(patient) = admit("smtpd_and_null_senders") else { return };
    let right = patient.host.snippet("postfix");
    let told = ["gatepost_bounce", "bounce.gatepost.internal"];
    let code = right.lines().find_map(|line| line.split_once("bounce.gatepost.internal=")).unwrap().1;
    let code = code.trim_end_matches(',');
    let class = without(&right, &["check_sender_access"]);
    let rejects = changed(
        &without(&right, &told),
        "    reject_unauth_destination,\n",
        &format!("    reject_unauth_destination,\n    reject_rbl_client bounce.gatepost.internal={code},\n"),
    );
    for (case, finding, main) in
        [("nobody names the class", "mail-no-effect", class), ("it rejects all", "mail-wrong-use", rejects)]
    {
        wire(&patient, &main, SMTPD);
        patient.cure(case, finding, follow);
        while_it_runs(&patient, || {
            patient.is_healthy(case, 25, WHOLE);
            let mail = |client, sender| Mail { client, sender, ..Mail::default() };
            let replies = patient
                .host
                .sessions(25, &[mail(BACKSCATTER, ""), mail(UNLISTED, ""), mail(BACKSCATTER, "a@b.example")]);
            let refused: Vec<bool> = replies.iter().map(|reply| refusal(reply.clone()).is_some()).collect();
            assert_eq!(refused, [true, false, false], "{case}: {replies:?}");
        });
    }
}

/// Lines that stand where no mail comes by.
#[test]
fn smtpd_asks_nobody() {
    side_by_side(smtpd_asks_nobody_in_part);
}

fn smtpd_asks_nobody_in_part(part: usize) {
    let Some(patient) = admit("smtpd_asks_nobody") else { return };
    let right = patient.host.snippet("postfix");
    let first = "    reject_unauth_destination,\n";
    let own = "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    permit_sasl_authenticated,\n    reject_unauth_destination\n";
    let cases = [
        ("behind permit", changed(&right, first, &format!("{first}    permit,\n"))),
        (
            "behind permit_auth_destination",
            changed(&right, first, &format!("{first}    permit_auth_destination,\n")),
        ),
        ("behind a table", changed(&right, first, &format!("{first}    check_client_access static:OK,\n"))),
        (
            "behind one's own domain",
            changed(
                &right,
                first,
                &format!("{first}    check_recipient_access inline:{{example.org=OK}},\n"),
            ),
        ),
        ("only warned", changed(&right, "    reject_r", "    warn_if_reject reject_r")),
        ("all for a while", format!("{right}soft_bounce = yes\n")),
        ("set again", right.clone() + own),
        (
            "nobody's parameter",
            changed(
                &right,
                "smtpd_recipient_restrictions =\n    permit_mynetworks,\n    permit_sasl_authenticated,\n    reject_unauth_destination,\n",
                &format!("{own}mine =\n"),
            ),
        ),
    ];
    for (case, main) in shared_out(cases, part) {
        is_cured(&patient, case, "mail-no-effect", &main, SMTPD, WHOLE);
    }
    let cases = [
        ("-o that says no more", "smtpd_recipient_restrictions=permit_mynetworks,reject_unauth_destination"),
        (
            "-o of its own",
            "smtpd_recipient_restrictions=check_client_access,static:DUNNO,reject_unauth_destination",
        ),
    ];
    for (case, option) in shared_out(cases, part) {
        is_cured(&patient, case, "mail-no-effect", &right, &format!("{SMTPD}  -o {option}\n"), WHOLE);
    }
}

/// Weights, thresholds and services of postscreen.
#[test]
fn postscreen_lets_in() {
    side_by_side(postscreen_lets_in_in_part);
}

fn postscreen_lets_in_in_part(part: usize) {
    let Some(patient) = admit("postscreen_lets_in") else { return };
    let right = patient.host.snippet("postscreen");
    let small = "postscreen_dnsbl_sites =\n    block.gatepost.internal*2,\n    ok.gatepost.internal=127.0.1.9*-2\n\
         postscreen_dnsbl_threshold = 2\npostscreen_dnsbl_action = enforce\n";
    let with = |option: &str| POSTSCREEN.replacen("postscreen\n", &format!("postscreen\n  -o {option}\n"), 1);
    let threshold = right.lines().find(|line| line.starts_with("postscreen_dnsbl_threshold")).unwrap();
    let sites = right.split_once("postscreen_dnsbl_sites =").unwrap().1.split_once("\npostscreen").unwrap().0;
    let cases = [
        ("no filter", "mail-no-filter", small.to_owned(), POSTSCREEN.to_owned()),
        (
            "codes of lists that came later",
            "mail-lacks-code",
            without(&right, &["=127.0.4.6*"]),
            POSTSCREEN.to_owned(),
        ),
        ("no threshold", "mail-wrong-use", without(&right, &["_threshold"]), POSTSCREEN.to_owned()),
        (
            "a threshold that nobody reaches",
            "mail-no-effect",
            changed(&right, threshold, "postscreen_dnsbl_threshold = 6000"),
            POSTSCREEN.to_owned(),
        ),
        ("no action", "mail-no-effect", without(&right, &["_action"]), POSTSCREEN.to_owned()),
        ("nobody asks for it", "mail-no-effect", right.clone(), without(POSTSCREEN, &["dnsblog"])),
        ("not on", "mail-no-effect", right.clone(), SMTPD.to_owned()),
        (
            "set again",
            "mail-no-effect",
            format!("{right}postscreen_dnsbl_sites =\n    other.test=127.0.0.2*1\n"),
            POSTSCREEN.to_owned(),
        ),
        (
            "set again with another threshold",
            "mail-no-effect",
            format!(
                "{right}postscreen_dnsbl_sites =\n    other.test=127.0.0.2*2\npostscreen_dnsbl_threshold = 2\n"
            ),
            POSTSCREEN.to_owned(),
        ),
        ("-o sites", "mail-no-effect", right.clone(), with("postscreen_dnsbl_sites=other.test=127.0.0.2*5")),
        ("-o action", "mail-no-effect", right.clone(), with("postscreen_dnsbl_action=ignore")),
        (
            "-o action, and none beside it",
            "mail-no-effect",
            without(&right, &["_action"]),
            with("postscreen_dnsbl_action=ignore"),
        ),
        ("-o threshold", "mail-no-effect", right.clone(), with("postscreen_dnsbl_threshold=6000")),
        ("-o access list", "mail-no-effect", right.clone(), with("postscreen_access_list=static:permit")),
        (
            "among other sites",
            "mail-wide-filter",
            format!(
                "postscreen_dnsbl_sites =\n    other.test=127.0.0.2*1,\n    block.gatepost.internal=127.[0..255].0.[0..255]*2{}\npostscreen_dnsbl_threshold = 2\npostscreen_dnsbl_action = enforce\n",
                ""
            ),
            POSTSCREEN.to_owned(),
        ),
    ];
    for (case, finding, main, services) in shared_out(cases, part) {
        assert!(sites.contains("*-"), "{sites}");
        is_cured(&patient, case, finding, &main, &services, WHOLE);
    }
}

/// postscreen where one's own people send: before it is cured a listed one of them is refused before he can log in.
#[test]
fn postscreen_at_submission() {
    let Some(patient) = admit("postscreen_at_submission") else { return };
    // Two of them cannot have one cache.
    let right = patient.host.snippet("postscreen") + "postscreen_cache_map =\n";
    // Nobody has a password here.
    let services =
        format!("{POSTSCREEN}submission inet n - n - 1 postscreen\n  -o smtpd_sasl_auth_enable=no\n");
    wire(&patient, &right, &services);
    let own = |case: &str, is_refused: bool| {
        // Postfix opens it after that of strangers.
        patient.host.wait_for_port("postfix", "192.0.2.1", 587);
        let reply = patient.host.session(587, LISTED, "me@example.org");
        assert_eq!(refusal(reply.clone()).is_some(), is_refused, "{case}: {reply}");
    };
    while_it_runs(&patient, || own("before", true));
    patient.cure("submission", "mail-own-people", follow);
    while_it_runs(&patient, || {
        own("cured", false);
        patient.is_healthy("submission", 25, WHOLE);
    });
}

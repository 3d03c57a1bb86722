//! SpamAssassin, wired wrongly on purpose: the doctor names what is wrong, what he prints is done as it is printed, and then he finds
//! nothing more of mail, and spam is what comes from whom a block list has, and nothing else.
#![cfg(feature = "full")]

mod common;
mod cure_support;
mod doctor_support;
mod mail_support;

use common::installed;
use cure_support::spamassassin::{follow, is_healthy, wire};
use cure_support::{Healthy, Patient, WHOLE};

/// What it is, the file, what is made of it and who is healthy then.
type Case = (&'static str, &'static str, fn(&str) -> (String, String), Healthy);

fn see(test: &str, cases: &[Case]) {
    let Some(program) = installed("spamassassin", "spamassassin", test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("spamassassin");
    for (case, finding, broken, healthy) in cases {
        let (rules, local) = broken(&right);
        wire(&patient, &rules, &local);
        patient.cure(case, finding, follow);
        is_healthy(&patient, &program, case, *healthy);
    }
}

/// A rule of somebody's own.
fn own(header: &str) -> (String, String) {
    let rule =
        format!("header MINE eval:check_rbl('mine-lastexternal', 'block.gatepost.internal.'{header})\n");
    (rule + "tflags MINE net\ndescribe MINE on my list\nscore MINE 6\n", String::new())
}

/// The text, and lines more.
fn with(right: &str, local: &str) -> (String, String) {
    (right.to_owned(), format!("{local}\n"))
}

#[test]
fn spamassassin_asks_wrongly() {
    see(
        "spamassassin_asks_wrongly",
        &[
            ("no filter", "mail-no-filter", |_| own(""), WHOLE),
            ("wide filter", "mail-wide-filter", |_| own(", '127.0.0.1'"), WHOLE),
            ("dead filter", "mail-dead-filter", |_| own(", '127.0.9.9'"), WHOLE),
            ("one code", "mail-lacks-code", |_| own(", '127.0.1.5'"), WHOLE),
            (
                "codes of lists that came later",
                "mail-lacks-code",
                |right| {
                    let less = right.replace(r"|127\.0\.4\.(?:6)", "");
                    assert_ne!(less, right);
                    (less, String::new())
                },
                WHOLE,
            ),
            (
                "a zone that is none",
                "mail-unknown-zone",
                |right| {
                    with(right, "header OLD eval:check_rbl('old', 'blok.gatepost.internal.', '127.0.1.5')")
                },
                WHOLE,
            ),
            (
                "a list that is no more",
                "mail-retired",
                |right| with(right, "header OLD eval:check_rbl('old', 'dnsbl.sorbs.net.', '127.0.0.2')"),
                WHOLE,
            ),
        ],
    );
}

#[test]
fn spamassassin_asks_nobody() {
    see(
        "spamassassin_asks_nobody",
        &[
            (
                "a rule without a score",
                "mail-no-effect",
                |right| with(right, "score GATEPOST_BLOCK 0"),
                WHOLE,
            ),
            (
                "a rule that is written again",
                "mail-no-effect",
                |right| with(right, "meta GATEPOST_BLOCK (0)"),
                WHOLE,
            ),
            (
                "names that are denied",
                "mail-no-effect",
                |right| with(right, "dns_query_restriction deny gatepost.internal"),
                WHOLE,
            ),
            ("no lists", "mail-no-effect", |right| with(right, "skip_rbl_checks 1"), WHOLE),
            ("no DNS", "mail-no-effect", |right| with(right, "dns_available no"), WHOLE),
            ("another resolver", "mail-other-resolver", |right| with(right, "dns_server 127.0.0.9"), WHOLE),
            ("nothing asks", "mail-not-asked", |_| (String::new(), String::new()), WHOLE),
        ],
    );
}

/// Scores that are not what their list is good for, and relays that did not bring the mail.
#[test]
fn spamassassin_weighs_wrongly() {
    see(
        "spamassassin_weighs_wrongly",
        &[
            ("a score list alone", "mail-wrong-use", |right| with(right, "score GATEPOST_BROAD 6"), WHOLE),
            (
                "a score list that ends the judgement",
                "mail-wrong-use",
                |right| {
                    with(
                        right,
                        "loadplugin Mail::SpamAssassin::Plugin::Shortcircuit\nshortcircuit GATEPOST_BROAD spam",
                    )
                },
                WHOLE,
            ),
            ("an allow list", "mail-wrong-use", |right| with(right, "score GATEPOST_OK 5"), WHOLE),
            ("a block list lets in", "mail-wrong-use", |right| with(right, "score GATEPOST_BLOCK -3"), WHOLE),
            (
                "every relay",
                "mail-every-relay",
                |right| (right.replace("gatepost_block-lastexternal", "gatepost_block"), String::new()),
                WHOLE,
            ),
            ("a threshold of nobody's", "mail-weight", |right| with(right, "required_score 50"), WHOLE),
            (
                "an allow list above all",
                "mail-block-unheeded",
                |right| with(right, "score GATEPOST_OK -40"),
                WHOLE,
            ),
            ("a higher threshold", "mail-weight", |right| with(right, "required_score 8"), WHOLE),
            (
                "an allow list that is not asked for",
                "mail-allow-unheeded",
                |right| with(right, "meta GATEPOST_BLOCK __GATEPOST_BLOCK\nscore GATEPOST_BLOCK 12"),
                WHOLE,
            ),
            (
                "a text that takes back a fixed sum",
                "mail-allow-unheeded",
                |right| {
                    let meta = "meta     GATEPOST_BLOCK __GATEPOST_BLOCK && !GATEPOST_OK\n";
                    let older = right.replace(meta, "").replace(" __GATEPOST_BLOCK ", " GATEPOST_BLOCK ");
                    assert_eq!(right.len(), older.len() + meta.len() + 4, "{older}");
                    let back = "meta GATEPOST_BACK GATEPOST_BLOCK && GATEPOST_OK\nscore GATEPOST_BACK -6\n";
                    (older + back, "score GATEPOST_BLOCK 20\n".to_owned())
                },
                WHOLE,
            ),
            (
                "a provider",
                "mail-trusts-strangers",
                |right| with(right, "trusted_networks 5.0.0.0/8 192.0.2.1"),
                WHOLE,
            ),
            (
                "an older rule",
                "mail-lacks-code",
                |right| {
                    let less = right.replace(r"|127\.0\.4\.(?:6)", "");
                    assert_ne!(less, right);
                    with(right, &less)
                },
                WHOLE,
            ),
        ],
    );
}

/// Its folder's other files it does not read.
#[test]
fn spamassassin_does_not_read_it() {
    let test = "spamassassin_does_not_read_it";
    let Some(program) = installed("spamassassin", "spamassassin", test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("spamassassin");
    wire(&patient, "", "");
    patient.host.file("etc/spamassassin/gatepost.conf", &right);
    patient.cure(test, "mail-not-asked", follow);
    is_healthy(&patient, &program, test, WHOLE);
}

/// Who rejects at a higher score than SpamAssassin's has block lists score more: allow lists let in all the same.
#[test]
fn spamassassin_scores_more() {
    let test = "spamassassin_scores_more";
    let Some(program) = installed("spamassassin", "spamassassin", test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("spamassassin");
    wire(&patient, &right, "score GATEPOST_BLOCK 20\n");
    assert_eq!(patient.doctor().findings(&["mail"]), [""; 0]);
    is_healthy(&patient, &program, test, WHOLE);
}

/// Of rules for two versions those count here that count there; and where nobody can tell which, that is said and no more.
#[test]
fn spamassassin_reads_conditions() {
    let test = "spamassassin_reads_conditions";
    let Some(program) = installed("spamassassin", "spamassassin", test) else { return };
    let Some(patient) = Patient::admit(test) else { return };
    let right = patient.host.snippet("spamassassin");
    // As somebody has it for a program that knows less: any answer counts.
    let old = "header OLD eval:check_rbl('old-lastexternal', 'block.gatepost.internal.')\ntflags OLD net\nscore OLD 6\n";
    let within = |condition: &str, first: &str, second: &str| {
        wire(&patient, &format!("{condition}\n{first}else\n{second}endif\n"), "");
        patient.doctor()
    };
    for (condition, holds) in [
        ("if (version >= 3.004)", true),
        ("if version < 3.004002", false),
        ("if (version >= 3.004000) && (version < 9.000000)", true),
        ("if (! plugin(Mail::SpamAssassin::Plugin::DNSEval))", false),
        ("ifplugin Mail::SpamAssassin::Plugin::DNSEval", true),
        ("if plugin(Mail::SpamAssassin::Plugin::Nothing) || !(version >= 3.4)", false),
    ] {
        let (first, second) = if holds { (&*right, old) } else { (old, &*right) };
        let told = within(condition, first, second);
        assert_eq!(told.findings(&["mail"]), [""; 0], "{condition}: {told:#?}");
        is_healthy(&patient, &program, condition, WHOLE);
        // It is read as it stands, not passed over: the other way round something is wrong.
        let told = within(condition, second, first);
        assert!(told.findings(&["mail"]).contains(&"mail-no-filter".to_owned()), "{condition}: {told:#?}");
    }
    let can = "if can(Mail::SpamAssassin::Conf::feature_dns_query_restriction)";
    let told = within(can, &right, old);
    assert_eq!(told.findings(&["mail"]), ["mail-undecided"; 2], "{told:#?}");
    assert_eq!(told.finding("mail-undecided")["level"], "?");
    is_healthy(&patient, &program, can, WHOLE);
}

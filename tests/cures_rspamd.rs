//! rspamd, wired wrongly on purpose: the doctor names what is wrong, what he prints is done as it is printed, and then he finds nothing
//! more of mail, and rspamd rejects whom a block list has, and nobody else.
#![cfg(feature = "full")]

mod common;
mod cure_support;
mod doctor_support;
mod mail_support;

use common::installed;
use cure_support::rspamd::{
    GATEPOST, INCLUDE, INSTEAD, LOCAL, MODULE, OPTIONS, OVERRIDE, follow, is_healthy, wire,
};
use cure_support::{Healthy, Patient, WHOLE, shared_out, side_by_side};

const NO_ALLOW_LISTS: Healthy = Healthy { lets: false, people_decide: false };

#[test]
fn rspamd_asks_wrongly() {
    side_by_side(rspamd_of_a_part_asks_wrongly);
}

fn rspamd_of_a_part_asks_wrongly(part: usize) {
    let test = "rspamd_asks_wrongly";
    let (Some(program), Some(rspamc)) =
        (installed("rspamd", "rspamd", test), installed("rspamc", "rspamd", test))
    else {
        return;
    };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("rspamd");
    let rule = |more: &str| {
        format!(
            "rbls {{\n  mine {{\n    symbol = \"MINE\";\n    rbl = \"block.gatepost.internal\";\n    checks = [\"from\"];\n{more}  }}\n}}\n"
        )
    };
    let own = |more: &str| (MODULE, rule(more));
    let whole = || (GATEPOST, right.clone());
    let less = right.replace(", \"127.0.4.6\"", "");
    assert_ne!(less, right);
    let broken = |zone: &str| {
        format!(
            "rbls {{\n  old {{\n    rbl = \"{zone}\";\n    returncodes {{ OLD = \"127.0.1.5\"; }}\n  }}\n}}\n"
        )
    };
    let off = right.replacen("    gatepost_block {\n", "    gatepost_block {\n      enabled = false;\n", 1);
    assert_ne!(off, right);
    let cases = [
        ("no filter", "mail-no-filter", vec![own("")], NO_ALLOW_LISTS),
        (
            "wide filter",
            "mail-wide-filter",
            vec![own("    returncodes { MINE = \"127.0.0.1\"; }\n")],
            NO_ALLOW_LISTS,
        ),
        (
            "dead filter",
            "mail-dead-filter",
            vec![own("    returncodes { MINE = \"127.0.9.9\"; }\n")],
            NO_ALLOW_LISTS,
        ),
        (
            "one code",
            "mail-lacks-code",
            vec![own("    returncodes { MINE = \"127.0.1.5\"; }\n")],
            NO_ALLOW_LISTS,
        ),
        ("codes of lists that came later", "mail-lacks-code", vec![(GATEPOST, less)], WHOLE),
        (
            "a zone that is none",
            "mail-unknown-zone",
            vec![whole(), (MODULE, broken("blok.gatepost.internal"))],
            WHOLE,
        ),
        ("a list that is no more", "mail-retired", vec![whole(), (MODULE, broken("dnsbl.sorbs.net"))], WHOLE),
        ("a rule that is off", "mail-no-effect", vec![(GATEPOST, off)], WHOLE),
        (
            "rules that are emptied",
            "mail-no-effect",
            vec![whole(), (LOCAL, format!("{INCLUDE}rbl {{\n  rbls {{\n  }}\n}}\n"))],
            WHOLE,
        ),
        (
            "rules that are replaced",
            "mail-no-effect",
            vec![whole(), (INSTEAD, "rbl {\n}\n".to_owned())],
            WHOLE,
        ),
        (
            "rules that are overridden",
            "mail-no-effect",
            vec![
                whole(),
                (OVERRIDE, "rbls {\n  gatepost_block {\n    enabled = false;\n  }\n}\n".to_owned()),
            ],
            WHOLE,
        ),
        (
            "a module that is off",
            "mail-no-effect",
            vec![whole(), (MODULE, "enabled = false;\n".to_owned())],
            WHOLE,
        ),
        (
            "another resolver",
            "mail-other-resolver",
            vec![whole(), (OPTIONS, "dns {\n  nameserver = \"127.0.0.9\";\n}\n".to_owned())],
            WHOLE,
        ),
        ("a text that hides all other rules", "mail-hides-rules", vec![(LOCAL, right.clone())], WHOLE),
        ("nothing asks", "mail-not-asked", vec![(MODULE, "# nothing\n".to_owned())], WHOLE),
    ];
    for (case, finding, files, healthy) in shared_out(cases, part) {
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        wire(&patient, &files);
        patient.cure(case, finding, follow);
        is_healthy(&patient, &program, &rspamc, case, healthy);
    }
}

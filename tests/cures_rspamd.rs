//! rspamd, wired wrongly on purpose: the doctor names what is wrong, what he prints is done as it is printed, and then he finds nothing
//! more of mail, and rspamd rejects whom a block list has, and nobody else.
#![cfg(feature = "full")]

mod common;
mod cure_support;
mod doctor_support;
mod mail_support;

use common::installed;
use cure_support::postfix;
use cure_support::rspamd::{
    ACTIONS, ASTRAY, FORCED, GROUPS, INSTEAD, LOCAL, MODULE, OPTIONS, OVERRIDE, PROXY, TEXT, follow, include,
    is_healthy, judges, wire,
};
use cure_support::rspamd_runs;
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
    let included = || (LOCAL, include(&right));
    let whole = || (TEXT, right.clone());
    let less = right.replace(", \"127.0.4.6\"", "");
    assert_ne!(less, right);
    let broken = |zone: &str| {
        format!(
            "rbls {{\n  old {{\n    rbl = \"{zone}\";\n    returncodes {{ OLD = \"127.0.1.5\"; }}\n  }}\n}}\n"
        )
    };
    // Beside gatepost's: rspamd looks at one `rbls` alone.
    let beside = |rule: &str| {
        let rule = rule.strip_prefix("rbls {\n").unwrap().strip_suffix("}\n").unwrap();
        (TEXT, right.replacen("  rbls {\n", &format!("  rbls {{\n{rule}"), 1))
    };
    let off = right.replacen("    gatepost_block {\n", "    gatepost_block {\n      enabled = false;\n", 1);
    assert_ne!(off, right);
    // An administrator's own, which no list has to do with.
    let forced =
        "rules {\n  MINE {\n    action = \"reject\";\n    expression = \"MINE\";\n  }\n}\n".to_owned();
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
        ("codes of lists that came later", "mail-lacks-code", vec![(TEXT, less), included()], WHOLE),
        (
            "a zone that is none",
            "mail-unknown-zone",
            vec![beside(&broken("blok.gatepost.internal")), included()],
            WHOLE,
        ),
        (
            "a list that is no more",
            "mail-retired",
            vec![beside(&broken("dnsbl.sorbs.net")), included()],
            WHOLE,
        ),
        ("a rule that is off", "mail-no-effect", vec![(TEXT, off), included()], WHOLE),
        (
            "rules that are emptied",
            "mail-no-effect",
            vec![whole(), (LOCAL, include(&right) + "rbl {\n  rbls {\n  }\n}\n")],
            WHOLE,
        ),
        (
            "an older text below the line",
            "mail-no-effect",
            vec![whole(), (LOCAL, include(&right) + &right), (FORCED, forced.clone())],
            WHOLE,
        ),
        (
            "rules that are replaced",
            "mail-no-effect",
            vec![whole(), included(), (INSTEAD, "rbl {\n}\n".to_owned())],
            WHOLE,
        ),
        (
            "a rule that is off elsewhere",
            "mail-no-effect",
            vec![
                whole(),
                included(),
                (OVERRIDE, "rbls {\n  gatepost_block {\n    enabled = false;\n  }\n}\n".to_owned()),
            ],
            WHOLE,
        ),
        ("rules that stand alone", "mail-set-again", vec![(LOCAL, right.clone())], WHOLE),
        (
            "a module that is off",
            "mail-no-effect",
            vec![whole(), included(), (MODULE, "enabled = false;\n".to_owned())],
            WHOLE,
        ),
        (
            "another resolver",
            "mail-other-resolver",
            vec![whole(), included(), (OPTIONS, "dns {\n  nameserver = \"127.0.0.9\";\n}\n".to_owned())],
            WHOLE,
        ),
        (
            "a text that nothing includes",
            "mail-not-asked",
            vec![whole(), (LOCAL, format!("# {}", include(&right)))],
            WHOLE,
        ),
        ("a text in a folder of modules", "mail-not-asked", vec![(ASTRAY, right.clone())], WHOLE),
        ("nothing asks", "mail-not-asked", vec![(MODULE, "# nothing\n".to_owned())], WHOLE),
    ];
    for (case, finding, files, healthy) in shared_out(cases, part) {
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        wire(&patient, &files);
        patient.cure(case, finding, follow);
        is_healthy(&patient, &program, &rspamc, case, healthy);
        if patient.host.read(FORCED) == forced {
            assert!(patient.host.read("rspamd.log").contains("FORCE_ACTION_MINE"), "{case}: {forced}");
        }
    }
}

/// Weights, actions and questions that are not what the lists are good for.
#[test]
fn rspamd_does_something_else() {
    side_by_side(rspamd_of_a_part_does_something_else);
}

fn rspamd_of_a_part_does_something_else(part: usize) {
    let test = "rspamd_does_something_else";
    let (Some(program), Some(rspamc)) =
        (installed("rspamd", "rspamd", test), installed("rspamc", "rspamd", test))
    else {
        return;
    };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("rspamd");
    let with = |what: &str, instead: &str| {
        let text = right.replacen(what, instead, 1);
        assert_ne!(text, right, "{what}");
        vec![(TEXT, text), (LOCAL, include(&right))]
    };
    let beside = |file: &'static str, more: &str| {
        vec![(TEXT, right.clone()), (LOCAL, include(&right)), (file, more.to_owned())]
    };
    let below = |more: &str| vec![(TEXT, right.clone()), (LOCAL, include(&right) + more)];
    let unheeding = right.replacen("\"GATEPOST_BLOCK & !GATEPOST_OK\"", "\"GATEPOST_BLOCK\"", 1);
    assert_ne!(unheeding, right);
    let (without_forces, _) = right.split_once("force_actions {").unwrap();
    let weighed =
        "group \"mine\" {\n  symbols {\n    \"GATEPOST_BROAD\" {\n      weight = 20;\n    }\n  }\n}\n";
    let cases = [
        (
            "a score list that is enough",
            "mail-wrong-use",
            with("\"GATEPOST_BROAD\" { weight = 2.0", "\"GATEPOST_BROAD\" { weight = 20.0"),
        ),
        (
            "a score list that is enough by what rejects",
            "mail-wrong-use",
            beside(ACTIONS, "add_header = 1.5;\nreject = 2;\n"),
        ),
        ("a weight elsewhere", "mail-wrong-use", beside(GROUPS, weighed)),
        (
            "an allow list that weighs against mail",
            "mail-wrong-use",
            with("\"GATEPOST_OK\" { weight = -5.0", "\"GATEPOST_OK\" { weight = 25.0"),
        ),
        (
            "a score list that rejects",
            "mail-wrong-use",
            beside(
                FORCED,
                "rules {\n  MINE {\n    action = \"reject\";\n    expression = \"GATEPOST_BROAD\";\n  }\n}\n",
            ),
        ),
        ("actions of an older form", "mail-weight", beside(FORCED, "actions {\n  reject = [\"MINE\"];\n}\n")),
        (
            "a milder action beside",
            "mail-weight",
            beside(
                FORCED,
                "rules {\n  MINE {\n    action = \"add header\";\n    expression = \"GATEPOST_BLOCK\";\n  }\n}\n",
            ),
        ),
        ("bounces that are none", "mail-wrong-use", with("GATEPOST_BOUNCE & BOUNCE", "GATEPOST_BOUNCE")),
        (
            "relays in the place of clients",
            "mail-every-relay",
            with(
                "rbl = \"block.gatepost.internal\";\n      checks = [\"from\"]",
                "rbl = \"block.gatepost.internal\";\n      checks = [\"received\"]",
            ),
        ),
        (
            "relays beside clients, elsewhere",
            "mail-every-relay",
            beside(MODULE, "rbls {\n  gatepost_block {\n    checks = [\"received\"];\n  }\n}\n"),
        ),
        ("another action", "mail-weight", with("action = \"reject\"", "action = \"add header\"")),
        (
            "an expression that never holds",
            "mail-weight",
            with("\"GATEPOST_BLOCK & !GATEPOST_OK\"", "\"GATEPOST_BLOCK & GATEPOST_OK\""),
        ),
        (
            "allow lists that are not heeded",
            "mail-allow-unheeded",
            vec![(TEXT, unheeding.replace("      is_whitelist = true;\n", "")), (LOCAL, include(&right))],
        ),
        (
            "everybody as one's own",
            "mail-no-effect",
            beside(OPTIONS, "local_addrs = [\n  \"0.0.0.0/0\"\n];\n"),
        ),
        (
            "another action that is honored",
            "mail-weight",
            with(
                "action = \"reject\";",
                "action = \"reject\";\n      honor_action = [\"no action\", \"add header\"];",
            ),
        ),
        (
            "another action that is wanted, elsewhere",
            "mail-weight",
            beside(FORCED, "rules {\n  GATEPOST_BLOCK {\n    require_action = [\"greylist\"];\n  }\n}\n"),
        ),
        ("actions that are off", "mail-weight", beside(FORCED, "enabled = false;\n")),
        (
            "actions that were not pasted",
            "mail-weight",
            vec![(TEXT, without_forces.to_owned()), (LOCAL, include(&right))],
        ),
        (
            "actions that are replaced",
            "mail-weight",
            below(
                "force_actions {\n  rules {\n    MINE {\n      action = \"reject\";\n      expression = \"MINE\";\n    }\n  }\n}\n",
            ),
        ),
        (
            "an action twice",
            "mail-weight",
            beside(FORCED, "rules {\n  GATEPOST_BLOCK {\n    action = \"add header\";\n  }\n}\n"),
        ),
        (
            "the text twice",
            "mail-no-effect",
            vec![(TEXT, right.clone() + &right.replace(", \"127.0.4.6\"", "")), (LOCAL, include(&right))],
        ),
        (
            "the line that includes it twice",
            "mail-no-effect",
            vec![(TEXT, right.clone()), (LOCAL, include(&right) + "# more\n" + &include(&right))],
        ),
        (
            "a setting twice",
            "mail-no-effect",
            beside(MODULE, "rbls {\n  gatepost_block {\n    exclude_local = false;\n  }\n}\n"),
        ),
    ];
    for (case, finding, files) in shared_out(cases, part) {
        let files: Vec<(&str, &str)> = files.iter().map(|(file, text)| (*file, &**text)).collect();
        wire(&patient, &files);
        patient.cure(case, finding, follow);
        is_healthy(&patient, &program, &rspamc, case, WHOLE);
    }
    // A whitelist excepts without being named there, too.
    if part == 0 {
        wire(&patient, &[(TEXT, &*unheeding), (LOCAL, &*include(&right))]);
        assert_eq!(patient.doctor().findings(&["mail"]), [""; 0]);
        is_healthy(&patient, &program, &rspamc, "a whitelist", WHOLE);
    }
}

/// It is Postfix's milter and does not run, or will not when it is started again.
#[test]
fn rspamd_does_not_run() {
    side_by_side(rspamd_of_a_part_does_not_run);
}

fn rspamd_of_a_part_does_not_run(part: usize) {
    let test = "rspamd_does_not_run";
    let (Some(_), Some(rspamc), Some(_)) = (
        installed("rspamd", "rspamd", test),
        installed("rspamc", "rspamd", test),
        installed("postfix", "postfix", test),
    ) else {
        return;
    };
    let Some(patient) = Patient::admit(test) else { return };
    rspamd_runs::under_systemd(&patient);
    // What a mail program leaves that was here once.
    patient.host.file(
        "etc/exim4/exim4.conf",
        "# spamd_address = 127.0.0.1 11333 variant=rspamd\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n  accept hosts = :\n\
         .ifdef CHECK_RCPT_LOCAL_ACL_FILE\n.include CHECK_RCPT_LOCAL_ACL_FILE\n.endif\n  deny\n",
    );
    let right = patient.host.snippet("rspamd");
    let without = |end: &str| {
        let (before, after) = right.rsplit_once(end).unwrap();
        format!("{before}{after}")
    };
    let (last, inner) = (without("}\n"), right.replacen("  }\n}\n\ngroup", "}\n\ngroup", 1));
    assert_ne!(inner, right);
    // Whom Postfix lets in meanwhile.
    let (waits, passes) = ("4", "2");
    let port = "inet:localhost:11332";
    let socket = format!("unix:{}", rspamd_runs::SOCKET);
    let by_socket = format!("bind_socket = \"{} mode=0666\";\n", rspamd_runs::SOCKET);
    let cases = [
        ("nobody started it", &right, 0o644, false, port, waits),
        ("nobody listens at its socket", &right, 0o644, false, &*socket, waits),
        (
            "mail passes it by",
            &right,
            0o644,
            false,
            "{ inet:127.0.0.1:11332, default_action=accept }",
            passes,
        ),
        ("a file that it may not read", &right, 0o600, false, port, waits),
        ("a file that it may not read any more", &right, 0o600, true, port, passes),
        ("a brace too few at the end", &last, 0o644, false, port, waits),
        ("a brace too few", &inner, 0o644, false, port, waits),
    ];
    for (case, text, mode, is_running, milter, meanwhile) in shared_out(cases, part) {
        let listens = if milter == socket { &*by_socket } else { "" };
        let files = [(TEXT, &*right), (LOCAL, &include(&right)), (PROXY, listens)];
        wire(&patient, &files);
        postfix::wire(&patient, &format!("smtpd_milters = {milter}\n"), postfix::SMTPD);
        let port = (milter != socket).then_some(11332);
        if is_running {
            rspamd_runs::start(&patient, port);
        }
        let path = patient.host.file(TEXT, text);
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        let replies = |expected: &str| {
            postfix::while_it_runs(&patient, || {
                let reply = patient.host.session(25, mail_support::UNLISTED, "me@good.example");
                assert!(reply.starts_with(expected), "{case}: {reply}");
            });
        };
        replies(meanwhile);
        patient.cure(case, "mail-not-running", |patient, check| {
            rspamd_runs::follow(patient, check, port, is_running);
        });
        replies(passes);
        judges(&patient, &rspamc, "service/rspamd.log", case, WHOLE);
        patient.stop("service", "service.pid");
    }
}

/// It runs, and Postfix's user does not come to its socket.
#[test]
fn rspamd_at_a_socket_that_is_shut() {
    let test = "rspamd_at_a_socket_that_is_shut";
    let (Some(_), Some(rspamc), Some(_)) = (
        installed("rspamd", "rspamd", test),
        installed("rspamc", "rspamd", test),
        installed("postfix", "postfix", test),
    ) else {
        return;
    };
    let Some(patient) = Patient::admit(test) else { return };
    rspamd_runs::under_systemd(&patient);
    let right = patient.host.snippet("rspamd");
    let socket = rspamd_runs::SOCKET;
    let folder = |command: &str| {
        let done = patient.host.command("sh").args(["-c", command]).output().unwrap();
        assert!(done.status.success(), "{command}: {done:?}");
    };
    let cases = [
        ("the socket", "mode=0660 owner=_rspamd", "chmod 755 /run/rspamd"),
        ("the folder", "mode=0666", "chmod 700 /run/rspamd"),
        ("both, and the group may", "mode=0660 owner=_rspamd", "chmod 750 /run/rspamd"),
    ];
    for (case, mode, shut) in cases {
        folder(shut);
        let listens = format!("bind_socket = [\"localhost:11332\", \"{socket} {mode}\"];\n");
        wire(&patient, &[(TEXT, &*right), (LOCAL, &include(&right)), (PROXY, &listens)]);
        postfix::wire(&patient, &format!("smtpd_milters = unix:{socket}\n"), postfix::SMTPD);
        rspamd_runs::start(&patient, Some(11332));
        let replies = |expected: &str| {
            postfix::while_it_runs(&patient, || {
                let reply = patient.host.session(25, mail_support::UNLISTED, "me@good.example");
                assert!(reply.starts_with(expected), "{case}: {reply}");
            });
        };
        replies("4");
        patient.cure(case, "mail-not-running", |patient, check| {
            rspamd_runs::follow(patient, check, Some(11332), true);
        });
        replies("2");
        judges(&patient, &rspamc, "service/rspamd.log", case, WHOLE);
        patient.stop("service", "service.pid");
        patient.host.wait_for_no_port("service", "127.0.0.1", 11332);
    }
}

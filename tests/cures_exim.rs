//! Exim, wired wrongly on purpose: the doctor names what is wrong, what he prints is done as it is printed, and then he finds nothing
//! more of mail, and real sessions show that whom a block list has is refused, and nobody else, and that no stranger's mail is relayed.
#![cfg(feature = "full")]

mod common;
mod cure_support;
mod doctor_support;
mod mail_support;

use cure_support::exim::{CONFIG, follow, while_it_runs, while_it_runs_with, wire};
use cure_support::exim_late::{
    Form, LOCAL_ACL, before_local_acl, lay_astray, make, move_up_in, name_again, name_it, set_right,
    take_out, while_debian_runs, wire_debian,
};
use cure_support::{Healthy, Patient, WHOLE, shared_out, side_by_side};
use mail_support::programs::exim_config;
use mail_support::{
    BACKSCATTER, BAD_DOMAIN, COMES, LISTED, LISTED_AND_GOOD, LISTED_LATE, Mail, UNLISTED, programs, refusal,
};

/// Whom an allow list has is let in, be he blocked by a person.
const TOGETHER: Healthy = Healthy { lets: true, people_decide: false };

#[test]
fn exim_asks_wrongly() {
    side_by_side(exim_of_a_part_asks_wrongly);
}

fn exim_of_a_part_asks_wrongly(part: usize) {
    let test = "exim_asks_wrongly";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("exim");
    let own = |list: &str| {
        format!(
            "  deny\n  message = refused\n  !dnslists = ok.gatepost.internal=127.0.1.9\n  dnslists = {list}\n\n"
        )
    };
    let deny = |list: &str| format!("  deny\n  message = refused\n  dnslists = {list}\n\n");
    let codes = ",127.0.4.6";
    assert!(right.contains(codes), "{right}");
    // What a person blocks is asked by a statement of its own, the first.
    let undecided = right.split_once("\n\ndeny").unwrap().1.split_once("\n\n").unwrap().1;
    assert!(!undecided.contains("block.gatepost.internal=127.0.2.2"), "{undecided}");
    let zone = "block.gatepost.internal";
    let cases = [
        ("no filter", "mail-no-filter", own(zone), WHOLE),
        ("no filter, nobody let", "mail-no-filter", deny(zone), WHOLE),
        (
            "in one line",
            "mail-no-filter",
            format!("  deny dnslists = {zone}\n  message = refused\n\n"),
            WHOLE,
        ),
        (
            "beside others",
            "mail-no-filter",
            deny(&format!("other.test=127.0.0.2 : {zone} : another.test=127.0.0.2")),
            WHOLE,
        ),
        ("parted otherwise", "mail-no-filter", deny(&format!("<; {zone} ; other.test=127.0.0.2")), WHOLE),
        (
            "over several lines",
            "mail-no-filter",
            deny(&format!("other.test=127.0.0.2 : \\\n     {zone}")),
            WHOLE,
        ),
        ("wide filter", "mail-wide-filter", own(&format!("{zone}=127.0.0.1,127.0.1.5")), WHOLE),
        ("dead filter", "mail-dead-filter", own(&format!("{zone}=127.0.9.9")), WHOLE),
        ("one code", "mail-lacks-code", own(&format!("{zone}=127.0.1.5")), WHOLE),
        ("codes of lists that came later", "mail-lacks-code", right.replace(codes, ""), WHOLE),
        ("what a person blocks", "mail-lacks-code", undecided.to_owned(), WHOLE),
        (
            "a zone that is none",
            "mail-unknown-zone",
            deny("blok.gatepost.internal=127.0.1.5") + &right,
            WHOLE,
        ),
        ("a zone that is none, alone", "mail-unknown-zone", deny("blok.gatepost.internal=127.0.1.5"), WHOLE),
        (
            "only marked",
            "mail-no-effect",
            format!(
                "  warn\n  dnslists = {zone}=127.0.1.5,127.0.3.6,127.0.4.6,127.0.2.2\n  add_header = X-Warning: $sender_host_address is listed\n\n"
            ),
            WHOLE,
        ),
        ("for a while", "mail-no-effect", right.replacen("deny", "defer", 1), WHOLE),
        (
            "senders' domains in a list of addresses",
            "mail-wrong-use",
            deny(&format!("{zone}=127.0.1.5/$sender_address_domain")),
            WHOLE,
        ),
        ("a list that is no more", "mail-retired", deny("dnsbl.sorbs.net=127.0.0.2") + &right, WHOLE),
        (
            "and one beside others",
            "mail-retired",
            deny("dnsbl.sorbs.net=127.0.0.2 : other.test=127.0.0.2") + &right,
            WHOLE,
        ),
        ("a score list rejects", "mail-wrong-use", deny("broad.gatepost.internal=127.0.1.7") + &right, WHOLE),
        (
            "a bounce list rejects",
            "mail-wrong-use",
            deny("bounce.gatepost.internal=127.0.1.8") + &right,
            WHOLE,
        ),
        ("nothing asks", "mail-not-asked", String::new(), WHOLE),
        (
            "an allow list before what a person blocks",
            "mail-block-unheeded",
            own(&format!("{zone}=127.0.1.5,127.0.2.2,127.0.3.6,127.0.4.6")),
            WHOLE,
        ),
        (
            "no allow list",
            "mail-allow-unheeded",
            deny(&format!("{zone}=127.0.1.5,127.0.2.2,127.0.3.6,127.0.4.6")),
            WHOLE,
        ),
    ];
    for (case, finding, acl, healthy) in shared_out(cases, part) {
        wire(&patient, &acl);
        patient.cure(case, finding, follow);
        while_it_runs(&patient, &program, || patient.is_healthy(case, 25, healthy));
    }
}

/// A Postfix that is set up beside it, and does not run, refuses nobody in its place.
#[test]
fn exim_marks_where_postfix_does_not_run() {
    let test = "exim_marks_where_postfix_does_not_run";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::admit(test) else { return };
    cure_support::postfix::wire(&patient, &patient.host.snippet("postfix"), cure_support::postfix::SMTPD);
    let asked = "block.gatepost.internal=127.0.1.5,127.0.2.2,127.0.3.6,127.0.4.6";
    wire(&patient, &format!("  warn\n    dnslists = {asked}\n    add_header = X-Warning: listed\n\n"));
    // Nobody knows whom mail comes to.
    patient.doctor().is_right_in(&["mail"]);
    while_it_runs(&patient, &program, || {
        patient.lets_all_in("marked", 25);
        patient.cure("marked", "mail-no-effect", follow);
    });
    while_it_runs(&patient, &program, || patient.is_healthy("marked", 25, WHOLE));
}

/// Names, and null senders.
#[test]
fn exim_asks_for_names_wrongly() {
    let test = "exim_asks_for_names_wrongly";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let named = "  deny\n  message = refused\n  dnslists = dbl.gatepost.internal/$sender_address_domain\n\n";
    let bounced = "  deny\n  message = refused\n  senders = :\n  dnslists = bounce.gatepost.internal\n\n";
    for (case, acl, mails) in [
        (
            "names",
            named,
            [(UNLISTED, format!("me@{BAD_DOMAIN}"), true), (UNLISTED, "me@good.example".to_owned(), false)],
        ),
        (
            "null senders",
            bounced,
            [(BACKSCATTER, String::new(), true), (BACKSCATTER, "me@good.example".to_owned(), false)],
        ),
    ] {
        wire(&patient, acl);
        patient.cure(case, "mail-no-filter", follow);
        while_it_runs(&patient, &program, || {
            for (client, sender, is_refused) in &mails {
                let mail = Mail { client, sender, ..Mail::default() };
                let reply = patient.host.sessions(25, &[mail]).remove(0);
                assert_eq!(refusal(reply.clone()).is_some(), *is_refused, "{case}: {sender}: {reply}");
            }
        });
    }
}

/// Behind a statement that accepts strangers' mail nobody is refused, until what asks stands before it.
#[test]
fn exim_is_told_too_late() {
    let test = "exim_is_told_too_late";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("exim");
    for (case, before) in [
        ("domains", "accept domains = +local_domains\n"),
        (
            "endpass",
            "accept\n  domains = +local_domains\n  endpass\n  message = unknown user\n  verify = recipient\n",
        ),
        (
            "all but some",
            "accept\n  !hosts = 192.0.2.77 : +relay_from_hosts\n  domains = example.org\n  verify = sender\n",
        ),
    ] {
        wire(&patient, &format!("{before}\n{right}"));
        while_it_runs(&patient, &program, || patient.lets_all_in(case, 25));
        patient.cure(case, "mail-no-effect", follow);
        while_it_runs(&patient, &program, || patient.is_healthy(case, 25, WHOLE));
    }
    // What asks stands in an ACL that is called, and is called too late.
    let called = |before: &str| {
        let main = format!("{before}\nrequire\n  acl = acl_lists\n");
        patient.host.file(
            CONFIG,
            &exim_config(&main).replacen(
                "acl_check_rcpt:\n",
                &format!("acl_lists:\n{right}\naccept\n\nacl_check_rcpt:\n"),
                1,
            ),
        );
    };
    called("");
    patient.doctor().is_right_in(&["mail"]);
    called("accept domains = +local_domains\n");
    while_it_runs(&patient, &program, || patient.lets_all_in("called", 25));
    patient.cure("called", "mail-no-effect", follow);
    while_it_runs(&patient, &program, || patient.is_healthy("called", 25, WHOLE));

    // What lets own people pass, or some mail, is as it should be.
    let own = "accept hosts = : +relay_from_hosts\n\naccept authenticated = *\n\naccept local_parts = postmaster\n  domains = +local_domains\n\n\
         require domains = +local_domains\n\nrequire verify = recipient\n\n";
    wire(&patient, &format!("{own}{right}"));
    patient.doctor().is_right_in(&["mail"]);
    while_it_runs(&patient, &program, || patient.is_healthy("own people", 25, WHOLE));
}

fn debian_is_told_too_late(test: &str, form: Form) {
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    if !wire_debian(test, &patient, form, &patient.host.snippet("exim")) {
        return;
    }
    patient.doctor().is_right_in(&["mail"]);
    while_debian_runs(&patient, &program, || patient.is_healthy("as it comes", 25, WHOLE));
    before_local_acl(
        &patient,
        form,
        "  accept\n    domains = +local_domains\n    endpass\n    verify = recipient\n",
    );
    while_debian_runs(&patient, &program, || patient.lets_all_in("behind accept", 25));
    patient.cure("behind accept", "mail-no-effect", |patient, check| move_up_in(patient, form, check));
    while_debian_runs(&patient, &program, || patient.is_healthy("before accept", 25, WHOLE));
}

/// What stands in the files of the other form is read by nobody.
fn debian_is_told_elsewhere(test: &str, form: Form) {
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    if !wire_debian(test, &patient, form, &patient.host.snippet("exim")) {
        return;
    }
    lay_astray(&patient, form);
    let told = patient.doctor().finding("mail-not-asked");
    assert!(told["what"].as_str().unwrap().contains("stands where Exim does not read it"), "{told}");
    patient.cure("astray", "mail-not-asked", name_it);
    while_debian_runs(&patient, &program, || patient.is_healthy("named", 25, WHOLE));
}

/// Exim does not start with what it takes for a mistake, whatever the mistake is about.
#[test]
fn exim_refuses_its_configuration() {
    let test = "exim_refuses_its_configuration";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("exim");
    wire(&patient, &right);
    patient.doctor().is_right_in(&["mail"]);
    let text = patient.host.read(CONFIG);
    for (case, before) in
        [("a macro twice", "LISTS = x\nLISTS = x\n"), ("no setting", "no_such_setting = 1\n")]
    {
        patient.host.file(CONFIG, &format!("{before}{text}"));
        let told = patient.doctor().finding("mail-refused");
        let cause = told["cause"].as_str().unwrap();
        assert!(cause.contains("Exim configuration error"), "{case}: {cause}");
    }
    patient.host.file(CONFIG, &format!("LISTS = x\nLISTS = x\n{text}"));
    patient.cure("a macro twice", "mail-refused", follow);
    while_it_runs(&patient, &program, || patient.is_healthy("a macro twice", 25, WHOLE));
    // Of an Exim that asks nothing of gatepost's nobody is told.
    wire(&patient, "no such verb\n");
    let found = patient.doctor().findings(&["mail"]);
    assert!(!found.iter().any(|name| name == "mail-refused"), "{found:?}");
}

/// What stands in a file that no Exim reads is nobody's mistake.
#[test]
fn exim_reads_another_file() {
    const OTHER: &str = "/etc/exim4/in.conf";
    let test = "exim_reads_another_file";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let wrong = "  deny dnslists = block.gatepost.internal\n";
    let right = patient.host.snippet("exim");
    let at = |place: &str| {
        let told = patient.doctor().finding("mail-no-filter");
        assert!(told["what"].as_str().unwrap().contains(place), "{told}");
    };
    wire(&patient, wrong);
    at(&format!("/{CONFIG}:"));
    // Not installed.
    let path = std::env::var("PATH").unwrap();
    let found = patient.doctor_with(&path).findings(&["mail"]);
    assert!(!found.iter().any(|name| name == "mail-no-filter"), "{found:?}");

    patient.host.file(&OTHER[1..], &exim_config(&right));
    patient.host.file("etc/default/exim4", &format!("COMMONOPTIONS='-C {OTHER}'\n"));
    patient.doctor().is_right_in(&["mail"]);
    patient.host.file("etc/default/exim4", "COMMONOPTIONS=''\n");
    at(&format!("/{CONFIG}:"));
    for (started, there) in [(OTHER, CONFIG), (&format!("/{CONFIG}"), &OTHER[1..])] {
        patient.host.file(&started[1..], &exim_config(&right));
        patient.host.file(there, &exim_config(wrong));
        while_it_runs_with(&patient, &program, started, || patient.doctor().is_right_in(&["mail"]));
    }
    patient.host.file(&OTHER[1..], &exim_config(wrong));
    while_it_runs_with(&patient, &program, OTHER, || at(&format!("{OTHER}:")));
}

fn debian_is_told_twice(test: &str, form: Form) {
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    if !wire_debian(test, &patient, form, &patient.host.snippet("exim")) {
        return;
    }
    patient.doctor().is_right_in(&["mail"]);
    name_again(&patient, form);
    // What was made before is taken; Exim is not started again.
    let told = patient.doctor().finding("mail-refused");
    assert!(told["what"].as_str().unwrap().contains("update-exim4.conf makes nothing of it"), "{told}");
    make(&patient);
    let told = patient.doctor().finding("mail-refused");
    assert!(told["cause"].as_str().unwrap().contains("is already defined"), "{told}");
    patient.cure("twice", "mail-refused", take_out);
    while_debian_runs(&patient, &program, || patient.is_healthy("once", 25, WHOLE));
}

/// What update-exim4.conf would make Exim would not take, and goes on with what was made before.
#[test]
fn debians_exim_is_made_of_what_it_does_not_take() {
    let test = "debians_exim_is_made_of_what_it_does_not_take";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("exim");
    let macros = "etc/exim4/exim4.conf.localmacros";
    let template = "etc/exim4/exim4.conf.template";
    let name = "MAIN_HARDCODE_PRIMARY_HOSTNAME = mx.example.org\n";
    let names = "CHECK_RCPT_LOCAL_ACL_FILE = /etc/exim4/gatepost.acl\n";
    let part = "CHECK_RCPT_LOCAL_ACL = /etc/exim4/gatepost.acl\n";
    let is_read = "chmod 644 /etc/exim4/gatepost.acl";
    // What is appended to which file, whether the text is in its own, what else is done, and where and why it is told.
    for (case, form, file, text, has_own, typed, told) in [
        (
            "among macros",
            Form::Single,
            macros,
            right.as_str(),
            false,
            "true",
            ["localmacros:", "option \"deny\" unknown"],
        ),
        (
            "behind all",
            Form::Single,
            template,
            &right,
            false,
            "true",
            ["exim4.conf.template:", "outside of one"],
        ),
        (
            "among many macros",
            Form::Split,
            "etc/exim4/conf.d/main/99_gatepost",
            &right,
            false,
            "true",
            ["conf.d/main/99_gatepost:", "outside of one"],
        ),
        (
            "no file",
            Form::Single,
            macros,
            names,
            false,
            "true",
            ["template:", "there is no file /etc/exim4/gatepost.acl"],
        ),
        (
            "another file",
            Form::Single,
            macros,
            "CHECK_RCPT_LOCAL_ACL_FILE = /etc/exim4/gatpost.acl\n",
            true,
            is_read,
            ["template:", "there is no file /etc/exim4/gatpost.acl"],
        ),
        ("half a name", Form::Single, macros, part, true, is_read, ["template:", "is a part of the name of"]),
        (
            "half a name, too",
            Form::Single,
            macros,
            &format!("{part}{names}"),
            true,
            is_read,
            ["/etc/exim4", "is a part of the name of"],
        ),
        (
            "closed",
            Form::Single,
            macros,
            names,
            true,
            "chmod 600 /etc/exim4/gatepost.acl",
            ["template:", "may not read /etc/exim4/gatepost.acl"],
        ),
    ] {
        if !wire_debian(test, &patient, form, &right) {
            return;
        }
        for file in [macros, "etc/exim4/conf.d/main/000_local"] {
            patient.host.file(file, name);
        }
        make(&patient);
        if !has_own {
            std::fs::remove_file(patient.host.path(LOCAL_ACL)).unwrap();
        }
        let before = std::fs::read_to_string(patient.host.path(file)).unwrap_or_default();
        patient.host.file(file, &format!("{before}{text}"));
        patient.types(typed);
        let found = patient.doctor().finding("mail-refused");
        let [place, why] = told;
        assert!(found["what"].as_str().unwrap().contains(place), "{case}: {found}");
        assert!(found["cause"].as_str().unwrap().contains(why), "{case}: {found}");
        patient.cure(case, "mail-refused", |patient, check| set_right(patient, text, check));
        while_debian_runs(&patient, &program, || patient.is_healthy(case, 25, WHOLE));
    }
    // What was made is taken no more.
    patient.types("chmod 600 /etc/exim4/gatepost.acl");
    patient.cure("closed again", "mail-refused", |patient, check| set_right(patient, "", check));
}

#[test]
fn debians_exim_of_many_files_is_told_twice() {
    debian_is_told_twice("debians_exim_of_many_files_is_told_twice", Form::Split);
}

#[test]
fn debians_exim_of_one_file_is_told_twice() {
    debian_is_told_twice("debians_exim_of_one_file_is_told_twice", Form::Single);
}

#[test]
fn debians_exim_of_many_files_is_told_elsewhere() {
    debian_is_told_elsewhere("debians_exim_of_many_files_is_told_elsewhere", Form::Split);
}

#[test]
fn debians_exim_of_one_file_is_told_elsewhere() {
    debian_is_told_elsewhere("debians_exim_of_one_file_is_told_elsewhere", Form::Single);
}

#[test]
fn debians_exim_of_many_files_is_told_too_late() {
    debian_is_told_too_late("debians_exim_of_many_files_is_told_too_late", Form::Split);
}

#[test]
fn debians_exim_of_one_file_is_told_too_late() {
    debian_is_told_too_late("debians_exim_of_one_file_is_told_too_late", Form::Single);
}

/// One's own people, whom a list has, are asked for before they are let pass.
#[test]
fn exim_refuses_own_people() {
    let test = "exim_refuses_own_people";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let deny = "  deny\n    message = refused\n    !dnslists = ok.gatepost.internal=127.0.1.9\n    dnslists = block.gatepost.internal=127.0.1.5,127.0.2.2,127.0.3.6,127.0.4.6\n";
    let own = "  accept hosts = +relay_from_hosts\n  accept\n    authenticated = *\n";
    let spared = deny.replace("    dnslists", "    !hosts = : +relay_from_hosts\n    dnslists");
    let config = |options: &str, acls: &str, rcpt: &str| {
        let text = exim_config(rcpt)
            .replace(
                "relay_from_hosts = 127.0.0.1\n",
                &format!("relay_from_hosts = 127.0.0.1 : {LISTED_LATE}\n{options}"),
            )
            .replace("begin acl\n", &format!("begin acl\n{acls}"))
            + "begin authenticators\nplain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  server_condition = true\n";
        patient.host.file(CONFIG, &text);
    };
    let replies = || {
        let stranger = Mail { client: LISTED, ..Mail::default() };
        let mails = [stranger, Mail { client: LISTED_LATE, ..stranger }, Mail { logs_in: true, ..stranger }];
        patient.host.sessions(25, &mails).into_iter().map(|reply| reply.starts_with('2')).collect::<Vec<_>>()
    };
    let decided = "  deny\n    message = refused\n    dnslists = block.gatepost.internal=127.0.2.2\n";
    config("", "", &format!("{own}{decided}{deny}"));
    patient.doctor().is_right_in(&["mail"]);
    let connect = "acl_smtp_connect = acl_check_connect\n";
    for (case, options, acls, rcpt, before) in [
        ("before both", "", String::new(), format!("{deny}{own}"), [false, false, false]),
        ("before who logs in", "", String::new(), format!("{spared}{own}"), [false, true, false]),
        ("at once", connect, format!("acl_check_connect:\n{deny}  accept\n"), own.to_owned(), [false; 3]),
    ] {
        config(options, &acls, &rcpt);
        while_it_runs(&patient, &program, || assert_eq!(replies(), before, "{case}"));
        patient.cure(case, "mail-own-people", follow);
        while_it_runs(&patient, &program, || assert_eq!(replies(), [false, true, true], "{case}"));
    }
}

/// Whom an allow list has relays; and nobody is let in while nobody answers.
#[test]
fn exim_relays_and_stops() {
    let test = "exim_relays_and_stops";
    let Some(program) = programs::exim(test) else { return };
    let Some(patient) = Patient::without_postfix(test) else { return };
    let right = patient.host.snippet("exim");
    let allow = "  accept\n    dnslists = ok.gatepost.internal=127.0.1.9\n";
    wire(&patient, &format!("{allow}{right}"));
    let relayed = Mail { client: LISTED_AND_GOOD, recipient: "victim@elsewhere.example", ..Mail::default() };
    while_it_runs(&patient, &program, || {
        assert_eq!(refusal(patient.host.sessions(25, &[relayed]).remove(0)), None);
    });
    patient.cure("relays", "mail-relays", follow);
    while_it_runs(&patient, &program, || patient.is_healthy("relays", 25, WHOLE));

    // Whom a person blocks an allow list lets in.
    let allow = format!("{allow}    domains = +local_domains\n");
    wire(&patient, &format!("{allow}{right}"));
    while_it_runs(&patient, &program, || patient.is_healthy("let in", 25, TOGETHER));
    patient.cure("let in", "mail-block-unheeded", follow);
    while_it_runs(&patient, &program, || patient.is_healthy("let in", 25, WHOLE));

    let stops = right.replace("  dnslists = block.", "  dnslists = +include_unknown : block.");
    assert_ne!(stops, right);
    wire(&patient, &stops);
    let found = patient.doctor().findings(&["mail"]);
    assert!(!found.is_empty() && found.iter().all(|name| name == "mail-stops"), "{found:?}");
    patient.host.stop("gatepost");
    patient.host.wait("gatepost", || !patient.host.is_listed(LISTED_LATE, 5354));
    let told = patient.doctor();
    let silent = told.finding("silent");
    assert!(!silent["what"].as_str().unwrap().contains("mail passes unchecked"), "{silent}");
    // On no list, and remembered by no resolver.
    while_it_runs(&patient, &program, || {
        assert!(refusal(patient.host.session(25, COMES, programs::SENDER)).is_some());
    });
    patient.cure("stops", "mail-stops", follow);
    while_it_runs(&patient, &program, || {
        assert_eq!(refusal(patient.host.session(25, COMES, programs::SENDER)), None);
    });
    let silent = patient.doctor().finding("silent");
    assert!(silent["what"].as_str().unwrap().contains("mail passes unchecked"), "{silent}");
}

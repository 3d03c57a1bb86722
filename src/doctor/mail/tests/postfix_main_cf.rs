//! How `main.cf` is written, and what is moved in it.

use super::*;

fn again(main: &str) -> Vec<Check> {
    main_cf::again(&postfix::again(&postfix::Setup::read(main, None)), &wiring())
}

const OWN: &str = "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, reject_unknown_sender_domain\n";

/// Of what is lost, what concerns gatepost is told, with one value that has both.
#[test]
fn what_an_earlier_line_has_is_lost() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    let checks = again(&format!("{OWN}{text}"));
    assert_eq!(checks.iter().map(Check::name).collect::<Vec<_>>(), ["mail-set-again"]);
    let told = format!("{checks:?}");
    assert!(
        told.contains("line 1): set again in line ")
            && told.contains("lost is reject_unknown_sender_domain\""),
        "{told}"
    );
    let lines = &checks[0].cures()[0].lines;
    assert!(lines.starts_with("smtpd_recipient_restrictions =\n    permit_mynetworks,\n    reject_unauth_destination,\n    reject_unknown_sender_domain,\n    permit_sasl_authenticated,\n"), "{lines}");
    assert_eq!(again(&format!("{text}{lines}\n")), []);
    assert_eq!(findings(Program::Postfix, &format!("{text}{lines}\n")), [""; 0]);

    // An older text is not missed, and what has nothing to do with gatepost is nobody's business here.
    let older = text.replace("block.gatepost.internal=127.0.2.2", "block.gatepost.internal=127.0.2.9");
    assert_ne!(older, text);
    assert_eq!(again(&(older + &text)), []);
    let helo =
        "smtpd_helo_restrictions = reject_unknown_helo_hostname\n".to_owned() + "smtpd_helo_restrictions =\n";
    assert_eq!(again(&format!("{helo}myhostname = a\nmyhostname = b\n{text}")), []);
    assert_eq!(
        again(&format!(
            "{OWN}smtpd_recipient_restrictions = permit_mynetworks\n{}",
            Program::Postscreen.text(&wiring()).unwrap()
        )),
        []
    );

    // A class that is none any more is an error to whom it judges.
    let told =
        format!("{:?}", again(&format!("smtpd_restriction_classes = greylist\ngreylist = permit\n{text}")));
    assert!(
        told.contains("level: Bad")
            && told.contains("smtpd_restriction_classes =\\n    greylist,\\n    gatepost_bounce"),
        "{told}"
    );
}

/// Sites weigh beside the threshold what they weighed beside their own.
#[test]
fn sites_that_are_lost() {
    let text = Program::Postscreen.text(&wiring()).unwrap();
    for (own, weight, threshold) in [
        ("postscreen_dnsbl_sites = a.example=127.0.0.2*2 b.example\n", (2, 1), 1),
        (
            "postscreen_dnsbl_sites = a.example=127.0.0.2*8, b.example*-4\npostscreen_dnsbl_threshold = 8\n",
            (8, -4),
            8,
        ),
        (
            "postscreen_dnsbl_threshold = 100\npostscreen_dnsbl_sites = a.example=127.0.0.2*50, b.example*1\n",
            (50, 1),
            100,
        ),
    ] {
        let checks = again(&format!("{own}{text}"));
        assert_eq!(checks.len(), 1, "{checks:?}");
        let lines = &checks[0].cures()[0].lines;
        // In the place of all that sets these.
        let setup = postfix::Setup::read(&format!("{lines}\n"), None);
        assert_eq!(main_cf::again(&postfix::again(&setup), &wiring()), [], "{lines}");
        let now = postfix::threshold(&setup).unwrap();
        assert_eq!(now % threshold, 0, "{lines}");
        let weights = postfix::weights(&setup);
        let of = |zone: &str| weights.iter().find(|(site, _)| site.zone.to_string() == zone).unwrap().1;
        assert_eq!(
            (of("a.example"), of("b.example")),
            (weight.0 * now / threshold, weight.1 * now / threshold),
            "{lines}"
        );
        let (config, wiring) = (config(), wiring());
        let served = Served::of(&config, &wiring).screened_from(Some(now));
        assert_eq!(weights::judge(&weights, &served), [], "{lines}");
    }
    // Another weight is no other site.
    assert_eq!(
        again(&format!(
            "postscreen_dnsbl_sites = a.example*3\npostscreen_dnsbl_sites = a.example*4\n{}",
            text.replace("_sites =", "_sites = a.example*5,")
        )),
        []
    );
    let access = format!("postscreen_access_list = cidr:/etc/postfix/access, permit_mynetworks\n{text}");
    let lines = again(&access)[0].cures()[0].lines.clone();
    assert_eq!(lines, "postscreen_access_list =\n    cidr:/etc/postfix/access,\n    permit_mynetworks");
}

/// Lines that lost their blanks are told with what they go on with, and all else is judged as if they had not.
#[test]
fn lines_without_their_blanks() {
    for program in [Program::Postfix, Program::Postscreen] {
        let text = program.text(&wiring()).unwrap();
        let flat: String = text.lines().map(|line| format!("{}\n", line.trim_start())).collect();
        let setup = postfix::Setup::read(&flat, None);
        assert_eq!(
            postfix::effect(&setup),
            postfix::effect(&postfix::Setup::read(&text, None)),
            "{program:?}"
        );
        let checks: Vec<Check> =
            setup.broken().iter().map(|broken| main_cf::broken(broken, "/etc/postfix/main.cf")).collect();
        let lines: Vec<&str> = checks.iter().flat_map(Check::cures).map(|cure| cure.lines.as_str()).collect();
        assert!(!lines.is_empty() && lines.iter().all(|lines| text.contains(lines)), "{lines:?}");
        let told = format!("{checks:?}");
        let cause = if program == Program::Postfix {
            "missing '=' after attribute name"
        } else {
            "which nothing uses"
        };
        assert!(told.contains(cause) && told.contains("/etc/postfix/main.cf, line "), "{told}");
    }
    let told = format!(
        "{:?}",
        main_cf::broken(&postfix::Setup::read("a = b\nsmtpd_banner ESMTP\n", None).broken()[0], "main.cf")
    );
    assert!(told.contains("line 2: `smtpd_banner ESMTP` sets nothing"), "{told}");
}

/// A class for null senders that `smtpd_restriction_classes` does not name any more is named there again, and never asked of everybody.
#[test]
fn a_class_that_is_none() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    for (main, wanted, level) in [
        (
            format!("{text}smtpd_restriction_classes = greylist\n"),
            "smtpd_restriction_classes = greylist, gatepost_bounce",
            "Bad",
        ),
        (
            text.replace("smtpd_restriction_classes = gatepost_bounce\n", ""),
            "smtpd_restriction_classes = gatepost_bounce",
            "Bad",
        ),
    ] {
        let (names, told) = in_effect(&main, SMTPD);
        assert_eq!(names, ["mail-no-effect"], "{told}");
        assert!(told.contains(wanted) && told.contains("451") && told.contains(level), "{told}");
        assert_eq!(in_effect(&format!("{main}{wanted}\n"), SMTPD).0, [""; 0]);
    }
}

/// What asks by a class goes with the lines that ask by themselves, with the table that names it.
#[test]
fn a_class_is_moved_with_its_table() {
    let bounce = wiring().addresses(Use::Bounce).next().map(|asked| asked.zone.origin.clone()).unwrap();
    let asks = "    reject_rbl_client block.gatepost.internal=127.0.2.2,";
    let table = "    check_sender_access inline:{{<> = b}},";
    let people = "    permit_mynetworks,\n    permit_sasl_authenticated,\n    reject_unauth_destination,";
    let moved = |classes: &str, list: &[&str]| {
        let main = format!(
            "smtpd_restriction_classes = b l\nb = reject_rbl_client {bounce}=127.0.3.77\n{classes}smtpd_recipient_restrictions =\n{}\n",
            list.join("\n")
        );
        let harsh = postfix::harsh(&postfix::Setup::read(&main, None));
        harsh.into_iter().map(|harsh| (harsh.zones.len(), harsh.cure.lines)).collect::<Vec<_>>()
    };
    assert_eq!(moved("", &[asks, table, people]), [(2, format!("{asks}\n{table}"))]);
    assert_eq!(moved("", &[table, people, asks]), [(1, table.to_owned())]);
    assert_eq!(moved("", &["    check_sender_access hash:/a,", people, table, asks]), []);
    assert_eq!(moved("", &["    check_sender_access inline:{{a@b.test = reject}},", people, table]), []);
    let class =
        "l =\n reject_rbl_client block.gatepost.internal=127.0.2.2\n check_sender_access inline:{{<> = b}}\n";
    assert_eq!(moved(class, &["    l,", people]), [(1, "    l,".to_owned())]);
    let spares = class.replace("l =\n", "l = permit_mynetworks, permit_sasl_authenticated\n");
    assert_eq!(moved(&spares, &["    l,", people]), []);
    let warns = "    warn_if_reject reject_rbl_client block.gatepost.internal=127.0.2.9,";
    assert_eq!(moved("", &[warns, asks, people]), [(1, format!("{warns}\n{asks}"))]);
}

/// A threshold that is lower than what was printed makes a score list refuse by itself; who gives one as much as a block list is warned.
#[test]
fn a_threshold_below_what_score_lists_weigh() {
    let on = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\ndnsblog unix - - y - 0 dnsblog\n";
    let text = Program::Postscreen.text(&wiring()).unwrap();
    assert_eq!(in_effect(&text, on).0, [""; 0]);
    let (names, first) = in_effect(&format!("{text}postscreen_dnsbl_threshold = 1\n"), on);
    assert!(names.iter().all(|name| *name == "mail-weight") && !names.is_empty(), "{names:?}");
    assert!(first.contains("alone is refused for it, though it is for weighing"), "{first}");
    let threshold = text.lines().find_map(|line| line.strip_prefix("postscreen_dnsbl_threshold = ")).unwrap();
    let meant = text.replace("*1,", &format!("*{threshold},"));
    assert_ne!(meant, text);
    let (names, first) = in_effect(&meant, on);
    assert!(names.iter().all(|name| *name == "mail-weight") && !names.is_empty(), "{names:?}");
    assert!(first.contains("Warn") && first.contains("though it is for weighing"), "{first}");
    // The printed sites with another threshold: two score lists are enough.
    let more = wiring().addresses(Use::Score).count();
    assert!(more > 1, "{more}");
    let low = format!("{text}postscreen_dnsbl_threshold = 2\n");
    let (names, first) = in_effect(&low, on);
    assert_eq!(names, ["mail-weight"], "{first}");
    let line = format!("postscreen_dnsbl_threshold = {threshold}");
    assert!(
        first.contains("Warn") && first.contains("whom 2 score lists have") && first.contains(&line),
        "{first}"
    );
    assert_eq!(in_effect(&format!("{low}{line}\n"), on).0, [""; 0]);
    // Who has weights of his own.
    let own =
        low.replacen(&format!("*{threshold}"), &format!("*{}", threshold.parse::<i32>().unwrap() + 1), 1);
    assert_ne!(own, low);
    assert_eq!(in_effect(&own, on).0, [""; 0]);
}

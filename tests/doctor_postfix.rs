//! `gatepost doctor` on the configuration of Postfix, as its own `postconf` reads it: each mistake made on purpose, named once, and set right
//! by what is printed.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::fs;

use doctor_support::mail::{BLOCK, NAMES, SMTP, found, in_recipient, lines, type_in, with_postfix};

/// Names are asked for where addresses are listed, and the other way round: nobody is ever refused, and nobody hears why.
#[test]
fn postfix_that_asks_for_what_no_such_zone_lists() {
    with_postfix("postfix_that_asks_for_what_no_such_zone_lists", |host| {
        let right = host.snippet("postfix");
        assert_eq!(found(host, &right, SMTP).findings(&["mail"]), [""; 0]);
        for (word, zone, code, wanted) in [
            ("reject_rbl_client", NAMES, "127.0.1.6", "reject_rhsbl_sender dbl.gatepost.internal=127.0."),
            ("reject_rhsbl_sender", BLOCK, "127.0.1.5", "reject_rbl_client block.gatepost.internal=127.0."),
            ("reject_rhsbl_client", BLOCK, "127.0.1.5", "reject_rbl_client block.gatepost.internal=127.0."),
        ] {
            let wrong = found(host, &in_recipient(&format!("    {word} {zone}={code}")), SMTP);
            assert_eq!(wrong.findings(&["mail"]), ["mail-wrong-use"], "{wrong:#?}");
            let told = wrong.finding("mail-wrong-use");
            assert_eq!(told["level"], "bad");
            assert!(told["what"].as_str().unwrap().contains(zone), "{told}");
            let lines = lines(&told);
            assert!(lines.contains(wanted) && !lines.contains(&format!("{word} ")), "{lines}");
            assert_eq!(found(host, &in_recipient(&lines), SMTP).findings(&["mail"]), [""; 0], "{lines}");
        }
    });
}

/// One mistake in many places is one finding.
#[test]
fn one_finding_for_all_the_places_of_a_mistake() {
    with_postfix("one_finding_for_all_the_places_of_a_mistake", |host| {
        let renamed: String = (0..40)
            .map(|number| format!("    reject_rbl_client bl{number}.gatepost.internal=127.0.0.4,\n"))
            .collect();
        let told = found(host, &in_recipient(renamed.trim_end_matches(",\n")), SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-unknown-zone"], "{told:#?}");
        let told = told.finding("mail-unknown-zone");
        let what = told["what"].as_str().unwrap();
        assert!(
            what.contains("bl0.gatepost.internal, bl1.")
                && what.contains("bl39.gatepost.internal is not served"),
            "{what}"
        );
        assert_eq!(told["cures"].as_array().unwrap().len(), 1, "{told}");
        // The lines of two zones that are asked for what they are not good for stand in one cure.
        let wrong = format!(
            "    reject_rhsbl_sender {BLOCK}=127.0.1.5,\n    reject_rhsbl_client {BLOCK}=127.0.1.5,\n    reject_rbl_client {NAMES}=127.0.1.6"
        );
        let told = found(host, &in_recipient(&wrong), SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-wrong-use"; 2], "{told:#?}");
        let one =
            format!("    reject_rbl_client {BLOCK}=127.0.1.5,\n    reject_rbl_client {BLOCK}=127.0.2.2");
        let told = found(host, &in_recipient(&one), SMTP).0.stdout;
        assert!(told.contains("Postfix: 2 uses of zones, each as it should be"), "{told}");
    });
}

/// A dot at the end, as zones are written in master files, and a range as others write it.
#[test]
fn zones_and_filters_that_postfix_cannot_read() {
    with_postfix("zones_and_filters_that_postfix_cannot_read", |host| {
        let dotted = |program: &str| host.snippet(program).replace("internal=", "internal.=");
        let told = found(host, &dotted("postfix"), SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert!(lines(&told.finding("mail-no-effect")).contains("internal=127."), "{told:#?}");
        let unread = host.snippet("postfix").replacen("=127.0.", "=127.0.1-", 1);
        let told = found(host, &unread, SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert!(told.0.stdout.contains("is no filter that Postfix can read"), "{told:#?}");
        let on =
            "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n";
        let told = found(host, &(dotted("postscreen") + &host.snippet("postfix")), on);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert!(told.0.stdout.contains("postscreen ends with an error"), "{told:#?}");
        let cure = lines(&told.finding("mail-no-effect"));
        let main = host.snippet("postscreen") + &host.snippet("postfix") + &cure + "\n";
        assert_eq!(found(host, &main, on).findings(&["mail"]), [""; 0], "{main}");
    });
}

/// Who is asked for in lists before he is let pass as one's own.
#[test]
fn lists_before_own_people() {
    with_postfix("lists_before_own_people", |host| {
        let asks = format!("reject_rbl_client {BLOCK}=127.0.[1..2].[2;5]");
        let main = format!(
            "smtpd_recipient_restrictions =\n    reject_unknown_sender_domain,\n    {asks},\n    permit_mynetworks,\n    permit_sasl_authenticated,\n    reject_unauth_destination\n"
        );
        let told = found(host, &main, SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-own-people"], "{told:#?}");
        let told = told.finding("mail-own-people");
        assert_eq!(told["level"], "warn");
        let how = told["cures"][0]["how"].as_str().unwrap();
        assert!(how.contains("behind `reject_unauth_destination`"), "{how}");
        assert_eq!(lines(&told), format!("    {asks},"));
        let moved = main.replace(&format!("    {asks},\n"), "").replace(
            "reject_unauth_destination\n",
            &format!("reject_unauth_destination,\n{}\n", lines(&told)),
        );
        assert_eq!(found(host, &moved, SMTP).findings(&["mail"]), [""; 0]);
        // A list without own people has no order, and one of another's zone is none of gatepost's.
        let client = format!("smtpd_client_restrictions = {asks}\n");
        assert_eq!(found(host, &client, SMTP).findings(&["mail"]), [""; 0]);
        let other = main.replace(&asks, "reject_rbl_client zen.example=127.0.0.2");
        assert_eq!(found(host, &other, SMTP).findings(&["mail"]), ["mail-not-asked"]);
    });
}

/// What main.cf says holds at submission, too, where who logs in is refused when a list has his address.
#[test]
fn submission_that_asks_lists() {
    with_postfix("submission_that_asks_lists", |host| {
        let asks = format!("reject_rbl_client {BLOCK}=127.0.[1..2].[2;5]");
        let main = format!("smtpd_client_restrictions = permit_mynetworks, {asks}\n");
        let closed = "  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject\n";
        let services = |more: &str| {
            let of =
                |port: &str| format!("{port} inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n{more}");
            format!("{SMTP}{}{}", of("submission"), of("465"))
        };
        let master = |file: &str| fs::read_to_string(format!("/etc/postfix/{file}")).unwrap();

        // Nobody but who logs in can send there anyway.
        let told = found(host, &main, &services(closed));
        assert_eq!(told.findings(&["mail"]), ["mail-own-people"], "{told:#?}");
        let cure = lines(&told.finding("mail-own-people"));
        assert_eq!(
            cure,
            "postconf -P \"submission/inet/smtpd_client_restrictions=\"\npostconf -P \"465/inet/smtpd_client_restrictions=\"\npostfix reload"
        );
        type_in(&cure);
        assert_eq!(host.doctor(&[]).findings(&["mail"]), [""; 0], "{}", master("master.cf"));
        // What keeps strangers out is where it was, and main.cf as it was.
        assert_eq!(
            master("master.cf").matches("smtpd_relay_restrictions=permit_sasl_authenticated,reject").count(),
            2
        );
        assert_eq!(master("main.cf"), main);

        let unsaid = format!(
            "{SMTP}submission inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject\n"
        );
        let told = found(host, &main, &unsaid).finding("mail-own-people");
        assert!(
            lines(&told).starts_with("postconf -P \"submission/inet/smtpd_client_restrictions=\"\n"),
            "{told}"
        );

        // What a stranger may say lets him in: the list stays for him.
        let helo = services("  -o smtpd_helo_restrictions=check_helo_access,static:ok,reject\n");
        let told = found(host, &main, &helo).finding("mail-own-people");
        assert_eq!(lines(&told), "    permit_sasl_authenticated,");

        // Where strangers may send the list stays for them.
        let told = found(host, &main, &services("")).finding("mail-own-people");
        assert_eq!(lines(&told), "    permit_sasl_authenticated,");
        let cured = main.replace("= ", &format!("= {} ", lines(&told).trim()));
        assert_eq!(found(host, &cured, &services("")).findings(&["mail"]), [""; 0]);

        // What stands beside the list may keep somebody out: it stays, the list goes.
        for more in ["check_client_access cidr:/etc/postfix/banned", "reject"] {
            let main = format!("smtpd_client_restrictions = permit_mynetworks, {asks}, {more}\n");
            for services in [services(closed), services("")] {
                let told = found(host, &main, &services).finding("mail-own-people");
                let how = told["cures"][0]["how"].as_str().unwrap();
                assert!(how.contains("out of smtpd_client_restrictions"), "{how}");
                let lines = lines(&told);
                assert!(
                    lines.starts_with("smtpd_recipient_restrictions =\n") && !lines.contains("postconf"),
                    "{lines}"
                );
                let cured = main.replace(&format!("{asks}, "), "") + &lines + "\n";
                assert_eq!(found(host, &cured, &services).findings(&["mail"]), [""; 0], "{cured}");
            }
        }
        let there = in_recipient("    reject_unknown_sender_domain");
        let told = found(host, &format!("{main}{there}").replace("5]\n", "5], reject\n"), &services(""))
            .finding("mail-own-people");
        assert!(
            told["cures"][0]["how"].as_str().unwrap().contains("behind `reject_unauth_destination`"),
            "{told}"
        );

        // Before RCPT nobody knows who will log in.
        let early = format!(
            "smtpd_delay_reject = no\nsmtpd_client_restrictions = permit_sasl_authenticated, {asks}, reject\n"
        );
        let told = found(host, &early, &services("")).finding("mail-own-people");
        assert!(lines(&told).starts_with("smtpd_recipient_restrictions =\n"), "{told}");
        // Who lets them pass before is right, and so is what nobody logs in at.
        let right =
            format!("smtpd_client_restrictions = permit_mynetworks, permit_sasl_authenticated, {asks}\n");
        assert_eq!(found(host, &right, &services("")).findings(&["mail"]), [""; 0]);
        let nobody = services("").replace("=yes", "=no");
        assert_eq!(found(host, &main, &nobody).findings(&["mail"]), [""; 0]);
        let own = services("  -o smtpd_client_restrictions=permit_sasl_authenticated,reject\n");
        assert_eq!(found(host, &main, &own).findings(&["mail"]), [""; 0]);
    });
}

/// A threshold that nobody ever reaches: all sites, with weights that do.
#[test]
fn a_threshold_above_all_weights() {
    with_postfix("a_threshold_above_all_weights", |host| {
        let on =
            "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n";
        let main =
            host.snippet("postscreen") + &host.snippet("postfix") + "postscreen_dnsbl_threshold = 60\n";
        let told = found(host, &main, on);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        let cure = lines(&told.finding("mail-no-effect"));
        assert!(cure.starts_with("postscreen_dnsbl_sites =\n") && cure.contains("*60"), "{cure}");
        // In the place of those that are there.
        let head = main.split("postscreen_dnsbl_sites").next().unwrap();
        let rest = main.split_once("postscreen_dnsbl_threshold = ").unwrap().1;
        let cured = format!("{head}{cure}\npostscreen_dnsbl_threshold = {rest}");
        assert_eq!(found(host, &cured, on).findings(&["mail"]), [""; 0], "{cured}");
    });
}

/// The usual line for the list of hosts that may be trusted, whose codes are two numbers.
#[test]
fn sites_of_two_numbers() {
    with_postfix("sites_of_two_numbers", |host| {
        let on =
            "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n";
        let right = host.snippet("postscreen");
        let with = |site: &str| {
            right.replace("postscreen_dnsbl_sites =\n", &format!("postscreen_dnsbl_sites =\n    {site},\n"))
        };
        let usual = with("list.dnswl.org=127.0.[0..255].[1..3]*-2");
        assert_ne!(usual, right);
        assert_eq!(found(host, &usual, on).findings(&["mail"]), [""; 0]);
        let wide = with("list.dnswl.org=127.0.[0..255].[0..255]*-2");
        assert_eq!(found(host, &wide, on).findings(&["mail"]), ["mail-wide-filter"]);
    });
}

/// A table of recipients that lets in one's own domain; not where another list asks the same.
#[test]
fn own_domain_let_in_before_lists() {
    with_postfix("own_domain_let_in_before_lists", |host| {
        let table = host.site.path("recipients");
        fs::write(&table, "/@example\\.org$/ OK\n").unwrap();
        let asks =
            format!("    reject_rbl_client {BLOCK}=127.0.0.[2;4],\n    reject_rbl_client {BLOCK}=127.0.2.2");
        let welcome = format!("    check_recipient_access regexp:{},\n", table.display());
        let main = |client: &str| {
            format!("mydestination = example.org\n{client}{}", in_recipient(&format!("{welcome}{asks}")))
        };
        let told = found(host, &main(""), SMTP);
        let all = told.findings(&["mail"]);
        assert!(all.contains(&"mail-no-effect".to_owned()), "{told:#?}");
        assert!(lines(&told.finding("mail-no-effect")).contains("reject_rbl_client"), "{told:#?}");
        let client = format!(
            "smtpd_client_restrictions =\n    permit_mynetworks,\n    permit_sasl_authenticated,\n{asks}\n"
        );
        let told = found(host, &main(&client), SMTP);
        assert!(!told.findings(&["mail"]).contains(&"mail-no-effect".to_owned()), "{told:#?}");
    });
}

/// Files that let in everybody before lists are asked, by smtpd and by postscreen.
#[test]
fn files_that_let_in_everybody() {
    const SCREENED: &str =
        "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n";
    with_postfix("files_that_let_in_everybody", |host| {
        let file = host.site.path("clients");
        let table = format!("cidr:{}", file.display());
        let asks =
            format!("    reject_rbl_client {BLOCK}=127.0.0.[2;4],\n    reject_rbl_client {BLOCK}=127.0.2.2");
        let smtpd = in_recipient(&format!("    check_client_access {table},\n{asks}"));
        let sites = format!(
            "postscreen_access_list = permit_mynetworks, {table}\npostscreen_dnsbl_action = enforce\n\
             postscreen_dnsbl_sites = {BLOCK}=127.0.0.[2;4], {BLOCK}=127.0.2.2\n"
        );
        for (main, master, everybody) in
            [(smtpd, SMTP, "0.0.0.0/0 permit_auth_destination"), (sites, SCREENED, "0.0.0.0/0 permit")]
        {
            fs::write(&file, "192.0.2.77 permit\n").unwrap();
            let told = found(host, &main, master);
            assert!(!told.findings(&["mail"]).contains(&"mail-no-effect".to_owned()), "{told:#?}");
            fs::write(&file, format!("192.0.2.77 permit\n{everybody}\n")).unwrap();
            let told = found(host, &main, master);
            let finding = told.finding("mail-no-effect");
            assert!(finding["cause"].as_str().unwrap().contains(everybody), "{told:#?}");
        }
    });
}

/// Another instance of Postfix, by which mail comes in; what is typed to cure it goes to that one.
#[test]
fn postfix_with_two_instances() {
    with_postfix("postfix_with_two_instances", |host| {
        let folder = "/etc/postfix/in";
        let main = format!("multi_instance_directories = {folder}\n");
        let second = |text: &str| {
            fs::create_dir_all(folder).unwrap();
            fs::write(format!("{folder}/main.cf"), text).unwrap();
            fs::write(format!("{folder}/master.cf"), SMTP).unwrap();
            found(host, &main, "")
        };
        assert_eq!(second("").findings(&["mail"]), ["mail-not-asked"]);
        let right = host.snippet("postfix");
        assert_eq!(second(&right).findings(&["mail"]), [""; 0]);
        let told = second(&format!("{right}soft_bounce = yes\n"));
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        let told = told.finding("mail-no-effect");
        assert!(told["what"].as_str().unwrap().contains(&format!("soft_bounce of {folder}")), "{told}");
        assert_eq!(lines(&told), format!("postconf -c {folder} -X soft_bounce\npostfix -c {folder} reload"));
        // The first takes mail from strangers, too, and asks nothing.
        fs::write(format!("{folder}/main.cf"), &right).unwrap();
        let told = found(host, &main, SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-not-asked"], "{told:#?}");
        assert!(told.0.stdout.contains("Postfix of /etc/postfix takes mail from strangers"), "{told:#?}");
        for shut in ["inet_interfaces = loopback-only\n", "mydestination =\n"] {
            assert_eq!(found(host, &format!("{main}{shut}"), SMTP).findings(&["mail"]), [""; 0], "{shut}");
        }
    });
}

/// What asks stands in a table of a file of its own, or in a class that it names.
#[test]
fn tables_of_their_own_that_ask() {
    with_postfix("tables_of_their_own_that_ask", |host| {
        let asks = format!("reject_rbl_client {BLOCK}=127.0.1.5, reject_rbl_client {BLOCK}=127.0.2.2");
        let main = format!(
            "smtpd_restriction_classes = lists\nlists = {asks}\nsmtpd_recipient_restrictions = permit_mynetworks, permit_sasl_authenticated, \
             reject_unauth_destination, check_recipient_access hash:/etc/postfix/wants\n"
        );
        let with = |main: &str, rows: &str| {
            fs::write("/etc/postfix/wants", rows).unwrap();
            type_in("postmap hash:/etc/postfix/wants");
            found(host, main, SMTP)
        };
        let none = main.splitn(3, '\n').nth(2).unwrap();
        assert_eq!(with(&main, "a@b.example lists\n").findings(&["mail"]), [""; 0]);
        assert_eq!(with(none, &format!("a@b.example {asks}\n")).findings(&["mail"]), [""; 0]);
        let open = with(none, &format!("a@b.example reject_rbl_client {BLOCK}\n"));
        assert_eq!(open.findings(&["mail"]), ["mail-no-filter"], "{open:#?}");
        let told = open.finding("mail-no-filter");
        let place = "hash:/etc/postfix/wants (smtpd_recipient_restrictions)";
        assert!(told["what"].as_str().unwrap().contains(place), "{told}");
        // Named nowhere, or where smtpd knows no such class.
        let told = with(&main, "a@b.example permit\n");
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        let told = told.finding("mail-no-effect");
        assert!(
            told["cause"].as_str().unwrap().contains("no restriction that is in effect names lists"),
            "{told}"
        );
        let told = with(&main.replacen("smtpd_restriction_classes = lists\n", "", 1), "a@b.example lists\n");
        let told = told.finding("mail-no-effect");
        assert!(told["cause"].as_str().unwrap().contains("451"), "{told}");
        // Of what cannot be read nobody says that it asks nothing.
        let closed = main.replace("hash:/etc/postfix/wants", "ldap:/etc/postfix/wants.cf");
        assert_eq!(found(host, &closed, SMTP).findings(&["mail"]), [""; 0]);
        let told = found(host, &none.replace("hash:/etc/postfix/wants", "ldap:/etc/postfix/wants.cf"), SMTP);
        let told = told.finding("mail-not-asked");
        assert!(
            told["cause"].as_str().unwrap().contains("cannot be read here: ldap:/etc/postfix/wants.cf"),
            "{told}"
        );
    });
}

/// A class that a pattern names, as `postconf` hands it on, and networks that are the world.
#[test]
fn null_senders_by_a_pattern_and_the_world_as_own_network() {
    with_postfix("null_senders_by_a_pattern_and_the_world_as_own_network", |host| {
        host.configure_more(
            "[list.bounce]\nfile = \"bounce.txt\"\nformat = \"plain\"\nuse = \"bounce\"\ncode = \"127.0.1.7\"\n\
             [zone.\"bounce.gatepost.internal\"]\nlists = [\"bounce\"]\n",
        );
        let text = host.snippet("postfix");
        let table = "check_sender_access inline:{{<> = gatepost_bounce}}";
        assert!(text.contains(table), "{text}");
        for pattern in ["regexp:{{/^<>$$/ gatepost_bounce}}", "pcre:{ {/^<>$$/ gatepost_bounce} }"] {
            let main = text.replace(table, &format!("check_sender_access {pattern}"));
            assert_eq!(found(host, &main, SMTP).findings(&["mail"]), [""; 0], "{pattern}");
        }
        for world in ["0.0.0.0/0", "127.0.0.0/8 [::]/0", "static:all", "0.0.0.0/1 128.0.0.0/1"] {
            let told = found(host, &format!("{text}mynetworks = {world}\n"), SMTP);
            assert!(told.findings(&["host"]).contains(&"own-everybody".to_owned()), "{world}: {told:#?}");
            assert!(!told.0.stdout.contains("own-networks = "), "{world}: {told:#?}");
        }
    });
}

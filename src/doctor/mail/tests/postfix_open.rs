//! Postfix that lets pass whom lists have.

use std::net::Ipv4Addr;

use super::*;

/// The block zone, with a list for null senders among its own; and that list's code.
fn mixed() -> (Config, Ipv4Addr) {
    let mut config = config();
    let wiring = wiring();
    let bounce = wiring.addresses(Use::Bounce).next().unwrap();
    let zones = &mut config.reloadable.zones;
    let members = zones.iter().find(|zone| zone.origin == bounce.zone.origin).unwrap().members.clone();
    let block = "block.gatepost.internal".parse().unwrap();
    zones.iter_mut().find(|zone| zone.origin == block).unwrap().members.extend(members);
    let mixed = Wiring::of(&config, |_| None).unwrap();
    let codes = mixed.zones.iter().find(|zone| zone.origin == block).unwrap().codes[&Use::Bounce].clone();
    (config, *codes.keys().next().unwrap())
}

/// What only null senders are refused for is told for null senders alone, and what is told sets it right.
#[test]
fn a_zone_that_has_a_list_for_null_senders_too() {
    let (config, bounce) = mixed();
    let told = |text: &str| {
        let (_, checks) = checks_of(&config, Program::Postfix, text);
        let cures = checks.iter().flat_map(Check::cures).map(|cure| cure.lines.clone());
        let cures: Vec<String> = cures.collect();
        (checks.iter().map(Check::name).collect::<Vec<_>>(), cures)
    };
    let all = |asks: &str| {
        format!("smtpd_recipient_restrictions = permit_mynetworks,\n  reject_unauth_destination,\n{asks}\n")
    };
    let class = |asks: &str| {
        format!(
            "smtpd_restriction_classes = b\nb =\n{asks}\nsmtpd_recipient_restrictions = check_sender_access inline:{{{{<> = b}}}}\n"
        )
    };
    let bounce = bounce.to_string();
    for (filter, name) in [
        (String::new(), "mail-no-filter"),
        ("=127.[0..255].[0..255].[0..255]".to_owned(), "mail-wide-filter"),
        ("=127.0.2.2".to_owned(), "mail-lacks-code"),
        ("=127.0.3.77".to_owned(), "mail-dead-filter"),
        (format!("={bounce}"), "mail-wrong-use"),
    ] {
        let asks = format!("    reject_rbl_client block.gatepost.internal{filter}");
        let (names, cures) = told(&all(&asks));
        assert_eq!(names, [name], "{filter}");
        let has = |code: &str| Filter::of(code).lets(bounce.parse().unwrap());
        assert!(
            cures[0].lines().all(|line| !has(line.trim_matches([' ', ',']).rsplit('=').next().unwrap())),
            "{cures:?}"
        );
        assert_eq!(told(&all(&cures[0])), (vec![], vec![]), "{cures:?}");
        if matches!(name, "mail-no-filter" | "mail-dead-filter") {
            let (names, cures) = told(&class(&asks));
            assert_eq!(names, [name], "{filter}");
            assert_eq!(cures[0].trim(), format!("reject_rbl_client block.gatepost.internal={bounce},"));
            assert_eq!(told(&class(&cures[0])), (vec![], vec![]), "{cures:?}");
        }
    }
    // Tables in the place that name the class for null senders, and for others.
    let rest = format!("b = reject_rbl_client block.gatepost.internal={bounce}\n");
    let named = |table: &str| {
        told(&format!("smtpd_restriction_classes = b\n{rest}smtpd_recipient_restrictions = {table}\n")).0
    };
    for table in [
        "check_sender_access regexp:{{/^<>$/ b}}",
        "check_sender_access pcre:{ {/^<>$/ b} }",
        "check_sender_access pcre:{{/^$/ b}}",
        "check_sender_access inline:{<>=b}",
        "check_sender_access inline:{ {a@b.test = reject}, {<> = b} }",
        "check_sender_access hash:/a, check_sender_access regexp:{{/^<>$/ b}}",
    ] {
        assert_eq!(named(table), [""; 0], "{table}");
    }
    for table in [
        "b",
        "check_sender_access regexp:{{/./ b}}",
        "check_sender_access inline:{ {<> = dunno}, {a.test = b} }",
        "check_sender_access static:b",
        "check_client_access cidr:{{192.0.2.0/24 b}}",
        "check_sender_access regexp:{{/^<>$/ b}}, b",
    ] {
        assert_eq!(named(table), ["mail-wrong-use"], "{table}");
    }
}

/// What looks like a door that strangers do not come by, and is one; and the other way round.
#[test]
fn services_as_strangers_reach_them() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    let open = "-o smtpd_recipient_restrictions=permit_mynetworks,reject_unauth_destination\n";
    let names = |service: &str| in_effect(&text, &format!("{SMTPD}{service} {open}")).0;
    for door in [
        "26 inet n - y - - smtpd -o content_filter= -o smtpd_client_restrictions=",
        "192.0.2.1:smtp inet n - y - - smtpd -o content_filter=",
        "10.0.0.1:25 inet n - y - - smtpd",
        "2525 inet n - y - - smtpd -o { smtpd_sender_restrictions = check_sender_access inline:{ {a@b.test = reject } } }",
        "2525 inet n - y - - smtpd -o { smtpd_client_restrictions = check_client_access cidr:{{0.0.0.0/0 ok}}, reject }",
        "2525 inet n - y - - smtpd -o { smtpd_client_restrictions = warn_if_reject reject }",
    ] {
        let expected = if door.starts_with("26 ") { [""; 0].to_vec() } else { vec!["mail-no-effect"] };
        assert_eq!(names(door), expected, "{door}");
    }
    for inner in [
        "ip6-localhost:10025 inet n - y - - smtpd",
        "10.0.0.1:10027 inet n - y - - smtpd",
        "[fd00::1]:10027 inet n - y - - smtpd",
        "2525 inet n - y - - smtpd -o { smtpd_client_restrictions = check_client_access cidr:{{192.0.2.0/24 ok}}, reject }",
    ] {
        assert_eq!(names(inner), [""; 0], "{inner}");
    }
}

/// Everybody is let pass before lists are asked, or is answered the same whatever they say.
#[test]
fn lists_that_nothing_depends_on() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    let first = "    reject_unauth_destination,\n";
    for before in ["check_client_access cidr:{{0.0.0.0/0 OK}}", "check_sender_access regexp:{ {/./ permit} }"]
    {
        let (names, told) = in_effect(&text.replace(first, &format!("{first}    {before},\n")), SMTPD);
        assert_eq!(names[0], "mail-no-effect", "{before}: {names:?}");
        assert!(told.contains("stands before it"), "{told}");
    }
    for goes_on in
        ["check_client_access cidr:{{192.0.2.0/24 OK}}", "check_client_access cidr:{{0.0.0.0/0 DUNNO}}"]
    {
        let names = in_effect(&text.replace(first, &format!("{first}    {goes_on},\n")), SMTPD).0;
        assert_eq!(names, [""; 0], "{goes_on}");
    }
    let (names, told) = in_effect(&(text.clone() + "maps_rbl_reject_code = 450\n"), SMTPD);
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("postconf -X maps_rbl_reject_code") && told.contains("level: Warn"), "{told}");
    assert_eq!(in_effect(&(text.clone() + "maps_rbl_reject_code = 550\n"), SMTPD).0, [""; 0]);
    let block = "reject_rbl_client block.gatepost.internal";
    for breaks in [format!("{{ {block}=127.0.2.2 }}"), format!("{block}=127.0.2.2,127.0.0.4")] {
        let main = format!(
            "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination, {breaks}\n"
        );
        let (names, told) = in_effect(&main, SMTPD);
        assert_eq!(names[0], "mail-no-effect", "{breaks}: {names:?}");
        assert!(told.contains("451") && told.contains("level: Bad"), "{told}");
    }
    let policy = "check_policy_service { inet:127.0.0.1:10023, timeout = 2s, default_action = DUNNO }, ";
    assert_eq!(in_effect(&text.replace(first, &format!("{first}    {policy}\n")), SMTPD).0, [""; 0]);
}

/// postscreen that lets everybody through, or that other lists keep from refusing whom a block list has.
#[test]
fn postscreen_that_refuses_nobody() {
    let on = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\ndnsblog unix - - y - 0 dnsblog\n";
    let text = Program::Postscreen.text(&wiring()).unwrap();
    for access in ["static:permit", "permit_mynetworks, cidr:{{0.0.0.0/0 permit}}"] {
        let (names, told) = in_effect(&format!("{text}postscreen_access_list = {access}\n"), on);
        assert_eq!(names, ["mail-no-effect"], "{access}");
        assert!(told.contains("postscreen_access_list") && told.contains("level: Bad"), "{told}");
    }
    let access = "postscreen_access_list = permit_mynetworks, cidr:{{192.0.2.0/24 permit}}\n";
    assert_eq!(in_effect(&(text.clone() + access), on).0, [""; 0]);

    // What one list weighs by itself.
    let wiring = wiring();
    let allow = wiring.addresses(Use::Allow).next().unwrap();
    let allowed = |weight: i64| {
        let sites = allow.codes.keys().map(|code| format!("{}={code}*{weight}", allow.zone.origin));
        sites.collect::<Vec<_>>().join(", ")
    };
    let block = wiring.addresses(Use::Block).next().unwrap();
    let codes = block.codes.keys().map(ToString::to_string).collect::<Vec<_>>();
    let own = |weights: [i64; 2], more: &str| {
        let sites = codes.iter().map(|code| {
            let weight = if code == "127.0.2.2" { weights[1] } else { weights[0] };
            format!("{}={code}*{weight}, ", block.zone.origin)
        });
        let sites: String = sites.collect();
        format!(
            "postscreen_dnsbl_sites = {sites}{more}\npostscreen_dnsbl_threshold = 3\npostscreen_dnsbl_action = enforce\n"
        )
    };
    assert_eq!(in_effect(&own([3, 3], &allowed(-3)), on).0, [""; 0]);
    for (main, level) in [
        (own([0, 3], ""), "Bad"),
        (own([1, 3], ""), "Bad"),
        (own([3, -3], ""), "Bad"),
        (own([1, 3], "zen.example=127.0.0.2*2"), "Warn"),
        (own([3, 3], &allowed(1)), "Bad"),
    ] {
        let (names, told) = in_effect(&main, on);
        assert_eq!(names, ["mail-weight"], "{main}");
        assert!(told.contains(&format!("level: {level}")), "{told}");
    }
    // A sum of sites that no one address gets.
    let text = text
        .lines()
        .filter(|line| !line.starts_with("postscreen_dnsbl_threshold"))
        .collect::<Vec<_>>()
        .join("\n");
    let (names, told) = in_effect(&(text + "\npostscreen_dnsbl_threshold = 40\n"), on);
    assert_eq!(names[0], "mail-weight", "{told}");
    // Another door.
    let text = Program::Postscreen.text(&wiring).unwrap();
    for door in ["192.0.2.1:25", "2525"] {
        let (names, told) = in_effect(&text, &format!("{on}{door} inet n - y - - smtpd\n"));
        assert_eq!(names, ["mail-no-effect"], "{door}");
        assert!(told.contains("without postscreen") && told.contains("level: Bad"), "{told}");
    }
    for inner in ["192.168.1.1:25", "127.0.0.1:25", "587"] {
        assert_eq!(in_effect(&text, &format!("{on}{inner} inet n - y - - smtpd\n")).0, [""; 0], "{inner}");
    }
    let both = text + &Program::Postfix.text(&wiring).unwrap();
    assert_eq!(in_effect(&both, &format!("{on}2525 inet n - y - - smtpd\n")).0, [""; 0]);
}

/// With what the package brings there is no zone for mail programs: nothing is wrong, and it is said what to do.
#[test]
fn a_host_on_which_no_list_is_served_yet() {
    let suffix = "gatepost.internal".parse().unwrap();
    let config =
        Config::for_up("state".into(), &suffix, &crate::config::Feeds::default(), Vec::new()).unwrap();
    let wiring = Wiring::of(&config, |_| None).unwrap();
    let found = Found { programs: ["Postfix"].into(), ..Found::default() };
    let checks = look(found, &config, &wiring, None);
    assert_eq!(checks.iter().map(Check::name).collect::<Vec<_>>(), [""]);
    assert!(format!("{checks:?}").contains("gatepost feeds"), "{checks:?}");
}

/// A service that no stranger's mail comes by needs no list, and nobody is told to open it.
#[test]
fn a_service_that_strangers_do_not_reach_is_left_alone() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    let names = |service: &str, option: &str| {
        let master = format!("{SMTPD}{service} inet n - y - - smtpd\n  -o {option}\n");
        in_effect(&(text.clone() + "mua = permit_sasl_authenticated, reject\n"), &master)
    };
    let open = "smtpd_recipient_restrictions=permit_mynetworks,reject_unauth_destination";
    for service in ["[127.0.0.1]:10025", "[::1]:10025", "::1:10025", "localhost:10025"] {
        assert_eq!(names(service, open).0, [""; 0], "{service}");
    }
    for option in [
        "smtpd_recipient_restrictions=permit_sasl_authenticated,reject",
        "smtpd_recipient_restrictions=permit_mynetworks,reject -o smtpd_client_restrictions=",
        "smtpd_client_restrictions=check_client_access,cidr:/a,reject -o smtpd_recipient_restrictions=",
        "smtpd_recipient_restrictions=$mua",
        "content_filter= -o smtpd_recipient_restrictions=permit_mynetworks",
    ] {
        assert_eq!(names("2525", option).0, [""; 0], "{option}");
    }
    // What strangers reach, and a value that may keep somebody out: it is not told to be taken out.
    let (found, told) = names("2525", open);
    assert_eq!(found[0], "mail-no-effect");
    assert!(told.contains("postconf -PX 2525/inet/"), "{told}");
    for more in ["permit_auth_destination,reject", "check_client_access,cidr:/a,reject_unauth_destination"] {
        let (found, told) = names("2525", &format!("smtpd_recipient_restrictions={more}"));
        assert_eq!(found[0], "mail-no-effect", "{more}");
        assert!(!told.contains("postconf") && told.contains("    reject_rbl_client block."), "{told}");
    }
}

/// Sites that are emptied, by a later line or for the service alone.
#[test]
fn sites_that_are_emptied() {
    let text = Program::Postscreen.text(&wiring()).unwrap();
    let on = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\ndnsblog unix - - y - 0 dnsblog\n";
    for (main, master) in [
        (format!("{text}postscreen_dnsbl_sites =\n"), on.to_owned()),
        (text, on.replace("1 postscreen\n", "1 postscreen -o postscreen_dnsbl_sites=\n")),
    ] {
        let (names, told) = in_effect(&main, &master);
        assert_eq!(names, ["mail-no-effect"], "{main}{master}");
        assert!(told.contains("level: Bad") && !told.contains("smtpd_recipient_restrictions"), "{told}");
        assert!(
            told.contains("again, and of several")
                || told.contains("postconf -PX smtp/inet/postscreen_dnsbl_sites"),
            "{told}"
        );
    }
}

#[test]
fn programs_that_ask_nothing() {
    assert_eq!(asks_nothing(&["Postfix"]), "Postfix asks no zone of gatepost's");
    assert_eq!(asks_nothing(&["Postfix", "rspamd"]), "Postfix and rspamd ask no zone of gatepost's");
    assert_eq!(
        asks_nothing(&["Exim", "SpamAssassin", "rspamd"]),
        "Exim, SpamAssassin and rspamd ask no zone of gatepost's"
    );
}

/// In the place of a zone that is none stands what may be asked so, and is not yet.
#[test]
fn zones_that_may_have_been_meant() {
    let told = |text: &str| format!("{:?}", checks(Program::Postfix, text).1);
    let alone = told("smtpd_recipient_restrictions = reject_rbl_client blok.gatepost.internal=127.0.0.4\n");
    assert!(alone.contains("one of block.gatepost.internal"), "{alone}");
    let wiring = wiring();
    for use_ in [Use::Allow, Use::Bounce, Use::Score] {
        for asked in wiring.addresses(use_).filter(|asked| !asked.zone.codes.contains_key(&Use::Block)) {
            assert!(!alone.contains(&asked.zone.origin.to_string()), "{use_}: {alone}");
        }
    }
    let twice = told(
        "smtpd_recipient_restrictions = reject_rbl_client blok.gatepost.internal=127.0.0.4,\n reject_rbl_client block.gatepost.internal=127.0.0.[4..99],\n \
         reject_rbl_client block.gatepost.internal=127.0.2.2\n",
    );
    assert!(twice.contains("take it out there; what may be asked so is: block.gatepost.internal"), "{twice}");
}

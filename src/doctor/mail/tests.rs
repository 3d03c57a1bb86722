use std::net::Ipv4Addr;

use super::*;
use crate::config::Config;
use crate::model::Use;

mod exim_lists;
mod postfix_main_cf;
mod postfix_open;
mod rspamd_weights;
mod spamassassin_scored;

fn config() -> Config {
    let feeds = crate::feed::catalogue::load(None).unwrap();
    let suffix = "gatepost.internal".parse().unwrap();
    Config::for_up("state".into(), &suffix, &feeds, Vec::new()).unwrap()
}

/// What `gatepost up` serves: every use, combined and alone.
fn wiring() -> Wiring {
    Wiring::of(&config(), |_| None).unwrap()
}

/// What a program's text asks, and what of it is wrong.
fn checks(program: Program, text: &str) -> (usize, Vec<Check>) {
    checks_of(&config(), program, text)
}

fn checks_of(config: &Config, program: Program, text: &str) -> (usize, Vec<Check>) {
    let wiring = Wiring::of(config, |_| None).unwrap();
    let (exim::Uses { mentions, idle, statements, troubles, besides, .. }, threshold) = match program {
        Program::Postfix => {
            let setup = postfix::Setup::read(text, None);
            let (mentions, idle) = postfix::effect(&setup);
            (exim::Uses { mentions, idle, ..exim::Uses::default() }, postfix::threshold(&setup))
        }
        _ => (uses(program, Path::new("a.conf"), text), None),
    };
    let mut checks = without_effect(&idle, &mentions, &[], &wiring, threshold);
    checks.extend(trouble::checks(&troubles, &wiring));
    if program == Program::Postfix {
        checks.extend(harsh(&postfix::harsh(&postfix::Setup::read(text, None)), &wiring));
    }
    let served = Served::of(config, &wiring).screened_from(threshold).stated(statements, besides);
    checks.extend(judge(&mentions, &served, Some([8, 8, 8, 8].into())));
    (mentions.len(), checks)
}

fn findings(program: Program, text: &str) -> Vec<&'static str> {
    checks(program, text).1.iter().map(Check::name).collect()
}

fn postfix(restrictions: &str) -> Vec<&'static str> {
    findings(
        Program::Postfix,
        &format!("smtpd_recipient_restrictions = permit_mynetworks,\n  {restrictions}\n"),
    )
}

/// The texts that are printed are read, whole, and nothing is wrong with them.
#[test]
fn what_is_printed_is_right() {
    for (program, least) in [
        (Program::Postfix, 3),
        (Program::Postscreen, 3),
        (Program::Exim, 3),
        (Program::Rspamd, 3),
        (Program::Spamassassin, 3),
    ] {
        let text = program.text(&wiring()).unwrap();
        let program = if program == Program::Postscreen { Program::Postfix } else { program };
        let (number, checks) = checks(program, &text);
        assert!(number >= least, "{program:?}: {number}");
        assert_eq!(checks, [], "{program:?}");
    }
}

#[test]
fn postfix_with_every_mistake() {
    assert_eq!(postfix("reject_rbl_client block.gatepost.internal"), ["mail-no-filter"]);
    assert_eq!(postfix("reject_rbl_client dnsbl.sorbs.net=127.0.0.[2..14]"), ["mail-retired"]);
    assert_eq!(postfix("reject_rbl_client bl.gatepost.internal=127.0.0.4"), ["mail-unknown-zone"]);
    assert_eq!(postfix("reject_rbl_client bogons.gatepost.internal=127.0.0.4"), ["mail-wrong-use"]);
    assert_eq!(postfix("reject_rbl_client zen.spamhaus.org"), ["mail-no-filter"]);
    assert_eq!(postfix("reject_rbl_client zen.spamhaus.org=127.0.0.[2..11]"), ["mail-public-resolver"]);
    let bounce = wiring().addresses(Use::Bounce).next().map(|asked| asked.zone.origin.clone()).unwrap();
    let filter = format!("reject_rbl_client {bounce}=127.0.[0..2].[2..254]");
    assert_eq!(postfix(&filter), ["mail-wrong-use"]);
    // For null senders alone it is what it is for; what a table of senders names, it may be for.
    let table = format!(
        "smtpd_restriction_classes = b\nb = {filter}\nsmtpd_recipient_restrictions = check_sender_access hash:/a\n"
    );
    assert_eq!(findings(Program::Postfix, &table), [""; 0]);
    let table = table.replace("sender_access", "client_access");
    assert_eq!(findings(Program::Postfix, &table), ["mail-wrong-use"]);
    let class = format!(
        "smtpd_restriction_classes = b\nb = {filter}\nsmtpd_recipient_restrictions =\n # no\n check_sender_access inline:{{{{<> = b}}}}\n"
    );
    assert_eq!(findings(Program::Postfix, &class), [""; 0]);
    assert_eq!(
        findings(
            Program::Postfix,
            "postscreen_dnsbl_sites = block.gatepost.internal*3\npostscreen_dnsbl_action = drop\n"
        ),
        ["mail-no-filter"]
    );
}

/// rspamd's own rules name what those lists say when they refuse to answer.
#[test]
fn rspamd_names_errors() {
    let rule = |zone: &str| {
        format!(
            "rbls {{\n  r {{\n    rbl = \"{zone}\";\n    returncodes {{\n      R = \"127.0.0.2\";\n      R_BLOCKED = \"127.255.255.254\";\n    }}\n  }}\n}}\n"
        )
    };
    // Of codes nothing; the tests' resolver is a public one.
    assert_eq!(findings(Program::Rspamd, &rule("key.zen.dq.spamhaus.net")), ["mail-public-resolver"]);
    assert_eq!(findings(Program::Rspamd, &rule("block.gatepost.internal")), ["mail-wide-filter"]);
}

#[test]
fn exim_with_mistakes() {
    let acl =
        |condition: &str| findings(Program::Exim, &format!("acl_check_rcpt:\n  deny\n    {condition}\n"));
    assert_eq!(acl("dnslists = block.gatepost.internal"), ["mail-no-filter"]);
    assert_eq!(acl("dnslists = block.gatepost.internal!=127.255.255.254"), ["mail-no-filter"]);
    assert_eq!(
        acl("dnslists = block.gatepost.internal=127.0.2.2 : \\\n   dnsbl.sorbs.net=127.0.0.2"),
        ["mail-retired", "mail-lacks-code"]
    );
    // Parted by something else.
    let codes = "127.0.2.2 ; dnsbl.sorbs.net=127.0.0.2";
    assert_eq!(
        acl(&format!("dnslists = <; block.gatepost.internal={codes}")),
        ["mail-retired", "mail-lacks-code"]
    );
    let bounce = wiring()
        .addresses(Use::Bounce)
        .next()
        .map(|asked| item(&asked.zone.origin, asked.codes.keys()))
        .unwrap();
    assert_eq!(acl(&format!("dnslists = {bounce}")), ["mail-wrong-use"]);
    assert_eq!(acl(&format!("senders = :\n    dnslists = {bounce}")), [""; 0]);
    assert_eq!(acl(&format!("dnslists = {bounce}\n    senders = :\n  warn\n  dnslists = {bounce}")), [""; 0]);
}

fn item<'a>(zone: &Name, codes: impl Iterator<Item = &'a Ipv4Addr>) -> String {
    let codes: Vec<String> = codes.map(ToString::to_string).collect();
    format!("{zone}={}", codes.join(","))
}

#[test]
fn rspamd_and_spamassassin_without_filters() {
    let rule = |more: &str| {
        format!(
            "rbls {{\n  mine {{\n    symbol = \"MINE\"; # rbl = \"dnsbl.sorbs.net\"\n    rbl = \"block.gatepost.internal\";\n{more}  }}\n}}\n"
        )
    };
    assert_eq!(findings(Program::Rspamd, &rule("")), ["mail-no-filter"]);
    assert_eq!(
        findings(Program::Rspamd, &rule("returncodes { MINE = \"127.0.2.2\"; }\n")),
        ["mail-lacks-code"]
    );
    let header = |name: &str, sub: &str| {
        let text = format!("header {name} eval:check_rbl('mine', 'block.gatepost.internal.'{sub})\n");
        findings(Program::Spamassassin, &text)
    };
    assert_eq!(header("MINE", ""), ["mail-no-filter"]);
    assert_eq!(header("__MINE", ""), [""; 0]);
    assert_eq!(header("MINE", ", '127.0.2.2'"), ["mail-lacks-code"]);
    let links = findings(Program::Spamassassin, "urirhsbl MINE multi.surbl.org. A\n");
    assert_eq!(links, ["mail-no-filter"]);
}

/// Names of what is wrong with a Postfix that has this `main.cf` and this `master.cf`, and the first cure.
fn in_effect(main: &str, master: &str) -> (Vec<&'static str>, String) {
    let wiring = wiring();
    let setup = postfix::Setup::read(main, Some(master));
    let (mentions, idle) = postfix::effect(&setup);
    let again = postfix::again(&setup);
    let mut checks = without_effect(&idle, &mentions, &again, &wiring, postfix::threshold(&setup));
    checks.extend(harsh(&postfix::harsh(&setup), &wiring));
    let served = Served::of(&config(), &wiring).screened_from(postfix::threshold(&setup));
    checks.extend(judge(&mentions, &served, None));
    checks.extend(weights::judge(&postfix::weights(&setup), &served));
    (
        checks.iter().map(Check::name).collect(),
        checks.first().map(|check| format!("{check:?}")).unwrap_or_default(),
    )
}

const SMTPD: &str = "smtp inet n - y - - smtpd\n";

/// What stands in the text and has no effect is said to have none, with what would have one.
#[test]
fn postfix_in_effect_and_not() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    assert_eq!(in_effect(&text, SMTPD), (vec![], String::new()));
    let own = "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n";

    // Of several the last holds.
    let (names, told) = in_effect(&(text.clone() + own), SMTPD);
    assert_eq!(names[0], "mail-no-effect", "{names:?}");
    assert!(told.contains("again") && told.contains("reject_rbl_client block.gatepost.internal="), "{told}");
    let parameters = "a = permit_mynetworks\n".to_owned() + own + &text;
    assert_eq!(in_effect(&parameters, SMTPD).0, [""; 0]);

    // What master.cf says goes before main.cf; for other services it does not matter.
    let instead = "  -o smtpd_recipient_restrictions=permit_mynetworks,reject_unauth_destination\n";
    let (names, told) = in_effect(&text, &(SMTPD.to_owned() + instead));
    assert_eq!(names[0], "mail-no-effect", "{names:?}");
    assert!(told.contains("postconf -PX smtp/inet/smtpd_recipient_restrictions"), "{told}");
    for service in ["submission inet n - y - - smtpd\n", "127.0.0.1:10025 inet n - y - - smtpd\n"] {
        assert_eq!(in_effect(&text, &(SMTPD.to_owned() + service + instead)).0, [""; 0]);
    }

    // A parameter that is somebody's own counts where another has its value, or as a class.
    let gp = "gp = reject_rbl_client block.gatepost.internal=127.0.2.2\n";
    assert_eq!(in_effect(gp, SMTPD).0, ["mail-no-effect"]);
    let used = "smtpd_client_restrictions = ${gp}\n";
    assert_eq!(in_effect(&(gp.to_owned() + used), SMTPD).0, ["mail-lacks-code"]);
    let class = "smtpd_restriction_classes = gp\nsmtpd_client_restrictions = check_client_access hash:/a\n";
    assert_eq!(in_effect(&(gp.to_owned() + class), SMTPD).0, ["mail-lacks-code"]);
}

#[test]
fn postscreen_in_effect_and_not() {
    let text = Program::Postscreen.text(&wiring()).unwrap();
    let (names, told) = in_effect(&text, SMTPD);
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("level: Bad"), "{told}");
    assert!(told.contains("smtpd     pass") && told.contains("dnsblog"), "{told}");
    let on = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\ndnsblog unix - - y - 0 dnsblog\n";
    assert_eq!(in_effect(&text, on).0, [""; 0]);
    // Nobody is refused unless it is told to.
    let (names, told) = in_effect(&text.replace("postscreen_dnsbl_action = enforce", ""), on);
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("postscreen_dnsbl_action = enforce"), "{told}");
    // Where postscreen asks, the smtpd behind it need not: it lacks what postscreen cannot do alone.
    let both = text + &Program::Postfix.text(&wiring()).unwrap();
    let behind = on.replace(" smtpd\n", " smtpd -o smtpd_recipient_restrictions=reject_unauth_destination\n");
    let (names, told) = in_effect(&both, &behind);
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("gatepost_bounce (main.cf, line "), "{told}");
}

/// Lines that stand where no mail comes by, or where nobody is refused for good.
#[test]
fn restrictions_that_nothing_comes_by() {
    let text = Program::Postfix.text(&wiring()).unwrap();
    let first = "    reject_unauth_destination,\n";
    assert!(text.contains(first));
    for before in ["permit", "permit_auth_destination", "check_client_access static:OK"] {
        let (names, told) = in_effect(&text.replace(first, &format!("{first}    {before},\n")), SMTPD);
        assert_eq!(names[0], "mail-no-effect", "{before}: {names:?}");
        assert!(told.contains("stands before it") && told.contains("    reject_rbl_client block."), "{told}");
    }
    let (names, told) = in_effect(&text.replace("    reject_r", "    warn_if_reject reject_r"), SMTPD);
    assert_eq!(names[0], "mail-no-effect", "{names:?}");
    assert!(told.contains("take `warn_if_reject` out"), "{told}");
    let (names, told) = in_effect(&(text + "soft_bounce = yes\n"), SMTPD);
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("postconf -X soft_bounce") && told.contains("level: Warn"), "{told}");
}

/// Weights mean something beside the threshold alone.
#[test]
fn postscreen_is_told_weights_that_fit_its_threshold() {
    let on = "smtp inet n - y - 1 postscreen\nsmtpd pass - - y - - smtpd\ndnsblog unix - - y - 0 dnsblog\n";
    let text = Program::Postscreen.text(&wiring()).unwrap();
    let number = |line: &str| line.rsplit(['*', ' ']).next()?.trim_end_matches(',').parse::<i64>().ok();
    for set in ["1", "2", "20"] {
        let own = format!(
            "postscreen_dnsbl_sites = block.gatepost.internal*{set}\npostscreen_dnsbl_threshold = {set}\npostscreen_dnsbl_action = drop\n"
        );
        let (_, checks) = checks(Program::Postfix, &own);
        let cure = cured::sites(&wiring(), set.parse().ok());
        assert!(format!("{:?}", checks[0]).contains(&format!("{:?}", cure.lines)), "{checks:?}");
        let line = cure.lines.lines().find(|line| line.starts_with("postscreen_dnsbl_threshold"));
        assert_eq!(line.is_none(), set == "20", "{}", cure.lines);
        let threshold = line.and_then(number).unwrap_or(20);
        let weights: Vec<i64> =
            cure.lines.lines().filter(|line| line.contains('*')).filter_map(number).collect();
        let score: i64 = weights.iter().filter(|weight| **weight == 1).sum();
        let block: i64 = weights.iter().filter(|weight| **weight == threshold).sum();
        assert!(score > 0 && score < threshold && block >= threshold, "{}", cure.lines);
        assert!(weights.iter().any(|weight| -weight >= block + score), "{}", cure.lines);
        // As it is printed it gives no finding.
        let cured = own.lines().skip(1).collect::<Vec<_>>().join("\n") + "\n" + &cure.lines + "\n";
        assert_eq!(in_effect(&cured, on).0, [""; 0], "{cured}");
    }
    let unset: String =
        text.lines().filter(|line| !line.contains("_threshold")).map(|line| format!("{line}\n")).collect();
    let (names, told) = in_effect(&unset, on);
    assert_eq!(names, ["mail-wrong-use"]);
    assert!(told.contains("postscreen_dnsbl_threshold = "), "{told}");
    let (names, told) = in_effect(&(text.clone() + "postscreen_dnsbl_threshold = 600\n"), on);
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("it is 600"), "{told}");
    let (names, told) = in_effect(&text, &on.replace("dnsblog", "other"));
    assert_eq!(names, ["mail-no-effect"]);
    assert!(told.contains("no service dnsblog"), "{told}");
    // Sites that nobody asks are no restrictions of smtpd.
    let both = text.clone() + &Program::Postfix.text(&wiring()).unwrap();
    let (names, _) = in_effect(&both, SMTPD);
    assert_eq!(names, ["mail-no-effect"]);
    let (_, told) = in_effect(&(text + "postscreen_dnsbl_sites = zen.spamhaus.org=127.0.0.[2..11]\n"), on);
    assert!(
        told.contains("in the place of all lines that set these")
            && told.contains("    block.gatepost.internal="),
        "{told}"
    );
}

/// What is told, pasted as it is, sets it right.
#[test]
fn cures_as_they_are_printed() {
    let lines = |program, text: &str| {
        let (_, checks) = checks(program, text);
        let lines: Vec<String> =
            checks.iter().flat_map(Check::cures).map(|cure| cure.lines.clone()).collect();
        lines.first().cloned().unwrap_or_default()
    };
    // Of a statement all conditions have to hold: one list, whatever was found.
    for before in ["", "=127.0.2.2"] {
        let acl = |list: &str| format!("acl_check_rcpt:\n  deny\n    {list}\n");
        let list = lines(Program::Exim, &acl(&format!("dnslists = block.gatepost.internal{before}")));
        assert_eq!(list.matches("dnslists =").count(), 1, "{list}");
        assert!(list.starts_with("dnslists = block.gatepost.internal=127.0.2.2 : "), "{list}");
        assert_eq!(findings(Program::Exim, &acl(&list)), [""; 0]);
    }
    let allow = wiring().addresses(Use::Allow).next().unwrap().zone.origin.clone();
    let acl = |list: &str| format!("acl_check_rcpt:\n  deny\n    {list}\n");
    let list = lines(Program::Exim, &acl(&format!("!dnslists = {allow}")));
    assert!(list.starts_with("!dnslists = ") && list.matches("dnslists").count() == 1, "{list}");
    assert_eq!(findings(Program::Exim, &acl(&list)), [""; 0]);
    let rule = "rbls { mine { rbl = \"block.gatepost.internal\"; } }";
    let rules = lines(Program::Rspamd, rule);
    assert_eq!(findings(Program::Rspamd, &rules), [""; 0], "{rules}");
    for word in ["rbl {", "returncodes {", "weight = ", "action = \"reject\";"] {
        assert!(rules.contains(word), "{word}: {rules}");
    }
    assert_eq!(rules.matches('{').count(), rules.matches('}').count(), "{rules}");
    assert!(!rules.contains("dbl.gatepost"), "{rules}");
    let rules =
        lines(Program::Spamassassin, "header MINE eval:check_rbl('mine', 'block.gatepost.internal.')\n");
    assert_eq!(findings(Program::Spamassassin, &rules), [""; 0], "{rules}");
    for word in ["check_rbl_sub(", "\nscore ", "\ntflags "] {
        assert!(rules.contains(word), "{word}: {rules}");
    }
}

/// What an ACL of one statement has for findings, and the first cure's lines, which put in the place of its conditions leave none. The resolver,
/// which is a public one, does not matter.
fn statement(conditions: &[&str]) -> (Vec<&'static str>, String) {
    let acl = |verb: &str, conditions: &str| format!("acl_check_rcpt:\n  {verb}\n    {conditions}\n");
    let told = |text: &str| {
        let (_, mut checks) = checks(Program::Exim, text);
        checks.retain(|check| check.name() != "mail-public-resolver");
        checks
    };
    let checks = told(&acl(conditions[0], &conditions[1..].join("\n    ")));
    let names = checks.iter().map(Check::name).collect();
    let lines = checks.first().and_then(|check| check.cures().first()).map(|cure| cure.lines.clone());
    let lines = lines.unwrap_or_default();
    if !lines.is_empty() {
        assert_eq!(told(&acl(conditions[0], &lines)), [], "{lines}");
    }
    (names, lines)
}

/// Of a statement all conditions have to hold: what is printed for one zone of a list has the others in it.
#[test]
fn exims_lists_are_cured_whole() {
    let (names, lines) = statement(&[
        "deny",
        "dnslists = +exclude_unknown : block.gatepost.internal : \\\n zen.spamhaus.org=127.0.0.2/$sender_address_domain : dnsbl.sorbs.net",
    ]);
    assert_eq!(names, ["mail-no-filter", "mail-retired"]);
    assert_eq!(lines.matches("dnslists =").count(), 1, "{lines}");
    for word in [
        "= +exclude_unknown : ",
        " block.gatepost.internal=127.0.0.",
        " zen.spamhaus.org=127.0.0.2/$sender_address_domain",
    ] {
        assert!(lines.contains(word), "{word}: {lines}");
    }
    assert!(!lines.contains("sorbs"), "{lines}");
    // What parted them no longer does.
    let (_, lines) = statement(&["deny", "dnslists = <; block.gatepost.internal; x.example=127.0.0.2/a:b"]);
    assert!(lines.ends_with(" x.example=127.0.0.2/a::b"), "{lines}");
}

#[test]
fn two_lists_of_one_statement_are_no_choice() {
    let whole = statement(&["deny", "dnslists = block.gatepost.internal"]).1;
    let (one, two) = whole.split_once(" : \\\n    ").expect("a person's, and lists'");
    let two = format!("dnslists = {two}");
    let (names, lines) = statement(&["deny", one, &two]);
    assert_eq!((names[0], lines.matches("dnslists =").count()), ("mail-no-effect", 1), "{names:?}");
    // Both may be meant where one is somebody else's; and what weighs, or lets in, is no other list.
    let zen = "dnslists = zen.example=127.0.0.2";
    assert_eq!(statement(&["deny", &whole, zen]), (vec!["mail-no-effect"], String::new()));
    assert_eq!(statement(&["warn", "set acl_c_listed = 1", &whole, &two]).0, [""; 0]);
    let allow =
        wiring().addresses(Use::Allow).map(|asked| item(&asked.zone.origin, asked.codes.keys())).next();
    let allow = allow.unwrap();
    assert_eq!(statement(&["deny", &whole, &format!("!dnslists = {allow}")]).0, [""; 0]);
    assert_eq!(statement(&["deny", &whole, &format!("dnslists = {allow}")]).0, ["mail-wrong-use"]);
}

#[test]
fn exims_verbs_turn_lists_round() {
    let whole = statement(&["deny", "dnslists = block.gatepost.internal"]).1;
    // To accept what is listed lets it in, and relays for it.
    assert_eq!(statement(&["accept", &whole]), (vec!["mail-wrong-use"], String::new()));
    let (names, lines) = statement(&["accept", "dnslists = block.gatepost.internal"]);
    assert_eq!((names, lines.as_str()), (vec!["mail-no-filter"], ""));
    assert_eq!(statement(&["accept", &format!("!{whole}")]).0, [""; 0]);
    let allow =
        wiring().addresses(Use::Allow).map(|asked| item(&asked.zone.origin, asked.codes.keys())).next();
    assert_eq!(statement(&["accept", &format!("dnslists = {}", allow.unwrap())]).0, [""; 0]);
    assert_eq!(statement(&["discard", &whole]).0, [""; 0]);
    // To require it refuses whoever is not listed.
    let (names, lines) = statement(&["require", &whole]);
    assert_eq!(names, ["mail-wrong-use"]);
    assert!(lines.starts_with("!dnslists = block."), "{lines}");
    assert_eq!(statement(&["deny", &format!("!{whole}")]).0, ["mail-wrong-use"]);
}

#[test]
fn what_is_printed_for_rspamd_in_its_place_and_in_another() {
    let text = Program::Rspamd.text(&wiring()).unwrap();
    let told = |place: &str| {
        let read = off::Read { program: Program::Rspamd, place: place.to_owned(), text: text.clone() };
        let mut mentions = rspamd::mentions(place, &text);
        let idle = rspamd::files::idle(&[read], "", &mut mentions);
        (mentions.len(), idle.len())
    };
    let (number, idle) = told("/etc/rspamd/rspamd.conf.local");
    assert!(number >= 3 && idle == 0, "{number} {idle}");
    assert_eq!(told("/etc/rspamd/local.d/rbl.conf"), (0, 1));
}

#[test]
fn a_filter_behind_postfix() {
    let of = |main: &str, master: &str| {
        let filters = postfix::Setup::read(main, Some(master)).filters();
        (filters.milters.join(" "), filters.handed.iter().any(|handed| handed.is_filtered))
    };
    assert_eq!(of("smtpd_milters =\nmyhostname = x\n", SMTPD), (String::new(), false));
    let two = "a = inet:localhost:8891\nsmtpd_milters = $a, { inet:localhost:11332, timeout=1s }\n";
    let master = format!("{SMTPD}  -o smtpd_milters=${{a}},unix:/b\n");
    let main = "inet:localhost:8891 { inet:localhost:11332, timeout=1s }".to_owned();
    assert_eq!(of(two, SMTPD), (main, false));
    assert_eq!(of(two, &master), ("inet:localhost:8891 unix:/b".to_owned(), false));
    assert!(of("", &format!("{SMTPD}  -o content_filter=x:[127.0.0.1]:10024\n")).1);
}

/// A score below 0 lets in whom a list has.
#[test]
fn filters_too_wide_too_narrow_or_of_nobody() {
    let wide = "=127.[0..255].[0..255].[0..255]";
    assert_eq!(postfix(&format!("reject_rbl_client block.gatepost.internal{wide}")), ["mail-wide-filter"]);
    assert_eq!(postfix(&format!("reject_rbl_client zen.spamhaus.org{wide}")), ["mail-wide-filter"]);
    // A filter from before a list came.
    assert_eq!(postfix("reject_rbl_client block.gatepost.internal=127.0.2.2"), ["mail-lacks-code"]);
    assert_eq!(postfix("reject_rbl_client block.gatepost.internal=127.0.0.2"), ["mail-dead-filter"]);
    let (_, checks) = checks(
        Program::Postfix,
        "smtpd_client_restrictions = reject_rbl_client block.gatepost.internal=127.0.2.2\n",
    );
    let told = format!("{checks:?}");
    assert!(
        told.contains("is not asked for 127.0.0.")
            && told.contains("reject_rbl_client block.gatepost.internal=127.0.0.["),
        "{told}"
    );
    // rspamd and SpamAssassin as they are printed, with a code less.
    for program in [Program::Rspamd, Program::Spamassassin] {
        let text = program.text(&wiring()).unwrap();
        let less = text.replacen("\"127.0.0.4\", ", "", 1).replacen("(?:4|", "(?:", 1);
        assert_ne!(less, text);
        assert_eq!(findings(program, &less), ["mail-lacks-code"], "{program:?}");
    }
}

/// A zone whose lists a wider one has, too, is judged like any other.
#[test]
fn a_zone_within_another() {
    let wiring = wiring();
    let config = config();
    let served = Served::of(&config, &wiring);
    let drop: Name = "spamhaus-drop.gatepost.internal".parse().unwrap();
    assert!(wiring.zones.iter().all(|zone| zone.origin != drop));
    let code = *served.zone(&drop).unwrap().codes[&Use::Block].keys().next().unwrap();
    assert_eq!(postfix(&format!("reject_rbl_client {drop}={code}")), ["mail-lacks-code"]);
    assert_eq!(postfix(&format!("reject_rbl_client {drop}=127.0.0.2")), ["mail-dead-filter"]);
    assert_eq!(postfix(&format!("permit_dnswl_client {drop}={code}")), ["mail-wrong-use"]);
    let (_, checks) = checks(
        Program::Postfix,
        &format!("smtpd_client_restrictions = reject_rbl_client {drop}=127.0.0.2\n"),
    );
    assert!(format!("{checks:?}").contains("reject_rbl_client block.gatepost.internal="), "{checks:?}");
}

/// Debian's configuration: macros, conditions, and the file that `snippet exim` is for.
#[test]
fn exim_as_it_reads_its_configuration() {
    let text = "\
CHECK_RCPT_LOCAL_ACL_FILE = /etc/exim4/gatepost.acl
MAIN_LISTS == block.gatepost.internal
acl_check_rcpt:
.ifdef CHECK_RCPT_IP_DNSBLS
  deny
    dnslists = CHECK_RCPT_IP_DNSBLS
.elifdef MAIN_NOTHING
  deny dnslists = dnsbl.sorbs.net
.else
  warn
    # no part of it
    dnslists = MAIN_LISTS=127.0.2.2 : \\
      # neither
      MAIN_LISTS=127.0.2.3
.endif
.ifndef MAIN_LISTS
  deny dnslists = dnsbl.sorbs.net
.endif
.ifdef CHECK_RCPT_LOCAL_ACL_FILE
.include CHECK_RCPT_LOCAL_ACL_FILE
.endif
";
    let snippet = Program::Exim.text(&wiring()).unwrap();
    let read = |path: &Path| (path == Path::new("/etc/exim4/gatepost.acl")).then(|| snippet.clone());
    let exim::Uses { mentions, idle, .. } = exim::uses("/var/lib/exim4/config.autogenerated", text, &read);
    assert_eq!(idle, []);
    let wiring = wiring();
    assert!(mentions.iter().all(|mention| is_ours(&mention.zone, &wiring)), "{mentions:?}");
    assert_eq!(mentions[0].at, "/var/lib/exim4/config.autogenerated:12");
    assert!(mentions[2].at.starts_with("/etc/exim4/gatepost.acl:"), "{:?}", mentions[2]);
    assert_eq!(judge(&mentions[2..], &Served::of(&config(), &wiring), None), []);
}

#[test]
fn a_link_to_a_folder_is_no_second_one() {
    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    fs::write(real.join("a.cf"), "").unwrap();
    std::os::unix::fs::symlink("real", &link).unwrap();
    let all = [real.clone(), link].into_iter().flat_map(|path| files(&path).0);
    assert_eq!(distinct(all), [real.join("a.cf")]);
}

#[test]
fn who_asks_others() {
    let ip = |text: &str| SocketAddr::new(text.parse().unwrap(), 53);
    let options = "dns {\n  # nameserver = \"9.9.9.9\";\n  nameserver = [\"192.0.2.53\", \"127.0.0.1:53:10\", \"[::1]:53\"];\n}\n";
    assert_eq!(rspamd::servers(options), [ip("192.0.2.53"), ip("127.0.0.1"), ip("::1")]);
    let other = "dns { nameserver = [\"127.0.0.1:5353:1\"]; }";
    assert_eq!(rspamd::servers(other), ["127.0.0.1:5353".parse().unwrap()]);
    assert_eq!(rspamd::servers("dns { nameserver = \"master-slave:192.0.2.1:53:10\"; }"), [ip("192.0.2.1")]);
    assert_eq!(rspamd::servers("dns { timeout = 1s; }\nx = \"192.0.2.1\";"), [] as [SocketAddr; 0]);
    let servers = spamassassin::servers("dns_server 192.0.2.53\n# dns_server 1.1.1.1\ndns_server [::1]:53\n");
    assert_eq!(servers, [ip("192.0.2.53"), ip("::1")]);
    let cleared = spamassassin::servers("dns_server 192.0.2.53\nclear_dns_servers\ndns_server 127.0.0.1\n");
    assert_eq!(cleared, [ip("127.0.0.1")]);
    let ports = spamassassin::servers(
        "dns_server 127.0.0.1:5353\ndns_server [127.0.0.1]:54\ndns_server [::1]:54\ndns_server [::1]\n",
    );
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, ["127.0.0.1:5353", "127.0.0.1:54", "[::1]:54", "[::1]:53"]);
    let off = |text| spamassassin::off(text).map(|(line, at)| format!("{at}: {line}"));
    assert_eq!(off("skip_rbl_checks 0\nskip_rbl_checks 1\n").as_deref(), Some("2: skip_rbl_checks 1"));
    assert_eq!(off("skip_rbl_checks 1\nskip_rbl_checks 0\n"), None);
    assert_eq!(off("dns_available no\n").as_deref(), Some("1: dns_available no"));
    assert_eq!(off("trusted_networks 10/8\n"), None);
    assert_eq!(off("internal_networks 0.0.0.0/0\n").as_deref(), Some("1: internal_networks 0.0.0.0/0"));
    let spamd = |line: &str| spamassassin::started("d", line).map(|idle| idle.at);
    assert_eq!(spamd("# x\nOPTIONS=\"--create-prefs --local --max-children 5\"\n").as_deref(), Some("d:2"));
    assert_eq!(spamd("OPTIONS=\"-L\"\n").as_deref(), Some("d:1"));
    assert_eq!(spamd("OPTIONS=\"--create-prefs --helper-home-dir\"\n# OPTIONS=-L\n"), None);
}

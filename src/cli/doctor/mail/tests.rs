use std::net::Ipv4Addr;

use super::*;
use crate::config::Config;

/// What `gatepost up` serves: every use, combined and alone.
fn wiring() -> Wiring {
    let feeds = crate::feed::catalogue::load(None).unwrap();
    let suffix = "gatepost.internal".parse().unwrap();
    let config = Config::for_up("state".into(), &suffix, &feeds, Vec::new()).unwrap();
    Wiring::of(&config, |_| None).unwrap()
}

fn findings(program: Program, text: &str) -> Vec<&'static str> {
    let mentions = read(program, Path::new("a.conf"), text);
    judge(&mentions, &wiring(), Some([8, 8, 8, 8].into())).iter().map(Check::name).collect()
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
        let mentions = read(program, Path::new("a.conf"), &text);
        assert!(mentions.len() >= least, "{program:?}: {mentions:#?}");
        assert_eq!(judge(&mentions, &wiring(), Some([8, 8, 8, 8].into())), [], "{program:?}");
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
    // For null senders alone it is what it is for.
    let class = format!(
        "b = {filter}\nsmtpd_recipient_restrictions =\n # no\n check_sender_access inline:{{{{<> = b}}}}\n"
    );
    assert_eq!(findings(Program::Postfix, &class), [""; 0]);
    assert_eq!(
        findings(Program::Postfix, "postscreen_dnsbl_sites = block.gatepost.internal*3\n"),
        ["mail-no-filter"]
    );
}

#[test]
fn exim_with_mistakes() {
    let acl =
        |condition: &str| findings(Program::Exim, &format!("acl_check_rcpt:\n  deny\n    {condition}\n"));
    assert_eq!(acl("dnslists = block.gatepost.internal"), ["mail-no-filter"]);
    assert_eq!(acl("dnslists = block.gatepost.internal!=127.255.255.254"), ["mail-no-filter"]);
    assert_eq!(
        acl("dnslists = block.gatepost.internal=127.0.2.2 : \\\n   dnsbl.sorbs.net=127.0.0.2"),
        ["mail-retired"]
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
    assert_eq!(findings(Program::Rspamd, &rule("returncodes { MINE = \"127.0.2.2\"; }\n")), [""; 0]);
    let header = |name: &str, sub: &str| {
        let text = format!("header {name} eval:check_rbl('mine', 'block.gatepost.internal.'{sub})\n");
        findings(Program::Spamassassin, &text)
    };
    assert_eq!(header("MINE", ""), ["mail-no-filter"]);
    assert_eq!(header("__MINE", ""), [""; 0]);
    assert_eq!(header("MINE", ", '127.0.2.2'"), [""; 0]);
    let links = findings(Program::Spamassassin, "urirhsbl MINE multi.surbl.org. A\n");
    assert_eq!(links, ["mail-no-filter"]);
}

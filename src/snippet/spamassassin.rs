//! SpamAssassin: rules with sub-tests for the codes, and scores.

use super::codes::expression;
use super::rspamd::symbol;
use super::text::Text;
use super::wiring::{Asked, Wiring};
use crate::config::Code;
use crate::model::Use;

/// Above the 5 from which mail is spam.
const BLOCK: f64 = 6.0;
const ALLOW: f64 = -5.0;
/// What score lists score, each and all together: less than that.
const SCORE: f64 = 1.5;
const SCORES: f64 = 4.9;
const NULL_SENDER: &str = "__GATEPOST_NULL_SENDER";

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text = Text::new(
        "#",
        "spamassassin",
        "SpamAssassin: what gatepost lists scores. For /etc/spamassassin/gatepost.cf.",
    );
    text.note("It marks, and whoever calls it rejects. The client is the last relay outside trusted_networks and internal_networks.");
    text.note("Restart that then (spamd, amavis, a milter): it reads this when it starts, while the test below is a program of its own.");
    text.note("amavis goes by levels of its own ($sa_tag2_level_deflt, $sa_kill_level_deflt), which must not be above these scores (Debian's are 6.31),");
    text.note("and Debian's calls SpamAssassin only where @bypass_spam_checks_maps is taken into use (/etc/amavis/conf.d/15-content_filter_mode).");
    text.mail_test("spamassassin -D dns -t < a.mail that came from there: GATEPOST_… among its tests.");
    text.legend(wiring);
    // What a person blocks stays blocked, whatever allow lists say.
    let allowing: Vec<String> =
        wiring.addresses(Use::Allow).map(|asked| named(&asked, Use::Allow, false)).collect();
    let always = BLOCK - ALLOW * allowing.len() as f64;
    let weighing = wiring.addresses(Use::Score).count() + wiring.names(Use::Score).count();
    // In tenths, which is what is written.
    let score = SCORE.min((10.0 * SCORES / weighing as f64).floor() / 10.0);
    let (by_address, by_name) = (wiring.rejecting(false), wiring.rejecting(true));
    for asked in by_address.always {
        addresses(&mut text, &asked, Use::Block, always, &[]);
    }
    for asked in by_address.unless_allowed {
        addresses(&mut text, &asked, Use::Block, BLOCK, &allowing);
    }
    for asked in by_name.always {
        names(&mut text, &asked, Use::Block, always, &[]);
    }
    for asked in by_name.unless_allowed {
        names(&mut text, &asked, Use::Block, BLOCK, &allowing);
    }
    let mut null_sender = false;
    for (use_, score) in [(Use::Score, score), (Use::Allow, ALLOW), (Use::Bounce, BLOCK)] {
        for asked in wiring.addresses(use_) {
            if use_ == Use::Bounce && !null_sender {
                null_sender = true;
                text.line(&format!("\nheader   {NULL_SENDER} Return-Path =~ /<>/"));
            }
            let unless = if use_ == Use::Bounce { &allowing[..] } else { &[] };
            addresses(&mut text, &asked, use_, score, unless);
        }
        for asked in wiring.names(use_).filter(|_| use_ == Use::Score) {
            names(&mut text, &asked, use_, score, &[]);
        }
    }
    text.end()
}

/// Behind a condition: whoever is on an allow list is on no other, whatever that scores. `""` where there is none.
fn unless(allowing: &[String]) -> String {
    match allowing {
        [] => String::new(),
        [allow] => format!(" && !{allow}"),
        all => format!(" && !({})", all.join(" || ")),
    }
}

/// With an ending of its own for what a person blocks, where that is apart.
fn named(asked: &Asked<'_>, use_: Use, names: bool) -> String {
    let is_decided = use_ == Use::Block && asked.codes.keys().all(|code| *code == Code::OVERLAY);
    symbol(asked, use_, names) + if is_decided { "_DECIDED" } else { "" }
}

fn addresses(text: &mut Text, asked: &Asked<'_>, use_: Use, score: f64, allowing: &[String]) {
    let (zone, symbol) = (&asked.zone.origin, named(asked, use_, false));
    let set = format!("{}-lastexternal", symbol.to_ascii_lowercase());
    let filter = expression(asked.codes.keys());
    // Where more has to hold the listing itself scores nothing, what is made of it does.
    let mut more = unless(allowing);
    if use_ == Use::Bounce {
        more.insert_str(0, &format!(" && {NULL_SENDER}"));
    }
    let rule = if more.is_empty() { symbol.clone() } else { format!("__{symbol}") };
    text.line(&format!("\nheader   __{symbol}_ANY eval:check_rbl('{set}', '{zone}.')"));
    text.line(&format!("tflags   __{symbol}_ANY net"));
    text.line(&format!("header   {rule} eval:check_rbl_sub('{set}', '{filter}')"));
    text.line(&format!("tflags   {rule} net{}", if use_ == Use::Allow { " nice" } else { "" }));
    if rule != symbol {
        text.line(&format!("meta     {symbol} {rule}{more}"));
        text.line(&format!("tflags   {symbol} net"));
    }
    text.line(&format!("describe {symbol} Listed by gatepost in {}", shortened(&zone.to_string())));
    text.line(&format!("score    {symbol} {score:.1}"));
}

/// Domains of links: a rule for each code, since a sub-test there is one code.
fn names(text: &mut Text, asked: &Asked<'_>, use_: Use, score: f64, allowing: &[String]) {
    let (zone, symbol) = (&asked.zone.origin, named(asked, use_, true));
    let mut rules = Vec::new();
    text.line("");
    for code in asked.codes.keys() {
        let rule = format!("__{symbol}_{}", code.to_string().replace('.', "_"));
        text.line(&format!("urirhssub {rule} {zone}. A {code}"));
        text.line(&format!("body     {rule} eval:check_uridnsbl('{rule}')"));
        text.line(&format!("tflags   {rule} net notrim"));
        rules.push(rule);
    }
    let listed = rules.join(" || ");
    text.line(&match unless(allowing) {
        more if more.is_empty() => format!("meta     {symbol} {listed}"),
        more => format!("meta     {symbol} ({listed}){more}"),
    });
    text.line(&format!("tflags   {symbol} net"));
    text.line(&format!(
        "describe {symbol} A link's domain is listed by gatepost in {}",
        shortened(&zone.to_string())
    ));
    text.line(&format!("score    {symbol} {score:.1}"));
}

/// SpamAssassin wants descriptions short.
fn shortened(zone: &str) -> &str {
    zone.get(..40).unwrap_or(zone)
}

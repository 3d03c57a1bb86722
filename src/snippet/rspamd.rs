//! rspamd: rules of its `rbl` module, weights, and the action that block lists force.

use super::text::{TRIED, Text};
use super::wiring::{Asked, Wiring};
use crate::model::Use;

/// What brings the text in: of blocks that stand side by side rspamd looks at the last alone.
pub(crate) const INCLUDE: &str =
    ".include(try=true,priority=1,duplicate=merge) \"$LOCAL_CONFDIR/gatepost.conf\"";

/// What a listing weighs, by use; rspamd's own actions begin at 4 (greylist), 6 (mark) and [`REJECT`].
const BLOCK: f64 = 8.0;
pub(crate) const SCORE: f64 = 2.0;
/// What rejects, as rspamd comes: the weights are made for that.
pub(crate) const REJECT: f64 = 15.0;
const ALLOW: f64 = -5.0;

pub(crate) fn text(wiring: &Wiring) -> String {
    let mut text =
        Text::new("#", "rspamd", "rspamd: addresses on block lists are rejected, other listings weigh.");
    text.note("For a file of its own, /etc/rspamd/gatepost.conf, and for /etc/rspamd/rspamd.conf.local this line, which has it merged with the rest:");
    text.note(INCLUDE);
    text.note("(In rspamd.conf.local itself these rules would take the place of all others: rspamd asks no list of its own any more.)");
    text.note("Own networks with public addresses (mynetworks of Postfix) it does not know: local_addrs = [\"192.0.2.0/24\"]; in /etc/rspamd/local.d/options.inc.");
    text.note("Then restart rspamd: it reads this when it starts.");
    text.mail_test(&format!("rspamc --ip {TRIED} symbols < a.mail: action reject."));
    text.legend(wiring);
    text.line("");

    text.line("rbl {\n  rbls {");
    let rules = rules(wiring);
    rules.iter().for_each(|rule| rule.write(&mut text));
    text.line("  }\n}");

    text.line("\ngroup \"gatepost\" {\n  symbols {");
    for rule in &rules {
        text.line(&format!("    {:?} {{ weight = {:.1}; one_shot = true; }}", rule.symbol, rule.weight()));
    }
    text.line("  }\n}");

    let allow = rules.iter().filter(|rule| rule.use_ == Use::Allow && !rule.names);
    let unless: String = allow.map(|rule| format!(" & !{}", rule.symbol)).collect();
    if !rules.iter().any(|rule| !rule.names && matches!(rule.use_, Use::Block | Use::Bounce)) {
        return text.end();
    }
    text.line("\nforce_actions {\n  rules {");
    for rule in rules.iter().filter(|rule| !rule.names) {
        match rule.use_ {
            Use::Block if rule.always => rule.reject(&mut text, ""),
            Use::Block => rule.reject(&mut text, &unless),
            // rspamd's own symbol for mail with a null sender that looks like a bounce.
            Use::Bounce => rule.reject(&mut text, &format!(" & BOUNCE{unless}")),
            Use::Score | Use::Allow => {}
        }
    }
    text.line("  }\n}");
    text.end()
}

struct Rule<'a> {
    asked: Asked<'a>,
    use_: Use,
    names: bool,
    /// Whatever allow lists say: rspamd does not ask at all for what one has, unless it is told to.
    always: bool,
    checks: &'static str,
    symbol: String,
}

/// What is looked up in a zone of names, each by a rule of its own: where the client has no name or said none, rspamd leaves out a
/// rule that would check it, with all else that the rule would check.
const NAMES: [(&str, &str); 3] =
    [("", r#""urls", "emails""#), ("_HELO", r#""helo""#), ("_RDNS", r#""rdns""#)];

fn rules(wiring: &Wiring) -> Vec<Rule<'_>> {
    let mut rules = Vec::new();
    for use_ in [Use::Allow, Use::Block, Use::Score, Use::Bounce] {
        for names in [false, true] {
            let rejecting = wiring.rejecting(names);
            let (always, others): (Vec<_>, Vec<_>) = match (use_, names) {
                (Use::Block, _) => (rejecting.always, rejecting.unless_allowed),
                (_, true) => (Vec::new(), wiring.names(use_).collect()),
                (_, false) => (Vec::new(), wiring.addresses(use_).collect()),
            };
            for (asked, always) in others
                .into_iter()
                .map(|asked| (asked, false))
                .chain(always.into_iter().map(|asked| (asked, true)))
            {
                let symbol = symbol(&asked, use_, names) + if always { "_DECIDED" } else { "" };
                let rule = |what: &str, checks| Rule {
                    asked: asked.clone(),
                    use_,
                    names,
                    always,
                    checks,
                    symbol: symbol.clone() + what,
                };
                match names {
                    // What a client says and what a mail links to is anybody's word: it speaks for nobody.
                    true if use_ == Use::Allow => rules.push(rule("_RDNS", r#""rdns""#)),
                    true => rules.extend(NAMES.map(|(what, checks)| rule(what, checks))),
                    false => rules.push(rule("", r#""from""#)),
                }
            }
        }
    }
    rules
}

/// The zone's word, and what makes it another one where a zone has more than one rule.
pub(crate) fn symbol(asked: &Asked<'_>, use_: Use, names: bool) -> String {
    let zone = asked.zone;
    let mut symbol = format!("GATEPOST_{}", zone.tag);
    if zone.codes.len() > 1 {
        symbol.push('_');
        symbol.push_str(&use_.to_string().to_ascii_uppercase());
    }
    if names && zone.addresses {
        symbol.push_str("_NAMES");
    }
    symbol
}

impl Rule<'_> {
    fn weight(&self) -> f64 {
        match self.use_ {
            Use::Block => BLOCK,
            Use::Score => SCORE,
            // Alone it says nothing.
            Use::Bounce => 0.0,
            Use::Allow => ALLOW,
        }
    }

    fn write(&self, text: &mut Text) {
        text.line(&format!("    {} {{", self.symbol.to_ascii_lowercase()));
        text.line(&format!("      symbol = \"{}_OTHER\";", self.symbol));
        text.line(&format!("      rbl = \"{}\";", self.asked.zone.origin));
        text.line(&format!("      checks = [{}];", self.checks));
        if self.checks.contains("emails") {
            text.line("      emails_domainonly = true;");
        }
        if self.use_ == Use::Allow {
            text.line("      is_whitelist = true;");
        }
        if self.always {
            text.line("      ignore_whitelist = true;");
        }
        text.line("      exclude_users = true;\n      exclude_local = true;");
        text.line("      unknown = false;");
        let codes: Vec<String> = self.asked.codes.keys().map(|code| format!("\"{code}\"")).collect();
        text.line(&format!("      returncodes {{ {} = [{}]; }}", self.symbol, codes.join(", ")));
        text.line("    }");
    }

    /// Rejects what the rule finds and `more` lets through.
    fn reject(&self, text: &mut Text, more: &str) {
        text.line(&format!("    {} {{", self.symbol));
        text.line("      action = \"reject\";");
        text.line(&format!("      expression = \"{}{more}\";", self.symbol));
        text.line(&format!(
            "      message = \"Service unavailable; client blocked using {}\";",
            self.asked.zone.origin
        ));
        text.line("    }");
    }
}

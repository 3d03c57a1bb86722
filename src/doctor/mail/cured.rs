//! What is to be pasted in the place of a use of a zone that is wrong: what `snippet` prints for that zone, whole enough to do by itself what
//! it is for. Exim's are in `statement`. Pure.

use std::collections::BTreeSet;

use super::super::cure;
use super::super::finding::Cure;
use super::{Does, Mention};
use crate::model::{Name, Use};
use crate::snippet::wiring::{LeftOut, Wiring};
use crate::snippet::{Program, postscreen};

/// `mentions` are all uses that there are, `threshold` is postscreen's, where it is set. `None`: the text has nothing for that zone.
pub(super) fn cure(
    mention: &Mention,
    mentions: &[Mention],
    wiring: &Wiring,
    threshold: Option<i64>,
) -> Option<Cure> {
    let within = wiring.left_out.iter().find_map(|(origin, why)| match why {
        LeftOut::Within(wider) if *origin == mention.zone => Some(wider),
        _ => None,
    });
    let zone = within.unwrap_or(&mention.zone);
    if mention.at.contains("postscreen_") {
        let is_asked = Program::Postscreen.text(wiring).ok()?.contains(&format!(" {zone}="));
        return is_asked.then(|| sites(wiring, threshold));
    }
    let text = mention.program.text(wiring).ok()?;
    let is_bounce = |zone: &Name| wiring.addresses(Use::Bounce).any(|asked| asked.zone.origin == *zone);
    let asked = lines(&text, zone, mention.does);
    let (how, lines) = match mention.program {
        Program::Rspamd => (
            "in /etc/rspamd/gatepost.conf, in the place of all that asks gatepost there, with the line `.include` of `gatepost snippet rspamd` in \
             rspamd.conf.local; and your own rules for its zones out of other files",
            rspamd(mentions, zone, wiring),
        ),
        Program::Spamassassin => ("these rules in the place of yours", spamassassin(&text, zone)),
        _ if mention.does == Does::Reject && is_bounce(zone) && asked.is_empty() => (
            "take it out there; these lines but the last are for main.cf (a class beside yours, where you have some), and the last is \
             for the end of smtpd_recipient_restrictions",
            class(&text),
        ),
        _ if text.contains("permit_dnswl_client") => (
            "in the place of all that asks this zone there; what has 127.0.2.2 (what a person blocks) goes before permit_dnswl_client, \
             where you have that, the others behind it",
            asked,
        ),
        _ => ("in the place of all that asks this zone there", asked),
    };
    (!lines.is_empty()).then(|| Cure { how: format!("{}: {how}", cure::name(mention.program)), lines })
}

/// All sites, with weights that fit the threshold: what one weighs says nothing but beside the others.
pub(super) fn sites(wiring: &Wiring, threshold: Option<i64>) -> Cure {
    let least = postscreen::enough(wiring);
    let mut how =
        "in main.cf, in the place of those of your sites that ask gatepost, and `postfix reload`".to_owned();
    let set = threshold.and_then(|threshold| usize::try_from(threshold).ok()).filter(|set| *set > 0);
    let unset = set.is_none();
    let set = set.unwrap_or(1);
    // Score lists together weigh less than the threshold: it may have to be raised, and other sites with it.
    let times = least.div_ceil(set);
    let enough = set * times;
    let mut lines = vec!["postscreen_dnsbl_sites =".to_owned()];
    lines.extend(postscreen::sites(wiring, enough).iter().map(|site| format!("    {site},")));
    if unset || times > 1 {
        lines.push(format!("postscreen_dnsbl_threshold = {enough}"));
    }
    if times > 1 {
        how += &format!("; your other sites have to weigh {times} times what they do now");
    }
    Cure { how: format!("Postfix: {how}"), lines: lines.join("\n") }
}

/// The lines that ask the zone for what the use is good for. What stands in the class is for null senders alone, and refuses everybody
/// elsewhere.
fn lines(text: &str, zone: &Name, does: Does) -> String {
    let (mut of_bounces, mut of_all, mut of_allowed) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_in_class = false;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if !line.starts_with(' ') {
            is_in_class = line.starts_with("gatepost_bounce ");
        }
        if line.contains(&format!(" {zone}=")) {
            let lines = match line.trim_start().starts_with("permit_") {
                true => &mut of_allowed,
                false if is_in_class => &mut of_bounces,
                false => &mut of_all,
            };
            // As they stand there: what begins a line is no part of a list in main.cf.
            lines.push(format!("{},", line.trim_end_matches(',')));
        }
    }
    let lines = match does {
        Does::Let if !of_allowed.is_empty() => of_allowed,
        // Block lists are good for null senders, too.
        Does::RejectBounces if !of_bounces.is_empty() => of_bounces,
        _ if !of_all.is_empty() => of_all,
        // A zone that is used for what it is not good for: what it is good for.
        _ => of_allowed,
    };
    lines.join("\n")
}

/// Postfix's class for null senders, and what names it.
fn class(text: &str) -> String {
    let class = text.lines().skip_while(|line| !line.starts_with("smtpd_restriction_classes"));
    let class = class.take_while(|line| !line.starts_with("smtpd_recipient_restrictions"));
    let names = text.lines().filter(|line| line.contains("check_sender_access"));
    class.chain(names).collect::<Vec<_>>().join("\n")
}

/// Rules with what looks for the codes, and their scores; and the rules of which they are made, too.
fn spamassassin(text: &str, zone: &Name) -> String {
    let parts: Vec<&str> = parts(text).collect();
    let asks = |part: &&&str| part.contains(&format!("'{zone}.'")) || part.contains(&format!(" {zone}. "));
    let mut rules: Vec<&str> = parts.iter().filter(asks).copied().collect();
    let metas = rules.iter().flat_map(|rule| rule.lines()).filter(|line| line.starts_with("meta"));
    let named: BTreeSet<&str> =
        metas.flat_map(|meta| meta.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')).collect();
    let defines = |part: &&&str| {
        let defined = part.lines().filter(|line| line.starts_with("header") || line.starts_with("meta"));
        let mut defined = defined.filter_map(|line| line.split_whitespace().nth(1));
        !rules.contains(part) && defined.any(|rule| named.contains(rule))
    };
    let more: Vec<&str> = parts.iter().filter(defines).copied().collect();
    rules.extend(more);
    rules.join("\n\n")
}

/// All that is printed for SpamAssassin.
pub(super) fn whole_spamassassin(wiring: &Wiring) -> Cure {
    let text = Program::Spamassassin.text(wiring).unwrap_or_default();
    Cure {
        how: "SpamAssassin: in /etc/spamassassin/gatepost.cf, in the place of all that asks gatepost there, and restart what calls it"
            .to_owned(),
        lines: parts(&text).collect::<Vec<_>>().join("\n\n"),
    }
}

/// What stands between empty lines.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split("\n\n").map(str::trim).filter(|part| !part.is_empty() && !part.starts_with('#'))
}

/// The whole text for the zones that are asked: where a section stands twice in a file, rspamd looks at one of the two.
fn rspamd(mentions: &[Mention], zone: &Name, wiring: &Wiring) -> String {
    let of_rspamd = |mention: &&Mention| mention.program == Program::Rspamd;
    let mut asked = wiring.clone();
    asked.zones.retain(|wired| {
        wired.origin == *zone || mentions.iter().filter(of_rspamd).any(|mention| mention.zone == wired.origin)
    });
    let text = Program::Rspamd.text(&asked).unwrap_or_default();
    if !text.contains(&format!("rbl = \"{zone}\";")) {
        return String::new();
    }
    parts(&text).collect::<Vec<_>>().join("\n\n")
}

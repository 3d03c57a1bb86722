//! The statements of Exim's ACLs that ask lists, and those of them that nobody comes to. Pure.

use super::super::super::finding::Cure;
use super::super::statement::{List, REFUSING, Statement as Whole};
use super::super::{Does, Idle, Mention};
use super::calls::{Means, called, means, reach};
use super::{Line, Uses, decided, items, mention, mild, never, own_people, relays, sparing, taken};
use crate::snippet::Program;

pub(super) const VERBS: [&str; 7] = ["accept", "defer", "deny", "discard", "drop", "require", "warn"];
/// Of whomever their conditions hold for nothing more is asked.
const FINAL: [&str; 5] = ["accept", "defer", "deny", "discard", "drop"];
/// What stands in a statement and is no condition.
const MODIFIERS: [&str; 13] = [
    "add_header",
    "continue",
    "control",
    "delay",
    "endpass",
    "log_message",
    "log_reject_target",
    "logwrite",
    "message",
    "queue",
    "remove_header",
    "set",
    "udpsend",
];

/// A verb with its conditions.
pub(super) struct Statement<'a> {
    pub(super) verb: &'a str,
    pub(super) conditions: Vec<(&'a str, &'a str)>,
    pub(super) at: &'a str,
    /// What comes of what its ACL says.
    pub(super) means: Means,
}

/// The statements below a label.
#[derive(Default)]
pub(super) struct Acl<'a> {
    /// Nothing in a file that stands in one.
    pub(super) name: Option<&'a str>,
    pub(super) statements: Vec<Statement<'a>>,
}

impl<'a> Acl<'a> {
    /// Those that somebody comes to who comes to it.
    pub(super) fn reached(&self) -> &[Statement<'a>] {
        let end = self.statements.iter().position(ends).map_or(self.statements.len(), |end| end + 1);
        &self.statements[..end]
    }
}

/// Statements behind one that takes the mail that they ask lists for.
struct Late<'a> {
    taker: &'a Statement<'a>,
    whose: String,
    statements: Vec<&'a Statement<'a>>,
}

/// What asks, and what would if somebody came to it.
pub(super) fn uses(lines: &[Line]) -> Uses {
    let acls = acls(lines);
    let mut uses = Uses::default();
    let mut for_nobody: Vec<Idle> = Vec::new();
    let mut all_late: Vec<Late<'_>> = Vec::new();
    let mut in_time: Vec<Mention> = Vec::new();
    let reaches = reach(&acls, lines);
    // What asks by an ACL that somebody comes to otherwise is nothing that is missed.
    let is_missed = |statement: &&Statement<'_>| {
        let is_reached =
            |name| acls.iter().zip(&reaches).any(|(acl, reach)| acl.name == Some(name) && reach.is_reached);
        !of(&lists(statement)).is_empty() || !called(statement).any(is_reached)
    };
    for (acl, reach) in acls.iter().zip(&reaches) {
        let nobody_calls = acl.name.filter(|name| is_uncalled(name, lines));
        let before = acl.reached();
        let behind: Vec<&Statement<'_>> = acl.statements[before.len()..].iter().filter(is_missed).collect();
        if let Some(name) = nobody_calls {
            uses.idle.extend(uncalled(
                name,
                &acl.statements.iter().filter(is_missed).collect::<Vec<_>>(),
                &acls,
            ));
            continue;
        }
        // Told where it is called.
        if !reach.is_reached {
            continue;
        }
        uses.idle.extend(sparing::denied(acl, &acls, lines));
        let mut late: Option<Late<'_>> = None;
        for statement in before {
            let lists = lists(statement);
            let mentions = of(&lists);
            match never::holds(statement, &acls, lines).filter(|_| !mentions.is_empty()) {
                Some(why) => for_nobody.extend(why.idle(&mentions)),
                None => {
                    match &mut late {
                        Some(late) => late.statements.push(statement),
                        None if reach.is_in_time => in_time.extend(mentions.iter().cloned()),
                        None => {}
                    }
                    uses.idle.extend(mild::for_a_while(statement, &mentions));
                    uses.mentions.extend(mentions);
                    let only_marks = mild::only_marks(statement);
                    uses.statements.push(Whole {
                        verb: statement.means.verb(statement.verb).to_owned(),
                        at: statement.at.to_owned(),
                        conditions: statement.conditions.iter().map(|(_, text)| (*text).to_owned()).collect(),
                        only_marks,
                        lists,
                    });
                }
            }
            let taker = |whose| Late { taker: statement, whose, statements: Vec::new() };
            late = late.or_else(|| taken::whose(statement, lines).map(taker));
        }
        // Of what is called too late that is told, where it is called.
        all_late.extend(late.filter(|_| reach.is_in_time));
        uses.idle.extend(before.last().and_then(|end| unreached(end, &behind, &acls)));
    }
    uses.statements.retain(|statement| !statement.lists.is_empty());
    // What asks for one's own hosts, say, beside what asks for all is nothing that is missed.
    for_nobody.retain(|idle| {
        let is_asked = |zone: &crate::model::Name| uses.mentions.iter().any(|mention| mention.zone == *zone);
        !idle.zones.iter().all(is_asked)
    });
    uses.idle.extend(for_nobody);
    uses.idle.extend(all_late.into_iter().filter_map(|late| too_late(late, &in_time, &acls)));
    let mut overruled = decided::overruled(&acls, lines);
    uses.troubles = relays::open(&acls, lines);
    // The cure of those has what would be missed.
    overruled.retain(|trouble| uses.troubles.iter().all(|other| other.at != trouble.at));
    uses.troubles.extend(own_people::refused(&acls, lines));
    uses.troubles.extend(overruled);
    uses
}

/// Each with what comes of what it says.
fn acls(lines: &[Line]) -> Vec<Acl<'_>> {
    let mut acls = parted(lines);
    let all = means(&acls, lines);
    for (acl, means) in acls.iter_mut().zip(all) {
        acl.statements.iter_mut().for_each(|statement| statement.means = means);
    }
    acls
}

/// By their labels; what stands outside of the section for them is none, where there is one.
fn parted(lines: &[Line]) -> Vec<Acl<'_>> {
    let mut acls = vec![Acl::default()];
    let has_sections = lines.iter().any(|line| line.text.split_whitespace().eq(["begin", "acl"]));
    let mut is_acl = !has_sections;
    for line in lines {
        if let Some(section) = line.text.strip_prefix("begin ") {
            is_acl = section.trim() == "acl";
            continue;
        }
        if !is_acl {
            continue;
        }
        if let Some(name) = label(&line.text) {
            acls.push(Acl { name: Some(name).filter(|_| has_sections), statements: Vec::new() });
            continue;
        }
        let word = line.text.split_whitespace().next().unwrap_or_default();
        if word.is_empty() {
            continue;
        }
        let statements = &mut acls.last_mut().expect("one at least").statements;
        let is_verb = VERBS.contains(&word);
        if is_verb || statements.is_empty() {
            let verb = if is_verb { word } else { "warn" };
            statements.push(Statement {
                verb,
                conditions: Vec::new(),
                at: &line.at,
                means: Means::default(),
            });
        }
        let condition = strip_verb(&line.text);
        let last = statements.last_mut().expect("one at least");
        last.conditions.extend(Some((line.at.as_str(), condition)).filter(|_| !condition.is_empty()));
    }
    acls
}

/// A condition without the verb that may stand before it.
pub(super) fn strip_verb(line: &str) -> &str {
    let word = line.split_whitespace().next().unwrap_or_default();
    if VERBS.contains(&word) { line[word.len()..].trim_start() } else { line }
}

/// `NAME:`
pub(super) fn label(line: &str) -> Option<&str> {
    let name = line.strip_suffix(':')?.trim_end();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}

/// Whether no option and no condition names the ACL, as far as it can be told.
fn is_uncalled(name: &str, lines: &[Line]) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let option = |line: &&Line| line.text.starts_with("acl_");
    // What is made when mail comes may be any name, or a file.
    let is_open = |line: &Line| line.text.contains('$') || line.text.contains('/');
    let mut named = lines.iter().filter(|line| label(&line.text).is_none());
    !lines.iter().filter(option).any(is_open)
        && !named.any(|line| line.text.split(|c| !is_word(c)).any(|word| word == name))
}

/// ACLs within ACLs.
const DEPTH: usize = 8;

/// The questions of a statement, and of ACLs that it calls.
fn asked(statement: &Statement<'_>, acls: &[Acl<'_>]) -> Vec<Mention> {
    asked_within(statement, acls, DEPTH)
}

fn asked_within(statement: &Statement<'_>, acls: &[Acl<'_>], depth: usize) -> Vec<Mention> {
    let mut mentions = of(&lists(statement));
    for name in called(statement).filter(|_| depth > 0) {
        let within = acls.iter().filter(|acl| acl.name == Some(name)).flat_map(Acl::reached);
        mentions.extend(within.flat_map(|statement| asked_within(statement, acls, depth - 1)));
    }
    mentions
}

pub(super) fn of(lists: &[List]) -> Vec<Mention> {
    lists.iter().flat_map(|list| &list.items).filter_map(|(_, mention)| mention.clone()).collect()
}

/// Its conditions that ask.
pub(super) fn lists(statement: &Statement<'_>) -> Vec<List> {
    let mut lists = Vec::new();
    for (name, is_negated) in [("!dnslists", true), ("dnslists", false)] {
        let does = does(statement, is_negated);
        for (at, value) in values(statement, name) {
            let is_parted_otherwise = value.starts_with('<');
            let item = |item: &str| {
                // Written again it stands between colons.
                let text = if is_parted_otherwise { item.replace(':', "::") } else { item.to_owned() };
                (text, mention(at, item, does))
            };
            let items = items(value).filter(|item| !item.is_empty()).map(item).collect();
            lists.push(List { at: at.to_owned(), is_negated, items });
        }
    }
    lists
}

/// What becomes of whom a list has.
fn does(statement: &Statement<'_>, is_negated: bool) -> Does {
    // An empty sender alone.
    let of_bounces = || values(statement, "senders").any(|(_, value)| value == ":");
    match (statement.verb, is_negated) {
        ("accept", false) => statement.means.accepted,
        _ if !statement.means.is_refusing => Does::Weigh,
        (verb, true) if REFUSING.contains(&verb) => Does::Let,
        (verb, false) if REFUSING.contains(&verb) && of_bounces() => Does::RejectBounces,
        (verb, false) if REFUSING.contains(&verb) => Does::Reject,
        ("require", true) => Does::Reject,
        _ => Does::Weigh,
    }
}

/// Of the conditions of this name.
pub(super) fn values<'a>(
    statement: &'a Statement<'_>,
    name: &'static str,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    statement.conditions.iter().filter_map(move |(at, condition)| {
        let (found, value) = condition.split_once('=')?;
        (found.trim() == name).then_some((*at, value.trim()))
    })
}

/// Whether nobody comes to what stands behind the statement.
fn ends(statement: &Statement<'_>) -> bool {
    FINAL.contains(&statement.verb)
        && statement.conditions.iter().all(|(_, condition)| holds_always(condition))
}

fn holds_always(condition: &str) -> bool {
    let (name, value) = condition.split_once('=').unwrap_or((condition, ""));
    match (name.trim(), value.trim()) {
        ("domains" | "hosts" | "local_parts" | "recipients" | "sender_domains" | "senders", value) => {
            value == "*"
        }
        ("condition", value) => matches!(value, "true" | "yes" | "1"),
        (name, _) => is_modifier(name),
    }
}

pub(super) fn is_modifier(name: &str) -> bool {
    name.split_whitespace().next().is_some_and(|word| MODIFIERS.contains(&word))
}

/// What is asked `in_time`, by any ACL and for the same, is not missed where mail has been taken.
fn too_late(late: Late<'_>, in_time: &[Mention], acls: &[Acl<'_>]) -> Option<Idle> {
    let Late { taker, whose, mut statements } = late;
    let is_missed = |mention: &Mention| {
        !in_time.iter().any(|other| other.zone == mention.zone && other.does == mention.does)
    };
    statements.retain(|statement| asked(statement, acls).iter().any(is_missed));
    let conditions = taker.conditions.iter().filter(|(_, condition)| {
        let name = condition.split('=').next().unwrap_or_default().trim();
        !is_modifier(name) || name == "endpass"
    });
    let conditions: String = conditions.map(|(_, condition)| format!(" {condition}")).collect();
    let cause = format!(
        "`accept{conditions}` at {} stands before it and takes the mail of {whose}, listed or not",
        taker.at
    );
    let how = format!(
        "move these statements up, before the `accept` at {}; what lets your own people pass belongs before them",
        taker.at
    );
    let idle = idle(&statements, acls, cause, how)?;
    Some(Idle { matters: true, ..idle })
}

fn unreached(end: &Statement<'_>, behind: &[&Statement<'_>], acls: &[Acl<'_>]) -> Option<Idle> {
    let cause =
        format!("`{}` at {} stands before it and holds for everybody: nobody comes as far", end.verb, end.at);
    let how =
        format!("move these statements before that `{}`, behind what lets your own people pass", end.verb);
    idle(behind, acls, cause, how)
}

/// To name an ACL that was never in use could let everybody in, or nobody.
fn uncalled(name: &str, statements: &[&Statement<'_>], acls: &[Acl<'_>]) -> Option<Idle> {
    let cause = format!("no option (acl_smtp_rcpt …) and no condition names the ACL {name}");
    let how =
        "move these statements into the ACL that acl_smtp_rcpt names, behind what lets your own people pass";
    idle(statements, acls, cause, how.to_owned())
}

pub(super) fn idle(
    statements: &[&Statement<'_>],
    acls: &[Acl<'_>],
    cause: String,
    how: String,
) -> Option<Idle> {
    let asking: Vec<&Statement<'_>> =
        statements.iter().copied().filter(|statement| !asked(statement, acls).is_empty()).collect();
    let mentions: Vec<Mention> = asking.iter().flat_map(|statement| asked(statement, acls)).collect();
    let at = mentions.first()?.at.clone();
    let calls = asking.iter().filter(|statement| of(&lists(statement)).is_empty());
    let calls: Vec<&str> = calls.map(|statement| statement.at).collect();
    let cause = match &calls[..] {
        [] => cause,
        calls => format!("{cause} (what asks is called at {})", calls.join(", ")),
    };
    let lines = asking.iter().map(|statement| {
        let conditions = statement.conditions.iter().map(|(_, condition)| format!("\n    {condition}"));
        format!("  {}{}", statement.verb, conditions.collect::<String>())
    });
    Some(Idle {
        program: Program::Exim,
        at,
        zones: mentions.into_iter().map(|mention| mention.zone).collect(),
        matters: false,
        cause,
        cure: Cure { how, lines: lines.collect::<Vec<_>>().join("\n\n") },
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Does, Uses, uses};

    /// How many uses there are, and what has no effect: where, why and what to move.
    fn told(text: &str) -> (usize, Vec<(String, String, String)>) {
        let Uses { mentions, idle, .. } = uses("e", text, &|_| None);
        let idle = idle.into_iter().map(|idle| (idle.at, idle.cause, idle.cure.lines));
        (mentions.len(), idle.collect())
    }

    const ASKS: &str = "  deny\n    dnslists = a.test=127.0.0.4 : b.test=127.0.0.4\n    message = no\n";

    fn acl(name: &str, before: &str) -> String {
        format!(
            "acl_smtp_rcpt = acl_check_rcpt\nbegin acl\n{name}:\n{before}{ASKS}  accept\nbegin routers\nr:\n  driver = accept\n"
        )
    }

    #[test]
    fn what_nobody_comes_to() {
        let ends = [
            "accept",
            "accept hosts = *",
            "accept\n    message = x\n    hosts = *",
            "deny",
            "drop condition = true",
            "accept endpass",
        ];
        for before in ends {
            let (number, idle) = told(&acl("acl_check_rcpt", &format!("  {before}\n")));
            let [(at, cause, lines)] = &idle[..] else { panic!("{before}: {idle:?}") };
            assert_eq!(
                (number, at.as_str()),
                (0, if before.contains('\n') { "e:8" } else { "e:6" }),
                "{before}"
            );
            assert!(cause.contains("at e:4 stands before it"), "{cause}");
            assert_eq!(lines.as_str(), ASKS.trim_end());
        }
        let goes_on = [
            "accept hosts = :",
            "accept hosts = +relay_from_hosts",
            "accept authenticated = *",
            "accept domains = +unfiltered\n    endpass",
            "warn",
            "require verify = sender",
            "deny !hosts = *",
        ];
        for before in goes_on {
            assert_eq!(told(&acl("acl_check_rcpt", &format!("  {before}\n"))), (2, vec![]), "{before}");
        }
        // Each ACL ends by itself; and a file that stands in one has no name.
        let other =
            acl("acl_check_rcpt", "").replace("begin acl\n", "begin acl\nacl_check_helo:\n  accept\n");
        assert_eq!(told(&other), (2, vec![]));
        assert_eq!(told(ASKS), (2, vec![]));
    }

    #[test]
    fn what_nobody_calls() {
        let (number, idle) = told(&acl("acl_lists", ""));
        assert_eq!((number, idle.len()), (0, 1));
        assert!(idle[0].1.contains("names the ACL acl_lists") && !idle[0].2.contains("acl_smtp"), "{idle:?}");
        let called = acl("acl_lists", "") + "begin acl\nacl_check_rcpt:\n  deny acl = acl_lists\n";
        assert_eq!(told(&called), (2, vec![]));
        // What is made when mail comes may name it.
        let made = acl("acl_lists", "").replace("= acl_check_rcpt", "= acl_${lc:LISTS}");
        assert_eq!(told(&made), (2, vec![]));
        let file = acl("acl_lists", "").replace("= acl_check_rcpt", "= /etc/exim/rcpt.acl");
        assert_eq!(told(&file), (2, vec![]));
    }

    /// ACLs that others call, and whether they come to them in time.
    #[test]
    fn what_is_called_too_late() {
        let calling = |main: &str| {
            told(&format!(
                "domainlist local_domains = vm.example\nacl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_lists:\n{ASKS}  accept\nacl_more:\n\
                 \x20 require acl = acl_lists\n  accept\nacl_check_rcpt:\n{main}  accept\n"
            ))
        };
        let takes = "  accept domains = +local_domains\n";
        for call in ["require acl = acl_lists", "deny !acl = acl_lists", "require\n    acl = acl_lists a b"] {
            assert_eq!(calling(&format!("  {call}\n{takes}")), (2, vec![]), "{call}");
            let (number, idle) = calling(&format!("{takes}  {call}\n"));
            let [(at, cause, lines)] = &idle[..] else { panic!("{call}: {idle:?}") };
            assert_eq!((number, at.as_str()), (2, "e:6"), "{call}");
            assert!(
                cause.contains(" at e:13 stands before it and takes the mail of strangers to local_domains"),
                "{cause}"
            );
            assert!(cause.contains("called at e:14"), "{cause}");
            assert_eq!(
                lines.split_whitespace().collect::<Vec<_>>(),
                call.split_whitespace().collect::<Vec<_>>()
            );
        }
        // Through another one; from two places; and where nobody comes at all.
        let through = "  require acl = acl_more\n";
        assert_eq!(calling(&format!("{through}{takes}")), (2, vec![]));
        assert_eq!(calling(&format!("{takes}{through}")).1.len(), 1);
        assert_eq!(calling(&format!("  require acl = acl_lists\n{takes}{through}")), (2, vec![]));
        let (number, idle) = calling(&format!("  accept\n{through}"));
        assert_eq!((number, idle.len()), (0, 1), "{idle:?}");
        // What an option or another condition names is come to otherwise.
        assert_eq!(
            calling(&format!("{takes}  require acl = ${{if x{{acl_lists}}{{acl_more}}}}\n")),
            (2, vec![])
        );
    }

    #[test]
    fn what_a_called_one_accepts_is_refused() {
        let does = |call: &str| {
            let text = format!(
                "acl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_listed:\n  accept dnslists = a.test=127.0.0.4\nacl_check_rcpt:\n  {call}\n  accept\n"
            );
            uses("e", &text, &|_| None).mentions.into_iter().map(|mention| mention.does).collect::<Vec<_>>()
        };
        assert_eq!(does("deny acl = acl_listed"), [Does::Reject]);
        assert_eq!(does("deny !acl = acl_listed"), [Does::Let]);
        assert_eq!(does("accept acl = acl_listed"), [Does::Let]);
    }

    /// As a condition an ACL makes a statement hold or not, and refuses nobody by itself.
    #[test]
    fn what_a_called_one_denies() {
        let does = |call: &str, within: &str| {
            let text = format!(
                "acl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_listed:\n  {within} = a.test=127.0.0.4\n  accept\nacl_check_rcpt:\n  {call}\n  accept\n"
            );
            let found = uses("e", &text, &|_| None);
            assert_eq!(found.idle, [], "{call}");
            let does: Vec<_> = found.mentions.into_iter().map(|mention| mention.does).collect();
            (does, found.statements.into_iter().map(|statement| statement.verb).collect::<Vec<_>>())
        };
        for (call, is_refused) in [
            ("deny !acl = acl_listed", true),
            ("require acl = acl_listed", true),
            ("deny acl = acl_listed", false),
            ("warn acl = acl_listed", false),
            ("accept acl = acl_listed", false),
            ("deny condition = ${acl{acl_listed}}", false),
            ("deny acl = acl_listed\n  require acl = acl_listed", false),
        ] {
            let [reject, weigh] = [Does::Reject, Does::Weigh].map(|does| vec![does]);
            let verbs = |verb: &str| if is_refused { vec![verb.to_owned()] } else { vec!["warn".to_owned()] };
            let expected = if is_refused { reject } else { weigh.clone() };
            assert_eq!(does(call, "deny dnslists"), (expected.clone(), verbs("deny")), "{call}");
            assert_eq!(does(call, "require !dnslists"), (expected, verbs("require")), "{call}");
            let spares = if is_refused { vec![Does::Let] } else { weigh };
            assert_eq!(does(call, "drop !dnslists"), (spares, verbs("drop")), "{call}");
        }
        // Through another one, whose words are a condition, too.
        let through = |call: &str| {
            let call = format!("require acl = acl_more\n  accept\nacl_more:\n  {call}");
            does(&call, "deny dnslists").0
        };
        assert_eq!(through("deny !acl = acl_listed"), [Does::Reject]);
        assert_eq!(through("deny acl = acl_listed"), [Does::Weigh]);
        // What it accepts, of which the caller makes something of his own.
        assert_eq!(does("warn acl = acl_listed\n    set acl_m_x = 1", "accept dnslists").0, [Does::Weigh]);
    }

    /// A macro that is set again.
    #[test]
    fn zones_that_a_macro_has_no_more() {
        let with = |more: &str| {
            told(&format!(
                "LISTS = a.test=127.0.0.4 : b.test=127.0.0.4\n{more}acl_smtp_rcpt = acl_check_rcpt\nbegin acl\nacl_check_rcpt:\n  deny dnslists = LISTS\n"
            ))
        };
        assert_eq!(with(""), (2, vec![]));
        assert_eq!(with("LISTS == b.test=127.0.0.4 : a.test\n"), (2, vec![]));
        for (again, left, lines) in [
            ("LISTS ==", 0, "LISTS == a.test=127.0.0.4 : b.test=127.0.0.4"),
            (
                "LISTS == c.test=127.0.0.4",
                1,
                "LISTS == c.test=127.0.0.4 : a.test=127.0.0.4 : b.test=127.0.0.4",
            ),
        ] {
            let (number, idle) = with(&format!("{again}\n"));
            let [(at, cause, cured)] = &idle[..] else { panic!("{again}: {idle:?}") };
            assert_eq!((number, at.as_str(), cured.as_str()), (left, "e:1", lines));
            assert!(cause.contains("LISTS is set again at e:2"), "{cause}");
        }
    }

    #[test]
    fn lists_parted_in_any_way() {
        let zones = |list: &str| {
            let found = uses("e", &format!("deny dnslists = {list}\n"), &|_| None);
            found.mentions.iter().map(|mention| mention.zone.to_string()).collect::<Vec<_>>()
        };
        for list in [
            "a.test=127.0.0.4 : b.test",
            "a.test:b.test",
            "<; a.test=127.0.0.4; b.test",
            "<, a.test , b.test",
            "a.test/x::y:b.test",
        ] {
            assert_eq!(zones(list), ["a.test", "b.test"], "{list}");
        }
    }
}

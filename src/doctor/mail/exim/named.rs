//! ACLs by the options that name them, statements as they are written again, and what stands besides their lists. Pure.

use super::super::Does;
use super::super::statement::REFUSING;
use super::acl::{Acl, Statement, strip_verb};
use super::{Line, items, mention};

/// The ACL that this option names, and its name; nothing for one that is made when mail comes, or stands in a file of its own.
pub(super) fn named_by<'a, 'b>(
    option: &str,
    acls: &'b [Acl<'a>],
    lines: &'a [Line],
) -> Option<(&'a str, &'b Acl<'a>)> {
    let options = lines.iter().take_while(|line| !line.text.starts_with("begin "));
    let name =
        options.filter_map(|line| line.text.split_once('=')).find(|(name, _)| name.trim() == option)?.1;
    let name = name.trim();
    Some((name, acls.iter().find(|acl| acl.name == Some(name))?))
}

/// Whether it refuses whomever its conditions hold for.
pub(super) fn refusing(statement: &Statement<'_>) -> bool {
    REFUSING.contains(&statement.verb)
}

/// The statement with these conditions before its own.
pub(super) fn whole(statement: &Statement<'_>, conditions: &[String]) -> String {
    let own = statement.conditions.iter().map(|(_, condition)| *condition);
    let all = conditions.iter().map(String::as_str).chain(own);
    let lines: String = all.map(|condition| format!("\n    {condition}")).collect();
    format!("  {}{lines}", statement.verb)
}

/// All but what statements ask lists for: an expansion (`${lookup dnsdb{…}}`) may ask for any zone that is named there.
pub(super) fn besides(lines: &[Line]) -> String {
    let is_mention = |item: &&str| mention("", item, Does::Weigh).is_some();
    let besides = lines.iter().flat_map(|line| match strip_verb(&line.text).split_once('=') {
        Some((name, list)) if matches!(name.trim(), "dnslists" | "!dnslists") => {
            items(list.trim()).filter(|item| !is_mention(item)).collect()
        }
        _ => vec![line.text.as_str()],
    });
    besides.collect::<Vec<_>>().join("\n").to_ascii_lowercase()
}

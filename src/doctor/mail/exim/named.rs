//! ACLs by the options that name them, and statements as they are written again. Pure.

use super::super::statement::REFUSING;
use super::Line;
use super::acl::{Acl, Statement};

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

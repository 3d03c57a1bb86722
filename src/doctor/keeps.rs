//! What has a resolver keep an answer for longer than its zone says. Pure.

use super::filters::Own;
use super::finding::Cure;
use super::lines::Line;
use super::trap::Kept;
use crate::snippet::Program;

/// The line of its configuration that does it, if it can be read.
pub(crate) fn own(kept: &Kept, program: Program, lines: &[Line]) -> Option<Own> {
    let is_it = |line: &&Line| match program {
        Program::Unbound => {
            let number = line.value_of("cache-min-ttl").or_else(|| line.value_of("cache-min-negative-ttl"));
            number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > kept.says))
        }
        Program::Dnsmasq => line.option("min-cache-ttl").is_some(),
        _ => false,
    };
    let line = lines.iter().find(is_it)?;
    let Line { place, text } = line;
    let cure = suspect(kept, program)?;
    Some(Own {
        cause: format!("its configuration has `{text}` ({place}): {}", why(kept)),
        cure: Cure { how: format!("{}; it stands in {place}", cure.how), ..cure },
    })
}

/// Each setting that may.
pub(crate) fn suspects(kept: &Kept, program: Option<Program>) -> Vec<Cure> {
    let all =
        [Program::Unbound, Program::Bind, Program::Dnsmasq, Program::PdnsRecursor, Program::KnotResolver];
    let programs = match &program {
        Some(program) => std::slice::from_ref(program),
        None => &all,
    };
    programs.iter().filter_map(|program| suspect(kept, *program)).collect()
}

/// What that does to mail.
pub(crate) fn why(kept: &Kept) -> &'static str {
    match kept.listed {
        true => "whom a list lets go, or `gatepost allow` lets pass, is refused until it has passed",
        false => "whom a list lists, or `gatepost block` blocks, passes until it has passed",
    }
}

fn suspect(kept: &Kept, program: Program) -> Option<Cure> {
    let (setting, lines, restart) = match (program, kept.listed) {
        (Program::Unbound, _) => (
            "cache-min-ttl (of what is not listed, cache-min-negative-ttl, too)",
            "server:\n    cache-min-ttl: 0",
            "systemctl restart unbound",
        ),
        (Program::Bind, true) => ("min-cache-ttl", "min-cache-ttl 0;", "rndc reconfig"),
        (Program::Bind, false) => ("min-ncache-ttl", "min-ncache-ttl 0;", "rndc reconfig"),
        (Program::Dnsmasq, _) => ("min-cache-ttl", "min-cache-ttl=0", "systemctl restart dnsmasq"),
        (Program::PdnsRecursor, _) => {
            ("minimum-ttl-override", "minimum-ttl-override=1", "systemctl restart pdns-recursor")
        }
        (Program::KnotResolver, _) => ("cache.min_ttl", "cache.min_ttl(5)", "systemctl restart 'kresd@*'"),
        _ => return None,
    };
    let how = format!("{}: in the place of {setting}, then `{restart}`", super::cure::name(program));
    Some(Cure { how, lines: lines.to_owned() })
}

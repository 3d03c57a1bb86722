//! What has a resolver keep an answer for longer than its zone says. Pure.

use super::filters::Own;
use super::finding::Cure;
use super::lines::Line;
use super::trap::Kept;
use crate::snippet::Program;

/// unbound's, of which every version knows the first alone.
const UNBOUND: [&str; 2] = ["cache-min-ttl", "cache-min-negative-ttl"];

/// The line of its configuration that does it, if it can be read.
pub(crate) fn own(kept: &Kept, program: Program, lines: &[Line]) -> Option<Own> {
    let is_more = |number: &str| number.parse::<u32>().is_ok_and(|number| number > kept.says);
    let is_it = |line: &&Line| match program {
        Program::Unbound => UNBOUND.iter().any(|setting| line.value_of(setting).is_some_and(is_more)),
        Program::Dnsmasq => line.option("min-cache-ttl").is_some(),
        _ => false,
    };
    let line = lines.iter().find(is_it)?;
    let Line { place, text } = line;
    let mut cure = suspect(kept, program)?;
    let [known, newer] = UNBOUND;
    if line.value_of(newer).is_some() {
        for text in [&mut cure.how, &mut cure.lines] {
            *text = text.replace(known, newer);
        }
    }
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
        (Program::Unbound, _) => (UNBOUND[0], "server:\n    cache-min-ttl: 0", "systemctl restart unbound"),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One that does not know a setting would not start with it.
    #[test]
    fn a_setting_that_not_all_know_is_named_where_it_is_set() {
        let kept = Kept { listed: false, seconds: 3600, says: 60 };
        let all = suspects(&kept, Some(Program::Unbound));
        assert!(all.iter().all(|cure| !format!("{cure:?}").contains("negative")), "{all:?}");
        let own = |text: &str| {
            let line = Line { place: "u:3".to_owned(), text: text.to_owned() };
            own(&kept, Program::Unbound, &[line]).map(|own| own.cure.lines)
        };
        for setting in UNBOUND {
            let cured = format!("server:\n    {setting}: 0");
            assert_eq!(own(&format!("{setting}: 3600")), Some(cured));
            assert_eq!(own(&format!("{setting}: 60")), None);
        }
    }
}

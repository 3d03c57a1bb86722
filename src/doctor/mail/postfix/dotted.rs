//! Zones of Postfix's whose names end with a dot, as they do in master files: it looks up no such name. Pure.

use super::super::super::finding::Cure;
use super::super::Idle;
use super::restrictions::{questions, words};
use super::screen::{self, SITES};
use crate::snippet::Program;

/// In a list of restrictions: nobody is ever listed there.
pub(super) fn in_list(value: &str, at: &str) -> Option<Idle> {
    let asks = questions(value);
    let dotted: Vec<_> = asks.iter().filter(|asks| is_dotted(asks.zone)).collect();
    let zones = dotted.iter().filter_map(|asks| asks.mention(at)).map(|mention| mention.zone).collect();
    let lines: Vec<String> = dotted.iter().map(|asks| without_dot(&asks.line())).collect();
    (!dotted.is_empty()).then(|| Idle {
        program: Program::Postfix,
        at: at.to_owned(),
        zones,
        matters: true,
        cause: "a dot ends the name of the zone: smtpd looks up no such name, so nobody is ever listed"
            .to_owned(),
        cure: Cure { how: "in the place of these, without the dot".to_owned(), lines: lines.join("\n") },
    })
}

/// Among postscreen's sites: it ends with an error when a client comes.
pub(super) fn in_sites(value: &str) -> Option<Idle> {
    words(value).any(is_dotted).then(|| Idle {
        program: Program::Postfix,
        at: SITES.to_owned(),
        zones: screen::sites(value).into_iter().map(|site| site.zone).collect(),
        matters: true,
        cause: "a dot ends the name of a site: postscreen ends with an error whenever a client comes, and no mail comes in".to_owned(),
        cure: Cure {
            how: "in main.cf, in the place of all sites, then `postfix reload`".to_owned(),
            lines: format!("{SITES} =\n{}", without_dot(&screen::lines(value))),
        },
    })
}

/// `block.example.=127.0.0.2`
fn is_dotted(zone: &str) -> bool {
    zone.split(['=', '*']).next().is_some_and(|name| name.ends_with('.'))
}

fn without_dot(lines: &str) -> String {
    let line = |line: &str| match line.split_once(['=', '*']) {
        Some((name, _)) => format!("{}{}", name.trim_end_matches('.'), &line[name.len()..]),
        None => line.replace(".,", ","),
    };
    lines.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dot_at_the_end() {
        let told = |value: &str| in_list(value, "l").map(|idle| idle.cure.lines);
        assert_eq!(
            told(
                "reject_rbl_client a.test.=127.0.0.2, reject_rbl_client b.test=127.0.0.2, permit_dnswl_client c.test."
            ),
            Some("    reject_rbl_client a.test=127.0.0.2,\n    permit_dnswl_client c.test,".to_owned())
        );
        assert_eq!(told("reject_rbl_client b.test=127.0.0.2"), None);
        let sites = in_sites("a.test.=127.0.0.[2..4]*3 b.test.*2, c.test").map(|idle| idle.cure.lines);
        let lines = "postscreen_dnsbl_sites =\n    a.test=127.0.0.[2..4]*3,\n    b.test*2,\n    c.test,";
        assert_eq!(sites.as_deref(), Some(lines));
        assert_eq!(in_sites("a.test=127.0.0.[2..4]*3"), None);
    }
}

//! Zones and filters that Postfix cannot read: names that end with a dot, as they do in master files, and codes that it does not know how to
//! compare. Pure.

use super::super::super::finding::Cure;
use super::super::Idle;
use super::restrictions::{Question, questions, words};
use super::screen::{self, ACTION, SITES};
use crate::snippet::Program;

/// What is wrong with a zone and its filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Dot,
    Filter,
}

/// In a list of restrictions.
pub(super) fn in_list(value: &str, at: &str) -> Option<Idle> {
    let all = questions(value);
    let (asks, fault): (&Question<'_>, _) = all.iter().find_map(|asks| Some((asks, fault(asks.zone)?)))?;
    // A zone with a dot stands in nobody's way; behind a filter that cannot be read nothing is asked at all.
    let (lines, hit): (Vec<String>, Vec<&Question<'_>>) = match fault {
        Fault::Dot => {
            let same = all.iter().filter(|asks| self::fault(asks.zone) == Some(fault));
            same.map(|asks| (without_dot(&asks.line()), asks)).unzip()
        }
        Fault::Filter => (Vec::new(), all.iter().collect()),
    };
    let cause = match fault {
        Fault::Dot => {
            "a dot ends the name of the zone: smtpd looks up no such name, so nobody is ever listed"
                .to_owned()
        }
        Fault::Filter => format!(
            "`{}` is no filter that Postfix can read: smtpd ends with an error at every recipient that comes as far, and no mail comes in",
            asks.zone
        ),
    };
    Some(Idle {
        program: Program::Postfix,
        at: at.to_owned(),
        zones: hit.iter().filter_map(|asks| asks.mention(at)).map(|mention| mention.zone).collect(),
        matters: true,
        cause,
        cure: cure(fault, lines.join("\n")),
    })
}

/// Among postscreen's sites: it ends with an error when a client comes.
pub(super) fn in_sites(value: &str) -> Option<Idle> {
    let (site, fault) = words(value).find_map(|site| Some((site, fault(site)?)))?;
    let what = match fault {
        Fault::Dot => format!("a dot ends the name in `{site}`"),
        Fault::Filter => format!("`{site}` has no filter or no weight that it can read"),
    };
    let lines = match fault {
        Fault::Dot => format!("{SITES} =\n{}", without_dot(&screen::lines(value))),
        Fault::Filter => String::new(),
    };
    Some(Idle {
        program: Program::Postfix,
        at: SITES.to_owned(),
        zones: screen::sites(value).into_iter().map(|site| site.zone).collect(),
        matters: true,
        cause: format!("{what}: postscreen ends with an error whenever a client comes, and no mail comes in"),
        cure: cure(fault, lines),
    })
}

/// What postscreen is to do with whom they have, where that is no word that it knows: it ends with an error, too.
pub(super) fn in_action(action: &str, sites: &str) -> Option<Idle> {
    if matches!(&*action.to_ascii_lowercase(), "" | "ignore" | "enforce" | "drop") || action.contains('$') {
        return None;
    }
    Some(Idle {
        program: Program::Postfix,
        at: ACTION.to_owned(),
        zones: screen::sites(sites).into_iter().map(|site| site.zone).collect(),
        matters: true,
        cause: format!(
            "`{action}` is none of ignore, enforce and drop: postscreen ends with an error whenever a client comes, and no mail comes in"
        ),
        cure: Cure {
            how: "in the place of that, then `postfix reload`".to_owned(),
            lines: format!("{ACTION} = enforce"),
        },
    })
}

fn cure(fault: Fault, lines: String) -> Cure {
    let how = match fault {
        Fault::Dot => "without the dot, in main.cf in the place of what is there, then `postfix reload`",
        Fault::Filter => {
            "a code is 127.0.0.4, several are 127.0.0.[4;6..9], with numbers, `;` and `..` in brackets: write it so, then `postfix reload`"
        }
    };
    Cure { how: how.to_owned(), lines }
}

/// Of `ZONE`, `ZONE=FILTER` or `ZONE=FILTER*WEIGHT`; what has a parameter in it that was not put in is not known.
fn fault(text: &str) -> Option<Fault> {
    let (text, weight) = text.split_once('*').map_or((text, None), |(text, weight)| (text, Some(weight)));
    let (name, filter) = text.split_once('=').map_or((text, None), |(name, filter)| (name, Some(filter)));
    match () {
        () if text.contains('$') => None,
        () if name.ends_with('.') => Some(Fault::Dot),
        () if filter.is_some_and(|filter| !is_filter(filter)) => Some(Fault::Filter),
        () if weight.is_some_and(|weight| weight.parse::<i32>().is_err()) => Some(Fault::Filter),
        () => None,
    }
}

/// Four numbers, each of which may be several in brackets (postconf(5), `reject_rbl_client`).
fn is_filter(text: &str) -> bool {
    let number = |text: &str| text.parse::<u8>().ok().filter(|_| !text.starts_with('+'));
    let is_number = |text: &str| number(text).is_some();
    let is_range = |text: &str| match text.split_once("..") {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
        None => is_number(text),
    };
    let mut depth = 0;
    let octets: Vec<&str> = text
        .split(|c: char| {
            depth += i32::from(c == '[') - i32::from(c == ']');
            depth == 0 && c == '.'
        })
        .collect();
    let is_octet = |octet: &&str| match octet.strip_prefix('[').and_then(|octet| octet.strip_suffix(']')) {
        Some(several) => several.split(';').all(is_range),
        None => is_number(octet),
    };
    octets.len() == 4 && octets.iter().all(is_octet)
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
        // That of another zone does nothing to this one.
        let of = |value: &str| in_list(value, "l").map(|idle| idle.zones);
        let zone = |name: &str| name.parse().unwrap();
        assert_eq!(
            of("reject_rbl_client a.test=127.0.0.2, reject_rbl_client b.test."),
            Some(vec![zone("b.test")])
        );
        let all = of("reject_rbl_client a.test=127.0.0.2, reject_rbl_client b.test=127.0.0");
        assert_eq!(all, Some(vec![zone("a.test"), zone("b.test")]));
        let sites = in_sites("a.test.=127.0.0.[2..4]*3 b.test.*2, c.test").map(|idle| idle.cure.lines);
        let lines = "postscreen_dnsbl_sites =\n    a.test=127.0.0.[2..4]*3,\n    b.test*2,\n    c.test,";
        assert_eq!(sites.as_deref(), Some(lines));
        assert_eq!(in_sites("a.test=127.0.0.[2..4]*3"), None);
    }

    #[test]
    fn actions_that_it_knows() {
        let told = |action: &str| in_action(action, "a.test").is_some();
        assert!(told("reject") && !told("Enforce") && !told("drop") && !told("$x"));
    }

    #[test]
    fn filters_that_it_can_read() {
        for right in [
            "a.test",
            "a.test=127.0.0.2",
            "a.test=127.0.[0..255].[1;3;5..9]*-2",
            "a.test*3",
            "a.test=$codes",
            "key.a.test=[127].0.0.2",
        ] {
            assert_eq!(fault(right), None, "{right}");
        }
        for wrong in [
            "127.0.1.[4",
            "127.0.1.[2-9]",
            "127.0.1.4..9",
            "127.0.0.0/8",
            "127.0.1.4;",
            "127.0.1",
            "127.0.1.256",
            "127.0.1.[4,9]",
            "127.0.1.*",
            "127.0.1.[9..4]",
            "127.0.+1.4",
            "",
            "127.0.1.4*x",
        ] {
            assert_eq!(fault(&format!("a.test={wrong}")), Some(Fault::Filter), "{wrong}");
        }
    }
}

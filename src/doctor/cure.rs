//! What opens a trap of resolvers: lines out of the text that `snippet` prints for them, so that both say the same.

use std::net::SocketAddr;

use super::below;
use super::finding::Cure;
use super::trap::Trap;
use super::who::UnboundAsks;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;

/// The part of a resolver's text that a trap wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// All lines that are no comments.
    All,
    /// The lines with one of these in them, and the section that they stand in.
    With(&'static [&'static str]),
    /// The comments that begin so, without the sign of a comment.
    Commented(&'static str),
    /// The comments behind the one that begins so, without the sign of a comment.
    After(&'static str),
    /// From this line on.
    From(&'static str),
    /// Of unbound: what lets its own local zones, and those above, ask; alone, and within all lines.
    Transparent,
    AllTransparent,
    /// A command.
    Command(&'static str),
}

/// What opens `trap` in `program`, best first; of one that is not known in all that set it. Nothing where no line does. `unbound`:
/// what is known of the one that runs here.
pub(crate) fn cures(
    trap: &Trap,
    program: Option<Program>,
    wiring: &Wiring,
    unbound: UnboundAsks,
) -> Vec<Cure> {
    let suspects =
        [Program::Unbound, Program::Bind, Program::Dnsmasq, Program::PdnsRecursor, Program::KnotResolver];
    let programs = match &program {
        Some(program) => std::slice::from_ref(program),
        None => &suspects,
    };
    if is_without_ipv6(trap, program, wiring, unbound) {
        return vec![by_ipv6(&wiring.server)];
    }
    if let Trap::HasTheZoneAbove(above) = trap {
        return below::cures(above, program, wiring);
    }
    let cures = programs.iter().flat_map(|&program| {
        let asks_localhost = program == Program::Unbound && unbound.localhost == Some(true);
        let parts = parts(trap, program, wiring.server.ip().is_loopback() && !asks_localhost);
        let may_lack_ipv6 = wiring.server.is_ipv6() && unbound.ipv6.is_none();
        let v6 = (*trap == Trap::Unreached && program == Program::Unbound && may_lack_ipv6)
            .then(|| by_ipv6(&wiring.server));
        parts.into_iter().filter_map(move |(part, when)| cure(program, part, when, wiring)).chain(v6)
    });
    cures.collect()
}

/// Whether unbound is told not to use the one way on which gatepost can be asked.
pub(crate) fn is_without_ipv6(
    trap: &Trap,
    program: Option<Program>,
    wiring: &Wiring,
    unbound: UnboundAsks,
) -> bool {
    let is_unbound = *trap == Trap::Unreached && program == Some(Program::Unbound);
    is_unbound && wiring.server.is_ipv6() && unbound.ipv6 == Some(false)
}

/// unbound that was told to use IPv4 alone.
fn by_ipv6(server: &SocketAddr) -> Cure {
    Cure {
        how: format!(
            "unbound: where its configuration has `do-ip6: no`, which keeps it from asking {}; then `systemctl restart unbound`",
            server.ip()
        ),
        lines: "server:\n    do-ip6: yes".to_owned(),
    }
}

/// The parts to try one after the other, each with what has to be so for it.
fn parts(trap: &Trap, program: Program, loopback: bool) -> Vec<(Part, &'static str)> {
    const TOLD: &str = "where it has been told of gatepost";
    const INSTEAD: &str = "in the place of what names the other server for these zones";
    const NOT_TOLD: &str = "where it has not been told of gatepost";
    match (trap, program) {
        (Trap::Validates, Program::Unbound) => vec![(Part::With(&["domain-insecure"]), "")],
        (Trap::Validates, Program::Bind) => vec![(Part::Commented("validate-except {"), "")],
        (Trap::Validates | Trap::ValidatesWhenAsked | Trap::ValidatesAndFilters, Program::PdnsRecursor) => {
            vec![(Part::Commented("addNTA("), ""), (Part::Command("rec_control add-nta"), "")]
        }
        (Trap::Validates | Trap::ValidatesWhenAsked, Program::SystemdResolved) => {
            vec![(Part::After("Where DNSSEC is on"), "")]
        }
        (Trap::ValidatesAndFilters, Program::Unbound) => {
            vec![(Part::With(&["domain-insecure", "private-domain"]), "")]
        }
        (Trap::ValidatesAndFilters, Program::Bind) => vec![
            (Part::Commented("validate-except {"), "and the next"),
            (Part::Commented("deny-answer-addresses {"), "with the one before it"),
        ],
        (Trap::ValidatesAndFilters, _) => vec![(Part::All, "")],
        (Trap::EmptiesAnswer, Program::Unbound) => vec![(Part::With(&["private-domain"]), "")],
        (Trap::EmptiesAnswer, Program::Dnsmasq) => vec![(Part::With(&["rebind-domain-ok"]), "")],
        (Trap::RefusesAddress, Program::Bind) => vec![(Part::Commented("deny-answer-addresses {"), "")],
        // What it forwards by policy.STUB, as the text does, it does not validate; by policy.FORWARD it does.
        (Trap::RefusesAddress | Trap::Validates | Trap::ValidatesWhenAsked, Program::KnotResolver) => {
            vec![(Part::All, "and nothing else that forwards these zones, such as policy.FORWARD")]
        }
        (Trap::BuiltIn, Program::Unbound) => {
            vec![(Part::Transparent, TOLD), (Part::AllTransparent, NOT_TOLD)]
        }
        (Trap::BuiltIn, Program::Bind) => {
            vec![(Part::Commented("disable-empty-zone"), TOLD), (Part::From("zone \""), NOT_TOLD)]
        }
        (Trap::Unreached, Program::Unbound) if loopback => {
            vec![(Part::With(&["do-not-query-localhost"]), TOLD), (Part::All, NOT_TOLD)]
        }
        (Trap::AsksAnother, Program::Bind) => vec![(Part::From("zone \""), INSTEAD)],
        (Trap::AsksAnother, _) => vec![(Part::All, INSTEAD)],
        (Trap::Unreached | Trap::AsksTheWorld(_) | Trap::Minimises, Program::Bind) => {
            vec![(Part::From("zone \""), "")]
        }
        (Trap::BuiltIn | Trap::Unreached | Trap::AsksTheWorld(_) | Trap::Minimises, _) => {
            vec![(Part::All, "")]
        }
        // It shuns the name beside its cache, too, for a minute.
        (Trap::RemembersFailure, Program::PdnsRecursor) => {
            vec![(Part::Command("systemctl restart pdns-recursor"), "")]
        }
        (Trap::Remembers(_) | Trap::RemembersFailure, program) => forgets(program),
        (Trap::HoldsForDead, Program::Unbound) => {
            vec![(Part::Command("unbound-control flush_infra all"), "")]
        }
        _ => Vec::new(),
    }
}

/// What has it forget what it knows.
fn forgets(program: Program) -> Vec<(Part, &'static str)> {
    let command = match program {
        Program::Unbound => "unbound-control flush_zone",
        Program::Bind => "rndc flushtree",
        Program::PdnsRecursor => "rec_control wipe-cache",
        Program::Dnsmasq => "systemctl restart dnsmasq",
        Program::SystemdResolved => "resolvectl flush-caches",
        _ => return Vec::new(),
    };
    vec![(Part::Command(command), "")]
}

fn cure(program: Program, part: Part, when: &str, wiring: &Wiring) -> Option<Cure> {
    let lines = match part {
        Part::Command(command)
            if ["restart", "caches", "infra"].iter().any(|word| command.contains(word)) =>
        {
            command.to_owned()
        }
        Part::Command(command) => {
            let end = match command {
                "rec_control wipe-cache" => "$",
                "rec_control add-nta" => " unsigned",
                _ => "",
            };
            let each = wiring.domains.iter().map(|domain| format!("{command} {domain}{end}"));
            each.collect::<Vec<_>>().join("\n")
        }
        Part::Transparent => format!("server:\n{}", below::transparent(wiring, "").trim_end()),
        Part::AllTransparent => {
            let text = picked(Part::All, &program.text(wiring).ok()?);
            text.replacen("server:\n", &format!("server:\n{}", below::transparent(wiring, &text)), 1)
        }
        part => picked(part, &program.text(wiring).ok()?),
    };
    if lines.is_empty() {
        return None;
    }
    let (file, restart) = place(program, part)?;
    let how = match part {
        Part::Command("rec_control add-nta") => {
            format!("{}: the same until its next start, without one", name(program))
        }
        Part::Command(_) => format!("{}: forget what it knows of these zones", name(program)),
        _ => format!("{}: {file}, then `{restart}`", name(program)),
    };
    let how = if when.is_empty() { how } else { format!("{how} ({when})") };
    Some(Cure { how, lines })
}

/// The lines of `text` that `part` means.
fn picked(part: Part, text: &str) -> String {
    let lines = || text.lines().filter(|line| !is_comment(line) && !line.is_empty());
    let joined = |lines: Vec<&str>| lines.join("\n");
    match part {
        Part::All => joined(lines().collect()),
        Part::From(start) => joined(lines().skip_while(|line| !line.starts_with(start)).collect()),
        Part::With(what) => {
            let mut kept = Vec::new();
            let mut section = None;
            for line in lines() {
                if what.iter().any(|what| line.contains(what)) {
                    // The head of the section once, where the line stands in one.
                    kept.extend(section.take().filter(|_| line.starts_with(' ')));
                    kept.push(line);
                } else if !line.starts_with(' ') {
                    section = Some(line);
                }
            }
            joined(kept)
        }
        Part::Commented(start) => joined(comments(text).filter(|line| line.starts_with(start)).collect()),
        Part::After(start) => {
            joined(comments(text).skip_while(|line| !line.starts_with(start)).skip(1).collect())
        }
        Part::Command(_) | Part::Transparent | Part::AllTransparent => String::new(),
    }
}

fn is_comment(line: &str) -> bool {
    ["#", "//", "--"].iter().any(|mark| line.starts_with(mark))
}

/// What the comments say.
fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| is_comment(line)).map(|line| line.trim_start_matches(['#', '/', '-', ' ']))
}

/// Where its lines go, and what has it read them.
fn place(program: Program, part: Part) -> Option<(&'static str, &'static str)> {
    Some(match program {
        Program::Unbound => ("in a file in /etc/unbound/unbound.conf.d", "systemctl restart unbound"),
        // What it has of before it keeps over `rndc reconfig`: that nobody is listed, for hours.
        Program::Bind if matches!(part, Part::From(_)) => (
            "beside options { … } (Debian: named.conf.local), or, where there are views, within each view; without those zones that are there already and ask gatepost",
            "named-checkconf && systemctl restart named",
        ),
        Program::Bind => (
            "within options { … } (Debian: named.conf.options); where such a statement is there already, add what stands in its braces to that one, and take nothing out",
            "named-checkconf && systemctl restart named",
        ),
        Program::Dnsmasq => ("in a file in /etc/dnsmasq.d", "systemctl restart dnsmasq"),
        Program::PdnsRecursor if matches!(part, Part::Commented(_)) => {
            ("in the file that lua-config-file names", "systemctl restart pdns-recursor")
        }
        Program::PdnsRecursor => (
            "in a file in /etc/powerdns/recursor.d; where another has forward-zones, too, `forward-zones+=` in the one of both that is read later (recursor.conf first, then those by their names) and `=` in the other",
            "systemctl restart pdns-recursor",
        ),
        Program::Dnsdist => ("in dnsdist.conf, before other rules", "systemctl restart dnsdist"),
        Program::KnotResolver => ("in kresd.conf, before other policies", "systemctl restart 'kresd@*'"),
        Program::SystemdResolved if matches!(part, Part::After(_)) => {
            ("in /etc/dnssec-trust-anchors.d/gatepost.negative", "systemctl restart systemd-resolved")
        }
        Program::SystemdResolved => (
            "where a link has a server of its own for all other names (`resolvectl status`; else have another resolver, `gatepost snippet unbound`): in a file in /etc/systemd/resolved.conf.d, and no other `DNS=` in resolved.conf and beside it (of several it asks one for everything)",
            "systemctl restart systemd-resolved",
        ),
        _ => return None,
    })
}

/// What people call it.
pub(crate) fn name(program: Program) -> &'static str {
    match program {
        Program::Unbound => "unbound",
        Program::Bind => "BIND",
        Program::Dnsmasq => "dnsmasq",
        Program::PdnsRecursor => "PowerDNS recursor",
        Program::Dnsdist => "dnsdist",
        Program::KnotResolver => "Knot Resolver",
        Program::SystemdResolved => "systemd-resolved",
        Program::Postfix => "Postfix",
        Program::Postscreen => "postscreen",
        Program::Exim => "Exim",
        Program::Rspamd => "rspamd",
        Program::Spamassassin => "SpamAssassin",
        Program::Haraka => "Haraka",
        Program::Opensmtpd => "OpenSMTPD",
        Program::Sendmail => "Sendmail",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wiring(domain: &str) -> Wiring {
        Wiring {
            server: "127.0.0.1:5354".parse().unwrap(),
            domains: vec![domain.parse().unwrap()],
            zones: Vec::new(),
            left_out: Vec::new(),
            narrower: Vec::new(),
            beyond: None,
        }
    }

    fn lines(trap: &Trap, program: Program) -> Vec<String> {
        cures(trap, Some(program), &wiring("bl.test"), UnboundAsks::default())
            .into_iter()
            .map(|cure| cure.lines)
            .collect()
    }

    #[test]
    fn a_trap_is_opened_by_its_line_alone() {
        assert_eq!(lines(&Trap::Validates, Program::Unbound), ["server:\n    domain-insecure: \"bl.test\""]);
        assert_eq!(
            lines(&Trap::EmptiesAnswer, Program::Unbound),
            ["server:\n    private-domain: \"bl.test\""]
        );
        assert_eq!(lines(&Trap::EmptiesAnswer, Program::Dnsmasq), ["rebind-domain-ok=/bl.test/"]);
        assert_eq!(lines(&Trap::Validates, Program::Bind), ["validate-except { \"bl.test\"; };"]);
        assert_eq!(
            lines(&Trap::RefusesAddress, Program::Bind),
            ["deny-answer-addresses { 127.0.0.0/8; } except-from { \"bl.test\"; };"]
        );
        assert_eq!(
            lines(&Trap::Validates, Program::PdnsRecursor),
            ["addNTA(\"bl.test\", \"gatepost's, not signed\")", "rec_control add-nta bl.test unsigned"]
        );
        let unreached = lines(&Trap::Unreached, Program::Unbound);
        assert_eq!(unreached[0], "server:\n    do-not-query-localhost: no");
        assert!(unreached[1].contains("forward-zone:"));
        assert!(!unreached.iter().any(|lines| lines.contains("do-ip6")), "{unreached:?}");
        let v6 = Wiring { server: "[::1]:5354".parse().unwrap(), ..wiring("bl.test") };
        let unreached = |ipv6, localhost| {
            let unbound = UnboundAsks { ipv6, localhost };
            let cures = cures(&Trap::Unreached, Some(Program::Unbound), &v6, unbound);
            cures.into_iter().map(|cure| cure.lines).collect::<Vec<_>>()
        };
        let (by_ipv6, by_localhost) = ("server:\n    do-ip6: yes", "server:\n    do-not-query-localhost: no");
        let has = |cures: &[String], lines: &str| cures.iter().any(|cure| cure == lines);
        assert!(has(&unreached(None, None), by_ipv6) && has(&unreached(None, None), by_localhost));
        // Where its configuration can be read nothing is told that it has.
        assert_eq!(unreached(Some(false), Some(false)), [by_ipv6]);
        let rest = unreached(Some(true), Some(true));
        assert!(
            rest.len() == 1 && !has(&rest, by_localhost) && rest[0].contains("forward-zone:"),
            "{rest:?}"
        );
        assert_eq!(unreached(Some(true), Some(false))[0], by_localhost);
        let built_in = lines(&Trap::BuiltIn, Program::Unbound);
        assert_eq!(built_in[0], "server:\n    local-zone: \"bl.test\" transparent");
        // A local zone above is an administrator's as well.
        let own =
            cures(&Trap::BuiltIn, Some(Program::Unbound), &wiring("bl.example"), UnboundAsks::default());
        let line = "    local-zone: \"bl.example\" transparent";
        assert_eq!((own.len(), own[0].lines.as_str()), (2, format!("server:\n{line}").as_str()));
        assert!(own[1].lines.contains(line) && own[1].lines.contains("forward-zone:"), "{own:?}");
        assert!(lines(&Trap::Unreached, Program::Bind)[0].starts_with("zone \"bl.test\" {"));
        assert_eq!(lines(&Trap::Validates, Program::SystemdResolved), ["bl.test"]);
        assert_eq!(lines(&Trap::Remembers(3), Program::Unbound), ["unbound-control flush_zone bl.test"]);
    }

    /// A text that changes must not leave a trap without lines.
    #[test]
    fn every_trap_that_a_resolver_sets_has_lines() {
        let all = [
            Trap::Validates,
            Trap::ValidatesWhenAsked,
            Trap::ValidatesAndFilters,
            Trap::EmptiesAnswer,
            Trap::RefusesAddress,
            Trap::BuiltIn,
            Trap::Unreached,
            Trap::AsksTheWorld(".".to_owned()),
            Trap::HasTheZoneAbove("example.".to_owned()),
            Trap::Minimises,
            Trap::Remembers(1),
            Trap::RemembersFailure,
        ];
        for trap in all {
            let cures = cures(&trap, None, &wiring("bl.example"), UnboundAsks::default());
            assert!(!cures.is_empty(), "{trap:?}");
            assert!(cures.iter().all(|cure| !cure.lines.contains("Test:")), "{cures:?}");
        }
    }
}

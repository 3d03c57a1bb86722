//! `gatepost allow` and `gatepost block`: local decisions, in force at once.

use std::time::Duration;

use anyhow::anyhow;

use super::as_owner::open_store;
use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs;
use super::lookup::{asked_of, subject};
use super::output::{WARN, addresses, short_duration, styled, talk, utc};
use crate::config::{Config, ZoneConfig, parse_duration};
use crate::error::ExitStatus;
use crate::model::{Address, Name, Span, Subject, is_unseen};
use crate::snippet::wiring::{LeftOut, Wiring};
use crate::store::{LocalDecision, Now};
use crate::zone::Ruling;

/// The longest reason: with what stands before it, it has to fit into one string of a TXT record.
const LONGEST_REASON: usize = 150;

/// Blocks of so many addresses are worth a second look: wider than /16, or /32 of IPv6.
const WIDE_V4: u8 = 16;
const WIDE_V6: u8 = 32;

/// Let an address, a prefix or a name pass, whatever lists say
///
/// In force within a second in a running server, without a sync, and kept over restarts. It beats every list, in every zone
/// but those of allow lists, or in the zone that is named. Of several decisions the one about the longest prefix or name
/// holds, and of two about the same the later one. The test points of zones stay as they are.
///
/// Resolvers may remember the old answer for as long as its TTL says (5 minutes unless configured).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost allow 192.0.2.7 --for 7d --reason 'mail of a customer, ticket 4711'
  gatepost allow 2001:db8:25::/48
  gatepost allow good.example                  in lists of names: the name and everything below it
  gatepost allow 7.2.0.192.bl.example.net      as a mail log shows it
  gatepost overlay                             what was decided, and how to take it back")]
pub(crate) struct AllowArgs {
    #[command(flatten)]
    args: Args,
}

/// List an address, a prefix or a name, whether or not a list has it
///
/// In force within a second in a running server, without a sync, and kept over restarts. Every zone but those of allow
/// lists, or the zone that is named, answers with 127.0.2.2 and the reason, besides what lists say. Of several decisions the
/// one about the longest prefix or name holds, and of two about the same the later one. The test points of zones stay as
/// they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost block 192.0.2.7 --for 7d --reason 'spam run, see https://example.net/why'
  gatepost block 192.0.2.0/24 --zone bl.example.net
  gatepost block spam.example                  in zones of names: the name and everything below it
  gatepost overlay                             what was decided, and how to take it back")]
pub(crate) struct BlockArgs {
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, clap::Args)]
struct Args {
    /// IPv4 or IPv6 address, prefix, or name; several are decided on together
    #[arg(value_name = "ADDRESS|PREFIX|NAME", required = true)]
    what: Vec<String>,
    /// Until then, and no longer: 90s, 36h, 7d [default: until it is taken back]
    #[arg(long = "for", value_name = "DURATION")]
    hold: Option<String>,
    /// In this zone alone
    #[arg(long, value_name = "ZONE")]
    zone: Option<Name>,
    /// Why; clients are told of a block's reason
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    from: EitherArgs,
}

pub(crate) fn allow(args: &AllowArgs) -> anyhow::Result<ExitStatus> {
    decide(&args.args, Ruling::Allow)
}

pub(crate) fn block(args: &BlockArgs) -> anyhow::Result<ExitStatus> {
    decide(&args.args, Ruling::Block)
}

fn decide(args: &Args, ruling: Ruling) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    let hold = args.hold.as_deref().map(hold).transpose()?;
    let reason = args.reason.as_deref().map(reason).transpose()?.flatten();
    let config = args.from.read_to_write()?;
    if let Some(zone) = &args.zone {
        check_zone(&config, zone)?;
    }
    let what: Vec<Subject> =
        args.what.iter().map(|text| decidable(&config, text)).collect::<anyhow::Result<_>>()?;
    let clocks = Now::read();
    let now = clocks.clocks.wall;
    let until = hold.map(|hold| until(&clocks, hold)).transpose()?;
    let by = who();
    let made: Vec<LocalDecision> = what
        .into_iter()
        .map(|what| LocalDecision {
            wall: now,
            ruling,
            what,
            zone: args.zone.clone(),
            until,
            reason: reason.clone(),
            by: by.clone(),
        })
        .collect();
    let changed = open_store(&config.state)?.decide()?.put(&made, &clocks)?;
    for gone in changed.gone.iter().filter(|gone| !made.contains(gone)) {
        talk(format_args!("in the place of: {gone}"));
    }
    for decision in &made {
        talk(told(decision, hold));
        if let Some(width) = width(decision) {
            talk(styled(WARN, width));
        }
    }
    if let Some(aside) = args.zone.as_ref().and_then(|zone| aside(&config, zone)) {
        talk(styled(WARN, aside));
    }
    if !config.reloadable.zones.iter().any(|zone| lists(&config, zone)) {
        talk(styled(
            WARN,
            "no zone lists yet: nobody is told of this before one of other lists than allow lists is configured",
        ));
    }
    super::overlay::tell_troubles(&changed);
    Ok(ExitStatus::Ok)
}

/// A word on a zone that no text for mail programs has them ask: what is decided for it alone decides about no mail.
fn aside(config: &Config, zone: &Name) -> Option<String> {
    let wiring = Wiring::of(config, |_| None).ok()?;
    let (_, why) = wiring.left_out.iter().find(|(origin, _)| origin == zone)?;
    Some(match why {
        LeftOut::Within(wider) => format!(
            "mail programs, as `gatepost snippet` has them, ask {wider} in the place of {zone}: where this is about mail leave --zone away, or name {wider}"
        ),
        LeftOut::Bogons => format!(
            "mail programs, as `gatepost snippet` has them, do not ask {zone}: where this is about mail leave --zone away"
        ),
    })
}

/// What was decided, and how to take it back.
fn told(decision: &LocalDecision, hold: Option<Duration>) -> String {
    let what = &decision.what;
    let ruling = match decision.ruling {
        Ruling::Allow => "allowed",
        Ruling::Block => "blocked",
    };
    let wider = if matches!(what, Subject::Name(_)) { " with everything below it" } else { "" };
    let zone = decision.zone.as_ref();
    let place = zone.map_or_else(|| "every zone that lists".to_owned(), |zone| format!("zone {zone}"));
    let until = match (hold, decision.until) {
        (Some(hold), Some(until)) => format!("for {}, until {}", short_duration(hold), utc(until)),
        _ => "until it is taken back".to_owned(),
    };
    let only = zone.map_or_else(String::new, |zone| format!(" --zone {zone}"));
    format!("{what}{wider} is {ruling} in {place} {until} (gatepost overlay remove {what}{only})")
}

/// A word on decisions that nobody makes by the way.
fn width(decision: &LocalDecision) -> Option<String> {
    fn many<A: Address>(span: &Span<A>, wide: u8) -> Option<String> {
        let is_wide = span.prefix_len().is_none_or(|len| len < wide);
        is_wide.then(|| addresses(span.extent().saturating_add(1)))
    }
    let many = match &decision.what {
        Subject::Name(_) => None,
        Subject::V4(span) => many(span, WIDE_V4),
        Subject::V6(span) => many(span, WIDE_V6),
    }?;
    Some(match decision.ruling {
        Ruling::Allow => format!("that lets no list answer for {many}"),
        Ruling::Block => format!("that blocks {many}"),
    })
}

fn hold(text: &str) -> anyhow::Result<Duration> {
    let hold = parse_duration(text).filter(|hold| !hold.is_zero());
    hold.ok_or_else(|| usage(format!("--for {text}: expected a duration such as 90s, 36h or 7d")))
}

/// Seconds that have begun are not taken off.
fn until(now: &Now, hold: Duration) -> anyhow::Result<i64> {
    if now.clock_is_unset() {
        let said =
            "--for: the clock of this machine is not set yet, and when it is all of the time would be over";
        return Err(usage(said.to_owned()));
    }
    let now = now.clocks.wall + 1;
    let until = i64::try_from(hold.as_secs()).ok().and_then(|hold| now.checked_add(hold));
    let until = until.filter(|&until| jiff::Timestamp::from_second(until).is_ok());
    until.ok_or_else(|| usage("--for: no clock goes that far; leave it away".to_owned()))
}

/// `None` for one that says nothing. It ends up in log lines, terminals and SMTP replies.
fn reason(text: &str) -> anyhow::Result<Option<String>> {
    let text = text.trim();
    if text.chars().any(is_unseen) {
        return Err(usage("--reason: expected one line of text".to_owned()));
    }
    if text.len() > LONGEST_REASON {
        return Err(usage(format!(
            "--reason: longer than {LONGEST_REASON} octets, which no reply could hold"
        )));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// The zone exists, and is one that lists.
fn check_zone(config: &Config, origin: &Name) -> anyhow::Result<()> {
    let zones = &config.reloadable.zones;
    let Some(zone) = zones.iter().find(|zone| zone.origin == *origin) else {
        let known: Vec<String> = zones.iter().map(|zone| zone.origin.to_string()).collect();
        return Err(usage(format!("there is no zone {origin}; expected one of {}", known.join(", "))));
    };
    if lists(config, zone) {
        return Ok(());
    }
    Err(usage(format!("{origin} is a zone of allow lists, which local decisions do not touch")))
}

fn lists(config: &Config, zone: &ZoneConfig) -> bool {
    let can_list = |list| config.reloadable.lists.get(list).is_none_or(|list| list.use_.can_list());
    zone.members.iter().any(|member| can_list(&member.list))
}

/// What is meant by `text`, if anything can be decided about it.
fn decidable(config: &Config, text: &str) -> anyhow::Result<Subject> {
    let origins = config.reloadable.zones.iter().map(|zone| &zone.origin);
    let meant = asked_of(origins, subject(text)?);
    let no = |why: &str| Err(usage(format!("`{text}`: {why}")));
    const TEST_ADDRESSES: Span<u32> = Span { first: 0x7f00_0000, last: 0x7fff_ffff };
    match &meant {
        Subject::V4(span) if TEST_ADDRESSES.contains(span.first) && TEST_ADDRESSES.contains(span.last) => {
            no("the test points of zones lie there, which always answer as they do")
        }
        Subject::Name(name) if *name == Name::root() => no("that would be every name there is"),
        Subject::Name(name) if name.labels().any(|label| label == b"*") => {
            no("leave the `*` away: a name means everything below it, too")
        }
        Subject::Name(name) if ["test", "invalid"].iter().any(|point| name.to_string() == *point) => {
            no("it is a test point of zones, which always answers as it does")
        }
        // Labels of numbers below a zone that are no whole address.
        Subject::Name(name) if name.to_string().parse::<Subject>().ok().as_ref() != Some(&meant) => {
            no("it is neither an address nor a name that anybody has")
        }
        _ => Ok(meant),
    }
}

/// Who decides: the person behind `sudo`, or whose process this is.
pub(crate) fn who() -> String {
    let uid = nix::unistd::getuid();
    let name = |uid| nix::unistd::User::from_uid(uid).ok().flatten().map(|user| user.name);
    let behind = std::env::var("SUDO_UID").ok().filter(|_| uid.is_root());
    let behind = behind.and_then(|uid| uid.parse().ok()).map(nix::unistd::Uid::from_raw);
    match behind {
        Some(uid) => format!("{} (sudo)", name(uid).unwrap_or_else(|| uid.to_string())),
        None => name(uid).unwrap_or_else(|| uid.to_string()),
    }
}

fn usage(what: String) -> anyhow::Error {
    anyhow!(Usage(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Stamp;

    #[test]
    fn durations_and_reasons() {
        assert_eq!(hold("7d").unwrap(), Duration::from_secs(7 * 86400));
        for bad in ["", "0s", "7", "forever"] {
            assert!(hold(bad).unwrap_err().is::<Usage>(), "{bad}");
        }
        let until = |wall, hold| {
            until(
                &Now { clocks: Stamp { wall, boot: None, boottime: 0 }, newest: 0 },
                Duration::from_secs(hold),
            )
        };
        const T: i64 = 1_800_000_000;
        assert_eq!(until(T, 7).unwrap(), T + 8);
        assert!(until(T, u64::MAX).is_err());
        assert!(until(T, 1 << 60).is_err());
        assert!(until(100, 7).unwrap_err().to_string().contains("is not set yet"));
        assert_eq!(reason(" why not ").unwrap().as_deref(), Some("why not"));
        assert_eq!(reason("  ").unwrap(), None);
        assert!(
            reason("a\nb").is_err()
                && reason("\x1b[31m").is_err()
                && reason("a\u{202e}b").is_err()
                && reason(&"x".repeat(151)).is_err()
        );
    }

    #[test]
    fn zones_that_no_mail_program_asks() {
        let feeds = crate::feed::catalogue::load(None).unwrap();
        let suffix = "gatepost.internal".parse().unwrap();
        let config = Config::for_up("state".into(), &suffix, &feeds, Vec::new()).unwrap();
        let told = |zone: &str| aside(&config, &zone.parse().unwrap());
        let within = told("spamhaus-drop.gatepost.internal").unwrap();
        assert!(within.contains("ask block.gatepost.internal in the place of"), "{within}");
        assert!(told("bogons.gatepost.internal").unwrap().contains("do not ask"));
        assert_eq!(told("block.gatepost.internal"), None);
    }

    #[test]
    fn what_was_decided() {
        let decision = |what: &str, zone: Option<&str>, until| LocalDecision {
            wall: 0,
            ruling: Ruling::Block,
            what: what.parse().unwrap(),
            zone: zone.map(|zone| zone.parse().unwrap()),
            until,
            reason: None,
            by: String::new(),
        };
        let day = Duration::from_secs(86400);
        let told = |decision: &LocalDecision| told(decision, decision.until.map(|_| day));
        assert_eq!(
            told(&decision("192.0.2.7", None, Some(86400))),
            "192.0.2.7 is blocked in every zone that lists for 1d, until 1970-01-02T00:00:00Z \
             (gatepost overlay remove 192.0.2.7)"
        );
        assert_eq!(
            told(&decision("spam.example", Some("bl.example"), None)),
            "spam.example with everything below it is blocked in zone bl.example until it is taken back \
             (gatepost overlay remove spam.example --zone bl.example)"
        );
        assert_eq!(width(&decision("10.0.0.0/16", None, None)), None);
        assert_eq!(width(&decision("10.0.0.0/15", None, None)).unwrap(), "that blocks 131,072 addresses");
        assert_eq!(width(&decision("::/0", None, None)).unwrap(), "that blocks about 3.4e38 addresses");
        assert_eq!(width(&decision("spam.example", None, None)), None);
        let allow = LocalDecision { ruling: Ruling::Allow, ..decision("0.0.0.0/0", None, None) };
        assert_eq!(width(&allow).unwrap(), "that lets no list answer for 4,294,967,296 addresses");
    }
}

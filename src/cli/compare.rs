//! `gatepost compare`: does another server answer as this one does?

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use super::failure::Usage;
use super::locate::EitherArgs;
use super::logs;
use super::output::{BAD, DIM, GOOD, Out, WARN, counted, grouped, json as print_json, out, styled, talk};
use super::targets;
use super::view::{View, ZoneView};
use crate::client::reachable;
use crate::client::{
    Asked, Beside, Client, ClientError, Difference, Gap, Over, Reply, Side, ask_beside, rcode_name,
};
use crate::error::ExitStatus;
use crate::load::{around, test_domains, type_name};
use crate::model::{Name, Rtype};
use crate::wire::Rcode;

/// Ask two servers the same questions and list what they answer differently
///
/// What is asked comes from the zones in service: of each entry its ends, what lies just outside, its text, the name above
/// it, where mail for a name goes, and the name in capitals; then start of authority, name servers, test points, and random names. Of a zone of
/// more entries than --samples it takes as many, the same ones in every run, and says so. Few questions are in flight at a time.
///
/// A zone that this server refuses altogether is named once, with what to do, and left out.
///
/// Every answer that differs in response code or records is listed. What mail software never sees is counted and not listed:
/// that a name without records exists at one server and not at the other (rbldnsd says so of every name above a listing), and
/// start of authority and name servers that one of them refuses to give (rbldnsd without $SOA and $NS), and the test points (127.0.0.2
/// and what else lies in 127.0.0.0/8, `test` and `invalid`) of zones in which this server answers for them by itself (`test-points`).
///
/// Exit codes: 0 the same, 1 something differs, 2 usage, 3 a server does not answer, or there is nothing to ask for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  gatepost compare --with 127.0.0.1:53                     the zones of /etc/gatepost/gatepost.toml, beside rbldnsd
  gatepost compare --with 127.0.0.1:53 --zone bl.example.net --samples 5000 --ttl")]
pub(crate) struct Args {
    /// The other server
    #[arg(long, value_name = "ADDRESS:PORT")]
    with: SocketAddr,
    /// This server [default: the first address that the configuration listens on]
    #[arg(long, value_name = "ADDRESS:PORT")]
    server: Option<SocketAddr>,
    /// Only this zone; may be repeated [default: all]
    #[arg(long, value_name = "ZONE")]
    zone: Vec<Name>,
    /// Of each zone so many entries (all, if it has no more), and at most as many random names
    // About ten seconds of a zone that has them: nearly every list of one's own is asked for as a whole.
    #[arg(long, value_name = "NUMBER", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
    /// TTLs count, too
    #[arg(long)]
    ttl: bool,
    /// What mail software never sees counts, too
    #[arg(long)]
    strict: bool,
    /// Send to a server that is not on this machine: make sure that it is yours
    #[arg(long)]
    allow_remote: bool,
    #[command(flatten)]
    from: EitherArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitStatus> {
    logs::init_quiet();
    targets::may_be_asked(args.with, args.allow_remote)?;
    let view = View::of(args.from.read()?)?;
    let listen = || view.config.server.listen.first().map(|listen| reachable(*listen));
    let server = args.server.or_else(listen);
    let server =
        server.ok_or_else(|| anyhow!(Usage("the configuration has no address: --server".to_owned())))?;
    targets::may_be_asked(server, args.allow_remote)?;
    if server == args.with {
        bail!(Usage(format!("{server} is the server itself")));
    }
    let zones = chosen(&view, &args.zone)?;
    let clients = [Client::new(server), Client::new(args.with)];
    let mut asked = Vec::new();
    let mut points = Vec::new();
    let mut without_data = Vec::new();
    let mut sampled = BTreeMap::new();
    for zone in &zones {
        let Some(answering) = zone.answering() else {
            without_data.push((zone.origin(), zone.trouble().unwrap_or_default()));
            continue;
        };
        let drawn = around(answering, args.samples as usize);
        let drawn = drawn.with_context(|| zone.origin().to_string())?;
        let refuses = refuses(&clients[0], zone.origin(), &drawn.asked);
        if refuses.map_err(|error| anyhow!(error)).context("cannot compare")? {
            without_data.push((zone.origin(), format!(
                "{server} refuses all that is asked of it: it does not know the zone (`systemctl reload gatepost` has it read the configuration \
                 again), or `access` refuses this host"
            )));
            continue;
        }
        if drawn.entries > args.samples as usize {
            sampled.insert(zone.origin().to_string(), drawn.entries);
        }
        asked.extend(drawn.asked);
        // As the snapshot has it: zones of records alone have none, whatever the configuration says.
        if answering.snapshot().zone().test_points {
            points.extend(test_domains(zone.origin()));
        }
    }
    for (zone, why) in &without_data {
        talk(styled(WARN, format_args!("{zone} is left out: {why}")));
    }
    if asked.is_empty() {
        bail!("no zone has anything to ask for");
    }
    for client in &clients {
        // Somebody answers, be it wrongly: otherwise the whole run would only say so more slowly.
        asked[0].put_to(client).map_err(|error| anyhow!(error)).context("cannot compare")?;
    }
    let beside = ask_beside([&clients[0], &clients[1]], &asked)?;
    let zones = zones.len() - without_data.len();
    let found = Found { args, server, zones, asked: asked.len(), sampled, points, beside };
    if args.json {
        print_json(&mut out(), &found.as_json(&without_data))?;
    } else {
        found.write(&mut out())?;
    }
    Ok(match found.status() {
        ExitStatus::Ok if !without_data.is_empty() => ExitStatus::CannotTell,
        status => status,
    })
}

/// Whether a server refuses a zone altogether: each of its answers would differ.
fn refuses(client: &Client, origin: &Name, drawn: &[Asked]) -> Result<bool, ClientError> {
    let is_refused = |reply: &Reply| reply.rcode == Rcode::REFUSED;
    if !is_refused(&client.ask(origin, Rtype::SOA, Over::Udp)?) {
        return Ok(false);
    }
    // rbldnsd refuses that alone, where a zone has no $SOA.
    drawn.first().map_or(Ok(true), |asked| asked.put_to(client).map(|reply| is_refused(&reply)))
}

/// The zones that are meant.
fn chosen<'a>(view: &'a View, named: &[Name]) -> anyhow::Result<Vec<&'a ZoneView>> {
    for name in named {
        if !view.zones.iter().any(|zone| zone.origin() == name) {
            let known: Vec<String> = view.zones.iter().map(|zone| zone.origin().to_string()).collect();
            bail!(Usage(format!("there is no zone {name}; there are: {}", known.join(", "))));
        }
    }
    let is_meant = |zone: &&ZoneView| named.is_empty() || named.contains(zone.origin());
    Ok(view.zones.iter().filter(is_meant).collect())
}

struct Found<'a> {
    args: &'a Args,
    server: SocketAddr,
    zones: usize,
    asked: usize,
    /// Zones of which not all entries were asked for, and how many they have.
    sampled: BTreeMap<String, usize>,
    /// Names at and below which this server answers whatever lists say.
    points: Vec<Name>,
    beside: Beside,
}

/// What kind of difference it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Of(Gap),
    TestPoint,
}

impl Found<'_> {
    fn kind(&self, difference: &Difference) -> Kind {
        let is_point = || self.points.iter().any(|domain| difference.asked.name.is_in(domain));
        match difference.gap {
            Gap::Answer if is_point() => Kind::TestPoint,
            gap => Kind::Of(gap),
        }
    }

    fn counts(&self, kind: Kind) -> bool {
        match kind {
            Kind::Of(Gap::Answer) => true,
            Kind::Of(Gap::Ttl) => self.args.ttl,
            Kind::Of(Gap::Existence | Gap::Authority) | Kind::TestPoint => self.args.strict,
        }
    }

    fn listed(&self) -> impl Iterator<Item = &Difference> {
        self.beside.differences.iter().filter(|difference| self.counts(self.kind(difference)))
    }

    fn status(&self) -> ExitStatus {
        match self.listed().next() {
            Some(_) => ExitStatus::Found,
            None if self.beside.unanswered > 0 => ExitStatus::CannotTell,
            None => ExitStatus::Ok,
        }
    }

    fn write(&self, out: &mut Out) -> anyhow::Result<()> {
        let servers = [self.server, self.args.with].map(|server| server.to_string());
        let width = servers.iter().map(String::len).max().unwrap_or(0);
        for difference in self.listed() {
            writeln!(out, "{} {}", styled(BAD, "differs"), question(&difference.asked))?;
            for (server, side) in servers.iter().zip(&difference.said) {
                writeln!(out, "  {server:width$}  {}", shown(side, difference.gap == Gap::Ttl))?;
            }
        }
        let number = self.listed().count() as u64;
        let questions = counted(self.asked as u64, "question", "questions");
        let zones = counted(self.zones as u64, "zone", "zones");
        let verdict = match number {
            0 => styled(GOOD, "no answer differs"),
            1 => styled(BAD, "1 answer differs"),
            many => styled(BAD, format_args!("{} differ", counted(many, "answer", "answers"))),
        };
        writeln!(out, "{questions} about {zones}: {verdict}")?;
        for (zone, entries) in &self.sampled {
            let [samples, entries] = [self.args.samples.into(), *entries as u64].map(grouped);
            let sample =
                format_args!("a sample: {samples} of {entries} entries of {zone} (--samples asks for more)");
            writeln!(out, "{}", styled(WARN, sample))?;
        }
        for (kind, number) in self.not_counted() {
            writeln!(out, "{}", styled(DIM, format_args!("not counted: {number} {}", what(kind))))?;
        }
        if self.beside.unanswered > 0 {
            let silent = counted(self.beside.unanswered as u64, "question", "questions");
            writeln!(out, "{}", styled(WARN, format_args!("neither server answered {silent}")))?;
        }
        Ok(out.flush()?)
    }

    /// What was found and does not count, by kind.
    fn not_counted(&self) -> Vec<(Kind, usize)> {
        // That nobody asked for TTLs is no news.
        let kinds = [Kind::Of(Gap::Existence), Kind::Of(Gap::Authority), Kind::TestPoint];
        let number = |kind| self.beside.differences.iter().filter(|found| self.kind(found) == kind).count();
        let found = kinds.into_iter().filter(|kind| !self.counts(*kind)).map(|kind| (kind, number(kind)));
        found.filter(|(_, number)| *number > 0).collect()
    }

    fn as_json(&self, without_data: &[(&Name, String)]) -> Value {
        let differences =
            self.beside.differences.iter().filter(|found| found.gap != Gap::Ttl || self.args.ttl);
        let differences: Vec<Value> = differences
            .map(|difference| {
                let Difference { asked, said, .. } = difference;
                let kind = self.kind(difference);
                json!({
                    "name": spelt(asked), "type": type_name(asked.rtype), "kind": word(kind),
                    "counts": self.counts(kind), "server": side(&said[0]), "with": side(&said[1]),
                })
            })
            .collect();
        let left_out: BTreeMap<_, _> =
            without_data.iter().map(|(zone, why)| (zone.to_string(), why)).collect();
        json!({
            "server": self.server, "with": self.args.with, "same": self.status() == ExitStatus::Ok,
            "zones": self.zones, "left_out": left_out, "questions": self.asked,
            "samples": self.args.samples, "sampled": self.sampled,
            "unanswered": self.beside.unanswered, "differ": self.listed().count(), "differences": differences,
        })
    }
}

fn question(asked: &Asked) -> String {
    format!("{} {}", spelt(asked), type_name(asked.rtype))
}

fn spelt(asked: &Asked) -> String {
    let name = asked.name.to_string();
    if asked.upper { name.to_ascii_uppercase() } else { name }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Of(Gap::Answer) => "answer",
        Kind::Of(Gap::Ttl) => "ttl",
        Kind::Of(Gap::Existence) => "existence",
        Kind::Of(Gap::Authority) => "authority",
        Kind::TestPoint => "test-point",
    }
}

fn what(kind: Kind) -> &'static str {
    match kind {
        Kind::Of(Gap::Answer) => "answers",
        Kind::Of(Gap::Ttl) => "TTLs",
        Kind::Of(Gap::Existence) => {
            "without records, NOERROR from one server and NXDOMAIN from the other (--strict counts them)"
        }
        Kind::Of(Gap::Authority) => "for SOA or NS, which one server refuses to give (--strict counts them)",
        Kind::TestPoint => {
            "for test points, which this server answers by itself whatever lists say (--strict counts them; `test-points = false` \
             leaves them to the lists)"
        }
    }
}

fn shown(side: &Side, with_ttl: bool) -> String {
    let reply = match side {
        Ok(reply) => reply,
        Err(error) => return error.to_string(),
    };
    let data = reply.answers.iter().map(|record| {
        let rtype = if record.rtype == Rtype::A { String::new() } else { type_name(record.rtype) + " " };
        let ttl = if with_ttl { format!(" ({} s)", record.ttl) } else { String::new() };
        format!("{rtype}{}{ttl}", record.data)
    });
    let data: Vec<String> = data.collect();
    match &data[..] {
        [] => format!("{}, no records", rcode_name(reply.rcode)),
        data => format!("{} {}", rcode_name(reply.rcode), data.join(", ")),
    }
}

fn side(side: &Side) -> Value {
    match side {
        Err(error) => json!({ "error": error.to_string() }),
        Ok(reply) => {
            let record = |record: &crate::client::Record| json!({ "type": type_name(record.rtype), "ttl": record.ttl, "data": record.data.to_string() });
            let records: Vec<Value> = reply.answers.iter().map(record).collect();
            json!({ "rcode": rcode_name(reply.rcode), "records": records })
        }
    }
}

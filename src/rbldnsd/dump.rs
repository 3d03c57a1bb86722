//! `-d`: all zones as master files.

use std::io::Write;
use std::sync::mpsc::channel;

use anyhow::bail;
use nix::unistd::geteuid;

use super::daemon::first_round;
use super::data::Data;
use super::options::Options;
use super::reports::{Confinement, Job};
use crate::export::{Losses, master};
use crate::model::Name;

/// Loads all zones as a start does, and writes each with its subzones; what of which zone a master file cannot hold.
/// Nothing is kept in a cache and no socket is opened; the user changes only when one is named and root asks.
pub fn run(options: &Options, out: &mut impl Write) -> anyhow::Result<Vec<(Name, Losses)>> {
    let confinement = match options.user {
        Some(_) if geteuid().is_root() => Confinement::of(options)?,
        _ => Confinement { root: options.root.clone(), workdir: options.workdir.clone(), ids: None },
    };
    let job = Job {
        confinement,
        cache: None,
        ttls: options.ttls,
        host_bits: options.host_bits,
        gzip: options.gzip,
        specs: options.specs.clone(),
    };
    let (sender, happenings) = channel();
    let mut data = Data::start(job, sender)?;
    data.check();
    if !first_round(&mut data, &happenings)? {
        bail!("the loader has ended");
    }
    data.zones.settle(jiff::Timestamp::now().as_second());
    let mut left_out = Vec::new();
    for zone in &options.specs.zones {
        let losses = master(&data.zones.parts(&zone.origin), out)?;
        left_out.push((zone.origin.clone(), losses));
    }
    out.flush()?;
    Ok(left_out)
}

//! What is wrong with how a program is told to ask, whatever it asks for: told where it has to do with a zone of gatepost's. Pure.

use super::super::cure;
use super::super::finding::{Area, Check, Cure};
use super::is_ours;
use crate::model::Name;
use crate::snippet::Program;
use crate::snippet::wiring::Wiring;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Trouble {
    pub(super) program: Program,
    /// What docs/doctor.md calls it.
    pub(super) name: &'static str,
    pub(super) is_bad: bool,
    pub(super) at: String,
    /// Those that it has to do with.
    pub(super) zones: Vec<Name>,
    /// What is said of it.
    pub(super) rest: String,
    pub(super) cause: String,
    pub(super) cure: Cure,
}

/// A check for each that has to do with gatepost.
pub(super) fn checks(all: &[Trouble], wiring: &Wiring) -> Vec<Check> {
    let ours = |trouble: &&Trouble| trouble.zones.iter().any(|zone| is_ours(zone, wiring));
    all.iter().filter(ours).map(check).collect()
}

pub(super) fn check(trouble: &Trouble) -> Check {
    let what = format!("{}, {}: {}", cure::name(trouble.program), trouble.at, trouble.rest);
    let check = match trouble.is_bad {
        true => Check::bad(Area::Mail, trouble.name, what),
        false => Check::warn(Area::Mail, trouble.name, what),
    };
    check.because(trouble.cause.clone()).cured(trouble.cure.clone())
}

//! A zone whose members have sections → the zones that it really is.
//!
//! rbldnsd's rule, data set by data set: a combined one answers a name from the sections of its closest subzone alone,
//! another one from all of its entries. So a subzone is made of the sections that name it, and of what the other
//! members say of names below it. (Not of what their addresses would say where the labels of a subzone are numbers.)

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Member, ZoneData, ZoneSpec};
use crate::guard::entries::takes_test_points;
use crate::model::{Name, Template, Value};
use crate::set::{NameEntry, Scope, Section, Set, SetBuilder};

/// The zones that `spec` really is: itself, with what its members say outside of subzones, and a zone for each
/// subzone that `is_served`. A zone whose members have no sections is itself alone.
pub fn expand(mut spec: ZoneSpec, is_served: impl Fn(&Name) -> bool) -> Vec<ZoneSpec> {
    let sections = spec.members.iter().flat_map(|member| &member.set.sections);
    let named: BTreeSet<&Name> = sections.flat_map(|section| &section.subs).collect();
    let subs: Vec<(Name, Name)> = named
        .into_iter()
        .filter(|sub| **sub != Name::root())
        // In the place of a test point is no subzone.
        .filter(|sub| !spec.zone.test_points || !takes_test_points(sub))
        // A name that is too long for DNS is nobody's question.
        .filter_map(|sub| Some((sub.clone(), sub.below(&spec.zone.origin)?)))
        .filter(|(_, origin)| is_served(origin))
        .collect();
    if spec.members.iter().all(|member| member.set.sections.is_empty()) {
        return vec![spec];
    }
    let zones: Vec<ZoneSpec> = subs.iter().map(|(sub, origin)| subzone(&spec, sub, origin, &subs)).collect();
    spec.members = members(&spec.members, &Name::root());
    // A zone of subzones alone lists nothing.
    spec.zone.test_points &= !spec.members.is_empty();
    spec.subzones = subs.into_iter().map(|(sub, _)| sub).collect();
    std::iter::once(spec).chain(zones).collect()
}

fn subzone(spec: &ZoneSpec, sub: &Name, origin: &Name, subs: &[(Name, Name)]) -> ZoneSpec {
    let below = subs.iter().filter(|(other, _)| other != sub).filter_map(|(other, _)| other.relative_to(sub));
    ZoneSpec {
        zone: ZoneData { origin: origin.clone(), base: Some(spec.zone.origin.clone()), ..spec.zone.clone() },
        members: members(&spec.members, sub),
        excepts: spec.excepts.clone(),
        subzones: below.collect(),
    }
}

/// What answers in a subzone, or in the zone outside of all: the sections as members of their own.
fn members(members: &[Member], sub: &Name) -> Vec<Member> {
    members.iter().flat_map(|member| answering(member, sub)).collect()
}

fn answering(member: &Member, sub: &Name) -> Vec<Member> {
    let of = |set| Member { set, ..member.clone() };
    if member.set.sections.is_empty() {
        return seen_from(&member.set, sub).map(of).into_iter().collect();
    }
    let sections = &member.set.sections;
    let closest = sections.iter().flat_map(|section| &section.subs).filter(|other| sub.is_in(other));
    let Some(closest) = closest.max_by_key(|other| other.as_wire().len()) else { return Vec::new() };
    let Some(rest) = sub.relative_to(closest) else { return Vec::new() };
    let naming = sections.iter().filter(|section| section.subs.contains(closest));
    naming.filter_map(|Section { set, .. }| seen_from(set, &rest)).map(of).collect()
}

/// What a set says of `sub` and the names below it, as seen from there; `None` when that is nothing.
fn seen_from(set: &Arc<Set>, sub: &Name) -> Option<Arc<Set>> {
    if *sub == Name::root() {
        return Some(Arc::clone(set));
    }
    let mut builder = SetBuilder::new(set.overlap);
    builder.directives.ttl = set.directives.ttl;
    let mut put = |name: Name, scope: Scope, entry: &NameEntry| {
        if entry.exclude {
            return builder.exclude_name(name, scope);
        }
        let value = builder.value(&told(set.value(entry.value), &entry.name));
        builder.name(name, scope, value);
    };
    let mut is_named = false;
    for entry in set.names.iter() {
        if let Some(name) = entry.name.relative_to(sub) {
            is_named |= name == Name::root() && entry.scope == Scope::Exact;
            put(name, entry.scope, &entry);
        }
    }
    // Of the wildcards above the longest holds: for the subzone itself where nothing else does, and below it.
    let above =
        |entry: &NameEntry| entry.scope == Scope::Below && entry.name != *sub && sub.is_in(&entry.name);
    if let Some(longest) = set.names.iter().filter(above).map(|entry| entry.name.as_wire().len()).max() {
        let own = |entry: &NameEntry| entry.scope == Scope::Below && entry.name == *sub;
        let has_own = set.names.iter().any(|entry| own(&entry));
        for entry in set.names.iter().filter(above).filter(|entry| entry.name.as_wire().len() == longest) {
            if !is_named {
                put(Name::root(), Scope::Exact, &entry);
            }
            if !has_own {
                put(Name::root(), Scope::Below, &entry);
            }
        }
    }
    let seen = builder.finish();
    (!seen.is_empty()).then(|| Arc::new(seen))
}

/// With the listed name in its text, which is no longer that of the entry.
fn told(value: Value, listed: &Name) -> Value {
    let text = value.text.map(|text| match text.has_subject() {
        true => Template::literal(&text.fill(&listed.to_string())),
        false => text,
    });
    Value { text, ..value }
}

#[cfg(test)]
mod tests;

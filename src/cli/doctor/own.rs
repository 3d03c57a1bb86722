//! Own networks that a list could name: the addresses of this host's interfaces, and what Postfix lets pass as `mynetworks`.
//!
//! Reads the sets of allow lists; changes nothing.

use std::net::IpAddr;

use super::super::view::View;
use crate::config::{Source, ZoneConfig, is_nobodys_own};
use crate::doctor::finding::{Area, Check, Cure};
use crate::doctor::mynetworks::{Networks, is_ours_in_public};
use crate::guard::NeverList;
use crate::model::{Address, Span, Subject, Use};
use crate::set::Set;
use crate::store::Store;

/// Networks of one's own that some feed may list in some zone; and what of `mynetworks` cannot be read.
pub(super) fn look(view: &View, addresses: &[IpAddr], mynetworks: &Networks) -> Vec<Check> {
    let checks = everybody(mynetworks).into_iter();
    let own = in_public(addresses, &mynetworks.all);
    checks
        .chain(listed(view, &own))
        .chain(lists_everybody(view))
        .chain(listable(view, own))
        .chain(closed(view, &mynetworks.closed))
        .collect()
}

/// What is reached from the world, and is this host's or another's that Postfix lets pass.
fn in_public(addresses: &[IpAddr], mynetworks: &[Subject]) -> Vec<Subject> {
    let addresses = addresses.iter().filter_map(|address| address.to_string().parse().ok());
    // What the configuration would refuse as `own-networks` is told by itself.
    let narrow = mynetworks.iter().filter(|network| !is_nobodys_own(network)).cloned();
    let mut own: Vec<Subject> = Vec::new();
    for network in addresses.chain(narrow).filter(is_ours_in_public) {
        if !own.contains(&network) {
            own.push(network);
        }
    }
    own
}

/// Whom Postfix lets pass as its own though they are the world.
fn everybody(mynetworks: &Networks) -> Option<Check> {
    let wide = mynetworks.all.iter().filter(|network| is_nobodys_own(network)).map(ToString::to_string);
    let all: Vec<String> = wide.chain(mynetworks.everybody.clone()).collect();
    let first = all.first()?;
    let what = format!("Postfix's mynetworks have {}, which is nobody's own network", all.join(", "));
    Some(
        Check::bad(Area::Host, "own-everybody", what)
            .because("strangers who come from there pass before any list is asked (permit_mynetworks), and may send through this host to the whole world")
            .cured_by(format!(
                "in the place of `{first}`{} put into mynetworks in main.cf the networks of your own machines, beside 127.0.0.0/8 and [::1]/128, then `postfix reload`",
                if all.len() > 1 { " and the rest" } else { "" },
            )),
    )
}

/// Nobody can say whether a feed may list what stands there.
fn closed(view: &View, tables: &[String]) -> Option<Check> {
    if tables.is_empty() || !view.config.reloadable.zones.iter().any(|zone| asks_a_feed(view, zone)) {
        return None;
    }
    let what = format!("Postfix's mynetworks are in {}, which cannot be read here", tables.join(", "));
    Some(
        Check::unknown(Area::Host, "own-networks-closed", what)
            .because("what is neither in `own-networks` nor in an allow list under `except` is listed when a feed says so")
            .cured_by("see that the public networks that stand there are in `own-networks` under [sync] in the configuration, too"),
    )
}

fn listable(view: &View, mut own: Vec<Subject>) -> Option<Check> {
    if own.is_empty() {
        return None;
    }
    let named = NeverList::default().with(&view.config.reloadable.sync.own_networks);
    own.retain(|network| !covers(&named, network));
    let zones = view.config.reloadable.zones.iter().filter(|zone| asks_a_feed(view, zone));
    let excepted: Vec<NeverList> = match own.is_empty() {
        true => Vec::new(),
        false => zones.map(|zone| named.clone().with(&excepts(view, zone))).collect(),
    };
    own.retain(|network| excepted.iter().any(|never| !covers(never, network)));
    // An address in a network that is told already.
    let wide = own.clone();
    own.retain(|network| !wide.iter().any(|other| other != network && other.covers(network)));
    let open: Vec<String> = own.iter().map(|network| format!("\"{network}\"")).collect();
    if open.is_empty() {
        return Some(Check::ok(Area::Host, "no feed can list this host's own networks"));
    }
    let open = open.join(", ");
    Some(
        Check::warn(Area::Host, "own-networks", format!("a feed may list own networks: {open}"))
            .because("what is neither in `own-networks` nor in an allow list under `except` is listed when a feed says so, and mail between own machines is refused")
            .cured(Cure {
                how: "under [sync] in the configuration, beside what is there; better the whole network".to_owned(),
                lines: format!("own-networks = [{open}]"),
            }),
    )
}

/// Files of one's own are served as they are written, and may have what is one's own.
fn listed(view: &View, own: &[Subject]) -> Option<Check> {
    let store = Store::existing(&view.config.state).ok().filter(|_| !own.is_empty())?;
    let found = view.config.reloadable.zones.iter().find_map(|zone| {
        let files =
            zone.members.iter().filter_map(|member| view.list(member.list.as_str())).filter(|list| {
                list.config.use_ == Use::Block && matches!(list.config.source, Source::Files(_))
            });
        let excepts = NeverList::default().with(&excepts(view, zone));
        files.into_iter().find_map(|list| {
            let set = store.list(&list.config.name).set(&list.status.set.as_ref()?.hash).ok()?;
            Some((&zone.origin, &list.config.name, first_of(&set, own, &excepts)?))
        })
    });
    let (zone, list, network) = found?;
    Some(
        Check::warn(Area::Host, "own-listed", format!("{list} has {network}, an own network: it is listed in {zone}"))
            .because("it is an address of this host, or Postfix lets it pass (`mynetworks`): whoever else asks this server refuses its mail")
            .cured_by(format!(
                "take it out of the files of {list}, or have an allow list with it under `except` of {zone}; then `gatepost sync`"
            )),
    )
}

/// A file of one's own that blocks the world, or lets it in.
fn lists_everybody(view: &View) -> Option<Check> {
    let store = Store::existing(&view.config.state).ok()?;
    let world = |name: &str| {
        let list = view.list(name).filter(|list| matches!(list.config.source, Source::Files(_)))?;
        let set = store.list(&list.config.name).set(&list.status.set.as_ref()?.hash).ok()?;
        Some((list.config.use_, list.config.name.clone(), world_of(&set)?))
    };
    let found = view.config.reloadable.zones.iter().find_map(|zone| {
        let names = zone.members.iter().map(|member| member.list.as_str());
        // Who leaves some out may mean all the rest.
        let is_whole = |use_: Use| use_ == Use::Allow || use_ == Use::Block && zone.excepts.is_empty();
        let listed = names.filter_map(world).find(|(use_, ..)| is_whole(*use_));
        let excepted = || zone.excepts.iter().find_map(|name| world(name.as_str()));
        Some((&zone.origin, listed.or_else(excepted)?))
    });
    let (zone, (use_, list, block)) = found?;
    let (is, does) = match use_ {
        Use::Allow => ("it is let in by", "lets in"),
        _ => ("it is listed in", "refuses"),
    };
    Some(
        Check::bad(Area::Host, "listed-everybody", format!("{list} has {block}, which is nobody's own network: {is} {zone}"))
            .because(format!("files are served as they are written: whoever asks for this zone {does} mail from everybody there"))
            .cured_by(format!("take {block} out of the files of {list}; then `gatepost sync`")),
    )
}

/// A block that nobody can have for himself, of which nothing is left out.
fn world_of(set: &Set) -> Option<Subject> {
    if set.v4.blocks.iter().any(|block| block.exclude) || set.v6.iter().any(|block| block.exclude) {
        return None;
    }
    let v4 = set.v4.blocks.iter().map(|block| Subject::V4(block.span));
    let v6 = set.v6.iter().map(|block| Subject::V6(block.span));
    let of_sections = || set.sections.iter().find_map(|section| world_of(&section.set));
    v4.chain(v6).find(is_nobodys_own).or_else(of_sections)
}

/// An own network of which a list has a part that neither it nor the zone leaves out.
fn first_of(set: &Set, own: &[Subject], excepts: &NeverList) -> Option<Subject> {
    let left_out = |exclude: bool, network: Subject| exclude.then_some(network);
    let out_v4 = set.v4.blocks.iter().filter_map(|block| left_out(block.exclude, Subject::V4(block.span)));
    let out_v6 = set.v6.iter().filter_map(|block| left_out(block.exclude, Subject::V6(block.span)));
    let spared = excepts.clone().with(&out_v4.chain(out_v6).collect::<Vec<_>>());
    let has_some = |network: &&Subject| match network {
        Subject::V4(own) => {
            let from = set.v4.hosts.partition_point(|host| *host < own.first);
            let mut hosts = set.v4.hosts[from..].iter().take_while(|host| **host <= own.last);
            let blocks = set.v4.blocks.iter().filter(|block| !block.exclude);
            hosts.any(|host| !spared.contains_v4(*host))
                || blocks.filter_map(|block| shared(&block.span, own)).any(|part| !spared.covers_v4(part))
        }
        Subject::V6(own) => {
            let blocks = set.v6.iter().filter(|block| !block.exclude);
            blocks.filter_map(|block| shared(&block.span, own)).any(|part| !spared.covers_v6(part))
        }
        Subject::Name(_) => false,
    };
    let of_sections = || set.sections.iter().find_map(|section| first_of(&section.set, own, excepts));
    own.iter().find(has_some).cloned().or_else(of_sections)
}

fn shared<A: Address>(one: &Span<A>, other: &Span<A>) -> Option<Span<A>> {
    Span::new(one.first.max(other.first), one.last.min(other.last))
}

fn covers(never: &NeverList, network: &Subject) -> bool {
    match network {
        Subject::V4(span) => never.covers_v4(*span),
        Subject::V6(span) => never.covers_v6(*span),
        Subject::Name(_) => true,
    }
}

/// Whether a list that others publish can refuse somebody there.
fn asks_a_feed(view: &View, zone: &ZoneConfig) -> bool {
    zone.members.iter().any(|member| {
        let list = view.list(member.list.as_str());
        list.is_some_and(|list| !list.config.is_own() && list.config.use_ != Use::Allow)
    })
}

/// What the zone's allow lists have, as far as they can be read.
fn excepts(view: &View, zone: &ZoneConfig) -> Vec<Subject> {
    let Ok(store) = Store::existing(&view.config.state) else { return Vec::new() };
    let lists = zone.excepts.iter().filter_map(|name| view.list(name.as_str()));
    let sets = lists.filter_map(|list| {
        let set = list.status.set.as_ref()?;
        store.list(&list.config.name).set(&set.hash).ok()
    });
    let networks = sets.flat_map(|set| {
        let hosts = set.v4.hosts.iter().map(|host| Subject::V4(Span::host(*host)));
        let v4 = set.v4.blocks.iter().filter(|block| !block.exclude).map(|block| Subject::V4(block.span));
        let v6 = set.v6.iter().filter(|block| !block.exclude).map(|block| Subject::V6(block.span));
        hosts.chain(v4).chain(v6).collect::<Vec<_>>()
    });
    networks.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Value;
    use crate::set::{Overlap, SetBuilder};

    #[test]
    fn a_list_that_is_the_world() {
        let told = |listed: &str, left_out: Option<&str>| {
            let span = |text: &str| match text.parse().unwrap() {
                Subject::V4(span) => span,
                other => panic!("{other}"),
            };
            let mut builder = SetBuilder::new(Overlap::Narrowest);
            let value = builder.value(&Value::default());
            builder.v4(span(listed), value);
            left_out.into_iter().for_each(|text| builder.exclude_v4(span(text)));
            world_of(&builder.finish()).map(|block| block.to_string())
        };
        assert_eq!(told("0.0.0.0/0", None).as_deref(), Some("0.0.0.0/0"));
        assert_eq!(told("0.0.0.0/0", Some("5.6.0.0/16")), None, "who leaves some out means the rest");
        assert_eq!(told("5.0.0.0/8", None), None);
    }

    #[test]
    fn networks_that_are_the_world() {
        let told = |all: &[&str], table: Option<&str>| {
            let all = all.iter().map(|network| network.parse().unwrap()).collect();
            let networks = Networks { all, everybody: table.map(str::to_owned), ..Networks::default() };
            everybody(&networks).map(|check| format!("{check:?}"))
        };
        for wide in [&["0.0.0.0/0"][..], &["::/0"], &["10.0.0.0/8", "0.0.0.0/1", "128.0.0.0/1"]] {
            let told = told(wide, None).unwrap();
            assert!(told.contains("own-everybody") && told.contains(wide.last().unwrap()), "{told}");
        }
        assert!(told(&[], Some("static:all")).unwrap().contains("static:all"));
        let own = ["127.0.0.0/8", "10.0.0.0/8", "5.0.0.0/8", "192.168.0.0/16", "fd00::/8", "2a00:1::/32"];
        assert_eq!(told(&own, None), None);
    }
}

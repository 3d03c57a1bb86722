//! A zone whole: members, exceptions and test points → [`Compiled`].

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use roaring::RoaringBitmap;

use super::answers::{MAX_ANSWERS, MAX_PARTS, Table, TooMany, records_of, test_point};
use super::compose::Budget;
use super::diff::listed_v4;
use super::merge::{Hits, Piece, Without, merge, union};
use super::names::{Hit, visit};
use super::resolve::{Listed, ListedV4, ListedV6};
use super::{
    AnswerId, Answered, Compiled, Except, ListData, Member, NameTree, Part, SpansV4, SpansV6, ZoneData,
    ZoneSpec,
};
use crate::guard::NeverList;
use crate::guard::entries::{is_test_point, spells_any_of};
use crate::model::{Address, Name, RrData, RrSet, Span, Template, TreeName};
use crate::set::{NameList, Scope, Set, ValueId};

/// Compiles a zone.
pub fn compile(spec: &ZoneSpec) -> Compiled {
    let has_feeds = spec.members.iter().any(|member| member.foreign);
    let most = if has_feeds { MAX_ANSWERS } else { usize::MAX };
    match Compiler::new(spec, false, most).run() {
        Ok(compiled) => compiled,
        Err(TooMany) => Compiler::new(spec, true, most).run().unwrap_or_else(|TooMany| {
            // Without the texts of feeds' entries an answer is a combination of lists and published codes; more than
            // MAX_ANSWERS of those means that codes are used as data. Feeds speak for themselves then, and what is
            // left is the operator's own.
            let mut plain = spec.clone();
            plain.members.iter_mut().for_each(|member| member.keep_values &= !member.foreign);
            Compiler::new(&plain, true, usize::MAX).run().expect("without a limit")
        }),
    }
}

struct Compiler<'a> {
    spec: &'a ZoneSpec,
    drop_texts: bool,
    table: Table,
    /// For each member: the zone's value of each of its set's values.
    said: Vec<Vec<u32>>,
    /// For each member: for each value the first one that says the same in this zone.
    stand_ins: Vec<Vec<ValueId>>,
    /// For each member: addresses that it cannot list by names that spell them, either: those of exceptions, too, and of test
    /// points, which say whether the zone answers.
    taken: Vec<NeverList>,
    /// Of the present name; kept for its room.
    parts: Vec<Part>,
    /// The test points of RFC 5782 are forced. Never among records alone: those are no block list.
    test_points: bool,
}

impl<'a> Compiler<'a> {
    fn new(spec: &'a ZoneSpec, drop_texts: bool, most: usize) -> Self {
        let mut table = Table::new(most);
        let said: Vec<Vec<u32>> = spec
            .members
            .iter()
            .map(|member| {
                let ttl = member.set.directives.ttl.filter(|&ttl| ttl > 0).unwrap_or(spec.zone.ttl);
                let values = member.set.values.iter();
                values.map(|value| table.value(records_of(member, value, ttl, drop_texts))).collect()
            })
            .collect();
        let stand_ins = said.iter().map(|said| first_alike(said)).collect();
        let records =
            !spec.members.is_empty() && spec.members.iter().all(|member| holds_records(&member.set));
        let test_points = spec.zone.test_points && !records;
        Self { spec, drop_texts, table, said, stand_ins, taken: Vec::new(), parts: Vec::new(), test_points }
    }

    fn run(mut self) -> Result<Compiled, TooMany> {
        let v4 = self.v4();
        let v6 = self.v6();
        let names = self.names();
        let lists = self.lists();
        let (answers, values) = self.table.finish()?;
        let zone = ZoneData { test_points: self.test_points, ..self.spec.zone.clone() };
        Ok(Compiled { zone, lists, v4, v6, names, answers, values })
    }

    fn v4(&mut self) -> SpansV4 {
        let budget = Budget::v4(&self.spec.zone.origin);
        let points = self.test_points();
        let forced: Vec<Span<u32>> = points.iter().map(|(address, _)| Span::host(*address)).collect();
        let mask = union([excepted_v4(&self.spec.excepts), forced].concat());
        let points: Vec<Answered<u32>> = points
            .into_iter()
            .filter_map(|(address, code)| {
                let value = self.table.value(test_point(&self.spec.zone, code?));
                let answer = self.table.answer(&[Part { list: Part::ZONE, value }], || budget);
                Some(Answered { span: Span::host(address), answer })
            })
            .collect();
        let mut points = points.into_iter().peekable();
        let mut members: Vec<_> = (self.spec.members.iter().zip(&self.stand_ins))
            .map(|(member, stand_ins)| {
                let never = member.never.as_ref().map_or(&[][..], |never| &never.v4);
                Without::new(ListedV4::new(&member.set, stand_ins), never)
            })
            .collect();
        let mut answers = Combinations::new(&self.said, &mut self.table, budget);
        let mut spans = SpansV4::default();
        merge(&mut members, &mask, |piece, hits| {
            let first = match piece {
                Piece::Span(span) => span.first,
                Piece::Hosts(hosts) => hosts[0],
            };
            while let Some(point) = points.next_if(|point| point.span.first < first) {
                spans.push(point.span, point.answer);
            }
            match piece {
                Piece::Span(span) => spans.push(span, answers.answer(&hits)),
                Piece::Hosts(hosts) => spans.extend_hosts(hosts, answers.answer(&hits)),
            }
        });
        points.for_each(|point| spans.push(point.span, point.answer));
        spans
    }

    fn v6(&mut self) -> SpansV6 {
        let mask = excepted_v6(&self.spec.excepts);
        let mut members: Vec<_> = (self.spec.members.iter().zip(&self.stand_ins))
            .map(|(member, stand_ins)| {
                let never = member.never.as_ref().map_or(&[][..], |never| &never.v6);
                Without::new(ListedV6::new(&member.set, stand_ins), never)
            })
            .collect();
        let budget = Budget::v6(&self.spec.zone.origin);
        let mut answers = Combinations::new(&self.said, &mut self.table, budget);
        let mut spans = SpansV6::default();
        merge(&mut members, &mask, |piece, hits| {
            let answer = answers.answer(&hits);
            match piece {
                Piece::Span(span) => spans.push(span, answer),
                Piece::Hosts(hosts) => {
                    hosts.iter().for_each(|&host| spans.push(Span::host(host), answer));
                }
            }
        });
        spans
    }

    /// Addresses whose answer is forced (RFC 5782 section 5), sorted: 127.0.0.1 is never listed, 127.0.0.2 always,
    /// and in a combined zone each list's code has a test point at the address equal to the code.
    fn test_points(&self) -> Vec<(u32, Option<Ipv4Addr>)> {
        if !self.test_points {
            return Vec::new();
        }
        let never = (Ipv4Addr::LOCALHOST, None);
        let always = Ipv4Addr::new(127, 0, 0, 2);
        let codes = self.spec.members.iter().filter(|_| self.spec.zone.combined).map(|member| member.code);
        let codes = codes.filter(|&code| code != Ipv4Addr::LOCALHOST);
        let mut points: Vec<_> = codes
            .chain([always])
            .map(|code| (code, Some(code)))
            .chain([never])
            .map(|(at, code)| (u32::from(at), code))
            .collect();
        points.sort_unstable();
        points.dedup();
        points
    }

    fn names(&mut self) -> NameTree {
        let members = self.spec.members.iter().map(|member| &*member.set);
        let excepts = self.spec.excepts.iter().map(|except| &*except.set);
        let sets: Vec<&Set> = members.chain(excepts).collect();
        let subzones = &self.spec.subzones;
        let holds_names = sets[..self.spec.members.len()].iter().any(|set| !set.names.is_empty());
        if !holds_names && subzones.is_empty() {
            return NameTree::default();
        }
        self.taken = self.taken();
        let test = (self.test_points && holds_names)
            .then(|| ["test", "invalid"].map(|name| TreeName::of(&name.parse().expect("plain"))));
        let subzones: Vec<TreeName> = subzones.iter().map(TreeName::of).collect();
        let extra = NameList::of_names(test.iter().flatten().chain(&subzones));
        let subzones: HashSet<&[u8]> = subzones.iter().map(TreeName::as_octets).collect();
        let lists: Vec<&NameList> = sets.iter().map(|set| &set.names).collect();
        let mut tree = NameTree::default();
        let mut known = vec![Vec::new(); lists.len()];
        // The rows of the nodes above the present one.
        let mut path: Vec<usize> = Vec::new();
        visit(&lists, &extra, |node| {
            let exact = match &test {
                Some([listed, _]) if node.name == listed.as_octets() => {
                    let value = self.table.value(test_point(&self.spec.zone, Ipv4Addr::new(127, 0, 0, 2)));
                    let budget =
                        || Budget::name(&Name::from_tree(listed.as_octets()), &self.spec.zone.origin);
                    Some(self.table.answer(&[Part { list: Part::ZONE, value }], budget))
                }
                Some([_, unlisted]) if node.name == unlisted.as_octets() => None,
                _ => self.name_answer(node.name, Scope::Exact, node.exact, &mut known),
            };
            let below = self.name_answer(node.name, Scope::Below, node.below, &mut known);
            // What a subzone holds is there as well, though it is another zone's to say.
            let parent = below.is_some() || !subzones.is_empty() && subzones.contains(node.name);
            path.truncate(node.depth);
            if exact.is_some() || parent {
                // Whatever is above a parent is one, too: known ones end the walk.
                for &above in path.iter().rev() {
                    if tree.set_parent(above) {
                        break;
                    }
                }
            }
            path.push(tree.len());
            tree.push(node.label(), node.depth, exact, below, parent);
        });
        tree
    }

    fn taken(&self) -> Vec<NeverList> {
        let excepted = NeverList { v4: excepted_v4(&self.spec.excepts), v6: excepted_v6(&self.spec.excepts) };
        let points = if self.test_points { NeverList::loopback() } else { NeverList::default() };
        let all = excepted.and(&points);
        let of = |member: &Member| member.never.as_ref().map_or_else(|| all.clone(), |never| never.and(&all));
        self.spec.members.iter().map(of).collect()
    }

    /// `known`: for each member the answer of each of its values alone, where it is the same for names of any length.
    fn name_answer(
        &mut self,
        node: &[u8],
        scope: Scope,
        says: &[Option<Hit<'_>>],
        known: &mut [Vec<Option<AnswerId>>],
    ) -> Option<AnswerId> {
        let (members, excepts) = says.split_at(self.spec.members.len());
        if excepts.iter().any(Option::is_some) {
            return None;
        }
        let (taken, forced) = (&self.taken, self.test_points);
        let may_list = |hit: &&Hit<'_>| {
            let scope = if hit.listed == node.len() { scope } else { Scope::Below };
            let listed = &node[..hit.listed];
            !spells_any_of(listed, scope, &taken[hit.list]) || !forced && is_test_point(listed, scope)
        };
        let hits = || members.iter().flatten().filter(may_list);
        let budget = if scope == Scope::Exact { Budget::name } else { Budget::below };
        let mut listing = hits();
        let (first, others) = (listing.next()?, listing.next());
        let alone = match (first.values().next(), first.values().len(), others) {
            (Some(value), 1, None) if first.listed == node.len() => Some((first.list, value as usize)),
            _ => None,
        };
        if let Some((list, value)) = alone
            && let Some(&Some(answer)) = known[list].get(value)
        {
            return Some(answer);
        }
        self.parts.clear();
        for hit in hits() {
            for value in hit.values().take(MAX_PARTS.saturating_sub(self.parts.len())) {
                let mut value = self.said[hit.list][value as usize];
                // `$` is the listed name. The encoder puts in the node's, so another one is put in here.
                if hit.listed != node.len() && self.table.records(value).iter().any(has_subject) {
                    let listed = Name::from_tree(&node[..hit.listed]);
                    let records = self.table.records(value).iter().map(|set| filled(set, &listed)).collect();
                    value = self.table.value(records);
                }
                let part = Part { list: hit.list as u16, value };
                if !self.parts.contains(&part) {
                    self.parts.push(part);
                }
            }
        }
        if self.parts.is_empty() {
            return None;
        }
        let mut fits_any = true;
        let answer = self.table.answer(&self.parts, || {
            fits_any = false;
            budget(&Name::from_tree(node), &self.spec.zone.origin)
        });
        if let Some((list, value)) = alone.filter(|_| fits_any) {
            let known = &mut known[list];
            known.resize(known.len().max(value + 1), None);
            known[value] = Some(answer);
        }
        Some(answer)
    }

    fn lists(&self) -> Vec<ListData> {
        let members = self.spec.members.iter().map(|member| ListData {
            name: member.name.clone(),
            set: member.hash,
            use_: member.use_,
            except: false,
            code: Some(member.code),
            entries: member.set.len() as u64,
            texts_dropped: self.drop_texts && member.foreign,
            six_to_four: member.set.directives.six_to_four,
        });
        let excepts = self.spec.excepts.iter().map(|except| ListData {
            name: except.name.clone(),
            set: except.hash,
            use_: crate::model::Use::Allow,
            except: true,
            code: None,
            entries: except.set.len() as u64,
            texts_dropped: false,
            six_to_four: false,
        });
        members.chain(excepts).collect()
    }
}

/// Every entry is a record of its own (rbldnsd's generic).
fn holds_records(set: &Set) -> bool {
    !set.values.is_empty() && set.values.iter().all(|value| !value.records.is_empty())
}

fn first_alike(said: &[u32]) -> Vec<ValueId> {
    let mut first = HashMap::new();
    said.iter().zip(0..).map(|(value, id)| *first.entry(value).or_insert(id)).collect()
}

/// Everything that the exception lists hold.
fn excepted_v4(excepts: &[Except]) -> Vec<Span<u32>> {
    let mut all = RoaringBitmap::new();
    for list in excepts {
        all |= listed_v4(&list.set);
    }
    let mut spans = Vec::new();
    let mut ranges = all.iter();
    while let Some(range) = ranges.next_range() {
        spans.push(Span { first: *range.start(), last: *range.end() });
    }
    spans
}

fn excepted_v6(excepts: &[Except]) -> Vec<Span<u128>> {
    let listed = excepts.iter().flat_map(|except| ListedV6::new(&except.set, &[]));
    union(listed.map(|item| item.span).collect())
}

/// Which members hit with which of their groups → the zone's answer, remembered.
struct Combinations<'a> {
    said: &'a [Vec<u32>],
    table: &'a mut Table,
    budget: Budget,
    known: HashMap<Vec<(u16, u32)>, AnswerId>,
    last: (Vec<(u16, u32)>, AnswerId),
}

impl<'a> Combinations<'a> {
    fn new(said: &'a [Vec<u32>], table: &'a mut Table, budget: Budget) -> Self {
        Self { said, table, budget, known: HashMap::new(), last: (Vec::new(), 0) }
    }

    #[inline]
    fn answer<'s, A: Address, L: Listed<'s, A>>(&mut self, hits: &Hits<'_, A, L>) -> AnswerId {
        if self.last.0 != hits.hits {
            let answer = match self.known.get(hits.hits) {
                Some(&answer) => answer,
                None => self.make(hits),
            };
            self.last.0.clear();
            self.last.0.extend_from_slice(hits.hits);
            self.last.1 = answer;
        }
        self.last.1
    }

    fn make<'s, A: Address, L: Listed<'s, A>>(&mut self, hits: &Hits<'_, A, L>) -> AnswerId {
        let mut parts = Vec::new();
        for (list, values) in hits.values() {
            for &value in values.iter().take(MAX_PARTS.saturating_sub(parts.len())) {
                let part = Part { list, value: self.said[usize::from(list)][value as usize] };
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
        }
        let answer = self.table.answer(&parts, || self.budget);
        self.known.insert(hits.hits.to_vec(), answer);
        answer
    }
}

fn has_subject(set: &RrSet) -> bool {
    matches!(&set.data, RrData::Texts(texts) if texts.iter().any(Template::has_subject))
}

fn filled(set: &RrSet, listed: &Name) -> RrSet {
    let RrData::Texts(texts) = &set.data else { return set.clone() };
    let subject = listed.to_string();
    let texts = texts.iter().map(|text| Template::literal(&text.fill(&subject))).collect();
    RrSet { data: RrData::Texts(texts), ..set.clone() }
}

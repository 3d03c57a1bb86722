//! Several lists' records → one reply that fits.

use std::collections::BTreeMap;

use crate::model::{Name, RrData, RrSet, Rtype, Template, Ttl};

/// What a reply may cost: octets for the answer section of a UDP reply of 512 octets, and those of the subject that
/// `$` becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    octets: usize,
    subject: usize,
}

/// Header, type and class of the question, and an OPT record.
const FIXED: usize = 12 + 4 + 11;
/// Owner pointer, type, class, TTL, length.
const RECORD_OVERHEAD: usize = 12;
/// The same and the string's length octet.
const TXT_OVERHEAD: usize = RECORD_OVERHEAD + 1;
/// Room for "+65535 more".
const MORE: usize = TXT_OVERHEAD + 12;
/// `255.255.255.255` as a text, and as labels.
const V4: (usize, usize) = (15, 16);
/// An IPv6 address as a text, and as labels.
const V6: (usize, usize) = (39, 64);
/// Octets that a question has more than the wildcard that answers it: a whole label, or several short ones. Longer
/// questions are told to ask again over TCP where texts fill a reply.
const BELOW: usize = 64;
/// RFC 1035 section 2.3.4.
const NAME_MAX: usize = 255;

impl Budget {
    /// For questions about IPv4 addresses below `origin`.
    pub fn v4(origin: &Name) -> Self {
        Self::new(V4, origin)
    }

    /// For questions about IPv6 addresses below `origin`.
    pub fn v6(origin: &Name) -> Self {
        Self::new(V6, origin)
    }

    /// For the question about `name` below `origin`, which texts name.
    pub fn name(name: &Name, origin: &Name) -> Self {
        Self::new((shown(name), labels(name)), origin)
    }

    /// For questions about what is below `name`, which is what texts name.
    pub fn below(name: &Name, origin: &Name) -> Self {
        Self::new((shown(name), labels(name) + BELOW), origin)
    }

    /// The octets of the subject as a text and of a question's labels below the origin.
    fn new((subject, labels): (usize, usize), origin: &Name) -> Self {
        let name = (labels + origin.as_wire().len()).min(NAME_MAX);
        Self { octets: 512 - FIXED - name, subject }
    }

    fn cost(self, text: &Template) -> usize {
        TXT_OVERHEAD + text.len_with(self.subject).min(255)
    }

    /// Whether texts of these lengths (octets as they stand, holes) are left as they are by [`compose`].
    pub fn holds(self, texts: impl IntoIterator<Item = (usize, usize)>) -> bool {
        let mut count = 0;
        let costs = texts.into_iter().map(|(literal, holes)| {
            count += 1;
            TXT_OVERHEAD + (literal + holes * self.subject).min(255)
        });
        let total: usize = costs.sum();
        count < 2 || total <= self.octets
    }

    /// How many of the texts in `records` there is room for; with some left out, beside their number. One stays whatever
    /// its length (it is cut at 255 octets when it is encoded).
    pub(super) fn room(self, records: &[RrSet]) -> usize {
        let Some(texts) = records.iter().find_map(texts_of) else { return 0 };
        let total: usize = texts.iter().map(|text| self.cost(text)).sum();
        if texts.len() < 2 || total <= self.octets {
            return texts.len();
        }
        let mut spent = MORE;
        let fits = |text: &&Template| {
            spent += self.cost(text);
            spent <= self.octets
        };
        texts.iter().take_while(fits).count().max(1)
    }
}

fn shown(name: &Name) -> usize {
    name.to_string().len()
}

/// Octets of its labels without the root.
fn labels(name: &Name) -> usize {
    name.as_wire().len() - 1
}

fn texts_of(set: &RrSet) -> Option<&Vec<Template>> {
    match &set.data {
        RrData::Texts(texts) => Some(texts),
        RrData::Wire(_) => None,
    }
}

/// What all lists that hit say together (`join`), in a reply that fits: texts that would push it past 512 octets are
/// counted instead ("+2 more"), since some mail software never asks again over TCP.
pub fn compose<'a>(parts: impl IntoIterator<Item = &'a [RrSet]>, budget: Budget) -> Vec<RrSet> {
    let mut records = join(parts);
    let room = budget.room(&records);
    cut(&mut records, room);
    records
}

/// What is left of the answer `before` when only these parts still say something. A text that was left out stays so:
/// nobody knows here how long the questions are.
pub fn compose_again<'a>(parts: impl IntoIterator<Item = &'a [RrSet]>, before: &[RrSet]) -> Vec<RrSet> {
    let stood = |text: &Template| before.iter().filter_map(texts_of).any(|texts| texts.contains(text));
    let mut records = join(parts);
    for set in &mut records {
        if let RrData::Texts(texts) = &mut set.data {
            // Those that stood come first, so that cutting leaves them.
            texts.sort_by_key(|text| !stood(text));
            let room = texts.iter().filter(|text| stood(text)).count().max(1);
            leave(texts, room);
        }
    }
    records
}

/// Joins the records of lists in their order: equal records once, the smallest TTL of each type (RFC 2181 section 5.2).
/// Data of a type beyond what any message holds are left out.
pub(super) fn join<'a>(parts: impl IntoIterator<Item = &'a [RrSet]>) -> Vec<RrSet> {
    let mut ttls: BTreeMap<Rtype, Ttl> = BTreeMap::new();
    let mut wire: BTreeMap<Rtype, Vec<Vec<u8>>> = BTreeMap::new();
    let mut texts: BTreeMap<Rtype, Vec<Template>> = BTreeMap::new();
    for set in parts.into_iter().flatten() {
        let ttl = ttls.entry(set.rtype).or_insert(set.ttl);
        *ttl = set.ttl.min(*ttl);
        match &set.data {
            RrData::Wire(data) => {
                let all = wire.entry(set.rtype).or_default();
                push_new(all, data);
                drop_beyond_message(all);
            }
            RrData::Texts(data) => push_new(texts.entry(set.rtype).or_default(), data),
        }
    }
    let mut sets = Vec::new();
    for (rtype, ttl) in ttls {
        let wire = wire.remove(&rtype).map(RrData::Wire);
        let texts = texts.remove(&rtype).map(RrData::Texts);
        sets.extend(wire.into_iter().chain(texts).map(|data| RrSet { rtype, ttl, data }));
    }
    sets
}

/// Leaves the first records that fit into 65,535 octets.
fn drop_beyond_message(data: &mut Vec<Vec<u8>>) {
    let mut octets = 0;
    let fits = |octets: &mut usize, data: &Vec<u8>| {
        *octets += RECORD_OVERHEAD + data.len();
        *octets <= usize::from(u16::MAX)
    };
    let keep = data.iter().take_while(|data| fits(&mut octets, data)).count();
    data.truncate(keep);
}

fn push_new<T: PartialEq + Clone>(all: &mut Vec<T>, items: &[T]) {
    for item in items {
        if !all.contains(item) {
            all.push(item.clone());
        }
    }
}

/// Whether some of the texts may have to be left out.
pub(super) fn has_several_texts(records: &[RrSet]) -> bool {
    records.iter().find_map(texts_of).is_some_and(|texts| texts.len() > 1)
}

/// Leaves as many texts as there is [`Budget::room`] for.
pub(super) fn cut(records: &mut [RrSet], room: usize) {
    for set in records {
        if let RrData::Texts(texts) = &mut set.data {
            leave(texts, room);
        }
    }
}

fn leave(texts: &mut Vec<Template>, room: usize) {
    let out = texts.len().saturating_sub(room);
    if out > 0 {
        texts.truncate(room);
        texts.push(Template::literal(format!("+{out} more").as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn part(code: u8, text: &str, ttl: Ttl) -> Vec<RrSet> {
        vec![
            RrSet { rtype: Rtype::A, ttl, data: RrData::Wire(vec![vec![127, 0, 0, code]]) },
            RrSet { rtype: Rtype::TXT, ttl, data: RrData::Texts(vec![Template::parse(text.as_bytes())]) },
        ]
    }

    #[test]
    fn joins() {
        let parts = [part(2, "a", 300), part(2, "b $", 60), part(3, "a", 90)];
        let sets = compose(parts.iter().map(Vec::as_slice), Budget::v6(&name("bl.example")));
        assert_eq!(sets[0].data, RrData::Wire(vec![vec![127, 0, 0, 2], vec![127, 0, 0, 3]]));
        assert_eq!(sets[0].ttl, 60);
        assert_eq!(sets[1].data, RrData::Texts(vec![Template::parse(b"a"), Template::parse(b"b $")]));
    }

    #[test]
    fn fits_512_octets() {
        let long = "x".repeat(100);
        let parts: Vec<_> = (0..30).map(|n| part(2, &format!("{n} {long} $"), 300)).collect();
        let origin = name("bl.example");
        for (budget, subject, question) in [
            (Budget::v4(&origin), 15, 16),
            (Budget::v6(&origin), 39, 64),
            (Budget::name(&name("mail.example"), &origin), 12, 13),
            (Budget::below(&name("mail.example"), &origin), 12, 13 + 64),
            (Budget::below(&name(&format!("{0}.{0}.{0}", "x".repeat(60))), &origin), 182, 243),
        ] {
            let sets = compose(parts.iter().map(Vec::as_slice), budget);
            let RrData::Texts(texts) = &sets[1].data else { panic!("texts") };
            let cost = |text: &Template| TXT_OVERHEAD + text.len_with(subject).min(255);
            let spent: usize = texts.iter().map(cost).sum();
            let free = 512 - FIXED - question - origin.as_wire().len();
            assert!(spent <= free || texts.len() == 2, "{spent} of {free}");
            let next: usize = cost(match &parts[texts.len() - 1][1].data {
                RrData::Texts(texts) => &texts[0],
                RrData::Wire(_) => panic!("texts"),
            });
            assert!(spent + next + MORE > free, "{spent} of {free} leave room for {next}");
            assert_eq!(
                texts.last().unwrap().fill(""),
                format!("+{} more", 30 - (texts.len() - 1)).into_bytes()
            );
        }
    }

    /// A subject is reckoned as long as it is.
    #[test]
    fn what_fits_stays() {
        let parts = [part(3, "plain", 300), part(2, "x $", 300)];
        let origin = name("bl.example");
        for budget in [Budget::name(&name("m.x"), &origin), Budget::below(&name("m.x"), &origin)] {
            let sets = compose(parts.iter().map(Vec::as_slice), budget);
            let texts = [Template::parse(b"plain"), Template::parse(b"x $")];
            assert_eq!(sets[1].data, RrData::Texts(texts.to_vec()));
            assert!(budget.holds([(5, 0), (2, 1)]));
        }
    }

    #[test]
    fn composed_again_no_other_text_appears() {
        let long = |n: usize| format!("{n} {} $", "x".repeat(100));
        let parts: Vec<_> = (0..9).map(|n| part(2, &long(n), 300)).collect();
        let slices = || parts.iter().map(Vec::as_slice);
        let before = compose(slices(), Budget::v4(&name("bl.example")));
        assert_eq!(compose_again(slices(), &before), before);
        let texts = |sets: &[RrSet]| match &sets[1].data {
            RrData::Texts(texts) => texts.clone(),
            RrData::Wire(_) => panic!("texts"),
        };
        let after = texts(&compose_again(slices().skip(1), &before));
        assert_eq!(after[..after.len() - 1], texts(&before)[1..texts(&before).len() - 1]);
        let stood = texts(&before).len() - 1;
        let none = texts(&compose_again(slices().skip(stood), &before));
        let left = format!("+{} more", 9 - stood - 1);
        assert_eq!(none, [Template::parse(long(stood).as_bytes()), Template::parse(left.as_bytes())]);
    }

    #[test]
    fn what_fits_no_message_is_left_out() {
        let long = |n: u8| RrSet { rtype: Rtype::TXT, ttl: 1, data: RrData::Wire(vec![vec![n; 30_000]]) };
        let parts = [vec![long(1)], vec![long(2)], vec![long(3)], part(2, "", 1)];
        let sets = compose(parts.iter().map(Vec::as_slice), Budget::v4(&name("x")));
        assert!(matches!(&sets[1].data, RrData::Wire(data) if data.len() == 2), "{}", sets.len());
        assert_eq!(sets[0].rtype, Rtype::A);
    }

    #[test]
    fn a_single_text_stays() {
        let sets = compose([part(2, &"x".repeat(500), 300).as_slice()], Budget::v4(&name("x")));
        let RrData::Texts(texts) = &sets[1].data else { panic!("texts") };
        assert_eq!(texts.len(), 1);
    }
}

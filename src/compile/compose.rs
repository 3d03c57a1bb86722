//! Several lists' records → one reply that fits.

use std::collections::BTreeMap;

use crate::model::{RrData, RrSet, Rtype, Template, Ttl};

/// What a reply may cost, whatever is asked: octets for the answer section of a UDP reply of 512 octets, and the
/// longest subject that `$` can become.
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

impl Budget {
    /// For questions about addresses below an origin of `origin` octets: 32 nibbles, and an IPv6 address in the text.
    pub fn address(origin: usize) -> Self {
        Self { octets: 512usize.saturating_sub(FIXED + 64 + origin), subject: 39 }
    }

    /// For questions about names: the longest there can be.
    pub fn name() -> Self {
        Self { octets: 512 - FIXED - 255, subject: 253 }
    }

    /// Whether texts of these lengths (octets as they stand, holes) are left as they are by [`compose`].
    pub fn holds(&self, texts: impl IntoIterator<Item = (usize, usize)>) -> bool {
        let mut count = 0;
        let costs = texts.into_iter().map(|(literal, holes)| {
            count += 1;
            TXT_OVERHEAD + (literal + holes * self.subject).min(255)
        });
        let total: usize = costs.sum();
        count < 2 || total <= self.octets
    }
}

/// Joins the records of all lists that hit, in their order: equal records once, the smallest TTL of each type
/// (RFC 2181 section 5.2). Data of a type beyond what any message holds are left out. Texts that would push a reply past 512 octets are counted instead ("+2 more"): some mail
/// software never asks again over TCP.
pub fn compose<'a>(parts: impl IntoIterator<Item = &'a [RrSet]>, budget: Budget) -> Vec<RrSet> {
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
        let texts = texts.remove(&rtype).map(|texts| RrData::Texts(fit(texts, budget)));
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

/// One text stays whatever its length (it is cut at 255 octets when it is encoded).
fn fit(mut texts: Vec<Template>, budget: Budget) -> Vec<Template> {
    let cost = |text: &Template| TXT_OVERHEAD + text.len_with(budget.subject).min(255);
    let total: usize = texts.iter().map(cost).sum();
    if texts.len() == 1 || total <= budget.octets {
        return texts;
    }
    let mut spent = MORE;
    let keep = texts
        .iter()
        .take_while(|text| {
            spent += cost(text);
            spent <= budget.octets
        })
        .count()
        .max(1);
    let left = texts.len() - keep;
    texts.truncate(keep);
    if left > 0 {
        texts.push(Template::literal(format!("+{left} more").as_bytes()));
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(code: u8, text: &str, ttl: Ttl) -> Vec<RrSet> {
        vec![
            RrSet { rtype: Rtype::A, ttl, data: RrData::Wire(vec![vec![127, 0, 0, code]]) },
            RrSet { rtype: Rtype::TXT, ttl, data: RrData::Texts(vec![Template::parse(text.as_bytes())]) },
        ]
    }

    #[test]
    fn joins() {
        let parts = [part(2, "a", 300), part(2, "b $", 60), part(3, "a", 90)];
        let sets = compose(parts.iter().map(Vec::as_slice), Budget::address(12));
        assert_eq!(sets[0].data, RrData::Wire(vec![vec![127, 0, 0, 2], vec![127, 0, 0, 3]]));
        assert_eq!(sets[0].ttl, 60);
        assert_eq!(sets[1].data, RrData::Texts(vec![Template::parse(b"a"), Template::parse(b"b $")]));
    }

    #[test]
    fn fits_512_octets() {
        let long = "x".repeat(100);
        let parts: Vec<_> = (0..30).map(|n| part(2, &format!("{n} {long} $"), 300)).collect();
        let sets = compose(parts.iter().map(Vec::as_slice), Budget::address(30));
        let RrData::Texts(texts) = &sets[1].data else { panic!("texts") };
        let spent: usize = texts.iter().map(|text| TXT_OVERHEAD + text.len_with(39)).sum();
        assert!(spent + FIXED + 64 + 30 <= 512, "{spent}");
        assert_eq!(texts.last().unwrap().fill(""), format!("+{} more", 30 - (texts.len() - 1)).into_bytes());
    }

    #[test]
    fn what_fits_no_message_is_left_out() {
        let long = |n: u8| RrSet { rtype: Rtype::TXT, ttl: 1, data: RrData::Wire(vec![vec![n; 30_000]]) };
        let parts = [vec![long(1)], vec![long(2)], vec![long(3)], part(2, "", 1)];
        let sets = compose(parts.iter().map(Vec::as_slice), Budget::name());
        assert!(matches!(&sets[1].data, RrData::Wire(data) if data.len() == 2), "{}", sets.len());
        assert_eq!(sets[0].rtype, Rtype::A);
    }

    #[test]
    fn a_single_text_stays() {
        let sets = compose([part(2, &"x".repeat(500), 300).as_slice()], Budget::name());
        let RrData::Texts(texts) = &sets[1].data else { panic!("texts") };
        assert_eq!(texts.len(), 1);
    }
}

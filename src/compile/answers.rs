//! The table of answers of a zone: what each list says, and each combination that really occurs.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::compose::{Budget, cut, has_several_texts, join};
use super::{Answer, AnswerId, Member, Part, ZoneData};
use crate::model::{OVERLAY_CODE, Piece, RrData, RrSet, Rtype, Template, Ttl, Value};

/// A zone with more answers than this in which feeds answer is compiled again with those lists' own texts in place of
/// their entries': no stranger's list makes a zone as large as it likes. What the operator writes stands.
pub const MAX_ANSWERS: usize = 1 << 20;

/// Values that one answer is put together from at most; what else an address or name has is left out. A list with a
/// million values for one address would otherwise cost hours, and no message holds as many.
pub const MAX_PARTS: usize = 1 << 10;

/// The zone has more answers than it may.
#[derive(Debug)]
pub(super) struct TooMany;

/// Interns what lists say and what the zone answers.
#[derive(Debug)]
pub(super) struct Table {
    /// Answers that there may be.
    most: usize,
    values: Vec<Vec<RrSet>>,
    value_ids: HashMap<Vec<RrSet>, u32>,
    answers: Vec<Answer>,
    combinations: HashMap<Vec<Part>, Combination>,
    too_many: bool,
}

/// What was made of some parts.
#[derive(Debug)]
enum Combination {
    /// All that they say.
    Whole(AnswerId),
    /// Several texts: how many of them fit depends on what is asked.
    Texts(Box<Texts>),
}

#[derive(Debug)]
struct Texts {
    joined: Vec<RrSet>,
    /// An answer for each number of texts that fit.
    answers: Vec<(usize, AnswerId)>,
}

impl Table {
    /// An empty one for so many answers.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            values: Vec::new(),
            value_ids: HashMap::new(),
            answers: Vec::new(),
            combinations: HashMap::new(),
            too_many: false,
        }
    }

    /// The number of a value.
    pub(super) fn value(&mut self, records: Vec<RrSet>) -> u32 {
        if let Some(&id) = self.value_ids.get(&records) {
            return id;
        }
        let id = self.values.len() as u32;
        self.values.push(records.clone());
        self.value_ids.insert(records, id);
        id
    }

    /// What value `id` says.
    pub(super) fn records(&self, id: u32) -> &[RrSet] {
        &self.values[id as usize]
    }

    /// The number of the answer made of `parts`; `budget` is asked for where there are several texts.
    pub(super) fn answer(&mut self, parts: &[Part], budget: impl FnOnce() -> Budget) -> AnswerId {
        let id = self.answers.len() as AnswerId;
        match self.combinations.get_mut(parts) {
            Some(Combination::Whole(id)) => *id,
            Some(Combination::Texts(texts)) => {
                let room = budget().room(&texts.joined);
                if let Some((_, id)) = texts.answers.iter().find(|(known, _)| *known == room) {
                    return *id;
                }
                if id as usize >= self.most {
                    self.too_many = true;
                    return 0;
                }
                let mut records = texts.joined.clone();
                cut(&mut records, room);
                texts.answers.push((room, id));
                self.answers.push(Answer { parts: parts.to_vec(), records });
                id
            }
            None => {
                if id as usize >= self.most {
                    self.too_many = true;
                    return 0;
                }
                let said = parts.iter().map(|part| self.values[part.value as usize].as_slice());
                let mut records = join(said);
                let combination = if has_several_texts(&records) {
                    let joined = records.clone();
                    let room = budget().room(&joined);
                    cut(&mut records, room);
                    Combination::Texts(Box::new(Texts { joined, answers: vec![(room, id)] }))
                } else {
                    Combination::Whole(id)
                };
                self.combinations.insert(parts.to_vec(), combination);
                self.answers.push(Answer { parts: parts.to_vec(), records });
                id
            }
        }
    }

    pub(super) fn finish(self) -> Result<(Vec<Answer>, Vec<Vec<RrSet>>), TooMany> {
        if self.too_many { Err(TooMany) } else { Ok((self.answers, self.values)) }
    }
}

/// What a member says for an entry with this value. `drop_texts`: see [`MAX_ANSWERS`].
pub(super) fn records_of(member: &Member, value: &Value, ttl: Ttl, drop_texts: bool) -> Vec<RrSet> {
    let drop_texts = drop_texts && member.foreign;
    let keep = member.keep_values && !drop_texts;
    if member.keep_values && !value.records.is_empty() {
        let ttl_of = |set: &RrSet| if set.ttl == 0 { ttl } else { set.ttl };
        let data_of = |set: &RrSet| if member.foreign { printable(set) } else { set.data.clone() };
        let stands = |set: &RrSet| RrSet { rtype: set.rtype, ttl: ttl_of(set), data: data_of(set) };
        return value.records.iter().map(stands).collect();
    }
    // With the code of a person's own decisions a list of senders to block would speak for that person.
    let poses = |code: Ipv4Addr| member.foreign && member.use_.can_list() && code == OVERLAY_CODE;
    let code = value.code.filter(|&code| member.keep_values && !poses(code)).unwrap_or(member.code);
    let note = value.note.as_deref().filter(|_| !drop_texts).unwrap_or_default();
    let text = match value.text.as_ref().filter(|_| keep) {
        Some(text) => text.clone(),
        None => with_note(&member.text, note),
    };
    let text = if member.foreign { text.printable() } else { text };
    address_and_text(code, text, ttl)
}

/// The data of a stranger's record set: texts end up in SMTP replies.
fn printable(set: &RrSet) -> RrData {
    match &set.data {
        RrData::Texts(texts) => RrData::Texts(texts.iter().map(Template::printable).collect()),
        RrData::Wire(data) if set.rtype == Rtype::TXT => {
            RrData::Wire(data.iter().map(|strings| printable_strings(strings)).collect())
        }
        data @ RrData::Wire(_) => data.clone(),
    }
}

/// The same for strings in wire form, whose length octets stay.
fn printable_strings(strings: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(strings.len());
    let mut rest = strings;
    while let Some((&len, tail)) = rest.split_first() {
        let (text, tail) = tail.split_at(tail.len().min(len.into()));
        clean.push(len);
        clean.extend(text.iter().map(|&b| if b.is_ascii_graphic() || b == b' ' { b } else { b'?' }));
        rest = tail;
    }
    clean
}

/// One A record and, unless the text is empty, one TXT record.
pub(super) fn address_and_text(code: Ipv4Addr, text: Template, ttl: Ttl) -> Vec<RrSet> {
    let a = RrSet { rtype: Rtype::A, ttl, data: RrData::Wire(vec![code.octets().to_vec()]) };
    if text.is_empty() {
        return vec![a];
    }
    vec![a, RrSet { rtype: Rtype::TXT, ttl, data: RrData::Texts(vec![text]) }]
}

/// The test points that RFC 5782 section 5 demands.
pub(super) fn test_point(zone: &ZoneData, code: Ipv4Addr) -> Vec<RrSet> {
    let text = Template::literal(format!("{} test point (RFC 5782)", zone.origin).as_bytes());
    address_and_text(code, text, zone.ttl)
}

const NOTE: &[u8] = b"{note}";

fn with_note(text: &Template, note: &str) -> Template {
    let mut filled = Template::default();
    for piece in text.pieces() {
        match piece {
            Piece::Subject => filled.push_subject(),
            Piece::Literal(mut literal) => {
                while let Some(at) = literal.windows(NOTE.len()).position(|window| window == NOTE) {
                    filled.push(&literal[..at]);
                    filled.push(note.as_bytes());
                    literal = &literal[at + NOTE.len()..];
                }
                filled.push(literal);
            }
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_keep_their_lengths() {
        assert_eq!(printable_strings(b"\x03a\xffb\x00\x01\n"), b"\x03a?b\x00\x01?");
    }

    #[test]
    fn notes() {
        let text = with_note(&Template::parse(b"$: {note}, see {note}."), "SBL1");
        assert_eq!(text.fill("192.0.2.1"), b"192.0.2.1: SBL1, see SBL1.");
    }
}

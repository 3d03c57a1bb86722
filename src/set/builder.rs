//! Entries in any order → [`Set`].

use std::collections::HashMap;

use super::{Block, BlocksV6, Column, Directives, NameList, Overlap, Scope, Set, V4Entries, ValueId, first};
use crate::model::{Name, Span, TreeName, Value};

/// What becomes of several entries over exactly the same addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Repeats {
    /// Each counts; equal ones once.
    #[default]
    All,
    /// The first alone, be it a listing or an exclusion (rbldnsd's tries). Names are not touched.
    First,
}

/// An entry of addresses, before the set is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its kind.
    pub kind: RowKind,
    /// The how-manieth of its kind it is, counted from 0.
    pub row: usize,
}

/// Entries that are counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// A listed IPv4 address.
    Host,
    /// Any other IPv4 entry.
    Block,
    /// An IPv6 entry.
    V6,
}

/// Collects entries of a list.
#[derive(Debug, Default)]
pub struct SetBuilder {
    overlap: Overlap,
    ids: HashMap<Value, ValueId>,
    values: Vec<Value>,
    hosts: Vec<u32>,
    /// Kept only from the first host on whose value differs from the first one's.
    host_values: Vec<ValueId>,
    first_value: ValueId,
    blocks: Vec<Block<u32>>,
    /// How many hosts came before each block.
    hosts_before: Vec<usize>,
    v6: BlocksV6,
    names: NameList,
    /// What the list says of its zone.
    pub directives: Directives,
    /// Which of repeated entries count.
    pub repeats: Repeats,
}

impl SetBuilder {
    /// An empty list whose overlaps are settled by `overlap`.
    pub fn new(overlap: Overlap) -> Self {
        Self { overlap, ..Self::default() }
    }

    /// The id of `value` for entries that follow. Ids of the finished set differ.
    pub fn value(&mut self, value: &Value) -> ValueId {
        if let Some(&id) = self.ids.get(value) {
            return id;
        }
        let id = self.values.len() as ValueId;
        self.values.push(value.clone());
        self.ids.insert(value.clone(), id);
        id
    }

    /// A listed address.
    #[inline]
    pub fn host(&mut self, address: u32, value: ValueId) {
        if self.hosts.is_empty() {
            self.first_value = value;
        }
        if value != self.first_value || !self.host_values.is_empty() {
            self.host_values.resize(self.hosts.len(), self.first_value);
            self.host_values.push(value);
        }
        self.hosts.push(address);
    }

    /// A listed prefix or range.
    pub fn v4(&mut self, span: Span<u32>, value: ValueId) {
        if span.first == span.last {
            self.host(span.first, value);
        } else {
            self.block(Block { span, exclude: false, value });
        }
    }

    /// `!entry`.
    pub fn exclude_v4(&mut self, span: Span<u32>) {
        self.block(Block { span, exclude: true, value: 0 });
    }

    fn block(&mut self, block: Block<u32>) {
        if self.repeats == Repeats::First {
            self.hosts_before.push(self.hosts.len());
        }
        self.blocks.push(block);
    }

    /// A listed IPv6 address, prefix or range.
    pub fn v6(&mut self, span: Span<u128>, value: ValueId) {
        self.v6.push(Block { span, exclude: false, value });
    }

    /// An excluded IPv6 address, prefix or range.
    pub fn exclude_v6(&mut self, span: Span<u128>) {
        self.v6.push(Block { span, exclude: true, value: 0 });
    }

    /// A listed name.
    pub fn name(&mut self, name: Name, scope: Scope, value: ValueId) {
        self.tree_name(&TreeName::of(&name), scope, value);
    }

    /// The same for one that is known from the right.
    pub fn tree_name(&mut self, name: &TreeName, scope: Scope, value: ValueId) {
        self.names.push(name, scope, false, value);
    }

    /// An excluded name.
    pub fn exclude_name(&mut self, name: Name, scope: Scope) {
        self.exclude_tree_name(&TreeName::of(&name), scope);
    }

    /// The same for one that is known from the right.
    pub fn exclude_tree_name(&mut self, name: &TreeName, scope: Scope) {
        self.names.push(name, scope, true, 0);
    }

    /// Entries so far.
    pub fn len(&self) -> usize {
        self.hosts.len() + self.blocks.len() + self.v6.len() + self.names.len()
    }

    /// Whether there is no entry yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Rows of each [`RowKind`] so far.
    pub fn rows(&self) -> [usize; 3] {
        [self.hosts.len(), self.blocks.len(), self.v6.len()]
    }

    /// The entries so far that [`Repeats::First`] leaves out.
    pub fn repeated(&self) -> Vec<Row> {
        if self.repeats == Repeats::All {
            return Vec::new();
        }
        let (hosts, blocks) = first::repeated_v4(&self.hosts, &self.blocks, &self.hosts_before);
        let of = |kind| move |row| Row { kind, row };
        let hosts = hosts.into_iter().map(of(RowKind::Host));
        let blocks = blocks.into_iter().map(of(RowKind::Block));
        let v6 = self.v6.repeated().into_iter().map(of(RowKind::V6));
        hosts.chain(blocks).chain(v6).collect()
    }

    /// The addresses of an entry.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn addresses(&self, Row { kind, row }: Row) -> String {
        match kind {
            RowKind::Host => Span::host(self.hosts[row]).to_string(),
            RowKind::Block => self.blocks[row].span.to_string(),
            RowKind::V6 => self.v6.get(row).expect("a row that is there").span.to_string(),
        }
    }

    /// Settles repeated entries, sorts, drops duplicates and numbers the values by their content.
    pub fn finish(mut self) -> Set {
        if self.repeats == Repeats::First {
            self.keep_first();
        }
        let (values, renumber) = self.canonical_values();
        let mut v4 = V4Entries::default();
        let host_values = std::mem::take(&mut self.host_values);
        if host_values.is_empty() {
            let value = if self.hosts.is_empty() { 0 } else { renumber[self.first_value as usize] };
            v4.host_values = Column::One(value);
            v4.hosts = sort_hosts(std::mem::take(&mut self.hosts));
            v4.hosts.dedup();
        } else {
            let values = host_values.iter().map(|&value| renumber[value as usize]);
            let mut rows: Vec<u64> = self
                .hosts
                .iter()
                .zip(values)
                .map(|(&host, value)| u64::from(host) << 32 | u64::from(value))
                .collect();
            rows.sort_unstable();
            rows.dedup();
            v4.hosts = rows.iter().map(|row| (row >> 32) as u32).collect();
            v4.host_values = one_or_many(rows.iter().map(|&row| row as u32).collect());
        }
        for block in &mut self.blocks {
            block.value = if block.exclude { 0 } else { renumber[block.value as usize] };
        }
        self.v6.renumber(&renumber);
        self.v6.settle();
        self.names.renumber(&renumber);
        self.names.settle();
        self.blocks.sort_unstable();
        self.blocks.dedup();
        v4.blocks = self.blocks;
        Set {
            overlap: self.overlap,
            values,
            v4,
            v6: self.v6,
            names: self.names,
            directives: self.directives,
            sections: Vec::new(),
        }
    }

    fn keep_first(&mut self) {
        self.v6.keep_first();
        let v4 = first::V4 {
            hosts: &mut self.hosts,
            values: &mut self.host_values,
            blocks: &mut self.blocks,
            hosts_before: &self.hosts_before,
        };
        v4.keep();
        // One of the others may be the first of those that are left.
        if let Some(&value) = self.host_values.first() {
            self.first_value = value;
        }
    }

    /// The values that an entry really uses, sorted, and the new number of each old one.
    fn canonical_values(&mut self) -> (Vec<Value>, Vec<ValueId>) {
        let mut used = vec![false; self.values.len()];
        if !self.hosts.is_empty() && self.host_values.is_empty() {
            used[self.first_value as usize] = true;
        }
        let blocks = self.blocks.iter().filter(|b| !b.exclude).map(|b| b.value);
        let others = self.v6.values().chain(self.names.values());
        for value in self.host_values.iter().copied().chain(blocks).chain(others) {
            used[value as usize] = true;
        }
        let mut order: Vec<ValueId> =
            (0..self.values.len() as ValueId).filter(|&id| used[id as usize]).collect();
        order.sort_unstable_by(|&a, &b| self.values[a as usize].cmp(&self.values[b as usize]));
        let mut renumber = vec![0; self.values.len()];
        for (new, &old) in order.iter().enumerate() {
            renumber[old as usize] = new as ValueId;
        }
        (order.iter().map(|&old| self.values[old as usize].clone()).collect(), renumber)
    }
}

fn one_or_many(values: Vec<ValueId>) -> Column {
    match values.split_first() {
        Some((&first, rest)) if rest.iter().all(|&value| value == first) => Column::One(first),
        None => Column::One(0),
        Some(_) => Column::Many(values),
    }
}

/// Below this many a comparison sort is as fast as counting.
const RADIX_FROM: usize = 1 << 14;

/// Sorts addresses: least significant digit first, three digits of 11, 11 and 10 bits. Twice as fast as the
/// standard library's sort on ten million random addresses (`benches/`).
fn sort_hosts(mut hosts: Vec<u32>) -> Vec<u32> {
    if hosts.is_sorted() {
        return hosts;
    }
    if hosts.len() < RADIX_FROM {
        hosts.sort_unstable();
        return hosts;
    }
    const DIGITS: [(u32, u32); 3] = [(0, 0x7ff), (11, 0x7ff), (22, 0x3ff)];
    let mut starts = [[0u32; 1 << 11]; 3];
    for &host in &hosts {
        for (counts, (shift, mask)) in starts.iter_mut().zip(DIGITS) {
            counts[(host >> shift & mask) as usize] += 1;
        }
    }
    let mut scratch = vec![0u32; hosts.len()];
    for (starts, (shift, mask)) in starts.iter_mut().zip(DIGITS) {
        let mut sum = 0;
        for count in starts.iter_mut() {
            sum += std::mem::replace(count, sum);
        }
        for &host in &hosts {
            let at = &mut starts[(host >> shift & mask) as usize];
            scratch[*at as usize] = host;
            *at += 1;
        }
        std::mem::swap(&mut hosts, &mut scratch);
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_duplicates_do_not_matter() {
        let text = |n: &str| Value { note: Some(n.into()), ..Value::default() };
        let build = |rows: &[(u32, &str)]| {
            let mut builder = SetBuilder::new(Overlap::Narrowest);
            for &(host, note) in rows {
                let value = builder.value(&text(note));
                builder.host(host, value);
            }
            builder.v4(Span { first: 256, last: 511 }, 0);
            builder.finish()
        };
        let a = build(&[(3, "z"), (1, "y"), (3, "z"), (2, "z")]);
        let b = build(&[(3, "z"), (2, "z"), (1, "y")]);
        assert_eq!(a, b);
        assert_eq!(a.v4.hosts, [1, 2, 3]);
        assert_eq!(a.values, [text("y"), text("z")]);
        assert_eq!(a.v4.host_values, Column::Many(vec![0, 1, 1]));
    }

    #[test]
    fn radix_sorts() {
        let mut state = 1u32;
        let mut hosts: Vec<u32> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state
        })
        .take(RADIX_FROM + 7)
        .collect();
        let sorted = sort_hosts(hosts.clone());
        hosts.sort_unstable();
        assert_eq!(sorted, hosts);
    }
}

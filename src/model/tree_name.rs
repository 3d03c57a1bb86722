//! DNS names from the right, as the tree of names grows.

use super::Name;

/// Octets of the longest name, less the root's.
const MOST: usize = 254;

/// A name from the right: its rightmost label first, each behind its length octet, without the root's zero octet, in
/// lower case. What is above a name begins it, so the order of octets is that of the tree: parents first, and what is
/// below a name in one row.
#[derive(Clone)]
pub struct TreeName {
    /// The octets stand from here on up to the padding: names are read from the left.
    start: u8,
    octets: [u8; MOST + PADDING],
}

/// Zeros behind every name.
const PADDING: usize = 32;

impl Default for TreeName {
    fn default() -> Self {
        Self::ROOT
    }
}

impl std::fmt::Debug for TreeName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Name::from_tree(self.as_octets()).fmt(f)
    }
}

impl TreeName {
    /// The root, which has no label.
    pub const ROOT: Self = Self { start: MOST as u8, octets: [0; MOST + PADDING] };

    /// Of a name in wire form.
    pub fn of(name: &Name) -> Self {
        let mut tree = Self::ROOT;
        for label in name.labels() {
            // A name has at most as many octets.
            let _ = tree.put_above(label);
        }
        tree
    }

    /// Of octets like those of [`as_octets`](Self::as_octets); `None` where they are none.
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let start = MOST.checked_sub(octets.len())?;
        if !is_labels(octets) || octets.iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let mut tree = Self::ROOT;
        tree.octets[start..MOST].copy_from_slice(octets);
        tree.start = start as u8;
        Some(tree)
    }

    /// Puts a label of 1 to 63 octets before all others: the next one to the right. Labels that are not in lower case are
    /// to be folded. `None` when the name becomes too long.
    #[inline]
    pub fn put_above(&mut self, label: &[u8]) -> Option<()> {
        let end = usize::from(self.start);
        let start = end.checked_sub(1 + label.len())?;
        self.octets[start] = label.len() as u8;
        copy(label, &mut self.octets[start + 1..end]);
        self.start = start as u8;
        Some(())
    }

    /// The labels, rightmost first, each behind its length octet.
    #[inline]
    pub fn as_octets(&self) -> &[u8] {
        &self.octets[usize::from(self.start)..MOST]
    }

    /// The first octets of the name, zeros behind its last.
    #[inline]
    pub fn head<const LEN: usize>(&self) -> [u8; LEN] {
        const { assert!(LEN <= PADDING) };
        self.octets[usize::from(self.start)..].first_chunk().copied().unwrap_or([0; LEN])
    }

    /// Makes it the root again.
    #[inline]
    pub fn clear(&mut self) {
        self.start = MOST as u8;
    }

    /// Folds the octets to lower case.
    pub fn fold(&mut self) {
        self.octets[usize::from(self.start)..MOST].make_ascii_lowercase();
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        usize::from(self.start) == MOST
    }
}

/// Labels are short and of all lengths: two words, or a few octets, are faster than a call.
#[inline]
fn copy(label: &[u8], into: &mut [u8]) {
    match (label.first_chunk::<8>(), label.last_chunk::<8>(), into.len()) {
        (Some(first), Some(last), len @ ..=16) => {
            into[..8].copy_from_slice(first);
            into[len - 8..].copy_from_slice(last);
        }
        (None, ..) => into.iter_mut().zip(label).for_each(|(into, &octet)| *into = octet),
        _ => into.copy_from_slice(label),
    }
}

/// Whether labels end where they say.
fn is_labels(octets: &[u8]) -> bool {
    let mut rest = octets;
    while let Some((&len, tail)) = rest.split_first() {
        match tail.get(usize::from(len)..) {
            Some(behind) if (1..=63).contains(&len) => rest = behind,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, octets) in [
            (".", &b""[..]),
            ("Com", b"\x03com"),
            ("a.Bl.example", b"\x07example\x02bl\x01a"),
            (r"a\.b.c", b"\x01c\x03a.b"),
        ] {
            let name: Name = text.parse().unwrap();
            let tree = TreeName::of(&name);
            assert_eq!(tree.as_octets(), octets, "{text}");
            assert_eq!(Name::from_tree(octets), name, "{text}");
            assert_eq!(TreeName::from_octets(octets).unwrap().as_octets(), octets);
        }
        let longest: Name = vec!["a"; 127].join(".").parse().unwrap();
        assert_eq!(Name::from_tree(TreeName::of(&longest).as_octets()), longest);
        assert!(TreeName::of(&longest).put_above(b"a").is_none());
        for bad in [&b"\x00"[..], b"\x02a", b"\x01A", b"\x40a", &[1; 256]] {
            assert!(TreeName::from_octets(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn the_order_is_that_of_the_tree() {
        let octets = |text: &str| TreeName::of(&text.parse().unwrap()).as_octets().to_vec();
        let mut names =
            ["x.a.example", "a.example", "example", "y.a.example", "b.example", "com"].map(octets);
        names.sort();
        assert_eq!(
            names,
            ["com", "example", "a.example", "x.a.example", "y.a.example", "b.example"].map(octets)
        );
    }
}

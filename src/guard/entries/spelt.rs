//! Names that spell an address as it is asked for (`4.3.2.1` is 1.2.3.4, `*.3.2.1` is 1.2.3.0/24; IPv6 by half octets; RFC 5782
//! sections 2.1 and 2.4): a list that holds such names lists addresses, and may list no others than any list.

use super::super::NeverList;
use crate::model::{Address, Name, Span, Subject, TreeName};
use crate::set::Scope;

const OCTETS: u8 = 4;
const NIBBLES: u8 = 32;

/// Whether an entry lists an address that nobody may list; `name` is its name as a [`TreeName`]. A name cannot lose a part of
/// what it lists, so that all of it goes.
pub fn spells_any_of(name: &[u8], scope: Scope, never: &NeverList) -> bool {
    match addresses(name, scope) {
        Some(Subject::V4(span)) => never.touches_v4(span),
        Some(Subject::V6(span)) => never.touches_v6(span),
        Some(Subject::Name(_)) | None => false,
    }
}

/// Whether it is the test point of addresses (RFC 5782 section 5): where none is forced a list may bring its own.
pub fn is_test_point(name: &[u8], scope: Scope) -> bool {
    const LISTED: u32 = 0x7f00_0002;
    matches!(addresses(name, scope), Some(Subject::V4(span)) if span == Span::host(LISTED))
}

fn is_named_as_a_test_point(name: &Name) -> bool {
    ["test", "invalid"].iter().any(|point| name.to_string() == *point)
}

/// Whether a subzone takes the place of a test point: whatever is asked for below it, and under its own name, is its to answer.
pub fn takes_test_points(name: &Name) -> bool {
    if is_named_as_a_test_point(name) {
        return true;
    }
    let never = &NeverList::loopback().with(&["::ffff:127.0.0.0/104".parse().expect("a prefix")]);
    let name = TreeName::of(name);
    [Scope::Exact, Scope::Below].into_iter().any(|scope| spells_any_of(name.as_octets(), scope, never))
}

/// Whether questions for addresses in use, or for a test point, meet a subzone of this name. (One that is called `a` or `b` means no
/// IPv6: all that is given out of it begins with a digit, IANA's 2000::/3, and IPv4 in it with zeros.)
pub(super) fn is_in_the_way(name: &Name) -> bool {
    if is_named_as_a_test_point(name) {
        return true;
    }
    let name = TreeName::of(name);
    [Scope::Exact, Scope::Below].into_iter().any(|scope| match addresses(name.as_octets(), scope) {
        Some(Subject::V4(_)) => true,
        Some(Subject::V6(span)) => matches!(span.first >> 124, 0 | 2 | 3),
        Some(Subject::Name(_)) | None => false,
    })
}

/// The addresses for which a question meets this entry, if there are any.
pub(super) fn addresses(name: &[u8], scope: Scope) -> Option<Subject> {
    let (mut labels, mut count, mut rest) = ([&[][..]; NIBBLES as usize], 0, name);
    while let Some((&len, behind)) = rest.split_first() {
        // The usual name costs no more than this.
        if len > 3 {
            return None;
        }
        let (label, next) = behind.split_at_checked(len.into())?;
        *labels.get_mut(count)? = label;
        (count, rest) = (count + 1, next);
    }
    let labels = &labels[..count];
    octets(labels, scope).map(Subject::V4).or_else(|| nibbles(labels, scope).map(Subject::V6))
}

fn octets(labels: &[&[u8]], scope: Scope) -> Option<Span<u32>> {
    let count = told(labels, OCTETS, scope)?;
    let mut first = 0;
    for (at, label) in (1..).zip(labels) {
        let text = std::str::from_utf8(label).ok()?;
        let octet: u8 = text.parse().ok().filter(|octet: &u8| octet.to_string() == text)?;
        first |= u32::from(octet) << (32 - 8 * at);
    }
    Some(first.prefix(8 * count))
}

fn nibbles(labels: &[&[u8]], scope: Scope) -> Option<Span<u128>> {
    let count = told(labels, NIBBLES, scope)?;
    let mut first = 0;
    for (at, label) in (1..).zip(labels) {
        let [digit] = *label else { return None };
        first |= u128::from(char::from(*digit).to_digit(16)?) << (128 - 4 * at);
    }
    Some(first.prefix(4 * count))
}

/// How many labels of an address are told: all of them by a name itself, fewer by what is below it.
fn told(labels: &[&[u8]], all: u8, scope: Scope) -> Option<u8> {
    let count = u8::try_from(labels.len()).ok()?;
    let is_address = match scope {
        Scope::Exact => count == all,
        Scope::Below => (1..all).contains(&count),
    };
    is_address.then_some(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_asked_for_as_addresses() {
        let of = |text: &str| {
            let (name, scope) = match text.strip_prefix("*.") {
                Some(name) => (name, Scope::Below),
                None => (text, Scope::Exact),
            };
            addresses(TreeName::of(&name.parse().unwrap()).as_octets(), scope).map(|found| found.to_string())
        };
        for (name, found) in [
            ("4.3.2.1", "1.2.3.4"),
            ("*.3.2.1", "1.2.3.0/24"),
            ("*.2.1", "1.2.0.0/16"),
            ("*.255", "255.0.0.0/8"),
            ("*.8.b.d.0.1.0.0.2", "2001:db8::/32"),
            ("*.F.f", "ff00::/8"),
            ("*.4.3.2.1", "1234::/16"),
        ] {
            assert_eq!(of(name).as_deref(), Some(found), "{name}");
        }
        let host = format!("{}8.b.d.0.1.0.0.2", "0.".repeat(24));
        assert_eq!(of(&host).as_deref(), Some("2001:db8::"));
        for name in
            ["3.2.1", "4.3.2.256", "4.3.02.1", "+4.3.2.1", "4.3.2.1.example", "*.com", "a.b.c.d", "*.g"]
        {
            assert_eq!(of(name), None, "{name}");
        }
        assert_eq!(of(&format!("*.{host}")), None);
    }
}

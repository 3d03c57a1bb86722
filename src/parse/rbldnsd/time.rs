//! Durations and time stamps of rbldnsd's `$` lines.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::super::report::Validity;
use super::options::TTL_MAX;

/// rbldnsd's notation of a time: seconds, or a number with one unit of `s m h d w`; within a TTL's 31 bits.
pub fn duration(text: &[u8]) -> Option<u32> {
    let (&last, head) = text.split_last()?;
    let (digits, unit) = match last.to_ascii_lowercase() {
        b's' => (head, 1),
        b'm' => (head, 60),
        b'h' => (head, 3600),
        b'd' => (head, 86_400),
        b'w' => (head, 604_800),
        _ => (text, 1),
    };
    unsigned(digits)?.checked_mul(unit).filter(|&seconds| seconds <= TTL_MAX)
}

/// A decimal number of 32 bits.
pub(super) fn unsigned(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `$TIMESTAMP stamp [end]`: when the data were made and when they end. `None` when either cannot be read.
pub(super) fn validity(words: &[&[u8]]) -> Option<Validity> {
    let (first, last) = match words {
        [first] => (*first, &b"-"[..]),
        [first, last] => (*first, *last),
        _ => return None,
    };
    let from = stamp(first)?;
    let until = match last.strip_prefix(b"+") {
        // Relative to the stamp: without one there is no end to reckon.
        Some(relative) => {
            let seconds = i64::from(duration(relative)?);
            Some(Timestamp::from_second(from?.as_second().checked_add(seconds)?).ok()?)
        }
        None => stamp(last)?,
    };
    Some(Validity { from, until })
}

/// `2001:02:03[:hh[:mm[:ss]]]` in UTC, with `:`, `-` or nothing between the parts; `0` and `-` are no stamp.
fn stamp(text: &[u8]) -> Option<Option<Timestamp>> {
    if matches!(text, b"-" | b"0") {
        return Some(None);
    }
    let parts = parts(text)?;
    if parts.len() < 3 {
        return None;
    }
    let part = |place: usize| i8::try_from(parts.get(place).copied().unwrap_or(0)).ok();
    let year = i16::try_from(parts[0]).ok().filter(|&year| year >= 1970)?;
    let civil = DateTime::new(year, part(1)?, part(2)?, part(3)?, part(4)?, part(5)?, 0).ok()?;
    Some(Some(Offset::UTC.to_timestamp(civil).ok()?))
}

/// Year and up to five more numbers.
fn parts(text: &[u8]) -> Option<Vec<u32>> {
    if text.iter().all(u8::is_ascii_digit) {
        let (year, rest) = text.split_at_checked(4)?;
        if rest.len() % 2 != 0 || rest.len() > 10 {
            return None;
        }
        return std::iter::once(year).chain(rest.chunks(2)).map(unsigned).collect();
    }
    let parts: Vec<_> = text.split(|b| matches!(b, b':' | b'-')).map(unsigned).collect::<Option<_>>()?;
    (parts.len() <= 6).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("35m", Some(2100)),
            ("1H", Some(3600)),
            ("2d", Some(172_800)),
            ("1w", Some(604_800)),
            ("60s", Some(60)),
            ("2147483647", Some(i32::MAX as u32)),
            ("2147483648", None),
            ("1h30m", None),
            ("1y", None),
            ("h", None),
            ("", None),
            ("-1", None),
            ("99999999999w", None),
        ] {
            assert_eq!(duration(text.as_bytes()), seconds, "{text}");
        }
    }

    fn shown(text: &str) -> Option<(String, String)> {
        let words: Vec<&[u8]> = text.split(' ').map(str::as_bytes).collect();
        let show = |stamp: Option<Timestamp>| stamp.map_or_else(String::new, |s| s.to_string());
        validity(&words).map(|v| (show(v.from), show(v.until)))
    }

    #[test]
    fn stamps() {
        for (text, from, until) in [
            ("2001:02:03", "2001-02-03T00:00:00Z", ""),
            ("2001-2-3-04:05", "2001-02-03T04:05:00Z", ""),
            ("20010203", "2001-02-03T00:00:00Z", ""),
            ("20010203040506", "2001-02-03T04:05:06Z", ""),
            ("0", "", ""),
            ("- 2001:01:01", "", "2001-01-01T00:00:00Z"),
            ("2001:02:03 +3d", "2001-02-03T00:00:00Z", "2001-02-06T00:00:00Z"),
            ("2001:02:03 -", "2001-02-03T00:00:00Z", ""),
        ] {
            assert_eq!(shown(text), Some((from.into(), until.into())), "{text}");
        }
        for text in [
            "nonsense",
            "2001:13:03",
            "2001:02",
            "20010203T04",
            "2001:02:03 +100y",
            "0 +3d",
            "1",
            "2001:02:03 x",
            "2001:02:03 0 0",
            "",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}

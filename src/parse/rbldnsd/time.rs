//! Durations and time stamps of rbldnsd's `$` lines.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

use super::super::report::Validity;
use super::options::TTL_MAX;

/// rbldnsd's notation of a time: seconds, or a number with one unit of `s m h d w`; within a TTL's 31 bits.
pub fn duration(text: &[u8]) -> Option<u32> {
    span(text).filter(|&seconds| seconds <= TTL_MAX)
}

/// The same within the 32 bits of an SOA's numbers and of the end of data.
pub(super) fn span(text: &[u8]) -> Option<u32> {
    let (&last, head) = text.split_last()?;
    let (digits, unit) = match last.to_ascii_lowercase() {
        b's' => (head, 1),
        b'm' => (head, 60),
        b'h' => (head, 3600),
        b'd' => (head, 86_400),
        b'w' => (head, 604_800),
        _ => (text, 1),
    };
    unsigned(digits)?.checked_mul(unit)
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
            let seconds = i64::from(span(relative).filter(|&seconds| seconds > 0)?);
            Some(Timestamp::from_second(from?.as_second().checked_add(seconds)?).ok()?)
        }
        None => stamp(last)?,
    };
    Some(Validity { from, until })
}

/// `2001:02:03[:hh[:mm[:ss]]]` in UTC, with `:`, `-` or nothing behind each number; `0`, `-` and `:` are no stamp, and
/// the first second of 1970 is 0.
fn stamp(text: &[u8]) -> Option<Option<Timestamp>> {
    if matches!(text, b"-" | b"0" | b":") {
        return Some(None);
    }
    let mut rest = text;
    let year = i16::try_from(number(&mut rest, 4)?).ok().filter(|&year| year >= 1970)?;
    let mut parts = [number(&mut rest, 2)?, number(&mut rest, 2)?, 0, 0, 0];
    for part in &mut parts[2..] {
        if !rest.is_empty() {
            *part = number(&mut rest, 2)?;
        }
    }
    let [month, day, hour, minute, second] = parts.map(|part| part as i8);
    let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let stamp = Offset::UTC.to_timestamp(civil).ok()?;
    rest.is_empty().then_some((stamp.as_second() > 0).then_some(stamp))
}

/// Takes up to `width` digits, and what may part them from the next ones.
fn number(rest: &mut &[u8], width: usize) -> Option<u32> {
    let digits = rest.iter().take(width).take_while(|b| b.is_ascii_digit()).count();
    let number = unsigned(&rest[..digits])?;
    let sign = usize::from(matches!(rest.get(digits), Some(b':' | b'-')));
    *rest = &rest[digits + sign..];
    Some(number)
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
            (": :", "", ""),
            ("200102:3:", "2001-02-03T00:00:00Z", ""),
            ("2001:123", "2001-12-03T00:00:00Z", ""),
            ("1970:01:01", "", ""),
            ("20010203:0405-6 +4294967295", "2001-02-03T04:05:06Z", "2137-03-12T10:33:21Z"),
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
            "2001:02:03 +0",
            "2001:02:03:04:05:06:07",
            "2001::02:03",
            "1",
            "2001:02:03 x",
            "2001:02:03 0 0",
            "",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}

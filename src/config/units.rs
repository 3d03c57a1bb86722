//! Durations ("15m", "36h", "1h30m") and sizes ("64MiB") as people write them.

use std::time::Duration;

const DURATION_UNITS: [(&str, u64); 5] = [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

const SIZE_UNITS: [(&str, u64); 7] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

/// A duration: whole numbers with units `w d h m s`, largest first if there are several.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0u64;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let (unit, seconds) = *DURATION_UNITS.iter().find(|(unit, _)| rest[digits..].starts_with(unit))?;
        if seconds >= last_unit {
            return None;
        }
        last_unit = seconds;
        total = total.checked_add(number.checked_mul(seconds)?)?;
        rest = &rest[digits + unit.len()..];
    }
    (last_unit != u64::MAX).then(|| Duration::from_secs(total))
}

/// The shortest single-unit form: `36h`, `7d`, `90s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (unit, size) = DURATION_UNITS[1..]
        .iter()
        .find(|(_, size)| seconds > 0 && seconds.is_multiple_of(*size))
        .unwrap_or(&("s", 1));
    format!("{}{unit}", seconds / size)
}

/// A size in octets: a whole number and a unit.
pub(crate) fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim_start();
    let (_, size) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*size)
}

/// The largest binary unit that divides it.
pub(crate) fn format_size(size: u64) -> String {
    let (unit, octets) = SIZE_UNITS[..3]
        .iter()
        .find(|(_, octets)| size > 0 && size.is_multiple_of(*octets))
        .unwrap_or(&("B", 1));
    format!("{}{unit}", size / octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in [("15m", 900), ("36h", 129_600), ("7d", 604_800), ("1h30m", 5400), ("0s", 0)] {
            assert_eq!(parse_duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for bad in ["", "15", "m", "15 m", "1m1h", "1h1h", "-1m", "1.5h", "99999999999999999w"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
        for text in ["15m", "36h", "7d", "90s", "0s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("2 GB"), Some(2_000_000_000));
        for bad in ["", "64", "64Mib", "MiB", "1.5GiB", "99999999999GiB"] {
            assert_eq!(parse_size(bad), None, "{bad}");
        }
        for text in ["64MiB", "1GiB", "1500B"] {
            assert_eq!(format_size(parse_size(text).unwrap()), text);
        }
    }
}

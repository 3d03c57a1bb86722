//! The date that a list gives for itself in a comment of its header.
//!
//! Known labels and forms only. `Expires` is none of them: caches in front of a feed answer in turn, and it goes back
//! and forth while the data stay the same.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::tz::Offset;

/// What stands before the date, in lower case.
const LABELS: [&str; 6] =
    ["last-modified", "last modified", "last updated", "last update", "updated", "source file date"];

/// The date in a comment line (its `#` or `;` included).
pub(super) fn in_comment(line: &[u8]) -> Option<Timestamp> {
    // Labels and dates are short; a comment may be long.
    let line = std::str::from_utf8(&line[..line.len().min(160)]).ok()?;
    let text = line.trim_start_matches(['#', ';', '/']).trim();
    let rest = LABELS.iter().find_map(|label| {
        let (head, rest) = text.split_at_checked(label.len())?;
        (head.eq_ignore_ascii_case(label) && rest.starts_with([' ', ':', '\t'])).then_some(rest)
    })?;
    date(rest.trim_start_matches([' ', '\t', ':']).trim_end_matches([' ', '\t', '#']))
}

fn date(text: &str) -> Option<Timestamp> {
    let word = text.split([' ', '\t']).next()?;
    if word.len() >= 9 && word.bytes().all(|b| b.is_ascii_digit()) {
        return Timestamp::from_second(word.parse().ok()?).ok();
    }
    if let Ok(stamp) = DateTimeParser::new().parse_timestamp(text) {
        return Some(stamp);
    }
    if let Ok(stamp) = text.parse::<Timestamp>() {
        return Some(stamp);
    }
    let civil = text.strip_suffix("UTC").or_else(|| text.strip_suffix("GMT")).unwrap_or(text).trim();
    // Without an offset, UTC is meant by every feed seen so far.
    let civil = civil.parse::<DateTime>().or_else(|_| DateTime::strptime("%a %b %e %H:%M:%S UTC %Y", text));
    Offset::UTC.to_timestamp(civil.ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_real_headers() {
        for (line, stamp) in [
            ("; Last-Modified: Thu, 20 Aug 2026 12:53:45 GMT", "2026-08-20T12:53:45Z"),
            ("# last updated 1710089701 (Sun Mar 10 16:55:01 2024 GMT)", "2024-03-10T16:55:01Z"),
            ("# Last update: Sat, 22 Aug 2026 03:00:29 +0200", "2026-08-22T01:00:29Z"),
            ("# Updated: Sat, 12 Mar 2022 00:11:12 +0000", "2022-03-12T00:11:12Z"),
            ("# Last updated: 2024-04-04 07:03:03 UTC                        #", "2024-04-04T07:03:03Z"),
            ("#    updated: 2026-08-21T19:15:12.403386", "2026-08-21T19:15:12.403386Z"),
            ("# Source File Date: Tue Jan  4 14:09:17 UTC 2022", "2022-01-04T14:09:17Z"),
        ] {
            assert_eq!(in_comment(line.as_bytes()).map(|s| s.to_string()).as_deref(), Some(stamp), "{line}");
        }
    }

    #[test]
    fn anything_else_is_no_date() {
        for line in [
            "; Expires: Fri, 21 Aug 2026 16:44:02 GMT",
            "# This File Date  : Tue Jan  4 17:52:02 UTC 2022",
            "# Update Frequency: 12 hours",
            "# Updated: yesterday",
            "# last updated 99999999999999999999",
            "# updatedness: 2026-08-21",
            "#",
            "",
        ] {
            assert_eq!(in_comment(line.as_bytes()), None, "{line}");
        }
        assert_eq!(in_comment(b"# Updated: \xff"), None);
        assert_eq!(in_comment("# Updated: ä".repeat(99).as_bytes()), None);
    }
}

//! Before parsing: is the body a list at all, or what a web server says instead of one?
//!
//! Each kind of body here was once stored as a list by somebody's script. [`check`] looks at the first
//! [`HEAD`] octets only, so a wrong body is named before it is read as a whole.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::model::{parse_ipv4, parse_ipv6};
use crate::parse::{Diag, Format, Options, Parsed, excerpt, parse};

/// Octets at the beginning of a body that [`check`] wants to see (fewer only when the body is shorter). A header of
/// comments that is longer hides the entries; then nothing is said against the body.
pub const HEAD: usize = 64 * 1024;

/// Up to this size in octets a body without any entry is a message, above it a list in another format.
pub const MESSAGE_MAX: u64 = 4096;

/// Up to this many lines that are no comments a body is searched for [`PHRASES`].
const FEW_LINES: usize = 3;

/// Letters of a comment by which it is known again.
const FEWEST_LETTERS: usize = 6;

/// What servers and operators say instead of a list.
const PHRASES: [&str; 17] = [
    "access denied",
    "bad gateway",
    "bad request",
    "could not connect",
    "error code",
    "has been blocked",
    "internal server error",
    "not found",
    "only fetch",
    "quota exceeded",
    "rate limit",
    "service unavailable",
    "temporarily unavailable",
    "timed out",
    "too many requests",
    "too often",
    "try again",
];

/// What they also say in a line or two of comments alone; behind entries such words are somebody's note.
const ALONE: [&str; 19] = [
    "forbidden",
    "unauthorized",
    "not authorized",
    "not authorised",
    "maintenance",
    "payment required",
    "login required",
    "license key",
    "license has expired",
    "invalid license",
    "subscription has expired",
    "subscription required",
    "valid subscription",
    "no subscription",
    "permission denied",
    "your api key",
    "invalid api key",
    "invalid key",
    "invalid token",
];

/// Who asks for something does not refuse.
const ASKING: [&str; 4] = ["do not", "don't", "not to", "never"];
/// How many characters before a phrase.
const ASKED_WITHIN: usize = 40;

/// What they say in comments alone, and no list says there of itself.
const REFUSALS: [&str; 14] = [
    "403 forbidden",
    "access denied",
    "bad gateway",
    "gateway time",
    "internal server error",
    "limit exceeded",
    "limit reached",
    "quota exceeded",
    "service unavailable",
    "temporarily unavailable",
    "you have exceeded",
    "you have reached",
    "your daily limit",
    "your quota",
];

/// Whom they say it to, in these words.
const WHOM: [&str; 4] = ["you", "your ip", "your address", "your ip address"];
const VERBS: [&str; 7] = ["are", "is", "was", "have been", "has been", "has now been", "have now been"];
const WHAT: [&str; 5] = ["blocked", "banned", "blacklisted", "denied", "blocklisted"];

/// Why a body is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Rejection {
    /// No octets, or blanks only.
    #[error("the body is empty")]
    Empty,
    /// A web page or other markup.
    #[error("the body is a web page, not a list: {0}")]
    Html(String),
    /// JSON where text is due, or an object that reports an error.
    #[error("the body is a JSON message, not a list: {0}")]
    Json(String),
    /// Compressed or otherwise not text.
    #[error("the body is not text ({0})")]
    Binary(Cow<'static, str>),
    /// Words for a person: an error, a limit, misuse.
    #[error("the body is a message, not a list: {0}")]
    Message(String),
    /// Text, but nothing in it is an entry of the stated format.
    #[error("no line of the body's beginning is an entry of format `{format}`; {example}")]
    WrongForm {
        /// What was stated.
        format: Format,
        /// The first bad line.
        example: String,
    },
}

impl Rejection {
    /// In a word, without what the body says: the same trouble at the next fetch has the same.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Html(_) => "html",
            Self::Json(_) => "json",
            Self::Binary(_) => "binary",
            Self::Message(_) => "message",
            Self::WrongForm { .. } => "wrong-form",
        }
    }
}

/// Looks at the `head` (see [`HEAD`]) of a decoded body of `len` octets in all.
///
/// # Errors
/// Why the body cannot be a list in `format`.
pub fn check(head: &[u8], len: u64, format: Format, allow_empty: bool) -> Result<(), Rejection> {
    check_beside(head, len, format, allow_empty, None)
}

/// The same where it is known what comments the list's last version has: those are no message.
///
/// # Errors
/// Why the body cannot be a list in `format`.
pub fn check_beside(
    head: &[u8],
    len: u64,
    format: Format,
    allow_empty: bool,
    known: Option<&Comments>,
) -> Result<(), Rejection> {
    let whole = head.len() as u64 >= len;
    let head = &head[..head.len().min(HEAD)];
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if text.is_empty() && whole {
        return if allow_empty { Ok(()) } else { Err(Rejection::Empty) };
    }
    if let Some(kind) = binary(head) {
        return Err(Rejection::Binary(kind.into()));
    }
    match text.first() {
        // No list format begins with markup or, but for JSON lines, with an object.
        Some(b'<') => return Err(Rejection::Html(first_line(text))),
        Some(b'{') if format == Format::DropJson => json_lines(text)?,
        Some(b'{') => return Err(Rejection::Json(first_line(text))),
        Some(b'[') if format != Format::DropJson && json_array(text) => {
            return Err(Rejection::Json(first_line(text)));
        }
        _ => {}
    }
    list(text, len, whole, format, known)
}

fn binary(head: &[u8]) -> Option<&'static str> {
    match head {
        [0x1f, 0x8b, ..] => Some("gzip data that was not decoded"),
        [b'P', b'K', 3, 4, ..] => Some("a zip archive"),
        [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => Some("UTF-16"),
        _ if head.contains(&0) => Some("it holds NUL octets"),
        _ => None,
    }
}

fn json_array(text: &[u8]) -> bool {
    matches!(text[1..].trim_ascii_start().first(), Some(b'{' | b'"' | b']'))
}

/// The first object of JSON lines reports an error when it has a field for that and none of a list's.
fn json_lines(text: &[u8]) -> Result<(), Rejection> {
    let line = text.split(|&b| b == b'\n').next().unwrap_or_default();
    let Ok(object) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line) else {
        return Ok(());
    };
    let has = |keys: &[&str]| keys.iter().any(|key| object.contains_key(*key));
    if has(&["status", "error", "errors", "message", "code", "detail"]) && !has(&["cidr", "sblid", "asn"]) {
        return Err(Rejection::Json(first_line(line)));
    }
    Ok(())
}

fn list(
    text: &[u8],
    len: u64,
    whole: bool,
    format: Format,
    known: Option<&Comments>,
) -> Result<(), Rejection> {
    // A line that the head cuts says nothing.
    let text = match text.iter().rposition(|&b| b == b'\n') {
        Some(end) if !whole => &text[..=end],
        _ => text,
    };
    let spoken = lines(text, FEW_LINES + 1);
    // In rbldnsd's files texts for people belong to the entries.
    let few = whole && spoken.len() <= FEW_LINES && !format.is_rbldnsd();
    if few && spoken.iter().any(|line| says_no(line)) {
        return Err(Rejection::Message(excerpt(spoken[0])));
    }
    if whole && spoken.is_empty() && refuses(text, known) {
        return Err(Rejection::Message(first_line(text)));
    }
    if format == Format::Csv {
        return csv(text, len, whole, &spoken);
    }
    let mut first_bad: Option<Diag> = None;
    // Reading memory fails only where the format refuses the whole file: its parser will say so better.
    match parse(format, &Options::default(), text, &mut |bad| _ = first_bad.get_or_insert(bad)) {
        // Prose is refused by the parser of sections, too, but not for what it is.
        Err(_) if format == Format::Combined && !has_section(text) => {}
        Err(_) => return Ok(()),
        Ok(parsed) if credible(&parsed) || parsed.report.bad == 0 && parsed.report.entries == 0 => {
            return Ok(());
        }
        Ok(_) => {}
    }
    if whole && len <= MESSAGE_MAX && format != Format::DropJson {
        return Err(Rejection::Message(spoken.first().map(|line| excerpt(line)).unwrap_or_default()));
    }
    let example = first_bad.map_or_else(|| first_line(text), |bad| bad.to_string());
    Err(Rejection::WrongForm { format, example })
}

fn has_section(text: &[u8]) -> bool {
    const WORD: &[u8] = b"$dataset";
    text.windows(WORD.len()).any(|octets| octets.eq_ignore_ascii_case(WORD))
}

/// Any address, any record, or a name of two labels: in prose every line begins with a word that could be a name.
fn credible(parsed: &Parsed) -> bool {
    parsed.set.parts().any(|set| {
        let addresses = set.v4.hosts.len() + set.v4.blocks.len() + set.v6.len();
        set.values.iter().any(|value| !value.records.is_empty())
            || addresses > 0
            || set.names.iter().any(|entry| entry.name.labels().count() > 1)
    })
}

/// The configured column is not known here: an address in any field will do.
fn csv(text: &[u8], len: u64, whole: bool, spoken: &[&[u8]]) -> Result<(), Rejection> {
    let Some(first) = spoken.first() else { return Ok(()) };
    let is_entry = |field: &[u8]| {
        let field = field.trim_ascii();
        let address = field.split(|&b| b == b'/').next().unwrap_or_default();
        parse_ipv4(address).is_ok() || address.contains(&b':') && parse_ipv6(address).is_ok()
    };
    if text.split(|b| matches!(b, b',' | b'"' | b'\n' | b'\r')).any(is_entry) {
        return Ok(());
    }
    // A row of titles and nothing below it is an empty list; how few entries are too few is judged later.
    if whole && spoken.len() == 1 && first.contains(&b',') {
        return Ok(());
    }
    if whole && len <= MESSAGE_MAX {
        return Err(Rejection::Message(excerpt(first)));
    }
    Err(Rejection::WrongForm { format: Format::Csv, example: first_line(first) })
}

/// Whether nothing but comments stands in a text.
pub fn is_comments(text: &[u8]) -> bool {
    written(text).next().is_some() && lines(text, 1).is_empty()
}

/// The comments of a text by their words alone: numbers, signs and dates differ from one version to the next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comments(BTreeSet<String>);

impl Comments {
    /// Those of a text that say anything.
    pub fn of(text: &[u8]) -> Self {
        let comments = written(text).filter(|line| matches!(line[0], b'#' | b';')).map(said);
        Self(comments.filter(|said| said.len() >= FEWEST_LETTERS).collect())
    }

    /// They say something, and nothing of what the others say.
    pub fn are_others(&self, others: &Self) -> bool {
        !self.0.is_empty() && self.0.is_disjoint(&others.0)
    }

    fn has(&self, line: &[u8]) -> bool {
        self.0.contains(&said(line))
    }
}

/// The words of a line, without those of dates.
fn said(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line).to_lowercase();
    let words = line.split(|c: char| !c.is_alphabetic());
    words.filter(|word| word.len() > 1 && !is_of_dates(word)).collect()
}

/// `mon`, `monday`, `sept`, `utc`
fn is_of_dates(word: &str) -> bool {
    const WHOLE: [&str; 19] = [
        "monday",
        "tuesday",
        "wednesday",
        "thursday",
        "friday",
        "saturday",
        "sunday",
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    matches!(word, "utc" | "gmt" | "am" | "pm")
        || word.len() >= 3 && WHOLE.iter().any(|whole| whole.starts_with(word))
}

/// The first `most` lines that are neither empty nor comments.
fn lines(text: &[u8], most: usize) -> Vec<&[u8]> {
    written(text).filter(|line| !matches!(line[0], b'#' | b';')).take(most).collect()
}

/// The lines that are not empty.
fn written(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

fn says_no(line: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&line[..line.len().min(1024)]).to_ascii_lowercase();
    PHRASES.iter().any(|phrase| text.contains(phrase))
}

/// With nothing but a line or two of comments they are what there is to say. More of them may be the header of a list that is empty,
/// which has rules for those who fetch it: then only what none says of itself counts.
fn refuses(text: &[u8], known: Option<&Comments>) -> bool {
    let mut lines = 0;
    let unknown = written(text).filter(|line| known.is_none_or(|known| !known.has(line)));
    let words = unknown.inspect(|_| lines += 1).flat_map(|line| {
        let line = String::from_utf8_lossy(line).to_ascii_lowercase();
        let line = line.trim_start_matches(['#', ';', '/', '!']).replace('\u{a0}', " ");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    let said = words.collect::<Vec<_>>().join(" ");
    let is_said = |phrase: &&str| {
        said.match_indices(*phrase).any(|(at, _)| {
            let before: String = said[..at].chars().rev().take(ASKED_WITHIN).collect();
            let before: String = before.chars().rev().collect();
            !ASKING.iter().any(|asking| before.contains(asking))
        })
    };
    if lines <= FEW_LINES && PHRASES.iter().chain(&ALONE).any(is_said) {
        return true;
    }
    let told = || WHOM.iter().flat_map(|whom| VERBS.iter().map(move |verb| format!("{whom} {verb} ")));
    REFUSALS.iter().any(|phrase| said.contains(phrase))
        || told().any(|start| {
            said.match_indices(&start)
                .any(|(at, _)| WHAT.iter().any(|what| said[at + start.len()..].starts_with(what)))
        })
}

fn first_line(text: &[u8]) -> String {
    excerpt(text.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(body: &str, format: Format) -> Result<(), Rejection> {
        check(body.as_bytes(), body.len() as u64, format, false)
    }

    #[test]
    fn words_behind_a_sign_of_comments() {
        let message = Err(Rejection::Message("# You fetch too often".to_owned()));
        for format in Format::ALL.into_iter().filter(|format| *format != Format::DropJson) {
            let verdict = |body: &str| check(body.as_bytes(), body.len() as u64, format, true);
            assert_eq!(verdict("# You fetch too often\n"), message, "{format}");
            // What a list says of itself may hold such words.
            let header = "# A list\n#\n# Please do not fetch it too often\n# 2026-11-30\n";
            assert_eq!(verdict(header), Ok(()), "{format}");
            assert_eq!(verdict("# A list that is empty today\n"), Ok(()), "{format}");
            assert_eq!(verdict("# A list\n# Please do not fetch it too often\n"), Ok(()), "{format}");
            for refusal in [
                "# You fetch\n# too often\n",
                "# Forbidden\n",
                "# Down for maintenance\n",
                "# no valid\n# subscription\n",
            ] {
                assert!(matches!(verdict(refusal), Err(Rejection::Message(_))), "{format} {refusal}");
            }
            let known = Comments::of(b"# A list of hosts, Mon Nov 30\n192.0.2.1\n");
            for (body, is_list) in [
                ("# A list of hosts, Tue Dec 1\n", true),
                ("# A list of hosts, Tue Dec 1\n# 403 Forbidden\n", false),
                ("# A list of hosts\n# Access denied\n", false),
            ] {
                let said = check_beside(body.as_bytes(), body.len() as u64, format, true, Some(&known));
                assert_eq!(said.is_ok(), is_list, "{body} {format}");
            }
            assert!(Comments::of(b"# Please register\n").are_others(&known));
            assert!(!Comments::of(b"# A list of hosts, 2026\n# new\n").are_others(&known));
            assert!(Comments::of(b"# Please register\n").are_others(&Comments::of(b"192.0.2.1\n")));
            assert!(!Comments::of(b"#\n# --\n").are_others(&known));
            for header in [
                "# Hosts that have been blocked or banned here\n# You may fetch it every 30 minutes, no more:\n# you will be blocked\n# otherwise\n",
                "# If your IP is listed, write to us\n#\n# Too many requests come from some\n# 2026-11-30\n",
            ] {
                assert_eq!(verdict(header), Ok(()), "{format}");
            }
            // But none says this.
            for refusal in [
                "# Dear user\n#\n# Your address has been blocked.\n# Write to us\n# 2026-11-30\n",
                "# Dear user\n# Your IP has now been\n#   banned\n# 1\n# 2\n",
                "# Dear user\n# You are\u{a0}blocked\n",
                "# Dear user\n# 504 Gateway Timeout\n",
                "# Dear user\n# You have exceeded the rate limit\n# 1\n# 2\n",
            ] {
                assert_eq!(verdict(refusal), Err(Rejection::Message("# Dear user".to_owned())), "{format}");
            }
        }
    }

    #[test]
    fn what_servers_say_instead() {
        for format in Format::ALL {
            for body in ["", "\n \r\n", "\u{feff}\n"] {
                assert_eq!(verdict(body, format), Err(Rejection::Empty), "{body:?} {format}");
                assert_eq!(check(body.as_bytes(), body.len() as u64, format, true), Ok(()));
            }
            for body in ["<!DOCTYPE html>\n<html>", "\n  <html lang=en>", "<?xml version=\"1.0\"?>"] {
                assert!(matches!(verdict(body, format), Err(Rejection::Html(_))), "{body} {format}");
            }
            for body in ["{\"status\":500,\"message\":\"Internal Server Error\"}", "{\"error\":\"quota\"}\n"]
            {
                assert!(matches!(verdict(body, format), Err(Rejection::Json(_))), "{body} {format}");
            }
            for body in ["\x1f\u{8b}", "a\0b\n", "PK\x03\x04"] {
                let latin1: Vec<u8> = body.chars().map(|c| c as u8).collect();
                let verdict = check(&latin1, latin1.len() as u64, format, false);
                assert!(matches!(verdict, Err(Rejection::Binary(_))), "{body:?} {format}");
            }
            for body in [
                "error code: 520",
                "Could not connect: \n",
                "Not Found",
                "Too Many Requests\n",
                "Umm... You can only fetch the data every 30 minutes - sorry.\nIf you keep trying, you may get blocked.\n(this is why)\n",
            ] {
                assert!(matches!(verdict(body, format), Err(Rejection::Message(_))), "{body} {format}");
            }
            let wordy = "Nothing here is an entry of a list\n";
            let small = verdict(wordy, format).unwrap_err();
            let form_of = |r: &Rejection| matches!(r, Rejection::Message(_) | Rejection::WrongForm { .. });
            assert!(form_of(&small), "{small} {format}");
            let long = verdict(&wordy.repeat(1000), format).unwrap_err();
            assert!(matches!(long, Rejection::WrongForm { .. }), "{long} {format}");
        }
    }

    #[test]
    fn an_address_does_not_make_a_list() {
        let said = verdict("192.0.2.1 has been blocked for fetching too often\n", Format::Plain);
        assert!(matches!(said, Err(Rejection::Message(_))), "{said:?}");
    }

    #[test]
    fn lists_pass() {
        for (format, body) in [
            (Format::Plain, "# rate limit: see error code\n192.0.2.1\n"),
            (Format::Plain, "# only a header\n"),
            (Format::Plain, "word\n192.0.2.1\n"),
            (Format::Plain, "192.0.2.1 blocked\n192.0.2.2\n192.0.2.3\n192.0.2.4 not found\n"),
            (Format::Drop, "; x\n192.0.2.0/24 ; SBL1\n; EOF\n"),
            (Format::DropJson, "{\"cidr\":\"192.0.2.0/24\",\"sblid\":\"SBL1\"}\n"),
            (Format::Netset, "#\n192.0.2.0/24\n"),
            (Format::Csv, "# x\n\"seen\",\"ip\"\n\"2024\",\"192.0.2.1\"\n"),
            (Format::Csv, "seen,ip\n"),
            (Format::Csv, "###\n# x\n# END 0 entries"),
            (Format::Dshield, "192.0.2.0\t192.0.2.255\t24\t1\t-\t-\t-\n"),
            (Format::Hosts, "127.0.0.1 localhost\n0.0.0.0 spam.example\n"),
            (Format::Names, "spam.example\n"),
            (Format::Generic, "www A 127.0.0.2\n"),
            (Format::Dnset, "spam.example has been blocked\n"),
            (Format::Ip4set, "# x\n$SOA 1 a b 0 1 1 1 1\n:2:error code $\n127.0.0.2\n"),
        ] {
            assert_eq!(verdict(body, format), Ok(()), "{format} {body}");
        }
    }

    #[test]
    fn the_stated_form_is_held_to() {
        let names = "a.example\nb.example\n".repeat(300);
        assert!(matches!(verdict(&names, Format::Plain), Err(Rejection::WrongForm { .. })));
        let addresses = "192.0.2.1\n".repeat(600);
        assert!(verdict(&addresses, Format::Hosts).is_err());
        assert!(verdict(&addresses, Format::Dshield).is_err());
        let asn = "{\"asn\":245,\"rir\":\"x\"}\n";
        let said = verdict(asn, Format::DropJson).unwrap_err();
        assert!(said.to_string().contains("an object without `cidr`"), "{said}");
    }

    #[test]
    fn a_head_says_nothing_about_what_it_cuts() {
        let header = "# comment\n".repeat(10_000);
        let body = format!("{header}192.0.2.1\n");
        assert_eq!(check(&body.as_bytes()[..HEAD], body.len() as u64, Format::Plain, false), Ok(()));
        let body = "192.0.2.1\n192.0.2.2\n";
        assert_eq!(check(&body.as_bytes()[..13], body.len() as u64, Format::Plain, false), Ok(()));
    }
}

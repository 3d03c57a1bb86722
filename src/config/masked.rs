//! What of a configuration is nobody's business, whatever is wrong with it: problems are shown and logged.
//!
//! Who mistypes an address may have typed a password into it, so this is generous: what stands before an `@` behind a colon or
//! a slash, what stands where a port should and is none, what stands behind `?`, and what is no path where a credential's path should
//! stand. It works on whole lines: of what is cut only parts could be told.

use std::ops::Range;

/// Parts of a text, in their order, and what is shown in their place.
pub(super) struct Masked(Vec<(Range<usize>, &'static str)>);

pub(super) const MASK: &str = "***";
const REST: &str = "...";

/// Characters that texts stand between.
const QUOTES: [char; 3] = ['"', '\'', '`'];

impl Masked {
    /// What of `text` is not shown.
    pub(super) fn of(text: &str) -> Self {
        let mut found = Vec::new();
        credentials(text, &mut found);
        proxies(text, &mut found);
        before_at(text, &mut found);
        behind_scheme(text, &mut found);
        keys(text, &mut found);
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut parts: Vec<(Range<usize>, &'static str)> = Vec::new();
        for (range, shown) in found {
            match parts.last_mut() {
                Some((last, _)) if range.start < last.end => last.end = last.end.max(range.end),
                _ => parts.push((range, shown)),
            }
        }
        Self(parts)
    }

    /// Nor what stands behind a place, whatever it is.
    pub(super) fn and_behind(mut self, at: usize) -> Self {
        self.0.retain(|(range, _)| range.start < at);
        self.0.iter_mut().for_each(|(range, _)| range.end = range.end.min(at));
        self.0.push((at..usize::MAX, " ***"));
        self
    }

    /// This part of the text as it is shown.
    pub(super) fn shown(&self, text: &str, part: Range<usize>) -> String {
        let (mut shown, mut at) = (String::new(), part.start);
        for (range, instead) in &self.0 {
            let (from, to) = (range.start.max(part.start), range.end.min(part.end));
            if from < to {
                shown.push_str(&text[at..from]);
                shown.push_str(instead);
                at = to;
            }
        }
        shown.push_str(&text[at..part.end]);
        shown
    }
}

/// All of the text as it is shown.
pub(super) fn without_passwords(text: &str) -> String {
    Masked::of(text).shown(text, 0..text.len())
}

/// Where the text that octet `at` stands in begins and ends: between quotes, else all of it. A quote within it may be a
/// part of a password, so only such count that something begins behind or ends before.
fn around(text: &str, at: usize) -> Range<usize> {
    let opens = |(place, quote): (usize, char)| {
        let before = text[..place].chars().next_back();
        let free = before.is_none_or(|c| c.is_whitespace() || "[{(=,".contains(c) || QUOTES.contains(&c));
        (QUOTES.contains(&quote) && free).then_some(place + 1)
    };
    let start = text[..at].char_indices().rev().find_map(opens).unwrap_or(0);
    start..end_of(text, at)
}

fn end_of(text: &str, at: usize) -> usize {
    let closes = |(place, quote): (usize, char)| {
        let behind = text[at + place + 1..].chars().next();
        let free = behind.is_none_or(|c| c.is_whitespace() || ",;:.)]}#".contains(c) || QUOTES.contains(&c));
        (QUOTES.contains(&quote) && free).then_some(at + place)
    };
    text[at..].char_indices().filter(|(_, c)| QUOTES.contains(c)).find_map(closes).unwrap_or(text.len())
}

/// `USER:PASSWORD@HOST`, behind `://` or not. (`joe@example.net` is an address of mail.)
fn before_at(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    let mut from = 0;
    while let Some(at) = text[from..].find('@').map(|at| from + at) {
        let whole = around(text, at);
        let end = text[at..whole.end].rfind('@').map_or(at, |last| at + last);
        let before = &text[whole.start..end];
        let start = before.rfind("://").map_or(whole.start, |scheme| whole.start + scheme + 3);
        let is_place = text[end + 1..whole.end].contains('/');
        if (before.contains([':', '/']) || is_place) && start < end {
            found.push((start..end, MASK));
        }
        from = end + 1;
    }
}

/// `://HOST:PASSWORD` without its `@`.
fn behind_scheme(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    let mut from = 0;
    while let Some(at) = text[from..].find("://").map(|at| from + at + 3) {
        from = at;
        let end = end_of(text, at);
        let authority = &text[at..end];
        let authority = &authority[..authority.find(['/', '?', '#', ' ']).unwrap_or(authority.len())];
        // A colon within brackets is one of an IPv6 address.
        let bracket = authority.rfind(']').unwrap_or(0);
        let until = text[at..end].find("://").map_or(end, |next| at + next);
        if let Some(sign) = text[at..until].rfind('@').filter(|sign| *sign > 0) {
            found.push((at..at + sign, MASK));
        } else if let Some(colon) = authority[bracket..].find(':').map(|colon| at + bracket + colon + 1)
            && !text[colon..at + authority.len()].bytes().all(|b| b.is_ascii_digit())
        {
            found.push((colon..end, MASK));
        }
    }
}

/// What stands behind `?`, or behind `&` or `;` where `=` follows, whatever it is in: who mistypes a URL may have put it anywhere.
fn keys(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    const SIGNS: [&str; 9] = ["?", "#", "&", ";", "%3f", "%26", "\\u003f", "\\u0000003f", "\\x3f"];
    let lower = text.to_ascii_lowercase();
    for sign in SIGNS {
        for (at, _) in lower.match_indices(sign) {
            let (from, end) = (at + sign.len(), end_of(text, at));
            // One before an `@` is one of the password, which is taken care of.
            if from >= end || text[at..end].contains('@') {
                continue;
            }
            let rest = &text[from..end];
            // What is shown already is a digest.
            if rest.starts_with(REST) {
                continue;
            }
            let is_key = match sign {
                "&" | "%26" => rest.contains('='),
                ";" => is_named(rest),
                // A comment stands by itself.
                "#" => is_named(rest) && !text[..at].ends_with([' ', '\t', '"', '\'']) && at > 0,
                // Behind a URL anything; in a sentence a blank or a quote stands behind it.
                _ => {
                    rest.contains('=')
                        || text[..at].contains("://")
                        || !rest.starts_with(|c: char| c.is_whitespace() || c == ')' || QUOTES.contains(&c))
                }
            };
            if is_key {
                found.push((from..end, REST));
            }
        }
    }
}

/// `NAME=…`
fn is_named(text: &str) -> bool {
    let name = text.trim_start().split('=').next().filter(|name| name.len() < text.trim_start().len());
    name.is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    })
}

/// The credential itself where the path of its file should stand.
fn credentials(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    let is_one = |value: &str| is_secret(value) || !is_path(value) && !value.starts_with("systemd:");
    found.extend(values(text, "credential").filter(|at| is_one(&text[at.clone()])).map(|at| (at, MASK)));
}

/// `HOST:PORT:USER:PASSWORD`, as other programs take it.
fn proxies(text: &str, found: &mut Vec<(Range<usize>, &'static str)>) {
    for key in ["proxy", "url"] {
        let all = values(text, key);
        found.extend(all.filter(|at| has_parts(&text[at.clone()])).map(|at| (at, MASK)));
    }
    for at in values(text, "urls") {
        let mut start = at.start;
        for one in text[at.start..].split(QUOTES) {
            if has_parts(one) {
                found.push((start..start + one.len(), MASK));
            }
            start += one.len() + 1;
        }
    }
}

/// What a text gives to keys that end so.
fn values(text: &str, key: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices(key).filter_map(move |(at, _)| {
        let rest = text[at + key.len()..].trim_start_matches(QUOTES).trim_start();
        let value = rest.strip_prefix(['=', ':'])?.trim_start();
        // A table or an array of several: to its end.
        let is_one = !value.starts_with(['{', '[']) || key == "urls";
        let value = value.trim_start_matches(QUOTES);
        let start = text.len() - value.len();
        let end = if is_one { end_of(text, start) } else { text.len() };
        Some(start..end).filter(|at| !at.is_empty())
    })
}

/// Whether more than a host and a port stand in what is no URL.
pub(super) fn has_parts(text: &str) -> bool {
    !text.contains("://") && text.matches(':').count() > 1
}

/// Whether a text begins as the path of a file, and no password or token does.
pub(super) fn is_path(text: &str) -> bool {
    ["/", "./", "../"].iter().any(|start| text.starts_with(start))
}

/// Whether a text is a credential instead of the path of its file.
pub(super) fn is_secret(text: &str) -> bool {
    let text = text.strip_prefix("systemd:").unwrap_or(text);
    text.split('/').next().is_some_and(|before| before.contains(':')) || text.contains(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        for (text, shown) in [
            ("url = \"http://joe:pw@example.net/x\", b", "url = \"http://***@example.net/x\", b"),
            ("`http://joe:p/w?#@h@example.net` is none", "`http://***@example.net` is none"),
            ("http://a.example/ and https://u:p@b.example", "http://a.example/ and https://***@b.example"),
            ("[\"https://a.example/\", \"https://u:p@b/\"]", "[\"https://a.example/\", \"https://***@b/\"]"),
            ("url = \"http://joe:very long", "url = \"http://joe:***"),
            ("url = \"http//joe:pw@h/x\"", "url = \"***@h/x\""),
            ("url = \"http:joe:pw@h/x\"", "url = \"***\""),
            ("proxy = \"h:3128:joe:p@w\"", "proxy = \"***\""),
            ("url = \"//joe:pw@h/x\"", "url = \"***@h/x\""),
            ("url = 'http://joe:p\"w@h/x'", "url = 'http://***@h/x'"),
            ("url = \"http://joe:p'w`, @h/x\"", "url = \"http://***@h/x\""),
            ("url = \"http://joe:p w@h/x\"", "url = \"http://***@h/x\""),
            ("url = \"http://joe:p\\\"w@h/x\"", "url = \"http://***@h/x\""),
            ("url = \"http://joe:?pw@h/x\"", "url = \"http://***@h/x\""),
            ("{ credential = \"joe:pw\", x = 1 }", "{ credential = \"***\", x = 1 }"),
            ("proxy-credential='Authorization: Bearer k/y'", "proxy-credential='***'"),
            ("credential = joe:pw", "credential = ***"),
            ("credential = \"pw\" # mine", "credential = \"***\" # mine"),
            ("credential = \"Bearer pw\"", "credential = \"***\""),
            ("proxy = \"proxy.example:3128:joe:pw\"", "proxy = \"***\""),
            ("url = 'joe:pw:proxy.example:3128'", "url = '***'"),
            ("urls = [\"https://h/x\", \"h:1:joe:pw\"]", "urls = [\"https://h/x\", \"***\"]"),
            ("credential = \"systemd:joe:pw\"", "credential = \"***\""),
            ("url = \"https://h/x?key=k&y\" # see", "url = \"https://h/x?...\" # see"),
            ("url = \"h/x?key=k&y\" # see", "url = \"h/x?...\" # see"),
            ("ulr = \"h/x?key=k&y\"", "ulr = \"h/x?...\""),
            ("    \"h/x?key=k&y\",", "    \"h/x?...\","),
            ("url: h/x?key=k", "url: h/x?..."),
            ("url = \"https://exa mple.net/x?a b=k\"", "url = \"https://exa mple.net/x?...\""),
            ("&key=k\"", "&...\""),
            ("url = \"h/x\\u003fkey=k\"", "url = \"h/x\\u003f...\""),
            ("url = \"h/x? key=k\" # see", "url = \"h/x?...\" # see"),
            ("url = \"h/x?'key=k\"", "url = \"h/x?...\""),
            ("url = \"h/x?=k\"", "url = \"h/x?...\""),
            ("url = \"h/x?/k\"", "url = \"h/x?...\""),
            ("url = \"h/x?+k\"", "url = \"h/x?...\""),
            ("url = \"h/x?#k\"", "url = \"h/x?...\""),
            ("url = \"h/x& key=k\"", "url = \"h/x&...\""),
            ("url = \"h/x;key=k\"", "url = \"h/x;...\""),
            ("url = \"h/x%3Fkey=k\"", "url = \"h/x%3F...\""),
            ("url = \"h/x\\U0000003Fkey=k\"", "url = \"h/x\\U0000003F...\""),
            ("url = \"h/x#key=k\"", "url = \"h/x#...\""),
            ("file = \"https://h/x?.k\"", "file = \"https://h/x?...\""),
            ("file = \"https://h/x? k\"", "file = \"https://h/x?...\""),
            ("url = \"k@h.example/x\"", "url = \"***@h.example/x\""),
            ("credential = { user = \"u\", password = \"k\" }", "credential = ***"),
            ("credential = [\"u\", \"k\"]", "credential = ***"),
            ("credential: u:k", "credential: ***"),
            ("known-hosts = \"https:/h/x?k\"", "known-hosts = \"https:/h/x?...\""),
            ("urls = [\"h/x?key=k\", \"h/y?k\", \"h/z?\"]", "urls = [\"h/x?...\", \"h/y?...\", \"h/z?\"]"),
            // Nothing of these is a password.
            ("no = 1 # a = b", "no = 1 # a = b"),
            ("# a = b", "# a = b"),
            ("text = \"Listed? See `x`.\"", "text = \"Listed? See `x`.\""),
            ("text = \"listed; see example.net\"", "text = \"listed; see example.net\""),
            ("no address, a@b", "no address, a@b"),
            ("contact = \"me@example.net\"", "contact = \"me@example.net\""),
            ("credential = \"/etc/gatepost/a:b\"", "credential = \"/etc/gatepost/a:b\""),
            ("credential = \"systemd:feed\"", "credential = \"systemd:feed\""),
            ("credential = \"./feed\"", "credential = \"./feed\""),
            ("proxy = \"proxy.example:3128\"", "proxy = \"proxy.example:3128\""),
            ("proxy-credential = \"/etc/p\"", "proxy-credential = \"/etc/p\""),
            ("url = \"http://h:99999/x\"", "url = \"http://h:99999/x\""),
            ("url = \"http://[2001:db8::1]:80/x\"", "url = \"http://[2001:db8::1]:80/x\""),
            ("`https://h/x`: it isn't", "`https://h/x`: it isn't"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }

    #[test]
    fn of_a_part_no_more_is_shown_than_of_the_whole() {
        let text = "url = \"http://joe:secret@h/x\"";
        let masked = Masked::of(text);
        for cut in 0..=text.len() {
            let both = masked.shown(text, 0..cut) + &masked.shown(text, cut..text.len());
            assert!(!["joe", "sec", "ret"].iter().any(|part| both.contains(part)), "{both}");
        }
    }
}

//! What the address of a feed may look like, and by which way its scheme has it fetched.
//!
//! Passwords never stand in one: URLs end up in logs, in the store and in lists of processes. Of rsync's paths only what
//! no shell and no rsync reads as a pattern is taken, so that one URL is one file.

use std::net::IpAddr;

use reqwest::Url;

use super::masked::{MASK, has_parts, is_path, without_passwords};
use crate::model::ContentHash;

/// How a feed is fetched, by the scheme of its URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// `http://` and `https://`.
    Http,
    /// `rsync://HOST[:PORT]/MODULE/PATH`: an rsync daemon.
    Rsync,
    /// `rsync+ssh://[USER@]HOST[:PORT]/PATH`: rsync as ssh starts it on the other side.
    Ssh,
    /// `file:///PATH`: somebody else puts it there; it is judged like anything that was fetched.
    File,
}

impl Transport {
    /// Of a URL.
    pub fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "http" | "https" => Some(Self::Http),
            "rsync" => Some(Self::Rsync),
            "rsync+ssh" => Some(Self::Ssh),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

/// A page for people: http or https, with a host, without a password in it.
pub(crate) fn parse_web(text: &str) -> Result<Url, String> {
    match parse(text)? {
        (url, Transport::Http) => Ok(url),
        (url, _) => Err(no_way(&url, "a page")),
    }
}

/// Where a feed is: anywhere but on this machine.
pub(crate) fn parse_remote(text: &str) -> Result<Url, String> {
    match parse(text)? {
        (url, Transport::File) => Err(no_way(&url, "a feed of the catalogue")),
        (url, _) => Ok(url),
    }
}

/// Where a list of the operator's configuration is.
pub(crate) fn parse_source(text: &str) -> Result<Url, String> {
    parse(text).map(|(url, _)| url)
}

/// A place for people and for the store. What stands behind `?` may be a key: a digest of it tells two places apart.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    if let Some(query) = url.query().filter(|query| !query.is_empty()) {
        shown.set_query(Some(&format!("...{}", ContentHash::of(query.as_bytes()).short())));
    }
    shown.set_fragment(None);
    shown.to_string()
}

/// What a publisher hears, however it is spelt: for comparing alone. Who asks (a user name), what stands behind `#`, and whether a
/// web server is asked in the clear, is not of it. `None`: nobody is asked for a file here.
pub(crate) fn question(url: &Url) -> Option<String> {
    let (scheme, port) = match Transport::of(url)? {
        Transport::Http => ("http", None),
        Transport::Rsync => ("rsync", Some(873)),
        Transport::Ssh => ("rsync+ssh", Some(22)),
        Transport::File => return None,
    };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let port =
        url.port().filter(|own| Some(*own) != port).map_or_else(String::new, |port| format!(":{port}"));
    let mut path = plainly(url.path());
    while path.contains("//") {
        path = path.replace("//", "/");
    }
    let query = url.query().filter(|query| !query.is_empty());
    let query = query.map_or_else(String::new, |query| format!("?{}", plainly(query)));
    Some(format!("{scheme}://{host}{port}{path}{query}"))
}

/// The same for the store, where a key that stands behind `?` does not belong; files as they are.
pub(crate) fn place(url: &Url) -> String {
    let Some(question) = question(url) else { return shown(url) };
    match question.split_once('?') {
        Some((place, query)) => format!("{place}?...{}", ContentHash::of(query.as_bytes()).short()),
        None => question,
    }
}

/// With no escapes but those that mean something (RFC 3986 section 6.2.2).
fn plainly(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        plain.push_str(before);
        let code = behind.get(..2).filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let octet = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        let Some(octet) = octet else {
            plain.push('%');
            rest = behind;
            continue;
        };
        match char::from(octet) {
            c if c.is_ascii_alphanumeric() || "-._~".contains(c) => plain.push(c),
            _ => plain.push_str(&format!("%{octet:02X}")),
        }
        rest = &behind[2..];
    }
    plain + rest
}

fn parse(text: &str) -> Result<(Url, Transport), String> {
    let shown = if has_parts(text) { MASK.to_owned() } else { without_passwords(text) };
    let url = Url::parse(text).map_err(|error| format!("`{shown}` is not a URL: {error}"))?;
    let Some(transport) = Transport::of(&url) else { return Err(no_way(&url, "a feed")) };
    check_authority(text, &url)?;
    if url.password().is_some() || !url.username().is_empty() && transport != Transport::Ssh {
        return Err("a user name or password in a URL would end up in logs and in the store".to_owned());
    }
    match transport {
        Transport::Http => {}
        Transport::Rsync | Transport::Ssh => check_rsync(&url, transport)?,
        Transport::File => check_file(&url)?,
    }
    Ok((url, transport))
}

/// Whether somebody meant a URL, however it is mistyped.
pub(super) fn is_web(text: &str) -> bool {
    let start = text.to_ascii_lowercase();
    let is_scheme =
        ["http:", "https:", "rsync:", "rsync+ssh:"].iter().any(|scheme| start.starts_with(scheme));
    let has_user = text.split_once('@').is_some_and(|(user, _)| user.contains(':'));
    is_scheme || has_user || !is_path(text) && has_parts(text) || text.contains("://") || text.contains('?')
}

/// Whether it can be told which host a URL names. Parsers forgive missing slashes, and take a password with an unescaped
/// `?`, `#` or `/` in it for a path.
fn check_authority(text: &str, url: &Url) -> Result<(), String> {
    let text = text.trim();
    let behind = text.get(url.scheme().len()..).and_then(|text| text.strip_prefix("://"));
    let Some(behind) = behind else { return Err(format!("`{}:` without `//` behind it", url.scheme())) };
    let (authority, rest) = behind.split_at(behind.find(['/', '?', '#', '\\']).unwrap_or(behind.len()));
    if authority.is_empty() && Transport::of(url) == Some(Transport::Http) {
        return Err("a URL without a host".to_owned());
    }
    if authority.ends_with(':') {
        return Err("a colon without a port behind it: it cannot be told which host is meant".to_owned());
    }
    let is_address =
        url.host_str().is_some_and(|host| host.starts_with('[') || host.parse::<IpAddr>().is_ok());
    if rest.contains('@') && authority.contains(':') && !is_address {
        return Err(
            "an `@` behind a colon: it cannot be told which host is meant (an `@` that belongs to the path \
                    is written %40)"
                .to_owned(),
        );
    }
    Ok(())
}

fn no_way(url: &Url, what: &str) -> String {
    format!("`{}:` is no way to fetch {what}", url.scheme())
}

fn check_rsync(url: &Url, transport: Transport) -> Result<(), String> {
    let is_plain =
        |text: &str, more: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c));
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || host.starts_with('-') || !is_plain(host, ".-_:[]") {
        return Err(format!("`{host}` is not a host"));
    }
    let user = url.username();
    if user.starts_with('-') || !is_plain(user, ".-_") {
        return Err(format!("`{user}` is not a user name"));
    }
    if url.query().is_some() || url.fragment().is_some() || !is_plain(url.path(), "/.-_~+@=:,") {
        return Err("a path of rsync's has letters, digits and `@/.-_~+=:,` only".to_owned());
    }
    if url.path().split('/').any(|part| part.starts_with('-')) {
        return Err(
            "a part of the path that begins with `-` would be an option for the rsync on the other side"
                .to_owned(),
        );
    }
    let parts = url.path().split('/').filter(|part| !part.is_empty()).count();
    if url.path().ends_with('/') || parts < if transport == Transport::Rsync { 2 } else { 1 } {
        let expected = if transport == Transport::Rsync {
            "rsync://HOST/MODULE/PATH"
        } else {
            "rsync+ssh://USER@HOST/PATH"
        };
        return Err(format!("it names no file ({expected})"));
    }
    Ok(())
}

fn check_file(url: &Url) -> Result<(), String> {
    if url.host_str().is_some_and(|host| !host.is_empty()) {
        return Err("a file on another host (file:///PATH has three slashes)".to_owned());
    }
    if url.query().is_some()
        || url.fragment().is_some()
        || url.path().ends_with('/')
        || url.to_file_path().is_err()
    {
        return Err("it names no file (file:///PATH; for a folder see `files`)".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken() {
        for good in [
            "https://example.net/list.txt?key=1",
            "rsync://rsync.example.net/module/list.txt",
            "rsync://192.0.2.1:8730/module/a/list.txt",
            "rsync://[2001:db8::1]/module/list.txt",
            "rsync+ssh://mirror@example.net/srv/list.txt",
            "rsync+ssh://example.net:2222/list",
            "rsync://192.0.2.1:8730/module/@daily/list.txt",
            "https://example.net/@daily/list.txt?to=me@example.net",
            "https://example.net:8443/%40daily/list.txt",
        ] {
            assert!(
                parse_remote(good).is_ok() && parse_source(good).is_ok(),
                "{good}: {:?}",
                parse_remote(good)
            );
        }
        assert!(parse_source("file:///srv/lists/own.txt").is_ok());
        assert!(
            parse_remote("file:///srv/lists/own.txt")
                .unwrap_err()
                .contains("no way to fetch a feed of the catalogue")
        );
        assert!(parse_web("https://example.net/").is_ok() && parse_web("rsync://example.net/a/b").is_err());
    }

    #[test]
    fn one_question_has_many_spellings() {
        let one = |text: &str| question(&parse_source(text).unwrap());
        for (plain, others) in [
            (
                "https://a.example/l",
                &[
                    "https://A.example:443/l",
                    "https://a.example./l",
                    "https://a.example/%6c",
                    "https://a.example//l",
                    "https://a.example/x/..//l",
                    "http://a.example/l",
                    "https://a.example/l?",
                    "https://a.example/l#x",
                ][..],
            ),
            ("https://a.example/l%2fm?q=%7Eme", &["https://a.example/l%2Fm?%71=~me"]),
            (
                "rsync://h.example/m/l",
                &["rsync://H.example./m/l", "rsync://h.example:873/m/l", "rsync://h.example/m//./l"],
            ),
            ("rsync+ssh://u@h.example/l", &["rsync+ssh://v@H.example:22//l"]),
        ] {
            for other in others {
                assert_eq!(one(plain), one(other), "{plain} {other}");
            }
        }
        let all = [
            "https://a.example/l",
            "https://a.example/L",
            "https://a.example/l/",
            "https://a.example/l%2fm",
            "https://a.example/l/m",
            "https://a.example/l?x",
            "https://a.example/l?%26",
            "https://a.example/l?&",
            "https://a.example/l%",
            "https://a.example:8443/l",
            "https://b.example/l",
            "rsync://a.example/m/l",
            "rsync://a.example:8730/m/l",
            "rsync+ssh://a.example/m/l",
        ];
        let apart: std::collections::BTreeSet<_> = all.iter().map(|text| one(text)).collect();
        assert_eq!(apart.len(), all.len(), "{apart:?}");
        assert_eq!(one("file:///l"), None);
    }

    #[test]
    fn what_is_not() {
        for (bad, why) in [
            ("example.net/x", "not a URL"),
            ("ftp://example.net/", "`ftp:` is no way"),
            ("https://u:p@example.net/", "a user name or password"),
            ("https://", "not a URL"),
            ("http:u:p@example.net/x", "without `//`"),
            ("http:/u:p@example.net/x", "without `//`"),
            ("http:example.net/x", "without `//`"),
            ("https:///example.net/x", "without a host"),
            ("https:\\\\example.net/x", "without `//`"),
            ("http://u:?p@example.net/x", "a colon without a port"),
            ("http://u:#p@example.net/x", "a colon without a port"),
            ("http://u:1?p@example.net/x", "an `@` behind a colon"),
            ("http://u:1/p@example.net/x", "an `@` behind a colon"),
            (" http://u:p@example.net/x", "a user name or password"),
            ("rsync://u@example.net/module/x", "a user name or password"),
            ("rsync+ssh://u:p@example.net/x", "a user name or password"),
            ("rsync://example.net/module", "names no file"),
            ("rsync://example.net/module/folder/", "names no file"),
            ("rsync+ssh://example.net/", "names no file"),
            ("rsync:///module/x", "not a host"),
            ("rsync://-e/module/x", "not a host"),
            ("rsync+ssh://-oProxyCommand=x@h/x", "not a user name"),
            ("rsync://example.net/module/*.txt", "letters, digits"),
            ("rsync://example.net/module/a b", "letters, digits"),
            ("rsync+ssh://example.net/$(id)", "letters, digits"),
            ("rsync://example.net/module/x?y", "letters, digits"),
            ("file://host/x", "another host"),
            ("file:///srv/", "names no file"),
        ] {
            let said = parse_source(bad).unwrap_err();
            assert!(said.contains(why), "{bad}: {said}");
        }
        // Steps upwards are gone when the URL has been read.
        assert_eq!(parse_source("rsync://example.net/module/a/../x").unwrap().path(), "/module/x");
    }
}

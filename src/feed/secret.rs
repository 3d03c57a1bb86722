//! Passwords and tokens: read from a file when they are needed, never printed.
//!
//! A [`Secret`] is one line of a file that others may not read: `USER:PASSWORD`, or a header as it is sent
//! (`Authorization: Bearer …`, `X-Api-Key: …`). It has no way to be shown; `Masks` take it out of what others
//! say. Never: putting one into an argument, a URL or the store.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use reqwest::Url;

use super::files::cannot_read;
use crate::config::Credential;
use crate::model::ContentHash;

/// Longest credential file, in octets.
const LONGEST: u64 = 4096;

/// A shorter value in a URL is no key, and what is made of a shorter password stands everywhere.
const SHORTEST_KEY: usize = 8;

/// Stands where a secret stood.
const MASK: &str = "***";

/// A password or token.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Form);

#[derive(Clone, PartialEq, Eq)]
enum Form {
    Password { user: String, password: String },
    Header { name: String, value: String },
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({MASK})")
    }
}

/// The file of a credential.
pub fn path_of(credential: &Credential) -> Result<PathBuf, String> {
    match credential {
        Credential::File(path) | Credential::Bare(path) => Ok(path.clone()),
        Credential::Service(name) => match std::env::var_os("CREDENTIALS_DIRECTORY") {
            Some(folder) if !folder.is_empty() => Ok(Path::new(&folder).join(name)),
            _ => Err(format!(
                "credential {credential}: the service manager handed none over (LoadCredential={name}:FILE in the unit)"
            )),
        },
    }
}

/// The file of a key that ssh reads itself. ssh looks at the mode of its own user's keys alone.
pub(super) fn key_file(credential: &Credential) -> Result<PathBuf, String> {
    let path = path_of(credential)?;
    let failed = |what: &str| format!("credential {}: {what}", path.display());
    match std::fs::metadata(&path) {
        Err(error) => Err(failed(&cannot_read(&error))),
        Ok(found) if is_open_to_all(&found) => Err(failed(OPEN_TO_ALL)),
        Ok(_) => Ok(path),
    }
}

const OPEN_TO_ALL: &str = "everybody on this machine may read or change it (chmod o= it)";

fn is_open_to_all(found: &Metadata) -> bool {
    found.mode() & 0o007 != 0
}

/// What tells a credential from another, and from itself after its file was changed; nothing of what stands in it. One of the service
/// manager's is its name alone: it is written anew at each start.
pub(crate) fn mark(credential: Option<&Credential>) -> String {
    let Some(credential) = credential else { return "none".to_owned() };
    let found = match credential {
        Credential::File(path) | Credential::Bare(path) => std::fs::metadata(path).ok(),
        Credential::Service(_) => None,
    };
    let stood = found.map(|found| (found.ino(), found.size(), found.mtime(), found.mtime_nsec()));
    ContentHash::of(format!("{credential} {stood:?}").as_bytes()).short()
}

impl Secret {
    /// Reads a credential. `Err` says why not, with its path and without what stands in it.
    pub fn read(credential: &Credential) -> Result<Self, String> {
        let path = path_of(credential)?;
        let shown = match credential {
            Credential::Bare(_) => credential.shown(),
            _ => path.display().to_string(),
        };
        let failed = |what: &str| format!("credential {shown}: {what}");
        let cannot = |error: io::Error| failed(&cannot_read(&error));
        // Opening a pipe would wait for somebody to write into it.
        if !std::fs::metadata(&path).map_err(cannot)?.is_file() {
            return Err(failed("not a regular file"));
        }
        let file = File::open(&path).map_err(cannot)?;
        if is_open_to_all(&file.metadata().map_err(cannot)?) {
            return Err(failed(OPEN_TO_ALL));
        }
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(cannot)?;
        if text.len() as u64 > LONGEST {
            return Err(failed("longer than a credential is"));
        }
        Self::parse(&text).map_err(|what| failed(&what))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let line = text.strip_suffix('\n').unwrap_or(text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() || line.chars().any(char::is_control) {
            return Err("expected one line, `USER:PASSWORD` or `HEADER: VALUE`".to_owned());
        }
        let is_token = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        match (line.split_once(": "), line.split_once(':')) {
            (Some((name, value)), _) if is_token(name) && value.is_ascii() && !value.trim().is_empty() => {
                Ok(Self(Form::Header { name: name.to_owned(), value: value.trim().to_owned() }))
            }
            (_, Some((user, password))) if !user.is_empty() && !password.is_empty() => {
                Ok(Self(Form::Password { user: user.to_owned(), password: password.to_owned() }))
            }
            _ => Err("neither `USER:PASSWORD` nor `HEADER: VALUE`".to_owned()),
        }
    }

    /// Name and value of the header that says it over HTTP.
    pub(super) fn header(&self) -> (&str, String) {
        match &self.0 {
            Form::Password { user, password } => ("authorization", basic(user, password)),
            Form::Header { name, value } => (name, value.clone()),
        }
    }

    /// User and password, where it is that.
    pub(in crate::feed) fn password(&self) -> Option<(&str, &str)> {
        match &self.0 {
            Form::Password { user, password } => Some((user, password)),
            Form::Header { .. } => None,
        }
    }

    /// What of it nobody may see: it, and what a server may make of it.
    fn words(&self) -> Vec<String> {
        let last = |value: &str| value.rsplit(' ').next().unwrap_or(value).to_owned();
        let (mut words, packed) = match &self.0 {
            Form::Password { user, password } => (
                vec![last(&basic(user, password)), password.clone()],
                [format!("{user}:{password}"), password.clone()],
            ),
            // The last word is the token; the scheme before it is none.
            Form::Header { value, .. } => (vec![value.clone(), last(value)], [value.clone(), last(value)]),
        };
        let forms =
            packed.iter().flat_map(|text| [STANDARD_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(text)]);
        words.extend(forms.filter(|form| form.len() >= SHORTEST_KEY));
        words
    }
}

/// What was shown to get a body: whoever was told it may say it again.
#[derive(Clone, Default)]
pub(crate) struct Masks(Vec<String>);

impl Masks {
    /// Of these secrets, and of the keys in a URL.
    pub(crate) fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret>, url: &Url) -> Self {
        let written = url.query().unwrap_or_default().split('&');
        let written = written.map(|pair| pair.split_once('=').map_or(pair, |(_, value)| value).to_owned());
        let meant =
            url.query_pairs().map(|(name, value)| if value.is_empty() { name } else { value }.into_owned());
        let keys = written.chain(meant).filter(|key| key.len() >= SHORTEST_KEY);
        Self(secrets.into_iter().flat_map(Secret::words).chain(keys).collect())
    }

    /// Of these secrets, and of the keys in all of these URLs.
    pub(crate) fn of_all<'a>(secrets: impl IntoIterator<Item = &'a Secret>, urls: &[Url]) -> Self {
        let keys = urls.iter().flat_map(|url| Self::new([], url).0);
        Self(secrets.into_iter().flat_map(Secret::words).chain(keys).collect())
    }

    /// `text` without them, in capital letters or not (names of hosts and of encodings lose theirs), and escaped as in a URL or
    /// not.
    pub(crate) fn masked(&self, text: &str) -> String {
        let readings = readings(text);
        let words = self.0.iter().filter(|word| !word.is_empty());
        let mut found: Vec<_> = words
            .flat_map(|word| readings.iter().flat_map(move |reading| places(reading, word.as_bytes())))
            .collect();
        found.sort_unstable();
        let (mut shown, mut from) = (Vec::new(), 0);
        for (start, end) in found {
            if start >= from {
                shown.extend_from_slice(&text.as_bytes()[from..start]);
                shown.extend_from_slice(MASK.as_bytes());
            }
            from = from.max(end);
        }
        shown.extend_from_slice(&text.as_bytes()[from..]);
        String::from_utf8_lossy(&shown).into_owned()
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

/// An octet that a text means, in small letters, and where it stands there: from and to.
type Meant = (u8, usize, usize);

/// What a text may mean: what stands there, and that with what is escaped with `%` put back, also when it was escaped again; a `+` is
/// one or a space.
fn readings(text: &str) -> Vec<Vec<Meant>> {
    /// So often something is escaped at most.
    const DEPTH: usize = 3;
    let plain = text.bytes().enumerate().map(|(at, octet)| (octet.to_ascii_lowercase(), at, at + 1));
    let plain: Vec<Meant> = plain.collect();
    let spaced: Vec<Meant> =
        plain.iter().map(|&(octet, from, to)| (if octet == b'+' { b' ' } else { octet }, from, to)).collect();
    let mut all = Vec::new();
    for first in if spaced == plain { vec![plain] } else { vec![plain, spaced] } {
        let mut last = first;
        for _ in 0..DEPTH {
            let next = unescaped(&last);
            if next.len() == last.len() {
                break;
            }
            all.push(std::mem::replace(&mut last, next));
        }
        all.push(last);
    }
    all
}

fn unescaped(text: &[Meant]) -> Vec<Meant> {
    let digit = |at: usize| text.get(at).and_then(|&(octet, ..)| char::from(octet).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while let Some(&(octet, from, to)) = text.get(at) {
        match (octet, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((((high * 16 + low) as u8).to_ascii_lowercase(), from, text[at + 2].2));
                at += 3;
            }
            _ => {
                out.push((octet, from, to));
                at += 1;
            }
        }
    }
    out
}

/// Where a word stands in a text that is read so.
fn places(reading: &[Meant], word: &[u8]) -> Vec<(usize, usize)> {
    let is_it =
        |part: &&[Meant]| part.iter().zip(word).all(|(&(octet, ..), own)| octet == own.to_ascii_lowercase());
    reading.windows(word.len()).filter(is_it).map(|part| (part[0].1, part[part.len() - 1].2)).collect()
}

/// RFC 7617.
fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn forms() {
        let secret = Secret::parse("aladdin:open sesame\n").unwrap();
        assert_eq!(secret.header(), ("authorization", "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==".to_owned()));
        assert_eq!(secret.password(), Some(("aladdin", "open sesame")));
        let secret = Secret::parse("Authorization: Bearer abc:def\r\n").unwrap();
        assert_eq!(
            (secret.header(), secret.password()),
            (("Authorization", "Bearer abc:def".to_owned()), None)
        );
        assert_eq!(Secret::parse("X-Key: 1").unwrap().header(), ("X-Key", "1".to_owned()));
        for bad in ["", "\n", "word", ":x", "x:", "a:b\nc:d\n", "a:\tb"] {
            assert!(Secret::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn it_is_in_nothing_that_is_said() {
        let secret = Secret::parse("me:hunter2").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        let url = "https://example.net/l".parse().unwrap();
        let masked = |secret: &Secret, text: &str| Masks::new([secret], &url).masked(text);
        assert_eq!(
            masked(&secret, "you said hunter2, HUNTER2 or bWU6aHVudGVyMg=="),
            "you said ***, *** or ***"
        );
        let secret = Secret::parse("Authorization: Bearer t0ken").unwrap();
        assert_eq!(masked(&secret, "Bearer t0ken; t0ken; Bearer"), "***; ***; Bearer");
        // As a URL has it, and in the other alphabets of base64.
        let secret = Secret::parse("joe:p@ss/w+rd%1 ä?>>").unwrap();
        let basic = STANDARD.encode("joe:p@ss/w+rd%1 ä?>>");
        for said in [
            "p%40ss%2Fw%2Brd%251%20%C3%A4%3F%3E%3E",
            "p%40ss%2fw%2brd%251+%c3%a4%3f%3e%3E",
            "p%2540ss%252Fw%252Brd%25251%2520%25C3%25A4%253F%253E%253E",
            "P@ss/w+rd%1%20ä?>>",
            &basic,
            &basic.replace('=', "%3D").replace('+', "%2B").replace('/', "%2f"),
            &URL_SAFE_NO_PAD.encode("joe:p@ss/w+rd%1 ä?>>"),
            &STANDARD_NO_PAD.encode("joe:p@ss/w+rd%1 ä?>>"),
            &STANDARD_NO_PAD.encode("p@ss/w+rd%1 ä?>>"),
        ] {
            let text = format!("http://a.example/%7Ejoe/{said}/ü+l.txt%");
            let masked = masked(&secret, &text);
            assert!(
                ["", "=", "%3D"]
                    .map(|pad| format!("http://a.example/%7Ejoe/***{pad}/ü+l.txt%"))
                    .contains(&masked),
                "{said}: {masked}"
            );
        }
        let secret = Secret::parse("Authorization: Bearer AbCdEf123456==").unwrap();
        assert_eq!(masked(&secret, "/dl/AbCdEf123456%3D%3D/l"), "/dl/***/l");
        // Keys in a URL, as they stand there and as they are meant.
        let url = "https://example.net/l?format=txt&key=hunter%202two&0123456789".parse().unwrap();
        let masked = Masks::new([], &url).masked("no hunter%202two, hunter 2two, 0123456789, txt");
        assert_eq!(masked, "no ***, ***, ***, txt");
    }

    #[test]
    fn files_that_others_may_read_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, "me:hunter2\n").unwrap();
        let credential = Credential::File(path.clone());
        for (mode, good) in [(0o600, true), (0o640, true), (0o644, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let read = Secret::read(&credential);
            assert_eq!(read.is_ok(), good, "{mode:o}: {read:?}");
            if let Err(said) = read {
                assert!(
                    said.contains("key: everybody on this machine") && !said.contains("hunter2"),
                    "{said}"
                );
            }
        }
        assert!(
            Secret::read(&Credential::File(folder.path().into()))
                .unwrap_err()
                .ends_with("not a regular file")
        );
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&path, "hunter2\n").unwrap();
        let said = Secret::read(&credential).unwrap_err();
        assert!(said.ends_with("neither `USER:PASSWORD` nor `HEADER: VALUE`"), "{said}");
        assert!(Secret::read(&Credential::Service("no-such".into())).is_err());
    }
}

//! What values look like: each type that a key may have, read from TOML with what was expected instead.
//!
//! The types that stand here exist for this reader alone; those of other modules learn here how they are written.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use toml::de::DeValue;

use super::credential::Credential;
use super::problem::did_you_mean;
use super::read::{Value, from_string, from_word};
use super::secure::HttpPath;
use super::shown::ShownClients;
use super::units::{parse_duration, parse_size};
use super::urls::{is_web, parse_remote, parse_source, parse_web};
use super::words::{Code, CodeError, Slug};
use crate::model::{Name, Subject, Use};
use crate::parse::Format;

from_string!(String, "a string", |text| Ok(text.to_owned()));
from_string!(Text, "printable ASCII; `$` stands for the address asked for, `$$` for a dollar sign", |text| {
    if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err("a character that an SMTP reply cannot hold".to_owned());
    }
    if text.len() > Text::MAX {
        return Err(format!("{} octets are more than a reply of 512 octets can hold", text.len()));
    }
    Ok(Text(text.to_owned()))
});
from_string!(HttpUrl, "an address such as \"https://example.net/list.txt\"", |text| {
    parse_web(text).map(HttpUrl)
});
from_string!(
    FeedUrl,
    "an address such as \"https://example.net/list.txt\" or \"rsync://example.net/module/list.txt\"",
    |text| parse_remote(text).map(FeedUrl)
);
from_string!(
    Credential,
    "the path of a file with `USER:PASSWORD` or `HEADER: VALUE`, or \"systemd:NAME\"",
    Credential::parse
);
from_string!(
    SourceUrl,
    "an address such as \"https://example.net/list.txt\" or \"rsync://example.net/module/list.txt\"",
    |text| parse_source(text).map(SourceUrl)
);
from_string!(PathBuf, "a path, as a string", |text| {
    if text.is_empty() {
        return Err("an empty path".to_owned());
    }
    // What stands in one may be a password, and a path is shown.
    if is_web(text) {
        return Err("a URL where the path of a file is expected; `url` or `urls` take it".to_owned());
    }
    Ok(text.into())
});
from_string!(HttpPath, "the path of a URL, of letters, digits and `/-_.~`, such as \"/dns-query\"", |text| {
    text.parse().map_err(|()| format!("`{text}` is not such a path"))
});
from_string!(Duration, "a duration such as \"15m\", \"36h\" or \"7d\"", |text| {
    parse_duration(text).ok_or_else(|| format!("`{text}` is not a duration"))
});
from_string!(Limit, "a duration such as \"36h\" or \"7d\", or \"never\"", |text| {
    if text == "never" {
        return Ok(Limit(None));
    }
    parse_duration(text).map(|limit| Limit(Some(limit))).ok_or_else(|| format!("`{text}` is not a duration"))
});
from_string!(Size, "a size such as \"64MiB\"", |text| {
    parse_size(text).map(Size).ok_or_else(|| format!("`{text}` is not a size"))
});
from_string!(
    Slug,
    "a name of lower-case letters, digits and `-`, a letter or digit first, 63 at most",
    |text| { text.parse().map_err(|()| format!("`{text}` is not a name for a list")) }
);
from_string!(Name, "a DNS name such as \"bl.example.net\"", |text| {
    let name = text.parse::<Name>().map_err(|error| format!("`{text}` is not a DNS name: {error}"))?;
    let host_like =
        |label: &[u8]| label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if name == Name::root() || !name.labels().all(host_like) {
        return Err(format!("`{text}` is not a name of letters, digits, `-` and `_`"));
    }
    Ok(name)
});
from_string!(
    Format,
    "plain, drop, drop-json, netset, csv, dshield, hosts, names, or rbldnsd:TYPE with one of rbldnsd's types (ip4set, \
     ip4tset, ip4trie, ip6tset, ip6trie, dnset, dnhash, generic)",
    |text| text.parse().map_err(|_| {
        let hint = did_you_mean(text, Format::ALL.map(Format::name));
        format!("unknown format `{text}`{hint}")
    })
);
from_word!(Use, "\"block\", \"score\", \"bounce\" or \"allow\"", {
    "block" => Use::Block,
    "score" => Use::Score,
    "bounce" => Use::Bounce,
    "allow" => Use::Allow,
});
from_word!(AccessWord, "\"allow\", \"list\", \"empty\", \"refuse\" or \"drop\"", {
    "allow" => AccessWord::Allow,
    "list" => AccessWord::List,
    "empty" => AccessWord::Empty,
    "refuse" => AccessWord::Refuse,
    "drop" => AccessWord::Drop,
});
from_word!(ShownClients, "\"whole\", \"network\" or \"none\"", {
    "whole" => ShownClients::Whole,
    "network" => ShownClients::Network,
    "none" => ShownClients::None,
});
from_string!(Code, "an address in 127.0.0.0/8; own lists have 127.0.1.x", |text| {
    text.parse::<Ipv4Addr>()
        .map_err(|_| CodeError::NotAnAddress)
        .and_then(Code::try_from)
        .map_err(|error| format!("`{text}` cannot be a code: {error}"))
});
from_string!(SocketAddr, "an address and a port such as \"127.0.0.1:5354\" or \"[::1]:5354\"", |text| {
    let address: Self = text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(_) => format!("`{text}` has no port"),
        Err(_) => format!("`{text}` is not an address and a port"),
    })?;
    match address.ip() {
        ip if ip.is_multicast() || ip == Ipv4Addr::BROADCAST => {
            Err(format!("`{text}` is no address of one machine"))
        }
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Err(format!("`{text}` is an IPv4 address in IPv6's clothes"))
        }
        _ => Ok(address),
    }
});
from_string!(Version, "printable ASCII", |text| {
    if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err("a character that is not printable ASCII".to_owned());
    }
    if text.len() > Version::MAX {
        return Err(format!("{} octets are more than the {} of a TXT string", text.len(), Version::MAX));
    }
    Ok(Version(text.to_owned()))
});
from_string!(Network, "an address or a prefix such as \"198.51.100.0/24\" or \"2001:db8::/32\"", |text| {
    match text.parse::<Subject>() {
        Ok(Subject::Name(_)) => Err(format!("`{text}` is not an address or a prefix")),
        Ok(subject) => Ok(Network(subject.unmapped())),
        Err(error) => Err(format!("`{text}` is not an address or a prefix: {error}")),
    }
});

impl Value for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
        Ok(value.as_bool())
    }
}

macro_rules! from_integer {
    ($type:ty, $range:expr, $expected:literal) => {
        impl Value for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
                let Some(integer) = value.as_integer() else { return Ok(None) };
                Self::from_str_radix(integer.as_str(), integer.radix())
                    .ok()
                    .filter(|number| ($range).contains(number))
                    .map(Some)
                    .ok_or_else(|| format!("{integer} is out of range"))
            }
        }
    };
}
from_integer!(u8, 0..=255, "a whole number from 0 to 255");
from_integer!(u16, 1..=65535, "a whole number from 1 to 65535");
from_integer!(u32, 1..=u32::MAX, "a whole number from 1 to 4294967295");
from_integer!(u64, 0..=u64::MAX, "a whole number");

/// A share of a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl Value for Share {
    const EXPECTED: &'static str = "a share from 0.0 to 1.0";

    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
        number(value, 1.0).map(|share| share.map(Self))
    }
}

/// How much may be added to a whole, in parts of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Times(pub(crate) f64);

impl Value for Times {
    const EXPECTED: &'static str = "a share of 0.0 or more, such as 0.5 for half as many again";

    fn read(value: &DeValue<'_>) -> Result<Option<Self>, String> {
        number(value, f64::MAX).map(|share| share.map(Self))
    }
}

/// A number from 0 to `most`, with a point in it or without.
fn number(value: &DeValue<'_>, most: f64) -> Result<Option<f64>, String> {
    let text = match (value.as_float(), value.as_integer()) {
        (Some(float), _) => float.as_str(),
        (_, Some(integer)) => integer.as_str(),
        _ => return Ok(None),
    };
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=most).contains(number));
    number.map(Some).ok_or_else(|| format!("{text} is not a share"))
}

/// What a list says of an address on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) String);

impl Text {
    /// Leaves room in 512 octets for question, A record and what stands around the text.
    const MAX: usize = 300;
}

/// What a server says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(pub(crate) String);

impl Version {
    /// RFC 1035 section 3.3: a length of one octet.
    const MAX: usize = 255;
}

/// A page for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HttpUrl(pub(crate) Url);

/// Where a feed of the catalogue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeedUrl(pub(crate) Url);

/// Where a list of the operator's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SourceUrl(pub(crate) Url);

/// What a client is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessWord {
    Allow,
    List,
    Empty,
    Refuse,
    Drop,
}

/// A duration, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Duration>);

/// A size in octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// An address or a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Network(pub(crate) Subject);

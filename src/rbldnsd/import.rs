//! The command line as a configuration of gatepost's own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::options::{DataSet, DataSetKind, Mistake, Options};
use crate::config::Slug;

/// Lists that a zone may have: each needs a code of its own in 127.0.1.0/24, though the values in the files stand.
const LISTS_MAX: usize = 254;

/// The text of a gatepost.toml that serves what these options serve. What belongs to somebody else there (users, pid
/// files, the unit) stands as a comment at its head. `state`: the state folder to be used.
pub fn to_toml(options: &Options, state: &Path) -> Result<String, Mistake> {
    let mut out = head(options);
    let _ = writeln!(out, "version = 1\nstate = {}", path(state));
    server(&mut out, options)?;
    let names = names(&options.specs.data_sets);
    for (at, data_set) in options.specs.data_sets.iter().enumerate() {
        if let DataSetKind::List(format) = data_set.kind {
            list(&mut out, options, &names[&at], format.name(), data_set);
        }
    }
    for zone in &options.specs.zones {
        if zone.lists.len() > LISTS_MAX {
            return Err(Mistake::new(format!("zone {}: more than {LISTS_MAX} lists", zone.origin)));
        }
        let _ = writeln!(out, "\n[zone.{}]", quoted(&zone.origin.to_string()));
        let _ = match &zone.lists[..] {
            [only] => writeln!(out, "lists = [{}]", quoted(names[only].as_str())),
            several => {
                let members = several.iter().zip(1..).map(|(at, code)| {
                    format!("\n    {{ list = {}, code = \"127.0.1.{code}\" }},", quoted(names[at].as_str()))
                });
                writeln!(out, "lists = [{}\n]\nkeep-values = true", members.collect::<String>())
            }
        };
        let _ = writeln!(out, "test-points = false\nttl = \"{}s\"", options.ttls.default);
        if let Some(access) = zone.access {
            access_files(&mut out, options, access);
        }
    }
    Ok(out)
}

/// What the options say that is no matter of the configuration.
fn head(options: &Options) -> String {
    let mut out = String::from("# Made from rbldnsd's command line by `gatepost import-rbldnsd`.\n");
    let mut say = |text: &str| {
        let _ = writeln!(out, "# {text}");
    };
    if let Some(user) = &options.user {
        say(&format!("-u {user}: the unit says as whom the service runs (User=)."));
    }
    if let Some(root) = &options.root {
        say(&format!(
            "-r {}: paths are seen from outside; the unit can confine the service.",
            root.display()
        ));
    }
    if options.pid_file.is_some() {
        say("-p: the service manager knows the process.");
    }
    if options.query_log.is_some() || options.statistics.is_some() {
        say("-l and -s: there is no query log and no statistics file; SIGUSR1 logs statistics.");
    }
    if options.check.is_none() {
        say("-c 0: there is no timer; `gatepost sync` reads files that have changed.");
    }
    if !options.gzip {
        say("-C: compressed files are unpacked.");
    }
    out.push('\n');
    out
}

fn server(out: &mut String, options: &Options) -> Result<(), Mistake> {
    let listen: Vec<_> =
        both_families(options.addresses()?).iter().map(|address| quoted(&address.to_string())).collect();
    let _ = writeln!(out, "\n[server]");
    if !listen.is_empty() {
        let _ = writeln!(out, "listen = [{}]", listen.join(", "));
    }
    let _ = writeln!(
        out,
        "# Whoever reaches a public address is answered, as before; `access` can say who.\nopen = true"
    );
    if let Some(version) = &options.version {
        let _ = writeln!(out, "version-bind = {}", quoted(version));
    }
    if let Some(access) = options.specs.access {
        access_files(out, options, access);
    }
    if let Some(every) = options.check {
        let _ = writeln!(out, "\n[sync]\ntimer = \"{}s\"", every.as_secs());
    }
    Ok(())
}

/// There `::` takes what comes over IPv4 as well, unless an IPv4 address of the port is named too.
fn both_families(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let v4: BTreeSet<_> = addresses.iter().filter(|at| at.is_ipv4()).map(SocketAddr::port).collect();
    let of_both = |at: &&SocketAddr| at.ip() == Ipv6Addr::UNSPECIFIED && !v4.contains(&at.port());
    let more: Vec<_> = addresses.iter().filter(of_both).map(SocketAddr::port).collect();
    addresses.extend(more.into_iter().map(|port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))));
    addresses
}

fn list(out: &mut String, options: &Options, name: &Slug, format: &str, data_set: &DataSet) {
    let files: Vec<_> = data_set.files.iter().map(|file| path(&outside(options, file))).collect();
    let _ = writeln!(out, "\n[list.{name}]");
    let _ = match &files[..] {
        [only] => writeln!(out, "file = {only}"),
        several => writeln!(out, "files = [{}]", several.join(", ")),
    };
    let _ = writeln!(out, "format = {}\nuse = \"block\"", quoted(format));
    if options.host_bits {
        let _ = writeln!(out, "host-bits = true");
    }
    let ttls = options.ttls;
    for (key, seconds) in [("ttl-default", ttls.default), ("ttl-min", ttls.min), ("ttl-max", ttls.max)] {
        if seconds > 0 && (key, seconds) != ("ttl-default", super::Ttls::default().default) {
            let _ = writeln!(out, "{key} = \"{seconds}s\"");
        }
    }
}

fn access_files(out: &mut String, options: &Options, data_set: usize) {
    let files = &options.specs.data_sets[data_set].files;
    let files: Vec<_> = files.iter().map(|file| path(&outside(options, file))).collect();
    let _ = writeln!(out, "access-files = [{}]", files.join(", "));
}

/// A file as it is called outside of `-r` and `-w`.
fn outside(options: &Options, file: &Path) -> PathBuf {
    let inside = options.workdir.as_ref().map_or_else(|| file.to_owned(), |workdir| workdir.join(file));
    match &options.root {
        Some(root) => root.join(inside.strip_prefix("/").unwrap_or(&inside)),
        None => std::path::absolute(&inside).unwrap_or(inside),
    }
}

/// A name for each list, after its first file.
fn names(data_sets: &[DataSet]) -> BTreeMap<usize, Slug> {
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for (at, data_set) in data_sets.iter().enumerate() {
        let stem = data_set.files.first().and_then(|file| file.file_name()).unwrap_or_default();
        let stem: String = stem.to_string_lossy().to_ascii_lowercase().chars().map(slug_char).collect();
        let stem = stem.trim_matches('-');
        let stem = if stem.is_empty() { data_set.kind.name() } else { &stem[..stem.len().min(50)] };
        let numbered = (2..).map(|n| format!("{stem}-{n}"));
        let name = std::iter::once(stem.to_owned()).chain(numbered).find(|name| !taken.contains(name));
        let name = name.expect("numbers do not end");
        if let Ok(slug) = name.parse() {
            names.insert(at, slug);
        }
        taken.insert(name);
    }
    names
}

fn slug_char(c: char) -> char {
    if c.is_ascii_alphanumeric() { c } else { '-' }
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_ipv6_is_all_of_both() {
        let both = |addresses: &[&str]| {
            let addresses = both_families(addresses.iter().map(|at| at.parse().unwrap()).collect());
            addresses.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(both(&["[::]:53", "[::1]:54"]), ["[::]:53", "[::1]:54", "0.0.0.0:53"]);
        assert_eq!(both(&["[::]:53", "127.0.0.1:53"]), ["[::]:53", "127.0.0.1:53"]);
    }

    #[test]
    fn lists_have_names_of_their_own() {
        let set = |file: &str| DataSet { kind: DataSetKind::Acl, files: vec![file.into()] };
        let names = names(&[set("/a/Spam.txt"), set("/b/spam.txt"), set("..."), set(&"x".repeat(90))]);
        let shown: Vec<_> = names.values().map(Slug::as_str).collect();
        assert_eq!(shown, ["spam-txt", "spam-txt-2", "acl", &"x".repeat(50)]);
    }
}

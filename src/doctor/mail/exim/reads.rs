//! Which file Exim reads: the one that it was started with (`-C`), or else the one that it says. What others have left behind nobody reads. Pure but
//! for [`Reads::here`].

use super::super::super::{child, who};
use super::super::EXIM_MADE;
use super::refused::PROGRAMS;

/// Of these it reads the first that is there.
const USUAL: [&str; 3] = ["/etc/exim4/exim4.conf", EXIM_MADE, "/etc/exim/exim.conf"];
/// What it is started with, by system.
const STARTED: [&str; 2] = ["/etc/default/exim4", "/etc/sysconfig/exim"];
/// How it says that.
const SAYS: &str = "Configuration file is ";

/// A file that an Exim reads.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Reads {
    pub(in super::super) file: String,
    /// By `-C`: without it, it would read another one.
    pub(in super::super) is_told: bool,
}

impl Reads {
    pub(in super::super) fn here(is_there: &dyn Fn(&str) -> bool) -> Vec<Self> {
        let own = || {
            let said = PROGRAMS.iter().find_map(|program| child::said(program, &["-bV"]));
            // One that runs may be another's, who shares these files.
            let is_here =
                said.is_some() || who::processes().iter().any(|name| NAMES.contains(&name.as_str()));
            let says = said.and_then(|(_, words)| {
                words.lines().find_map(|line| line.strip_prefix(SAYS).map(str::to_owned))
            });
            says.or_else(|| USUAL.into_iter().find(|path| is_here && is_there(path)).map(str::to_owned))
        };
        let options = STARTED.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        all(&who::commands_of(&NAMES), &options.collect::<String>(), own, is_there)
    }
}

/// Its processes.
pub(super) const NAMES: [&str; 2] = ["exim4", "exim"];

/// `commands` are what its processes were started with, `options` what its service is; `own` is what it reads when nobody tells it.
fn all(
    commands: &[Vec<String>],
    options: &str,
    own: impl FnOnce() -> Option<String>,
    is_there: &dyn Fn(&str) -> bool,
) -> Vec<Reads> {
    let is_daemon = |words: &&Vec<String>| words.iter().any(|word| word.starts_with("-bd"));
    let mut told: Vec<Option<String>> =
        commands.iter().filter(is_daemon).map(|words| told(words, is_there)).collect();
    if told.is_empty() {
        let options = options.lines().map(str::trim).filter(|line| !line.starts_with('#'));
        let words = |line: &str| -> Vec<String> {
            let value = line.split_once('=').map_or("", |(_, value)| value);
            value.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned()).collect()
        };
        told.push(options.map(words).find_map(|words| self::told(&words, is_there)));
    }
    told.sort();
    told.dedup();
    let mut own = Some(own);
    let reads = told.into_iter().filter_map(|told| match told {
        Some(file) => Some(Reads { file, is_told: true }),
        None => Some(Reads { file: own.take()?()?, is_told: false }),
    });
    reads.collect()
}

/// `-C FILE` or `-CFILE`, be it one of several, of which the first that is there counts.
fn told(words: &[String], is_there: &dyn Fn(&str) -> bool) -> Option<String> {
    let mut words = words.iter();
    let files = words.find_map(|word| word.strip_prefix("-C"))?;
    let files = if files.is_empty() { words.next()? } else { files };
    files.split(':').find(|file| is_there(file)).or_else(|| files.split(':').next()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_is_read() {
        let reads = |commands: &[&str], options: &str| {
            let commands = commands.iter().map(|line| line.split(' ').map(str::to_owned).collect());
            let own = || Some("/own".to_owned());
            let found = all(&commands.collect::<Vec<_>>(), options, own, &|path| path != "/not/there");
            found.into_iter().map(|reads| (reads.file, reads.is_told)).collect::<Vec<_>>()
        };
        let own = || vec![("/own".to_owned(), false)];
        let told = |file: &str| vec![(file.to_owned(), true)];
        assert_eq!(reads(&[], ""), own());
        assert_eq!(reads(&["-bd -q30m"], "COMMONOPTIONS='-C /old'"), own());
        for line in ["-C /a -bd -q30m", "-bdf -C/a", "-bd -C /not/there:/a:/b"] {
            assert_eq!(reads(&[line], ""), told("/a"), "{line}");
        }
        // Who looks at what another file would do.
        assert_eq!(reads(&["-C /a -bh 192.0.2.1", "-bd"], ""), own());
        assert_eq!(reads(&["-bd -C /a", "-bd", "-bd -C /a"], ""), [own(), told("/a")].concat());
        for (options, file) in [
            ("# COMMONOPTIONS='-C /b'\nQUEUEINTERVAL='30m'\nCOMMONOPTIONS='-C /a'\n", Some("/a")),
            ("SMTPLISTENEROPTIONS=\"-oX 25 -C /a\"\n", Some("/a")),
            ("#COMMONOPTIONS='-C /a'\nCOMMONOPTIONS=''\n", None),
        ] {
            assert_eq!(reads(&[], options), file.map_or_else(own, told), "{options}");
        }
        // Not installed, it reads none.
        assert_eq!(all(&[], "", || None, &|_| true), []);
    }
}

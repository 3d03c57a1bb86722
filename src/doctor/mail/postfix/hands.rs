//! Whom a Postfix hands mail to before it is where it belongs, as far as that may be SpamAssassin. Pure but for [`Texts::here`],
//! which reads files.
//!
//! Never a guess: whoever is not known for something else may call SpamAssassin.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::super::homes;
use super::super::rspamd::proxy::is_anothers;
use super::super::spamassassin::calls::HandsOn;
use super::config::{Service, expanded};
use super::doors::{SUBMISSION, at, doors, own};
use super::restrictions::{elements, words};
use super::ways::{FILTER, MILTER_MAPS, MILTERS, Misplaced, PROXY, Way, ways};
use super::{Setup, config};

const COMMAND: &str = "mailbox_command";
/// What names a service of `master.cf`, and whom that speaks to.
const TRANSPORTS: [&str; 6] = [
    "default_transport",
    "fallback_transport",
    "local_transport",
    "mailbox_transport",
    "relay_transport",
    "virtual_transport",
];
/// Tables of actions, of which `FILTER` hands on (header_checks(5)).
const CHECKS: [&str; 2] = ["body_checks", "header_checks"];
/// What the port of amavis is by its manual.
const AMAVIS_PORT: &str = ":10024";
/// procmail's rules for everybody.
const PROCMAILRC: &str = "/etc/procmailrc";

/// Texts outside of Postfix: nothing where one cannot be read, and nothing in it where it is not there.
pub(in super::super) struct Texts<'a> {
    pub(in super::super) read: &'a dyn Fn(&str) -> Option<String>,
    /// Dovecot's, all together.
    pub(in super::super) dovecot: Option<String>,
    /// People's own rules for procmail, all together.
    pub(in super::super) procmailrcs: Option<String>,
}

impl Texts<'_> {
    pub(in super::super) fn here() -> Self {
        let together = |paths: Vec<PathBuf>| paths.iter().map(|path| text(path)).collect::<Option<String>>();
        Self {
            read: &|path| text(Path::new(path)),
            dovecot: below(Path::new("/etc/dovecot"), 3).and_then(together),
            procmailrcs: together(homes().map(|home| home.join(".procmailrc")).collect()),
        }
    }
}

fn text(path: &Path) -> Option<String> {
    match fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
        Err(_) => None,
    }
}

/// All files in a folder, and in those in it, so many deep. `None`: it cannot be looked into.
fn below(folder: &Path, deep: usize) -> Option<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(Vec::new()),
        Err(_) => return None,
    };
    let mut files = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        match path.is_dir() {
            true if deep > 0 => files.extend(below(&path, deep - 1)?),
            false if path.extension().is_some_and(|end| end == "conf") => files.push(path),
            _ => {}
        }
    }
    Some(files)
}

impl Setup {
    /// By each way that strangers' mail comes.
    pub(in super::super) fn hands_on(&self, texts: &Texts<'_>) -> Vec<HandsOn> {
        let always = self.always(texts);
        ways(self).iter().map(|way| self.by(way, always.clone())).collect()
    }

    /// Wherever mail comes by.
    fn always(&self, texts: &Texts<'_>) -> HandsOn {
        let mut hands = HandsOn { to_spamc: self.delivering_spamc(texts), ..HandsOn::default() };
        // Tables have filters, too (access(5)).
        let filters = self.tables.values().flatten().filter_map(|row| {
            let (word, to) = row.does.split_once([' ', '\t'])?;
            word.eq_ignore_ascii_case("FILTER").then_some(to)
        });
        let filters: Vec<&str> = filters.collect();
        hands.to_amavis = filters.iter().any(|to| is_amavis(to));
        hands.may_reach_others = !self.unread().is_empty() || filters.iter().any(|to| !is_amavis(to));
        let runs_command = self.runs_command();
        for (name, value) in self.set() {
            match name {
                COMMAND | "mailbox_command_maps" if !runs_command => {}
                COMMAND if self.is_harmless_command(&value, texts) => {
                    // As it stands there: what `local` puts in has no value here.
                    let written = self.written.iter().rfind(|written| written.name == COMMAND);
                    let command = written.map_or(&value, |written| &written.value);
                    hands.to_strangers.push(format!("{COMMAND} is {command}"));
                }
                _ if TRANSPORTS.contains(&name) && self.is_harmless_transport(&value, texts) => {
                    hands.to_strangers.push(format!("{name} is {value}"));
                }
                _ if CHECKS.contains(&name) && has_no_filter(&value, texts) => {}
                "transport_maps" if self.are_harmless_maps(&value, texts) => {}
                COMMAND | "mailbox_command_maps" | "transport_maps" => hands.may_reach_others = true,
                _ => hands.may_reach_others |= TRANSPORTS.contains(&name) || CHECKS.contains(&name),
            }
        }
        hands
    }

    /// By one way, besides what it does always.
    fn by(&self, way: &Way<'_>, always: HandsOn) -> HandsOn {
        let mut hands = HandsOn { door: way.door(), is_aside: way.is_aside(), ..always };
        hands.add(FILTER, way.value(FILTER));
        hands.add(PROXY, way.value(PROXY));
        hands.add(MILTERS, way.value(MILTERS));
        hands.may_reach_others |= !way.value(MILTER_MAPS).is_empty();
        if let Some(called) = self.spamc_of(way.value(FILTER)) {
            hands.to_spamc = Some(called);
        }
        // What comes back from it goes on by another service.
        if hands.to_amavis {
            let doors = doors(self);
            let is_inner = |service: &&Service| {
                service.command == "smtpd" && !doors.contains(service) && !SUBMISSION.contains(&at(service).1)
            };
            for inner in self.services.iter().flatten().filter(is_inner) {
                hands.add(FILTER, &own(inner, FILTER, self).unwrap_or_default());
                hands.add(MILTERS, &own(inner, MILTERS, self).unwrap_or_default());
            }
        }
        let may_call = |misplaced: &Misplaced| {
            let mut there = HandsOn::default();
            there.add(misplaced.name, &misplaced.value);
            !there.is_to_nobody()
        };
        if hands.is_to_nobody() {
            hands.misplaced = way.misplaced(self).into_iter().find(may_call);
        }
        hands
    }

    /// Whether local(8) delivers by a command: not where mail for this host goes by another transport.
    fn runs_command(&self) -> bool {
        let is_set = |name: &str| self.parameters.get(name).is_some_and(|value| !value.is_empty());
        let is_local = |value: &String| value.split(':').next() == Some("local");
        !is_set("mailbox_transport") && self.parameters.get("local_transport").is_none_or(is_local)
    }

    /// All parameters that are set to something, by `master.cf`, too.
    fn set(&self) -> Vec<(&str, String)> {
        let overrides = self.services.iter().flatten().flat_map(|service| &service.overrides);
        let set = self.parameters.iter().chain(overrides.map(|(name, value)| (name, value)));
        let set = set.map(|(name, value)| (name.as_str(), expanded(value, &self.parameters)));
        set.filter(|(_, value)| !value.is_empty()).collect()
    }

    /// The service that a filter or a transport names, where it calls spamc, with the words that that is called with.
    fn spamc_of(&self, value: &str) -> Option<(String, String)> {
        let name = value.split(':').next().unwrap_or_default();
        let mut services = self.services.iter().flatten();
        let pipe = services.find(|service| service.command == "pipe" && service.name == name)?;
        Some((format!("master.cf, {}", pipe.name), spamc(&format!("{} ", pipe.arguments))?))
    }

    /// What calls spamc when mail is delivered.
    fn delivering_spamc(&self, texts: &Texts<'_>) -> Option<(String, String)> {
        let command = self.parameters.get(COMMAND).filter(|_| self.runs_command());
        let by_command =
            command.and_then(|command| Some((format!("main.cf, {COMMAND}"), spamc(&format!("{command} "))?)));
        let transports = || self.set().into_iter().filter(|(name, _)| TRANSPORTS.contains(name));
        let rules = || {
            command.filter(|command| is_procmail(command))?;
            let everybodys = (texts.read)(PROCMAILRC);
            let rules =
                [(PROCMAILRC, everybodys.as_deref()), ("~/.procmailrc", texts.procmailrcs.as_deref())];
            rules.into_iter().find_map(|(place, text)| {
                let called = calling(text?).find_map(|line| spamc(&format!("{line} ")))?;
                Some((place.to_owned(), called))
            })
        };
        by_command.or_else(|| transports().find_map(|(_, value)| self.spamc_of(&value))).or_else(rules)
    }

    /// Dovecot's delivery, or procmail with rules that know no SpamAssassin.
    fn is_harmless_command(&self, command: &str, texts: &Texts<'_>) -> bool {
        let program = command.split_whitespace().next().unwrap_or_default();
        match program.rsplit('/').next().unwrap_or_default() {
            "dovecot-lda" | "deliver" => !command.contains("spam") && sieve_runs_nothing(texts),
            "procmail" => {
                let may_call = |line: &str| mentions(line, "spam") || line.contains("RC");
                let knows_none = |text: Option<&str>| text.is_some_and(|text| !calling(text).any(may_call));
                knows_none((texts.read)(PROCMAILRC).as_deref()) && knows_none(texts.procmailrcs.as_deref())
            }
            _ => false,
        }
    }

    /// `lmtp:unix:private/dovecot-lmtp`, `dovecot`, `virtual`, `smtp:mail.example.com`.
    fn is_harmless_transport(&self, value: &str, texts: &Texts<'_>) -> bool {
        let (name, to) = value.split_once(':').unwrap_or((value, ""));
        let mut services = self.services.iter().flatten();
        let service = services.find(|service| service.name == name && service.kind == "unix");
        let command = service.map_or(name, |service| service.command.as_str());
        match command {
            "virtual" | "local" | "error" | "retry" | "discard" => true,
            // By another port than that for mail it may be a filter.
            "smtp" | "relay" => !to.contains("]:") && !to.contains(".sock") && to.matches(':').count() == 0,
            "lmtp" => {
                let is_delivery = mentions(to, "dovecot") || mentions(to, "cyrus") || to.ends_with(":24");
                is_delivery && sieve_runs_nothing(texts)
            }
            "pipe" => service.is_some_and(delivers) && sieve_runs_nothing(texts),
            _ => false,
        }
    }

    fn are_harmless_maps(&self, value: &str, texts: &Texts<'_>) -> bool {
        words(value).all(|table| {
            let text = text_of(table, texts);
            text.is_some_and(|text| {
                let lines = config::logical(&text).into_iter();
                lines.filter_map(|(_, line)| Some(line.split_once([' ', '\t'])?.1.trim().to_owned())).all(
                    |to| {
                        // `:next hop` leaves the transport as it is.
                        to.starts_with(':') || self.is_harmless_transport(&to, texts)
                    },
                )
            })
        })
    }
}

/// Of `header_checks` and `body_checks`.
fn has_no_filter(value: &str, texts: &Texts<'_>) -> bool {
    words(value).all(|table| text_of(table, texts).is_some_and(|text| !mentions(&text, "filter")))
}

/// The text that a table is, or is made of.
fn text_of(table: &str, texts: &Texts<'_>) -> Option<String> {
    const KINDS: [&str; 8] = ["btree", "cdb", "cidr", "hash", "lmdb", "pcre", "regexp", "texthash"];
    let (kind, path) = table.split_once(':')?;
    KINDS.contains(&kind).then(|| (texts.read)(path)).flatten().filter(|text| !text.is_empty())
}

impl HandsOn {
    /// What one of the parameters that name filters has.
    fn add(&mut self, name: &str, value: &str) {
        if name != MILTERS && is_amavis(value) {
            self.to_amavis = true;
            return;
        }
        if name != MILTERS {
            self.may_reach_others |= !value.is_empty();
            return;
        }
        for milter in elements(value) {
            self.to_amavis |= is_amavis(milter);
            match is_anothers(milter) {
                true => self.to_strangers.push(format!("{MILTERS} has {milter}")),
                false => self.may_reach_others |= !is_amavis(milter),
            }
        }
    }
}

/// The words that `spamc` is called with.
fn spamc(text: &str) -> Option<String> {
    let (_, words) = text
        .split_once("spamc ")
        .filter(|(path, _)| path.is_empty() || path.ends_with(['/', '=', ' ', '|']))?;
    Some(words.split('|').next().unwrap_or_default().trim().to_owned())
}

fn is_procmail(command: &str) -> bool {
    let program = command.split_whitespace().next().unwrap_or_default();
    program.rsplit('/').next() == Some("procmail")
}

/// Lines of procmail's rules that may call a program, or have other rules read (procmailrc(5)).
fn calling(rules: &str) -> impl Iterator<Item = &str> {
    let lines = rules.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    lines.filter(|line| {
        let is_condition = line.starts_with('*');
        line.starts_with('|')
            || line.contains('`')
            || is_condition && line.contains('?')
            || !is_condition && ["INCLUDERC", "SWITCHRC"].iter().any(|word| line.contains(word))
    })
}

fn delivers(pipe: &Service) -> bool {
    ["dovecot-lda", "/deliver"].iter().any(|program| pipe.arguments.contains(program))
        && !mentions(&pipe.arguments, "spam")
}

/// Whether no rule of somebody's (Sieve) may have Dovecot run a program.
fn sieve_runs_nothing(texts: &Texts<'_>) -> bool {
    let is_told = |line: &str| mentions(line.split('#').next().unwrap_or_default(), "extprograms");
    texts.dovecot.as_ref().is_some_and(|text| !text.lines().any(is_told))
}

fn is_amavis(to: &str) -> bool {
    mentions(to, "amavis") || to.split([' ', ',', '}']).any(|word| word.ends_with(AMAVIS_PORT))
}

fn mentions(text: &str, word: &str) -> bool {
    text.to_ascii_lowercase().contains(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMTPD: &str = "smtp inet n - y - - smtpd\n";

    fn texts() -> Texts<'static> {
        let read: &dyn Fn(&str) -> Option<String> = &|path| match path {
            "/checks" => Some("/^X-A:/ IGNORE\n".to_owned()),
            "/filters" => Some("/^X-A:/ FILTER spam:x\n".to_owned()),
            "/t" => Some(
                "a.example smtp:b.example\nb.example :c.example\nc.example lmtp:unix:private/dovecot-lmtp\n"
                    .to_owned(),
            ),
            "/u" => Some("a.example spam:x\n".to_owned()),
            _ => Some(String::new()),
        };
        Texts {
            read,
            dovecot: Some("#sieve_plugins = sieve_extprograms\n".to_owned()),
            procmailrcs: Some(String::new()),
        }
    }

    fn of(main: &str, master: &str) -> HandsOn {
        let hands = Setup::read(main, Some(master)).hands_on(&texts());
        HandsOn { door: None, ..hands.into_iter().next().unwrap() }
    }

    #[test]
    fn whom_postfix_hands_mail_to() {
        let pipe = "spam unix - n n - - pipe\n  flags=Rq user=nobody argv=/usr/bin/spamc -u ${user} -e /usr/sbin/sendmail -f ${sender}\n";
        let nobody = HandsOn::default();
        assert_eq!(of("myhostname = x\n", SMTPD), nobody);
        assert_eq!(of("myhostname = x\n", &format!("{SMTPD}{pipe}")), nobody);
        let own = format!("{SMTPD}  -o content_filter=spam\n{pipe}");
        for hands in [of("content_filter = spam:dummy\n", &format!("{SMTPD}{pipe}")), of("", &own)] {
            let (at, called) = hands.to_spamc.unwrap();
            assert!(at == "master.cf, spam" && called.starts_with("-u ${user} -e"), "{at} {called}");
        }
        let (at, called) =
            of("mailbox_command = /usr/bin/spamc -d other | procmail\n", SMTPD).to_spamc.unwrap();
        assert!(at == "main.cf, mailbox_command" && called == "-d other", "{at} {called}");
    }

    #[test]
    fn who_may_call_it() {
        for others in [
            "smtpd_milters = unix:/m\n",
            "smtpd_milters = inet:localhost:8891, unix:/spamass/spamass.sock\n",
            "mailbox_transport = lmtp:unix:/d\n",
            "mailbox_command = maildrop\n",
            "transport_maps = hash:/nowhere\n",
            "transport_maps = hash:/u\n",
            "header_checks = pcre:/filters\n",
            "virtual_transport = spam\n",
            "virtual_transport = smtp:[127.0.0.1]:10026\n",
            "relay_transport = spam\n",
        ] {
            assert!(of(others, SMTPD).may_reach_others, "{others}");
        }
        let pipe =
            "dovecot unix - n n - - pipe flags=DRhu user=v argv=/usr/lib/dovecot/dovecot-lda -f ${sender}\n";
        for nobody in [
            "mailbox_transport = lmtp:unix:private/dovecot-lmtp\nmailbox_command = maildrop\n",
            "smtpd_milters = inet:localhost:8891, unix:/opendmarc/opendmarc.sock\n",
            "mailbox_transport = lmtp:unix:private/dovecot-lmtp\n",
            "virtual_transport = lmtp:inet:127.0.0.1:24\n",
            "virtual_transport = dovecot\n",
            "mailbox_command = /usr/lib/dovecot/deliver\n",
            "mailbox_command = procmail -a \"$EXTENSION\"\n",
            "transport_maps = hash:/t\n",
            "header_checks = pcre:/checks\n",
        ] {
            let hands = of(nobody, &format!("{SMTPD}{pipe}"));
            assert!(!hands.may_reach_others && !hands.to_amavis, "{nobody}");
        }
        let sieve = Texts { dovecot: Some("  sieve_plugins = sieve_extprograms\n".to_owned()), ..texts() };
        for outside in [sieve, Texts { dovecot: None, ..texts() }] {
            let setup = Setup::read("mailbox_transport = lmtp:unix:private/dovecot-lmtp\n", Some(SMTPD));
            assert!(setup.hands_on(&outside)[0].may_reach_others);
        }
        for amavis in
            ["content_filter = smtp-amavis:[127.0.0.1]:10024\n", "smtpd_proxy_filter = 127.0.0.1:10024\n"]
        {
            assert!(of(amavis, SMTPD).is_amavis_alone(), "{amavis}");
        }
        assert!(
            !of("content_filter = amavis:[::1]:10024\nsmtpd_milters = unix:/m\n", SMTPD).is_amavis_alone()
        );
    }
}

//! The ways by which strangers' mail comes, with what holds on each; and what hands mail on that is set where it does not hold there. Pure.
//!
//! Read [`Way`] first.

use super::Setup;
use super::config::{Parameters, Service};
use super::doors::{at, doors, is_private, overridden, own};
use super::restrictions::{elements, words};

pub(super) const FILTER: &str = "content_filter";
pub(in super::super) const MILTERS: &str = "smtpd_milters";
pub(super) const MILTER_MAPS: &str = "smtpd_milter_maps";
pub(super) const PROXY: &str = "smtpd_proxy_filter";
/// What may hand it to anybody besides.
pub(super) const OTHERS: [&str; 3] = [FILTER, PROXY, MILTER_MAPS];
/// What hands on mail that comes by a service.
const HANDS: [&str; 3] = [FILTER, PROXY, MILTERS];
const OPTIONS: &str = "receive_override_options";
const NONE: &str = "no_milters";

/// A way by which strangers' mail comes, and what holds there.
pub(super) struct Way<'a> {
    /// `None`: nobody says what runs.
    service: Option<&'a Service>,
    pub(super) parameters: Parameters,
}

/// What hands mail on, set where no mail of strangers' comes by, or taken away where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Misplaced {
    pub(in super::super) name: &'static str,
    pub(in super::super) value: String,
    pub(in super::super) cause: String,
    /// What is typed to have it hold.
    pub(in super::super) lines: String,
}

impl Misplaced {
    pub(in super::super) fn milters(&self) -> impl Iterator<Item = &str> {
        elements(&self.value).filter(|_| self.name == MILTERS)
    }
}

/// All of them. Where none is known, those of everybody are looked at, so that nothing is said that is not sure.
pub(super) fn ways(setup: &Setup) -> Vec<Way<'_>> {
    let mut services = doors(setup);
    if services.is_empty() {
        let all = setup.services.iter().flatten();
        services = all.filter(|service| service.command == "smtpd").collect();
    }
    if services.is_empty() {
        return vec![Way { service: None, parameters: in_effect(setup.parameters.clone()) }];
    }
    let way = |service| Way { service: Some(service), parameters: in_effect(overridden(setup, service)) };
    services.into_iter().map(way).collect()
}

fn in_effect(mut parameters: Parameters) -> Parameters {
    if has_none(&parameters) {
        parameters.remove(MILTERS);
        parameters.remove(MILTER_MAPS);
    }
    parameters
}

fn has_none(parameters: &Parameters) -> bool {
    parameters.get(OPTIONS).is_some_and(|options| words(options).any(|word| word == NONE))
}

impl Way<'_> {
    /// `smtp/inet`
    pub(super) fn door(&self) -> Option<String> {
        self.service.map(|service| format!("{}/{}", service.name, service.kind))
    }

    /// Whether mail comes by it at second hand, if at all: on another port than that for mail, or at home.
    pub(super) fn is_aside(&self) -> bool {
        self.service.is_some_and(|service| {
            is_private(service) || service.kind == "inet" && !matches!(at(service).1, "smtp" | "25")
        })
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }

    /// Whether it has one of its own.
    pub(super) fn has_own(&self, name: &str, setup: &Setup) -> bool {
        self.service.is_some_and(|service| own(service, name, setup).is_some())
    }

    /// What is set elsewhere: in `main.cf`, then for other services.
    pub(super) fn misplaced(&self, setup: &Setup) -> Vec<Misplaced> {
        let Some(service) = self.service else { return Vec::new() };
        let door = format!("{}/{}", service.name, service.kind);
        let here = |name: &str| own(service, name, setup);
        let mut found = Vec::new();
        for name in HANDS {
            let in_main = setup.parameters.get(name).filter(|value| !value.is_empty());
            let Some(value) = in_main.filter(|value| *value != self.value(name)) else { continue };
            let (cause, lines) = match here(name) {
                Some(own) => (
                    format!("`-o {name}={own}` there takes the place of main.cf's"),
                    vec![match is_pipe(value, setup) {
                        // What a pipe hands back comes by no service of smtpd's, and would be handed to it again.
                        true => format!("postconf -P \"{door}/{name}={value}\"\npostconf -X {name}"),
                        false => format!("postconf -PX \"{door}/{name}\""),
                    }],
                ),
                None => (format!("`{NONE}` in {OPTIONS} has no milter asked"), Vec::new()),
            };
            found.push(self.misplaced_at(setup, name, value, cause, lines));
        }
        if let Some(own) = here(MILTERS).filter(|own| !own.is_empty() && *own != self.value(MILTERS)) {
            let cause = format!("`{NONE}` in {OPTIONS} has no milter asked");
            found.push(self.misplaced_at(setup, MILTERS, &own, cause, Vec::new()));
        }
        let others = setup.services.iter().flatten().filter(|other| *other != service);
        for other in others {
            for name in HANDS {
                let Some(value) = own(other, name, setup).filter(|value| !value.is_empty()) else { continue };
                if value == self.value(name) {
                    continue;
                }
                let place = format!("{}/{}", other.name, other.kind);
                let is_of_smtpd = other.command == "smtpd";
                let cause = format!(
                    "`-o {name}={value}` stands below `{} {} … {}`, {}",
                    other.name,
                    other.kind,
                    other.command,
                    if is_of_smtpd { "and holds there alone" } else { "where it has no effect" }
                );
                let mut lines = vec![format!("postconf -P \"{door}/{name}={}\"", without_blanks(&value))];
                if !is_of_smtpd {
                    lines.push(format!("postconf -PX \"{place}/{name}\""));
                }
                found.push(self.misplaced_at(setup, name, &value, cause, lines));
            }
        }
        found
    }

    fn misplaced_at(
        &self,
        setup: &Setup,
        name: &'static str,
        value: &str,
        cause: String,
        mut lines: Vec<String>,
    ) -> Misplaced {
        if name == MILTERS {
            lines.extend(self.with_milters(setup));
        }
        lines.push("postfix reload".to_owned());
        Misplaced { name, value: value.to_owned(), cause, lines: lines.join("\n") }
    }

    /// What is typed to have milters asked where options say that none is.
    fn with_milters(&self, setup: &Setup) -> Option<String> {
        if !has_none(&self.parameters) {
            return None;
        }
        let rest: Vec<&str> = words(self.value(OPTIONS)).filter(|word| *word != NONE).collect();
        let rest = rest.join(",");
        let own = self.door().filter(|_| self.has_own(OPTIONS, setup));
        Some(match own {
            Some(door) => format!("postconf -P \"{door}/{OPTIONS}={rest}\""),
            None => format!("postconf -e \"{OPTIONS}={rest}\""),
        })
    }
}

/// Whether what a filter is called is a service that calls a program.
fn is_pipe(filter: &str, setup: &Setup) -> bool {
    let name = filter.split(':').next().unwrap_or_default();
    let mut services = setup.services.iter().flatten();
    services.any(|service| service.command == "pipe" && service.name == name)
}

/// As `postconf -P` takes it.
pub(in super::super) fn without_blanks(value: &str) -> String {
    let each = elements(value).map(|element| {
        let inner = element.trim_matches(['{', '}']);
        let inner = words(inner).collect::<Vec<_>>().join(",");
        if element.starts_with('{') { format!("{{{inner}}}") } else { inner }
    });
    each.collect::<Vec<_>>().join(",")
}

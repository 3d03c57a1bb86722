//! What was typed → what it means. Every cross check lives here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

mod access;
mod asked;
mod fetching;
mod list;
mod secure;
mod zone;

pub(crate) use asked::check_twice;
pub(crate) use list::list_of;

use super::feeds::Feeds;
use super::file::File;
use super::problem::{At, Place, Problem, Problems};
use super::reach::lets_strangers_in;
use super::values::Network;
use super::{AccessConfig, Config, Overrides, Reloadable, Server, Sync, defaults};
use crate::guard::NeverList;
use crate::guard::entries::{SHORTEST_V4, SHORTEST_V6};
use crate::model::{Address, Name, Subject};
use crate::zone::Access;

/// A file as typed and the folder that its relative paths start from.
pub(crate) struct Typed {
    pub(crate) file: File,
    pub(crate) folder: PathBuf,
}

/// The main file with its additions, and what environment and flags say.
pub(crate) fn resolve(
    main: Typed,
    additions: Vec<Typed>,
    overrides: &Overrides,
    feeds: &Feeds,
    problems: &mut Problems,
) -> Config {
    let Typed { file, folder } = main;
    check_own_networks(&file.own_networks, problems);
    let own_networks = file.own_networks.into_iter().map(|at| at.value.0).collect();
    let canaries = file.canaries.into_iter().map(|at| at.value.0).collect();
    let hook = file.hook.and_then(|hook| self::hook(hook, problems));
    let state = overrides.state.clone().or_else(|| file.top.state.map(|at| folder.join(at.value)));
    let listen = match (&overrides.listen[..], file.listen) {
        ([], None) => vec![At { value: defaults::LISTEN, place: Place::Outside("listen") }],
        ([], Some(typed)) => distinct_addresses(typed, problems),
        (given, _) => {
            given.iter().map(|&value| At { value, place: Place::Outside("GATEPOST_LISTEN") }).collect()
        }
    };
    let secure = secure::secure(file.secure, &listen, &folder, problems);
    let access = access::access(file.access, &folder, problems);
    let limit = access::limit(&file.server, file.rate_limit_exempt, problems);
    let open = file.server.open.is_some_and(|at| at.value);
    let addresses = listen.iter().chain(&secure.dot).chain(&secure.doh);
    check_strangers(addresses, &access, open, problems);
    let catalogue =
        overrides.catalogue.clone().or_else(|| file.sync.catalogue.map(|at| folder.join(at.value)));

    if let Some(timer) = file.sync.timer.as_ref().filter(|timer| timer.value.is_zero()) {
        problems.push(Problem::new(&timer.place, "a timer without a pause").help("expected such as \"15m\""));
    }

    if let Some(idle) = file.server.tcp_idle.as_ref().filter(|idle| idle.value < Duration::from_secs(1)) {
        problems.push(Problem::new(&idle.place, "nobody could ask in time").help("expected \"1s\" or more"));
    }

    if let Some(proxy) = file.sync.proxy.as_ref().filter(|proxy| proxy.value.0.query().is_some()) {
        // Nobody would be shown it, and the configuration is printed with it.
        let problem = Problem::new(&proxy.place, "a proxy has no `?`");
        problems.push(problem.help("expected such as \"http://proxy.example:3128\""));
    }
    let proxy_credential = file.sync.proxy_credential.map(|at| {
        let credential = At { value: at.value.from(&folder), place: at.place };
        fetching::check_proxy_credential(&credential, file.sync.proxy.is_some(), problems);
        credential.value
    });
    let ca_file = file.sync.ca_file.map(|at| folder.join(at.value));
    let hit_log = file.server.hit_log.map(|at| folder.join(at.value));
    let mut list_files = vec![(folder.clone(), file.lists)];
    let mut zone_files = vec![(folder, file.zones)];
    for addition in additions {
        list_files.push((addition.folder.clone(), addition.file.lists));
        zone_files.push((addition.folder, addition.file.zones));
    }
    let mut lists = list::lists(list_files, feeds, problems);
    let zones = zone::zones(zone_files, &lists, problems);
    list::note_what_texts_ask_for(&mut lists, &zones);

    fn or<T>(key: Option<At<T>>, default: T) -> T {
        key.map_or(default, |at| at.value)
    }
    Config {
        state: state.unwrap_or_else(|| defaults::STATE.into()),
        server: Server {
            listen: values(listen),
            dot: values(secure.dot),
            doh: values(secure.doh),
            doh_path: file.server.doh_path.map_or_else(defaults::doh_path, |at| at.value),
            open,
            workers: file.server.workers.map(|at| at.value),
            pin_workers: or(file.server.pin_workers, false),
            tcp_connections: or(file.server.tcp_connections, defaults::TCP_CONNECTIONS),
            tcp_connections_per_client: or(
                file.server.tcp_connections_per_client,
                defaults::TCP_CONNECTIONS_PER_CLIENT,
            ),
            tcp_idle: or(file.server.tcp_idle, defaults::TCP_IDLE),
            hit_log,
            hit_log_clients: or(file.server.hit_log_clients, defaults::HIT_LOG_CLIENTS),
        },
        reloadable: Reloadable {
            access,
            limit,
            certificate: secure.files,
            version_bind: file.server.version_bind.map(|at| at.value.0),
            sync: Sync {
                timer: file.sync.timer.map(|at| at.value),
                own_networks,
                canaries,
                hook,
                catalogue,
                contact: file.sync.contact.map(|at| at.value.0),
                proxy: file.sync.proxy.map(|at| at.value.0),
                proxy_credential,
                ca_file,
                keep: or(file.sync.keep, defaults::KEEP),
                keep_size: file.sync.keep_size.map_or(defaults::KEEP_SIZE, |at| at.value.0),
                keep_history: or(file.sync.keep_history, defaults::KEEP_HISTORY),
                keep_history_size: file
                    .sync
                    .keep_history_size
                    .map_or(defaults::KEEP_HISTORY_SIZE, |at| at.value.0),
            },
            lists: lists.into_iter().filter_map(|(name, (list, _))| Some((name, list?))).collect(),
            zones,
        },
        absent: Problems::default(),
    }
}

/// A server that strangers can reach says who may ask, or that everybody may: some lists must not be given away, and
/// an open server can be made to send replies to others.
///
/// What files say is known when they are read.
fn check_own_networks(networks: &[At<Network>], problems: &mut Problems) {
    for At { value: Network(network), place } in networks {
        if is_nobodys_own(network) {
            let said = format!("`{network}` is nobody's own network: no feed could list anything there");
            let expected = format!("expected /{SHORTEST_V4} or longer, of IPv6 /{SHORTEST_V6}");
            problems.push(Problem::new(place, said).help(expected));
        }
    }
}

/// Networks of so many addresses that are public are nobody's; were everything one's own, no feed could list anything.
pub(crate) fn is_nobodys_own(network: &Subject) -> bool {
    let never = NeverList::special_purpose();
    match network {
        Subject::V4(span) => never.left_of_v4(*span) > u32::ZERO.prefix(SHORTEST_V4).extent(),
        Subject::V6(span) => never.left_of_v6(*span) > u128::ZERO.prefix(SHORTEST_V6).extent(),
        Subject::Name(_) => false,
    }
}

fn check_strangers<'a>(
    addresses: impl Iterator<Item = &'a At<SocketAddr>>,
    access: &AccessConfig,
    open: bool,
    problems: &mut Problems,
) {
    if open || !access.files.is_empty() {
        return;
    }
    let access = Access::of_lists(&[access.list()], 0);
    for at in addresses.filter(|at| lets_strangers_in(at.value, &access)) {
        problems.push(
            Problem::new(
                &at.place,
                format!("strangers can reach {}, and nothing says who may ask", at.value),
            )
            .help("expected an `access` rule under [server] for 0.0.0.0/0 (for IPv6 ::/0) that refuses others, or `open = true`"),
        );
    }
}

/// A program and its arguments; none for an empty array. It is run without a shell, so nobody looks for it.
fn hook(typed: Vec<At<String>>, problems: &mut Problems) -> Option<Vec<String>> {
    let program = typed.first()?;
    if !program.value.starts_with('/') {
        let problem = Problem::new(&program.place, format!("`{}` is not a whole path", program.value));
        problems.push(problem.help("expected a program such as \"/usr/local/bin/tell\", then its arguments"));
    }
    Some(values(typed))
}

fn values<T>(typed: Vec<At<T>>) -> Vec<T> {
    typed.into_iter().map(|at| at.value).collect()
}

fn distinct_addresses(typed: Vec<At<SocketAddr>>, problems: &mut Problems) -> Vec<At<SocketAddr>> {
    for (number, at) in typed.iter().enumerate() {
        let Some(other) = typed[..number].iter().find(|other| collide(other.value, at.value)) else {
            continue;
        };
        problems.push(if other.value == at.value {
            Problem::new(&at.place, format!("{} is in the list twice", at.value))
        } else {
            Problem::new(&at.place, format!("{} and {} have addresses in common", at.value, other.value))
                .help("expected one of the two: 0.0.0.0 and [::] are all addresses of the machine")
        });
    }
    typed
}

/// Whether one socket cannot be bound beside the other. (Port 0 is any that is free.)
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let overlap = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a == b || a.port() != 0 && a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && overlap
}

/// "in FILE:LINE" of a place.
fn spot(place: &Place) -> String {
    let problem = Problem::new(place, "");
    match (problem.file(), problem.line_and_column()) {
        (Some(file), Some((line, _))) => format!("in {}:{line}", file.display()),
        _ => "elsewhere".to_owned(),
    }
}

pub(crate) fn no_mailbox() -> Name {
    defaults::SOA_RNAME.parse().expect("a name")
}

//! The effective configuration as text that reads back as itself (`gatepost print-config`).
//!
//! Of a credential it says where it stands, and URLs with passwords are refused when read; what stands behind the `?` of a URL is
//! shown as it is, since it would not read back without.

use std::fmt::Write;
use std::time::Duration;

use super::access::AccessConfig;
use super::list::{ListConfig, Source};
use super::units::{format_duration, format_size};
use super::words::Code;
use super::{Config, ZoneConfig};
use crate::model::{Given, Template};
use crate::parse::{Column, Format};

impl Config {
    /// All of it, defaults and what the catalogue says filled in.
    pub fn to_toml(&self) -> String {
        let mut out = Out::default();
        out.line("version", "1".to_owned());
        out.line("state", string(&self.state.to_string_lossy()));

        out.header("server");
        let server = &self.server;
        out.line("listen", array(server.listen.iter().map(|address| string(&address.to_string()))));
        out.line("dot", array(server.dot.iter().map(|address| string(&address.to_string()))));
        out.line("doh", array(server.doh.iter().map(|address| string(&address.to_string()))));
        out.line("doh-path", string(server.doh_path.as_str()));
        let files = self.reloadable.certificate.as_ref();
        out.maybe("certificate", files.map(|files| string(&files.certificate.to_string_lossy())));
        out.maybe("key", files.map(|files| string(&files.key.to_string_lossy())));
        out.line("open", server.open.to_string());
        out.maybe("workers", server.workers.map(|workers| workers.to_string()));
        out.line("pin-workers", server.pin_workers.to_string());
        out.line("tcp-connections", server.tcp_connections.to_string());
        out.line("tcp-connections-per-client", server.tcp_connections_per_client.to_string());
        out.line("tcp-idle", duration(server.tcp_idle));
        out.maybe("hit-log", server.hit_log.as_ref().map(|path| string(&path.to_string_lossy())));
        out.line("hit-log-clients", string(server.hit_log_clients.word()));
        out.access(&self.reloadable.access);
        let limit = &self.reloadable.limit;
        out.line("rate-limit", limit.rate.to_string());
        out.line("rate-limit-slip", limit.slip.to_string());
        out.line("rate-limit-loopback", limit.loopback.to_string());
        out.line("rate-limit-exempt", array(limit.exempt.iter().map(|network| string(&network.to_string()))));
        out.maybe("version-bind", self.reloadable.version_bind.as_deref().map(string));

        out.header("sync");
        let sync = &self.reloadable.sync;
        out.maybe("timer", sync.timer.map(duration));
        out.line("own-networks", array(sync.own_networks.iter().map(|network| string(&network.to_string()))));
        out.line("canaries", array(sync.canaries.iter().map(|network| string(&network.to_string()))));
        out.line("hook", array(sync.hook.iter().flatten().map(|word| string(word))));
        out.maybe("catalogue", sync.catalogue.as_ref().map(|path| string(&path.to_string_lossy())));
        out.maybe("contact", sync.contact.as_deref().map(string));
        out.maybe("proxy", sync.proxy.as_ref().map(|url| string(url.as_str())));
        out.maybe("proxy-credential", sync.proxy_credential.as_ref().map(|at| string(&at.to_string())));
        out.maybe("ca-file", sync.ca_file.as_ref().map(|path| string(&path.to_string_lossy())));
        out.line("keep", duration(sync.keep));
        out.line("keep-size", string(&format_size(sync.keep_size)));
        out.line("keep-history", duration(sync.keep_history));
        out.line("keep-history-size", string(&format_size(sync.keep_history_size)));

        self.reloadable.lists.values().for_each(|list| out.list(list));
        self.reloadable.zones.iter().for_each(|zone| out.zone(zone));
        out.0
    }
}

#[derive(Default)]
struct Out(String);

impl Out {
    fn header(&mut self, name: &str) {
        let _ = writeln!(self.0, "\n[{name}]");
    }

    fn line(&mut self, key: &str, value: String) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn maybe(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.line(key, value);
        }
    }

    fn access(&mut self, access: &AccessConfig) {
        let rules = access.rules.iter().map(|rule| {
            let clients = array(rule.clients.iter().map(|client| string(&client.to_string())));
            let mut keys = format!("clients = {clients}, action = {}", string(rule.given.word()));
            if let Given::List { code, text: said } = &rule.given {
                if *code != Code::ALONE.address() {
                    let _ = write!(keys, ", code = {}", string(&code.to_string()));
                }
                if !said.is_empty() {
                    let _ = write!(keys, ", text = {}", text(said));
                }
            }
            format!("\n    {{ {keys} }},")
        });
        let rules: String = rules.collect();
        let end = if rules.is_empty() { "" } else { "\n" };
        self.line("access", format!("[{rules}{end}]"));
        if !access.files.is_empty() {
            self.line("access-files", array(access.files.iter().map(|path| string(&path.to_string_lossy()))));
        }
    }

    fn list(&mut self, list: &ListConfig) {
        self.header(&format!("list.{}", list.name));
        if let Some(feed) = &list.feed {
            self.line("feed", string(feed.as_str()));
        }
        if list.feed.is_none() || list.own_copy {
            match &list.source {
                Source::Urls(urls) => match &urls[..] {
                    [url] => self.line("url", string(url.as_str())),
                    urls => self.line("urls", array(urls.iter().map(|url| string(url.as_str())))),
                },
                Source::Files(paths) => match &paths[..] {
                    [path] => self.line("file", string(&path.to_string_lossy())),
                    paths => {
                        self.line("files", array(paths.iter().map(|path| string(&path.to_string_lossy()))));
                    }
                },
                Source::Embedded(_) => {}
            }
            self.line("format", string(list.format.name()));
            if list.format == Format::Csv {
                self.maybe("column", column(Some(&list.options.columns.address)));
                self.maybe("note-column", column(list.options.columns.note.as_ref()));
            }
            if list.format.is_rbldnsd() {
                let options = &list.options.rbldnsd;
                self.line("host-bits", options.host_bits.to_string());
                self.line("ttl-default", seconds(options.default_ttl));
                self.line("ttl-min", seconds(options.min_ttl));
                self.line("ttl-max", seconds(options.max_ttl));
            }
        }
        self.line("notes", list.options.notes.to_string());
        self.line("subdomains", list.options.names_cover_subdomains.to_string());
        self.line("use", string(&list.use_.to_string()));
        self.maybe("code", list.code.map(|code| string(&code.to_string())));
        self.line("text", text(&list.text));
        self.line("floor", duration(list.floor));
        self.line("soft-age", limit(list.ages.soft));
        self.line("hard-age", limit(list.ages.hard));
        self.line("unchanged-age", limit(list.ages.unchanged));
        self.line("max-size", string(&format_size(list.max_size)));
        // Own files are not judged, and the reader refuses to be told how.
        if !matches!(list.source, Source::Files(_)) {
            self.line("max-bad-share", format!("{:?}", list.limits.max_bad_share));
            self.line("min-entries", list.limits.min_entries.to_string());
            self.line("max-coverage", format!("{:?}", list.limits.max_coverage_v4));
            self.line("max-coverage-v6", format!("{:?}", list.limits.max_coverage_v6));
            self.line("shortest-prefix-v4", list.limits.shortest_v4.to_string());
            self.line("shortest-prefix-v6", list.limits.shortest_v6.to_string());
            self.line("shortest-name", list.limits.shortest_name.to_string());
            self.line("max-shrink", format!("{:?}", list.limits.max_shrink));
            self.line("max-growth", format!("{:?}", list.limits.max_growth));
            self.line("max-gone", format!("{:?}", list.limits.max_gone));
            self.line("compare-above", list.limits.compare_above.to_string());
            self.line("max-canaries", list.limits.max_canaries.to_string());
            self.line("max-unknown-tlds", list.limits.max_unknown_tlds.to_string());
            self.line("allow-empty", list.limits.allow_empty.to_string());
        }
        self.line("bogons", list.limits.bogons.to_string());
        self.line("allow-private", list.allow_private.to_string());
        self.maybe("credential", list.credential.as_ref().map(|at| string(&at.to_string())));
        self.maybe("known-hosts", list.known_hosts.as_ref().map(|path| string(&path.to_string_lossy())));
    }

    fn zone(&mut self, zone: &ZoneConfig) {
        self.header(&format!("zone.{}", string(&zone.origin.to_string())));
        let members = zone.members.iter().map(|member| {
            let code = match member.code {
                Code::ALONE => String::new(),
                code => format!("code = {}, ", string(&code.to_string())),
            };
            format!(
                "\n    {{ list = {}, {code}text = {} }},",
                string(member.list.as_str()),
                text(&member.text)
            )
        });
        self.line("lists", format!("[{}\n]", members.collect::<String>()));
        self.line("except", array(zone.excepts.iter().map(|list| string(list.as_str()))));
        self.line("keep-values", zone.keep_values.to_string());
        self.line("test-points", zone.test_points.to_string());
        self.access(&zone.access);
        self.line("ttl", seconds(zone.ttl));
        self.line("negative-ttl", seconds(zone.soa.minimum));
        self.line("ns", array(zone.ns.hosts.iter().map(|host| string(&host.to_string()))));
        self.line("soa-ttl", seconds(zone.soa.ttl));
        self.line("soa-mname", string(&zone.soa.mname.to_string()));
        self.line("soa-rname", string(&zone.soa.rname.to_string()));
        self.line("soa-refresh", seconds(zone.soa.refresh));
        self.line("soa-retry", seconds(zone.soa.retry));
        self.line("soa-expire", seconds(zone.soa.expire));
    }
}

fn column(column: Option<&Column>) -> Option<String> {
    match column? {
        Column::Titled(title) => Some(string(title)),
        // Configurations name columns by their titles alone.
        Column::At(_) => None,
    }
}

fn string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn array(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn duration(duration: Duration) -> String {
    string(&format_duration(duration))
}

fn seconds(seconds: u32) -> String {
    duration(Duration::from_secs(u64::from(seconds)))
}

fn limit(limit: Option<Duration>) -> String {
    limit.map_or_else(|| string("never"), duration)
}

fn text(text: &Template) -> String {
    string(&text.to_string())
}

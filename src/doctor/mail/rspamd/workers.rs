//! rspamd's workers: whether its proxy runs and hands mail to somebody who scans, and where those listen that speak no milter. Pure.

use super::super::super::finding::Cure;
use super::super::Idle;
use super::tree::{Block, FOLDER, Node};
use crate::snippet::Program;

const PROXY: &str = "rspamd_proxy";
const SCANS: &str = "normal";
/// Where that listens unless it is told otherwise, and where the controller and fuzzy storage do.
const SCANS_AT: u16 = 11333;
const OTHERS: [u16; 2] = [11334, 11335];

/// As they are set up.
#[derive(Debug, Default)]
pub(in super::super) struct Workers {
    /// The proxy is switched off there.
    off: Option<(String, String)>,
    /// What the proxy hands mail to, each with its place, where none of it scans.
    nobody: Option<(String, String)>,
    /// The port of the worker that scans, where one does.
    scans: Option<u16>,
    /// Ports of workers that speak no milter.
    pub(in super::super) others: Vec<u16>,
}

impl Workers {
    pub(in super::super) fn of(tree: &Block) -> Self {
        let of = |name: &str| -> Vec<Block> {
            let blocks = tree.all("worker").iter().filter_map(Node::block).flat_map(|block| block.all(name));
            blocks.filter_map(Node::block).cloned().collect()
        };
        let mut workers = Self::default();
        let scanning: Vec<u16> =
            of(SCANS).iter().filter(|worker| off(worker).is_none()).flat_map(ports).collect();
        workers.scans = scanning.first().copied();
        workers.others = scanning.iter().copied().chain(OTHERS).collect();
        let proxies = of(PROXY);
        if proxies.iter().all(|proxy| off(proxy).is_some()) {
            workers.off = proxies.iter().find_map(off);
        }
        let running = proxies.iter().filter(|proxy| off(proxy).is_none());
        workers.nobody = running.filter_map(|proxy| in_vain(proxy, &scanning)).next_back();
        workers
    }

    /// Mail that Postfix hands on comes to nobody.
    pub(in super::super) fn idle(&self) -> Option<Idle> {
        let idle = |at: &str, cause: String, cure: Cure| Idle {
            program: Program::Rspamd,
            at: at.to_owned(),
            zones: Vec::new(),
            matters: true,
            cause,
            cure,
        };
        if let Some((line, at)) = &self.off {
            let how = format!("take that line out of {at}, and restart rspamd");
            let cause = format!("`{line}` switches the proxy off, to which Postfix hands mail");
            return Some(idle(at, cause, Cure { how, lines: String::new() }));
        }
        let (hosts, at) = self.nobody.as_ref()?;
        let scans = match self.scans {
            Some(port) => format!("hosts = \"localhost:{port}\";"),
            None => "self_scan = yes;".to_owned(),
        };
        let cause = format!(
            "the proxy, to which Postfix hands mail, passes it on to {hosts}, where no worker scans it"
        );
        let cure = Cure {
            how: format!(
                "rspamd: in the place of the block `upstream` at {at} (where that is none of your own files: into {FOLDER}/local.d/worker-proxy.inc), and restart rspamd"
            ),
            lines: format!("upstream \"local\" {{\n  default = yes;\n  {scans}\n}}"),
        };
        Some(idle(at, cause, cure))
    }
}

/// What switches a worker off, and where.
fn off(worker: &Block) -> Option<(String, String)> {
    let node = worker.all("enabled").first()?;
    let value = node.text().filter(|text| matches!(*text, "false" | "no" | "off"))?;
    Some((format!("enabled = {value}"), node.at.clone()))
}

fn ports(worker: &Block) -> Vec<u16> {
    worker.texts("bind_socket").into_iter().map(|place| port(place).unwrap_or(SCANS_AT)).collect()
}

fn port(place: &str) -> Option<u16> {
    place.split_whitespace().next()?.rsplit_once(':')?.1.parse().ok()
}

/// Hosts of a proxy of which none scans, where that is sure.
fn in_vain(proxy: &Block, scanning: &[u16]) -> Option<(String, String)> {
    let upstreams = proxy.all("upstream").iter().filter_map(Node::block).flat_map(|block| &block.0);
    let all: Vec<&Block> = upstreams.flat_map(|(_, nodes)| nodes).filter_map(Node::block).collect();
    let is_set = |block: &Block, key: &str| {
        block.all(key).last().and_then(Node::text).is_some_and(|text| matches!(text, "yes" | "true" | "on"))
    };
    let defaults: Vec<&Block> = all.iter().copied().filter(|block| is_set(block, "default")).collect();
    let asked = if defaults.is_empty() { all } else { defaults };
    if asked.is_empty() || asked.iter().any(|block| is_set(block, "self_scan")) {
        return None;
    }
    let nodes: Vec<&Node> = asked.iter().flat_map(|block| block.all("hosts")).collect();
    let texts: Vec<&str> =
        asked.iter().flat_map(|block| block.texts("hosts")).flat_map(|text| text.split([',', ' '])).collect();
    // Whoever is on another machine may be there, and what is behind a socket, too.
    let is_nobody = |host: &str| {
        let name = host.split(':').next().unwrap_or_default();
        let is_here = name == "localhost" || name.starts_with("127.");
        let port = host.split(':').nth(1).map_or(Some(SCANS_AT), |port| port.parse().ok());
        is_here && port.is_some_and(|port| !scanning.contains(&port))
    };
    let hosts: Vec<&str> = texts.into_iter().filter(|host| !host.is_empty()).collect();
    let is_in_vain = !hosts.is_empty() && hosts.iter().all(|host| is_nobody(host));
    is_in_vain.then(|| (hosts.join(", "), nodes[0].at.clone()))
}

#[cfg(test)]
mod tests {
    use super::super::tree::tree;
    use super::*;

    const PROXY_COMES: &str =
        "milter = yes;\nupstream \"local\" {\n  default = yes;\n  hosts = \"localhost\";\n}\n";

    fn of(files: &[(&str, &str)]) -> Workers {
        Workers::of(&tree(&|path| {
            let found = files.iter().find(|(name, _)| path == format!("{FOLDER}/{name}"));
            let own = found.map(|(_, text)| (*text).to_owned());
            own.or_else(|| path.ends_with("rspamd/worker-proxy.inc").then(|| PROXY_COMES.to_owned()))
        }))
    }

    fn told(files: &[(&str, &str)]) -> Option<(String, String)> {
        of(files).idle().map(|idle| (idle.at.replace("/etc/rspamd/", ""), idle.cure.lines))
    }

    #[test]
    fn to_whom_the_proxy_hands_mail() {
        let proxy = "local.d/worker-proxy.inc";
        assert_eq!(told(&[]), None);
        assert_eq!(told(&[(proxy, "enabled = false;")]), Some((format!("{proxy}:1"), String::new())));
        assert_eq!(told(&[(proxy, "enabled = true;\nbind_socket = \"*:11390\";")]), None);
        let upstream = |hosts: &str| format!("upstream \"local\" {{\n  hosts = \"{hosts}\";\n}}\n");
        for right in ["localhost:11333", "127.0.0.1", "scan.example:11400", "localhost:11390,localhost:11333"]
        {
            assert_eq!(told(&[(proxy, &upstream(right))]), None, "{right}");
        }
        let (at, lines) = told(&[(proxy, &upstream("localhost:11390"))]).unwrap();
        assert_eq!(at, format!("{proxy}:2"));
        assert_eq!(told(&[(proxy, &lines)]), None);
        assert_eq!(told(&[(proxy, &upstream("localhost:11390").replace("}", "self_scan = yes;\n}"))]), None);
        // The worker that scans is elsewhere, or nowhere.
        let scans = "local.d/worker-normal.inc";
        let moved = (scans, "bind_socket = \"localhost:11400\";");
        let (at, lines) = told(&[moved]).unwrap();
        assert!(at.starts_with("worker-proxy.inc") && lines.contains("localhost:11400"), "{at} {lines}");
        assert_eq!(told(&[moved, (proxy, &lines)]), None);
        let off = (scans, "enabled = false;");
        let (_, lines) = told(&[off]).unwrap();
        assert!(lines.contains("self_scan"), "{lines}");
        assert_eq!(told(&[off, (proxy, &lines)]), None);
        assert_eq!(of(&[moved]).others, [11400, 11334, 11335]);
    }
}

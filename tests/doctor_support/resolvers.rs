//! Resolvers on port 53, each with everything switched on that stands in the way of a list.

use std::path::Path;
use std::process::Command;

use super::{Resolver, file};

/// With everything switched on that stands in the way; `more` belongs to its section `server`.
pub(crate) fn unbound(program: &Path, more: &str, told: &str) -> Resolver {
    Resolver::start(|folder| {
        let at = folder.display();
        let anchor = ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D";
        let text = format!(
            "server:\n interface: 127.0.0.1\n do-daemonize: no\n use-syslog: no\n chroot: \"\"\n username: \"\"\n \
             directory: \"{at}\"\n pidfile: \"\"\n module-config: \"validator iterator\"\n \
             trust-anchor: \"{anchor}\"\n private-address: 127.0.0.0/8\n qname-minimisation-strict: yes\n \
             harden-below-nxdomain: yes\n{more}remote-control:\n control-enable: no\n\
             include: \"{at}/gatepost.conf\"\n"
        );
        file(folder, "gatepost.conf", told);
        let mut command = Command::new(program);
        command.args(["-d", "-c"]).arg(file(folder, "unbound.conf", &text));
        command
    })
}

/// BIND's text has two parts: within `options`, as comments, and beside it.
pub(crate) fn bind(program: &Path, within: &str, beside: &str) -> Resolver {
    Resolver::start(|folder| {
        let at = folder.display();
        let text = format!(
            "options {{ directory \"{at}\"; managed-keys-directory \"{at}\"; pid-file none; session-keyfile none; \
             listen-on {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion yes; dnssec-validation auto; \
             trust-anchor-telemetry no; qname-minimization strict;\n{within}\n}};\ncontrols {{ }};\n{beside}\n"
        );
        let mut command = Command::new(program);
        command.args(["-g", "-c"]).arg(file(folder, "named.conf", &text));
        command
    })
}

/// `more` goes into recursor.conf, `told` is the file in recursor.d, `lua` the one in Lua.
pub(crate) fn pdns_recursor(program: &Path, more: &str, told: &str, lua: &str) -> Resolver {
    Resolver::start(|folder| {
        let at = folder.display();
        let text = format!(
            "local-address=127.0.0.1\nlocal-port=53\nsocket-dir={at}\ninclude-dir={at}/recursor.d\ndaemon=no\n\
             lua-config-file={at}/recursor.lua\nsecurity-poll-suffix=\nthreads=1\nsetuid=\nsetgid=\nchroot=\n\
             write-pid=no\n{more}\n"
        );
        file(folder, "recursor.d/gatepost.conf", told);
        file(folder, "recursor.lua", lua);
        file(folder, "recursor.conf", &text);
        let mut command = Command::new(program);
        command.arg(format!("--config-dir={at}"));
        command
    })
}

pub(crate) fn dnsmasq(program: &Path, more: &str, told: &str) -> Resolver {
    Resolver::start(|folder| {
        let text = format!(
            "listen-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\nstop-dns-rebind\n\
             user=root\n{more}\nconf-file={}\n",
            file(folder, "gatepost.conf", told).display()
        );
        let mut command = Command::new(program);
        command.args(["-k", "-C"]).arg(file(folder, "dnsmasq.conf", &text));
        command
    })
}

pub(crate) fn knot_resolver(program: &Path, more: &str, told: &str) -> Resolver {
    Resolver::start(|folder| {
        let text = format!(
            "net.listen('127.0.0.1', 53, {{ kind = 'dns' }})\ncache.size = 10 * MB\n\
             modules.load('rebinding < iterate')\n{more}\n{told}"
        );
        let mut command = Command::new(program);
        command.args(["-n", "-c"]).arg(file(folder, "kresd.conf", &text)).arg(folder);
        command
    })
}

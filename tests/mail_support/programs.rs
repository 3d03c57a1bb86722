//! The mail programs that are tried: where they are, and the configuration that they have besides what is tried.

use std::path::{Path, PathBuf};

use super::Host;
use crate::common::installed;

pub(crate) const SENDER: &str = "me@good.example";

/// A program that `.ci/run` unpacks.
pub(crate) fn unpacked(path: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("programs").join(path)
}

/// The head of Postfix's main.cf. Each session has an smtpd of its own: one that lives on remembers what it was told.
pub(crate) const POSTFIX: &str = "compatibility_level = 3.6\nqueue_directory = FOLDER/queue\ndata_directory = FOLDER/data\n\
     command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
     setgid_group = postdrop\nmyhostname = mx.example.org\nmydestination = example.org\n\
     mynetworks = 127.0.0.1/32\ninet_protocols = ipv4\nlocal_recipient_maps =\nalias_maps =\n\
     maillog_file = /dev/stdout\nsmtpd_peername_lookup = no\nmax_use = 1\npostscreen_greet_wait = 3s\n";

/// The services of master.cf that all others need.
pub(crate) const SERVICES: &str = "cleanup unix n - n - 0 cleanup\n\
     qmgr unix n - n 300 1 qmgr\nrewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\n\
     defer unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nanvil unix - - n - 1 anvil\n\
     error unix - - n - - error\nretry unix - - n - - error\npostlog unix-dgram n - n - 1 postlogd\n";

/// Starts a Postfix that has its configuration in `folder`, and waits for its port 25.
pub(crate) fn start_postfix(host: &Host, folder: &Path) {
    for folder in ["queue", "data"] {
        let _ = std::fs::create_dir(host.path(folder));
    }
    host.give("postfix", "data");
    let program = installed("postfix", "postfix", "").unwrap();
    host.start("postfix", &program, &["-c", folder.to_str().unwrap(), "start-fg"]);
    host.wait_for_port("postfix", "192.0.2.1", 25);
}

/// Exim, unpacked or installed. `None`, said loudly, where it is neither.
pub(crate) fn exim(test: &str) -> Option<PathBuf> {
    let found = unpacked("exim/usr/sbin/exim4");
    if found.is_file() { Some(found) } else { installed("exim4", "exim4-daemon-light", test) }
}

/// Exim's configuration with these lines in the ACL of RCPT before what accepts mail; its folder is `exim`.
pub(crate) fn exim_config(acl: &str) -> String {
    "primary_hostname = mx.example.org\ndomainlist local_domains = example.org\n\
     hostlist relay_from_hosts = 127.0.0.1\nspool_directory = FOLDER/exim/spool\n\
     log_file_path = FOLDER/exim/%slog\nlocal_interfaces = 192.0.2.1\ndaemon_smtp_ports = 25\n\
     pid_file_path = FOLDER/exim/pid\nacl_smtp_rcpt = acl_check_rcpt\nhost_lookup =\n\
     tls_advertise_hosts =\nkeep_environment =\nbegin acl\nacl_check_rcpt:\n"
        .to_owned()
        + acl
        + "\naccept domains = +local_domains\ndeny message = relay not permitted\n\
           begin routers\ndrop:\n  driver = redirect\n  data = :blackhole:\n"
}

/// rspamd's main file for one worker; the rest is its own.
pub(crate) const RSPAMD: &str = ".include \"$CONFDIR/common.conf\"\noptions {\n .include \"$CONFDIR/options.inc\"\n \
     .include(try=true,priority=1,duplicate=merge) \"/etc/rspamd/local.d/options.inc\"\n }\n\
     logging { type = \"console\"; level = \"info\"; }\n\
     worker \"normal\" { bind_socket = \"127.0.0.1:11333\"; count = 1; }\n";

/// Which hosts SpamAssassin trusts.
pub(crate) const SPAMASSASSIN: &str =
    "dns_available yes\ntrusted_networks 192.0.2.1\ninternal_networks 192.0.2.1\n";

/// A mail as it lies before rspamd and SpamAssassin, with a link if it has one.
pub(crate) fn mail(client: &str, sender: &str, link: &str) -> String {
    format!(
        "Return-Path: <{sender}>\nReceived: from client.example (client.example [{client}])\n\tby mx.example.org (Postfix) \
         with ESMTP id 0123456789\n\tfor <user@example.org>; Sun, 29 Nov 2026 12:00:00 +0000 (UTC)\nFrom: {SENDER}\n\
         To: user@example.org\nSubject: hello\nDate: Sun, 29 Nov 2026 12:00:00 +0000\n\
         Message-ID: <1234567890@good.example>\n\nHello there, how are you today? {link}\n"
    )
}

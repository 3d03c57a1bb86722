//! `gatepost doctor` and resolvers that validate, remember, keep or filter in ways of their own: what it says is so, its cure, applied as
//! it is printed, sets it right, and who is healthy is not blamed. Real resolvers on port 53 of networks of their own.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use common::dns::{self, A, NOERROR, SERVFAIL};
use common::{installed, skipped};
use doctor_support::resolvers::{bind, dnsmasq, knot_resolver, pdns_recursor, unbound};
use doctor_support::{Host, Resolver, file, in_own_network, sh, without};

const ZONE: &str = "block.gatepost.internal";
const WAY: [&str; 2] = ["server", "resolver"];
/// For an unbound that is to keep what it gets, and nothing else is to be said of that.
const BELOW: &str = " harden-below-nxdomain: no\n";
/// Long enough for any machine; nothing waits for it unless the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// Comments that begin so, without the sign of a comment.
fn uncommented(text: &str, mark: &str, start: &str) -> String {
    let lines = text.lines().filter_map(|line| line.strip_prefix(mark)?.trim_start().strip_prefix(start));
    let lines: String = lines.map(|rest| format!("{start}{rest}\n")).collect();
    assert!(!lines.is_empty(), "{start} is in no comment of {text}");
    lines
}

/// What the resolver says of a name.
fn asked(name: &str) -> (u8, Vec<[u8; 4]>) {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(reply) = dns::try_ask("127.0.0.1:53".parse().unwrap(), name, A) {
            return (reply.rcode, reply.a);
        }
        assert!(Instant::now() < end, "no reply to {name}");
    }
}

impl Host {
    /// The same server again, where it was.
    fn serve_again(&mut self) {
        self.server = Some(self.site.serve());
    }
}

/// Everything is validated, and nobody who signs the root can be asked: that it gets the answers is seen in what it keeps.
#[test]
fn pdns_recursor_that_validates() {
    let test = "pdns_recursor_that_validates";
    let Some(program) = installed("pdns_recursor", "pdns-recursor", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE, "bl.test"], "");
        let told = host.snippet("pdns-recursor");
        let resolver = pdns_recursor(&program, "dnssec=validate", &told, "");
        let found = host.doctor(&[]);
        let cures = found.first("resolver-validates");
        assert!(found.cures("resolver-validates")[0].0.contains("lua-config-file"), "{found:#?}");
        // The second does the same at once.
        let control = format!("rec_control --config-dir={}", resolver.folder().display());
        sh(&cures[1].replace("rec_control", &control));
        host.doctor(&[]).is_right_in(&WAY);
        drop(resolver);
        let cured = pdns_recursor(&program, "dnssec=validate", &told, &cures[0]);
        host.doctor(&[]).is_right_in(&WAY);
        drop(cured);
        // And who was not told is no validator.
        let _untold = pdns_recursor(&program, "dnssec=validate", "", &cures[0]);
        let found = host.doctor(&[]);
        assert!(!found.findings(&["resolver"]).contains(&"resolver-validates".to_owned()), "{found:#?}");
    });
}

/// As it comes: what is asked with AD is validated. The text's own test shows that, and what puts its lines in place works.
#[test]
fn pdns_recursor_that_validates_when_asked() {
    let test = "pdns_recursor_that_validates_when_asked";
    let (Some(program), Some(_)) =
        (installed("pdns_recursor", "pdns-recursor", test), installed("dig", "bind9-dnsutils", test))
    else {
        return;
    };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE, "bl.test"], "");
        let told = host.snippet("pdns-recursor");
        let dig = told.lines().find_map(|line| line.strip_prefix("# Test: ")?.split("  ").next()).unwrap();
        let dig = dig.replacen("dig", "dig @127.0.0.1 +tries=1", 1);
        let by_default = pdns_recursor(&program, "", &told, "");
        assert_eq!(sh(&dig), "", "it does not validate");
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-validates"], "{found:#?}");
        assert_eq!(found.finding("resolver-validates")["level"], "warn");
        drop(by_default);

        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "recursor.d/gatepost.conf", &told);
        file(folder.path(), "recursor.lua", "-- what was there\n");
        let puts = told.lines().find_map(|line| line.strip_prefix("#     sed ")).expect("what puts it there");
        sh(&format!("cd {}; sed {puts}", folder.path().display()));
        let lua = fs::read_to_string(folder.path().join("recursor.lua")).unwrap();
        assert_eq!(lua.lines().count(), 3, "{lua}");
        let _cured = pdns_recursor(&program, "", &told, &lua);
        assert_eq!(sh(&dig), "127.0.0.2\n");
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// gatepost is back, and unbound remembers for some seconds that it was not there.
#[test]
fn unbound_right_after_a_restart() {
    let test = "unbound_right_after_a_restart";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let mut host = Host::start(&[ZONE], "");
        // Over TCP a closed port refuses at once.
        let told = without(&host.snippet("unbound"), "forward-no-cache");
        let resolver = unbound(&program, BELOW, &format!("{told} forward-tcp-upstream: yes\n"));
        host.server.take().unwrap().stop();
        assert_eq!(asked(&format!("2.0.0.127.{ZONE}")), (SERVFAIL, vec![]));
        host.serve_again();
        assert_eq!(asked(&format!("2.0.0.127.{ZONE}")), (SERVFAIL, vec![]), "it does not remember");
        host.doctor(&[]).is_right_in(&WAY);
        drop(resolver);
        // As it is printed it keeps nothing, this neither.
        let told = host.snippet("unbound");
        let _resolver = unbound(&program, "", &format!("{told} forward-tcp-upstream: yes\n"));
        host.server.take().unwrap().stop();
        assert_eq!(asked(&format!("2.0.0.127.{ZONE}")), (SERVFAIL, vec![]));
        host.serve_again();
        assert_eq!(asked(&format!("2.0.0.127.{ZONE}")).0, NOERROR);
    });
}

/// The recursor remembers for a minute: it is told what that is, and how it forgets.
#[test]
fn pdns_recursor_right_after_a_restart() {
    let test = "pdns_recursor_right_after_a_restart";
    let Some(program) = installed("pdns_recursor", "pdns-recursor", test) else { return };
    in_own_network(test, move || {
        let mut host = Host::start(&[ZONE], "");
        let told = host.snippet("pdns-recursor");
        let lua = uncommented(&told, "#", "addNTA(");
        let resolver = pdns_recursor(&program, "", &told, &lua);
        host.server.take().unwrap().stop();
        assert_eq!(asked(&format!("2.0.0.127.{ZONE}")), (SERVFAIL, vec![]));
        host.serve_again();
        let found = host.doctor(&[]);
        let names = found.findings(&["server", "resolver"]);
        assert!(names.contains(&"resolver-remembers-failure".to_owned()), "{found:#?}");
        assert!(!names.contains(&"resolver-unreached".to_owned()), "{found:#?}");
        assert_eq!(found.first("resolver-remembers-failure"), ["systemctl restart pdns-recursor"]);
        drop(resolver);
        let _restarted = pdns_recursor(&program, "", &told, &lua);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Away for longer, unbound holds gatepost for dead, and does not even ask: that is no lack of lines.
#[test]
fn unbound_that_holds_gatepost_for_dead() {
    let test = "unbound_that_holds_gatepost_for_dead";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let mut host = Host::start(&[ZONE], "");
        let told = host.snippet("unbound");
        let folder = tempfile::tempdir().unwrap();
        let control = format!(
            "remote-control:\n control-enable: yes\n control-use-cert: no\n control-interface: \"{}\"\n",
            folder.path().join("control").display()
        );
        let resolver = unbound(&program, "", &format!("{told}{control}"));
        host.server.take().unwrap().stop();
        // As mail would: until it says so at once.
        let end = Instant::now() + PATIENCE;
        let mut number = 0;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let dead = |number: u32| {
            let name = format!("{}.{}.0.10.{ZONE}", number % 250, number / 250);
            socket.send_to(&dns::question(&name, A), "127.0.0.1:53").unwrap();
            socket.recv(&mut [0; 1500]).is_ok()
        };
        let mut at_once = 0;
        while at_once < 40 {
            number += 1;
            at_once = if dead(number) { at_once + 1 } else { 0 };
            assert!(Instant::now() < end, "it goes on asking");
        }
        host.serve_again();
        let found = host.doctor(&[]);
        let cures = found.first("resolver-remembers-failure");
        assert_eq!(cures, ["unbound-control flush_infra all"], "{found:#?}");
        let control = format!("unbound-control -c {}/unbound.conf", resolver.folder().display());
        sh(&cures[0].replace("unbound-control", &control));
        host.doctor(&[]).is_right_in(&WAY);
        drop(resolver);
        // Who was told of another address is not taken for it.
        let _wrong = unbound(&program, "", &told.replace("127.0.0.1@", "127.0.0.9@"));
        host.doctor(&[]).first("resolver-unreached");
    });
}

/// The doctor at once after a sync, when the server has not yet taken over what it made.
#[test]
fn right_after_a_sync() {
    let test = "right_after_a_sync";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let mut host = Host::start(&[ZONE], "");
        host.configure_more(
            "[list.late]\nfile = \"late.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.6\"\n\
             [zone.\"late.gatepost.internal\"]\nlists = [\"late\"]\n",
        );
        host.server.take().unwrap().stop();
        host.serve_again();
        let _resolver = unbound(&program, "", &host.snippet("unbound"));
        fs::write(host.site.path("late.txt"), "203.0.113.8\n").unwrap();
        fs::write(host.site.path("own.txt"), "203.0.113.8\n203.0.113.9\n").unwrap();
        host.site.sync(&[]).expect(0);
        host.doctor(&[]).is_right_in(&["server"]);
    });
}

/// Each resolver with its setting: told from what it says of the time, with a cure that is enough.
#[test]
fn resolvers_that_keep_answers() {
    let test = "resolvers_that_keep_answers";
    let programs = [
        ("unbound", "unbound"),
        ("named", "bind9"),
        ("dnsmasq", "dnsmasq-base"),
        ("pdns_recursor", "pdns-recursor"),
        ("kresd", "knot-resolver"),
    ];
    for (name, package) in programs {
        let Some(program) = installed(name, package, test) else { continue };
        in_own_network(test, move || keeps(name, &program));
    }
}

/// Of one of them: the setting, the cure in its place, and nothing.
fn keeps(name: &str, program: &Path) {
    // BIND keeps what is not listed for at most 90 seconds.
    let host = Host::start(&[ZONE], "ttl = \"1m\"\nnegative-ttl = \"20s\"\n");
    let text = |program: &str| host.snippet(program);
    let start = |setting: &str| -> Resolver {
        match name {
            // As one that keeps what it gets.
            "unbound" => {
                let told = without(&text("unbound"), "forward-no-cache");
                unbound(program, BELOW, &format!("{told}server:\n{setting}\n"))
            }
            "named" => {
                let told = text("bind");
                let within = uncommented(&told, "//", "validate-except {");
                bind(program, &format!("{within}\n{setting}"), &told)
            }
            "dnsmasq" => dnsmasq(program, setting, &text("dnsmasq")),
            "pdns_recursor" => {
                let told = text("pdns-recursor");
                pdns_recursor(program, setting, &told, &uncommented(&told, "#", "addNTA("))
            }
            _ => knot_resolver(program, setting, &text("knot-resolver")),
        }
    };
    let settings: &[(&str, &str)] = match name {
        "unbound" => &[("    cache-min-ttl: 3600", "what is listed for 3600 seconds")],
        "named" => &[
            ("min-ncache-ttl 90;", "what is not listed for 90 seconds"),
            ("min-cache-ttl 90;", "what is listed for 90 seconds"),
        ],
        "dnsmasq" => &[("min-cache-ttl=3600", "what is listed for 3600 seconds")],
        "pdns_recursor" => &[("minimum-ttl-override=900", "what is listed for 900 seconds")],
        _ => &[("cache.min_ttl(900)", "what is listed for 900 seconds")],
    };
    for (setting, told) in settings {
        let resolver = start(setting);
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-keeps"], "{name}: {found:#?}");
        let finding = found.finding("resolver-keeps");
        assert!(finding["what"].as_str().unwrap().contains(told), "{name}: {finding}");
        assert_eq!(finding["level"], "warn");
        // Where it stands is said where that can be read.
        let cause = finding["cause"].as_str().unwrap();
        assert_eq!(cause.contains(setting.trim()), ["unbound", "dnsmasq"].contains(&name), "{name}: {cause}");
        let (_, lines) = found.cures("resolver-keeps")[0].clone();
        drop(resolver);
        let cured = start(&lines.replace("server:\n", ""));
        host.doctor(&[]).is_right_in(&WAY);
        drop(cured);
    }
    let expired = match name {
        "named" => "stale-answer-enable yes;\nstale-cache-enable yes;\nstale-answer-client-timeout 0;",
        "dnsmasq" => "use-stale-cache",
        _ => "",
    };
    if !expired.is_empty() {
        let _resolver = start(expired);
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-keeps"], "{name}: {found:#?}");
        assert!(found.finding("resolver-keeps")["what"].as_str().unwrap().contains("too old"), "{found:#?}");
    }
    let without_it = start("");
    host.doctor(&[]).is_right_in(&WAY);
    drop(without_it);
    if name == "unbound" {
        // Told as it is printed it says so of what it gives, and keeps nothing.
        let _told = unbound(program, "", &format!("{}server:\n    cache-min-ttl: 3600\n", text("unbound")));
        host.doctor(&[]).is_right_in(&WAY);
        // postscreen keeps it for as long as that.
        if !host.main_cf(&text("postscreen")) || !Path::new("/usr/sbin/postconf").exists() {
            return skipped(
                "resolvers_that_keep_answers",
                "postfix is not installed (apt-get install postfix)",
            );
        }
        let on =
            "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n";
        fs::write("/etc/postfix/master.cf", on).unwrap();
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-keeps"], "{found:#?}");
        let finding = found.finding("resolver-keeps");
        assert!(
            finding["what"].as_str().unwrap().contains("what is not listed for 3600 seconds"),
            "{finding}"
        );
        assert!(finding["cause"].as_str().unwrap().contains("`gatepost block` blocks, passes"), "{finding}");
    }
}

/// A `local-zone` of an administrator's own where gatepost is asked, or below: no line opens it, so it is named.
#[test]
fn unbound_with_a_local_zone_of_its_own() {
    let test = "unbound_with_a_local_zone_of_its_own";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        let told = host.snippet("unbound");
        for (lines, name) in [
            ("local-zone: \"gatepost.internal\" static", "resolver-built-in"),
            ("local-zone: \"block.gatepost.internal.\" always_nxdomain", "resolver-built-in"),
            ("local-zone: \"127.block.gatepost.internal\" static", "resolver-built-in"),
            ("local-zone: \"block.gatepost.internal\" refuse", "resolver-refuses"),
        ] {
            let resolver = unbound(&program, &format!(" {lines}\n"), &told);
            let found = host.doctor(&[]);
            assert_eq!(found.first(name), [""], "{found:#?}");
            let (how, _) = &found.cures(name)[0];
            let place = format!("{}/unbound.conf:", resolver.folder().display());
            assert!(how.contains(&format!("take `{lines}` ({place}")), "{how}");
        }
        // Taken out.
        let _without = unbound(&program, "", &told);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

#[test]
fn dnsmasq_with_filters_of_its_own() {
    let test = "dnsmasq_with_filters_of_its_own";
    let Some(program) = installed("dnsmasq", "dnsmasq-base", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        let told = host.snippet("dnsmasq");
        for (line, name) in [
            ("filter-A", "resolver-empties-answer"),
            ("bogus-nxdomain=127.0.0.2", "resolver-denies-address"),
            ("ignore-address=127.0.0.2", "resolver-refuses-address"),
            ("alias=127.0.0.2,192.0.2.1", "resolver-invents"),
            ("address=/block.gatepost.internal/", "resolver-built-in"),
            ("server=/block.gatepost.internal/127.0.0.9#5355", "resolver-unreached"),
        ] {
            let resolver = dnsmasq(&program, line, &told);
            let found = host.doctor(&[]);
            let server =
                told.lines().filter(|_| line.starts_with("server")).find(|told| told.starts_with("server=/"));
            let cure = &found.first(name)[0];
            assert!(server.map_or(cure.is_empty(), |server| cure.contains(server)), "{line}: {found:#?}");
            let (how, _) = &found.cures(name)[0];
            let place = format!("{}/dnsmasq.conf:", resolver.folder().display());
            assert!(how.contains(&format!("take `{line}` ({place}")), "{how}");
        }
        // Taken out.
        let _without = dnsmasq(&program, "", &told);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Response policies that judge by the address: what they do is named, and a line opens them.
/// One above answers for gatepost's zones as well: a line opens them.
#[test]
fn unbound_with_a_local_zone_above() {
    let test = "unbound_with_a_local_zone_above";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        let told = host.snippet("unbound");
        for kind in ["static", "refuse", "always_null", "deny"] {
            let above = format!(" local-zone: \"internal.\" {kind}\n");
            let resolver = unbound(&program, &above, &told);
            let found = host.doctor(&[]);
            let first = found.findings(&["resolver"]).remove(0);
            let checks = found.finding(&first);
            assert!(checks["cause"].as_str().unwrap().contains(above.trim()), "{kind}: {found:#?}");
            let (_, lines) = &found.cures(&first)[0];
            drop(resolver);
            let _cured = unbound(&program, &above, &format!("{told}\n{lines}"));
            host.doctor(&[]).is_right_in(&WAY);
        }
    });
}

#[test]
fn unbound_with_a_response_policy() {
    let test = "unbound_with_a_response_policy";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        let told = host.snippet("unbound");
        let folder = tempfile::tempdir().unwrap();
        let zone = folder.path().join("rpz.zone");
        let start = |records: &str| {
            let head = "$TTL 60\n$ORIGIN rpz.\n@ SOA ns.rpz. root.rpz. 1 600 300 86400 60\n@ NS localhost.\n";
            fs::write(&zone, format!("{head}{records}\n")).unwrap();
            let policy = format!("rpz:\n name: \"rpz.\"\n zonefile: \"{}\"\n", zone.display());
            unbound(&program, " module-config: \"respip validator iterator\"\n", &format!("{told}\n{policy}"))
        };
        for (record, name) in [
            ("8.0.0.0.127.rpz-ip CNAME .", "resolver-denies-address"),
            ("*.internal CNAME .", "resolver-built-in"),
        ] {
            let resolver = start(record);
            let found = host.doctor(&[]);
            found.first(name);
            let cures = found.cures(name);
            let cure = cures.iter().find(|(how, _)| how.contains("RPZ"));
            let (_, lines) = cure.unwrap_or_else(|| panic!("{record}: {found:#?}"));
            drop(resolver);
            let _cured = start(&format!("{record}\n{lines}"));
            host.doctor(&[]).is_right_in(&WAY);
        }
    });
}

#[test]
fn bind_with_a_response_policy() {
    let test = "bind_with_a_response_policy";
    let Some(program) = installed("named", "bind9", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE], "");
        let told = host.snippet("bind");
        let within = uncommented(&told, "//", "validate-except {");
        let folder = tempfile::tempdir().unwrap();
        let zone = folder.path().join("rpz.zone");
        let start = |records: &str| {
            let head = "$TTL 60\n@ SOA ns.rpz. root.rpz. 1 600 300 86400 60\n@ NS localhost.\n";
            fs::write(&zone, format!("{head}{records}\n")).unwrap();
            let beside = format!("{told}\nzone \"rpz\" {{ type primary; file \"{}\"; }};\n", zone.display());
            let resolver = bind(&program, &format!("{within}response-policy {{ zone \"rpz\"; }};"), &beside);
            // It answers before its policy is there.
            thread::sleep(Duration::from_secs(2));
            resolver
        };
        for (record, name) in [
            ("8.0.0.0.127.rpz-ip CNAME .", "resolver-denies-address"),
            ("8.0.0.0.127.rpz-ip CNAME *.", "resolver-empties-answer"),
            ("8.0.0.0.127.rpz-ip A 192.0.2.1", "resolver-invents"),
            ("*.gatepost.internal CNAME .", "resolver-built-in"),
        ] {
            let resolver = start(record);
            let found = host.doctor(&[]);
            found.first(name);
            let cures = found.cures(name);
            let cure = cures.iter().find(|(how, _)| how.contains("response-policy"));
            let (_, lines) = cure.unwrap_or_else(|| panic!("{record}: {found:#?}"));
            drop(resolver);
            // One record for a name: what stood there goes.
            let record = if record.starts_with("*.gatepost") { "" } else { record };
            let _cured = start(&format!("{record}\n{lines}"));
            host.doctor(&[]).is_right_in(&WAY);
        }
    });
}

/// A root that is signed, as the world's is, and denies what nobody has. Ends with this.
struct SignedRoot {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for SignedRoot {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

impl SignedRoot {
    /// No filter takes that for an address at home.
    const AT: &str = "198.18.0.8";

    fn start(named: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (at, ip) = (folder.path().display(), Self::AT);
        let zone = format!(
            "$TTL 86400\n@ SOA a.root. b.root. 1 1800 900 604800 86400\n@ NS a.root.\na.root. A {ip}\n"
        );
        file(folder.path(), "root", &zone);
        sh(&format!(
            "cd {at}; for kind in '' '-f KSK'; do dnssec-keygen -q -a ECDSAP256SHA256 $kind .; done; \
             dnssec-signzone -q -S -o . -f signed root; cat K*.key > anchors"
        ));
        file(folder.path(), "hints", &format!(". 3600000 NS a.root.\na.root. 3600000 A {ip}\n"));
        // BIND listens where an interface has the address alone.
        sh(&format!("ip address add {ip}/32 dev lo"));
        let config = format!(
            "options {{ directory \"{at}\"; pid-file none; session-keyfile none; listen-on {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no; \
             dnssec-validation no; }};\ncontrols {{ }};\nzone \".\" {{ type primary; file \"signed\"; }};\n"
        );
        let mut command = Command::new(named);
        command.args(["-g", "-c"]).arg(file(folder.path(), "named.conf", &config));
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let root = Self { child, folder };
        let end = Instant::now() + PATIENCE;
        while dns::try_ask(format!("{ip}:53").parse().unwrap(), "a.root", A).is_none() {
            assert!(Instant::now() < end, "{}", fs::read_to_string(root.folder.path().join("log")).unwrap());
        }
        root
    }

    /// What unbound is to know of it.
    fn known(&self) -> String {
        let at = self.folder.path().display();
        format!(" trust-anchor-file: \"{at}/anchors\"\n root-hints: \"{at}/hints\"\n")
    }
}

/// unbound as it comes answers below what it has verified not to be there, whatever it was told of a name there.
#[test]
fn unbound_below_what_the_root_denies() {
    let test = "unbound_below_what_the_root_denies";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    let (Some(named), Some(_)) =
        (installed("named", "bind9", test), installed("dnssec-signzone", "bind9-utils", test))
    else {
        return;
    };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE, "other.gatepost.internal"], "");
        let root = SignedRoot::start(&named);
        let told = host.snippet("unbound");
        let listed = format!("2.0.0.127.{ZONE}");
        // As anybody can have it asked, by a sender's address.
        let denied = || assert_eq!(asked("anybody.internal"), (dns::NXDOMAIN, vec![]));
        let resolver = unbound(&program, &root.known(), &told);
        denied();
        assert_eq!(asked(&listed), (NOERROR, vec![[127, 0, 0, 2]]));
        host.doctor(&[]).is_right_in(&WAY);
        drop(resolver);
        // As it was printed once: it is said before it happens, and when it has.
        let line = "    forward-no-cache: yes\n";
        let older = told.replace(line, "");
        assert_ne!(older, told);
        let resolver = unbound(&program, &root.known(), &older);
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-denied-above"], "{found:#?}");
        assert_eq!(found.finding("resolver-denied-above")["level"], "warn");
        // What is asked it still has from before.
        denied();
        assert_eq!(asked(&format!("9.113.0.203.{ZONE}")).0, dns::NXDOMAIN);
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-denied-above"], "{found:#?}");
        drop(resolver);
        // It lets pass what it does not find signed, and is not told that it does not.
        let permissive = root.known() + " val-permissive-mode: yes\n";
        let resolver = unbound(&program, &permissive, &without(&told, "domain-insecure"));
        denied();
        assert_eq!(asked(&listed), (NOERROR, vec![[127, 0, 0, 2]]));
        host.doctor(&[]).is_right_in(&WAY);
        drop(resolver);
        let resolver = unbound(&program, &root.known(), &older);
        denied();
        assert_eq!(asked(&listed).0, dns::NXDOMAIN, "it is no longer so; is the line needed?");
        let found = host.doctor(&[]);
        assert_eq!(found.first("resolver-denied-above"), [line.trim_end()], "{found:#?}");
        let (how, _) = &found.cures("resolver-denied-above")[0];
        let place = format!(
            "in the `forward-zone` of `gatepost.internal` ({}/gatepost.conf:",
            resolver.folder().display()
        );
        assert!(how.contains(&place), "{how}");
        drop(resolver);
        // A line that belongs to the section which the text ends with.
        let _cured = unbound(&program, &root.known(), &(older + line));
        denied();
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// A zone that a resolver has been told of says nothing of one beside it.
#[test]
fn unbound_that_was_told_of_one_zone() {
    let test = "unbound_that_was_told_of_one_zone";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&[ZONE, "other.gatepost.internal"], "");
        let told = host.snippet("unbound");
        let of_one = unbound(&program, "", &told.replace("\"gatepost.internal\"", &format!("\"{ZONE}\"")));
        let found = host.doctor(&[]);
        assert!(!found.findings(&["resolver"]).is_empty(), "{found:#?}");
        assert!(
            found.json()["first"]["what"].as_str().unwrap().contains("other.gatepost.internal"),
            "{found:#?}"
        );
        drop(of_one);
        let _told = unbound(&program, "", &told);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Names below localhost: who answers them by itself whatever it is told is named, and who can be told is told.
#[test]
fn a_zone_below_localhost() {
    let test = "a_zone_below_localhost";
    let zone = "dnsbl.localhost";
    if let Some(program) = installed("pdns_recursor", "pdns-recursor", test) {
        in_own_network(test, move || {
            let host = Host::start(&[zone], "");
            let told = host.snippet("pdns-recursor");
            assert!(
                told.contains("# dnsbl.localhost: PowerDNS recursor answers 127.0.0.1 by itself"),
                "{told}"
            );
            let _resolver = pdns_recursor(&program, "", &told, &uncommented(&told, "#", "addNTA("));
            assert_eq!(asked("1.0.0.127.dnsbl.localhost"), (NOERROR, vec![[127, 0, 0, 1]]));
            let found = host.doctor(&[]);
            found.first("resolver-built-in");
            assert!(
                found.json()["first"]["cause"].as_str().unwrap().contains("below localhost"),
                "{found:#?}"
            );
        });
    }
    if let Some(program) = installed("named", "bind9", test) {
        in_own_network(test, move || {
            let host = Host::start(&[zone], "");
            let told = host.snippet("bind");
            let folder = tempfile::tempdir().unwrap();
            let local = folder.path().join("db.local");
            // As Debian has it.
            let debian = "$TTL 604800\n@ IN SOA localhost. root.localhost. (2 604800 86400 2419200 604800)\n\
                          @ IN NS localhost.\n@ IN A 127.0.0.1\n@ IN AAAA ::1\n";
            let start = |records: &str| {
                fs::write(&local, format!("{debian}{records}")).unwrap();
                let within = uncommented(&told, "//", "validate-except {");
                let own = format!("zone \"localhost\" {{ type master; file \"{}\"; }};", local.display());
                bind(&program, &within, &format!("{told}\n{own}\n"))
            };
            let as_it_comes = start("");
            host.doctor(&[]).first("resolver-has-zone-above");
            drop(as_it_comes);
            let _told = start(&uncommented(&told, "//", "dnsbl.localhost. 300 IN NS"));
            host.doctor(&[]).is_right_in(&WAY);
        });
    }
    // The others take the text as it is.
    if let Some(program) = installed("unbound", "unbound", test) {
        in_own_network(test, move || {
            let host = Host::start(&[zone], "");
            let told = host.snippet("unbound");
            let _resolver = unbound(&program, "", &told);
            host.doctor(&[]).is_right_in(&WAY);
            // Without the line for it, it is what is built in.
            drop(_resolver);
            let _shut = unbound(&program, "", &without(&told, "local-zone"));
            host.doctor(&[]).first("resolver-built-in");
        });
    }
}

/// More zones than are asked for what they list, and one that the server was not told of: no resolver is blamed for that one.
#[test]
fn a_zone_that_the_server_was_not_told_of() {
    let test = "a_zone_that_the_server_was_not_told_of";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let zones = ["a", "b", "c", "d", "e"].map(|name| format!("{name}.gatepost.internal"));
        let mut host = Host::start(&zones.each_ref().map(String::as_str), "");
        host.configure_more("[zone.\"late.gatepost.internal\"]\nlists = [\"own\"]\n");
        host.site.sync(&[]).expect(0);
        let _resolver = unbound(&program, "", &host.snippet("unbound"));
        let found = host.doctor(&[]);
        assert_eq!(found.first("not-told"), ["systemctl reload gatepost"]);
        let what = found.finding("not-told")["what"].as_str().unwrap().to_owned();
        assert!(what.ends_with("UDP: late.gatepost.internal: REFUSED"), "{what}");
        assert_eq!(found.findings(&WAY), ["not-told"], "{found:#?}");
        host.reload("late.gatepost.internal");
        host.doctor(&[]).is_right_in(&WAY);
    });
}

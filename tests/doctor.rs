//! `gatepost doctor` on hosts where something is wrong on purpose: it names that first, and its cure, applied as it is
//! printed, sets it right. Real resolvers on port 53 of networks of their own; a healthy host gives no finding.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use common::site::Site;
use common::{installed, skipped};
use doctor_support::resolvers::{bind, unbound};
use doctor_support::{Host, Resolver, file, in_own_network, without};

/// A zone under the suffix that is meant for it, and one under a name that resolvers answer by themselves.
const ZONES: [&str; 2] = ["block.gatepost.internal", "bl.test"];

const WAY: [&str; 2] = ["server", "resolver"];

/// What unbound has been told, what the doctor calls what is wrong, and which of its cures belongs there.
fn unbound_cured(
    test: &'static str,
    zones: &'static [&'static str],
    lost: &'static str,
    name: &'static str,
    cure: usize,
) {
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(zones, "");
        let told = match lost {
            "" => String::new(),
            lost => without(&host.snippet("unbound"), lost),
        };
        let resolver = unbound(&program, "", &told);
        let found = host.doctor(&[]);
        let cures = found.first(name);
        assert_eq!(found.findings(&["server"]), [""; 0], "{found:#?}");
        // What the resolver hides, the C library does not see either.
        assert!(found.findings(&["resolver"]).contains(&"c-library".to_owned()), "{found:#?}");
        drop(resolver);
        let _cured = unbound(&program, "", &format!("{told}{}\n", cures[cure]));
        host.doctor(&[]).is_right_in(&WAY);
    });
}

#[test]
fn unbound_that_asks_nobody_on_loopback() {
    let test = "unbound_that_asks_nobody_on_loopback";
    unbound_cured(test, &ZONES[..1], "do-not-query-localhost", "resolver-unreached", 0);
}

#[test]
fn unbound_that_was_told_nothing() {
    unbound_cured("unbound_that_was_told_nothing", &ZONES[..1], "", "resolver-unreached", 1);
}

#[test]
fn unbound_that_validates() {
    unbound_cured("unbound_that_validates", &ZONES[..1], "domain-insecure", "resolver-validates", 0);
}

#[test]
fn unbound_that_filters() {
    unbound_cured("unbound_that_filters", &ZONES[..1], "private-domain", "resolver-empties-answer", 0);
}

/// Two traps at once, which hide each other: one cure opens both.
#[test]
fn unbound_that_validates_and_filters() {
    let test = "unbound_that_validates_and_filters";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let told = without(&without(&host.snippet("unbound"), "domain-insecure"), "private-domain");
        let resolver = unbound(&program, "", &told);
        let found = host.doctor(&[]);
        let cures = found.first("resolver-validates");
        assert!(found.json()["first"]["cause"].as_str().unwrap().contains("two things"), "{found:#?}");
        drop(resolver);
        let _cured = unbound(&program, "", &format!("{told}{}\n", cures[0]));
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Of all the names that a resolver is told of each is asked, and where they are very many that is said.
#[test]
fn one_name_of_many_that_was_forgotten() {
    let test = "one_name_of_many_that_was_forgotten";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&["a.example", "b.example", "c.example", "d.example"], "");
        let snippet = host.snippet("unbound");
        let forgotten = unbound(&program, "", &snippet.replace("c.example", "e.example"));
        let found = host.doctor(&[]);
        let cures = found.first("resolver-unreached");
        assert!(
            found.json()["first"]["what"].as_str().unwrap().ends_with("for 2.0.0.127.c.example"),
            "{found:#?}"
        );
        assert!(cures.iter().any(|lines| lines.contains("c.example")), "{cures:?}");
        drop(forgotten);
        let _told = unbound(&program, "", &snippet);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Zones as they come from rbldnsd, which has no test points: an entry in service is asked instead.
#[test]
fn zones_without_test_points() {
    let test = "zones_without_test_points";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "test-points = false\n");
        let resolver = unbound(&program, "", "");
        let found = host.doctor(&[]);
        let cures = found.first("resolver-unreached");
        let what = found.json()["first"]["what"].as_str().unwrap().to_owned();
        assert!(what.ends_with("for 9.113.0.203.block.gatepost.internal"), "{what}");
        drop(resolver);
        let _told = unbound(&program, "", &cures[1]);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// A zone of IPv6 addresses alone has no test point that would be an IPv4 address: an entry in service is asked.
#[test]
fn zones_of_ipv6_addresses_without_test_points() {
    let test = "zones_of_ipv6_addresses_without_test_points";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let mut host = Host::start(&ZONES[..1], "");
        fs::write(host.site.path("v6.txt"), "2001:db8:9::/48\n").unwrap();
        host.configure_more(
            "[list.v6]\nfile = \"v6.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.6\"\n\
             [zone.\"v6.example\"]\nlists = [\"v6\"]\ntest-points = false\n",
        );
        host.site.sync(&[]).expect(0);
        host.reload("v6.example");
        let snippet = host.snippet("unbound");
        let forgotten = unbound(&program, "", &snippet.replace("v6.example", "v7.example"));
        let found = host.doctor(&[]);
        let cures = found.first("resolver-unreached");
        let what = found.json()["first"]["what"].as_str().unwrap().to_owned();
        assert!(what.ends_with("9.0.0.0.8.b.d.0.1.0.0.2.v6.example"), "{what}");
        drop(forgotten);
        let _told = unbound(&program, "", cures.last().unwrap());
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Told of gatepost, and to leave IPv6 alone, on which gatepost is: what is not the cause is not told.
#[test]
fn unbound_that_may_not_use_ipv6() {
    let test = "unbound_that_may_not_use_ipv6";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        if UdpSocket::bind("[::1]:0").is_err() {
            return skipped(test, "no IPv6 here");
        }
        let host = Host::listening("[::1]:5354", &ZONES[..1], "");
        let told = host.snippet("unbound");
        let without = unbound(&program, " do-ip6: no\n", &told);
        let found = host.doctor(&[]);
        assert_eq!(found.first("resolver-unreached"), ["server:\n    do-ip6: yes"], "{found:#?}");
        assert!(found.json()["first"]["cause"].as_str().unwrap().contains("do-ip6: no"), "{found:#?}");
        drop(without);
        let _with = unbound(&program, " do-ip6: yes\n", &told);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Told of gatepost, and to speak TLS to everybody.
#[test]
fn unbound_that_asks_everybody_by_tls() {
    let test = "unbound_that_asks_everybody_by_tls";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let told = host.snippet("unbound");
        let with = unbound(&program, " tls-upstream: yes\n", &told);
        // It holds gatepost for dead after a while, which is no cause.
        for _ in 0..3 {
            let found = host.doctor(&[]);
            found.first("resolver-unreached");
            let cause = found.json()["first"]["cause"].as_str().unwrap().to_owned();
            assert!(cause.contains("`tls-upstream: yes`"), "{found:#?}");
        }
        drop(with);
        let _without = unbound(&program, "", &told);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// dnsdist passes on what gatepost says, which has authority and asks nobody, and what the resolver behind says.
#[test]
fn dnsdist_in_front() {
    let test = "dnsdist_in_front";
    let Some(program) = installed("dnsdist", "dnsdist", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES, "");
        let snippet = host.snippet("dnsdist");
        let _resolver = Resolver::start(|folder| {
            // Whoever resolves the rest is away.
            let text = format!(
                "setLocal(\"127.0.0.1:53\")\nnewServer(\"127.0.0.1:9\")\n{snippet}\n{}",
                "addAction(AndRule({QNameRule(\"is.it.up.example.\")}), RCodeAction(DNSRCode.REFUSED))\n"
            );
            let mut command = Command::new(&program);
            command.args(["--supervised", "--disable-syslog", "-C"]).arg(file(folder, "dnsdist.conf", &text));
            command
        });
        host.doctor(&[]).is_right_in(&WAY);
    });
}

#[test]
fn unbound_that_knows_better() {
    unbound_cured("unbound_that_knows_better", &ZONES[1..], "local-zone", "resolver-built-in", 0);
}

#[test]
fn unbound_that_knows_better_and_was_told_nothing() {
    let test = "unbound_that_knows_better_and_was_told_nothing";
    unbound_cured(test, &ZONES[1..], "", "resolver-built-in", 1);
}

/// A local zone above gatepost's is an administrator's: the text alone does not open it, the cure does.
#[test]
fn unbound_with_a_local_zone_above() {
    let test = "unbound_with_a_local_zone_above";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        const ABOVE: &str = " local-zone: \"internal\" static\n";
        for told in [host.snippet("unbound"), String::new()] {
            let resolver = unbound(&program, ABOVE, &told);
            let cures = host.doctor(&[]).first("resolver-built-in");
            drop(resolver);
            let _cured = unbound(&program, ABOVE, &format!("{told}{}\n", cures[0]));
            host.doctor(&[]).is_right_in(&WAY);
        }
    });
}

const ABOVE: &str = "@ 300 IN SOA ns.internal. root.internal. 1 600 300 86400 300\n@ 300 IN NS ns.internal.\n\
                     ns 300 IN A 192.0.2.1\n";

#[test]
fn unbound_that_has_the_zone_above() {
    let test = "unbound_that_has_the_zone_above";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let folder = tempfile::tempdir().unwrap();
        let zone = file(folder.path(), "internal.zone", ABOVE);
        let own = |more: &str| {
            format!("auth-zone:\n    name: \"internal\"\n    zonefile: \"{}\"\n{more}\n", zone.display())
        };
        let snippet = host.snippet("unbound");
        let resolver = unbound(&program, &own("    for-downstream: yes"), &snippet);
        let cures = host.doctor(&[]).first("resolver-has-zone-above");
        drop(resolver);
        let _cured = unbound(&program, &own(&cures[0]), &snippet);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Without a delegation BIND does not look at the zone of type forward.
#[test]
fn bind_that_has_the_zone_above() {
    let test = "bind_that_has_the_zone_above";
    let Some(program) = installed("named", "bind9", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let snippet = host.snippet("bind");
        let within = snippet.lines().find_map(|line| line.strip_prefix("// validate-except"));
        let within = format!("validate-except{}", within.expect("what stands within options"));
        let folder = tempfile::tempdir().unwrap();
        let zone = file(folder.path(), "internal.zone", ABOVE);
        let beside =
            format!("{snippet}\nzone \"internal\" {{ type primary; file \"{}\"; }};\n", zone.display());
        let resolver = bind(&program, &within, &beside);
        let cures = host.doctor(&[]).first("resolver-has-zone-above");
        drop(resolver);
        fs::write(&zone, format!("{ABOVE}{}\n", cures[0])).unwrap();
        let _cured = bind(&program, &within, &beside);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

#[test]
fn bind_that_validates_filters_or_was_told_nothing() {
    let test = "bind_that_validates_filters_or_was_told_nothing";
    let Some(program) = installed("named", "bind9", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES, "");
        let snippet = host.snippet("bind");
        let within = snippet
            .lines()
            .filter_map(|line| line.strip_prefix("// "))
            .find(|line| line.starts_with("validate-except {"));
        let (within, beside) = (within.expect("what stands within options").to_owned(), snippet);

        let validates = bind(&program, "", &beside);
        let cures = host.doctor(&[]).first("resolver-validates");
        drop(validates);
        let cured = bind(&program, &cures[0], &beside);
        host.doctor(&[]).is_right_in(&WAY);
        drop(cured);

        let filters =
            bind(&program, &format!("{within}\ndeny-answer-addresses {{ 127.0.0.0/8; }};"), &beside);
        let cures = host.doctor(&[]).first("resolver-refuses-address");
        drop(filters);
        let cured = bind(&program, &format!("{within}\n{}", cures[0]), &beside);
        host.doctor(&[]).is_right_in(&WAY);
        drop(cured);

        let untold = bind(&program, &within, "");
        let cures = host.doctor(&[]).first("resolver-unreached");
        drop(untold);
        let _cured = bind(&program, &within, &cures[0]);
        host.doctor(&[]).is_right_in(&WAY);
    });
}

#[test]
fn dnsmasq_that_filters_or_was_told_nothing() {
    let test = "dnsmasq_that_filters_or_was_told_nothing";
    let Some(program) = installed("dnsmasq", "dnsmasq-base", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES, "");
        let snippet = host.snippet("dnsmasq");
        let start = |told: &str| {
            Resolver::start(|folder| {
                let text = format!(
                    "listen-address=127.0.0.1\nbind-interfaces\nno-resolv\nno-hosts\npid-file=\nstop-dns-rebind\n\
                     user=root\nconf-file={}\n",
                    file(folder, "gatepost.conf", told).display()
                );
                let mut command = Command::new(&program);
                command.args(["-k", "-C"]).arg(file(folder, "dnsmasq.conf", &text));
                command
            })
        };
        let told = without(&snippet, "rebind-domain-ok");
        let filters = start(&told);
        let cures = host.doctor(&[]).first("resolver-empties-answer");
        drop(filters);
        let cured = start(&format!("{told}{}\n", cures[0]));
        host.doctor(&[]).is_right_in(&WAY);
        drop(cured);

        // With nobody to ask it refuses what it was not told of.
        let untold = start("");
        host.doctor(&[]).first("resolver-refuses");
        drop(untold);
    });
}

/// A cache that keeps what is not listed for an hour, where the zone says a second.
#[test]
fn unbound_that_remembers() {
    let test = "unbound_that_remembers";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let mut host = Host::start(&ZONES[..1], "negative-ttl = \"1s\"\nttl = \"1s\"\n");
        let told = without(&host.snippet("unbound"), "forward-no-cache");
        let resolver = unbound(&program, " cache-min-ttl: 3600\n harden-below-nxdomain: no\n", &told);
        // What is listed lasts too long, too, which its configuration says before anybody is listed.
        let found = host.doctor(&[]);
        assert_eq!(found.findings(&WAY), ["resolver-keeps"], "{found:#?}");
        let keeps = found.finding("resolver-keeps");
        assert_eq!(keeps["cures"][0]["lines"], "server:\n    cache-min-ttl: 0", "{keeps}");
        fs::write(host.site.path("own.txt"), "203.0.113.9\n203.0.113.10\n").unwrap();
        host.site.sync(&[]).expect(0);
        let serial = host.site.serial(ZONES[0]);
        host.server.as_mut().unwrap().wait_for_serial(ZONES[0], serial);
        thread::sleep(Duration::from_secs(5));
        let cures = host.doctor(&[]).first("resolver-remembers");
        assert_eq!(cures, ["unbound-control flush_zone gatepost.internal"]);
        drop(resolver);
        let _forgets = unbound(&program, " harden-below-nxdomain: no\n", &told);
        host.doctor(&[]).is_right_in(&WAY);
        thread::sleep(Duration::from_secs(2));
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// Nobody there: gatepost, then the resolver; and a resolver that is none.
#[test]
fn who_does_not_answer() {
    in_own_network("who_does_not_answer", || {
        let mut host = Host::listening("127.0.0.1:53", &ZONES[..1], "");
        host.doctor(&[]).first("resolver-is-gatepost");
        host.resolv_conf("nameserver 127.0.0.9\nnameserver 127.0.0.1\n");
        let found = host.doctor(&[]);
        found.first("resolver-silent");
        host.server.take().unwrap().stop();
        let found = host.doctor(&[]);
        found.first("silent");
        assert!(found.json()["first"]["cause"].as_str().unwrap().starts_with("no process"), "{found:#?}");
        // Who cannot have an answer is not blamed for having none.
        assert_eq!(found.findings(&["resolver"]), [""; 0], "{found:#?}");
    });
}

/// The servers answer rightly, but the C library does not ask them.
#[test]
fn a_c_library_that_does_not_ask() {
    let test = "a_c_library_that_does_not_ask";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES, "");
        let _resolver = unbound(&program, "", &host.snippet("unbound"));
        host.instead_of("/etc/nsswitch.conf", "hosts: files\n");
        let cures = host.doctor(&[]).first("c-library");
        host.instead_of("/etc/nsswitch.conf", &format!("{}\n", cures[0]));
        host.doctor(&[]).is_right_in(&WAY);
    });
}

/// A sync of which the server knows nothing, and a zone without data.
#[test]
fn a_server_behind_its_store() {
    in_own_network("a_server_behind_its_store", || {
        let host = Host::start(&ZONES[..1], "");
        // Another store under the same server.
        let config = fs::read_to_string(host.site.config()).unwrap();
        fs::write(host.site.config(), config.replace("state = \"state\"", "state = \"other\"")).unwrap();
        fs::write(host.site.path("own.txt"), "203.0.113.9\n203.0.113.10\n").unwrap();
        thread::sleep(Duration::from_millis(1100));
        host.site.sync(&[]).expect(0);
        host.doctor(&[]).first("behind");
    });
}

/// A zone of which the server has not been told, one that waits for data, and one that has nothing left.
#[test]
fn zones_that_do_not_answer() {
    in_own_network("zones_that_do_not_answer", || {
        let mut host = Host::start(&ZONES[..1], "");
        // With data that the server has not looked for, and without.
        let late = "[zone.\"late.gatepost.internal\"]\nlists = [\"own\"]\n";
        host.configure_more(&format!("{late}{}test-points = false\n", late.replace("late", "pointless")));
        let found = host.doctor(&[]);
        let cures = found.first("not-told");
        assert_eq!(cures[0], "systemctl reload gatepost");
        assert!(
            found.json()["first"]["what"].as_str().unwrap().contains("late.gatepost.internal"),
            "{found:#?}"
        );
        host.site.sync(&[]).expect(0);
        assert_eq!(host.doctor(&[]).first("not-told")[0], "systemctl reload gatepost");
        // One without test points is no other case.
        assert!(host.doctor(&[]).findings(&["server"]).iter().all(|name| name == "not-told"));
        // Which is what the cure does.
        host.reload("late.gatepost.internal");
        assert_eq!(host.doctor(&[]).findings(&["server"]), [""; 0]);

        // More zones than are asked: each that has no data is named.
        let more: String = ["p", "q", "r", "s", "t"]
            .map(|name| format!("[zone.\"{name}.example\"]\nlists = [\"none\"]\n"))
            .concat();
        host.configure_more(
            &("[list.none]\nfile = \"none.txt\"\nformat = \"plain\"\nuse = \"block\"\n".to_owned() + &more),
        );
        let found = host.doctor(&[]);
        let named = format!("{found:#?}");
        for zone in ["p.example", "q.example", "r.example", "s.example", "t.example"] {
            assert!(named.contains(zone), "{zone}: {named}");
        }
        found.finding("no-data");
    });
}

/// A list that is too old: that is said first, not what it looks like from outside.
#[test]
fn a_zone_whose_lists_are_too_old() {
    in_own_network("a_zone_whose_lists_are_too_old", || {
        let mut host = Host::start(&["bl.example"], "");
        host.site.put("fed", "9.9.9.9\n");
        let fed = Site::list("fed", 7, "soft-age = \"1s\"\nhard-age = \"2s\"\n");
        host.configure_more(&(fed + &Site::zone("fed.example", &["fed"], "")));
        host.site.sync(&[]).expect(0);
        host.reload("fed.example");
        thread::sleep(Duration::from_secs(4));
        let found = host.doctor(&[]);
        found.first("zone-down");
        assert!(!found.findings(&["server"]).contains(&"wrong-answer".to_owned()), "{found:#?}");
    });
}

/// Postfix's services in a chroot ask whom the copy of resolv.conf there names.
#[test]
fn a_chroot_with_an_old_copy_of_resolv_conf() {
    let test = "a_chroot_with_an_old_copy_of_resolv_conf";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let _resolver = unbound(&program, "", &host.snippet("unbound"));
        if !host.main_cf(&host.snippet("postfix")) || !host.empty("/var/spool/postfix") {
            return skipped(test, "there is no Postfix");
        }
        let master = "smtp inet n - y - - smtpd\n";
        fs::write("/etc/postfix/master.cf", master).unwrap();
        fs::create_dir("/var/spool/postfix/etc").unwrap();
        let copy = "/var/spool/postfix/etc/resolv.conf";
        fs::write(copy, "nameserver 127.0.0.9\n").unwrap();
        let cures = host.doctor(&[]).first("mail-other-resolver");
        assert_eq!(cures[0].lines().next(), Some(format!("cp /etc/resolv.conf {copy}").as_str()));
        // Without a chroot nobody reads it.
        fs::write("/etc/postfix/master.cf", master.replace(" y ", " n ")).unwrap();
        host.doctor(&[]).is_right_in(&["server", "resolver", "mail"]);
        fs::write("/etc/postfix/master.cf", master).unwrap();
        fs::copy("/etc/resolv.conf", copy).unwrap();
        host.doctor(&[]).is_right_in(&["server", "resolver", "mail"]);
    });
}

/// SpamAssassin and rspamd with a resolver of their own, and SpamAssassin that asks no lists.
#[test]
fn mail_programs_that_ask_elsewhere() {
    let test = "mail_programs_that_ask_elsewhere";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let _resolver = unbound(&program, "", &host.snippet("unbound"));
        if !host.main_cf(&host.snippet("postfix"))
            || !Path::new("/etc/spamassassin").is_dir()
            || !Path::new("/etc/rspamd").is_dir()
        {
            return skipped(test, "there is no /etc/postfix, /etc/spamassassin or /etc/rspamd");
        }
        let rules = host.snippet("spamassassin");
        let cf = "/etc/spamassassin/gatepost.cf";
        for other in ["127.0.0.9", "127.0.0.1:54"] {
            fs::write(cf, format!("{rules}dns_server {other}\n")).unwrap();
            let found = host.doctor(&[]);
            found.first("mail-other-resolver");
            assert!(
                found.finding("mail-other-resolver")["what"]
                    .as_str()
                    .unwrap()
                    .contains(&format!(" asks {other}:"))
            );
        }
        fs::write(cf, format!("{rules}dns_server 127.0.0.1\nskip_rbl_checks 1\n")).unwrap();
        host.doctor(&[]).first("mail-no-effect");
        fs::write(cf, rules).unwrap();
        fs::create_dir("/etc/rspamd/local.d").unwrap();
        fs::write("/etc/rspamd/local.d/options.inc", "dns { nameserver = [\"127.0.0.9:53\"]; }\n").unwrap();
        host.doctor(&[]).first("mail-other-resolver");
        fs::write("/etc/rspamd/local.d/options.inc", "dns { nameserver = [\"127.0.0.1:53\"]; }\n").unwrap();
        host.doctor(&[]).is_right_in(&["server", "resolver", "mail"]);
    });
}

/// What Postfix has in effect counts, not what its files say somewhere; and all the codes that are answered now.
#[test]
fn postfix_whose_lines_have_no_effect() {
    let test = "postfix_whose_lines_have_no_effect";
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let main_cf = host.snippet("postfix");
        if !host.main_cf(&main_cf) || !Path::new("/usr/sbin/postconf").exists() {
            return skipped(test, "postfix is not installed (apt-get install postfix)");
        }
        let service = "smtp inet n - n - - smtpd\n";
        let found = |main: &str, master: &str| {
            fs::write("/etc/postfix/main.cf", main).unwrap();
            fs::write("/etc/postfix/master.cf", master).unwrap();
            host.doctor(&[])
        };
        let own = "smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination\n";
        assert_eq!(found(&main_cf, service).findings(&["mail"]), [""; 0]);
        assert_eq!(found(&format!("{main_cf}{own}"), service).findings(&["mail"]), ["mail-no-effect"]);
        assert_eq!(found(&format!("{own}{main_cf}"), service).findings(&["mail"]), [""; 0]);
        let with = format!("{service}  -o smtpd_recipient_restrictions=reject_unauth_destination\n");
        let overridden = found(&main_cf, &with);
        assert_eq!(overridden.findings(&["mail"]), ["mail-no-effect"]);
        let cure = overridden.finding("mail-no-effect")["cures"][0]["lines"].as_str().unwrap().to_owned();
        let cure = cure.lines().next().unwrap().to_owned();
        let done = Command::new("sh").args(["-ec", &cure]).output().unwrap();
        assert!(done.status.success(), "{cure}: {done:?}");
        assert_eq!(host.doctor(&[]).findings(&["mail"]), [""; 0]);

        // A list that came after the filter was pasted.
        host.configure_more(
            "[list.more]\nfile = \"own.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.9\"\n",
        );
        let config = fs::read_to_string(host.site.config()).unwrap();
        fs::write(host.site.config(), config.replace("lists = [\"own\"]", "lists = [\"own\", \"more\"]"))
            .unwrap();
        let lacks = host.doctor(&[]).finding("mail-lacks-code");
        assert!(lacks["what"].as_str().unwrap().contains("127.0.1.9 (more)"), "{lacks}");
        assert!(lacks["cures"][0]["lines"].as_str().unwrap().contains("127.0.1.[5;9]"), "{lacks}");
    });
}

/// Everything as `snippet` has it, and with a filter lost.
#[test]
fn a_healthy_host_and_a_filter_that_is_lost() {
    let test = "a_healthy_host_and_a_filter_that_is_lost";
    let Some(program) = installed("unbound", "unbound", test) else { return };
    in_own_network(test, move || {
        let host = Host::start(&ZONES[..1], "");
        let _resolver = unbound(&program, "", &host.snippet("unbound"));
        let main_cf = host.snippet("postfix");
        if !host.main_cf(&main_cf) {
            return skipped(test, "there is no /etc/postfix");
        }
        let found = host.doctor(&[]);
        found.is_right_in(&["server", "resolver", "mail"]);
        // What the machine's kernel allows is not the host's that is made up here.
        assert!(found.findings(&["host"]).iter().all(|name| name == "buffers"), "{found:#?}");
        assert_eq!(found.0.code == Some(0), found.findings(&["host"]).is_empty(), "{found:#?}");

        let filter = "block.gatepost.internal=127.0.1.5";
        fs::write("/etc/postfix/main.cf", main_cf.replace(filter, "block.gatepost.internal")).unwrap();
        let cures = host.doctor(&[]).first("mail-no-filter");
        assert!(cures[0].contains(&format!("reject_rbl_client {filter}")), "{cures:?}");
        fs::write("/etc/postfix/main.cf", "myhostname = mail.example\n").unwrap();
        host.doctor(&[]).first("mail-not-asked");
    });
}

/// A host with more of everything is asked no more, and a doctor who waits for nobody is soon back.
#[test]
fn few_questions() {
    in_own_network("few_questions", || {
        let zones: Vec<String> = (0..12).map(|number| format!("bl{number}.example")).collect();
        let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
        let host = Host::listening("127.0.0.31:5354\", \"127.0.0.32:5354\", \"127.0.0.33:5354", &zones, "");
        let counted = Arc::new(AtomicUsize::new(0));
        for last in 21..24u8 {
            let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, last), 53)).unwrap();
            let counted = Arc::clone(&counted);
            // As long as the test runs, nothing but SERVFAIL.
            thread::spawn(move || {
                let mut packet = [0; 1500];
                while let Ok((len, peer)) = socket.recv_from(&mut packet) {
                    counted.fetch_add(1, Ordering::Relaxed);
                    packet[2] |= 0x80;
                    packet[3] = 0x82;
                    let _ = socket.send_to(&packet[..len], peer);
                }
            });
        }
        host.resolv_conf("nameserver 127.0.0.21\nnameserver 127.0.0.22\nnameserver 127.0.0.23\n");
        let found = host.doctor(&[]);
        found.first("resolver-unreached");
        // Of ten zones it asks no more than whether they are known.
        let asked = found.json()["questions"].as_u64().unwrap() - 10;
        let counted = counted.load(Ordering::Relaxed);
        assert!((30..60).contains(&asked) && (12..40).contains(&counted), "{asked}, {counted} by resolvers");
    });
}

/// Every finding is explained in docs/doctor.md, and nothing is that is no finding.
#[test]
fn findings_are_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    let mut folders = vec![root.join("src/cli/doctor"), root.join("src/doctor")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => sources.push(fs::read_to_string(entry.path()).unwrap()),
            }
        }
    }
    let mut names = BTreeSet::new();
    for source in &sources {
        let source = source.split("#[cfg(test)]").next().unwrap();
        for mark in [
            "Check::bad(",
            "Check::warn(",
            "Check::unknown(",
            "Fault::bad(",
            "Fault::warn(",
            " told(",
            "=told(",
            "of_weight(",
        ] {
            for rest in source.split(mark).skip(1) {
                // The first string of the call; a call whose name comes from elsewhere has none before its end.
                let name = rest.split('"').nth(1).filter(|_| !rest.split('"').next().unwrap().contains(')'));
                names.extend(name.map(str::to_owned));
            }
        }
    }
    // Those that are told from a field.
    for source in &sources {
        let source = source.split("#[cfg(test)]").next().unwrap();
        for mark in ["name: \"mail-", "NAME: &str = \"mail-", "NAME: &str = \"resolver-"] {
            let area = mark.rsplit('"').next().unwrap();
            let rest = source.split(mark).skip(1).filter_map(|rest| rest.split('"').next());
            names.extend(rest.map(|name| format!("{area}{name}")));
        }
    }
    let is_name = |octet: u8| octet.is_ascii_lowercase() || octet == b'-';
    names.retain(|name| !name.starts_with('-') && name.bytes().all(is_name));
    assert!(names.len() > 20, "{names:?}");
    let text = fs::read_to_string(root.join("docs/doctor.md")).unwrap();
    let told: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"))
        .map(|(name, _)| name.to_owned())
        .collect();
    assert_eq!(names, told);
}

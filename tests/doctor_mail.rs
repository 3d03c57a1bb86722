//! `gatepost doctor` on the configuration of those that stand behind Postfix, of Exim, and on what was started before it was told: each
//! mistake made on purpose, named once, and set right by what is printed.
#![cfg(feature = "full")]

mod common;
mod doctor_support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, SystemTime};

use common::skipped;
use doctor_support::mail::{
    BLOCK, SMTP, SPAMASSASSINS, end, found, lines, started, type_in, with_postfix, with_spamassassin,
};
use doctor_support::{Host, in_own_network};

/// What `snippet` prints for a list of names that answers as the test point does, and has a zone for itself.
#[test]
fn names_without_a_code() {
    let test = "names_without_a_code";
    in_own_network(test, move || {
        let host = Host::start(&[BLOCK], "");
        host.configure_more(
            "[list.names]\nfile = \"names.txt\"\nformat = \"names\"\nuse = \"block\"\n\
             [zone.\"pn.gatepost.internal\"]\nlists = [\"names\"]\n",
        );
        if !host.main_cf("") {
            return skipped(test, "postfix is not installed (apt-get install postfix)");
        }
        let text = host.snippet("postfix");
        assert!(
            text.contains("pn.gatepost.internal=127.0.2.2") && text.contains("rejects no name"),
            "{text}"
        );
        assert_eq!(found(&host, &text, SMTP).findings(&["mail"]), [""; 0]);
        fs::remove_file("/etc/postfix/main.cf").unwrap();
        host.make_place("/etc", "exim4");
        let acl = host.snippet("exim");
        assert!(acl.contains("pn.gatepost.internal=127.0.2.2/"), "{acl}");
        let config = format!(
            "domainlist local_domains = example.org\nhostlist relay_from_hosts = 127.0.0.1\nacl_smtp_rcpt = rcpt\nbegin acl\nrcpt:\n{acl}\n\
             accept domains = +local_domains\ndeny\n"
        );
        fs::write("/etc/exim4/exim4.conf", config).unwrap();
        let mut exim = started(&host, "exim4");
        let told = host.doctor(&[]);
        assert_eq!(told.findings(&["mail"]), [""; 0], "{told:#?}");
        assert!(told.0.stdout.contains("Exim"), "{told:#?}");
        end(&mut exim);
    });
}

/// Programs that are asked for nothing but whether they ask, beside a SpamAssassin that has its own files alone.
#[test]
fn others_that_ask() {
    let test = "others_that_ask";
    with_postfix(test, move |host| {
        if !Path::new("/etc/spamassassin").is_dir() || !host.empty("/etc/mail") || !host.empty("/opt") {
            return skipped(test, "there is no /etc/spamassassin, /etc/mail or /opt");
        }
        fs::remove_file("/etc/postfix/main.cf").unwrap();
        fs::write("/etc/spamassassin/local.cf", "report_safe 1\n").unwrap();
        let asks_nothing = || assert_eq!(host.doctor(&[]).findings(&["mail"]), ["mail-not-asked"]);
        let asks = |program: &str| {
            let told = host.doctor(&[]);
            assert_eq!(told.findings(&["mail"]), [""; 0], "{program}");
            assert!(told.0.stdout.contains(&format!("{program} asks {BLOCK}")), "{told:#?}");
        };
        asks_nothing();

        let haraka = |plugins: &str, text: &str| {
            fs::create_dir_all("/opt/haraka/config").unwrap();
            fs::write("/opt/haraka/config/plugins", plugins).unwrap();
            fs::write("/opt/haraka/config/dns-list.ini", text).unwrap();
        };
        haraka("# dns-list\n", &host.snippet("haraka"));
        asks_nothing();
        haraka("dns-list\n", "; [block.gatepost.internal]\n[zen.example]\n");
        asks_nothing();
        haraka("dns-list\n", &host.snippet("haraka"));
        asks("Haraka");
        fs::remove_dir_all("/opt/haraka").unwrap();

        let cf = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let cf = cf.join("programs/sendmail/usr/share/sendmail/cf");
        if !cf.join("m4/cf.m4").is_file() {
            return skipped(test, "no Sendmail below the target folder (.ci/run unpacks it there)");
        }
        for (text, is_told) in [(String::new(), false), (host.snippet("sendmail"), true)] {
            let source = host.site.path("sendmail.mc");
            fs::write(&source, format!("divert(0)dnl\nOSTYPE(`linux')dnl\n{text}MAILER(`smtp')dnl\n"))
                .unwrap();
            let mut m4 = Command::new("m4");
            let made =
                m4.arg(format!("-D_CF_DIR_={}/", cf.display())).arg(cf.join("m4/cf.m4")).arg(source).output();
            fs::write("/etc/mail/sendmail.cf", made.unwrap().stdout).unwrap();
            if is_told { asks("Sendmail") } else { asks_nothing() }
        }
    });
}

/// Rules in a block that does not hold, and a folder that nobody may look into.
#[test]
fn spamassassin_whose_rules_are_not_there() {
    let test = "spamassassin_whose_rules_are_not_there";
    with_postfix(test, move |host| {
        if !Path::new("/etc/spamassassin").is_dir() {
            return skipped(test, "there is no /etc/spamassassin (apt-get install spamassassin)");
        }
        fs::remove_file("/etc/postfix/main.cf").unwrap();
        let rules = host.snippet("spamassassin");
        let with = |pre: &str, rules: &str| {
            fs::write("/etc/spamassassin/init.pre", pre).unwrap();
            fs::write("/etc/spamassassin/gatepost.cf", rules).unwrap();
            host.doctor(&[])
        };
        let within = format!("ifplugin Mail::SpamAssassin::Plugin::DNSEval\n{rules}endif\n");
        let told = with("loadplugin Mail::SpamAssassin::Plugin::SPF\n", &within);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        let cure = lines(&told.finding("mail-no-effect"));
        // What asks for names needs another.
        let told = with(&cure, &within);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        let more = lines(&told.finding("mail-no-effect"));
        assert_eq!(more, "loadplugin Mail::SpamAssassin::Plugin::URIDNSBL");
        let cure = format!("{cure}\n{more}\n");
        assert_eq!(with(&cure, &within).findings(&["mail"]), [""; 0]);
        let told = with(&cure, &format!("if (0)\n{rules}endif\n"));
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert_eq!(
            with(&cure, &format!("if (version >= 3.004)\n{rules}endif\n")).findings(&["mail"]),
            [""; 0]
        );
    });
}

/// Postfix that calls spamc where no spamd is, and one that calls nobody.
#[test]
fn spamassassin_that_nobody_asks() {
    with_spamassassin("spamassassin_that_nobody_asks", |host| {
        let calls = |words: &str| {
            let pipe = format!(
                "spam unix - n n - - pipe flags=Rq user=nobody argv=/usr/bin/spamc {words} -e /usr/sbin/sendmail\n"
            );
            found(host, "content_filter = spam:dummy\n", &format!("{SMTP}{pipe}"))
        };
        let told = calls("-u x");
        assert_eq!(told.findings(&["mail"]), ["mail-not-running"], "{told:#?}");
        assert!(told.0.stdout.contains("hands all mail on as it is"), "{told:#?}");
        assert!(calls("-x").0.stdout.contains("all mail waits"));
        assert_eq!(calls("-d 192.0.2.1").findings(&["mail"]), [""; 0]);
        let spamd = std::net::TcpListener::bind("127.0.0.1:783").unwrap();
        assert_eq!(calls("-u x").findings(&["mail"]), [""; 0]);
        drop(spamd);
        let mode = |mode| fs::set_permissions(SPAMASSASSINS, fs::Permissions::from_mode(mode)).unwrap();
        mode(0o600);
        let told = found(host, "mailbox_command = maildrop\n", SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert_eq!(lines(&told.finding("mail-no-effect")), format!("chmod 644 {SPAMASSASSINS}"));
        mode(0o644);
        let told = found(host, "", SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert!(told.0.stdout.contains("hands mail to nobody who could call it"), "{told:#?}");
        assert_eq!(found(host, "mailbox_command = maildrop\n", SMTP).findings(&["mail"]), [""; 0]);
        // Those do other things.
        let strangers =
            "smtpd_milters = inet:127.0.0.1:8891\nmailbox_transport = lmtp:unix:private/dovecot-lmtp\n";
        let told = found(host, strangers, SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
        assert!(told.0.stdout.contains("mailbox_transport is lmtp:unix:private/dovecot-lmtp"), "{told:#?}");
        let others = strangers.replace("8891", "8891, unix:spamass/spamass.sock");
        assert_eq!(found(host, &others, SMTP).findings(&["mail"]), [""; 0]);
    });
}

/// Filters where strangers' mail does not come by; what is typed has them where it does.
#[test]
fn filters_where_no_stranger_comes_by() {
    const SUBMISSION: &str = "submission inet n - n - - smtpd\n";
    const SCREEN: &str = "smtp inet n - n - 1 postscreen\n";
    const PASS: &str = "smtpd pass - - n - - smtpd\n";
    with_spamassassin("filters_where_no_stranger_comes_by", |host| {
        // Somebody answers spamc.
        let _spamd = std::net::TcpListener::bind("127.0.0.1:783").unwrap();
        let pipe =
            "spam unix - n n - - pipe flags=Rq user=nobody argv=/usr/bin/spamc -e /usr/sbin/sendmail\n";
        for (main, smtpd, others) in [
            ("", format!("{SCREEN}  -o content_filter=spam\n"), PASS),
            ("", SMTP.to_owned() + SUBMISSION + "  -o content_filter=spam\n", ""),
            ("", SMTP.to_owned() + SUBMISSION + "  -o smtpd_milters=unix:/spamass.sock\n", ""),
            ("", SMTP.to_owned() + "other unix - - n - - smtp\n  -o content_filter=spam\n", ""),
            ("content_filter = spam\n", SMTP.to_owned() + "  -o content_filter=\n", SUBMISSION),
            ("smtpd_milters = unix:/spamass.sock\n", SMTP.to_owned() + "  -o smtpd_milters=\n", ""),
            (
                "smtpd_milters = unix:/spamass.sock\n",
                SMTP.to_owned() + "  -o receive_override_options=no_milters\n",
                "",
            ),
        ] {
            let master = format!("{smtpd}{others}{pipe}");
            let told = found(host, main, &master);
            assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{main}{master}: {told:#?}");
            type_in(&lines(&told.finding("mail-no-effect")));
            let told = host.doctor(&[]);
            assert_eq!(told.findings(&["mail"]), [""; 0], "{main}{master}: {told:#?}");
        }
    });
}

/// amavis as Debian has it: SpamAssassin is switched off, and its levels are above what is printed.
#[test]
fn amavis_that_does_otherwise() {
    with_spamassassin("amavis_that_does_otherwise", |host| {
        let folder = "/etc/amavis/conf.d";
        host.make_place("/etc", &folder["/etc/".len()..]);
        let off = "@bypass_spam_checks_maps  = (1);  # DISABLE anti-spam code by default\n1;\n";
        fs::write(format!("{folder}/20-package"), off).unwrap();
        let main = "content_filter = smtp-amavis:[127.0.0.1]:10024\n";
        let told = || found(host, main, SMTP);
        let all = told();
        assert_eq!(all.findings(&["mail"]), ["mail-no-effect"], "{all:#?}");
        let on = lines(&all.finding("mail-no-effect"));
        let own = |more: &str| {
            fs::write(format!("{folder}/50-user"), format!("use strict;\n{more}\n1;\n")).unwrap();
        };
        own(&on);
        assert_eq!(told().findings(&["mail"]), [""; 0]);
        own(&format!("{on}\n$sa_local_tests_only = 1;"));
        assert_eq!(told().findings(&["mail"]), ["mail-no-effect"]);
        let levels = "$sa_tag2_level_deflt = 6.31;\n$sa_kill_level_deflt = 6.31;";
        own(&format!("{on}\n{levels}"));
        let all = told();
        assert_eq!(all.findings(&["mail"]), ["mail-weight"], "{all:#?}");
        assert!(all.0.stdout.contains("$sa_tag2_level_deflt is 6.31"), "{all:#?}");
        let mut rules = fs::read_to_string(SPAMASSASSINS).unwrap();
        for score in lines(&all.finding("mail-weight")).lines() {
            let (rule, _) = score.rsplit_once(' ').unwrap();
            let old = rules.lines().find(|line| line.starts_with(&format!("{rule} "))).unwrap().to_owned();
            rules = rules.replace(&old, score);
        }
        fs::write(SPAMASSASSINS, rules).unwrap();
        assert_eq!(told().findings(&["mail"]), [""; 0]);
    });
}

/// A program that runs since before its files told it to ask.
#[test]
fn started_before_it_was_told() {
    with_spamassassin("started_before_it_was_told", |host| {
        let changed = |after: i64| {
            let at = SystemTime::now();
            let by = Duration::from_secs(after.unsigned_abs());
            let at = if after < 0 { at - by } else { at + by };
            fs::File::options().write(true).open(SPAMASSASSINS).unwrap().set_modified(at).unwrap();
            found(host, "mailbox_command = maildrop\n", SMTP)
        };
        assert_eq!(changed(60).findings(&["mail"]), [""; 0], "it does not run");
        let mut spamd = started(host, "spamd");
        let told = changed(60);
        assert_eq!(told.findings(&["mail"]), ["mail-not-reloaded"], "{told:#?}");
        assert_eq!(lines(&told.finding("mail-not-reloaded")), "systemctl restart spamd");
        assert_eq!(changed(-60).findings(&["mail"]), [""; 0]);
        // spamd begins children one by one, which have what it read itself.
        let mut first = started(host, "spamd child");
        sleep(Duration::from_secs(6));
        let mut second = started(host, "spamd child");
        assert_eq!(changed(-2).findings(&["mail"]), ["mail-not-reloaded"]);
        end(&mut first);
        assert_eq!(changed(-2).findings(&["mail"]), [""; 0], "all children are new");
        // They may be for other reasons: spamd writes its number anew when it reads its files again.
        assert!(host.empty("/run"));
        fs::write("/run/spamd.pid", "").unwrap();
        let wrote = |ago: u64| {
            let at = SystemTime::now() - Duration::from_secs(ago);
            fs::File::options().write(true).open("/run/spamd.pid").unwrap().set_modified(at).unwrap();
        };
        wrote(900);
        assert_eq!(changed(-2).findings(&["mail"]), ["mail-not-reloaded"]);
        wrote(1);
        assert_eq!(changed(-2).findings(&["mail"]), [""; 0]);
        end(&mut second);
        end(&mut spamd);
    });
}

/// postscreen runs for hours, and does not look at main.cf again by itself.
#[test]
fn postscreen_that_was_not_told_again() {
    with_postfix("postscreen_that_was_not_told_again", |host| {
        let on =
            "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\ndnsblog unix - - n - 0 dnsblog\n";
        let main = host.snippet("postscreen") + &host.snippet("postfix");
        let mut postscreen = started(host, "postscreen");
        assert_eq!(found(host, &main, on).findings(&["mail"]), [""; 0]);
        let file = fs::File::options().write(true).open("/etc/postfix/main.cf").unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(60)).unwrap();
        let told = host.doctor(&[]);
        assert_eq!(told.findings(&["mail"]), ["mail-not-reloaded"], "{told:#?}");
        assert_eq!(lines(&told.finding("mail-not-reloaded")), "postfix reload");
        end(&mut postscreen);
        assert_eq!(host.doctor(&[]).findings(&["mail"]), [""; 0]);
    });
}

/// Exim reads its configuration again in the same process, and its log says so.
#[test]
fn exim_that_was_not_told_again() {
    with_postfix("exim_that_was_not_told_again", |host| {
        fs::remove_file("/etc/postfix/main.cf").unwrap();
        host.make_place("/etc", "exim4");
        assert!(host.empty("/var/log"));
        fs::create_dir("/var/log/exim4").unwrap();
        let config = format!(
            "domainlist local_domains = example.org\nhostlist relay_from_hosts = 127.0.0.1\nacl_smtp_rcpt = rcpt\nbegin acl\nrcpt:\n{}\n\
             accept domains = +local_domains\ndeny\n",
            host.snippet("exim")
        );
        fs::write("/etc/exim4/exim4.conf", config).unwrap();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let log = |lines: &[(i64, &str)]| {
            let stamp = |after: &i64| {
                let at = format!("@{}", now.checked_add_signed(*after).unwrap());
                let told = Command::new("date").args(["-d", &at, "+%F %T"]).output();
                String::from_utf8(told.unwrap().stdout).unwrap().trim().to_owned()
            };
            let lines = lines.iter().map(|(after, line)| format!("{} {line}\n", stamp(after)));
            fs::write("/var/log/exim4/mainlog", lines.collect::<String>()).unwrap();
            let file = fs::File::options().write(true).open("/var/log/exim4/mainlog").unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(now + 900)).unwrap();
            host.doctor(&[])
        };
        const BEGINS: &str = "exim 4.96 daemon started: pid=23, -q30m";
        let before = [(-900, BEGINS), (900, "Start queue run: pid=40")];
        assert_eq!(log(&before).findings(&["mail"]), [""; 0], "it does not run");
        let mut exim = started(host, "exim4");
        let told = log(&before);
        assert_eq!(told.findings(&["mail"]), ["mail-not-reloaded"], "{told:#?}");
        assert_eq!(lines(&told.finding("mail-not-reloaded")), "systemctl reload exim4");
        let again = [before[0], (600, BEGINS), before[1]];
        assert_eq!(log(&again).findings(&["mail"]), [""; 0]);
        end(&mut exim);
    });
}

/// Postfix with milters of which none is rspamd's, as far as can be told; rspamd's own files say where it listens.
#[test]
fn a_milter_that_is_not_rspamds() {
    let test = "a_milter_that_is_not_rspamds";
    with_postfix(test, move |host| {
        if !Path::new("/etc/rspamd").is_dir() {
            return skipped(test, "there is no /etc/rspamd (apt-get install rspamd)");
        }
        fs::create_dir("/etc/rspamd/local.d").unwrap();
        let text = host.snippet("rspamd");
        let include = text.lines().find_map(|line| line.strip_prefix("# .include")).unwrap();
        fs::write("/etc/rspamd/rspamd.conf.local", format!(".include{include}\n")).unwrap();
        fs::write("/etc/rspamd/gatepost.conf", &text).unwrap();
        let listens = |text: &str| fs::write("/etc/rspamd/local.d/worker-proxy.inc", text).unwrap();
        let milters = |milters: &str| found(host, &format!("smtpd_milters = {milters}\n"), SMTP);
        // OpenDKIM's.
        let _there = std::net::TcpListener::bind("127.0.0.1:8891").unwrap();
        let _rspamd = [11332, 11900].map(|port| std::net::TcpListener::bind(("127.0.0.1", port)).unwrap());
        assert!(host.empty("/run"));
        fs::create_dir("/run/rspamd").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind("/run/rspamd/milter.sock").unwrap();
        // As rspamd makes it.
        fs::set_permissions("/run/rspamd/milter.sock", fs::Permissions::from_mode(0o666)).unwrap();
        for (places, place) in [
            ("", "inet:localhost:11332"),
            ("bind_socket = \"*:11900\";\n", "inet:localhost:11900"),
            ("bind_socket = \"/run/rspamd/milter.sock mode=0666\";\n", "unix:/run/rspamd/milter.sock"),
        ] {
            listens(places);
            assert_eq!(milters(place).findings(&["mail"]), [""; 0], "{place}");
            let told = milters("inet:localhost:8891, unix:/run/opendmarc.sock");
            assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
            let told = told.finding("mail-no-effect");
            assert_eq!(told["level"], "warn");
            let cure = lines(&told);
            assert!(
                cure.contains("inet:localhost:8891, unix:/run/opendmarc.sock, ") && cure.contains(place),
                "{cure}"
            );
            assert_eq!(found(host, &format!("{cure}\n"), SMTP).findings(&["mail"]), [""; 0], "{cure}");
            // What it hands on, and to whom, nobody can see.
            for unsure in
                ["inet:filter.example:8891", "inet:localhost:8891\ncontent_filter = smtp:[127.0.0.1]:10024"]
            {
                assert_eq!(milters(unsure).findings(&["mail"]), [""; 0], "{unsure}");
            }
        }
        listens("");
        let told = milters("inet:localhost:11900").finding("mail-no-effect");
        assert!(told["cause"].as_str().unwrap().contains("listens at localhost:11332"), "{told}");
        assert_eq!(milters("").finding("mail-no-effect")["level"], "bad");
    });
}

/// rspamd behind Postfix: the proxy is off, hands mail to nobody or is not where Postfix looks for it, and networks are one's own to Postfix alone.
#[test]
fn rspamd_behind_postfix() {
    let test = "rspamd_behind_postfix";
    with_postfix(test, move |host| {
        if !Path::new("/etc/rspamd").is_dir() {
            return skipped(test, "there is no /etc/rspamd (apt-get install rspamd)");
        }
        fs::create_dir("/etc/rspamd/local.d").unwrap();
        let text = host.snippet("rspamd");
        let include = text.lines().find_map(|line| line.strip_prefix("# .include")).unwrap();
        fs::write("/etc/rspamd/rspamd.conf.local", format!(".include{include}\n")).unwrap();
        fs::write("/etc/rspamd/gatepost.conf", &text).unwrap();
        let local = |file: &str, text: &str| fs::write(format!("/etc/rspamd/local.d/{file}"), text).unwrap();
        let main = "smtpd_milters = inet:localhost:11332\n";
        let _rspamd = std::net::TcpListener::bind("127.0.0.1:11390").unwrap();
        let comes = std::net::TcpListener::bind("127.0.0.1:11332").unwrap();
        let told = |main: &str, name: &str| {
            let told = found(host, main, SMTP);
            assert_eq!(told.findings(&["mail"]), [name], "{told:#?}");
            told.finding(name)
        };
        let is_right =
            |main: &str| assert_eq!(found(host, main, SMTP).findings(&["mail"]), [""; 0], "{main}");
        is_right(main);

        let own = format!("{main}mynetworks = 127.0.0.0/8 10.1.0.0/16 5.6.7.0/24\n");
        local("options.inc", "local_addrs = [\"10.0.0.0/8\"];\n");
        let cure = lines(&told(&own, "mail-own-people"));
        assert_eq!(cure, "local_addrs = [\"5.6.7.0/24\"];");
        local("options.inc", &format!("local_addrs = [\"10.0.0.0/8\"];\n{cure}\n"));
        is_right(&own);
        // Whom nobody hands to rspamd it does not have to know.
        local("options.inc", "");
        let elsewhere = own.replace("inet:localhost:11332", "inet:filter.example:8891");
        is_right(&elsewhere);

        for network in ["0.0.0.0/0", "5.0.0.0/8"] {
            local("options.inc", &format!("local_addrs = [\"{network}\"];\n"));
            let name = if network == "0.0.0.0/0" { "mail-no-effect" } else { "mail-trusts-strangers" };
            let how = told(main, name)["cures"][0]["how"].as_str().unwrap().to_owned();
            let place = "out of `local_addrs` at /etc/rspamd/local.d/options.inc:1 ";
            assert!(how.starts_with(&format!("take {network} {place}")), "{how}");
        }
        local("options.inc", "local_addrs = [];\n");
        is_right(main);

        local("worker-proxy.inc", "bind_socket = \"localhost:11332\";\nenabled = false;\n");
        let off = told(main, "mail-no-effect");
        assert_eq!(
            off["cures"][0]["how"],
            "take that line out of /etc/rspamd/local.d/worker-proxy.inc:2, and restart rspamd"
        );
        local(
            "worker-proxy.inc",
            "upstream \"local\" {\n  default = yes;\n  hosts = \"localhost:11390\";\n}\n",
        );
        let cure = lines(&told(main, "mail-no-effect"));
        local("worker-proxy.inc", &cure);
        is_right(main);

        // Postfix asks where nobody is, or another worker of rspamd's: that one goes.
        drop(comes);
        local("worker-proxy.inc", "bind_socket = \"127.0.0.1:11390\";\n");
        for wrong in
            ["inet:127.0.0.1:11332", "inet:localhost:11333", "{ inet:[::1]:11332, connect_timeout=9s }"]
        {
            let wrong = format!("smtpd_milters = {wrong}\n");
            let found = told(&wrong, "mail-no-effect");
            assert_eq!(found["level"], "bad", "{found}");
            assert!(found["cause"].as_str().unwrap().contains("451"), "{found}");
            let cure = lines(&found);
            assert_eq!(cure, "smtpd_milters = { inet:127.0.0.1:11390, default_action=accept }");
            is_right(&format!("{cure}\n"));
        }
        let both = "smtpd_milters = inet:127.0.0.1:11332, { inet:127.0.0.1:11390, default_action=accept }\n";
        let cure = lines(&told(both, "mail-stops"));
        assert_eq!(cure, "smtpd_milters = { inet:127.0.0.1:11390, default_action=accept }");
        is_right(&cure);

        // A service that takes main.cf's milters away.
        let _rspamd = std::net::TcpListener::bind("127.0.0.1:11332").unwrap();
        local("worker-proxy.inc", "");
        for own in ["", "inet:localhost:8891"] {
            let told = found(host, main, &format!("{SMTP}  -o smtpd_milters={own}\n"));
            assert_eq!(told.findings(&["mail"]), ["mail-no-effect"], "{told:#?}");
            let told = told.finding("mail-no-effect");
            assert!(told["what"].as_str().unwrap().contains("smtp/inet (master.cf)"), "{told}");
            type_in(&lines(&told));
            assert_eq!(host.doctor(&[]).findings(&["mail"]), [""; 0]);
        }
    });
}

/// A zone that came after the text was pasted: nobody asks it.
#[test]
fn a_zone_that_nobody_asks() {
    with_postfix("a_zone_that_nobody_asks", |host| {
        let old = host.snippet("postfix");
        assert_eq!(found(host, &old, SMTP).findings(&["mail"]), [""; 0]);
        host.configure_more(
            "[list.later]\nfile = \"later.txt\"\nformat = \"plain\"\nuse = \"block\"\ncode = \"127.0.1.9\"\n\
             [zone.\"later.gatepost.internal\"]\nlists = [\"later\"]\n",
        );
        let told = found(host, &old, SMTP);
        assert_eq!(told.findings(&["mail"]), ["mail-zone-not-asked"], "{told:#?}");
        let told = told.finding("mail-zone-not-asked");
        assert_eq!(told["level"], "warn");
        assert!(told["what"].as_str().unwrap().contains("later.gatepost.internal"), "{told}");
        assert!(
            told["cures"][0]["how"].as_str().unwrap().contains("`gatepost snippet postfix` again"),
            "{told}"
        );
        assert_eq!(found(host, &host.snippet("postfix"), SMTP).findings(&["mail"]), [""; 0]);
        // First of all what is wrong with what there is.
        let wrong = found(host, &old.replace("=127.0.1.5", ""), SMTP).findings(&["mail"]);
        assert!(!wrong.is_empty() && !wrong.contains(&"mail-zone-not-asked".to_owned()), "{wrong:?}");
    });
}

//! Real mail programs that `gatepost snippet` alone has told whom to refuse, behind a real unbound that it has told where to
//! ask: a listed client is refused with the list's text, an unlisted one passes, and so on through [`mail_support::proves`].
//!
//! The packages of Exim, Sendmail and OpenSMTPD cannot be installed beside Postfix's: `.ci/run` unpacks them below the target folder, and puts
//! Haraka there.
#![cfg(feature = "full")]

mod common;
mod mail_support;

use common::{installed, skipped};
use mail_support::programs::{
    POSTFIX, RSPAMD, SENDER, SERVICES, SPAMASSASSIN, exim_config, mail, start_postfix, unpacked,
};
use mail_support::{
    BACKSCATTER, BAD_DOMAIN, BLOCKED, BROAD, Host, LISTED, LISTED_AND_GOOD, LISTED_LATE, Mail, UNLISTED,
    people_decide, programs, proves, refusal,
};

/// Postfix with smtpd on port 25 and postscreen on port 2525.
fn postfix(host: &Host) {
    let texts = host.snippet("postfix") + &host.snippet("postscreen");
    host.file("postfix/main.cf", &(POSTFIX.to_owned() + &texts));
    host.file(
        "postfix/master.cf",
        &("192.0.2.1:25 inet n - n - - smtpd\n\
           192.0.2.1:2525 inet n - n - 1 postscreen\n\
           smtpd pass - - n - - smtpd\n  -o smtpd_recipient_restrictions=reject_unauth_destination\n\
           dnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"
            .to_owned()
            + SERVICES),
    );
    start_postfix(host, &host.path("postfix"));
}

#[test]
fn postfix_smtpd() {
    if installed("postfix", "postfix", "postfix_smtpd").is_none() {
        return;
    }
    let Some(host) = Host::boot("postfix_smtpd") else { return };
    postfix(&host);
    let reply = host.session(25, LISTED, SENDER);
    assert_eq!(
        reply,
        format!(
            "554 5.7.1 Service unavailable; Client host [{LISTED}] blocked using block.gatepost.internal; {LISTED} is on own"
        )
    );
    let named = host.session(25, UNLISTED, &format!("me@{BAD_DOMAIN}"));
    assert!(named.starts_with("554 ") && named.contains("dbl.gatepost.internal"), "{named}");
    let bounce = host.session(25, BACKSCATTER, "");
    assert!(bounce.starts_with("554 ") && bounce.contains("bounce.gatepost.internal"), "{bounce}");
    assert!(host.session(25, UNLISTED, "").starts_with("250 "));
    // Own networks come first, an allow list later: it opens no relay.
    assert!(host.session(25, "127.0.0.1", SENDER).starts_with("250 "));
    people_decide(&host, |client| refusal(host.session(25, client, SENDER)));
    proves(&host, |client| refusal(host.session(25, client, SENDER)));
}

#[test]
fn postfix_postscreen() {
    if installed("postfix", "postfix", "postfix_postscreen").is_none() {
        return;
    }
    let Some(host) = Host::boot("postfix_postscreen") else { return };
    postfix(&host);
    let reply = host.session(2525, LISTED, SENDER);
    assert_eq!(
        reply,
        format!("550 5.7.1 Service unavailable; client [{LISTED}] blocked using block.gatepost.internal")
    );
    people_decide(&host, |client| refusal(host.session(2525, client, SENDER)));
    proves(&host, |client| refusal(host.session(2525, client, SENDER)));
    assert!(host.read("postfix.log").contains(&format!("DNSBL rank 5 for [{LISTED}]")));
}

#[test]
fn exim() {
    let Some(program) = programs::exim("exim") else { return };
    let Some(host) = Host::boot("exim") else { return };
    host.file("exim.acl", &host.snippet("exim"));
    std::fs::create_dir(host.path("exim")).unwrap();
    let config = host.file("exim.conf", &exim_config(".include FOLDER/exim.acl\n"));
    host.give("Debian-exim", "exim");
    host.start("exim", &program, &["-C", config.to_str().unwrap(), "-bdf"]);
    host.wait_for_port("exim", "192.0.2.1", 25);
    let reply = host.session(25, LISTED, SENDER);
    assert_eq!(
        reply,
        format!(
            "550 Service unavailable; client [{LISTED}] blocked using block.gatepost.internal; {LISTED} is on own"
        )
    );
    let named = host.session(25, UNLISTED, &format!("me@{BAD_DOMAIN}"));
    assert!(named.starts_with("550 ") && named.contains("dbl.gatepost.internal"), "{named}");
    let said = host.session_of(25, UNLISTED, SENDER, BAD_DOMAIN);
    assert!(said.starts_with("550 ") && said.contains("dbl.gatepost.internal"), "{said}");
    // An address literal is no list of zones.
    assert!(host.session_of(25, UNLISTED, SENDER, "[IPv6:2001:db8::1]").starts_with("250 "));
    assert!(!host.read("exim/mainlog").contains("strange characters"), "{}", host.read("exim/mainlog"));
    let bounce = host.session(25, BACKSCATTER, "");
    assert!(bounce.starts_with("550 ") && bounce.contains("bounce.gatepost.internal"), "{bounce}");
    assert!(host.session(25, UNLISTED, "").starts_with("250 "));
    people_decide(&host, |client| refusal(host.session(25, client, SENDER)));
    proves(&host, |client| refusal(host.session(25, client, SENDER)));
}

#[test]
fn rspamd() {
    let (Some(program), Some(rspamc)) =
        (installed("rspamd", "rspamd", "rspamd"), installed("rspamc", "rspamd", "rspamd"))
    else {
        return;
    };
    let Some(host) = Host::boot("rspamd") else { return };
    let text = host.snippet("rspamd");
    host.file("rspamd/etc/gatepost.conf", &text);
    let include = text.lines().find_map(|line| line.strip_prefix("# .include")).expect("how to include it");
    host.file("rspamd/etc/rspamd.conf.local", &format!(".include{include}\n"));
    let config = host.file("rspamd/rspamd.conf", RSPAMD);
    let at = host.path("rspamd");
    std::fs::create_dir(at.join("db")).unwrap();
    let variable = |name: &str, below: &str| format!("--var={name}={}", at.join(below).display());
    let variables = [variable("LOCAL_CONFDIR", "etc"), variable("RUNDIR", "db"), variable("DBDIR", "db")];
    let mut arguments = vec!["-f", "-i", "-c", config.to_str().unwrap()];
    arguments.extend(variables.iter().map(String::as_str));
    host.start("rspamd", &program, &arguments);
    host.wait_for_port("rspamd", "127.0.0.1", 11333);
    // Beside those that it has by itself.
    let log = host.read("rspamd.log");
    let (ours, all) =
        (log.matches("added rbl rule GATEPOST_").count(), log.matches("added rbl rule ").count());
    assert!(ours > 5 && all > ours + 5, "{ours} of {all} rules");
    let scan_of = |mail: &str, client: &str, sender: &str, helo: &str| {
        let mail = host.file("a.mail", mail);
        let mut rspamc = host.command(&rspamc);
        rspamc.args(["-h", "127.0.0.1:11333", "--ip", client, "--from", sender, "--helo", helo]);
        let output = rspamc.args(["--rcpt", "user@example.org", "symbols"]).arg(mail).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Action: "), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    };
    let scan =
        |client: &str, sender: &str| scan_of(&mail(client, sender, ""), client, sender, "client.example");
    let bounce =
        mail(BACKSCATTER, "", "").replace(&format!("From: {SENDER}"), "From: mailer-daemon@client.example");
    let bounce = bounce.replace("Subject: hello", "Subject: Undelivered mail: delivery failure");
    let bounced = scan_of(&bounce, BACKSCATTER, "", "client.example");
    assert!(bounced.contains("Action: reject") && bounced.contains("GATEPOST_BOUNCE (0.00)"), "{bounced}");
    let sent = scan_of(&bounce, BACKSCATTER, SENDER, "client.example");
    assert!(!sent.contains("Action: reject") && sent.contains("GATEPOST_BOUNCE (0.00)"), "{sent}");
    let linked = mail(UNLISTED, SENDER, &format!("http://www.{BAD_DOMAIN}/"));
    let linked = scan_of(&linked, UNLISTED, SENDER, "client.example");
    assert!(linked.contains("GATEPOST_DBL (8.00)") && !linked.contains("GATEPOST_DBL_HELO"), "{linked}");
    let named = scan_of(&mail(UNLISTED, SENDER, ""), UNLISTED, SENDER, BAD_DOMAIN);
    assert!(named.contains("GATEPOST_DBL_HELO (8.00)"), "{named}");
    let listed = scan(LISTED, SENDER);
    assert!(listed.contains("Action: reject") && listed.contains("GATEPOST_BLOCK (8.00)"), "{listed}");
    assert!(listed.contains("Service unavailable; client blocked using block.gatepost.internal"), "{listed}");
    assert!(scan(BROAD, SENDER).contains("GATEPOST_BROAD (2.00)"));
    assert!(scan(LISTED_AND_GOOD, SENDER).contains("GATEPOST_OK (-5.00)"));
    people_decide(&host, |client| Some(scan(client, SENDER)).filter(|said| said.contains("Action: reject")));
    proves(&host, |client| Some(scan(client, SENDER)).filter(|said| said.contains("Action: reject")));
}

#[test]
fn spamassassin() {
    let Some(program) = installed("spamassassin", "spamassassin", "spamassassin") else { return };
    let Some(host) = Host::boot("spamassassin") else { return };
    host.file("spamassassin/gatepost.cf", &host.snippet("spamassassin"));
    host.file("spamassassin/local.cf", SPAMASSASSIN);
    for file in std::fs::read_dir("/etc/spamassassin").unwrap().map(Result::unwrap) {
        if file.path().extension().is_some_and(|extension| extension == "pre") {
            std::fs::copy(file.path(), host.path("spamassassin").join(file.file_name())).unwrap();
        }
    }
    let scan = |client: &str, sender: &str, link: &str| {
        let mail = host.file("a.mail", &mail(client, sender, link));
        let mut command = host.command(&program);
        command.arg(format!("--siteconfigpath={}", host.path("spamassassin").display()));
        let output = command.args(["-x", "-t"]).arg(mail).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let warned = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("X-Spam-Status: ") && !warned.contains("GATEPOST"), "{said}{warned}");
        said
    };
    let is_spam = |said: &String| said.contains("X-Spam-Status: Yes");
    let linked = scan(UNLISTED, SENDER, &format!("http://{BAD_DOMAIN}/"));
    assert!(is_spam(&linked) && linked.contains("GATEPOST_DBL"), "{linked}");
    let bounce = scan(BACKSCATTER, "", "");
    assert!(is_spam(&bounce) && bounce.contains("GATEPOST_BOUNCE"), "{bounce}");
    assert!(!scan(UNLISTED, "", "").contains("GATEPOST"));
    assert!(scan(BROAD, SENDER, "").contains("GATEPOST_BROAD"));
    people_decide(&host, |client| Some(scan(client, SENDER, "")).filter(is_spam));
    // Of two zones of block lists, and an allow list: whom all three have passes.
    zone_of_many(&host);
    host.file("spamassassin/gatepost.cf", &host.snippet("spamassassin"));
    for scores in ["", "score GATEPOST_BLOCK 20\nscore GATEPOST_MANY_BLOCK 20\n"] {
        host.file("spamassassin/local.cf", &(SPAMASSASSIN.to_owned() + scores));
        let said = scan(LISTED_AND_GOOD, SENDER, "");
        assert!(said.contains("GATEPOST_OK") && !said.contains("GATEPOST_BLOCK"), "{said}");
        assert!(!said.contains("GATEPOST_MANY_BLOCK") && !is_spam(&said), "{said}");
        assert!(is_spam(&scan(LISTED, SENDER, "")));
    }
    proves(&host, |client| Some(scan(client, SENDER, "")).filter(is_spam));
}

#[test]
fn haraka() {
    let Some(node) = installed("node", "nodejs", "haraka") else { return };
    let modules = unpacked("haraka/node_modules");
    let program = modules.join("Haraka/bin/haraka");
    if !program.is_file() || !modules.join("haraka-plugin-dns-list").is_dir() {
        return skipped(
            "haraka",
            "no Haraka with haraka-plugin-dns-list below the target folder (.ci/run puts them there)",
        );
    }
    let Some(host) = Host::boot("haraka") else { return };
    let at = host.path("haraka");
    let made = host.command(&node).arg(&program).arg("-i").arg(&at).output().unwrap();
    assert!(at.join("config").is_dir(), "{made:?}");
    std::fs::write(at.join("config/dns-list.ini"), host.snippet("haraka")).unwrap();
    std::fs::write(at.join("config/smtp.ini"), "listen=192.0.2.1:25\nnodes=0\n").unwrap();
    std::fs::write(at.join("config/plugins"), "dns-list\nrcpt_to.in_host_list\n").unwrap();
    std::fs::write(at.join("config/host_list"), "example.org\n").unwrap();
    std::os::unix::fs::symlink(&modules, at.join("node_modules")).unwrap();
    host.start("haraka", &node, &[program.to_str().unwrap(), "-c", at.to_str().unwrap()]);
    host.wait_for_port("haraka", "192.0.2.1", 25);
    host.wait("haraka", || host.read("haraka.log").matches("enabling ").count() >= 3);
    let reply = host.session(25, LISTED, SENDER);
    assert_eq!(reply, format!("554 host [{LISTED}] is listed on block.gatepost.internal"));
    proves(&host, |client| refusal(host.session(25, client, SENDER)));
}

/// Its text is taken as it is printed, in a configuration that listens. The filter itself no package brings.
#[test]
fn opensmtpd() {
    let test = "opensmtpd";
    let program = unpacked("opensmtpd/usr/sbin/smtpd");
    if !program.is_file() {
        return skipped(test, "no OpenSMTPD below the target folder (.ci/run unpacks it there)");
    }
    let Some(host) = Host::boot(test) else { return };
    let text = host.snippet("opensmtpd");
    // Behind a line without an end, with what its last line says behind the one that listens.
    let (_, listens) = text.trim_end().rsplit_once("\n# listen on egress port 25").expect("how to listen");
    for listens in ["", listens] {
        let all = format!(
            "action \"local\" maildir{text}listen on 192.0.2.1 port 25{listens}\nmatch from any for any action \"local\"\n"
        );
        let config = host.file("smtpd.conf", &all);
        let said = host.command(&program).args(["-n", "-f"]).arg(&config).output().unwrap();
        if said.status.code() == Some(127) {
            return skipped(
                test,
                &format!("it lacks a library: {}", String::from_utf8_lossy(&said.stderr).trim()),
            );
        }
        let told = String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success() && told.contains("configuration OK"), "{all}: {told}");
    }
}

/// A zone beside the others, in which is whom the allow list has. It has more codes than one FEATURE has patterns for, and a list that only weighs.
fn zone_of_many(host: &Host) {
    let mut config = host.read("gatepost.toml");
    for number in 1..=9 {
        let use_ = if number == 5 { "score" } else { "block" };
        config += &format!(
            "[list.many-{number}]\nfile = \"many-{number}.txt\"\nformat = \"plain\"\nuse = \"{use_}\"\ncode = \"127.0.5.{number}\"\n"
        );
        host.file(
            &format!("many-{number}.txt"),
            match number {
                1 | 9 => "5.6.7.40\n5.6.7.41\n5.6.7.11\n",
                5 => "5.6.7.41\n5.6.7.42\n",
                _ => "5.6.7.43\n",
            },
        );
    }
    let lists: Vec<String> = (1..=9).map(|number| format!("\"many-{number}\"")).collect();
    config += &format!(
        "[zone.\"many.gatepost.internal\"]\nttl = \"1s\"\nnegative-ttl = \"1s\"\nlists = [{}]\n",
        lists.join(", ")
    );
    std::fs::write(host.path("gatepost.toml"), config).unwrap();
    host.gatepost(&["sync"]).expect(0);
    host.signal("gatepost", "HUP");
    host.wait("gatepost", || host.is_listed_in("many", "5.6.7.42", 53));
}

/// It refuses and lets pass. What it cannot do its text says: no allow lists.
#[test]
fn sendmail() {
    let test = "sendmail";
    let (program, macros) =
        (unpacked("sendmail/usr/libexec/sendmail/sendmail"), unpacked("sendmail/usr/share/sendmail/cf"));
    if !program.is_file() || !macros.join("m4/cf.m4").is_file() {
        return skipped(test, "no Sendmail below the target folder (.ci/run unpacks it there)");
    }
    let Some(m4) = installed("m4", "m4", test) else { return };
    let Some(host) = Host::boot(test) else { return };
    let said = host.command(&program).args(["-d0.1", "-bv"]).output().unwrap();
    if said.status.code() == Some(127) {
        return skipped(
            test,
            &format!("it lacks a library: {}", String::from_utf8_lossy(&said.stderr).trim()),
        );
    }
    zone_of_many(&host);
    let snippet = host.snippet("sendmail");
    let source = host.file(
        "sendmail.mc",
        &format!(
            "divert(0)dnl\nOSTYPE(`linux')dnl\ndefine(`confPID_FILE', `FOLDER/sendmail/pid')dnl\n\
             define(`QUEUE_DIR', `FOLDER/sendmail/queue')dnl\ndefine(`STATUS_FILE', `FOLDER/sendmail/status')dnl\n\
             define(`ALIAS_FILE', `')dnl\ndefine(`confDOMAIN_NAME', `mx.example.org')dnl\nLOCAL_DOMAIN(`example.org')dnl\n\
             define(`confTO_RESOLVER_RETRANS', `1s')dnl\ndefine(`confTO_RESOLVER_RETRY', `2')dnl\ndefine(`confQUEUE_LA', `500')dnl\ndefine(`confREFUSE_LA', `500')dnl\nFEATURE(`no_default_msa')dnl\nFEATURE(`accept_unresolvable_domains')dnl\n\
             DAEMON_OPTIONS(`Family=inet, Name=MTA, Port=25, Addr=192.0.2.1')dnl\n{snippet}\
             MAILER(`local')dnl\nMAILER(`smtp')dnl\n"
        ),
    );
    std::fs::create_dir_all(host.path("sendmail/queue")).unwrap();
    let mut m4 = host.command(&m4);
    m4.arg(format!("-D_CF_DIR_={}/", macros.display())).arg(macros.join("m4/cf.m4")).arg(source);
    let made = m4.output().unwrap();
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let config = host.file("sendmail.cf", &String::from_utf8(made.stdout).unwrap());
    // It asks who it is, and waits a minute when nobody knows.
    let hosts = host.file("hosts", "127.0.0.1 localhost\n192.0.2.1 mx.example.org mx\n");
    let script = "mount --bind \"$0\" /etc/hosts; exec \"$1\" -C \"$2\" -bD";
    let paths = [&hosts, &program, &config].map(|path| path.to_str().unwrap());
    let unshare = installed("unshare", "util-linux", test).unwrap();
    host.start(
        "sendmail",
        &unshare,
        &["--mount", "--uts", "sh", "-c", &format!("hostname mx; {script}"), paths[0], paths[1], paths[2]],
    );
    host.wait_for_port("sendmail", "192.0.2.1", 25);
    let reply = host.session(25, LISTED, SENDER);
    assert!(
        reply.starts_with("550 ") && reply.contains(&format!("{LISTED} listed at block.gatepost.internal")),
        "{reply}"
    );
    for client in [UNLISTED, BROAD, BACKSCATTER, "5.6.7.42"] {
        assert_eq!(refusal(host.session(25, client, SENDER)), None, "{client}");
    }
    // Whichever of its addresses the resolver puts first.
    for client in ["5.6.7.40", "5.6.7.41", "5.6.7.43"] {
        let mails = [Mail { client, ..Mail::default() }; 6];
        for said in (0..4).flat_map(|_| host.sessions(25, &mails)) {
            assert!(said.starts_with("550 ") && said.contains("listed at many.gatepost.internal"), "{said}");
        }
    }
    host.gatepost(&["block", BLOCKED]).expect(0);
    host.wait("gatepost", || host.is_listed(BLOCKED, 5354));
    assert!(refusal(host.session(25, BLOCKED, SENDER)).is_some());
    host.stop("gatepost");
    host.wait("gatepost", || !host.is_listed(LISTED_LATE, 5354));
    assert_eq!(refusal(host.session(25, LISTED_LATE, SENDER)), None);
}

//! What SpamAssassin's rules score, and whom they ask for.

use super::*;

/// Names of what is wrong with the printed rules and these lines behind them, what is said, and the cure.
fn told(change: impl Fn(String) -> String, more: &str) -> Vec<(&'static str, String)> {
    let text = change(Program::Spamassassin.text(&wiring()).unwrap());
    let read = |place: &str, text: &str| off::Read {
        program: Program::Spamassassin,
        place: place.to_owned(),
        text: text.to_owned(),
    };
    let mut texts = vec![read("a.cf", &text), read("z.cf", more)];
    spamassassin::again::settle(&mut texts);
    let mut mentions = spamassassin::all(&texts);
    let idle = off::off(&texts, &mut mentions);
    let wiring = wiring();
    let served = Served::of(&config(), &wiring);
    let mut checks = without_effect(&idle, &mentions, &[], &wiring, None);
    let scored = spamassassin::scores::Scored::of(&texts).judge(&mut mentions, &served);
    checks.extend(judge(&mentions, &served, None));
    checks.extend(scored);
    checks.iter().map(|check| (check.name(), format!("{check:?}"))).collect()
}

fn as_printed(more: &str) -> Vec<(&'static str, String)> {
    told(|text| text, more)
}

/// The rules that are printed with this score.
fn rules(score: &str) -> Vec<String> {
    let text = Program::Spamassassin.text(&wiring()).unwrap();
    let of = |line: &str| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["score", rule, value] if value == score => Some(rule.to_owned()),
        _ => None,
    };
    text.lines().filter_map(of).collect()
}

/// What is printed for score lists, and their rules.
fn weighing() -> (String, Vec<String>) {
    let text = Program::Spamassassin.text(&wiring()).unwrap();
    let mut scores = text.lines().filter_map(|line| line.strip_prefix("score ")?.split_whitespace().nth(1));
    let score =
        scores.find(|score| score.parse::<f64>().is_ok_and(|score| (0.0..2.0).contains(&score))).unwrap();
    (score.to_owned(), rules(score))
}

#[test]
fn scores_that_are_not_what_lists_are_for() {
    assert_eq!(as_printed(""), []);
    assert_eq!(as_printed("required_score 5\n"), []);
    let (value, lists) = weighing();
    let (score, allow) = (&lists[0], &rules("-5.0")[0]);
    for (more, line) in [
        (format!("score {score} 6\n"), format!("score    {score} {value}")),
        (format!("score {score} 1 5 1 5.5\n"), format!("score    {score} {value}")),
        (format!("score {allow} 5\n"), format!("score    {allow} -5.0")),
        // In another file than the rules: that line is named.
        (format!("# x\nscore {score} -3\n"), format!("score    {score} {value}")),
    ] {
        let found = as_printed(&more);
        let [(name, told)] = &found[..] else { panic!("{more}: {found:?}") };
        assert_eq!(*name, "mail-wrong-use");
        let at = format!("z.cf:{}", more.lines().count());
        assert!(told.contains(&format!("SpamAssassin, {at}: ")), "{told}");
        assert!(
            told.contains(&format!("in the place of the line at {at}")) && told.contains(&line),
            "{told}"
        );
        assert_eq!(as_printed(&format!("{line}\n")), [], "{line}");
    }
    for fine in [
        format!("score {score} 0.001\n"),
        format!("score {score} 1 9 1 1.5\n"),
        format!("score {allow} -0.001\n"),
        format!("score {score} (6)\n"),
        format!("score {score} 2\n"),
        "score OTHER 9\nrequired_score 6\n".to_owned(),
    ] {
        assert_eq!(as_printed(&fine), [], "{fine}");
    }
}

#[test]
fn a_score_list_that_ends_the_judgement() {
    let (value, lists) = weighing();
    let list = &lists[0];
    let loaded = "loadplugin Mail::SpamAssassin::Plugin::Shortcircuit\n";
    let ends = format!("shortcircuit {list} spam\n");
    let found = as_printed(&format!("{loaded}{ends}"));
    let [("mail-wrong-use", told)] = &found[..] else { panic!("{found:?}") };
    assert!(told.contains("in the place of the line at z.cf:2"), "{told}");
    assert!(told.contains(&format!("score    {list} {value}")), "{told}");
    for fine in [
        ends.clone(),
        format!("{loaded}{ends}shortcircuit {list} off\n"),
        format!("{loaded}shortcircuit GATEPOST_BLOCK spam\n"),
    ] {
        assert_eq!(as_printed(&fine), [], "{fine}");
    }
}

#[test]
fn score_lists_that_are_enough_together() {
    let (value, both) = weighing();
    assert!(both.len() > 1, "{both:?}");
    let found = as_printed("required_score 1.5\n");
    let [("mail-wrong-use", told)] = &found[..] else { panic!("{found:?}") };
    assert!(told.contains("take that line out of z.cf:1"), "{told}");
    let scores: String = both.iter().map(|rule| format!("score {rule} 3\n")).collect();
    let found = as_printed(&scores);
    let [("mail-wrong-use", told)] = &found[..] else { panic!("{found:?}") };
    assert!(told.contains(&format!("score    {} {value}", both[1])), "{told}");
    let names: Vec<&str> =
        as_printed(&format!("{scores}required_score 7\n")).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["mail-weight"]);
}

#[test]
fn thresholds_that_a_block_list_does_not_reach() {
    for (required, cure) in [("500", "take that line out of z.cf:1"), ("19", "take that line out of z.cf:1")]
    {
        let found = as_printed(&format!("required_score {required}\n"));
        let [("mail-weight", told)] = &found[..] else { panic!("{found:?}") };
        assert!(told.contains(cure), "{told}");
    }
    let found = as_printed("required_score 8\n");
    let [("mail-weight", told)] = &found[..] else { panic!("{found:?}") };
    assert!(told.contains("score    GATEPOST_BLOCK 9.0"), "{told}");
    // What null senders alone are refused for, too.
    for rule in rules("6.0") {
        assert!(told.contains(&format!("score    {rule} 9.0")), "{rule}: {told}");
    }
    let scores: String = rules("6.0")
        .iter()
        .map(|rule| format!("score {rule} 9.0\n"))
        .chain(rules("11.0").iter().map(|rule| format!("score {rule} 14.0\n")))
        .collect();
    assert_eq!(as_printed(&format!("{scores}required_score 8\n")), [], "{scores}");
    // Who lowers a score weighs by it.
    assert_eq!(as_printed("required_score 6\n"), []);
    let lowered: String = rules("6.0").iter().map(|rule| format!("score {rule} 3\n")).collect();
    let found = as_printed(&format!("{lowered}required_score 8\n"));
    assert!(found.iter().all(|(_, told)| !told.contains(" 9.0")), "{found:?}");
}

/// An allow list that scores more than what a person blocks makes up for.
#[test]
fn whom_a_person_blocks_is_a_spammer() {
    let allow = &rules("-5.0")[0];
    assert_eq!(as_printed(&format!("score {allow} -6\n")), []);
    let found = as_printed(&format!("score {allow} -40\n"));
    let [("mail-block-unheeded", told)] = &found[..] else { panic!("{found:?}") };
    assert!(told.contains("score    GATEPOST_BLOCK_DECIDED 46.0"), "{told}");
    assert_eq!(as_printed(&format!("score {allow} -40\nscore GATEPOST_BLOCK_DECIDED 46\n")), []);
    assert_eq!(as_printed("score GATEPOST_BLOCK_DECIDED 1\n"), []);
}

/// Whatever a block list scores.
#[test]
fn whom_an_allow_list_has_is_no_spammer() {
    let block = "GATEPOST_BLOCK";
    assert_eq!(as_printed(&format!("score {block} 20\n")), []);
    let text = Program::Spamassassin.text(&wiring()).unwrap();
    let meta = text.lines().find(|line| line.starts_with(&format!("meta     {block} "))).unwrap();
    let lost = format!("meta {block} __{block}\n");
    // 6 and -5: it is let in all the same.
    assert_eq!(as_printed(&lost), []);
    let found = as_printed(&format!("{lost}score {block} 12\n"));
    let [("mail-allow-unheeded", told)] = &found[..] else { panic!("{found:?}") };
    assert!(told.contains("SpamAssassin, z.cf:2: who is on block.gatepost.internal is spam"), "{told}");
    assert!(told.contains("in the place of the line at z.cf:1") && told.contains(meta), "{told}");
    assert_eq!(as_printed(&format!("{lost}{meta}\nscore {block} 12\n")), []);
    // Rules that take back a fixed sum, and whose parts are called otherwise: all of the text.
    let rule = text.lines().find(|line| line.starts_with(&format!("header   __{block} "))).unwrap();
    let rule = rule.replace(&format!("__{block} "), &format!("{block} "));
    let older =
        format!("{rule}\nmeta {block}_ALLOWED {block} && {}\nscore {block}_ALLOWED -6\n", rules("-5.0")[0]);
    assert_eq!(as_printed(&older), []);
    let found = as_printed(&format!("{older}score {block} 20\n"));
    let [("mail-allow-unheeded", told)] = &found[..] else { panic!("{found:?}") };
    assert!(
        told.contains("in /etc/spamassassin/gatepost.cf, in the place of all") && told.contains(meta),
        "{told}"
    );
}

#[test]
fn zones_that_are_asked_for_every_relay() {
    let everywhere = |ending: &'static str| told(move |text| text.replace("-lastexternal", ending), "");
    for ending in ["", "-untrusted"] {
        let found = everywhere(ending);
        assert!(found.len() > 2 && found.iter().all(|(name, _)| *name == "mail-every-relay"), "{found:?}");
        let of_blocks = found.iter().filter(|(_, told)| told.contains("level: Bad")).count();
        assert!((1..found.len()).contains(&of_blocks), "{found:?}");
        assert!(found.iter().all(|(_, told)| told.contains("-lastexternal', '")), "{found:?}");
    }
    for fine in ["-firsttrusted", "-notfirsthop"] {
        assert_eq!(everywhere(fine), [], "{fine}");
    }
    // What is there to be seen alone.
    let seen = "header SEEN eval:check_rbl('seen', 'block.gatepost.internal.', '^127\\.0\\.2\\.2$')\n";
    assert_eq!(as_printed(&format!("{seen}score SEEN 0.001\n")), []);
    assert_eq!(as_printed(&format!("{seen}score SEEN 1\n")).len(), 1);
}

#[test]
fn scores_that_let_in() {
    let scored = |score: &str| -> Vec<&str> {
        as_printed(&format!("score GATEPOST_BLOCK {score}\n")).into_iter().map(|(name, _)| name).collect()
    };
    for fine in ["6", "0 6 0 6"] {
        assert_eq!(scored(fine), [""; 0], "{fine}");
    }
    for wrong in ["-6", "6 -1 6 6"] {
        assert_eq!(scored(wrong), ["mail-wrong-use"], "{wrong}");
    }
    assert_eq!(scored("6 0 6 6"), ["mail-no-effect"]);
}

/// Of a name the last is the rule.
#[test]
fn rules_that_are_written_again_and_lack_codes() {
    let text = Program::Spamassassin.text(&wiring()).unwrap();
    let rule = text.lines().find(|line| line.starts_with("header   __GATEPOST_BLOCK eval")).unwrap();
    let set = rule.split('\'').nth(1).unwrap();
    let older = format!("header __GATEPOST_BLOCK eval:check_rbl_sub('{set}', '127.0.0.4')\n");
    let found = as_printed(&older);
    let [("mail-lacks-code", _)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(as_printed(&format!("{older}{rule}\n")), []);
}

//! What rspamd's weights come to beside what rejects.

use super::*;

/// What is wrong where `actions.conf` says so.
fn told(actions: &str) -> Vec<(String, String)> {
    let (config, wiring) = (config(), wiring());
    let text = Program::Rspamd.text(&wiring).unwrap();
    let place = format!("{}/rspamd.conf.local", rspamd::tree::FOLDER);
    let tree = rspamd::tree::tree(&|path| match path {
        _ if path == place => Some(text.clone()),
        _ => path.ends_with("/local.d/actions.conf").then(|| actions.to_owned()),
    });
    let mut mentions = rspamd::mentions(&place, &text);
    let served = Served::of(&config, &wiring);
    let [_, checks] = rspamd::rules::Rules::of(&tree).judge(&mut mentions, &served);
    checks.iter().map(|check| (check.name().to_owned(), check.cures()[0].lines.clone())).collect()
}

#[test]
fn two_score_lists_that_reject() {
    assert_eq!(told(""), []);
    assert_eq!(told("reject = 4.5;\n"), []);
    assert_eq!(told("reject = 4;\n"), [("mail-wrong-use".to_owned(), "reject = 15;".to_owned())]);
    // One alone is.
    assert!(told("reject = 2;\n").len() > 1);
}

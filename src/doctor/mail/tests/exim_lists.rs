//! What Exim takes for a listing, and what becomes of mail while nobody answers.

use super::*;

fn of_list(verb: &str, list: &str) -> Vec<Check> {
    checks(Program::Exim, &format!("acl_check_rcpt:\n  {verb}\n    {list}\n")).1
}

fn names(checks: &[Check]) -> Vec<&'static str> {
    checks.iter().map(Check::name).collect()
}

/// The block zone as it is printed, `=` taken by something else.
fn block() -> String {
    let text = Program::Exim.text(&wiring()).unwrap();
    let start = text.find("block.gatepost.internal=").unwrap();
    let undecided = &text[start..];
    let item = |text: &str| text[..text.find([' ', '\n']).unwrap()].to_owned();
    let first = item(undecided);
    // What a person blocks may be asked apart.
    match undecided[first.len()..].find("block.gatepost.internal=") {
        Some(at) => format!("{first},{}", item(&undecided[first.len() + at..]).split_once('=').unwrap().1),
        None => first,
    }
}

#[test]
fn answers_by_bits_and_together() {
    let whole = block();
    assert_eq!(of_list("deny", &format!("dnslists = {whole}")), []);
    let (zone, codes) = whole.split_once('=').unwrap();
    // All codes that there are: whoever is on two lists is refused, too.
    assert_eq!(of_list("deny", &format!("dnslists = {zone}=={codes}")), []);
    let some = codes.replace("127.0.2.2,", "").replace(",127.0.2.2", "");
    assert_ne!(some, codes);
    let found = of_list("deny", &format!("dnslists = {zone}=={some}"));
    assert_eq!(names(&found), ["mail-lacks-code", "mail-lacks-code"], "{found:?}");
    assert!(format!("{found:?}").contains("who has 127.0.2.2 (gatepost block), too, passes"), "{found:?}");
    for cure in found.iter().flat_map(Check::cures) {
        assert_eq!(of_list("deny", &cure.lines), [], "{cure:?}");
    }
    // What a person blocks has no bit of these; all answers of a zone have the highest.
    for (filter, finding) in [("&0.0.1.0", "mail-dead-filter"), ("&0.0.2.2", "mail-lacks-code")] {
        let found = of_list("deny", &format!("dnslists = {zone}{filter}"));
        assert_eq!(names(&found), [finding], "{filter}: {found:?}");
        let list = &found[0].cures()[0].lines;
        assert_eq!(of_list("deny", list), [], "{list}");
    }
    assert_eq!(of_list("deny", &format!("dnslists = {zone}&127.0.0.0")), []);
    let found = of_list("deny", &format!("dnslists = {zone}=&0.0.2.2"));
    assert_eq!(names(&found), ["mail-lacks-code", "mail-lacks-code"], "{found:?}");
    // Of lists that are others' nobody knows the bits here.
    assert_eq!(names(&of_list("deny", "dnslists = list.test&0.0.0.4")), ["mail-public-resolver"]);
}

#[test]
fn a_colon_parts_no_codes() {
    let whole = block();
    let (first, last) = whole.rsplit_once(',').unwrap();
    let found = of_list("deny", &format!("dnslists = {first}:{last}"));
    assert_eq!(names(&found), ["mail-unknown-zone", "mail-lacks-code"], "{found:?}");
    assert!(format!("{found:?}").contains("codes are parted by commas"), "{found:?}");
    assert_eq!(of_list("deny", &found[1].cures()[0].lines), []);
}

#[test]
fn no_answer_is_no_listing() {
    let block = block();
    for (verb, list, becomes) in [
        ("deny", format!("dnslists = +include_unknown : {block}"), "all mail is refused"),
        ("drop", format!("dnslists = +Include_Unknown : {block}"), "all mail is refused"),
        ("deny", format!("dnslists = +defer_unknown : {block}"), "all mail has to wait (451)"),
        ("defer", format!("dnslists = +include_unknown : {block}"), "all mail has to wait (451)"),
        ("discard", format!("dnslists = +include_unknown : {block}"), "all mail is thrown away"),
        ("require", format!("!dnslists = +include_unknown : {block}"), "all mail is refused"),
    ] {
        let found = of_list(verb, &list);
        // That it refuses nobody for good is told beside it.
        let found: Vec<_> = found.into_iter().filter(|check| check.name() != "mail-no-effect").collect();
        assert_eq!(names(&found), ["mail-stops"], "{list}: {found:?}");
        let told = format!("{found:?}");
        assert!(
            told.contains(&format!("while nobody answers for block.gatepost.internal, {becomes}")),
            "{told}"
        );
        let lines = &found[0].cures()[0].lines;
        assert!(!lines.contains("_unknown"), "{lines}");
        let left = of_list(verb, lines);
        assert_eq!(names(&left), if verb == "defer" { &["mail-no-effect"][..] } else { &[] }, "{lines}");
    }
    // What is said of others stays said of them.
    let list = format!("dnslists = +include_unknown : other.test=127.0.0.2 : {block}");
    let found = of_list("deny", &list);
    assert_eq!(names(&found)[0], "mail-stops");
    let lines = found[0].cures()[0].lines.replace("\\\n    ", "");
    assert!(lines.starts_with("dnslists = block.gatepost.internal="), "{lines}");
    assert!(lines.ends_with(" : +include_unknown : other.test=127.0.0.2"), "{lines}");
    assert!(!names(&of_list("deny", &lines)).contains(&"mail-stops"));
    for fine in [
        format!("dnslists = +exclude_unknown : {block}"),
        format!("dnslists = +include_unknown : +exclude_unknown : {block}"),
        format!("dnslists = {block} : +include_unknown"),
    ] {
        assert_eq!(of_list("deny", &fine), [], "{fine}");
    }
    assert_eq!(of_list("warn set acl_c_listed = 1", &format!("dnslists = +include_unknown : {block}")), []);
}

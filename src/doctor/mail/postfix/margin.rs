//! Lines of `main.cf` that were to go on with the value above them and begin in the first column, as pasting makes them. Pure.

use super::screen::SITES;

/// Lines that Postfix takes for something else, or for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Broken {
    /// The first of them, and what it says.
    pub(in super::super) line: usize,
    pub(in super::super) says: String,
    /// Postfix reads no file with such a line.
    pub(in super::super) is_fatal: bool,
    /// The parameter that they go on with; nothing where that is not sure.
    pub(in super::super) goes_on: Option<GoesOn>,
}

/// A parameter, whole, as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct GoesOn {
    pub(in super::super) name: String,
    /// Its first line and its last.
    pub(in super::super) lines: (usize, usize),
    pub(in super::super) text: String,
}

/// Words that restrictions begin with.
const BEGIN: [&str; 6] = ["permit", "reject", "check_", "defer", "warn_if_reject", "static:"];

/// The text as it was meant, each line where it stood; and what is broken in it.
pub(super) fn mended(text: &str) -> (String, Vec<Broken>) {
    let mut lines: Vec<String> = Vec::new();
    let mut broken: Vec<Broken> = Vec::new();
    // The parameter that a line may go on with: its name, its line, and whether its value asks for more.
    let mut above: Option<(&str, usize, bool)> = None;
    // The parameter among the broken ones that is being read.
    let mut open = false;
    for (at, line) in text.lines().enumerate() {
        let plain = line.trim();
        if plain.is_empty() || plain.starts_with('#') {
            lines.push(line.to_owned());
            continue;
        }
        let asks_for_more = plain.ends_with([',', '=']);
        if line.starts_with([' ', '\t']) {
            above = above.map(|(name, first, _)| (name, first, asks_for_more));
            lines.push(line.to_owned());
        } else if let Some(name) = name(line).filter(|name| !is_site(above, name, plain)) {
            above = Some((name, at, asks_for_more));
            open = false;
            lines.push(line.to_owned());
            continue;
        } else {
            let is_fatal = name(line).is_none();
            let goes_on = above.filter(|(_, _, more)| *more || open || begins(plain) || !is_fatal);
            if let Some((name, first, _)) = goes_on {
                above = Some((name, first, asks_for_more));
                lines.push(format!("    {plain}"));
                if !open {
                    let goes_on =
                        Some(GoesOn { name: name.to_owned(), lines: (first + 1, 0), text: String::new() });
                    broken.push(Broken { line: at + 1, says: plain.to_owned(), is_fatal, goes_on });
                }
                open = true;
                if let Some(last) = broken.last_mut() {
                    last.is_fatal |= is_fatal;
                }
            } else {
                broken.push(Broken { line: at + 1, says: plain.to_owned(), is_fatal: true, goes_on: None });
                lines.push(format!("# {line}"));
                open = false;
                continue;
            }
        }
        if let Some(GoesOn { lines: (_, end), .. }) =
            broken.last_mut().filter(|_| open).and_then(|broken| broken.goes_on.as_mut())
        {
            *end = at + 1;
        }
    }
    for GoesOn { lines: (first, last), text, .. } in
        broken.iter_mut().filter_map(|broken| broken.goes_on.as_mut())
    {
        *text = lines[*first - 1..*last].join("\n");
    }
    (lines.join("\n") + "\n", broken)
}

/// `name = value`: blanks before the sign, and nothing else.
pub(super) fn name(line: &str) -> Option<&str> {
    let (name, _) = line.split_once('=')?;
    let name = name.trim_end();
    (!name.is_empty() && !name.contains([' ', '\t'])).then_some(name)
}

fn begins(plain: &str) -> bool {
    BEGIN.iter().any(|word| plain.starts_with(word))
}

/// A site with its filter looks like a parameter of that name.
fn is_site(above: Option<(&str, usize, bool)>, name: &str, plain: &str) -> bool {
    let value = plain.split_once('=').map_or("", |(_, value)| value.trim_start());
    above.is_some_and(|(above, ..)| above == SITES) && name.contains('.') && value.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_with_the_line_above() {
        let text = "a = b\nsmtpd_recipient_restrictions =\npermit_mynetworks,\n# x\nreject_rbl_client b.test=127.0.0.2,\ncheck_sender_access inline:{{<> = c}}\n\
                    postscreen_dnsbl_sites =\nb.test=127.0.0.[2;4]*3,\n  c.test=127.0.0.2\ne = f\n";
        let (mended, broken) = mended(text);
        let indented = text
            .replace("\npermit", "\n    permit")
            .replace("\nreject", "\n    reject")
            .replace("\ncheck", "\n    check");
        assert_eq!(mended, indented.replace("\nb.test", "\n    b.test"));
        let told: Vec<_> = broken.iter().map(|broken| (broken.line, broken.is_fatal)).collect();
        assert_eq!(told, [(3, true), (8, false)]);
        let goes_on: Vec<&GoesOn> = broken.iter().filter_map(|broken| broken.goes_on.as_ref()).collect();
        assert_eq!((goes_on[0].name.as_str(), goes_on[0].lines), ("smtpd_recipient_restrictions", (2, 6)));
        assert_eq!(goes_on[1].lines, (7, 9));
        assert_eq!(
            goes_on[1].text,
            "postscreen_dnsbl_sites =\n    b.test=127.0.0.[2;4]*3,\n  c.test=127.0.0.2"
        );
    }

    #[test]
    fn what_is_as_it_was_meant() {
        for right in ["a = b\n  c,\n# d\n  e\n\nf.g=127.0.0.1\n", "smtp-amavis_x = 1\na=\nb =\n c\n"] {
            assert_eq!(mended(right), (right.to_owned(), vec![]), "{right}");
        }
        // Something that lacks its sign goes on with nothing.
        let (text, broken) = mended("a = b\nsmtpd_banner ESMTP\nc = d\n");
        assert_eq!(text, "a = b\n# smtpd_banner ESMTP\nc = d\n");
        assert_eq!((broken[0].line, broken[0].goes_on.as_ref()), (2, None));
        // Even this does when the line above wants more.
        assert!(mended("a = b,\nsmtpd_banner ESMTP\n").1[0].goes_on.is_some());
    }
}

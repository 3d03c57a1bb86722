//! Why rspamd refuses its configuration, in its own words, and what cures that. Pure.

use std::path::Path;

use super::super::super::finding::Cure;

/// What the printed text goes into: no secret is in it.
const OWN: &str = "/etc/rspamd/gatepost.conf";

/// What `rspamadm configtest` says.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Refused {
    pub(in super::super) words: String,
    /// The file, and where it is said the line.
    pub(in super::super) at: String,
    why: Why,
}

#[derive(Debug, PartialEq)]
enum Why {
    Closed,
    Unclosed,
    Other,
}

impl Refused {
    /// `None`: it says nothing that is understood.
    pub(in super::super) fn of(said: &str) -> Option<Self> {
        const HEADS: [&str; 3] = ["failed to load config: ", "rcl parse error: ", "ucl parser error: "];
        let line = said.lines().rfind(|line| HEADS.iter().any(|head| line.contains(head)))?;
        let words =
            HEADS.iter().fold(line, |line, head| line.split_once(head).map_or(line, |(_, rest)| rest));
        let words = words.trim().trim_end_matches(';').to_owned();
        let path = words.split([' ', ';', ',']).find(|word| word.starts_with('/'));
        let path = path.unwrap_or("/etc/rspamd").trim_end_matches(':').to_owned();
        let why = match () {
            () if words.contains("Permission denied") => Why::Closed,
            () if words.contains("unmatched open brace") => Why::Unclosed,
            () => Why::Other,
        };
        let line = words.split_once("line: ").map(|(_, rest)| rest.split(',').next().unwrap_or_default());
        let at = line.map_or_else(|| path.clone(), |line| format!("{path}:{line}"));
        Some(Self { words, at, why })
    }

    /// `user` is whom it runs as, `closed` the first folder above a file that he may not go through.
    pub(in super::super) fn cure(
        &self,
        user: Option<&str>,
        closed: &dyn Fn(&Path) -> Option<String>,
        read: &dyn Fn(&str) -> Option<String>,
    ) -> Cure {
        const AGAIN: &str = "and `systemctl restart rspamd`";
        let file = self.at.split_once(':').map_or(self.at.as_str(), |(file, _)| file);
        let by = |how: String, lines: String| Cure { how, lines };
        match (&self.why, user) {
            (Why::Closed, Some(user)) => match closed(Path::new(file)) {
                Some(folder) => by(
                    format!("let the user {user}, that rspamd runs as, go through {folder}, {AGAIN}"),
                    format!("chgrp {user} {folder}\nchmod g+rx {folder}"),
                ),
                None if file == OWN => by(
                    format!("let the user {user}, that rspamd runs as, read {file}, {AGAIN}"),
                    format!("chmod 644 {file}"),
                ),
                None => by(
                    format!("let the user {user}, that rspamd runs as, read {file}, {AGAIN}"),
                    format!("chgrp {user} {file}\nchmod g+r {file}"),
                ),
            },
            (Why::Unclosed, _) => match read(file).as_deref().and_then(unclosed) {
                Some(Unclosed { before: Some(line), missing }) => by(
                    format!("put what is missing before line {line} of {file}, {AGAIN}"),
                    vec!["}"; missing].join("\n"),
                ),
                Some(Unclosed { before: None, missing }) => by(
                    format!("put what is missing at the end of {file}, {AGAIN}"),
                    vec!["}"; missing].join("\n"),
                ),
                None => by(format!("close the brace in {file}, {AGAIN}"), String::new()),
            },
            _ => {
                let whole =
                    if file == OWN { " (`gatepost snippet rspamd` prints the text whole)" } else { "" };
                by(format!("mend what is said there{whole}, {AGAIN}"), String::new())
            }
        }
    }
}

/// Braces that are opened and not closed.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Unclosed {
    /// The line that seems to begin the next block; nothing where it is the end.
    before: Option<usize>,
    missing: usize,
}

/// What is missing in a text whose blocks stand in at the left edge, as `snippet` prints them; nothing where it is closed.
pub(in super::super) fn unclosed(text: &str) -> Option<Unclosed> {
    let mut depth = 0_usize;
    let mut first = None;
    for (at, line) in text.lines().enumerate() {
        let is_at_edge = line.starts_with(|c: char| c.is_ascii_alphabetic()) && line.contains('{');
        if depth > 0 && is_at_edge && first.is_none() {
            first = Some((at + 1, depth));
        }
        let mut is_quoted = false;
        for c in line.chars() {
            match c {
                '"' => is_quoted = !is_quoted,
                '#' if !is_quoted => break,
                '{' if !is_quoted => depth += 1,
                '}' if !is_quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    let before = first.filter(|(_, missing)| *missing == depth);
    (depth > 0).then(|| Unclosed { before: before.map(|(line, _)| line), missing: depth })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cured(said: &str, text: &str) -> (String, String, String) {
        let refused = Refused::of(said).unwrap();
        let cure = refused.cure(Some("_rspamd"), &|_| None, &|_| Some(text.to_owned()));
        (refused.at, cure.how, cure.lines)
    }

    /// As rspamd 3.4 says it.
    #[test]
    fn what_it_says_and_what_cures_it() {
        let said = "address resolution for x failed\nfailed to load config: ucl parser error: cannot open file /etc/rspamd/gatepost.conf: Permission denied\n";
        let (at, how, lines) = cured(said, "");
        assert_eq!((&*at, &*lines), (OWN, "chmod 644 /etc/rspamd/gatepost.conf"));
        assert!(how.contains("_rspamd") && how.contains("systemctl restart rspamd"), "{how}");
        let (at, _, lines) =
            cured("failed to load config: cannot open /etc/rspamd/rspamd.conf: Permission denied", "");
        assert_eq!(at, "/etc/rspamd/rspamd.conf");
        assert_eq!(lines, "chgrp _rspamd /etc/rspamd/rspamd.conf\nchmod g+r /etc/rspamd/rspamd.conf");

        let said = "failed to load config: ucl parser error: /etc/rspamd/gatepost.conf:5 unmatched open brace at 1; \n";
        let text = "rbl {\n  rbls {\n  }\ngroup \"g\" {\n}\n";
        let (_, how, lines) = cured(said, text);
        assert!(how.starts_with("put what is missing before line 4 of /etc/rspamd/gatepost.conf, "), "{how}");
        assert_eq!(lines, "}");
        let (_, how, lines) = cured(said, "rbl {\n  rbls {\n  # }}\n  a = \"}}\";\n");
        assert!(how.contains("at the end of /etc/rspamd/gatepost.conf"), "{how}");
        assert_eq!(lines, "}\n}");

        let said = "failed to load config: ucl parser error: error while parsing /etc/rspamd/gatepost.conf: line: 7, column: 37 - 'unexpected newline', character: '0x0a'";
        let (at, how, _) = cured(said, "");
        assert_eq!(at, "/etc/rspamd/gatepost.conf:7");
        assert!(how.contains("gatepost snippet rspamd"), "{how}");
        assert_eq!(Refused::of("syntax OK\n"), None);
    }

    #[test]
    fn what_is_closed() {
        for right in ["", "a { b { } }\n", "# {\n", "a = \"{\";\n", "a = 1; # {\n", "a {\n}\nb {\n}\n"] {
            assert_eq!(unclosed(right), None, "{right}");
        }
    }
}

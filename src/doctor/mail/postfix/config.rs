//! How `main.cf` and `master.cf` are written (postconf(5), master(5)). Pure.

use std::collections::BTreeMap;

/// Values by name.
pub(in super::super::super) type Parameters = BTreeMap<String, String>;

/// A parameter as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// A service of `master.cf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: String,
    pub(super) kind: String,
    /// It runs in the folder of the queue.
    pub(super) chroot: bool,
    pub(super) command: String,
    /// What it has in the place of `main.cf`'s.
    pub(super) overrides: Vec<(String, String)>,
    /// All that its command is told.
    pub(super) arguments: String,
}

/// Logical lines, each with the number of its first: a line that begins with a blank goes on with the one before it.
pub(super) fn logical(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        match (line.starts_with([' ', '\t']), lines.last_mut()) {
            (true, Some((_, before))) => {
                before.push(' ');
                before.push_str(line.trim());
            }
            _ => lines.push((at + 1, line.trim().to_owned())),
        }
    }
    lines
}

/// All that `main.cf` sets, in its order.
pub(super) fn written(text: &str) -> Vec<Written> {
    let lines = logical(text).into_iter().filter_map(|(line, text)| {
        let (name, value) = text.split_once('=')?;
        Some(Written { name: name.trim().to_owned(), value: value.trim().to_owned(), line })
    });
    lines.collect()
}

/// Of several the last holds.
pub(super) fn in_effect(written: &[Written]) -> Parameters {
    written.iter().map(|written| (written.name.clone(), written.value.clone())).collect()
}

/// `$name`, `${name}` and `$(name)` in a value.
pub(super) fn expanded(value: &str, parameters: &Parameters) -> String {
    expand(value, parameters, 0)
}

fn expand(value: &str, parameters: &Parameters, depth: usize) -> String {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$').filter(|_| depth < 8) {
        text.push_str(before);
        let closed = match after.as_bytes().first() {
            Some(b'{') => after[1..].split_once('}'),
            Some(b'(') => after[1..].split_once(')'),
            _ => Some(after.split_at(after.find(|c| !is_name(c)).unwrap_or(after.len()))),
        };
        match closed.filter(|(name, _)| !name.is_empty() && name.chars().all(is_name)) {
            Some((name, after)) => {
                let value = parameters.get(name).map_or("", String::as_str);
                text.push_str(&expand(value, parameters, depth + 1));
                rest = after;
            }
            None => {
                text.push('$');
                rest = after;
            }
        }
    }
    text + rest
}

/// The services of a `master.cf`; `chroot` is what `-` stands for there.
pub(super) fn services(text: &str, chroot: bool) -> Vec<Service> {
    let services = logical(text).into_iter().filter_map(|(_, line)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, kind, _, _, jail, _, _, command, arguments @ ..] = &words[..] else { return None };
        Some(Service {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            chroot: if *jail == "-" { chroot } else { *jail == "y" },
            command: (*command).to_owned(),
            overrides: overrides(arguments),
            arguments: arguments.join(" "),
        })
    });
    services.collect()
}

/// `-o name=value` and `-o { name = value }`.
fn overrides(arguments: &[&str]) -> Vec<(String, String)> {
    let mut overrides = Vec::new();
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let Some(first) = word.strip_prefix("-o") else { continue };
        let mut option = first.to_owned();
        if option.is_empty() {
            option = words.next().map_or_else(String::new, |word| (*word).to_owned());
        }
        let open = |text: &str| text.matches('{').count() > text.matches('}').count();
        while option.starts_with('{') && open(&option) {
            let Some(word) = words.next() else { break };
            option.push(' ');
            option.push_str(word);
        }
        let option = option.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(&option);
        if let Some((name, value)) = option.split_once('=') {
            overrides.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    overrides
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_last_holds() {
        let written = written("a = 1\n# a = 9\n  2\nb=$a, ${a} $(c) $\n\na =3\n");
        assert_eq!(written[0], Written { name: "a".to_owned(), value: "1 2".to_owned(), line: 1 });
        assert_eq!(written[2].line, 6);
        let parameters = in_effect(&written);
        assert_eq!(parameters["a"], "3");
        assert_eq!(expanded(&parameters["b"], &parameters), "3, 3  $");
        let circle: Parameters = [("x".to_owned(), "$x".to_owned())].into();
        assert_eq!(expanded("$x", &circle), "$x");
    }

    #[test]
    fn services_and_what_they_have_of_their_own() {
        let text = "smtp inet n - y - - smtpd\n  -o a=b,c -o { d = e f } -oh=i\n#x inet n - y - - smtpd\nshow unix n - - - 0 showq\n";
        let services = services(text, false);
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(services[0].overrides, [pair("a", "b,c"), pair("d", "e f"), pair("h", "i")]);
        assert_eq!((services[0].chroot, services[1].chroot, services.len()), (true, false, 2));
        assert_eq!(services[1].command, "showq");
    }
}

//! What is wrong with a configuration, and where: file, line, column, the line itself and a caret under the place.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::masked::{Masked, without_passwords};

/// The text of one file, for messages that show it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Octets of a file.
    Text(Arc<Document>, Range<usize>),
    /// A whole file or folder.
    File(PathBuf),
    /// An environment variable or a flag, by its name.
    Outside(&'static str),
}

/// A value and where it was said.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    place: Place,
    message: String,
    help: Option<String>,
    passing: bool,
    hides: bool,
}

impl Problem {
    pub(crate) fn new(place: &Place, message: impl Into<String>) -> Self {
        let message = without_passwords(&message.into());
        Self { place: place.clone(), message, help: None, passing: false, hides: false }
    }

    /// Something outside of the configuration that may be there again in a moment: everything else can go on.
    pub(crate) fn passing(mut self) -> Self {
        self.passing = true;
        self
    }

    pub(crate) fn is_passing(&self) -> bool {
        self.passing
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Of a key that nobody knows: what it is given may be a password.
    pub(crate) fn hiding_value(mut self) -> Self {
        self.hides = true;
        self
    }

    /// The file it is in, when it is in one.
    pub fn file(&self) -> Option<&Path> {
        match &self.place {
            Place::Text(document, _) => Some(&document.path),
            Place::File(path) => Some(path),
            Place::Outside(_) => None,
        }
    }

    /// Line and column, both from 1; columns count characters.
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let Place::Text(document, span) = &self.place else { return None };
        let (line_start, line) = line_at(&document.text, span.start);
        Some((line, document.text[line_start..span.start].chars().count() + 1))
    }

    /// What is wrong, in one line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What was expected instead, or what else there is to know.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where in its file it is, to bring the parts of one file into their order.
    pub(crate) fn order(place: &Place) -> usize {
        if let Place::Text(_, span) = place { span.start } else { 0 }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut margin = 1;
        match &self.place {
            Place::File(path) => write!(f, "{}: {}", path.display(), self.message)?,
            Place::Outside(name) => write!(f, "{name}: {}", self.message)?,
            Place::Text(document, span) => {
                let (start, line) = line_at(&document.text, span.start);
                let (_, column) = self.line_and_column().unwrap_or((1, 1));
                writeln!(f, "{}:{line}:{column}: {}", document.path.display(), self.message)?;
                margin = line.to_string().len();
                let Excerpt { text, indent, carets } =
                    Excerpt::of(&document.text[start..], span, start, self.hides);
                writeln!(f, "{:margin$} |", "")?;
                writeln!(f, "{line} | {text}")?;
                write!(f, "{:margin$} | {indent}{carets}", "")?;
            }
        }
        match &self.help {
            Some(help) => write!(f, "\n{:margin$} = {help}", ""),
            None => Ok(()),
        }
    }
}

/// The line of a mistake, or of a long one the part around it.
struct Excerpt {
    text: String,
    /// What stands before the carets: the caret line repeats tabs, so that it stands right at any tab width.
    indent: String,
    carets: String,
}

impl Excerpt {
    /// Characters shown before the place, and from it on.
    const AROUND: (usize, usize) = (100, 100);

    fn of(rest: &str, span: &Range<usize>, start: usize, hides: bool) -> Self {
        let line = rest.lines().next().unwrap_or("");
        let at = (span.start - start).min(line.len());
        let len = line[at..][..(span.end.max(span.start) - span.start).min(line.len() - at)].chars().count();
        // Before it is cut: what is left of a password would not be known as one.
        let masked = Masked::of(line);
        let value = line[at..].find('=').filter(|_| hides).map(|sign| at + sign + 1);
        let masked = match value.filter(|value| line[*value..].contains(['"', '\''])) {
            Some(value) => masked.and_behind(value),
            None => masked,
        };
        let (before, from) = (masked.shown(line, 0..at), masked.shown(line, at..line.len()));
        let (most_before, most_from) = Self::AROUND;
        let skipped = before.chars().count().saturating_sub(most_before);
        let before: String = before.chars().skip(skipped).collect();
        let before = if skipped > 0 { format!("…{before}") } else { before };
        let cut = if from.chars().count() > most_from { "…" } else { "" };
        let shown: String = from.chars().take(most_from).collect();
        Self {
            indent: before.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect(),
            text: format!("{before}{shown}{cut}"),
            carets: "^".repeat(len.clamp(1, most_from)),
        }
    }
}

/// Where the line around octet `at` begins, and its number from 1.
pub(crate) fn line_at(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (start, before.bytes().filter(|&b| b == b'\n').count() + 1)
}

/// All mistakes of a configuration or a catalogue, in the order of the files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        if !self.0.contains(&problem) {
            self.0.push(problem);
        }
    }

    /// `Err` with all of them unless all may pass by themselves, which are given back.
    pub(crate) fn unless_passing(mut self) -> Result<Self, Self> {
        self.sort();
        if self.0.iter().all(Problem::is_passing) { Ok(self) } else { Err(self) }
    }

    /// `Err` with all of them unless there is none.
    pub(crate) fn or<T>(mut self, good: impl FnOnce() -> T) -> Result<T, Self> {
        if self.0.is_empty() {
            return Ok(good());
        }
        self.sort();
        Err(self)
    }

    /// In the order of a file's lines; files stay in the order in which they were read.
    pub(crate) fn sort(&mut self) {
        let mut files: Vec<PathBuf> = Vec::new();
        for file in self.0.iter().filter_map(Problem::file) {
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
        self.0.sort_by_key(|problem| {
            let file = problem.file().and_then(|file| files.iter().position(|known| known == file));
            (file, problem.line_and_column())
        });
    }

    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds those of another part.
    pub fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|problem| self.push(problem));
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// " (did you mean `x`?)" when one of the known words is close to `word`, else nothing.
pub(crate) fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|&(distance, _)| distance <= allowed)
        .min()
        .map_or_else(String::new, |(_, candidate)| format!(" (did you mean `{candidate}`?)"))
}

/// Edit distance: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        let document =
            Arc::new(Document { path: "x.toml".into(), text: "a = 1\n\té = \"bad value\"\n".into() });
        let at = document.text.find("\"bad").unwrap();
        let problem =
            Problem::new(&Place::Text(document, at..at + 11), "no good").help("expected a better one");
        assert_eq!(
            problem.to_string(),
            "x.toml:2:6: no good\n  |\n2 | \té = \"bad value\"\n  | \t    ^^^^^^^^^^^\n  = expected a better one"
        );
    }

    #[test]
    fn of_a_long_line_only_the_place_is_shown() {
        let text = format!("a = [{}\"bad\", {}]\n", "1, ".repeat(30_000), "2, ".repeat(30_000));
        let at = text.find("\"bad").unwrap();
        let document = Arc::new(Document { path: "x.toml".into(), text });
        let shown = Problem::new(&Place::Text(document, at..at + 5), "no good").to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], format!("x.toml:1:{}: no good", at + 1));
        assert!(lines.iter().all(|line| line.chars().count() < 220), "{shown}");
        let caret = lines[3].find('^').unwrap();
        assert_eq!(lines[2].chars().skip(caret).take(5).collect::<String>(), "\"bad\"");
        assert_eq!(lines[3].matches('^').count(), 5);
    }

    #[test]
    fn near_words() {
        assert_eq!(did_you_mean("listn", ["listen", "workers"]), " (did you mean `listen`?)");
        assert_eq!(did_you_mean("hard_age", ["soft-age", "hard-age"]), " (did you mean `hard-age`?)");
        assert_eq!(did_you_mean("colour", ["listen", "workers"]), "");
    }
}

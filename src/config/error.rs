//! What is wrong with a file, in words for the person who wrote it: place, key, value, what was expected and the remedy.
//! No secret is ever part of a message.

use std::fmt;

use super::place::{KeyPath, Place};

/// How much of a value a message shows, in characters.
const SHOWN_MAX: usize = 80;

/// How many problems are written out; nobody reads more before repairing the first.
pub(super) const PROBLEMS_MAX: usize = 50;

/// Everything that is wrong with a file and those that it includes, in the order of their lines; never empty when returned.
///
/// `Display` writes two lines for each: `file:line:column: key: what is wrong`, and what was expected.
#[derive(Debug, Default)]
pub struct ConfigErrors {
    /// The names of the files that problems are in.
    files: Vec<String>,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Debug)]
pub(super) struct Problem {
    place: Option<Place>,
    path: KeyPath,
    found: String,
    expected: String,
}

impl ConfigErrors {
    /// All `problems` of the files of these names, sorted by place.
    pub(super) fn new(files: Vec<String>, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| (problem.path.file(), problem.place));
        Self { files, problems }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(PROBLEMS_MAX).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let file = self.files.get(problem.path.file()).map(|name| shown_name(name)).unwrap_or_default();
            write!(f, "{file}:{}{problem}", if problem.place.is_some() { "" } else { " " })?;
        }
        match self.problems.len().checked_sub(PROBLEMS_MAX) {
            Some(more @ 1..) => write!(f, "\n… and {more} more"),
            Some(0) | None => Ok(()),
        }
    }
}

impl std::error::Error for ConfigErrors {}

impl Problem {
    /// What was `found` at `place`, and what was `expected` there.
    pub(super) fn at(place: Place, path: KeyPath, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { place: Some(place), path, found: found.into(), expected: expected.into() }
    }

    /// The problem with its place at `end` where that would be beyond it.
    pub(super) fn no_later_than(mut self, end: Place) -> Self {
        self.place = self.place.map(|place| if place.line > end.line { end } else { place });
        self
    }

    /// The same problem of another file.
    pub(super) fn in_file(mut self, file: usize) -> Self {
        self.path = self.path.in_file(file);
        self
    }

    /// What is wrong with the file as a whole.
    pub(super) fn of_file(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { place: None, path: KeyPath::default(), found: found.into(), expected: expected.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { line, column }) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        if !self.path.is_root() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}\n  expected: {}", self.found, self.expected)
    }
}

/// `value` in quotes, cut, with control characters escaped, and without what may be a password in a URL: its user
/// information and its query.
pub(super) fn shown(value: &str) -> String {
    let mut text = String::new();
    let rest = match value.split_once("://") {
        Some((scheme, rest)) => {
            text.push_str(scheme);
            text.push_str("://");
            let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            match rest.get(..authority_end).and_then(|authority| authority.rfind('@')) {
                Some(at) => {
                    text.push('…');
                    rest.get(at..).unwrap_or_default()
                }
                None => rest,
            }
        }
        // No URL, but perhaps meant as one: `http:/joe:hunter2@host`, `joe:hunter2@host`.
        None => match value.rfind('@').filter(|at| value.get(..*at).is_some_and(|before| before.contains(':'))) {
            Some(at) => {
                text.push('…');
                value.get(at..).unwrap_or_default()
            }
            None => value,
        },
    };
    let is_url = value.contains("://");
    match rest.split_once('?') {
        Some((before, _)) if is_url => {
            text.push_str(before);
            text.push_str("?…");
        }
        Some(_) | None => text.push_str(rest),
    }
    let mut cut: String = text.chars().take(SHOWN_MAX).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

/// The words joined for a sentence: `a, b or c`.
pub(super) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match words.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}

/// The one of `words` that `word` was probably meant to be.
#[must_use]
pub fn closest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    words
        .into_iter()
        .filter_map(|candidate| Some((distance(word, candidate, limit)?, candidate)))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be added, removed or replaced to make `b` of `a`; `None` when more than `limit`.
fn distance(a: &str, b: &str, limit: usize) -> Option<usize> {
    // Lengths first: a word of a megabyte must not cost a megabyte's work for each candidate.
    if a.len().abs_diff(b.len()) > limit.saturating_mul(4) || a.len() > 256 {
        return None;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut before = i.saturating_add(1);
        let mut next = vec![before];
        for (above, right) in row.iter().skip(1).zip(&b) {
            let replaced = diagonal.saturating_add(usize::from(left != *right));
            before = replaced.min(above.saturating_add(1)).min(before.saturating_add(1));
            diagonal = *above;
            next.push(before);
        }
        row = next;
    }
    row.last().copied().filter(|distance| *distance <= limit)
}

/// A file name without control characters: it goes to a terminal.
fn shown_name(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let check = |value, expect| assert_eq!(shown(value), expect);
        check("plain", "\"plain\"");
        check("http://joe:hunter2@host/mcp", "\"http://…@host/mcp\"");
        check("http://a@b:hunter2@host/mcp", "\"http://…@host/mcp\"");
        check("http://host/mcp?key=hunter2", "\"http://host/mcp?…\"");
        check("http:/joe:hunter2@host/mcp", "\"…@host/mcp\"");
        check("joe:hunter2@host:3000", "\"…@host:3000\"");
        check("joe@host", "\"joe@host\"");
        check("@scope/x", "\"@scope/x\"");
        check("http://host/@x", "\"http://host/@x\"");
        check("a\u{1b}[31m", "\"a\\u{1b}[31m\"");
        check(&"x".repeat(100), &format!("\"{}…\"", "x".repeat(80)));
    }

    #[test]
    fn suggestions_are_close() {
        let check = |word, expect| assert_eq!(closest(word, ["path", "upstream", "required_scopes"]), expect, "{word}");
        check("pth", Some("path"));
        check("paths", Some("path"));
        check("upsteam", Some("upstream"));
        check("require_scope", Some("required_scopes"));
        check("rules", None);
        check("", None);
    }

    #[test]
    fn words_make_a_sentence() {
        assert_eq!(one_of(["a", "b", "c"]), "a, b or c");
        assert_eq!(one_of(["a"]), "a");
    }
}

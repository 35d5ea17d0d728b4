//! Patterns: `matches` is what the documentation says, what a covered pattern matches, the covering one does, and two that
//! match one text overlap.

use gatepost::policy::pattern::{Dialect, Pattern};

/// Two lines are patterns, the rest is a text.
///
/// # Panics
/// Where matching differs from the plain reading, coverage promises too much, or overlap too little.
pub fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut parts = text.splitn(3, '\n');
    let (one, other) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let text = parts.next().unwrap_or_default();
    for dialect in [Dialect::Name, Dialect::Uri] {
        let patterns = [one, other].map(|pattern| Pattern::parse(pattern, dialect));
        for pattern in patterns.iter().flatten() {
            assert_eq!(pattern.is_exact(), !pattern.as_str().contains('*'));
            assert!(pattern.covers(pattern), "{pattern:?}");
            for text in [text, &filled(pattern.as_str(), dialect, text)] {
                assert_eq!(pattern.matches(text), matches(pattern.as_str(), dialect, text), "{pattern:?} {text:?}");
            }
            let filled = filled(pattern.as_str(), dialect, text);
            assert!(pattern.matches(&filled) || !dialect.admits(&filled), "{pattern:?} {filled:?}");
        }
        let [Ok(one), Ok(other)] = &patterns else { continue };
        let texts = [text.to_owned(), filled(one.as_str(), dialect, text), filled(other.as_str(), dialect, text)];
        let is_shared = texts.iter().any(|text| one.matches(text) && other.matches(text));
        assert!(one.overlaps(other) || !(is_shared || one.covers(other)), "{one:?} {other:?} {texts:?}");
        assert_eq!(one.overlaps(other), other.overlaps(one), "{one:?} {other:?}");
        for (wide, narrow) in [(one, other), (other, one)] {
            if wide.covers(narrow) {
                for text in [text, &filled(narrow.as_str(), dialect, text), &filled(narrow.as_str(), dialect, "")] {
                    assert!(wide.matches(text) || !narrow.matches(text), "{wide:?} {narrow:?} {text:?}");
                }
            }
        }
    }
}

/// A text that the pattern is meant to match: `text`, or as much of it as may stand there, in place of each wildcard.
fn filled(pattern: &str, dialect: Dialect, text: &str) -> String {
    let segment = if dialect == Dialect::Uri { text.replace('/', "") } else { text.to_owned() };
    let parts: Vec<String> = pattern.split("**").map(|part| part.replace('*', &segment)).collect();
    parts.join(text)
}

/// What the documentation says, a table of prefixes instead of an automaton.
fn matches(pattern: &str, dialect: Dialect, text: &str) -> bool {
    if !pattern.contains('*') {
        return pattern == text;
    }
    if dialect == Dialect::Uri && pattern == "**" {
        return true;
    }
    if !dialect.admits(text) {
        return false;
    }
    // Whether what was read of the pattern so far matches the first so many bytes of the text.
    let mut matched = vec![false; text.len() + 1];
    matched[0] = true;
    let mut rest = pattern.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'*' {
            for end in (0..text.len()).rev() {
                matched[end + 1] = matched[end] && text.as_bytes()[end] == *first;
            }
            matched[0] = false;
            continue;
        }
        let stops_at_slash = dialect == Dialect::Uri && !rest.starts_with(b"*");
        rest = if dialect == Dialect::Uri { rest.strip_prefix(b"*").unwrap_or(rest) } else { rest };
        for end in 0..text.len() {
            matched[end + 1] |= matched[end] && !(stops_at_slash && text.as_bytes()[end] == b'/');
        }
    }
    matched[text.len()]
}

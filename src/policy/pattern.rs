//! Patterns over names and resource URIs: exact text, `*`, and in URIs `**`. Case-sensitive, no regular expressions. A
//! pattern decides who may call what, so nothing here guesses: no folding, no decoding, and `covers` never says yes
//! where a text exists that only the other pattern matches.

use std::collections::HashSet;
use std::sync::Arc;

use super::uri;

/// A pattern as written in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    // Shared by the routes that take the same policy in.
    text: Arc<str>,
    dialect: Dialect,
    tokens: Arc<[Token]>,
    exact: bool,
}

/// What a pattern is matched against: in names `*` matches any run of characters; in URIs `*` stops at `/` and `**` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Tool and prompt names.
    Name,
    /// Resource URIs and templates.
    Uri,
}

/// One step of a pattern. Patterns are matched on bytes: in UTF-8 no character begins within another, so the matches
/// are those of characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// This byte.
    Byte(u8),
    /// Any run of bytes, also an empty one.
    Run,
    /// Any run of bytes but `/`, also an empty one.
    Segment,
}

impl Dialect {
    /// Whether a pattern with a wildcard, or `default: allow`, may speak of `text` at all: a name of
    /// `[A-Za-z0-9_./-]{1,128}`, a URI of at most 8 KiB. Every other text is matched by an exact pattern only (a URI by a
    /// bare `**` too).
    #[must_use]
    pub fn admits(self, text: &str) -> bool {
        match self {
            // A name that shows as another one, or that holds a line break, must not slip in under `get_*`.
            Self::Name => (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_name_byte),
            // Matching takes time in proportion to the text's length times the pattern's.
            Self::Uri => text.len() <= URI_BYTES_MAX,
        }
    }
}

impl Pattern {
    /// Reads a pattern; the error says what was expected.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a name, a URI or a pattern that is not empty");
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err("a pattern of at most 2048 bytes");
        }
        // It would not show, and no name has it: a `deny` written so denies nothing.
        if text.trim() != text {
            return Err("a name, a URI or a pattern without white space before and after");
        }
        match dialect {
            Dialect::Name => check_name(text)?,
            Dialect::Uri => check_uri(text)?,
        }
        Ok(Self { text: text.into(), dialect, tokens: tokens(text, dialect).into(), exact: !text.contains('*') })
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it has no wildcard: it matches its own text alone.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Whether it is a bare `**`, which matches every URI whatever it looks like.
    #[must_use]
    pub fn is_any_uri(&self) -> bool {
        self.dialect == Dialect::Uri && *self.tokens == [Token::Run]
    }

    /// Whether it matches. Takes time in proportion to the two lengths at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if self.exact {
            return *self.text == *text;
        }
        if self.is_any_uri() {
            return true;
        }
        self.dialect.admits(text) && self.begins(text) && self.accepts(text.as_bytes())
    }

    /// Whether everything that `other` matches is matched by `self` (same dialect). Exact, but for patterns so involved
    /// that the answer would take too long to find: those are said not to be covered.
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        if self.dialect != other.dialect {
            return false;
        }
        if other.exact {
            return self.matches(&other.text);
        }
        // Before its first and behind its last wildcard the other one may match anything: a text that we do not match is found
        // unless these ends are ours.
        !self.exact
            && self.begins(&other.text)
            && self.ends(&other.text)
            && (self.tokens == other.tokens || self.includes(other))
    }

    /// Whether some text is matched by both (same dialect). Never says no where there is one; patterns so involved that the
    /// answer would take too long to find are said to overlap.
    #[must_use]
    pub fn overlaps(&self, other: &Pattern) -> bool {
        if self.dialect != other.dialect {
            return false;
        }
        if self.exact || other.exact {
            let (exact, pattern) = if self.exact { (self, other) } else { (other, self) };
            return pattern.matches(&exact.text);
        }
        let alphabet = alphabet(self, other);
        let pairs = |ours: Vec<usize>, theirs: &[usize]| -> Vec<(usize, usize)> {
            ours.into_iter().flat_map(|ours| theirs.iter().map(move |theirs| (ours, *theirs))).collect()
        };
        let mut open = pairs(self.start(), &other.start());
        let mut seen: HashSet<(usize, usize)> = open.iter().copied().collect();
        while let Some((ours, theirs)) = open.pop() {
            if (self.is_end(&[ours]) && other.is_end(&[theirs])) || seen.len() > PAIRS_MAX {
                return true;
            }
            for byte in &alphabet {
                let next = pairs(self.step(&[ours], *byte), &other.step(&[theirs], *byte));
                open.extend(next.into_iter().filter(|pair| seen.insert(*pair)));
            }
        }
        false
    }

    /// Whether the text begins with what stands before the first wildcard: most patterns that do not match end here.
    fn begins(&self, text: &str) -> bool {
        let literal = self.text.find('*').unwrap_or(self.text.len());
        text.as_bytes().starts_with(self.text.as_bytes().get(..literal).unwrap_or_default())
    }

    /// The same for what stands behind the last wildcard.
    fn ends(&self, text: &str) -> bool {
        let literal = self.text.rfind('*').map_or(0, |last| last + 1);
        text.as_bytes().ends_with(self.text.as_bytes().get(literal..).unwrap_or_default())
    }

    /// Runs the pattern as an automaton: a state is the number of tokens that are behind us.
    fn accepts(&self, text: &[u8]) -> bool {
        let takes_the_rest = matches!(self.tokens.last(), Some(Token::Run));
        let (mut states, mut next) = (self.start(), Vec::new());
        for byte in text {
            if states.is_empty() || (takes_the_rest && self.is_end(&states)) {
                break;
            }
            self.step_into(&states, *byte, &mut next);
            std::mem::swap(&mut states, &mut next);
        }
        self.is_end(&states)
    }

    /// Language inclusion: walks all pairs of a state of `other` and the set of our states that the same text leads to, and
    /// looks for a text that ends `other` and not us.
    fn includes(&self, other: &Pattern) -> bool {
        let alphabet = alphabet(self, other);
        let mut open: Vec<(usize, Vec<usize>)> = other.start().into_iter().map(|state| (state, self.start())).collect();
        let mut seen: HashSet<(usize, Vec<usize>)> = open.iter().cloned().collect();
        while let Some((theirs, ours)) = open.pop() {
            if other.is_end(&[theirs]) && !self.is_end(&ours) {
                return false;
            }
            for byte in &alphabet {
                let ours = self.step(&ours, *byte);
                for theirs in other.step(&[theirs], *byte) {
                    let pair = (theirs, ours.clone());
                    if seen.insert(pair.clone()) {
                        open.push(pair);
                    }
                }
            }
            if seen.len() > PAIRS_MAX {
                return false;
            }
        }
        true
    }

    fn start(&self) -> Vec<usize> {
        let mut states = Vec::new();
        self.enter(0, &mut states);
        states
    }

    /// The states that one byte leads to. States are in ascending order, each once.
    fn step(&self, states: &[usize], byte: u8) -> Vec<usize> {
        let mut next = Vec::new();
        self.step_into(states, byte, &mut next);
        next
    }

    fn step_into(&self, states: &[usize], byte: u8, next: &mut Vec<usize>) {
        next.clear();
        for state in states {
            match self.tokens.get(*state) {
                Some(Token::Byte(expected)) if *expected == byte => self.enter(state + 1, next),
                Some(Token::Segment) if byte != b'/' => self.enter(*state, next),
                Some(Token::Run) => self.enter(*state, next),
                Some(Token::Byte(_) | Token::Segment) | None => {}
            }
        }
    }

    /// Adds `state`, and the one behind it if a wildcard stands there, which may match nothing. What is entered later never
    /// lies before what was entered earlier, so the last state tells whether one is there already.
    fn enter(&self, state: usize, states: &mut Vec<usize>) {
        if states.last().is_none_or(|last| *last < state) {
            states.push(state);
        }
        if matches!(self.tokens.get(state), Some(Token::Run | Token::Segment)) {
            self.enter(state + 1, states);
        }
    }

    fn is_end(&self, states: &[usize]) -> bool {
        states.last() == Some(&self.tokens.len())
    }
}

/// A name with wildcards must be able to match something: only names of the plain characters are matched by wildcards.
fn check_name(text: &str) -> Result<(), &'static str> {
    if !text.contains('*') {
        return Ok(());
    }
    if text.contains("**") {
        return Err("a single `*`: in names it matches any run of characters");
    }
    if !text.bytes().all(|byte| byte == b'*' || is_name_byte(byte)) {
        return Err(
            "a pattern of `A-Z a-z 0-9 _ . / -` and `*`; a name with other characters is matched only when written out",
        );
    }
    if text.len() - text.matches('*').count() > NAME_BYTES_MAX {
        return Err("a pattern of at most 128 characters besides `*`");
    }
    Ok(())
}

/// A URI that is not in normal form is refused before any rule decides, so a pattern for such URIs alone matches nothing,
/// and a `deny` written so would deny nothing. Templates are matched as literal text, whatever they look like.
fn check_uri(text: &str) -> Result<(), &'static str> {
    if text.contains("***") {
        return Err("`*` (stops at `/`) or `**` (does not)");
    }
    if text.chars().any(|letter| letter.is_control() || letter == '\\') {
        return Err("a URI pattern without control characters and backslashes");
    }
    let scheme = text.split([':', '*', '{']).next().unwrap_or_default();
    if text.get(scheme.len()..).is_some_and(|rest| rest.starts_with(':')) && scheme != scheme.to_ascii_lowercase() {
        return Err("a URI pattern with its scheme in lower case");
    }
    // What stands in a wildcard's place: a letter, a percent-encoding's digits, nothing, the rest of an address; a port.
    let one = text.replace("**", "*");
    let with_port = one.replace(":*", ":20");
    let matches_normal = || {
        let filled = ["a", "20", "", "20.20", ":1"].map(|run| one.replace('*', run));
        filled.iter().chain([&with_port.replace('*', "a")]).any(|text| uri::is_normal(text))
    };
    if text.contains("://") && !text.contains('{') && !matches_normal() {
        return Err(
            "a URI pattern in normal form (RFC 3986): scheme and host in lower case, no default port, no `.` and `..`, \
             and exactly those characters percent-encoded that must be",
        );
    }
    Ok(())
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_./-".contains(&byte)
}

fn tokens(text: &str, dialect: Dialect) -> Box<[Token]> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut bytes = text.bytes().peekable();
    while let Some(byte) = bytes.next() {
        tokens.push(match (byte, dialect) {
            (b'*', Dialect::Name) => Token::Run,
            (b'*', Dialect::Uri) if bytes.next_if_eq(&b'*').is_some() => Token::Run,
            (b'*', Dialect::Uri) => Token::Segment,
            (byte, Dialect::Name | Dialect::Uri) => Token::Byte(byte),
        });
    }
    tokens.into_boxed_slice()
}

/// The bytes that two patterns can tell apart: those they name, `/`, and 0xFF, which UTF-8 never has, for all others.
fn alphabet(one: &Pattern, other: &Pattern) -> Vec<u8> {
    let mut bytes = vec![b'/', 0xFF];
    for token in one.tokens.iter().chain(&*other.tokens) {
        match token {
            Token::Byte(byte) => bytes.push(*byte),
            Token::Run | Token::Segment => {}
        }
    }
    bytes.sort_unstable();
    bytes.dedup();
    bytes
}

/// The longest name that a wildcard matches: what MCP recommends for tools (MCP 2025-11-25, Tools, Tool Names).
const NAME_BYTES_MAX: usize = 128;
/// The longest URI that a wildcard matches.
const URI_BYTES_MAX: usize = 8 << 10;
/// The longest pattern.
const PATTERN_BYTES_MAX: usize = 2 << 10;
/// How many pairs of states `covers` and `overlaps` look at.
const PAIRS_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Pattern {
        Pattern::parse(text, Dialect::Name).unwrap()
    }

    fn uri(text: &str) -> Pattern {
        Pattern::parse(text, Dialect::Uri).unwrap()
    }

    #[test]
    fn what_can_be_written() {
        let check = |text: &str, as_name: bool, as_uri: bool| {
            for (dialect, expect) in [(Dialect::Name, as_name), (Dialect::Uri, as_uri)] {
                let parsed = Pattern::parse(text, dialect);
                assert_eq!(parsed.is_ok(), expect, "{text:?} {dialect:?}");
                assert!(parsed.is_err() || parsed.unwrap().as_str() == text);
            }
        };
        check("get_issue", true, true);
        check("get_*", true, true);
        check("*", true, true);
        check("a*b*c", true, true);
        check("", false, false);
        check("**", false, true);
        check("repo://**", false, true);
        check("repo://*/x", false, true);
        check("***", false, false);
        check("a***b", false, false);
        check("*/**", false, true);
        // Exact names may be anything, patterns only what they can match.
        check("Überweisung senden", true, true);
        check("a b", true, true);
        check("a b*", false, true);
        check("ü*", false, true);
        check("a:*", false, true);
        check("REPO://**", false, false);
        check("Repo:x", true, false);
        check("repo://{Owner}/X", true, true);
        check("*:X", false, true);
        check("a\\b", true, false);
        check("a\nb", true, false);
        check(&"a".repeat(2048), true, true);
        check(&"a".repeat(2049), false, false);
        check(&format!("{}*", "a".repeat(128)), true, true);
        check(&format!("{}*", "a".repeat(129)), false, true);
    }

    #[test]
    fn names_match() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(name(pattern).matches(text), expect, "{pattern} {text}");
        };
        check("get_issue", "get_issue", true);
        check("get_issue", "get_issues", false);
        check("get_issue", "Get_issue", false);
        check("get_issue", "", false);
        check("get_*", "get_issue", true);
        check("get_*", "get_", true);
        check("get_*", "get", false);
        check("get_*", "forget_issue", false);
        check("get_*", "GET_issue", false);
        check("*_issue", "get_issue", true);
        check("*_issue", "get_issue_2", false);
        check("get*issue", "getissue", true);
        check("get*issue", "get_issue_issue", true);
        check("get*issue", "get_issue_", false);
        check("*a*b*", "xxaxxbxx", true);
        check("*a*b*", "ba", false);
        check("*", "a/b.c-d_E9", true);
        check("admin/*", "admin/a/b", true);
        // Names that no wildcard may match.
        check("*", "", false);
        check("*", "a b", false);
        check("*", "a\u{200b}", false);
        check("*", "a\n", false);
        check("*", "a\0", false);
        check("*", "d\u{435}lete", false);
        check("get_*", "get_a:b", false);
        check("*", &"a".repeat(128), true);
        check("*", &"a".repeat(129), false);
        check("a b", "a b", true);
        check("a\u{200b}", "a\u{200b}", true);
        check("a\u{200b}", "a", false);
        check(&"a".repeat(200), &"a".repeat(200), true);
    }

    #[test]
    fn uris_match() {
        let check = |pattern: &str, text: &str, expect: bool| {
            assert_eq!(uri(pattern).matches(text), expect, "{pattern} {text}");
        };
        check("repo://a/b", "repo://a/b", true);
        check("repo://a/b", "repo://a/b/", false);
        check("repo://*", "repo://a", true);
        check("repo://*", "repo://", true);
        check("repo://*", "repo://a/b", false);
        check("repo://**", "repo://a/b/c", true);
        check("repo://**", "repo://", true);
        check("repo://**", "repox://a", false);
        check("repo://*/x", "repo://a/x", true);
        check("repo://*/x", "repo://a/b/x", false);
        check("repo://**/x", "repo://a/b/x", true);
        check("repo://**/x", "repo://a/b/xx", false);
        check("**/*/x", "a/x", false);
        check("**/*/x", "repo://b/x", true);
        check("*/**", "a/b/c", true);
        check("*/**", "abc", false);
        check("**", "", true);
        check("**", "any\\thing at \u{7} all", true);
        check("**", &"a".repeat(9000), true);
        check("a**", &"a".repeat(8192), true);
        check("a**", &"a".repeat(8193), false);
        check("über/*", "über/x", true);
        check("note://{id}", "note://{id}", true);
        check("note://*", "note://{id}", true);
    }

    #[test]
    fn coverage() {
        let check = |dialect: Dialect, one: &str, other: &str, expect: bool| {
            let parse = |text: &str| Pattern::parse(text, dialect).unwrap();
            assert_eq!(parse(one).covers(&parse(other)), expect, "{one} {other}");
        };
        let names = |one: &str, other: &str, expect: bool| check(Dialect::Name, one, other, expect);
        names("a", "a", true);
        names("a", "b", false);
        names("*", "a", true);
        names("*", "a b", false);
        names("a b", "a b", true);
        names("a", "*", false);
        names("*", "*", true);
        names("*", "get_*", true);
        names("get_*", "*", false);
        names("get_*", "get_issue*", true);
        names("get_*", "get_*_x", true);
        names("get_*_x", "get_*", false);
        names("*a*", "*ab*", true);
        names("*ab*", "*a*b*", false);
        names("*a*b*", "*ab*", true);
        names("*a*", "a*", true);
        names("*aa*", "*aaa", true);
        names("a*a", "a*a*a", true);
        names("a*a", "a", false);
        names("a*a*a", "a*a", false);
        let uris = |one: &str, other: &str, expect: bool| check(Dialect::Uri, one, other, expect);
        uris("**", "repo://*", true);
        uris("**", "*", true);
        uris("*", "**", false);
        uris("*", "a/b", false);
        uris("repo://**", "repo://*/x", true);
        uris("repo://*", "repo://**", false);
        uris("repo://*/x", "repo://*/x", true);
        uris("repo://**/x", "repo://*/x", true);
        uris("repo://*/x", "repo://a/x", true);
        uris("repo://*/x", "repo://a/b/x", false);
        uris("**/*", "**/a", true);
        uris("*/**", "**/*", true);
        uris("**/*", "*/**", true);
        uris("**a**", "*a*", true);
        assert!(!name("*").covers(&uri("a")) && !uri("**").covers(&name("a")));
    }

    #[test]
    fn involved_patterns_end_and_are_not_said_to_be_covered() {
        let involved = format!("**{}", "/a*".repeat(600));
        let other = format!("**{}b", "/*".repeat(600));
        assert!(!uri(&involved).covers(&uri(&other)));
        assert!(!uri(&"*a**b".repeat(400)).matches(&"ab/".repeat(2000)));
    }

    /// What the documentation says, as plainly as it can be written.
    fn plain_match(tokens: &[Token], text: &[u8]) -> bool {
        match tokens.split_first() {
            None => text.is_empty(),
            Some((Token::Byte(byte), rest)) => text.first() == Some(byte) && plain_match(rest, &text[1..]),
            Some((run, rest)) => (0..=text.len())
                .take_while(|end| *run == Token::Run || !text[..*end].contains(&b'/'))
                .any(|end| plain_match(rest, &text[end..])),
        }
    }

    /// A text that `pattern` matches, its wildcards filled from `filling`.
    fn fill(pattern: &Pattern, filling: &[String]) -> String {
        let mut filling = filling.iter().cycle();
        let mut text = Vec::new();
        for token in &*pattern.tokens {
            match token {
                Token::Byte(byte) => text.push(*byte),
                Token::Run => text.extend(filling.next().unwrap().bytes()),
                Token::Segment => text.extend(filling.next().unwrap().bytes().filter(|byte| *byte != b'/')),
            }
        }
        String::from_utf8(text).unwrap()
    }

    /// Every text over `a`, `b`, `/` and `c` of at most six bytes.
    fn short_texts() -> Vec<String> {
        let mut texts = vec![String::new()];
        let mut start = 0;
        for _ in 0..6 {
            let end = texts.len();
            for place in start..end {
                texts.extend(["a", "b", "/", "c"].map(|letter| format!("{}{letter}", texts[place])));
            }
            start = end;
        }
        texts
    }

    /// `covers` and `overlaps` against every text of up to six bytes, for all patterns of up to four tokens (each has a
    /// counterexample that short where it has one).
    #[test]
    fn coverage_and_overlap_are_exact_on_short_patterns() {
        let texts = short_texts();
        for (dialect, parts) in [(Dialect::Name, &["a", "b", "*"][..]), (Dialect::Uri, &["a", "/", "*", "**"][..])] {
            let mut written = vec![String::new()];
            for round in 0..4 {
                let longest: Vec<String> = written.iter().filter(|text| text.len() >= round).cloned().collect();
                written.extend(longest.iter().flat_map(|text| parts.iter().map(move |part| format!("{text}{part}"))));
                written.sort();
                written.dedup();
                written.retain(|text| text.len() <= 4);
            }
            let patterns: Vec<(Pattern, Vec<bool>)> = written
                .iter()
                .filter_map(|text| Pattern::parse(text, dialect).ok())
                .map(|pattern| {
                    let matched = texts.iter().map(|text| pattern.matches(text)).collect();
                    (pattern, matched)
                })
                .collect();
            assert!(patterns.len() > 40);
            for (one, by_one) in &patterns {
                for (other, by_other) in &patterns {
                    let expect = by_one.iter().zip(by_other).all(|(one, other)| *one || !other);
                    assert_eq!(one.covers(other), expect, "{} {}", one.as_str(), other.as_str());
                    let expect = by_one.iter().zip(by_other).any(|(one, other)| *one && *other);
                    assert_eq!(one.overlaps(other), expect, "{} {}", one.as_str(), other.as_str());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn matches_what_the_plain_reading_matches(pattern in "[ab/*]{1,8}", text in "[ab/c]{0,10}") {
            for dialect in [Dialect::Name, Dialect::Uri] {
                if let Ok(parsed) = Pattern::parse(&pattern, dialect) {
                    let expect = plain_match(&parsed.tokens, text.as_bytes())
                        && (dialect == Dialect::Uri || !text.is_empty());
                    prop_assert_eq!(parsed.matches(&text), expect, "{} {}", pattern, text);
                }
            }
        }

        #[test]
        fn what_is_covered_is_matched(
            one in "[ab/*]{1,7}",
            other in "[ab/*]{1,7}",
            filling in prop::collection::vec("[ab/cd]{0,5}", 4),
        ) {
            for dialect in [Dialect::Name, Dialect::Uri] {
                let (Ok(one), Ok(other)) = (Pattern::parse(&one, dialect), Pattern::parse(&other, dialect)) else {
                    continue;
                };
                let text = fill(&other, &filling);
                if other.matches(&text) && one.covers(&other) {
                    prop_assert!(one.matches(&text), "{} {} {}", one.as_str(), other.as_str(), text);
                }
            }
        }

        #[test]
        fn every_filling_is_matched(pattern in "[ab/*]{1,8}", filling in prop::collection::vec("[ab/cd]{0,5}", 4)) {
            if let Ok(pattern) = Pattern::parse(&pattern, Dialect::Uri) {
                prop_assert!(pattern.matches(&fill(&pattern, &filling)));
                prop_assert!(uri("**").covers(&pattern) && pattern.covers(&pattern));
            }
        }
    }
}

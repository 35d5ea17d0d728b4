//! JSON as parsers really take it: every member is kept in its order, so that a reader may look for the first, the last or one
//! of another spelling. It shares no code with the gateway, whose reading it must contradict where the gateway errs.

use std::iter::Peekable;
use std::str::Chars;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    Null,
    Bool,
    /// As written.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// What is taken for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grammar {
    /// RFC 8259; a lone surrogate is read as U+FFFD.
    Exact,
    /// RFC 8259 without lone surrogates and numbers beyond binary64 (RFC 7493, I-JSON).
    Pure,
    /// RFC 8259; a lone surrogate is left out.
    Dropping,
    /// JSON5 and more: comments, trailing commas, single quotes, bare names, other numbers, raw controls, ends that are missing.
    Relaxed,
}

/// What is done with what stands behind the first value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    Refused,
    Ignored,
    /// Read as further values, which separators may stand between.
    Read,
}

/// The values in `text`; `None` when it is refused.
pub(super) fn values(text: &str, grammar: Grammar, after: After) -> Option<Vec<Json>> {
    let mut parser = Parser { rest: text.chars().peekable(), grammar, depth: 0 };
    let mut values = Vec::new();
    loop {
        parser.space();
        while after == After::Read && parser.rest.next_if(|c| matches!(c, '\u{1e}' | '\0' | ',' | ';')).is_some() {
            parser.space();
        }
        if parser.rest.peek().is_none() && !values.is_empty() {
            return Some(values);
        }
        match (parser.value(), after) {
            (Some(value), _) => values.push(value),
            // What was read before the fault was run before it was noticed.
            (None, After::Read) if !values.is_empty() => return Some(values),
            (None, _) => return None,
        }
        if after == After::Ignored {
            return Some(values);
        }
        parser.space();
        if after == After::Refused {
            return parser.rest.peek().is_none().then_some(values);
        }
    }
}

struct Parser<'t> {
    rest: Peekable<Chars<'t>>,
    grammar: Grammar,
    depth: usize,
}

impl Parser<'_> {
    fn relaxed(&self) -> bool {
        self.grammar == Grammar::Relaxed
    }

    fn take(&mut self, expected: char) -> Option<()> {
        self.rest.next_if_eq(&expected).map(|_| ())
    }

    /// The end of an array or object, or of the text where that will do.
    fn end(&mut self, expected: char) -> bool {
        self.take(expected).is_some() || (self.relaxed() && self.rest.peek().is_none())
    }

    fn space(&mut self) {
        loop {
            let relaxed = self.relaxed();
            let blank = |c: &char| {
                matches!(c, ' ' | '\t' | '\n' | '\r') || (relaxed && (c.is_whitespace() || *c == '\u{feff}'))
            };
            while self.rest.next_if(blank).is_some() {}
            if !relaxed || !self.comment() {
                return;
            }
        }
    }

    fn comment(&mut self) -> bool {
        let line_ends = |c: &char| !matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
        if self.take('#').is_some() {
            while self.rest.next_if(line_ends).is_some() {}
            return true;
        }
        if self.take('/').is_none() {
            return false;
        }
        if self.take('/').is_some() {
            while self.rest.next_if(line_ends).is_some() {}
            return true;
        }
        if self.take('*').is_none() {
            return false;
        }
        while let Some(next) = self.rest.next() {
            if next == '*' && self.take('/').is_some() {
                break;
            }
        }
        true
    }

    fn value(&mut self) -> Option<Json> {
        self.space();
        match self.rest.peek().copied()? {
            '{' => self.nested(Self::object),
            '[' => self.nested(Self::array),
            '"' => self.text('"').map(Json::Text),
            '\'' if self.relaxed() => self.text('\'').map(Json::Text),
            _ => self.word(),
        }
    }

    fn nested(&mut self, read: impl FnOnce(&mut Self) -> Option<Json>) -> Option<Json> {
        self.depth += 1;
        let value = if self.depth > DEPTH_MAX { None } else { read(self) };
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Option<Json> {
        self.take('{')?;
        let mut members = Vec::new();
        loop {
            self.space();
            if (members.is_empty() || self.relaxed()) && self.end('}') {
                return Some(Json::Object(members));
            }
            let name = match self.rest.peek().copied()? {
                '"' => self.text('"')?,
                '\'' if self.relaxed() => self.text('\'')?,
                _ if self.relaxed() => Some(self.bare()).filter(|name| !name.is_empty())?,
                _ => return None,
            };
            self.space();
            self.take(':')?;
            members.push((name, self.value()?));
            self.space();
            if self.take(',').is_none() {
                return self.end('}').then_some(Json::Object(members));
            }
            // Without this the loop would take `{"a":1,}` for an object.
            if !self.relaxed() {
                self.space();
                self.rest.peek().filter(|next| **next == '"')?;
            }
        }
    }

    fn array(&mut self) -> Option<Json> {
        self.take('[')?;
        let mut elements = Vec::new();
        loop {
            self.space();
            if (elements.is_empty() || self.relaxed()) && self.end(']') {
                return Some(Json::Array(elements));
            }
            elements.push(self.value()?);
            self.space();
            if self.take(',').is_none() {
                return self.end(']').then_some(Json::Array(elements));
            }
            self.space();
            if !self.relaxed() && self.rest.peek() == Some(&']') {
                return None;
            }
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) =
            self.rest.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '-' | '+' | '.' | '/'))
        {
            word.push(next);
        }
        word
    }

    fn word(&mut self) -> Option<Json> {
        let word = self.bare();
        match word.as_str() {
            "null" => Some(Json::Null),
            "true" | "false" => Some(Json::Bool),
            "" => None,
            _ if is_number(&word) => {
                let beyond = word.parse::<f64>().is_ok_and(f64::is_infinite);
                (self.grammar != Grammar::Pure || !beyond).then_some(Json::Number(word))
            }
            "NaN" | "Infinity" | "-Infinity" | "+Infinity" | "undefined" if self.relaxed() => Some(Json::Null),
            _ if self.relaxed() && word.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => {
                Some(Json::Number(word))
            }
            _ if self.relaxed() => Some(Json::Text(word)),
            _ => None,
        }
    }

    fn text(&mut self, quote: char) -> Option<String> {
        self.take(quote)?;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some(next) if next == quote => return Some(text),
                Some('\\') => self.escape(&mut text)?,
                Some(next) if next < ' ' && !self.relaxed() => return None,
                Some(next) => text.push(next),
                None => return self.relaxed().then_some(text),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        match self.rest.next()? {
            plain @ ('"' | '\\' | '/') => text.push(plain),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            't' => text.push('\t'),
            'u' => self.code_point(text)?,
            'x' if self.relaxed() => text.push(char::from_u32(self.hex(2)?)?),
            '\n' if self.relaxed() => {}
            other if self.relaxed() => text.push(other),
            _ => return None,
        }
        Some(())
    }

    fn code_point(&mut self, text: &mut String) -> Option<()> {
        let unit = self.hex(4)?;
        if (0xD800..0xDC00).contains(&unit) {
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('\\') && ahead.next() == Some('u') {
                let digits: String = ahead.by_ref().take(4).collect();
                let low = u32::from_str_radix(&digits, 16).unwrap_or(0);
                if (0xDC00..0xE000).contains(&low) {
                    self.rest = ahead;
                    text.push(char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))?);
                    return Some(());
                }
            }
        }
        match (char::from_u32(unit), self.grammar) {
            (Some(character), _) => text.push(character),
            (None, Grammar::Pure) => return None,
            (None, Grammar::Dropping) => {}
            (None, _) => text.push('\u{FFFD}'),
        }
        Some(())
    }

    fn hex(&mut self, digits: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..digits {
            value = value * 16 + self.rest.next()?.to_digit(16)?;
        }
        Some(value)
    }
}

/// RFC 8259 §6.
fn is_number(word: &str) -> bool {
    let unsigned = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// Deeper than any row that is whole; the tests read on a thread whose stack is large enough.
const DEPTH_MAX: usize = 20_000;

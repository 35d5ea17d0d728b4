//! A JSON document as text and places in it: members and elements as slices of it, and edits by place. What is not
//! edited must stay byte for byte. `members` and `elements` read what `readable` has passed.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::mcp::strict;

/// The text of a document that every parser reads alike, but for values that some give up on or replace, and none takes for
/// anything but a value: strings with a lone surrogate, numbers beyond binary64. What is decided by one is to be read with
/// `string`, which refuses it.
pub(super) fn readable(json: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(json).map_err(|_| "expected JSON in UTF-8")?;
    let read = strict::check(json, DEPTH_MAX);
    read.or_else(|_| strict::check(with_null_for_odd_values(text).as_bytes(), DEPTH_MAX)).map_err(|fault| fault.0)?;
    Ok(text)
}

/// The document with `null` in place of each string and number that is JSON and yet not strict; no name can be one.
fn with_null_for_odd_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|first: char| first == '"' || first == '-' || first.is_ascii_digit()) {
        let (before, scalar) = rest.split_at(at);
        let (scalar, after) = scalar.split_at(scalar_len(scalar));
        let is_odd = strict::check(scalar.as_bytes(), 0).is_err() && serde_json::from_str::<&RawValue>(scalar).is_ok();
        out.push_str(before);
        out.push_str(if is_odd { "null" } else { scalar });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The length of the string or number that `text` begins with.
fn scalar_len(text: &str) -> usize {
    let Some(string) = text.strip_prefix('"') else {
        let goes_on = |letter: char| letter.is_ascii_digit() || matches!(letter, '+' | '-' | '.' | 'e' | 'E');
        return text.find(|letter| !goes_on(letter)).unwrap_or(text.len());
    };
    let mut escaped = false;
    let end = string.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

/// Changes to a document, by place.
pub(super) struct Edits<'a> {
    document: &'a str,
    edits: Vec<(Range<usize>, &'static str)>,
}

impl<'a> Edits<'a> {
    pub(super) fn of(document: &'a str) -> Self {
        Self { document, edits: Vec::new() }
    }

    /// Where `part`, a slice of the document, stands in it.
    pub(super) fn place(&self, part: &'a str) -> Result<Range<usize>, &'static str> {
        let start = part.as_ptr().addr().checked_sub(self.document.as_ptr().addr());
        let place = start.and_then(|start| Some(start..start.checked_add(part.len())?));
        place
            .filter(|place| self.document.get(place.clone()) == Some(part))
            .ok_or("a part of the answer could not be located")
    }

    /// Puts `by` where `part`, a slice of the document, stands.
    pub(super) fn replace(&mut self, part: &'a str, by: &'static str) -> Result<(), &'static str> {
        let place = self.place(part)?;
        self.edits.push((place, by));
        Ok(())
    }

    /// Leaves out what stands at `place`.
    pub(super) fn cut(&mut self, place: Range<usize>) {
        self.edits.push((place, ""));
    }

    /// The document with all edits made; `None` when there are none.
    pub(super) fn apply(mut self) -> Result<Option<Vec<u8>>, &'static str> {
        if self.edits.is_empty() {
            return Ok(None);
        }
        self.edits.sort_by_key(|(place, _)| place.start);
        let mut out = Vec::with_capacity(self.document.len());
        let mut kept = 0;
        for (place, by) in self.edits {
            let before = self.document.get(kept..place.start).ok_or("two edits of the answer overlap")?;
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(by.as_bytes());
            kept = place.end;
        }
        out.extend_from_slice(self.document.get(kept..).unwrap_or_default().as_bytes());
        Ok(Some(out))
    }
}

/// The members of an object in their order: names unescaped, values as written.
pub(super) struct Members<'a>(Vec<(String, &'a str)>);

impl<'a> Members<'a> {
    /// The value of the member `name`, as written.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    /// Whether a lenient parser would take some other member for `defined`.
    pub(super) fn has_lookalike(&self, defined: &str) -> bool {
        let reads_as = |member: &str| strict::folds_to(member, defined) || strict::same_words(member, defined);
        self.0.iter().any(|(member, _)| member != defined && reads_as(member))
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            members.push((name, value.get()));
        }
        Ok(Members(members))
    }
}

/// Reads an object.
pub(super) fn members(object: &str) -> Result<Members<'_>, &'static str> {
    serde_json::from_str(object).map_err(|_| "a message of the answer is no object")
}

/// Reads an array.
pub(super) fn elements(array: &str) -> Result<Vec<&RawValue>, &'static str> {
    serde_json::from_str(array).map_err(|_| "a list of the answer is no array")
}

/// The unescaped string that `value` is, if it is one.
pub(super) fn string(value: &str) -> Option<String> {
    serde_json::from_str(value).ok()
}

/// Nesting of an answer. A tool's result may be deeper than a request; the parser's own limit is just above.
pub(super) const DEPTH_MAX: usize = 127;

/// White space (RFC 8259 §2).
pub(super) const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

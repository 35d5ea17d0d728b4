//! A JSON document as text and places in it: members and elements as slices of it, and edits by place. What is not
//! edited must stay byte for byte. Reads documents that `strict::check` has passed.

use std::fmt;
use std::ops::Range;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::mcp::strict;

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

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
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

/// White space (RFC 8259 §2).
pub(super) const JSON_SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

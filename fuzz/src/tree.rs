//! A JSON document with every member it has, twins included, and the ways in which lenient parsers look a member up.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// How a parser finds the member that it means among those that are there.
pub(super) type Lookup = for<'a> fn(&'a [(String, Tree)], &str) -> Option<&'a Tree>;

/// Parsers that servers and clients of MCP are built on, each with its way.
pub(super) const LOOKUPS: [(&str, Lookup); 6] = [
    ("the first", first),
    ("the last", last),
    ("ignoring case (Go)", ignoring_case),
    ("up to NUL (C)", up_to_nul),
    ("by the field's own name (pydantic, protobuf)", by_field_name),
    ("trimmed of what cannot be seen", trimmed),
];

impl Tree {
    /// The document that the bytes are, read by `serde_json`.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The same, with a text in place of each string and number that is JSON and that `serde_json` makes no value of: half of
    /// a surrogate pair, more than a double holds.
    pub(super) fn read_loosely(bytes: &[u8]) -> Option<Self> {
        Self::read(bytes).or_else(|| Self::loosely(serde_json::from_slice(bytes).ok()?))
    }

    fn loosely(value: &RawValue) -> Option<Self> {
        let text = value.get();
        match text.as_bytes().first()? {
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                elements.into_iter().map(Self::loosely).collect::<Option<_>>().map(Self::Array)
            }
            b'{' => {
                let Members(members) = serde_json::from_str(text).ok()?;
                let member = |(name, value): (String, &RawValue)| Some((name, Self::loosely(value)?));
                members.into_iter().map(member).collect::<Option<_>>().map(Self::Object)
            }
            _ => Some(Self::read(text.as_bytes()).unwrap_or_else(|| Self::Text(format!("as written: {text}")))),
        }
    }

    /// Whether an object at any depth has two members of one name.
    pub(super) fn has_twins(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => false,
            Self::Array(elements) => elements.iter().any(Self::has_twins),
            Self::Object(members) => {
                let names: HashSet<_> = members.iter().map(|(name, _)| name).collect();
                names.len() < members.len() || members.iter().any(|(_, value)| value.has_twins())
            }
        }
    }

    /// Arrays and objects within each other.
    pub(super) fn depth(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => 0,
            Self::Array(elements) => 1 + elements.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
        }
    }

    /// The value at `path`, each member looked up this way.
    pub(super) fn find(&self, lookup: Lookup, path: &[&str]) -> Option<&Self> {
        let Some((name, rest)) = path.split_first() else { return Some(self) };
        lookup(self.members()?, name)?.find(lookup, rest)
    }

    /// The value at `path`, of a document without twins.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Self> {
        self.find(first, path)
    }

    /// The members, of an object.
    pub(super) fn members(&self) -> Option<&[(String, Tree)]> {
        match self {
            Self::Object(members) => Some(members),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Array(_) => None,
        }
    }

    /// The elements, of an array.
    pub(super) fn elements(&self) -> Option<&[Tree]> {
        match self {
            Self::Array(elements) => Some(elements),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) | Self::Object(_) => None,
        }
    }

    /// The unescaped text, of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) => None,
        }
    }

    /// The messages that a document is: each of a batch, or itself.
    pub(super) fn messages(&self) -> &[Tree] {
        self.elements().unwrap_or(std::slice::from_ref(self))
    }

    /// The document written anew.
    pub(super) fn write(&self, out: &mut String) {
        let name = |name: &str| serde_json::to_string(name).expect("text is JSON");
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::Text(text) => out.push_str(&name(text)),
            Self::Array(elements) => {
                out.push('[');
                for (place, element) in elements.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (place, (member, value)) in members.iter().enumerate() {
                    out.push_str(if place == 0 { "" } else { "," });
                    out.push_str(&name(member));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// The document of a parser that keeps a map; its twins are gone.
impl From<Value> for Tree {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(elements) => Self::Array(elements.into_iter().map(Self::from).collect()),
            Value::Object(members) => {
                Self::Object(members.into_iter().map(|(name, value)| (name, Self::from(value))).collect())
            }
        }
    }
}

/// The members of an object, as written.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }
    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Tree, E> {
        Number::from_f64(number).map(Tree::Number).ok_or_else(|| E::custom("a number beyond a double"))
    }
    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}

fn first<'a>(members: &'a [(String, Tree)], name: &str) -> Option<&'a Tree> {
    members.iter().find(|(member, _)| member == name).map(|(_, value)| value)
}

fn last<'a>(members: &'a [(String, Tree)], name: &str) -> Option<&'a Tree> {
    last_where(members, |member| member == name)
}

/// Simple case folding as Go's encoding/json has it: the long s and the Kelvin sign fold to ASCII.
fn ignoring_case<'a>(members: &'a [(String, Tree)], name: &str) -> Option<&'a Tree> {
    let folded = |text: &str| -> String {
        let fold = |letter| match letter {
            '\u{17F}' => 's',
            '\u{212A}' => 'k',
            other => other.to_ascii_lowercase(),
        };
        text.chars().map(fold).collect()
    };
    last_where(members, |member| folded(member) == folded(name))
}

fn up_to_nul<'a>(members: &'a [(String, Tree)], name: &str) -> Option<&'a Tree> {
    last_where(members, |member| member.split('\0').next() == Some(name))
}

/// `task_id` beside `taskId`, `meta` beside `_meta`.
fn by_field_name<'a>(members: &'a [(String, Tree)], name: &str) -> Option<&'a Tree> {
    let mut field = String::new();
    for letter in name.trim_start_matches('_').chars() {
        if letter.is_ascii_uppercase() {
            field.push('_');
        }
        field.push(letter.to_ascii_lowercase());
    }
    last_where(members, |member| member == name || member == field)
}

fn trimmed<'a>(members: &'a [(String, Tree)], name: &str) -> Option<&'a Tree> {
    let unseen = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '\u{FEFF}';
    last_where(members, |member| member.trim_matches(unseen) == name)
}

fn last_where(members: &[(String, Tree)], is_meant: impl Fn(&str) -> bool) -> Option<&Tree> {
    members.iter().rfind(|(member, _)| is_meant(member)).map(|(_, value)| value)
}

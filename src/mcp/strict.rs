//! Strict JSON: one UTF-8 value that no two parsers can read differently. Duplicate members at any depth, lone
//! surrogates, byte order marks, trailing bytes and excessive depth are refused.
//!
//! It must never build a `serde_json::Value` or a map: those silently keep the last of two equal members, while the
//! server behind us may take the first. Every string is decoded: `serde_json::de::IgnoredAny` would let lone surrogates
//! and invalid UTF-8 through.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Why bytes are no strict JSON; holds nothing of the bytes themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStrict(pub &'static str);

impl fmt::Display for NotStrict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Checks that `bytes` are exactly one UTF-8 JSON value (RFC 8259; a byte order mark, §8.1, is not tolerated) without
/// duplicate members at any depth, compared after unescaping, without lone surrogates, and nested at most `depth_max`
/// deep, the outermost array or object counted; a `depth_max` over 127 counts as 127. A number beyond the range of
/// binary64 (`1e400`) is refused: parsers differ about it.
pub fn check(bytes: &[u8], depth_max: usize) -> Result<(), NotStrict> {
    read(bytes, depth_max, &mut Nothing).map_err(|fault| match fault {
        Fault::NotJson(detail) | Fault::Ambiguous(detail) => NotStrict(detail),
    })
}

/// Whether a lenient parser may take the member `name` for `defined`, a member that a standard defines (ASCII): they are
/// equal after simple case folding (Unicode, U+017F and U+212A included), cutting at the first NUL behind a visible
/// character, and leaving out spaces, controls and invisible characters. A name folds to itself: where the member itself is allowed, compare
/// for equality first.
#[must_use]
pub fn folds_to(name: &str, defined: &str) -> bool {
    folded(name).eq(defined.chars().map(|character| character.to_ascii_lowercase()))
}

/// Whether two names are the same but for case and for what joins their words: `uri_template` and `uriTemplate`. Parsers
/// with field names of their own (pydantic, the JSON form of protobuf) take the one for the other.
pub(super) fn same_words(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

/// The characters of `name` as [`folds_to`] compares them.
pub(super) fn folded(name: &str) -> impl Iterator<Item = char> {
    // What is in front is left out, NUL or not: who trims a name begins behind it.
    let name = name.trim_start_matches(is_invisible);
    name.chars().take_while(|&character| character != '\0').filter(|&character| !is_invisible(character)).map(fold)
}

fn letters(name: &str) -> impl Iterator<Item = char> {
    name.chars().filter(|letter| !matches!(letter, '_' | '-')).map(|letter| letter.to_ascii_lowercase())
}

/// Why a document is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Not one UTF-8 JSON value.
    NotJson(&'static str),
    /// JSON that parsers read differently, or give up on at different depths.
    Ambiguous(&'static str),
}

/// A value as it is met: a scalar, or the beginning of an array or object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Token<'a> {
    Null,
    Bool,
    Unsigned(u64),
    Signed(i64),
    /// A number with a fraction or an exponent, or an integer of more than 64 bits.
    Float,
    /// An unescaped string.
    Text(&'a str),
    Array,
    Object,
}

impl<'a> Token<'a> {
    /// The string, if it is one.
    pub(super) fn text(self) -> Option<&'a str> {
        match self {
            Token::Text(text) => Some(text),
            Token::Null
            | Token::Bool
            | Token::Unsigned(_)
            | Token::Signed(_)
            | Token::Float
            | Token::Array
            | Token::Object => None,
        }
    }
}

/// Looks on while a document is read. It cannot influence the reading.
pub(super) trait Watch {
    /// Where in the document a value stands, as far as the watcher cares.
    type Place: Copy;
    /// The place of the member `name` of the object at `parent`; called again for a duplicate.
    fn member(&mut self, parent: Self::Place, name: &str) -> Self::Place;
    /// The place of the next element of the array at `parent`.
    fn element(&mut self, parent: Self::Place) -> Self::Place;
    /// The value at `place`.
    fn value(&mut self, place: Self::Place, token: Token<'_>);
    /// The end of the array or object at `place`.
    fn end(&mut self, place: Self::Place);
}

/// Reads one document as [`check`] does and shows it to `watch`. A duplicate member does not end the reading, so that
/// `watch` has seen all of the document when the fault is `Ambiguous`, except beyond the permitted depth.
pub(super) fn read<W: Watch<Place: Default>>(bytes: &[u8], depth_max: usize, watch: &mut W) -> Result<(), Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotJson("expected JSON in UTF-8"))?;
    // serde_json stops at depth 128 with an error of its own. Ours comes first, so that depth has one answer.
    let mut reader =
        Reader { names: Vec::new(), depth_max: depth_max.min(DEPTH_MAX), fault: None, too_deep: false, watch };
    let mut json = serde_json::Deserializer::from_str(text);
    let value = Value { reader: &mut reader, place: W::Place::default(), depth: 0 };
    let read = value.deserialize(&mut json).and_then(|()| json.end());
    match (read, reader.too_deep, reader.fault) {
        (_, true, _) => Err(Fault::Ambiguous("arrays and objects are nested too deep")),
        (Err(_), false, _) => Err(Fault::NotJson("expected exactly one valid JSON value")),
        (Ok(()), false, Some(fault)) => Err(fault),
        (Ok(()), false, None) => Ok(()),
    }
}

/// What is kept while one document is read.
struct Reader<'de, 'w, W> {
    /// Names of the members of the objects being read, innermost last: one allocation for the whole document.
    names: Vec<Cow<'de, str>>,
    depth_max: usize,
    fault: Option<Fault>,
    too_deep: bool,
    watch: &'w mut W,
}

/// The member names that one object has had so far.
struct Names<'de> {
    /// Where they begin in `Reader::names`.
    begin: usize,
    /// Where they are once they are many: comparing each with each takes quadratic time.
    many: Option<HashSet<Cow<'de, str>>>,
}

impl<'de, W> Reader<'de, '_, W> {
    /// Notes a member's name; a second one is a fault.
    fn note(&mut self, names: &mut Names<'de>, name: Cow<'de, str>) {
        let new = if let Some(many) = &mut names.many {
            many.insert(name)
        } else {
            let few = self.names.get(names.begin..).unwrap_or_default();
            let new = !few.contains(&name);
            if few.len() < NAMES_FEW {
                self.names.push(name);
            } else {
                names.many = Some(self.names.drain(names.begin..).chain([name]).collect());
            }
            new
        };
        if !new {
            // The server may take the first of two equal members where we took the last.
            self.fault.get_or_insert(Fault::Ambiguous("an object has two members of the same name"));
        }
    }

    /// The depth inside one more array or object.
    fn descend<E: serde::de::Error>(&mut self, depth: usize) -> Result<usize, E> {
        if depth >= self.depth_max {
            self.too_deep = true;
            return Err(E::custom("too deep"));
        }
        Ok(depth + 1)
    }
}

/// Reads one value, whatever it is.
struct Value<'r, 'de, 'w, W: Watch> {
    reader: &'r mut Reader<'de, 'w, W>,
    place: W::Place,
    /// Arrays and objects around it.
    depth: usize,
}

impl<'de, W: Watch> DeserializeSeed<'de> for Value<'_, 'de, '_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<W: Watch> Value<'_, '_, '_, W> {
    #[expect(clippy::unnecessary_wraps, reason = "it ends every `visit_` method for a scalar")]
    fn scalar<E>(self, token: Token<'_>) -> Result<(), E> {
        self.reader.watch.value(self.place, token);
        Ok(())
    }
}

impl<'de, W: Watch> Visitor<'de> for Value<'_, 'de, '_, W> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.scalar(Token::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.scalar(Token::Bool)
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(Token::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(Token::Signed(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.scalar(Token::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.scalar(Token::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { reader, place, depth } = self;
        let depth = reader.descend(depth)?;
        reader.watch.value(place, Token::Array);
        loop {
            if elements.next_element_seed(Element { reader: &mut *reader, parent: place, depth })?.is_none() {
                reader.watch.end(place);
                return Ok(());
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self { reader, place, depth } = self;
        let depth = reader.descend(depth)?;
        reader.watch.value(place, Token::Object);
        let mut names = Names { begin: reader.names.len(), many: None };
        while let Some(name) = members.next_key_seed(Name)? {
            let place = reader.watch.member(place, &name);
            reader.note(&mut names, name);
            members.next_value_seed(Value { reader: &mut *reader, place, depth })?;
        }
        reader.names.truncate(names.begin);
        reader.watch.end(place);
        Ok(())
    }
}

/// Reads one element of the array at `parent`; its place is asked for only when there is one.
struct Element<'r, 'de, 'w, W: Watch> {
    reader: &'r mut Reader<'de, 'w, W>,
    parent: W::Place,
    depth: usize,
}

impl<'de, W: Watch> DeserializeSeed<'de> for Element<'_, 'de, '_, W> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Self { reader, parent, depth } = self;
        let place = reader.watch.element(parent);
        Value { reader, place, depth }.deserialize(deserializer)
    }
}

/// Reads the name of a member, unescaped.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// Watches nothing.
struct Nothing;

impl Watch for Nothing {
    type Place = ();
    fn member(&mut self, (): (), _: &str) {}
    fn element(&mut self, (): ()) {}
    fn value(&mut self, (): (), _: Token<'_>) {}
    fn end(&mut self, (): ()) {}
}

/// Simple case folding as far as its result can be ASCII; every other character stands for itself.
fn fold(character: char) -> char {
    match character {
        // LATIN SMALL LETTER LONG S and KELVIN SIGN: beside A to Z the only characters that fold to ASCII letters.
        '\u{17F}' => 's',
        '\u{212A}' => 'k',
        // No simple folding, but Java and Turkish locales compare the dotted capital and the dotless small one as `i`.
        '\u{130}' | '\u{131}' => 'i',
        _ => character.to_ascii_lowercase(),
    }
}

/// Spaces, controls, and the characters that show nothing: a parser that trims or strips them finds the member that
/// we overlooked.
fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || character.is_control()
        || matches!(character, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The deepest nesting that `serde_json` reads.
const DEPTH_MAX: usize = 127;

/// Up to so many members of an object are compared each with each, which is faster than hashing.
const NAMES_FEW: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::{NAMES_FEW, check, folds_to};

    #[test]
    fn lookalikes_of_a_member_fold_to_it() {
        let check =
            |name: &str, defined: &str, expect: bool| assert_eq!(folds_to(name, defined), expect, "{name:?} {defined}");
        check("name", "name", true);
        check("Name", "name", true);
        check("NAME", "name", true);
        check("name\0", "name", true);
        check("name\0ignored", "name", true);
        check("paramſ", "params", true);
        check("tas\u{212A}ID", "taskId", true);
        check("task\u{130}d", "taskId", true);
        check("task\u{131}d", "taskId", true);
        check("name ", "name", true);
        check("\tname\r\n", "name", true);
        check("na\u{200B}me", "name", true);
        check("\u{FEFF}name", "name", true);
        check("name\u{FE0F}", "name", true);
        check("_META", "_meta", true);
        check("nam", "name", false);
        check("names", "name", false);
        check("", "name", false);
        check("\0name", "name", true);
        check(" \0 name\0x", "name", true);
        check("n\u{E1}me", "name", false);
        check("n\u{430}me", "name", false);
        check("nаme", "name", false);
    }

    #[test]
    fn lookalikes_by_hand_are_those_of_unicode() {
        // Every character whose lower case is one ASCII letter, or whose upper case is: what a lenient parser compares by.
        for character in '\u{80}'..=char::MAX {
            let ascii = character.to_lowercase().chain(character.to_uppercase()).filter(char::is_ascii_alphabetic);
            let one = character.to_lowercase().count() == 1 && character.to_uppercase().count() == 1;
            for letter in ascii.filter(|_| one) {
                assert!(folds_to(&character.to_string(), &letter.to_string()), "{character:?} {letter:?}");
            }
        }
    }

    fn accepts(json: &str) -> bool {
        check(json.as_bytes(), 64).is_ok()
    }

    #[test]
    fn many_members_are_compared_too() {
        let object = |count: usize, last: &str| {
            let members: Vec<_> = (0..count).map(|number| format!(r#""k{number}":0"#)).collect();
            format!(r#"{{{},"{last}":0}}"#, members.join(","))
        };
        for count in [1, 2, NAMES_FEW - 1, NAMES_FEW, NAMES_FEW + 1, NAMES_FEW + 2, 100, 40_000] {
            assert!(accepts(&object(count, "new")), "{count}");
            for duplicate in
                ["k0".to_owned(), "\\u006b0".to_owned(), format!("k{}", count - 1), format!("k{}", count / 2)]
            {
                assert!(!accepts(&object(count, &duplicate)), "{count} {duplicate}");
            }
            // Names of one object say nothing about another, inside it or after it.
            assert!(accepts(&format!(r#"[{0},{{"k0":{0},"k1":{0}}}]"#, object(count, "new"))), "{count}");
        }
    }

    #[test]
    fn json_test_suite() {
        #[derive(serde::Deserialize)]
        struct Suite {
            files: Vec<File>,
        }
        #[derive(serde::Deserialize)]
        struct File {
            name: String,
            base64: String,
        }
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpora/jsontestsuite.json");
        let Ok(json) = std::fs::read(&path) else {
            println!("JSONTestSuite is absent: {} cannot be read, nothing was tested", path.display());
            return;
        };
        let suite: Suite = serde_json::from_slice(&json).unwrap();
        let duplicates = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
        let mut wrong = Vec::new();
        for File { name, base64 } in &suite.files {
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
            let accepted = check(&bytes, 64).is_ok();
            let expected = match name.as_bytes().first() {
                Some(b'y') => !duplicates.contains(&name.as_str()),
                Some(b'n') => false,
                _ => accepted,
            };
            if accepted != expected {
                wrong.push(name);
            }
        }
        assert!(suite.files.len() > 300 && wrong.is_empty(), "{wrong:?}");
    }

    /// A JSON document. Its text comes with the places where a duplicate could be put in: behind the brace of each object that
    /// has members, with the name of its last.
    #[derive(Debug, Clone)]
    enum Tree {
        Scalar(String),
        Array(Vec<Tree>),
        Object(Vec<(String, Tree)>),
    }

    impl Tree {
        fn write(&self, out: &mut String, places: &mut Vec<(usize, String)>) {
            match self {
                Self::Scalar(text) => out.push_str(text),
                Self::Array(elements) => {
                    out.push('[');
                    for (index, element) in elements.iter().enumerate() {
                        out.push_str(if index == 0 { "" } else { " ," });
                        element.write(out, places);
                    }
                    out.push(']');
                }
                Self::Object(members) => {
                    out.push('{');
                    if let Some((name, _)) = members.last() {
                        places.push((out.len(), name.clone()));
                    }
                    for (index, (name, value)) in members.iter().enumerate() {
                        out.push_str(if index == 0 { "" } else { ",\n" });
                        out.push_str(&serde_json::to_string(name).unwrap());
                        out.push_str(" : ");
                        value.write(out, places);
                    }
                    out.push('}');
                }
            }
        }

        fn written(&self) -> (String, Vec<(usize, String)>) {
            let (mut text, mut places) = (String::new(), Vec::new());
            self.write(&mut text, &mut places);
            (text, places)
        }
    }

    /// Every UTF-16 unit of `name` as an escape.
    fn escaped(name: &str) -> String {
        name.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<Vec<_>>().concat()
    }

    fn tree() -> impl Strategy<Value = Tree> {
        let scalar = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            (-1e300..1e300).prop_map(|value: f64| format!("{value:e}")),
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
            any::<String>().prop_map(|text| format!("\"{}\"", escaped(&text))),
        ];
        scalar.prop_map(Tree::Scalar).prop_recursive(6, 64, 6, |inner| {
            let name = prop_oneof!["[a-c]{0,2}", any::<String>()];
            prop_oneof![
                vec(inner.clone(), 0..6).prop_map(Tree::Array),
                btree_map(name, inner, 0..24).prop_map(|members| Tree::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_document_without_duplicates_is_read(tree in tree()) {
            prop_assert!(accepts(&tree.written().0));
        }

        #[test]
        fn a_duplicate_anywhere_is_refused_however_it_is_escaped(tree in tree(), choice in any::<Index>(), escape in any::<bool>()) {
            let (mut text, places) = tree.written();
            prop_assume!(!places.is_empty());
            let (place, name) = choice.get(&places);
            let name = if escape { format!("\"{}\"", escaped(name)) } else { serde_json::to_string(name).unwrap() };
            text.insert_str(*place, &format!("{name}:0,"));
            prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            prop_assert!(!accepts(&text));
        }

        #[test]
        fn what_is_accepted_is_json(text in r#"[\[\]{}:,"\\u0-9a-eE.+\- \ntrufalsn]{0,24}"#) {
            if accepts(&text) {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }

        #[test]
        fn what_is_changed_is_still_read_as_json_or_refused(tree in tree(), at in any::<Index>(), byte in any::<u8>()) {
            let mut bytes = tree.written().0.into_bytes();
            *at.get_mut(&mut bytes) = byte;
            if check(&bytes, 64).is_ok() {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            }
        }

        #[test]
        fn a_document_cut_short_is_refused(tree in tree(), at in any::<Index>()) {
            let text = format!("[{}]", tree.written().0);
            let cut = at.index(text.len());
            prop_assert!(check(&text.as_bytes()[..cut], 64).is_err());
        }
    }
}

//! Where everything in the file stands: one pass over the YAML events makes a tree of places, so that every later error
//! can name line and column. The pass also refuses what YAML has and this file must not: duplicate keys, anchors and
//! aliases, merge keys, tags, several documents, keys without value, great depth. It gives no value a meaning.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use super::error::{Problem, shown};
use super::scalar::Scalar;

/// How deep lists and maps may nest.
const DEPTH_MAX: usize = 32;

/// After so many problems reading ends.
const PROBLEMS_MAX: usize = 1000;

/// A line and a column, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// A key path as errors show it: `routes[0].rules[2].tools[0]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyPath {
    /// Which of the files: 0 is the one that includes the others.
    file: usize,
    last: Option<Arc<Step>>,
}

/// A step and those before it, which paths share: there is one for every value of thousands of routes.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    before: Option<Arc<Step>>,
    name: Name,
}

#[derive(Debug, PartialEq, Eq)]
enum Name {
    Key(Box<str>),
    Index(usize),
}

/// A value of the file and where it stands.
#[derive(Debug)]
pub(super) struct Node {
    /// Where its key stands; for what has no key, where it stands itself.
    key: Place,
    value: Place,
    pub(super) shape: Shape,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Shape {
    /// The text, and whether it stands without quotes.
    Scalar(String, bool),
    /// The entries, in order.
    List(Vec<Node>),
    /// The keys, in order; each is a text.
    Map(IndexMap<String, Node>),
}

/// Reads `text` once and says where everything stands, or everything that is wrong with it as YAML. `needed` says what a file
/// that holds nothing should hold.
pub(super) fn read(text: &str, needed: &str) -> Result<Node, Vec<Problem>> {
    let mut reader = Reader::default();
    for event in Parser::new_from_str(text) {
        let step = match event {
            Ok((event, span)) => reader.event(event, span.start),
            Err(error) => Err(syntax(&error)),
        };
        // After a fault of syntax the rest cannot be trusted to be what was meant.
        if let Err(fatal) = step {
            reader.problems.push(fatal);
            return Err(reader.problems);
        }
        if reader.problems.len() >= PROBLEMS_MAX {
            return Err(reader.problems);
        }
    }
    reader.finish(needed)
}

fn syntax(error: &ScanError) -> Problem {
    let expected = if error.info().contains("tab") {
        "spaces in place of the tab: YAML is never indented by tabs"
    } else {
        "YAML that is indented by spaces; a text that holds `: ` or ` #`, or begins with one of `*&!%@{[`, needs quotes"
    };
    Problem::at(Place::of(*error.marker()), KeyPath::default(), format!("this is not YAML: {}", error.info()), expected)
}

impl Place {
    /// The first character of a file.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// Behind the last character of `text`. Readers of YAML see the end of a text whose last line does not end one line later.
    pub(super) fn end_of(text: &str) -> Self {
        let mut lines = text.split('\n');
        let column = lines.next_back().map_or(0, |last| last.chars().count()).saturating_add(1);
        Self { line: lines.count().saturating_add(1), column }
    }

    fn of(marker: Marker) -> Self {
        Self { line: marker.line().max(1), column: marker.col().saturating_add(1) }
    }
}

impl KeyPath {
    /// The same path in another file.
    pub(super) fn in_file(mut self, file: usize) -> Self {
        self.file = file;
        self
    }
    /// Which file it is in.
    pub(super) fn file(&self) -> usize {
        self.file
    }
    /// Whether it is that of a whole file.
    pub(super) fn is_root(&self) -> bool {
        self.last.is_none()
    }
    /// The path of the value under `key`.
    pub(super) fn key(&self, key: &str) -> Self {
        self.then(Name::Key(key.into()))
    }
    /// The path of entry `index`, counted from 0.
    pub(super) fn index(&self, index: usize) -> Self {
        self.then(Name::Index(index))
    }
    fn then(&self, name: Name) -> Self {
        Self { file: self.file, last: Some(Arc::new(Step { before: self.last.clone(), name })) }
    }
    /// Takes the last step off.
    fn shorten(&mut self) {
        self.last = self.last.take().and_then(|last| last.before.clone());
    }
    /// The steps, first to last.
    fn steps(&self) -> Vec<&Name> {
        let mut steps: Vec<&Name> =
            std::iter::successors(self.last.as_deref(), |step| step.before.as_deref()).map(|step| &step.name).collect();
        steps.reverse();
        steps
    }
    /// The last key of the path.
    pub(super) fn last_key(&self) -> Option<&str> {
        match &self.last.as_ref()?.name {
            Name::Key(key) => Some(key),
            Name::Index(_) => None,
        }
    }
    /// Whether what stands there may be a secret that somebody wrote where its place should be named.
    pub(super) fn may_be_secret(&self) -> bool {
        let steps = self.steps();
        let keys = steps.iter().map_while(|step| if let Name::Key(key) = step { Some(&**key) } else { None });
        let keys: Vec<&str> = keys.collect();
        matches!(keys.as_slice(), ["sessions", ..] | ["telemetry", "otlp", "headers", ..])
    }
}

/// A key that is not a plain word stands in quotes, so that no two paths look the same.
impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, step) in self.steps().into_iter().enumerate() {
            match step {
                Name::Index(index) => write!(f, "[{index}]")?,
                Name::Key(key) => {
                    if place > 0 {
                        f.write_str(".")?;
                    }
                    let is_word = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                    if is_word && (1..=64).contains(&key.len()) {
                        f.write_str(key)?;
                    } else {
                        f.write_str(&shown(key))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Node {
    /// Where the value at `path` stands; where its closest ancestor stands when the file does not write it.
    pub(super) fn place(&self, path: &KeyPath) -> Place {
        let (node, complete) = self.find(path);
        // A key that is not written is missed in its map: point to the key of that map.
        if complete { node.value } else { node.key }
    }
    /// Where the key at the end of `path` stands.
    pub(super) fn key_place(&self, path: &KeyPath) -> Place {
        self.find(path).0.key
    }
    /// The value at `path` in a form fit for a message.
    pub(super) fn describe(&self, path: &KeyPath) -> String {
        match &self.find(path).0.shape {
            // In quotes it would look as if it were a text already.
            Shape::Scalar(text, plain) if Scalar::of(text, *plain) != Scalar::Text => text.chars().take(40).collect(),
            Shape::Scalar(text, _) => shown(text),
            Shape::List(_) => "a list".to_owned(),
            Shape::Map(_) => "a map".to_owned(),
        }
    }
    fn find(&self, path: &KeyPath) -> (&Node, bool) {
        let mut node = self;
        for step in path.steps() {
            let next = match (&node.shape, step) {
                (Shape::Map(map), Name::Key(key)) => map.get(&**key),
                (Shape::List(list), Name::Index(index)) => list.get(*index),
                (Shape::Scalar(..) | Shape::Map(_) | Shape::List(_), _) => None,
            };
            match next {
                Some(found) => node = found,
                None => return (node, false),
            }
        }
        (node, true)
    }
}

/// The lists and maps that are open, outermost first, and what is done.
#[derive(Default)]
struct Reader {
    open: Vec<Open>,
    path: KeyPath,
    root: Option<Node>,
    documents: usize,
    problems: Vec<Problem>,
}

struct Open {
    key: Place,
    value: Place,
    shape: Shape,
    /// In a map: the key whose value comes next.
    pending: Option<(String, Place)>,
}

impl Reader {
    fn event(&mut self, event: Event<'_>, marker: Marker) -> Result<(), Problem> {
        let place = Place::of(marker);
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.document(place),
            Event::Alias(_) => Err(self.anchored(place)),
            Event::Scalar(text, style, anchor, tag) => {
                if anchor > 0 {
                    return Err(self.anchored(place));
                }
                if tag.is_some() {
                    return Err(self.tagged(place));
                }
                self.scalar(&text, style == ScalarStyle::Plain, place)
            }
            Event::SequenceStart(anchor, tag) => self.opening(anchor, tag.is_some(), Shape::List(Vec::new()), place),
            Event::MappingStart(anchor, tag) => self.opening(anchor, tag.is_some(), Shape::Map(IndexMap::new()), place),
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(done) = self.open.pop() {
                    self.path.shorten();
                    self.add(Node { key: done.key, value: done.value, shape: done.shape });
                }
                Ok(())
            }
        }
    }

    fn document(&mut self, place: Place) -> Result<(), Problem> {
        self.documents = self.documents.saturating_add(1);
        if self.documents < 2 {
            return Ok(());
        }
        let expected = "one document; remove the line `---` and what follows, or put it into a file of its own";
        Err(Problem::at(place, KeyPath::default(), "a second YAML document begins here", expected))
    }

    fn opening(&mut self, anchor: usize, tagged: bool, shape: Shape, place: Place) -> Result<(), Problem> {
        if anchor > 0 {
            return Err(self.anchored(place));
        }
        if tagged {
            return Err(self.tagged(place));
        }
        if self.expects_key() {
            let expected = "a key that is a plain text; a text that begins with `{`, `[` or `?` needs quotes";
            return Err(Problem::at(place, self.path.clone(), "a list or a map is used as a key", expected));
        }
        if self.open.len() >= DEPTH_MAX {
            let found = format!("lists and maps are nested more than {DEPTH_MAX} deep");
            return Err(Problem::at(
                place,
                KeyPath::default(),
                found,
                "the keys of the reference; none nests that deep",
            ));
        }
        let key = self.step_into(place);
        self.open.push(Open { key, value: place, shape, pending: None });
        Ok(())
    }

    fn scalar(&mut self, text: &str, plain: bool, place: Place) -> Result<(), Problem> {
        if self.expects_key() {
            return self.map_key(text, plain, place);
        }
        let key = self.step_into(place);
        if Scalar::of(text, plain) == Scalar::Nothing && !self.open.is_empty() {
            // Read as "not there" it would turn into a default that nobody wrote.
            let expected = "a value; remove the key for its default, write [] for an empty list";
            let place = if text.is_empty() { key } else { place };
            self.problems.push(Problem::at(place, self.path.clone(), "there is no value", expected));
        }
        self.path.shorten();
        self.add(Node { key, value: place, shape: Shape::Scalar(text.to_owned(), plain) });
        Ok(())
    }

    fn map_key(&mut self, text: &str, plain: bool, place: Place) -> Result<(), Problem> {
        if plain && text == "<<" {
            let expected = "every key written where it applies; merge keys are not read";
            return Err(Problem::at(place, self.path.key(text), "a merge key", expected));
        }
        if Scalar::of(text, plain) != Scalar::Text {
            let found = format!("the key {} is not a text", text.chars().take(40).collect::<String>());
            let expected = "a key that is a text; a number or a word such as `true` needs quotes to be one";
            self.problems.push(Problem::at(place, self.path.key(text), found, expected));
        }
        let Some(Open { shape: Shape::Map(map), pending, .. }) = self.open.last_mut() else {
            return Ok(());
        };
        if let Some(first) = map.get(text) {
            let found = format!("the key {} is given twice (first in line {})", shown(text), first.key.line);
            let path = self.path.key(text);
            self.problems.push(Problem::at(place, path, found, "each key once; remove one of the two"));
        }
        *pending = Some((text.to_owned(), place));
        Ok(())
    }

    /// Whether the next node is the key of a map.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { shape: Shape::Map(_), pending: None, .. }))
    }

    /// Appends the step to the value that begins at `place` to the path, and says where its key stands.
    fn step_into(&mut self, place: Place) -> Place {
        match self.open.last() {
            Some(Open { shape: Shape::List(list), .. }) => {
                self.path = self.path.index(list.len());
                place
            }
            Some(Open { pending: Some((key, key_place)), .. }) => {
                self.path = self.path.key(key);
                *key_place
            }
            Some(_) | None => place,
        }
    }

    /// Adds a finished value to the list or map that holds it.
    fn add(&mut self, node: Node) {
        match self.open.last_mut() {
            Some(Open { shape: Shape::List(list), .. }) => list.push(node),
            Some(Open { shape: Shape::Map(map), pending, .. }) => {
                if let Some((key, _)) = pending.take() {
                    map.insert(key, node);
                }
            }
            Some(Open { shape: Shape::Scalar(..), .. }) | None => self.root = Some(node),
        }
    }

    fn anchored(&self, place: Place) -> Problem {
        // Aliases of aliases grow to gigabytes from a few lines ("billion laughs").
        let expected = "every value written where it applies; a text that begins with `&` or `*` needs quotes";
        Problem::at(place, self.value_path(), "YAML anchors (`&`) and aliases (`*`) are not read", expected)
    }

    fn tagged(&self, place: Place) -> Problem {
        let expected = "plain values; a text that begins with `!` needs quotes";
        Problem::at(place, self.value_path(), "YAML tags (`!`) are not read", expected)
    }

    /// The path of the value that begins now.
    fn value_path(&self) -> KeyPath {
        match self.open.last() {
            Some(Open { shape: Shape::List(list), .. }) => self.path.index(list.len()),
            Some(Open { pending: Some((key, _)), .. }) => self.path.key(key),
            Some(_) | None => self.path.clone(),
        }
    }

    fn finish(mut self, expected: &str) -> Result<Node, Vec<Problem>> {
        match self.root {
            Some(node) if matches!(node.shape, Shape::Map(_)) => {
                if self.problems.is_empty() {
                    Ok(node)
                } else {
                    Err(self.problems)
                }
            }
            Some(Node { value, shape: Shape::Scalar(text, _), .. }) if matches!(text.as_str(), "" | "~" | "null") => {
                Err(vec![Problem::at(value, KeyPath::default(), "the file is empty", expected)])
            }
            Some(node) => {
                let found = "the file is not a map of keys and values";
                self.problems.push(Problem::at(node.value, KeyPath::default(), found, expected));
                Err(self.problems)
            }
            None => Err(vec![Problem::at(Place::START, KeyPath::default(), "the file is empty", expected)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> KeyPath {
        text.split('.').fold(KeyPath::default(), |path, step| match step.parse() {
            Ok(index) => path.index(index),
            Err(_) => path.key(step),
        })
    }

    #[test]
    fn every_value_has_its_place() {
        let tree = read("a: 1\nb:\n  - x\n  - {c: d, e: [f]}\n", "keys").expect("YAML");
        let check = |at: &str, line, column| assert_eq!(tree.place(&path(at)), Place { line, column }, "{at}");
        check("a", 1, 4);
        check("b.0", 3, 5);
        check("b.1", 4, 5);
        check("b.1.c", 4, 9);
        check("b.1.e.0", 4, 16);
        // What is not written is missed where its parent's key stands.
        check("b.1.z", 4, 5);
        check("a.z", 1, 1);
        assert_eq!(tree.key_place(&path("b.1.e")), Place { line: 4, column: 12 });
    }

    #[test]
    fn paths_are_unambiguous() {
        let path = KeyPath::default().key("routes").index(2).key("a.b").key("x_y");
        assert_eq!(path.to_string(), "routes[2].\"a.b\".x_y");
    }

    fn refused(text: &str, place: &str, found: &str) {
        let problems = read(text, "keys").expect_err(text);
        let got = problems.iter().map(|p| format!("{p}")).collect::<Vec<_>>().join("\n");
        assert!(got.starts_with(place) && got.contains(found), "{text:?}: {got}");
    }

    #[test]
    fn what_yaml_has_and_the_file_must_not() {
        refused("", "1:1: ", "is empty");
        refused("# only a comment\n", "", "is empty");
        refused("---\n", "", "is empty");
        refused("a: 1\na: 2\n", "2:1: a: ", "given twice (first in line 1)");
        refused("a: 1\n\"a\": 2\n", "2:1: a: ", "given twice");
        refused("b: {a: 1, c: 1, a: 2}\n", "1:17: b.a: ", "given twice");
        refused("a: &x 1\n", "1:", "anchors");
        refused("a: &x {}\n", "1:", "anchors");
        refused("a: &x 1\nb: *x\n", "1:", "anchors");
        refused("a: {}\nb: {<<: {}}\n", "2:5: b.\"<<\": ", "merge key");
        refused("a: !secret x\n", "1:", "tags");
        refused("a: !!str x\n", "1:", "tags");
        refused("a: 1\n---\nb: 1\n", "2:1: ", "second YAML document");
        refused("a:\nb: 1\n", "1:1: a: ", "no value");
        refused("a: ~\n", "1:4: a: ", "no value");
        refused("a:\n  - \n", "2:", "no value");
        refused("[a]: 1\n", "1:", "as a key");
        refused("- a\n", "1:1: ", "not a map");
        refused("a: {\n", "", "not YAML");
        refused(&format!("a: {}1{}\n", "[".repeat(40), "]".repeat(40)), "1:", "nested more than 32 deep");
    }

    #[test]
    fn two_faults_are_both_reported() {
        assert_eq!(read("a: 1\na: 2\nb:\n", "keys").expect_err("faults").len(), 2);
    }
}

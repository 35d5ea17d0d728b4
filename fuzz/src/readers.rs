//! What a body says to other parsers: whatever we accept, each of them reads as we do. They may refuse it.

use gatepost::mcp::message::{self, Body};
use serde_json::Value;

use super::envelope::{self, LIMITS};
use super::tree::{LOOKUPS, Lookup, Tree};

/// A parser, as the document that it makes of the bytes; `None` where it refuses them.
pub type Parser = fn(&[u8]) -> Option<Value>;

/// Everything that a decision rests on.
const DECISIVE: [&[&str]; 17] = [
    &["jsonrpc"],
    &["id"],
    &["method"],
    &["result"],
    &["error"],
    &["params"],
    &["params", "name"],
    &["params", "uri"],
    &["params", "taskId"],
    &["params", "protocolVersion"],
    &["params", "ref", "type"],
    &["params", "ref", "name"],
    &["params", "ref", "uri"],
    &["params", "notifications"],
    &["params", "notifications", "resourceSubscriptions"],
    &["params", "notifications", "taskIds"],
    &["params", "_meta", "io.modelcontextprotocol/protocolVersion"],
];

/// Reads the bytes as a body, then with every other parser: `serde_json`, those of the table of lookups, and `parsers`.
///
/// # Panics
/// Where one of them sees another method, id, name or URI.
pub fn check(bytes: &[u8], parsers: &[(&str, Parser)]) {
    let Ok(body) = message::read(bytes, LIMITS) else { return };
    let document = Tree::read(bytes).expect("what is accepted is JSON");
    let messages = match &body {
        Body::One(message) => std::slice::from_ref(message),
        Body::Batch(messages) => messages,
    };
    messages.iter().zip(document.messages()).for_each(|(message, element)| envelope::check_message(message, element));
    for (name, lookup) in LOOKUPS {
        agree(&document, &document, lookup, name);
    }
    let serde: (&str, Parser) = ("serde_json", |bytes| serde_json::from_slice(bytes).ok());
    for (name, parse) in std::iter::once(&serde).chain(parsers) {
        if let Some(other) = parse(bytes) {
            agree(&document, &other.into(), LOOKUPS[0].1, name);
        }
    }
}

/// Two documents are the same in everything decisive.
fn agree(ours: &Tree, theirs: &Tree, lookup: Lookup, name: &str) {
    assert_eq!(ours.elements().is_some(), theirs.elements().is_some(), "{name}");
    assert_eq!(ours.messages().len(), theirs.messages().len(), "{name}");
    for (ours, theirs) in ours.messages().iter().zip(theirs.messages()) {
        for path in DECISIVE {
            let values = (ours.get(path), theirs.find(lookup, path));
            let same = match values {
                (Some(ours), Some(theirs)) => are_same(ours, theirs),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(same, "{name}: {path:?}: {values:?}");
        }
    }
}

/// Texts and integers to the last bit; of objects, and of numbers with a fraction, the kind.
fn are_same(ours: &Tree, theirs: &Tree) -> bool {
    match (ours, theirs) {
        (Tree::Object(_), Tree::Object(_)) => true,
        (Tree::Number(ours), Tree::Number(theirs)) if ours.is_f64() => theirs.is_f64(),
        (Tree::Array(ours), Tree::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| are_same(ours, theirs))
        }
        (ours, theirs) => ours == theirs,
    }
}

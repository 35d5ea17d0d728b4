//! The filtering of lists: what is hidden is gone for every parser, and nothing else changes.

use std::collections::BTreeMap;

use gatepost::mcp::listing::{self, Entry, Filtered};
use serde_json::value::RawValue;

use super::tree::{LOOKUPS, Tree};

/// Every list, with the member of an entry that rules decide by.
const LISTS: [(&str, &str); 4] =
    [("tools", "name"), ("prompts", "name"), ("resources", "uri"), ("resourceTemplates", "uriTemplate")];

/// Filters the bytes as an answer: showing everything, nothing, and what has an even number of bytes.
///
/// # Panics
/// Where a hidden entry remains, or anything else changes.
pub fn check(bytes: &[u8]) {
    let Some(all) = filtered(bytes, |_| true) else { return };
    let text = std::str::from_utf8(bytes).expect("what is understood is UTF-8");
    assert_eq!(String::from_utf8(all).expect("UTF-8"), with_private_scopes(text));
    for shows in [(|_| false) as fn(&str) -> bool, |key| key.len() % 2 == 0] {
        let out = filtered(bytes, shows).expect("what is shown decides nothing else");
        let document = Tree::read_loosely(&out).expect("what is left is JSON");
        let mut expect = Tree::read_loosely(bytes).expect("what is understood is JSON");
        hide(&mut expect, shows);
        assert_eq!(document, expect);
        assert_eq!(filtered(&out, shows).as_deref(), Some(&out[..]), "hiding twice hides no more");
        document.messages().iter().for_each(check_lookups);
    }
}

/// The bytes that remain; `None` where they are not understood. Each entry is asked for by its own name.
fn filtered(bytes: &[u8], shows: impl Fn(&str) -> bool) -> Option<Vec<u8>> {
    let asked = std::cell::RefCell::new(Vec::new());
    let outcome = listing::filter(bytes, &|entry, _| {
        let (list, key) = match entry {
            Entry::Tool(key) => (0, key),
            Entry::Prompt(key) => (1, key),
            Entry::Resource(key) => (2, key),
            Entry::ResourceTemplate(key) => (3, key),
        };
        asked.borrow_mut().push((list, key.to_owned()));
        shows(key)
    });
    let out = match outcome {
        Ok(Filtered::Unchanged) => bytes.to_vec(),
        Ok(Filtered::Changed(out)) => {
            assert_ne!(out, bytes, "what is said to change changes");
            out
        }
        Err(fault) => {
            assert!(!fault.detail.is_empty());
            return None;
        }
    };
    let document = Tree::read_loosely(bytes).expect("what is understood is JSON");
    assert!(!document.has_twins());
    let mut expect = Vec::new();
    for message in document.messages() {
        for (place, (list, key)) in LISTS.iter().enumerate() {
            for entry in message.get(&["result", list]).and_then(Tree::elements).unwrap_or_default() {
                expect.push((place, entry.get(&[key]).and_then(Tree::text).expect("a name that is text").to_owned()));
            }
        }
    }
    assert_eq!(asked.into_inner(), expect);
    Some(out)
}

/// No lenient parser finds a list, or a name in it, where an exact one does not.
fn check_lookups(message: &Tree) {
    for (name, lookup) in LOOKUPS {
        let found = |path: &[&str]| message.find(lookup, path);
        assert_eq!(found(&["result"]), message.get(&["result"]), "{name}");
        assert_eq!(found(&["result", "cacheScope"]), message.get(&["result", "cacheScope"]), "{name}");
        for (list, key) in LISTS {
            let exact = message.get(&["result", list]);
            assert_eq!(found(&["result", list]), exact, "{name}");
            for entry in exact.and_then(Tree::elements).unwrap_or_default() {
                assert_eq!(entry.find(lookup, &[key]), entry.get(&[key]), "{name}");
            }
        }
    }
}

/// The document as the obvious way filters it.
fn hide(document: &mut Tree, shows: fn(&str) -> bool) {
    let messages = if let Tree::Array(messages) = document { messages } else { std::slice::from_mut(document) };
    for message in messages {
        let Tree::Object(envelope) = message else { continue };
        let Some((_, Tree::Object(result))) = envelope.iter_mut().find(|(name, _)| name == "result") else { continue };
        for (name, value) in result {
            if name == "cacheScope" {
                *value = Tree::Text("private".to_owned());
            }
            let Some((_, key)) = LISTS.iter().find(|(list, _)| list == name) else { continue };
            if let Tree::Array(entries) = value {
                entries.retain(|entry| entry.get(&[key]).and_then(Tree::text).is_some_and(shows));
            }
        }
    }
}

/// The text with the value of every `result.cacheScope` replaced.
fn with_private_scopes(text: &str) -> String {
    let messages = serde_json::from_str::<Vec<&RawValue>>(text)
        .map_or_else(|_| vec![text], |batch| batch.into_iter().map(RawValue::get).collect());
    let mut out = String::new();
    let mut kept = 0;
    for message in messages {
        let scope = members(message).get("result").and_then(|result| members(result).get("cacheScope").copied());
        let Some(scope) = scope.filter(|scope| serde_json::from_str(scope).ok() != Some("private".to_owned())) else {
            continue;
        };
        let start = scope.as_ptr().addr() - text.as_ptr().addr();
        out.push_str(text.get(kept..start).expect("in order"));
        out.push_str("\"private\"");
        kept = start + scope.len();
    }
    out.push_str(text.get(kept..).expect("in order"));
    out
}

/// The members of an object as written; none where it is no object.
fn members(text: &str) -> BTreeMap<String, &str> {
    let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).unwrap_or_default();
    members.into_iter().map(|(name, value)| (name, value.get())).collect()
}

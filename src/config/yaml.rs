//! From text to the file as written. The only place that knows `serde_yaml`, so that a successor changes this file alone.

use serde_path_to_error::Segment;

use super::error::{Problem, closest, one_of, shown};
use super::place::{self, KeyPath, Node, Place};
use super::raw::File;

/// Reads the file as written and where everything in it stands.
pub(super) fn read(text: &str) -> Result<(File, Node), Vec<Problem>> {
    let tree = place::read(text)?;
    // Through `Value`, errors are about values alone: the place comes from `tree`, which knows it exactly.
    let value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|error| vec![syntax(&error)])?;
    match serde_path_to_error::deserialize(value) {
        Ok(file) => Ok((file, tree)),
        Err(error) => {
            let path = key_path(error.path());
            Err(vec![mismatch(&tree, path, &error.into_inner().to_string())])
        }
    }
}

/// What the second parser refuses and the first one read.
fn syntax(error: &serde_yaml::Error) -> Problem {
    let place =
        error.location().map_or(Place::START, |location| Place { line: location.line(), column: location.column() });
    Problem::at(
        place,
        KeyPath::default(),
        "this is not YAML that can be relied on",
        "simpler YAML: quote the text here",
    )
}

fn key_path(path: &serde_path_to_error::Path) -> KeyPath {
    path.iter().fold(KeyPath::default(), |path, segment| match segment {
        Segment::Seq { index } => path.index(*index),
        Segment::Map { key } => path.key(key),
        Segment::Enum { .. } | Segment::Unknown => path,
    })
}

/// Says in our words what serde says in its own: `message` is one of the forms of `serde::de::Error`, or ours.
fn mismatch(tree: &Node, path: KeyPath, message: &str) -> Problem {
    if message.starts_with("unknown field ") {
        return unknown_key(tree, path, message);
    }
    if let Some(rest) = message.strip_prefix("missing field ") {
        let key = rest.trim_matches('`');
        let place = tree.place(&path);
        let example = example(key);
        return Problem::at(place, path, format!("the key {} is missing", shown(key)), example);
    }
    let place = tree.place(&path);
    // A secret that was written inline stays out of every message and every log.
    let value = if path.is_under("sessions") { "this".to_owned() } else { tree.describe(&path) };
    if message.starts_with("unknown variant ") {
        let words = words_after_expected(message);
        return Problem::at(place, path, format!("{value} is not a known word"), one_of(words));
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => {
            // A value of another kind than text, where a word is expected: serde_yaml does not say which words.
            let expected = match path.last_key() {
                Some("visibility") => "one word: grantable, granted or all",
                Some("default") => "one word: deny or allow",
                Some(_) | None => in_plain_words(expected),
            };
            Problem::at(place, path, format!("{value} is not {}", first_clause(expected)), expected)
        }
        None => Problem::at(place, path, format!("{value} does not fit here"), message),
    }
}

fn unknown_key(tree: &Node, path: KeyPath, message: &str) -> Problem {
    let place = tree.key_place(&path);
    let words = words_after_expected(message);
    let key = path.last_key().unwrap_or_default();
    let meant =
        closest(key, words.iter().copied()).map_or(String::new(), |word| format!("; did you mean {}?", shown(word)));
    let found = format!("unknown key {}{meant}", shown(key));
    Problem::at(place, path, found, format!("one of the keys {}", one_of(words)))
}

/// The words in backquotes after `expected`.
fn words_after_expected(message: &str) -> Vec<&str> {
    let list = message.rsplit_once(", expected ").map_or("", |(_, list)| list);
    list.split('`').skip(1).step_by(2).collect()
}

fn in_plain_words(expected: &str) -> &str {
    match expected {
        "a sequence" => "a list, such as [a, b]",
        "u64" | "u32" | "usize" => "a whole number, not in quotes",
        "a boolean" => "true or false",
        "a string" => "a text; a number or a word such as `true` needs quotes to be one",
        "a map" => "a map of keys and values",
        other if other.starts_with("struct ") => "a map of keys and values",
        other => other,
    }
}

fn first_clause(text: &str) -> &str {
    text.split([',', ';', ':']).next().unwrap_or(text)
}

/// What a missing key looks like.
fn example(key: &str) -> String {
    match key {
        "issuer" => "`issuer: https://auth.example.com`, exactly as the authorization server writes it".to_owned(),
        "name" => "`name: github`, the word for this route in logs, metrics and metadata".to_owned(),
        "path" => "`path: /github/mcp`, the path of the MCP endpoint on public_url".to_owned(),
        "upstream" => "`upstream: http://127.0.0.1:3000/mcp`, the URL of the MCP server".to_owned(),
        "url" => "`url: http://127.0.0.1:3000/mcp`, the URL of the MCP server".to_owned(),
        other => format!("`{other}:` and its value"),
    }
}

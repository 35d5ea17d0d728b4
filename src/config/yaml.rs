//! From text to the file as written. The only place that knows `serde_yaml`, so that a successor changes this file alone.
//! What it reads must agree with what `place` read of the same text, value by value.

use serde::de::DeserializeOwned;
use serde_path_to_error::Segment;
use serde_yaml::Value;

use super::error::{PROBLEMS_MAX, Problem, closest, one_of, shown};
use super::place::{self, KeyPath, Node, Place, Shape};
use super::raw::{File, Included};
use super::scalar::Scalar;

/// Reads the file as written and where everything in it stands.
pub(super) fn read(text: &str) -> Result<(File, Node), Vec<Problem>> {
    read_as(text, "at least `authorization_servers` and `routes`; config/minimal.yaml is a file to start from")
}

/// The same for a file that is included.
pub(super) fn read_included(text: &str) -> Result<(Included, Node), Vec<Problem>> {
    read_as(text, "`routes:` with the routes of this file, or no such file")
}

/// The same for a table of expectations.
pub(super) fn read_expectations<T: DeserializeOwned>(text: &str) -> Result<(T, Node), Vec<Problem>> {
    read_as(text, "`cases:` with what is expected; config/minimal.test.yaml is a table to start from")
}

fn read_as<T: DeserializeOwned>(text: &str, needed: &str) -> Result<(T, Node), Vec<Problem>> {
    // Some editors begin every file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    read_without_mark(text, needed).map_err(|problems| {
        let end = Place::end_of(text);
        problems.into_iter().map(|problem| problem.no_later_than(end)).collect()
    })
}

fn read_without_mark<T: DeserializeOwned>(text: &str, needed: &str) -> Result<(T, Node), Vec<Problem>> {
    let hidden = hidden(&text.replace("\r\n", "\n"));
    if !hidden.is_empty() {
        return Err(hidden);
    }
    let tree = place::read(text, needed)?;
    let value: Value = serde_yaml::from_str(text).map_err(|error| vec![syntax(&error)])?;
    let mut problems = Vec::new();
    compare(&tree, &value, &KeyPath::default, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    // Through `Value`, errors are about values alone: the place comes from `tree`, which knows it exactly.
    match serde_path_to_error::deserialize::<_, T>(value) {
        Ok(file) => Ok((file, tree)),
        Err(error) => {
            let path = key_path(error.path());
            Err(vec![mismatch(&tree, path, &error.into_inner().to_string())])
        }
    }
}

/// Characters that show nothing, or move what stands around them: whoever reviews the file reads another one than we do
/// ("Trojan Source", CVE-2021-42574), and a `deny` for a name that holds one denies nothing. A CR by itself is among them: it
/// ends a line for YAML, and for few editors.
fn hidden(text: &str) -> Vec<Problem> {
    let lines = (1..).zip(text.split('\n'));
    let letters =
        lines.flat_map(|(line, text)| (1..).zip(text.chars()).map(move |(column, letter)| (line, column, letter)));
    let hidden = letters.filter(|(_, _, letter)| is_hidden(*letter)).take(PROBLEMS_MAX);
    let problem = |(line, column, letter)| {
        let code = u32::from(letter);
        let found = format!("the character U+{code:04X}, which cannot be seen");
        let expected = format!("what can be seen; \"\\U{code:08X}\", in double quotes, where a name really holds it");
        Problem::at(Place { line, column }, KeyPath::default(), found, expected)
    };
    hidden.map(problem).collect()
}

/// Whether nobody sees this letter; a tab is not among them.
pub(super) fn is_hidden(letter: char) -> bool {
    (letter.is_control() && letter != '\t')
        || matches!(letter, '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}' | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Refuses what the two readers of YAML take for different things. One knows the places and refuses duplicates and aliases,
/// the other says what the file means: where they part, somebody reviewed another file than the one in force.
fn compare(node: &Node, value: &Value, path: &dyn Fn() -> KeyPath, problems: &mut Vec<Problem>) {
    let agree = match (&node.shape, value) {
        (Shape::Scalar(text, plain), value) => match (Scalar::of(text, *plain), value) {
            (Scalar::Text, Value::String(read)) => read == text,
            (Scalar::Whole(number), Value::Number(read)) => read.as_u64() == Some(number),
            (Scalar::OtherNumber, Value::Number(read)) => {
                // `.inf` and `.nan` are no number that any key takes: refused next, with a better message.
                let same = |number: f64| read.as_f64() == Some(number);
                read.as_u64().is_none() && text.parse::<f64>().map_or(true, same)
            }
            (Scalar::Bool(truth), Value::Bool(read)) => *read == truth,
            (Scalar::Nothing, Value::Null) => true,
            (_, _) => false,
        },
        (Shape::List(nodes), Value::Sequence(values)) if nodes.len() == values.len() => {
            for (place, (node, value)) in nodes.iter().zip(values).enumerate() {
                compare(node, value, &|| path().index(place), problems);
            }
            true
        }
        (Shape::Map(nodes), Value::Mapping(values)) if nodes.len() == values.len() => {
            // Both have the order of the file.
            nodes.iter().zip(values).all(|((key, node), (name, value))| {
                compare(node, value, &|| path().key(key), problems);
                name.as_str() == Some(key)
            })
        }
        (_, _) => false,
    };
    if !agree {
        let path = path();
        let found = if path.may_be_secret() {
            "readers of YAML differ about what this is".to_owned()
        } else {
            format!("readers of YAML differ about what {} is", node.describe(&KeyPath::default()))
        };
        let expected = "quotes around it where a text is meant, else decimal digits without a leading zero";
        problems.push(Problem::at(node.place(&KeyPath::default()), path, found, expected));
    }
}

/// What the second reader refuses and the first one read.
fn syntax(error: &serde_yaml::Error) -> Problem {
    let place = error.location().map_or(Place::START, |at| Place { line: at.line(), column: at.column() });
    let expected = "simpler YAML: quote the text here";
    Problem::at(place, KeyPath::default(), "this is not YAML that can be relied on", expected)
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
    let value = if path.may_be_secret() { "this".to_owned() } else { tree.describe(&path) };
    if message.starts_with("unknown variant ") {
        let words = words_after_expected(message);
        return Problem::at(place, path, format!("{value} is not a known word"), one_of(words));
    }
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => {
            // A value of another kind than text, where a word is expected: serde does not say which words.
            let expected = match path.last_key() {
                Some("visibility") => "one word: grantable, granted or all",
                Some("default") => "one word: deny or allow",
                Some("mode") => "one word: enforce or, of a route, report",
                Some("denial") => "one word: challenge or hide",
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
    let expected = match words.as_slice() {
        ["routes"] => "`routes` alone; everything else stands in the file that includes this one".to_owned(),
        words => format!("one of the keys {}", one_of(words.iter().copied())),
    };
    Problem::at(place, path, found, expected)
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
        "f64" => "a number, such as 0.1, not in quotes",
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
        "expect" => "`expect: allow`, or a reason word such as `expect: insufficient_scope`".to_owned(),
        "cases" => "`cases:` and a list of what is expected".to_owned(),
        "url" => "`url: http://127.0.0.1:3000/mcp`, the URL of the MCP server".to_owned(),
        other => format!("`{other}:` and its value"),
    }
}

//! `config/gatepost.schema.json`, which `gatepost schema` prints: made of the types of `raw` and of their comments, so that neither
//! can say what the other does not. Of a comment are made the description; `minimum` and `maximum`, of "`1` to `60`"; and
//! `default`, of "Default: `30`". That these are what is enforced is tried out on files.

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::*;
use crate::token::ALGORITHMS;

const SCHEMA: &str = include_str!("../../../config/gatepost.schema.json");

pub(in crate::config) fn external(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"const": "external"})
}

pub(in crate::config) fn algorithms() -> Value {
    json!({"enum": ALGORITHMS.map(|(name, _)| name)})
}

/// One of these keys, and not two.
pub(in crate::config) fn one_of(keys: &[&str]) -> Value {
    keys.iter().map(|key| json!({"required": [key]})).collect()
}

pub(in crate::config) fn of_a_rule() -> Value {
    let about = one_of(&["tools", "prompts", "resources", "methods"]);
    let demands = one_of(&["scopes", "any_scope", "allow", "deny"]);
    json!([{"oneOf": about}, {"oneOf": demands}])
}

fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<raw::File>().to_value();
    schema["title"] = json!("Routing file of Gatepost");
    schema["$id"] = json!("urn:gatepost:file:1");
    let mut names = Vec::new();
    property_names(&schema, &mut names);
    let definitions = schema["$defs"].clone();
    tidy(&mut schema, &definitions, &names);
    schema
}

fn property_names(schema: &Value, names: &mut Vec<String>) {
    match schema {
        Value::Object(object) => {
            for (keyword, value) in object {
                if keyword == "properties" {
                    names.extend(value.as_object().expect("properties").keys().cloned());
                }
                property_names(value, names);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| property_names(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// In the words of JSON Schema alone: how Rust counts says nothing to others, and null is nobody's value.
fn tidy(schema: &mut Value, definitions: &Value, names: &[String]) {
    if let Value::Array(list) = schema {
        for one in list.iter_mut() {
            tidy(one, definitions, names);
        }
    }
    let Some(object) = schema.as_object_mut() else { return };
    object.remove("format");
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        let only = types.first().cloned().expect("a type");
        object.insert("type".to_owned(), only);
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf") {
        any.retain(|one| one["type"] != "null");
        if let [only] = any.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only.as_object().expect("a schema").clone());
        }
    }
    if let Some(text) = object.get("description").and_then(Value::as_str) {
        let text = text.replace('\n', " ");
        let kind = object.get("type").cloned().unwrap_or_else(|| {
            let name = object.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
            name.map_or(Value::Null, |name| kind_of(&definitions[name]))
        });
        if let Some((least, most)) = range(&text).filter(|_| kind == "integer" || kind == "number") {
            object.insert("minimum".to_owned(), least);
            object.insert("maximum".to_owned(), most);
        }
        if let Some(default) = default(&text, &kind, names) {
            object.insert("default".to_owned(), default);
        }
        object.insert("description".to_owned(), text.into());
    }
    for (keyword, value) in object.iter_mut() {
        // Keys of the file may be called like keywords.
        match (keyword.as_str(), value) {
            ("properties" | "$defs", Value::Object(map)) => {
                map.values_mut().for_each(|one| tidy(one, definitions, names));
            }
            ("default" | "enum" | "required" | "const", _) => {}
            (_, value) => tidy(value, definitions, names),
        }
    }
}

/// Words are texts, however they are listed.
fn kind_of(schema: &Value) -> Value {
    let words = schema["oneOf"].as_array().is_some_and(|words| words.iter().all(|word| word["const"].is_string()));
    if words { json!("string") } else { schema["type"].clone() }
}

/// "`1` to `60`".
fn range(text: &str) -> Option<(Value, Value)> {
    let (before, after) = text.split_once("` to `")?;
    let number = |text: &str| serde_json::from_str(text).ok().filter(Value::is_number);
    Some((number(before.rsplit('`').next()?)?, number(after.split('`').next()?)?))
}

/// "Default: `30`." One that is another key's value is none that could be written down.
fn default(text: &str, kind: &Value, names: &[String]) -> Option<Value> {
    let rest = text.split_once("Default: `")?.1;
    let sentence = rest.split(". ").next().unwrap_or(rest);
    let written: Vec<&str> = sentence.split('`').step_by(2).collect();
    let [first, ..] = written.as_slice() else { return None };
    let read = || serde_json::from_str::<Value>(first).ok();
    match kind.as_str() {
        Some("integer") => read().filter(Value::is_u64),
        Some("number") => read().filter(Value::is_number),
        Some("boolean") => read().filter(Value::is_boolean),
        Some("object") => read().filter(Value::is_object),
        Some("array") if sentence.contains("`, `") => {
            Some(sentence.split("`, `").map(|word| word.trim_end_matches(['`', '.'])).collect())
        }
        Some("array") => read().filter(Value::is_array),
        // With a second word in backquotes it is made of several.
        Some("string") if sentence.matches('`').count() == 1 => {
            let of_a_key = first.split('.').next().is_some_and(|key| names.iter().any(|name| name == key));
            (!of_a_key).then(|| json!(first))
        }
        // `[scope, scp]`, of what is a list or a map.
        Some(_) | None => {
            let words = first.strip_prefix('[')?.strip_suffix(']')?;
            Some(words.split(", ").collect())
        }
    }
}

#[test]
fn the_schema_in_config_is_that_of_the_types() {
    let mut made = serde_json::to_string_pretty(&schema()).expect("JSON");
    made.push('\n');
    if std::env::args().any(|argument| argument == "--nocapture") && SCHEMA != made {
        std::fs::write("config/gatepost.schema.json", &made).expect("written");
    }
    let how = "`cargo test --lib the_schema_in_config -- --nocapture` writes it anew";
    assert!(SCHEMA == made, "{how}: config/gatepost.schema.json should be\n{made}");
}

/// A file with `value` at a path of keys, `[]` for the first of a list and `{}` for some key of a map; what the way there needs
/// is there, too.
fn file_with(path: &[String], value: &Value) -> Value {
    let mut file = json!({
        "authorization_servers": [{"issuer": "https://auth.example.com"}],
        "policies": {"shared": [{"tools": ["shared"], "scopes": ["a"]}]},
        "routes": [{
            "name": "a",
            "path": "/a",
            "upstream": {"url": "http://127.0.0.1:1/"},
            "rules": [{"tools": ["a"], "scopes": ["a"]}],
            "policies": ["shared"],
        }],
    });
    let mut at = &mut file;
    for key in path {
        at = match key.as_str() {
            "[]" => &mut at[0],
            "{}" => at.as_object_mut().expect("a map").values_mut().next().expect("an entry"),
            key => &mut at[key],
        };
        if at.is_null() {
            *at = match key.as_str() {
                "rate" | "rate_per_principal" => json!({"requests": 1_000_000}),
                "otlp" => json!({"endpoint": "http://127.0.0.1:4317"}),
                _ => json!({}),
            };
        }
    }
    *at = value.clone();
    file
}

/// Every number of the file, by its path.
fn numbers(schema: &Value, definitions: &Value, path: &[String], into: &mut Vec<(Vec<String>, Value)>) {
    let resolved =
        schema["$ref"].as_str().map_or(schema, |name| &definitions[name.rsplit('/').next().expect("a name")]);
    let below = |step: &str| [path, &[step.to_owned()]].concat();
    if resolved["type"] == "integer" || resolved["type"] == "number" {
        into.push((path.to_vec(), resolved.clone()));
    }
    for (key, property) in resolved["properties"].as_object().unwrap_or(&Map::new()) {
        numbers(property, definitions, &below(key), into);
    }
    for (keyword, step) in [("items", "[]"), ("additionalProperties", "{}")] {
        if resolved[keyword].is_object() {
            numbers(&resolved[keyword], definitions, &below(step), into);
        }
    }
    for one in resolved["anyOf"].as_array().into_iter().flatten() {
        numbers(one, definitions, path, into);
    }
}

#[test]
fn the_ranges_of_the_schema_are_those_that_are_enforced() {
    let schema = schema();
    let mut all = Vec::new();
    numbers(&schema, &schema["$defs"], &[], &mut all);
    assert!(all.len() > 40, "{}", all.len());
    for (path, property) in all {
        let (Some(least), Some(most)) = (property["minimum"].as_u64(), property["maximum"].as_u64()) else {
            panic!("{path:?} has no range: {property}");
        };
        let refused = |value: u64| {
            let errors = read(&file_with(&path, &json!(value)).to_string()).err().unwrap_or_default();
            let key = path.last().expect("a key");
            errors.lines().any(|line| line.contains(&format!("{key}: ")) && line.ends_with("is out of range"))
        };
        assert!(least == 0 || refused(least - 1), "{path:?}: less than {least} is accepted");
        assert!(refused(most + 1), "{path:?}: more than {most} is accepted");
        assert!(!refused(least) && !refused(most), "{path:?}: {least} or {most} is refused");
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_file() {
    let schema = schema();
    let default = |of: &str, key: &str| schema["$defs"][of]["properties"][key]["default"].clone();
    assert_eq!(schema["properties"]["listen"]["default"], "127.0.0.1:8080");
    assert_eq!(schema["properties"]["hosts"]["default"], json!([]));
    assert_eq!(default("Limits", "body_bytes_max"), json!(4_194_304));
    assert_eq!(default("Route", "visibility"), "grantable");
    assert_eq!(default("Route", "challenge_scopes"), Value::Null, "it is another key's value");
    assert_eq!(default("Rate", "burst"), Value::Null, "it is another key's value");
    assert_eq!(default("AuthorizationServer", "scope_claims"), json!(["scope", "scp"]));
    let algorithms = ALGORITHMS.iter().map(|(name, _)| *name).collect::<Value>();
    assert_eq!(default("AuthorizationServer", "algorithms"), algorithms);
    assert_eq!(default("Telemetry", "service_name"), "gatepost");
    // One that is written out changes nothing.
    let bare = read(&file_with(&["threads".to_owned()], &json!(1)).to_string()).expect("a file");
    for of in ["Limits", "Timeouts", "Drain"] {
        for (key, property) in schema["$defs"][of]["properties"].as_object().expect("keys") {
            let Some(value) = property.get("default") else { continue };
            let path = [of.to_ascii_lowercase(), key.clone()];
            let with = read(&file_with(&path, value).to_string()).expect(key);
            assert_eq!(Settings { threads: Some(1), ..with }, bare, "{path:?}");
        }
    }
}

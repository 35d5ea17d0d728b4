//! The form of an audit record: its fields, in the order in which they are written, and how text of a client's is made
//! harmless in it. `deploy/audit.schema.json` and the table of `deploy/audit.md` are made of the types here; a test holds that.

use serde::Serialize;

use super::End;

/// One line of the audit log: what became of a request. A field whose value is not known is left out.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Record {
    /// The version of this form; it changes when a field changes its meaning or goes, not when one is added.
    #[cfg_attr(test, schemars(extend("const" = 1)))]
    pub(super) schema: u8,
    /// When the record was written: RFC 3339, UTC, to the millisecond.
    pub(super) time: String,
    /// `request`; for a stream `opened`, with the decision, before its first byte, and `closed` at its end.
    #[cfg_attr(test, schemars(extend("enum" = ["request", "opened", "closed"])))]
    pub(super) event: &'static str,
    /// Tells requests apart, also those of different processes; the same in `opened` and `closed`.
    pub(super) request_id: String,
    /// The trace that the request belongs to (W3C Trace Context), from its headers or its `_meta`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trace_id: Option<String>,
    /// The address and port that the connection came from.
    pub(super) peer: String,
    /// The HTTP method.
    pub(super) http_method: String,
    /// The route's `name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) route: Option<String>,
    /// What was asked for: an MCP endpoint, a discovery document, or a browser's question whether it may call.
    #[cfg_attr(test, schemars(extend("enum" = ["mcp", "metadata", "preflight"])))]
    pub(super) surface: &'static str,
    /// `allowed`: it was permitted, whatever became of it then; the server may have seen it. `refused`: it did not.
    #[cfg_attr(test, schemars(extend("enum" = ["allowed", "refused"])))]
    pub(super) decision: &'static str,
    /// With `mode: report`: the reason word of the refusal that a route which enforces would have given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["insufficient_scope", "not_permitted"])))]
    pub(super) would_deny: Option<&'static str>,
    /// The reason word of the refusal, or of what failed: that of the runbook.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = tests::reasons())))]
    pub(super) reason: Option<&'static str>,
    /// More than the client was told: the fault of a token, what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    /// Which rule decided: `rules[n]`, counted from 0, or `policies.NAME[n]`; `required_scopes`, `default`, or `built_in`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<String>,
    /// The line of the file that this rule begins in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_line: Option<usize>,
    /// Who called, by a token that was validated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<Caller>,
    /// Which token it was, validated or not. Never the token itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<TokenName>,
    /// The revision of MCP that the request names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = tests::revisions())))]
    pub(super) revision: Option<&'static str>,
    /// The JSON-RPC method; `GET`, `DELETE`, `response` and `batch` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<String>,
    /// The tool, prompt or URI that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) arguments: Arguments,
    /// The messages of a batch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) operations: Vec<Part>,
    /// The token's scopes, with spaces between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scopes_held: Option<String>,
    /// The scopes that were needed, with spaces between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scopes_needed: Option<String>,
    /// The status of the server's answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upstream_status: Option<u16>,
    /// Where the server redirected to, which is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) location: Option<String>,
    /// The status of the answer to the client; 0 where it left before there was one.
    pub(super) status: u16,
    /// How the answer ended; not in `opened`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) end: Option<End>,
    /// Bytes of the request's body.
    pub(super) bytes_in: u64,
    /// Bytes of the answer's body that were handed to the connection.
    pub(super) bytes_out: u64,
    /// From the head of the request to this record, in milliseconds.
    pub(super) duration_ms: f64,
}

/// One message of a batch.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Part {
    /// As above.
    pub(super) method: String,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(flatten)]
    pub(super) arguments: Arguments,
    /// Of this message alone: one that is refused refuses the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["allowed", "refused"])))]
    pub(super) decision: Option<&'static str>,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["insufficient_scope", "not_permitted"])))]
    pub(super) would_deny: Option<&'static str>,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("enum" = ["insufficient_scope", "not_permitted"])))]
    pub(super) reason: Option<&'static str>,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<String>,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule_line: Option<usize>,
    /// As above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) scopes_needed: Option<String>,
}

/// What a call was given: a digest, and the text itself only where the file asks for it.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[expect(clippy::struct_field_names, reason = "they stand among the other fields of a record")]
pub(super) struct Arguments {
    /// HMAC-SHA-256 of the bytes of `params.arguments` as they were sent, in hexadecimal, by `audit.digest_key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments_digest: Option<String>,
    /// With `audit.arguments: true`: those bytes, the JSON as text; the first 16384 of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) arguments: Option<String>,
    /// Whether `arguments` holds but the beginning.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(extend("const" = true)))]
    pub(super) arguments_cut: Option<bool>,
}

/// Who called.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Caller {
    /// The token's `iss`.
    pub(super) issuer: String,
    /// Its `sub`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// Its client: the first of `client_id`, `azp`, `cid`, `appid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<String>,
}

/// Which token it was.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct TokenName {
    /// Its `jti`, if it was validated and has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) jti: Option<String>,
    /// The first 16 hexadecimal digits of the SHA-256 of its bytes.
    pub(super) digest: String,
}

impl Record {
    /// The record as one line without its end.
    pub(super) fn to_line(&self) -> Vec<u8> {
        // A record of strings and numbers always serializes; were it not to, an empty line would show it.
        escaped(serde_json::to_string(self).unwrap_or_default()).into_bytes()
    }
}

impl Arguments {
    /// Of the `sent` text, with the text itself or without.
    pub(super) fn of(sent: &str, digest: String, held: bool) -> Self {
        let cut = sent.floor_char_boundary(ARGUMENTS_BYTES_MAX);
        Self {
            arguments_digest: Some(digest),
            arguments: held.then(|| sent.get(..cut).unwrap_or_default().to_owned()),
            arguments_cut: (held && cut < sent.len()).then_some(true),
        }
    }
}

/// JSON leaves DEL, the C1 controls, and the characters that break or turn round a line as they are: on the terminal of who
/// reads the log, U+009B moves the cursor and U+202E reverses the text. They can stand only within strings.
fn escaped(json: String) -> String {
    // serde has escaped what comes before.
    if json.bytes().all(|byte| byte < 0x7f) {
        return json;
    }
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.extend(["\\u", &format!("{:04x}", u32::from(char))]),
            _ => out.push(char),
        }
    }
    out
}

/// The beginning of a text of a client's.
pub(in crate::gateway) fn cut(text: &str) -> String {
    if text.len() <= TEXT_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Longer client text says nothing more, and a flood of it would fill the log.
const TEXT_CHARS_MAX: usize = 256;

/// Whoever asks for arguments wants most of them; a body may have megabytes.
const ARGUMENTS_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use schemars::generate::SchemaSettings;
    use serde_json::{Map, Value, json};

    use super::*;

    const SCHEMA: &str = include_str!("../../../deploy/audit.schema.json");
    const DOCUMENT: &str = include_str!("../../../deploy/audit.md");

    pub(super) fn reasons() -> Value {
        crate::rejection::REASONS.iter().map(|(word, _)| *word).collect()
    }

    pub(super) fn revisions() -> Value {
        crate::mcp::revision::ALL.iter().map(|revision| revision.as_str()).collect()
    }

    /// The JSON Schema of the types, strict: a field that it does not know, or one that is null, is none.
    fn schema() -> Value {
        let generator = SchemaSettings::draft2020_12()
            .with(|settings| settings.inline_subschemas = true)
            .for_serialize()
            .into_generator();
        let mut schema = generator.into_root_schema_for::<Record>().to_value();
        tidy(&mut schema);
        schema["title"] = json!("Audit record of Gatepost");
        schema["$id"] = json!("urn:gatepost:audit:1");
        schema
    }

    fn tidy(schema: &mut Value) {
        let Some(object) = schema.as_object_mut() else { return };
        // How Rust counts says nothing to others.
        object.remove("format");
        object.remove("default");
        if let Some(Value::Array(types)) = object.get_mut("type") {
            types.retain(|name| name != "null");
            let only = types.first().cloned().unwrap();
            object.insert("type".to_owned(), only);
        }
        if let Some(any) = object.remove("anyOf") {
            let only = any.as_array().unwrap().iter().find(|one| one["type"] != "null").unwrap();
            for (keyword, value) in only.as_object().unwrap() {
                object.entry(keyword).or_insert(value.clone());
            }
        }
        if let Some(one_of) = object.remove("oneOf") {
            let words: Vec<Value> = one_of.as_array().unwrap().iter().map(|word| word["const"].clone()).collect();
            object.insert("type".to_owned(), json!("string"));
            object.insert("enum".to_owned(), words.into());
        }
        if let Some(properties) = object.get_mut("properties") {
            properties.as_object_mut().unwrap().values_mut().for_each(tidy);
            object.insert("additionalProperties".to_owned(), json!(false));
        }
        if let Some(items) = object.get_mut("items") {
            tidy(items);
        }
    }

    fn properties(schema: &Value) -> &Map<String, Value> {
        schema["properties"].as_object().unwrap()
    }

    /// A row for each field, those within others behind a dot.
    fn rows(schema: &Value, prefix: &str) -> String {
        let required = schema["required"].as_array().unwrap();
        let row = |(name, field): (&String, &Value)| {
            // Those of `reason` stand in the runbook.
            let words = field.get("enum").filter(|_| name != "reason").and_then(Value::as_array);
            let values = words.map(|words| format!(": {}", words.iter().map(word).collect::<Vec<_>>().join(", ")));
            let always = if required.contains(&json!(name)) { "always" } else { "" };
            let kind = field["type"].as_str().unwrap();
            let says = field["description"].as_str().unwrap_or_default().replace('\n', " ");
            let row = format!("| `{prefix}{name}` | {kind}{} | {always} | {says} |\n", values.unwrap_or_default());
            let within = match kind {
                "object" => rows(field, &format!("{prefix}{name}.")),
                "array" => rows(&field["items"], &format!("{prefix}{name}[].")),
                _ => String::new(),
            };
            row + &within
        };
        properties(schema).iter().map(row).collect()
    }

    fn word(word: &Value) -> String {
        format!("`{}`", word.as_str().unwrap())
    }

    #[test]
    fn the_schema_in_deploy_is_that_of_the_types() {
        let schema = serde_json::to_string_pretty(&schema()).unwrap();
        assert!(SCHEMA.trim_end() == schema, "deploy/audit.schema.json should be\n{schema}");
    }

    #[test]
    fn the_table_in_deploy_has_every_field() {
        let table = format!("| field | value | | what it says |\n|---|---|---|---|\n{}", rows(&schema(), ""));
        assert!(DOCUMENT.contains(&table), "deploy/audit.md should hold\n{table}");
    }

    #[test]
    fn arguments_are_cut_between_characters() {
        let short = Arguments::of("{}", String::new(), true);
        assert_eq!((short.arguments.as_deref(), short.arguments_cut), (Some("{}"), None));
        let sent = format!("{{\"a\":\"{}\"}}", "\u{1f600}".repeat(5000));
        let long = Arguments::of(&sent, String::new(), true);
        let held = long.arguments.unwrap();
        assert!(sent.starts_with(&held) && (ARGUMENTS_BYTES_MAX - 3..=ARGUMENTS_BYTES_MAX).contains(&held.len()));
        assert_eq!(long.arguments_cut, Some(true));
        let not_held = Arguments::of(&sent, "d".to_owned(), false);
        assert_eq!((not_held.arguments, not_held.arguments_cut), (None, None));
    }
}

//! What decides each message of MCP: the tables of `config/reference.md`, held against what the code decides by and against
//! the methods that the schemas of every revision define.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a fault in a test, and in what it calls, ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use gatepost::mcp::message::{self, Body, Message, ReadLimits};
use gatepost::mcp::operation::Operation;
use gatepost::mcp::revision::Revision;
use serde_json::{Value, json};

/// The columns of the tables. The tasks extension is one of 2026-07-28.
const REVISIONS: [Revision; 5] =
    [Revision::V2024_11_05, Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2025_11_25, Revision::V2026_07_28];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("readable")
}

/// The methods of these groups, each with the revisions whose schemas define it.
fn defined(groups: &[&str]) -> BTreeMap<String, BTreeSet<&'static str>> {
    let schemas: Value = serde_json::from_str(&read("tests/methods.json")).expect("JSON");
    let mut methods: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for revision in REVISIONS {
        let modern = revision == Revision::V2026_07_28;
        for schema in [Some(revision.as_str()), modern.then_some("tasks")].into_iter().flatten() {
            for group in groups {
                for method in schemas[schema][group].as_array().into_iter().flatten() {
                    methods.entry(method.as_str().expect("a name").to_owned()).or_default().insert(revision.as_str());
                }
            }
        }
    }
    assert!(!methods.is_empty());
    methods
}

fn message(method: &str, id: Option<i64>) -> Result<Message, message::Malformed> {
    let mut message = json!({"jsonrpc": "2.0", "method": method, "params": {
        "name": "x", "uri": "a:b", "taskId": "t", "ref": {"type": "ref/prompt", "name": "x"},
        "notifications": {"resourceSubscriptions": ["a:b"]},
    }});
    if let Some(id) = id {
        message["id"] = json!(id);
    }
    match message::read(message.to_string().as_bytes(), ReadLimits { depth_max: 8, batch_max: 1 })? {
        Body::One(message) => Ok(message),
        Body::Batch(_) => panic!("no batch"),
    }
}

/// What decides this message, in the words of the table.
fn decider(method: &str, revision: Revision) -> &'static str {
    let id = (!method.starts_with("notifications/")).then_some(1);
    let message = message(method, id).unwrap_or_else(|fault| panic!("{method}: {fault}"));
    match Operation::of(&message, Some(revision)).unwrap_or_else(|fault| panic!("{method}: {fault}")) {
        Operation::CallTool(_) => "`tools`",
        Operation::GetPrompt(_) => "`prompts`",
        Operation::UseResource { .. } | Operation::Listen(_) => "`resources`",
        Operation::CompletePrompt(_) | Operation::CompleteResource(_) => "`prompts`, `resources`",
        Operation::Core(_) => "required",
        Operation::Other { defined: true, .. } => "`methods`",
        Operation::Other { defined: false, .. } => "`methods`, 404",
        operation @ (Operation::Response | Operation::OpenStream | Operation::EndSession) => {
            panic!("{method} became {operation:?}")
        }
    }
}

fn heading(first: &str) -> String {
    let revisions = REVISIONS.map(Revision::as_str).join(" | ");
    format!("| {first} | {revisions} |\n|---|---|---|---|---|---|\n")
}

/// In brackets where the revision does not define the method.
fn rows(methods: BTreeMap<String, BTreeSet<&'static str>>, decider: impl Fn(&str, Revision) -> &'static str) -> String {
    let cell = |method: &str, of: &BTreeSet<&str>, revision: Revision| {
        let words = decider(method, revision);
        if of.contains(revision.as_str()) { words.to_owned() } else { format!("({words})") }
    };
    let row = |(method, of): (String, BTreeSet<&str>)| {
        let cells = REVISIONS.map(|revision| cell(&method, &of, revision)).join(" | ");
        format!("| `{method}` | {cells} |\n")
    };
    methods.into_iter().map(row).collect()
}

#[track_caller]
fn stands_in_the_reference(table: &str) {
    assert!(read("config/reference.md").contains(table), "config/reference.md lacks this table:\n{table}");
}

#[test]
fn the_reference_says_what_decides_each_message_of_a_client() {
    let methods = defined(&["client_requests", "client_notifications"]);
    stands_in_the_reference(&(heading("sent by the client") + &rows(methods, decider)));
}

#[test]
fn the_reference_says_what_becomes_of_each_message_of_a_server() {
    let methods = defined(&["server_requests", "server_notifications", "embedded_requests"]);
    stands_in_the_reference(&(heading("sent by the server") + &rows(methods, |_, _| "passes")));
}

/// Some servers run a call that comes without an id: it leaves no answer, but its effects.
#[test]
fn every_request_that_a_schema_defines_needs_an_id() {
    for (method, _) in defined(&["client_requests", "server_requests", "embedded_requests"]) {
        let fault = message(&method, None).expect_err(&method);
        assert_eq!(fault.code, -32600, "{method}");
    }
    for (method, _) in defined(&["client_notifications", "server_notifications"]) {
        let fault = message(&method, Some(1)).expect_err(&method);
        assert_eq!(fault.code, -32600, "{method}");
    }
}

//! The JSON-RPC envelope: what `message::read` accepts is one document without twins, and says what the document says.

use gatepost::mcp::message::{self, Body, Field, Kind, Malformed, Message, MessageId, ReadLimits};
use gatepost::mcp::operation::{Asked, Operation};
use gatepost::mcp::revision::Revision;

use super::tree::Tree;

/// Small, so that short inputs reach them.
pub(super) const LIMITS: ReadLimits = ReadLimits { depth_max: 12, batch_max: 4 };

const REVISIONS: [Option<Revision>; 6] = [
    None,
    Some(Revision::V2024_11_05),
    Some(Revision::V2025_03_26),
    Some(Revision::V2025_06_18),
    Some(Revision::V2025_11_25),
    Some(Revision::V2026_07_28),
];

/// Reads the bytes as a body.
///
/// # Panics
/// Where the reading differs from the document.
pub fn check(bytes: &[u8]) {
    match message::read(bytes, LIMITS) {
        Err(refusal) => check_refusal(bytes, &refusal),
        Ok(body) => check_body(bytes, &body),
    }
}

/// What a client is answered with is the id that it sent, and no other could be meant.
fn check_refusal(bytes: &[u8], refusal: &Malformed) {
    assert!([-32700, -32600, -32602].contains(&refusal.code), "{refusal:?}");
    assert!(!refusal.detail.is_empty());
    if let Some(id) = &refusal.id {
        let document = Tree::read(bytes).expect("an id is told of JSON alone");
        let members = document.members().expect("an id is told of one request alone");
        let ids: Vec<_> = members.iter().filter(|(name, _)| name == "id").collect();
        assert!(matches!(ids.as_slice(), [(_, value)] if id_of(value).as_deref() == Some(id.as_json())), "{refusal:?}");
    }
}

fn check_body(bytes: &[u8], body: &Body) {
    let document = Tree::read(bytes).expect("what is accepted is JSON");
    assert!(!document.has_twins() && document.depth() <= LIMITS.depth_max);
    match (body, document.elements()) {
        (Body::One(message), None) => check_message(message, &document),
        (Body::Batch(messages), Some(elements)) => {
            assert!(messages.len() == elements.len() && (1..=LIMITS.batch_max).contains(&messages.len()));
            messages.iter().zip(elements).for_each(|(message, element)| check_message(message, element));
        }
        (Body::One(_) | Body::Batch(_), _) => panic!("a batch and one message were confused"),
    }
    let mut written = String::new();
    document.write(&mut written);
    let again = message::read(written.as_bytes(), LIMITS).expect("the spelling decides nothing");
    assert_eq!(format!("{again:?}"), format!("{body:?}"), "the spelling decides nothing");
    for revision in REVISIONS {
        if let Ok(asked) = Asked::of(body, revision) {
            assert_eq!(asked.each().len(), document.messages().len());
            asked.each().iter().zip(document.messages()).for_each(|(ask, message)| {
                check_operation(&ask.operation, message);
                let is_request = message.get(&["method"]).is_some();
                let id = message.get(&["id"]).filter(|_| is_request).and_then(id_of);
                assert_eq!(ask.id.as_ref().map(MessageId::as_json), id.as_deref());
            });
        }
    }
}

/// `message` says what `document` says.
pub(super) fn check_message(message: &Message, document: &Tree) {
    let at = |path: &[&str]| document.get(path);
    assert_eq!(at(&["jsonrpc"]).and_then(Tree::text), Some("2.0"));
    let kind = match (at(&["method"]), at(&["id"])) {
        (None, _) => Kind::Response,
        (Some(_), None) => Kind::Notification,
        (Some(_), Some(_)) => Kind::Request,
    };
    assert_eq!(message.kind, kind);
    assert_eq!(message.method, at(&["method"]).and_then(Tree::text).unwrap_or_default());
    assert_eq!(message.id.as_ref().map(MessageId::as_json), at(&["id"]).and_then(id_of).as_deref());
    let is_answer = at(&["result"]).is_some() || at(&["error"]).is_some();
    assert_eq!(is_answer, kind == Kind::Response);
    assert!(at(&["params"]).is_none_or(|params| params.members().is_some() && !is_answer));

    let params = &message.params;
    let reference = params.reference.clone().unwrap_or_default();
    assert_eq!(params.reference.is_some(), at(&["params", "ref"]).is_some());
    for (field, path) in [
        (&params.name, &["params", "name"][..]),
        (&params.uri, &["params", "uri"]),
        (&params.task_id, &["params", "taskId"]),
        (&params.protocol_version, &["params", "protocolVersion"]),
        (&params.meta_protocol_version, &["params", "_meta", "io.modelcontextprotocol/protocolVersion"]),
        (&params.trace_parent, &["params", "_meta", "traceparent"]),
        (&params.trace_state, &["params", "_meta", "tracestate"]),
        (&reference.kind, &["params", "ref", "type"]),
        (&reference.name, &["params", "ref", "name"]),
        (&reference.uri, &["params", "ref", "uri"]),
    ] {
        assert_eq!(*field, field_of(at(path)), "{path:?}");
    }
    let notifications = at(&["params", "notifications"]);
    let listed = at(&["params", "notifications", "resourceSubscriptions"]);
    let uris = match (notifications, listed) {
        (None, _) => None,
        (Some(notifications), None) => notifications.members().is_none().then_some(Err(())),
        (Some(_), Some(listed)) => Some(texts(listed).ok_or(())),
    };
    assert_eq!(params.resource_subscriptions, uris);
    assert_eq!(params.task_ids, at(&["params", "notifications", "taskIds"]).is_some());
}

/// An operation names what the document names.
fn check_operation(operation: &Operation, document: &Tree) {
    let text = |path: &[&str]| document.get(path).and_then(Tree::text).map(str::to_owned);
    let method = text(&["method"]).unwrap_or_default();
    let expected = match operation {
        Operation::CallTool(_) => ("tools/call", text(&["params", "name"])),
        Operation::GetPrompt(_) => ("prompts/get", text(&["params", "name"])),
        Operation::UseResource { .. } => (method.as_str(), text(&["params", "uri"])),
        Operation::CompletePrompt(_) => ("completion/complete", text(&["params", "ref", "name"])),
        Operation::CompleteResource(_) => ("completion/complete", text(&["params", "ref", "uri"])),
        Operation::Listen(uris) => {
            let listed = document.get(&["params", "notifications", "resourceSubscriptions"]);
            assert_eq!(*uris, listed.and_then(texts).unwrap_or_default());
            return assert_eq!(method, "subscriptions/listen");
        }
        Operation::Response => return assert!(document.get(&["method"]).is_none()),
        Operation::Core(_) | Operation::Other { .. } => (method.as_str(), None),
        Operation::OpenStream | Operation::EndSession => panic!("a body is neither"),
    };
    assert_eq!((operation.method(), method.as_str()), (expected.0, expected.0));
    assert_eq!(operation.name().as_deref(), expected.1.as_deref());
}

/// The texts of an array that holds nothing else, and not too many.
fn texts(list: &Tree) -> Option<Vec<String>> {
    let texts: Option<Vec<String>> = list.elements()?.iter().map(|element| element.text().map(str::to_owned)).collect();
    texts.filter(|texts| texts.len() <= 1000)
}

fn field_of(value: Option<&Tree>) -> Field {
    match value {
        None => Field::Absent,
        Some(Tree::Text(text)) => Field::Text(text.clone()),
        Some(Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Array(_) | Tree::Object(_)) => Field::Other,
    }
}

/// The canonical text of an id; `None` for what is none.
fn id_of(value: &Tree) -> Option<String> {
    match value {
        Tree::Text(text) => serde_json::to_string(text).ok(),
        Tree::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        Tree::Null | Tree::Bool(_) | Tree::Number(_) | Tree::Array(_) | Tree::Object(_) => None,
    }
}

//! Reads one JSON-RPC message, strictly: what two parsers could read differently is refused, never repaired.

use std::fmt;

/// A request's `id`: a string or an integer, kept as the JSON text it was written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// The JSON text, quotes included for a string.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

/// Which kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `method` and `id`.
    Request,
    /// `method` without `id`.
    Notification,
    /// `result` or `error`.
    Response,
}

/// One message as read: the envelope and those members of `params` that decisions rest on, unescaped.
#[derive(Debug, Clone)]
pub struct Message {
    /// Request, notification or response.
    pub kind: Kind,
    /// The `id`, of a request or a response.
    pub id: Option<MessageId>,
    /// The `method`; empty for a response.
    pub method: String,
    /// The members of `params` that matter.
    pub params: Params,
}

/// Members of `params` that decisions rest on. `Field::Absent`, `Field::Other` (present, of another JSON type) and
/// `Field::Text` are kept apart: "missing or not a string" is refused, never defaulted.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// `params.name`.
    pub name: Field,
    /// `params.uri`.
    pub uri: Field,
    /// `params.taskId`.
    pub task_id: Field,
    /// `params.ref` (completion).
    pub reference: Option<Reference>,
    /// `params.notifications.resourceSubscriptions` (subscriptions/listen); `Err` when present but no array of strings.
    pub resource_subscriptions: Option<Result<Vec<String>, ()>>,
    /// `params._meta["io.modelcontextprotocol/protocolVersion"]`.
    pub meta_protocol_version: Field,
    /// `params.protocolVersion` of `initialize`.
    pub protocol_version: Field,
}

/// `params.ref`: `type`, `name`, `uri`.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// `ref.type`.
    pub kind: Field,
    /// `ref.name`.
    pub name: Field,
    /// `ref.uri`.
    pub uri: Field,
}

/// A member that should be a string.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Field {
    /// Not there.
    #[default]
    Absent,
    /// There, but no string.
    Other,
    /// The unescaped string.
    Text(String),
}

/// What a body holds.
#[derive(Debug, Clone)]
pub enum Body {
    /// One message.
    One(Message),
    /// A batch (2025-03-26): each element's message, 1 to `batch_max`.
    Batch(Vec<Message>),
}

/// Why a body is refused. `id` is there when it was read before the fault was found and the message is a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// JSON-RPC code: -32700 (no JSON), -32600 (no such message), -32602 (params).
    pub code: i32,
    /// What was expected, for the client and the audit record; holds nothing the client sent.
    pub detail: &'static str,
    /// The request's id, where it was read.
    pub id: Option<MessageId>,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail)
    }
}

impl MessageId {
    /// The id that `json`, one valid JSON value, is; `None` for what is neither a string nor an integer.
    pub(super) fn from_json(json: &str) -> Option<Self> {
        let digits = json.strip_prefix('-').unwrap_or(json);
        let valid = json.starts_with('"') || digits.bytes().all(|byte| byte.is_ascii_digit());
        valid.then(|| Self(json.into()))
    }
}

/// Limits of reading.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Nesting of arrays and objects, the outermost counted.
    pub depth_max: usize,
    /// Elements of a batch.
    pub batch_max: usize,
}

/// Reads a body: one UTF-8 JSON value, no duplicate member at any depth, no lookalike of a member MCP defines, no lone
/// surrogate, no byte order mark, nothing after it.
pub fn read(bytes: &[u8], limits: ReadLimits) -> Result<Body, Malformed> {
    let _ = (bytes, limits);
    Err(Malformed { code: -32700, detail: "skeleton", id: None })
}

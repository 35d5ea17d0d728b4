//! Reads one JSON-RPC message, strictly: what two parsers could read differently is refused, never repaired.
//!
//! It must never take a default for what is missing or of another type, and never read a second value for a member.

use std::fmt;

use super::names::{self, Place};
use super::strict::{self, Token, Watch};

/// An `id`: a string or an integer of at most 64 bits, as canonical JSON text, so that one id has one text however it was
/// escaped. `1.0` and `1e3` are no integers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// The JSON text, quotes included for a string.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// The id that `token` is, if it is one.
    pub(super) fn from_token(token: Token<'_>) -> Option<Self> {
        match token {
            Token::Text(text) => serde_json::to_string(text).ok().map(|json| Self(json.into())),
            Token::Unsigned(number) => Some(Self(number.to_string().into())),
            Token::Signed(number) => Some(Self(number.to_string().into())),
            Token::Null | Token::Bool | Token::Float | Token::Array | Token::Object => None,
        }
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
    /// `params.ref` (completion); without members when it is no object.
    pub reference: Option<Reference>,
    /// `params.notifications.resourceSubscriptions` (subscriptions/listen); `Err` when present but no array of strings, of
    /// more than 1000 elements, or in a `notifications` that is no object.
    pub resource_subscriptions: Option<Result<Vec<String>, ()>>,
    /// Whether `params.notifications.taskIds` is there (subscriptions/listen, tasks extension).
    pub task_ids: bool,
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

impl Field {
    /// The string, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Other => None,
        }
    }
}

impl From<Token<'_>> for Field {
    fn from(token: Token<'_>) -> Self {
        token.text().map_or(Self::Other, |text| Self::Text(text.to_owned()))
    }
}

/// What a body holds.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "nearly every body is one message; there is one body for a request")]
pub enum Body {
    /// One message.
    One(Message),
    /// A batch (2025-03-26): each element's message, 1 to `batch_max`.
    Batch(Vec<Message>),
}

/// Why a body is refused. `id` is there when all of the body could be read as JSON, it is one request, and nothing in it
/// could be taken for a second `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// JSON-RPC code: -32700 (no JSON), -32600 (ambiguous JSON, or no message), -32602 (params).
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

/// Limits of reading.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Nesting of arrays and objects, the outermost counted.
    pub depth_max: usize,
    /// Elements of a batch.
    pub batch_max: usize,
}

/// Reads a body: one UTF-8 JSON value, no duplicate member at any depth, no lookalike of a member MCP defines, no lone
/// surrogate, no byte order mark, nothing after it; and in it one request, notification or response, or a batch of 1 to
/// `batch_max` of them (JSON-RPC 2.0; MCP, Base Protocol, Messages).
pub fn read(bytes: &[u8], limits: ReadLimits) -> Result<Body, Malformed> {
    let mut reading = Reading { batch_max: limits.batch_max, ..Reading::default() };
    match strict::read(bytes, limits.depth_max, &mut reading) {
        // Beyond the fault there may be another `id`.
        Err(strict::Fault::NotJson(detail)) => Err(Malformed { code: NOT_JSON, detail, id: None }),
        Err(strict::Fault::Ambiguous(detail)) => Err(Malformed { code: INVALID_REQUEST, detail, id: reading.id }),
        Ok(()) => reading.body(),
    }
}

/// What has been read of a body.
#[derive(Debug, Default)]
struct Reading {
    batch_max: usize,
    /// Whether the body is an array; then how many elements it has.
    batch: Option<usize>,
    /// The message being read.
    draft: Option<Draft>,
    messages: Vec<Message>,
    /// The first fault.
    fault: Option<(i32, &'static str)>,
    /// The id to answer a fault with.
    id: Option<MessageId>,
}

impl Reading {
    /// What the body holds, once it has been read to its end.
    fn body(mut self) -> Result<Body, Malformed> {
        if self.batch.is_some_and(|elements| elements == 0 || elements > self.batch_max) {
            self.refuse(INVALID_REQUEST, "a batch must not be empty, nor longer than permitted");
        }
        if let Some((code, detail)) = self.fault {
            return Err(Malformed { code, detail, id: self.id });
        }
        match (self.batch, self.messages.pop()) {
            (None, Some(message)) => Ok(Body::One(message)),
            (Some(_), Some(last)) => {
                self.messages.push(last);
                Ok(Body::Batch(self.messages))
            }
            (_, None) => Err(Malformed { code: INVALID_REQUEST, detail: NO_MESSAGE, id: None }),
        }
    }

    fn refuse(&mut self, code: i32, detail: &'static str) {
        self.fault.get_or_insert((code, detail));
    }

    /// The end of a message.
    fn finish(&mut self) {
        let Some(draft) = self.draft.take() else { return };
        if self.batch.is_none() {
            self.id = draft.request_id();
        }
        match draft.message() {
            // A batch that is too long is refused as a whole: what is beyond need not be kept.
            Ok(message) if self.messages.len() <= self.batch_max => self.messages.push(message),
            Ok(_) => {}
            Err((code, detail)) => self.refuse(code, detail),
        }
    }
}

impl Watch for Reading {
    type Place = Place;

    fn member(&mut self, parent: Place, name: &str) -> Place {
        let Ok(place) = parent.member(name) else {
            self.refuse(
                INVALID_REQUEST,
                "a member differs from one that MCP defines in case or invisible characters only",
            );
            if let (Place::Document | Place::Element, Some(draft)) = (parent, &mut self.draft) {
                draft.id_doubtful = true;
            }
            return Place::Elsewhere;
        };
        place
    }

    fn element(&mut self, parent: Place) -> Place {
        if parent == Place::Document {
            self.batch = self.batch.map(|elements| elements + 1);
        }
        parent.element()
    }

    fn value(&mut self, place: Place, token: Token<'_>) {
        match (place, token) {
            (Place::Document, Token::Array) => self.batch = Some(0),
            (Place::Document | Place::Element, Token::Object) => self.draft = Some(Draft::default()),
            (Place::Document | Place::Element, _) => self.refuse(INVALID_REQUEST, NO_MESSAGE),
            (place, token) => {
                if let Some(draft) = &mut self.draft {
                    draft.take(place, token);
                }
            }
        }
    }

    fn end(&mut self, place: Place) {
        if matches!(place, Place::Document | Place::Element) {
            self.finish();
        }
    }
}

/// The members of a message as they are read.
#[derive(Debug, Default)]
struct Draft {
    /// Whether `jsonrpc` is what it must be.
    jsonrpc: bool,
    /// Whether `id` is there.
    id_given: bool,
    /// The `id`, if it is a string or an integer.
    id: Option<MessageId>,
    /// Two members could be the `id`.
    id_doubtful: bool,
    method: Field,
    /// Whether `params` is there, and an object.
    params_object: Option<bool>,
    params: Params,
    /// Whether `result` is there, and an object.
    result_object: Option<bool>,
    /// Whether `error` is there, and an object.
    error_object: Option<bool>,
}

impl Draft {
    /// Takes the value at `place`.
    fn take(&mut self, place: Place, token: Token<'_>) {
        let is_object = token == Token::Object;
        match place {
            Place::Jsonrpc => self.jsonrpc = token == Token::Text("2.0"),
            Place::Id => {
                self.id_doubtful |= self.id_given;
                self.id_given = true;
                self.id = MessageId::from_token(token);
            }
            Place::Method => self.method = token.into(),
            Place::Params => self.params_object = Some(is_object),
            Place::Result => self.result_object = Some(is_object),
            Place::Error => self.error_object = Some(is_object),
            Place::Name => self.params.name = token.into(),
            Place::Uri => self.params.uri = token.into(),
            Place::TaskId => self.params.task_id = token.into(),
            Place::ProtocolVersion => self.params.protocol_version = token.into(),
            Place::MetaProtocolVersion => self.params.meta_protocol_version = token.into(),
            Place::Reference => self.params.reference = Some(Reference::default()),
            Place::ReferenceKind => self.reference(|reference| &mut reference.kind, token),
            Place::ReferenceName => self.reference(|reference| &mut reference.name, token),
            Place::ReferenceUri => self.reference(|reference| &mut reference.uri, token),
            Place::Notifications if is_object => {}
            Place::Notifications => self.params.resource_subscriptions = Some(Err(())),
            Place::Subscriptions => {
                self.params.resource_subscriptions = Some(if token == Token::Array { Ok(Vec::new()) } else { Err(()) });
            }
            Place::Subscription => self.subscription(token),
            Place::TaskIds => self.params.task_ids = true,
            Place::Document | Place::Element | Place::Meta | Place::Elsewhere => {}
        }
    }

    fn reference(&mut self, field: impl FnOnce(&mut Reference) -> &mut Field, token: Token<'_>) {
        if let Some(reference) = &mut self.params.reference {
            *field(reference) = token.into();
        }
    }

    fn subscription(&mut self, token: Token<'_>) {
        let Some(Ok(uris)) = &mut self.params.resource_subscriptions else { return };
        match token.text() {
            Some(uri) if uris.len() < RESOURCE_SUBSCRIPTIONS_MAX => uris.push(uri.to_owned()),
            Some(_) | None => self.params.resource_subscriptions = Some(Err(())),
        }
    }

    /// The id of what is meant as a request, to answer a fault with.
    fn request_id(&self) -> Option<MessageId> {
        let is_answer = self.result_object.is_some() || self.error_object.is_some();
        if self.method == Field::Absent || is_answer || self.id_doubtful { None } else { self.id.clone() }
    }

    /// The message, once all of it has been read.
    fn message(self) -> Result<Message, (i32, &'static str)> {
        if !self.jsonrpc {
            return Err((INVALID_REQUEST, "`jsonrpc` must be the string 2.0"));
        }
        if self.id_given && self.id.is_none() {
            return Err((INVALID_REQUEST, "`id` must be a string or an integer"));
        }
        if self.params_object == Some(false) {
            return Err((INVALID_PARAMS, "`params` must be an object"));
        }
        match self.method {
            Field::Text(_) => self.call(),
            Field::Other => Err((INVALID_REQUEST, "`method` must be a string")),
            Field::Absent => self.response(),
        }
    }

    /// A request or a notification.
    fn call(self) -> Result<Message, (i32, &'static str)> {
        if self.result_object.is_some() || self.error_object.is_some() {
            // We would authorize a response, and the server run a call; or the reverse.
            return Err((INVALID_REQUEST, "`method` must not stand beside `result` or `error`"));
        }
        let id = self.id;
        let method = self.method.text().unwrap_or_default().to_owned();
        let kind = if id.is_some() { Kind::Request } else { Kind::Notification };
        if kind == Kind::Notification && names::is_request(&method) {
            // Some servers run a call that comes without an id: it leaves no answer, but its effects.
            return Err((INVALID_REQUEST, "a request must have an `id`"));
        }
        if kind == Kind::Request && method.starts_with(names::NOTIFICATION_PREFIX) {
            return Err((INVALID_REQUEST, "a notification must not have an `id`"));
        }
        Ok(Message { kind, id, method, params: self.params })
    }

    /// A response. An error may come without an id, where the server's request could not be read (MCP 2025-11-25).
    fn response(self) -> Result<Message, (i32, &'static str)> {
        let complete = match (self.result_object, self.error_object) {
            (Some(is_object), None) => is_object && self.id.is_some(),
            (None, Some(is_object)) => is_object,
            (None, None) | (Some(_), Some(_)) => false,
        };
        if !complete || self.params_object.is_some() {
            return Err((INVALID_REQUEST, NO_MESSAGE));
        }
        Ok(Message { kind: Kind::Response, id: self.id, method: String::new(), params: Params::default() })
    }
}

const NO_MESSAGE: &str = "the body must be a JSON-RPC request, notification or response";

/// JSON-RPC 2.0 §5.1, Parse error.
const NOT_JSON: i32 = -32700;
/// JSON-RPC 2.0 §5.1, Invalid Request.
pub(super) const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC 2.0 §5.1, Invalid params.
pub(super) const INVALID_PARAMS: i32 = -32602;

/// Resources that one `subscriptions/listen` may name: each is decided by the rules.
const RESOURCE_SUBSCRIPTIONS_MAX: usize = 1000;

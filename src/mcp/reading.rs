//! Follows the reading of a body: puts each message together from its members, and says whether the whole is a request, a
//! notification or a response.
//!
//! It must never let a message be two of these at once: it would be authorized as one and run as the other.

use super::message::{
    Body, Field, INVALID_PARAMS, INVALID_REQUEST, Kind, Malformed, Message, MessageId, Params, Reference,
};
use super::names::{self, Place};
use super::strict::{Token, Watch};

/// What has been read of a body.
#[derive(Debug, Default)]
pub(super) struct Reading {
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
    pub(super) fn new(batch_max: usize) -> Self {
        Self { batch_max, ..Self::default() }
    }

    /// The id to answer with, where the reading ended in a fault that is not this type's.
    pub(super) fn into_id(self) -> Option<MessageId> {
        self.id
    }

    /// What the body holds, once it has been read to its end.
    pub(super) fn body(mut self) -> Result<Body, Malformed> {
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
            self.refuse(INVALID_REQUEST, "a member differs from one that MCP defines in its spelling only");
            if let (Place::Document | Place::Element, Some(draft)) = (parent, &mut self.draft) {
                draft.doubtful = true;
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
    /// Whether another member could be the `id`, or make this something else than it seems to be.
    doubtful: bool,
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
                self.doubtful |= self.id_given;
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
            Place::TraceParent => self.params.trace_parent = token.into(),
            Place::TraceState => self.params.trace_state = token.into(),
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
        if self.method == Field::Absent || is_answer || self.doubtful { None } else { self.id.clone() }
    }

    /// The message, once all of it has been read.
    fn message(self) -> Result<Message, (i32, &'static str)> {
        if !self.jsonrpc {
            return Err((INVALID_REQUEST, "`jsonrpc` must be the string 2.0"));
        }
        if self.id_given && self.id.is_none() {
            return Err((INVALID_REQUEST, "`id` must be a string of at most 1 KiB or an integer"));
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

/// It is JSON, but not what the endpoint takes.
const NO_MESSAGE: &str = "the body must be a JSON-RPC request, notification or response";

/// Resources that one `subscriptions/listen` may name: each is decided by the rules.
const RESOURCE_SUBSCRIPTIONS_MAX: usize = 1000;

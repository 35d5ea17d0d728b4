//! What one MCP request asks for, as policy sees it.
//!
//! A method that is not listed here must never become anything but `Other`, which is denied unless a rule names it.

use super::message::{Field, INVALID_PARAMS, INVALID_REQUEST, Kind, Malformed, Message, Params};
use super::names;
use super::revision::Revision;

/// What a request asks for. Everything that MCP defines without a variant here, and everything it does not
/// define, is `Other`: permitted by a `methods` rule alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `tools/call`.
    CallTool(String),
    /// `prompts/get`.
    GetPrompt(String),
    /// `resources/read`, `resources/subscribe`, `resources/unsubscribe`: by the URI.
    UseResource {
        /// The method.
        method: &'static str,
        /// `params.uri`, as written.
        uri: String,
    },
    /// `subscriptions/listen`: each URI in it (none: by `required_scopes` alone). One that names tasks is `Other`.
    Listen(Vec<String>),
    /// `completion/complete` for a prompt.
    CompletePrompt(String),
    /// `completion/complete` for a resource or template, matched as literal text.
    CompleteResource(String),
    /// Lifecycle, ping, `logging/setLevel`, the list methods, the notifications of the schemas: the canonical method.
    Core(&'static str),
    /// A client's response to a server's request.
    Response,
    /// GET: the stream from server to client.
    OpenStream,
    /// DELETE: the end of a session.
    EndSession,
    /// Any other method.
    Other {
        /// The method as sent.
        method: String,
        /// False for a request in 2026-07-28 whose method that revision does not define (404 -32601 where no rule names it);
        /// true for everything else.
        defined: bool,
    },
}

impl Operation {
    /// What `message` asks for. `revision` decides nothing but whether a method is `defined`, and that 2026-07-28 knows no
    /// responses of a client; a name, URI or ref that a rule decides by, missing or not a string, is refused.
    pub fn of(message: &Message, revision: Option<Revision>) -> Result<Self, Malformed> {
        let modern = revision == Some(Revision::V2026_07_28);
        match message.kind {
            Kind::Response if modern => Err(Malformed {
                code: INVALID_REQUEST,
                detail: "revision 2026-07-28 has no responses of a client",
                id: None,
            }),
            Kind::Response => Ok(Self::Response),
            Kind::Notification => Ok(Self::notification(message)),
            Kind::Request => Self::request(message, modern).map_err(|detail| Malformed {
                code: INVALID_PARAMS,
                detail,
                id: message.id.clone(),
            }),
        }
    }

    /// The method as the audit record shows it (`tools/call`, …; `GET`, `DELETE`, `response` for those without).
    #[must_use]
    pub fn method(&self) -> &str {
        match self {
            Self::CallTool(_) => "tools/call",
            Self::GetPrompt(_) => "prompts/get",
            Self::UseResource { method, .. } | Self::Core(method) => method,
            Self::Listen(_) => "subscriptions/listen",
            Self::CompletePrompt(_) | Self::CompleteResource(_) => "completion/complete",
            Self::Response => "response",
            Self::OpenStream => "GET",
            Self::EndSession => "DELETE",
            Self::Other { method, .. } => method,
        }
    }

    /// The tool, prompt or URI it names; `None` where it names several.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::CallTool(name)
            | Self::GetPrompt(name)
            | Self::CompletePrompt(name)
            | Self::UseResource { uri: name, .. }
            | Self::CompleteResource(name) => Some(name),
            Self::Listen(uris) => match uris.as_slice() {
                [uri] => Some(uri),
                _ => None,
            },
            Self::Core(_) | Self::Response | Self::OpenStream | Self::EndSession | Self::Other { .. } => None,
        }
    }

    fn notification(message: &Message) -> Self {
        match defined(names::CORE_NOTIFICATIONS, &message.method) {
            Some(method) => Self::Core(method),
            None => Self::Other { method: message.method.clone(), defined: true },
        }
    }

    fn request(message: &Message, modern: bool) -> Result<Self, &'static str> {
        let Message { method, params, .. } = message;
        if let Some(method) = defined(names::CORE_REQUESTS, method) {
            return Ok(Self::Core(method));
        }
        let defined_here = !modern || names::REQUESTS_2026_07_28.contains(&method.as_str());
        let other = Self::Other { method: method.clone(), defined: defined_here };
        if !defined_here {
            return Ok(other);
        }
        let Some(method) = defined(names::NAMING_REQUESTS, method) else { return Ok(other) };
        match method {
            "tools/call" => text(&params.name, "`params.name` must be a string").map(Self::CallTool),
            "prompts/get" => text(&params.name, "`params.name` must be a string").map(Self::GetPrompt),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                text(&params.uri, "`params.uri` must be a string").map(|uri| Self::UseResource { method, uri })
            }
            "subscriptions/listen" => Self::listen(params, other),
            "completion/complete" => Self::complete(params),
            _ => Ok(other),
        }
    }

    fn listen(params: &Params, other: Self) -> Result<Self, &'static str> {
        let uris = match &params.resource_subscriptions {
            None => Vec::new(),
            Some(Ok(uris)) => uris.clone(),
            Some(Err(())) => {
                return Err("`params.notifications.resourceSubscriptions` must be an array of at most 1000 strings");
            }
        };
        match (params.task_ids, uris.is_empty()) {
            (false, _) => Ok(Self::Listen(uris)),
            // Whoever listens to a task gets its result, as with `tasks/get`; so it takes a `methods` rule too.
            (true, true) => Ok(other),
            // That rule must not let resources past the rules for resources.
            (true, false) => Err("`params.notifications` must not name both resources and tasks"),
        }
    }

    fn complete(params: &Params) -> Result<Self, &'static str> {
        let reference = params.reference.as_ref().ok_or("`params.ref` must be there")?;
        match reference.kind.text() {
            Some("ref/prompt") => text(&reference.name, "`params.ref.name` must be a string").map(Self::CompletePrompt),
            Some("ref/resource") => {
                text(&reference.uri, "`params.ref.uri` must be a string").map(Self::CompleteResource)
            }
            Some(_) | None => Err("`params.ref.type` must be ref/prompt or ref/resource"),
        }
    }
}

/// `method` as `methods` has it.
fn defined(methods: &[&'static str], method: &str) -> Option<&'static str> {
    methods.iter().copied().find(|defined| *defined == method)
}

/// The string that a rule decides by.
fn text(field: &Field, detail: &'static str) -> Result<String, &'static str> {
    field.text().map(str::to_owned).ok_or(detail)
}

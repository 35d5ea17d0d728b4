//! What one MCP request asks for, as policy sees it.

use super::message::{Malformed, Message};
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
    /// `subscriptions/listen`: each URI in it (none: by `required_scopes` alone).
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
    /// Any other method; `defined` says whether the request's revision defines it (2026-07-28: 404 -32601 when not).
    Other {
        /// The method as sent.
        method: String,
        /// Whether this revision defines the method.
        defined: bool,
    },
}

impl Operation {
    /// What `message` asks for. `revision` decides nothing but whether a method is `defined`; a name, URI or ref that a
    /// rule decides by, missing or not a string, is refused.
    pub fn of(message: &Message, revision: Option<Revision>) -> Result<Self, Malformed> {
        let _ = (message, revision);
        Ok(Self::Response)
    }

    /// The method as the audit record shows it (`tools/call`, …; `GET`, `DELETE`, `response` for those without).
    #[must_use]
    pub fn method(&self) -> &str {
        ""
    }

    /// The tool, prompt or URI it names.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        None
    }
}

//! The body of a refusal: a JSON-RPC error for each request that it answers (JSON-RPC 2.0 §5.1, §6).

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Answers, Cause, Denial, Failure, Rejection, Row};
use crate::mcp::message::{INVALID_REQUEST, MessageId};
use crate::mcp::revision::Revision;
use crate::oauth::scope::Scope;

impl Rejection {
    /// The JSON-RPC error response (JSON-RPC 2.0 §5.1), the body of the answer; of a batch, an array of one for each
    /// request (§6). The `id` is left out where there is none.
    #[must_use]
    pub fn to_json_rpc(&self) -> Vec<u8> {
        let written = match &self.answers {
            Answers::Nothing => serde_json::to_vec(&ErrorResponse::new(None, self.error())),
            Answers::Request(id) => serde_json::to_vec(&ErrorResponse::new(Some(id), self.error())),
            // Nobody waits for an answer to notifications, but that none of them went on must be said.
            Answers::Batch(parts) if parts.is_empty() => serde_json::to_vec(&ErrorResponse::new(None, self.error())),
            Answers::Batch(parts) => {
                let responses = parts.iter().map(|(id, denial)| {
                    let error = match (denial, &self.cause) {
                        (Some(denial), _) => denial.error(),
                        (None, Cause::Denial(_)) => self.not_sent(),
                        (None, Cause::Failure(_)) => self.error(),
                    };
                    ErrorResponse::new(Some(id), error)
                });
                serde_json::to_vec(&responses.collect::<Vec<_>>())
            }
        };
        // Strings, numbers and ids that were read as JSON: nothing here can fail to be written.
        written.unwrap_or_default()
    }

    fn error(&self) -> ErrorObject<'_> {
        match &self.cause {
            Cause::Denial(denial) => denial.error(),
            Cause::Failure(Failure::UnsupportedRevision { requested }) => {
                self.row().error(None, Some(requested.as_str()))
            }
            Cause::Failure(failure) => failure.row().error(None, None),
        }
    }

    /// The error for a request of a batch that would have been permitted alone.
    fn not_sent(&self) -> ErrorObject<'_> {
        let row = Row { message: "Not sent on: another message of this batch was refused", ..self.row() };
        // Where the refusal of the other one is not to be seen, neither is its reason.
        if self.is_hidden() { row.code(INVALID_REQUEST).bare_error() } else { row.error(None, None) }
    }
}

impl Denial {
    fn error(&self) -> ErrorObject<'_> {
        match self {
            Self::InsufficientScope { challenge, .. } => {
                self.explained(self.row().error(Some(challenge.iter().map(Scope::as_str).collect()), None))
            }
            Self::NotPermitted { .. } => self.explained(self.row().error(None, None)),
            Self::Hidden { .. } => self.row().bare_error(),
        }
    }

    /// With what the rule has people told, in `message`, which clients show, and by itself in `data`.
    fn explained<'a>(&'a self, error: ErrorObject<'a>) -> ErrorObject<'a> {
        let data = error.data.map(|data| ErrorData { message: self.told(), ..data });
        ErrorObject { message: self.message(), data, ..error }
    }
}

impl Row {
    fn error<'a>(&self, scopes: Option<Vec<&'a str>>, requested: Option<&'a str>) -> ErrorObject<'a> {
        let supported = requested.map(|_| [Revision::V2026_07_28.as_str()]);
        let data = Some(ErrorData { reason: self.reason, message: None, scopes, supported, requested });
        ErrorObject { data, ..self.bare_error() }
    }

    /// Without a word of the gateway's own.
    fn bare_error<'a>(&self) -> ErrorObject<'a> {
        ErrorObject { code: self.json_rpc_code(), message: self.message(), data: None }
    }
}

impl<'a> ErrorResponse<'a> {
    fn new(id: Option<&'a MessageId>, error: ErrorObject<'a>) -> Self {
        Self { jsonrpc: "2.0", id: id.and_then(|id| serde_json::from_str(id.as_json()).ok()), error }
    }
}

#[derive(Serialize)]
struct ErrorResponse<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    error: ErrorObject<'a>,
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: i32,
    message: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<ErrorData<'a>>,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    supported: Option<[&'static str; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requested: Option<&'a str>,
}

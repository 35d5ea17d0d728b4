//! The MCP headers of a request: `MCP-Protocol-Version`, `Mcp-Session-Id`, `Last-Event-ID`, `Mcp-Method`,
//! `Mcp-Name`; and the comparison of the mirrored ones with the body (MCP 2026-07-28, Streamable HTTP, Server Validation).

use http::HeaderMap;

use super::message::{Body, MessageId};
use super::revision::Revision;

/// Why the headers and the body do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderFault {
    /// 400 `header_mismatch`, -32020.
    Mismatch {
        /// Which header, and what was expected.
        detail: &'static str,
        /// The request's id.
        id: Option<MessageId>,
    },
    /// 400 `unsupported_revision`, -32022, with what was asked for.
    UnsupportedRevision {
        /// The revision as the client wrote it, cut to 64 characters.
        requested: String,
        /// The request's id.
        id: Option<MessageId>,
    },
    /// 400 `malformed_message`, -32602.
    Malformed {
        /// What was expected.
        detail: &'static str,
        /// The request's id.
        id: Option<MessageId>,
    },
}

/// Checks the revision and the mirrored headers against the body and returns the revision that the request
/// speaks by header or `_meta`, `None` when it names none.
pub fn check(headers: &HeaderMap, body: &Body) -> Result<Option<Revision>, HeaderFault> {
    let _ = (headers, body);
    Ok(None)
}

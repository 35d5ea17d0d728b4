//! The MCP headers of a request: `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`; and the comparison of the mirrored ones
//! with the body (MCP 2026-07-28, Streamable HTTP, Server Validation).
//!
//! No decision of policy may rest on these headers: they are compared with the body, and the body decides.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

use super::message::{Body, Field, Kind, Message, MessageId};
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
///
/// In this order: a revision that is not spoken; header and `_meta` that disagree; `Mcp-Method` and `Mcp-Name`, which a
/// request of 2026-07-28 must have and any other message may have; a request of 2026-07-28 without its revision in
/// `_meta`. A batch is taken only if the version header is absent or 2025-03-26, no element names another revision,
/// and no header claims to mirror it: one header cannot mirror several messages.
pub fn check(headers: &HeaderMap, body: &Body) -> Result<Option<Revision>, HeaderFault> {
    match body {
        Body::One(message) => check_message(headers, message).map_err(|fault| {
            let id = if message.kind == Kind::Request { message.id.clone() } else { None };
            fault.answering(id)
        }),
        Body::Batch(messages) => check_batch(headers, messages).map_err(|fault| fault.answering(None)),
    }
}

/// The revision that the header of a request without a body (GET, DELETE) names, `None` when it names none.
pub fn revision_of(headers: &HeaderMap) -> Result<Option<Revision>, HeaderFault> {
    in_header(headers).map_err(|fault| fault.answering(None))
}

/// A fault, before it is known which request it answers.
enum Fault {
    Mismatch(&'static str),
    Unsupported(String),
    Malformed(&'static str),
}

impl Fault {
    fn answering(self, id: Option<MessageId>) -> HeaderFault {
        match self {
            Self::Mismatch(detail) => HeaderFault::Mismatch { detail, id },
            Self::Unsupported(requested) => HeaderFault::UnsupportedRevision { requested, id },
            Self::Malformed(detail) => HeaderFault::Malformed { detail, id },
        }
    }
}

fn check_message(headers: &HeaderMap, message: &Message) -> Result<Option<Revision>, Fault> {
    let header = in_header(headers)?;
    let meta = in_meta(message)?;
    check_agreement(header, meta)?;
    let required = header == MODERN && message.kind == Kind::Request;
    check_method(headers, message, required)?;
    check_name(headers, message, required)?;
    match message.params.meta_protocol_version {
        Field::Absent if required => Err(Fault::Malformed("`params._meta` must name the protocol version")),
        Field::Other => Err(Fault::Malformed("the protocol version in `params._meta` must be a string")),
        Field::Absent | Field::Text(_) => Ok(header.or(meta)),
    }
}

fn check_batch(headers: &HeaderMap, messages: &[Message]) -> Result<Option<Revision>, Fault> {
    let header = in_header(headers)?;
    for message in messages {
        check_agreement(header, in_meta(message)?)?;
        if message.params.meta_protocol_version == Field::Other {
            return Err(Fault::Malformed("the protocol version in `params._meta` must be a string"));
        }
    }
    if header.is_some_and(|revision| revision != Revision::V2025_03_26) {
        return Err(Fault::Mismatch("a batch must not come with an MCP-Protocol-Version but 2025-03-26"));
    }
    if headers.contains_key(MCP_METHOD) || headers.contains_key(MCP_NAME) {
        return Err(Fault::Mismatch("Mcp-Method and Mcp-Name must not come with a batch"));
    }
    Ok(header)
}

/// The revision in the header, which must be spoken.
fn in_header(headers: &HeaderMap) -> Result<Option<Revision>, Fault> {
    let Some(value) = single(headers, MCP_PROTOCOL_VERSION, "MCP-Protocol-Version must come once")? else {
        return Ok(None);
    };
    spoken(&String::from_utf8_lossy(value.as_bytes())).map(Some)
}

/// The revision in `_meta`, which must be spoken.
fn in_meta(message: &Message) -> Result<Option<Revision>, Fault> {
    message.params.meta_protocol_version.text().map(spoken).transpose()
}

fn spoken(text: &str) -> Result<Revision, Fault> {
    Revision::parse(text).ok_or_else(|| Fault::Unsupported(text.chars().take(REQUESTED_CHARS_MAX).collect()))
}

/// Header and `_meta` name the same revision, where both name one; and 2026-07-28 is never in `_meta` alone: what stands
/// between client and server may go by the header.
fn check_agreement(header: Option<Revision>, meta: Option<Revision>) -> Result<(), Fault> {
    let agree = match (header, meta) {
        (_, None) => true,
        (None, meta) => meta != MODERN,
        (header, meta) => header == meta,
    };
    if agree {
        Ok(())
    } else {
        Err(Fault::Mismatch("MCP-Protocol-Version must be the revision that `params._meta` names"))
    }
}

/// `Mcp-Method` is the method, as it is: the base64 form is for names alone (MCP 2026-07-28, Streamable HTTP, Value Encoding).
fn check_method(headers: &HeaderMap, message: &Message, required: bool) -> Result<(), Fault> {
    match single(headers, MCP_METHOD, "Mcp-Method must come once")? {
        Some(value) if value.as_bytes() == message.method.as_bytes() => Ok(()),
        Some(_) => Err(Fault::Mismatch("Mcp-Method must be equal to `method`")),
        None if required => Err(Fault::Mismatch("Mcp-Method must be there")),
        None => Ok(()),
    }
}

/// `Mcp-Name`, decoded, is what the request names. Beside a message that names nothing it says nothing.
fn check_name(headers: &HeaderMap, message: &Message, required: bool) -> Result<(), Fault> {
    let value = single(headers, MCP_NAME, "Mcp-Name must come once")?;
    let source = match message.method.as_str() {
        "tools/call" | "prompts/get" => &message.params.name,
        "resources/read" => &message.params.uri,
        "tasks/get" | "tasks/update" | "tasks/cancel" => &message.params.task_id,
        _ => return Ok(()),
    };
    match value {
        Some(value) => match (decoded(value), source.text()) {
            (Some(name), Some(source)) if name == source => Ok(()),
            _ => Err(Fault::Mismatch("Mcp-Name must be equal to the name, URI or task in `params`")),
        },
        None if required => Err(Fault::Mismatch("Mcp-Name must be there")),
        None => Ok(()),
    }
}

/// The value of a header that must not come twice: the server may go by the other one.
fn single<'h>(headers: &'h HeaderMap, name: &str, detail: &'static str) -> Result<Option<&'h HeaderValue>, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Fault::Mismatch(detail)),
    }
}

/// A value as it is, if it is plain ASCII, or out of its base64 form; `None` for neither, and for base64 that two decoders
/// could read differently or that is not UTF-8 (MCP 2026-07-28, Streamable HTTP, Value Encoding).
fn decoded(value: &HeaderValue) -> Option<Cow<'_, str>> {
    let text = value.to_str().ok()?;
    if !(text.starts_with(BASE64_PREFIX) && text.ends_with(BASE64_SUFFIX)) {
        return Some(Cow::Borrowed(text));
    }
    let encoded = text.strip_prefix(BASE64_PREFIX)?.strip_suffix(BASE64_SUFFIX)?;
    let bytes = STANDARD.decode(encoded).ok()?;
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

const MCP_PROTOCOL_VERSION: &str = "mcp-protocol-version";
const MCP_METHOD: &str = "mcp-method";
const MCP_NAME: &str = "mcp-name";

const BASE64_PREFIX: &str = "=?base64?";
const BASE64_SUFFIX: &str = "?=";

/// The revision whose rules these are.
const MODERN: Option<Revision> = Some(Revision::V2026_07_28);

/// So much is repeated of a revision that is not spoken.
const REQUESTED_CHARS_MAX: usize = 64;

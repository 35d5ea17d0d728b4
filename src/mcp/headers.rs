//! The MCP headers of a request: `MCP-Protocol-Version`, `Mcp-Method`, `Mcp-Name`; and the comparison of the mirrored ones
//! with the body (MCP 2026-07-28, Streamable HTTP, Server Validation).
//!
//! No decision of policy may rest on these headers: they are compared with the body, and the body decides.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue};

use super::message::{Body, Field, INVALID_PARAMS, INVALID_REQUEST, Kind, Message, MessageId};
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
    /// 400 `malformed_message`.
    Malformed {
        /// -32600 or -32602.
        code: i32,
        /// What was expected.
        detail: &'static str,
        /// The request's id.
        id: Option<MessageId>,
    },
}

/// Checks the revision and the mirrored headers against the body and returns the revision that the request
/// speaks by header or `_meta`, `None` when it names none.
///
/// In this order: a revision that is not spoken, in the header or in `_meta` alone; header and `_meta` that disagree;
/// `Mcp-Method` and `Mcp-Name`, which a request of 2026-07-28 must have and any other message may have; a request of
/// 2026-07-28 without its revision in `_meta`. A batch is taken only if the version header is absent or 2025-03-26, the
/// one revision that has batches, no element names 2026-07-28 or another revision than the header, and no header claims
/// to mirror it: one header cannot mirror several messages.
///
/// HTTP+SSE, the transport of 2024-11-05, has none of these headers: `mirrored` is false there, and a client that asks for
/// 2026-07-28 in `_meta` learns from the server that it does not speak it. Headers that are there are compared all the same.
pub fn check(headers: &HeaderMap, body: &Body, mirrored: bool) -> Result<Option<Revision>, HeaderFault> {
    match body {
        Body::One(message) => check_message(headers, message, mirrored).map_err(|fault| {
            let id = if message.kind == Kind::Request { message.id.clone() } else { None };
            fault.answering(id)
        }),
        Body::Batch(messages) => check_batch(headers, messages, mirrored).map_err(|fault| fault.answering(None)),
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
    Malformed(i32, &'static str),
}

impl Fault {
    fn answering(self, id: Option<MessageId>) -> HeaderFault {
        match self {
            Self::Mismatch(detail) => HeaderFault::Mismatch { detail, id },
            Self::Unsupported(requested) => HeaderFault::UnsupportedRevision { requested, id },
            Self::Malformed(code, detail) => HeaderFault::Malformed { code, detail, id },
        }
    }
}

fn check_message(headers: &HeaderMap, message: &Message, mirrored: bool) -> Result<Option<Revision>, Fault> {
    let header = in_header(headers)?;
    let revision = agreed(header, message, mirrored)?;
    let required = header == MODERN && message.kind == Kind::Request;
    check_method(headers, message, required)?;
    check_name(headers, message, required)?;
    match message.params.meta_protocol_version {
        Field::Absent if required => {
            Err(Fault::Malformed(INVALID_PARAMS, "`params._meta` must name the protocol version"))
        }
        Field::Other => Err(Fault::Malformed(INVALID_PARAMS, NOT_TEXT)),
        Field::Absent | Field::Text(_) => Ok(revision),
    }
}

fn check_batch(headers: &HeaderMap, messages: &[Message], mirrored: bool) -> Result<Option<Revision>, Fault> {
    let header = in_header(headers)?;
    for message in messages {
        agreed(header, message, mirrored)?;
        if message.params.meta_protocol_version == Field::Other {
            return Err(Fault::Malformed(INVALID_PARAMS, NOT_TEXT));
        }
    }
    if header.is_some_and(|revision| revision != Revision::V2025_03_26) {
        return Err(Fault::Malformed(
            INVALID_REQUEST,
            "only revision 2025-03-26 has batches; send one message a request",
        ));
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

fn spoken(text: &str) -> Result<Revision, Fault> {
    Revision::parse(text).ok_or_else(|| Fault::Unsupported(text.chars().take(REQUESTED_CHARS_MAX).collect()))
}

/// The revision that header and `_meta` name, the same one where both name one: beside a header, one in `_meta` that is not
/// spoken is one that differs (MCP 2026-07-28, Streamable HTTP, Protocol Version Header). 2026-07-28 is never in `_meta`
/// alone: what stands between client and server may go by the header.
fn agreed(header: Option<Revision>, message: &Message, mirrored: bool) -> Result<Option<Revision>, Fault> {
    let Some(meta) = message.params.meta_protocol_version.text() else { return Ok(header) };
    let (agree, revision) = match header {
        Some(header) => (header.as_str() == meta, header),
        None => spoken(meta).map(|meta| (!mirrored || Some(meta) != MODERN, meta))?,
    };
    if agree {
        Ok(Some(revision))
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

const NOT_TEXT: &str = "the protocol version in `params._meta` must be a string";

const MCP_PROTOCOL_VERSION: &str = "mcp-protocol-version";
const MCP_METHOD: &str = "mcp-method";
const MCP_NAME: &str = "mcp-name";

const BASE64_PREFIX: &str = "=?base64?";
const BASE64_SUFFIX: &str = "?=";

/// The revision whose rules these are.
const MODERN: Option<Revision> = Some(Revision::V2026_07_28);

/// So much is repeated of a revision that is not spoken.
const REQUESTED_CHARS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::super::message::{ReadLimits, read};
    use super::*;

    const OLD: (&str, &str) = ("MCP-Protocol-Version", "2025-11-25");
    const NEW: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
    const CALL: (&str, &str) = ("Mcp-Method", "tools/call");
    const X: (&str, &str) = ("Mcp-Name", "x");

    fn map(headers: &[(&str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| {
                (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
            })
            .collect()
    }

    /// What the check says, in one word: a revision, `none`, or the code of the fault and the id it answers.
    fn said(headers: &[(&str, &str)], json: &str) -> String {
        let body = read(json.as_bytes(), ReadLimits { depth_max: 64, batch_max: 10 }).unwrap();
        let (code, id) = match check(&map(headers), &body, true) {
            Ok(revision) => return revision.map_or("none", Revision::as_str).to_owned(),
            Err(HeaderFault::Mismatch { id, .. }) => ("-32020".to_owned(), id),
            Err(HeaderFault::UnsupportedRevision { requested, id }) => (format!("-32022 {requested}"), id),
            Err(HeaderFault::Malformed { code, id, .. }) => (code.to_string(), id),
        };
        format!("{code}{}", id.map_or(String::new(), |id| format!(" #{}", id.as_json())))
    }

    /// A request with this revision (JSON text) in `_meta`, or with none ("").
    fn request(method: &str, params: &str, meta: &str) -> String {
        let comma = if params.is_empty() { "" } else { "," };
        let meta = if meta.is_empty() {
            String::new()
        } else {
            format!(r#""io.modelcontextprotocol/protocolVersion":{meta}"#)
        };
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}{comma}"_meta":{{{meta}}}}}}}"#)
    }

    fn call(meta: &str) -> String {
        request("tools/call", r#""name":"x""#, meta)
    }

    const META_NEW: &str = r#""2026-07-28""#;

    #[test]
    fn revisions_must_be_spoken() {
        let check = |headers: &[(&str, &str)], meta: &str, expect: &str| {
            assert_eq!(said(headers, &call(meta)), expect, "{headers:?} {meta}");
        };
        let version = |value: &'static str| [("MCP-Protocol-Version", value)];
        check(&[], "", "none");
        for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
            check(&version(revision), "", revision);
            check(&version(revision), &format!("\"{revision}\""), revision);
            check(&[], &format!("\"{revision}\""), revision);
        }
        check(&version("2099-01-01"), "", "-32022 2099-01-01 #7");
        check(&version("2099-01-01"), META_NEW, "-32022 2099-01-01 #7");
        check(&version(""), "", "-32022  #7");
        check(&version("2026-07-28, 2026-07-28"), META_NEW, "-32022 2026-07-28, 2026-07-28 #7");
        check(&version("é"), "", "-32022 é #7");
        check(&[], r#""2099-01-01""#, "-32022 2099-01-01 #7");
        check(&[NEW], r#""2099-01-01""#, "-32020 #7");
        check(&[OLD], r#""2099-01-01""#, "-32020 #7");
        check(&version("2099-01-01"), r#""2099-01-01""#, "-32022 2099-01-01 #7");
        check(&[], &format!("\"{}\"", "é".repeat(1000)), &format!("-32022 {} #7", "é".repeat(64)));
        check(&[OLD, OLD], "", "-32020 #7");
        check(&[OLD, NEW], META_NEW, "-32020 #7");
    }

    #[test]
    fn header_and_meta_agree() {
        let check = |headers: &[(&str, &str)], meta: &str, expect: &str| {
            assert_eq!(said(headers, &call(meta)), expect, "{headers:?} {meta}");
        };
        check(&[NEW, CALL, X], META_NEW, "2026-07-28");
        check(&[CALL, X], META_NEW, "-32020 #7");
        check(&[OLD, CALL, X], META_NEW, "-32020 #7");
        check(&[NEW, CALL, X], r#""2025-11-25""#, "-32020 #7");
        check(&[OLD], r#""2025-06-18""#, "-32020 #7");
        check(&[NEW, CALL, X], "", "-32602 #7");
        check(&[NEW, CALL, X], "null", "-32602 #7");
        check(&[NEW, CALL, X], r#"["2026-07-28"]"#, "-32602 #7");
        check(&[OLD], "5", "-32602 #7");
        // The mirrored headers come before what `_meta` lacks.
        check(&[NEW, CALL], "", "-32020 #7");
        check(&[NEW, X], "", "-32020 #7");
        check(&[NEW], "", "-32020 #7");
    }

    #[test]
    fn mirrored_headers_are_there_once_and_equal() {
        let check = |headers: &[(&str, &str)], modern: &str, older: &str| {
            let with = |version| [&[version], headers].concat();
            assert_eq!(said(&with(NEW), &call(META_NEW)), modern, "2026-07-28 {headers:?}");
            assert_eq!(said(&with(OLD), &call("")), older, "2025-11-25 {headers:?}");
            let none = if older == "2025-11-25" { "none" } else { older };
            assert_eq!(said(headers, &call("")), none, "no revision {headers:?}");
        };
        check(&[CALL, X], "2026-07-28", "2025-11-25");
        check(&[], "-32020 #7", "2025-11-25");
        check(&[CALL], "-32020 #7", "2025-11-25");
        check(&[X], "-32020 #7", "2025-11-25");
        let both = "-32020 #7";
        check(&[CALL, CALL, X], both, both);
        check(&[CALL, X, X], both, both);
        check(&[CALL, X, ("mcp-name", "y")], both, both);
        check(&[CALL, ("Mcp-Name", "y")], both, both);
        check(&[CALL, ("Mcp-Name", "X")], both, both);
        check(&[CALL, ("Mcp-Name", "")], both, both);
        check(&[CALL, ("Mcp-Name", "x, x")], both, both);
        check(&[("Mcp-Method", "tools/list"), X], both, both);
        check(&[("Mcp-Method", "Tools/Call"), X], both, both);
        check(&[("Mcp-Method", ""), X], both, both);
        check(&[("Mcp-Method", "=?base64?dG9vbHMvY2FsbA==?="), X], both, both);
    }

    #[test]
    fn mcp_name_is_decoded() {
        let check = |value: &str, name: &str, expect: bool| {
            let json = request("tools/call", &format!(r#""name":{}"#, serde_json::to_string(name).unwrap()), META_NEW);
            let expect = if expect { "2026-07-28" } else { "-32020 #7" };
            assert_eq!(said(&[NEW, CALL, ("Mcp-Name", value)], &json), expect, "{value} {name:?}");
        };
        check("us-west1", "us-west1", true);
        check("=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界", true);
        check("=?base64?IHBhZGRlZCA=?=", " padded ", true);
        check("=?base64?bGluZTEKbGluZTI=?=", "line1\nline2", true);
        check("=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?=", true);
        check("=?base64?dXMtd2VzdDE=?=", "us-west1", true);
        check("=?base64??=", "", true);
        check("a b\tc", "a b\tc", true);
        check("=?base64?", "=?base64?", true);
        check("?=", "?=", true);
        // Plain text is no other form of itself.
        check("=?base64?literal?=", "=?base64?literal?=", false);
        check("=?base64?=", "=?base64?=", false);
        check("=?BASE64?dXMtd2VzdDE=?=", "us-west1", false);
        check("=?base64?dXMtd2VzdDE?=", "us-west1", false);
        check("=?base64?dXMtd2VzdDF=?=", "us-west1", false);
        check("=?base64?dXMtd2VzdDE= ?=", "us-west1", false);
        check("=?base64?PT8_?=", "=??", false);
        check("=?base64?/w==?=", "\u{FFFD}", false);
        check("Hello, 世界", "Hello, 世界", false);
        check("=?base64?IHBhZGRlZCA=?=", "padded", false);
    }

    #[test]
    fn each_method_mirrors_its_own_member() {
        let check = |method: &str, params: &str, name: Option<&str>, expect: &str| {
            let mut headers = vec![NEW, ("Mcp-Method", method)];
            headers.extend(name.map(|name| ("Mcp-Name", name)));
            assert_eq!(said(&headers, &request(method, params, META_NEW)), expect, "{method} {params} {name:?}");
        };
        let fault = "-32020 #7";
        for (method, member) in [
            ("tools/call", "name"),
            ("prompts/get", "name"),
            ("resources/read", "uri"),
            ("tasks/get", "taskId"),
            ("tasks/update", "taskId"),
            ("tasks/cancel", "taskId"),
        ] {
            let params = format!(r#""{member}":"a:b""#);
            check(method, &params, Some("a:b"), "2026-07-28");
            check(method, &params, Some("c:d"), fault);
            check(method, &params, None, fault);
            check(method, "", None, fault);
            check(method, "", Some(""), fault);
            check(method, &format!(r#""{member}":5"#), Some("5"), fault);
        }
        for method in
            ["tools/list", "server/discover", "initialize", "subscriptions/listen", "completion/complete", "acme/x"]
        {
            check(method, r#""name":"x""#, None, "2026-07-28");
            check(method, r#""name":"x""#, Some("y"), "2026-07-28");
        }
    }

    #[test]
    fn notifications_and_responses_need_no_mirror() {
        let notification = r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#;
        let in_meta = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
        let response = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
        let check = |headers: &[(&str, &str)], json: &str, expect: &str| {
            assert_eq!(said(headers, json), expect, "{headers:?} {json}");
        };
        check(&[NEW], notification, "2026-07-28");
        check(&[], notification, "none");
        check(&[NEW, ("Mcp-Method", "notifications/cancelled")], notification, "2026-07-28");
        check(&[NEW, CALL], notification, "-32020");
        check(&[NEW], in_meta, "2026-07-28");
        check(&[], in_meta, "-32020");
        check(&[OLD], in_meta, "-32020");
        check(&[OLD], response, "2025-11-25");
        check(&[OLD, CALL], response, "-32020");
        check(&[NEW], response, "2026-07-28");
        check(&[("MCP-Protocol-Version", "x")], response, "-32022 x");
    }

    #[test]
    fn a_transport_without_mirrored_headers_needs_none_and_believes_none() {
        let said = |headers: &[(&str, &str)], meta: &str| {
            let body = read(call(meta).as_bytes(), ReadLimits { depth_max: 64, batch_max: 1 }).unwrap();
            check(&map(headers), &body, false)
        };
        assert_eq!(said(&[], META_NEW), Ok(MODERN));
        assert_eq!(said(&[], ""), Ok(None));
        assert!(matches!(said(&[OLD], META_NEW), Err(HeaderFault::Mismatch { .. })));
        assert!(matches!(said(&[("Mcp-Name", "y")], META_NEW), Err(HeaderFault::Mismatch { .. })));
        assert!(matches!(said(&[], "\"2099-01-01\""), Err(HeaderFault::UnsupportedRevision { .. })));
    }

    #[test]
    fn a_batch_is_of_2025_03_26_or_of_no_revision() {
        let ping = r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#;
        let check = |headers: &[(&str, &str)], elements: &[&str], expect: &str| {
            assert_eq!(said(headers, &format!("[{}]", elements.join(","))), expect, "{headers:?} {elements:?}");
        };
        let version = ("MCP-Protocol-Version", "2025-03-26");
        check(&[], &[ping], "none");
        check(&[version], &[ping, ping], "2025-03-26");
        check(&[OLD], &[ping], "-32600");
        check(&[NEW], &[ping], "-32600");
        check(&[("MCP-Protocol-Version", "2024-11-05")], &[ping], "-32600");
        check(&[("MCP-Protocol-Version", "x")], &[ping], "-32022 x");
        check(&[version], &[ping, &call(META_NEW)], "-32020");
        check(&[], &[ping, &call(META_NEW)], "-32020");
        check(&[], &[ping, &call(r#""2099-01-01""#)], "-32022 2099-01-01");
        check(&[], &[&call("5")], "-32602");
        check(&[version, CALL], &[&call("")], "-32020");
        check(&[X], &[&call("")], "-32020");
    }

    #[test]
    fn a_request_without_a_body_names_its_revision_in_the_header() {
        assert_eq!(revision_of(&map(&[])), Ok(None));
        assert_eq!(revision_of(&map(&[OLD])), Ok(Some(Revision::V2025_11_25)));
        assert_eq!(revision_of(&map(&[NEW])), Ok(Some(Revision::V2026_07_28)));
        let unsupported = HeaderFault::UnsupportedRevision { requested: "1".to_owned(), id: None };
        assert_eq!(revision_of(&map(&[("MCP-Protocol-Version", "1")])), Err(unsupported));
        assert!(matches!(revision_of(&map(&[OLD, OLD])), Err(HeaderFault::Mismatch { .. })));
    }
}

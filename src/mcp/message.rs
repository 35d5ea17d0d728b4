//! Reads one JSON-RPC message, strictly: what two parsers could read differently is refused, never repaired.
//!
//! It must never take a default for what is missing or of another type, and never read a second value for a member.

use std::fmt;

use super::reading::Reading;
use super::strict::{self, Token};

/// An `id`: a string or an integer of at most 64 bits, as canonical JSON text of at most 1 KiB, so that one id has one text
/// however it was escaped. `1.0` and `1e3` are no integers. It is kept while its answer is awaited, longer than its message.
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
            Token::Text(text) if text.len() > ID_BYTES_MAX => None,
            Token::Text(text) => {
                serde_json::to_string(text).ok().filter(|json| json.len() <= ID_BYTES_MAX).map(|json| Self(json.into()))
            }
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

/// Members of `params` that decisions rest on, and two that are noted. `Field::Absent`, `Field::Other` (present, of another JSON type) and
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
    /// `params._meta.traceparent`; decides nothing.
    pub trace_parent: Field,
    /// `params._meta.tracestate`; decides nothing.
    pub trace_state: Field,
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
    let mut reading = Reading::new(limits.batch_max);
    match strict::read(bytes, limits.depth_max, &mut reading) {
        // Beyond the fault there may be another `id`.
        Err(strict::Fault::NotJson(detail)) => Err(Malformed { code: NOT_JSON, detail, id: None }),
        Err(strict::Fault::Ambiguous(detail)) => {
            Err(Malformed { code: INVALID_REQUEST, detail, id: reading.into_id() })
        }
        Ok(()) => reading.body(),
    }
}

/// Of an id's JSON text.
const ID_BYTES_MAX: usize = 1 << 10;
/// JSON-RPC 2.0 §5.1, Parse error.
const NOT_JSON: i32 = -32700;
/// JSON-RPC 2.0 §5.1, Invalid Request.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC 2.0 §5.1, Invalid params.
pub(crate) const INVALID_PARAMS: i32 = -32602;

#[cfg(test)]
mod tests {
    use super::super::names;
    use super::*;

    const LIMITS: ReadLimits = ReadLimits { depth_max: 64, batch_max: 3 };

    fn one(json: &str) -> Message {
        match read(json.as_bytes(), LIMITS) {
            Ok(Body::One(message)) => message,
            other => panic!("{json}: {other:?}"),
        }
    }

    /// `expect`: the code, and the id that is answered ("" for none).
    fn refused(json: impl AsRef<[u8]>, expect: (i32, &str)) {
        let json = json.as_ref();
        let shown = String::from_utf8_lossy(json.get(..200).unwrap_or(json)).into_owned();
        match read(json, LIMITS) {
            Ok(body) => panic!("{shown}: read as {body:?}"),
            Err(malformed) => {
                let id = malformed.id.as_ref().map_or("", MessageId::as_json);
                assert_eq!((malformed.code, id), expect, "{shown}: {malformed}");
            }
        }
    }

    #[test]
    fn the_three_kinds_are_read() {
        let check = |json: &str, kind: Kind, method: &str, id: &str| {
            let message = one(json);
            let read = (message.kind, message.method.as_str(), message.id.as_ref().map_or("", MessageId::as_json));
            assert_eq!(read, (kind, method, id), "{json}");
        };
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request, "ping", "1");
        check(r#" {"method":"ping" , "id":"a","jsonrpc":"2.0" } "#, Kind::Request, "ping", "\"a\"");
        check("\t\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n", Kind::Request, "ping", "1");
        check(r#"{"jsonrpc":"2.0","id":-7,"method":"ping","params":{}}"#, Kind::Request, "ping", "-7");
        check(r#"{"jsonrpc":"2.0","id":0,"method":"acme/reindex"}"#, Kind::Request, "acme/reindex", "0");
        check(r#"{"jsonrpc":"2.0","id":"","method":"ping"}"#, Kind::Request, "ping", "\"\"");
        check(
            r#"{"jsonrpc":"2.0","id":18446744073709551615,"method":"ping"}"#,
            Kind::Request,
            "ping",
            "18446744073709551615",
        );
        check(r#"{"jsonrpc":"2.0","id":"\u0061\"\u00e9","method":"p\u0069ng"}"#, Kind::Request, "ping", "\"a\\\"é\"");
        check(r#"{"\u006aso\u006erpc":"2.0","id":1,"\u006dethod":"tools\/call"}"#, Kind::Request, "tools/call", "1");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","unknown":{"Id":1,"ID":2}}"#, Kind::Request, "ping", "1");
        check(
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            Kind::Notification,
            "notifications/initialized",
            "",
        );
        check(r#"{"jsonrpc":"2.0","method":"acme/event","params":{}}"#, Kind::Notification, "acme/event", "");
        check(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, Kind::Response, "", "1");
        check(r#"{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"m"}}"#, Kind::Response, "", "\"x\"");
        check(r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"}}"#, Kind::Response, "", "");
    }

    #[test]
    fn envelopes_that_are_no_message_are_refused() {
        refused("{}", (-32600, ""));
        refused("[]", (-32600, ""));
        refused("1", (-32600, ""));
        refused("null", (-32600, ""));
        refused(r#""tools/call""#, (-32600, ""));
        refused(r#"{"id":1,"method":"ping"}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":"2","id":1,"method":"ping"}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":"2.0\u0000","id":1,"method":"ping"}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":{"a":1},"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, (-32600, ""));
        refused(format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(21)), (-32600, ""));
        refused(format!(r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#, "9".repeat(400)), (-32700, ""));
        refused(r#"{"jsonrpc":"2.0","id":1}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","method":1}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":["ping"]}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":null}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, (-32602, "1"));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, (-32602, "1"));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, (-32602, "1"));
        refused(r#"{"jsonrpc":"2.0","method":"notifications/initialized","params":[]}"#, (-32602, ""));
    }

    #[test]
    fn an_id_is_short() {
        let ping = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"ping"}}"#);
        let longest = "x".repeat(ID_BYTES_MAX - 2);
        assert_eq!(one(&ping(&longest)).id.as_ref().map(MessageId::as_json), Some(format!("\"{longest}\"").as_str()));
        refused(ping(&format!("{longest}x")), (-32600, ""));
        refused(ping(&"x".repeat(1 << 20)), (-32600, ""));
        // What counts is its one text, however it is escaped.
        assert!(one(&ping(&"\\u0078".repeat(ID_BYTES_MAX - 2))).id.is_some());
        refused(ping(&"\\n".repeat(ID_BYTES_MAX / 2)), (-32600, ""));
        refused(format!(r#"{{"jsonrpc":"2.0","id":"{longest}x","result":{{}}}}"#), (-32600, ""));
    }

    #[test]
    fn a_request_without_id_and_a_notification_with_one_are_refused() {
        let methods = [names::CORE_REQUESTS, names::NAMING_REQUESTS, names::OTHER_REQUESTS].concat();
        for method in methods {
            refused(format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#), (-32600, ""));
        }
        refused(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"delete_all"}}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#, (-32600, "1"));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"notifications/acme"}"#, (-32600, "1"));
    }

    #[test]
    fn a_message_that_is_two_kinds_at_once_is_refused() {
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"},"result":{}}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"result":{},"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"error":{},"method":"ping"}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":null}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{"name":"x"}}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"result":null}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","result":{}}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":null,"error":{}}"#, (-32600, ""));
        refused(r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, (-32600, ""));
    }

    #[test]
    fn duplicate_members_are_refused_at_any_depth_and_in_any_spelling() {
        let call =
            |rest: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x"}}{rest}}}"#);
        refused(call(r#","method":"ping""#), (-32600, "1"));
        refused(call(r#","method":"tools/call""#), (-32600, "1"));
        refused(call(r#","params":{"name":"y"}"#), (-32600, "1"));
        refused(call(r#","p\u0061rams":{"name":"y"}"#), (-32600, "1"));
        refused(call(r#","jsonrpc":"2.0""#), (-32600, "1"));
        // Which of the two would the client wait for?
        refused(call(r#","id":2"#), (-32600, ""));
        refused(call(r#","id":1"#), (-32600, ""));
        refused(call(r#","\u0069d":1"#), (-32600, ""));
        refused(call(r#","x":[{"y":{"a":1,"\u0061":1}}]"#), (-32600, "1"));
        let named = |params: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        refused(named(r#"{"name":"x","name":"y"}"#), (-32600, "1"));
        refused(named(r#"{"name":"x","n\u0061me":"x"}"#), (-32600, "1"));
        refused(named(r#"{"name":"x","arguments":{"a":1,"b":2,"a":3}}"#), (-32600, "1"));
        refused(named(r#"{"name":"x","_meta":{},"_meta":{}}"#), (-32600, "1"));
    }

    #[test]
    fn lookalikes_of_defined_members_are_refused() {
        // Beside a lookalike in the envelope nothing is certain, the id included.
        let check = |json: &str, id: &str| refused(json, (-32600, id));
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{"name":"x"}}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params\u0000":{"name":"x"}}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method\u0000x":"tools/call"}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params\u200b":{}}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping"," params":{}}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","Result":{}}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","ID":2}"#, "");
        check(r#"{"jsonrpc":"2.0","method":"ping","ID":2}"#, "");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","Name":"y"}}"#, "1");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"Name":"y"}}"#, "1");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","name\u0000":"y"}}"#, "1");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","_Meta":{}}}"#, "1");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"tas\u212aId":"y"}}"#, "1");
        check(r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"Type":"ref/prompt"}}}"#, "1");
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"x","URI":"y"}}}"#,
            "1",
        );
        check(
            r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"TaskIds":[]}}}"#,
            "1",
        );
        check(r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"ProgressToken":1}}}"#, "1");
    }

    #[test]
    fn lookalikes_elsewhere_pass() {
        one(
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":{"Name":1,"name":2,"METHOD":3}}}"#,
        );
        one(
            r#"{"jsonrpc":"2.0","id":1,"method":"acme/x","params":{"own":{"Name":1},"_meta":{"com.example/Key":1,"Name":1}}}"#,
        );
        one(r#"{"jsonrpc":"2.0","id":1,"result":{"Method":"x","params":1}}"#);
    }

    #[test]
    fn what_is_not_one_utf_8_json_value_is_refused() {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let check = |json: &[u8]| refused(json, (-32700, ""));
        check(b"");
        check(b" ");
        check(b"{");
        check(format!("\u{FEFF}{ping}").as_bytes());
        check(format!("{ping}{ping}").as_bytes());
        check(format!("{ping}\n{ping}").as_bytes());
        check(format!("{ping}}}").as_bytes());
        check(format!("{ping}\0").as_bytes());
        check(format!("\u{1e}{ping}\n").as_bytes());
        check(format!("{ping} // comment").as_bytes());
        check(&ping.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>());
        check(&ping.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>());
        check(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xff\"}");
        check(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xc0\xaf\"}");
        check(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"x\":\"\xed\xa0\x80\"}");
        let with = |value: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x":{value}}}"#);
        for value in [
            "NaN",
            "Infinity",
            "-Infinity",
            "0x1",
            "01",
            "+1",
            ".5",
            "1.",
            "1e400",
            "'a'",
            "undefined",
            "[1,]",
            "{a:1}",
            r#""\ud800""#,
            r#""\udc00""#,
            r#""\ud800\ud800""#,
            r#"{"\ud800":1}"#,
            "\"\t\"",
            r#""\x""#,
            "/*x*/1",
        ] {
            check(with(value).as_bytes());
        }
    }

    #[test]
    fn ordinary_values_pass() {
        let with = |value: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{value}}}}}"#);
        for value in [
            "1e308",
            "0.1234567890123456789012345678901234567890",
            "123456789012345678901234567890",
            "-0",
            "1E-400",
            r#""\ud83d\ude00 \u0000 \/ é""#,
            "[[[]]]",
            "[{\"a\":1},{\"a\":1}]",
        ] {
            one(&with(value));
        }
        one(&with(&format!("\"{}\"", "\\u0041".repeat(10_000))));
    }

    #[test]
    fn depth_counts_from_the_outermost() {
        let nested = |depth: usize| {
            let inner = depth - 2;
            let (open, close) = ("[".repeat(inner), "]".repeat(inner));
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{open}{close}}}}}"#)
        };
        one(&nested(30));
        one(&nested(64));
        refused(nested(65), (-32600, ""));
        refused(nested(127), (-32600, ""));
        refused(nested(200), (-32600, ""));
        refused("[".repeat(100_000), (-32600, ""));
        refused("{\"a\":".repeat(100_000), (-32600, ""));
    }

    #[test]
    fn batches_are_read_whole() {
        let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
        let batch = |count: usize| format!("[{}]", vec![ping; count].join(","));
        for count in 1..=3 {
            let body = read(batch(count).as_bytes(), LIMITS);
            assert!(matches!(&body, Ok(Body::Batch(messages)) if messages.len() == count), "{count}: {body:?}");
        }
        for count in [0, 4, 5, 1000] {
            refused(batch(count), (-32600, ""));
        }
        refused(format!("[{ping},[{ping}]]"), (-32600, ""));
        refused(format!("[[{ping}]]"), (-32600, ""));
        refused(format!("[{ping},1]"), (-32600, ""));
        refused(format!("[{ping},null]"), (-32600, ""));
        refused(format!("[{ping},{{}}]"), (-32600, ""));
        refused(r#"[{"jsonrpc":"2.0","id":1,"method":"ping","Method":"x"}]"#, (-32600, ""));
        refused(format!("[{ping},]"), (-32700, ""));
        let mixed = format!(r#"[{ping},{{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{{"name":"x"}}}}]"#);
        let Ok(Body::Batch(messages)) = read(mixed.as_bytes(), LIMITS) else { panic!("{mixed}") };
        let names: Vec<_> =
            messages.iter().map(|message| (message.method.as_str(), message.params.name.text())).collect();
        assert_eq!(names, [("ping", None), ("tools/call", Some("x"))]);
    }

    #[test]
    fn params_that_decide_are_unescaped() {
        let params =
            one(r#"{"jsonrpc":"2.0","id":1,"method":"x","params":{"name":"\u0064elete\/all","uri":5,"taskId":null,
                "protocolVersion":"p","_meta":{"io.modelcontextprotocol\/protocolVersion":"2026-07-28"},
                "ref":{"type":"ref/prompt","name":["n"]},"arguments":{"name":"other"},
                "notifications":{"resourceSubscriptions":["a:\u0062","c:d"],"toolsListChanged":true}}}"#)
            .params;
        assert_eq!(params.name, Field::Text("delete/all".to_owned()));
        assert_eq!(params.uri, Field::Other);
        assert_eq!(params.task_id, Field::Other);
        assert_eq!(params.protocol_version.text(), Some("p"));
        assert_eq!(params.meta_protocol_version.text(), Some("2026-07-28"));
        let reference = params.reference.unwrap();
        assert_eq!(
            (reference.kind.text(), reference.name, reference.uri),
            (Some("ref/prompt"), Field::Other, Field::Absent)
        );
        assert_eq!(params.resource_subscriptions, Some(Ok(vec!["a:b".to_owned(), "c:d".to_owned()])));
        assert!(!params.task_ids);
    }

    #[test]
    fn subscriptions_are_strings_in_an_array_in_an_object() {
        let check = |notifications: &str, expect: Option<Result<usize, ()>>| {
            let json =
                format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"notifications":{notifications}}}}}"#);
            assert_eq!(
                one(&json).params.resource_subscriptions.map(|uris| uris.map(|uris| uris.len())),
                expect,
                "{json:.200}"
            );
        };
        let of = |count: usize| format!(r#"{{"resourceSubscriptions":[{}]}}"#, vec![r#""a:b""#; count].join(","));
        check("{}", None);
        check(&of(0), Some(Ok(0)));
        check(&of(1000), Some(Ok(1000)));
        check(&of(1001), Some(Err(())));
        check("[]", Some(Err(())));
        check("null", Some(Err(())));
        check(r#"{"resourceSubscriptions":null}"#, Some(Err(())));
        check(r#"{"resourceSubscriptions":{"a":"b"}}"#, Some(Err(())));
        check(r#"{"resourceSubscriptions":["a:b",1,"c:d"]}"#, Some(Err(())));
        check(r#"{"resourceSubscriptions":[["a:b"]]}"#, Some(Err(())));
    }
}

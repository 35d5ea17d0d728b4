//! What one MCP request asks for, as policy sees it.
//!
//! A method that is not listed here must never become anything but `Other`, which is denied unless a rule names it.

use std::borrow::Cow;

use super::message::{Body, Field, INVALID_PARAMS, INVALID_REQUEST, Kind, Malformed, Message, MessageId, Params};
use super::names;
use super::revision::Revision;
use super::strict;

/// What one HTTP request asks for.
#[derive(Debug, Clone)]
pub enum Asked {
    /// One message, or none (GET, DELETE).
    One(Ask),
    /// The messages of a batch (MCP 2025-03-26, Base Protocol, Batching).
    Batch(Vec<Ask>),
}

/// One message, as policy sees it.
#[derive(Debug, Clone)]
pub struct Ask {
    /// What it asks for.
    pub operation: Operation,
    /// The id of a request.
    pub id: Option<MessageId>,
}

impl Asked {
    /// What a request without a body asks for.
    #[must_use]
    pub fn bodiless(operation: Operation) -> Self {
        Self::One(Ask { operation, id: None })
    }

    /// What `body` asks for; one message of a batch that is refused refuses all of it.
    pub fn of(body: &Body, revision: Option<Revision>) -> Result<Self, Malformed> {
        let ask = |message: &Message| {
            let operation = Operation::of(message, revision)?;
            Ok(Ask { operation, id: message.id.clone().filter(|_| message.kind == Kind::Request) })
        };
        match body {
            Body::One(message) => ask(message).map(Self::One),
            Body::Batch(messages) => match messages.iter().map(ask).collect() {
                Ok(asks) => Ok(Self::Batch(asks)),
                // It is the whole batch that is refused, not the one request.
                Err(fault) => Err(Malformed { id: None, ..fault }),
            },
        }
    }

    /// Each message.
    #[must_use]
    pub fn each(&self) -> &[Ask] {
        match self {
            Self::One(ask) => std::slice::from_ref(ask),
            Self::Batch(asks) => asks,
        }
    }

    /// Whether what it opens would last for ever: it answers nothing that ends.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.each().iter().any(|ask| matches!(ask.operation, Operation::OpenStream | Operation::Listen(_)))
    }

    /// The id of a request that is alone.
    #[must_use]
    pub fn request_id(&self) -> Option<&MessageId> {
        match self {
            Self::One(ask) => ask.id.as_ref(),
            Self::Batch(_) => None,
        }
    }
}

/// What a message asks for. Everything that MCP defines without a variant here, and everything it does not
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

    /// The method where MCP defines it, or whoever has none; for every other one `other`: always one of [`words`].
    #[must_use]
    pub fn word(&self) -> &'static str {
        let method = self.method();
        words().find(|word| *word == method).unwrap_or(OTHER)
    }

    /// The tool, prompt or URI it names; of several URIs the first few, with spaces between.
    #[must_use]
    pub fn name(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::CallTool(name)
            | Self::GetPrompt(name)
            | Self::CompletePrompt(name)
            | Self::UseResource { uri: name, .. }
            | Self::CompleteResource(name) => Some(name.into()),
            Self::Listen(uris) => match uris.as_slice() {
                [] => None,
                uris => Some(uris.get(..LISTED_MAX).unwrap_or(uris).join(" ").into()),
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

/// Every word that an operation may be counted under.
pub fn words() -> impl Iterator<Item = &'static str> {
    let methods = [names::NAMING_REQUESTS, names::CORE_REQUESTS, names::CORE_NOTIFICATIONS, names::OTHER_REQUESTS];
    methods.into_iter().flatten().copied().chain(["response", "GET", "DELETE", OTHER])
}

/// What an operation is counted under whose method MCP does not define.
const OTHER: &str = "other";

/// Whether a server could take `method`, which became `Other`, for one that rules decide by what it names: it is one that the
/// revision does not define, or one but for case and what cannot be seen.
#[must_use]
pub fn resembles_naming(method: &str, defined: bool) -> bool {
    let mut naming = names::NAMING_REQUESTS.iter();
    naming.any(|named| strict::folds_to(method, named) && !(defined && method == *named))
}

/// So many URIs are named.
const LISTED_MAX: usize = 8;

/// `method` as `methods` has it.
fn defined(methods: &[&'static str], method: &str) -> Option<&'static str> {
    methods.iter().copied().find(|defined| *defined == method)
}

/// The string that a rule decides by.
fn text(field: &Field, detail: &'static str) -> Result<String, &'static str> {
    field.text().map(str::to_owned).ok_or(detail)
}

#[cfg(test)]
mod tests {
    use super::super::message::{Body, ReadLimits, read};
    use super::*;

    const REVISIONS: [Option<Revision>; 6] = [
        None,
        Some(Revision::V2024_11_05),
        Some(Revision::V2025_03_26),
        Some(Revision::V2025_06_18),
        Some(Revision::V2025_11_25),
        MODERN,
    ];
    const MODERN: Option<Revision> = Some(Revision::V2026_07_28);

    fn message(json: &str) -> Message {
        match read(json.as_bytes(), ReadLimits { depth_max: 64, batch_max: 1 }) {
            Ok(Body::One(message)) => message,
            other => panic!("{json}: {other:?}"),
        }
    }

    fn request(method: &str, params: &str) -> Message {
        message(&format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{params}}}"#))
    }

    fn notification(method: &str) -> Message {
        message(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))
    }

    fn other(method: &str, defined: bool) -> Operation {
        Operation::Other { method: method.to_owned(), defined }
    }

    /// In every revision but 2026-07-28, and in 2026-07-28.
    fn check(message: &Message, older: &Operation, modern: &Operation) {
        for revision in REVISIONS {
            let expect = if revision == MODERN { modern } else { older };
            assert_eq!(Operation::of(message, revision).as_ref(), Ok(expect), "{message:?} {revision:?}");
        }
    }

    fn same(message: &Message, expect: &Operation) {
        check(message, expect, expect);
    }

    /// Refused as -32602, with the request's id.
    fn refused(method: &str, params: &str) {
        for revision in REVISIONS {
            if revision == MODERN && !names::REQUESTS_2026_07_28.contains(&method) {
                continue;
            }
            let malformed = Operation::of(&request(method, params), revision).unwrap_err();
            assert_eq!(
                (malformed.code, malformed.id.unwrap().as_json()),
                (-32602, "7"),
                "{method} {params} {revision:?}"
            );
        }
    }

    #[test]
    fn core_methods_need_required_scopes_alone() {
        for method in names::CORE_REQUESTS {
            same(&request(method, "{}"), &Operation::Core(method));
            same(&request(method, r#"{"name":"delete_all","uri":"file:///etc/passwd"}"#), &Operation::Core(method));
        }
        for method in names::CORE_NOTIFICATIONS {
            same(&notification(method), &Operation::Core(method));
        }
    }

    #[test]
    fn naming_methods_become_what_they_name() {
        let name = |name: &str| name.to_owned();
        let resource = |method: &'static str| Operation::UseResource { method, uri: name("a:b") };
        same(&request("tools/call", r#"{"name":"x"}"#), &Operation::CallTool(name("x")));
        same(&request("tools/call", r#"{"name":"","arguments":{"name":"y"}}"#), &Operation::CallTool(name("")));
        same(&request("tools/call", r#"{"task":{"ttl":1},"name":"x"}"#), &Operation::CallTool(name("x")));
        same(
            &request("tools/call", r#"{"name":"x","inputResponses":{},"requestState":"s"}"#),
            &Operation::CallTool(name("x")),
        );
        same(&request("tools\\/call", r#"{"name":"\u0078"}"#), &Operation::CallTool(name("x")));
        same(&request("prompts/get", r#"{"name":"x"}"#), &Operation::GetPrompt(name("x")));
        same(&request("resources/read", r#"{"uri":"a:b"}"#), &resource("resources/read"));
        check(
            &request("resources/subscribe", r#"{"uri":"a:b"}"#),
            &resource("resources/subscribe"),
            &other("resources/subscribe", false),
        );
        check(
            &request("resources/unsubscribe", r#"{"uri":"a:b"}"#),
            &resource("resources/unsubscribe"),
            &other("resources/unsubscribe", false),
        );
        let complete = |kind: &str| {
            request("completion/complete", &format!(r#"{{"ref":{{"type":"{kind}","name":"x","uri":"a:{{b}}"}}}}"#))
        };
        same(&complete("ref/prompt"), &Operation::CompletePrompt(name("x")));
        same(&complete("ref/resource"), &Operation::CompleteResource(name("a:{b}")));
    }

    #[test]
    fn listening_names_each_resource() {
        let listen =
            |notifications: &str| request("subscriptions/listen", &format!(r#"{{"notifications":{notifications}}}"#));
        let uris = |uris: &[&str]| Operation::Listen(uris.iter().map(|&uri| uri.to_owned()).collect());
        same(&request("subscriptions/listen", "{}"), &uris(&[]));
        same(&listen("{}"), &uris(&[]));
        same(&listen(r#"{"toolsListChanged":true}"#), &uris(&[]));
        same(&listen(r#"{"resourceSubscriptions":[]}"#), &uris(&[]));
        same(&listen(r#"{"resourceSubscriptions":["a:b","c:d"]}"#), &uris(&["a:b", "c:d"]));
        same(&listen(r#"{"taskIds":["t"]}"#), &other("subscriptions/listen", true));
        same(&listen(r#"{"taskIds":null}"#), &other("subscriptions/listen", true));
        refused("subscriptions/listen", r#"{"notifications":{"taskIds":["t"],"resourceSubscriptions":["a:b"]}}"#);
        refused("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":"a:b"}}"#);
        refused("subscriptions/listen", r#"{"notifications":{"resourceSubscriptions":["a:b",{}]}}"#);
        refused("subscriptions/listen", r#"{"notifications":["a:b"]}"#);
    }

    #[test]
    fn what_a_rule_decides_by_must_be_a_string() {
        for params in
            ["{}", r#"{"name":null}"#, r#"{"name":1}"#, r#"{"name":["x"]}"#, r#"{"name":{"x":1}}"#, r#"{"uri":"x"}"#]
        {
            refused("tools/call", params);
            refused("prompts/get", params);
        }
        for params in ["{}", r#"{"uri":null}"#, r#"{"uri":false}"#, r#"{"uri":["x"]}"#, r#"{"name":"x"}"#] {
            refused("resources/read", params);
            refused("resources/subscribe", params);
            refused("resources/unsubscribe", params);
        }
        for params in [
            "{}",
            r#"{"ref":null}"#,
            r#"{"ref":"ref/prompt"}"#,
            r#"{"ref":[{"type":"ref/prompt","name":"x"}]}"#,
            r#"{"ref":{}}"#,
            r#"{"ref":{"name":"x"}}"#,
            r#"{"ref":{"type":"ref/tool","name":"x"}}"#,
            r#"{"ref":{"type":"Ref/prompt","name":"x"}}"#,
            r#"{"ref":{"type":"ref/prompt"}}"#,
            r#"{"ref":{"type":"ref/prompt","uri":"a:b"}}"#,
            r#"{"ref":{"type":"ref/prompt","name":1}}"#,
            r#"{"ref":{"type":"ref/resource","name":"x"}}"#,
            r#"{"ref":{"type":"ref/resource","uri":null}}"#,
        ] {
            refused("completion/complete", params);
        }
    }

    #[test]
    fn every_other_method_is_other() {
        for method in [
            "tasks/get",
            "tasks/update",
            "tasks/cancel",
            "tasks/result",
            "tasks/list",
            "sampling/createMessage",
            "roots/list",
            "elicitation/create",
            "acme/reindex",
            "Tools/Call",
            "tools/call ",
            "tools/call\\u0000",
            "tools/cal\\u217c",
            "rpc.discover",
            "tools",
            "tools/list/",
            "",
            "*",
        ] {
            let message = request(method, "{}");
            check(&message, &other(&message.method, true), &other(&message.method, false));
        }
        for method in [
            "notifications/message",
            "notifications/acme",
            "notifications/tasks",
            "acme/event",
            "Notifications/Initialized",
        ] {
            same(&notification(method), &other(method, true));
        }
    }

    #[test]
    fn what_2026_07_28_does_not_define_is_said_before_its_params_are_looked_at() {
        for method in ["resources/subscribe", "resources/unsubscribe", "tasks/get", "acme/reindex"] {
            assert_eq!(Operation::of(&request(method, r#"{"uri":1}"#), MODERN), Ok(other(method, false)));
        }
    }

    #[test]
    fn a_client_may_respond_until_2025_11_25() {
        let response = message(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        for revision in REVISIONS {
            let operation = Operation::of(&response, revision);
            if revision == MODERN {
                let malformed = operation.unwrap_err();
                assert_eq!((malformed.code, malformed.id), (-32600, None));
            } else {
                assert_eq!(operation, Ok(Operation::Response));
            }
        }
    }

    #[test]
    fn method_and_name_are_what_the_audit_record_shows() {
        let check = |operation: Operation, method: &str, name: Option<&str>| {
            assert_eq!((operation.method(), operation.name().as_deref()), (method, name));
        };
        let text = |text: &str| text.to_owned();
        check(Operation::CallTool(text("x")), "tools/call", Some("x"));
        check(Operation::GetPrompt(text("x")), "prompts/get", Some("x"));
        check(Operation::UseResource { method: "resources/read", uri: text("a:b") }, "resources/read", Some("a:b"));
        check(Operation::Listen(vec![]), "subscriptions/listen", None);
        check(Operation::Listen(vec![text("a:b")]), "subscriptions/listen", Some("a:b"));
        check(Operation::Listen(vec![text("a:b"), text("c:d")]), "subscriptions/listen", Some("a:b c:d"));
        check(Operation::CompletePrompt(text("x")), "completion/complete", Some("x"));
        check(Operation::CompleteResource(text("a:b")), "completion/complete", Some("a:b"));
        check(Operation::Core("ping"), "ping", None);
        check(Operation::Response, "response", None);
        check(Operation::OpenStream, "GET", None);
        check(Operation::EndSession, "DELETE", None);
        check(other("acme/x", false), "acme/x", None);
    }
}

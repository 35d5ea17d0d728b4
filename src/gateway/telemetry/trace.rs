//! The spans of one request while it is under way. Facts come in by way of `Trail` alone and are taken out when its record is
//! written: no stage can decide by them. They never hold a token, a body, an argument or a session id.

use std::borrow::Cow;
use std::time::Instant;

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode, Version};

use super::Telemetry;
use super::otlp::{Attributes, Kind, Span, Traced, Value};
use crate::gateway::listener::Peer;
use crate::gateway::trail::cut;
use crate::mcp::operation::{Ask, Asked, Operation};
use crate::mcp::trace::{self, Parent, TRACEPARENT, TRACESTATE};
use crate::rejection::Rejection;

/// What takes time, in order. Each is a span below the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The access token is validated.
    Authenticate,
    /// The body is read and understood.
    Inspect,
    /// Policy decides.
    Authorize,
    /// The request is with the server, until the head of its answer.
    Forward,
    /// What the answer shows is filtered; of a stream, not the events.
    Filter,
}

/// The spans of a request.
#[derive(Debug)]
pub(in crate::gateway) struct Trace {
    telemetry: Telemetry,
    /// The trace, this request's span in it, and whether it is recorded.
    own: Parent,
    /// The span of the caller's.
    parent: Option<u64>,
    /// `tracestate`.
    state: String,
    begun: Instant,
    /// Nanoseconds since 1970.
    begun_at: u64,
    http_method: &'static str,
    http_route: Option<String>,
    name: Option<Name>,
    attributes: Attributes,
    error: Option<Cow<'static, str>>,
    stages: Vec<Stretch>,
}

/// What an MCP request's span is called.
#[derive(Debug)]
struct Name {
    /// The method, where MCP defines it.
    method: String,
    /// As the caller wrote it: only what policy permitted bounds how many there are.
    permitted: String,
}

/// A stage, and how long it took.
#[derive(Debug)]
struct Stretch {
    stage: Stage,
    begin: u64,
    end: Option<u64>,
    attributes: Attributes,
    error: Option<Cow<'static, str>>,
}

impl Trace {
    /// `trace_id` and `span_id` are random and not zero.
    pub(super) fn new(
        telemetry: Telemetry,
        parts: &Parts,
        peer: Peer,
        begun_at: u64,
        (trace_id, span_id): (u128, u64),
    ) -> Self {
        let version = match parts.version {
            Version::HTTP_2 => "2",
            Version::HTTP_10 => "1.0",
            _ => "1.1",
        };
        let http_method = known(&parts.method);
        let mut trace = Self {
            own: Parent { trace_id, span_id, sampled: telemetry.samples(trace_id) },
            telemetry,
            parent: None,
            state: String::new(),
            begun: Instant::now(),
            begun_at,
            http_method,
            http_route: None,
            name: None,
            attributes: vec![
                (HTTP_METHOD, http_method.into()),
                (PROTOCOL_NAME, "http".into()),
                (PROTOCOL_VERSION, version.into()),
                (TRANSPORT, "tcp".into()),
                (CLIENT_ADDRESS, peer.address.ip().to_canonical().to_string().into()),
                (CLIENT_PORT, peer.address.port().into()),
            ],
            error: None,
            stages: Vec::new(),
        };
        trace.join(&parts.headers);
        trace
    }

    /// Becomes part of the caller's trace, if these headers name one; whether it is recorded is then the caller's word.
    pub(in crate::gateway) fn join(&mut self, headers: &HeaderMap) {
        let Some(parent) = trace::parent_of(headers) else { return };
        (self.own.trace_id, self.own.sampled) = (parent.trace_id, parent.sampled);
        self.parent = Some(parent.span_id);
        let states: Vec<&str> = headers.get_all(TRACESTATE).iter().filter_map(|state| state.to_str().ok()).collect();
        self.state = states.join(",");
        if self.state.len() > trace::STATE_BYTES_MAX {
            self.state.clear();
        }
    }

    /// The trace, as audit records name it.
    pub(in crate::gateway) fn id(&self) -> String {
        trace::written(self.own.trace_id)
    }

    /// The path that was asked for, which is one of the file's.
    pub(in crate::gateway) fn http_route(&mut self, path: &str) {
        self.http_route = Some(path.to_owned());
        self.attributes.push((HTTP_ROUTE, path.to_owned().into()));
    }

    /// What the request asks for.
    pub(in crate::gateway) fn asked(&mut self, asked: &Asked) {
        match asked {
            Asked::One(Ask { operation, id }) => {
                if let Some(id) = id {
                    self.attributes.push((REQUEST_ID, cut(id.as_json().trim_matches('"')).into()));
                }
                self.operation(operation);
            }
            Asked::Batch(_) => {
                self.attributes.push((METHOD, "batch".into()));
                self.name = Some(Name { method: "batch".to_owned(), permitted: "batch".to_owned() });
            }
        }
    }

    fn operation(&mut self, operation: &Operation) {
        let key = match operation {
            // These have no method of MCP: what HTTP calls them is all there is.
            Operation::OpenStream | Operation::EndSession | Operation::Response => return,
            Operation::CallTool(_) => {
                self.attributes.push((GEN_AI_OPERATION, "execute_tool".into()));
                Some(TOOL)
            }
            Operation::GetPrompt(_) | Operation::CompletePrompt(_) => Some(PROMPT),
            Operation::UseResource { .. } | Operation::CompleteResource(_) | Operation::Listen(_) => Some(RESOURCE),
            Operation::Core(_) | Operation::Other { .. } => None,
        };
        let method = cut(operation.method());
        self.attributes.push((METHOD, method.clone().into()));
        let mut permitted = method.clone();
        if let (Some(key), Some(name)) = (key, operation.name()) {
            let name = cut(&name);
            // A URI is one of very many: as a name it would make every span a kind of its own.
            if key != RESOURCE {
                permitted = format!("{method} {name}");
            }
            self.attributes.push((key, name.into()));
        }
        let method = if matches!(operation, Operation::Other { .. }) { String::new() } else { method };
        self.name = Some(Name { method, permitted });
    }

    /// A stage begins, and the one before has ended.
    pub(in crate::gateway) fn stage(&mut self, stage: Stage) {
        let begin = self.end_stage();
        self.stages.push(Stretch { stage, begin, end: None, attributes: Attributes::new(), error: None });
    }

    /// The stages are over.
    pub(in crate::gateway) fn end_stages(&mut self) {
        self.end_stage();
    }

    /// The stage that is under way ends. Says when.
    fn end_stage(&mut self) -> u64 {
        let now = self.now();
        if let Some(stretch) = self.stages.last_mut() {
            stretch.end.get_or_insert(now);
        }
        now
    }

    /// The request goes to this server, and says there that it is part of our span. A state without a parent means nothing
    /// (§3.3), so it stays here.
    pub(in crate::gateway) fn carry(&mut self, headers: &mut HeaderMap, server: &Authority) {
        let forward = Parent { span_id: self.stage_id(Stage::Forward), ..self.own };
        if let Some(header) = forward.header() {
            headers.insert(TRACEPARENT, header);
        }
        if self.parent.is_none() {
            headers.remove(TRACESTATE);
        }
        let method = self.http_method;
        if let Some(forward) = self.stages.last_mut() {
            forward.attributes.push((HTTP_METHOD, method.into()));
            forward.attributes.push((SERVER_ADDRESS, server.host().trim_matches(['[', ']']).to_owned().into()));
            if let Some(port) = server.port_u16() {
                forward.attributes.push((SERVER_PORT, port.into()));
            }
        }
    }

    /// The server answered.
    pub(in crate::gateway) fn upstream_status(&mut self, status: StatusCode) {
        if let Some(forward) = self.stages.last_mut() {
            forward.attributes.push((HTTP_STATUS, status.as_u16().into()));
            if status.is_client_error() || status.is_server_error() {
                forward.error = Some(status.as_str().to_owned().into());
            }
        }
        if status.is_server_error() {
            self.error = Some(status.as_str().to_owned().into());
        }
    }

    /// The request is refused, or failed, in the stage that is under way.
    pub(in crate::gateway) fn rejected(&mut self, rejection: &Rejection) {
        self.error = Some(rejection.reason().into());
        self.attributes.push((RPC_STATUS, rejection.code().to_string().into()));
        if let Some(stretch) = self.stages.last_mut().filter(|stretch| stretch.end.is_none()) {
            stretch.error = Some(rejection.reason().into());
        }
    }

    /// A further fact, under one of [`ATTRIBUTES`].
    pub(in crate::gateway) fn fact(&mut self, key: &'static str, value: impl Into<Value>) {
        self.attributes.push((key, value.into()));
    }

    /// The answer broke off.
    pub(in crate::gateway) fn broke(&mut self, how: &'static str) {
        self.error.get_or_insert(how.into());
    }

    /// The request is over: its spans are on their way, if they are recorded.
    pub(in crate::gateway) fn finish(mut self, permitted: bool) {
        if !self.own.sampled {
            return;
        }
        let end = self.end_stage();
        let name = match self.name.take() {
            Some(Name { permitted: name, .. }) if permitted => name,
            Some(Name { method, .. }) if !method.is_empty() => method,
            Some(_) | None => match &self.http_route {
                Some(route) => format!("{} {route}", self.http_method),
                None => self.http_method.to_owned(),
            },
        };
        let error_type = |error: &Option<Cow<'static, str>>| error.clone().map(|error| (ERROR, Value::Text(error)));
        self.attributes.extend(error_type(&self.error));
        let mut spans = vec![Span {
            id: self.own.span_id,
            parent: self.parent,
            parent_is_remote: self.parent.is_some(),
            name: name.into(),
            kind: Kind::Server,
            begin: self.begun_at,
            end,
            attributes: std::mem::take(&mut self.attributes),
            error: self.error.take(),
        }];
        for stretch in std::mem::take(&mut self.stages) {
            let mut attributes = stretch.attributes;
            attributes.extend(error_type(&stretch.error));
            spans.push(Span {
                id: self.stage_id(stretch.stage),
                parent: Some(self.own.span_id),
                parent_is_remote: false,
                name: stretch.stage.word().into(),
                kind: if stretch.stage == Stage::Forward { Kind::Client } else { Kind::Internal },
                begin: stretch.begin,
                end: stretch.end.unwrap_or(end),
                attributes,
                error: stretch.error,
            });
        }
        let Self { telemetry, own, state: trace_state, .. } = self;
        telemetry.queue(Traced { trace_id: own.trace_id, trace_state, spans });
    }

    fn now(&self) -> u64 {
        self.begun_at.saturating_add(u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// Ids must differ within a trace: the request's is random, and its stages count on from there.
    fn stage_id(&self, stage: Stage) -> u64 {
        let number = match stage {
            Stage::Authenticate => 1,
            Stage::Inspect => 2,
            Stage::Authorize => 3,
            Stage::Forward => 4,
            Stage::Filter => 5,
        };
        self.own.span_id.checked_add(number).unwrap_or(number)
    }
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Authenticate => "authenticate",
            Self::Inspect => "inspect",
            Self::Authorize => "authorize",
            Self::Forward => "forward",
            Self::Filter => "filter",
        }
    }
}

/// The method, if HTTP defines it: a client could make up any number of others.
fn known(method: &Method) -> &'static str {
    const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

macro_rules! attributes {
    ($($constant:ident = $key:literal, $spans:literal, $meaning:literal;)*) => {
        $(pub(in crate::gateway) const $constant: &str = $key;)*

        /// Every attribute of a span: its key, the spans that have it, and what it says.
        pub const ATTRIBUTES: &[(&str, &str, &str)] = &[$(($key, $spans, $meaning)),*];
    };
}

attributes! {
    METHOD = "mcp.method.name", "request", "the method of the message, or `batch`; without one (GET, DELETE, a client's response) it is absent";
    GEN_AI_OPERATION = "gen_ai.operation.name", "request", "`execute_tool` of a `tools/call`, else absent";
    TOOL = "gen_ai.tool.name", "request", "the tool of a `tools/call`";
    PROMPT = "gen_ai.prompt.name", "request", "the prompt of a `prompts/get` or a completion";
    RESOURCE = "mcp.resource.uri", "request", "the resource, or the first few of a `subscriptions/listen`";
    REVISION = "mcp.protocol.version", "request", "the revision that the request names";
    REQUEST_ID = "jsonrpc.request.id", "request", "`id` of the message, if it has one";
    RPC_STATUS = "rpc.response.status_code", "request", "the JSON-RPC code of a refusal or failure of the gateway's";
    ERROR = "error.type", "any", "the reason word; for an answer that broke off `upstream_cut`; for a status of the server's that is passed on, the status (below 500 on `forward` alone); absent where nothing failed";
    HTTP_METHOD = "http.request.method", "request, `forward`", "the method, or `_OTHER` for one that HTTP does not define";
    HTTP_ROUTE = "http.route", "request", "the path, where it is one of the file's";
    HTTP_STATUS = "http.response.status_code", "request, `forward`", "the status that the client got; on `forward` the server's";
    PROTOCOL_NAME = "network.protocol.name", "request", "`http`";
    PROTOCOL_VERSION = "network.protocol.version", "request", "`1.0`, `1.1` or `2`";
    TRANSPORT = "network.transport", "request", "`tcp`";
    CLIENT_ADDRESS = "client.address", "request", "the address of the connection's other end, a proxy's where one stands in front";
    CLIENT_PORT = "client.port", "request", "its port";
    SERVER_ADDRESS = "server.address", "`forward`", "the host of `upstream`";
    SERVER_PORT = "server.port", "`forward`", "its port, where the file names one";
    SUBJECT = "enduser.id", "request", "`sub` of the token";
    CLIENT = "gatepost.client", "request", "the client that the token was issued to";
    GATEPOST_REQUEST_ID = "gatepost.request_id", "request", "`request_id` of the audit record";
    ROUTE = "gatepost.route", "request", "the route's name";
    SURFACE = "gatepost.surface", "request", "`mcp`, `metadata` or `preflight`";
    DECISION = "gatepost.decision", "request", "`allowed` or `refused`";
    WOULD_DENY = "gatepost.would_deny", "request", "the reason that a route which enforces would have given";
    REASON = "gatepost.reason", "request", "the reason word of a refusal or failure";
    RULE = "gatepost.rule", "request", "the rule that decided";
    END = "gatepost.end", "request", "how an answer ended that did not end whole: `client_gone`, `upstream_cut`, `token_expired`, `shutting_down`, `reloaded`";
}

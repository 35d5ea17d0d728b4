//! Asks a running MCP server what it has: tools, prompts, resources, templates. It speaks the stateless revision 2026-07-28,
//! else the sessions of the older ones over Streamable HTTP. It calls nothing, follows no redirect, and believes no answer
//! that is longer, later or otherwise than it must be.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::kind::Hints;
use super::text;
use crate::gateway::body::{self, BodyError, ReadFault, read_limited};
use crate::gateway::settings::UpstreamSettings;
use crate::gateway::upstream::{Upstream, Upstreams};
use crate::mcp::revision::Revision;
use crate::mcp::sse::Parser;
use crate::mcp::strict;
use crate::rejection::Failure;

/// What a server has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Its name, by its own word.
    pub server: Option<String>,
    /// Its version, by its own word.
    pub version: Option<String>,
    /// The revision that was spoken.
    pub revision: String,
    /// Whether it gave a session id.
    pub has_session: bool,
    /// `tools/list`.
    pub tools: Vec<Entry>,
    /// `prompts/list`.
    pub prompts: Vec<Entry>,
    /// `resources/list`, by URI.
    pub resources: Vec<Entry>,
    /// `resources/templates/list`, by template.
    pub templates: Vec<Entry>,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

/// One entry of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name, URI or template; of one that is longer than any which a rule can name, the beginning.
    pub name: String,
    /// The beginning of its description.
    pub description: String,
    /// Of a tool.
    pub hints: Hints,
}

/// Why a server did not answer as one must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// There was no answer.
    Unreachable(String),
    /// There was none in time.
    Late,
    /// 401.
    Unauthorized,
    /// 403.
    Forbidden,
    /// A redirect, to there.
    Redirect(String),
    /// Another status, and how the answer begins.
    Status(u16, String),
    /// It answers, and not as MCP says.
    NotMcp(String),
    /// A JSON-RPC error.
    Refused(i64, String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(detail) => write!(f, "cannot be reached: {detail}"),
            Self::Late => write!(f, "does not answer within {} s", ANSWER_MAX.as_secs()),
            Self::Unauthorized => f.write_str("asks for credentials (401)"),
            Self::Forbidden => f.write_str("refuses (403)"),
            Self::Redirect(to) => write!(f, "redirects to {to}, which is not followed"),
            Self::Status(status, excerpt) if excerpt.is_empty() => write!(f, "answers {status}"),
            Self::Status(status, excerpt) => write!(f, "answers {status}: {excerpt}"),
            Self::NotMcp(why) => f.write_str(why),
            Self::Refused(code, message) => write!(f, "answers with the error {code}: {message}"),
        }
    }
}

impl Fault {
    /// What whoever asked may do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "start the server, and check host, port and scheme of the URL",
            Self::Late => "see whether the server hangs, and whether this is its port",
            Self::Unauthorized => {
                "give it what it asks for: --token - (from standard input), --token-file FILE, or --header 'Name: env:VARIABLE'"
            }
            Self::Forbidden => "see in the server's log whether it wants other credentials, or another Host",
            Self::Redirect(_) => "give the URL that it really answers at; a slash at the end makes a difference",
            Self::Status(..) | Self::NotMcp(_) => {
                "give the URL of its MCP endpoint (Streamable HTTP), often ending in /mcp"
            }
            Self::Refused(..) => "see in the server's log why it refuses",
        }
    }
}

/// One server, and the way in which it is spoken to.
pub struct Server {
    upstream: Upstream,
    path: PathAndQuery,
    /// What its operator gave for every request; sensitive.
    credentials: HeaderMap,
    /// Headers of the revision and the session, once they are known.
    agreed: HeaderMap,
    modern: bool,
    last_id: u64,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("modern", &self.modern).finish_non_exhaustive()
    }
}

impl Server {
    /// Connects to nothing yet.
    pub fn new(settings: &UpstreamSettings, credentials: HeaderMap) -> Result<Self, String> {
        let (upstream, path) = (Upstreams::default().to(settings)?, settings.path.clone());
        Ok(Self { upstream, path, credentials, agreed: HeaderMap::new(), modern: false, last_id: 0 })
    }

    /// Asks for everything, in a minute at most.
    pub async fn inventory(&mut self) -> Result<Inventory, Fault> {
        let taken = tokio::time::timeout(INVENTORY_MAX, async {
            let hello = self.hello().await?;
            let inventory = self.lists(&hello).await;
            self.goodbye().await;
            inventory
        });
        taken.await.unwrap_or(Err(Fault::Late))
    }

    /// Whether its URL opens a stream of HTTP+SSE (MCP 2024-11-05).
    pub async fn is_http_sse(&self) -> bool {
        let first_event = async {
            let request = self.request(Method::GET).header(header::ACCEPT, EVENT_STREAM).body(body::empty()).ok()?;
            let mut answer = self.upstream.send(request).await.ok()?;
            if answer.status() != StatusCode::OK || media_type(answer.headers()) != EVENT_STREAM {
                return None;
            }
            let (mut parser, mut events) = (Parser::new(ERROR_BYTES_MAX), Vec::new());
            while let Some(Ok(frame)) = answer.body_mut().frame().await {
                parser.push(frame.data_ref()?, &mut events).ok()?;
                if let Some(event) = events.iter().find(|event| !event.is_idle()) {
                    return Some(event.is_named("endpoint"));
                }
            }
            None
        };
        tokio::time::timeout(STREAM_MAX, first_event).await.ok().flatten().unwrap_or(false)
    }

    /// Whether it lists its tools to somebody who names no session, though it gave one.
    pub async fn ignores_sessions(&mut self) -> bool {
        self.agreed.remove(SESSION);
        !self.modern && self.ask("tools/list", json!({})).await.is_ok()
    }

    /// Agrees on a revision; returns what the server says of itself.
    async fn hello(&mut self) -> Result<Value, Fault> {
        self.modern = true;
        self.agreed.insert(REVISION, HeaderValue::from_static(Revision::V2026_07_28.as_str()));
        match self.ask("server/discover", json!({})).await {
            Ok(said) => {
                let versions = said.get("supportedVersions").and_then(Value::as_array);
                if versions.is_some_and(|all| all.iter().any(|one| one == Revision::V2026_07_28.as_str())) {
                    return Ok(said);
                }
            }
            // An older server may say no in any way it likes.
            Err(Fault::Status(..) | Fault::NotMcp(_) | Fault::Refused(..) | Fault::Forbidden) => {}
            Err(fault @ (Fault::Unreachable(_) | Fault::Late | Fault::Unauthorized | Fault::Redirect(_))) => {
                return Err(fault);
            }
        }
        (self.modern, self.agreed) = (false, HeaderMap::new());
        self.initialize().await
    }

    async fn initialize(&mut self) -> Result<Value, Fault> {
        let params = json!({
            "protocolVersion": Revision::V2025_11_25.as_str(), "capabilities": {}, "clientInfo": client(),
        });
        let (said, session) = self.exchange("initialize", params).await?;
        let version = said.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
        let Some(revision) = Revision::parse(version).filter(|revision| *revision != Revision::V2026_07_28) else {
            return Err(Fault::NotMcp(format!(
                "speaks the revision {:?} of MCP, which is not known here",
                line(version)
            )));
        };
        self.agreed.insert(REVISION, HeaderValue::from_static(revision.as_str()));
        if let Some(session) = session {
            self.agreed.insert(SESSION, session);
        }
        self.notify("notifications/initialized").await?;
        Ok(said)
    }

    /// Ends the session, if there is one; a server that does not know how forgets it by itself.
    async fn goodbye(&self) {
        if self.agreed.contains_key(SESSION)
            && let Ok(request) = self.request(Method::DELETE).body(body::empty())
        {
            drop(tokio::time::timeout(STREAM_MAX, self.upstream.send(request)).await);
        }
    }

    async fn lists(&mut self, hello: &Value) -> Result<Inventory, Fault> {
        let info = hello.get("serverInfo").or_else(|| hello.get("_meta")?.get("io.modelcontextprotocol/serverInfo"));
        let said = |member: &str| info?.get(member)?.as_str().map(line);
        let (server, version) = (said("name"), said("version"));
        let revision = self.agreed.get(REVISION).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        let has_session = self.agreed.contains_key(SESSION);
        let mut found = Inventory { server, version, revision, has_session, ..Inventory::default() };
        let has = |capability: &str| hello.get("capabilities").and_then(|all| all.get(capability)).is_some();
        if has("tools") {
            found.tools = self.list("tools/list", "tools", "name", &mut found.missing).await?;
        }
        // Without these a file can still be written: what is in no list is denied.
        for (capability, method, member, name, into) in [
            ("prompts", "prompts/list", "prompts", "name", &mut found.prompts),
            ("resources", "resources/list", "resources", "uri", &mut found.resources),
            ("resources", "resources/templates/list", "resourceTemplates", "uriTemplate", &mut found.templates),
        ] {
            if !has(capability) {
                continue;
            }
            match self.list(method, member, name, &mut found.missing).await {
                Ok(entries) => *into = entries,
                // A server that has resources need not have templates.
                Err(Fault::Refused(METHOD_NOT_FOUND, _)) => {}
                Err(fault @ (Fault::Refused(..) | Fault::Status(..) | Fault::NotMcp(_))) => {
                    found.missing.push(format!("{method}: the server {fault}"));
                }
                Err(
                    fault @ (Fault::Unreachable(_)
                    | Fault::Late
                    | Fault::Unauthorized
                    | Fault::Forbidden
                    | Fault::Redirect(_)),
                ) => return Err(fault),
            }
        }
        Ok(found)
    }

    /// All pages of a list, within bounds; what is beyond them is said in `missing`.
    async fn list(
        &mut self,
        method: &'static str,
        member: &str,
        name: &str,
        missing: &mut Vec<String>,
    ) -> Result<Vec<Entry>, Fault> {
        let (mut entries, mut nameless, mut cursor) = (Vec::new(), 0_usize, None::<String>);
        for _ in 0..PAGES_MAX {
            let params = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
            let page = self.ask(method, params).await?;
            let Some(list) = page.get(member).and_then(Value::as_array) else {
                return Err(Fault::NotMcp(format!("answers {method} without a list `{member}`")));
            };
            let room = ENTRIES_MAX.saturating_sub(entries.len());
            for entry in list.iter().take(room) {
                match entry.get(name).and_then(Value::as_str) {
                    Some(name) => entries.push(Entry::read(name, entry)),
                    None => nameless += 1,
                }
            }
            let next = page.get("nextCursor").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || next == cursor || list.len() >= room {
                if next.is_some() || list.len() > room {
                    missing.push(format!("{method}: the list has no end; {} entries were read", entries.len()));
                }
                cursor = None;
                break;
            }
            cursor = next;
        }
        if cursor.is_some() {
            missing.push(format!("{method}: the list has over {PAGES_MAX} pages; {} entries were read", entries.len()));
        }
        if nameless > 0 {
            missing.push(format!("{method}: {nameless} entries have no `{name}` that is a text"));
        }
        Ok(entries)
    }

    async fn ask(&mut self, method: &'static str, params: Value) -> Result<Value, Fault> {
        self.exchange(method, params).await.map(|(result, _)| result)
    }

    /// A request; its result, and the session id that came with it.
    async fn exchange(
        &mut self,
        method: &'static str,
        mut params: Value,
    ) -> Result<(Value, Option<HeaderValue>), Fault> {
        self.last_id += 1;
        let id = self.last_id;
        if self.modern
            && let Some(params) = params.as_object_mut()
        {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": Revision::V2026_07_28.as_str(),
                "io.modelcontextprotocol/clientInfo": client(),
                "io.modelcontextprotocol/clientCapabilities": {},
            });
            params.insert("_meta".to_owned(), meta);
        }
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let within = async {
            let answer = self.send(method, &message).await?;
            let session = answer.headers().get(SESSION).cloned();
            let message = read(answer, id).await?;
            result_of(message, id).map(|result| (result, session))
        };
        tokio::time::timeout(ANSWER_MAX, within).await.unwrap_or(Err(Fault::Late))
    }

    async fn notify(&self, method: &'static str) -> Result<(), Fault> {
        let message = json!({"jsonrpc": "2.0", "method": method});
        let within = async {
            let answer = self.send(method, &message).await?;
            if answer.status().is_success() { Ok(()) } else { Err(refusal(answer).await) }
        };
        tokio::time::timeout(ANSWER_MAX, within).await.unwrap_or(Err(Fault::Late))
    }

    async fn send(&self, method: &'static str, message: &Value) -> Result<Response<impl Chunks + use<>>, Fault> {
        let mut request = self
            .request(Method::POST)
            .header(header::CONTENT_TYPE, JSON)
            .header(header::ACCEPT, "application/json, text/event-stream");
        if self.modern {
            request = request.header("mcp-method", method);
        }
        let request = request.body(body::full(message.to_string()));
        let request = request.map_err(|error| Fault::Unreachable(error.to_string()))?;
        let answer = self.upstream.send(request).await.map_err(|failure| unreachable(&failure))?;
        match answer.status() {
            StatusCode::UNAUTHORIZED => Err(Fault::Unauthorized),
            status if status.is_redirection() => {
                let to = answer.headers().get(header::LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("nowhere");
                // What follows may be a secret of a login page.
                Err(Fault::Redirect(line(to.split(['?', '#']).next().unwrap_or_default())))
            }
            _ => Ok(answer),
        }
    }

    fn request(&self, method: Method) -> http::request::Builder {
        let mut request = Request::builder()
            .method(method)
            .uri(self.path.as_str())
            .header(header::ACCEPT_ENCODING, "identity")
            .header(header::USER_AGENT, concat!("gatepost/", env!("CARGO_PKG_VERSION")));
        for (name, value) in self.credentials.iter().chain(&self.agreed) {
            request = request.header(name, value);
        }
        request
    }
}

impl Entry {
    fn read(name: &str, entry: &Value) -> Self {
        let description = entry.get("description").or_else(|| entry.get("title")).and_then(Value::as_str);
        let hint = |hint: &str| entry.get("annotations")?.get(hint)?.as_bool();
        Self {
            name: name.get(..name.floor_char_boundary(NAME_BYTES_MAX)).unwrap_or_default().to_owned(),
            description: text::line(description.unwrap_or_default(), DESCRIPTION_CHARS_MAX),
            hints: Hints {
                read_only_hint: hint("readOnlyHint"),
                destructive_hint: hint("destructiveHint"),
                idempotent_hint: hint("idempotentHint"),
                open_world_hint: hint("openWorldHint"),
            },
        }
    }
}

/// A body that arrives.
trait Chunks: http_body::Body<Data = Bytes, Error: Into<BodyError>> + Unpin {}

impl<B: http_body::Body<Data = Bytes, Error: Into<BodyError>> + Unpin> Chunks for B {}

/// The message of an answer that responds to the request `id`.
async fn read(mut answer: Response<impl Chunks>, id: u64) -> Result<Value, Fault> {
    if !answer.status().is_success() {
        return Err(refusal(answer).await);
    }
    if answer.headers().contains_key(header::CONTENT_ENCODING) {
        return Err(Fault::NotMcp("answers compressed, which nobody asked for".to_owned()));
    }
    match media_type(answer.headers()).as_str() {
        JSON => message(&read_limited(answer.body_mut(), ANSWER_BYTES_MAX).await.map_err(unread)?),
        EVENT_STREAM => {
            let (mut parser, mut events, mut bytes) = (Parser::new(ANSWER_BYTES_MAX), Vec::new(), 0_usize);
            while let Some(frame) = answer.body_mut().frame().await {
                let frame = frame.map_err(|_| unread(ReadFault::Broken))?;
                let Some(data) = frame.data_ref() else { continue };
                bytes = bytes.saturating_add(data.len());
                if bytes > ANSWER_BYTES_MAX || parser.push(data, &mut events).is_err() {
                    return Err(unread(ReadFault::TooLarge));
                }
                for event in events.drain(..) {
                    let Some(data) = event.data.filter(|data| !data.is_empty()) else { continue };
                    let message = message(&data)?;
                    // Notifications, and what it asks of a client, are for others.
                    if message.get("method").is_none() && message.get("id").and_then(Value::as_u64) == Some(id) {
                        return Ok(message);
                    }
                }
            }
            Err(Fault::NotMcp("ends its stream without the answer".to_owned()))
        }
        "text/html" => Err(Fault::NotMcp("answers with a web page (text/html)".to_owned())),
        "" => Err(Fault::NotMcp("answers without a Content-Type".to_owned())),
        other => Err(Fault::NotMcp(format!("answers with {}, neither JSON nor an event stream", line(other)))),
    }
}

fn message(json: &[u8]) -> Result<Value, Fault> {
    let fault = |why: &str| Fault::NotMcp(format!("answers with no JSON that every reader reads alike: {why}"));
    strict::check(json, DEPTH_MAX).map_err(|not| fault(not.0))?;
    serde_json::from_slice(json).map_err(|error| fault(&error.to_string()))
}

fn result_of(mut message: Value, id: u64) -> Result<Value, Fault> {
    if let Some(error) = message.get("error") {
        return Err(error_of(error));
    }
    if message.get("id").and_then(Value::as_u64) != Some(id) {
        return Err(Fault::NotMcp("answers another request than it was asked".to_owned()));
    }
    match message.get_mut("result").map(Value::take) {
        Some(result @ Value::Object(_)) => Ok(result),
        Some(_) | None => Err(Fault::NotMcp("answers without a result".to_owned())),
    }
}

fn error_of(error: &Value) -> Fault {
    let code = error.get("code").and_then(Value::as_i64).unwrap_or_default();
    Fault::Refused(code, line(error.get("message").and_then(Value::as_str).unwrap_or_default()))
}

/// What an answer with another status than success says.
async fn refusal(mut answer: Response<impl Chunks>) -> Fault {
    let status = answer.status();
    let text = read_limited(answer.body_mut(), ERROR_BYTES_MAX).await.unwrap_or_default();
    if status == StatusCode::FORBIDDEN {
        return Fault::Forbidden;
    }
    match message(&text).ok().as_ref().and_then(|message| message.get("error")).filter(|error| error.is_object()) {
        Some(error) => error_of(error),
        None if media_type(answer.headers()) == "text/html" => Fault::Status(status.as_u16(), "a web page".to_owned()),
        None => Fault::Status(status.as_u16(), line(&String::from_utf8_lossy(&text))),
    }
}

fn unread(fault: ReadFault) -> Fault {
    Fault::NotMcp(match fault {
        ReadFault::TooLarge => format!("answers with more than {} MiB", ANSWER_BYTES_MAX >> 20),
        ReadFault::Broken => "cut its answer short".to_owned(),
    })
}

fn unreachable(failure: &Failure) -> Fault {
    Fault::Unreachable(failure.detail())
}

/// The media type of an answer without its parameters, lower case; empty without one.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn client() -> Value {
    json!({"name": "gatepost", "version": env!("CARGO_PKG_VERSION")})
}

fn line(text: &str) -> String {
    text::line(text, EXCERPT_CHARS_MAX)
}

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD_NOT_FOUND: i64 = -32_601;
/// From connecting to the last byte of one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Everything.
const INVENTORY_MAX: Duration = Duration::from_mins(1);
/// The first event of a stream; the end of a session.
const STREAM_MAX: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: usize = 16 << 20;
const ERROR_BYTES_MAX: usize = 64 << 10;
const DEPTH_MAX: usize = 100;
const PAGES_MAX: usize = 500;
/// Of one list.
const ENTRIES_MAX: usize = 20_000;
/// Beyond this no name and no URI gets into a rule.
const NAME_BYTES_MAX: usize = 1200;
const DESCRIPTION_CHARS_MAX: usize = 80;
const EXCERPT_CHARS_MAX: usize = 120;

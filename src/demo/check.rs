//! `gatepost demo --check`: a client that is given only the URL goes through the whole flow by itself, and prints each step
//! and how long it took. It knows of the demo what a person knows: the names of people, tools and scopes.

mod http;
mod login;
mod url;

use std::io::Write as _;
use std::time::{Duration, Instant};

use ::http::Request;
use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use self::http::{Http, Reply};
use self::login::{AuthorizationServer, Client, parameter};

/// Goes through the flow at `mcp_url`. Prints a line for each step; the error names the step that did not hold.
pub async fn run(mcp_url: &str) -> Result<(), String> {
    let started = Instant::now();
    let mut flow = Flow { http: Http::new(), url: mcp_url.to_owned(), token: String::new(), session: None, last_id: 0 };
    let mut steps = Steps::default();
    let outcome = whole(&mut flow, &mut steps).await;
    let (count, took) = (steps.count, started.elapsed().as_secs_f64());
    match outcome {
        Ok(()) => {
            say(&format!("all {count} steps held, in {took:.1} s"));
            Ok(())
        }
        Err(error) => Err(format!("step {count} of the check did not hold: {error}")),
    }
}

async fn whole(flow: &mut Flow, steps: &mut Steps) -> Result<(), String> {
    let document = steps.step("POST initialize without a token: 401 and a challenge", flow.challenged()).await?;
    let found = flow.resource(&document);
    let (issuer, scope) =
        steps.step("protected resource metadata: this resource, its issuer, its scopes", found).await?;
    let server = AuthorizationServer::discover(&flow.http, &issuer);
    let server = steps.step("authorization server metadata: the same issuer, PKCE S256", server).await?;
    let client = steps.step("dynamic client registration", Client::register(&flow.http, &server)).await?;

    let read = [READ];
    let code = client.authorize(&flow.http, &server, &flow.url, "writer", &scope, &read);
    let code = steps.step("log in as writer, grant notes:read: a code; state and iss are right", code).await?;
    let token = client.token(&flow.http, &server, &flow.url, &code, &read);
    flow.token = steps.step("code and PKCE verifier: an access token", token).await?;

    steps.step("initialize: a session", flow.initialize()).await?;
    steps.step("notifications/initialized: accepted", flow.initialized()).await?;
    let listed = flow.list(&["list_notes", "export_notes"], &["create_note", "purge_notes"]);
    steps.step("tools/list: the reading tools, no others", listed).await?;
    steps.step("tools/call list_notes: allowed", flow.call("list_notes", json!({}))).await?;
    let note = json!({"title": "From the check", "text": "Written after a step-up."});
    let refused = flow.refused("create_note", note.clone(), &[WRITE, READ]);
    let scope = steps.step("tools/call create_note: 403, insufficient_scope names notes:write", refused).await?;

    let granted = [READ, WRITE];
    let code = client.authorize(&flow.http, &server, &flow.url, "writer", &scope, &granted);
    let code = steps.step("step up: log in again for the scope of the challenge", code).await?;
    let token = client.token(&flow.http, &server, &flow.url, &code, &granted);
    flow.token = steps.step("code and PKCE verifier: a token with notes:write", token).await?;
    steps.step("tools/call create_note, in the same session: allowed", flow.call("create_note", note)).await?;
    let listed = flow.list(&["list_notes", "create_note"], &["purge_notes"]);
    steps.step("tools/list: the writing tools, too", listed).await?;
    let refused = flow.refused("purge_notes", json!({}), &[ADMIN]);
    steps.step("tools/call purge_notes: still refused", refused).await?;
    steps.step("tools/call export_notes: progress arrives event by event", flow.progress()).await?;
    steps.step("DELETE: the session ends, and is unknown afterwards", flow.end()).await
}

/// The client's side of an MCP connection.
struct Flow {
    http: Http,
    url: String,
    token: String,
    session: Option<String>,
    last_id: u64,
}

impl Flow {
    /// The URL of the metadata that the challenge names.
    async fn challenged(&mut self) -> Result<String, String> {
        let reply = self.request("initialize", hello()).await?.1;
        reply.expect(401)?;
        let challenge = reply.header("www-authenticate")?;
        if parameter(challenge, "error").is_some() || parameter(challenge, "scope").is_some() {
            return Err(format!("expected a challenge without `error` and `scope`, got {challenge}"));
        }
        let metadata = parameter(challenge, "resource_metadata");
        metadata.ok_or_else(|| format!("expected `resource_metadata` in the challenge, got {challenge}"))
    }

    /// RFC 9728 §3.3: the document must be about the very URL that the client was given.
    /// Returns the issuer, and the scopes that a client asks for when the challenge names none.
    async fn resource(&self, metadata: &str) -> Result<(String, String), String> {
        let reply = self.http.get(metadata).await?;
        reply.expect(200)?;
        let document = reply.json()?;
        expect("`resource`", at(&document, "/resource"), self.url.as_str())?;
        let scopes = at(&document, "/scopes_supported").as_array().into_iter().flatten().filter_map(Value::as_str);
        let scopes = scopes.collect::<Vec<_>>().join(" ");
        expect("`scopes_supported`", scopes.as_str(), format!("{READ} {WRITE} {ADMIN}").as_str())?;
        let issuer = at(&document, "/authorization_servers/0").as_str();
        let issuer = issuer.ok_or_else(|| format!("expected an issuer in {document}"))?;
        Ok((issuer.to_owned(), scopes))
    }

    async fn initialize(&mut self) -> Result<(), String> {
        let (id, reply) = self.request("initialize", hello()).await?;
        reply.expect(200)?;
        expect("`protocolVersion`", at(&reply.message(id)?, "/result/protocolVersion"), REVISION)?;
        self.session = Some(reply.header("mcp-session-id")?.to_owned());
        Ok(())
    }

    async fn initialized(&self) -> Result<(), String> {
        let message = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        self.http.send(self.post(&message)?).await?.expect(202)
    }

    async fn list(&mut self, shown: &[&str], hidden: &[&str]) -> Result<(), String> {
        let (id, reply) = self.request("tools/list", json!({})).await?;
        reply.expect(200)?;
        let message = reply.message(id)?;
        let tools = at(&message, "/result/tools").as_array().ok_or_else(|| format!("expected tools, got {message}"))?;
        let names: Vec<&str> = tools.iter().filter_map(|tool| at(tool, "/name").as_str()).collect();
        if shown.iter().all(|tool| names.contains(tool)) && !hidden.iter().any(|tool| names.contains(tool)) {
            return Ok(());
        }
        Err(format!("expected {shown:?} and not {hidden:?} among the tools, got {names:?}"))
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> Result<(), String> {
        let (id, reply) = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        reply.expect(200)?;
        succeeded(&reply.message(id)?)
    }

    /// Calls a tool that is refused; returns the scope to ask for.
    async fn refused(&mut self, tool: &str, arguments: Value, scopes: &[&str]) -> Result<String, String> {
        let (_, reply) = self.request("tools/call", json!({"name": tool, "arguments": arguments})).await?;
        reply.expect(403)?;
        let challenge = reply.header("www-authenticate")?;
        let error = parameter(challenge, "error").unwrap_or_default();
        expect("`error` of the challenge", &error, "insufficient_scope")?;
        let scope = parameter(challenge, "scope").unwrap_or_default();
        for expected in scopes {
            if !scope.split(' ').any(|named| named == *expected) {
                return Err(format!("expected the challenge to name {expected}, got {challenge}"));
            }
        }
        expect("`data.reason` of the error", at(&reply.json()?, "/error/data/reason"), "insufficient_scope")?;
        Ok(scope)
    }

    async fn progress(&mut self) -> Result<(), String> {
        let params = json!({"name": "export_notes", "arguments": {}, "_meta": {"progressToken": "export"}});
        let (id, request) = self.message("tools/call", &params)?;
        let mut arrived = Vec::new();
        self.http.stream(request, |message| arrived.push((Instant::now(), message))).await?;
        let Some(((end, result), events)) = arrived.split_last() else {
            return Err("expected events, got none".to_owned());
        };
        expect("`id` of the last event", at(result, "/id"), &id)?;
        succeeded(result)?;
        let steps: Vec<&Value> = events.iter().map(|(_, event)| at(event, "/params/progress")).collect();
        let in_order = steps.iter().filter_map(|step| step.as_f64()).is_sorted_by(|one, next| one < next);
        let all_progress = events.iter().all(|(_, event)| at(event, "/method") == "notifications/progress");
        if steps.len() < PROGRESS_EVENTS_MIN || !in_order || !all_progress {
            return Err(format!("expected progress that grows, at least {PROGRESS_EVENTS_MIN} times, got {steps:?}"));
        }
        // An answer that was collected somewhere arrives all at once.
        let took = events.first().map_or(Duration::ZERO, |(first, _)| end.duration_since(*first));
        if took < PROGRESS_MIN {
            return Err(format!(
                "expected {PROGRESS_MIN:?} between first event and result, got {took:?}: not streamed"
            ));
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), String> {
        let request = self.head(Request::delete(&self.url)).body(Full::default()).map_err(|error| error.to_string())?;
        let reply = self.http.send(request).await?;
        if !reply.status.is_success() {
            return reply.expect(200);
        }
        let (_, reply) = self.request("tools/list", json!({})).await?;
        reply.expect(404)
    }

    /// Sends a JSON-RPC request; returns its id and the answer.
    async fn request(&mut self, method: &str, params: Value) -> Result<(u64, Reply), String> {
        let (id, request) = self.message(method, &params)?;
        Ok((id, self.http.send(request).await?))
    }

    fn message(&mut self, method: &str, params: &Value) -> Result<(u64, Request<Full<Bytes>>), String> {
        self.last_id += 1;
        let message = json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        Ok((self.last_id, self.post(&message)?))
    }

    fn post(&self, message: &Value) -> Result<Request<Full<Bytes>>, String> {
        self.head(Request::post(&self.url))
            .header("Content-Type", "application/json")
            .header("Accept", "application/json, text/event-stream")
            .body(Full::from(message.to_string()))
            .map_err(|error| error.to_string())
    }

    fn head(&self, mut request: ::http::request::Builder) -> ::http::request::Builder {
        if !self.token.is_empty() {
            request = request.header("Authorization", format!("Bearer {}", self.token));
        }
        if let Some(session) = &self.session {
            request = request.header("Mcp-Session-Id", session).header("MCP-Protocol-Version", REVISION);
        }
        request
    }
}

/// Prints steps as they end.
#[derive(Debug, Default)]
struct Steps {
    count: usize,
}

impl Steps {
    async fn step<T>(&mut self, what: &str, doing: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        self.count += 1;
        let started = Instant::now();
        let outcome = doing.await;
        let verdict = if outcome.is_ok() { "ok" } else { "FAILED" };
        let millis = started.elapsed().as_secs_f64() * 1e3;
        say(&format!("{:>2}  {verdict:<6}  {millis:>7.1} ms  {what}", self.count));
        outcome.map_err(|error| format!("{what}: {error}"))
    }
}

/// A line on standard output; a reader that is gone does not change what holds.
fn say(line: &str) {
    drop(writeln!(std::io::stdout(), "{line}"));
}

fn hello() -> Value {
    let client = json!({"name": "gatepost-demo-check", "version": env!("CARGO_PKG_VERSION")});
    json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": client})
}

/// What a JSON pointer leads to, or null.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn succeeded(message: &Value) -> Result<(), String> {
    let result = at(message, "/result");
    if at(result, "/content").is_array() && at(result, "/isError") != true {
        return Ok(());
    }
    Err(format!("expected a result without error, got {message}"))
}

fn expect<F, E>(what: &str, found: &F, expected: &E) -> Result<(), String>
where
    F: PartialEq<E> + std::fmt::Debug + ?Sized,
    E: std::fmt::Debug + ?Sized,
{
    if found == expected { Ok(()) } else { Err(format!("expected {what} to be {expected:?}, got {found:?}")) }
}

const REVISION: &str = "2025-11-25";
const READ: &str = "notes:read";
const WRITE: &str = "notes:write";
const ADMIN: &str = "notes:admin";
const PROGRESS_EVENTS_MIN: usize = 3;
/// Far less than the export takes, so that a busy machine does not fail it.
const PROGRESS_MIN: Duration = Duration::from_millis(100);

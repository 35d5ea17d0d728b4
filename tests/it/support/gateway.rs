//! The gateway itself, from a YAML file as an operator writes it, on a real socket inside the test; and the world around it:
//! authorization server, MCP server, client. At the end of a test there must be exactly one audit record for each request
//! sent (for a stream one `opened` and one `closed`), and none may hold a token.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gatepost::config;
use gatepost::gateway::audit::AuditSink;
use gatepost::gateway::reload::Loaded;
use gatepost::gateway::shutdown::{Shutdown, Trigger};
use gatepost::gateway::telemetry::Telemetry;
use gatepost::gateway::{Prepared, Serving, admin};
use gatepost::token::clock::Clock;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::token::Token;
use super::{AuthorizationServer, Client, McpServer, Reply, schema, within};

/// A gateway with everything around it.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) issuer: AuthorizationServer,
    pub(crate) mcp: McpServer,
    pub(crate) client: Client,
    pub(crate) address: SocketAddr,
    /// Where its file stands.
    pub(crate) path: PathBuf,
    /// `None` at the end.
    serving: Option<Arc<Serving>>,
    /// Where operators look, if the file says so (`admin: {listen: "{admin}"}`).
    pub(crate) admin: Client,
    audit: Audit,
    stop: Trigger,
    task: JoinHandle<()>,
    operators: Option<(Trigger, JoinHandle<()>)>,
    finished: bool,
}

/// The audit records, as they are written.
#[derive(Debug)]
struct Audit {
    lines: mpsc::Receiver<String>,
    requests: usize,
    opened: Vec<Value>,
    closed: Vec<Value>,
}

/// Takes the bytes of the audit log apart into lines.
struct Lines {
    partial: Vec<u8>,
    lines: mpsc::Sender<String>,
}

impl World {
    /// Everything up and ready, with `file` for the gateway: `{listen}`, `{port}`, `{issuer}` and `{upstream}` in it
    /// are replaced.
    pub(crate) async fn start(file: &str) -> Self {
        Self::start_at(file, Clock::system()).await
    }

    /// The same with a clock of the test's.
    pub(crate) async fn start_at(file: &str, clock: Clock) -> Self {
        let mut world = Self::start_with(file, AuthorizationServer::up(), McpServer::up(), clock).await;
        world.keys_arrived().await;
        world
    }

    /// The same with fakes in any state; the issuer's keys may not have arrived.
    #[expect(clippy::unused_async, reason = "every beginning of a world is waited for, however it comes about")]
    pub(crate) async fn start_with(file: &str, issuer: AuthorizationServer, mcp: McpServer, clock: Clock) -> Self {
        // Bound before the file is written: the file needs the port.
        let listener = gatepost::gateway::listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let admin = gatepost::gateway::listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let admin_address = admin.local_addr().unwrap();
        let text = filled(&file.replace("{admin}", &admin_address.to_string()), address, &issuer, &mcp);
        let path = write_file(&text);
        let settings = config::load(&path).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        let has_admin = settings.admin.is_some();
        let (sender, lines) = mpsc::channel(100_000);
        let sink = AuditSink::start(Lines { partial: Vec::new(), lines: sender }).unwrap();
        let (stop, shutdown) = Shutdown::new();
        let serving = Arc::new(Prepared::new(settings).unwrap().start(sink, clock).unwrap());
        let operators = has_admin.then(|| {
            let (current, reloads) = (Arc::clone(&serving), Arc::clone(serving.reloads()));
            let (stop, end) = Shutdown::new();
            (stop, tokio::spawn(admin::serve(admin, move || current.current(), reloads, shutdown.clone(), end)))
        });
        let task = tokio::spawn(Arc::clone(&serving).serve(listener, shutdown));
        let host = address.to_string();
        mcp.ours("x-forwarded-for", "127.0.0.1");
        mcp.ours("x-forwarded-host", &host);
        mcp.ours("x-forwarded-proto", "http");
        mcp.ours("forwarded", &format!("for=127.0.0.1;host=\"{host}\";proto=http"));
        let audit = Audit { lines, requests: 0, opened: Vec::new(), closed: Vec::new() };
        let (client, serving, admin) = (Client::new(address), Some(serving), Client::new(admin_address));
        Self { issuer, mcp, client, address, admin, path, serving, audit, stop, task, operators, finished: false }
    }

    /// The route of `ROUTE`, with these lines added to it.
    pub(crate) async fn with_route(lines: &str) -> Self {
        Self::start(&file(lines)).await
    }

    /// The route of `ROUTE` as it is.
    pub(crate) async fn standard() -> Self {
        Self::with_route("").await
    }

    /// Puts `file` in the place of the one that is served, and has it read again. The error is what the log says.
    pub(crate) async fn reload(&self, file: &str) -> Result<(), String> {
        let file = file.replace("{admin}", &self.admin.address().to_string());
        replace(&self.path, &filled(&file, self.address, &self.issuer, &self.mcp));
        let (serving, path) = (Arc::clone(self.serving.as_ref().unwrap()), self.path.clone());
        let read = move || {
            let (settings, files) = config::load_and_watch(&path);
            serving.take(Loaded {
                settings: settings.map_err(|errors| errors.to_string()),
                warnings: Vec::new(),
                files,
            });
            serving.reloads().error().map_or(Ok(()), Err)
        };
        tokio::task::spawn_blocking(read).await.unwrap()
    }

    /// The gateway.
    pub(crate) fn serving(&self) -> &Serving {
        self.serving.as_ref().unwrap()
    }

    /// Where spans go, by the file that is in force.
    pub(crate) fn telemetry(&self) -> Option<Telemetry> {
        self.serving().current().telemetry().cloned()
    }

    /// Waits until the issuer's keys are usable.
    pub(crate) async fn keys_arrived(&mut self) {
        let token = self.token("mcp");
        self.keys_arrived_with(&token).await;
    }

    /// Waits until the key of `token`, a good one, is usable.
    pub(crate) async fn keys_arrived_with(&mut self, token: &str) {
        let arrival = async {
            loop {
                // Refused after validation, so that nothing is forwarded; whatever the transport.
                let reply = self.client.get(PATH).header("Mcp-Session-Id", "none").token(token).send().await;
                let record = self.record().await;
                match reply.header("gatepost-reason") {
                    Some("keys_unavailable") => tokio::task::yield_now().await,
                    Some("session_not_found") => break,
                    _ => panic!("neither ready nor waiting: {reply:?} {record}"),
                }
            }
        };
        within("the issuer's keys arrive", arrival).await;
    }

    /// The public URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A good token for the route at `PATH`, to be changed.
    pub(crate) fn good(&self) -> Token {
        self.issuer.token().aud(self.url(PATH))
    }

    /// A good token for the route at `PATH`.
    pub(crate) fn token(&self, scope: &str) -> String {
        self.good().scope(scope).mint()
    }

    /// Calls a tool on the route at `PATH` with a token of this scope.
    pub(crate) async fn call_tool(&self, scope: &str, tool: &str) -> Reply {
        self.client.tool(PATH, tool).token(&self.token(scope)).send().await
    }

    /// Sends a message to the route at `PATH` with a token of this scope.
    pub(crate) async fn message(&self, scope: &str, method: &str, params: Value) -> Reply {
        self.client.call(PATH, method, &params).token(&self.token(scope)).send().await
    }

    /// What `resource_metadata` says in the challenges of the route at `path`.
    pub(crate) fn metadata_url(&self, path: &str) -> String {
        self.url(&format!("/.well-known/oauth-protected-resource{path}"))
    }

    /// The next audit record.
    pub(crate) async fn record(&mut self) -> Value {
        let line = within("an audit record", self.audit.lines.recv()).await.expect("the audit log goes on");
        self.audit.count(&line)
    }

    /// The reply is a refusal for `reason` in all its parts, and so is the next audit record. Returns the JSON-RPC error and
    /// the record.
    pub(crate) async fn refused(&mut self, reply: &Reply, status: u16, reason: &str) -> (Value, Value) {
        let error = reply.refused(status, reason);
        let record = self.record().await;
        let got = (&record["event"], &record["reason"], &record["status"]);
        assert_eq!(got, (&json!("request"), &json!(reason), &json!(status)), "{record}");
        (error, record)
    }

    /// Tells the gateway to stop, as SIGTERM does.
    pub(crate) fn stop(&self) {
        self.stop.request();
    }

    /// Stops the gateway and checks what must hold at the end of every test.
    pub(crate) async fn finish(self) {
        let (audited, sent) = self.stopped().await;
        assert_eq!(audited, sent, "one audit record for each request");
    }

    /// The same for a test that sends what the HTTP parser may refuse by itself: that is counted, not audited.
    pub(crate) async fn finish_whatever_was_audited(self) {
        self.stopped().await;
    }

    /// How many requests were audited, and how many sent.
    async fn stopped(mut self) -> (usize, usize) {
        self.stop.request();
        within("the gateway stops", &mut self.task).await.unwrap();
        if let Some((stop, task)) = self.operators.take() {
            stop.request();
            within("the admin listener stops", task).await.unwrap();
        }
        self.serving = None;
        // The last sink is gone with the gateway and its requests: the log ends.
        while let Some(line) = within("the audit log ends", self.audit.lines.recv()).await {
            self.audit.count(&line);
        }
        let Audit { requests, opened, closed, .. } = &self.audit;
        assert_eq!(opened.len(), closed.len(), "each stream opens and closes: {opened:#?} {closed:#?}");
        self.finished = true;
        (requests + opened.len(), self.client.sent())
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "a test must end with `finish`");
    }
}

impl Audit {
    fn count(&mut self, line: &str) -> Value {
        // Every part of a token begins with `{"` in base64url.
        assert!(!line.contains("eyJ"), "a token in the audit log: {line}");
        let record: Value = serde_json::from_str(line).expect("an audit record is JSON");
        schema::check(&record);
        match record["event"].as_str() {
            Some("request") => self.requests += 1,
            Some("opened") => self.opened.push(record["request_id"].clone()),
            Some("closed") => {
                let id = record["request_id"].clone();
                assert!(self.opened.contains(&id), "closed before it was opened: {line}");
                self.closed.push(id);
            }
            _ => panic!("neither request nor opened nor closed: {line}"),
        }
        record
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            if *byte == b'\n' {
                let line = String::from_utf8(std::mem::take(&mut self.partial)).map_err(io::Error::other)?;
                self.lines.try_send(line).map_err(io::Error::other)?;
            } else {
                self.partial.push(*byte);
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A whole file with the one route of `ROUTE` and these lines added to it.
pub(crate) fn file(lines: &str) -> String {
    let mut file = format!("{HEAD}{ROUTE}");
    for line in lines.lines() {
        file.push_str("    ");
        file.push_str(line);
        file.push('\n');
    }
    file
}

/// The file with the places of everything in it.
pub(crate) fn filled(file: &str, address: SocketAddr, issuer: &AuthorizationServer, mcp: &McpServer) -> String {
    file.replace("{listen}", &address.to_string())
        .replace("{port}", &address.port().to_string())
        .replace("{issuer}", issuer.issuer())
        .replace("{upstream}", &mcp.url())
}

/// Another file in the place of the one at `path`, in one step.
pub(crate) fn replace(path: &Path, text: &str) {
    std::fs::rename(write_file(text), path).unwrap();
}

/// A file in the test's own directory.
pub(crate) fn write_file(text: &str) -> PathBuf {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::SeqCst);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("it-{}-{number}.yaml", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

/// The path of the standard route.
pub(crate) const PATH: &str = "/mcp";

/// The top of a file with one issuer.
pub(crate) const HEAD: &str = "
listen: {listen}
public_url: http://{listen}
authorization_servers:
  - issuer: {issuer}
scope_hierarchy:
  tools:write: [tools:read]
";

/// The standard route: reading and writing tools, one that nobody may call.
pub(crate) const ROUTE: &str = "
routes:
  - name: standard
    path: /mcp
    upstream: {upstream}
    required_scopes: [mcp]
    rules:
      - tools: [get_*, list_*]
        scopes: [tools:read]
      - tools: [create_issue]
        scopes: [tools:write]
      - tools: [either]
        any_scope: [a:first, a:second]
      - tools: [delete_everything]
        deny: true
      - tools: [open_to_all]
        allow: true
      - prompts: [\"*\"]
        scopes: [prompts:read]
      - resources: [\"repo://**\"]
        scopes: [repo:read]
";

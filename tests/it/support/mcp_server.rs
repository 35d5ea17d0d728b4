//! The fake MCP server, over real sockets. It records what arrives, byte for byte, and answers, hangs, dies or streams as the
//! test says. It fails the test that ends with a request it never permitted, a credential of the client, a header of the
//! gateway's with a value that is not the gateway's, or a framing that two servers could read differently.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::port::Port;
use super::wire::{self, Framing, Head, LAST_CHUNK, Wire};
use super::within;

/// The fake.
#[derive(Debug)]
pub(crate) struct McpServer {
    port: Port,
    shared: Arc<Shared>,
    task: Option<JoinHandle<()>>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// Path and query, as sent.
    pub(crate) target: String,
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
}

/// What to answer.
#[derive(Debug)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Whole(Vec<u8>),
    /// Declared longer than it is; then the connection ends.
    CutShort(Vec<u8>),
    /// Chunks as the test sends them.
    Stream(mpsc::Receiver<Step>),
    /// Nothing, not even a head, until the other end gives up.
    Hang,
    /// The connection ends without an answer.
    Vanish,
    /// These bytes instead of HTTP; then the connection ends.
    Raw(Vec<u8>),
}

#[derive(Debug)]
enum Step {
    Chunk(Vec<u8>),
    End,
    Die,
}

/// The test's end of a streamed answer. Dropping it ends the answer properly.
#[derive(Debug)]
pub(crate) struct StreamControl(mpsc::Sender<Step>);

struct Shared {
    state: Mutex<State>,
    /// How many requests arrived.
    arrived: watch::Sender<usize>,
    /// How many connections.
    connections: AtomicUsize,
    /// How many times the other end left while an answer was owed.
    left: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    permitted: usize,
    seen: Vec<Seen>,
    taken: usize,
    faults: Vec<String>,
    queue: VecDeque<Answer>,
    /// For each header of the gateway's, by name, what it may say.
    ours: BTreeMap<String, Vec<String>>,
    /// A credential that it may see: somebody shows it his own.
    credential: Option<String>,
}

impl McpServer {
    /// Listens on a port of its own and permits nothing yet.
    pub(crate) fn up() -> Self {
        let mut server = Self::down();
        server.come_up();
        server
    }

    /// Its port is reserved and refuses connections.
    pub(crate) fn down() -> Self {
        let shared = Shared {
            state: Mutex::default(),
            arrived: watch::Sender::default(),
            connections: AtomicUsize::new(0),
            left: watch::Sender::default(),
        };
        Self { port: Port::reserve(), shared: Arc::new(shared), task: None }
    }

    pub(crate) fn come_up(&mut self) {
        self.task = Some(tokio::spawn(serve(self.port.listen(), self.shared.clone())));
    }

    /// Connections are refused from now on, and those that are open end.
    pub(crate) async fn go_down(&mut self) {
        let task = self.task.take().expect("it is up");
        task.abort();
        within("the MCP server goes down", task).await.unwrap_err();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/upstream/mcp", self.port.address())
    }

    /// This many more requests may arrive; without it none may.
    pub(crate) fn permit(&self, requests: usize) {
        self.shared.state.lock().unwrap().permitted += requests;
    }

    /// The answer to the next request that has none yet; without one, `standard_answer` answers.
    pub(crate) fn answer(&self, answer: Answer) {
        self.shared.state.lock().unwrap().queue.push_back(answer);
    }

    /// What a header of the gateway's may say here. All its other values, and all its other spellings, fail the test.
    pub(crate) fn ours(&self, name: &str, value: &str) {
        let mut state = self.shared.state.lock().unwrap();
        state.ours.entry(name.to_ascii_lowercase()).or_default().push(value.to_owned());
    }

    /// A header of the gateway's that must not arrive at all.
    pub(crate) fn never(&self, name: &str) {
        self.shared.state.lock().unwrap().ours.entry(name.to_ascii_lowercase()).or_default();
    }

    /// The oldest request that the test has not looked at; waits for it.
    pub(crate) async fn next(&self) -> Seen {
        let taken = self.shared.state.lock().unwrap().taken;
        let mut arrived = self.shared.arrived.subscribe();
        within("a request reaches the MCP server", arrived.wait_for(|arrived| *arrived > taken)).await.unwrap();
        let mut state = self.shared.state.lock().unwrap();
        state.taken += 1;
        state.seen[taken].clone()
    }

    /// `Authorization` with this value may arrive: it is meant for this server.
    pub(crate) fn admits(&self, credential: &str) {
        self.shared.state.lock().unwrap().credential = Some(credential.to_owned());
    }

    /// How many requests arrived in all.
    pub(crate) fn arrived(&self) -> usize {
        *self.shared.arrived.borrow()
    }

    /// How many connections were made in all.
    pub(crate) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until the other end has left, for the `times`th time, while an answer was owed.
    pub(crate) async fn left(&self, times: usize) {
        let mut left = self.shared.left.subscribe();
        within("the MCP server sees the other end leave", left.wait_for(|left| *left >= times)).await.unwrap();
    }

    /// What was wrong so far. A test of the harness itself asks; for all others dropping the server does.
    pub(crate) fn take_faults(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state.lock().unwrap().faults)
    }
}

impl Drop for McpServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
        if !std::thread::panicking() {
            let faults = self.take_faults();
            assert!(faults.is_empty(), "the MCP server saw what it must never see: {faults:#?}");
        }
    }
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the request holds JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.header(name)
    }
}

impl Answer {
    pub(crate) fn json(value: &Value) -> Self {
        Self::text("application/json", &value.to_string())
    }

    /// 200 with this body, to the byte.
    pub(crate) fn text(content_type: &str, body: &str) -> Self {
        Self::status(200).header("Content-Type", content_type).body(body.as_bytes())
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Body::Whole(Vec::new()) }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.body = Body::Whole(body.to_vec());
        self
    }

    /// Whole events at once, as `text/event-stream`.
    pub(crate) fn events(events: &[&str]) -> Self {
        Self::text("text/event-stream", &events.concat())
    }

    /// An event stream that the test feeds.
    pub(crate) fn stream() -> (Self, StreamControl) {
        let (answer, control) = Self::status(200).header("Content-Type", "text/event-stream").streamed();
        (answer, control)
    }

    /// A stream of HTTP+SSE (MCP 2024-11-05), which begins by saying where messages are posted.
    pub(crate) fn sse(endpoint: &str) -> (Self, StreamControl) {
        let (answer, control) = Self::stream();
        let first = Step::Chunk(format!("event: endpoint\ndata: {endpoint}\n\n").into_bytes());
        control.0.try_send(first).expect("there is room for the first event");
        (answer, control)
    }

    /// What servers answer to a message of HTTP+SSE.
    pub(crate) fn accepted() -> Self {
        Self::status(202).header("Content-Type", "text/plain; charset=utf-8").body(b"Accepted")
    }

    /// The same head, with a body that the test feeds.
    pub(crate) fn streamed(mut self) -> (Self, StreamControl) {
        let (sender, receiver) = mpsc::channel(16);
        self.body = Body::Stream(receiver);
        (self, StreamControl(sender))
    }

    /// The connection ends after this body, which was declared one byte longer.
    pub(crate) fn cut_short(mut self) -> Self {
        let Body::Whole(bytes) = self.body else { panic!("only a whole body can be cut short") };
        self.body = Body::CutShort(bytes);
        self
    }

    pub(crate) fn hang() -> Self {
        Self { body: Body::Hang, ..Self::status(200) }
    }

    pub(crate) fn vanish() -> Self {
        Self { body: Body::Vanish, ..Self::status(200) }
    }

    pub(crate) fn raw(bytes: &[u8]) -> Self {
        Self { body: Body::Raw(bytes.to_vec()), ..Self::status(200) }
    }

    fn head(&self, framing: &str) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} Answer\r\n", self.status);
        for (name, value) in &self.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str(framing);
        head.push_str("\r\n");
        head.into_bytes()
    }
}

impl StreamControl {
    /// Sends these bytes as one chunk.
    pub(crate) async fn send(&self, bytes: &str) {
        within("the MCP server takes an event", self.0.send(Step::Chunk(bytes.as_bytes().to_vec())))
            .await
            .expect("the stream is open");
    }

    /// Sends these bytes over and over until the other side is gone, and says how many it took.
    pub(crate) async fn flood(&self, bytes: &str) -> usize {
        let mut taken = 0;
        within("the other side is gone", async {
            while self.0.send(Step::Chunk(bytes.as_bytes().to_vec())).await.is_ok() {
                taken += bytes.len();
            }
        })
        .await;
        taken
    }

    /// Sends `value` as one event.
    pub(crate) async fn event(&self, value: &Value) {
        self.send(&event(value)).await;
    }

    pub(crate) async fn end(self) {
        within("the stream ends", self.0.send(Step::End)).await.expect("the stream is open");
    }

    /// The connection ends in the middle of the body.
    pub(crate) async fn die(self) {
        within("the stream dies", self.0.send(Step::Die)).await.expect("the stream is open");
    }
}

/// A message as a server-sent event.
pub(crate) fn event(value: &Value) -> String {
    format!("event: message\ndata: {value}\n\n")
}

/// What the fake answers when a test gave it nothing better: a small, correct MCP server.
pub(crate) fn standard_answer(request: &Seen) -> Answer {
    match request.method.as_str() {
        "POST" => {}
        "GET" => return Answer::status(405).header("Allow", "POST"),
        _ => return Answer::status(204),
    }
    let message = request.json();
    let id = &message["id"];
    if id.is_null() {
        return Answer::status(202);
    }
    let result = match message["method"].as_str() {
        Some("initialize") => {
            return Answer::json(&json!({"jsonrpc": "2.0", "id": id, "result": {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}}, "serverInfo": {"name": "fake", "version": "1"},
            }}))
            .header("Mcp-Session-Id", SESSION_ID);
        }
        Some("tools/call") => json!({"content": [{"type": "text", "text": message["params"]["name"]}]}),
        _ => json!({}),
    };
    Answer::json(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

/// The fake's own name of a session.
pub(crate) const SESSION_ID: &str = "session-of-the-server-1";

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        connections.spawn(connection(Wire::new(stream), shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(mut wire: Wire, shared: Arc<Shared>) {
    while let Some(head) = wire.head().await {
        let Some(framing) = shared.framing(&head) else { return };
        let Ok(body) = wire.body(framing).await else {
            shared.fault("a request arrived that was cut short");
            return;
        };
        let mut start = head.start.split(' ').map(str::to_owned);
        let (method, target) = (start.next().unwrap_or_default(), start.next().unwrap_or_default());
        let answer = shared.record(&Seen { method, target, head, body });
        if give(&mut wire, answer, &shared).await.is_none() {
            return;
        }
    }
    if wire.has_unread() {
        shared.fault("a connection ended in the middle of a request head");
    }
}

/// Answers one request; `None` when the connection must end.
async fn give(wire: &mut Wire, mut answer: Answer, shared: &Shared) -> Option<()> {
    match std::mem::replace(&mut answer.body, Body::Vanish) {
        Body::Whole(bytes) => {
            let framing =
                if answer.status == 204 { String::new() } else { format!("Content-Length: {}\r\n", bytes.len()) };
            let mut whole = answer.head(&framing);
            whole.extend_from_slice(&bytes);
            wire.write(&whole).await.ok()
        }
        Body::CutShort(bytes) => {
            let mut whole = answer.head(&format!("Content-Length: {}\r\n", bytes.len() + 1));
            whole.extend_from_slice(&bytes);
            wire.write(&whole).await.ok()?;
            None
        }
        Body::Raw(bytes) => {
            wire.write(&bytes).await.ok()?;
            None
        }
        Body::Vanish => None,
        Body::Hang => {
            shared.wait_for_leaving(wire).await;
            None
        }
        Body::Stream(mut steps) => {
            wire.write(&answer.head("Transfer-Encoding: chunked\r\n")).await.ok()?;
            loop {
                let step = tokio::select! {
                    step = steps.recv() => step.unwrap_or(Step::End),
                    () = shared.wait_for_leaving(wire) => return None,
                };
                match step {
                    Step::Chunk(bytes) if wire.write(&wire::to_chunk(&bytes)).await.is_ok() => {}
                    Step::Chunk(_) => {
                        shared.left.send_modify(|left| *left += 1);
                        return None;
                    }
                    Step::End => return wire.write(LAST_CHUNK).await.ok(),
                    Step::Die => return None,
                }
            }
        }
    }
}

impl Shared {
    fn fault(&self, fault: impl Into<String>) {
        self.state.lock().unwrap().faults.push(fault.into());
    }

    /// Ends when the other end has closed the connection.
    async fn wait_for_leaving(&self, wire: &mut Wire) {
        while wire.fill().await.is_ok_and(|read| read > 0) {
            self.fault("bytes arrived on a connection whose answer was not finished");
        }
        self.left.send_modify(|left| *left += 1);
    }

    fn framing(&self, head: &Head) -> Option<Framing> {
        let codings: Vec<_> = head.all("transfer-encoding").collect();
        let lengths: Vec<_> = head.all("content-length").collect();
        match (codings.as_slice(), lengths.as_slice()) {
            ([], []) => Some(Framing::Length(0)),
            (["chunked"], []) => Some(Framing::Chunked),
            ([], [length]) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                length.parse().ok().map(Framing::Length)
            }
            _ => {
                self.fault(format!("a framing that two servers could read differently: {:?}", head.headers));
                None
            }
        }
    }

    fn record(&self, request: &Seen) -> Answer {
        let mut state = self.state.lock().unwrap();
        let mut faults = Vec::new();
        if state.seen.len() >= state.permitted {
            faults.push(format!("no test permitted {} {}", request.method, request.target));
        }
        look_at_headers(&request.head, &state.ours, state.credential.as_deref(), &mut faults);
        // Every token begins with `{"` in base64url.
        if request.target.contains("eyJ") {
            faults.push(format!("a token in the target: {}", request.target));
        }
        state.faults.append(&mut faults);
        state.seen.push(request.clone());
        let answer = state.queue.pop_front();
        self.arrived.send_modify(|arrived| *arrived += 1);
        drop(state);
        answer.unwrap_or_else(|| standard_answer(request))
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shared")
    }
}

fn look_at_headers(
    head: &Head,
    ours: &BTreeMap<String, Vec<String>>,
    credential: Option<&str>,
    faults: &mut Vec<String>,
) {
    if head.all("host").count() != 1 {
        faults.push(format!("not exactly one Host: {:?}", head.headers));
    }
    let mut names = Vec::new();
    for (name, value) in &head.headers {
        let lower = name.to_ascii_lowercase();
        // Servers that run as CGI or WSGI cannot tell `_` from `-`, and some proxies take `.` for it too.
        let folded = lower.replace(['_', '.'], "-");
        let admitted = lower == "authorization" && credential == Some(value);
        if NEVER.contains(&folded.as_str()) && !admitted {
            faults.push(format!("{name}: {value}"));
        }
        if value.contains("eyJ") {
            faults.push(format!("a token in {name}: {value}"));
        }
        if folded.starts_with("x-forwarded-")
            || folded == "forwarded"
            || folded == "x-real-ip"
            || ours.contains_key(&folded)
        {
            let good = ours.get(&lower).is_some_and(|values| values.contains(value)) && !names.contains(&lower);
            if !good {
                faults
                    .push(format!("a header of the gateway's with a value that is not the gateway's: {name}: {value}"));
            }
        }
        names.push(lower);
    }
}

/// Credentials, what invites another protocol, and what belongs to one connection (`te`, RFC 9110 §7.6.1).
const NEVER: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "origin",
    "upgrade",
    "expect",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
];

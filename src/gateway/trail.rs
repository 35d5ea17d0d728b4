//! What is recorded of a request, for its one audit record. Write-only: stages note facts here, and no stage can read
//! one back and decide by it. A record never holds a token, a body or an argument.

use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use serde::Serialize;

use super::audit::AuditSink;
use super::listener::Peer;
use super::metrics::{Meters, Tally};
use super::recent::Decided;
use crate::mcp::operation::{Ask, Asked};
use crate::mcp::revision::Revision;
use crate::oauth::scope::ScopeSet;
use crate::policy::Permit;
use crate::rejection::{Cause, Denial, Failure, Rejection};
use crate::token::{Principal, clock};

/// The record of one request. Written when it is finished, or when it is dropped unfinished: the client went away.
#[derive(Debug)]
pub struct Trail {
    record: Record,
    started: Instant,
    sink: AuditSink,
    tally: Tally,
    written: bool,
}

/// How an answer's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// All of it was handed to the connection.
    Complete,
    /// The client went away first.
    ClientGone,
    /// The server cut it short, or sent what must not pass.
    UpstreamCut,
    /// The token that opened the stream expired.
    TokenExpired,
    /// The gateway stops, and the stream answers no request.
    ShuttingDown,
}

/// The fields, in the order in which they are written. Client text is cut to `TEXT_CHARS_MAX` characters and escaped by
/// the JSON writer, so that nothing a client sends can forge a line or a field.
#[derive(Debug, Default, Serialize)]
struct Record {
    time: String,
    event: &'static str,
    request_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    peer: String,
    http_method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<String>,
    surface: &'static str,
    decision: &'static str,
    /// The reason word of the refusal that a route which enforces would have given.
    #[serde(skip_serializing_if = "Option::is_none")]
    would_deny: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Caller>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The messages of a batch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    operations: Vec<Part>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes_held: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes_needed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream_status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    bytes_in: u64,
    bytes_out: u64,
    duration_ms: f64,
}

/// One message of a batch.
#[derive(Debug, Default, Serialize)]
struct Part {
    method: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of this message alone: one that is refused refuses the batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_deny: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes_needed: Option<String>,
}

/// Who called.
#[derive(Debug, Serialize)]
struct Caller {
    issuer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
}

impl Trail {
    /// Starts the record of a request.
    #[must_use]
    pub(super) fn begin(sink: AuditSink, meters: Arc<Meters>, peer: Peer, http_method: &http::Method) -> Self {
        let record = Record {
            event: "request",
            request_id: sink.next_request_id(),
            peer: peer.address.to_string(),
            http_method: cut(http_method.as_str()),
            surface: "mcp",
            decision: "refused",
            ..Record::default()
        };
        Self { record, started: Instant::now(), sink, tally: Tally::begin(meters), written: false }
    }

    /// The route that the path selected.
    pub fn route(&mut self, name: &str) {
        self.record.route = Some(name.to_owned());
        self.tally.route(name);
    }

    /// A public surface was asked for: `metadata` or `preflight`.
    pub fn surface(&mut self, surface: &'static str) {
        self.record.surface = surface;
        self.record.decision = "allowed";
        self.tally.surface(surface);
    }

    /// Who is calling.
    pub fn principal(&mut self, principal: &Principal) {
        self.record.principal = Some(Caller {
            issuer: principal.issuer().as_str().to_owned(),
            subject: principal.subject().map(cut),
            client: principal.client().map(cut),
        });
        self.record.scopes_held = Some(cut(&principal.scopes().to_string()));
    }

    /// The request's body is about to be read.
    pub fn reading(&mut self) {
        self.tally.reading();
    }

    /// How large the request's body was.
    pub fn body(&mut self, bytes: usize) {
        self.record.bytes_in = bytes as u64;
        self.tally.body(bytes);
    }

    /// The trace that the request belongs to.
    pub fn trace(&mut self, trace_id: Option<&str>) {
        self.record.trace_id = trace_id.map(str::to_owned);
    }

    /// The revision that the request names.
    pub fn revision(&mut self, revision: Option<Revision>) {
        self.record.revision = revision.map(Revision::as_str);
    }

    /// What the request asks for.
    pub fn asked(&mut self, asked: &Asked) {
        self.tally.asked(asked);
        let words = |ask: &Ask| (cut(ask.operation.method()), ask.operation.name().map(|name| cut(&name)));
        match asked {
            Asked::One(ask) => {
                let (method, name) = words(ask);
                (self.record.method, self.record.name) = (Some(method), name);
            }
            Asked::Batch(asks) => {
                self.record.method = Some("batch".to_owned());
                let part = |(method, name)| Part { method, name, ..Part::default() };
                self.record.operations = asks.iter().map(words).map(part).collect();
            }
        }
    }

    /// What policy said of each message. A refusal is recorded whole by `rejected`.
    pub fn decided(&mut self, decided: &[Result<Permit, Denial>]) {
        self.tally.decided(decided);
        let permits = || decided.iter().flatten();
        if permits().count() == decided.len() {
            self.record.decision = "allowed";
            let worst = permits().filter_map(Permit::would_deny).max_by_key(|denial| denial.gravity());
            self.record.would_deny = worst.map(Denial::reason);
        }
        if self.record.operations.is_empty() {
            if let Some(permit) = permits().next() {
                self.record.rule = Some(permit.rule().to_string());
                self.record.scopes_needed = Some(scopes(permit.needed()));
            }
            return;
        }
        for (part, decided) in self.record.operations.iter_mut().zip(decided) {
            match decided {
                Ok(permit) => {
                    part.decision = Some("allowed");
                    part.would_deny = permit.would_deny().map(Denial::reason);
                    part.rule = Some(permit.rule().to_string());
                    part.scopes_needed = Some(scopes(permit.needed()));
                }
                Err(denial) => {
                    part.decision = Some("refused");
                    part.reason = Some(denial.reason());
                    part.rule = Some(denial.rule().to_string());
                    part.scopes_needed = denial.needed().map(scopes);
                }
            }
        }
    }

    /// The request is about to be sent to the server.
    pub fn sending(&mut self) {
        self.tally.sending();
    }

    /// The status of the server's answer.
    pub fn upstream_status(&mut self, status: StatusCode) {
        self.tally.answered();
        self.record.upstream_status = Some(status.as_u16());
    }

    /// The request is refused, or failed on the way.
    pub fn rejected(&mut self, rejection: &Rejection) {
        self.record.reason = Some(rejection.reason());
        let detail = rejection.detail();
        self.record.detail = (!detail.is_empty()).then(|| cut(&detail));
        match &rejection.cause {
            Cause::Denial(denial) => {
                self.record.decision = "refused";
                self.record.rule = Some(denial.rule().to_string());
                self.record.scopes_needed = denial.needed().map(scopes);
            }
            Cause::Failure(Failure::UpstreamProtocol { location, .. }) => {
                self.record.location = location.as_deref().map(cut);
            }
            // Permitted, but not sent.
            Cause::Failure(Failure::RateLimited { .. } | Failure::SessionNotFound) => self.record.decision = "refused",
            // What fails after it was permitted stays "allowed": the server may have seen it.
            Cause::Failure(_) => {}
        }
        self.tally.rejected(rejection.reason(), &detail, self.record.decision == "refused");
    }

    /// The status of our answer.
    pub fn status(&mut self, status: StatusCode) {
        self.record.status = status.as_u16();
    }

    /// A stream begins: writes `opened`, with the decision, before its first byte. What follows is `closed`.
    pub fn opened(&mut self) {
        self.record.event = "opened";
        self.tally.opened();
        self.write();
        self.written = false;
        self.record.event = "closed";
    }

    /// Bytes of the answer's body that were handed to the connection.
    pub fn sent(&mut self, bytes: usize) {
        self.record.bytes_out += bytes as u64;
        self.tally.body_sent(bytes);
    }

    /// Writes the record; for a stream its `closed`.
    pub fn finish(mut self, end: End) {
        self.end(end);
    }

    fn end(&mut self, end: End) {
        self.record.end = Some(end);
        self.tally.ended(end == End::UpstreamCut);
        self.write();
    }

    fn write(&mut self) {
        self.written = true;
        self.record.duration_ms = (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        self.record.time = humantime::format_rfc3339_millis(clock::wall_time()).to_string();
        // A record of strings and numbers always serializes; were it not to, an empty line would show it.
        self.show();
        self.sink.write(escaped(&serde_json::to_string(&self.record).unwrap_or_default()).into_bytes());
    }

    /// What the status page shows of it: each message that asked for something, once.
    fn show(&self) {
        let (record, recent) = (&self.record, self.tally.metrics().recent());
        if !recent.is_kept() || record.event == "closed" || record.surface != "mcp" {
            return;
        }
        let caller = record.principal.as_ref();
        let decided = Decided {
            time: record.time.clone(),
            request_id: record.request_id.clone(),
            route: record.route.clone(),
            subject: caller.and_then(|caller| caller.subject.clone()),
            client: caller.and_then(|caller| caller.client.clone()),
            issuer: caller.map(|caller| caller.issuer.clone()),
            peer: record.peer.clone(),
            method: record.method.clone().or_else(|| Some(record.http_method.clone())),
            name: record.name.clone(),
            decision: record.decision,
            would_deny: record.would_deny,
            reason: record.reason,
            detail: record.detail.clone(),
            rule: record.rule.clone(),
            scopes_needed: record.scopes_needed.clone(),
            status: record.status,
        };
        for part in &record.operations {
            recent.push(Decided {
                method: Some(part.method.clone()),
                name: part.name.clone(),
                decision: part.decision.unwrap_or(record.decision),
                would_deny: part.would_deny,
                reason: part.reason,
                rule: part.rule.clone(),
                scopes_needed: part.scopes_needed.clone(),
                ..decided.clone()
            });
        }
        if record.operations.is_empty() {
            recent.push(decided);
        }
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        if self.written {
            return;
        }
        if std::thread::panicking() {
            // The pipeline answers 500 for it.
            self.rejected(&Failure::Internal { detail: "panic" }.into());
            self.status(StatusCode::INTERNAL_SERVER_ERROR);
            self.end(End::Complete);
        } else {
            self.end(End::ClientGone);
        }
    }
}

/// JSON leaves DEL, the C1 controls, and the characters that break or turn round a line as they are: on the terminal of who
/// reads the log, U+009B moves the cursor and U+202E reverses the text. They can stand only within strings.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.extend(["\\u", &format!("{:04x}", u32::from(char))]),
            _ => out.push(char),
        }
    }
    out
}

fn scopes(set: &ScopeSet) -> String {
    cut(&set.to_string())
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Longer client text says nothing more, and a flood of it would fill the log.
const TEXT_CHARS_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{SyncSender, sync_channel};

    use super::super::metrics::Metrics;
    use super::*;

    struct Chunks(SyncSender<Vec<u8>>);

    impl std::io::Write for Chunks {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.send(bytes.to_vec()).map_err(std::io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn client_text_moves_no_cursor_and_turns_no_line_round() {
        let (chunks, written) = sync_channel(16);
        let peer = Peer { address: "127.0.0.1:1".parse().unwrap(), tls: false };
        let sink = AuditSink::start(Chunks(chunks)).unwrap();
        let meters = Arc::new(Meters::new(Arc::new(Metrics::new().unwrap()), &[]));
        let mut trail = Trail::begin(sink, meters, peer, &http::Method::POST);
        let evil = "a\r\n{\"b\"\u{1b}[2J\u{9b}2J\u{7f}\u{85}\u{2028}\u{202e}\u{2066}\u{200f}\u{feff}zo\u{eb}\u{1f600}";
        trail.rejected(&Failure::UnsupportedRevision { requested: evil.to_owned() }.into());
        trail.finish(End::Complete);
        let line = String::from_utf8(written.iter().flatten().collect()).unwrap();
        let record: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(record["detail"], evil, "nothing is lost");
        let body = line.strip_suffix('\n').unwrap();
        for char in
            ['\u{9b}', '\u{7f}', '\u{85}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{200f}', '\u{feff}', '\n', '\u{1b}']
        {
            assert!(!body.contains(char), "{char:?} in {body}");
        }
        assert!(body.contains("zo\u{eb}\u{1f600}"), "letters stay readable: {body}");
    }
}

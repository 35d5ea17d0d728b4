//! What is recorded of a request, for its one audit record. Write-only: stages note facts here, and no stage can read
//! one back and decide by it. A record never holds a token or a body, and arguments only where the file asks for them.

mod record;

use std::sync::Arc;
use std::time::Instant;

use http::uri::Authority;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

pub(super) use self::record::cut;
use self::record::{Arguments, Caller, Part, Record, TokenName};

use super::audit::AuditSink;
use super::listener::Peer;
use super::metrics::{Meters, Tally};
use super::recent::Decided;
use super::telemetry::{Stage, Trace, attribute};
use crate::mcp::arguments;
use crate::mcp::operation::{Ask, Asked};
use crate::mcp::revision::Revision;
use crate::mcp::trace;
use crate::oauth::scope::ScopeSet;
use crate::policy::Permit;
use crate::rejection::{Cause, Denial, Failure, Rejection, RuleId};
use crate::token::{Principal, clock};

/// The record of one request. Written when it is finished, or when it is dropped unfinished: the client went away.
#[derive(Debug)]
pub struct Trail {
    record: Record,
    started: Instant,
    sink: AuditSink,
    tally: Tally,
    written: bool,
    /// Whether there is room for the record; without it none is kept.
    recorded: bool,
    /// The same request as spans, where traces are exported.
    trace: Option<Box<Trace>>,
}

/// How an answer's body ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    /// The file, as it was read again, has no such route any more, or not for tokens of this issuer.
    Reloaded,
}

impl Trail {
    /// Starts the record of a request.
    #[must_use]
    pub(super) fn begin(sink: AuditSink, meters: Arc<Meters>, peer: Peer, http_method: &http::Method) -> Self {
        let record = Record {
            schema: 1,
            event: "request",
            request_id: sink.next_request_id(),
            peer: peer.address.to_string(),
            http_method: cut(http_method.as_str()),
            surface: "mcp",
            decision: "refused",
            ..Record::default()
        };
        Self {
            record,
            started: Instant::now(),
            sink,
            tally: Tally::begin(meters),
            written: false,
            recorded: true,
            trace: None,
        }
    }

    /// There is no room for a record of this request, which is refused for that. It is counted instead.
    pub fn unrecorded(&mut self) {
        self.recorded = false;
    }

    /// The request leaves spans, too.
    pub(super) fn traced(&mut self, trace: Option<Trace>) {
        self.record.trace_id = trace.as_ref().map(Trace::id);
        self.trace = trace.map(Box::new);
    }

    /// The path that was asked for, which is one of the file's.
    pub(super) fn path(&mut self, path: &str) {
        self.in_trace(|trace| trace.http_route(path));
    }

    /// A stage begins, and the one before has ended.
    pub(super) fn stage(&mut self, stage: Stage) {
        self.in_trace(|trace| trace.stage(stage));
    }

    /// The request goes to this server with these headers: they say which span it is part of.
    pub(super) fn forwards(&mut self, headers: &mut HeaderMap, server: &Authority) {
        self.in_trace(|trace| trace.carry(headers, server));
    }

    fn in_trace(&mut self, note: impl FnOnce(&mut Trace)) {
        if let Some(trace) = &mut self.trace {
            note(trace);
        }
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

    /// The token that came with the request, by the beginning of its digest.
    pub fn token(&mut self, digest: String) {
        self.record.token = Some(TokenName { jti: None, digest });
    }

    /// Who is calling.
    pub fn principal(&mut self, principal: &Principal) {
        self.record.principal = Some(Caller {
            issuer: principal.issuer().as_str().to_owned(),
            subject: principal.subject().map(cut),
            client: principal.client().map(cut),
        });
        self.record.scopes_held = Some(cut(&principal.scopes().to_string()));
        if let Some(token) = &mut self.record.token {
            token.jti = principal.token_id().map(cut);
        }
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

    /// The trace that the request belongs to, by the headers that it would be sent on with.
    pub fn trace(&mut self, headers: &HeaderMap) {
        self.in_trace(|trace| trace.join(headers));
        self.record.trace_id = match &self.trace {
            Some(trace) => Some(trace.id()),
            None => trace::parent_of(headers).map(|parent| trace::written(parent.trace_id)),
        };
    }

    /// The revision that the request names.
    pub fn revision(&mut self, revision: Option<Revision>) {
        self.record.revision = revision.map(Revision::as_str);
    }

    /// What the request asks for.
    pub fn asked(&mut self, asked: &Asked) {
        self.in_trace(|trace| trace.asked(asked));
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

    /// What each message of `body`, which was read strictly, gives to what it calls.
    pub fn arguments(&mut self, body: &[u8]) {
        let sink = &self.sink;
        let held = |sent: Option<&str>| {
            sent.map(|sent| Arguments::of(sent, sink.digest(sent), sink.holds_arguments())).unwrap_or_default()
        };
        let sent = arguments::sent(body);
        if self.record.operations.is_empty() {
            self.record.arguments = held(sent.first().copied().flatten());
        }
        for (part, sent) in self.record.operations.iter_mut().zip(sent) {
            part.arguments = held(sent);
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
                (self.record.rule, self.record.rule_line) = named(permit.rule());
                self.record.scopes_needed = Some(scopes(permit.needed()));
            }
            return;
        }
        for (part, decided) in self.record.operations.iter_mut().zip(decided) {
            match decided {
                Ok(permit) => {
                    part.decision = Some("allowed");
                    part.would_deny = permit.would_deny().map(Denial::reason);
                    (part.rule, part.rule_line) = named(permit.rule());
                    part.scopes_needed = Some(scopes(permit.needed()));
                }
                Err(denial) => {
                    part.decision = Some("refused");
                    part.reason = Some(denial.reason());
                    (part.rule, part.rule_line) = named(denial.rule());
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
        self.in_trace(|trace| trace.upstream_status(status));
    }

    /// The request is refused, or failed on the way.
    pub fn rejected(&mut self, rejection: &Rejection) {
        self.record.reason = Some(rejection.reason());
        self.in_trace(|trace| trace.rejected(rejection));
        let detail = rejection.detail();
        self.record.detail = (!detail.is_empty()).then(|| cut(&detail));
        match &rejection.cause {
            Cause::Denial(denial) => {
                self.record.decision = "refused";
                (self.record.rule, self.record.rule_line) = named(denial.rule());
                self.record.scopes_needed = denial.needed().map(scopes);
            }
            Cause::Failure(Failure::UpstreamProtocol { location, .. }) => {
                self.record.location = location.as_deref().map(cut);
            }
            // Permitted, but not sent.
            Cause::Failure(Failure::RateLimited { .. } | Failure::Overloaded { .. } | Failure::SessionNotFound) => {
                self.record.decision = "refused";
            }
            // What fails after it was permitted stays "allowed": the server may have seen it.
            Cause::Failure(_) => {}
        }
        self.tally.rejected(rejection.reason(), &detail, self.record.decision == "refused");
    }

    /// The status of our answer.
    pub fn status(&mut self, status: StatusCode) {
        self.record.status = status.as_u16();
        self.in_trace(Trace::end_stages);
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
        if let Some(trace) = self.trace.take() {
            self.record.describe(*trace, end);
        }
    }

    fn write(&mut self) {
        self.written = true;
        if !self.recorded {
            return self.sink.unrecorded();
        }
        self.record.duration_ms = (self.started.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        self.record.time = humantime::format_rfc3339_millis(clock::wall_time()).to_string();
        self.show();
        self.sink.write(self.record.to_line());
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

impl Record {
    /// What the record says, as attributes of the request's span.
    fn describe(&self, mut trace: Trace, end: End) {
        trace.fact(attribute::GATEPOST_REQUEST_ID, self.request_id.clone());
        trace.fact(attribute::SURFACE, self.surface);
        trace.fact(attribute::DECISION, self.decision);
        if self.status > 0 {
            trace.fact(attribute::HTTP_STATUS, self.status);
        }
        let caller = self.principal.as_ref();
        let texts = [
            (attribute::ROUTE, self.route.as_ref()),
            (attribute::RULE, self.rule.as_ref()),
            (attribute::SUBJECT, caller.and_then(|caller| caller.subject.as_ref())),
            (attribute::CLIENT, caller.and_then(|caller| caller.client.as_ref())),
        ];
        let words = [
            (attribute::REVISION, self.revision),
            (attribute::REASON, self.reason),
            (attribute::WOULD_DENY, self.would_deny),
            (attribute::END, end.word()),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                trace.fact(key, text.clone());
            }
        }
        for (key, word) in words {
            if let Some(word) = word {
                trace.fact(key, word);
            }
        }
        if end == End::UpstreamCut {
            trace.broke("upstream_cut");
        }
        trace.finish(self.decision == "allowed");
    }
}

impl End {
    /// The word for an end before the end.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Complete => None,
            Self::ClientGone => Some("client_gone"),
            Self::UpstreamCut => Some("upstream_cut"),
            Self::TokenExpired => Some("token_expired"),
            Self::ShuttingDown => Some("shutting_down"),
            Self::Reloaded => Some("reloaded"),
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

/// A rule and its line.
fn named(rule: &RuleId) -> (Option<String>, Option<usize>) {
    (Some(rule.to_string()), rule.line())
}

fn scopes(set: &ScopeSet) -> String {
    cut(&set.to_string())
}

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

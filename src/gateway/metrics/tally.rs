//! What one request adds to the counts. The audit trail feeds it and says when the request is over: then, and for a stream
//! when it opens, all of it is counted at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::route::Slot;
use super::{Meters, Metrics, RouteMeter};
use crate::mcp::operation::Asked;
use crate::policy::Permit;
use crate::rejection::Denial;

/// The counts of one request in the making.
#[derive(Debug)]
pub(in crate::gateway) struct Tally {
    meters: Arc<Meters>,
    route: Arc<RouteMeter>,
    operation: usize,
    messages: Vec<Message>,
    reason: Option<&'static str>,
    begun: Instant,
    /// Since when the rest of the request's body is waited for.
    reading: Option<Instant>,
    /// How long it was.
    read: Duration,
    /// When it was sent to the server.
    sent: Option<Instant>,
    /// Our part, once it is over.
    decision: Option<Duration>,
    /// The server's.
    head: Option<Duration>,
    counted: bool,
    is_stream: bool,
}

#[derive(Debug, Clone, Copy)]
struct Message {
    slot: Slot,
    /// Whether it is allowed; `None`: nothing was decided.
    allowed: Option<bool>,
    would_deny: Option<&'static str>,
}

impl Tally {
    /// A request begins.
    pub(in crate::gateway) fn begin(meters: Arc<Meters>) -> Self {
        Self {
            route: Arc::clone(&meters.none),
            operation: meters.metrics.operation(super::NONE),
            messages: Vec::new(),
            reason: None,
            begun: Instant::now(),
            reading: None,
            read: Duration::ZERO,
            sent: None,
            decision: None,
            head: None,
            counted: false,
            is_stream: false,
            meters,
        }
    }

    /// What all counts are part of.
    pub(in crate::gateway) fn metrics(&self) -> &Metrics {
        self.meters.metrics()
    }

    /// It is for this route.
    pub(in crate::gateway) fn route(&mut self, name: &str) {
        self.route = Arc::clone(self.meters.of(name));
    }

    /// It is for a public surface.
    pub(in crate::gateway) fn surface(&mut self, word: &str) {
        self.operation = self.meters.metrics.operation(word);
    }

    /// Its body is being read.
    pub(in crate::gateway) fn reading(&mut self) {
        self.reading = Some(Instant::now());
    }

    /// Its body has been read.
    pub(in crate::gateway) fn body(&mut self, bytes: usize) {
        self.end_reading();
        self.route.bytes_in.inc_by(bytes as u64);
    }

    /// What it asks for.
    pub(in crate::gateway) fn asked(&mut self, asked: &Asked) {
        self.operation = match asked {
            Asked::One(ask) => self.meters.metrics.operation(ask.operation.word()),
            Asked::Batch(_) => self.meters.metrics.operation("batch"),
        };
        let message = |ask: &crate::mcp::operation::Ask| Message {
            slot: self.route.slot(&ask.operation),
            allowed: None,
            would_deny: None,
        };
        self.messages = asked.each().iter().map(message).collect();
    }

    /// What policy said of each message.
    pub(in crate::gateway) fn decided(&mut self, decided: &[Result<Permit, Denial>]) {
        for (message, decided) in self.messages.iter_mut().zip(decided) {
            message.allowed = Some(decided.is_ok());
            message.would_deny = decided.as_ref().ok().and_then(Permit::would_deny).map(Denial::reason);
        }
    }

    /// It is sent to the server.
    pub(in crate::gateway) fn sending(&mut self) {
        self.end_decision();
        self.sent = Some(Instant::now());
    }

    /// The head of the server's answer is there.
    pub(in crate::gateway) fn answered(&mut self) {
        self.head = self.sent.map(|sent| sent.elapsed());
        self.route.answered();
    }

    /// It is refused or failed; `refused`: what the rules had allowed was not sent.
    pub(in crate::gateway) fn rejected(&mut self, reason: &'static str, detail: &str, refused: bool) {
        self.end_reading();
        self.end_decision();
        self.reason = Some(reason);
        if refused && let [only] = self.messages.as_mut_slice() {
            only.allowed = only.allowed.map(|_| false);
        }
        if reason.starts_with("upstream_") {
            self.route.failed(reason, detail);
        }
    }

    /// Bytes of the answer's body are on their way.
    pub(in crate::gateway) fn body_sent(&self, bytes: usize) {
        self.route.bytes_out.inc_by(bytes as u64);
    }

    /// It is answered with a stream, which goes on.
    pub(in crate::gateway) fn opened(&mut self) {
        self.count();
        self.is_stream = true;
        self.route.streams.inc();
    }

    /// It is over; `cut`: the server broke off.
    pub(in crate::gateway) fn ended(&mut self, cut: bool) {
        self.count();
        if std::mem::take(&mut self.is_stream) {
            self.route.streams.dec();
        }
        if cut {
            self.route.failed("cut", "its answer broke off, or held what must not pass");
        }
    }

    fn count(&mut self) {
        if std::mem::replace(&mut self.counted, true) {
            return;
        }
        self.route.request(self.operation, self.reason);
        for Message { slot, allowed, would_deny } in &self.messages {
            if let Some(allowed) = allowed {
                self.route.decision(*slot, *allowed);
            }
            if let Some(reason) = would_deny {
                self.route.would_deny(*slot, reason);
            }
        }
        if let Some(decision) = self.decision {
            self.route.decision_seconds.observe(decision.as_secs_f64());
        }
        if let Some(head) = self.head {
            self.route.head_seconds.observe(head.as_secs_f64());
        }
    }

    fn end_reading(&mut self) {
        self.read += self.reading.take().map_or(Duration::ZERO, |since| since.elapsed());
    }

    fn end_decision(&mut self) {
        if self.decision.is_none() {
            self.decision = Some(self.begun.elapsed().saturating_sub(self.read));
        }
    }
}

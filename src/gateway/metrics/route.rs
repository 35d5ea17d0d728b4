//! The meter of one route: handles of its counts, resolved the first time and then at hand.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::{Metrics, NONE};
use crate::mcp::operation::Operation;
use crate::rejection::REASONS;
use crate::token::clock;

/// Counts of one route.
pub(in crate::gateway) struct RouteMeter {
    route: Box<str>,
    metrics: Arc<Metrics>,
    /// Tools that the file names, each with its place.
    tools: HashMap<Box<str>, usize>,
    /// By operation and reason.
    requests: Handles,
    /// By slot and decision.
    decisions: Handles,
    pub(super) decision_seconds: Histogram,
    pub(super) head_seconds: Histogram,
    pub(super) streams: IntGauge,
    pub(super) bytes_in: IntCounter,
    pub(super) bytes_out: IntCounter,
    /// When its server last answered, in milliseconds since 1970; 0: not yet.
    answered: AtomicU64,
    fault: Mutex<Option<Fault>>,
    /// The digest of each tool's description by that of its name.
    descriptions: Mutex<HashMap<Digest, Digest>>,
}

/// Handles of counts. The room for them is made at the first count: of thousands of routes most are hardly ever called.
struct Handles {
    count: usize,
    room: OnceLock<Box<[OnceLock<IntCounter>]>>,
}

/// Why a request failed at the server.
#[derive(Debug, Clone)]
pub(in crate::gateway) struct Fault {
    pub(in crate::gateway) at: SystemTime,
    pub(in crate::gateway) reason: &'static str,
    pub(in crate::gateway) detail: String,
}

/// What a message is counted under: an operation, or a tool of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl RouteMeter {
    /// The meter of the route of this name, whose rules name these tools.
    pub(super) fn new(metrics: &Arc<Metrics>, route: &str, tools: impl Iterator<Item = Box<str>>) -> Self {
        let mut places = HashMap::new();
        for tool in tools {
            let next = places.len();
            places.entry(tool).or_insert(next);
        }
        let slots = metrics.words.len() + places.len() + 1;
        let unresolved = |count| Handles { count, room: OnceLock::new() };
        Self {
            route: route.into(),
            tools: places,
            requests: unresolved(metrics.words.len() * (REASONS.len() + 1)),
            decisions: unresolved(slots * DECISIONS.len()),
            decision_seconds: metrics.decision_seconds.with_label_values(&[route]),
            head_seconds: metrics.head_seconds.with_label_values(&[route]),
            streams: metrics.streams.with_label_values(&[route]),
            bytes_in: metrics.bytes_in.with_label_values(&[route]),
            bytes_out: metrics.bytes_out.with_label_values(&[route]),
            answered: AtomicU64::new(0),
            fault: Mutex::new(None),
            descriptions: Mutex::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// What a message is counted under.
    pub(super) fn slot(&self, operation: &Operation) -> Slot {
        let words = self.metrics.words.len();
        Slot(match operation {
            Operation::CallTool(name) => words + self.tools.get(name.as_str()).copied().unwrap_or(self.tools.len()),
            Operation::GetPrompt(_)
            | Operation::UseResource { .. }
            | Operation::Listen(_)
            | Operation::CompletePrompt(_)
            | Operation::CompleteResource(_)
            | Operation::Core(_)
            | Operation::Response
            | Operation::OpenStream
            | Operation::EndSession
            | Operation::Other { .. } => self.metrics.operation(operation.word()),
        })
    }

    /// One request for the operation at this place, refused for `reason`.
    pub(super) fn request(&self, operation: usize, reason: Option<&'static str>) {
        // The place after all reasons is that of none.
        let place = reason.and_then(|reason| REASONS.iter().position(|(known, _)| *known == reason));
        let place = place.unwrap_or(REASONS.len());
        let cell = self.requests.get(operation * (REASONS.len() + 1) + place);
        count(cell, &self.metrics.requests, || {
            [&self.route, self.metrics.words.get(operation).unwrap_or(&NONE), reason.unwrap_or(NONE)]
        });
    }

    /// One decision.
    pub(super) fn decision(&self, slot: Slot, allowed: bool) {
        let decision = usize::from(!allowed);
        count(self.decisions.get(slot.0 * DECISIONS.len() + decision), &self.metrics.decisions, || {
            let (operation, tool) = self.labels(slot);
            [&self.route, operation, tool, DECISIONS.get(decision).unwrap_or(&NONE)]
        });
    }

    /// One message that passed because the route only reports.
    pub(super) fn would_deny(&self, slot: Slot, reason: &'static str) {
        let (operation, tool) = self.labels(slot);
        self.metrics.would_deny.with_label_values(&[&self.route, operation, tool, reason]).inc();
    }

    /// A request failed at the server.
    pub(super) fn failed(&self, reason: &'static str, detail: &str) {
        self.metrics.upstream_errors.with_label_values(&[&*self.route, reason]).inc();
        let fault = Fault { at: clock::wall_time(), reason, detail: detail.to_owned() };
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// The server answered.
    pub(super) fn answered(&self) {
        let now = clock::wall_time().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.answered.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The server describes a tool. What a person once looked at and agreed to may have become something else.
    pub(in crate::gateway) fn described(&self, tool: &str, json: &str) {
        let (name, now) = (digest(tool), digest(json));
        let mut known = self.descriptions.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= DESCRIPTIONS_MAX && !known.contains_key(&name) {
            return;
        }
        let before = known.insert(name, now);
        drop(known);
        if before.is_some_and(|before| before != now) {
            self.metrics.tools_changed.with_label_values(&[&self.route]).inc();
            let tool: String = tool.chars().take(128).collect();
            tracing::info!(route = &*self.route, ?tool, "the server describes a tool otherwise than before");
        }
    }

    /// When the server last answered, and the last failure.
    pub(in crate::gateway) fn upstream(&self) -> (Option<SystemTime>, Option<Fault>) {
        let answered = self.answered.load(Ordering::Relaxed);
        let answered = (answered > 0).then(|| UNIX_EPOCH + Duration::from_millis(answered));
        (answered, self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// How many streams are open.
    pub(in crate::gateway) fn streams_open(&self) -> i64 {
        self.streams.get()
    }

    /// `operation` and `tool`.
    fn labels(&self, Slot(slot): Slot) -> (&str, &str) {
        let Some(tool) = slot.checked_sub(self.metrics.words.len()) else {
            return (self.metrics.words.get(slot).copied().unwrap_or(NONE), NONE);
        };
        let named = self.tools.iter().find(|(_, place)| **place == tool).map(|(name, _)| &**name);
        ("tools/call", named.unwrap_or("other"))
    }
}

impl Handles {
    fn get(&self, place: usize) -> Option<&OnceLock<IntCounter>> {
        self.room.get_or_init(|| (0..self.count).map(|_| OnceLock::new()).collect()).get(place)
    }
}

/// One more; the handle is looked up the first time.
fn count<'a, const N: usize>(
    cell: Option<&OnceLock<IntCounter>>,
    all: &IntCounterVec,
    labels: impl FnOnce() -> [&'a str; N],
) {
    if let Some(cell) = cell {
        cell.get_or_init(|| all.with_label_values(&labels())).inc();
    }
}

impl fmt::Debug for RouteMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RouteMeter({})", self.route)
    }
}

type Digest = [u8; 32];

fn digest(text: &str) -> Digest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    digest.as_ref().try_into().unwrap_or_default()
}

/// Tools of one route whose descriptions are compared.
const DESCRIPTIONS_MAX: usize = 4096;
/// The values of `decision`.
const DECISIONS: [&str; 2] = ["allowed", "refused"];

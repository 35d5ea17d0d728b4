//! Traces: one span for each request and one for each of its stages, sent to a collector in batches (OTLP). A thread of its
//! own sends them from a bounded queue: no request ever waits for it, and what the queue has no room for is dropped and
//! counted.

mod collector;
mod otlp;
mod trace;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use http::request::Parts;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::listener::Peer;
use super::settings;
use super::tls::Contents;
use crate::token::clock;
use collector::{Collector, Fault};
use otlp::{Attributes, Traced, Value};

pub(super) use trace::Trace;
pub use trace::{ATTRIBUTES, Stage};

pub(super) mod attribute {
    //! The keys of attributes that `Trail` knows the values of.
    pub(in crate::gateway) use super::trace::{
        CLIENT, DECISION, END, GATEPOST_REQUEST_ID, HTTP_STATUS, REASON, REVISION, ROUTE, RULE, SUBJECT, SURFACE,
        WOULD_DENY,
    };
}

/// The way to the collector. Cheap to clone; when the last one is dropped, what is queued is still sent.
#[derive(Clone)]
pub struct Telemetry(Arc<Shared>);

/// What can be found out before anything is started.
pub struct Exporter(Start);

enum Start {
    /// Of the file before, which says the same.
    Kept(Telemetry),
    New {
        collector: Box<Collector>,
        made_of: Box<MadeOf>,
        /// Of the file before, whose counts go on.
        before: Option<Telemetry>,
    },
}

/// The settings, and what the file with the roots held.
#[derive(PartialEq)]
struct MadeOf(settings::Telemetry, Contents);

/// What became of spans.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Taken by the collector.
    pub delivered: u64,
    /// Dropped, since the queue was full.
    pub dropped: u64,
    /// Not taken by the collector, or not in time.
    pub lost: u64,
}

struct Shared {
    queue: mpsc::Sender<Traced>,
    sample_below: u64,
    made_of: Box<MadeOf>,
    /// Of this process.
    instance: u64,
    tallies: Arc<Tallies>,
    stop: watch::Sender<bool>,
    /// Disconnected once the thread has ended.
    ended: Mutex<Receiver<()>>,
}

/// [`Counts`] as they grow.
#[derive(Default)]
struct Tallies {
    delivered: AtomicU64,
    dropped: AtomicU64,
    lost: AtomicU64,
}

impl Exporter {
    /// Reads `ca`. Connects to nothing. What goes on by the same settings goes on as it is.
    pub fn new(settings: &settings::Telemetry, before: Option<&Telemetry>) -> Result<Self, String> {
        let made_of = MadeOf(settings.clone(), Contents::of(settings.ca.as_deref()));
        if let Some(kept) = before.filter(|before| *before.0.made_of == made_of) {
            return Ok(Self(Start::Kept(kept.clone())));
        }
        let collector = Collector::new(settings).map_err(|error| format!("telemetry.otlp: {error}"))?;
        Ok(Self(Start::New { collector: Box::new(collector), made_of: Box::new(made_of), before: before.cloned() }))
    }

    /// Starts the thread, where none goes on.
    pub fn start(self) -> Result<Telemetry, String> {
        let (collector, made_of, before) = match self.0 {
            Start::Kept(telemetry) => return Ok(telemetry),
            Start::New { collector, made_of, before } => (collector, made_of, before),
        };
        let failed = |error: &dyn fmt::Display| format!("cannot start the thread for traces: {error}");
        let (instance, tallies) = match before {
            Some(before) => (before.0.instance, Arc::clone(&before.0.tallies)),
            None => (random_ids().ok_or_else(|| failed(&"the system gives no random bytes"))?.1, Arc::default()),
        };
        let MadeOf(settings, _) = &*made_of;
        let sample_below = settings.sample_below;
        let resource = vec![
            ("service.name", settings.service_name.clone().into()),
            ("service.version", Value::from(env!("CARGO_PKG_VERSION"))),
            ("service.instance.id", format!("{instance:016x}").into()),
        ];
        let (queue, spans) = mpsc::channel(QUEUE_REQUESTS_MAX);
        let (stop, stopping) = watch::channel(false);
        let (alive, ended) = sync_channel(1);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| failed(&error))?;
        let thread = Thread {
            collector,
            resource,
            tallies: Arc::clone(&tallies),
            stopping,
            pause: PAUSE_MIN,
            troubled: false,
            told_of: 0,
            _alive: alive,
        };
        std::thread::Builder::new()
            .name("traces".to_owned())
            .spawn(move || runtime.block_on(thread.run(spans)))
            .map_err(|error| failed(&error))?;
        Ok(Telemetry(Arc::new(Shared {
            queue,
            sample_below,
            made_of,
            instance,
            tallies,
            stop,
            ended: Mutex::new(ended),
        })))
    }
}

impl Telemetry {
    /// The spans of a request begin. `None` only where the system gives no random bytes.
    pub(super) fn begin(&self, parts: &Parts, peer: Peer) -> Option<Trace> {
        let since = clock::wall_time().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun_at = u64::try_from(since.as_nanos()).unwrap_or_default();
        Some(Trace::new(self.clone(), parts, peer, begun_at, random_ids()?))
    }

    /// Whether a trace that begins here is recorded.
    fn samples(&self, trace_id: u128) -> bool {
        // As other implementations take it, so that all of one trace decide alike.
        let low = u64::try_from(trace_id & u128::from(u64::MAX)).unwrap_or_default();
        low >> 1 < self.0.sample_below
    }

    /// Queues the spans of one request; never waits.
    fn queue(&self, spans: Traced) {
        let count = spans.spans.len() as u64;
        if self.0.queue.try_send(spans).is_err() {
            self.0.tallies.dropped.fetch_add(count, Ordering::Relaxed);
        }
    }

    /// What became of the spans so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let Tallies { delivered, dropped, lost } = &*self.0.tallies;
        let of = |tally: &AtomicU64| tally.load(Ordering::Relaxed);
        Counts { delivered: of(delivered), dropped: of(dropped), lost: of(lost) }
    }

    /// Sends what is queued, once, for two seconds at most. What comes later is not waited for. It blocks its thread.
    pub fn flush(&self) {
        self.0.stop.send_replace(true);
        let ended = self.0.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(FLUSH_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the collector did not take the last spans in time");
        }
    }
}

/// The same one, and not one like it.
impl PartialEq for Telemetry {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Telemetry {}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Telemetry")
    }
}

/// What runs on the thread.
struct Thread {
    collector: Box<Collector>,
    resource: Attributes,
    tallies: Arc<Tallies>,
    stopping: watch::Receiver<bool>,
    /// Until the next try; it grows until the collector takes something.
    pause: Duration,
    /// Whether the log has it that the collector takes nothing.
    troubled: bool,
    /// Of how many spans that were dropped the log has it.
    told_of: u64,
    _alive: SyncSender<()>,
}

impl Thread {
    /// Sends batch after batch until nobody can queue any more and the queue is empty.
    async fn run(mut self, mut queue: mpsc::Receiver<Traced>) {
        loop {
            let mut batch = Vec::new();
            let mut stopping = self.stopping.clone();
            tokio::select! {
                taken = queue.recv_many(&mut batch, BATCH_REQUESTS_MAX) => if taken == 0 { return },
                () = stopped(&mut stopping), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
            }
            let fill = async {
                while let room @ 1.. = BATCH_REQUESTS_MAX - batch.len()
                    && queue.recv_many(&mut batch, room).await > 0
                {}
            };
            tokio::select! {
                () = fill => {}
                () = sleep(BATCH_TIME) => {}
                () = stopped(&mut stopping) => {}
            }
            self.deliver(&batch).await;
        }
    }

    /// Sends a batch, again where that may help and nobody waits for the end.
    async fn deliver(&mut self, batch: &[Traced]) {
        let spans: u64 = batch.iter().map(|request| request.spans.len() as u64).sum();
        let message = otlp::request(&self.resource, batch);
        for tries_left in (0..TRIES_MAX).rev() {
            match self.collector.send(&message).await {
                Ok(rejected) => return self.delivered(spans, rejected.min(spans)),
                Err(fault) => {
                    let again = fault.passing && tries_left > 0 && !*self.stopping.borrow();
                    self.trouble(&fault);
                    if !again {
                        break;
                    }
                }
            }
            let mut stopping = self.stopping.clone();
            drop(timeout(self.pause, stopped(&mut stopping)).await);
            self.pause = (self.pause * 2).min(PAUSE_MAX);
        }
        self.tallies.lost.fetch_add(spans, Ordering::Relaxed);
    }

    fn delivered(&mut self, spans: u64, rejected: u64) {
        self.tallies.delivered.fetch_add(spans - rejected, Ordering::Relaxed);
        self.tallies.lost.fetch_add(rejected, Ordering::Relaxed);
        self.pause = PAUSE_MIN;
        if rejected > 0 {
            return self
                .trouble(&Fault { passing: false, words: format!("it did not take {rejected} of {spans} spans") });
        }
        let (dropped, lost) = (self.tallies.dropped.load(Ordering::Relaxed), self.tallies.lost.load(Ordering::Relaxed));
        if self.troubled {
            tracing::info!(dropped, lost, "the collector takes spans again");
            (self.troubled, self.told_of) = (false, dropped);
        } else if dropped > self.told_of.saturating_mul(2) {
            // Each time that they have doubled: seldom, however many there are.
            tracing::warn!(dropped, "there are more spans than the collector takes: some were dropped");
            self.told_of = dropped;
        }
    }

    fn trouble(&mut self, fault: &Fault) {
        if !std::mem::replace(&mut self.troubled, true) {
            let (endpoint, words) = (self.collector.endpoint(), &fault.words);
            tracing::warn!(%endpoint, "spans are not taken by the collector, and are dropped until they are: {words}");
        }
    }
}

/// Somebody waits for the end, or nobody is there any more.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    drop(stopping.wait_for(|stop| *stop).await);
}

/// A trace id and a span id.
fn random_ids() -> Option<(u128, u64)> {
    let mut bytes = [0; 24];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    let (trace, span) = bytes.split_first_chunk::<16>()?;
    let span = u64::from_be_bytes(span.try_into().ok()?);
    Some((u128::from_be_bytes(*trace).max(1), span.max(1)))
}

/// Requests whose spans wait to be sent: a few KiB each.
const QUEUE_REQUESTS_MAX: usize = 2048;
/// Requests in a batch: with the longest texts under the 4 MiB that gRPC servers take.
const BATCH_REQUESTS_MAX: usize = 256;
/// How long spans wait for more to go with them.
const BATCH_TIME: Duration = Duration::from_secs(1);
/// How often a batch is sent to a collector that may take it later.
const TRIES_MAX: u32 = 5;
/// Before it is sent again, first and at most.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// What the end waits for.
const FLUSH_MAX: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Exports to a port that accepts and never answers.
    fn stuck(sample_below: u64) -> (Telemetry, TcpListener) {
        let collector = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = settings::Telemetry {
            service_name: "gatepost".to_owned(),
            endpoint: format!("http://{}/", collector.local_addr().unwrap()).parse().unwrap(),
            protocol: settings::OtlpProtocol::Grpc,
            headers: http::HeaderMap::new(),
            sample_below,
            timeout: Duration::from_mins(1),
            ca: None,
        };
        (Exporter::new(&settings, None).unwrap().start().unwrap(), collector)
    }

    fn request() -> Traced {
        let span = || otlp::Span {
            id: 1,
            parent: None,
            parent_is_remote: false,
            name: "GET".into(),
            kind: otlp::Kind::Server,
            begin: 1,
            end: 2,
            attributes: vec![],
            error: None,
        };
        Traced { trace_id: 1, trace_state: String::new(), spans: vec![span(), span()] }
    }

    #[test]
    fn what_the_queue_has_no_room_for_is_dropped_and_counted_and_nobody_waits() {
        let (telemetry, _collector) = stuck(1 << 63);
        let more = QUEUE_REQUESTS_MAX + BATCH_REQUESTS_MAX + 100;
        let begun = std::time::Instant::now();
        for _ in 0..more {
            telemetry.queue(request());
        }
        assert!(begun.elapsed() < FLUSH_MAX, "{:?}", begun.elapsed());
        let Counts { delivered, dropped, lost } = telemetry.counts();
        assert_eq!((delivered, lost), (0, 0));
        // One batch may be on its way.
        let range = 2 * 100..=2 * (100 + BATCH_REQUESTS_MAX as u64);
        assert!(range.contains(&dropped), "{dropped}");
        // It bounds the wait of who ends, too.
        telemetry.flush();
        assert!(begun.elapsed() < 3 * FLUSH_MAX, "{:?}", begun.elapsed());
    }

    #[test]
    fn the_ratio_is_of_trace_ids() {
        let check = |sample_below: u64, trace_id: u128, expect| {
            assert_eq!(stuck(sample_below).0.samples(trace_id), expect, "{sample_below} {trace_id:x}");
        };
        for trace_id in [1, u128::MAX, u128::from(u64::MAX)] {
            check(1 << 63, trace_id, true);
            check(0, trace_id, false);
        }
        check(1 << 62, 0xffff_ffff_ffff_ffff_7fff_ffff_ffff_ffff, true);
        check(1 << 62, 0x0000_0000_0000_0001_8000_0000_0000_0000, false);
        let sampled = (0..1000).filter(|_| random_ids().is_some_and(|(trace_id, _)| trace_id >> 60 & 15 < 4));
        assert!((150..350).contains(&sampled.count()), "ids are random");
    }
}

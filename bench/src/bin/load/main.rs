//! The client: sends one kind of request in one of four ways, and prints as JSON what it took. Standard input says what: see
//! `Specification`. One thread. It reads the processor time of the processes that it is told of at the moments at
//! which its own counting begins and ends.

mod client;
mod requests;
mod streams;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use gatepost_bench::account;
use gatepost_bench::histogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// What is to be done.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Specification {
    way: Way,
    address: SocketAddr,
    /// Host or `:authority`.
    authority: String,
    paths: Vec<String>,
    /// Where the connection is TLS: the file with the certificates that are trusted.
    ca: Option<PathBuf>,
    #[serde(default)]
    http2: bool,
    /// Whether TLS sessions are resumed (`connect`).
    #[serde(default)]
    resume: bool,
    /// A file with a token on each line; none: requests have none.
    tokens: Option<PathBuf>,
    /// The first line, and how many.
    #[serde(default)]
    tokens_from: usize,
    tokens_count: Option<usize>,
    /// Each token is sent once; the end of them is the end.
    #[serde(default)]
    once: bool,
    /// A file that is the body of each request.
    body: Option<PathBuf>,
    /// The status that each answer must have.
    status: u16,
    connections: usize,
    /// Requests at a time on each connection, with h2.
    #[serde(default = "one")]
    streams: usize,
    /// Requests before counting begins.
    #[serde(default)]
    warm_requests: u64,
    /// Counting ends after so many requests, or so much time.
    requests: Option<u64>,
    millis: u64,
    /// Requests a second (`rate`).
    #[serde(default)]
    rate: f64,
    /// The processes whose time is counted.
    #[serde(default)]
    pids: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    /// Each connection sends its next request when it has the answer to the last.
    Closed,
    /// Requests are due at fixed times. The time of one begins when it is due, sent or not: what waits because others are slow
    /// counts as slow, too.
    Rate,
    /// Each request has a connection of its own.
    Connect,
    /// Each connection is an event stream that stays open.
    Streams,
}

/// What it took.
#[derive(Debug, Serialize)]
struct Report {
    /// Requests (events of streams) that were counted.
    count: u64,
    secs: f64,
    /// Microseconds of processor time for each.
    cpu_micros: f64,
    p50_micros: f64,
    p90_micros: f64,
    p99_micros: f64,
    max_micros: f64,
    /// Answers that were not as they should be, and connections that failed.
    wrong: u64,
    /// What the first of them was.
    wrong_first: Option<String>,
    /// TLS sessions that were resumed.
    resumed: u64,
    /// Memory of the processes before and with all streams open.
    before_kib: u64,
    with_kib: u64,
    peak_kib: u64,
}

/// What is counted as it happens.
#[derive(Default)]
struct Tally {
    times: Histogram,
    wrong: u64,
    wrong_first: Option<String>,
    resumed: u64,
    span: Option<Span>,
    before_kib: u64,
    with_kib: u64,
}

/// The time in which is counted.
struct Span {
    began: Instant,
    cpu_began: u64,
    secs: f64,
    cpu_nanos: u64,
}

type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let specification: Specification = serde_json::from_reader(std::io::stdin())?;
    // Else the system may let a thread sleep for 50 µs longer than it asked.
    std::fs::write("/proc/self/timerslack_ns", "1")?;
    let pids = specification.pids.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tally = runtime.block_on(async {
        match specification.way {
            Way::Closed | Way::Rate | Way::Connect => requests::run(specification).await,
            Way::Streams => streams::run(specification).await,
        }
    })?;
    println!("{}", serde_json::to_string(&tally.report(&pids))?);
    // Not connection by connection.
    std::process::exit(0);
}

impl Tally {
    fn begin(&mut self, pids: &[u32]) {
        self.times.clear();
        self.resumed = 0;
        self.span = Some(Span { began: Instant::now(), cpu_began: account::cpu_nanos(pids), secs: 0.0, cpu_nanos: 0 });
    }

    fn end(&mut self, pids: &[u32]) {
        if let Some(span) = &mut self.span {
            span.secs = span.began.elapsed().as_secs_f64();
            span.cpu_nanos = account::cpu_nanos(pids) - span.cpu_began;
        }
    }

    fn time(&mut self, since: Instant) {
        self.times.record(nanos(since.elapsed()));
    }

    fn fail(&mut self, what: &impl ToString) {
        self.wrong += 1;
        self.wrong_first.get_or_insert_with(|| what.to_string());
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn report(self, pids: &[u32]) -> Report {
        let Self { times, wrong, wrong_first, resumed, span, before_kib, with_kib } = self;
        let (secs, cpu) = span.map_or((0.0, 0), |span| (span.secs, span.cpu_nanos));
        let micros = |nanos: u64| nanos as f64 / 1e3;
        Report {
            count: times.total(),
            secs,
            cpu_micros: micros(cpu) / times.total().max(1) as f64,
            p50_micros: micros(times.at(0.5)),
            p90_micros: micros(times.at(0.9)),
            p99_micros: micros(times.at(0.99)),
            max_micros: micros(times.max()),
            wrong,
            wrong_first,
            resumed,
            before_kib,
            with_kib,
            peak_kib: account::peak_kib(pids),
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn one() -> usize {
    1
}

//! Where audit records go: standard output, a file, or both, each with a queue and a thread of its own. What happens while
//! one of them stalls is the file's to say: no request begins (`block`), so that none is answered without its record, or
//! records are dropped and counted (`drop`). Neither blocks a thread that serves: they must go on to notice clients that
//! leave, and the signal to stop.

pub mod lane;
pub mod output;

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lc_rs::hmac;

use self::lane::{Bound, Lane, LaneStats, Lanes};
use self::output::Output;
use super::settings::{AuditSettings, AuditTo, OnStall};
use crate::rejection::Failure;

/// The way to the audit log. Cheap to clone.
#[derive(Clone)]
pub struct AuditSink {
    lanes: Arc<[Lane]>,
    process: Arc<Process>,
    words: Arc<Words>,
}

/// What lasts as long as the process.
struct Process {
    /// Of request ids: a random prefix, and a count.
    prefix: String,
    next: AtomicU64,
    /// Digests arguments where the file names no key.
    key: [u8; 32],
    /// Requests that were refused because no record of them could be kept.
    unrecorded: AtomicU64,
    /// Every way to an output, also of files that are no longer in force.
    lanes: Lanes,
}

/// What the file says of records.
struct Words {
    key: hmac::Key,
    arguments: bool,
    on_stall: OnStall,
    bound: Bound,
}

/// What has become of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStats {
    /// Of each output.
    pub outputs: Vec<LaneStats>,
    /// Requests that were answered 503 without a record, since none could be kept.
    pub unrecorded: u64,
}

impl AuditSink {
    /// A sink that writes to `writer` alone, whatever the file says of outputs.
    pub fn start(writer: impl Write + Send + 'static) -> Result<Self, String> {
        Self::new(|lanes| Ok(vec![lanes.add(Lane::start("stdout", Output::stream(writer), true))?]))
    }

    /// A sink that writes to where the file says.
    pub fn open(settings: &AuditSettings) -> Result<Self, String> {
        Ok(Self::new(|lanes| to(&settings.to, lanes))?.with_settings(settings))
    }

    /// The same sink with the outputs of another file: those that are open already are kept, with what waits for them. The
    /// others close when the last request that began with them has ended, and all of theirs is written.
    pub fn with_outputs(&self, settings: &AuditSettings) -> Result<Self, String> {
        let lanes = to(&settings.to, &self.process.lanes)?.into();
        Ok(Self { lanes, ..self.clone() }.with_settings(settings))
    }

    /// The same sink, with what the file says of records.
    #[must_use]
    pub fn with_settings(self, settings: &AuditSettings) -> Self {
        let words = Arc::new(Words::of(settings, &self.process.key));
        Self { words, ..self }
    }

    fn new(open: impl FnOnce(&Lanes) -> Result<Vec<Lane>, String>) -> Result<Self, String> {
        let mut random = [0_u8; 6 + 32];
        aws_lc_rs::rand::fill(&mut random).map_err(|_| "the system gives no random bytes".to_owned())?;
        let [p0, p1, p2, p3, p4, p5, key @ ..] = random;
        let process = Process {
            prefix: hexadecimal(&[p0, p1, p2, p3, p4, p5]),
            next: AtomicU64::new(0),
            key,
            unrecorded: AtomicU64::new(0),
            lanes: Lanes::default(),
        };
        let lanes = open(&process.lanes)?;
        let words = Words::of(&AuditSettings::default(), &process.key);
        Ok(Self { lanes: lanes.into(), process: Arc::new(process), words: Arc::new(words) })
    }

    /// Waits while a queue is full, where the file says `block`; for so long, and then the request must not begin. To be
    /// awaited before a request begins.
    pub(super) async fn room(&self) -> Result<(), Failure> {
        if self.words.on_stall == OnStall::Drop {
            return Ok(());
        }
        let bound = self.words.bound;
        if !self.lanes.iter().any(|lane| lane.is_full(bound)) {
            return Ok(());
        }
        let room = async {
            while let Some(full) = self.lanes.iter().find(|lane| lane.is_full(bound)) {
                full.shrinks(bound).await;
            }
        };
        tokio::time::timeout(ROOM_WAIT, room)
            .await
            .map_err(|_| Failure::Overloaded { retry_after_secs: RETRY_SECS, limit: "audit.queue_records_max" })
    }

    /// Queues one record, of one line without its end; never waits.
    pub(super) fn write(&self, mut record: Vec<u8>) {
        record.push(b'\n');
        let record: Arc<[u8]> = record.into();
        for lane in self.lanes.iter() {
            match self.words.on_stall {
                // The request was let in: its record is kept, whatever has come to wait since.
                OnStall::Block => lane.push(Arc::clone(&record)),
                OnStall::Drop => lane.offer(Arc::clone(&record), self.words.bound),
            }
        }
    }

    /// Counts a request that is refused without a record.
    pub(super) fn unrecorded(&self) {
        self.process.unrecorded.fetch_add(1, Ordering::Relaxed);
    }

    /// HMAC-SHA-256, in hexadecimal: who does not have the key cannot find the arguments by guessing.
    pub(super) fn digest(&self, arguments: &str) -> String {
        hexadecimal(hmac::sign(&self.words.key, arguments.as_bytes()).as_ref())
    }

    /// Whether records hold the arguments themselves.
    pub(super) fn holds_arguments(&self) -> bool {
        self.words.arguments
    }

    /// Opens files again by their names: they were renamed.
    pub fn reopen(&self) {
        self.process.lanes.reopen();
    }

    /// What has become of the records so far.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        let outputs = self.process.lanes.stats();
        AuditStats { outputs, unrecorded: self.process.unrecorded.load(Ordering::Relaxed) }
    }

    /// Waits until all that was queued is written, two seconds at most.
    pub fn flush(&self) {
        for (output, left) in self.process.lanes.flush(FLUSH_WAIT) {
            tracing::error!(output, left, "the last audit records could not be written");
        }
    }

    /// An id for a request: unique in this process, and beside other processes.
    pub(super) fn next_request_id(&self) -> String {
        format!("{}-{:x}", self.process.prefix, self.process.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl Words {
    fn of(settings: &AuditSettings, key: &[u8; 32]) -> Self {
        let key = settings.digest_key.as_ref().map_or(key, |key| key.bytes());
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
            arguments: settings.arguments,
            on_stall: settings.on_stall,
            bound: Bound { lines: settings.queue_records_max, bytes: QUEUE_BYTES_MAX },
        }
    }
}

impl fmt::Debug for AuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSink")
    }
}

/// The outputs that the file names, those that are open already among them.
fn to(to: &AuditTo, open: &Lanes) -> Result<Vec<Lane>, String> {
    let stdout = || {
        open.to(None).map_or_else(
            || {
                let output = Output::descriptor(&io::stdout()).map_err(|error| format!("standard output: {error}"))?;
                open.add(Lane::start("stdout", output, true))
            },
            Ok,
        )
    };
    let file = |path: &Path| {
        open.to(Some(path)).map_or_else(
            || {
                let output = Output::file(path)
                    .map_err(|error| format!("audit.file: {} cannot be appended to: {error}", path.display()))?;
                open.add(Lane::start("file", output, true))
            },
            Ok,
        )
    };
    Ok(match to {
        AuditTo::Stdout => vec![stdout()?],
        AuditTo::File(path) => vec![file(path)?],
        AuditTo::Both(path) => vec![stdout()?, file(path)?],
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

/// How long a request waits for room before it is refused.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// When a client that was refused may try again.
const RETRY_SECS: u64 = 5;

/// How long the end waits for the last records.
const FLUSH_WAIT: Duration = Duration::from_secs(2);

/// Bytes of records that may wait: the record of a batch may be long.
pub(in crate::gateway) const QUEUE_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests;

//! Where audit records go: one thread writes them in order, line by line, from a bounded queue. A sink that stalls
//! stalls the gateway: no request is answered without its record.

use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

/// The way to the audit log. Cheap to clone.
#[derive(Clone)]
pub struct AuditSink {
    queue: SyncSender<Entry>,
    ids: Arc<RequestIds>,
}

enum Entry {
    Record(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Request ids: a random prefix for the process, and a count.
struct RequestIds {
    prefix: String,
    next: AtomicU64,
}

impl AuditSink {
    /// Starts the thread that writes to `writer`.
    pub fn start(writer: impl Write + Send + 'static) -> Result<Self, String> {
        let mut prefix = [0_u8; 6];
        aws_lc_rs::rand::fill(&mut prefix).map_err(|_| "the system gives no random bytes".to_owned())?;
        let prefix = format!("{:012x}", prefix.iter().fold(0_u64, |id, byte| id << 8 | u64::from(*byte)));
        let (queue, entries) = sync_channel(QUEUE_RECORDS_MAX);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(&entries, writer))
            .map_err(|error| format!("cannot start the audit thread: {error}"))?;
        Ok(Self { queue, ids: Arc::new(RequestIds { prefix, next: AtomicU64::new(0) }) })
    }

    /// Queues one record; waits while the queue is full.
    pub(super) fn write(&self, record: Vec<u8>) {
        if self.queue.send(Entry::Record(record)).is_err() {
            tracing::error!("an audit record was lost: its writer is gone");
        }
    }

    /// Waits until all that was queued is written, two seconds at most.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.queue.send(Entry::Flush(done)).is_ok() && wait.recv_timeout(Duration::from_secs(2)).is_err() {
            tracing::error!("the audit log did not take its last records in time");
        }
    }

    /// An id for a request: unique in this process, and beside other processes.
    pub(super) fn next_request_id(&self) -> String {
        format!("{}-{:x}", self.ids.prefix, self.ids.next.fetch_add(1, Ordering::Relaxed))
    }
}

impl fmt::Debug for AuditSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSink")
    }
}

/// Writes until every sink is gone; flushes whenever nothing more waits.
fn write_all(entries: &Receiver<Entry>, writer: impl Write) {
    let mut writer = BufWriter::new(writer);
    loop {
        let next = match entries.try_recv() {
            Ok(entry) => Ok(entry),
            Err(TryRecvError::Empty) => {
                report(writer.flush());
                entries.recv()
            }
            Err(TryRecvError::Disconnected) => break,
        };
        match next {
            Ok(Entry::Record(mut line)) => {
                line.push(b'\n');
                report(writer.write_all(&line));
            }
            Ok(Entry::Flush(done)) => {
                report(writer.flush());
                if done.send(()).is_err() {
                    tracing::debug!("nobody waits for the audit log any more");
                }
            }
            Err(_) => break,
        }
    }
    report(writer.flush());
}

fn report(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(%error, "an audit record could not be written");
    }
}

/// Records that may wait for the writer before requests wait too.
const QUEUE_RECORDS_MAX: usize = 4096;

//! Where audit records go: one thread writes them in order, line by line, from a queue. A sink that stalls stalls the
//! gateway: while the queue is full no request begins, so that none is answered without its record. It never blocks a
//! thread that serves: they must go on to notice clients that leave, and the signal to stop.

use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::time::Duration;

use tokio::sync::Notify;

/// The way to the audit log. Cheap to clone.
#[derive(Clone)]
pub struct AuditSink {
    queue: Sender<Entry>,
    backlog: Arc<Backlog>,
    ids: Arc<RequestIds>,
}

/// How many records wait to be written, and how long they are.
#[derive(Default)]
struct Backlog {
    records: AtomicUsize,
    bytes: AtomicUsize,
    shrinks: Notify,
    written: AtomicU64,
    lost: AtomicU64,
}

/// What has become of the records so far.
#[derive(Debug, Clone)]
pub struct AuditStats {
    /// Of each output.
    pub outputs: Vec<OutputStats>,
}

/// What has become of the records for one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputStats {
    /// `stdout`.
    pub output: &'static str,
    /// Records that wait to be written.
    pub queued: usize,
    /// Records written.
    pub written: u64,
    /// Records that were not kept.
    pub dropped: u64,
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
        #[expect(clippy::disallowed_methods, reason = "its bound is `room`: only requests that have begun add to it")]
        let (queue, entries) = channel();
        let backlog = Arc::<Backlog>::default();
        let written = Arc::clone(&backlog);
        std::thread::Builder::new()
            .name("audit".to_owned())
            .spawn(move || write_all(&entries, &written, writer))
            .map_err(|error| format!("cannot start the audit thread: {error}"))?;
        Ok(Self { queue, backlog, ids: Arc::new(RequestIds { prefix, next: AtomicU64::new(0) }) })
    }

    /// Waits while the queue is full. To be awaited before a request begins.
    pub(super) async fn room(&self) {
        loop {
            // Made before the look at the number, so that a change after the look wakes it.
            let shrinks = self.backlog.shrinks.notified();
            let Backlog { records, bytes, .. } = &*self.backlog;
            if records.load(Ordering::SeqCst) < QUEUE_RECORDS_MAX && bytes.load(Ordering::SeqCst) < QUEUE_BYTES_MAX {
                return;
            }
            shrinks.await;
        }
    }

    /// Queues one record; never waits.
    pub(super) fn write(&self, record: Vec<u8>) {
        self.backlog.records.fetch_add(1, Ordering::SeqCst);
        self.backlog.bytes.fetch_add(record.len(), Ordering::SeqCst);
        if self.queue.send(Entry::Record(record)).is_err() {
            self.backlog.lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!("an audit record was lost: its writer is gone");
        }
    }

    /// What has become of the records so far.
    #[must_use]
    pub fn stats(&self) -> AuditStats {
        let Backlog { records, written, lost, .. } = &*self.backlog;
        let stdout = OutputStats {
            output: "stdout",
            queued: records.load(Ordering::SeqCst),
            written: written.load(Ordering::Relaxed),
            dropped: lost.load(Ordering::Relaxed),
        };
        AuditStats { outputs: vec![stdout] }
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
fn write_all(entries: &Receiver<Entry>, backlog: &Backlog, writer: impl Write) {
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
                let bytes = line.len();
                line.push(b'\n');
                let outcome = writer.write_all(&line);
                let count = if outcome.is_ok() { &backlog.written } else { &backlog.lost };
                count.fetch_add(1, Ordering::Relaxed);
                report(outcome);
                backlog.records.fetch_sub(1, Ordering::SeqCst);
                backlog.bytes.fetch_sub(bytes, Ordering::SeqCst);
                backlog.shrinks.notify_waiters();
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

/// Records that may wait for the writer before new requests wait too.
pub(super) const QUEUE_RECORDS_MAX: usize = 4096;

/// Their bytes: the record of a batch may be long.
const QUEUE_BYTES_MAX: usize = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing until it is let go.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // An error says that it was let go for good.
            let _let_go = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_stalls_blocks_no_thread() {
        let (let_go, stuck) = sync_channel(0);
        let sink = AuditSink::start(Stuck(stuck)).unwrap();
        let (done, finished) = sync_channel(1);
        std::thread::spawn(move || {
            for _ in 0..2 * QUEUE_RECORDS_MAX {
                sink.write(vec![b'x'; 64]);
            }
            done.send(()).unwrap();
        });
        assert!(finished.recv_timeout(Duration::from_secs(10)).is_ok(), "a thread waits for the sink");
        drop(let_go);
    }

    #[tokio::test]
    async fn requests_wait_for_a_sink_that_stalls() {
        let (let_go, stuck) = sync_channel(0);
        let sink = AuditSink::start(Stuck(stuck)).unwrap();
        sink.room().await;
        for _ in 0..2 * QUEUE_RECORDS_MAX {
            sink.write(vec![b'x'; 64]);
        }
        let mut room = std::pin::pin!(sink.room());
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut room).await.is_err());
        drop(let_go);
        room.await;
    }

    #[tokio::test]
    async fn few_records_fill_the_queue_if_they_are_long() {
        let (let_go, stuck) = sync_channel(0);
        let sink = AuditSink::start(Stuck(stuck)).unwrap();
        for _ in 0..QUEUE_BYTES_MAX / (1 << 20) {
            sink.room().await;
            sink.write(vec![b'x'; 1 << 20]);
        }
        let mut room = std::pin::pin!(sink.room());
        assert!(tokio::time::timeout(Duration::from_millis(1), &mut room).await.is_err());
        drop(let_go);
        room.await;
    }
}

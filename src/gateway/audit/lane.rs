//! Lines on their way to one output: a queue, and a thread that writes them in order. Whoever adds a line never waits for
//! the output; what becomes of lines while it stalls is the caller's to say.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::output::Output;

/// The way to one output. When it is dropped, what waits is still written, or counted as dropped and said in the
/// log where it cannot be, and the thread ends.
pub struct Lane {
    shared: Arc<Shared>,
    /// The file it goes to; `None` for a stream.
    path: Option<PathBuf>,
}

/// What has become of the lines of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneStats {
    /// `stdout`, `file` or `stderr`.
    pub output: &'static str,
    /// Lines that wait to be written.
    pub queued: usize,
    /// Lines written.
    pub written: u64,
    /// Lines that were not kept, since too many waited.
    pub dropped: u64,
}

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Lines.
    pub lines: usize,
    /// Their bytes.
    pub bytes: usize,
}

struct Shared {
    output: &'static str,
    /// Whether trouble is logged.
    logs: bool,
    state: Mutex<State>,
    /// For threads: something to write, to reopen, or written.
    changed: Condvar,
    /// For tasks that wait for room.
    shrinks: Notify,
    written: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Arc<[u8]>>,
    bytes: usize,
    reopen: bool,
    closed: bool,
    /// Whether lines were dropped since nothing waited.
    drops: bool,
}

/// What the thread does next.
enum Task {
    Write(Arc<[u8]>),
    Reopen,
    End,
}

impl Lane {
    /// Starts the thread that writes to `output`. `logs`: whether trouble with it is logged, which cannot be where this is
    /// the log.
    pub fn start(name: &'static str, output: Output, logs: bool) -> Result<Self, String> {
        let path = output.path().map(Path::to_owned);
        let shared = Arc::new(Shared {
            output: name,
            logs,
            state: Mutex::default(),
            changed: Condvar::new(),
            shrinks: Notify::new(),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("to {name}"))
            .spawn(move || thread.write_all(output))
            .map_err(|error| format!("cannot start the thread that writes to {name}: {error}"))?;
        Ok(Self { shared, path })
    }

    /// Queues a line, however many wait.
    pub(super) fn push(&self, line: Arc<[u8]>) {
        self.shared.push(&mut self.shared.state(), line);
    }

    /// Queues a line, or drops and counts it where as many wait as may.
    pub fn offer(&self, line: Arc<[u8]>, bound: Bound) {
        let mut state = self.shared.state();
        if !state.is_full(bound) {
            return self.shared.push(&mut state, line);
        }
        self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        let first = !std::mem::replace(&mut state.drops, true);
        drop(state);
        if first && self.shared.logs {
            tracing::error!(output = self.shared.output, "too many audit records wait: those to come are dropped");
        }
    }

    /// Whether as many lines wait as may.
    pub(super) fn is_full(&self, bound: Bound) -> bool {
        self.shared.state().is_full(bound)
    }

    /// Waits until fewer lines wait, at once where as many may.
    pub(super) async fn shrinks(&self, bound: Bound) {
        // Made before the look at the number, so that a change after the look wakes it.
        let shrinks = self.shared.shrinks.notified();
        if self.is_full(bound) {
            shrinks.await;
        }
    }

    /// Has the file looked for by its name again. At once, also while it cannot be written to.
    pub(super) fn reopen(&self) {
        self.shared.state().reopen = true;
        self.shared.changed.notify_all();
    }

    /// Waits until all that was queued is written, `time` at most; says how many lines were not.
    pub fn flush(&self, time: Duration) -> usize {
        let waits = |state: &mut State| !state.lines.is_empty();
        let waited = self.shared.changed.wait_timeout_while(self.shared.state(), time, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0.lines.len()
    }

    /// The file it goes to.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// What has become of its lines.
    #[must_use]
    pub fn stats(&self) -> LaneStats {
        let Shared { output, written, dropped, .. } = &*self.shared;
        let queued = self.shared.state().lines.len();
        LaneStats { output, queued, written: written.load(Ordering::Relaxed), dropped: dropped.load(Ordering::Relaxed) }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, state: &mut State, line: Arc<[u8]>) {
        state.bytes += line.len();
        state.lines.push_back(line);
        self.changed.notify_all();
    }

    /// The thread: writes until the lane is gone and nothing waits.
    fn write_all(&self, mut output: Output) {
        let mut fails = false;
        loop {
            let line = match self.next() {
                Task::Write(line) => line,
                Task::Reopen => {
                    output.look();
                    continue;
                }
                Task::End => return,
            };
            match output.write(&line) {
                Ok(()) => {
                    self.wrote(line.len());
                    if self.logs && fails {
                        tracing::info!(output = self.output, "audit records are written again");
                    }
                    fails = false;
                }
                Err(error) => {
                    if self.logs && !fails {
                        tracing::error!(output = self.output, %error, "audit records cannot be written; they are kept");
                    }
                    fails = true;
                    if !self.pause() {
                        let lost = self.state().lines.len() as u64;
                        self.dropped.fetch_add(lost, Ordering::Relaxed);
                        if self.logs {
                            tracing::error!(
                                output = self.output,
                                lost,
                                "audit records were never written: their output went"
                            );
                        }
                        return;
                    }
                }
            }
        }
    }

    /// What to do next; waits for it. A line stays queued until it is written.
    fn next(&self) -> Task {
        let idle = |state: &mut State| state.lines.is_empty() && !state.reopen && !state.closed;
        let mut state = self.changed.wait_while(self.state(), idle).unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.reopen) {
            return Task::Reopen;
        }
        state.lines.front().map_or(Task::End, |line| Task::Write(Arc::clone(line)))
    }

    fn wrote(&self, bytes: usize) {
        let mut state = self.state();
        state.lines.pop_front();
        state.bytes -= bytes;
        state.drops &= !state.lines.is_empty();
        drop(state);
        self.written.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_all();
        self.shrinks.notify_waiters();
    }

    /// Waits before the next attempt; says whether there is to be one.
    fn pause(&self) -> bool {
        let waits = |state: &mut State| !state.reopen && !state.closed;
        let waited = self.changed.wait_timeout_while(self.state(), RETRY, waits);
        !waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }
}

impl State {
    fn is_full(&self, bound: Bound) -> bool {
        self.lines.len() >= bound.lines || self.bytes >= bound.bytes
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.shared.changed.notify_all();
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").field(&self.shared.output).finish()
    }
}

/// How long to wait before an output that failed is tried again.
const RETRY: Duration = Duration::from_millis(200);

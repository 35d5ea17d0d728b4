//! Lines on their way to one output: a queue, and a thread that writes them in order. Whoever adds a line never waits for
//! the output; what becomes of lines while it stalls is the caller's to say.

use std::collections::VecDeque;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::output::Output;

/// The way to one output. When nobody has it any more, the thread ends once all that waits is written, however long that
/// takes.
pub struct Lane {
    shared: Arc<Shared>,
}

/// Lanes that were started and have not ended, those among them that nobody has any more.
#[derive(Default)]
pub(super) struct Lanes(Mutex<Vec<Weak<Shared>>>);

/// What has become of the lines of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneStats {
    /// `stdout`, `file` or `stderr`.
    pub output: &'static str,
    /// Lines that wait to be written.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
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
    /// The file it goes to; `None` for a stream.
    path: Option<PathBuf>,
    /// Whether trouble is logged.
    logs: bool,
    state: Mutex<State>,
    /// For the thread: something to do. Waking costs a call of the system, so it is told only while it waits.
    work: Condvar,
    /// For who waits until all is written.
    empty: Condvar,
    /// For tasks that wait for room.
    shrinks: Notify,
    written: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Arc<[u8]>>,
    bytes: usize,
    thread: Thread,
    /// How many wait until all is written.
    flushing: usize,
    reopen: bool,
    /// How many have the lane.
    held: usize,
    /// Whether lines were dropped since nothing waited.
    drops: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Thread {
    #[default]
    Works,
    /// Waits for something to do.
    Parked,
    /// Nobody has the lane, and all is written.
    Done,
}

/// What the thread does next.
enum Task {
    Write,
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
            path,
            logs,
            state: Mutex::new(State { held: 1, ..State::default() }),
            work: Condvar::new(),
            empty: Condvar::new(),
            shrinks: Notify::new(),
            written: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name(format!("to {name}"))
            .spawn(move || thread.write_all(output))
            .map_err(|error| format!("cannot start the thread that writes to {name}: {error}"))?;
        Ok(Self { shared })
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

    /// Waits until all that was queued is written, `time` at most; says how many lines were not.
    #[must_use]
    pub fn flush(&self, time: Duration) -> usize {
        self.shared.flush(time)
    }

    /// What has become of its lines.
    #[must_use]
    pub fn stats(&self) -> LaneStats {
        self.shared.stats()
    }

    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Lanes {
    /// The lane that `start` starts is one of these from now on.
    pub(super) fn add(&self, start: Result<Lane, String>) -> Result<Lane, String> {
        let lane = start?;
        let mut lanes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.retain(|lane| lane.strong_count() > 0);
        lanes.push(Arc::downgrade(&lane.shared));
        drop(lanes);
        Ok(lane)
    }

    /// The one to that file, or to a stream.
    pub(super) fn to(&self, path: Option<&Path>) -> Option<Lane> {
        self.going_on().into_iter().find(|lane| lane.path.as_deref() == path).and_then(Shared::have)
    }

    /// Has files looked for by their names again. At once, also while they cannot be written to.
    pub(super) fn reopen(&self) {
        for lane in self.going_on() {
            let mut state = lane.state();
            state.reopen = true;
            lane.hurry(&mut state);
        }
    }

    /// What has become of the lines of each output, those together that have one name.
    pub(super) fn stats(&self) -> Vec<LaneStats> {
        let mut all: Vec<LaneStats> = Vec::new();
        for stats in self.going_on().iter().map(|lane| lane.stats()) {
            match all.iter_mut().find(|other| other.output == stats.output) {
                Some(other) => {
                    other.queued += stats.queued;
                    other.queued_bytes += stats.queued_bytes;
                    other.written += stats.written;
                    other.dropped += stats.dropped;
                }
                None => all.push(stats),
            }
        }
        all
    }

    /// Waits until all that was queued is written, `time` at most; says of which outputs how many lines were not.
    pub(super) fn flush(&self, time: Duration) -> Vec<(&'static str, usize)> {
        let end = Instant::now() + time;
        let left = |lane: &Arc<Shared>| (lane.output, lane.flush(end.saturating_duration_since(Instant::now())));
        self.going_on().iter().map(left).filter(|(_, left)| *left > 0).collect()
    }

    fn going_on(&self) -> Vec<Arc<Shared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has it from now on, unless its thread is done.
    fn have(self: Arc<Self>) -> Option<Lane> {
        let mut state = self.state();
        if state.thread == Thread::Done {
            return None;
        }
        state.held += 1;
        drop(state);
        Some(Lane { shared: self })
    }

    fn flush(&self, time: Duration) -> usize {
        let mut state = self.state();
        state.flushing += 1;
        self.hurry(&mut state);
        let waits = |state: &mut State| !state.lines.is_empty();
        let mut state = self.empty.wait_timeout_while(state, time, waits).unwrap_or_else(PoisonError::into_inner).0;
        state.flushing -= 1;
        state.lines.len()
    }

    fn stats(&self) -> LaneStats {
        let state = self.state();
        LaneStats {
            output: self.output,
            queued: state.lines.len(),
            queued_bytes: state.bytes,
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn push(&self, state: &mut State, line: Arc<[u8]>) {
        state.bytes += line.len();
        state.lines.push_back(line);
        if state.thread == Thread::Parked {
            self.hurry(state);
        }
    }

    /// Has the thread look at once.
    fn hurry(&self, state: &mut State) {
        if state.thread == Thread::Parked {
            state.thread = Thread::Works;
        }
        self.work.notify_one();
    }

    /// The thread: writes until the lane is gone and nothing waits.
    fn write_all(&self, mut output: Output) {
        let mut lines = Vec::new();
        let mut fails = false;
        loop {
            match self.next(&mut lines, output.bytes_at_once()) {
                Task::Write => {}
                Task::Reopen => {
                    output.look();
                    continue;
                }
                Task::End => return,
            }
            let (whole, outcome) = output.write(&lines);
            self.wrote(whole);
            match outcome {
                Ok(()) => {
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
                    self.pause();
                }
            }
        }
    }

    /// What to do next; waits for it, and a moment longer while there are fewer than `bytes_max`, so that one call of the system
    /// writes many. Lines stay queued until they are written.
    fn next(&self, lines: &mut Vec<Arc<[u8]>>, bytes_max: usize) -> Task {
        let mut state = self.state();
        if state.lines.is_empty() && !state.reopen && state.held > 0 {
            state.thread = Thread::Parked;
            let parked = |state: &mut State| state.thread == Thread::Parked;
            state = self.work.wait_while(state, parked).unwrap_or_else(PoisonError::into_inner);
        }
        let gathers =
            |state: &mut State| state.bytes < bytes_max && state.flushing == 0 && !state.reopen && state.held > 0;
        state = self.work.wait_timeout_while(state, MOMENT, gathers).unwrap_or_else(PoisonError::into_inner).0;
        if std::mem::take(&mut state.reopen) {
            return Task::Reopen;
        }
        lines.clear();
        let mut bytes = 0_usize;
        for line in &state.lines {
            bytes = bytes.saturating_add(line.len());
            if bytes > bytes_max && !lines.is_empty() {
                break;
            }
            lines.push(Arc::clone(line));
        }
        if lines.is_empty() && state.held == 0 {
            state.thread = Thread::Done;
            return Task::End;
        }
        Task::Write
    }

    fn wrote(&self, lines: usize) {
        self.written.fetch_add(lines as u64, Ordering::Relaxed);
        let mut state = self.state();
        let bytes: usize = state.lines.drain(..lines).map(|line| line.len()).sum();
        state.bytes -= bytes;
        state.drops &= !state.lines.is_empty();
        if state.lines.is_empty() && state.flushing > 0 {
            self.empty.notify_all();
        }
        drop(state);
        self.shrinks.notify_waiters();
    }

    /// Waits before the next attempt, or until the file may be another.
    fn pause(&self) {
        let waited = self.work.wait_timeout_while(self.state(), RETRY, |state| !state.reopen);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl State {
    fn is_full(&self, bound: Bound) -> bool {
        self.lines.len() >= bound.lines || self.bytes >= bound.bytes
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.held -= 1;
        self.shared.hurry(&mut state);
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lane").field(&self.shared.output).finish()
    }
}

/// How long to wait before an output that failed is tried again.
const RETRY: Duration = Duration::from_millis(200);
/// How long a line waits for others.
const MOMENT: Duration = Duration::from_millis(2);

//! What goes on on one connection: which requests are being answered, and whether their answers are taken. It sees no
//! content.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::gateway::body::{Body, BodyError};

/// The exchanges of one connection.
#[derive(Clone)]
pub(super) struct Exchanges {
    log: Arc<Mutex<Log>>,
    http2_begun: Arc<Notify>,
}

/// One exchange, from its request to the end of its answer.
pub(super) struct Exchange {
    exchanges: Exchanges,
    id: u64,
}

/// An answer's body: in pieces, so that the connection takes one only when it can send it.
pub(super) struct Answer {
    body: Body,
    /// Of a frame that was more than a piece.
    rest: Bytes,
    exchange: Exchange,
}

/// How a connection stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing to say before `until`.
    Busy { until: Instant },
    /// No request, and no answer on its way.
    Silent,
    /// An answer that is not taken.
    Stalled,
}

struct Log {
    begun: u64,
    /// Those that go on; since when a piece was handed out and the next not asked for.
    open: HashMap<u64, Option<Instant>>,
    /// The end of the last one.
    quiet_since: Instant,
}

impl Exchanges {
    pub(super) fn new() -> Self {
        let log = Log { begun: 0, open: HashMap::new(), quiet_since: Instant::now() };
        Self { log: Arc::new(Mutex::new(log)), http2_begun: Arc::default() }
    }

    /// A request has come, in HTTP/2 or not.
    pub(super) fn begin(&self, http2: bool) -> Exchange {
        if http2 {
            self.http2_begun.notify_one();
        }
        let mut log = self.log();
        let id = log.begun;
        log.begun += 1;
        log.open.insert(id, None);
        Exchange { exchanges: self.clone(), id }
    }

    /// Waits until a request has come in HTTP/2. For one waiter.
    pub(super) async fn http2_begun(&self) {
        self.http2_begun.notified().await;
    }

    /// Whether no request ever came.
    pub(super) fn is_unused(&self) -> bool {
        self.log().begun == 0
    }

    /// How the connection stands now, where it may be silent and an answer untaken for so long.
    pub(super) fn state(&self, silence_max: Duration, stall_max: Duration) -> State {
        let log = self.log();
        let now = Instant::now();
        if log.open.is_empty() {
            let until = log.quiet_since + silence_max;
            return if until <= now { State::Silent } else { State::Busy { until } };
        }
        let untaken = log.open.values().filter_map(|since| *since).min();
        match untaken.map(|since| since + stall_max) {
            Some(until) if until <= now => State::Stalled,
            Some(until) => State::Busy { until: until.min(now + silence_max) },
            None => State::Busy { until: now + silence_max.min(stall_max) },
        }
    }

    /// No code that can panic holds the lock, so a poisoned one holds what it should.
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exchange {
    /// The answer begins. Whether its head can be sent shows in whether its body is asked for.
    pub(super) fn answer(self, body: Body) -> Answer {
        self.untaken_since(Some(Instant::now()));
        Answer { body, rest: Bytes::new(), exchange: self }
    }

    fn untaken_since(&self, instant: Option<Instant>) {
        self.exchanges.log().open.insert(self.id, instant);
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let mut log = self.exchanges.log();
        log.open.remove(&self.id);
        log.quiet_since = Instant::now();
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                // The client waits for us, not we for it.
                self.exchange.untaken_since(None);
                return Poll::Pending;
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        self.exchange.untaken_since(Some(Instant::now()));
        let piece = self.rest.len().min(PIECE_BYTES_MAX);
        let piece = self.rest.split_to(piece);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.len() as u64;
        let body = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower().saturating_add(rest));
        if let Some(upper) = body.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint
    }
}

/// What the connection takes at once: the most that is lost to sight when the client stops reading.
const PIECE_BYTES_MAX: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;
    use tokio::time::advance;

    use super::*;
    use crate::gateway::body;

    const SILENCE: Duration = Duration::from_secs(10);
    const STALL: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn silence_counts_from_the_last_end() {
        let exchanges = Exchanges::new();
        assert!(exchanges.is_unused());
        let state = || exchanges.state(SILENCE, STALL);
        assert_eq!(state(), State::Busy { until: Instant::now() + SILENCE });
        advance(SILENCE).await;
        assert_eq!(state(), State::Silent);

        let (first, second) = (exchanges.begin(false), exchanges.begin(false));
        assert!(!exchanges.is_unused());
        advance(SILENCE * 100).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + SILENCE });
        drop(first);
        advance(SILENCE).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + SILENCE });
        drop(second);
        assert_eq!(state(), State::Busy { until: Instant::now() + SILENCE });
        advance(SILENCE).await;
        assert_eq!(state(), State::Silent);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_stalled_when_its_next_piece_is_not_asked_for() {
        let exchanges = Exchanges::new();
        let state = || exchanges.state(SILENCE, STALL);
        let mut answer = exchanges.begin(false).answer(body::full(vec![0; 100 << 10]));
        assert_eq!(answer.size_hint().exact(), Some(100 << 10));
        advance(STALL).await;
        assert_eq!(state(), State::Stalled, "the head");

        for left in [68, 36, 4, 0] {
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES_MAX);
            assert_eq!(answer.size_hint().exact(), Some(left << 10));
            assert_eq!(answer.is_end_stream(), left == 0);
            advance(STALL.saturating_sub(SILENCE)).await;
            assert_eq!(state(), State::Busy { until: Instant::now() + SILENCE });
            advance(SILENCE).await;
            assert_eq!(state(), State::Stalled);
        }
        assert!(answer.frame().await.is_none());
        drop(answer);
        assert_eq!(state(), State::Busy { until: Instant::now() + SILENCE });
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_waits_for_its_upstream_is_not_stalled() {
        struct Quiet;
        impl http_body::Body for Quiet {
            type Data = Bytes;
            type Error = BodyError;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
                Poll::Pending
            }
        }
        let exchanges = Exchanges::new();
        let mut answer = exchanges.begin(false).answer(Quiet.boxed_unsync());
        assert!(tokio::time::timeout(Duration::from_hours(1), answer.frame()).await.is_err());
        assert_eq!(exchanges.state(SILENCE, STALL), State::Busy { until: Instant::now() + SILENCE });
    }
}

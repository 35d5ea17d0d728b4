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
    Idle,
    /// No request ever came, or one that has begun to come goes on too slowly.
    Silent,
    /// An answer that is not taken.
    Stalled,
}

/// How long a connection may be in each state.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// From its beginning to its first request, and for the head of each one.
    pub(super) head: Duration,
    /// Between requests.
    pub(super) idle: Duration,
    /// With an answer that is not taken.
    pub(super) write_stall: Duration,
}

struct Log {
    begun: u64,
    /// Those that go on; since when a piece was handed out and the next not asked for.
    open: HashMap<u64, Option<Instant>>,
    /// The end of the last one.
    quiet_since: Instant,
    /// Whether anything was ever read.
    heard: bool,
    http2: bool,
    /// Since when the head of a request is coming, in HTTP/1.
    head_since: Option<Instant>,
}

impl Exchanges {
    pub(super) fn new() -> Self {
        let log = Log {
            begun: 0,
            open: HashMap::new(),
            quiet_since: Instant::now(),
            heard: false,
            http2: false,
            head_since: None,
        };
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
        log.http2 = http2;
        log.head_since = None;
        Exchange { exchanges: self.clone(), id }
    }

    /// Waits until a request has come in HTTP/2. For one waiter.
    pub(super) async fn http2_begun(&self) {
        self.http2_begun.notified().await;
    }

    /// Something was read.
    pub(super) fn heard(&self) {
        let mut log = self.log();
        log.heard = true;
        // In HTTP/2 it may be a PING, and a head that is slow blocks nothing but its connection.
        if log.open.is_empty() && !log.http2 && log.head_since.is_none() {
            log.head_since = Some(Instant::now());
        }
    }

    /// Whether nothing was ever read.
    pub(super) fn is_unheard(&self) -> bool {
        !self.log().heard
    }

    /// How the connection stands now.
    pub(super) fn state(&self, times: &Times) -> State {
        let log = self.log();
        let now = Instant::now();
        // A head may begin at any time, and nobody is woken by that: so it is looked for as often as one may take.
        let next = now + times.head;
        if log.open.is_empty() {
            let (until, then) = match log.head_since {
                _ if log.begun == 0 => (log.quiet_since + times.head, State::Silent),
                Some(since) => (since + times.head, State::Silent),
                None => (log.quiet_since + times.idle, State::Idle),
            };
            return if until <= now { then } else { State::Busy { until: until.min(next) } };
        }
        let untaken = log.open.values().filter_map(|since| *since).min();
        match untaken.map(|since| since + times.write_stall) {
            Some(until) if until <= now => State::Stalled,
            Some(until) => State::Busy { until: until.min(next) },
            None => State::Busy { until: next.min(now + times.write_stall) },
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

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);
    const STALL: Duration = Duration::from_secs(30);
    const TIMES: Times = Times { head: HEAD, idle: IDLE, write_stall: STALL };

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_be_idle_from_the_last_end_and_silent_from_the_beginning() {
        let exchanges = Exchanges::new();
        let state = || exchanges.state(&TIMES);
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
        advance(HEAD).await;
        assert_eq!(state(), State::Silent);

        let (first, second) = (exchanges.begin(false), exchanges.begin(false));
        advance(IDLE * 100).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
        drop(first);
        advance(IDLE).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
        drop(second);
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
        advance(Duration::from_secs(74)).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + Duration::from_secs(1) });
        advance(Duration::from_secs(1)).await;
        assert_eq!(state(), State::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_must_come_soon() {
        let exchanges = Exchanges::new();
        assert!(exchanges.is_unheard());
        let state = || exchanges.state(&TIMES);
        drop(exchanges.begin(false));
        advance(Duration::from_secs(74)).await;
        exchanges.heard();
        assert!(!exchanges.is_unheard());
        let begun = Instant::now();
        for _ in 0..2 {
            assert_eq!(state(), State::Busy { until: begun + HEAD });
            advance(HEAD / 2).await;
            exchanges.heard();
        }
        assert_eq!(state(), State::Silent);
        // It came after all; what is read of its body is no head.
        let request = exchanges.begin(false);
        exchanges.heard();
        drop(request);
        advance(HEAD).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
        // A PING says that the client is there.
        drop(exchanges.begin(true));
        exchanges.heard();
        advance(HEAD).await;
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_stalled_when_its_next_piece_is_not_asked_for() {
        let exchanges = Exchanges::new();
        let state = || exchanges.state(&TIMES);
        let mut answer = exchanges.begin(false).answer(body::full(vec![0; 100 << 10]));
        assert_eq!(answer.size_hint().exact(), Some(100 << 10));
        advance(STALL).await;
        assert_eq!(state(), State::Stalled, "the head");

        for left in [68, 36, 4, 0] {
            let piece = answer.frame().await.unwrap().unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES_MAX);
            assert_eq!(answer.size_hint().exact(), Some(left << 10));
            assert_eq!(answer.is_end_stream(), left == 0);
            advance(STALL.saturating_sub(HEAD)).await;
            assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
            advance(HEAD).await;
            assert_eq!(state(), State::Stalled);
        }
        assert!(answer.frame().await.is_none());
        drop(answer);
        assert_eq!(state(), State::Busy { until: Instant::now() + HEAD });
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
        assert_eq!(exchanges.state(&TIMES), State::Busy { until: Instant::now() + HEAD });
    }
}

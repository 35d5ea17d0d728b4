//! The body of an answer: it may end before the server's does, and writes the audit record when it ends. It changes no byte,
//! and drops trailers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::answer::{Answer, Lives};
use super::body::{Body, BodyError};
use super::places::{Held, UnderWay};
use super::serving::Around;
use super::trail::{End, Trail};

/// The answer, which ends cleanly when its time has passed, its route is gone or the gateway stops, and writes the record of its request when
/// its body has ended, however that came about.
pub(super) fn audited(answer: Answer, mut trail: Trail, around: &Around) -> Response<Body> {
    let Answer { response, is_stream, lives, place, under_way } = answer;
    trail.status(response.status());
    if is_stream {
        trail.opened();
    }
    response.map(|inner| {
        if inner.is_end_stream() {
            trail.finish(End::Complete);
            return inner;
        }
        let around = around.clone();
        let ends: Option<Ends> = match lives {
            Some(lives) => Some(Box::pin(ends(lives, around))),
            None if is_stream => Some(Box::pin(async move {
                around.shutdown.ending().await;
                End::ShuttingDown
            })),
            None => None,
        };
        Audited { inner, trail: Some(trail), ends, _held: (place, under_way) }.boxed_unsync()
    })
}

/// What ends a stream that answers no request, and would never end by itself. One that carries the answers to others is
/// given the time for those that it owes, but not beyond the end of the gateway itself.
async fn ends(lives: Lives, around: Around) -> End {
    let end = tokio::select! {
        () = tokio::time::sleep(lives.token) => End::TokenExpired,
        () = around.shutdown.requested() => End::ShuttingDown,
        () = around.gone(&lives.route, &lives.issuer) => End::Reloaded,
    };
    if let Some((awaited, answer_timeout)) = lives.answers {
        tokio::select! {
            _ = tokio::time::timeout(answer_timeout, awaited.settled()) => {}
            () = around.shutdown.ending() => {}
        }
    }
    end
}

type Ends = Pin<Box<dyn Future<Output = End> + Send>>;

struct Audited {
    inner: Body,
    trail: Option<Trail>,
    ends: Option<Ends>,
    /// Free again when the body is dropped.
    _held: (Held, Option<UnderWay>),
}

impl Audited {
    fn end(&mut self, end: End) {
        if let Some(trail) = self.trail.take() {
            trail.finish(end);
        }
    }
}

impl http_body::Body for Audited {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(ends) = &mut self.ends
            && let Poll::Ready(end) = ends.as_mut().poll(context)
        {
            self.ends = None;
            self.end(end);
            return Poll::Ready(None);
        }
        let polled = loop {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                // Trailers could carry what was removed from the head: a cookie, or another server's challenge.
                Some(Ok(frame)) if frame.is_trailers() => {}
                polled => break polled,
            }
        };
        match &polled {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                if let Some(trail) = &mut self.trail {
                    trail.sent(bytes);
                }
                if self.inner.is_end_stream() {
                    self.end(End::Complete);
                }
            }
            Some(Err(_)) => self.end(End::UpstreamCut),
            None => self.end(End::Complete),
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Audited {
    fn drop(&mut self) {
        self.end(End::ClientGone);
    }
}

//! Bodies that do something besides carrying bytes: end at a time, and write the audit record when they end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::Sleep;

use super::body::{Body, BodyError};
use super::trail::{End, Trail};

/// The stream, ended cleanly once `duration` has passed.
pub fn until(inner: Body, duration: Duration) -> Body {
    Until { inner, end: Box::pin(tokio::time::sleep(duration)) }.boxed_unsync()
}

/// The answer, which writes the record of its request when its body has ended, however it ends. `stream` says that the
/// record is a pair, `opened` and `closed`.
pub fn audited(response: Response<Body>, mut trail: Trail, stream: bool) -> Response<Body> {
    trail.status(response.status());
    if stream {
        trail.opened();
    }
    response.map(|inner| {
        if inner.is_end_stream() {
            trail.finish(End::Complete);
            return inner;
        }
        Audited { inner, trail: Some(trail) }.boxed_unsync()
    })
}

struct Until {
    inner: Body,
    end: Pin<Box<Sleep>>,
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.end.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

struct Audited {
    inner: Body,
    trail: Option<Trail>,
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
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(context));
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

//! Comments that keep an idle event stream alive: load balancers cut what is silent, and a client that left without a word
//! is noticed by a write alone. One stands only between events, and changes nothing else of the stream.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::{Instant, Sleep, sleep};

use super::body::{Body, BodyError};

/// The stream `inner` with a comment after every `idle` of silence.
pub(super) fn kept_alive(inner: Body, idle: Duration) -> Body {
    KeptAlive { inner, idle, timer: Box::pin(sleep(idle)), boundary: Boundary::Start, commented: false }.boxed_unsync()
}

struct KeptAlive {
    inner: Body,
    idle: Duration,
    timer: Pin<Box<Sleep>>,
    boundary: Boundary,
    /// Whether a comment was the first of the stream.
    commented: bool,
}

/// Where in a stream its last byte stands (WHATWG HTML, Server-sent events, Parsing an event stream).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Boundary {
    /// Before the first byte.
    Start,
    /// After an empty line.
    Between,
    /// After a line that is not empty, or nothing but CR.
    LineEnd,
    /// Within a line.
    Line,
}

impl Boundary {
    /// Where the stream stands after `bytes`. A line that ends in CR alone is taken for unfinished: its LF may be on the way,
    /// so a stream with CR line ends has no place for a comment.
    fn after(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |before, byte| match (before, byte) {
            (Self::Line, b'\n') => Self::LineEnd,
            (Self::Start | Self::Between | Self::LineEnd, b'\n') => Self::Between,
            (before, b'\r') => before,
            (_, _) => Self::Line,
        })
    }
}

impl http_body::Body for KeptAlive {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        let next = Instant::now() + self.idle;
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.timer.as_mut().reset(next);
                Poll::Ready(Some(Ok(self.noted(frame))))
            }
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => {
                while self.timer.as_mut().poll(context).is_ready() {
                    self.timer.as_mut().reset(next);
                    if matches!(self.boundary, Boundary::Start | Boundary::Between) {
                        self.commented |= self.boundary == Boundary::Start;
                        return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(COMMENT)))));
                    }
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

impl KeptAlive {
    /// Takes note of where the stream stands after this frame of the server's.
    fn noted(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let at_start = self.boundary == Boundary::Start;
        if let Some(data) = frame.data_ref() {
            self.boundary = self.boundary.after(data);
        }
        // A byte order mark stands at the very beginning or is part of a name, and a comment stands there already.
        if at_start && self.commented {
            return frame.map_data(|data| data.strip_prefix(BOM).map(|rest| data.slice_ref(rest)).unwrap_or(data));
        }
        frame
    }
}

/// A comment and the empty line that ends it.
const COMMENT: &[u8] = b":\n\n";
const BOM: &[u8] = "\u{feff}".as_bytes();

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use tokio::sync::mpsc;

    use super::*;

    const IDLE: Duration = Duration::from_secs(15);

    /// A server that sends what the test gives it.
    struct Fed(mpsc::Receiver<&'static str>);

    impl http_body::Body for Fed {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(Bytes::from(piece)))))
        }
    }

    fn stream() -> (mpsc::Sender<&'static str>, Body) {
        let (server, pieces) = mpsc::channel(8);
        (server, kept_alive(Fed(pieces).boxed_unsync(), IDLE))
    }

    /// What the client gets at once: a piece, `end`, or nothing yet.
    async fn now(body: &mut Body) -> Option<String> {
        let polled = std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *body).poll_frame(context))).await;
        match polled {
            Poll::Pending => None,
            Poll::Ready(None) => Some("end".to_owned()),
            Poll::Ready(Some(frame)) => Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap()),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_by_comments_between_events_alone() {
        let (server, mut body) = stream();
        assert_eq!(now(&mut body).await, None);
        for _ in 0..3 {
            tokio::time::advance(Duration::from_millis(14_999)).await;
            assert_eq!(now(&mut body).await, None);
            tokio::time::advance(Duration::from_millis(2)).await;
            assert_eq!(now(&mut body).await.as_deref(), Some(":\n\n"));
            assert_eq!(now(&mut body).await, None);
        }
        for unfinished in ["id: 1\r\n", "data: x", "\r", "\n", "\r"] {
            server.send(unfinished).await.unwrap();
            assert_eq!(now(&mut body).await.as_deref(), Some(unfinished));
            tokio::time::advance(IDLE * 3).await;
            assert_eq!(now(&mut body).await, None, "a comment after {unfinished:?}");
        }
        server.send("\n").await.unwrap();
        assert_eq!(now(&mut body).await.as_deref(), Some("\n"));
        tokio::time::advance(IDLE + Duration::from_millis(1)).await;
        assert_eq!(now(&mut body).await.as_deref(), Some(":\n\n"));
        drop(server);
        assert_eq!(now(&mut body).await.as_deref(), Some("end"));
    }

    #[tokio::test(start_paused = true)]
    async fn no_byte_order_mark_comes_behind_a_comment() {
        let (server, mut body) = stream();
        server.send("\u{feff}data: x\n\n").await.unwrap();
        assert_eq!(now(&mut body).await.as_deref(), Some("\u{feff}data: x\n\n"));

        let (server, mut body) = stream();
        assert_eq!(now(&mut body).await, None);
        tokio::time::advance(IDLE * 2).await;
        assert_eq!(now(&mut body).await.as_deref(), Some(":\n\n"));
        server.send("\u{feff}data: x\n\n").await.unwrap();
        assert_eq!(now(&mut body).await.as_deref(), Some("data: x\n\n"));
    }

    #[test]
    fn a_place_between_events_is_found_however_the_stream_is_cut() {
        let check = |text: &str, expect: Boundary| {
            for at in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let (before, after) = text.split_at(at);
                let whole = Boundary::Start.after(before.as_bytes()).after(after.as_bytes());
                assert_eq!(whole, expect, "{text:?} split at {at}");
            }
        };
        check("", Boundary::Start);
        check("\u{feff}", Boundary::Line);
        check("data: x", Boundary::Line);
        check("data: x\n", Boundary::LineEnd);
        check("data: x\r\n", Boundary::LineEnd);
        check("data: x\n\n", Boundary::Between);
        check("data: x\r\n\r\n", Boundary::Between);
        check("data: x\n\r\n", Boundary::Between);
        check("data: x\r\n\r", Boundary::LineEnd);
        check("data: x\r\r", Boundary::Line);
        check("data: x\n\nid: 1", Boundary::Line);
        check("data: x\n\nid: 1\n", Boundary::LineEnd);
        check(":\n\n", Boundary::Between);
        check("\n", Boundary::Between);
    }
}

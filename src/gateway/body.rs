//! Bodies: the one response body type, and reading a body within limits. A body is never collected without one.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};

/// What a body ends with when it cannot be completed; the connection is then cut, never ended cleanly.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A response body.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// Why a body could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    /// It is longer than the limit, or says that it will be.
    TooLarge,
    /// It was cut short, or its framing is wrong.
    Broken,
}

/// Why a request body could not be read within the budget of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetFault {
    /// The bodies in flight fill the budget: `Overloaded`.
    Exhausted,
    /// This body is at fault.
    Read(ReadFault),
}

/// How many bytes of request bodies may be in memory at once, over all connections.
#[derive(Debug, Clone)]
pub struct BodyBudget {
    claimed: Arc<AtomicUsize>,
    bytes_max: usize,
}

/// The part of the budget that one body uses. Keep it as long as the body's bytes; dropping it gives the part back.
#[derive(Debug)]
#[must_use = "dropping it gives the budget back while the bytes are still held"]
pub struct Claim {
    budget: BodyBudget,
    bytes: usize,
}

impl BodyBudget {
    /// A budget of `bytes_max`, all of it free.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self { claimed: Arc::default(), bytes_max }
    }

    /// The same budget with another limit: what is claimed of either counts for both.
    #[must_use]
    pub fn of_size(&self, bytes_max: usize) -> Self {
        Self { claimed: Arc::clone(&self.claimed), bytes_max }
    }

    /// How many bytes are claimed now.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.claimed.load(Ordering::Relaxed)
    }

    /// Reads like [`read_limited`], and claims the bytes from the budget before it keeps them.
    ///
    /// They are claimed as they arrive, not by Content-Length: a client that announces much and sends nothing must not
    /// take the budget from the others.
    pub async fn read<B>(&self, body: &mut B, bytes_max: usize) -> Result<(Bytes, Claim), BudgetFault>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let mut claim = Claim { budget: self.clone(), bytes: 0 };
        let bytes = read(body, bytes_max, |more| claim.grow(more)).await?;
        Ok((bytes, claim))
    }
}

impl Claim {
    fn grow(&mut self, more: usize) -> Result<(), BudgetFault> {
        let BodyBudget { claimed, bytes_max } = &self.budget;
        let grown = |claimed: usize| claimed.checked_add(more).filter(|claimed| claimed <= bytes_max);
        claimed.fetch_update(Ordering::SeqCst, Ordering::SeqCst, grown).map_err(|_| BudgetFault::Exhausted)?;
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.budget.claimed.fetch_sub(self.bytes, Ordering::SeqCst);
    }
}

impl From<ReadFault> for BudgetFault {
    fn from(fault: ReadFault) -> Self {
        Self::Read(fault)
    }
}

/// A body that is `bytes`.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(never).boxed_unsync()
}

/// A body of no bytes.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(never).boxed_unsync()
}

/// Reads the whole body, at most `bytes_max` bytes of it. A body that says beforehand that it is longer is refused before
/// a byte is read. Trailers are dropped. There is no deadline: that is the caller's to set.
pub async fn read_limited<B>(body: &mut B, bytes_max: usize) -> Result<Bytes, ReadFault>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    read(body, bytes_max, |_| Ok(())).await
}

/// Reads and throws away the rest of a refused request's body, at most 256 KiB for at most one second, in a task of its own.
/// A client that is still sending then finds the answer, not a connection reset.
///
/// Not for a request with `Expect: 100-continue`: reading its body would invite the client to send it.
pub fn drain<B>(body: B)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    drain_up_to(body, DRAIN_BYTES_MAX);
}

/// The same, at most `bytes_max`.
pub fn drain_up_to<B>(mut body: B, bytes_max: usize)
where
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
{
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(tokio::time::timeout(DRAIN_TIME_MAX, async move {
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let read = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(read) {
                Some(rest) if rest > 0 => left = rest,
                Some(_) | None => break,
            }
        }
    }));
}

/// `claim` is asked before bytes are kept.
async fn read<B, E>(body: &mut B, bytes_max: usize, mut claim: impl FnMut(usize) -> Result<(), E>) -> Result<Bytes, E>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    E: From<ReadFault>,
{
    let declared = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if declared > bytes_max {
        return Err(ReadFault::TooLarge.into());
    }
    let Some(first) = next_data(body).await? else { return Ok(Bytes::new()) };
    if first.len() > bytes_max {
        return Err(ReadFault::TooLarge.into());
    }
    claim(first.len())?;
    // Nearly every message comes in one piece, and is then handed on without a copy.
    if body.is_end_stream() {
        return Ok(first);
    }
    let Some(mut data) = next_data(body).await? else { return Ok(first) };
    // Not all that is announced at once: two bytes and a Content-Length would reserve megabytes that no budget counts.
    let mut whole = BytesMut::with_capacity(declared.min(RESERVED_BYTES_MAX).max(first.len()));
    whole.extend_from_slice(&first);
    drop(first);
    loop {
        if data.len() > bytes_max - whole.len() {
            return Err(ReadFault::TooLarge.into());
        }
        claim(data.len())?;
        whole.extend_from_slice(&data);
        match next_data(body).await? {
            Some(more) => data = more,
            None => return Ok(whole.freeze()),
        }
    }
}

/// The next bytes; never an empty run of them, so that a loop over them always makes progress towards a limit.
async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, ReadFault>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| ReadFault::Broken)?.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // Nothing, or trailers: they could carry what the inspected head did not have.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

fn never(never: Infallible) -> BodyError {
    match never {}
}

/// Reserved for a body before its bytes are there.
const RESERVED_BYTES_MAX: usize = 64 << 10;
/// How much of a refused body is read for whoever calls.
pub const DRAIN_BYTES_MAX: usize = 256 << 10;
/// For how long.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll};

    use http::HeaderMap;
    use http_body::{Frame, SizeHint};

    use super::*;

    /// What a scripted body does next.
    enum Step {
        Data(&'static [u8]),
        Trailers,
        Broken,
    }
    use Step::{Broken, Data, Trailers};

    struct Scripted {
        steps: VecDeque<Step>,
        declared: Option<u64>,
        polls: Arc<AtomicUsize>,
    }

    fn scripted(steps: impl IntoIterator<Item = Step>) -> Scripted {
        Scripted { steps: steps.into_iter().collect(), declared: None, polls: Arc::default() }
    }

    impl http_body::Body for Scripted {
        type Data = Bytes;
        type Error = BodyError;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
            self.polls.fetch_add(1, Ordering::Relaxed);
            Poll::Ready(self.steps.pop_front().map(|step| match step {
                Data(bytes) => Ok(Frame::data(Bytes::from_static(bytes))),
                Trailers => Ok(Frame::trailers(HeaderMap::new())),
                Broken => Err("cut".into()),
            }))
        }
        fn size_hint(&self) -> SizeHint {
            self.declared.map(SizeHint::with_exact).unwrap_or_default()
        }
    }

    async fn check(steps: impl IntoIterator<Item = Step>, bytes_max: usize, expect: Result<&[u8], ReadFault>) {
        let read = read_limited(&mut scripted(steps), bytes_max).await;
        assert_eq!(read.as_deref().map_err(|fault| *fault), expect);
    }

    #[tokio::test]
    async fn reads_up_to_the_limit() {
        check([], 0, Ok(b"")).await;
        check([Data(b"")], 0, Ok(b"")).await;
        check([Data(b"abc")], 3, Ok(b"abc")).await;
        check([Data(b"abc")], 2, Err(ReadFault::TooLarge)).await;
        check([Data(b"ab"), Data(b"c")], 3, Ok(b"abc")).await;
        check([Data(b"ab"), Data(b"c"), Data(b"def")], 6, Ok(b"abcdef")).await;
        check([Data(b"ab"), Data(b"c")], 2, Err(ReadFault::TooLarge)).await;
        check([Data(b"ab"), Data(b""), Data(b"cd")], 3, Err(ReadFault::TooLarge)).await;
        check([Data(b"ab"), Trailers], 3, Ok(b"ab")).await;
        check([Trailers], 3, Ok(b"")).await;
        check([Broken], 3, Err(ReadFault::Broken)).await;
        check([Data(b"ab"), Broken], 3, Err(ReadFault::Broken)).await;
        check([Data(b"ab"), Data(b"c"), Broken], 3, Err(ReadFault::Broken)).await;
    }

    #[tokio::test]
    async fn a_declared_length_over_the_limit_is_refused_unread() {
        let mut body = Scripted { declared: Some(4), ..scripted([Data(b"abcd")]) };
        assert_eq!(read_limited(&mut body, 3).await, Err(ReadFault::TooLarge));
        assert_eq!(body.polls.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn what_is_announced_is_not_reserved() {
        let mut body = Scripted { declared: Some(1 << 30), ..scripted([Data(b"ab"), Data(b"c")]) };
        let read = read_limited(&mut body, 1 << 30).await.unwrap();
        assert_eq!(read, "abc");
        assert!(read.try_into_mut().unwrap().capacity() <= RESERVED_BYTES_MAX);
    }

    #[tokio::test]
    async fn one_piece_is_not_copied() {
        let bytes = Bytes::from_static(b"abc");
        let read = read_limited(&mut Full::new(bytes.clone()), 3).await.unwrap();
        assert_eq!(read.as_ptr(), bytes.as_ptr());
    }

    #[tokio::test]
    async fn the_budget_is_claimed_as_bytes_arrive_and_given_back() {
        let budget = BodyBudget::new(4);
        let (bytes, claim) = budget.read(&mut scripted([Data(b"ab"), Data(b"c")]), 100).await.unwrap();
        assert_eq!(bytes.as_ref(), b"abc");
        assert_eq!(budget.claimed.load(Ordering::SeqCst), 3);

        let refused = budget.read(&mut scripted([Data(b"d"), Data(b"e")]), 100).await;
        assert_eq!(refused.unwrap_err(), BudgetFault::Exhausted);
        assert_eq!(budget.claimed.load(Ordering::SeqCst), 3);

        drop(claim);
        assert_eq!(budget.claimed.load(Ordering::SeqCst), 0);
        let (_, claim) = budget.read(&mut scripted([Data(b"abcd")]), 100).await.unwrap();
        drop(claim);
        let fault = budget.read(&mut scripted([Data(b"ab"), Data(b"cd")]), 3).await.unwrap_err();
        assert_eq!(fault, BudgetFault::Read(ReadFault::TooLarge));
        assert_eq!(budget.claimed.load(Ordering::SeqCst), 0);

        let (_, claim) = budget.read(&mut scripted([Data(b"abc")]), 100).await.unwrap();
        let larger = budget.of_size(6);
        assert_eq!(larger.read(&mut scripted([Data(b"abcd")]), 100).await.unwrap_err(), BudgetFault::Exhausted);
        drop(larger.read(&mut scripted([Data(b"abc")]), 100).await.unwrap());
        drop(claim);
        assert_eq!(larger.claimed.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn draining_stops_at_its_limit() {
        static KIB_64: [u8; 64 << 10] = [0; 64 << 10];
        let mut body = scripted((0..1000).map(|_| Data(&KIB_64)));
        body.declared = Some(1000 * (64 << 10));
        let polls = Arc::clone(&body.polls);
        drain(body);
        // The task owns the body, and with it the second count.
        while Arc::strong_count(&polls) > 1 {
            tokio::task::yield_now().await;
        }
        assert_eq!(polls.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn draining_stops_after_its_time() {
        struct Silent(#[expect(dead_code, reason = "counts")] Arc<()>);
        impl http_body::Body for Silent {
            type Data = Bytes;
            type Error = BodyError;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
                Poll::Pending
            }
        }
        let alive = Arc::new(());
        drain(Silent(Arc::clone(&alive)));
        tokio::time::advance(Duration::from_millis(999)).await;
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&alive), 2);
        tokio::time::advance(Duration::from_millis(2)).await;
        tokio::task::yield_now().await;
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

//! Which requests a stream still owes an answer, for the streams that this process holds. It decides nothing but when a
//! stream may end, and whether it takes another request before.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::mcp::message::MessageId;

/// The open streams, each by what its client posts with.
#[derive(Debug, Default, Clone)]
pub struct Streams(Arc<Mutex<HashMap<String, Awaited>>>);

/// What one stream still owes.
#[derive(Debug, Clone)]
pub struct Awaited(Arc<watch::Sender<Owed>>);

/// Keeps a stream among the open ones.
#[derive(Debug)]
pub(super) struct Held {
    streams: Streams,
    sealed: String,
}

#[derive(Debug, Default)]
struct Owed {
    /// The requests, the oldest first.
    ids: VecDeque<MessageId>,
    /// Whether it waits for these alone.
    closing: bool,
}

impl Streams {
    /// Another stream, which can be found until what is returned beside it is dropped.
    pub(super) fn open(&self, sealed: &str) -> (Awaited, Held) {
        let awaited = Awaited(Arc::new(watch::Sender::default()));
        self.locked(|streams| streams.insert(sealed.to_owned(), awaited.clone()));
        (awaited, Held { streams: self.clone(), sealed: sealed.to_owned() })
    }

    /// The stream whose client posts with `sealed`, if this process holds it.
    pub(super) fn find(&self, sealed: &str) -> Option<Awaited> {
        self.locked(|streams| streams.get(sealed).cloned())
    }

    fn locked<T>(&self, act: impl FnOnce(&mut HashMap<String, Awaited>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.streams.locked(|streams| streams.remove(&self.sealed));
    }
}

impl Awaited {
    /// These requests are about to be forwarded. False: the stream will not carry their answers any more. Beyond
    /// `OWED_MAX` the oldest are forgotten: of what a client cancelled, no answer may ever come.
    pub(super) fn expect<'a>(&self, ids: impl Iterator<Item = &'a MessageId>) -> bool {
        let mut taken = true;
        self.0.send_modify(|owed| {
            for id in ids {
                taken = !owed.closing;
                if taken {
                    owed.ids.push_back(id.clone());
                }
                if owed.ids.len() > OWED_MAX {
                    owed.ids.pop_front();
                }
            }
        });
        taken
    }

    /// A request was answered, or will not be.
    pub(super) fn settle(&self, id: &MessageId) {
        self.0.send_modify(|owed| {
            if let Some(place) = owed.ids.iter().position(|owed| owed == id) {
                owed.ids.remove(place);
            }
        });
    }

    /// Whether any is owed.
    pub(super) fn is_any(&self) -> bool {
        !self.0.borrow().ids.is_empty()
    }

    /// Takes no more requests, and waits until the last answer has been handed on.
    pub async fn settled(&self) {
        self.0.send_modify(|owed| owed.closing = true);
        // An error would say that the sender is gone, which is here.
        drop(self.0.subscribe().wait_for(|owed| owed.ids.is_empty()).await);
    }
}

/// Requests that one stream is known to owe an answer; each is kept as its id, of 1 KiB at most.
const OWED_MAX: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::listing;

    fn id(n: usize) -> MessageId {
        listing::answered(format!("{{\"id\":{n},\"result\":{{}}}}").as_bytes()).pop().unwrap()
    }

    #[tokio::test]
    async fn a_stream_waits_for_what_it_owes_and_takes_no_more() {
        let streams = Streams::default();
        let (_, held) = streams.open("s");
        let stream = streams.find("s").unwrap();
        assert!(streams.find("t").is_none());
        assert!(stream.expect([id(1), id(2)].iter()));
        let waiting = tokio::spawn({
            let stream = stream.clone();
            async move { stream.settled().await }
        });
        stream.settle(&id(3));
        stream.settle(&id(1));
        while stream.expect([id(4)].iter()) {
            stream.settle(&id(4));
            tokio::task::yield_now().await;
        }
        // A notification, or the client's answer to the server, needs no answer on the stream.
        assert!(stream.expect([].iter()));
        assert!(!waiting.is_finished() && stream.is_any());
        stream.settle(&id(2));
        waiting.await.unwrap();
        drop(held);
        assert!(streams.find("s").is_none());
    }

    #[test]
    fn what_is_owed_is_bounded() {
        let streams = Streams::default();
        let (stream, _held) = streams.open("s");
        for n in 0..=OWED_MAX {
            assert!(stream.expect([id(n)].iter()));
        }
        assert_eq!(stream.0.borrow().ids.len(), OWED_MAX);
        assert_eq!(stream.0.borrow().ids.front(), Some(&id(1)));
    }
}

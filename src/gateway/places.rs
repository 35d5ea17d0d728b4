//! Places of which each has so many: streams by principal, requests by route, connections by address. What one leaves open
//! must not use up what all share. Only what has a place takes memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::session::Owner;

/// How many places each has taken; none, no entry. Cheap to clone.
#[derive(Debug)]
pub(super) struct Places<K: Eq + Hash + Clone>(Arc<Mutex<HashMap<K, usize>>>);

/// One place; free again when dropped.
#[derive(Debug)]
pub(super) struct Place<K: Eq + Hash + Clone> {
    places: Places<K>,
    whose: K,
}

/// What a request holds until its answer has ended.
#[derive(Debug)]
pub(super) enum Held {
    /// One of the streams of its principal.
    Stream(#[expect(dead_code, reason = "held to be dropped")] Place<Whose>),
    /// One of the requests of its route.
    Request(#[expect(dead_code, reason = "held to be dropped")] Place<Arc<str>>),
    /// No place of its own.
    Nothing,
}

/// A principal: issuer, subject, client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Whose(String, Option<String>, Option<String>);

impl From<Owner<'_>> for Whose {
    fn from(owner: Owner<'_>) -> Self {
        Self(owner.issuer.to_owned(), owner.subject.map(str::to_owned), owner.client.map(str::to_owned))
    }
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// One more place; `None` where `max` are taken.
    pub(super) fn take(&self, whose: impl Into<K>, max: usize) -> Option<Place<K>> {
        let whose = whose.into();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(whose.clone()).or_default();
        if *count >= max {
            // No limit is 0: an entry without a place would stay for ever.
            return None;
        }
        *count += 1;
        Some(Place { places: self.clone(), whose })
    }
}

impl<K: Eq + Hash + Clone> Default for Places<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Eq + Hash + Clone> Clone for Places<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.whose.clone()) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// The requests that are under way, all of them. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Requests(Arc<AtomicUsize>);

/// One request under way; counted until it is dropped.
#[derive(Debug)]
pub(super) struct UnderWay(Requests);

impl Requests {
    /// One more; `None` where `max` are under way.
    pub(super) fn begin(&self, max: usize) -> Option<UnderWay> {
        let more = |count: usize| (count < max).then(|| count + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(UnderWay(self.clone()))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(subject: &str) -> Owner<'_> {
        Owner { issuer: "https://as.example", subject: Some(subject), client: None, route: "any" }
    }

    #[test]
    fn each_principal_has_its_own_places_and_gets_them_back() {
        let streams = Places::<Whose>::default();
        let (first, second) = (streams.take(owner("a"), 2), streams.take(owner("a"), 2));
        assert!(first.is_some() && second.is_some() && streams.take(owner("a"), 2).is_none());
        assert!(streams.take(Owner { route: "other", ..owner("a") }, 2).is_none());
        assert!(streams.take(owner("b"), 2).is_some());
        drop(first);
        let third = streams.take(owner("a"), 2);
        assert!(third.is_some() && streams.take(owner("a"), 2).is_none());
        drop((second, third));
        assert!(streams.0.lock().unwrap().is_empty(), "nothing is kept of who has no stream");
    }

    #[test]
    fn requests_are_counted_while_they_last() {
        let requests = Requests::default();
        let (first, second) = (requests.begin(2), requests.begin(2));
        assert!(first.is_some() && second.is_some() && requests.begin(2).is_none());
        drop(first);
        assert!(requests.begin(2).is_some());
        assert!(requests.begin(1).is_none(), "the limit may change meanwhile");
    }
}

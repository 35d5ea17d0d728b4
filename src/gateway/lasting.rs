//! Streams that would last for ever, counted by principal: what one caller leaves open must not use up what all share.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};

use super::session::Owner;

/// How many such streams each principal has open; none, no entry. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Lasting {
    open: Arc<Mutex<HashMap<Whose, usize>>>,
    max: usize,
}

/// A principal: issuer, subject, client.
type Whose = (String, Option<String>, Option<String>);

/// The place of one open stream; free again when dropped.
#[derive(Debug)]
pub(super) struct Place {
    lasting: Lasting,
    whose: Whose,
}

impl Lasting {
    /// At most `max` streams for each principal.
    pub(super) fn new(max: usize) -> Self {
        Self { open: Arc::default(), max }
    }

    /// The same streams with another limit for each principal.
    pub(super) fn up_to(&self, max: usize) -> Self {
        Self { open: Arc::clone(&self.open), max }
    }

    /// A place for one more stream of this principal, on whichever route; `None` where it has all it may have.
    pub(super) fn take(&self, owner: Owner<'_>) -> Option<Place> {
        let whose = (owner.issuer.to_owned(), owner.subject.map(str::to_owned), owner.client.map(str::to_owned));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(whose.clone()).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(Place { lasting: self.clone(), whose })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.lasting.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = open.entry(std::mem::take(&mut self.whose)) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
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
        let lasting = Lasting::new(2);
        let (first, second) = (lasting.take(owner("a")), lasting.take(owner("a")));
        assert!(first.is_some() && second.is_some() && lasting.take(owner("a")).is_none());
        assert!(lasting.take(Owner { route: "other", ..owner("a") }).is_none());
        assert!(lasting.take(owner("b")).is_some());
        drop(first);
        let third = lasting.take(owner("a"));
        assert!(third.is_some() && lasting.take(owner("a")).is_none());
        assert!(lasting.up_to(1).take(owner("a")).is_none());
        let fourth = lasting.up_to(3).take(owner("a"));
        assert!(fourth.is_some() && lasting.take(owner("a")).is_none());
        drop((second, third, fourth));
        assert!(lasting.open.lock().unwrap().is_empty(), "nothing is kept of who has no stream");
    }
}

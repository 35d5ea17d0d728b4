//! The last decisions, for the status page: a bounded ring of what stood in audit records. Kept only where there is an admin
//! listener to show them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Recent {
    kept: AtomicBool,
    last: Mutex<(u64, VecDeque<Numbered>)>,
}

/// One message of a request, and what became of it. Client text in it was cut; whoever shows it must take it for text.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Decided {
    pub(super) time: String,
    pub(super) request_id: String,
    pub(super) route: Option<String>,
    pub(super) subject: Option<String>,
    pub(super) client: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) peer: String,
    pub(super) method: Option<String>,
    pub(super) name: Option<String>,
    pub(super) decision: &'static str,
    pub(super) would_deny: Option<&'static str>,
    pub(super) reason: Option<&'static str>,
    pub(super) detail: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) scopes_needed: Option<String>,
    pub(super) status: u16,
}

/// With its number in the life of the process, by which a page knows what it has seen.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Numbered {
    number: u64,
    #[serde(flatten)]
    decided: Decided,
}

impl Recent {
    /// From now on they are kept.
    pub(super) fn keep(&self) {
        self.kept.store(true, Ordering::Relaxed);
    }

    /// Whether they are: else nothing needs to be made.
    pub(super) fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Relaxed)
    }

    /// One more; the oldest beyond `KEPT_MAX` is forgotten.
    pub(super) fn push(&self, decided: Decided) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, ring) = &mut *last;
        *count += 1;
        if ring.len() >= KEPT_MAX {
            ring.pop_front();
        }
        ring.push_back(Numbered { number: *count, decided });
    }

    /// All that are kept, the newest first.
    pub(super) fn all(&self) -> Vec<Numbered> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.1.iter().rev().cloned().collect()
    }
}

/// How many the page shows.
const KEPT_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_is_bounded_and_numbers_go_on() {
        let recent = Recent::default();
        assert!(!recent.is_kept());
        for status in 0..250 {
            recent.push(Decided { status, ..Decided::default() });
        }
        let all = recent.all();
        assert_eq!(all.len(), KEPT_MAX);
        assert_eq!((all[0].number, all[0].decided.status), (250, 249));
        assert_eq!((all[99].number, all[99].decided.status), (151, 150));
    }
}

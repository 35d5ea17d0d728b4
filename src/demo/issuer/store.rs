//! What the server remembers: entries that expire, and never more than so many of them.

use indexmap::IndexMap;

/// Entries by a name that cannot be guessed, each until a time.
pub(super) struct Store<V> {
    entries: IndexMap<String, (u64, V)>,
    entries_max: usize,
}

impl<V> Store<V> {
    pub(super) fn new(entries_max: usize) -> Self {
        Self { entries: IndexMap::new(), entries_max }
    }

    /// Keeps `value` until `expires_at`. When there is no room, what has expired goes, and then the oldest: a flood must
    /// neither grow the memory nor lock out who comes after it.
    pub(super) fn insert(&mut self, name: String, value: V, expires_at: u64, now: u64) {
        self.entries.shift_remove(&name);
        if self.entries.len() >= self.entries_max {
            self.entries.retain(|_, (until, _)| *until > now);
        }
        if self.entries.len() >= self.entries_max {
            self.entries.shift_remove_index(0);
        }
        self.entries.insert(name, (expires_at, value));
    }

    pub(super) fn get(&self, name: &str, now: u64) -> Option<&V> {
        self.entries.get(name).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str, now: u64) -> Option<&mut V> {
        self.entries.get_mut(name).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }

    /// Takes an entry out: who comes second does not find it.
    pub(super) fn take(&mut self, name: &str, now: u64) -> Option<V> {
        self.entries.shift_remove(name).filter(|(until, _)| *until > now).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_expire_and_are_taken_once() {
        let mut store = Store::new(9);
        store.insert("a".to_owned(), 1, 10, 0);
        assert_eq!(store.get("a", 9), Some(&1));
        assert_eq!(store.get("a", 10), None);
        assert_eq!(store.get_mut("a", 10), None);
        assert_eq!(store.take("a", 9), Some(1));
        assert_eq!(store.take("a", 9), None);
        store.insert("b".to_owned(), 2, 10, 0);
        assert_eq!(store.take("b", 10), None);
    }

    #[test]
    fn the_expired_go_first_and_then_the_oldest() {
        let mut store = Store::new(2);
        store.insert("a".to_owned(), 1, 100, 0);
        store.insert("b".to_owned(), 2, 5, 0);
        store.insert("c".to_owned(), 3, 100, 6);
        assert_eq!((store.get("a", 6), store.get("b", 0), store.get("c", 6)), (Some(&1), None, Some(&3)));
        store.insert("d".to_owned(), 4, 100, 6);
        assert_eq!((store.get("a", 6), store.get("c", 6), store.get("d", 6)), (None, Some(&3), Some(&4)));
        store.insert("c".to_owned(), 5, 100, 6);
        assert_eq!((store.get("c", 6), store.get("d", 6)), (Some(&5), Some(&4)));
    }
}

//! How loading the file again went: what readiness, metrics and the status page say of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::token::clock;

/// How reloading went so far; what the process started with counts as its first success.
#[derive(Debug)]
pub struct Reloads {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    success: SystemTime,
    /// Of the last attempt, if it failed.
    error: Option<String>,
}

impl Default for Reloads {
    fn default() -> Self {
        let last = Last { success: clock::wall_time(), error: None };
        Self { succeeded: AtomicU64::new(0), failed: AtomicU64::new(0), last: Mutex::new(last) }
    }
}

impl Reloads {
    /// How often a file was read again and put in force.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.succeeded.load(Ordering::Relaxed)
    }

    /// How often one was read again and could not be used.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// When what is in force was read.
    #[must_use]
    pub fn last_success(&self) -> SystemTime {
        self.last().success
    }

    /// Why the last attempt failed; `None` if it did not.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.last().error.clone()
    }

    /// No code that can panic holds the lock, so a poisoned one holds what it should.
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! How loading the file again went: what readiness, metrics and the status page say of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use crate::token::clock;

/// The record of all attempts in the life of the process.
#[derive(Debug)]
pub struct Reloads(Mutex<Record>);

/// What is known of them.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// When the file that is served was loaded.
    pub(super) loaded: SystemTime,
    /// Attempts that led to a new file being served.
    pub(super) succeeded: u64,
    /// Attempts that did not.
    pub(super) failed: u64,
    /// Of the last attempt, if it failed: when, and why.
    pub(super) fault: Option<(SystemTime, String)>,
}

impl Default for Reloads {
    /// The first file was loaded now.
    fn default() -> Self {
        Self(Mutex::new(Record { loaded: clock::wall_time(), succeeded: 0, failed: 0, fault: None }))
    }
}

impl Reloads {
    /// The file was loaded again, and is served from now on.
    pub fn succeeded(&self) {
        let mut record = self.record();
        record.loaded = clock::wall_time();
        record.succeeded += 1;
        record.fault = None;
    }

    /// It was not, for this reason; what was served is served.
    pub fn failed(&self, reason: impl Into<String>) {
        let mut record = self.record();
        record.failed += 1;
        record.fault = Some((clock::wall_time(), reason.into()));
    }

    /// What is known now.
    pub(super) fn known(&self) -> Record {
        self.record().clone()
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

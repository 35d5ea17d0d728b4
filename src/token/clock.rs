//! The only reader of the system clock. Timers do not use it: they run on tokio's monotonic clock, so that a step of the
//! time of day moves none of them.

use std::sync::Arc;

/// Tells the time of day, in seconds since 1970 (what `exp`, `nbf` and `iat` are compared with).
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
    pub fn system() -> Self {
        // A clock before 1970 is broken. It then tells the latest time: every token is expired, where 0 would make
        // every expired token valid again.
        Self(Arc::new(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
        }))
    }
    /// A clock that tells what `now` says.
    pub fn from_fn(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
    /// Seconds since 1970.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.0)()
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

//! The only reader of the system clock. Timers do not use it: they run on tokio's monotonic clock, so that a step of the
//! time of day moves none of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Tells the time of day, in seconds since 1970 (what `exp`, `nbf` and `iat` are compared with).
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(|| wall_time().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())))
    }
    /// A clock that tells what `now` says.
    pub fn from_fn(now: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }
    /// How long it is until `time` (seconds since 1970); zero when it has passed.
    #[must_use]
    pub fn until(&self, time: u64) -> Duration {
        Duration::from_secs(time.saturating_sub(self.now()))
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

/// The time of day, for records.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one reader of the clock")]
pub fn wall_time() -> SystemTime {
    SystemTime::now()
}

//! The only reader of the system clock. Timers do not use it: they run on tokio's monotonic clock, so that a step of the
//! time of day moves none of them.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

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
    /// Says in the log when the time of day steps: tokens then expire, or are not valid yet, all at once. Never ends.
    pub async fn report_steps(self) {
        let mut before = (Instant::now(), self.now());
        loop {
            tokio::time::sleep(LOOK).await;
            let after = (Instant::now(), self.now());
            if let Some((secs, direction)) = step(before.1, after.1, after.0 - before.0) {
                tracing::warn!(secs, "the clock was moved {direction}: tokens are judged by the new time");
            }
            before = after;
        }
    }
}

/// By how much the time of day went otherwise than time did, in seconds and words; `None` for no more than clocks are
/// corrected by.
fn step(before: u64, after: u64, elapsed: Duration) -> Option<(u64, &'static str)> {
    let expected = before.saturating_add(elapsed.as_secs());
    let secs = after.abs_diff(expected);
    (secs > STEP_SECS_MIN).then_some((secs, if after > expected { "forward" } else { "back" }))
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

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Less than any leeway that is common.
const STEP_SECS_MIN: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_from_the_course_of_time() {
        fn check(after: u64, elapsed: u64, expect: Option<(u64, &'static str)>) {
            assert_eq!(step(100_000, after, Duration::from_secs(elapsed)), expect, "{after} {elapsed}");
        }
        check(100_001, 1, None);
        check(100_006, 1, None);
        check(99_996, 1, None);
        check(100_007, 1, Some((6, "forward")));
        check(103_601, 1, Some((3600, "forward")));
        check(96_401, 1, Some((3600, "back")));
        // This process was stopped for long: nothing was moved.
        check(103_601, 3601, None);
        check(0, 1, Some((100_001, "back")));
    }
}

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::clock::Clock;

/// A clock that stands still until a test moves it. Clones show the same time.
///
/// Give a clone to the application's builder (`.clock(clock.clone())`) and keep one. It is the time of day
/// that commands are told, and that deadlines and schedules wait for: those that are due come when the clock is moved.
/// Other waiting goes through `tokio::time`, which tests pause by other means.
///
/// ```
/// use std::time::Duration;
///
/// use cqrs_core::clock::Clock;
/// use cqrs_core::testing::TestClock;
///
/// let clock = TestClock::new();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!((clock.now() - before).num_seconds(), 60);
/// ```
#[derive(Clone)]
pub struct TestClock(Arc<watch::Sender<DateTime<Utc>>>);

impl TestClock {
    /// A clock that shows midnight of 1 January 2000, UTC.
    #[must_use]
    pub fn new() -> Self {
        Self::at(standstill())
    }

    /// A clock that shows `now`.
    #[must_use]
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(Arc::new(watch::Sender::new(now)))
    }

    /// Sets the time, to the past as well.
    pub fn set(&self, now: DateTime<Utc>) {
        self.0.send_replace(now);
    }

    /// Moves the time on. It stays within what a date can tell.
    pub fn advance(&self, by: Duration) {
        self.0.send_modify(|now| {
            let moved = chrono::Duration::from_std(by).ok().and_then(|by| now.checked_add_signed(by));
            *now = moved.unwrap_or(DateTime::<Utc>::MAX_UTC);
        });
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.borrow()
    }

    fn wait_until(&self, at: DateTime<Utc>) -> BoxFuture<'_, ()> {
        let mut time = self.0.subscribe();
        // The clock outlives the future, so that it does come.
        Box::pin(async move { drop(time.wait_for(|now| *now >= at).await) })
    }
}

impl fmt::Debug for TestClock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TestClock({})", self.now())
    }
}

/// What time it is in a test that does not say: always the same, so that no test depends on the day it is
/// run.
pub(crate) fn standstill() -> DateTime<Utc> {
    const MIDNIGHT_OF_2000: i64 = 946_684_800;
    DateTime::from_timestamp(MIDNIGHT_OF_2000, 0).unwrap_or(DateTime::<Utc>::MIN_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_show_the_same_time() {
        let clock = TestClock::new();
        let other = clock.clone();
        other.set(standstill() + chrono::Duration::days(1));
        assert_eq!(clock.now().to_rfc3339(), "2000-01-02T00:00:00+00:00");
    }

    #[test]
    fn the_time_stops_at_the_end_of_dates() {
        let clock = TestClock::new();
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), DateTime::<Utc>::MAX_UTC);
    }
}

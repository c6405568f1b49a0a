//! The time of day, replaceable in tests.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;

/// Tells the time that events and commands are stamped with.
///
/// Waiting for some time (timeouts, backoff, lifespans) goes through `tokio::time` instead, which tests can pause.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;

    /// Is ready when that moment has come: what deadlines and schedules wait for. By default the clock is looked at when
    /// it should be time, and at least once a second, so that a clock that is set is noticed.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    fn wait_until(&self, at: DateTime<Utc>) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            while let Ok(left) = (at - self.now()).to_std()
                && !left.is_zero()
            {
                tokio::time::sleep(left.min(LOOK)).await;
            }
        })
    }
}

/// How often a clock is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

//! The time of day, replaceable in tests.

use std::fmt;

use chrono::{DateTime, Utc};

/// Tells the time that events and commands are stamped with.
///
/// Waiting (timeouts, backoff, lifespans) goes through `tokio::time` instead, which tests can pause.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

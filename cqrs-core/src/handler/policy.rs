use std::time::Duration;

use crate::backoff::jitter;
use crate::handler::{ErrorAction, HandlerError, HandlerFailure};

/// Tries a failing event again, with delays that double up to a cap, and parks its key in the end.
///
/// By default: 10 attempts, 100 ms before the second, at most 30 s between two; about 1.5 minutes in all.
/// Each delay is a random time between half of it and all of it. An event that cannot be decoded is parked at
/// once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    cap: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 10, base: Duration::from_millis(100), cap: Duration::from_secs(30) }
    }
}

impl RetryPolicy {
    /// Sets how many times an event is tried, at least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the delay before the second attempt.
    pub fn base(mut self, delay: Duration) -> Self {
        self.base = delay;
        self
    }

    /// Sets the longest delay.
    pub fn cap(mut self, delay: Duration) -> Self {
        self.cap = delay;
        self
    }

    /// The longest delay behind attempt number `attempt`, before it is made random.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// What becomes of a failing event.
    #[must_use]
    pub fn decide<E>(&self, failure: &HandlerFailure<E>) -> ErrorAction {
        let undecodable = matches!(failure.error, HandlerError::Undecodable(_));
        if undecodable || failure.attempt >= self.attempts {
            return ErrorAction::Park;
        }
        ErrorAction::RetryAfter(jitter(self.delay(failure.attempt)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_062_delays_double_up_to_the_cap() {
        let policy =
            RetryPolicy::default().base(Duration::from_millis(100)).cap(Duration::from_millis(10_000));
        let delays: Vec<_> = (1..=5).map(|attempt| policy.delay(attempt).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1_600]);
        assert_eq!(policy.delay(10).as_millis(), 10_000);
        assert_eq!(policy.delay(u32::MAX).as_millis(), 10_000);
    }
}

use std::time::Duration;

use crate::backoff::jitter;
use crate::handler::{ErrorAction, HandlerError, HandlerFailure};

/// Tries a failing event again for a while, and parks its key in the end.
///
/// By default: 10 attempts, 100 ms before the second, twice as long before each further one, at most 30 s between
/// two; about 1.5 minutes in all. Each delay is a random time between half of it and all of it. An event that cannot
/// be decoded is not tried again, nor is a command that its aggregate refuses.
///
/// A policy is a value, so that [`on_error`](crate::handler::EventHandler::on_error) may have one for each kind of
/// error:
///
/// ```
/// use std::time::Duration;
///
/// use cqrs_core::handler::{ErrorAction, HandlerError, HandlerFailure, RetryPolicy};
///
/// # #[derive(Debug, thiserror::Error)] enum MailError { #[error("")] NoSuchAddress, #[error("")] Busy, #[error("")] Other }
/// fn on_error(failure: &HandlerFailure<MailError>) -> ErrorAction {
///     match failure.error {
///         HandlerError::Failed(MailError::NoSuchAddress) => ErrorAction::Skip,
///         HandlerError::Failed(MailError::Busy) => {
///             RetryPolicy::fixed(Duration::from_secs(5)).attempts(100).decide(failure)
///         }
///         _ => RetryPolicy::default().decide(failure),
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    cap: Duration,
    doubles: bool,
    jitters: bool,
    finally: ErrorAction,
}

/// Something that failed, of a handler or a process manager.
pub(crate) trait Failure {
    /// How many times it was tried.
    fn attempt(&self) -> u32;

    /// Whether it would fail again whatever happens.
    fn is_final(&self) -> bool;
}

impl<E, Context> Failure for HandlerFailure<E, Context> {
    fn attempt(&self) -> u32 {
        self.attempt
    }

    fn is_final(&self) -> bool {
        matches!(self.error, HandlerError::Undecodable(_))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::exponential(Duration::from_millis(100), Duration::from_secs(30))
    }
}

impl RetryPolicy {
    const fn new(base: Duration, cap: Duration) -> Self {
        Self { attempts: 10, base, cap, doubles: false, jitters: false, finally: ErrorAction::Park }
    }

    /// Tries again at once, 10 attempts in all.
    pub const fn immediate() -> Self {
        Self::new(Duration::ZERO, Duration::ZERO)
    }

    /// Tries again after this time, each time the same, 10 attempts in all.
    pub const fn fixed(delay: Duration) -> Self {
        Self::new(delay, delay)
    }

    /// Tries again after a delay that begins at `base` and doubles up to `cap`, made random, 10 attempts in all.
    pub const fn exponential(base: Duration, cap: Duration) -> Self {
        Self { doubles: true, jitters: true, ..Self::new(base, cap) }
    }

    /// Sets how many times an event is tried, at least 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Sets the delay before the second attempt.
    pub const fn base(mut self, delay: Duration) -> Self {
        self.base = delay;
        self
    }

    /// Sets the longest delay.
    pub const fn cap(mut self, delay: Duration) -> Self {
        self.cap = delay;
        self
    }

    /// Sets whether each delay is made a random time between half of it and all of it, so that many handlers that
    /// fail together do not try again together.
    pub const fn jitter(mut self, is_random: bool) -> Self {
        self.jitters = is_random;
        self
    }

    /// Sets what becomes of the event when the last attempt has failed, or it cannot be decoded:
    /// [`ErrorAction::Park`] unless set.
    pub const fn finally(mut self, action: ErrorAction) -> Self {
        self.finally = action;
        self
    }

    /// The longest delay behind attempt number `attempt`, before it is made random.
    #[must_use]
    pub fn delay(&self, attempt: u32) -> Duration {
        let doublings = if self.doubles { attempt.saturating_sub(1).min(31) } else { 0 };
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// What becomes of a failing event, given a [`HandlerFailure`], or of whatever failed in a process manager, given a
    /// [`ProcessFailure`](crate::process_manager::ProcessFailure).
    #[must_use]
    #[expect(private_bounds, reason = "failures are ours")]
    pub fn decide(&self, failure: &impl Failure) -> ErrorAction {
        if failure.is_final() || failure.attempt() >= self.attempts {
            return self.finally;
        }
        match self.delay(failure.attempt()) {
            Duration::ZERO => ErrorAction::Retry,
            delay if self.jitters => ErrorAction::RetryAfter(jitter(delay)),
            delay => ErrorAction::RetryAfter(delay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(policy: RetryPolicy, attempts: impl IntoIterator<Item = u32>) -> Vec<u128> {
        attempts.into_iter().map(|attempt| policy.delay(attempt).as_millis()).collect()
    }

    #[test]
    fn e_062_delays_double_up_to_the_cap() {
        let policy = RetryPolicy::exponential(Duration::from_millis(100), Duration::from_secs(10));
        assert_eq!(delays(policy, 1..=5), [100, 200, 400, 800, 1_600]);
        assert_eq!(delays(policy, [10, u32::MAX]), [10_000, 10_000]);
    }

    /// E-060
    #[test]
    fn e_062_other_delays_stay_the_same() {
        assert_eq!(delays(RetryPolicy::immediate(), [1, 9, u32::MAX]), [0, 0, 0]);
        assert_eq!(
            delays(RetryPolicy::fixed(Duration::from_secs(2)), [1, 9, u32::MAX]),
            [2_000, 2_000, 2_000]
        );
    }
}

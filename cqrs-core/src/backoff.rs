//! Pauses between attempts.

use std::time::Duration;

/// A random time between half of `delay` and all of it.
pub(crate) fn jitter(delay: Duration) -> Duration {
    delay.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// Gives the pauses between attempts at a store that fails: they double from 50 ms to 5 s, until an attempt succeeds.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
}

const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { next: FIRST }
    }

    /// An attempt failed: how long to wait before the next one.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(LONGEST);
        pause
    }

    /// An attempt succeeded.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_063_jitter_stays_between_half_and_all_and_varies() {
        let delays: Vec<_> = (0..100).map(|_| jitter(Duration::from_millis(400))).collect();
        assert!(delays.iter().all(|delay| (200..=400).contains(&delay.as_millis())));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new();
        let pauses: Vec<_> = (0..9).map(|_| backoff.pause().as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        backoff.reset();
        assert_eq!(backoff.pause(), FIRST);
    }
}

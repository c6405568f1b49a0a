use std::collections::VecDeque;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::panics;

/// How often a task may crash within [`WINDOW`] before it is given up.
const MAX_CRASHES: usize = 10;
const WINDOW: Duration = Duration::from_secs(60);

const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// What a supervised task tells about itself.
pub(crate) trait Supervised: Send {
    /// Runs until it is done; called again after a crash.
    fn run(&self) -> BoxFuture<'_, ()>;

    /// It crashed and will be run again.
    fn restarting(&self, _panic: &str) {}

    /// Whether it is given up when it crashes too often. What everything else depends on is not.
    fn may_be_given_up(&self) -> bool {
        true
    }

    /// It crashed too often.
    fn given_up(&self, _panic: &str) {}
}

/// Keeps a task running: after a panic it is run again, after a pause that doubles from 100 ms to 5 s, unless
/// it panicked more than 10 times within a minute and may be given up.
///
/// User code does not get here, its panics are caught where it is called; this is for adapters of stores,
/// and for mistakes of our own.
pub(crate) async fn supervise(name: &str, stop: CancellationToken, task: impl Supervised) {
    let mut crashes = VecDeque::new();
    loop {
        let Err(panic) = panics::catch_async(task.run()).await else {
            return;
        };
        let now = Instant::now();
        crashes.push_back(now);
        while crashes.front().is_some_and(|first| now - *first > WINDOW) {
            crashes.pop_front();
        }
        if crashes.len() > MAX_CRASHES && task.may_be_given_up() {
            tracing::error!(cqrs.task = name, panic, "task crashed too often and is given up");
            task.given_up(&panic);
            return;
        }
        tracing::error!(cqrs.task = name, panic, "task crashed, starting it again");
        task.restarting(&panic);
        let doublings = u32::try_from(crashes.len() - 1).unwrap_or(u32::MAX).min(16);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep((MIN_PAUSE * (1 << doublings)).min(MAX_PAUSE)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Crashing<'a> {
        runs: &'a AtomicUsize,
        crashes: usize,
        given_up: &'a AtomicUsize,
    }

    impl Supervised for Crashing<'_> {
        fn run(&self) -> BoxFuture<'_, ()> {
            Box::pin(async {
                assert!(self.runs.fetch_add(1, Ordering::SeqCst) >= self.crashes, "on purpose");
            })
        }

        fn given_up(&self, panic: &str) {
            assert_eq!(panic, "on purpose");
            self.given_up.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn check(crashes: usize, runs_expected: usize, given_up_expected: usize) {
        let (runs, given_up) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let task = Crashing { runs: &runs, crashes, given_up: &given_up };
        supervise("test", CancellationToken::new(), task).await;
        assert_eq!(runs.into_inner(), runs_expected);
        assert_eq!(given_up.into_inner(), given_up_expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crashing_task_is_run_again() {
        check(3, 4, 0).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_crashes_too_often_is_given_up() {
        check(usize::MAX, MAX_CRASHES + 1, 1).await;
    }
}

//! Calling the user's methods that may wait, at the border: one that panics or does not end fails by itself only.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::poll_immediate;
use tokio::time::timeout;

use crate::panics;

/// Why a method gave nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CutOff {
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// It did not end in time.
    #[error("took longer than {0:?}")]
    TimedOut(Duration),
}

/// Awaits what a method does, for as long as it may take. A panic becomes its message, and what is too slow is dropped.
pub(crate) async fn call<F: Future>(limit: Duration, work: F) -> Result<F::Output, CutOff> {
    let mut work = pin!(panics::catch_async(work));
    // Most methods of some users never wait: they need no timer.
    let done = match poll_immediate(work.as_mut()).await {
        Some(done) => done,
        None => timeout(limit, work).await.map_err(|_| CutOff::TimedOut(limit))?,
    };
    done.map_err(CutOff::Panicked)
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(3);

    #[tokio::test(start_paused = true)]
    async fn what_does_not_end_is_cut_off() {
        assert_eq!(call(LIMIT, pending::<()>()).await, Err(CutOff::TimedOut(LIMIT)));
        let panics = async { panic!("on purpose") };
        assert_eq!(call(LIMIT, panics).await, Err::<(), _>(CutOff::Panicked("on purpose".to_owned())));
        assert_eq!(call(LIMIT, tokio::time::sleep(LIMIT - Duration::from_secs(1))).await, Ok(()));
    }

    #[test]
    fn what_is_ready_needs_no_timer() {
        let mut ready = pin!(call(LIMIT, ready(7)));
        // Outside a runtime a timer would panic.
        let polled = futures_util::FutureExt::now_or_never(ready.as_mut());
        assert_eq!(polled, Some(Ok(7)));
    }
}

//! A slice of time in which callers call one subject as fast as they get their answers.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::point::BoxError;

/// Which call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// Counts the slices of a subject.
    pub(crate) slice: usize,
    pub(crate) caller: usize,
    pub(crate) callers: usize,
    /// Counts the calls of a caller in a slice.
    pub(crate) turn: usize,
}

/// A subject that does one thing at a call.
pub(crate) trait Calls: Clone + Send + Sync + 'static {
    /// Gives how many events were stored.
    fn call(&self, call: Call) -> impl Future<Output = Result<usize, BoxError>> + Send;
}

/// How long is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slice {
    /// Counts the slices of a subject.
    pub(crate) number: usize,
    pub(crate) callers: usize,
    /// The time before, which does not count.
    pub(crate) warm_up: Duration,
    pub(crate) length: Duration,
}

/// What was answered in a slice.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    /// How long each call took that began within the slice.
    pub(crate) latencies: Vec<Duration>,
    /// The events of the calls that were answered within the slice.
    pub(crate) events: usize,
    /// The events of all calls, those before and after the slice included.
    pub(crate) acknowledged: usize,
}

impl Slice {
    pub(crate) async fn run<C: Calls>(self, calls: &C) -> Result<Answered, BoxError> {
        let begin = Instant::now() + self.warm_up;
        let mut callers = JoinSet::new();
        for caller in 0..self.callers {
            callers.spawn(self.caller(calls.clone(), caller, begin));
        }
        let mut all = Answered::default();
        while let Some(answered) = callers.join_next().await {
            let answered = answered??;
            all.latencies.extend(answered.latencies);
            all.events += answered.events;
            all.acknowledged += answered.acknowledged;
        }
        all.latencies.sort_unstable();
        Ok(all)
    }

    async fn caller<C: Calls>(self, calls: C, caller: usize, begin: Instant) -> Result<Answered, BoxError> {
        let mut answered = Answered::default();
        let end = begin + self.length;
        let mut last = Instant::now();
        for turn in 0.. {
            if last >= end {
                break;
            }
            let call = Call { slice: self.number, caller, callers: self.callers, turn };
            let events = calls.call(call).await?;
            let now = Instant::now();
            answered.acknowledged += events;
            if last >= begin {
                answered.latencies.push(now - last);
            }
            if (begin..end).contains(&now) {
                answered.events += events;
            }
            last = now;
        }
        Ok(answered)
    }
}

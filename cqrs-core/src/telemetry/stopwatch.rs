use tokio::time::Instant;

use crate::telemetry::may_be_listened_to;

/// Measures how long something takes, when somebody may want to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Option<Instant>);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(may_be_listened_to().then(Instant::now))
    }

    /// The time since the start; `None` when nobody listened then.
    pub(crate) fn seconds(self) -> Option<f64> {
        self.0.map(|start| start.elapsed().as_secs_f64())
    }
}

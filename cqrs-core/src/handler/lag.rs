use std::time::Duration;

use crate::application::Core;
use crate::handler::HandlerStatus;
use crate::panics;

impl Core {
    /// Finds out for how long the oldest event has waited that a handler has not handled. That a handler is in trouble can
    /// be seen also while the log cannot be read.
    pub(crate) async fn measure_lag(&self, status: &mut HandlerStatus) {
        status.lag_time = match status.lag {
            0 => Some(Duration::ZERO),
            _ => self.waiting_for(&status.name, status.position).await,
        };
    }

    async fn waiting_for(&self, handler: &str, position: u64) -> Option<Duration> {
        let entry = self.board.get(handler)?;
        let read = panics::catch_async(self.store.read_log(position, &entry.filter, 1)).await;
        let waiting = read.ok()?.ok()?.events.first().map(|oldest| self.clock.now() - oldest.created_at);
        // The clocks of store and application may differ.
        Some(waiting.and_then(|waiting| waiting.to_std().ok()).unwrap_or_default())
    }
}

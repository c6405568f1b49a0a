use std::time::Duration;

use crate::application::Core;
use crate::handler::{Entry, HandlerState, HandlerStatus};
use crate::panics;
use crate::store::{EventFilter, StoreError};

impl Core {
    /// The handlers, for people who look.
    pub(crate) async fn handler_statuses(&self) -> Result<Vec<HandlerStatus>, StoreError> {
        let head = self.store.head().await?;
        let mut statuses = Vec::new();
        for entry in self.board.entries() {
            statuses.push(self.with_lag(entry.status(head), &entry.filter).await);
        }
        Ok(statuses)
    }

    /// A handler with how long the oldest event has waited that it has not handled. That it is in trouble can be seen also
    /// while the log cannot be read.
    pub(crate) async fn with_lag(&self, status: HandlerStatus, filter: &EventFilter) -> HandlerStatus {
        let lag_time = match status.lag {
            0 => Some(Duration::ZERO),
            _ => self.waiting_for(status.position, filter).await,
        };
        HandlerStatus { lag_time, ..status }
    }

    async fn waiting_for(&self, position: u64, filter: &EventFilter) -> Option<Duration> {
        let read = panics::catch_async(self.store.read_log(position, filter, 1)).await;
        let waiting = read.ok()?.ok()?.events.first().map(|oldest| self.clock.now() - oldest.created_at);
        // The clocks of store and application may differ.
        Some(waiting.and_then(|waiting| waiting.to_std().ok()).unwrap_or_default())
    }
}

impl Entry {
    /// The handler as far as it runs on this node, which knows nothing for sure of the rest; `None` when none of it does.
    pub(crate) fn status_here(&self, head: u64) -> Option<HandlerStatus> {
        let parts = self.parts.iter().map(|part| part.status(head));
        let here = parts.filter(|part| part.state != HandlerState::Passive);
        let whole = here.reduce(|one, other| HandlerStatus {
            state: if one.state.trouble() >= other.state.trouble() { one.state } else { other.state },
            position: one.position.min(other.position),
            lag: one.lag.max(other.lag),
            parked: one.parked + other.parked,
            last_error: one.last_error.or(other.last_error),
            name: one.name,
            lag_time: None,
        });
        whole.map(|whole| HandlerStatus { name: self.name.as_ref().to_owned(), ..whole })
    }
}

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::application::Core;
use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::process_manager::command::Pending;
use crate::store::{EventFilter, StoreError};

/// Finds out about commands that were carried out so long ago that the store does not know their outcomes any more, but
/// still has their events: a process manager that was reset sends them again.
#[derive(Debug, Default)]
pub(crate) struct LongAgo {
    /// From which position on nothing is that old, and when that was found out.
    recent: Mutex<Option<(u64, Instant)>>,
}

impl LongAgo {
    /// Whether a command was carried out then. Asked until the store says so.
    pub(crate) async fn has_carried_out(&self, core: &Core, command: &Pending) -> bool {
        // What does not belong to an event has never been sent before a reset.
        if command.is_new || command.started == 0 {
            return false;
        }
        let Some(kept) = core.store.outcome_retention() else { return false };
        let mut backoff = Backoff::new();
        loop {
            match self.look(core, command, kept).await {
                Ok(has_carried_out) => return has_carried_out,
                Err(error) => {
                    tracing::warn!(
                        cqrs.command_id = %command.id,
                        error = error_text(&error),
                        "it cannot be told whether the command was carried out long ago, asking again"
                    );
                    sleep(backoff.pause()).await;
                }
            }
        }
    }

    async fn look(&self, core: &Core, command: &Pending, kept: Duration) -> Result<bool, StoreError> {
        // What an instance sends, it has not sent before it began.
        let began = command.started;
        // What was half as old then is not as old yet.
        let is_recent = |(from, since): (u64, Instant)| began >= from && since.elapsed() < kept / 4;
        if self.recent().is_some_and(is_recent) {
            return Ok(false);
        }
        let first = core.store.read_log(began - 1, &EventFilter::all(), 1).await?;
        let first = first.events.first().filter(|event| event.position == began);
        // The store's time and this one's need not be the same.
        let is_known = |age: chrono::Duration| age.to_std().is_ok_and(|age| age < kept / 2);
        if first.is_some_and(|event| is_known(core.clock.now() - event.created_at)) {
            *self.recent() = Some((began, Instant::now()));
            return Ok(false);
        }
        Ok(core.store.find_message(command.id.into()).await?.is_some())
    }

    fn recent(&self) -> MutexGuard<'_, Option<(u64, Instant)>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

use tokio::time::sleep;

use crate::application::Core;
use crate::backoff::Backoff;
use crate::error_text::error_text;
use crate::process_manager::command::Pending;
use crate::store::{EventFilter, StoreError};

/// Whether a command was carried out so long ago that the store does not know its outcome any more, but still has its
/// events: a process manager that was reset sends it again. Asked until the store says so.
pub(crate) async fn was_carried_out(core: &Core, command: &Pending) -> bool {
    // What does not belong to an event has never been sent before a reset.
    if command.is_new || command.started == 0 {
        return false;
    }
    let mut backoff = Backoff::new();
    loop {
        match look(core, command).await {
            Ok(was_carried_out) => return was_carried_out,
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

async fn look(core: &Core, command: &Pending) -> Result<bool, StoreError> {
    let Some(kept) = core.store.outcome_retention() else { return Ok(false) };
    // What an instance sends, it has not sent before it began.
    let began = core.store.read_log(command.started - 1, &EventFilter::all(), 1).await?;
    let began = began.events.first().filter(|event| event.position == command.started);
    // The store's time and this one's need not be the same.
    let is_known = |age: chrono::Duration| age.to_std().is_ok_and(|age| age < kept / 2);
    if began.is_some_and(|event| is_known(core.clock.now() - event.created_at)) {
        return Ok(false);
    }
    Ok(core.store.find_message(command.id.into()).await?.is_some())
}

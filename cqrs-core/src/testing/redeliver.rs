use std::panic::Location;
use std::sync::Arc;

use tokio::time::timeout;

use crate::application::{Application, Core};
use crate::handler::{Entry, HandlerHandle, ORDER, Order, Part, Role};
use crate::store::{HandlerCommit, StoreError};
use crate::testing::Settle;
use crate::testing::settle::{LIMIT, describe};

/// How many events are read at once.
const PAGE: usize = 500;

/// Waits until the application has settled, has an event handler or a publisher get the last events once more that it
/// has handled, and waits until it has handled them again: a handler that is idempotent leaves the world as it was.
///
/// That is what a crash does between an event and its checkpoint, and what every handler has to bear. In between nothing
/// is cleared: [`before_reset`](crate::handler::EventHandler::before_reset) is not called. Events of parked keys go on
/// waiting. The results of [`once`](crate::event::EventContext::once) are kept only until an event is handled, so that
/// such effects are made again. A handler's [state](crate::handler::EventHandler::State) is what it was: it is written
/// together with the position, so that no crash has an event change it twice.
///
/// Projections and process managers have nothing to prove: what they keep is written together with their position.
///
/// ```no_run
/// # use std::collections::BTreeMap;
/// # async fn example(bank: impl cqrs_core::application::Application, mails: impl Fn() -> Vec<String>) {
/// use cqrs_core::testing::{redeliver_last, settle};
///
/// settle(&bank).await;
/// let sent = mails();
/// redeliver_last(&bank, "welcome-email", 2).await;
/// assert_eq!(mails(), sent, "nobody is welcomed twice");
/// # }
/// ```
///
/// # Panics
/// When that takes longer than 5 s each, the handler fails, is paused, runs on another node or is none, or there is no
/// event that it has handled.
///
/// # Cancel safety
/// When the future is dropped, the events may be delivered again or not.
#[track_caller]
pub fn redeliver_last(
    application: &impl Application,
    handler: &str,
    events: usize,
) -> impl Future<Output = ()> {
    redeliver(application, handler, move |positions| {
        let first = positions.len().saturating_sub(events);
        positions.get(first).copied()
    })
}

/// [`redeliver_last`] for all events from a position of the log on, that one included.
///
/// # Panics
/// As [`redeliver_last`].
///
/// # Cancel safety
/// As [`redeliver_last`].
#[track_caller]
pub fn redeliver_from(
    application: &impl Application,
    handler: &str,
    position: u64,
) -> impl Future<Output = ()> {
    redeliver(application, handler, move |positions| {
        positions.iter().copied().find(|handled| *handled >= position)
    })
}

/// `first` chooses where to begin among the positions of the events that the handler has handled.
#[track_caller]
fn redeliver(
    application: &impl Application,
    handler: &str,
    first: impl FnOnce(&[u64]) -> Option<u64>,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    let (core, name) = (Arc::clone(application.core()), handler.to_owned());
    async move {
        if let Err(error) = Settle::of(Arc::clone(&core), caller).check().await {
            panic!("{caller}: {error}");
        }
        let Some(entry) = core.board.get(&name).filter(|entry| entry.role == Role::Handler) else {
            panic!("{caller}: the application has no event handler or publisher {name:?}");
        };
        let again = timeout(LIMIT, again(&core, &entry, first));
        if let Err(fault) = again.await.unwrap_or(Err(Fault::Unfinished)) {
            let status = entry.status(core.store.head().await.unwrap_or(0));
            panic!("{caller}: {fault}; {}", describe(&[status]));
        }
    }
}

/// Why events did not come again.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("no such event has been handled, so that none comes again")]
    NoEvent,
    #[error("the events were not handled again within {LIMIT:?}")]
    Unfinished,
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

async fn again(
    core: &Core,
    entry: &Arc<Entry>,
    first: impl FnOnce(&[u64]) -> Option<u64>,
) -> Result<(), Fault> {
    let until = entry.position();
    let first = first(&handled(core, entry, until).await?).ok_or(Fault::NoEvent)?;
    let order = Order::Redeliver { after: first - 1 };
    HandlerHandle::new(core, Arc::clone(entry)).write(HandlerCommit::new().put(order.record())).await?;
    for part in &entry.parts {
        followed(core, part, &order).await?;
    }
    entry.reach(until).await.map_err(|()| Fault::Unfinished)
}

/// The positions of the events up to `until` that the handler is interested in.
async fn handled(core: &Core, entry: &Entry, until: u64) -> Result<Vec<u64>, StoreError> {
    let (mut positions, mut after) = (Vec::new(), 0);
    loop {
        let page = core.store.read_log(after, &entry.filter, PAGE).await?;
        positions.extend(page.events.iter().map(|event| event.position).filter(|at| *at <= until));
        if page.read_to <= after || page.read_to >= until {
            return Ok(positions);
        }
        after = page.read_to;
    }
}

/// Waits until a partition has followed an order: that is gone then, and its progress tells.
async fn followed(core: &Core, part: &Part, order: &Order) -> Result<(), StoreError> {
    let mut progress = part.progress.clone();
    loop {
        progress.mark_unchanged();
        let left = core.checkpoints.record(&part.name, ORDER, &order.key()).await?;
        if left.is_none() || progress.changed().await.is_err() {
            return Ok(());
        }
    }
}

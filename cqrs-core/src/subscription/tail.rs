use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::store::{EventFilter, EventStore, StoreError};
use crate::subscription::buffer::{Batch, Buffer};
use crate::subscription::head::head_may_have_moved;
use crate::subscription::{Buffered, Subscriber};
use crate::telemetry;

/// Reads the log once for all handlers of an application instance.
pub(crate) struct Tail {
    application: Arc<str>,
    store: Arc<dyn EventStore>,
    filter: EventFilter,
    page: usize,
    poll: Duration,
    buffer: Mutex<Buffer>,
    subscribers: Vec<Arc<Subscriber>>,
}

impl Tail {
    /// A tail that begins at `head`; what lies before is behind it.
    pub(crate) fn new(
        application: Arc<str>,
        store: Arc<dyn EventStore>,
        subscribers: Vec<Arc<Subscriber>>,
        head: u64,
        page: usize,
        poll: Duration,
        buffer_bytes: usize,
    ) -> Self {
        let filter = union(&subscribers);
        let buffer = Mutex::new(Buffer::new(buffer_bytes, head));
        Self { application, store, filter, page, poll, buffer, subscribers }
    }

    /// What there is behind `position`, as it was read: one stretch of the log.
    pub(crate) fn after(&self, position: u64) -> Buffered {
        self.lock().after(position, 1)
    }

    /// What there is behind `position`, in stretches of about a page: for those to whom many events at once are worth more.
    pub(crate) fn page_after(&self, position: u64) -> Buffered {
        self.lock().after(position, self.page)
    }

    /// Up to where the log has been read.
    pub(crate) fn last(&self) -> u64 {
        self.lock().last()
    }

    /// Reads on until it is stopped. A store that fails is tried again.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        if self.subscribers.is_empty() {
            return;
        }
        let mut head = self.store.watch_head();
        let mut backoff = Backoff::new();
        loop {
            let read = tokio::select! {
                () = stop.cancelled() => return,
                read = self.read_to_end() => read,
            };
            if let Err(error) = read {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the log could not be read, trying again"
                );
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(backoff.pause()) => {}
                }
                continue;
            }
            backoff.reset();
            tokio::select! {
                () = stop.cancelled() => return,
                () = head_may_have_moved(&mut head, self.poll) => {}
            }
        }
    }

    async fn read_to_end(&self) -> Result<(), StoreError> {
        loop {
            let after = self.last();
            let read = self.store.read_log(after, &self.filter, self.page);
            let page = telemetry::tail::observe(&self.application, read).await?;
            if page.read_to <= after {
                return Ok(());
            }
            let batch = Arc::new(Batch::new(after, page.read_to, page.events));
            self.lock().push(Arc::clone(&batch));
            self.subscribers.iter().for_each(|subscriber| subscriber.announce(&batch));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What any of them wants, by its type; more than they want where they ask for streams as well, which each of them
/// decides for itself.
fn union(subscribers: &[Arc<Subscriber>]) -> EventFilter {
    let mut types = HashSet::new();
    for subscriber in subscribers {
        match subscriber.filter.event_types() {
            Some(names) => types.extend(names.map(str::to_owned)),
            None => return EventFilter::all(),
        }
    }
    EventFilter::types(types)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StreamId;

    fn union_of(filters: impl IntoIterator<Item = EventFilter>) -> EventFilter {
        union(&filters.into_iter().map(|filter| Arc::new(Subscriber::new(filter))).collect::<Vec<_>>())
    }

    #[test]
    fn the_union_holds_what_any_wants() {
        let (account, order) = (StreamId::new("account-1").unwrap(), StreamId::new("order-1").unwrap());
        let of_account = EventFilter::types(["Opened"]).stream(account.clone());
        let of_orders = EventFilter::types(["Placed"]).category("order");
        let both = union_of([of_account, of_orders.clone()]);
        for (stream_id, name) in [(&account, "Opened"), (&order, "Placed")] {
            assert!(both.includes(stream_id) && both.accepts(name), "{name}");
        }
        assert!(!both.accepts("Shipped"));
        assert_eq!(union_of([of_orders, EventFilter::all().stream(account)]), EventFilter::all());
        assert!(!union_of([]).accepts("Opened"), "nobody wants anything");
    }
}

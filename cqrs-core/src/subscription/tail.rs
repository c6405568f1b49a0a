use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::store::{EventFilter, EventStore, StoreError};
use crate::subscription::buffer::{Batch, Buffer};
use crate::subscription::head::head_may_have_moved;
use crate::subscription::{Buffered, Subscriber};
use crate::telemetry;

/// Reads the log once for all handlers of an application instance, whenever they come and go.
pub(crate) struct Tail {
    application: Arc<str>,
    store: Arc<dyn EventStore>,
    page: usize,
    poll: Duration,
    window: Mutex<Window>,
    /// Somebody has come.
    came: Notify,
}

/// What is known of the log, and who is told.
struct Window {
    buffer: Buffer,
    buffer_bytes: usize,
    /// What is read of the log. It is made anew whenever somebody comes or goes.
    filter: Arc<EventFilter>,
    subscribers: Arc<[Arc<Subscriber>]>,
}

impl Tail {
    /// A tail that begins at `head`; what lies before is behind it.
    pub(crate) fn new(
        application: Arc<str>,
        store: Arc<dyn EventStore>,
        head: u64,
        page: usize,
        poll: Duration,
        buffer_bytes: usize,
    ) -> Self {
        let window = Window {
            buffer: Buffer::new(buffer_bytes, head),
            buffer_bytes,
            filter: Arc::new(union(&[])),
            subscribers: Arc::default(),
        };
        Self { application, store, page, poll, window: Mutex::new(window), came: Notify::new() }
    }

    /// Tells them of what comes from here on; what lies before is behind the tail for them. `head` is the end of the log,
    /// where it begins anew if it has read for nobody.
    pub(crate) fn join(&self, subscribers: &[Arc<Subscriber>], head: u64) {
        let mut window = self.lock();
        if window.subscribers.is_empty() && head > window.buffer.last() {
            window.buffer = Buffer::new(window.buffer_bytes, head);
        }
        let last = window.buffer.last();
        subscribers.iter().for_each(|subscriber| subscriber.join_at(last));
        window.change(|all| all.extend(subscribers.iter().map(Arc::clone)));
        drop(window);
        self.came.notify_one();
    }

    /// Tells them of nothing any more.
    pub(crate) fn leave(&self, subscribers: &[Arc<Subscriber>]) {
        let stays = |one: &Arc<Subscriber>| !subscribers.iter().any(|other| Arc::ptr_eq(one, other));
        self.lock().change(|all| all.retain(stays));
    }

    /// What there is for `subscriber` behind `position`, as it was read: one stretch of the log.
    pub(crate) fn after(&self, subscriber: &Subscriber, position: u64) -> Buffered {
        self.some_after(subscriber, position, 1)
    }

    /// What there is behind `position`, in stretches of about a page: for those to whom many events at once are worth more.
    pub(crate) fn page_after(&self, subscriber: &Subscriber, position: u64) -> Buffered {
        self.some_after(subscriber, position, self.page)
    }

    fn some_after(&self, subscriber: &Subscriber, position: u64, events: usize) -> Buffered {
        let window = self.lock();
        // What was read before was not read for it.
        if position < subscriber.joined_at() {
            return Buffered::Behind;
        }
        window.buffer.after(position, events)
    }

    /// Up to where the log has been read.
    pub(crate) fn last(&self) -> u64 {
        self.lock().buffer.last()
    }

    /// Reads on until it is stopped, while there is anybody to read for. A store that fails is tried again.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        let mut head = self.store.watch_head();
        let mut backoff = Backoff::new();
        loop {
            if self.lock().subscribers.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.came.notified() => continue,
                }
            }
            let read = tokio::select! {
                () = stop.cancelled() => return,
                read = self.read_to_end(&mut head) => read,
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

    /// Reads to the head that is known, or to where there is nothing more.
    async fn read_to_end(&self, head: &mut watch::Receiver<u64>) -> Result<(), StoreError> {
        loop {
            let (after, filter) = {
                let window = self.lock();
                (window.buffer.last(), Arc::clone(&window.filter))
            };
            let read = self.store.read_log(after, &filter, self.page);
            let page = telemetry::tail::observe(&self.application, read).await?;
            if page.read_to <= after {
                return Ok(());
            }
            let batch = Arc::new(Batch::new(after, page.read_to, page.events));
            let Some(subscribers) = self.push(&batch, &filter) else { continue };
            subscribers.iter().for_each(|subscriber| subscriber.announce(&batch));
            if *head.borrow_and_update() == batch.last {
                // Whatever is written behind it wakes the tail again.
                return Ok(());
            }
        }
    }

    /// Adds a stretch; gives who is to be told. `None` if somebody has come meanwhile, who may want what was not read.
    fn push(&self, batch: &Arc<Batch>, read_with: &Arc<EventFilter>) -> Option<Arc<[Arc<Subscriber>]>> {
        let mut window = self.lock();
        let is_whole = Arc::ptr_eq(read_with, &window.filter);
        is_whole.then(|| {
            window.buffer.push(Arc::clone(batch));
            Arc::clone(&window.subscribers)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn change(&mut self, change: impl FnOnce(&mut Vec<Arc<Subscriber>>)) {
        let mut subscribers = self.subscribers.to_vec();
        change(&mut subscribers);
        self.filter = Arc::new(union(&subscribers));
        self.subscribers = subscribers.into();
    }
}

/// What any of them wants, by its type; more than they want where they ask for streams or a correlation as well, which each
/// of them decides for itself.
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

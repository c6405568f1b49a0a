use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::store::{EventFilter, EventStore, StoreError};
use crate::subscription::buffer::{Batch, Buffer};
use crate::subscription::{Buffered, Subscriber};

/// Reads the log once for all handlers of an application instance.
pub(crate) struct Tail {
    store: Arc<dyn EventStore>,
    filter: EventFilter,
    page: usize,
    poll: Duration,
    buffer: Mutex<Buffer>,
    subscribers: Vec<Arc<Subscriber>>,
}

/// How long the reader waits after the store failed, doubled each time up to [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(5);

impl Tail {
    /// A tail that begins at `head`; what lies before is behind it.
    pub(crate) fn new(
        store: Arc<dyn EventStore>,
        subscribers: Vec<Arc<Subscriber>>,
        head: u64,
        page: usize,
        poll: Duration,
        buffer_bytes: usize,
    ) -> Self {
        let filter = union(&subscribers);
        let buffer = Mutex::new(Buffer::new(buffer_bytes, head));
        Self { store, filter, page, poll, buffer, subscribers }
    }

    /// What there is behind `position`.
    pub(crate) fn after(&self, position: u64) -> Buffered {
        self.lock().after(position)
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
        let mut pause = MIN_PAUSE;
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
                    () = tokio::time::sleep(pause) => {}
                }
                pause = (pause * 2).min(MAX_PAUSE);
                continue;
            }
            pause = MIN_PAUSE;
            // Woken by the store, or looking by itself in case the store did not notice a write by others.
            tokio::select! {
                () = stop.cancelled() => return,
                changed = timeout(self.poll, head.changed()) => {
                    if let Ok(Err(_)) = changed {
                        tokio::select! {
                            () = stop.cancelled() => return,
                            () = tokio::time::sleep(self.poll) => {}
                        }
                    }
                }
            }
        }
    }

    async fn read_to_end(&self) -> Result<(), StoreError> {
        loop {
            let after = self.last();
            let page = self.store.read_log(after, &self.filter, self.page).await?;
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

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::store::{EventFilter, RecordedEvent};
use crate::subscription::buffer::Batch;

/// A reader of the tail, and whether there is anything new for it.
///
/// A reader sleeps until events come that it is interested in. While it sleeps, its place moves on with the
/// others, so that it neither wakes nor falls behind because of events that it does not want.
pub(crate) struct Subscriber {
    pub(crate) filter: EventFilter,
    /// What else it has to be, for a reader that shares the events with others.
    own: Option<Box<IsOwn>>,
    /// From where on the tail has read for it.
    joined_at: AtomicU64,
    rest: Mutex<Rest>,
    wake: Notify,
    moved: Notify,
}

/// Tells whether an event is a reader's own.
type IsOwn = dyn Fn(&RecordedEvent) -> bool + Send + Sync;

struct Rest {
    /// The reader has handled all up to `clear_to` and sleeps.
    asleep: bool,
    /// Something came that it is interested in.
    pending: bool,
    clear_to: u64,
}

impl Subscriber {
    pub(crate) fn new(filter: EventFilter) -> Self {
        let rest = Rest { asleep: false, pending: false, clear_to: 0 };
        let (wake, moved) = (Notify::new(), Notify::new());
        Self { filter, own: None, joined_at: AtomicU64::new(0), rest: Mutex::new(rest), wake, moved }
    }

    /// Leaves out the events that are not its own.
    pub(crate) fn only(self, own: impl Fn(&RecordedEvent) -> bool + Send + Sync + 'static) -> Self {
        Self { own: Some(Box::new(own)), ..self }
    }

    /// Whether the reader is interested in an event.
    pub(crate) fn wants(&self, event: &RecordedEvent) -> bool {
        self.filter.passes(event) && self.own.as_ref().is_none_or(|own| own(event))
    }

    /// The tail reads for it from this position on.
    pub(super) fn join_at(&self, position: u64) {
        self.joined_at.store(position, Ordering::Relaxed);
    }

    pub(super) fn joined_at(&self) -> u64 {
        self.joined_at.load(Ordering::Relaxed)
    }

    /// Tells the reader of a new stretch of the log, which is in the buffer already.
    pub(crate) fn announce(&self, batch: &Batch) {
        let wanted = batch.types.iter().any(|name| self.filter.accepts(name))
            && batch.events.iter().any(|event| self.wants(event));
        let mut rest = self.lock();
        if wanted {
            rest.pending = true;
            drop(rest);
            self.wake.notify_one();
        } else if rest.asleep && !rest.pending && rest.clear_to >= batch.after {
            rest.clear_to = rest.clear_to.max(batch.last);
            drop(rest);
            self.moved.notify_waiters();
        }
    }

    /// Is ready when the place of a sleeping reader has moved on since the call.
    pub(crate) fn moved(&self) -> tokio::sync::futures::Notified<'_> {
        self.moved.notified()
    }

    /// Goes to sleep at `position`, the end of the buffer as far as the reader saw; gives the position up to
    /// which nothing is left to handle when it wakes.
    ///
    /// `end` tells where the buffer ends now. It is asked once the reader counts as asleep: a stretch that
    /// came since the reader looked is either seen here, or announced to a sleeper. Neither order loses it.
    ///
    /// # Cancel safety
    /// Nothing is lost: an announcement is kept until the next call.
    pub(crate) async fn sleep(&self, position: u64, end: impl FnOnce() -> u64) -> u64 {
        {
            let mut rest = self.lock();
            rest.asleep = true;
            rest.clear_to = position;
        }
        if end() > position {
            return self.get_up().unwrap_or(position);
        }
        loop {
            {
                let mut rest = self.lock();
                if rest.pending {
                    rest.pending = false;
                    rest.asleep = false;
                    return rest.clear_to;
                }
            }
            self.wake.notified().await;
        }
    }

    /// Is ready when something came that the reader, which is at work, is interested in. It notices it once more before it
    /// sleeps.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Up to where nothing is left to handle; `None` while the reader is at work.
    pub(crate) fn clear_to(&self) -> Option<u64> {
        let rest = self.lock();
        (rest.asleep && !rest.pending).then_some(rest.clear_to)
    }

    /// The reader was asleep and is not any more, without having been woken.
    pub(crate) fn get_up(&self) -> Option<u64> {
        let mut rest = self.lock();
        let clear_to = rest.asleep.then_some(rest.clear_to);
        rest.asleep = false;
        clear_to
    }

    fn lock(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A stretch of the log without events that anybody wants.
    fn foreign(after: u64, last: u64) -> Batch {
        Batch::new(after, last, Vec::new())
    }

    async fn sleep(subscriber: &Subscriber, position: u64, end: impl FnOnce() -> u64) -> Option<u64> {
        let sleep = subscriber.sleep(position, end);
        tokio::time::timeout(Duration::from_secs(1), sleep).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stretch_that_came_before_the_reader_lay_down_is_seen() {
        let subscriber = Subscriber::new(EventFilter::types(["Wanted"]));
        subscriber.announce(&foreign(5, 8));
        assert_eq!(sleep(&subscriber, 5, || 8).await, Some(5), "it looks again");
        assert_eq!(sleep(&subscriber, 8, || 8).await, None, "it sleeps at the end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stretch_that_comes_while_the_reader_lies_down_is_seen() {
        let subscriber = Subscriber::new(EventFilter::types(["Wanted"]));
        let end = || {
            subscriber.announce(&foreign(5, 8));
            8
        };
        assert_eq!(sleep(&subscriber, 5, end).await, Some(8), "its place has moved along");
    }

    #[tokio::test(start_paused = true)]
    async fn the_place_of_a_sleeper_moves_along() {
        let subscriber = Subscriber::new(EventFilter::types(["Wanted"]));
        assert_eq!(sleep(&subscriber, 5, || 5).await, None);
        subscriber.announce(&foreign(5, 8));
        subscriber.announce(&foreign(8, 9));
        assert_eq!(subscriber.clear_to(), Some(9));
        assert_eq!(subscriber.get_up(), Some(9));
        assert_eq!(subscriber.clear_to(), None, "it is at work");
    }
}

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::backoff::jitter;
use crate::id::NodeId;
use crate::lease::Lease;
use crate::lease::held::Term;
use crate::store::{LeaseStore, StoreError};
use crate::telemetry::lease::LeaseCall;

/// The leases of one application instance.
///
/// Time is measured twice: the store counts from when it hears of a lease, this instance from before it asked.
/// So the instance believes in a lease for a shorter time than the store keeps it, and stops before another
/// node can begin.
pub(crate) struct Leases {
    application: Arc<str>,
    store: Arc<dyn LeaseStore>,
    node: NodeId,
    ttl: Duration,
    retry: Duration,
    book: Mutex<Book>,
    /// Something was taken.
    taken: Notify,
    /// Something was put back into the book.
    returned: Notify,
}

#[derive(Default)]
struct Book {
    held: Vec<Arc<Term>>,
    /// Not held any more, and the store is still to be told.
    returned: Vec<Arc<Term>>,
}

impl Leases {
    pub(crate) fn new(
        application: Arc<str>,
        store: Arc<dyn LeaseStore>,
        ttl: Duration,
        retry: Duration,
    ) -> Arc<Self> {
        let (book, taken, returned) = (Mutex::default(), Notify::new(), Notify::new());
        Arc::new(Self { application, store, node: NodeId::new(), ttl, retry, book, taken, returned })
    }

    /// Takes a lease; `None` while another node has it.
    ///
    /// # Cancel safety
    /// When the future is dropped, the lease may be taken all the same, and is then free when its time is up
    /// or when it is asked for again.
    pub(crate) async fn acquire(self: &Arc<Self>, name: &Arc<str>) -> Result<Option<Lease>, StoreError> {
        let until = Instant::now() + self.ttl;
        let acquired = answered(self.ttl, self.store.acquire_lease(name, self.node, self.ttl));
        let acquired = LeaseCall::Acquire(name).observe(&self.application, acquired);
        let Some(epoch) = acquired.await? else {
            return Ok(None);
        };
        let term = Arc::new(Term::new(Arc::clone(name), epoch, until));
        self.lock().held.push(Arc::clone(&term));
        self.taken.notify_one();
        Ok(Some(Lease::new(term, Arc::clone(self))))
    }

    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    pub(crate) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Changes when any lease was given back.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.store.watch_leases()
    }

    /// Has the owners on all nodes look what they are told.
    pub(crate) async fn call_owners(&self) -> Result<(), StoreError> {
        self.store.call_owners().await
    }

    /// How long to wait before a lease that another node has is asked for again; a bit different each time, so
    /// that nodes do not ask all at once.
    pub(crate) fn pause(&self) -> Duration {
        jitter(self.retry)
    }

    /// Renews what is held and gives back what was dropped. When it is told to stop, it goes on until nothing
    /// is held any more: a handler that finishes its event is its owner still.
    pub(crate) async fn run(&self, stop: CancellationToken) {
        tokio::select! {
            never = self.renew_for_ever() => match never {},
            () = self.give_back_all(&stop) => {}
        }
    }

    async fn renew_for_ever(&self) -> std::convert::Infallible {
        let period = self.ttl / 3;
        let mut pause = period;
        loop {
            while self.lock().held.is_empty() {
                self.taken.notified().await;
            }
            sleep(pause).await;
            pause = match answered(period, self.renew()).await {
                Ok(()) => period,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "leases could not be renewed, trying again"
                    );
                    self.pause().min(period)
                }
            };
        }
    }

    async fn renew(&self) -> Result<(), StoreError> {
        // What is taken while the store is at work need not be in its answer.
        let terms = self.lock().held.clone();
        if terms.is_empty() {
            return Ok(());
        }
        let until = Instant::now() + self.ttl;
        let renewed = self.store.renew_leases(self.node, self.ttl);
        let renewed = LeaseCall::Renew.observe(&self.application, renewed).await?;
        let renewed: HashSet<_> = renewed.iter().map(|lease| (lease.name.as_str(), lease.epoch)).collect();
        for term in terms {
            match renewed.contains(&(&*term.name, term.epoch)) {
                true => term.prolong(until),
                false => term.fence(),
            }
        }
        Ok(())
    }

    async fn give_back_all(&self, stop: &CancellationToken) {
        loop {
            let failed = self.release_returned().await;
            let is_over = {
                let book = self.lock();
                book.held.is_empty() && book.returned.len() == failed
            };
            if stop.is_cancelled() && is_over {
                // What could not be given back runs out by itself.
                return;
            }
            tokio::select! {
                () = self.returned.notified() => {}
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                () = sleep(self.pause()), if failed > 0 => {}
            }
        }
    }

    /// Tells the store what was dropped. What it does not hear is kept for the next time, or it would be renewed
    /// with the others; gives how much that is.
    async fn release_returned(&self) -> usize {
        let returned = std::mem::take(&mut self.lock().returned);
        let released = join_all(returned.into_iter().map(|term| async move {
            let released = answered(self.ttl / 3, self.store.release_lease(&term.name, term.epoch));
            let released = LeaseCall::Release(&term.name).observe(&self.application, released).await;
            let Err(error) = released else {
                return None;
            };
            tracing::warn!(
                cqrs.handler = &*term.name,
                error = &error as &dyn std::error::Error,
                "a lease could not be given back"
            );
            Some(term)
        }));
        let failed: Vec<_> = released.await.into_iter().flatten().collect();
        let count = failed.len();
        self.lock().returned.extend(failed);
        count
    }

    pub(crate) fn give_back(&self, term: &Arc<Term>) {
        let mut book = self.lock();
        book.held.retain(|held| !Arc::ptr_eq(held, term));
        book.returned.push(Arc::clone(term));
        drop(book);
        self.returned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the store answers, which it must do within the limit.
async fn answered<T>(
    limit: Duration,
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let Ok(answer) = timeout(limit, call).await else {
        return Err(StoreError::Unavailable(format!("no answer within {limit:?}").into()));
    };
    answer
}

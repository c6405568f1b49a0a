//! How often an event is read when many handlers follow the log: once for all of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cqrs::postgres::{PostgresStore, Schema};

use crate::domain;
use crate::ours::counted::{Counted, Reads};
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Banking, Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::rehydrate::{Counter, Seen};

const HANDLERS: usize = 100;
const ACCOUNTS: usize = 1_000;

/// How long the handlers may take for what a slice has written.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
struct Followed {
    bank: domain::Bank,
    store: PostgresStore,
    reads: Reads,
    /// The events that handlers were given, all handlers taken together.
    handled: Seen,
}

pub(super) struct TailReads {
    followed: Followed,
    banking: Banking<domain::Bank>,
    stored: AtomicUsize,
}

impl TailReads {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let followed = Followed::set_up(course.database()).await?;
        let banking = Banking::open(followed.bank.clone(), ACCOUNTS, Metric::TailReads).await?;
        followed.until_handled(ACCOUNTS).await?;
        Ok(Ready::of(followed.clone(), Self { followed, banking, stored: AtomicUsize::new(ACCOUNTS) }))
    }
}

#[async_trait]
impl Contender for TailReads {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let before = self.followed.reads.events();
        let written = slice.run(&self.banking).await?.acknowledged;
        let stored = self.stored.fetch_add(written, Ordering::Relaxed) + written;
        self.followed.until_handled(stored).await?;
        let read = self.followed.reads.events() - before;
        Ok(vec![Value::new(Metric::TailReads, proportion(read, written), "reads/event")])
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

impl Followed {
    /// Waits until every handler has been given every event.
    async fn until_handled(&self, stored: usize) -> Result<(), BoxError> {
        let began = Instant::now();
        while self.handled.count() < stored * HANDLERS {
            if began.elapsed() > PATIENCE {
                return Err(format!("handlers have missed some of {stored} events").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }
}

impl OnPostgres for Followed {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        let (reads, handled) = (Reads::default(), Seen::missing(usize::MAX));
        let counted = Counted::new(store.clone(), reads.clone());
        let handlers = (0..HANDLERS).map(|handler| format!("counter-{handler}"));
        let builder = handlers.fold(domain::Bank::builder(counted), |builder, handler| {
            builder.event_handler_as(&handler, Counter::of(&handled))
        });
        Ok(Self { bank: builder.start().await?, store, reads, handled })
    }

    async fn close(self) {
        self.bank.shutdown().await;
        self.store.pool().close().await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn proportion(read: usize, written: usize) -> f64 {
    read as f64 / written as f64
}

//! The bank as it is read: an application that is started with a handler.

use cqrs::postgres::{PostgresStore, Schema};

use crate::domain;
use crate::ours::fill::fill;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::point::BoxError;
use crate::postgres::{CatchUp, Database, Fill, OnPostgres};
use crate::rehydrate::{Counter, Seen};

#[derive(Clone, Debug)]
pub(super) struct Reader {
    store: PostgresStore,
}

impl OnPostgres for Reader {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        Ok(Self { store: log::open(database, Schema::default()).await? })
    }

    async fn close(self) {
        self.store.pool().close().await;
    }
}

impl Fill for Reader {
    async fn fill(&self, account_id: String, deposits: usize) -> Result<(), BoxError> {
        fill(&self.store, account_id, deposits).await
    }
}

impl CatchUp for Reader {
    async fn catch_up(&self, handler: String, events: usize) -> Result<(), BoxError> {
        let seen = Seen::missing(events);
        let counter = Counter::of(&seen);
        let bank = domain::Bank::builder(self.store.clone()).event_handler_as(&handler, counter);
        let bank = bank.start().await?;
        seen.all().await;
        bank.shutdown().await;
        Ok(())
    }
}

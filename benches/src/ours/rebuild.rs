//! How fast rows are made anew beside those that readers see, and what that costs those who append meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use cqrs::postgres::{PostgresRows, PostgresStore, Schema};
use cqrs::projection::ProjectionHandle;
use cqrs::store::EventStore as _;
use tokio::time::timeout;

use crate::domain;
use crate::ours::balances::{Batched, by_hand, check_names, rows};
use crate::ours::fill::fill;
use crate::ours::log::{self, COUNT, FAULTS};
use crate::ours::projection::PATIENCE;
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Banking, Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::workload::per_second;

/// How many events an account has at first.
const EACH: usize = 1_000;

/// How many accounts are paid into meanwhile.
const ACCOUNTS: usize = 1_000;

#[derive(Clone)]
struct Rebuilt {
    store: PostgresStore,
    rows: PostgresRows,
    bank: domain::Bank,
}

pub(super) struct Rebuilds {
    rebuilt: Rebuilt,
    banking: Banking<domain::Bank>,
    stored: AtomicUsize,
}

impl Rebuilds {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        check_names()?;
        let events = course.effort().pick(100_000, 1_000_000);
        let rebuilt = Rebuilt::set_up(course.database()).await?;
        for account in 0..events / EACH {
            fill(&rebuilt.store, format!("filled_{account}"), EACH - 1).await?;
        }
        let banking = Banking::open(rebuilt.bank.clone(), ACCOUNTS, Metric::Rebuild).await?;
        let stored = AtomicUsize::new(events + ACCOUNTS);
        Ok(Ready::of(rebuilt.clone(), Self { rebuilt, banking, stored }))
    }

    fn stored(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Contender for Rebuilds {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let Rebuilt { store, rows, bank } = &self.rebuilt;
        let stored = self.stored();
        let began = Instant::now();
        by_hand(store, rows.pool(), &format!("by_hand_{}", slice.number), stored as u64).await?;
        let hand = per_second(stored, began.elapsed());

        let balances = bank.projection::<Batched>().ok_or("the projection is there")?;
        balances.at_least(store.head().await?, PATIENCE).await?;
        // Nobody appends.
        let began = Instant::now();
        rebuild(&balances).await?;
        let alone = per_second(stored, began.elapsed());

        // Dispatches without a rebuild, and with rebuilds all the time.
        let quiet = slice.run(&self.banking).await?;
        self.stored.fetch_add(quiet.acknowledged, Ordering::Relaxed);
        balances.at_least(store.head().await?, PATIENCE).await?;
        let busy = tokio::select! {
            busy = slice.run(&self.banking) => busy?,
            error = rebuild_for_ever(&balances) => return Err(error),
        };
        self.stored.fetch_add(busy.acknowledged, Ordering::Relaxed);
        if let Some(unfinished) = balances.building().await? {
            timeout(PATIENCE, unfinished.switched()).await??;
        }
        let (quiet, busy) = (per_second(quiet.events, slice.length), per_second(busy.events, slice.length));
        Ok(vec![
            Value::new(Metric::Rebuild, alone, "events/s"),
            Value::new("rebuild-by-hand", hand, "events/s"),
            Value::new("rebuild-to-hand", alone / hand, "x"),
            Value::new("rebuild-dispatches-before", quiet, "events/s"),
            Value::new("rebuild-dispatches-during", busy, "events/s"),
            Value::new("rebuild-dispatches-kept", busy / quiet, "x"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.stored()
    }
}

/// Makes the rows anew, and drops the old ones.
pub(super) async fn rebuild(balances: &ProjectionHandle<'_>) -> Result<(), BoxError> {
    let rebuild = balances.rebuild().await?;
    timeout(PATIENCE, rebuild.switched()).await??;
    for kept in balances.generations().await? {
        if kept.number != rebuild.generation() {
            balances.discard(kept.number).await?;
        }
    }
    Ok(())
}

/// Makes the rows anew again and again; gives what was in the way.
async fn rebuild_for_ever(balances: &ProjectionHandle<'_>) -> BoxError {
    loop {
        if let Err(error) = rebuild(balances).await {
            return error;
        }
    }
}

impl OnPostgres for Rebuilt {
    const COUNT: &'static str = COUNT;
    const FAULTS: Option<&'static str> = Some(FAULTS);

    async fn set_up(database: &Database) -> Result<Self, BoxError> {
        let store = log::open(database, Schema::default()).await?;
        let rows = rows(database).await?;
        let bank = domain::Bank::builder(store.clone()).projection(Batched(rows.clone())).start().await?;
        Ok(Self { store, rows, bank })
    }

    async fn close(self) {
        self.bank.shutdown().await;
        self.rows.pool().close().await;
        self.store.pool().close().await;
    }
}

//! What an append costs when the log is long: the rate at a million stored events against that at ten thousand.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use cqrs::postgres::PostgresStore;
use tokio::task::JoinSet;

use crate::ours::append::{Appends, Jsonb};
use crate::ours::log;
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Call, Calls as _, Contender, Course, Database, OnPostgres as _, Ready, Slice};
use crate::workload::per_second;

const SHORT: usize = 10_000;

/// The slice whose streams hold what was there before.
const FILLING: usize = usize::MAX;

pub(super) struct FlatCost {
    database: Database,
    long: Appends,
    stored: AtomicUsize,
}

impl FlatCost {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let events = course.effort().pick(200_000, 1_000_000);
        let long = Appends::<Jsonb>::set_up(course.database()).await?;
        fill(&long, events).await?;
        let database = course.database().clone();
        Ok(Ready::of(long.clone(), Self { database, long, stored: AtomicUsize::new(events) }))
    }

    /// A short log, a new one for each slice, since it grows in no time.
    async fn short(&self, slice: Slice) -> Result<PostgresStore, BoxError> {
        let store = log::open(&self.database, format!("short_{}", slice.number).into()).await?;
        fill(&Appends::<Jsonb>::to(store.clone())?, SHORT).await?;
        self.database.analyze().await?;
        Ok(store)
    }
}

#[async_trait]
impl Contender for FlatCost {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let store = self.short(slice).await?;
        let short = Appends::<Jsonb>::to(store.clone())?;
        let at_short = slice.run(&short).await?;
        let at_long = slice.run(&self.long).await?;
        self.stored.fetch_add(at_long.acknowledged, Ordering::Relaxed);
        drop(short);
        store.pool().drop_schema(store.schema().clone()).await?;
        store.pool().close().await;
        let (short, long) =
            (per_second(at_short.events, slice.length), per_second(at_long.events, slice.length));
        Ok(vec![
            Value::new(Metric::FlatCost, long / short, "x"),
            Value::new("flat-cost-short", short, "events/s"),
            Value::new("flat-cost-long", long, "events/s"),
        ])
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

/// Fills a log the way it fills in use: events one by one, in streams of ten.
async fn fill(appends: &Appends, events: usize) -> Result<(), BoxError> {
    const CALLERS: usize = 250;
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let appends = appends.clone();
        callers.spawn(async move {
            for turn in 0..events / CALLERS {
                appends.call(Call { slice: FILLING, caller, callers: CALLERS, turn }).await?;
            }
            Ok::<(), BoxError>(())
        });
    }
    while let Some(filled) = callers.join_next().await {
        filled??;
    }
    Ok(())
}

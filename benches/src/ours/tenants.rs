//! Many applications in one process, each on a schema of its own, all on one pool of connections.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use cqrs::postgres::{PostgresConfig, PostgresPool};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use url::Url;

use crate::child;
use crate::domain::Bank;
use crate::footprint::{each, resident_bytes};
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Contender, Course, Database, OnPostgres, Ready, Slice};
use crate::rehydrate::{Counter, Seen};

/// How many tenants start at a time.
const AT_A_TIME: usize = 16;

/// The tenants are in processes of their own.
#[derive(Clone, Copy, Debug)]
struct Elsewhere;

impl OnPostgres for Elsewhere {
    const COUNT: &'static str = "SELECT 0::bigint";

    async fn set_up(_database: &Database) -> Result<Self, BoxError> {
        Ok(Self)
    }
}

pub(super) struct Tenants {
    database: Database,
    tenants: usize,
}

impl Tenants {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let (database, tenants) = (course.database().clone(), course.effort().pick(50, 500));
        Ok(Ready::of(Elsewhere, Self { database, tenants }))
    }

    async fn start(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let arguments = [slice.number.to_string(), self.tenants.to_string()];
        child::run_role("tenants", self.database.url(), &arguments).await
    }
}

#[async_trait]
impl Contender for Tenants {
    /// The first process creates the schemas, the second finds them.
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let created = self.start(slice).await?.into_iter().find(|value| value.metric == STARTED);
        let created = created.ok_or("the process has not told how long it took")?;
        let mut values = self.start(slice).await?;
        values.push(Value::new("tenants-create", created.value, "s"));
        Ok(values)
    }

    fn acknowledged(&self) -> usize {
        0
    }
}

const STARTED: &str = "tenants-start";

/// The child's side. The pool has 32 connections in all, with those for user code and the one that listens.
pub(super) async fn measure(url: &Url, slice: usize, tenants: usize) -> Result<Vec<Value>, BoxError> {
    let config = PostgresConfig::new(url.as_str()).connections(24).user_connections(7);
    let pool = PostgresPool::connect(config).await?;
    let before = resident_bytes()?;
    let started = Instant::now();
    let banks = start(&pool, slice, tenants).await?;
    let took = started.elapsed();
    let after = resident_bytes()?;
    let mut ending: JoinSet<_> = banks.into_iter().map(|bank| async move { bank.shutdown().await }).collect();
    while ending.join_next().await.is_some() {}
    pool.close().await;
    Ok(vec![
        Value::new(STARTED, took.as_secs_f64(), "s"),
        Value::new(Metric::Tenants, each(after - before, tenants), "bytes"),
    ])
}

async fn start(pool: &PostgresPool, slice: usize, tenants: usize) -> Result<Vec<Bank>, BoxError> {
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    let mut starting = JoinSet::new();
    for tenant in 0..tenants {
        let (pool, turns) = (pool.clone(), Arc::clone(&turns));
        starting.spawn(async move {
            let _turn = turns.acquire().await?;
            let name = format!("tenant_{slice}_{tenant}");
            let counter = Counter::of(&Seen::missing(usize::MAX));
            let store = pool.store(name.as_str()).await?;
            let bank = Bank::builder(store).name(name).event_handler_as("counter", counter).start().await?;
            Ok::<_, BoxError>(bank)
        });
    }
    let mut banks = Vec::with_capacity(tenants);
    while let Some(bank) = starting.join_next().await {
        banks.push(bank??);
    }
    Ok(banks)
}

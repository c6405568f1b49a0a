//! A tenant: an instance of the application, on a schema of its own, on connections that all share.

use cqrs::BoxError;
use cqrs::postgres::PostgresPool;
use cqrs::prelude::*;
use tokio::task::JoinSet;

use crate::warehouse::{Article, ReceivePieces, Tally, Warehouse};

/// Starting takes a connection; more starts at once than connections would only wait.
const STARTS_AT_ONCE: usize = 8;

pub struct Tenant {
    pub name: String,
    pub warehouse: Warehouse,
    pub tally: Tally,
}

/// The name of a tenant, of its instance and of its schema.
pub fn name(number: usize) -> String {
    format!("example_tenant_{number:03}")
}

impl Tenant {
    pub async fn start(pool: PostgresPool, name: String) -> Result<Self, BoxError> {
        let store = pool.store(&name).await?;
        let tally = Tally::default();
        let warehouse = Warehouse::builder(store).name(&name).event_handler(tally.clone()).start().await?;
        Ok(Self { name, warehouse, tally })
    }

    /// Starts the tenants 1 to `count`, a few at a time.
    pub async fn start_all(pool: &PostgresPool, count: usize) -> Result<Vec<Self>, BoxError> {
        let mut starting = JoinSet::new();
        let mut tenants = Vec::new();
        for number in 1..=count {
            if starting.len() == STARTS_AT_ONCE
                && let Some(started) = starting.join_next().await
            {
                tenants.push(started??);
            }
            starting.spawn(Self::start(pool.clone(), name(number)));
        }
        while let Some(started) = starting.join_next().await {
            tenants.push(started??);
        }
        tenants.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(tenants)
    }

    /// Every tenant has teapots: the same aggregate id in each.
    pub async fn receive(&self, pieces: u64) -> Result<Dispatched<Article>, BoxError> {
        let command = ReceivePieces { article: "teapot".to_owned(), pieces };
        Ok(self.warehouse.dispatch(command).consistency(Strong).await?)
    }
}

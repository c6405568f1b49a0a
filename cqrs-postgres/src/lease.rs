use std::time::Duration;

use async_trait::async_trait;
use cqrs_core::id::NodeId;
use cqrs_core::store::{HeldLease, LeaseStore, StoreError};
use sqlx::Row as _;
use tokio::sync::watch;

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::{signed, unsigned};

#[async_trait]
impl LeaseStore for PostgresStore {
    async fn acquire_lease(
        &self,
        name: &str,
        owner: NodeId,
        ttl: Duration,
    ) -> Result<Option<u64>, StoreError> {
        self.ask_one(
            &self.shared.statements.acquire_lease,
            |query| query.bind(name.to_owned()).bind(owner.as_uuid()).bind(seconds(ttl)),
            |row| row.try_get(0).map(unsigned),
        )
        .await
    }

    async fn renew_leases(&self, owner: NodeId, ttl: Duration) -> Result<Vec<HeldLease>, StoreError> {
        self.ask(
            &self.shared.statements.renew_leases,
            |query| query.bind(owner.as_uuid()).bind(seconds(ttl)),
            |held: &mut Vec<HeldLease>, row| {
                let name = row.try_get(0).map_err(store_error)?;
                held.push(HeldLease { name, epoch: unsigned(row.try_get(1).map_err(store_error)?) });
                Ok(false)
            },
        )
        .await
    }

    async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), StoreError> {
        let released = self
            .ask_one(
                &self.shared.statements.release_lease,
                |query| query.bind(name.to_owned()).bind(signed(epoch)),
                |_| Ok(()),
            )
            .await?;
        match released {
            Some(()) => self.call_owners().await,
            None => Ok(()),
        }
    }

    async fn call_owners(&self) -> Result<(), StoreError> {
        self.shared.head.lease_released();
        self.shared.pool.announcer().lease_released(&self.shared.channel);
        Ok(())
    }

    fn watch_leases(&self) -> watch::Receiver<u64> {
        self.watch_released_leases()
    }
}

/// A time to live as the database takes it. One beyond its calendar is as good as a century.
fn seconds(ttl: Duration) -> f64 {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 24 * 60 * 60);
    ttl.min(CENTURY).as_secs_f64()
}

/// Implements traits of the store port for a wrapper by handing everything on to the store in one of its fields:
/// `SnapshotStore`, `CheckpointStore`, `LeaseStore`. What the wrapper is about it implements by hand.
///
/// ```
/// use cqrs_core::store::Store;
/// use std::sync::Arc;
///
/// #[derive(Debug)]
/// struct Slow {
///     store: Arc<dyn Store>,
/// }
///
/// cqrs_core::delegate_to_store!(Slow.store: SnapshotStore, CheckpointStore, LeaseStore);
/// ```
#[macro_export]
macro_rules! delegate_to_store {
    ($wrapper:ident.$inner:ident: $($port:ident),+ $(,)?) => {
        $($crate::delegate_to_store!(@ $port, $wrapper, $inner);)+
    };
    (@ SnapshotStore, $wrapper:ty, $inner:ident) => {
        #[$crate::testing::async_trait]
        impl $crate::store::SnapshotStore for $wrapper {
            async fn save_snapshot(
                &self,
                snapshot: $crate::store::Snapshot,
            ) -> Result<(), $crate::store::StoreError> {
                self.$inner.save_snapshot(snapshot).await
            }

            async fn latest_snapshot(
                &self,
                stream_id: &$crate::store::StreamId,
            ) -> Result<Option<$crate::store::Snapshot>, $crate::store::StoreError> {
                self.$inner.latest_snapshot(stream_id).await
            }

            async fn delete_snapshot(
                &self,
                stream_id: &$crate::store::StreamId,
            ) -> Result<(), $crate::store::StoreError> {
                self.$inner.delete_snapshot(stream_id).await
            }
        }
    };
    (@ CheckpointStore, $wrapper:ty, $inner:ident) => {
        #[$crate::testing::async_trait]
        impl $crate::store::CheckpointStore for $wrapper {
            async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, $crate::store::StoreError> {
                self.$inner.checkpoint(handler).await
            }

            async fn save_checkpoint(
                &self,
                handler: &str,
                position: u64,
                epoch: u64,
            ) -> Result<(), $crate::store::CheckpointError> {
                self.$inner.save_checkpoint(handler, position, epoch).await
            }

            async fn delete_checkpoint(&self, handler: &str) -> Result<(), $crate::store::StoreError> {
                self.$inner.delete_checkpoint(handler).await
            }

            async fn commit(
                &self,
                handler: &str,
                epoch: u64,
                commit: $crate::store::HandlerCommit,
            ) -> Result<(), $crate::store::CheckpointError> {
                self.$inner.commit(handler, epoch, commit).await
            }

            async fn change_records(
                &self,
                handler: &str,
                commit: $crate::store::HandlerCommit,
            ) -> Result<(), $crate::store::CheckpointError> {
                self.$inner.change_records(handler, commit).await
            }

            async fn records_of(
                &self,
                handler: &str,
                kind: &str,
                keys: &[String],
            ) -> Result<Vec<$crate::store::HandlerRecord>, $crate::store::StoreError> {
                self.$inner.records_of(handler, kind, keys).await
            }

            async fn records(
                &self,
                handler: &str,
                kind: &str,
                after: Option<&str>,
                limit: usize,
            ) -> Result<Vec<$crate::store::HandlerRecord>, $crate::store::StoreError> {
                self.$inner.records(handler, kind, after, limit).await
            }

            async fn due_records(
                &self,
                handler: &str,
                kind: &str,
                at: $crate::testing::DateTime<$crate::testing::Utc>,
                limit: usize,
            ) -> Result<Vec<$crate::store::HandlerRecord>, $crate::store::StoreError> {
                self.$inner.due_records(handler, kind, at, limit).await
            }
        }
    };
    (@ LeaseStore, $wrapper:ty, $inner:ident) => {
        #[$crate::testing::async_trait]
        impl $crate::store::LeaseStore for $wrapper {
            async fn acquire_lease(
                &self,
                name: &str,
                owner: $crate::id::NodeId,
                ttl: std::time::Duration,
            ) -> Result<Option<u64>, $crate::store::StoreError> {
                self.$inner.acquire_lease(name, owner, ttl).await
            }

            async fn renew_leases(
                &self,
                owner: $crate::id::NodeId,
                ttl: std::time::Duration,
            ) -> Result<Vec<$crate::store::HeldLease>, $crate::store::StoreError> {
                self.$inner.renew_leases(owner, ttl).await
            }

            async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), $crate::store::StoreError> {
                self.$inner.release_lease(name, epoch).await
            }

            async fn call_owners(&self) -> Result<(), $crate::store::StoreError> {
                self.$inner.call_owners().await
            }

            fn watch_leases(&self) -> $crate::testing::Receiver<u64> {
                self.$inner.watch_leases()
            }
        }
    };
}

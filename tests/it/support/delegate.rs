/// Implements traits of the store port for a wrapper by handing everything on to its field `inner`.
macro_rules! delegate_to_inner {
    ($wrapper:ty: $($port:ident),+ $(,)?) => {
        $($crate::support::delegate::delegate_to_inner!(@ $port, $wrapper);)+
    };
    (@ SnapshotStore, $wrapper:ty) => {
        #[async_trait::async_trait]
        impl cqrs::store::SnapshotStore for $wrapper {
            async fn save_snapshot(
                &self,
                snapshot: cqrs::store::Snapshot,
            ) -> Result<(), cqrs::store::StoreError> {
                self.inner.save_snapshot(snapshot).await
            }

            async fn latest_snapshot(
                &self,
                stream_id: &cqrs::store::StreamId,
            ) -> Result<Option<cqrs::store::Snapshot>, cqrs::store::StoreError> {
                self.inner.latest_snapshot(stream_id).await
            }

            async fn delete_snapshot(
                &self,
                stream_id: &cqrs::store::StreamId,
            ) -> Result<(), cqrs::store::StoreError> {
                self.inner.delete_snapshot(stream_id).await
            }
        }
    };
    (@ CheckpointStore, $wrapper:ty) => {
        #[async_trait::async_trait]
        impl cqrs::store::CheckpointStore for $wrapper {
            async fn checkpoint(&self, handler: &str) -> Result<Option<u64>, cqrs::store::StoreError> {
                self.inner.checkpoint(handler).await
            }

            async fn save_checkpoint(
                &self,
                handler: &str,
                position: u64,
                epoch: u64,
            ) -> Result<(), cqrs::store::CheckpointError> {
                self.inner.save_checkpoint(handler, position, epoch).await
            }

            async fn delete_checkpoint(&self, handler: &str) -> Result<(), cqrs::store::StoreError> {
                self.inner.delete_checkpoint(handler).await
            }
        }
    };
    (@ LeaseStore, $wrapper:ty) => {
        #[async_trait::async_trait]
        impl cqrs::store::LeaseStore for $wrapper {
            async fn acquire_lease(
                &self,
                name: &str,
                owner: cqrs::id::NodeId,
                ttl: std::time::Duration,
            ) -> Result<Option<u64>, cqrs::store::StoreError> {
                self.inner.acquire_lease(name, owner, ttl).await
            }

            async fn renew_leases(
                &self,
                owner: cqrs::id::NodeId,
                ttl: std::time::Duration,
            ) -> Result<Vec<cqrs::store::HeldLease>, cqrs::store::StoreError> {
                self.inner.renew_leases(owner, ttl).await
            }

            async fn release_lease(&self, name: &str, epoch: u64) -> Result<(), cqrs::store::StoreError> {
                self.inner.release_lease(name, epoch).await
            }

            fn watch_leases(&self) -> tokio::sync::watch::Receiver<u64> {
                self.inner.watch_leases()
            }
        }
    };
}

pub(crate) use delegate_to_inner;

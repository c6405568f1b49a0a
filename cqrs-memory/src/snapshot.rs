use async_trait::async_trait;
use cqrs_core::store::{Snapshot, SnapshotStore, StoreError, StreamId};

use crate::MemoryStore;

#[async_trait]
impl SnapshotStore for MemoryStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        let mut contents = self.lock();
        let kept = contents.snapshots.get(&snapshot.stream_id);
        if kept.is_none_or(|kept| gives_way(kept, &snapshot)) {
            contents.snapshots.insert(snapshot.stream_id.clone(), snapshot);
        }
        Ok(())
    }

    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.lock().snapshots.get(stream_id).cloned())
    }

    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError> {
        self.lock().snapshots.remove(stream_id);
        Ok(())
    }
}

/// Whether a snapshot is replaced by another one: a later one of the same schema version stays.
fn gives_way(kept: &Snapshot, new: &Snapshot) -> bool {
    kept.schema_version != new.schema_version || kept.version <= new.version
}

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::store::{StoreError, StreamId};

/// The state of an aggregate at a version: a cache, which may be lost or ignored at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The aggregate's stream.
    pub stream_id: StreamId,
    /// The version of the stream that the state stands for.
    pub version: u64,
    /// The name of the state's type.
    pub state_type: String,
    /// The schema version of the state's type.
    pub schema_version: u32,
    /// The state, JSON.
    pub data: Bytes,
    /// When it was taken.
    pub created_at: DateTime<Utc>,
}

/// The state of a state-stored aggregate: the truth, not a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredState {
    /// How many events led to it.
    pub version: u64,
    /// The schema version of the state's type.
    pub schema_version: u32,
    /// The state, JSON.
    pub data: Bytes,
}

/// Keeps the latest snapshot of each stream.
#[async_trait]
pub trait SnapshotStore: fmt::Debug + Send + Sync + 'static {
    /// Keeps `snapshot` in place of the one there is, unless that has a later version and the same schema
    /// version. The stream need not exist in this store.
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError>;

    /// The latest snapshot of a stream.
    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Forgets the snapshot of a stream; there need not be one.
    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError>;
}

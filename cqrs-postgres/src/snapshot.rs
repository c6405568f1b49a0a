use async_trait::async_trait;
use bytes::Bytes;
use cqrs_core::store::{Snapshot, SnapshotStore, StoreError, StreamId};
use sqlx::Row as _;

use crate::PostgresStore;
use crate::event_store::schema_version;
use crate::payload::Stored;
use crate::rows::{Time, signed, unsigned};

#[async_trait]
impl SnapshotStore for PostgresStore {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.ask_one(
            &self.shared.statements.save_snapshot,
            |query| {
                query
                    .bind(snapshot.stream_id.as_str().to_owned())
                    .bind(signed(snapshot.version))
                    .bind(i64::from(snapshot.schema_version))
                    .bind(snapshot.created_at)
                    .bind(snapshot.state_type.clone())
                    .bind(snapshot.data.to_vec())
            },
            |_| Ok(()),
        )
        .await
        .map(drop)
    }

    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.ask_one(
            &self.shared.statements.latest_snapshot,
            |query| query.bind(stream_id.as_str().to_owned()),
            |row| {
                Ok(Snapshot {
                    stream_id: stream_id.clone(),
                    version: unsigned(row.try_get(0)?),
                    schema_version: schema_version(row.try_get(1)?)?,
                    created_at: row.try_get::<Time, _>(2)?.0,
                    state_type: row.try_get(3)?,
                    data: Bytes::copy_from_slice(row.try_get::<Stored<'_>, _>(4)?.0),
                })
            },
        )
        .await
    }

    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError> {
        let name = stream_id.as_str().to_owned();
        let sql = &self.shared.statements.delete_snapshot;
        self.ask_one(sql, |query| query.bind(name.clone()), |_| Ok(())).await.map(drop)
    }
}

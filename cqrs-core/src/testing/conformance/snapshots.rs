//! Snapshots: the latest of each stream.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};

use super::fixture::{Calls as _, stream};
use crate::store::{Snapshot, Store, StreamId};

fn snapshot(stream_id: &StreamId, version: u64, schema_version: u32) -> Snapshot {
    Snapshot {
        stream_id: stream_id.clone(),
        version,
        state_type: "Account".to_owned(),
        schema_version,
        data: Bytes::from(format!("{{ \"version\": {version}, \"name\": \"Zoë\" }}")),
        created_at: DateTime::<Utc>::UNIX_EPOCH + TimeDelta::microseconds(1_700_000_000_123_456),
    }
}

async fn save(store: &Arc<dyn Store>, snapshot: &Snapshot) {
    store.save_snapshot(snapshot.clone()).await.expect("snapshots can be saved");
}

async fn latest(store: &Arc<dyn Store>, stream_id: &StreamId) -> Option<Snapshot> {
    store.latest_snapshot(stream_id).await.expect("snapshots can be read")
}

/// A snapshot comes back as it was given.
pub async fn c_022_a_snapshot_reads_back_identical(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    assert_eq!(latest(&store, &account).await, None);
    save(&store, &snapshot(&account, 3, 2)).await;
    assert_eq!(latest(&store, &account).await, Some(snapshot(&account, 3, 2)));
}

/// A later snapshot replaces an earlier one; so does one of the same version.
pub async fn c_023_a_later_snapshot_replaces_an_earlier_one(store: Arc<dyn Store>) {
    let account = stream("account-1");
    save(&store, &snapshot(&account, 3, 1)).await;
    save(&store, &snapshot(&account, 7, 1)).await;
    assert_eq!(latest(&store, &account).await, Some(snapshot(&account, 7, 1)));
    let mut corrected = snapshot(&account, 7, 1);
    corrected.data = Bytes::from_static(b"{}");
    save(&store, &corrected).await;
    assert_eq!(latest(&store, &account).await, Some(corrected));
}

/// An earlier snapshot never replaces a later one.
pub async fn pg_070_an_earlier_snapshot_is_ignored(store: Arc<dyn Store>) {
    let account = stream("account-1");
    save(&store, &snapshot(&account, 7, 1)).await;
    save(&store, &snapshot(&account, 6, 1)).await;
    assert_eq!(latest(&store, &account).await, Some(snapshot(&account, 7, 1)));
}

/// A snapshot of another schema version replaces any: the old one may be unreadable to who saves it.
pub async fn a_snapshot_of_another_schema_version_replaces_any(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for (version, schema_version) in [(7, 1), (5, 2), (4, 1), (9, 3)] {
        save(&store, &snapshot(&account, version, schema_version)).await;
        assert_eq!(latest(&store, &account).await, Some(snapshot(&account, version, schema_version)));
    }
}

/// Every stream has its own.
pub async fn snapshots_of_streams_do_not_mix(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    save(&store, &snapshot(&first, 3, 1)).await;
    assert_eq!(latest(&store, &second).await, None);
    save(&store, &snapshot(&second, 2, 1)).await;
    store.delete_snapshot(&first).await.expect("snapshots can be deleted");
    assert_eq!(latest(&store, &first).await, None);
    assert_eq!(latest(&store, &second).await, Some(snapshot(&second, 2, 1)));
}

/// Deleting forgets the versions too, and there need not be a snapshot.
pub async fn a_snapshot_can_be_deleted(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.delete_snapshot(&account).await.expect("there need not be a snapshot");
    save(&store, &snapshot(&account, 7, 1)).await;
    store.delete_snapshot(&account).await.expect("snapshots can be deleted");
    assert_eq!(latest(&store, &account).await, None);
    save(&store, &snapshot(&account, 2, 1)).await;
    assert_eq!(latest(&store, &account).await, Some(snapshot(&account, 2, 1)));
}

/// The stream may live in another store.
pub async fn c_025_a_snapshot_needs_no_stream(store: Arc<dyn Store>) {
    let account = stream("account-1");
    save(&store, &snapshot(&account, 40, 1)).await;
    assert_eq!(latest(&store, &account).await, Some(snapshot(&account, 40, 1)));
    assert_eq!(store.info(&account).await, None);
    assert_eq!(store.position().await, 0);
}

/// Of snapshots that are saved at once, the latest stays.
pub async fn pg_070_the_latest_of_concurrent_snapshots_stays(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let mut savers = tokio::task::JoinSet::new();
    for version in (1..=20).rev() {
        let (store, snapshot) = (Arc::clone(&store), snapshot(&account, version, 1));
        savers.spawn(async move { store.save_snapshot(snapshot).await });
    }
    for saved in savers.join_all().await {
        saved.expect("snapshots can be saved");
    }
    assert_eq!(latest(&store, &account).await, Some(snapshot(&account, 20, 1)));
}

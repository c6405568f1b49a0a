//! A snapshot is a cache: whatever is wrong with it, commands go on.

use bytes::Bytes;
use cqrs::MemoryStore;
use cqrs::store::Snapshot;

use super::domain::{Fault, Snapshots, every_10};

const GROWN: u64 = 12;

/// A plant of 12 events whose snapshot is this; the plant must be at 12 all the same.
async fn ignored(version: u64, change: impl FnOnce(&mut Snapshot)) {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = every_10::garden(&store, &snapshots).await;
    garden.dispatch(every_10::grow(GROWN)).await.unwrap();
    garden.shutdown().await;
    snapshots.forge_with(version, change).await;
    let garden = every_10::garden(&store, &snapshots).await;
    let dispatched = garden.dispatch(every_10::grow(1)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().height), (GROWN + 1, GROWN + 1));
    garden.shutdown().await;
}

// T-191, L-035
#[tokio::test]
async fn t_191_a_snapshot_that_cannot_be_decoded_is_ignored() {
    for garbage in [&b""[..], b"garbage", b"{}", br#"{"height":"tall"}"#, b"\xff\xfe"] {
        ignored(GROWN, |snapshot| snapshot.data = Bytes::from_static(garbage)).await;
    }
}

#[tokio::test]
async fn a_snapshot_ahead_of_its_stream_is_ignored() {
    ignored(GROWN + 1, |_| {}).await;
    ignored(1_000, |_| {}).await;
    ignored(u64::MAX, |_| {}).await;
}

// Nor is it trusted when the stream has grown as far as that: what it stands for is not this stream.
#[tokio::test]
async fn a_snapshot_that_was_ahead_of_its_stream_is_not_used_later() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    snapshots.forge(5).await;
    for round in 1..=3 {
        let garden = every_10::garden(&store, &snapshots).await;
        let dispatched = garden.dispatch(every_10::grow(3)).await.unwrap();
        assert_eq!(dispatched.state().height, 3 * round);
        garden.shutdown().await;
    }
}

// T-192, C-024
#[tokio::test]
async fn t_192_a_store_that_cannot_save_changes_no_outcome() {
    for fault in [Fault::Fail, Fault::Panic] {
        let (store, snapshots) = (MemoryStore::new(), Snapshots::failing(fault, Fault::None));
        let garden = every_10::garden(&store, &snapshots).await;
        assert_eq!(garden.dispatch(every_10::grow(10)).await.unwrap().version(), 10);
        snapshots.wait_for(1).await;
        // The next is due as usual.
        assert_eq!(garden.dispatch(every_10::grow(10)).await.unwrap().version(), 20);
        assert!(garden.shutdown().await.is_clean());
        assert_eq!(snapshots.came(), [10, 20]);
        assert!(snapshots.kept().await.is_none());
    }
}

#[tokio::test]
async fn t_192_a_store_that_cannot_load_leads_to_a_replay() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::failing(Fault::None, Fault::Fail));
    snapshots.forge(1).await;
    let garden = every_10::garden(&store, &snapshots).await;
    for version in 1..=3 {
        let dispatched = garden.dispatch(every_10::grow(1)).await.unwrap();
        assert_eq!((dispatched.version(), dispatched.state().height), (version, version));
    }
    garden.shutdown().await;
}

// A store whose code panics fails the command that asked it, and nothing else.
#[tokio::test]
async fn a_store_that_panics_in_loading_fails_one_command() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::failing(Fault::None, Fault::Panic));
    let garden = every_10::garden(&store, &snapshots).await;
    garden.dispatch(every_10::grow(1)).await.unwrap_err();
    *snapshots.on_load.lock().unwrap() = Fault::None;
    assert_eq!(garden.dispatch(every_10::grow(1)).await.unwrap().version(), 1);
    garden.shutdown().await;
}

//! Commits that expect something of records, and whose answers are lost: made once, and told as made where that can be
//! known.

use bytes::Bytes;
use cqrs_core::id::NodeId;
use cqrs_core::store::{
    CheckpointError, CheckpointStore as _, HandlerCommit, HandlerRecord, LeaseStore as _, StoreError,
};
use cqrs_postgres::PostgresStore;

use crate::lost_answers::Lossy;
use crate::support::{NEVER, in_time};

const HANDLER: &str = "scheduler";
const KIND: &str = "timer";

fn record(key: &str, position: u64) -> HandlerRecord {
    let data = Bytes::from_static(b"{\"is\": \"a timer\"}");
    HandlerRecord { kind: KIND.into(), key: key.to_owned(), position, due_at: None, data }
}

async fn written(store: &PostgresStore, record: HandlerRecord) -> HandlerRecord {
    let key = record.key.clone();
    store.change_records(HANDLER, HandlerCommit::new().put(record)).await.unwrap();
    store.record(HANDLER, KIND, &key).await.unwrap().unwrap()
}

async fn all(store: &PostgresStore) -> Vec<(String, u64)> {
    let records = store.records(HANDLER, KIND, None, 100).await.unwrap();
    records.into_iter().map(|record| (record.key, record.position)).collect()
}

/// The number of the owner's commit tells that it was made: it is not compared with what it has written itself.
#[tokio::test]
async fn a_commit_that_expects_something_is_made_once_when_its_answer_is_lost() {
    for lossy in Lossy::each().await {
        let store = &lossy.store;
        let epoch = store.acquire_lease(HANDLER, NodeId::new(), NEVER).await.unwrap().unwrap();
        let once = written(store, record("once", 1)).await;
        let again = written(store, record("again", 1)).await;
        let fire = HandlerCommit::new()
            .position(7)
            .remove_exactly(once)
            .replace(again, record("again", 2))
            .put_new(record("command", 3));
        lossy.lose_answer_to_change("command");
        in_time(store.commit(HANDLER, epoch, fire.clone())).await.unwrap();
        assert_eq!(lossy.proxy.lost_answers(), 1);
        let written = [("again".to_owned(), 2), ("command".to_owned(), 3)];
        assert_eq!(all(store).await, written);
        assert_eq!(store.checkpoint(HANDLER).await.unwrap(), Some(7));
        // Another commit of the same is another one.
        let refused = in_time(store.commit(HANDLER, epoch, fire)).await;
        assert!(matches!(refused, Err(CheckpointError::Changed { .. })), "{refused:?}");
        assert_eq!(all(store).await, written);
    }
}

/// What is there as it was to be written was written; of what is gone nobody knows who has taken it.
#[tokio::test]
async fn a_change_that_expects_something_is_told_as_made_where_that_can_be_known() {
    for lossy in Lossy::each().await {
        let store = &lossy.store;
        let known = written(store, record("known", 1)).await;
        let gone = written(store, record("gone", 1)).await;
        let put = HandlerCommit::new().put_new(record("new", 1)).replace(known, record("known", 2));
        lossy.lose_answer_to_change("known");
        in_time(store.change_records(HANDLER, put.clone())).await.unwrap();
        lossy.lose_answer_to_change("gone");
        let told = in_time(store.change_records(HANDLER, HandlerCommit::new().remove_exactly(gone))).await;
        assert!(matches!(told, Err(CheckpointError::Store(StoreError::Unavailable(_)))), "{told:?}");
        assert_eq!(lossy.proxy.lost_answers(), 2);
        assert_eq!(all(store).await, [("known".to_owned(), 2), ("new".to_owned(), 1)]);
        let refused = in_time(store.change_records(HANDLER, put)).await;
        assert!(matches!(refused, Err(CheckpointError::Changed { .. })), "{refused:?}");
    }
}

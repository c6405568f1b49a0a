//! Soft deletion: the stream is closed, its events stay. And hard deletion where it is not allowed.

use std::sync::Arc;

use super::fixture::{
    Calls as _, assert_conflict, assert_deleted, assert_unreadable, events, positions, stream,
};
use crate::store::Direction::{Backward, Forward};
use crate::store::{AppendError, Deletion, ExpectedVersion, Store, StreamId, StreamStatus};

async fn close(store: &Arc<dyn Store>, stream_id: &StreamId) {
    store.delete_stream(stream_id, ExpectedVersion::Any, Deletion::Soft).await.expect("the stream exists");
}

/// A deleted stream can neither be read, nor appended to, nor linked into.
pub async fn pg_065_a_deleted_stream_is_closed(store: Arc<dyn Store>) {
    let (account, other) = (stream("account-1"), stream("account-2"));
    store.write(&account, 2).await;
    store.write(&other, 1).await;
    close(&store, &account).await;
    for direction in [Forward, Backward] {
        assert_unreadable(store.read_stream(&account, 1, direction, 10).await, &account);
    }
    for expected in [
        ExpectedVersion::Any,
        ExpectedVersion::NoStream,
        ExpectedVersion::StreamExists,
        ExpectedVersion::Exact(2),
        ExpectedVersion::Exact(9),
    ] {
        assert_deleted(store.try_write(&account, expected, events(1)).await, &account);
        assert_deleted(store.try_write(&account, expected, Vec::new()).await, &account);
    }
    assert_deleted(store.try_link(&account, &[3]).await, &account);
    assert_eq!(store.position().await, 3);
}

/// The log and the streams that link to them still show the events; new links may be made.
pub async fn pg_065_the_events_of_a_deleted_stream_stay(store: Arc<dyn Store>) {
    let (account, report) = (stream("account-1"), stream("report-1"));
    store.write(&account, 2).await;
    let linked = store.try_link(&report, &[1]).await;
    linked.expect("the event can be linked");
    let before = store.log().await;
    close(&store, &account).await;
    assert_eq!(store.log().await, before);
    assert_eq!(positions(&store.events_of(&report).await), [1]);
    let linked = store.try_link(&report, &[2]).await;
    assert_eq!(linked.expect("the event is in the log"), 2);
    assert_eq!(store.events_of(&report).await, before);
}

/// A deleted stream is still described, as deleted.
pub async fn pg_060_a_deleted_stream_says_so(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 2).await;
    let before = store.info(&account).await.expect("the stream exists");
    close(&store, &account).await;
    let after = store.info(&account).await.expect("the stream is known");
    assert_eq!(after.status, StreamStatus::Deleted);
    assert_eq!((after.version, after.created_at), (before.version, before.created_at));
    assert_eq!(after.stream_id, account);
}

/// A deletion expects as an append does; what is not as expected stays open.
pub async fn pg_066_a_deletion_expects_a_version(store: Arc<dyn Store>) {
    for (number, right) in [ExpectedVersion::Exact(2), ExpectedVersion::Any, ExpectedVersion::StreamExists]
        .into_iter()
        .enumerate()
    {
        let account = stream(&format!("account-{number}"));
        store.write(&account, 2).await;
        for wrong in [ExpectedVersion::Exact(1), ExpectedVersion::Exact(3), ExpectedVersion::NoStream] {
            let refused = store.delete_stream(&account, wrong, Deletion::Soft).await;
            assert_conflict(refused, &account, wrong, 2);
        }
        assert_eq!(store.events_of(&account).await.len(), 2);
        let deleted = store.delete_stream(&account, right, Deletion::Soft).await;
        deleted.expect("the version is as expected");
        assert_deleted(store.try_write(&account, right, events(1)).await, &account);
    }
}

/// A stream that does not exist cannot be deleted, whatever is expected.
pub async fn pg_066_a_missing_stream_cannot_be_deleted(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for expected in [ExpectedVersion::Any, ExpectedVersion::NoStream, ExpectedVersion::Exact(3)] {
        match store.delete_stream(&account, expected, Deletion::Soft).await {
            Err(AppendError::StreamNotFound { stream_id }) => assert_eq!(stream_id, account),
            other => panic!("expected a missing stream, found {other:?}"),
        }
    }
    assert_eq!(store.write(&account, 1).await.streams[0].version, 1);
}

/// A stream is deleted once.
pub async fn pg_066_a_stream_is_deleted_once(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 1).await;
    close(&store, &account).await;
    let again = store.delete_stream(&account, ExpectedVersion::Any, Deletion::Soft).await;
    assert_deleted(again, &account);
}

/// Other streams do not notice.
pub async fn pg_065_other_streams_stay_open(store: Arc<dyn Store>) {
    let (account, other) = (stream("account-1"), stream("account-2"));
    store.write(&account, 2).await;
    store.write(&other, 2).await;
    close(&store, &account).await;
    assert_eq!(positions(&store.events_of(&other).await), [3, 4]);
    let appended = store.write(&other, 1).await;
    assert_eq!((appended.streams[0].version, appended.position), (3, 5));
}

/// Hard deletion is refused unless the store was configured to allow it, and changes nothing.
pub async fn pg_066_hard_deletion_is_off_by_default(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 2).await;
    for target in [&account, &stream("account-2")] {
        for expected in [ExpectedVersion::Any, ExpectedVersion::Exact(9)] {
            match store.delete_stream(target, expected, Deletion::Hard).await {
                Err(AppendError::DeletionNotAllowed { stream_id, deletion }) => {
                    assert_eq!((&stream_id, deletion), (target, Deletion::Hard));
                }
                other => panic!("expected a deletion that is not allowed, found {other:?}"),
            }
        }
    }
    assert_eq!(store.events_of(&account).await.len(), 2);
    assert_eq!(store.log().await.len(), 2);
}

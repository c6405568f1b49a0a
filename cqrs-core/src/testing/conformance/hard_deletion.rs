//! Hard deletion, on a store that was configured to allow it.

use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::fixture::{
    Calls as _, append_of, assert_conflict, assert_deleted, assert_invalid_link, event_of, events, one_to,
    positions, stream, to, versions,
};
use crate::store::Direction::{Backward, Forward};
use crate::store::{
    AppendError, Deletion, EventFilter, ExpectedVersion, Snapshot, Store, StreamId, StreamStatus,
};

async fn erase(store: &Arc<dyn Store>, stream_id: &StreamId) {
    store
        .delete_stream(stream_id, ExpectedVersion::Any, Deletion::Hard)
        .await
        .expect("the stream exists, and may be deleted");
}

/// Events go from the log and from the streams that link to them; other streams stay whole.
pub async fn pg_067_erased_events_are_gone_everywhere(store: Arc<dyn Store>) {
    let (erased, kept, report) = (stream("account-1"), stream("account-2"), stream("report-1"));
    store.write(&erased, 2).await;
    store.write(&kept, 2).await;
    store.write(&erased, 1).await;
    let linked = store.try_link(&report, &[1, 3, 5]).await;
    linked.expect("the events can be linked");
    let before = store.events_of(&kept).await;
    erase(&store, &erased).await;
    assert!(store.events_of(&erased).await.is_empty());
    assert_eq!(positions(&store.log().await), [3, 4]);
    assert_eq!(positions(&store.events_of(&report).await), [3]);
    assert_eq!(store.events_of(&kept).await, before);
    assert_eq!(store.version_of(&kept).await, 2);
}

/// Positions are never given again: the head stays, and the next event comes behind it.
pub async fn pg_067_positions_are_never_given_again(store: Arc<dyn Store>) {
    let (kept, erased) = (stream("account-1"), stream("account-2"));
    store.write(&kept, 1).await;
    store.write(&erased, 3).await;
    erase(&store, &erased).await;
    assert_eq!(store.position().await, 4);
    assert!(*store.watch_head().borrow() <= 4);
    assert_eq!(store.write(&kept, 1).await.position, 5);
    assert_eq!(positions(&store.log().await), [1, 5]);
}

/// The name is free again, and its versions begin at 1.
pub async fn pg_067_the_name_may_be_used_again(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    erase(&store, &account).await;
    let again = store.try_write(&account, ExpectedVersion::NoStream, events(2)).await;
    let again = again.expect("the stream is gone");
    assert_eq!((again.streams[0].version, again.position), (2, 5));
    let read = store.events_of(&account).await;
    assert_eq!((versions(&read), positions(&read)), (vec![1, 2], vec![4, 5]));
}

/// An erased stream does not exist.
pub async fn pg_060_an_erased_stream_does_not_exist(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    erase(&store, &account).await;
    assert_eq!(store.info(&account).await, None);
    let existing = store.try_write(&account, ExpectedVersion::StreamExists, events(1)).await;
    assert_conflict(existing, &account, ExpectedVersion::StreamExists, 0);
}

/// An erasure expects as an append does.
pub async fn pg_066_an_erasure_expects_a_version(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 2).await;
    for wrong in [ExpectedVersion::Exact(1), ExpectedVersion::Exact(3), ExpectedVersion::NoStream] {
        let refused = store.delete_stream(&account, wrong, Deletion::Hard).await;
        assert_conflict(refused, &account, wrong, 2);
    }
    assert_eq!(store.events_of(&account).await.len(), 2);
    let erased = store.delete_stream(&account, ExpectedVersion::Exact(2), Deletion::Hard).await;
    erased.expect("the version is as expected");
    assert!(store.log().await.is_empty());
}

/// Twice: the second time there is nothing. After a soft deletion: the stream is closed to it.
pub async fn pg_066_what_is_gone_or_closed_cannot_be_erased(store: Arc<dyn Store>) {
    let (erased, closed) = (stream("account-1"), stream("account-2"));
    store.write(&erased, 1).await;
    store.write(&closed, 1).await;
    erase(&store, &erased).await;
    let again = store.delete_stream(&erased, ExpectedVersion::Any, Deletion::Hard).await;
    assert!(matches!(again, Err(AppendError::StreamNotFound { .. })), "{again:?}");
    let soft = store.delete_stream(&closed, ExpectedVersion::Any, Deletion::Soft).await;
    soft.expect("the stream exists");
    let hard = store.delete_stream(&closed, ExpectedVersion::Any, Deletion::Hard).await;
    assert_deleted(hard, &closed);
    assert_eq!(store.info(&closed).await.map(|info| info.status), Some(StreamStatus::Deleted));
    assert_eq!(positions(&store.log().await), [2]);
}

/// The log is read on over the holes, in pages of 1.
pub async fn pg_046_the_log_is_read_over_holes(store: Arc<dyn Store>) {
    let (kept, erased) = (stream("account-1"), stream("account-2"));
    for _ in 0..3 {
        store.write(&erased, 2).await;
        store.write(&kept, 1).await;
    }
    erase(&store, &erased).await;
    let mut found = Vec::new();
    let mut after = 0;
    while let [event] =
        &store.read_log(after, &EventFilter::all(), 1).await.expect("the log can be read").events[..]
    {
        found.push(event.position);
        after = event.position;
    }
    assert_eq!(found, [3, 6, 9]);
}

/// A filter passes over the holes too.
pub async fn pg_046_a_filter_passes_over_holes(store: Arc<dyn Store>) {
    let (kept, erased) = (stream("account-1"), stream("account-2"));
    for target in [&erased, &kept, &erased, &kept] {
        let written = store.try_write(target, ExpectedVersion::Any, vec![event_of("Opened", 1)]).await;
        written.expect("nothing is expected");
    }
    erase(&store, &erased).await;
    let filter = EventFilter::types(["Opened"]);
    let page = store.read_log(0, &filter, 10).await.expect("the log can be read").events;
    assert_eq!(positions(&page), [2, 4]);
}

/// A name that is used again leads to the new stream's events: those of the erased one are gone.
pub async fn pg_067_a_filter_by_stream_gives_the_events_of_its_name(store: Arc<dyn Store>) {
    let (kept, erased) = (stream("account-1"), stream("account-2"));
    store.write(&erased, 3).await;
    store.write(&kept, 1).await;
    erase(&store, &erased).await;
    let (of_stream, of_category) =
        (EventFilter::all().stream(erased.clone()), EventFilter::all().category("account"));
    for (filter, expected) in [(&of_stream, vec![]), (&of_category, vec![4])] {
        let page = store.read_log(0, filter, 10).await.expect("the log can be read");
        assert_eq!((positions(&page.events), page.read_to), (expected, 4));
    }
    store.write(&erased, 2).await;
    for (filter, expected) in [(&of_stream, vec![5, 6]), (&of_category, vec![4, 5, 6])] {
        let page = store.read_log(0, filter, 10).await.expect("the log can be read");
        assert_eq!((positions(&page.events), page.read_to), (expected, 6));
    }
}

/// A stream of links keeps the places of what was erased: pages count them, and give what is left.
pub async fn pg_046_links_keep_the_places_of_erased_events(store: Arc<dyn Store>) {
    let (kept, erased, report) = (stream("account-1"), stream("account-2"), stream("report-1"));
    store.write(&kept, 2).await;
    store.write(&erased, 3).await;
    let linked = store.try_link(&report, &[3, 1, 4, 2, 5]).await;
    linked.expect("the events can be linked");
    erase(&store, &erased).await;
    assert_eq!(store.version_of(&report).await, 5);
    for (direction, order) in [(Forward, [1, 2]), (Backward, [2, 1])] {
        let mut found = Vec::new();
        for page in 0..5 {
            let from = if direction == Forward { 1 + page } else { 5 - page };
            found.extend(positions(&store.page(&report, from, direction, 1).await));
        }
        assert_eq!(found, order);
    }
    assert_eq!(positions(&store.page(&report, 1, Forward, 2).await), [1]);
    assert_eq!(positions(&store.page(&report, 3, Forward, 2).await), [2]);
    assert_eq!(store.write(&report, 1).await.streams[0].version, 6);
    let conflict = store.try_write(&report, ExpectedVersion::Exact(2), events(1)).await;
    assert_conflict(conflict, &report, ExpectedVersion::Exact(2), 6);
}

/// What was erased cannot be linked.
pub async fn pg_067_erased_positions_cannot_be_linked(store: Arc<dyn Store>) {
    let (kept, erased, report) = (stream("account-1"), stream("account-2"), stream("report-1"));
    store.write(&kept, 1).await;
    store.write(&erased, 1).await;
    erase(&store, &erased).await;
    assert_invalid_link(store.try_link(&report, &[1, 2]).await, 2);
    assert_eq!(store.info(&report).await, None);
}

/// Erasing a stream of links erases the links, not the events of others.
pub async fn pg_067_erasing_links_leaves_the_events(store: Arc<dyn Store>) {
    let (kept, report) = (stream("account-1"), stream("report-1"));
    store.write(&kept, 2).await;
    let linked = store.try_link(&report, &[1, 2]).await;
    linked.expect("the events can be linked");
    store.write(&report, 1).await;
    erase(&store, &report).await;
    assert_eq!(positions(&store.log().await), [1, 2]);
    assert_eq!(versions(&store.events_of(&kept).await), one_to(2));
    let linked = store.try_link(&report, &[1, 2]).await;
    assert_eq!(linked.expect("the stream is new"), 2);
}

/// The snapshot goes with the stream: it must not be taken for one of the next stream of that name.
pub async fn an_erased_stream_leaves_no_snapshot(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    let snapshot = Snapshot {
        stream_id: account.clone(),
        version: 3,
        state_type: "Account".to_owned(),
        schema_version: 1,
        data: Bytes::from_static(b"{}"),
        created_at: DateTime::<Utc>::UNIX_EPOCH,
    };
    store.save_snapshot(snapshot).await.expect("snapshots can be saved");
    erase(&store, &account).await;
    assert_eq!(store.latest_snapshot(&account).await.expect("snapshots can be read"), None);
}

/// A repeated append is answered even when its events were erased since, and does not bring them back.
pub async fn an_erased_stream_leaves_its_outcomes(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::Any, events(2))]);
    let first = store.append(append.clone()).await.expect("nothing is expected");
    erase(&store, &account).await;
    let again = store.append(append).await.expect("the append was made");
    assert!(again.repeated);
    assert_eq!((again.position, again.streams), (first.position, first.streams));
    assert!(store.log().await.is_empty());
}

//! Appends to several streams: all of it or nothing.

use std::sync::Arc;

use super::fixture::{
    Calls as _, append_of, assert_conflict, assert_deleted, assert_duplicate, event, events, positions,
    state, stream, to, versions,
};
use crate::store::{AppendError, Deletion, ExpectedVersion, Store, StreamWrite};

/// All streams are written, in the order of the writes.
pub async fn several_streams_are_written_in_order(store: Arc<dyn Store>) {
    let (first, second, third) = (stream("account-1"), stream("account-2"), stream("account-3"));
    store.write(&second, 2).await;
    let appended = store
        .append(append_of([
            to(&third, ExpectedVersion::NoStream, events(1)),
            to(&second, ExpectedVersion::Exact(2), events(2)),
            to(&first, ExpectedVersion::Any, events(3)),
        ]))
        .await
        .expect("all is as expected");
    let outcome: Vec<_> = appended
        .streams
        .iter()
        .map(|written| (written.stream_id.as_str(), written.version, written.events))
        .collect();
    assert_eq!(outcome, [("account-3", 1, 1), ("account-2", 4, 2), ("account-1", 3, 3)]);
    assert_eq!(appended.position, 8);
    assert_eq!(positions(&store.events_of(&third).await), [3]);
    assert_eq!(positions(&store.events_of(&second).await), [1, 2, 4, 5]);
    assert_eq!(positions(&store.events_of(&first).await), [6, 7, 8]);
    assert_eq!(versions(&store.events_of(&second).await), [1, 2, 3, 4]);
}

/// One failed expectation, wherever it stands, and nothing is written. (W-008)
pub async fn one_failed_expectation_refuses_all(store: Arc<dyn Store>) {
    let wrong = stream("account-wrong");
    store.write(&wrong, 2).await;
    for place in 0..3 {
        let mut writes: Vec<StreamWrite> = (0..2)
            .map(|number| to(&stream(&format!("account-{number}")), ExpectedVersion::NoStream, events(2)))
            .collect();
        writes.insert(place, to(&wrong, ExpectedVersion::Exact(1), events(1)));
        let refused = store.append(append_of(writes)).await;
        assert_conflict(refused, &wrong, ExpectedVersion::Exact(1), 2);
        assert_eq!(store.info(&stream("account-0")).await, None);
        assert_eq!(store.info(&stream("account-1")).await, None);
        assert_eq!(store.position().await, 2);
    }
}

/// So does one duplicate event, be it stored or twice in the append. (C-019, C-020)
pub async fn one_duplicate_event_refuses_all(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    let stored = event(1);
    let written = store.try_write(&first, ExpectedVersion::Any, vec![stored.clone()]).await;
    written.expect("the event is new");
    let twice = event(2);
    for (in_first, in_second) in [(event(3), stored), (twice.clone(), twice)] {
        let duplicate = in_second.event_id;
        let refused = store
            .append(append_of([
                to(&first, ExpectedVersion::Any, vec![in_first]),
                to(&second, ExpectedVersion::Any, vec![event(4), in_second]),
            ]))
            .await;
        assert_duplicate(refused, duplicate);
    }
    assert_eq!(store.version_of(&first).await, 1);
    assert_eq!(store.info(&second).await, None);
    assert_eq!(store.position().await, 1);
}

/// So does one deleted stream.
pub async fn one_deleted_stream_refuses_all(store: Arc<dyn Store>) {
    let (open, closed) = (stream("account-1"), stream("account-2"));
    store.write(&closed, 1).await;
    store.delete_stream(&closed, ExpectedVersion::Any, Deletion::Soft).await.expect("the stream exists");
    let refused = store
        .append(append_of([
            to(&open, ExpectedVersion::Any, events(1)),
            to(&closed, ExpectedVersion::Any, events(1)),
        ]))
        .await;
    assert_deleted(refused, &closed);
    assert_eq!(store.info(&open).await, None);
}

/// A stream may be named once, whatever the kinds of the writes. (C-019)
pub async fn a_stream_named_twice_is_refused(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    let pairs = [
        [to(&first, ExpectedVersion::Any, events(1)), to(&first, ExpectedVersion::Any, events(1))],
        [to(&first, ExpectedVersion::Any, events(1)), to(&first, ExpectedVersion::Any, Vec::new())],
        [to(&first, ExpectedVersion::Any, events(1)), state(&first, 0, 1)],
        [state(&first, 0, 1), state(&first, 1, 2)],
    ];
    for [one, another] in pairs {
        let append = append_of([one, to(&second, ExpectedVersion::Any, events(1)), another]);
        let id = append.id;
        match store.append(append).await {
            Err(AppendError::StreamTwice { append_id, stream_id }) => {
                assert_eq!((append_id, stream_id), (id, first.clone()));
            }
            other => panic!("expected a stream that is named twice, found {other:?}"),
        }
    }
    assert_eq!(store.position().await, 0);
    assert_eq!(store.info(&first).await, None);
    assert_eq!(store.stored_state(&first).await.expect("states can be read"), None);
}

/// A write without events among others only expects: it can refuse the others, and reports the version.
pub async fn a_write_without_events_guards_the_others(store: Arc<dyn Store>) {
    let (guard, target) = (stream("account-guard"), stream("account-1"));
    store.write(&guard, 2).await;
    let expect = |version| {
        append_of([
            to(&guard, ExpectedVersion::Exact(version), Vec::new()),
            to(&target, ExpectedVersion::Any, events(1)),
        ])
    };
    let refused = store.append(expect(1)).await;
    assert_conflict(refused, &guard, ExpectedVersion::Exact(1), 2);
    assert_eq!(store.info(&target).await, None);
    let made = store.append(expect(2)).await.expect("the version is as expected");
    assert_eq!((made.streams[0].version, made.streams[0].events), (2, 0));
    assert_eq!((made.streams[1].version, made.streams[1].events), (1, 1));
    assert_eq!(made.position, 3);
}

/// A hundred streams in one append.
pub async fn a_hundred_streams_in_one_append(store: Arc<dyn Store>) {
    let streams: Vec<_> = (0..100).map(|number| stream(&format!("account-{number}"))).collect();
    let writes: Vec<_> =
        streams.iter().map(|stream_id| to(stream_id, ExpectedVersion::NoStream, events(2))).collect();
    let appended = store.append(append_of(writes)).await.expect("all streams are new");
    assert_eq!(appended.position, 200);
    for (index, stream_id) in (0_u64..).zip(&streams) {
        let events = store.events_of(stream_id).await;
        assert_eq!(positions(&events), [2 * index + 1, 2 * index + 2]);
        assert_eq!(versions(&events), [1, 2]);
    }
}

//! Links: events in further streams, where they keep their identity.

use std::sync::Arc;

use super::fixture::{
    Calls as _, assert_conflict, assert_invalid_link, events, ids, one_to, positions, stream, versions,
};
use crate::store::Direction::{Backward, Forward};
use crate::store::{ExpectedVersion, Link, Store};

/// The places of links go on behind the target's own events.
pub async fn pg_030_links_go_on_behind_own_events(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 3).await;
    store.write(&target, 1).await;
    let version = store.try_link(&target, &[1, 2, 3]).await;
    assert_eq!(version.expect("the events can be linked"), 4);
    assert_eq!(store.version_of(&target).await, 4);
    assert_eq!(positions(&store.events_of(&target).await), [4, 1, 2, 3]);
    assert_eq!(store.write(&target, 1).await.streams[0].version, 5);
    let own = store.events_of(&target).await.remove(4);
    assert_eq!((own.stream_version, own.position), (5, 5));
}

/// A linked event is the event: nothing of it differs.
pub async fn pg_031_a_linked_event_is_identical(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 3).await;
    let version = store.try_link(&target, &[1, 2, 3]).await;
    assert_eq!(version.expect("the events can be linked"), 3);
    assert_eq!(store.events_of(&target).await, store.events_of(&source).await);
}

/// A link expects as an append does.
pub async fn pg_032_a_link_expects_a_version(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 4).await;
    let link = |expected, position| Link { stream_id: target.clone(), expected, positions: vec![position] };
    for expected in [ExpectedVersion::Exact(1), ExpectedVersion::StreamExists] {
        assert_conflict(store.link(link(expected, 1)).await, &target, expected, 0);
    }
    assert_eq!(store.info(&target).await, None);
    let first = store.link(link(ExpectedVersion::NoStream, 1)).await;
    assert_eq!(first.expect("the stream is new"), 1);
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(0), ExpectedVersion::Exact(2)] {
        assert_conflict(store.link(link(expected, 2)).await, &target, expected, 1);
    }
    for (expected, version) in
        [(ExpectedVersion::Exact(1), 2), (ExpectedVersion::Any, 3), (ExpectedVersion::StreamExists, 4)]
    {
        let linked = store.link(link(expected, version)).await;
        assert_eq!(linked.expect("the version is as expected"), version);
    }
}

/// One position without an event, wherever it stands, and nothing is linked.
pub async fn pg_033_one_unknown_position_refuses_all(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 2).await;
    for unknown in [0, 3, i64::MAX as u64, u64::MAX] {
        for mixed in [vec![unknown], vec![1, 2, unknown], vec![unknown, 1, 2], vec![1, unknown, 2]] {
            assert_invalid_link(store.try_link(&target, &mixed).await, unknown);
        }
    }
    assert_eq!(store.info(&target).await, None);
    let linked = store.try_link(&target, &[1, 2]).await;
    assert_eq!(linked.expect("the events can be linked"), 2);
}

/// An event stands in a stream once: links to what it holds already are refused as a whole.
pub async fn pg_035_an_event_stands_in_a_stream_once(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 3).await;
    let linked = store.try_link(&target, &[2]).await;
    assert_eq!(linked.expect("the event can be linked"), 1);
    assert_invalid_link(store.try_link(&target, &[1, 2, 3]).await, 2);
    assert_invalid_link(store.try_link(&target, &[3, 1, 3]).await, 3);
    assert_invalid_link(store.try_link(&source, &[1]).await, 1);
    assert_eq!(positions(&store.events_of(&target).await), [2]);
    assert_eq!(store.version_of(&source).await, 3);
}

/// Links may stand in any order, and in several streams.
pub async fn links_keep_their_order_in_every_stream(store: Arc<dyn Store>) {
    let source = stream("account-1");
    store.write(&source, 3).await;
    for (name, order) in [("report-1", [3, 1, 2]), ("report-2", [2, 3, 1])] {
        let target = stream(name);
        let linked = store.try_link(&target, &order).await;
        assert_eq!(linked.expect("the events can be linked"), 3);
        assert_eq!(positions(&store.events_of(&target).await), order);
    }
}

/// Pages of a stream of links count places, not the versions of the origin.
pub async fn pages_of_links_count_places(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 20).await;
    let linked: Vec<u64> = (11..=20).rev().collect();
    let version = store.try_link(&target, &linked).await;
    assert_eq!(version.expect("the events can be linked"), 10);
    let mut forward = Vec::new();
    let mut backward = Vec::new();
    for page in 0..5 {
        forward.extend(positions(&store.page(&target, 1 + 2 * page, Forward, 2).await));
        backward.extend(positions(&store.page(&target, 10 - 2 * page, Backward, 2).await));
    }
    assert_eq!(forward, linked);
    backward.reverse();
    assert_eq!(backward, linked);
    assert!(store.page(&target, 11, Forward, 10).await.is_empty());
}

/// Links add nothing to the log, and nothing to the stream of origin.
pub async fn links_leave_the_log_as_it_is(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 3).await;
    let before = store.log().await;
    let linked = store.try_link(&target, &[1, 3]).await;
    linked.expect("the events can be linked");
    assert_eq!(store.log().await, before);
    assert_eq!(store.position().await, 3);
    assert_eq!(versions(&store.events_of(&source).await), one_to(3));
}

/// A linked event may be linked further, by its position: the chain ends at the origin.
pub async fn pg_038_a_link_of_a_link_leads_to_the_origin(store: Arc<dyn Store>) {
    let source = stream("account-1");
    let written = events(1);
    let id = written[0].event_id;
    let appended = store.try_write(&source, ExpectedVersion::NoStream, written).await;
    appended.expect("the stream is new");
    for name in ["report-1", "report-2"] {
        let target = stream(name);
        let linked = store.try_link(&target, &[1]).await;
        linked.expect("the event can be linked");
        let read = store.events_of(&target).await;
        assert_eq!(ids(&read), [id]);
        assert_eq!((&read[0].stream_id, read[0].stream_version), (&source, 1));
    }
}

/// No position at all expects all the same, and begins no stream.
pub async fn no_links_begin_no_stream(store: Arc<dyn Store>) {
    let target = stream("report-1");
    let none = store.try_link(&target, &[]).await;
    assert_eq!(none.expect("no link is a valid link"), 0);
    assert_eq!(store.info(&target).await, None);
    let link =
        Link { stream_id: target.clone(), expected: ExpectedVersion::StreamExists, positions: Vec::new() };
    assert_conflict(store.link(link).await, &target, ExpectedVersion::StreamExists, 0);
}

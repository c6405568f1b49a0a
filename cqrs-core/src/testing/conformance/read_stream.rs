//! Reading a stream: ranges, pages, both directions.

use std::sync::Arc;

use super::fixture::{Calls as _, event, events, ids, one_to, positions, stream, versions};
use crate::store::Direction::{Backward, Forward};
use crate::store::{ExpectedVersion, Store, StreamStatus};

/// A stream that does not exist holds nothing, from wherever it is read. (C-018, E-035, W-013)
pub async fn t_213_an_unknown_stream_reads_as_empty(store: Arc<dyn Store>) {
    store.write(&stream("account-1"), 2).await;
    let unknown = stream("account-2");
    for from in [0, 1, 2, u64::MAX] {
        for direction in [Forward, Backward] {
            assert!(store.page(&unknown, from, direction, 10).await.is_empty());
        }
    }
    assert_eq!(store.info(&unknown).await, None);
}

/// What is written to one stream is not read from another. (C-015, M-005)
pub async fn t_215_streams_do_not_mix(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-10"));
    let (in_first, in_second) = (events(3), events(2));
    for (target, written) in [(&first, &in_first), (&second, &in_second)] {
        let appended = store.try_write(target, ExpectedVersion::NoStream, written.clone()).await;
        appended.expect("the stream is new");
    }
    for (target, written) in [(&first, in_first), (&second, in_second)] {
        let read = store.events_of(target).await;
        assert_eq!(ids(&read), written.iter().map(|event| event.event_id).collect::<Vec<_>>());
        assert_eq!(versions(&read), one_to(written.len() as u64));
        assert!(read.iter().all(|event| event.stream_id == *target));
    }
}

/// Pages of 2, put together, are the stream of 10.
pub async fn t_215_pages_put_together_are_the_stream(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 10).await;
    let mut forward = Vec::new();
    let mut backward = Vec::new();
    for page in 0..5 {
        forward.extend(versions(&store.page(&account, 1 + 2 * page, Forward, 2).await));
        backward.extend(versions(&store.page(&account, 10 - 2 * page, Backward, 2).await));
    }
    assert_eq!(forward, one_to(10));
    backward.reverse();
    assert_eq!(backward, one_to(10));
}

/// Forward: from a version on.
pub async fn pg_040_forward_begins_at_a_version(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 10).await;
    assert_eq!(versions(&store.page(&account, 1, Forward, 5).await), [1, 2, 3, 4, 5]);
    assert_eq!(versions(&store.page(&account, 6, Forward, 5).await), [6, 7, 8, 9, 10]);
    assert_eq!(versions(&store.page(&account, 8, Forward, 5).await), [8, 9, 10]);
    assert_eq!(versions(&store.page(&account, 0, Forward, usize::MAX).await), one_to(10));
}

/// Backward: from a version down, or from the end.
pub async fn pg_041_backward_begins_at_a_version_or_the_end(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 4).await;
    assert_eq!(versions(&store.page(&account, u64::MAX, Backward, 10).await), [4, 3, 2, 1]);
    assert_eq!(versions(&store.page(&account, u64::MAX, Backward, 2).await), [4, 3]);
    assert_eq!(versions(&store.page(&account, 99, Backward, 1).await), [4]);
    assert_eq!(versions(&store.page(&account, 2, Backward, 10).await), [2, 1]);
    assert!(store.page(&account, 0, Backward, 10).await.is_empty());
}

/// The ranges of a stream of 3.
pub async fn c_018_every_range_holds_what_it_covers(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    for from in 1..=4_u64 {
        for limit in 0..=4 {
            let page = store.page(&account, from, Forward, limit).await;
            let expected: Vec<u64> = (from..=3).take(limit).collect();
            assert_eq!(versions(&page), expected, "from {from}, at most {limit}");
        }
    }
}

/// Two appends, and a range that spans both.
pub async fn w_013_a_range_spans_appends(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 9).await;
    store.write(&account, 3).await;
    assert_eq!(versions(&store.page(&account, 4, Forward, 2).await), [4, 5]);
    assert_eq!(versions(&store.page(&account, 9, Forward, 2).await), [9, 10]);
    assert_eq!(versions(&store.page(&account, 11, Backward, 3).await), [11, 10, 9]);
}

/// Behind the end there is nothing.
pub async fn pg_045_behind_the_end_there_is_nothing(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    for from in [4, 5, i64::MAX as u64, u64::MAX] {
        assert!(store.page(&account, from, Forward, usize::MAX).await.is_empty());
    }
}

/// The version counts in the stream, not in the log.
pub async fn pg_047_versions_count_in_the_stream(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    for _ in 0..3 {
        store.write(&first, 1).await;
        store.write(&second, 2).await;
    }
    let read = store.events_of(&second).await;
    assert_eq!(versions(&read), one_to(6));
    assert_eq!(positions(&read), [2, 3, 5, 6, 8, 9]);
}

/// A limit of 0 gives nothing, one beyond the end gives all.
pub async fn limits_at_both_ends(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 3).await;
    for direction in [Forward, Backward] {
        assert!(store.page(&account, 2, direction, 0).await.is_empty());
        let from = if direction == Forward { 1 } else { u64::MAX };
        assert_eq!(store.page(&account, from, direction, usize::MAX).await.len(), 3);
    }
}

/// What a stream looks like is told without reading it. (E-035, E-036)
pub async fn pg_060_a_stream_describes_itself(store: Arc<dyn Store>) {
    let account = stream("account-1");
    assert_eq!(store.info(&account).await, None);
    store.write(&account, 2).await;
    let first = store.info(&account).await.expect("the stream exists");
    assert_eq!(first.stream_id, account);
    assert_eq!((first.version, first.status), (2, StreamStatus::Active));
    store.write(&account, 1).await;
    let second = store.info(&account).await.expect("the stream exists");
    assert_eq!(second.version, 3);
    assert_eq!(second.created_at, first.created_at);
}

/// Both directions give the same events.
pub async fn both_directions_give_the_same_events(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let appended = store.try_write(&account, ExpectedVersion::Any, vec![event(1), event(2), event(3)]).await;
    appended.expect("nothing is expected");
    let mut backward = store.page(&account, u64::MAX, Backward, 10).await;
    backward.reverse();
    assert_eq!(store.events_of(&account).await, backward);
}

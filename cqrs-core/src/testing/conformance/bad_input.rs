//! Names and numbers that adapters get wrong: taken literally, never as a pattern, a quote or an overflow.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::fixture::{Calls as _, assert_conflict, event, event_of, events, ids, json, positions, stream};
use crate::store::{EventData, EventFilter, ExpectedVersion, Store, StreamId};

/// Names that mean something to one language or another.
const ODD_NAMES: [&str; 12] = [
    "'; DROP TABLE events; --",
    "\"quoted\"",
    "per%cent",
    "under_score",
    "back\\slash",
    "a b",
    " a b ",
    "ünï-cödé-東京-🦀",
    "{curly,braces}",
    "comma,separated",
    "NULL",
    "A B",
];

/// A stream id is taken literally.
pub async fn pg_062_stream_ids_are_taken_literally(store: Arc<dyn Store>) {
    for name in ODD_NAMES {
        let written = store.try_write(&stream(name), ExpectedVersion::NoStream, events(1)).await;
        assert_eq!(written.expect("every name is a stream of its own").streams[0].version, 1, "{name:?}");
    }
    for (name, position) in ODD_NAMES.into_iter().zip(1..) {
        let read = store.events_of(&stream(name)).await;
        assert_eq!(read.len(), 1, "{name:?}");
        assert_eq!((read[0].position, read[0].stream_id.as_str()), (position, name));
    }
}

/// So is the type of an event, also where a filter names it.
pub async fn pg_062_event_types_are_taken_literally(store: Arc<dyn Store>) {
    let written: Vec<EventData> =
        ODD_NAMES.into_iter().enumerate().map(|(number, name)| event_of(name, number)).collect();
    let order: Vec<_> = written.iter().map(|event| event.event_id).collect();
    let appended = store.try_write(&stream("account-1"), ExpectedVersion::Any, written).await;
    appended.expect("every name is a type");
    for (name, id) in ODD_NAMES.into_iter().zip(order) {
        let found = store.read_log(0, &EventFilter::types([name]), 10).await;
        let found = found.expect("the log can be read").events;
        assert_eq!(ids(&found), [id], "{name:?}");
        assert_eq!(found[0].event_type, name);
    }
}

/// So are streams and their categories, where a filter names them.
pub async fn pg_062_streams_and_categories_are_taken_literally(store: Arc<dyn Store>) {
    let names: Vec<StreamId> = ODD_NAMES.into_iter().map(stream).collect();
    for name in &names {
        store.write(name, 1).await;
    }
    for (name, position) in names.iter().zip(1..) {
        let of_stream = store.read_log(0, &EventFilter::all().stream(name.clone()), 100).await;
        assert_eq!(positions(&of_stream.expect("the log can be read").events), [position], "{name:?}");
        let of_category = store.read_log(0, &EventFilter::all().category(name.category()), 100).await;
        let is_of_category = |(other, _): &(&StreamId, u64)| other.category() == name.category();
        let expected: Vec<u64> = names.iter().zip(1..).filter(is_of_category).map(|(_, at)| at).collect();
        assert_eq!(positions(&of_category.expect("the log can be read").events), expected, "{name:?}");
    }
}

/// The longest stream id is as good as any, and differs from one that ends otherwise.
pub async fn pg_128_the_longest_stream_id_is_kept_whole(store: Arc<dyn Store>) {
    let first = stream(&"é".repeat(127));
    let second = stream(&format!("{}a", "é".repeat(127)));
    assert_eq!(second.as_str().len(), StreamId::MAX_BYTES);
    store.write(&first, 1).await;
    store.write(&second, 2).await;
    assert_eq!(store.version_of(&first).await, 1);
    assert_eq!(store.events_of(&second).await[0].stream_id, second);
}

/// Stream ids that differ in case, or in how a letter is composed, are different streams.
pub async fn stream_ids_differ_by_every_byte(store: Arc<dyn Store>) {
    let names = ["account-a", "account-A", "account-\u{e9}", "account-e\u{301}", "account-a "];
    for (count, name) in (1..).zip(names) {
        store.write(&stream(name), count).await;
    }
    for (count, name) in (1..).zip(names) {
        assert_eq!(store.version_of(&stream(name)).await, count, "{name:?}");
    }
}

/// Numbers beyond every version and position are no failure.
pub async fn numbers_beyond_everything_are_no_failure(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 2).await;
    for number in [i64::MAX as u64, i64::MAX as u64 + 1, u64::MAX - 1, u64::MAX] {
        let expected = ExpectedVersion::Exact(number);
        let refused = store.try_write(&account, expected, events(1)).await;
        assert_conflict(refused, &account, expected, 2);
        let behind = store.read_log(number, &EventFilter::all(), usize::MAX).await;
        assert!(behind.expect("the log can be read").events.is_empty());
    }
    assert_eq!(store.position().await, 2);
}

/// An escaped NUL in a payload or in metadata is kept as it is, or refused with nothing written.
pub async fn pg_116_an_escaped_nul_is_kept_or_refused(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let mut in_payload = event(1);
    in_payload.data = Bytes::from_static(br#"{"text":"a\u0000b"}"#);
    let mut in_metadata = event(2);
    in_metadata.metadata.insert("text", json!("a\u{0}b"));
    for odd in [in_payload, in_metadata] {
        let before = store.log().await.len();
        match store.try_write(&account, ExpectedVersion::Any, vec![odd.clone()]).await {
            Ok(_) => {
                let kept = store.log().await.remove(before);
                assert_eq!((json(&kept.data), kept.metadata), (json(&odd.data), odd.metadata));
            }
            Err(_) => assert_eq!(store.log().await.len(), before),
        }
    }
    store.write(&account, 1).await;
}

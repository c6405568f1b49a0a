use cqrs_core::id::CorrelationId;
use cqrs_core::store::{Direction, EventFilter, EventStore as _, LogPage, StreamId};
use cqrs_postgres::{Payload, PostgresStore};

use crate::support::{append, event, fresh, log, stream};

const NAMES: [&str; 8] =
    ["account-1", "accounts-1", "account-2", "account", "account-1-a", "-account", "a", "account-ü%_"];

/// A store with three events in each of the streams, the streams taking turns.
async fn with_streams(payload: Payload) -> PostgresStore {
    let store = fresh(|schema| schema.payload(payload)).await;
    for number in 0..3 {
        for name in NAMES {
            store.append(append(name, vec![event(number)])).await.unwrap();
        }
    }
    store
}

fn positions(page: &LogPage) -> Vec<u64> {
    page.events.iter().map(|event| event.position).collect()
}

async fn every_category_is_read_in_the_order_of_the_log(payload: Payload) {
    let store = with_streams(payload).await;
    let log = log(&store).await;
    for category in ["account", "accounts", "", "a", "none", "account-1", "acc%"] {
        let expected: Vec<_> = log.iter().filter(|event| event.stream_id.category() == category).collect();
        let page = store.read_category(category, 0, usize::MAX).await.unwrap();
        assert_eq!(page.events.iter().collect::<Vec<_>>(), expected, "{category:?}");
        assert_eq!(page.read_to, 24, "{category:?}");
    }
}

#[tokio::test]
async fn pg_051_a_category_is_read_in_the_order_of_the_log() {
    every_category_is_read_in_the_order_of_the_log(Payload::Jsonb).await;
    every_category_is_read_in_the_order_of_the_log(Payload::Bytea).await;
}

#[tokio::test]
async fn pg_051_a_category_is_read_in_pages() {
    let store = with_streams(Payload::Jsonb).await;
    let page = store.read_category("account", 0, 4).await.unwrap();
    assert_eq!(
        (positions(&page), page.read_to),
        (vec![1, 3, 4, 5], 5),
        "a full page reaches to its last event"
    );
    let page = store.read_category("account", page.read_to, 100).await.unwrap();
    assert_eq!((positions(&page), page.read_to), (vec![8, 9, 11, 12, 13, 16, 17, 19, 20, 21, 24], 24));
    let end = store.read_category("account", 24, 100).await.unwrap();
    assert_eq!((end.events.len(), end.read_to), (0, 24));
    assert_eq!(store.read_category("account", 99, 100).await.unwrap().read_to, 99, "a page never goes back");
    assert_eq!(store.read_category("account", 3, 0).await.unwrap().read_to, 3);
}

#[tokio::test]
async fn pg_052_events_are_found_by_what_they_belong_to() {
    for payload in [Payload::Jsonb, Payload::Bytea] {
        let store = with_streams(payload).await;
        let together = CorrelationId::new();
        let mut expected = Vec::new();
        for name in ["account-1", "order-1", "account-1"] {
            let mut one = event(7);
            one.correlation_id = together;
            expected.push(store.append(append(name, vec![one])).await.unwrap().position);
            store.append(append("account-1", vec![event(8)])).await.unwrap();
        }
        let page = store.read_correlated(together, 0, 100).await.unwrap();
        assert_eq!((positions(&page), page.read_to), (expected.clone(), 30));
        let page = store.read_correlated(together, expected[0], 1).await.unwrap();
        assert_eq!((positions(&page), page.read_to), (vec![expected[1]], expected[1]));
        let none = store.read_correlated(CorrelationId::new(), 0, 100).await.unwrap();
        assert_eq!((none.events.len(), none.read_to), (0, 30));
    }
}

#[tokio::test]
async fn pg_050_the_last_event_of_a_stream_is_read_alone() {
    let store = with_streams(Payload::Jsonb).await;
    let last = store.read_stream(&stream("account-2"), u64::MAX, Direction::Backward, 1).await.unwrap();
    assert_eq!((last.len(), last[0].stream_version, last[0].position), (1, 3, 19));
    assert!(store.read_stream(&stream("none"), u64::MAX, Direction::Backward, 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn pg_048_a_limit_bounds_a_page_and_the_greatest_one_does_not() {
    let store = with_streams(Payload::Jsonb).await;
    for (limit, expected) in [(0, 0), (1, 1), (23, 23), (24, 24), (25, 24), (usize::MAX, 24)] {
        assert_eq!(store.read_log(0, &EventFilter::all(), limit).await.unwrap().events.len(), expected);
        let stream = store.read_stream(&stream("a"), 1, Direction::Forward, limit).await.unwrap();
        assert_eq!(stream.len(), expected.min(3));
    }
}

#[test]
fn pg_056_a_name_splits_at_its_first_dash() {
    for (name, category, identity) in [
        ("account", "account", ""),
        ("account-1", "account", "1"),
        ("account-1-a", "account", "1-a"),
        ("-1", "", "1"),
    ] {
        let id = stream(name);
        assert_eq!((id.category(), id.identity()), (category, identity));
    }
}

/// The log as a whole is no stream: it can be neither appended nor linked to, since it cannot even be named.
#[test]
fn pg_016_pg_036_the_log_cannot_be_named() {
    for name in ["$all", "$"] {
        assert!(StreamId::new(name).is_err(), "{name:?}");
    }
    assert!(serde_json::from_str::<StreamId>("\"$all\"").is_err());
}

//! Which stream an event of the log belongs to: the names are remembered, and must never be those of other streams.

use cqrs_core::store::{Deletion, EventFilter, EventStore as _, ExpectedVersion};
use cqrs_postgres::PostgresStore;

use crate::support::{append, event, fresh, schema, store, stream};

/// Streams enough that the names of a page are not looked up in its own statement.
const STREAMS: u64 = 150;

/// An event in each stream, named after a letter, and another one in each.
async fn fill(store: &PostgresStore, letter: char) {
    for round in 0..2 {
        for number in 0..STREAMS {
            store.append(append(&format!("{letter}-{number}"), vec![event(round)])).await.unwrap();
        }
    }
}

/// Checks that each event of the log behind `after` has the name of the stream that it was written to.
async fn assert_names(store: &PostgresStore, letter: char, after: u64) {
    let page = store.read_log(after, &EventFilter::all(), 1_000).await.unwrap();
    let names: Vec<_> = page.events.iter().map(|event| event.stream_id.as_str().to_owned()).collect();
    let expected: Vec<_> =
        (after..2 * STREAMS).map(|place| format!("{letter}-{}", place % STREAMS)).collect();
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_long_page_has_the_names_of_its_streams() {
    let schema = schema().await;
    let writer = store(&schema).await;
    fill(&writer, 'a').await;
    for after in [0, 1, STREAMS - 1, STREAMS, 2 * STREAMS - 2, 0] {
        // Nothing is known yet to the one; the other has read more each time.
        assert_names(&store(&schema).await, 'a', after).await;
        assert_names(&writer, 'a', after).await;
    }
}

/// The streams of a schema that was dropped and made again have the same numbers as those before.
#[tokio::test]
async fn names_of_a_dropped_schema_are_forgotten() {
    let schema = schema().await;
    let store = store(&schema).await;
    fill(&store, 'a').await;
    assert_names(&store, 'a', 0).await;
    store.pool().drop_schema(schema.name()).await.unwrap();
    store.pool().migrate(schema.name()).await.unwrap();
    fill(&store, 'b').await;
    assert_names(&store, 'b', 0).await;
    assert_names(&store, 'b', STREAMS).await;
}

/// A stream that was deleted and one that has its name now are two.
#[tokio::test]
async fn a_deleted_stream_and_the_next_of_its_name_are_read() {
    let store = fresh(|schema| schema.allow_hard_deletion(true)).await;
    fill(&store, 'a').await;
    assert_names(&store, 'a', 0).await;
    let stream = stream("a-0");
    store.delete_stream(&stream, ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    fill(&store, 'a').await;
    let page = store.read_log(2, &EventFilter::all(), 1_000).await.unwrap();
    let ours = page.events.iter().filter(|event| event.stream_id == stream);
    assert_eq!(ours.map(|event| event.stream_version).collect::<Vec<_>>(), [1, 2]);
}

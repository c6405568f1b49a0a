use cqrs_core::store::{
    Direction, EventFilter, EventStore as _, ExpectedVersion, SnapshotStore as _, StoreError,
};
use cqrs_postgres::testing::TestSchema;

use crate::ledger::Ledger;
use crate::support::{append, append_at, config, open, shared, sql, stream};

/// A log of which the event at position 2, the second of stream `bad`, was changed behind the store's back.
async fn changed(change: &str) -> (TestSchema, cqrs_postgres::PostgresStore) {
    let schema = shared().await;
    let store = open(config(&schema)).await;
    let ledger = Ledger::default();
    for name in ["bad", "bad", "good", "bad"] {
        ledger.append(&store, &append(name, 1)).await.unwrap();
    }
    ledger.prove(&schema, &store).await;
    sql(&schema, &format!("set session_replication_role = replica; {change}")).await;
    (schema, store)
}

#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(read: Result<T, StoreError>, change: &str) {
    match read {
        Err(StoreError::Corrupt(fault)) => {
            assert!(fault.to_string().contains("position 2"), "{change}: {fault}");
        }
        other => panic!("{change}: {other:?}"),
    }
}

/// A row that cannot be understood is named; whatever lies beside it can be read and written to.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_named() {
    for change in [
        "update events set metadata = '[1]' where position = 2",
        "update events set metadata = '\"text\"' where position = 2",
        "update events set schema_version = 4294967296 where position = 2",
        "update events set recorded_at = 'infinity' where position = 2",
        "update events set recorded_at = '-infinity' where position = 2",
        "update events set recorded_at = '290000-01-01' where position = 2",
    ] {
        let (_schema, store) = changed(change).await;
        assert_corrupt(store.read_log(0, &EventFilter::all(), 10).await, change);
        assert_corrupt(store.read_stream(&stream("bad"), 1, Direction::Forward, 10).await, change);
        assert_corrupt(store.read_stream(&stream("bad"), u64::MAX, Direction::Backward, 10).await, change);
        assert_eq!(store.read_log(2, &EventFilter::all(), 10).await.unwrap().events.len(), 2);
        assert_eq!(store.read_stream(&stream("good"), 1, Direction::Forward, 10).await.unwrap().len(), 1);
        store.append(append_at("bad", ExpectedVersion::Exact(3), 1)).await.unwrap();
        assert_eq!(store.read_stream(&stream("bad"), 3, Direction::Forward, 10).await.unwrap().len(), 2);
    }
}

/// A stream whose name is none.
#[tokio::test]
async fn a_name_that_is_none_is_named() {
    for change in [
        "insert into streams (name, version, created_at) values ('$all', 0, now()); update events set stream_id = \
         (select stream_id from streams where name = '$all') where position = 2",
        "insert into streams (name, version, created_at) values (E'a\\nb', 0, now()); update events set stream_id = \
         (select stream_id from streams where name = E'a\\nb') where position = 2",
        "update events set stream_id = 4711 where position = 2",
    ] {
        let (_schema, store) = changed(change).await;
        assert_corrupt(store.read_log(0, &EventFilter::all(), 10).await, change);
        assert_eq!(store.read_stream(&stream("good"), 1, Direction::Forward, 10).await.unwrap().len(), 1);
        assert_eq!(store.read_log(2, &EventFilter::all(), 10).await.unwrap().events.len(), 2);
    }
}

/// An event of a stream that is missing, or stands at another's version, would go unnoticed into a state.
#[tokio::test]
async fn a_hole_in_a_stream_is_named() {
    let changes = [
        ("update events set version = 9 where position = 2", "position 4"),
        ("delete from events where position = 2", "position 1"),
    ];
    for (change, named_backward) in changes {
        let (_schema, store) = changed(change).await;
        let ways = [(1, Direction::Forward, "position 4"), (u64::MAX, Direction::Backward, named_backward)];
        for (from, direction, named) in ways {
            match store.read_stream(&stream("bad"), from, direction, 10).await {
                Err(StoreError::Corrupt(fault)) => {
                    assert!(fault.to_string().contains(named), "{change}: {fault}");
                }
                other => panic!("{change}: {other:?}"),
            }
        }
        assert_eq!(store.read_stream(&stream("good"), 1, Direction::Forward, 10).await.unwrap().len(), 1);
    }
}

/// What an event's type means is not the store's to know.
#[tokio::test]
async fn an_unknown_type_is_read() {
    let (_schema, store) = changed("update events set type = E'\\u2603 \\n' where position = 2").await;
    let log = store.read_log(0, &EventFilter::all(), 10).await.unwrap().events;
    assert_eq!(log[1].event_type, "\u{2603} \n");
}

/// The other tables.
#[tokio::test]
async fn other_rows_that_cannot_be_read_are_corrupt() {
    let (_schema, store) = changed(
        "insert into states values ('bad', 1, 4294967296, now(), '{}'); \
         insert into snapshots values ('bad', 1, -1, now(), 'T', ''), ('late', 1, 1, 'infinity', 'T', ''); \
         update streams set created_at = 'infinity' where name = 'bad'",
    )
    .await;
    let (bad, late) = (stream("bad"), stream("late"));
    assert!(matches!(store.stored_state(&bad).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.latest_snapshot(&bad).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.latest_snapshot(&late).await, Err(StoreError::Corrupt(_))));
    assert!(matches!(store.stream_info(&bad).await, Err(StoreError::Corrupt(_))));
    assert!(store.stream_info(&stream("good")).await.unwrap().is_some());
}

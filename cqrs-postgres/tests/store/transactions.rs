use cqrs_core::store::{AppendError, EventStore as _, ExpectedVersion};
use sqlx::Executor as _;

use crate::support::{append, event, in_time, log, schema, store};

/// Rows of the user and events are committed together, or none of them.
#[tokio::test]
async fn pg_017_events_and_rows_are_committed_together() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    connection.execute("create table usernames (name text primary key)").await.unwrap();
    let insert = format!("insert into \"{}\".usernames values ($1)", schema.name());
    let register = |name: &'static str, commit: bool| {
        let (store, insert) = (store.clone(), insert.clone());
        async move {
            let mut transaction = store.begin().await.unwrap();
            let query = sqlx::query(sqlx::AssertSqlSafe(insert)).bind(name);
            query.execute(&mut *transaction).await?;
            let written = transaction.append(append(name, vec![event(1)])).await.unwrap();
            assert_eq!(written.streams[0].version, 1);
            assert!(
                store
                    .read_stream(&written.streams[0].stream_id, 1, cqrs_core::store::Direction::Forward, 9)
                    .await
                    .unwrap()
                    .is_empty(),
                "not before the commit"
            );
            if commit {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
            Ok::<_, sqlx::Error>(())
        }
    };
    register("ada", true).await.unwrap();
    register("bob", false).await.unwrap();
    assert!(register("ada", true).await.is_err(), "the name is taken");
    register("bob", true).await.unwrap();
    let streams: Vec<_> = log(&store).await.iter().map(|event| event.stream_id.to_string()).collect();
    assert_eq!(streams, ["ada", "bob"]);
}

/// A transaction that is dropped leaves nothing, and lets go of the log.
#[tokio::test]
async fn pg_037_a_dropped_transaction_leaves_nothing() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut transaction = store.begin().await.unwrap();
    transaction.append(append("s", vec![event(1)])).await.unwrap();
    drop(transaction);
    let written = in_time(store.append(append("s", vec![event(2)]))).await.unwrap();
    assert_eq!((written.position, written.streams[0].version), (1, 1));
}

#[tokio::test]
async fn an_append_in_a_transaction_is_refused_like_any_other() {
    let schema = schema().await;
    let store = store(&schema).await;
    let first = append("s", vec![event(1)]);
    store.append(first.clone()).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    let mut wrong = append("s", vec![event(2)]);
    if let cqrs_core::store::StreamWrite::Events { expected, .. } = &mut wrong.writes[0] {
        *expected = ExpectedVersion::Exact(7);
    }
    let refused = transaction.append(wrong).await;
    assert!(matches!(refused, Err(AppendError::WrongExpectedVersion { actual: 1, .. })), "{refused:?}");
    let repeated = transaction.append(first.clone()).await;
    assert!(matches!(repeated, Err(AppendError::AlreadyAppended { append_id }) if append_id == first.id));
    // Neither harmed the transaction.
    transaction.append(append("t", vec![event(3)])).await.unwrap();
    let mut again = append("u", vec![event(4)]);
    again.writes.clone_from(&first.writes);
    let id = match &first.writes[0] {
        cqrs_core::store::StreamWrite::Events { events, .. } => events[0].event_id,
        _ => unreachable!(),
    };
    let duplicate = transaction.append(again).await;
    assert!(
        matches!(duplicate, Err(AppendError::DuplicateEvent { event_id }) if event_id == id),
        "{duplicate:?}"
    );
    // That one did.
    transaction.rollback().await.unwrap();
    assert_eq!(log(&store).await.len(), 1);
}

/// H9: the lock of the log gives its positions only under READ COMMITTED: another level would see an old head.
#[tokio::test]
async fn an_append_needs_read_committed() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    connection.execute("begin isolation level repeatable read").await.unwrap();
    let refused = store.append_in(&mut connection, append("s", vec![event(1)])).await.unwrap_err();
    let AppendError::Store(source) = refused else { panic!("expected a failure, found {refused:?}") };
    assert!(format!("{source:?}").contains("READ COMMITTED"), "{source:?}");
}

/// Those who wait for events hear of a transaction of the user's own as well.
#[tokio::test]
async fn an_append_in_a_foreign_transaction_wakes_readers() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut head = store.watch_head();
    let mut connection = schema.connect().await.unwrap();
    connection.execute("begin").await.unwrap();
    store.append_in(&mut connection, append("s", vec![event(1)])).await.unwrap();
    connection.execute("commit").await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
}

/// H3: a transaction of the user that is open for long, also one that wrote, delays neither appends nor readers.
#[tokio::test]
async fn pg_120_an_open_transaction_delays_nobody() {
    let schema = schema().await;
    let store = store(&schema).await;
    let mut idle = store.begin().await.unwrap();
    idle.execute("create temporary table mine (a int)").await.unwrap();
    idle.execute("insert into mine values (1)").await.unwrap();
    for number in 1..=20 {
        in_time(store.append(append("s", vec![event(number)]))).await.unwrap();
        assert_eq!(log(&store).await.len() as u64, number);
    }
    idle.rollback().await.unwrap();
}

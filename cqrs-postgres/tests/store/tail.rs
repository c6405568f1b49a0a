use std::time::Duration;

use cqrs_core::id::NodeId;
use cqrs_core::store::{EventStore as _, LeaseStore as _};
use cqrs_postgres::testing::TestSchema;
use cqrs_postgres::{Notifications, PostgresConfig, PostgresStore};
use sqlx::Executor as _;

use crate::support::{append, config, event, in_time, log, schema};

/// A second process, as far as the store can tell: a pool of its own.
async fn node(
    schema: &TestSchema,
    configure: impl FnOnce(PostgresConfig) -> PostgresConfig,
) -> PostgresStore {
    PostgresStore::connect(configure(config(schema))).await.unwrap()
}

/// So long that no test lasts until the next poll.
const NEVER: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn another_process_is_told_of_an_append() {
    let schema = schema().await;
    let (writer, reader) = (node(&schema, |c| c).await, node(&schema, |c| c.poll_interval(NEVER)).await);
    let mut head = reader.watch_head();
    for number in 1..=3 {
        writer.append(append("s", vec![event(number)])).await.unwrap();
        in_time(head.wait_for(|position| *position == number)).await.unwrap();
    }
}

#[tokio::test]
async fn pg_127_without_announcements_the_log_is_polled() {
    let schema = schema().await;
    let poll =
        |c: PostgresConfig| c.notifications(Notifications::Off).poll_interval(Duration::from_millis(5));
    let (writer, reader) = (node(&schema, |c| c).await, node(&schema, poll).await);
    let mut head = reader.watch_head();
    writer.append(append("s", vec![event(1)])).await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
}

/// Kills every connection of the database that listens on the schema's channel; gives how many there were.
async fn kill_listeners(schema: &TestSchema) -> u64 {
    let mut connection = schema.connect().await.unwrap();
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity \
                where datname = current_database() and query ilike 'listen%' and query like $1";
    let kill = sqlx::query(kill).bind(format!("%{}%", schema.name()));
    kill.execute(&mut connection).await.unwrap().rows_affected()
}

/// H6: events that are written while nobody listens arrive when somebody does again, without a further append.
#[tokio::test]
async fn pg_100_a_lost_listener_loses_no_event() {
    let schema = schema().await;
    let (writer, reader) = (node(&schema, |c| c).await, node(&schema, |c| c.poll_interval(NEVER)).await);
    let mut head = reader.watch_head();
    writer.append(append("s", vec![event(1)])).await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
    for number in 2..=4 {
        assert!(kill_listeners(&schema).await > 0, "somebody listens");
        writer.append(append("s", vec![event(number)])).await.unwrap();
        in_time(head.wait_for(|position| *position == number)).await.unwrap();
    }
    assert_eq!(log(&reader).await.len(), 4);
}

/// What is said on the channel is a hint: neither nonsense nor a position that is not there yet moves the head.
#[tokio::test]
async fn pg_091_a_false_announcement_does_no_harm() {
    let schema = schema().await;
    let (writer, reader) = (node(&schema, |c| c).await, node(&schema, |c| c.poll_interval(NEVER)).await);
    let mut head = reader.watch_head();
    writer.append(append("s", vec![event(1)])).await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    for word in ["999999999", "-1", "nonsense", ""] {
        let notify = sqlx::query("select pg_notify($1, $2)");
        notify.bind(format!("cqrs:{}", schema.name())).bind(word).execute(&mut connection).await.unwrap();
    }
    writer.append(append("s", vec![event(2)])).await.unwrap();
    let seen = in_time(head.wait_for(|position| *position != 1)).await.unwrap();
    assert_eq!(*seen, 2);
}

#[tokio::test]
async fn another_process_is_told_of_a_lease_that_was_given_back() {
    let schema = schema().await;
    let (owner, other) = (node(&schema, |c| c).await, node(&schema, |c| c).await);
    let mut released = other.watch_leases();
    // Listening begins some time after; what is announced before is found by those who try again.
    let mut head = other.watch_head();
    owner.append(append("s", vec![event(1)])).await.unwrap();
    in_time(head.wait_for(|position| *position == 1)).await.unwrap();
    let epoch = owner.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap().unwrap();
    assert_eq!(other.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap(), None);
    released.mark_unchanged();
    owner.release_lease("handler", epoch).await.unwrap();
    in_time(released.changed()).await.unwrap();
    assert!(other.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap() > Some(epoch));
}

/// H14: time is the database's: an owner whose lease is over is fenced by the next one.
#[tokio::test]
async fn pg_121_a_fenced_owner_cannot_save() {
    use cqrs_core::store::{CheckpointError, CheckpointStore as _};
    let schema = schema().await;
    let (paused, next) = (node(&schema, |c| c).await, node(&schema, |c| c).await);
    let old = paused.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap().unwrap();
    paused.save_checkpoint("handler", 5, old).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    connection.execute("update subscriptions set lease_until = clock_timestamp()").await.unwrap();
    let new = next.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap().unwrap();
    let fenced = paused.save_checkpoint("handler", 9, old).await;
    assert!(matches!(fenced, Err(CheckpointError::Fenced { epoch, .. }) if epoch == old), "{fenced:?}");
    assert_eq!(next.checkpoint("handler").await.unwrap(), Some(5));
    next.save_checkpoint("handler", 7, new).await.unwrap();
}

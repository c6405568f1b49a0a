//! What the in-memory store offers beyond the contract: a bound, a clock, reset, cheap handles.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::clock::Clock;
use cqrs_core::event::Metadata;
use cqrs_core::id::{CausationId, CommandId, CorrelationId, EventId, NodeId};
use cqrs_core::store::{
    Append, AppendError, CheckpointStore, Deletion, Direction, EventData, EventFilter, EventStore,
    ExpectedVersion, LeaseStore, Link, Snapshot, SnapshotStore, StreamId, StreamWrite,
};
use cqrs_memory::MemoryStore;

fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

fn events(count: usize) -> Vec<EventData> {
    (0..count)
        .map(|_| EventData {
            event_id: EventId::new(),
            event_type: "Counted".into(),
            schema_version: 1,
            data: Bytes::from_static(b"{}"),
            metadata: Metadata::new(),
            causation_id: CausationId::new(),
            correlation_id: CorrelationId::new(),
        })
        .collect()
}

fn append(stream_id: &StreamId, count: usize) -> Append {
    Append::to_stream(CommandId::new(), stream_id.clone(), ExpectedVersion::Any, events(count))
}

#[tokio::test]
async fn a_full_store_refuses_events_and_writes_nothing() {
    let store = MemoryStore::builder().max_events(3).build();
    let account = stream("account-1");
    store.append(append(&account, 2)).await.unwrap();
    let too_many = append(&account, 2);
    let refused = store.append(too_many.clone()).await;
    assert!(matches!(refused, Err(AppendError::Full { limit: 3 })), "{refused:?}");
    assert_eq!(store.outcome(too_many.id).await.unwrap(), None);
    assert_eq!(EventStore::head(&store).await.unwrap(), 2);
    assert_eq!(store.stream_info(&account).await.unwrap().unwrap().version, 2);
    assert_eq!(store.append(append(&account, 1)).await.unwrap().position, 3);
    let refused = store.append(append(&account, 1)).await;
    assert!(matches!(refused, Err(AppendError::Full { limit: 3 })), "{refused:?}");
}

#[tokio::test]
async fn the_bound_counts_all_streams_of_an_append() {
    let store = MemoryStore::builder().max_events(3).build();
    let both = |count| Append {
        id: CommandId::new(),
        writes: ["account-1", "account-2"]
            .into_iter()
            .map(|name| StreamWrite::Events {
                stream_id: stream(name),
                expected: ExpectedVersion::Any,
                events: events(count),
            })
            .collect(),
    };
    let refused = store.append(both(2)).await;
    assert!(matches!(refused, Err(AppendError::Full { limit: 3 })), "{refused:?}");
    assert_eq!(store.append(both(1)).await.unwrap().position, 2);
}

#[tokio::test]
async fn a_full_store_still_reads_answers_and_takes_what_holds_no_event() {
    let store = MemoryStore::builder().max_events(1).build();
    let account = stream("account-1");
    let first = append(&account, 1);
    store.append(first.clone()).await.unwrap();
    assert!(store.append(first).await.unwrap().repeated);
    assert_eq!(store.append(append(&account, 0)).await.unwrap().position, 0);
    let link =
        Link { stream_id: stream("report-1"), expected: ExpectedVersion::NoStream, positions: vec![1] };
    assert_eq!(store.link(link).await.unwrap(), 1);
    assert_eq!(store.read_stream(&account, 1, Direction::Forward, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_bound_of_0_takes_no_event() {
    let store = MemoryStore::builder().max_events(0).build();
    let refused = store.append(append(&stream("account-1"), 1)).await;
    assert!(matches!(refused, Err(AppendError::Full { limit: 0 })), "{refused:?}");
}

#[tokio::test]
async fn erased_events_make_room() {
    let store = MemoryStore::builder().max_events(2).allow_hard_deletion().build();
    let account = stream("account-1");
    store.append(append(&account, 2)).await.unwrap();
    store.delete_stream(&account, ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    assert_eq!(store.append(append(&account, 2)).await.unwrap().position, 4);
    let refused = store.append(append(&account, 1)).await;
    assert!(matches!(refused, Err(AppendError::Full { limit: 2 })), "{refused:?}");
}

#[tokio::test]
async fn an_erased_event_may_come_again() {
    let store = MemoryStore::builder().allow_hard_deletion().build();
    let account = stream("account-1");
    let first = append(&account, 1);
    store.append(first.clone()).await.unwrap();
    store.delete_stream(&account, ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    let again = Append { id: CommandId::new(), writes: first.writes };
    assert_eq!(store.append(again).await.unwrap().position, 2);
}

/// Streams, states, snapshots, checkpoints, leases, outcomes and the owner go; positions begin at 1 again.
#[tokio::test]
async fn t_246_reset_forgets_everything() {
    let store = MemoryStore::builder().max_events(4).build();
    let account = stream("account-1");
    let first = append(&account, 4);
    store.bind("bank").await.unwrap();
    store.append(first.clone()).await.unwrap();
    let state = Append {
        id: CommandId::new(),
        writes: vec![StreamWrite::State {
            stream_id: stream("state-1"),
            expected: 0,
            version: 1,
            schema_version: 1,
            data: Bytes::from_static(b"{}"),
        }],
    };
    store.append(state).await.unwrap();
    let node = NodeId::new();
    let epoch = store.acquire_lease("balances", node, Duration::from_secs(60)).await.unwrap().unwrap();
    store.save_checkpoint("balances", 4, epoch).await.unwrap();
    let snapshot = Snapshot {
        stream_id: account.clone(),
        version: 4,
        state_type: "Account".to_owned(),
        schema_version: 1,
        data: Bytes::from_static(b"{}"),
        created_at: Utc::now(),
    };
    store.save_snapshot(snapshot).await.unwrap();
    let closed = stream("account-2");
    store
        .link(Link { stream_id: closed.clone(), expected: ExpectedVersion::Any, positions: vec![1] })
        .await
        .unwrap();
    store.delete_stream(&closed, ExpectedVersion::Any, Deletion::Soft).await.unwrap();
    let identity = EventStore::identity(&store);
    let (mut head, leases) = (store.watch_head(), store.watch_leases());
    assert_eq!(*head.borrow_and_update(), 4);

    store.reset();

    assert_eq!(EventStore::identity(&store), identity);
    assert!(head.has_changed().unwrap());
    assert_eq!(*head.borrow_and_update(), 0);
    assert_eq!(EventStore::head(&store).await.unwrap(), 0);
    assert!(store.read_log(0, &EventFilter::all(), 10).await.unwrap().events.is_empty());
    assert_eq!(store.stream_info(&account).await.unwrap(), None);
    assert_eq!(store.stream_info(&closed).await.unwrap(), None);
    assert_eq!(store.stored_state(&stream("state-1")).await.unwrap(), None);
    assert_eq!(store.checkpoint("balances").await.unwrap(), None);
    assert!(leases.has_changed().unwrap(), "who waits for the lease is woken");
    assert_eq!(store.renew_leases(node, Duration::ZERO).await.unwrap(), []);
    assert_eq!(store.latest_snapshot(&account).await.unwrap(), None);
    assert_eq!(store.outcome(first.id).await.unwrap(), None);
    store.bind("shop").await.unwrap();
    let again = store.append(first).await.unwrap();
    assert_eq!((again.position, again.repeated), (4, false));
    let full = store.append(append(&account, 1)).await;
    assert!(matches!(full, Err(AppendError::Full { limit: 4 })), "the bound stays: {full:?}");
}

/// A clock that goes on by a second whenever it is asked.
#[derive(Debug)]
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.fetch_add(1, Ordering::Relaxed), 0).unwrap()
    }
}

/// One append has one time, and streams are created at it. (`pg_023`)
#[tokio::test]
async fn pg_023_events_carry_the_time_of_the_clock() {
    let store = MemoryStore::builder().clock(Arc::new(Ticking(AtomicI64::new(100)))).build();
    let account = stream("account-1");
    store.append(append(&account, 2)).await.unwrap();
    store.append(append(&account, 1)).await.unwrap();
    let log = store.read_log(0, &EventFilter::all(), 10).await.unwrap().events;
    let seconds: Vec<i64> = log.iter().map(|event| event.created_at.timestamp()).collect();
    assert_eq!(seconds, [100, 100, 101]);
    let info = store.stream_info(&account).await.unwrap().unwrap();
    assert_eq!(info.created_at.timestamp(), 100);
}

/// Leases run out by the store's clock, and by no other.
#[tokio::test]
async fn leases_run_out_by_the_clock() {
    const TTL: Duration = Duration::from_secs(100);
    let seconds = Arc::new(Ticking(AtomicI64::new(0)));
    let store = MemoryStore::builder().clock(seconds.clone()).build();
    let (first, second) = (NodeId::new(), NodeId::new());
    let set = |now| seconds.0.store(now, Ordering::Relaxed);
    assert_eq!(store.acquire_lease("balances", first, TTL).await.unwrap(), Some(1));
    set(99);
    assert_eq!(store.acquire_lease("balances", second, TTL).await.unwrap(), None);
    set(99);
    assert_eq!(store.renew_leases(first, TTL).await.unwrap().len(), 1);
    set(198);
    assert_eq!(store.acquire_lease("balances", second, TTL).await.unwrap(), None, "until 199");
    set(199);
    assert_eq!(store.acquire_lease("balances", second, TTL).await.unwrap(), Some(2));
    assert_eq!(store.renew_leases(first, TTL).await.unwrap(), []);
}

/// A clock that panics when it is asked for the second time.
#[derive(Debug)]
struct PanicsOnce(AtomicI64);

impl Clock for PanicsOnce {
    fn now(&self) -> DateTime<Utc> {
        assert_ne!(self.0.fetch_add(1, Ordering::Relaxed), 1, "the clock broke");
        DateTime::UNIX_EPOCH
    }
}

#[tokio::test]
async fn a_panic_under_the_lock_changes_nothing_and_is_survived() {
    let store = MemoryStore::builder().clock(Arc::new(PanicsOnce(AtomicI64::new(0)))).build();
    let account = stream("account-1");
    store.append(append(&account, 1)).await.unwrap();
    let lost = append(&account, 1);
    let mut callers = tokio::task::JoinSet::new();
    let (clone, again) = (store.clone(), lost.clone());
    callers.spawn(async move { clone.append(again).await });
    assert!(callers.join_next().await.unwrap().unwrap_err().is_panic());
    assert_eq!(store.outcome(lost.id).await.unwrap(), None);
    let made = store.append(lost).await.unwrap();
    assert_eq!((made.position, made.repeated), (2, false));
}

#[tokio::test]
async fn clones_lead_to_the_same_store() {
    let store = MemoryStore::default();
    let clone = store.clone();
    clone.append(append(&stream("account-1"), 2)).await.unwrap();
    assert_eq!(EventStore::head(&store).await.unwrap(), 2);
    assert_eq!(EventStore::identity(&store), EventStore::identity(&clone));
    assert!(EventStore::identity(&store).to_string().starts_with("memory:"));
    assert_ne!(EventStore::identity(&store), EventStore::identity(&MemoryStore::new()));
}

/// Debug tells which store it is and shows no payload.
#[tokio::test]
async fn debug_shows_no_payload() {
    let store = MemoryStore::new();
    let mut secret = append(&stream("account-1"), 1);
    let StreamWrite::Events { events, .. } = &mut secret.writes[0] else {
        panic!("the append holds events");
    };
    events[0].data = Bytes::from_static(b"\"secret\"");
    store.append(secret).await.unwrap();
    let text = format!("{store:?}");
    assert!(text.contains(&EventStore::identity(&store).to_string()), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

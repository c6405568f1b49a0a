use cqrs::MemoryStore;
use cqrs::application::{Config, StateError};
use cqrs::command::InvalidIdentity;

use crate::support::log::{stream, write};
use crate::support::store::ScriptedStore;
use crate::support::tally::{Tallies, Tally, add, add_each, added, tallies};

// T-153, C-033, E-036
#[tokio::test]
async fn t_153_a_restart_rebuilds_state_and_version() {
    let store = MemoryStore::new();
    let before = tallies(store.clone()).await;
    let live = before.dispatch(add_each("1", &[1, 2, 3])).await.unwrap();
    before.shutdown().await;
    let after = tallies(store).await;
    let state = after.aggregate_state::<Tally>("1").await.unwrap();
    assert_eq!((state.version, &state.state), (3, live.state()));
    assert!(after.live_aggregates().is_empty(), "looking does not bring it to life");
    assert_eq!(after.dispatch(add("1", 4)).await.unwrap().version(), 4);
    after.shutdown().await;
}

/// So many events, replayed in pages of that size.
async fn check(events: u64, page: usize) {
    let store = ScriptedStore::default();
    write(&store, "tally-1", (1..=events).map(added).collect()).await;
    let config = Config::new().replay_page(page);
    let tallies = Tallies::builder(store.clone()).config(config).start().await.unwrap();
    let state = tallies.aggregate_state::<Tally>("1").await.unwrap();
    let expected = Tally { total: events * (events + 1) / 2, events };
    assert_eq!((state.version, &*state.state), (events, &expected));
    let dispatched = tallies.dispatch(add("1", 0)).expected_version(events).await.unwrap();
    assert_eq!(dispatched.state().total, expected.total);
    assert!(store.largest_page() <= page, "a page of {}", store.largest_page());
    tallies.shutdown().await;
}

// T-154, N-002, DEF-002
#[tokio::test]
async fn n_002_a_stream_of_many_pages_is_read_to_its_end() {
    check(2_500, 1_000).await;
    check(10_000, 1_000).await;
}

// W-009
#[tokio::test]
async fn w_009_page_boundaries_lose_nothing() {
    for events in [0, 1, 99, 100, 101, 200] {
        check(events, 100).await;
    }
    check(7, 1).await;
}

// T-180, E-035: nothing there is the initial state at version 0.
#[tokio::test]
async fn e_035_an_unknown_aggregate_has_the_initial_state() {
    let tallies = tallies(MemoryStore::new()).await;
    let state = tallies.aggregate_state::<Tally>("nobody").await.unwrap();
    assert_eq!((state.version, &*state.state), (0, &Tally::default()));
    assert_eq!(state.stream_id, stream("tally-nobody"));
    tallies.shutdown().await;
}

#[tokio::test]
async fn t_180_the_state_of_a_live_aggregate_is_the_committed_one() {
    let tallies = tallies(MemoryStore::new()).await;
    let dispatched = tallies.dispatch(add("1", 4)).await.unwrap();
    let state = tallies.aggregate_state::<Tally>("1").await.unwrap();
    assert_eq!((state.version, &state.state), (1, dispatched.state()));
    tallies.shutdown().await;
}

#[tokio::test]
async fn the_state_of_no_identity_is_an_error() {
    let tallies = tallies(MemoryStore::new()).await;
    let error = tallies.aggregate_state::<Tally>("").await.unwrap_err();
    assert!(matches!(error, StateError::InvalidIdentity { source: InvalidIdentity::Empty, .. }), "{error:?}");
    tallies.shutdown().await;
}

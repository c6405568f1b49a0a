//! Events that are written past the application.

use cqrs::MemoryStore;

use crate::support::log::{sound_log, write};
use crate::support::store::ScriptedStore;
use crate::support::tally::{Tally, add, added, look, tallies};

// T-165, T-166, T-167: a live aggregate follows, by reading what is behind its version, neither less nor more.
#[tokio::test]
async fn t_165_a_live_aggregate_follows_what_others_write() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 1)).await.unwrap();
    write(&store, "tally-1", vec![added(2), added(3)]).await;
    for _ in 0..2 {
        let state = tallies.aggregate_state::<Tally>("1").await.unwrap();
        assert_eq!((state.version, state.state.total), (3, 6));
        let seen = tallies.dispatch(look("1")).await.unwrap();
        assert_eq!((seen.version(), seen.state().total), (3, 6));
    }
    write(&store, "tally-1", vec![added(4)]).await;
    let dispatched = tallies.dispatch(add("1", 5)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().total), (5, 15));
    sound_log(&store).await;
    tallies.shutdown().await;
}

#[tokio::test]
async fn t_165_more_than_a_page_of_foreign_events_is_caught_up_with() {
    let store = ScriptedStore::default();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 1)).await.unwrap();
    write(&store, "tally-1", (0..2_500).map(|_| added(1)).collect()).await;
    let dispatched = tallies.dispatch(add("1", 1)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().total), (2_502, 2_502));
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_stream_that_was_begun_by_others_is_taken_over() {
    let store = MemoryStore::new();
    write(&store, "tally-1", vec![added(7)]).await;
    let tallies = tallies(store).await;
    let dispatched = tallies.dispatch(add("1", 1)).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().total), (2, 8));
    tallies.shutdown().await;
}

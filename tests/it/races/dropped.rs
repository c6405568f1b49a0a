//! Callers that go away.

use std::collections::HashSet;
use std::future::IntoFuture;

use cqrs::MemoryStore;
use tokio::task::JoinSet;

use super::domain::{narrow, plain, stored};
use crate::support::store::ScriptedStore;

/// Polls a dispatch so many times at most, then drops it.
async fn at_most<F: Future + Unpin>(mut future: F, polls: u32) -> Option<F::Output> {
    for _ in 0..polls {
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut future).poll(context))
        });
        if let std::task::Poll::Ready(output) = polled.await {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// 1,000 dispatches, most of which are dropped after some polls. Those that were answered are stored once; those
/// that were dropped are stored once or not at all; and the aggregates still work.
macro_rules! check {
    ($program:ident) => {
        let store = MemoryStore::new();
        let race = $program::Race::builder(ScriptedStore::slow(store.clone())).start().await.unwrap();
        let mut dispatches = JoinSet::new();
        for number in 0..1_000_u32 {
            let race = race.clone();
            dispatches.spawn(async move {
                let dispatch = race.dispatch($program::Run { id: number % 4, number }).into_future();
                let result = at_most(dispatch, number.wrapping_mul(2_654_435_761) % 7).await?;
                Some((number, result.unwrap().version()))
            });
        }
        let told: Vec<_> = dispatches.join_all().await.into_iter().flatten().collect();
        for id in 0..4 {
            let last = race.dispatch($program::Run { id, number: 1_000 + id }).await.unwrap();
            assert_eq!(last.state().last, Some(1_000 + id));
        }
        assert!(race.shutdown().await.is_clean());
        let stored = stored(&store).await;
        assert!(stored.values().all(|versions| versions.len() == 1), "stored twice");
        for (number, version) in &told {
            assert_eq!(stored[number], [*version], "number {number}");
        }
        let answered: HashSet<_> = told.iter().map(|(number, _)| *number).collect();
        assert!(answered.len() < 1_000, "none was dropped");
    };
}

#[tokio::test]
async fn dropped_dispatches_neither_lose_nor_double_events() {
    check!(plain);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_dispatches_neither_lose_nor_double_events_on_many_threads() {
    check!(plain);
}

// A caller that goes away while it waits for room wakes the next one.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn dropped_dispatches_free_the_way_to_a_mailbox_of_one() {
    check!(narrow);
}

use cqrs::MemoryStore;
use cqrs::application::Config;
use tokio::task::JoinSet;

use super::domain::{check_told, fleeting, plain};
use crate::support::store::ScriptedStore;

// T-071, L-008, DEF-018: each gets its result, without a single retry.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t_071_instances_that_stop_lose_no_command() {
    let store = MemoryStore::new();
    let race = fleeting::Race::builder(ScriptedStore::slow(store.clone())).start().await.unwrap();
    let mut dispatches = JoinSet::new();
    for number in 0..2_000 {
        let race = race.clone();
        dispatches.spawn(async move {
            let dispatch = race.dispatch(fleeting::Run { id: number % 3, number }).retry_attempts(0);
            (number, dispatch.await.unwrap().version())
        });
    }
    check_told(&store, dispatches.join_all().await).await;
    assert!(race.live_aggregates().is_empty());
    assert!(race.shutdown().await.is_clean());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eviction_under_load_loses_no_command() {
    let store = MemoryStore::new();
    let config = Config::new().max_live_aggregates(4);
    let race = plain::Race::builder(ScriptedStore::slow(store.clone())).config(config).start().await.unwrap();
    let mut dispatches = JoinSet::new();
    for number in 0..4_000 {
        let race = race.clone();
        dispatches.spawn(async move {
            // No retry: an instance beside another one of its stream would be told by a conflict.
            let dispatch = race.dispatch(plain::Run { id: number % 50, number }).retry_attempts(0);
            (number, dispatch.await.unwrap().version())
        });
    }
    check_told(&store, dispatches.join_all().await).await;
    // At rest the bound holds again, with the next command at the latest.
    let last = race.dispatch(plain::Run { id: 0, number: 4_000 }).await.unwrap();
    assert_eq!(last.version(), 81);
    assert!(race.live_aggregates().len() <= 5);
    assert!(race.shutdown().await.is_clean());
}

/// Four callers that walk over the same aggregates side by side, so that each meets instances that another one's
/// command has just ended.
macro_rules! side_by_side {
    ($program:ident, $bound:expr) => {
        const EACH: u32 = 4_000;
        let store = MemoryStore::new();
        let config = Config::new().max_live_aggregates($bound);
        let race = $program::Race::builder(store.clone()).config(config).start().await.unwrap();
        let mut callers = JoinSet::new();
        for caller in 0..4 {
            let race = race.clone();
            callers.spawn(async move {
                let mut told = Vec::new();
                for step in 0..EACH {
                    let (id, number) = (step / 8, caller * EACH + step);
                    let dispatch = race.dispatch($program::Run { id, number }).retry_attempts(0);
                    told.push((number, dispatch.await.unwrap().version()));
                }
                told
            });
        }
        check_told(&store, callers.join_all().await.concat()).await;
        assert!(race.shutdown().await.is_clean());
    };
}

// T-071
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn t_071_callers_side_by_side_meet_no_instance_that_has_left() {
    side_by_side!(fleeting, 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_side_by_side_meet_no_instance_that_was_pushed_out() {
    side_by_side!(plain, 1);
}

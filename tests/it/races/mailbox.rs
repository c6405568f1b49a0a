use cqrs::MemoryStore;
use tokio::task::JoinSet;

use super::domain::{check_told, narrow, narrow_and_fleeting};
use crate::support::store::ScriptedStore;

/// A hundred callers at once, on an aggregate where one may wait.
macro_rules! check {
    ($program:ident) => {
        for _ in 0..20 {
            let store = MemoryStore::new();
            let race = $program::Race::builder(ScriptedStore::slow(store.clone())).start().await.unwrap();
            let mut dispatches = JoinSet::new();
            for number in 0..100 {
                let race = race.clone();
                dispatches.spawn(async move {
                    let dispatched = race.dispatch($program::Run { id: 1, number }).await.unwrap();
                    (number, dispatched.version())
                });
            }
            check_told(&store, dispatches.join_all().await).await;
            assert!(race.shutdown().await.is_clean());
        }
    };
}

#[tokio::test]
async fn a_mailbox_of_one_serves_a_hundred_callers() {
    check!(narrow);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mailbox_of_one_serves_a_hundred_callers_on_many_threads() {
    check!(narrow);
}

// Those that wait for room find the next instance when this one leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mailbox_of_one_may_leave_with_its_instance() {
    check!(narrow_and_fleeting);
}

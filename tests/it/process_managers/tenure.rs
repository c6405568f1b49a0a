//! A process manager whose store fails while this node becomes its owner.

use std::time::Duration;

use super::domain::*;
use crate::handlers::domain::until;
use crate::leases::domain::{Call, Fault, FaultyStore, store_with_clock};
use cqrs::store::CheckpointStore as _;
use cqrs::testing::TestClock;

/// How often a call fails until the store answers.
const TIMES: usize = 5;

/// T-385: whatever cannot be read when a tenure begins is read later, and nothing is lost or done twice.
#[tokio::test(start_paused = true)]
async fn t_385_a_tenure_begins_when_the_store_answers() {
    for call in [Call::AcquireLease, Call::Checkpoint, Call::Records, Call::Head, Call::DueRecords] {
        let (store, _) = store_with_clock();
        let (way, clock) = (FaultyStore::on(&store), TestClock::new());
        let first = Jobs::builder(store.clone()).node("first").clock(clock.clone()).start().await.unwrap();
        let second = Jobs::builder(way.clone()).node("second").clock(clock.clone()).start().await.unwrap();
        break_it("x");
        for (job, word) in
            [("a", "start:do=1:by=t/1000"), ("b", "start:do=x:do=2"), ("c", "start:may=x:do=3")]
        {
            first.dispatch(tell(job, word)).await.unwrap();
        }
        until(async || {
            let parked = store.records("foreman", "parked", None, 10).await.unwrap().len();
            let stuck = store.records("foreman", "command", None, 10).await.unwrap().len();
            let timers = store.records("foreman", "timer", None, 10).await.unwrap().len();
            ((parked, stuck, timers) == (1, 2, 1) && done(&store, "a").await == ["1"]).then_some(())
        })
        .await;
        clock.advance(Duration::from_secs(1));
        until(async || (done(&store, "a").await == ["1", "late-t"]).then_some(())).await;
        first.dispatch(tell("a", "go:by=u/1000")).await.unwrap();
        until(async || {
            let timers = store.records("foreman", "timer", None, 10).await.unwrap();
            (timers.len() == 1).then_some(())
        })
        .await;

        let before = way.calls(call);
        way.fail(call, Fault::Unavailable, usize::MAX);
        first.shutdown().await;
        second.dispatch(tell("d", "start:do=4")).await.unwrap();
        until(async || (way.calls(call) > before + TIMES).then_some(())).await;
        assert!(done(&store, "d").await.is_empty(), "without {call:?} it has not begun");
        way.heal(call);
        until(async || (done(&store, "d").await == ["4"]).then_some(())).await;
        clock.advance(Duration::from_secs(1));
        until(async || (done(&store, "a").await == ["1", "late-t", "late-u"]).then_some(())).await;
        mend("x");
        let foreman = second.process_manager("foreman").unwrap();
        for job in ["b", "c"] {
            foreman.retry(job).await.unwrap();
        }
        until(async || (done(&store, "b").await == ["x", "2"]).then_some(())).await;
        until(async || (done(&store, "c").await == ["3"]).then_some(())).await;
        until(async || {
            let left = store.records("foreman", "command", None, 10).await.unwrap();
            left.is_empty().then_some(())
        })
        .await;
        second.shutdown().await;
    }
}

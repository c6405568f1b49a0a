//! Callers that give up, runtimes that go away, applications that stop.

use std::future::IntoFuture as _;
use std::time::Duration;

use cqrs::dispatch::TimeoutOutcome;
use cqrs::prelude::*;

use super::queue::{Answer, Busy};
use crate::support::gate::Gate;
use crate::support::log::{sound_log, write};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{add, added, tallies};

const SECOND: Duration = Duration::from_secs(1);

#[track_caller]
fn timed_out(answer: &Answer) -> TimeoutOutcome {
    match answer {
        Err(DispatchError::Timeout { outcome, .. }) => *outcome,
        other => panic!("{other:?}"),
    }
}

// T-069: before the chain is decided the command did not run, and never will.
#[tokio::test(start_paused = true)]
async fn t_069_a_command_whose_time_is_up_in_the_queue_is_in_no_chain() {
    let mut busy = Busy::new([]).await;
    busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
    busy.send(busy.tallies.dispatch(add("1", 100)).timeout(SECOND));
    busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
    busy.queued(3).await;
    tokio::time::sleep(2 * SECOND).await;
    let answers = busy.run().await;
    assert_eq!(timed_out(&answers[2]), TimeoutOutcome::DidNotRun);
    let told: Vec<_> = [0, 1, 3].map(|n| answers[n].as_ref().unwrap().state().total).into();
    assert_eq!(told, [1, 2, 3]);
    busy.tallies.shutdown().await;
    assert_eq!(sound_log(&busy.store).await.len(), 3);
}

// T-069: its events are on the way to the store. Those of the others too.
#[tokio::test(start_paused = true)]
async fn t_069_a_command_whose_time_is_up_while_its_chain_is_stored_is_unknown() {
    for is_written_first in [false, true] {
        let chain = Gate::shut();
        let act = match is_written_first {
            true => Act::HoldAfter(chain.clone()),
            false => Act::HoldBefore(chain.clone()),
        };
        let mut busy = Busy::new([act]).await;
        busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
        busy.send(busy.tallies.dispatch(add("1", 1)).timeout(SECOND));
        busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
        busy.queued(3).await;
        busy.gate.open();
        chain.arrival().await;
        tokio::time::sleep(2 * SECOND).await;
        chain.open();
        let answers = busy.answers().await;
        assert_eq!(timed_out(&answers[2]), TimeoutOutcome::Unknown);
        assert_eq!(answers[3].as_ref().unwrap().version(), 4);
        assert_eq!(busy.store.calls(), [1, 3]);
        busy.tallies.shutdown().await;
        assert_eq!(sound_log(&busy.store).await.len(), 4);
    }
}

// It was told "unknown"; nothing was stored, and nothing will be: nobody listens.
#[tokio::test(start_paused = true)]
async fn a_command_that_was_given_up_on_its_way_is_not_run_again() {
    let chain = Gate::shut();
    let mut busy = Busy::new([Act::HoldBefore(chain.clone())]).await;
    busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
    busy.send(busy.tallies.dispatch(add("1", 100)).timeout(SECOND));
    busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
    busy.queued(3).await;
    busy.gate.open();
    chain.arrival().await;
    tokio::time::sleep(2 * SECOND).await;
    write(&busy.store.inner, "tally-1", vec![added(10)]).await;
    chain.open();
    let answers = busy.answers().await;
    assert_eq!(timed_out(&answers[2]), TimeoutOutcome::Unknown);
    let told: Vec<_> = [0, 1, 3].map(|n| answers[n].as_ref().unwrap().state().total).into();
    assert_eq!(told, [1, 12, 13]);
    busy.tallies.shutdown().await;
    assert_eq!(sound_log(&busy.store).await.len(), 4);
}

#[tokio::test]
async fn dropped_dispatches_of_a_chain_that_is_being_stored_are_finished() {
    let chain = Gate::shut();
    let mut busy = Busy::new([Act::HoldBefore(chain.clone())]).await;
    busy.send_adds(2).await;
    let mut dropped = Box::pin(busy.tallies.dispatch(add("1", 1)).into_future());
    tokio::select! {
        biased;
        answer = &mut dropped => panic!("{answer:?}"),
        () = busy.queued(3) => {}
    }
    busy.gate.open();
    chain.arrival().await;
    drop(dropped);
    chain.open();
    let told: Vec<_> = busy.answers().await.into_iter().map(|answer| answer.unwrap().version()).collect();
    assert_eq!(told, [1, 2, 3]);
    assert_eq!(busy.tallies.dispatch(add("1", 1)).await.unwrap().version(), 5);
    busy.tallies.shutdown().await;
    assert_eq!(sound_log(&busy.store).await.len(), 5);
}

// The deadline has passed: what is under way is unknown, what waits did not run and never will.
#[tokio::test]
async fn no_chain_begins_behind_the_end_of_its_application() {
    let mut busy = Busy::new([]).await;
    for _ in 0..3 {
        busy.send(busy.tallies.dispatch(add("1", 1)).no_timeout());
    }
    busy.queued(3).await;
    assert!(!busy.tallies.shutdown_within(Duration::ZERO).await.is_clean());
    let answers = busy.run().await;
    assert!(answers[1..].iter().all(Result::is_err), "{answers:?}");
    for answer in &answers[1..] {
        assert!(!answer.as_ref().unwrap_err().is_outcome_unknown(), "{answer:?}");
    }
    assert_eq!(busy.store.calls(), [1]);
    assert_eq!(sound_log(&busy.store).await.len(), 1);
}

// The run, and with it the chain, goes with the runtime of the caller who began it; the others are told.
#[test]
fn a_chain_that_goes_with_a_runtime_is_told_to_its_callers() {
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (home, abroad) = (runtime(), runtime());
    let (first, chain) = (Gate::shut(), Gate::shut());
    let store = ScriptedStore::new([Act::HoldBefore(first.clone()), Act::HoldBefore(chain.clone())]);
    let bank = home.block_on(tallies(store.clone()));
    let begun = bank.clone();
    let began = abroad.spawn(async move { begun.dispatch(add("1", 1)).no_timeout().await.is_ok() });
    home.block_on(first.arrival());
    let callers: Vec<_> = (0..3)
        .map(|_| {
            let bank = bank.clone();
            home.spawn(async move { bank.dispatch(add("1", 1)).no_timeout().await })
        })
        .collect();
    home.block_on(async {
        while bank.live_aggregates()[0].waiting < 3 {
            tokio::task::yield_now().await;
        }
        first.open();
        chain.arrival().await;
    });
    drop(abroad);
    drop(began);
    home.block_on(async {
        for caller in callers {
            assert_eq!(timed_out(&caller.await.unwrap()), TimeoutOutcome::Unknown);
        }
        let next = bank.dispatch(add("1", 1)).await.unwrap();
        assert_eq!((next.version(), next.state().total), (2, 2));
        bank.shutdown().await;
        assert_eq!(sound_log(&store).await.len(), 2);
    });
    assert_eq!(store.calls(), [1, 3, 1]);
}

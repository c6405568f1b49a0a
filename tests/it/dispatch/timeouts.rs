use std::future::IntoFuture;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::dispatch::TimeoutOutcome;
use cqrs::id::CommandId;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use cqrs::store::Store;

use crate::support::gate::Gate;
use crate::support::log::sound_log;
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Held, Tallies, Tally, add, add_held, look, tallies};

const SECOND: Duration = Duration::from_secs(1);

/// The application, whose command handler waits at the gate.
async fn held(store: impl Store) -> (Tallies, Gate) {
    let gate = Gate::shut();
    let builder = Tallies::builder(store).command_handler(Held(gate.clone()));
    (builder.start().await.unwrap(), gate)
}

/// The outcome of a dispatch that took too long, and the limit it had.
fn timed_out<T: std::fmt::Debug, E: std::fmt::Debug>(
    result: Result<T, DispatchError<E>>,
) -> (TimeoutOutcome, Duration) {
    match result {
        Err(error @ DispatchError::Timeout { outcome, limit, .. }) => {
            assert_eq!(error.kind(), FailureKind::Timeout);
            assert_eq!(error.is_outcome_unknown(), outcome == TimeoutOutcome::Unknown);
            (outcome, limit)
        }
        other => panic!("{other:?}"),
    }
}

// T-067, T-069, N-028, L-011, L-033
#[tokio::test(start_paused = true)]
async fn t_069_a_command_that_was_being_decided_did_not_run_and_never_will() {
    let store = MemoryStore::new();
    let (tallies, gate) = held(store.clone()).await;
    let result = tallies.dispatch(add_held("1", 1)).timeout(SECOND).await;
    assert_eq!(timed_out(result), (TimeoutOutcome::DidNotRun, SECOND));
    // The handler finishes later; its decision comes to nothing.
    gate.open();
    let next = tallies.dispatch(add("1", 10)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (1, 10));
    tallies.shutdown().await;
    assert_eq!(sound_log(&store).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn t_069_a_command_in_the_queue_did_not_run_and_never_will() {
    let store = MemoryStore::new();
    let (tallies, gate) = held(store.clone()).await;
    let first = tallies.dispatch(add_held("1", 1)).no_timeout();
    let second = async {
        gate.arrival().await;
        let result = tallies.dispatch(add("1", 10)).timeout(SECOND).await;
        gate.open();
        result
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(timed_out(second), (TimeoutOutcome::DidNotRun, SECOND));
    assert_eq!(first.unwrap().version(), 1);
    tallies.shutdown().await;
    assert_eq!(sound_log(&store).await.len(), 1);
}

// T-069: its events are on the way to the store; the same id again tells what became of them.
#[tokio::test(start_paused = true)]
async fn t_069_a_command_that_is_being_stored_has_an_unknown_outcome() {
    for is_written_first in [false, true] {
        let gate = Gate::shut();
        let act = match is_written_first {
            true => Act::HoldAfter(gate.clone()),
            false => Act::HoldBefore(gate.clone()),
        };
        let store = ScriptedStore::new([act]);
        let tallies = tallies(store.clone()).await;
        let id = CommandId::new();
        let result = tallies.dispatch(add("1", 1)).command_id(id).timeout(SECOND).await;
        assert_eq!(timed_out(result), (TimeoutOutcome::Unknown, SECOND));
        assert_eq!(gate.arrivals(), 1);
        assert_eq!(sound_log(&store).await.len(), usize::from(is_written_first));
        gate.open();
        let again = tallies.dispatch(add("1", 1)).command_id(id).await.unwrap();
        assert!(again.is_repeated());
        assert_eq!((again.version(), again.state().total), (1, 1));
        assert_eq!(sound_log(&store).await.len(), 1);
        tallies.shutdown().await;
    }
}

// T-068
#[tokio::test(start_paused = true)]
async fn t_068_work_within_the_limit_succeeds() {
    let store = MemoryStore::new();
    let (tallies, gate) = held(store).await;
    for dispatch in [
        tallies.dispatch(add_held("1", 1)).timeout(10 * SECOND),
        tallies.dispatch(add_held("1", 1)).no_timeout(),
        tallies.dispatch(add_held("1", 1)).timeout(Duration::MAX),
    ] {
        let open_later = async {
            gate.arrival().await;
            tokio::time::advance(9 * SECOND).await;
            gate.let_one_in();
        };
        let (result, ()) = tokio::join!(dispatch, open_later);
        result.unwrap();
    }
    assert_eq!(tallies.aggregate_state::<Tally>("1").await.unwrap().version, 3);
    tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn t_067_a_command_has_five_seconds_unless_something_is_said() {
    let (tallies, _gate) = held(MemoryStore::new()).await;
    let started = tokio::time::Instant::now();
    let result = tallies.dispatch(add_held("1", 1)).await;
    assert_eq!(timed_out(result), (TimeoutOutcome::DidNotRun, 5 * SECOND));
    assert_eq!(started.elapsed().as_secs(), 5);
    tallies.shutdown_within(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn no_time_at_all_is_a_timeout_and_not_a_hang() {
    let store = MemoryStore::new();
    let (tallies, _gate) = held(store.clone()).await;
    let result = tallies.dispatch(add_held("1", 1)).timeout(Duration::ZERO).await;
    assert_eq!(timed_out(result).0, TimeoutOutcome::DidNotRun);
    tallies.shutdown_within(Duration::ZERO).await;
    assert!(sound_log(&store).await.is_empty());
}

// A caller that goes away gives its command up, as a timeout does.
#[tokio::test]
async fn a_dropped_dispatch_that_was_being_decided_comes_to_nothing() {
    let store = MemoryStore::new();
    let (tallies, gate) = held(store.clone()).await;
    tokio::select! {
        biased;
        result = tallies.dispatch(add_held("1", 1)).into_future() => panic!("{result:?}"),
        () = gate.arrival() => {}
    }
    gate.open();
    let next = tallies.dispatch(look("1")).await.unwrap();
    assert_eq!(next.version(), 0);
    tallies.shutdown().await;
    assert!(sound_log(&store).await.is_empty());
}

#[tokio::test]
async fn a_dropped_dispatch_that_was_being_stored_is_finished() {
    let gate = Gate::shut();
    let store = ScriptedStore::new([Act::HoldBefore(gate.clone())]);
    let tallies = tallies(store.clone()).await;
    tokio::select! {
        biased;
        result = tallies.dispatch(add("1", 1)).into_future() => panic!("{result:?}"),
        () = gate.arrival() => {}
    }
    gate.open();
    let next = tallies.dispatch(add("1", 1)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (2, 2));
    tallies.shutdown().await;
    assert_eq!(sound_log(&store).await.len(), 2);
}

#[derive(Event, serde::Serialize, serde::Deserialize, Clone, Debug, PartialEq)]
#[event(name = "timeouts.Pondered")]
struct Pondered;

/// Blocks its thread for longer than it may take.
#[derive(Command, serde::Serialize, serde::Deserialize)]
#[command(router = Pondering, aggregate = Thinker, identify_by = 0, timeout = "1ms")]
struct Ponder(u64);

#[derive(Default, Clone)]
struct Thinker;

#[aggregate(stream_prefix = "thinker")]
impl Thinker {
    #[execute]
    fn ponder(&self, command: &Ponder, context: &CommandContext) -> Pondered {
        let began = std::time::Instant::now();
        while began.elapsed() < Duration::from_millis(command.0) {
            std::hint::black_box(context.version);
        }
        Pondered
    }

    #[apply]
    fn pondered(&mut self, _event: &Pondered) {}
}

#[derive(Router)]
struct Pondering;

application! {
    struct Study {
        routers: [Pondering],
    }
}

// T-067, L-011: nobody can interrupt a decision that blocks, but what it decides too late is not stored.
#[tokio::test]
async fn t_067_what_was_decided_too_late_is_not_stored() {
    let store = MemoryStore::new();
    let study = Study::builder(store.clone()).start().await.unwrap();
    let result = study.dispatch(Ponder(20)).await;
    assert_eq!(timed_out(result), (TimeoutOutcome::DidNotRun, Duration::from_millis(1)));
    let state = study.aggregate_state::<Thinker>(20).await.unwrap();
    assert_eq!(state.version, 0);
    study.dispatch(Ponder(0)).no_timeout().await.unwrap();
    study.shutdown().await;
    assert_eq!(sound_log(&store).await.len(), 1);
}

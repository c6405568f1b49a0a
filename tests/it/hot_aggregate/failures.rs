//! What the store may say to a chain: every command has the outcome that it would have had alone.

use cqrs::MemoryStore;
use cqrs::id::CommandId;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use cqrs::store::{AppendError, Deletion, EventStore as _, ExpectedVersion, StoreError};

use super::queue::{Answer, Busy};
use crate::support::gate::Gate;
use crate::support::log::{append_to, events_of, sound_log, stream, write};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{Tallies, Tally, add, added, take};

/// Another writer adds 10 first.
fn overtaken() -> Act {
    Act::After(append_to("tally-1", vec![added(10)]))
}

/// Five commands that add 1, behind the first; the store follows the script from then on.
async fn five(script: impl IntoIterator<Item = Act>) -> Busy {
    let mut busy = Busy::new(script).await;
    busy.send_adds(5).await;
    busy
}

/// That the aggregate still works, and is at this version with this total.
async fn check_next(busy: &Busy, version: u64, total: u64) {
    let next = busy.tallies.dispatch(add("1", 1)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (version, total));
    assert_eq!(sound_log(&busy.store).await.len() as u64, version);
    busy.tallies.shutdown().await;
}

// T-160, G3: thrown away, and decided again one by one on what is new.
#[tokio::test]
async fn t_160_after_a_conflict_the_commands_run_one_by_one() {
    let mut busy = five([overtaken()]).await;
    assert_eq!(busy.versions().await, [1, 3, 4, 5, 6, 7]);
    assert_eq!(busy.store.calls(), [1, 5, 1, 1, 1, 1, 1]);
    check_next(&busy, 8, 17).await;
}

#[tokio::test]
async fn a_conflict_while_the_store_is_at_work_loses_and_doubles_nothing() {
    let chain = Gate::shut();
    let mut busy = five([Act::HoldBefore(chain.clone())]).await;
    busy.gate.open();
    chain.arrival().await;
    write(&busy.store.inner, "tally-1", vec![added(10), added(10)]).await;
    chain.open();
    let answers = busy.answers().await;
    let told: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().version()).collect();
    assert_eq!(told, [1, 4, 5, 6, 7, 8]);
    for answer in answers.iter().flatten() {
        let log = sound_log(&busy.store).await;
        let event = &log[usize::try_from(answer.version()).unwrap() - 1];
        assert_eq!(event.causation_id, answer.command_id().into());
    }
    check_next(&busy, 9, 27).await;
}

// N-010: a budget of n allows n + 1 executions, counted from when the command runs alone.
#[tokio::test]
async fn n_010_a_conflict_of_a_chain_costs_no_attempt() {
    let mut busy = Busy::new([overtaken(), overtaken()]).await;
    for _ in 0..3 {
        busy.send(busy.tallies.dispatch(add("1", 1)).retry_attempts(0));
    }
    busy.queued(3).await;
    let mut answers = busy.run().await;
    let overtaken_alone = answers.remove(1).unwrap_err();
    assert!(
        matches!(overtaken_alone, DispatchError::TooManyAttempts { attempts: 1, .. }),
        "{overtaken_alone:?}"
    );
    let told: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().version()).collect();
    assert_eq!(told, [1, 4, 5]);
    check_next(&busy, 6, 24).await;
}

#[tokio::test]
async fn a_conflict_may_turn_a_decision_into_a_refusal() {
    let taken = crate::support::log::raw("tally.Taken", 1, &serde_json::json!({ "amount": 1 }));
    let mut busy = Busy::new([Act::After(append_to("tally-1", vec![taken]))]).await;
    busy.send(busy.tallies.dispatch(take("1", 1)));
    busy.send(busy.tallies.dispatch(add("1", 5)));
    busy.queued(2).await;
    let mut answers = busy.run().await.into_iter().skip(1);
    assert_eq!(answers.next().unwrap().unwrap_err().rejection().unwrap().total, 0);
    assert_eq!(answers.next().unwrap().unwrap().version(), 3);
    check_next(&busy, 4, 6).await;
}

#[tokio::test]
async fn an_expected_version_that_another_writer_took_is_told() {
    let mut busy = Busy::new([overtaken()]).await;
    busy.send(busy.tallies.dispatch(add("1", 1)).expected_version(1));
    busy.send(busy.tallies.dispatch(add("1", 1)).expected_version(2));
    busy.queued(2).await;
    let mut answers = busy.run().await.into_iter().skip(1);
    let wrong = answers.next().unwrap();
    assert!(
        matches!(wrong, Err(DispatchError::WrongExpectedVersion { expected: 1, actual: 2, .. })),
        "{wrong:?}"
    );
    // The other writer's version is as good as any.
    assert_eq!(answers.next().unwrap().unwrap().version(), 3);
    check_next(&busy, 4, 13).await;
}

#[tokio::test]
async fn a_hard_deletion_is_noticed_by_a_chain() {
    let chain = Gate::shut();
    let store = ScriptedStore::on(MemoryStore::builder().allow_hard_deletion().build());
    let tallies = Tallies::builder(store.clone()).start().await.unwrap();
    let mut busy = Busy::on(store, tallies, [Act::HoldBefore(chain.clone())]).await;
    busy.send_adds(3).await;
    busy.gate.open();
    chain.arrival().await;
    let tally = stream("tally-1");
    busy.store.inner.delete_stream(&tally, ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    chain.open();
    let told: Vec<_> = busy.answers().await.into_iter().map(|answer| answer.unwrap().state().total).collect();
    assert_eq!(told, [1, 1, 2, 3]);
    busy.tallies.shutdown().await;
}

// D2: the store is asked what became of it.
#[tokio::test]
async fn a_chain_that_was_lost_sight_of_and_is_stored_is_told_as_such() {
    let mut busy = five([Act::LoseOutcome]).await;
    let answers = busy.run().await;
    let told: Vec<_> = answers
        .iter()
        .flatten()
        .map(|answer| (answer.version(), answer.position(), answer.state().total, answer.is_repeated()))
        .collect();
    assert_eq!(told, (1..=6).map(|n| (n, Some(n), n, false)).collect::<Vec<_>>());
    assert_eq!(busy.store.calls(), [1, 5]);
    check_next(&busy, 7, 7).await;
}

// It is not stored now, and may be so in a moment: run again, its commands might be stored twice.
#[tokio::test]
async fn a_chain_that_was_lost_sight_of_and_is_not_stored_by_now_is_unknown() {
    for lands in [false, true] {
        let mut busy = five([Act::Delay]).await;
        let answers = busy.run().await;
        let ids: Vec<_> = answers[1..].iter().map(unknown).collect();
        assert_eq!(busy.store.calls(), [1, 5]);
        if lands {
            busy.store.land().await;
        }
        for (command_id, append_id) in ids {
            assert_eq!(command_id, append_id);
            let outcome = busy.store.outcome(append_id).await.unwrap();
            assert_eq!(outcome.is_some(), lands, "the id tells what became of it");
        }
        let version = if lands { 7 } else { 2 };
        check_next(&busy, version, version).await;
    }
}

// It lands between the reading of the state and the next append, which notices.
#[tokio::test]
async fn a_chain_that_lands_late_is_a_writer_like_any_other() {
    let mut busy = five([Act::Delay, Act::Land]).await;
    let answers = busy.run().await;
    assert!(answers[1..].iter().all(|answer| answer.as_ref().unwrap_err().is_outcome_unknown()));
    check_next(&busy, 7, 7).await;
    assert_eq!(busy.store.calls(), [1, 5, 1, 1]);
}

#[tokio::test]
async fn a_chain_of_which_nobody_can_tell_is_unknown_for_each() {
    for (act, stored) in [(Act::LoseOutcome, 6), (Act::LoseAppend, 1)] {
        let mut busy = five([act]).await;
        busy.store.be_deaf(true);
        let answers = busy.run().await;
        for answer in &answers[1..] {
            let Err(error @ DispatchError::OutcomeUnknown { stream_id, source, .. }) = answer else {
                panic!("{answer:?}");
            };
            assert!(error.is_outcome_unknown());
            assert_eq!(stream_id.as_str(), "tally-1");
            assert!(matches!(**source, AppendError::OutcomeUnknown { .. }));
        }
        busy.store.be_deaf(false);
        assert_eq!(busy.store.calls(), [1, 5]);
        check_next(&busy, stored + 1, stored + 1).await;
    }
}

/// The command and the append that an unknown outcome names.
fn unknown(answer: &Answer) -> (CommandId, CommandId) {
    match answer {
        Err(DispatchError::OutcomeUnknown { command_id, source, .. }) => match &**source {
            AppendError::OutcomeUnknown { append_id, .. } => (*command_id, *append_id),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_panic_of_the_store_leaves_the_outcome_of_each_unknown() {
    let mut busy = five([Act::Panic]).await;
    let answers = busy.run().await;
    let events = events_of(&busy.store, "tally-1").await;
    assert_eq!(events.len(), 6);
    for (answer, event) in answers[1..].iter().zip(&events[1..]) {
        let (command_id, append_id) = unknown(answer);
        assert_eq!(command_id, append_id);
        assert_eq!(event.causation_id, command_id.into(), "the id leads to what became of it");
        assert!(busy.store.outcome(append_id).await.unwrap().is_some());
    }
    check_next(&busy, 7, 7).await;
}

// F-089: each would ask a store in vain that is away.
#[tokio::test]
async fn a_store_that_is_away_fails_all_of_a_chain_at_once() {
    let mut busy = five([Act::Fail]).await;
    let answers = busy.run().await;
    for answer in &answers[1..] {
        let Err(error @ DispatchError::Store { source, .. }) = answer else {
            panic!("{answer:?}");
        };
        assert!(matches!(**source, AppendError::Store(StoreError::Unavailable(_))));
        assert_eq!((error.kind(), error.is_outcome_unknown()), (FailureKind::Store, false));
        assert!(format!("{source:?}").contains("unplugged"), "the reason is kept");
    }
    assert_eq!(busy.store.calls(), [1, 5]);
    check_next(&busy, 2, 2).await;
}

// A chain may be larger than the store takes; its commands are not.
#[tokio::test]
async fn a_chain_that_is_too_large_is_appended_one_by_one() {
    let mut busy = five([Act::TooLarge]).await;
    assert_eq!(busy.versions().await, [1, 2, 3, 4, 5, 6]);
    assert_eq!(busy.store.calls(), [1, 5, 1, 1, 1, 1, 1]);
    check_next(&busy, 7, 7).await;
}

#[tokio::test]
async fn a_command_that_is_too_large_fails_alone() {
    let mut busy = five([Act::TooLarge, Act::TooLarge]).await;
    let mut answers = busy.run().await;
    let too_large = answers.remove(1);
    assert!(matches!(too_large, Err(DispatchError::TooLarge { .. })), "{too_large:?}");
    let told: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().version()).collect();
    assert_eq!(told, [1, 2, 3, 4, 5]);
    check_next(&busy, 6, 6).await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_refuses_each() {
    let chain = Gate::shut();
    let mut busy = five([Act::HoldBefore(chain.clone())]).await;
    busy.gate.open();
    chain.arrival().await;
    busy.store.inner.delete_stream(&stream("tally-1"), ExpectedVersion::Any, Deletion::Soft).await.unwrap();
    chain.open();
    for answer in busy.answers().await.iter().skip(1) {
        let Err(DispatchError::Store { source, .. }) = answer else { panic!("{answer:?}") };
        assert!(matches!(**source, AppendError::StreamDeleted { .. }));
    }
    assert!(busy.tallies.aggregate_state::<Tally>("1").await.is_err());
    busy.tallies.shutdown().await;
}

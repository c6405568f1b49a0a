use cqrs::MemoryStore;
use cqrs::application::ApplicationState;
use cqrs::dispatch::PanicPlace;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;
use cqrs::store::{AppendError, StoreError};

use crate::support::log::{events_of, sound_log};
use crate::support::store::{Act, ScriptedStore};
use crate::support::tally::{
    Added, Tally, TallyEvent, TooLittle, add, add_each, explode, look, take, tallies,
};

// T-061, T-062, T-063, T-064, T-066: one value carries all that Commanded's `returning` chooses from.
#[tokio::test]
async fn t_064_a_dispatch_gives_state_version_events_position_and_ids() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("other", 1)).await.unwrap();
    let dispatched = tallies.dispatch(add_each("1", &[2, 3])).await.unwrap();
    assert_eq!(**dispatched.state(), Tally { total: 5, events: 2 });
    assert_eq!((dispatched.version(), dispatched.position()), (2, Some(3)));
    assert_eq!((dispatched.aggregate_id(), dispatched.stream_id().as_str()), ("1", "tally-1"));
    assert!(!dispatched.is_repeated());
    assert_eq!(dispatched.halted_by(), None);
    let event = &events_of(&store, "tally-1").await[1];
    assert_eq!(event.causation_id, dispatched.command_id().into());
    assert_eq!(event.correlation_id, dispatched.correlation_id());
    let expected = [2, 3].map(|amount| TallyEvent::from(Added { amount }));
    assert_eq!(dispatched.into_events(), expected);
    tallies.shutdown().await;
}

// T-062, T-063, DEF-001
#[tokio::test]
async fn t_063_a_command_without_events_gives_an_empty_list_and_the_present_version() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let before = tallies.dispatch(look("1")).await.unwrap();
    assert_eq!((before.version(), before.position(), before.events().len()), (0, None, 0));
    tallies.dispatch(add("1", 4)).await.unwrap();
    let after = tallies.dispatch(look("1")).await.unwrap();
    assert_eq!((after.version(), after.position(), after.state().total), (1, None, 4));
    assert_eq!(sound_log(&store).await.len(), 1);
    tallies.shutdown().await;
}

// E-026 in spirit, C-028, C-034: the domain's own error comes back typed.
#[tokio::test]
async fn c_034_a_refusal_is_the_domains_own_error() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    tallies.dispatch(add("1", 4)).await.unwrap();
    let error = tallies.dispatch(take("1", 5)).await.unwrap_err();
    assert_eq!(error.rejection(), Some(&TooLittle { total: 4 }));
    assert_eq!((error.kind(), error.to_string().as_str()), (FailureKind::Rejected, "4 is too little"));
    assert!(!error.is_committed() && !error.is_outcome_unknown());
    assert_eq!(tallies.aggregate_state::<Tally>("1").await.unwrap().state.total, 4);
    assert_eq!(sound_log(&store).await.len(), 1);
    tallies.shutdown().await;
}

#[tokio::test]
async fn t_142_a_panic_is_an_error_that_names_its_place() {
    let tallies = tallies(MemoryStore::new()).await;
    let error = tallies.dispatch(explode("1")).await.unwrap_err();
    let DispatchError::Panicked { place, message, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((place, message.as_str()), (PanicPlace::Aggregate("Tally"), "1 exploded"));
    tallies.shutdown().await;
}

// F-089
#[tokio::test]
async fn a_failing_store_is_an_error_and_the_next_command_works() {
    let store = ScriptedStore::new([Act::Fail]);
    let tallies = tallies(store.clone()).await;
    let error = tallies.dispatch(add("1", 1)).await.unwrap_err();
    let DispatchError::Store { stream_id, source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(stream_id.as_str(), "tally-1");
    assert!(matches!(**source, AppendError::Store(StoreError::Unavailable(_))));
    assert!(!error.is_outcome_unknown());
    let next = tallies.dispatch(add("1", 2)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (1, 2));
    tallies.shutdown().await;
}

#[tokio::test]
async fn an_append_that_the_store_finds_too_large_is_the_commands_own_fault() {
    let store = ScriptedStore::new([Act::TooLarge]);
    let tallies = tallies(store.clone()).await;
    let error = tallies.dispatch(add("1", 1)).await.unwrap_err();
    let DispatchError::TooLarge { stream_id, size, limit, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((stream_id.as_str(), *size, *limit), ("tally-1", 1_001, 1_000));
    assert_eq!(error.kind(), FailureKind::Invalid);
    assert!(!error.is_outcome_unknown() && !error.is_conflict());
    let next = tallies.dispatch(add("1", 2)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (1, 2));
    assert_eq!(sound_log(&store.inner).await.len(), 1);
    tallies.shutdown().await;
}

// D2: a commit that nobody saw is told as unknown; the same id again tells what became of it.
#[tokio::test]
async fn a_lost_outcome_is_unknown_and_the_same_id_again_tells() {
    let store = ScriptedStore::new([Act::LoseOutcome]);
    let tallies = tallies(store.clone()).await;
    let id = cqrs::id::CommandId::new();
    let error = tallies.dispatch(add("1", 1)).command_id(id).await.unwrap_err();
    assert!(matches!(error, DispatchError::OutcomeUnknown { .. }), "{error:?}");
    assert!(error.is_outcome_unknown());
    let again = tallies.dispatch(add("1", 1)).command_id(id).await.unwrap();
    assert!(again.is_repeated());
    assert_eq!((again.version(), again.state().total), (1, 1));
    // And the state in memory is not the one from before the loss.
    let next = tallies.dispatch(add("1", 1)).await.unwrap();
    assert_eq!((next.version(), next.state().total), (2, 2));
    tallies.shutdown().await;
}

// T-017
#[tokio::test]
async fn t_017_a_stopped_application_takes_no_command() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let clone = tallies.clone();
    tallies.shutdown().await;
    let error = clone.dispatch(add("1", 1)).await.unwrap_err();
    assert!(
        matches!(&error, DispatchError::NotRunning { application, state: ApplicationState::Stopped } if application == "Tallies"),
        "{error:?}"
    );
    assert_eq!(error.kind(), FailureKind::NotRunning);
    assert!(sound_log(&store).await.is_empty());
}

#[tokio::test]
async fn a_dispatch_that_is_not_awaited_does_nothing() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    drop(tallies.dispatch(add("1", 1)));
    tallies.shutdown().await;
    assert!(sound_log(&store).await.is_empty());
}

#[tokio::test]
async fn an_event_beyond_the_payload_limit_is_refused() {
    use crate::support::tally::Tallies;
    let store = MemoryStore::new();
    let config = Config::new().payload_limit(14);
    let tallies = Tallies::builder(store.clone()).config(config).start().await.unwrap();
    tallies.dispatch(add("1", 100)).await.unwrap();
    let error = tallies.dispatch(add_each("1", &[1, 1_000])).await.unwrap_err();
    assert!(
        matches!(
            error,
            DispatchError::PayloadTooLarge { event_type: "tally.Added", size: 15, limit: 14, .. }
        ),
        "{error:?}"
    );
    assert_eq!(sound_log(&store).await.len(), 1, "none of its events was written");
    assert_eq!(tallies.dispatch(look("1")).await.unwrap().state().total, 100);
    tallies.shutdown().await;
}

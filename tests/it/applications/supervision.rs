//! What keeps an application running when its store does not.

use std::time::Duration;

use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use tokio::time::Instant;

use super::faulty_store::{Call, Fault, FaultyStore};
use crate::handlers::domain::*;

async fn desk(store: &FaultyStore) -> (Desk, Inbox) {
    let (script, inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    until_state(&desk, "careful", HandlerState::Running).await;
    (desk, inbox)
}

/// The tail cannot read some times; then everything is handled, once and in order.
async fn check_tail(fault: Fault, times: usize) {
    let store = FaultyStore::default();
    let (desk, mut inbox) = desk(&store).await;
    store.fail(Call::ReadLog, fault, times);
    for text in ["1", "2", "3"] {
        desk.dispatch(note("a", text)).await.unwrap();
    }
    desk.dispatch(note("a", "4"))
        .consistency(Strong)
        .consistency_timeout(Duration::from_secs(600))
        .await
        .unwrap();
    assert_eq!(inbox.rest(), ["1", "2", "3", "4"]);
    assert!(store.calls(Call::ReadLog) > times);
    assert!(desk.health().await.unwrap().is_healthy());
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn ca_004_a_log_that_cannot_be_read_for_a_while_is_read_again() {
    check_tail(Fault::Unavailable, 5).await;
}

#[tokio::test(start_paused = true)]
async fn g10_an_adapter_that_panics_in_reading_is_asked_again() {
    check_tail(Fault::Panic, 5).await;
}

// What reads for all handlers must never give up by itself: nobody would notice.
#[tokio::test(start_paused = true)]
async fn g10_reading_for_all_is_never_given_up() {
    check_tail(Fault::Panic, 100).await;
}

#[tokio::test(start_paused = true)]
async fn ca_004_a_store_that_is_away_for_an_hour_is_asked_with_growing_pauses() {
    let store = FaultyStore::default();
    let (desk, mut inbox) = desk(&store).await;
    store.fail(Call::ReadLog, Fault::Unavailable, usize::MAX);
    desk.dispatch(note("a", "x")).await.unwrap();
    let before = store.calls(Call::ReadLog);
    tokio::time::advance(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let calls = store.calls(Call::ReadLog) - before;
    assert!((500..1_000).contains(&calls), "{calls} calls in an hour: about one in five seconds");
    store.heal(Call::ReadLog);
    desk.dispatch(note("a", "y"))
        .consistency(Strong)
        .consistency_timeout(Duration::from_secs(60))
        .await
        .unwrap();
    assert_eq!(inbox.rest(), ["x", "y"]);
    desk.shutdown().await;
}

/// A handler that is behind reads for itself; what it meets there is its own business.
async fn check_catching_up(fault: Fault, times: usize) {
    let store = FaultyStore::default();
    let notes: Vec<_> = (0..10).map(stored_note).collect();
    write(&store.inner, "raw-1", "desk.Noted", &notes).await;
    store.fail(Call::ReadLog, fault, times);
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    tokio::time::timeout(Duration::from_secs(600), until_caught_up(&desk, "careful")).await.unwrap();
    let positions: Vec<u64> = (1..=10).collect();
    assert_eq!(inbox.positions(), positions);
    desk.dispatch(note("a", "live")).consistency(Strong).await.unwrap();
    assert_eq!(inbox.rest(), ["live"]);
    assert_eq!(status(&desk, "careful").await.last_error, None);
    assert!(desk.health().await.unwrap().is_healthy());
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn ca_004_a_handler_that_cannot_read_tries_again() {
    check_catching_up(Fault::Unavailable, 5).await;
}

/// C-045
#[tokio::test(start_paused = true)]
async fn g10_a_handler_whose_adapter_panics_is_started_again() {
    check_catching_up(Fault::Panic, 5).await;
}

/// T-332
#[tokio::test(start_paused = true)]
async fn g10_a_handler_that_crashes_too_often_is_given_up_and_says_so() {
    let store = FaultyStore::default();
    let notes: Vec<_> = (0..10).map(stored_note).collect();
    write(&store.inner, "raw-1", "desk.Noted", &notes).await;
    store.fail(Call::ReadLog, Fault::Panic, usize::MAX);
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    let began = Instant::now();
    let error = desk
        .dispatch(Note { book: "a".into(), text: "x".into() })
        .consistency(Strong)
        .consistency_timeout(Duration::from_secs(3_600))
        .await
        .unwrap_err();
    assert!(error.is_committed(), "{error}");
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    let given_up = status(&desk, "careful").await;
    assert_eq!(given_up.state, HandlerState::Failed);
    assert!(given_up.last_error.unwrap().contains("ReadLog on purpose"));
    assert!(!desk.health().await.unwrap().is_healthy());
    assert_eq!(inbox.rest(), Vec::<String>::new());
    assert!(desk.shutdown().await.is_clean());
}

#[tokio::test(start_paused = true)]
async fn g10_a_crashed_handler_is_seen_to_be_restarting_and_can_be_shut_down() {
    let store = FaultyStore::default();
    write(&store.inner, "raw-1", "desk.Noted", &[stored_note("x")]).await;
    store.fail(Call::ReadLog, Fault::Panic, 3);
    let (script, mut inbox) = Script::telling();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    let restarting = until_state(&desk, "careful", HandlerState::Restarting).await;
    assert!(restarting.last_error.unwrap().contains("on purpose"));
    assert!(!desk.health().await.unwrap().is_healthy());
    let began = Instant::now();
    assert!(desk.shutdown().await.is_clean());
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    assert_eq!(status(&desk, "careful").await.state, HandlerState::Stopped);
    assert_eq!(inbox.rest(), Vec::<String>::new());
}

// C-024 for checkpoints: what cannot be saved is saved the next time.
#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_cannot_be_saved_stops_nobody() {
    let store = FaultyStore::default();
    let (desk, mut inbox) = desk(&store).await;
    store.fail(Call::SaveCheckpoint, Fault::Unavailable, 3);
    for text in ["1", "2", "3", "4", "5"] {
        desk.dispatch(note("a", text)).consistency(Strong).await.unwrap();
    }
    desk.shutdown().await;
    use cqrs::store::CheckpointStore as _;
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(5));
    assert_eq!(inbox.rest(), ["1", "2", "3", "4", "5"]);
}

// CA-004 (1), G10: what the store does to a command is the command's affair.
#[tokio::test(start_paused = true)]
async fn ca_004_a_store_that_fails_or_panics_in_an_append_fails_that_command_alone() {
    let store = FaultyStore::default();
    let (desk, mut inbox) = desk(&store).await;
    store.fail(Call::Append, Fault::Unavailable, 1);
    let began = Instant::now();
    let error = desk.dispatch(note("a", "unavailable")).await.unwrap_err();
    assert!(matches!(error, DispatchError::Store { .. }), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(1), "it fails at once");
    store.fail(Call::Append, Fault::Panic, 1);
    let error = desk.dispatch(note("a", "panic")).await.unwrap_err();
    // Whether it had written something before it panicked is not for us to say.
    assert!(matches!(error, DispatchError::OutcomeUnknown { .. }), "{error:?}");
    let dispatched = desk.dispatch(note("a", "fine")).consistency(Strong).await.unwrap();
    assert_eq!((dispatched.version(), dispatched.state().notes), (1, 1));
    assert_eq!(inbox.rest(), ["fine"]);
    desk.shutdown().await;
}

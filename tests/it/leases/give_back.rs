//! A handler that does not run any more gives its lease back, however it ended. The store's clock stands still in
//! these tests, so that no lease runs out.

use cqrs::application::StartError;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use tokio::time::Instant;

use super::domain::*;

fn failing() -> Script {
    Script::new(|_, _| std::future::ready(Err(Broken("broken")))).on_error(|_| ErrorAction::Stop)
}

// A handler that gave up on one node may do better on another.
#[tokio::test(start_paused = true)]
async fn t_109_a_handler_that_failed_may_run_on_another_node() {
    let (store, _clock) = store_with_clock();
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(failing())).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    b.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("b", 1)]);
    assert_eq!(state(&b, "careful").await, HandlerState::Running);
    let failed = status(&a, "careful").await;
    assert_eq!(failed.state, HandlerState::Failed, "it stays down where it failed");
    assert!(failed.last_error.unwrap().contains("broken"));
    assert!(!a.health().await.unwrap().is_healthy());
    a.shutdown().await;
    b.shutdown().await;
}

// What the store did not hear is told again: else it would be renewed with the others for ever.
#[tokio::test(start_paused = true)]
async fn a_lease_that_could_not_be_given_back_is_given_back_later() {
    let store = store_in_virtual_time();
    let way_of_a = FaultyStore::on(&store);
    way_of_a.fail(Call::ReleaseLease, Fault::Unavailable, 30);
    let (teller, mut handled) = Teller::new();
    let a = Desk::builder(way_of_a.clone())
        .node("a")
        .event_handler(Careful(failing()))
        .event_handler(Eager(teller.on("a")))
        .start()
        .await
        .unwrap();
    let b = node("b", store, Careful(teller.on("b"))).await;
    let began = Instant::now();
    b.dispatch(note("x", "text"))
        .consistency(Strong)
        .consistency_timeout(std::time::Duration::from_secs(600))
        .await
        .unwrap();
    assert!(began.elapsed() < 31 * RETRY, "{:?}", began.elapsed());
    assert_eq!(state(&b, "careful").await, HandlerState::Running);
    assert_eq!(state(&a, "eager").await, HandlerState::Running);
    let mut handled = places(&told(&mut handled));
    handled.sort_unstable();
    assert_eq!(handled, [("a", 1), ("b", 1)]);
    a.shutdown().await;
    b.shutdown().await;
}

#[tokio::test]
async fn an_application_that_is_dropped_gives_its_leases_back() {
    let (store, _clock) = store_with_clock();
    let (teller, mut handled) = Teller::new();
    let a = node("a", store.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    drop(a);
    until_state(&b, "careful", HandlerState::Running).await;
    b.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("b", 1)]);
    b.shutdown().await;
}

#[tokio::test]
async fn a_start_that_fails_gives_its_leases_back() {
    let (store, _clock) = store_with_clock();
    let store = FaultyStore::on(&store);
    let (teller, _handled) = Teller::new();
    let builder = || {
        Desk::builder(store.clone())
            .event_handler(Careful(teller.on("a")))
            .event_handler(Eager(teller.on("a")))
    };
    for call in [Call::AcquireLease, Call::Checkpoint, Call::SaveCheckpoint] {
        store.fail(call, Fault::Unavailable, 1);
        let error = builder().start().await.unwrap_err();
        assert!(matches!(error, StartError::Store { .. }), "{call:?}: {error:?}");
    }
    let desk = builder().start().await.unwrap();
    for handler in ["careful", "eager"] {
        until_state(&desk, handler, HandlerState::Running).await;
    }
    desk.shutdown().await;
}

#[tokio::test]
async fn a_start_that_is_dropped_gives_its_leases_back() {
    let (store, _clock) = store_with_clock();
    let store = FaultyStore::on(&store);
    let (teller, _handled) = Teller::new();
    let builder = || {
        Desk::builder(store.clone())
            .event_handler(Careful(teller.on("a")))
            .event_handler(Eager(teller.on("a")))
    };
    store.fail(Call::Checkpoint, Fault::Hang, 1);
    let mut start = Box::pin(builder().start());
    tokio::select! {
        biased;
        _ = &mut start => panic!("the store hangs"),
        () = until(async || (store.calls(Call::Checkpoint) == 2).then_some(())) => {}
    }
    drop(start);
    let desk = builder().start().await.unwrap();
    for handler in ["careful", "eager"] {
        until_state(&desk, handler, HandlerState::Running).await;
    }
    desk.shutdown().await;
}

// A lone application that is stopped and started again does not wait for its own lease.
#[tokio::test(start_paused = true)]
async fn a_restart_does_not_wait_for_its_own_lease() {
    let (store, _clock) = store_with_clock();
    let (teller, mut handled) = Teller::new();
    for position in 1..=5 {
        let began = Instant::now();
        let desk = node("a", store.clone(), Careful(teller.on("a"))).await;
        desk.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
        assert!(desk.shutdown().await.is_clean());
        assert!(began.elapsed() < RETRY / 10, "{:?}", began.elapsed());
        assert_eq!(places(&told(&mut handled)), [("a", position)]);
    }
}

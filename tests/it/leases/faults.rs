//! A store that does not tell who is the owner.

use std::time::Duration;

use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;

use super::domain::*;

const PATIENCE: Duration = Duration::from_secs(3_600);

/// A lone node stops when it can no longer be sure, says why, and goes on where it was.
async fn check_outage(fault: Fault) {
    let store = store_in_virtual_time();
    let way = FaultyStore::on(&store);
    let (teller, mut handled) = Teller::new();
    let desk = node("a", way.clone(), Careful(teller.on("a"))).await;
    // Handled, and not noted down: only who knows that nobody came in between does not repeat it.
    way.fail(Call::SaveCheckpoint, Fault::Unavailable, usize::MAX);
    desk.dispatch(note("x", "1")).consistency(Strong).await.unwrap();
    for call in [Call::RenewLeases, Call::AcquireLease] {
        way.fail(call, fault.clone(), usize::MAX);
    }
    tokio::time::sleep(TTL).await;
    desk.dispatch(note("x", "2")).await.unwrap();
    let waiting = until_state(&desk, "careful", HandlerState::Retrying).await;
    assert_eq!(waiting.position, 1, "nothing is begun without a lease");
    assert!(waiting.last_error.unwrap().contains("unavailable"));
    assert!(!desk.health().await.unwrap().is_healthy());
    let asked = way.calls(Call::AcquireLease);
    tokio::time::sleep(10 * TTL).await;
    assert!(way.calls(Call::AcquireLease) - asked <= 310, "it is not asked all the time");
    assert_eq!(places(&told(&mut handled)), [("a", 1)]);

    for call in [Call::RenewLeases, Call::AcquireLease, Call::SaveCheckpoint] {
        way.heal(call);
    }
    desk.dispatch(note("x", "3")).consistency(Strong).consistency_timeout(PATIENCE).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("a", 2), ("a", 3)], "nothing is repeated");
    let running = status(&desk, "careful").await;
    assert_eq!((running.state, running.last_error), (HandlerState::Running, None));
    desk.shutdown().await;
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(3));
}

// T-333
#[tokio::test(start_paused = true)]
async fn ca_004_a_store_that_refuses_to_renew_for_long_stops_the_handler_until_it_is_back() {
    check_outage(Fault::Unavailable).await;
}

#[tokio::test(start_paused = true)]
async fn ca_004_so_does_a_store_that_does_not_answer() {
    check_outage(Fault::Hang).await;
}

#[tokio::test(start_paused = true)]
async fn ca_004_a_short_outage_stops_nobody() {
    let store = store_in_virtual_time();
    let way = FaultyStore::on(&store);
    let (teller, mut handled) = Teller::new();
    let a = node("a", way.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    for at in 1..=20_u64 {
        let fault = [Fault::Unavailable, Fault::Panic, Fault::Hang][usize::try_from(at % 3).unwrap()].clone();
        way.fail(Call::RenewLeases, fault, 1);
        a.dispatch(note("x", at.to_string())).consistency(Strong).await.unwrap();
        tokio::time::sleep(TTL).await;
    }
    let expected: Vec<_> = (1..=20).map(|position| ("a", position)).collect();
    assert_eq!(places(&told(&mut handled)), expected);
    assert_eq!(state(&a, "careful").await, HandlerState::Running);
    a.shutdown().await;
    b.shutdown().await;
}

// What it gives back after a failure is no reason to ask at once.
#[tokio::test(start_paused = true)]
async fn ca_004_a_checkpoint_that_cannot_be_read_is_read_again_at_intervals() {
    let store = store_in_virtual_time();
    let way = FaultyStore::on(&store);
    let (teller, mut handled) = Teller::new();
    let a = node("a", store, Careful(teller.on("a"))).await;
    let b = node("b", way.clone(), Careful(teller.on("b"))).await;
    way.fail(Call::Checkpoint, Fault::Unavailable, 40);
    let began = tokio::time::Instant::now();
    a.shutdown().await;
    until_state(&b, "careful", HandlerState::Running).await;
    assert!(began.elapsed() > 5 * RETRY, "{:?}", began.elapsed());
    b.dispatch(note("x", "text")).consistency(Strong).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("b", 1)]);
    b.shutdown().await;
}

// G10: an adapter that panics when it is asked for a lease.
#[tokio::test(start_paused = true)]
async fn g10_an_adapter_that_panics_is_asked_again() {
    let store = store_in_virtual_time();
    let way = FaultyStore::on(&store);
    let (teller, mut handled) = Teller::new();
    let a = node("a", store, Careful(teller.on("a"))).await;
    let b = node("b", way.clone(), Careful(teller.on("b"))).await;
    way.fail(Call::AcquireLease, Fault::Panic, 5);
    until_state(&b, "careful", HandlerState::Restarting).await;
    a.shutdown().await;
    b.dispatch(note("x", "text")).consistency(Strong).consistency_timeout(PATIENCE).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("b", 1)]);
    b.shutdown().await;
}

// A shutdown does not wait for a store that does not say who the owner is.
#[tokio::test(start_paused = true)]
async fn g11_a_store_that_hangs_does_not_hold_up_the_end_of_a_passive_handler() {
    let store = store_in_virtual_time();
    let way = FaultyStore::on(&store);
    let (teller, _handled) = Teller::new();
    let a = node("a", store, Eager(teller.on("a"))).await;
    let b = node("b", way.clone(), Eager(teller.on("b"))).await;
    way.fail(Call::AcquireLease, Fault::Hang, usize::MAX);
    let calls = way.calls(Call::AcquireLease);
    until(async || (way.calls(Call::AcquireLease) > calls).then_some(())).await;
    let began = tokio::time::Instant::now();
    let report = b.shutdown().await;
    assert!(report.is_clean(), "{report}");
    assert!(began.elapsed() < Duration::from_millis(50), "{:?}", began.elapsed());
    a.shutdown().await;
}

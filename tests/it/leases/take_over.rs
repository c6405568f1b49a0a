//! Nodes that are not heard of any more, and what becomes of them when they are back.

use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::HandlerState;
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use tokio::time::Instant;

use super::domain::*;
use crate::support::gate::Gate;

/// The ways of a node to its store are cut, as far as leases and checkpoints are concerned.
fn cut_off(store: &FaultyStore, fault: &Fault) {
    for call in [Call::RenewLeases, Call::AcquireLease, Call::ReleaseLease, Call::SaveCheckpoint] {
        store.fail(call, fault.clone(), usize::MAX);
    }
}

fn reconnect(store: &FaultyStore) {
    for call in [Call::RenewLeases, Call::AcquireLease, Call::ReleaseLease, Call::SaveCheckpoint] {
        store.heal(call);
    }
}

/// A node that cannot renew its leases stops, and then another one goes on.
async fn check_take_over(fault: Fault) {
    let store = store_in_virtual_time();
    let (way_of_a, (teller, mut handled)) = (FaultyStore::on(&store), Teller::new());
    let a = node("a", way_of_a.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store.clone(), Careful(teller.on("b"))).await;
    // Long enough for renewals to be what keeps the lease.
    for at in 0..10 {
        a.dispatch(note("x", at.to_string())).consistency(Strong).await.unwrap();
        tokio::time::sleep(TTL / 5).await;
    }
    cut_off(&way_of_a, &fault);
    let cut = Instant::now();
    until(async || (state(&b, "careful").await == HandlerState::Running).then_some(())).await;
    let took = cut.elapsed();
    assert!(took > TTL / 2 && took <= TTL + 2 * RETRY, "{took:?}");
    assert_ne!(state(&a, "careful").await, HandlerState::Running, "it stopped before");

    let dispatched = a.dispatch(note("x", "by the other")).consistency(Strong);
    dispatched.consistency_timeout(Duration::from_secs(60)).await.unwrap();
    let expected: Vec<_> = (1..=10).map(|position| ("a", position)).chain([("b", 11)]).collect();
    assert_eq!(places(&told(&mut handled)), expected);

    reconnect(&way_of_a);
    let back = until_state(&a, "careful", HandlerState::Passive).await;
    assert_eq!(back.last_error, None);
    // And the other way round.
    b.shutdown().await;
    a.dispatch(note("x", "back")).consistency(Strong).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("a", 12)]);
    a.shutdown().await;
}

// T-335, PG-098
#[tokio::test(start_paused = true)]
async fn t_335_a_node_whose_renewals_fail_is_followed_when_its_time_is_up() {
    check_take_over(Fault::Unavailable).await;
}

// T-335, PG-098
#[tokio::test(start_paused = true)]
async fn t_335_a_node_whose_renewals_are_not_answered_is_followed_when_its_time_is_up() {
    check_take_over(Fault::Hang).await;
}

// PG-121: what is under way to the store does not keep a node an owner.
#[tokio::test(start_paused = true)]
async fn pg_121_an_owner_that_hangs_in_saving_gives_way() {
    let store = store_in_virtual_time();
    let (way_of_a, (teller, mut handled)) = (FaultyStore::on(&store), Teller::new());
    let a = node("a", way_of_a.clone(), Careful(teller.on("a"))).await;
    let b = node("b", store, Careful(teller.on("b"))).await;
    cut_off(&way_of_a, &Fault::Hang);
    b.dispatch(note("x", "1")).consistency(Strong).consistency_timeout(TTL + 2 * RETRY).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("a", 1), ("b", 1)], "handled, and not noted down");
    assert_eq!(state(&a, "careful").await, HandlerState::Passive);
    b.dispatch(note("x", "2")).consistency(Strong).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("b", 2)]);
    reconnect(&way_of_a);
    a.shutdown().await;
    b.shutdown().await;
}

// T-335, PG-098: it is not asked more often than every retry interval.
#[tokio::test(start_paused = true)]
async fn pg_098_a_passive_node_asks_at_the_interval_it_was_told() {
    let store = store_in_virtual_time();
    let way_of_b = FaultyStore::on(&store);
    let (teller, _handled) = Teller::new();
    let a = node("a", store, Eager(teller.on("a"))).await;
    let config = Config::new().lease_retry(Duration::from_secs(10));
    let b = node_with(config, "b", way_of_b.clone(), Eager(teller.on("b"))).await;
    let before = way_of_b.calls(Call::AcquireLease);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let calls = way_of_b.calls(Call::AcquireLease) - before;
    assert!((10..=21).contains(&calls), "{calls} in 100 s, each after 5 to 10 s");
    assert_eq!(way_of_b.calls(Call::RenewLeases), 0, "there is nothing to renew");
    a.shutdown().await;
    b.shutdown().await;
}

/// The store has given the lease to another node, and this one does not know it.
struct Zombie {
    store: MemoryStore,
    a: Desk,
    b: Desk,
    handled: tokio::sync::mpsc::Receiver<Handled>,
}

impl Zombie {
    async fn new() -> Self {
        let (store, clock) = store_with_clock();
        let (teller, handled) = Teller::new();
        let a = node("a", store.clone(), Careful(teller.on("a"))).await;
        let b = node("b", store.clone(), Careful(teller.on("b"))).await;
        a.dispatch(note("x", "1")).consistency(Strong).await.unwrap();
        // The clocks go apart, as they do when a node is paused.
        clock.advance(TTL);
        until_state(&b, "careful", HandlerState::Running).await;
        assert_eq!(state(&a, "careful").await, HandlerState::Running, "it knows nothing yet");
        Self { store, a, b, handled }
    }
}

// PG-121
#[tokio::test(start_paused = true)]
async fn pg_121_a_fenced_owner_cannot_save_and_stops() {
    let Zombie { store, a, b, mut handled } = Zombie::new().await;
    assert_eq!(places(&told(&mut handled)), [("a", 1)]);
    let before = Instant::now();
    b.dispatch(note("x", "2")).consistency(Strong).await.unwrap();
    until_state(&a, "careful", HandlerState::Passive).await;
    assert!(before.elapsed() < TTL / 3, "not the renewal has told it: {:?}", before.elapsed());
    let mut twice = places(&told(&mut handled));
    twice.sort_unstable();
    assert_eq!(twice, [("a", 2), ("b", 2)], "it was at it before it could know");
    for text in ["3", "4"] {
        a.dispatch(note("x", text)).consistency(Strong).await.unwrap();
    }
    assert_eq!(places(&told(&mut handled)), [("b", 3), ("b", 4)]);
    a.shutdown().await;
    assert_eq!(state(&b, "careful").await, HandlerState::Running, "who is gone gives nothing back");
    b.shutdown().await;
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(4));
}

// PG-121
#[tokio::test(start_paused = true)]
async fn pg_121_a_renewal_tells_the_owner_that_it_is_fenced() {
    let Zombie { a, b, mut handled, .. } = Zombie::new().await;
    let before = Instant::now();
    until_state(&a, "careful", HandlerState::Passive).await;
    assert!(before.elapsed() <= TTL / 3, "{:?}", before.elapsed());
    a.dispatch(note("x", "2")).consistency(Strong).await.unwrap();
    assert_eq!(places(&told(&mut handled)), [("a", 1), ("b", 2)]);
    a.shutdown().await;
    b.shutdown().await;
}

// PG-121: a node that is held up at an event, and by then another one has gone on.
#[tokio::test(start_paused = true)]
async fn pg_121_an_owner_that_comes_back_from_an_event_does_not_go_on() {
    let store = store_in_virtual_time();
    let way_of_a = FaultyStore::on(&store);
    let (teller, mut handled) = Teller::new();
    let gate = Gate::shut();
    let (place, told_by) = (gate.clone(), teller.on("a"));
    let slow = Script::new(move |event, context| {
        let (gate, next) = (place.clone(), told_by.clone());
        async move {
            gate.pass().await;
            next.run(event, context).await
        }
    });
    let a = node("a", way_of_a.clone(), Careful(slow)).await;
    let b = node("b", store.clone(), Careful(teller.on("b"))).await;
    for text in ["1", "2", "3"] {
        a.dispatch(note("x", text)).await.unwrap();
    }
    soon(gate.arrival()).await;
    cut_off(&way_of_a, &Fault::Unavailable);
    until_caught_up(&b, "careful").await;
    reconnect(&way_of_a);
    gate.open();
    until_state(&a, "careful", HandlerState::Passive).await;
    b.dispatch(note("x", "4")).consistency(Strong).await.unwrap();
    let handled = places(&told(&mut handled));
    assert_eq!(
        handled,
        [("b", 1), ("b", 2), ("b", 3), ("a", 1), ("b", 4)],
        "it ends what it was at, no more"
    );
    assert_eq!(store.checkpoint("careful").await.unwrap(), Some(4));
    a.shutdown().await;
    b.shutdown().await;
}

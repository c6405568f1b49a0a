//! A node that stands still for longer than its lease lasts, while another one takes over, and then goes on where it was:
//! it hands over what it was at, no more, and what it writes does not count.

use std::sync::Arc;

use super::domain::*;
use super::slow::SlowWay;
use crate::leases::domain::{Call, Fault, FaultyStore, TTL, store_in_virtual_time, store_with_clock};
use cqrs::application::Config;
use cqrs::handler::HandlerState;
use cqrs::publisher::Publisher;
use cqrs::store::{CheckpointStore as _, Store};
use tokio::sync::Notify;
use tokio::time::Instant;

const TEXTS: [&str; 3] = ["a:1", "b:2", "a:3"];

async fn node(name: &str, store: impl Store, publisher: impl Publisher) -> Desk {
    // Each batch is written down.
    let config = Config::new().checkpoint_every(1);
    Desk::builder(store).node(name).config(config).publisher(publisher).start().await.unwrap()
}

async fn until_state(desk: &Desk, state: HandlerState) {
    until(async || (status(desk, NAME).await.state == state).then_some(())).await;
}

async fn until_confirmed(desk: &Desk, position: u64) {
    until(async || (status(desk, NAME).await.position == position).then_some(())).await;
}

/// Fault 17: it stands still in front of the broker.
#[tokio::test(start_paused = true)]
async fn pg_121_a_zombie_hands_over_what_it_was_at_and_no_more() {
    let store = store_in_virtual_time();
    noted(&store, &TEXTS).await;
    let (way, broker) = (FaultyStore::on(&store), broker_of(1));
    let slow = SlowWay::to(&broker);
    // It would write nothing for long.
    let zombie = Desk::builder(way.clone()).node("zombie").publisher(slow.clone()).start().await.unwrap();
    soon(slow.gate.arrival()).await;
    for call in [Call::RenewLeases, Call::AcquireLease, Call::ReleaseLease] {
        way.fail(call, Fault::Hang, usize::MAX);
    }
    let heir = node("heir", store.clone(), broker.clone()).await;
    until_confirmed(&heir, 3).await;
    assert_eq!(texts(&broker.messages()), TEXTS);
    for call in [Call::RenewLeases, Call::AcquireLease, Call::ReleaseLease] {
        way.heal(call);
    }
    slow.gate.open();
    until_state(&zombie, HandlerState::Passive).await;
    assert_eq!(texts(&broker.messages()), ["a:1", "b:2", "a:3", "a:1"]);
    check_messages(&broker, &TEXTS);
    note_all(&zombie, &["b:4"]).await;
    until_confirmed(&heir, 4).await;
    assert_eq!(texts(&broker.messages())[4..], ["b:4"]);
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(4));
    zombie.shutdown().await;
    heir.shutdown().await;
}

/// Fault 17: it stands still while it writes what was confirmed.
#[tokio::test(start_paused = true)]
async fn pg_121_what_a_zombie_has_confirmed_is_not_written() {
    let (store, clock) = store_with_clock();
    noted(&store, &TEXTS).await;
    let (way, broker, go_on) = (FaultyStore::on(&store), broker_of(1), Arc::new(Notify::new()));
    // The first one says where the publisher begins.
    let zombie = node("zombie", way.clone(), SlowWay::to(&broker)).await;
    assert_eq!(way.calls(Call::SaveCheckpoint), 1);
    zombie.shutdown().await;
    let slow = SlowWay::to(&broker);
    let zombie = node("zombie", way.clone(), slow.clone()).await;
    let heir = node("heir", store.clone(), broker.clone()).await;
    soon(slow.gate.arrival()).await;
    let before = way.calls(Call::SaveCheckpoint);
    way.fail(Call::SaveCheckpoint, Fault::Hold(Arc::clone(&go_on)), 1);
    slow.gate.open();
    until(async || (way.calls(Call::SaveCheckpoint) > before).then_some(())).await;
    way.fail(Call::RenewLeases, Fault::Hang, usize::MAX);
    clock.advance(TTL);
    until_confirmed(&heir, 3).await;
    assert_eq!(texts(&broker.messages()), ["a:1", "a:1", "b:2", "a:3"]);
    let began = Instant::now();
    go_on.notify_one();
    until_state(&zombie, HandlerState::Passive).await;
    assert!(began.elapsed() < TTL / 3, "the first write has told it: {:?}", began.elapsed());
    assert_eq!(store.checkpoint(NAME).await.unwrap(), Some(3));
    assert_eq!(broker.messages().len(), 4, "it publishes nothing more");
    check_messages(&broker, &TEXTS);
    zombie.shutdown().await;
    heir.shutdown().await;
}

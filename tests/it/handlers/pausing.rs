//! Orders that come while a handler is in the middle of the events that were read for it.

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::handler::HandlerState;
use tokio::sync::mpsc;

/// A store with notes, more of them than a handler gets at once otherwise.
async fn notes(count: usize) -> MemoryStore {
    let store = MemoryStore::new();
    for text in 1..=count {
        write(&store, "book-raw", "desk.Noted", &[stored_note(text)]).await;
    }
    store
}

/// Tells of each note, and waits then.
fn gated(gate: &Gate) -> (Script, mpsc::Receiver<String>) {
    let (told, handled) = mpsc::channel(1_000);
    let gate = gate.clone();
    let script = Script::new(move |event, _| {
        let (told, gate) = (told.clone(), gate.clone());
        async move {
            told.try_send(event.text).expect("room in the inbox");
            gate.pass().await;
            Ok(())
        }
    });
    (script, handled)
}

fn all(handled: &mut mpsc::Receiver<String>) -> Vec<String> {
    std::iter::from_fn(|| handled.try_recv().ok()).collect()
}

fn texts(range: impl Iterator<Item = usize>) -> Vec<String> {
    range.map(|text| text.to_string()).collect()
}

#[tokio::test]
async fn a_pause_comes_behind_the_event_that_the_handler_is_at() {
    let (store, gate) = (notes(50).await, Gate::default());
    let (script, mut handled) = gated(&gate);
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    let eager = desk.handler("eager").unwrap();
    for _ in 0..3 {
        gate.let_through(1);
        gate.entered().await;
    }
    gate.entered().await;
    eager.pause().await.unwrap();
    gate.open();
    let status = until_state(&desk, "eager", HandlerState::Paused).await;
    assert_eq!((all(&mut handled), status.position), (texts(1..=4), 4));

    eager.resume().await.unwrap();
    until_caught_up(&desk, "eager").await;
    assert_eq!(all(&mut handled), texts(5..=50));
    desk.shutdown().await;
}

#[tokio::test]
async fn a_reset_comes_behind_the_event_that_the_handler_is_at() {
    let (store, gate) = (notes(20).await, Gate::default());
    let (script, mut handled) = gated(&gate);
    let desk = Desk::builder(store).event_handler(Eager(script)).start().await.unwrap();
    gate.let_through(1);
    gate.entered().await;
    gate.entered().await;
    desk.handler("eager").unwrap().reset().await.unwrap();
    gate.open();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|last| last != "20") {
        seen.push(soon(handled.recv()).await.unwrap());
    }
    assert_eq!(seen, texts((1..=2).chain(1..=20)));
    desk.shutdown().await;
}

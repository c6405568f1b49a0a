//! Parking: an event that cannot be handled waits, the later ones of its key wait behind it, everything else goes on.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use super::domain::*;
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::handler::{HandlerError, HandlerState, ParkedError, ParkedKey};
use cqrs::prelude::*;
use tokio::sync::mpsc;

/// What is broken at the moment: notes with these texts cannot be handled.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<HashSet<&'static str>>>);

impl Faults {
    fn of(texts: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(Mutex::new(texts.into_iter().collect())))
    }

    fn mend(&self, text: &'static str) {
        self.0.lock().unwrap().remove(text);
    }

    fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().contains(text)
    }

    /// A handler that parks what is broken at once, and tells of what it has handled.
    fn script(&self) -> (Script, mpsc::Receiver<String>) {
        let faults = self.clone();
        let (told, handled) = mpsc::channel(100_000);
        let script = Script::new(move |event, _| {
            let is_broken = faults.has(&event.text);
            if !is_broken {
                told.try_send(format!("{}:{}", event.book, event.text)).expect("room in the inbox");
            }
            std::future::ready(if is_broken { Err(Broken("on purpose")) } else { Ok(()) })
        });
        (script.on_error(|_| ErrorAction::Park), handled)
    }
}

fn all(handled: &mut mpsc::Receiver<String>) -> Vec<String> {
    std::iter::from_fn(|| handled.try_recv().ok()).collect()
}

/// Dispatches notes, and waits until the handler has handled or parked them.
async fn dispatch(desk: &Desk, notes: &[(&str, &str)]) {
    for (book, text) in notes {
        match desk.dispatch(note(book, *text)).consistency(Strong).await {
            Ok(_) => {}
            Err(DispatchError::NotHandled { pending, .. }) if pending[0].is_parked => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

async fn parked(desk: &Desk) -> Vec<ParkedKey> {
    desk.handler("careful").unwrap().parked(None, 100).await.unwrap()
}

async fn until_parked(desk: &Desk, count: usize) {
    until(async || (status(desk, "careful").await.parked == count).then_some(())).await;
}

async fn start(store: &MemoryStore, script: &Script) -> Desk {
    Desk::builder(store.clone()).event_handler(Careful(script.clone())).start().await.unwrap()
}

/// Another node on the same store.
async fn start_other(store: &MemoryStore, script: &Script) -> Desk {
    let careful = Careful(script.clone());
    Desk::builder(store.clone()).node("other").event_handler(careful).start().await.unwrap()
}

#[tokio::test]
async fn a_parked_key_waits_in_order_and_others_go_on() {
    let faults = Faults::of(["bad"]);
    let (script, mut handled) = faults.script();
    let desk = start(&MemoryStore::new(), &script).await;
    dispatch(&desk, &[("a", "1"), ("a", "bad"), ("b", "1"), ("a", "2"), ("b", "2"), ("a", "3")]).await;
    assert_eq!(all(&mut handled), ["a:1", "b:1", "b:2"]);
    let waiting = parked(&desk).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].key.as_str(), waiting[0].position, waiting[0].attempts), ("book-a", 2, 1));
    assert!(waiting[0].error.ends_with("on purpose"), "{}", waiting[0].error);
    let now = status(&desk, "careful").await;
    assert_eq!((now.state, now.parked, now.lag), (HandlerState::Running, 1, 0));

    // As long as it is broken, a retry leaves it where it is.
    desk.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until(async || (parked(&desk).await[0].attempts == 2).then_some(())).await;
    assert_eq!(parked(&desk).await[0].first_failed_at, waiting[0].first_failed_at);
    assert_eq!(all(&mut handled), [""; 0]);

    faults.mend("bad");
    desk.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until_parked(&desk, 0).await;
    assert_eq!(all(&mut handled), ["a:bad", "a:2", "a:3"], "in their order");
    assert_eq!(parked(&desk).await, []);
    dispatch(&desk, &[("a", "4"), ("b", "3")]).await;
    assert_eq!(all(&mut handled), ["a:4", "b:3"]);
    desk.shutdown().await;
}

/// Strong consistency does not mean that an event was handled which is parked, or waits behind one.
#[tokio::test]
async fn a_strong_dispatch_tells_that_its_events_are_parked() {
    let store = MemoryStore::new();
    let faults = Faults::of(["bad"]);
    let (script, _handled) = faults.script();
    let owner = start(&store, &script).await;
    let other = start_other(&store, &script).await;
    for (desk, text) in [(&owner, "bad"), (&owner, "1"), (&other, "2")] {
        let error = desk.dispatch(note("a", text)).consistency(Strong).await.unwrap_err();
        assert!(error.is_committed());
        assert!(error.to_string().contains("careful (parked)"), "{error}");
        let DispatchError::NotHandled { pending, .. } = error else { panic!("{error:?}") };
        assert!(pending[0].is_parked, "{pending:?}");
    }
    for desk in [&owner, &other] {
        desk.dispatch(note("b", "1")).consistency(Strong).await.unwrap();
    }
    faults.mend("bad");
    owner.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until_parked(&owner, 0).await;
    for desk in [&owner, &other] {
        desk.dispatch(note("a", "3")).consistency(Strong).await.unwrap();
    }
    other.shutdown().await;
    owner.shutdown().await;
}

/// Keeps the order by the text of notes, whatever book they are in.
struct ByText(Script);

#[event_handler(name = "by-text", interested_in = [Noted], consistency = strong, partition_by = text)]
impl ByText {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
        self.0.run(event.clone(), context.clone()).await
    }

    async fn on_error(&self, _failure: &HandlerFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

#[tokio::test]
async fn the_key_may_be_a_field() {
    let faults = Faults::of(["bad"]);
    let (script, mut handled) = faults.script();
    let desk = Desk::builder(MemoryStore::new()).event_handler(ByText(script)).start().await.unwrap();
    dispatch(&desk, &[("a", "bad"), ("a", "1"), ("b", "bad"), ("b", "1")]).await;
    assert_eq!(all(&mut handled), ["a:1", "b:1"]);
    let handler = desk.handler("by-text").unwrap();
    let waiting = handler.parked(None, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].key.as_str(), waiting[0].position), (1, "bad", 1));
    faults.mend("bad");
    handler.retry_parked("bad").await.unwrap();
    until(async || (handler.status().await.unwrap().parked == 0).then_some(())).await;
    assert_eq!(all(&mut handled), ["a:bad", "b:bad"]);
    desk.shutdown().await;
}

/// It is as if the key could not be told: the event goes by its stream, and waits for others that do.
#[tokio::test]
async fn an_event_with_a_key_that_no_database_keeps_goes_by_its_stream() {
    let faults = Faults::of(["bad\0"]);
    let (script, mut handled) = faults.script();
    let desk = Desk::builder(MemoryStore::new()).event_handler(ByText(script)).start().await.unwrap();
    let notes = [("a", "fine\0"), ("a", "bad\0"), ("a", "1"), ("a", "2\0"), ("b", "bad"), ("b", "3\0")];
    dispatch(&desk, &notes).await;
    assert_eq!(all(&mut handled), ["a:fine\0", "a:1", "b:bad", "b:3\0"]);
    let handler = desk.handler("by-text").unwrap();
    let waiting = handler.parked(None, 10).await.unwrap();
    assert_eq!((waiting.len(), waiting[0].key.as_str(), waiting[0].position), (1, "book-a", 2));
    faults.mend("bad\0");
    handler.retry_parked("book-a").await.unwrap();
    until(async || (handler.status().await.unwrap().parked == 0).then_some(())).await;
    assert_eq!(all(&mut handled), ["a:bad\0", "a:2\0"]);
    desk.shutdown().await;
}

/// A dispatch on a node that does not run the handler is told, whatever key the event is parked by.
#[tokio::test]
async fn what_is_parked_by_a_field_is_told_on_other_nodes() {
    let store = MemoryStore::new();
    let (script, _handled) = Faults::of(["bad", "worse"]).script();
    let start = async |node: &str| {
        let desk = Desk::builder(store.clone()).node(node).event_handler(ByText(script.clone()));
        desk.start().await.unwrap()
    };
    let (owner, other) = (start("owner").await, start("other").await);
    for (desk, text) in [(&owner, "bad"), (&other, "worse")] {
        let refused = desk.dispatch(note("a", text)).consistency(Strong).await.unwrap_err();
        let DispatchError::NotHandled { pending, .. } = refused else { panic!("{refused:?}") };
        assert!(pending[0].is_parked, "{text}");
    }
    // Of another stream, and behind what is parked.
    for desk in [&owner, &other] {
        let refused = desk.dispatch(note("b", "bad")).consistency(Strong).await.unwrap_err();
        let DispatchError::NotHandled { pending, .. } = refused else { panic!("{refused:?}") };
        assert!(pending[0].is_parked);
    }
    other.dispatch(note("a", "good")).consistency(Strong).await.unwrap();
    owner.shutdown().await;
    other.shutdown().await;
}

/// E-066
#[tokio::test]
async fn a_parked_event_can_be_skipped() {
    let faults = Faults::of(["bad", "worse"]);
    let (script, mut handled) = faults.script();
    let desk = start(&MemoryStore::new(), &script).await;
    dispatch(&desk, &[("a", "bad"), ("a", "1"), ("a", "worse"), ("a", "2")]).await;
    assert_eq!(all(&mut handled), [""; 0]);
    desk.handler("careful").unwrap().skip_parked("book-a").await.unwrap();
    until(async || (parked(&desk).await[0].position == 3).then_some(())).await;
    assert_eq!(all(&mut handled), ["a:1"], "the next that fails is parked in its place");
    desk.handler("careful").unwrap().skip_parked("book-a").await.unwrap();
    until_parked(&desk, 0).await;
    assert_eq!(all(&mut handled), ["a:2"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn what_is_parked_stays_so_when_the_application_starts_again() {
    let store = MemoryStore::new();
    let faults = Faults::of(["bad"]);
    let (script, mut handled) = faults.script();
    let desk = start(&store, &script).await;
    dispatch(&desk, &[("a", "bad"), ("a", "1"), ("b", "1")]).await;
    desk.shutdown().await;
    assert_eq!(all(&mut handled), ["b:1"]);

    let desk = start(&store, &script).await;
    dispatch(&desk, &[("a", "2"), ("b", "2")]).await;
    assert_eq!(all(&mut handled), ["b:2"]);
    assert_eq!(status(&desk, "careful").await.parked, 1);
    faults.mend("bad");
    desk.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until_parked(&desk, 0).await;
    assert_eq!(all(&mut handled), ["a:bad", "a:1", "a:2"]);
    desk.shutdown().await;
}

/// Whoever runs the handler does what was told on any node, and what was told while nobody ran it.
#[tokio::test]
async fn what_is_told_while_nobody_runs_the_handler_is_done_later() {
    let store = MemoryStore::new();
    let faults = Faults::of(["bad"]);
    let (script, mut handled) = faults.script();
    let first = start(&store, &script).await;
    dispatch(&first, &[("a", "bad"), ("a", "1")]).await;
    let second = start_other(&store, &script).await;
    assert_eq!(status(&second, "careful").await.state, HandlerState::Passive);
    first.shutdown().await;
    // The other node has taken over, or will.
    faults.mend("bad");
    second.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until(async || parked(&second).await.is_empty().then_some(())).await;
    assert_eq!(all(&mut handled), ["a:bad", "a:1"]);
    second.shutdown().await;
}

/// The node that runs the handler looks by itself, since nobody wakes it.
#[tokio::test(start_paused = true)]
async fn what_is_told_on_another_node_is_done_within_a_second() {
    let store = MemoryStore::new();
    let faults = Faults::of(["bad"]);
    let (script, mut handled) = faults.script();
    let owner = start(&store, &script).await;
    dispatch(&owner, &[("a", "bad"), ("a", "1")]).await;
    let other = start_other(&store, &script).await;
    faults.mend("bad");
    let told = tokio::time::Instant::now();
    other.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until(async || parked(&other).await.is_empty().then_some(())).await;
    assert!(told.elapsed() < std::time::Duration::from_millis(1_100), "{:?}", told.elapsed());
    assert_eq!(all(&mut handled), ["a:bad", "a:1"]);
    other.shutdown().await;
    owner.shutdown().await;
}

#[tokio::test]
async fn only_what_is_parked_can_be_retried_or_skipped() {
    let (script, _handled) = Faults::default().script();
    let desk = start(&MemoryStore::new(), &script).await;
    assert!(desk.handler("nobody").is_none());
    let handler = desk.handler("careful").unwrap();
    for refused in [handler.retry_parked("book-a").await, handler.skip_parked("book-a").await] {
        let refused = refused.unwrap_err();
        assert!(matches!(&refused, ParkedError::NotParked { key, .. } if key == "book-a"), "{refused:?}");
        assert_eq!(refused.to_string(), r#"handler "careful" has not parked the key "book-a""#);
    }
    desk.shutdown().await;
}

/// A handler that parks everything is broken itself.
#[tokio::test]
async fn a_handler_stops_when_it_would_park_too_much() {
    let store = MemoryStore::new();
    let faults = Faults::of(["bad"]);
    let (script, mut handled) = faults.script();
    let desk = Desk::builder(store.clone())
        .config(Config::new().max_parked(2))
        .event_handler(Careful(script.clone()))
        .start()
        .await
        .unwrap();
    dispatch(&desk, &[("a", "bad"), ("b", "bad"), ("c", "1")]).await;
    desk.dispatch(note("d", "bad")).await.unwrap();
    until_state(&desk, "careful", HandlerState::Failed).await;
    assert_eq!(parked(&desk).await.len(), 2);
    desk.shutdown().await;
    assert_eq!(all(&mut handled), ["c:1"]);

    faults.mend("bad");
    let desk = start(&store, &script).await;
    until_caught_up(&desk, "careful").await;
    assert_eq!(all(&mut handled), ["d:bad"], "nothing was lost at the event where it stopped");
    desk.shutdown().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_is_parked_by_default() {
    let store = MemoryStore::new();
    let (script, mut inbox) = Script::telling();
    write(&store, "raw-1", "desk.Noted", &[r#"{"book":1}"#.to_owned(), stored_note("2")]).await;
    write(&store, "raw-2", "desk.Noted", &[stored_note("3")]).await;
    let desk = Desk::builder(store).event_handler(Careful(script)).start().await.unwrap();
    until_parked(&desk, 1).await;
    until_caught_up(&desk, "careful").await;
    assert_eq!(inbox.rest(), ["3"], "what follows in the stream waits");
    let waiting = parked(&desk).await;
    assert_eq!((waiting[0].key.as_str(), waiting[0].position), ("raw-1", 1));
    assert!(waiting[0].error.contains("could not be decoded"), "{}", waiting[0].error);
    desk.handler("careful").unwrap().skip_parked("raw-1").await.unwrap();
    until_parked(&desk, 0).await;
    assert_eq!(inbox.rest(), ["2"]);
    desk.shutdown().await;
}

/// `on_error` is asked about each retry, too, and may skip.
#[tokio::test]
async fn a_retry_may_end_with_a_skip() {
    let script = Script::new(|event, _| {
        std::future::ready(if event.text == "bad" { Err(Broken("on purpose")) } else { Ok(()) })
    })
    .on_error(|failure| match failure.error {
        HandlerError::Failed(_) if failure.attempt > 1 => ErrorAction::Skip,
        _ => ErrorAction::Park,
    });
    let desk = start(&MemoryStore::new(), &script).await;
    dispatch(&desk, &[("a", "bad"), ("a", "1")]).await;
    assert_eq!(parked(&desk).await.len(), 1);
    desk.handler("careful").unwrap().retry_parked("book-a").await.unwrap();
    until_parked(&desk, 0).await;
    desk.shutdown().await;
}

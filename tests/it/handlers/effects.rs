//! Effects that must not be made twice, however often an event is tried.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::domain::*;
use crate::applications::faulty_store::{Call, Fault, FaultyStore};
use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::event::RawEvent;
use cqrs::handler::{HandlerState, OnceError};
use cqrs::prelude::*;
use cqrs::store::CheckpointStore as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What the world outside was asked to do, how often, and what it refuses.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Deeds>>);

#[derive(Default)]
struct Deeds {
    counts: HashMap<String, u32>,
    refused: Option<String>,
    then: Option<(&'static str, Box<Follow>)>,
}

type Follow = dyn FnOnce() + Send;

impl World {
    fn act(&self, what: &str) -> Result<String, Broken> {
        let mut deeds = self.0.lock().unwrap();
        if deeds.refused.as_deref() == Some(what) {
            return Err(Broken("refused"));
        }
        let count = deeds.counts.entry(what.to_owned()).or_default();
        *count += 1;
        let done = format!("{what} #{count}");
        if let Some((_, follow)) = deeds.then.take_if(|(of, _)| *of == what) {
            follow();
        }
        Ok(done)
    }

    /// Does something else as soon as that was done.
    fn then(&self, what: &'static str, follow: impl FnOnce() + Send + 'static) {
        self.0.lock().unwrap().then = Some((what, Box::new(follow)));
    }

    fn refuse(&self, what: Option<&str>) {
        self.0.lock().unwrap().refused = what.map(str::to_owned);
    }

    fn count(&self, what: &str) -> u32 {
        self.0.lock().unwrap().counts.get(what).copied().unwrap_or_default()
    }
}

#[derive(Debug, thiserror::Error)]
enum ShopError {
    #[error(transparent)]
    Once(#[from] OnceError<Broken>),
    #[error(transparent)]
    Broken(#[from] Broken),
}

/// Two notes, as they were once stored together.
#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "desk.NotedTwice", version = 2, upcast(1 => each -> [Noted]))]
pub struct NotedTwice {}

fn each(data: Value) -> Vec<RawEvent> {
    let Value::Array(texts) = data else { panic!("no texts: {data}") };
    let note = |text| RawEvent::of::<Noted>(json!({ "book": "1", "text": text }));
    texts.into_iter().map(note).collect()
}

/// Charges, sends, and then notes down, which may fail.
struct Shop {
    world: World,
    action: ErrorAction,
}

#[event_handler(name = "shop", interested_in = [Noted], consistency = strong, error = ShopError)]
impl Shop {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), ShopError> {
        let act = |what: &str| std::future::ready(self.world.act(&format!("{what} {}", event.text)));
        let charge = context.once("charge", || act("charge")).await?;
        assert!(charge.ends_with("#1"), "{charge}");
        context.once("send", || act("send")).await?;
        self.world.act(&format!("note {}", event.text))?;
        Ok(())
    }

    async fn on_error(&self, failure: &HandlerFailure<ShopError>) -> ErrorAction {
        if failure.attempt == 3 && self.action == ErrorAction::Retry {
            self.world.refuse(None);
        }
        self.action
    }
}

async fn start(store: &MemoryStore, world: &World, action: ErrorAction) -> Desk {
    let shop = Shop { world: world.clone(), action };
    Desk::builder(store.clone()).event_handler(shop).start().await.unwrap()
}

async fn kept(store: &MemoryStore) -> usize {
    store.records("shop", "effect", None, 100).await.unwrap().len()
}

#[tokio::test]
async fn an_effect_is_made_once_however_often_the_event_is_tried() {
    let (store, world) = (MemoryStore::new(), World::default());
    world.refuse(Some("note a"));
    let desk = start(&store, &world, ErrorAction::Retry).await;
    desk.dispatch(note("1", "a")).consistency(Strong).await.unwrap();
    desk.dispatch(note("1", "b")).consistency(Strong).await.unwrap();
    for what in ["charge a", "send a", "note a", "charge b", "send b", "note b"] {
        assert_eq!(world.count(what), 1, "{what}");
    }
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 0, "what is handled leaves nothing");
}

/// Each of the events that one was upcast to has effects of its own, of whatever label.
#[tokio::test]
async fn effects_of_an_event_that_was_upcast_to_several_are_kept_apart() {
    let (store, world) = (MemoryStore::new(), World::default());
    write(&store, "book-1", "desk.NotedTwice", &[json!(["a", "b"]).to_string()]).await;
    world.refuse(Some("note b"));
    let desk = start(&store, &world, ErrorAction::Stop).await;
    until_state(&desk, "shop", HandlerState::Failed).await;
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 4);

    world.refuse(None);
    let desk = start(&store, &world, ErrorAction::Stop).await;
    until_caught_up(&desk, "shop").await;
    for what in ["charge a", "send a", "charge b", "send b", "note b"] {
        assert_eq!(world.count(what), 1, "{what}");
    }
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 0);
}

#[tokio::test]
async fn an_effect_that_failed_is_made_again() {
    let (store, world) = (MemoryStore::new(), World::default());
    world.refuse(Some("send a"));
    let desk = start(&store, &world, ErrorAction::Retry).await;
    desk.dispatch(note("1", "a")).consistency(Strong).await.unwrap();
    assert_eq!((world.count("charge a"), world.count("send a"), world.count("note a")), (1, 1, 1));
    desk.shutdown().await;
}

/// The next process knows what the last one has done.
#[tokio::test]
async fn a_result_outlives_the_application() {
    let (store, world) = (MemoryStore::new(), World::default());
    world.refuse(Some("note a"));
    let desk = start(&store, &world, ErrorAction::Stop).await;
    desk.dispatch(note("1", "a")).await.unwrap();
    until_state(&desk, "shop", HandlerState::Failed).await;
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 2);

    world.refuse(None);
    let desk = start(&store, &world, ErrorAction::Stop).await;
    until_caught_up(&desk, "shop").await;
    assert_eq!((world.count("charge a"), world.count("send a"), world.count("note a")), (1, 1, 1));
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 0);
}

/// What is parked keeps its results, also when everything else has gone far beyond it.
#[tokio::test]
async fn the_results_of_a_parked_event_are_kept() {
    let (store, world) = (MemoryStore::new(), World::default());
    world.refuse(Some("note a"));
    let desk = start(&store, &world, ErrorAction::Park).await;
    desk.dispatch(note("1", "a")).consistency(Strong).await.unwrap_err();
    desk.dispatch(note("2", "b")).consistency(Strong).await.unwrap();
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 2, "those of the parked event");

    world.refuse(None);
    let desk = start(&store, &world, ErrorAction::Park).await;
    let shop = desk.handler("shop").unwrap();
    shop.retry_parked("book-1").await.unwrap();
    until(async || shop.parked(None, 1).await.unwrap().is_empty().then_some(())).await;
    assert_eq!((world.count("charge a"), world.count("send a"), world.count("note a")), (1, 1, 1));
    assert_eq!(kept(&store).await, 0, "they go with the record of the parked key");
    desk.shutdown().await;
}

async fn until_nothing_is_parked(desk: &Desk, handler: &str) {
    let handler = desk.handler(handler).unwrap();
    until(async || handler.parked(None, 1).await.unwrap().is_empty().then_some(())).await;
}

/// The log cannot be read when a part of the events that wait is handled: what is handled is not handled again.
async fn check_cut_off_by_the_store(is_first_skipped: bool) {
    let (store, world) = (FaultyStore::default(), World::default());
    let shop = Shop { world: world.clone(), action: ErrorAction::Park };
    let config = Config::new().tail_page(2);
    let desk = Desk::builder(store.clone()).config(config).event_handler(shop).start().await.unwrap();
    world.refuse(Some("note a"));
    desk.dispatch(note("1", "a")).consistency(Strong).await.unwrap_err();
    for text in ["b", "c", "d"] {
        desk.dispatch(note("1", text)).await.unwrap();
    }
    until_caught_up(&desk, "shop").await;
    world.refuse(None);
    let broken = store.clone();
    world.then("note b", move || broken.fail(Call::ReadLog, Fault::Unavailable, 1));
    let shop = desk.handler("shop").unwrap();
    match is_first_skipped {
        true => shop.skip_parked("book-1").await.unwrap(),
        false => shop.retry_parked("book-1").await.unwrap(),
    }
    until_nothing_is_parked(&desk, "shop").await;
    for text in ["a", "b", "c", "d"] {
        let noted = u32::from(text != "a" || !is_first_skipped);
        let counts = (world.count(&format!("charge {text}")), world.count(&format!("note {text}")));
        assert_eq!(counts, (1, noted), "{text}");
    }
    assert_eq!(kept(&store.inner).await, 0);
    desk.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn parked_events_that_are_cut_off_by_the_store_go_on_where_they_were() {
    check_cut_off_by_the_store(false).await;
}

/// The one that is left out is the one that was parked, however often the store fails.
#[tokio::test(start_paused = true)]
async fn parked_events_behind_one_that_is_left_out_go_on_where_they_were() {
    check_cut_off_by_the_store(true).await;
}

/// What waits behind a parked event may have its effects behind it already.
#[tokio::test]
async fn the_results_of_events_that_wait_outlive_a_crash() {
    let (store, world) = (MemoryStore::new(), World::default());
    let (told, mut hanging) = tokio::sync::mpsc::channel::<()>(1);
    let careful = |told: Option<tokio::sync::mpsc::Sender<()>>| {
        let world = world.clone();
        let script = Script::new(move |event, context| {
            let (world, told) = (world.clone(), told.clone());
            async move {
                let act = |what: &str| world.act(&format!("{what} {}", event.text));
                context.once("charge", || std::future::ready(act("charge"))).await.unwrap();
                if let (Some(told), "b") = (told, &*event.text) {
                    told.send(()).await.unwrap();
                    std::future::pending::<()>().await;
                }
                act("note").map(drop)
            }
        });
        Careful(script.on_error(|_| ErrorAction::Park))
    };
    world.refuse(Some("note a"));
    let desk = Desk::builder(store.clone()).event_handler(careful(Some(told))).start().await.unwrap();
    desk.dispatch(note("1", "a")).consistency(Strong).await.unwrap_err();
    desk.dispatch(note("1", "b")).await.unwrap();
    until_caught_up(&desk, "careful").await;
    world.refuse(None);
    desk.handler("careful").unwrap().retry_parked("book-1").await.unwrap();
    soon(hanging.recv()).await.unwrap();
    desk.shutdown_within(std::time::Duration::ZERO).await;

    // The order stands, but the first one fails again.
    world.refuse(Some("note a"));
    let desk = Desk::builder(store.clone()).event_handler(careful(None)).start().await.unwrap();
    let handler = desk.handler("careful").unwrap();
    until(async || (handler.parked(None, 1).await.unwrap()[0].attempts > 1).then_some(())).await;
    world.refuse(None);
    handler.retry_parked("book-1").await.unwrap();
    until_nothing_is_parked(&desk, "careful").await;
    assert_eq!((world.count("charge a"), world.count("charge b")), (1, 1));
    assert_eq!(store.records("careful", "effect", None, 9).await.unwrap().len(), 0);
    desk.shutdown().await;
}

#[tokio::test]
async fn a_skipped_event_leaves_no_results() {
    let (store, world) = (MemoryStore::new(), World::default());
    world.refuse(Some("note a"));
    let desk = start(&store, &world, ErrorAction::Skip).await;
    desk.dispatch(note("1", "a")).consistency(Strong).await.unwrap();
    assert_eq!(world.count("charge a"), 1);
    desk.shutdown().await;
    assert_eq!(kept(&store).await, 0);
}

/// A result that a newer program cannot read is an error, and is not overwritten.
#[tokio::test]
async fn a_result_that_does_not_fit_is_an_error() {
    let store = MemoryStore::new();
    let (told, mut errors) = tokio::sync::mpsc::channel(10);
    let script = Script::new(move |event, context| {
        let told = told.clone();
        async move {
            let first = context.once("pick", || std::future::ready(Ok::<_, Broken>(event.text.clone())));
            assert_eq!(first.await.unwrap(), "7");
            let second = context.once("pick", || std::future::ready(Ok::<u64, Broken>(8))).await;
            told.try_send(second.unwrap_err()).unwrap();
            Ok(())
        }
    });
    let desk = Desk::builder(store).event_handler(Careful(script)).start().await.unwrap();
    desk.dispatch(note("1", "7")).consistency(Strong).await.unwrap();
    let error = errors.recv().await.unwrap();
    assert!(matches!(&error, OnceError::Unfit { label, .. } if label == "pick"), "{error:?}");
    desk.shutdown().await;
}

/// What an event left goes together with the checkpoint that says that the event is handled, whatever is written in
/// between: a crash would make it happen again otherwise.
#[tokio::test]
async fn a_result_does_not_go_before_the_checkpoint() {
    let store = MemoryStore::new();
    let (told, mut hanging) = tokio::sync::mpsc::channel(1);
    let script = Script::new(move |event, context| {
        let told = told.clone();
        async move {
            match event.text.as_str() {
                "effect" => context.once("make", || std::future::ready(Ok::<_, Broken>(()))).await.unwrap(),
                "bad" => return Err(Broken("on purpose")),
                _ => {
                    told.send(()).await.unwrap();
                    std::future::pending::<()>().await;
                }
            }
            Ok(())
        }
    })
    .on_error(|_| ErrorAction::Park);
    let books = Desk::builder(store.clone()).start().await.unwrap();
    for (book, text) in [("a", "effect"), ("b", "bad"), ("c", "hang")] {
        books.dispatch(note(book, text)).await.unwrap();
    }
    books.shutdown().await;
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    soon(hanging.recv()).await.unwrap();
    let results = store.records("careful", "effect", None, 9).await.unwrap();
    let checkpoint = store.checkpoint("careful").await.unwrap();
    assert_eq!((results.len(), checkpoint), (0, Some(1)));
    desk.shutdown_within(std::time::Duration::ZERO).await;
}

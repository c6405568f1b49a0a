//! The ready-made layers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::dispatch::TimeoutOutcome;
use cqrs::middleware::{
    Authorization, Authorize, Forbidden, Idempotency, Middleware, MissingIdempotencyKey, TimeLimit,
    Validation,
};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::gate::Gate;
use crate::support::log::sound_log;
use crate::support::tally::{Held, Tallies, add, add_held, tallies};

/// Counts the dispatches that come to it.
#[derive(Clone, Default)]
struct Count(Arc<AtomicU32>);

impl Count {
    fn get(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Middleware for Count {
    async fn before_dispatch(&self, _context: &mut DispatchContext) -> Result<(), Halt> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "shipped.Written")]
pub struct Written;

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = NoteRouter, aggregate = Note, identify_by = title, validate)]
pub struct Write {
    pub title: String,
    pub text: String,
}

impl Write {
    fn validate(&self) -> Result<(), ValidationErrors> {
        assert_ne!(self.title, "panic", "validation panics");
        ValidationErrors::new()
            .check(!self.title.is_empty(), "title", "must not be empty")
            .check(self.text.len() < 5, "text", "must be short")
            .into_result()
    }
}

#[derive(Default, Clone, Debug)]
pub struct Note;

#[aggregate(stream_prefix = "note")]
impl Note {
    #[execute]
    fn write(&self, _command: &Write) -> Written {
        Written
    }

    #[apply]
    fn written(&mut self, _event: &Written) {}
}

#[derive(Router)]
pub struct NoteRouter;

application! {
    pub struct Notes {
        routers: [NoteRouter],
    }
}

fn write(title: &str, text: &str) -> Write {
    let (title, text) = (title.to_owned(), text.to_owned());
    Write { title, text }
}

// E-003, DEF-017
#[tokio::test]
async fn e_003_a_command_is_validated_with_and_without_the_layer() {
    for with_layer in [false, true] {
        let (store, count) = (MemoryStore::new(), Count::default());
        let builder = Notes::builder(store.clone());
        let builder = if with_layer { builder.middleware(Validation) } else { builder };
        let notes = builder.middleware(count.clone()).start().await.unwrap();
        let DispatchError::Invalid { command, errors, .. } =
            notes.dispatch(write("", "long text")).await.unwrap_err()
        else {
            panic!("accepted");
        };
        assert_eq!((command, errors.fields().len()), ("Write", 2));
        assert_eq!(errors.to_string(), "title must not be empty; text must be short");
        // The layer spares those inside it.
        assert_eq!(count.get(), u32::from(!with_layer));
        assert!(sound_log(&store).await.is_empty());
        notes.dispatch(write("title", "text")).await.unwrap();
        notes.shutdown().await;
    }
}

#[tokio::test]
async fn a_validation_that_panics_fails_its_command_only() {
    let notes = Notes::builder(MemoryStore::new()).start().await.unwrap();
    let error = notes.dispatch(write("panic", "")).await.unwrap_err();
    assert!(
        matches!(error, DispatchError::Panicked { place: cqrs::dispatch::PanicPlace::Command("Write"), .. }),
        "{error:?}"
    );
    notes.dispatch(write("title", "text")).await.unwrap();
    notes.shutdown().await;
}

// E-016 with the layer: what lies inside it is spared as well.
#[tokio::test]
async fn the_idempotency_layer_answers_before_the_layers_inside_it() {
    let (store, count) = (MemoryStore::new(), Count::default());
    let builder = Tallies::builder(store.clone()).middleware(Idempotency::default());
    let tallies = builder.middleware(count.clone()).start().await.unwrap();
    let first = tallies.dispatch(add("1", 1)).idempotency_key("k").await.unwrap();
    tallies.dispatch(add("1", 1)).await.unwrap();
    let second = tallies.dispatch(add("1", 1)).idempotency_key("k").await.unwrap();
    assert_eq!((second.is_repeated(), second.version(), second.state().total), (true, 1, 1));
    assert_eq!((second.events(), second.position()), (first.events(), first.position()));
    assert_eq!(second.halted_by(), None, "the answer is the first dispatch's");
    assert_eq!(count.get(), 2);
    assert_eq!(sound_log(&store).await.len(), 2);
    tallies.shutdown().await;
}

#[tokio::test]
async fn the_idempotency_layer_can_insist_on_keys() {
    let store = MemoryStore::new();
    let builder = Tallies::builder(store.clone()).middleware(Idempotency::required());
    let tallies = builder.start().await.unwrap();
    let DispatchError::Halted { middleware, source, .. } = tallies.dispatch(add("1", 1)).await.unwrap_err()
    else {
        panic!("accepted");
    };
    assert_eq!(middleware, "Idempotency");
    assert!(source.is::<MissingIdempotencyKey>());
    tallies.dispatch(add("1", 1)).idempotency_key("k").await.unwrap();
    tallies.dispatch(add("1", 1)).command_id(cqrs::id::CommandId::new()).await.unwrap();
    assert_eq!(sound_log(&store).await.len(), 2);
    tallies.shutdown().await;
}

struct OnlyAda;

impl Authorize for OnlyAda {
    async fn authorize(&self, context: &DispatchContext) -> Result<(), Forbidden> {
        match context.metadata().get("actor").and_then(|actor| actor.as_str()) {
            Some("ada") => Ok(()),
            Some(other) => Err(Forbidden::new(format!("{other} is not Ada"))),
            None => Err(Forbidden::new("nobody")),
        }
    }
}

#[tokio::test]
async fn the_authorization_layer_lets_through_whom_its_policy_allows() {
    let store = MemoryStore::new();
    let builder = Tallies::builder(store.clone()).middleware(Authorization::new(OnlyAda));
    let tallies = builder.start().await.unwrap();
    tallies.dispatch(add("1", 1)).metadata("actor", "ada").await.unwrap();
    for (dispatch, reason) in [
        (tallies.dispatch(add("1", 1)).metadata("actor", "eve"), "eve is not Ada"),
        (tallies.dispatch(add("1", 1)), "nobody"),
    ] {
        let DispatchError::Halted { middleware, source, .. } = dispatch.await.unwrap_err() else {
            panic!("accepted");
        };
        assert_eq!(middleware, "Authorization");
        assert_eq!(source.downcast_ref::<Forbidden>().unwrap().reason(), reason);
    }
    assert_eq!(sound_log(&store).await.len(), 1);
    tallies.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn the_time_limit_caps_what_callers_ask_for() {
    let limit = Duration::from_secs(2);
    let builder = Tallies::builder(MemoryStore::new()).command_handler(Held(Gate::shut()));
    let tallies = builder.middleware(TimeLimit::new(limit)).start().await.unwrap();
    let second = Duration::from_secs(1);
    for (dispatch, expected) in [
        (tallies.dispatch(add_held("1", 1)).no_timeout(), limit),
        (tallies.dispatch(add_held("2", 1)).timeout(60 * second), limit),
        (tallies.dispatch(add_held("3", 1)), limit),
        (tallies.dispatch(add_held("4", 1)).timeout(second), second),
    ] {
        let error = dispatch.await.unwrap_err();
        assert!(
            matches!(error, DispatchError::Timeout { limit, outcome: TimeoutOutcome::DidNotRun, .. } if limit == expected),
            "{error:?}"
        );
    }
    tallies.shutdown_within(Duration::ZERO).await;
}

struct Stuck;

impl Middleware for Stuck {
    async fn before_dispatch(&self, _context: &mut DispatchContext) -> Result<(), Halt> {
        std::future::pending().await
    }
}

struct StuckAfter;

impl Middleware for StuckAfter {
    async fn after_dispatch(&self, _context: &mut DispatchContext, _outcome: &DispatchOutcome) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_hangs_is_bounded_by_the_time_limit() {
    let store = MemoryStore::new();
    let stuck = Tallies::builder(store.clone()).middleware(Stuck).start().await.unwrap();
    let error = stuck.dispatch(add("1", 1)).await.unwrap_err();
    assert!(matches!(error, DispatchError::Timeout { outcome: TimeoutOutcome::DidNotRun, .. }), "{error:?}");
    assert!(sound_log(&store).await.is_empty());
    stuck.shutdown().await;
    let stuck = Tallies::builder(store.clone()).middleware(StuckAfter).start().await.unwrap();
    assert_eq!(stuck.dispatch(add("1", 1)).await.unwrap().version(), 1);
    stuck.shutdown().await;
    let free = tallies(store).await;
    assert_eq!(free.dispatch(add("1", 1)).await.unwrap().version(), 2);
    free.shutdown().await;
}

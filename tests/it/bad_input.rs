//! Input that is wrong, and code that misbehaves: each gets a typed answer, and the application goes on.
//!
//! Two instances of one name, duplicate handler names and handlers that never return have their tests in
//! `applications/`.

use std::sync::atomic::{AtomicBool, Ordering};

use cqrs::MemoryStore;
use cqrs::application::{Config, StateError};
use cqrs::command::InvalidIdentity;
use cqrs::dispatch::{PanicPlace, Rejection};
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventStore as _, ExpectedVersion, InvalidStreamId, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::handlers::domain::{Book, Careful, Desk, Script, log, note, soon, stored_note, until, write};

async fn desk() -> (MemoryStore, Desk) {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).start().await.unwrap();
    (store, desk)
}

/// The identity is refused, nothing is stored, and the next command is fine.
async fn check_identity(identity: &str, expected: InvalidIdentity) {
    let (store, desk) = desk().await;
    let error = desk.dispatch(note(identity, "x")).await.unwrap_err();
    let DispatchError::InvalidIdentity { command, source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((command, &source), ("Note", &expected));
    let state = desk.aggregate_state::<Book>(identity).await;
    assert!(matches!(state, Err(StateError::InvalidIdentity { source, .. }) if source == expected));
    assert_eq!(log(&store).await.len(), 0);
    desk.dispatch(note("fine", "x")).await.unwrap();
    desk.shutdown().await;
}

// T-024, L-009
#[tokio::test]
async fn t_024_an_empty_identity() {
    check_identity("", InvalidIdentity::Empty).await;
}

#[tokio::test]
async fn t_024_an_overlong_identity() {
    let longest = StreamId::MAX_BYTES - "book-".len();
    let length = StreamId::MAX_BYTES + 1;
    let too_long = InvalidIdentity::StreamId(InvalidStreamId::TooLong { length });
    check_identity(&"i".repeat(longest + 1), too_long).await;

    let (_, desk) = desk().await;
    let dispatched = desk.dispatch(note(&"i".repeat(longest), "x")).await.unwrap();
    assert_eq!(dispatched.aggregate_id().len(), longest);
    desk.shutdown().await;
}

#[tokio::test]
async fn t_024_control_characters_in_an_identity() {
    for bad in ["\0", "a\nb", "a\u{7f}", "tab\t"] {
        let text = format!("book-{bad}");
        let at = text.char_indices().find(|(_, character)| character.is_control()).unwrap().0;
        check_identity(bad, InvalidIdentity::StreamId(InvalidStreamId::ControlCharacter { text, at })).await;
    }
}

#[tokio::test]
async fn t_024_strange_but_valid_identities() {
    let (_, desk) = desk().await;
    for strange in ["-", "--", " ", "$all", "ünïcødé", "😀", "a/b\\c", "'; drop table events; --", "%s"]
    {
        let dispatched = desk.dispatch(note(strange, "x")).await.unwrap();
        assert_eq!((dispatched.aggregate_id(), dispatched.version()), (strange, 1));
    }
    desk.shutdown().await;
}

async fn json_error(name: &str, data: Value) -> DispatchError<Rejection> {
    let (store, desk) = desk().await;
    let error = desk.dispatch_json(name, data).await.unwrap_err();
    assert_eq!(log(&store).await.len(), 0);
    let fine = desk.dispatch_json("Note", json!({ "book": "a", "text": "x" })).await.unwrap();
    assert_eq!((fine.version, fine.events[0].event_type), (1, "desk.Noted"));
    desk.shutdown().await;
    error
}

// T-022, E-025
#[tokio::test]
async fn t_022_an_unknown_command_by_name() {
    for unknown in ["", "note", "NoSuch", "cqrs::Note", "Note "] {
        let error = json_error(unknown, json!({ "book": "a", "text": "x" })).await;
        assert!(
            matches!(&error, DispatchError::UnknownCommand { application, command }
                if application == "Desk" && command == unknown),
            "{error:?}"
        );
    }
    // Known to the program, but not to this application.
    let error = json_error("Explode", json!({ "id": "a", "place": "Nowhere" })).await;
    assert!(matches!(error, DispatchError::UnknownCommand { .. }), "{error:?}");
}

// C-028
#[tokio::test]
async fn c_028_malformed_json() {
    let bad = [
        Value::Null,
        json!(7),
        json!([]),
        json!({}),
        json!({ "book": "a" }),
        json!({ "book": 1, "text": "x" }),
        json!({ "book": null, "text": "x" }),
    ];
    for data in bad {
        let error = json_error("Note", data).await;
        let DispatchError::Malformed { command, .. } = &error else {
            panic!("{error:?}");
        };
        assert_eq!(command, "Note");
        assert!(std::error::Error::source(&error).is_some(), "it says what does not fit");
    }
}

#[tokio::test]
async fn a_payload_over_the_limit() {
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).config(Config::new().payload_limit(100)).start().await.unwrap();
    let frame = r#"{"book":"a","text":""}"#.len();
    let error = desk.dispatch(note("a", "x".repeat(101 - frame))).await.unwrap_err();
    let DispatchError::PayloadTooLarge { event_type, size, limit, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((*event_type, *size, *limit), ("desk.Noted", 101, 100));
    assert_eq!(log(&store).await.len(), 0);
    assert_eq!(desk.dispatch(note("a", "x".repeat(100 - frame))).await.unwrap().version(), 1);
    desk.shutdown().await;
}

async fn check_unreadable_stream(event_type: &'static str, data: &str, expected: &[&str]) {
    let (store, desk) = desk().await;
    write(&store, "book-a", event_type, &[data.to_owned()]).await;
    let error = desk.dispatch(note("a", "x")).await.unwrap_err();
    let DispatchError::Replay { stream_id, source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(stream_id.as_str(), "book-a");
    let mut text = source.to_string();
    let mut next = std::error::Error::source(source);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    for part in expected {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    assert_eq!(log(&store).await.len(), 1);
    assert!(matches!(desk.aggregate_state::<Book>("a").await, Err(StateError::Replay { .. })));
    desk.dispatch(note("b", "others go on")).await.unwrap();
    desk.shutdown().await;
}

#[tokio::test]
async fn an_event_in_an_aggregate_s_stream_that_nobody_registered() {
    check_unreadable_stream("desk.Unheard", "{}", &["desk.Unheard"]).await;
}

#[tokio::test]
async fn an_event_in_an_aggregate_s_stream_that_is_another_aggregate_s() {
    check_unreadable_stream("bad_input.Exploded", "{}", &["bad_input.Exploded"]).await;
}

#[tokio::test]
async fn an_event_that_does_not_fit_its_type() {
    check_unreadable_stream("desk.Noted", "[", &["desk.Noted"]).await;
    check_unreadable_stream("desk.Noted", r#"{"text":"x"}"#, &["desk.Noted", "book"]).await;
}

#[tokio::test]
async fn an_event_that_is_newer_than_the_code() {
    let (store, desk) = desk().await;
    let event = EventData {
        event_id: EventId::new(),
        event_type: "desk.Noted".into(),
        schema_version: 2,
        data: stored_note("from the future").into(),
        metadata: cqrs::event::Metadata::new(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    };
    let stream = StreamId::new("book-a").unwrap();
    let append = Append::to_stream(CommandId::new(), stream, ExpectedVersion::NoStream, vec![event]);
    store.append(append).await.unwrap();
    let error = desk.dispatch(note("a", "x")).await.unwrap_err();
    let DispatchError::Replay { source, .. } = &error else {
        panic!("{error:?}");
    };
    let text = source.to_string();
    assert!(text.contains("is of version 2") && text.contains("up to 1"), "{text}");
    desk.shutdown().await;
}

/// Where code of the application panics.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nowhere,
    Validate,
    Identity,
    Middleware,
    Execute,
    Apply,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "bad_input.Exploded")]
struct Exploded {
    place: Place,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = MineRouter, aggregate = Mine, identify_by = self.identity(), validate)]
struct Explode {
    id: String,
    place: Place,
}

impl Explode {
    fn identity(&self) -> &str {
        assert!(self.place != Place::Identity, "boom in identity");
        &self.id
    }

    fn validate(&self) -> Result<(), ValidationErrors> {
        assert!(self.place != Place::Validate, "boom in validate");
        Ok(())
    }
}

#[derive(Default, Clone, Debug)]
struct Mine {
    explosions: u64,
}

#[aggregate(stream_prefix = "mine")]
impl Mine {
    #[execute]
    fn explode(&self, command: &Explode) -> Exploded {
        assert!(command.place != Place::Execute, "boom in execute");
        Exploded { place: command.place }
    }

    #[apply]
    fn exploded(&mut self, event: &Exploded) {
        assert!(event.place != Place::Apply, "boom in apply");
        self.explosions += 1;
    }
}

/// Panics where a command says so.
#[derive(Default)]
struct Fuse;

impl Middleware for Fuse {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        let command = context.command().downcast_ref::<Explode>();
        assert!(command.is_none_or(|command| command.place != Place::Middleware), "boom in middleware");
        Ok(())
    }
}

#[derive(Router)]
#[router(middleware = [Fuse])]
struct MineRouter;

/// Panics at each explosion.
#[derive(Default)]
struct Alarm;

static ALARM: AtomicBool = AtomicBool::new(false);

#[event_handler(name = "alarm", interested_in = [Exploded])]
impl Alarm {
    async fn on_exploded(&self, _event: &Exploded) {
        ALARM.store(true, Ordering::SeqCst);
        panic!("boom in a handler");
    }
}

application! {
    struct Mines {
        routers: [MineRouter],
        event_handlers: [Alarm],
    }
}

// G10, T-130, T-142, T-147: one process, panics everywhere, and it goes on.
#[tokio::test]
async fn g10_panics_in_code_of_the_application_fail_one_command_each() {
    let store = MemoryStore::new();
    let mines = Mines::builder(store.clone()).start().await.unwrap();
    let mut version = 0;
    for round in 0..3 {
        let places = [
            (Place::Validate, PanicPlace::Command("Explode"), "boom in validate"),
            (Place::Identity, PanicPlace::Command("Explode"), "boom in identity"),
            (Place::Middleware, PanicPlace::Middleware("Fuse"), "boom in middleware"),
            (Place::Execute, PanicPlace::Aggregate("Mine"), "boom in execute"),
            (Place::Apply, PanicPlace::Aggregate("Mine"), "boom in apply"),
        ];
        for (place, expected, text) in places {
            let error = mines.dispatch(Explode { id: "a".into(), place }).await.unwrap_err();
            let DispatchError::Panicked { place, message, .. } = &error else {
                panic!("{place:?}: {error:?}");
            };
            assert_eq!((*place, message.as_str()), (expected, text), "round {round}");
        }
        let fine = Explode { id: "a".into(), place: Place::Nowhere };
        let dispatched = mines.dispatch(fine).await.unwrap();
        version += 1;
        assert_eq!((dispatched.version(), dispatched.state().explosions), (version, version));
    }
    assert_eq!(log(&store).await.len(), 3, "nothing of what panicked is stored");
    until(async || ALARM.load(Ordering::SeqCst).then_some(())).await;
    mines.shutdown().await;
}

// T-147: an event that panics when it is applied again fails the replay, and nothing else.
#[tokio::test]
async fn t_147_a_panic_in_a_replay_is_an_error() {
    let store = MemoryStore::new();
    write(&store, "mine-a", "bad_input.Exploded", &[json!({ "place": "Apply" }).to_string()]).await;
    let mines = Mines::builder(store).start().await.unwrap();
    for _ in 0..2 {
        let error = mines.dispatch(Explode { id: "a".into(), place: Place::Nowhere }).await.unwrap_err();
        assert!(matches!(&error, DispatchError::Panicked { .. } | DispatchError::Replay { .. }), "{error:?}");
        assert!(mines.aggregate_state::<Mine>("a").await.is_err());
    }
    mines.dispatch(Explode { id: "b".into(), place: Place::Nowhere }).await.unwrap();
    mines.shutdown().await;
}

// T-017
#[tokio::test]
async fn t_017_dispatches_race_with_a_shutdown_and_each_gets_a_definite_answer() {
    let (script, mut inbox) = Script::telling();
    let store = MemoryStore::new();
    let desk = Desk::builder(store.clone()).event_handler(Careful(script)).start().await.unwrap();
    let mut dispatches = tokio::task::JoinSet::new();
    for at in 0..200 {
        let other = desk.clone();
        dispatches.spawn(async move { other.dispatch(note(&at.to_string(), "x")).consistency(Strong).await });
        if at == 100 {
            let stopping = desk.clone();
            dispatches.spawn(async move {
                stopping.shutdown().await;
                stopping.dispatch(note("late", "x")).await
            });
        }
        tokio::task::yield_now().await;
    }
    let mut stored = 0;
    for dispatched in soon(dispatches.join_all()).await {
        match dispatched {
            Ok(_) => stored += 1,
            Err(DispatchError::NotRunning { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(log(&store).await.len(), stored);
    assert_eq!(inbox.rest().len(), stored, "a strong dispatch that succeeded was handled");
    assert!((1..201).contains(&stored), "{stored}: some before the end, some after it");
}

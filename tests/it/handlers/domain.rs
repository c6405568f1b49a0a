//! A desk with notebooks, and handlers that do what a test tells them: what these tests share.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::handler::{HandlerState, HandlerStatus, RetryPolicy};
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::prelude::*;
use cqrs::store::{Append, EventData, EventFilter, EventStore, ExpectedVersion, RecordedEvent, StreamId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::support::gate;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "desk.Noted")]
pub struct Noted {
    pub book: String,
    pub text: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "desk.Stamped")]
pub struct Stamped {
    pub book: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = DeskRouter, aggregate = Book, identify_by = book)]
pub struct Note {
    pub book: String,
    pub text: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = DeskRouter, aggregate = Book, identify_by = book)]
pub struct Stamp {
    pub book: String,
}

/// Changes nothing.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = DeskRouter, aggregate = Book, identify_by = book)]
pub struct Leaf {
    pub book: String,
}

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Book {
    pub notes: u64,
}

#[aggregate(stream_prefix = "book")]
impl Book {
    #[execute]
    fn note(&self, command: &Note) -> Noted {
        Noted { book: command.book.clone(), text: command.text.clone() }
    }

    #[execute]
    fn stamp(&self, command: &Stamp) -> Stamped {
        Stamped { book: command.book.clone() }
    }

    #[execute]
    fn leaf(&self, _command: &Leaf) {}

    #[apply]
    fn noted(&mut self, _event: &Noted) {
        self.notes += 1;
    }

    #[apply]
    fn stamped(&mut self, _event: &Stamped) {}
}

#[derive(Router)]
pub struct DeskRouter;

application! {
    /// Handlers are given by each test.
    pub struct Desk {
        routers: [DeskRouter],
    }
}

pub fn note(book: &str, text: impl Into<String>) -> Note {
    Note { book: book.to_owned(), text: text.into() }
}

/// Whatever waits in these tests gives up after this time.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What `future` gives, which it must do within [`LIMIT`].
#[track_caller]
pub fn soon<F: IntoFuture>(future: F) -> impl Future<Output = F::Output> {
    let place = std::panic::Location::caller();
    async move {
        match timeout(LIMIT, future.into_future()).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened within {LIMIT:?}, awaited at {place}"),
        }
    }
}

/// Why a handler fails in these tests.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct Broken(pub &'static str);

type Work =
    dyn Fn(Noted, EventContext) -> Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>> + Send + Sync;
type OnError = dyn Fn(&HandlerFailure<Broken>) -> ErrorAction + Send + Sync;

/// A handler of notes that does what a test tells it.
#[derive(Clone)]
pub struct Script {
    work: Arc<Work>,
    on_error: Arc<OnError>,
}

impl Script {
    pub fn new<F>(work: impl Fn(Noted, EventContext) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Broken>> + Send + 'static,
    {
        Self {
            work: Arc::new(move |event, context| Box::pin(work(event, context))),
            on_error: Arc::new(|failure| RetryPolicy::default().decide(failure)),
        }
    }

    pub fn on_error(
        mut self,
        decide: impl Fn(&HandlerFailure<Broken>) -> ErrorAction + Send + Sync + 'static,
    ) -> Self {
        self.on_error = Arc::new(decide);
        self
    }

    /// What the script does with an event.
    pub fn run(
        &self,
        event: Noted,
        context: EventContext,
    ) -> impl Future<Output = Result<(), Broken>> + Send {
        (self.work)(event, context)
    }

    /// Handles each event once the gate lets it.
    pub fn held() -> (Self, gate::Gate) {
        let gate = gate::Gate::shut();
        let hold = gate.clone();
        let script = Self::new(move |_, _| {
            let gate = hold.clone();
            async move {
                gate.pass().await;
                Ok(())
            }
        });
        (script, gate)
    }

    /// Tells of each event and is content.
    pub fn telling() -> (Self, Inbox) {
        let (told, inbox) = mpsc::channel(100_000);
        let script = Self::new(move |event, context| {
            told.try_send(Told { event, context }).expect("room in the inbox");
            std::future::ready(Ok(()))
        });
        (script, Inbox(inbox))
    }
}

/// Runs a script; a strong dispatch does not wait for it.
#[derive(Clone)]
pub struct Eager(pub Script);

/// Runs a script; a strong dispatch waits for it.
#[derive(Clone)]
pub struct Careful(pub Script);

/// Runs a script, beginning with what is new.
#[derive(Clone)]
pub struct Newcomer(pub Script);

/// Runs a script, beginning behind position 2.
#[derive(Clone)]
pub struct Latecomer(pub Script);

macro_rules! scripted {
    ($handler:ident, $($options:tt)*) => {
        #[event_handler(interested_in = [Noted], $($options)*)]
        impl $handler {
            async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), Broken> {
                (self.0.work)(event.clone(), context.clone()).await
            }

            async fn on_error(&self, failure: &HandlerFailure<Broken>) -> ErrorAction {
                (self.0.on_error)(failure)
            }
        }
    };
}

scripted!(Eager, name = "eager");
scripted!(Careful, name = "careful", consistency = strong);
scripted!(Newcomer, name = "newcomer", start_from = current);
scripted!(Latecomer, name = "latecomer", start_from = position(2));

/// An event that a handler was given.
#[derive(Debug)]
pub struct Told {
    pub event: Noted,
    pub context: EventContext,
}

/// Where a handler waits until the test lets it through.
#[derive(Clone, Debug)]
pub struct Gate {
    entered: Arc<Semaphore>,
    opened: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { entered: Arc::new(Semaphore::new(0)), opened: Arc::new(Semaphore::new(0)) }
    }
}

impl Gate {
    pub async fn pass(&self) {
        self.entered.add_permits(1);
        self.opened.acquire().await.expect("never closed").forget();
    }

    /// Waits until a handler has come to it once more.
    #[track_caller]
    pub fn entered(&self) -> impl Future<Output = ()> {
        let entered = soon(Arc::clone(&self.entered).acquire_owned());
        async { entered.await.expect("never closed").forget() }
    }

    /// Lets whoever comes pass from now on.
    pub fn open(&self) {
        self.opened.add_permits(1_000);
    }

    /// Lets this many pass.
    pub fn let_through(&self, count: usize) {
        self.opened.add_permits(count);
    }
}

/// The events that a handler was given, in order.
pub struct Inbox(mpsc::Receiver<Told>);

impl Inbox {
    #[track_caller]
    pub fn next(&mut self) -> impl Future<Output = Told> {
        let next = soon(self.0.recv());
        async { next.await.expect("the handler is there") }
    }

    /// The texts of the next `count` notes.
    pub async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.next().await.event.text);
        }
        texts
    }

    /// The texts of the notes that have come and were not looked at.
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|told| told.event.text).collect()
    }

    /// Waits until no handler is left that could tell anything; what has come is looked at.
    pub async fn closed(&mut self) {
        while self.0.recv().await.is_some() {}
    }

    /// The positions of the events that have come and were not looked at.
    pub fn positions(&mut self) -> Vec<u64> {
        std::iter::from_fn(|| self.0.try_recv().ok()).map(|told| told.context.position()).collect()
    }
}

/// A place for the application that a handler dispatches to: it is there once the application has started.
#[derive(Clone, Default)]
pub struct DeskLater(Arc<OnceLock<Desk>>);

impl DeskLater {
    pub fn set(&self, desk: &Desk) {
        assert!(self.0.set(desk.clone()).is_ok(), "set twice");
    }

    pub fn get(&self) -> Desk {
        self.0.get().expect("the desk has started").clone()
    }
}

/// What the handlers of this name are doing.
pub async fn status(desk: &Desk, handler: &str) -> HandlerStatus {
    let mut statuses = desk.handlers().await.expect("the store answers");
    statuses.retain(|status| status.name == handler);
    statuses.pop().expect("a handler of this name")
}

/// Waits until the handler is in this state.
pub async fn until_state(desk: &Desk, handler: &str, state: HandlerState) -> HandlerStatus {
    until(async || Some(status(desk, handler).await).filter(|status| status.state == state)).await
}

/// Waits until the handler has come to the end of the log.
pub async fn until_caught_up(desk: &Desk, handler: &str) -> HandlerStatus {
    until(async || Some(status(desk, handler).await).filter(|status| status.lag == 0)).await
}

/// Looks again and again until there is something to see.
#[track_caller]
pub fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    soon(async move {
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        loop {
            tick.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    })
}

/// The whole log.
pub async fn log(store: &MemoryStore) -> Vec<RecordedEvent> {
    store.read_log(0, &EventFilter::all(), usize::MAX).await.expect("the store answers").events
}

/// Writes events as another program would, whatever they contain.
pub async fn write(store: &MemoryStore, stream: &str, event_type: &'static str, data: &[String]) {
    let event = |data: &String| EventData {
        event_id: EventId::new(),
        event_type: event_type.into(),
        schema_version: 1,
        data: data.clone().into(),
        metadata: cqrs::event::Metadata::new(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    };
    let stream = StreamId::new(stream).expect("a stream id");
    let append =
        Append::to_stream(CommandId::new(), stream, ExpectedVersion::Any, data.iter().map(event).collect());
    store.append(append).await.expect("appended");
}

/// The data of a note, as it is stored.
pub fn stored_note(text: impl std::fmt::Display) -> String {
    serde_json::json!({ "book": "raw", "text": text.to_string() }).to_string()
}

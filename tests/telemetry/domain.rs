//! Notes in books, with whoever can read them: what these tests share. All that users write says [`SECRET`].

use std::time::Duration;

use cqrs::event::EventContext;
use cqrs::prelude::*;
use cqrs::schedule::Scheduler;
use cqrs::testing::TestPublisher;
use serde::{Deserialize, Serialize};

use crate::gate::Gate;

/// What must not be told to anybody.
pub const SECRET: &str = "the-content-of-a-note";

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "books.Noted")]
pub struct Noted {
    pub book: String,
    pub text: String,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "books.Answered")]
pub struct Answered {
    pub book: String,
    pub text: String,
}

/// What a note says beside the secret decides what becomes of it: `refuse` and `panic` are for its book, `fail` for the
/// handler, `answer` has it answered.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Books, aggregate = Book, identify_by = book)]
pub struct Note {
    pub book: String,
    pub text: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Books, aggregate = Book, identify_by = book)]
pub struct Answer {
    pub book: String,
    pub text: String,
}

/// Is noted once the gate is open.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = Books, aggregate = Book, identify_by = book, handler = Porter)]
pub struct NoteLater {
    pub book: String,
    pub text: String,
}

pub fn note(book: &str, what: &str) -> Note {
    Note { book: book.to_owned(), text: format!("{what} {SECRET}") }
}

#[derive(Debug, thiserror::Error)]
#[error("on purpose")]
pub struct OnPurpose;

#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Book {
    texts: Vec<String>,
}

#[aggregate(stream_prefix = "book", error = OnPurpose, mailbox = 2)]
impl Book {
    #[execute]
    fn note(&self, command: &Note) -> Result<Noted, OnPurpose> {
        assert!(!command.text.starts_with("panic"), "on purpose");
        if command.text.starts_with("refuse") {
            return Err(OnPurpose);
        }
        Ok(Noted { book: command.book.clone(), text: command.text.clone() })
    }

    #[execute]
    fn answer(&self, command: &Answer) -> Answered {
        Answered { book: command.book.clone(), text: command.text.clone() }
    }

    #[apply]
    fn noted(&mut self, event: &Noted) {
        self.texts.push(event.text.clone());
    }

    #[apply]
    fn answered(&mut self, event: &Answered) {
        self.texts.push(event.text.clone());
    }
}

#[derive(Default)]
pub struct Porter {
    pub gate: Gate,
}

#[command_handler]
impl Porter {
    #[execute]
    async fn note_later(&self, _book: &Book, command: &NoteLater) -> Noted {
        self.gate.pass().await;
        Noted { book: command.book.clone(), text: command.text.clone() }
    }
}

#[derive(Router)]
pub struct Books;

/// Answers through its own application, and parks what fails.
#[derive(Clone, Default)]
pub struct Reader {
    pub gate: Gate,
}

#[event_handler(name = "reader", interested_in = [Noted], consistency = strong)]
impl Reader {
    async fn on_noted(&self, event: &Noted, context: &EventContext) -> Result<(), OnPurpose> {
        self.gate.pass().await;
        if event.text.starts_with("fail") {
            return Err(OnPurpose);
        }
        if event.text.starts_with("answer") {
            let library: Library = context.app().ok_or(OnPurpose)?;
            let answer = Answer { book: format!("{}-read", event.book), text: event.text.clone() };
            library.dispatch(answer).await.map_err(|_| OnPurpose)?;
        }
        Ok(())
    }

    async fn on_error(&self, _failure: &HandlerFailure<OnPurpose>) -> ErrorAction {
        ErrorAction::Park
    }
}

#[derive(Clone)]
pub struct Catalogue(pub MemoryRows<String, u64>);

#[projection(name = "catalogue", interested_in = [Noted], consistency = strong)]
impl Catalogue {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.0
    }

    async fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, u64>) -> Result<(), OnPurpose> {
        *rows.row(event.book.clone()) += 1;
        if event.text.starts_with("fail") { Err(OnPurpose) } else { Ok(()) }
    }

    async fn on_error(&self, _failure: &ProjectionFailure<OnPurpose>) -> ErrorAction {
        ErrorAction::Skip
    }
}

/// Answers a note by a command, and looks at it again later, which is at once.
#[derive(Default, Serialize, Deserialize, Clone, Debug)]
pub struct Librarian {
    text: String,
}

#[process_manager(name = "librarian", interested_in = [Noted], by = book, error = OnPurpose)]
impl Librarian {
    #[on(start_or_continue)]
    fn noted(&mut self, event: &Noted, process: &mut Process) -> Result<(), OnPurpose> {
        self.text.clone_from(&event.text);
        if event.text.starts_with("fail") {
            return Err(OnPurpose);
        }
        if event.text.starts_with("answer") {
            process.send(Answer { book: format!("{}-filed", event.book), text: event.text.clone() });
            process.deadline_in("again", Duration::ZERO);
        }
        Ok(())
    }

    fn on_deadline(&mut self, _name: &str, process: &mut Process) -> Result<(), OnPurpose> {
        let book = format!("{}-again", process.instance());
        process.send(Answer { book, text: self.text.clone() });
        Ok(())
    }

    fn on_error(&mut self, _failure: &ProcessFailure<OnPurpose>, _process: &mut Process) -> ProcessAction {
        ProcessAction::Skip
    }
}

application! {
    pub struct Library {
        routers: [Books],
        event_handlers: [Reader],
        projections: [Catalogue],
        process_managers: [Librarian, Scheduler],
        publishers: [TestPublisher<Answered>],
    }
}

/// A library of that name with nothing in it.
pub fn library(name: &str, store: impl cqrs::store::Store) -> cqrs::application::Builder<Library> {
    crate::recorder::listen();
    Library::builder(store)
        .name(name)
        .event_handler(Reader::default())
        .projection(Catalogue(MemoryRows::new()))
        .publisher(TestPublisher::<Answered>::new())
}

/// The events of one type, as they are stored.
pub async fn events_of(store: &MemoryStore, event_type: &str) -> Vec<cqrs::store::RecordedEvent> {
    use cqrs::store::{EventFilter, EventStore as _};
    let filter = EventFilter::types([event_type.to_owned()]);
    store.read_log(0, &filter, 1_000).await.unwrap().events
}

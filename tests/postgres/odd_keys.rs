//! Keys that Postgres does not keep: what has one is set aside, and nothing hangs. The payloads are `bytea`: `jsonb` does not
//! take such text in events, either.

use std::time::Duration;

use cqrs::postgres::testing::TestSchema;
use cqrs::postgres::{Payload, Schema};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::{in_time, schema};

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "odd.Noted")]
pub struct Noted {
    book: String,
    subject: String,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(name = "odd.Note", router = Shelf, aggregate = Book, identify_by = book)]
pub struct Note {
    book: String,
    subject: String,
}

#[derive(Default, Clone)]
pub struct Book;

#[aggregate(stream_prefix = "odd_book")]
impl Book {
    #[execute]
    fn note(&self, command: &Note) -> Noted {
        Noted { book: command.book.clone(), subject: command.subject.clone() }
    }

    #[apply]
    fn noted(&mut self, _event: &Noted) {}
}

#[derive(Router)]
pub struct Shelf;

#[derive(Debug, thiserror::Error)]
#[error("the subject is unknown")]
pub struct Unknown;

/// Knows no subject that ends like this.
const UNKNOWN: &str = "?\0";

#[derive(Default)]
pub struct Index;

#[event_handler(name = "index", interested_in = [Noted], partition_by = subject, partitions = 2)]
impl Index {
    async fn on_noted(&self, event: &Noted) -> Result<(), Unknown> {
        if event.subject.ends_with(UNKNOWN) { Err(Unknown) } else { Ok(()) }
    }

    async fn on_error(&self, _failure: &HandlerFailure<Unknown>) -> ErrorAction {
        ErrorAction::Park
    }
}

#[derive(Default, Serialize, Deserialize, Clone)]
pub struct Subjects;

#[process_manager(name = "subjects", interested_in = [Noted], by = subject)]
impl Subjects {
    #[on(start_or_continue)]
    fn on_noted(&mut self, event: &Noted, process: &mut Process) {
        let name = if event.book == "timers" { "odd\0" } else { "reminder" };
        process.deadline_in(name, Duration::from_secs(3_600));
    }
}

application! {
    struct Library {
        routers: [Shelf],
        event_handlers: [Index],
        process_managers: [Subjects],
    }
}

async fn library(schema: &TestSchema) -> Library {
    let bytea = Schema::named(schema.name()).payload(Payload::Bytea);
    let config = PostgresConfig::new(schema.url()).schema(bytea).connections(4).user_connections(2);
    Library::builder(PostgresStore::connect(config).await.unwrap()).start().await.unwrap()
}

async fn parked(library: &Library, handler: &str, count: usize) -> Vec<(String, u64, String)> {
    let handler = library.handler(handler).unwrap();
    let parked = in_time(async {
        loop {
            let parked = handler.parked(None, 10).await.unwrap();
            if parked.len() == count {
                return parked;
            }
            tokio::task::yield_now().await;
        }
    });
    parked.await.into_iter().map(|parked| (parked.key, parked.position, parked.error)).collect()
}

#[tokio::test]
async fn what_has_a_key_that_postgres_does_not_keep_is_set_aside_and_others_go_on() {
    let schema = schema().await;
    let library = library(&schema).await;
    let notes = [("a", "odd?\0"), ("a", "fine"), ("timers", "plain"), ("b", "fine")];
    for (book, subject) in notes {
        let note = Note { book: book.to_owned(), subject: subject.to_owned() };
        in_time(library.dispatch(note)).await.unwrap();
    }
    let index = parked(&library, "index", 1).await;
    assert_eq!((index[0].0.as_str(), index[0].1), ("odd_book-a", 1));
    let subjects = parked(&library, "subjects", 2).await;
    let expected = [("odd_book-a", 1, "cannot name an instance"), ("plain", 3, "cannot name a deadline")];
    for ((key, position, error), found) in expected.iter().zip(&subjects) {
        assert_eq!((*key, *position), (found.0.as_str(), found.1));
        assert!(
            found.2.contains(error) && found.2.contains("at most 255 bytes without a NUL character"),
            "{found:?}"
        );
    }
    let manager = library.process_manager("subjects").unwrap();
    in_time(async { while manager.instance("fine").await.unwrap().is_none() {} }).await;
    assert_eq!(manager.timers(None, 10).await.unwrap().len(), 1);
    in_time(library.shutdown()).await;
}

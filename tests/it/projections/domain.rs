//! A desk's notebooks as rows, and faults that a test sets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cqrs::application::Config;
use cqrs::prelude::*;
use cqrs::projection::{Generation, GenerationState, RowStore};

pub use super::flaky::{Flaky, Glitch};
pub use crate::handlers::domain::*;
pub use crate::support::gate::Gate;

/// The notes of each book.
pub type Books = MemoryRows<String, Vec<String>>;

/// What happens to notes with certain texts, after their rows were written.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<String, Fault>>>);

#[derive(Clone)]
pub enum Fault {
    Fail,
    Panic,
    Hang,
    Hold(Gate),
}

impl Faults {
    pub fn of(text: &str, fault: Fault) -> Self {
        let faults = Self::default();
        faults.set(text, fault);
        faults
    }

    pub fn set(&self, text: &str, fault: Fault) {
        self.0.lock().unwrap().insert(text.to_owned(), fault);
    }

    pub fn mend(&self, text: &str) {
        self.0.lock().unwrap().remove(text);
    }

    pub async fn at(&self, text: &str) -> Result<(), Broken> {
        let fault = self.0.lock().unwrap().get(text).cloned();
        match fault {
            None => Ok(()),
            Some(Fault::Fail) => Err(Broken("on purpose")),
            Some(Fault::Panic) => panic!("on purpose"),
            Some(Fault::Hang) => std::future::pending().await,
            Some(Fault::Hold(gate)) => {
                gate.pass().await;
                Ok(())
            }
        }
    }
}

/// Writes each note into its book. A note that is there twice was projected twice.
#[derive(Clone, Default)]
pub struct Notebooks {
    pub rows: Flaky<Books>,
    pub faults: Faults,
    /// What becomes of notes that fail; they are parked unless set.
    pub action: Option<ErrorAction>,
}

#[projection(name = "notebooks", interested_in = [Noted], consistency = strong)]
impl Notebooks {
    fn rows(&self) -> &Flaky<Books> {
        &self.rows
    }

    async fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, Vec<String>>) -> Result<(), Broken> {
        rows.row(event.book.clone()).push(event.text.clone());
        self.faults.at(&event.text).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<Broken>) -> ErrorAction {
        self.action.unwrap_or(ErrorAction::Park)
    }
}

impl Notebooks {
    /// On these rows.
    pub fn on(rows: &Books) -> Self {
        Self { rows: Flaky::new(rows.clone()), ..Self::default() }
    }

    pub fn with_faults(self, faults: &Faults) -> Self {
        Self { faults: faults.clone(), ..self }
    }
}

/// The next version, which shouts.
#[derive(Clone, Default)]
pub struct LoudNotebooks {
    pub rows: Flaky<Books>,
    pub faults: Faults,
}

#[projection(name = "notebooks", interested_in = [Noted], version = 2, consistency = strong)]
impl LoudNotebooks {
    fn rows(&self) -> &Flaky<Books> {
        &self.rows
    }

    async fn on_noted(&self, event: &Noted, rows: &mut RowsMut<String, Vec<String>>) -> Result<(), Broken> {
        rows.row(event.book.clone()).push(event.text.to_uppercase());
        self.faults.at(&event.text).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<Broken>) -> ErrorAction {
        ErrorAction::Park
    }
}

impl LoudNotebooks {
    pub fn on(rows: &Books) -> Self {
        Self { rows: Flaky::new(rows.clone()), faults: Faults::default() }
    }
}

/// A desk with one projection.
pub async fn desk<P: Projection>(store: &MemoryStore, projection: P) -> Desk {
    Desk::builder(store.clone()).projection(projection).start().await.unwrap()
}

/// A further node of it.
pub async fn node<P: Projection>(name: &str, store: &MemoryStore, projection: P) -> Desk {
    let config = Config::new().lease_retry(std::time::Duration::from_millis(10));
    Desk::builder(store.clone()).node(name).config(config).projection(projection).start().await.unwrap()
}

/// Dispatches notes, and waits until they are projected or parked.
pub async fn take_notes(desk: &Desk, notes: &[(&str, &str)]) {
    for (book, text) in notes {
        match soon(desk.dispatch(note(book, *text)).consistency(Strong).into_future()).await {
            Ok(_) => {}
            Err(DispatchError::NotHandled { pending, .. }) if pending[0].is_parked => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A log with notes "1", "2", .. in turn in the books "a" and "b".
pub async fn past(store: &MemoryStore, count: usize) {
    for number in 1..=count {
        let book = if number % 2 == 1 { "a" } else { "b" };
        let data = serde_json::json!({ "book": book, "text": number.to_string() }).to_string();
        write(store, &format!("book-{book}"), "desk.Noted", &[data]).await;
    }
}

/// What [`past`] writes into a book, up to a number.
pub fn notes_of(book: &str, count: usize) -> Vec<String> {
    let first = if book == "a" { 1 } else { 2 };
    (first..=count).step_by(2).map(|number| number.to_string()).collect()
}

pub fn book(rows: &Books, name: &str) -> Vec<String> {
    rows.get(name).unwrap_or_default()
}

pub fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// The generations of rows: number, version and state.
pub async fn generations(rows: &Books) -> Vec<(u64, u32, GenerationState)> {
    let generations = rows.generations("notebooks").await.unwrap();
    generations.iter().map(|Generation { number, version, state, .. }| (*number, *version, *state)).collect()
}

/// Waits until the generation is the one that readers see.
pub async fn until_active(rows: &Books, number: u64) {
    let is_active =
        |(one, _, state): &(u64, u32, GenerationState)| *one == number && *state == GenerationState::Active;
    until(async || generations(rows).await.iter().any(is_active).then_some(())).await;
}

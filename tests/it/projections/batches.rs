//! Events in batches, a transaction each.

use std::sync::{Arc, Mutex};

use super::domain::*;
use cqrs::prelude::*;

/// The sizes of the batches that a projection was given.
type Sizes = Arc<Mutex<Vec<usize>>>;

#[derive(EventSet, Clone, Debug, PartialEq)]
pub enum DeskEvent {
    Noted(Noted),
    Stamped(Stamped),
}

/// Counts notes and stamps, many at a time.
#[derive(Clone, Default)]
pub struct Tallies {
    rows: MemoryRows<&'static str, usize>,
    sizes: Sizes,
    faults: Faults,
}

#[projection(name = "tallies", events = DeskEvent, consistency = strong)]
impl Tallies {
    fn rows(&self) -> &MemoryRows<&'static str, usize> {
        &self.rows
    }

    async fn on_batch(
        &self,
        events: &[Projected<DeskEvent>],
        rows: &mut RowsMut<&'static str, usize>,
    ) -> Result<(), Broken> {
        self.sizes.lock().unwrap().push(events.len());
        for one in events {
            match &one.event {
                DeskEvent::Noted(note) => {
                    *rows.row("notes") += 1;
                    self.faults.at(&note.text).await?;
                }
                DeskEvent::Stamped(_) => *rows.row("stamps") += 1,
            }
        }
        Ok(())
    }

    async fn on_error(&self, _: &ProjectionFailure<Broken>) -> ErrorAction {
        ErrorAction::Skip
    }
}

/// T-430: a thousand events of the past take two transactions, not a thousand.
#[tokio::test]
async fn t_430_events_are_projected_in_batches() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    past(&store, 1_000).await;
    let notebooks = Notebooks::on(&rows);
    let flaky = notebooks.rows.clone();
    let desk = desk(&store, notebooks).await;
    until_caught_up(&desk, "notebooks").await;
    assert_eq!(flaky.commits(), [0, 500, 1_000], "the rows are created, and two batches");
    assert_eq!(book(&rows, "b"), notes_of("b", 1_000));
    desk.shutdown().await;
}

/// T-430: a batch that fails half-way leaves nothing; its events are then projected one by one.
#[tokio::test]
async fn t_430_a_batch_is_written_wholly_or_not_at_all() {
    let (store, tallies) = (MemoryStore::new(), Tallies::default());
    past(&store, 20).await;
    tallies.faults.set("7", Fault::Fail);
    let desk = desk(&store, tallies.clone()).await;
    until_caught_up(&desk, "tallies").await;
    assert_eq!(tallies.rows.get("notes"), Some(19), "all but one, each once");
    let sizes = tallies.sizes.lock().unwrap().clone();
    assert_eq!(sizes, [vec![20], vec![1; 20]].concat());
    desk.dispatch(Stamp { book: "a".to_owned() }).consistency(Strong).await.unwrap();
    assert_eq!(tallies.rows.get("stamps"), Some(1));
    desk.shutdown().await;
}

/// The upcaster of one event may give several, which are projected together.
#[tokio::test]
async fn nobody_sees_half_of_a_batch() {
    let (store, rows, gate) = (MemoryStore::new(), Books::new(), Gate::shut());
    past(&store, 10).await;
    let faults = Faults::of("9", Fault::Hold(gate.clone()));
    let desk = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    soon(gate.arrival()).await;
    assert!(rows.is_empty(), "nine events are written to rows that nobody sees");
    assert_eq!(status(&desk, "notebooks").await.position, 0);
    gate.open();
    until_caught_up(&desk, "notebooks").await;
    assert_eq!(book(&rows, "a"), notes_of("a", 10));
    desk.shutdown().await;
}

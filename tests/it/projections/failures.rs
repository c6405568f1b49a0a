//! What becomes of events that cannot be projected, and of rows that cannot be reached.

use super::domain::*;
use cqrs::application::Config;
use cqrs::handler::{HandlerState, RetryPolicy};
use cqrs::prelude::*;
use std::time::Duration;

async fn check_fault(fault: Fault) {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let faults = Faults::of("bad", fault);
    let config = Config::new().handling_limit(Duration::from_secs(1));
    let notebooks = Notebooks::on(&rows).with_faults(&faults);
    let desk = Desk::builder(store).config(config).projection(notebooks).start().await.unwrap();
    take_notes(&desk, &[("a", "1"), ("a", "bad"), ("b", "1"), ("a", "2"), ("b", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1"]), "what failed left no rows");
    assert_eq!(book(&rows, "b"), texts(&["1", "2"]), "the others go on");
    let handle = desk.handler("notebooks").unwrap();
    let parked = handle.parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str(), parked[0].position), (1, "book-a", 2));
    faults.mend("bad");
    handle.retry_parked("book-a").await.unwrap();
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "bad", "2"]), "in their order, each once");
    assert!(handle.parked(None, 10).await.unwrap().is_empty());
    take_notes(&desk, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "bad", "2", "3"]));
    desk.shutdown().await;
}

/// DEF-022, T-423, T-427: what fails leaves nothing, is parked by its key, and is projected when it is tried again.
#[tokio::test]
async fn t_423_t_427_an_error_undoes_the_rows_and_parks_the_key() {
    check_fault(Fault::Fail).await;
}

#[tokio::test]
async fn t_427_a_panic_undoes_the_rows_and_parks_the_key() {
    check_fault(Fault::Panic).await;
}

#[tokio::test(start_paused = true)]
async fn a_method_that_hangs_undoes_the_rows_and_parks_the_key() {
    check_fault(Fault::Hang).await;
}

/// Nobody sees rows that cannot be created, and what hangs does not hang for ever.
#[tokio::test(start_paused = true)]
async fn a_projection_that_hangs_while_it_creates_rows_is_retrying() {
    #[derive(Default)]
    struct Uncreated(Books);

    #[projection(name = "uncreated", interested_in = [Noted])]
    impl Uncreated {
        fn rows(&self) -> &Books {
            &self.0
        }

        async fn create(&self, _rows: &mut RowsMut<String, Vec<String>>) -> Result<(), Broken> {
            std::future::pending().await
        }

        fn on_noted(&self, _: &Noted, _rows: &mut RowsMut<String, Vec<String>>) -> Result<(), Broken> {
            Ok(())
        }
    }

    let desk = desk(&MemoryStore::new(), Uncreated::default()).await;
    let told = loop {
        match status(&desk, "uncreated").await.last_error {
            Some(told) => break told,
            None => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    };
    assert!(told.contains("create took longer than 60s"), "{told}");
    desk.shutdown().await;
}

/// T-427: what is skipped left no rows.
#[tokio::test]
async fn t_427_a_skipped_event_leaves_no_rows() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let notebooks =
        Notebooks { action: Some(ErrorAction::Skip), ..Notebooks::on(&rows).with_faults(&faults) };
    let desk = desk(&store, notebooks).await;
    take_notes(&desk, &[("a", "1"), ("a", "bad"), ("a", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    desk.shutdown().await;
}

/// CC-21: a projection that is told to stop stays in front of the event, and tries it again at the next start.
#[tokio::test]
async fn cc_021_a_projection_that_stops_begins_with_the_same_event() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let stopping = Notebooks { action: Some(ErrorAction::Stop), ..Notebooks::on(&rows).with_faults(&faults) };
    let first = desk(&store, stopping.clone()).await;
    take_notes(&first, &[("a", "1")]).await;
    first.dispatch(note("a", "bad")).await.unwrap();
    until_state(&first, "notebooks", HandlerState::Failed).await;
    first.shutdown().await;
    assert_eq!(book(&rows, "a"), texts(&["1"]));
    faults.mend("bad");
    let second = desk(&store, stopping).await;
    take_notes(&second, &[("a", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "bad", "2"]));
    second.shutdown().await;
}

/// EV-81, E-062: an event that fails for a while is tried again, and takes effect once.
#[tokio::test(start_paused = true)]
async fn a_passing_fault_is_tried_again() {
    struct Passing {
        rows: Books,
        faults: Faults,
    }

    #[projection(name = "passing", interested_in = [Noted], consistency = strong)]
    impl Passing {
        fn rows(&self) -> &Books {
            &self.rows
        }

        async fn on_noted(
            &self,
            event: &Noted,
            rows: &mut RowsMut<String, Vec<String>>,
            context: &ProjectionContext,
        ) -> Result<(), Broken> {
            rows.row(event.book.clone()).push(event.text.clone());
            match context.attempt() {
                1..=3 => self.faults.at(&event.text).await,
                _ => Ok(()),
            }
        }

        async fn on_error(&self, failure: &ProjectionFailure<Broken>) -> ErrorAction {
            RetryPolicy::fixed(Duration::from_secs(60)).decide(failure)
        }
    }

    let (rows, faults) = (Books::new(), Faults::of("bad", Fault::Fail));
    let desk = desk(&MemoryStore::new(), Passing { rows: rows.clone(), faults }).await;
    let strong = desk.dispatch(note("a", "bad")).consistency(Strong);
    strong.consistency_timeout(Duration::from_secs(3_600)).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["bad"]));
    desk.shutdown().await;
}

/// Bad input: a payload that does not fit its type is parked with its reason, like an event of a newer program.
#[tokio::test]
async fn a_malformed_payload_is_parked() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    past(&store, 3).await;
    write(&store, "book-a", "desk.Noted", &[r#"{"text": 5}"#.to_owned(), stored_note("later")]).await;
    write(&store, "book-b", "desk.Noted", &[r#"{"book":"b","text":"4"}"#.to_owned()]).await;
    let desk = desk(&store, Notebooks::on(&rows)).await;
    until_caught_up(&desk, "notebooks").await;
    let parked = desk.handler("notebooks").unwrap().parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].position), (1, 4));
    assert!(parked[0].error.contains("could not be decoded"), "{}", parked[0].error);
    assert_eq!((book(&rows, "a"), book(&rows, "b")), (texts(&["1", "3"]), texts(&["2", "4"])));
    assert_eq!(book(&rows, "raw"), texts(&[]), "it waits behind the one of its stream");
    desk.handler("notebooks").unwrap().skip_parked("book-a").await.unwrap();
    until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
    assert_eq!(book(&rows, "raw"), texts(&["later"]));
    desk.shutdown().await;
}

/// Parked keys lie beside the rows: they outlive a restart, and whatever the log's store has lost of them.
#[tokio::test]
async fn parked_keys_outlive_a_restart() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let first = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&first, &[("a", "bad"), ("a", "1")]).await;
    first.shutdown().await;
    use cqrs::store::{CheckpointStore as _, HandlerCommit};
    store.change_records("notebooks", HandlerCommit::new().remove("parked", "book-a")).await.unwrap();
    let second = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&second, &[("a", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&[]));
    faults.mend("bad");
    second.handler("notebooks").unwrap().retry_parked("book-a").await.unwrap();
    until(async || (status(&second, "notebooks").await.parked == 0).then_some(())).await;
    assert_eq!(book(&rows, "a"), texts(&["bad", "1", "2"]));
    second.shutdown().await;
}

/// A projection that parks more keys than it may stops in front of the event.
#[tokio::test]
async fn too_many_parked_keys_stop_the_projection() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
    let desk = Desk::builder(store).config(Config::new().max_parked(1));
    let desk = desk.projection(Notebooks::on(&rows).with_faults(&faults)).start().await.unwrap();
    take_notes(&desk, &[("a", "bad")]).await;
    desk.dispatch(note("b", "bad")).await.unwrap();
    until_state(&desk, "notebooks", HandlerState::Failed).await;
    assert_eq!(status(&desk, "notebooks").await.position, 1);
    desk.shutdown().await;
}

/// G7: whatever happens to a transaction, and whether anybody hears of it, each event takes effect once.
#[tokio::test(start_paused = true)]
async fn g7_each_event_takes_effect_once_whatever_happens_to_transactions() {
    use Glitch::{AnswerLost, CommitLost, None, Refused, Unreachable};
    for glitches in [
        vec![Unreachable, Unreachable],
        vec![AnswerLost],
        vec![CommitLost],
        vec![CommitLost, AnswerLost, CommitLost],
        vec![Unreachable, AnswerLost, None, CommitLost],
        // The batch is refused, then its events come one by one.
        vec![Refused, AnswerLost, CommitLost, Unreachable, None, AnswerLost],
    ] {
        let (store, rows) = (MemoryStore::new(), Books::new());
        past(&store, 6).await;
        let notebooks = Notebooks::on(&rows);
        notebooks.rows.then(glitches.clone());
        let desk = desk(&store, notebooks).await;
        until_caught_up(&desk, "notebooks").await;
        assert_eq!(
            (book(&rows, "a"), book(&rows, "b")),
            (notes_of("a", 6), notes_of("b", 6)),
            "{glitches:?}"
        );
        desk.shutdown().await;
    }
}

/// An error of user code on a connection that is gone is the connection's fault, not the event's.
#[tokio::test(start_paused = true)]
async fn an_error_on_a_lost_connection_is_not_held_against_the_event() {
    let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("1", Fault::Fail));
    past(&store, 2).await;
    let notebooks = Notebooks::on(&rows).with_faults(&faults);
    notebooks.rows.then([Glitch::UndoLost, Glitch::UndoLost]);
    let desk = desk(&store, notebooks).await;
    until_state(&desk, "notebooks", HandlerState::Retrying).await;
    faults.mend("1");
    until_caught_up(&desk, "notebooks").await;
    assert_eq!(book(&rows, "a"), texts(&["1"]));
    assert_eq!(status(&desk, "notebooks").await.parked, 0);
    desk.shutdown().await;
}

/// What the rows refuse at the commit is the event's fault, and is told.
#[tokio::test]
async fn what_cannot_be_committed_is_parked() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    past(&store, 1).await;
    let notebooks = Notebooks::on(&rows);
    notebooks.rows.then([Glitch::Refused, Glitch::Refused]);
    let desk = desk(&store, notebooks).await;
    until(async || (status(&desk, "notebooks").await.parked == 1).then_some(())).await;
    let parked = desk.handler("notebooks").unwrap().parked(None, 10).await.unwrap();
    assert!(parked[0].error.contains("could not be committed"), "{}", parked[0].error);
    assert_eq!(book(&rows, "a"), texts(&[]));
    desk.shutdown().await;
}

/// While parked events are tried again, a lost answer does not project one twice.
#[tokio::test(start_paused = true)]
async fn g7_parked_events_take_effect_once_too() {
    use Glitch::{AnswerLost, CommitLost, None};
    for glitches in [vec![AnswerLost], vec![CommitLost], vec![None, AnswerLost, CommitLost, AnswerLost]] {
        let (store, rows, faults) = (MemoryStore::new(), Books::new(), Faults::of("bad", Fault::Fail));
        let notebooks = Notebooks::on(&rows).with_faults(&faults);
        let flaky = notebooks.rows.clone();
        let desk = desk(&store, notebooks).await;
        take_notes(&desk, &[("a", "bad"), ("a", "1"), ("a", "2")]).await;
        faults.mend("bad");
        flaky.then(glitches.clone());
        desk.handler("notebooks").unwrap().retry_parked("book-a").await.unwrap();
        until(async || (status(&desk, "notebooks").await.parked == 0).then_some(())).await;
        assert_eq!(book(&rows, "a"), texts(&["bad", "1", "2"]), "{glitches:?}");
        desk.shutdown().await;
    }
}

/// G11: a projection that hangs does not hold up the end, and its event is projected at the next start.
#[tokio::test(start_paused = true)]
async fn g11_a_projection_that_hangs_is_ended_and_undone() {
    let (store, rows, gate) = (MemoryStore::new(), Books::new(), Gate::shut());
    let faults = Faults::of("bad", Fault::Hold(gate.clone()));
    let first = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    first.dispatch(note("a", "bad")).await.unwrap();
    gate.arrival().await;
    let report = first.shutdown_within(Duration::from_secs(1)).await;
    assert_eq!(report.unfinished_handlers, ["notebooks"]);
    assert!(rows.is_empty());
    faults.mend("bad");
    let second = desk(&store, Notebooks::on(&rows).with_faults(&faults)).await;
    take_notes(&second, &[("a", "1")]).await;
    assert_eq!(book(&rows, "a"), texts(&["bad", "1"]));
    second.shutdown().await;
}

/// A projection is rebuilt, not reset.
#[tokio::test]
async fn a_projection_refuses_to_be_reset() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&desk, &[("a", "1")]).await;
    desk.handler("notebooks").unwrap().reset().await.unwrap();
    let told = until(async || status(&desk, "notebooks").await.last_error).await;
    assert!(told.contains("rebuild"), "{told}");
    take_notes(&desk, &[("a", "2")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2"]));
    desk.shutdown().await;
}

/// EV-83: a projection is paused and resumed like a handler.
#[tokio::test]
async fn ev_083_a_projection_is_paused_and_resumed() {
    let (store, rows) = (MemoryStore::new(), Books::new());
    let desk = desk(&store, Notebooks::on(&rows)).await;
    take_notes(&desk, &[("a", "1")]).await;
    desk.handler("notebooks").unwrap().pause().await.unwrap();
    until_state(&desk, "notebooks", HandlerState::Paused).await;
    desk.dispatch(note("a", "2")).await.unwrap();
    assert_eq!(book(&rows, "a"), texts(&["1"]));
    desk.handler("notebooks").unwrap().resume().await.unwrap();
    until_state(&desk, "notebooks", HandlerState::Running).await;
    take_notes(&desk, &[("a", "3")]).await;
    assert_eq!(book(&rows, "a"), texts(&["1", "2", "3"]));
    desk.shutdown().await;
}

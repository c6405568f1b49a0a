//! Handlers that are subscribed to what belongs together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::{AddHandlerError, StartFault};
use cqrs::dispatch::{Consistency, Pending};
use cqrs::handler::SubscribeTo;
use cqrs::id::CorrelationId;
use cqrs::prelude::*;

use super::domain::*;

async fn desk(store: &MemoryStore) -> Desk {
    Desk::builder(store.clone()).start().await.unwrap()
}

async fn take(desk: &Desk, book: &str, text: &str, together: CorrelationId) {
    let taken = desk.dispatch(note(book, text)).correlation_id(together).consistency(Strong);
    soon(taken.into_future()).await.unwrap();
}

/// Waits until the handler has come to the end of the log, and tells the texts that it was given.
async fn texts(desk: &Desk, handler: &str, inbox: &mut Inbox) -> Vec<String> {
    until_caught_up(desk, handler).await;
    inbox.rest()
}

// PG-52
#[tokio::test]
async fn pg_052_a_handler_of_a_correlation_gets_what_belongs_together_then_and_now() {
    let (store, together, other) = (MemoryStore::new(), CorrelationId::new(), CorrelationId::new());
    let desk = desk(&store).await;
    for (book, text, correlation_id) in [("a", "1", together), ("b", "2", other), ("b", "3", together)] {
        take(&desk, book, text, correlation_id).await;
    }
    let (script, mut inbox) = Script::telling();
    desk.add_event_handler_to("all-of-it", SubscribeTo::Correlation(together), Careful(script))
        .await
        .unwrap();
    assert_eq!(texts(&desk, "all-of-it", &mut inbox).await, ["1", "3"]);
    for (book, text, correlation_id) in [("a", "4", together), ("a", "5", other), ("c", "6", together)] {
        take(&desk, book, text, correlation_id).await;
    }
    assert_eq!(inbox.rest(), ["4", "6"], "a strong dispatch has waited for it");
    take(&desk, "c", "7", other).await;
    let status = until_caught_up(&desk, "all-of-it").await;
    assert_eq!((status.position, inbox.rest()), (7, vec![]), "events of others move it on");
    desk.shutdown().await;
}

#[tokio::test]
async fn a_strong_dispatch_that_belongs_to_something_else_does_not_wait() {
    const SHORT: Duration = Duration::from_millis(20);
    let (store, together) = (MemoryStore::new(), CorrelationId::new());
    let desk = desk(&store).await;
    let (script, gate) = Script::held();
    desk.add_event_handler_to("held", SubscribeTo::Correlation(together), Careful(script)).await.unwrap();
    let own = || desk.dispatch(note("a", "own")).idempotency_key("own");
    own().correlation_id(together).await.unwrap();
    soon(gate.arrival()).await;
    take(&desk, "a", "other", CorrelationId::new()).await;
    let named = Consistency::Handlers(vec!["held".into()]);
    soon(desk.dispatch(note("a", "named")).consistency(named).into_future()).await.unwrap();

    let waits = |error| match error {
        DispatchError::NotHandled { pending, .. } => {
            pending.into_iter().map(|Pending { handler, .. }| handler).collect()
        }
        error => panic!("{error:?}"),
    };
    let more = desk.dispatch(note("b", "more")).correlation_id(together).consistency(Strong);
    let names: Vec<_> = waits(more.consistency_timeout(SHORT).await.unwrap_err());
    assert_eq!(names, ["held"]);
    // What belongs together with the events of a command that is repeated was said the first time.
    let names: Vec<_> = waits(own().consistency(Strong).consistency_timeout(SHORT).await.unwrap_err());
    assert_eq!(names, ["held"]);
    gate.open();
    soon(own().consistency(Strong).into_future()).await.unwrap();
    desk.shutdown().await;
}

#[tokio::test]
async fn handlers_of_several_correlations_go_on_and_begin_anew_each_by_itself() {
    let (store, correlations) = (MemoryStore::new(), [CorrelationId::new(), CorrelationId::new()]);
    let running = desk(&store).await;
    let mut inboxes = Vec::new();
    for (name, together) in ["first", "second"].into_iter().zip(correlations) {
        let (script, inbox) = Script::telling();
        running
            .add_event_handler_to(name, SubscribeTo::Correlation(together), Careful(script.clone()))
            .await
            .unwrap();
        inboxes.push((script, inbox));
    }
    for (text, index) in [("1", 0), ("2", 1), ("3", 0)] {
        take(&running, "a", text, correlations[index]).await;
    }
    assert_eq!(
        (inboxes[0].1.rest(), inboxes[1].1.rest()),
        (vec!["1".to_owned(), "3".to_owned()], vec!["2".to_owned()])
    );
    running.remove_handler("first").await.unwrap();
    take(&running, "a", "4", correlations[0]).await;
    take(&running, "a", "5", correlations[1]).await;
    running.shutdown().await;

    // After a restart it is added again, and goes on where it was.
    let again = desk(&store).await;
    let (script, inbox) = &mut inboxes[0];
    let subscribe_to = SubscribeTo::Correlation(correlations[0]);
    let first = again.add_event_handler_to("first", subscribe_to, Careful(script.clone())).await.unwrap();
    assert_eq!(texts(&again, "first", inbox).await, ["4"]);
    first.reset().await.unwrap();
    assert_eq!(soon(inbox.texts(3)).await, ["1", "3", "4"]);
    assert_eq!(texts(&again, "first", inbox).await, [""; 0]);
    again.shutdown().await;
}

#[tokio::test]
async fn what_is_parked_waits_with_what_belongs_together_alone() {
    let (store, together, other) = (MemoryStore::new(), CorrelationId::new(), CorrelationId::new());
    let desk = desk(&store).await;
    let is_mended = Arc::new(AtomicBool::new(false));
    let (telling, mut inbox) = Script::telling();
    let mended = Arc::clone(&is_mended);
    let script = Script::new(move |event, context| {
        let is_bad = event.text == "bad" && !mended.load(Ordering::SeqCst);
        let telling = telling.clone();
        async move { if is_bad { Err(Broken("on purpose")) } else { telling.run(event, context).await } }
    });
    let script = script.on_error(|_| ErrorAction::Park);
    let subscribe_to = SubscribeTo::Correlation(together);
    let handler = desk.add_event_handler_to("careful", subscribe_to, Careful(script)).await.unwrap();
    for (text, correlation_id) in [("bad", together), ("other", other), ("behind it", together)] {
        desk.dispatch(note("a", text)).correlation_id(correlation_id).await.unwrap();
    }
    until_caught_up(&desk, "careful").await;
    assert_eq!((status(&desk, "careful").await.parked, inbox.rest()), (1, vec![]));
    is_mended.store(true, Ordering::SeqCst);
    handler.retry_parked("book-a").await.unwrap();
    until(async || (status(&desk, "careful").await.parked == 0).then_some(())).await;
    assert_eq!(inbox.rest(), ["bad", "behind it"]);
    desk.shutdown().await;
}

#[tokio::test]
async fn what_no_stream_can_be_named_is_refused_when_a_handler_is_added() {
    let desk = desk(&MemoryStore::new()).await;
    let (script, _inbox) = Script::telling();
    let refused = desk.add_event_handler_to("lost", SubscribeTo::Category("book-a"), Careful(script)).await;
    let AddHandlerError::Invalid { faults, .. } = refused.unwrap_err() else { panic!("it is refused") };
    assert!(
        matches!(&faults[..], [StartFault::InvalidSubscription { handler, .. }] if handler == "lost"),
        "{faults:?}"
    );
    desk.shutdown().await;
}

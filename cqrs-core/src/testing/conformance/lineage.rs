//! Lineage: events by what they belong to, and by what they are known by.

use std::sync::Arc;

use super::fixture::{Calls as _, append_of, event, positions, stream, to};
use crate::id::{CausationId, CommandId, CorrelationId, EventId};
use crate::store::{EventData, ExpectedVersion, LogPage, RecordedEvent, Store};

/// Events of one command.
fn caused(causation_id: CausationId, correlation_id: CorrelationId, count: usize) -> Vec<EventData> {
    (1..=count).map(|number| EventData { causation_id, correlation_id, ..event(number) }).collect()
}

async fn write(store: &Arc<dyn Store>, name: &str, events: Vec<EventData>) {
    let written = store.try_write(&stream(name), ExpectedVersion::Any, events).await;
    written.expect("an append that expects nothing succeeds");
}

async fn page(store: &Arc<dyn Store>, id: CorrelationId, after: u64, limit: usize) -> LogPage {
    store.read_correlated(id, after, limit).await.expect("the log can be read")
}

async fn find(store: &Arc<dyn Store>, id: impl Into<CausationId>) -> Option<RecordedEvent> {
    store.find_message(id.into()).await.expect("the log can be read")
}

/// Events of one correlation come as the log has them, whichever streams they are in.
pub async fn correlated_events_come_in_the_order_of_the_log(store: Arc<dyn Store>) {
    let (one, other) = (CorrelationId::new(), CorrelationId::new());
    for name in ["account-1", "order-1", "account-1"] {
        write(&store, name, caused(CausationId::new(), one, 2)).await;
        write(&store, name, caused(CausationId::new(), other, 1)).await;
    }
    let log = store.log().await;
    for (id, expected) in
        [(one, vec![1, 2, 4, 5, 7, 8]), (other, vec![3, 6, 9]), (CorrelationId::new(), vec![])]
    {
        let page = page(&store, id, 0, 100).await;
        assert_eq!((positions(&page.events), page.read_to), (expected, 9));
        let of_log = log.iter().filter(|event| event.correlation_id == id);
        assert!(page.events.iter().eq(of_log), "they are the events of the log");
    }
}

/// Pages have neither overlap nor hole; the end is a page that reaches no further.
pub async fn correlated_events_come_in_pages(store: Arc<dyn Store>) {
    let id = CorrelationId::new();
    for _ in 0..5 {
        write(&store, "account-1", caused(CausationId::new(), id, 2)).await;
        store.write(&stream("account-2"), 3).await;
    }
    let first = page(&store, id, 0, 3).await;
    assert_eq!((positions(&first.events), first.read_to), (vec![1, 2, 6], 6));
    let second = page(&store, id, first.read_to, 100).await;
    assert_eq!((positions(&second.events), second.read_to), (vec![7, 11, 12, 16, 17, 21, 22], 25));
    for after in [25, 26, i64::MAX as u64, u64::MAX] {
        let end = page(&store, id, after, 10).await;
        assert_eq!((end.events.len(), end.read_to), (0, after));
    }
    let none = page(&store, id, 4, 0).await;
    assert_eq!((none.events.len(), none.read_to), (0, 4));
    assert_eq!(page(&store, id, 0, usize::MAX).await.events.len(), 10);
}

/// An event is found by its own id, and the first one of a command by the command's.
pub async fn a_message_is_found_by_its_id(store: Arc<dyn Store>) {
    let command = CommandId::new();
    store.write(&stream("account-1"), 2).await;
    write(&store, "account-1", caused(command.into(), CorrelationId::new(), 3)).await;
    store.write(&stream("account-2"), 2).await;
    for event in store.log().await {
        assert_eq!(find(&store, event.event_id).await, Some(event));
    }
    let first = find(&store, command).await.expect("the command has events");
    assert_eq!((first.position, first.causation_id), (3, command.into()));
}

/// An id that no event has is found nowhere, neither is that of a command without events.
pub async fn an_unknown_message_is_not_found(store: Arc<dyn Store>) {
    assert_eq!(find(&store, EventId::new()).await, None);
    let empty = append_of([to(&stream("account-1"), ExpectedVersion::Any, Vec::new())]);
    let id = empty.id;
    store.append(empty).await.expect("an append without events succeeds");
    store.write(&stream("account-1"), 1).await;
    assert_eq!(find(&store, id).await, None);
    assert_eq!(find(&store, EventId::new()).await, None);
}

//! What led to what, asked from either end. Seed EV-94.

use cqrs::MemoryStore;
use cqrs::id::{CausationId, CommandId, CorrelationId, EventId};
use cqrs::lineage::{Lineage, LineageTree};
use cqrs::store::{EventData, EventStore as _, RecordedEvent};
use serde_json::json;

use super::causation::{Step, chain};
use crate::support::log::{raw, sound_log, write};

fn positions(events: &[RecordedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position).collect()
}

/// Each node with its cause and its depth.
fn drawn(tree: &LineageTree) -> Vec<(u64, Option<usize>, usize)> {
    tree.nodes().iter().map(|node| (node.event.position, node.cause, node.depth)).collect()
}

/// E-104: a command that a handler sends on, three times; a lineage of another command beside it.
#[tokio::test]
async fn ev_94_a_command_leads_to_all_events_that_handlers_made_of_it() {
    let store = MemoryStore::new();
    let chain = chain(store.clone()).await;
    let dispatched = chain.dispatch(Step { left: 3 }).await.unwrap();
    store.watch_head().wait_for(|head| *head == 4).await.unwrap();
    chain.dispatch(Step { left: 0 }).await.unwrap();
    let log = sound_log(&store).await;
    let lineage = chain.lineage();

    let page = lineage.correlated(dispatched.correlation_id(), 0).await.unwrap();
    assert_eq!(positions(&page.events), [1, 2, 3, 4]);
    assert_eq!(positions(&lineage.effects_of(dispatched.command_id()).await.unwrap()), [1]);
    assert_eq!(positions(&lineage.effects_of(log[0].event_id).await.unwrap()), [2]);
    assert_eq!(positions(&lineage.effects_of(log[3].event_id).await.unwrap()), [0; 0]);

    let whole = [(1, None, 0), (2, Some(0), 1), (3, Some(1), 2), (4, Some(2), 3)];
    let tree = lineage.tree(dispatched.command_id()).await.unwrap();
    assert_eq!((drawn(&tree), tree.is_cut()), (whole.to_vec(), false));
    assert_eq!(tree.root(), dispatched.command_id().into());
    assert_eq!(drawn(&lineage.tree(log[0].event_id).await.unwrap()), whole);
    let below = lineage.tree(log[2].event_id).await.unwrap();
    assert_eq!(drawn(&below), [(3, None, 0), (4, Some(0), 1)]);

    assert_eq!(positions(&lineage.causes_of(log[3].event_id).await.unwrap()), [3, 2, 1]);
    assert_eq!(positions(&lineage.causes_of(log[3].causation_id).await.unwrap()), [3, 2, 1]);
    assert_eq!(positions(&lineage.causes_of(log[0].event_id).await.unwrap()), [0; 0]);
    chain.shutdown().await;
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let store = MemoryStore::new();
    let chain = chain(store.clone()).await;
    let dispatched = chain.dispatch(Step { left: 3 }).await.unwrap();
    store.watch_head().wait_for(|head| *head == 4).await.unwrap();
    let last = sound_log(&store).await[3].event_id;
    let lineage = chain.lineage().limit(2);
    let tree = lineage.tree(dispatched.command_id()).await.unwrap();
    assert_eq!((drawn(&tree), tree.is_cut()), (vec![(1, None, 0), (2, Some(0), 1)], true));
    let exact = chain.lineage().limit(4).tree(dispatched.command_id()).await.unwrap();
    assert!(!exact.is_cut());
    let page = lineage.correlated(dispatched.correlation_id(), 0).await.unwrap();
    assert_eq!((positions(&page.events), page.read_to), (vec![1, 2], 2));
    assert_eq!(positions(&lineage.causes_of(last).await.unwrap()), [3, 2]);
    assert_eq!(chain.lineage().limit(0).effects_of(last).await.unwrap(), []);
    chain.shutdown().await;
}

#[tokio::test]
async fn a_message_that_nobody_knows_led_to_nothing() {
    let store = MemoryStore::new();
    let lineage = Lineage::new(&store);
    assert_eq!(lineage.tree(CommandId::new()).await.unwrap().nodes().len(), 0);
    assert_eq!(lineage.effects_of(EventId::new()).await.unwrap(), []);
    assert_eq!(lineage.causes_of(EventId::new()).await.unwrap(), []);
}

/// An event of a command, which another message caused.
fn event(correlation: CorrelationId, command: CommandId, cause: Option<CausationId>) -> EventData {
    let mut event = raw("lineage.Happened", 1, &json!({}));
    (event.correlation_id, event.causation_id) = (correlation, command.into());
    if let Some(cause) = cause {
        event.metadata.insert("$command_causation_id", cause.to_string());
    }
    event
}

/// Commands with several events, events with several commands, and others of the same correlation that are no effects.
#[tokio::test]
async fn a_tree_has_branches() {
    let store = MemoryStore::new();
    let (id, root, left, right) =
        (CorrelationId::new(), CommandId::new(), CommandId::new(), CommandId::new());
    let (first, second) = (event(id, root, None), event(id, root, None));
    let (of_first, of_second) = (Some(first.event_id.into()), Some(second.event_id.into()));
    write(&store, "a-1", vec![first, second]).await;
    write(&store, "b-1", vec![event(id, CommandId::new(), None)]).await;
    write(&store, "c-1", vec![event(id, left, of_first), event(id, left, of_first)]).await;
    write(&store, "d-1", vec![event(CorrelationId::new(), CommandId::new(), of_first)]).await;
    write(&store, "e-1", vec![event(id, right, of_first), event(id, CommandId::new(), of_second)]).await;
    let by_hand = event(id, CommandId::new(), Some(right.into()));
    write(&store, "f-1", vec![by_hand]).await;

    let lineage = Lineage::new(&store);
    let tree = lineage.tree(root).await.unwrap();
    let expected = [
        (1, None, 0),
        (2, None, 0),
        (4, Some(0), 1),
        (5, Some(0), 1),
        (7, Some(0), 1),
        (8, Some(1), 1),
        // Its cause is a command, whose first event stands for it.
        (9, Some(4), 2),
    ];
    assert_eq!(drawn(&tree), expected);
    let effects: Vec<_> = tree.effects_of(0).map(|node| node.event.position).collect();
    assert_eq!(effects, [4, 5, 7]);
    assert_eq!(positions(&lineage.effects_of(right).await.unwrap()), [7, 9]);
    assert_eq!(drawn(&lineage.tree(right).await.unwrap()), [(7, None, 0), (9, Some(0), 1)]);
}

/// Ids that callers chose may contradict time.
#[tokio::test]
async fn a_circle_of_causes_ends() {
    let store = MemoryStore::new();
    let (id, one, other) = (CorrelationId::new(), CommandId::new(), CommandId::new());
    write(&store, "a-1", vec![event(id, one, Some(other.into()))]).await;
    write(&store, "a-1", vec![event(id, other, Some(one.into()))]).await;
    let lineage = Lineage::new(&store);
    assert_eq!(positions(&lineage.causes_of(one).await.unwrap()), [2, 1]);
    assert_eq!(lineage.tree(one).await.unwrap().nodes().len(), 2);
}

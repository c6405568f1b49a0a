//! Appends happen once: a repeated id gives the first outcome.

use std::sync::Arc;

use super::fixture::{Calls as _, append_of, assert_conflict, events, state, stream, to};
use crate::id::CommandId;
use crate::store::{Append, Appended, Deletion, ExpectedVersion, Store};

fn repeated(first: &Appended) -> Appended {
    Appended { repeated: true, ..first.clone() }
}

/// The same append again: the first outcome, though the expectation fails by now. (`pg_011`)
pub async fn a_repeated_append_gives_the_first_outcome(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::NoStream, events(2))]);
    let first = store.append(append.clone()).await.expect("the stream is new");
    assert!(!first.repeated);
    store.write(&account, 3).await;
    for _ in 0..2 {
        let again = store.append(append.clone()).await;
        assert_eq!(again.expect("the append was made"), repeated(&first));
    }
    assert_eq!(store.version_of(&account).await, 5);
    assert_eq!(store.position().await, 5);
}

/// The id decides, not what the append holds.
pub async fn an_id_stands_for_its_first_append_whatever_it_holds_later(store: Arc<dyn Store>) {
    let (account, other) = (stream("account-1"), stream("account-2"));
    let append = append_of([to(&account, ExpectedVersion::Any, events(2))]);
    let first = store.append(append.clone()).await.expect("nothing is expected");
    let changed = Append { id: append.id, writes: vec![to(&other, ExpectedVersion::Exact(9), events(7))] };
    assert_eq!(store.append(changed).await.expect("the append was made"), repeated(&first));
    let emptied = Append { id: append.id, writes: Vec::new() };
    assert_eq!(store.append(emptied).await.expect("the append was made"), repeated(&first));
    assert_eq!(store.info(&other).await, None);
    assert_eq!(store.position().await, 2);
}

/// An append without events is remembered, so that events under its id come too late.
pub async fn an_append_without_events_is_remembered(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let empty = append_of([to(&account, ExpectedVersion::NoStream, Vec::new())]);
    let first = store.append(empty.clone()).await.expect("the stream is new");
    let filled = Append { id: empty.id, writes: vec![to(&account, ExpectedVersion::Any, events(1))] };
    assert_eq!(store.append(filled).await.expect("the append was made"), repeated(&first));
    assert_eq!(store.position().await, 0);
    assert_eq!(store.outcome(empty.id).await.expect("outcomes can be read"), Some(repeated(&first)));
}

/// So is an append that writes to no stream at all.
pub async fn an_append_without_writes_is_remembered(store: Arc<dyn Store>) {
    let empty = append_of([]);
    let first = store.append(empty.clone()).await.expect("there is nothing to fail");
    assert_eq!((first.streams.len(), first.position, first.repeated), (0, 0, false));
    assert_eq!(store.append(empty).await.expect("the append was made"), repeated(&first));
}

/// So is one that writes a state, at the expectation that fails by now.
pub async fn an_append_of_a_state_is_remembered(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([state(&account, 0, 1)]);
    let first = store.append(append.clone()).await.expect("there is no state");
    store.append(append_of([state(&account, 1, 2)])).await.expect("the state has version 1");
    assert_eq!(store.append(append).await.expect("the append was made"), repeated(&first));
    let kept = store.stored_state(&account).await.expect("states can be read");
    assert_eq!(kept.expect("there is a state").version, 2);
}

/// One that wrote to several streams comes back whole.
pub async fn an_append_to_several_streams_is_remembered_whole(store: Arc<dyn Store>) {
    let (account, other) = (stream("account-1"), stream("account-2"));
    store.write(&other, 4).await;
    let append = append_of([
        to(&account, ExpectedVersion::NoStream, events(2)),
        to(&other, ExpectedVersion::Exact(4), events(1)),
        state(&stream("state-1"), 0, 3),
    ]);
    let first = store.append(append.clone()).await.expect("all is as expected");
    assert_eq!(store.append(append.clone()).await.expect("the append was made"), repeated(&first));
    assert_eq!(store.outcome(append.id).await.expect("outcomes can be read"), Some(repeated(&first)));
}

/// An append that failed is not remembered: its id may come again, and succeed.
pub async fn a_failed_append_is_not_remembered(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 1).await;
    let append = append_of([to(&account, ExpectedVersion::NoStream, events(1))]);
    let expected = ExpectedVersion::NoStream;
    assert_conflict(store.append(append.clone()).await, &account, expected, 1);
    assert_eq!(store.outcome(append.id).await.expect("outcomes can be read"), None);
    let corrected = Append::to_stream(append.id, account.clone(), ExpectedVersion::Exact(1), events(1));
    let made = store.append(corrected).await.expect("the version is as expected");
    assert_eq!((made.position, made.repeated), (2, false));
}

/// The outcome of an append can be asked for; that of one that was never made is none.
pub async fn an_outcome_can_be_asked_for(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::Any, events(3))]);
    let made = store.append(append.clone()).await.expect("nothing is expected");
    store.write(&account, 1).await;
    assert_eq!(store.outcome(append.id).await.expect("outcomes can be read"), Some(repeated(&made)));
    assert_eq!(store.outcome(CommandId::new()).await.expect("outcomes can be read"), None);
}

/// A repeated append is answered even when its stream was deleted since.
pub async fn an_outcome_survives_its_stream(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::Any, events(1))]);
    let first = store.append(append.clone()).await.expect("nothing is expected");
    store.delete_stream(&account, ExpectedVersion::Any, Deletion::Soft).await.expect("the stream exists");
    assert_eq!(store.append(append).await.expect("the append was made"), repeated(&first));
}

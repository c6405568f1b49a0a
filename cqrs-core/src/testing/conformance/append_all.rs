//! Several appends as one: all of them, in their order, or none.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixture::{
    Calls as _, append_of, assert_conflict, assert_deleted, assert_duplicate, event, events, ids, json,
    one_to, positions, state, stream, to, versions,
};
use crate::id::{CommandId, EventId};
use crate::store::{Append, AppendError, Appended, Deletion, ExpectedVersion, Store, StreamId};

/// So many appends of one event each, every one expecting what the one before leaves.
fn chain(stream_id: &StreamId, from: u64, count: u64) -> Vec<Append> {
    let append = |version| append_of([to(stream_id, ExpectedVersion::Exact(version), events(1))]);
    (from..from + count).map(append).collect()
}

fn ids_of(appends: &[Append]) -> Vec<CommandId> {
    appends.iter().map(|append| append.id).collect()
}

/// What was written: stream, version and number of events of each write.
fn written(appended: &Appended) -> Vec<(&str, u64, u64)> {
    let streams = appended.streams.iter();
    streams.map(|written| (written.stream_id.as_str(), written.version, written.events)).collect()
}

#[track_caller]
fn assert_already_appended(result: Result<Vec<Appended>, AppendError>, id: CommandId) {
    match result {
        Err(AppendError::AlreadyAppended { append_id }) => assert_eq!(append_id, id),
        other => panic!("expected an append that was made already, found {other:?}"),
    }
}

async fn assert_forgotten(store: &Arc<dyn Store>, ids: &[CommandId]) {
    for id in ids {
        assert_eq!(store.outcome(*id).await.expect("outcomes can be read"), None, "{id} is remembered");
    }
}

/// They lie in the log one behind the other, and each has its own outcome.
pub async fn appends_as_one_lie_in_their_order(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    store.write(&second, 2).await;
    let appends = vec![
        append_of([to(&first, ExpectedVersion::Any, events(2))]),
        append_of([to(&second, ExpectedVersion::Any, events(1))]),
        append_of([to(&first, ExpectedVersion::Any, events(3))]),
    ];
    let outcomes = store.append_all(appends).await.expect("nothing is expected");
    let seen: Vec<_> = outcomes.iter().map(|outcome| (written(outcome), outcome.position)).collect();
    let expected =
        [(vec![("account-1", 2, 2)], 4), (vec![("account-2", 3, 1)], 5), (vec![("account-1", 5, 3)], 8)];
    assert_eq!(seen, expected);
    assert!(outcomes.iter().all(|outcome| !outcome.repeated));
    assert_eq!(positions(&store.events_of(&first).await), [3, 4, 6, 7, 8]);
    assert_eq!(versions(&store.events_of(&first).await), one_to(5));
    assert_eq!(positions(&store.events_of(&second).await), [1, 2, 5]);
}

/// Their events are in the log as they were given.
pub async fn events_of_appends_as_one_read_back_identical(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let given: Vec<_> = (1..=4).map(event).collect();
    let append = |event: &crate::store::EventData| {
        append_of([to(&account, ExpectedVersion::Any, vec![event.clone()])])
    };
    store.append_all(given.iter().map(append).collect()).await.expect("nothing is expected");
    let read = store.events_of(&account).await;
    let event_ids: Vec<EventId> = given.iter().map(|event| event.event_id).collect();
    assert_eq!(ids(&read), event_ids);
    for (given, read) in given.iter().zip(&read) {
        assert_eq!((json(&read.data), &read.event_type), (json(&given.data), &given.event_type));
        assert_eq!((read.causation_id, read.correlation_id), (given.causation_id, given.correlation_id));
    }
    assert!(read.is_sorted_by_key(|event| event.created_at));
}

/// An exact version counts what the appends before it write.
pub async fn an_exact_version_counts_the_appends_before(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 2).await;
    let outcomes = store.append_all(chain(&account, 2, 5)).await.expect("each version is as expected");
    let versions: Vec<u64> = outcomes.iter().map(|outcome| outcome.streams[0].version).collect();
    assert_eq!(versions, [3, 4, 5, 6, 7]);
}

/// So do the other expectations.
pub async fn a_stream_exists_for_the_appends_behind_its_first(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    let appends = vec![
        append_of([to(&first, ExpectedVersion::NoStream, events(2))]),
        append_of([to(&first, ExpectedVersion::StreamExists, events(1))]),
        append_of([to(&second, ExpectedVersion::NoStream, events(1))]),
        append_of([
            to(&second, ExpectedVersion::Exact(1), events(1)),
            to(&first, ExpectedVersion::Exact(3), events(1)),
        ]),
        append_of([to(&first, ExpectedVersion::Any, events(1))]),
    ];
    let outcomes = store.append_all(appends).await.expect("each stream is as expected");
    assert_eq!(written(&outcomes[3]), [("account-2", 2, 1), ("account-1", 4, 1)]);
    assert_eq!(written(&outcomes[4]), [("account-1", 5, 1)]);
    let twice = vec![
        append_of([to(&stream("account-3"), ExpectedVersion::NoStream, events(1))]),
        append_of([to(&stream("account-3"), ExpectedVersion::NoStream, events(1))]),
    ];
    let refused = store.append_all(twice).await;
    assert_conflict(refused, &stream("account-3"), ExpectedVersion::NoStream, 1);
    assert_eq!(store.info(&stream("account-3")).await, None);
}

/// A conflict in the third of five: nothing is written, and no id is remembered.
pub async fn one_conflict_refuses_all_appends(store: Arc<dyn Store>) {
    let (account, other) = (stream("account-1"), stream("account-2"));
    store.write(&account, 2).await;
    let mut appends = chain(&account, 2, 5);
    appends[1] = append_of([
        to(&account, ExpectedVersion::Exact(3), events(1)),
        to(&other, ExpectedVersion::NoStream, events(2)),
        state(&stream("state-1"), 0, 1),
    ]);
    appends[2] = append_of([to(&account, ExpectedVersion::Exact(9), events(1))]);
    let refused = store.append_all(appends.clone()).await;
    assert_conflict(refused, &account, ExpectedVersion::Exact(9), 4);
    assert_eq!(store.position().await, 2);
    assert_eq!(store.events_of(&account).await.len(), 2);
    assert_eq!(store.info(&other).await, None);
    assert_eq!(store.stored_state(&stream("state-1")).await.expect("states can be read"), None);
    assert_forgotten(&store, &ids_of(&appends)).await;

    appends[2] = append_of([to(&account, ExpectedVersion::Exact(4), events(1))]);
    store.append_all(appends).await.expect("ids and events of what failed may come again");
    assert_eq!(versions(&store.events_of(&account).await), one_to(7));
    assert_eq!(positions(&store.log().await), one_to(9));
}

/// So does one deleted stream.
pub async fn one_deleted_stream_refuses_all_appends(store: Arc<dyn Store>) {
    let (open, closed) = (stream("account-1"), stream("account-2"));
    store.write(&closed, 1).await;
    store.delete_stream(&closed, ExpectedVersion::Any, Deletion::Soft).await.expect("the stream exists");
    let appends = vec![
        append_of([to(&open, ExpectedVersion::Any, events(1))]),
        append_of([to(&closed, ExpectedVersion::Any, events(1))]),
    ];
    assert_deleted(store.append_all(appends.clone()).await, &closed);
    assert_eq!(store.info(&open).await, None);
    assert_forgotten(&store, &ids_of(&appends)).await;
}

/// An id that is known refuses all, even with the very append it belongs to; its outcome stays.
pub async fn an_id_that_is_known_refuses_all_appends(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let made = append_of([to(&account, ExpectedVersion::Any, events(1))]);
    let first = store.append(made.clone()).await.expect("nothing is expected");
    for place in 0..3 {
        let mut appends = chain(&account, 1, 2);
        let others = ids_of(&appends);
        appends.insert(place, made.clone());
        assert_already_appended(store.append_all(appends).await, made.id);
        assert_forgotten(&store, &others).await;
    }
    assert_eq!(store.position().await, 1);
    let outcome = store.outcome(made.id).await.expect("outcomes can be read");
    assert_eq!(outcome, Some(Appended { repeated: true, ..first }));
}

/// All of them again: refused, since all are known.
pub async fn appends_as_one_are_not_made_again(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let appends = chain(&account, 0, 3);
    let first = store.append_all(appends.clone()).await.expect("each version is as expected");
    let again = store.append_all(appends.clone()).await;
    assert!(matches!(again, Err(AppendError::AlreadyAppended { .. })), "{again:?}");
    let one = store.append(appends[1].clone()).await.expect("the append was made");
    assert_eq!(one, Appended { repeated: true, ..first[1].clone() });
    assert_eq!(store.position().await, 3);
}

/// An id that comes twice refuses all, also when it comes with the same append.
pub async fn an_id_that_comes_twice_refuses_all_appends(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let mut appends = chain(&account, 0, 3);
    appends[2].id = appends[0].id;
    assert_already_appended(store.append_all(appends.clone()).await, appends[0].id);
    let twice = append_of([to(&account, ExpectedVersion::Any, Vec::new())]);
    assert_already_appended(store.append_all(vec![twice.clone(), twice.clone()]).await, twice.id);
    assert_forgotten(&store, &[appends[0].id, appends[1].id, twice.id]).await;
    assert_eq!(store.info(&account).await, None);
}

/// An event that stands in two of them refuses all, and so does one that is stored.
pub async fn an_event_in_two_appends_refuses_all(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    let (twice, stored) = (event(1), event(2));
    let kept = store.try_write(&stream("account-3"), ExpectedVersion::Any, vec![stored.clone()]).await;
    kept.expect("the event is new");
    for duplicate in [twice.clone(), stored] {
        let appends = vec![
            append_of([to(&first, ExpectedVersion::Any, vec![twice.clone(), event(3)])]),
            append_of([to(&second, ExpectedVersion::Any, vec![event(4), duplicate.clone()])]),
        ];
        assert_duplicate(store.append_all(appends.clone()).await, duplicate.event_id);
        assert_forgotten(&store, &ids_of(&appends)).await;
    }
    assert_eq!(store.position().await, 1);
    let once = store.try_write(&first, ExpectedVersion::NoStream, vec![twice]).await;
    assert_eq!(once.expect("the event was not stored").position, 2);
}

/// The outcome of each can be asked for, and a repetition of each is answered.
pub async fn outcomes_of_appends_as_one_can_be_asked_for(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    let appends = vec![
        append_of([to(&first, ExpectedVersion::Any, events(3))]),
        append_of([to(&second, ExpectedVersion::Any, events(1)), state(&stream("state-1"), 0, 7)]),
        append_of([to(&first, ExpectedVersion::Exact(3), events(2))]),
    ];
    let made = store.append_all(appends.clone()).await.expect("all is as expected");
    store.write(&first, 1).await;
    for (append, made) in appends.into_iter().zip(made) {
        let repeated = Appended { repeated: true, ..made };
        let outcome = store.outcome(append.id).await.expect("outcomes can be read");
        assert_eq!(outcome.as_ref(), Some(&repeated));
        assert_eq!(store.append(append).await.expect("the append was made"), repeated);
    }
    assert_eq!(store.position().await, 7);
}

/// Each state expects the one before.
pub async fn states_of_appends_as_one_follow_each_other(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let chain = |steps: &[(u64, u64)]| -> Vec<Append> {
        steps.iter().map(|&(expected, version)| append_of([state(&account, expected, version)])).collect()
    };
    let made = store.append_all(chain(&[(0, 1), (1, 3), (3, 4)])).await.expect("each state is as expected");
    assert_eq!(written(&made[1]), [("account-1", 3, 0)]);
    assert!(made.iter().all(|appended| appended.position == 0));
    let refused = store.append_all(chain(&[(4, 5), (5, 6), (5, 7)])).await;
    assert_conflict(refused, &account, ExpectedVersion::Exact(5), 6);
    let kept = store.stored_state(&account).await.expect("states can be read").expect("there is a state");
    assert_eq!((kept.version, json(&kept.data)), (4, serde_json::json!({ "version": 4 })));
}

/// Appends without events and without writes: made, remembered, and their expectations count.
pub async fn appends_without_events_are_made_too(store: Arc<dyn Store>) {
    let (account, missing) = (stream("account-1"), stream("account-2"));
    let appends = vec![
        append_of([to(&account, ExpectedVersion::NoStream, Vec::new())]),
        append_of([to(&account, ExpectedVersion::NoStream, events(2))]),
        append_of([to(&account, ExpectedVersion::Exact(2), Vec::new())]),
        append_of([]),
    ];
    let made = store.append_all(appends.clone()).await.expect("all is as expected");
    let positions: Vec<u64> = made.iter().map(|appended| appended.position).collect();
    assert_eq!(positions, [0, 2, 0, 0]);
    assert_eq!(written(&made[0]), [("account-1", 0, 0)]);
    assert_eq!(written(&made[2]), [("account-1", 2, 0)]);
    assert_eq!(written(&made[3]), []);
    for append in &appends {
        assert!(store.outcome(append.id).await.expect("outcomes can be read").is_some());
    }
    let guarded = vec![
        append_of([to(&account, ExpectedVersion::Exact(2), events(1))]),
        append_of([to(&missing, ExpectedVersion::StreamExists, Vec::new())]),
    ];
    let refused = store.append_all(guarded).await;
    assert_conflict(refused, &missing, ExpectedVersion::StreamExists, 0);
    assert_eq!(store.position().await, 2);
}

/// No append at all.
pub async fn no_appends_are_no_failure(store: Arc<dyn Store>) {
    assert_eq!(store.append_all(Vec::new()).await.expect("there is nothing to fail"), []);
    assert_eq!(store.position().await, 0);
}

/// One append as one: as [`EventStore::append`](crate::store::EventStore::append) makes it.
pub async fn one_append_as_one_is_an_append(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::NoStream, events(2))]);
    let made = store.append_all(vec![append.clone()]).await.expect("the stream is new");
    assert_eq!((made.len(), written(&made[0]), made[0].position), (1, vec![("account-1", 2, 2)], 2));
    let again = store.append(append).await.expect("the append was made");
    assert_eq!(again, Appended { repeated: true, ..made[0].clone() });
}

/// A thousand appends as one.
pub async fn a_thousand_appends_as_one(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let made = store.append_all(chain(&account, 0, 1_000)).await.expect("each version is as expected");
    assert_eq!(made.iter().map(|appended| appended.position).collect::<Vec<_>>(), one_to(1_000));
    let mut refused = chain(&account, 1_000, 1_000);
    refused[999] = append_of([to(&account, ExpectedVersion::NoStream, events(1))]);
    assert_conflict(store.append_all(refused).await, &account, ExpectedVersion::NoStream, 1_999);
    assert_eq!(versions(&store.events_of(&account).await), one_to(1_000));
    assert_eq!(store.position().await, 1_000);
}

/// From eight tasks at once, some of which fail at their end: versions and positions without hole, and what
/// belongs together lies together.
pub async fn appends_as_one_from_many_callers_stay_whole(store: Arc<dyn Store>) {
    const CALLERS: usize = 8;
    const ROUNDS: usize = 10;
    let fails = |round: usize, number: usize| (round + number).is_multiple_of(3);
    let account = stream("account-1");
    let start = Arc::new(Barrier::new(CALLERS));
    let mut callers = JoinSet::new();
    for number in 0..CALLERS {
        let (store, start, account) = (Arc::clone(&store), Arc::clone(&start), account.clone());
        callers.spawn(async move {
            start.wait().await;
            for round in 0..ROUNDS {
                let mut appends: Vec<Append> = (0..4)
                    .map(|_| {
                        append_of([to(&account, ExpectedVersion::Any, vec![event(number), event(number)])])
                    })
                    .collect();
                let fails = fails(round, number);
                if fails {
                    appends.push(append_of([to(&account, ExpectedVersion::NoStream, events(1))]));
                }
                assert_eq!(store.append_all(appends).await.is_err(), fails);
            }
        });
    }
    callers.join_all().await;
    let read = store.events_of(&account).await;
    let made = (0..CALLERS * ROUNDS).filter(|call| !fails(call / CALLERS, call % CALLERS)).count();
    assert_eq!(read.len(), 8 * made);
    assert_eq!(versions(&read), one_to(read.len() as u64));
    assert_eq!(positions(&store.log().await), one_to(read.len() as u64));
    for call in read.chunks(8) {
        assert!(call.iter().all(|event| event.data == call[0].data), "appends as one lie together");
    }
}

/// Of appends as one that expect one version, those of one caller are made.
pub async fn of_appends_as_one_at_one_version_one_caller_wins(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let start = Arc::new(Barrier::new(8));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (store, start, account) = (Arc::clone(&store), Arc::clone(&start), account.clone());
        callers.spawn(async move {
            start.wait().await;
            store.append_all(chain(&account, 0, 5)).await
        });
    }
    let results = callers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert!(results.iter().flat_map(|result| result.as_ref().err()).all(AppendError::is_conflict));
    assert_eq!(versions(&store.events_of(&account).await), one_to(5));
}

/// They wake whoever watches the head, who can then read all of them.
pub async fn appends_as_one_are_announced_as_a_whole(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let mut head = store.watch_head();
    for round in 0..3 {
        store.append_all(chain(&account, 4 * round, 4)).await.expect("each version is as expected");
        let end = 4 * (round + 1);
        let seen = *head.wait_for(|head| *head >= end).await.expect("the store is there");
        assert_eq!(seen, end);
        assert_eq!(positions(&store.log().await), one_to(end));
    }
    let mut refused = chain(&account, 12, 2);
    refused[1] = append_of([to(&account, ExpectedVersion::NoStream, events(1))]);
    assert_conflict(store.append_all(refused).await, &account, ExpectedVersion::NoStream, 13);
    // Not held while the store is asked: whoever tells of a new head would wait for it.
    let seen = *head.borrow();
    assert_eq!((seen, store.position().await), (12, 12));
}

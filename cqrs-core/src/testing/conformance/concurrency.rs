//! Races: many callers at once.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::fixture::{
    Calls as _, append_of, event, events, ids, one_to, positions, state, stream, to, versions,
};
use crate::store::{Append, AppendError, Appended, ExpectedVersion, Link, Store};

/// Makes all appends at once, and gives their results in the order of the appends.
async fn race(store: &Arc<dyn Store>, appends: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
    let start = Arc::new(Barrier::new(appends.len()));
    let mut callers = JoinSet::new();
    for (number, append) in appends.into_iter().enumerate() {
        let (store, start) = (Arc::clone(store), Arc::clone(&start));
        callers.spawn(async move {
            start.wait().await;
            (number, store.append(append).await)
        });
    }
    let mut results = callers.join_all().await;
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

/// 20 writers at any version: consecutive versions, none lost. (`pg_002`, `pg_003`)
pub async fn t_218_writers_at_any_version_all_succeed(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for round in 1..=2_u64 {
        let appends = (0..20).map(|_| append_of([to(&account, ExpectedVersion::Any, events(2))])).collect();
        let mut ends: Vec<u64> = race(&store, appends)
            .await
            .into_iter()
            .map(|result| result.expect("nothing is expected").streams[0].version)
            .collect();
        ends.sort_unstable();
        let expected: Vec<u64> = (1..=20).map(|number| 40 * (round - 1) + 2 * number).collect();
        assert_eq!(ends, expected);
    }
    let read = store.events_of(&account).await;
    assert_eq!(versions(&read), one_to(80));
    assert_eq!(positions(&read), one_to(80));
}

/// Many writers at one exact version: exactly one succeeds, the others are told of a conflict.
pub async fn pg_007_of_writers_at_one_version_one_wins(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for expected in [ExpectedVersion::NoStream, ExpectedVersion::Exact(1), ExpectedVersion::Exact(2)] {
        let before = store.version_of(&account).await;
        let appends: Vec<Append> =
            (0..16).map(|number| append_of([to(&account, expected, vec![event(number)])])).collect();
        let sent: Vec<_> = appends.clone();
        let results = race(&store, appends).await;
        let winners: Vec<usize> = (0..16).filter(|number| results[*number].is_ok()).collect();
        assert_eq!(winners.len(), 1, "{results:?}");
        assert!(results.iter().flat_map(|result| result.as_ref().err()).all(AppendError::is_conflict));
        let latest = store.events_of(&account).await;
        assert_eq!(latest.len() as u64, before + 1);
        let winner = Append { id: sent[winners[0]].id, writes: Vec::new() };
        let first = store.append(winner).await.expect("the append was made");
        assert_eq!(first.streams[0].version, before + 1);
    }
}

/// One id, 20 callers: written once, and 20 equal outcomes.
pub async fn n_013_of_appends_of_one_id_one_is_made(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::NoStream, events(2))]);
    let outcomes: Vec<Appended> = race(&store, vec![append; 20])
        .await
        .into_iter()
        .map(|result| result.expect("the append is made"))
        .collect();
    assert_eq!(outcomes.iter().filter(|outcome| !outcome.repeated).count(), 1);
    assert!(outcomes.iter().all(|outcome| outcome.streams == outcomes[0].streams));
    assert!(outcomes.iter().all(|outcome| outcome.position == 2));
    assert_eq!(store.events_of(&account).await.len(), 2);
}

/// Appends that name the same streams in different orders all succeed. (`pg_125`, H7)
pub async fn pg_125_opposite_orders_do_not_deadlock(store: Arc<dyn Store>) {
    let streams: Vec<_> = (0..4).map(|number| stream(&format!("account-{number}"))).collect();
    let appends = (0..24)
        .map(|number| {
            let mut order = streams.clone();
            order.rotate_left(number % 4);
            if number % 2 == 1 {
                order.reverse();
            }
            let write = |stream_id| to(stream_id, ExpectedVersion::Any, events(1));
            append_of(order.iter().map(write).collect::<Vec<_>>())
        })
        .collect();
    for result in race(&store, appends).await {
        result.expect("nothing is expected");
    }
    for stream_id in &streams {
        assert_eq!(versions(&store.events_of(stream_id).await), one_to(24));
    }
    let log = store.log().await;
    assert_eq!(positions(&log), one_to(96));
    for append in log.chunks(4) {
        let mut written: Vec<_> = append.iter().map(|event| &event.stream_id).collect();
        written.sort_unstable();
        assert_eq!(written, streams.iter().collect::<Vec<_>>(), "an append lies together in the log");
    }
}

/// Of appends to several streams that share one exact version, one is written whole, the others not at all.
pub async fn of_appends_that_share_a_guard_one_is_written(store: Arc<dyn Store>) {
    let guard = stream("account-guard");
    let appends = (0..12)
        .map(|number| {
            append_of([
                to(&stream(&format!("account-{number}")), ExpectedVersion::NoStream, events(2)),
                to(&guard, ExpectedVersion::NoStream, events(1)),
            ])
        })
        .collect();
    let results = race(&store, appends).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    for (number, result) in results.iter().enumerate() {
        let version = store.version_of(&stream(&format!("account-{number}"))).await;
        assert_eq!(version, if result.is_ok() { 2 } else { 0 });
    }
    assert_eq!(positions(&store.log().await), [1, 2, 3]);
}

/// Of writers of one state, one succeeds at each version.
pub async fn of_writers_of_one_state_one_wins(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for expected in 0..3 {
        let appends = (0..12).map(|_| append_of([state(&account, expected, expected + 1)])).collect();
        let results = race(&store, appends).await;
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
        assert!(results.iter().flat_map(|result| result.as_ref().err()).all(AppendError::is_conflict));
    }
    let kept = store.stored_state(&account).await.expect("states can be read");
    assert_eq!(kept.expect("there is a state").version, 3);
}

/// One event from many callers, in different appends: stored once.
pub async fn c_020_of_appends_of_one_event_one_is_made(store: Arc<dyn Store>) {
    let shared = event(1);
    let appends = (0..12)
        .map(|number| {
            let account = stream(&format!("account-{number}"));
            append_of([to(&account, ExpectedVersion::Any, vec![shared.clone()])])
        })
        .collect();
    let results = race(&store, appends).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for failure in results.into_iter().filter_map(Result::err) {
        assert!(matches!(failure, AppendError::DuplicateEvent { .. }), "{failure:?}");
    }
    assert_eq!(ids(&store.log().await), [shared.event_id]);
}

/// Of links of the same events into one stream, one succeeds.
pub async fn pg_035_of_links_of_the_same_events_one_wins(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    store.write(&source, 3).await;
    let start = Arc::new(Barrier::new(8));
    let mut callers = JoinSet::new();
    for _ in 0..8 {
        let (store, start) = (Arc::clone(&store), Arc::clone(&start));
        let link =
            Link { stream_id: target.clone(), expected: ExpectedVersion::Any, positions: vec![1, 2, 3] };
        callers.spawn(async move {
            start.wait().await;
            store.link(link).await
        });
    }
    let results = callers.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    for failure in results.into_iter().filter_map(Result::err) {
        assert!(matches!(failure, AppendError::InvalidLink { .. }), "{failure:?}");
    }
    assert_eq!(positions(&store.events_of(&target).await), [1, 2, 3]);
}

/// Callers that give up leave whole appends behind, or none.
pub async fn pg_117_a_caller_that_gives_up_leaves_no_half_append(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let appends: Vec<Append> =
        (0..20).map(|_| append_of([to(&account, ExpectedVersion::Any, events(3))])).collect();
    let mut callers = JoinSet::new();
    for append in appends.clone() {
        let store = Arc::clone(&store);
        callers.spawn(async move { store.append(append).await });
    }
    callers.abort_all();
    while callers.join_next().await.is_some() {}
    for append in appends {
        let outcome = store.append(append).await.expect("the append is made, now or before");
        assert_eq!(outcome.streams[0].events, 3);
    }
    assert_eq!(versions(&store.events_of(&account).await), one_to(60));
    assert_eq!(positions(&store.log().await), one_to(60));
}

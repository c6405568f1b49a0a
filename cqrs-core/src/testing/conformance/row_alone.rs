//! Transactions on rows to which nobody else writes meanwhile: what is needed where appends write to them as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::rows::{NAME, Rows as _, TestRows, assert_fenced, rows};
use crate::projection::{RowError, RowPlace, RowStore, RowTransaction};
use crate::store::HandlerCommit;

/// A transaction of a store of rows.
type Transaction<R> = <<R as TestRows>::Store as RowStore>::Transaction;

/// Begins one alone, and says up to where the rows are made.
async fn begin<R: TestRows>(store: &R, place: &RowPlace) -> Result<(Transaction<R>, u64), RowError> {
    store.store(&place.projection).begin_alone(place).await
}

/// Only what appends can write to as well must keep others out; elsewhere they are undone in the end.
fn keeps_others_out<R: TestRows>(store: &R) -> bool {
    store.store(NAME).inline().is_some()
}

/// It sees what is committed, goes on from there, and leaves nothing when it is undone.
pub async fn one_alone_finds_how_far_the_rows_are_made<R: TestRows>(store: R) {
    let place = store.build_active(NAME, 1).await;
    store.write(&place, 0, ("a", "1"), HandlerCommit::new().position(5)).await.expect("it is owned");
    for is_dropped in [false, true] {
        let (mut undone, from) = begin(&store, &place).await.expect("it is owned");
        assert_eq!(from, 5);
        store.put(undone.connection(), "a", "0").await;
        match is_dropped {
            true => drop(undone),
            false => undone.roll_back().await.expect("it can be undone"),
        }
    }
    let (mut transaction, from) = begin(&store, &place).await.expect("the others have ended");
    assert_eq!((from, store.written(transaction.connection()).await), (5, rows([("a", "1")])));
    store.put(transaction.connection(), "b", "2").await;
    assert_eq!(store.read(NAME).await, rows([("a", "1")]), "nobody sees it before");
    transaction.commit(5, HandlerCommit::new().position(9)).await.expect("it is owned");
    assert_eq!(store.read(NAME).await, rows([("a", "1"), ("b", "2")]));
    let (transaction, from) = begin(&store, &place).await.expect("it is owned");
    assert_eq!(from, 9);
    transaction.roll_back().await.expect("it can be undone");
    assert_eq!(store.claim(&place).await.position, 9);
}

/// Whoever comes second waits for the first one, however that ends, and finds what it has left.
pub async fn the_second_one_alone_comes_after_the_first<R: TestRows>(store: R) {
    if !keeps_others_out(&store) {
        return;
    }
    let place = store.build_active(NAME, 1).await;
    for end in ["commit", "roll back", "drop"] {
        let (mut first, from) = begin(&store, &place).await.expect("it is owned");
        let is_over = AtomicBool::new(false);
        let second = async {
            let (mut second, from) = begin(&store, &place).await.expect("it is owned");
            assert!(is_over.load(Ordering::SeqCst), "it did not wait");
            let seen = store.written(second.connection()).await;
            second.roll_back().await.expect("it can be undone");
            (from, seen)
        };
        let work = async {
            store.put(first.connection(), "a", end).await;
            // Longer than it takes to begin.
            for _ in 0..50 {
                store.written(first.connection()).await;
                tokio::task::yield_now().await;
            }
            is_over.store(true, Ordering::SeqCst);
            match end {
                "commit" => {
                    let committed = first.commit(from, HandlerCommit::new().position(from + 1)).await;
                    committed.expect("it is owned");
                }
                "roll back" => first.roll_back().await.expect("it can be undone"),
                _ => drop(first),
            }
        };
        let (found, ()) = tokio::join!(second, work);
        assert_eq!(found, (1, rows([("a", "commit")])), "after a {end}");
    }
}

/// Of many at once none goes by rows that another one has changed.
pub async fn those_alone_lose_no_write_of_each_other<R: TestRows>(store: R) {
    let (store, writers, rounds) = (Arc::new(store), 8, 5);
    let place = store.build_active(NAME, 1).await;
    let (barrier, mut tasks) = (Arc::new(Barrier::new(writers)), JoinSet::new());
    for _ in 0..writers {
        let (store, place, barrier) = (Arc::clone(&store), place.clone(), Arc::clone(&barrier));
        tasks.spawn(async move {
            let mut written = 0;
            barrier.wait().await;
            for _ in 0..rounds {
                let (mut transaction, from) = begin(&*store, &place).await.expect("it is owned");
                let seen = store.written(transaction.connection()).await;
                let count = seen.get("count").map_or(0, |count| count.parse().expect("a number"));
                let next = u64::to_string(&(count + 1));
                store.put(transaction.connection(), "count", &next).await;
                match transaction.commit(from, HandlerCommit::new().position(from + 1)).await {
                    Ok(()) => {
                        assert_eq!(count, from, "the rows are as far as it was told");
                        written += 1;
                    }
                    refused if keeps_others_out(&*store) => panic!("nobody else writes: {refused:?}"),
                    refused => assert_fenced(refused, &place),
                }
            }
            written
        });
    }
    let written: u64 = tasks.join_all().await.into_iter().sum();
    assert_eq!(store.claim(&place).await.position, written);
    assert_eq!(store.read(NAME).await, rows([("count", &*written.to_string())]));
}

/// Nobody but the owner, and where there is no such generation nobody. That is in nobody's way.
pub async fn only_the_owner_is_alone<R: TestRows>(store: R) {
    let old = store.build_active(NAME, 1).await;
    let gone = store.build(NAME, 1).await;
    store.store(NAME).discard(NAME, gone.generation).await.expect("readers do not see it");
    let new = RowPlace { epoch: 2, ..old.clone() };
    store.claim(&new).await;
    for place in [&old, &gone, &store.place(99, 2)] {
        assert_fenced(begin(&store, place).await.map(|(_, from)| from), place);
    }
    let (mut transaction, from) = begin(&store, &new).await.expect("it is owned");
    store.put(transaction.connection(), "a", "new").await;
    transaction.commit(from, HandlerCommit::new().position(1)).await.expect("it is owned");
    assert_eq!(store.read(NAME).await, rows([("a", "new")]));
}

/// T-429: whoever becomes the owner meanwhile finds what was written, or it is undone.
pub async fn t_429_of_one_alone_and_its_follower_both_agree<R: TestRows>(store: R) {
    let mut place = store.build_active(NAME, 1).await;
    let mut written = 0;
    for epoch in 2..20 {
        let (mut transaction, from) = begin(&store, &place).await.expect("it is owned");
        assert_eq!(from, written);
        store.put(transaction.connection(), "a", &(from + 1).to_string()).await;
        let next = RowPlace { epoch, ..place.clone() };
        let commit = transaction.commit(from, HandlerCommit::new().position(from + 1));
        let (claim, committed) = tokio::join!(store.claim(&next), commit);
        match committed {
            Ok(()) => written += 1,
            refused => assert_fenced(refused, &place),
        }
        assert_eq!(claim.position, written);
        place = next;
    }
    let expected = (written > 0).then(|| ("a".to_owned(), written.to_string()));
    assert_eq!(store.read(NAME).await, expected.into_iter().collect());
}

/// What it writes is in the rows when the next ones take their place, or it is undone.
pub async fn of_one_alone_and_an_activation_one_wins<R: TestRows>(store: R) {
    let first = store.build_active(NAME, 1).await;
    let second = store.build(NAME, 1).await;
    let (mut transaction, from) = begin(&store, &first).await.expect("it is owned");
    store.put(transaction.connection(), "a", "old").await;
    let commit = transaction.commit(from, HandlerCommit::new().position(1));
    let (rows_of, projection) = (store.store(NAME), NAME);
    match tokio::join!(rows_of.activate(&second, 0, 0), commit) {
        (Err(RowError::Behind { active }), Ok(())) => {
            assert_eq!((active, store.read(projection).await), (1, rows([("a", "old")])));
        }
        (Ok(()), refused) => {
            assert_fenced(refused, &first);
            assert!(store.read(projection).await.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

/// Whoever has the rows stand still is told of what it has written, or it is undone.
pub async fn of_one_alone_and_rows_that_stand_still_both_agree<R: TestRows>(store: R) {
    let first = store.build_active(NAME, 1).await;
    let second = store.build(NAME, 1).await;
    let (mut transaction, from) = begin(&store, &first).await.expect("it is owned");
    store.put(transaction.connection(), "a", "old").await;
    let commit = transaction.commit(from, HandlerCommit::new().position(1));
    let rows_of = store.store(NAME);
    let (held, committed) = tokio::join!(rows_of.hold_active(&second, Duration::from_secs(3_600)), commit);
    let position = held.expect("it is built beside active ones");
    match committed {
        Ok(()) => assert_eq!(position, 1),
        refused => {
            assert_fenced(refused, &first);
            assert_eq!(position, 0);
        }
    }
    assert_eq!(store.generations(NAME).await[0].position, position);
}

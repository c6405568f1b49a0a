//! Owners of rows: whoever came before is refused.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::rows::{LOG, NAME, Rows as _, TestRows, assert_fenced, rows};
use crate::projection::{RowPlace, RowStore as _, RowTransaction as _};
use crate::store::HandlerCommit;

/// Whoever becomes the owner learns how far the rows are made.
pub async fn an_owner_finds_what_is_made(store: impl TestRows) {
    store.store(NAME).add(NAME, 1, LOG).await.expect("nothing is built");
    let claim = store.claim(&store.place(1, 1)).await;
    assert_eq!((claim.position, claim.is_made, claim.records.len()), (0, false, 0));
    store.store(NAME).discard(NAME, 1).await.expect("readers do not see it");
    let place = store.build(NAME, 2).await;
    store.advance(&place, 0, ("a", "1")).await;
    store.advance(&place, 1, ("b", "1")).await;
    for epoch in [2, 3, 100] {
        let claim = store.claim(&RowPlace { epoch, ..place.clone() }).await;
        assert_eq!((claim.position, claim.is_made), (2, true));
    }
}

/// The owner may claim its rows again, somebody before it may not.
pub async fn an_earlier_epoch_cannot_claim(store: impl TestRows) {
    let place = store.build(NAME, 5).await;
    let at = |epoch| RowPlace { epoch, ..place.clone() };
    store.claim(&at(5)).await;
    store.claim(&at(9)).await;
    for epoch in [0, 1, 5, 8] {
        assert_fenced(store.store(NAME).claim(&at(epoch)).await, &place);
    }
    store.claim(&at(9)).await;
    store.claim(&at(u64::MAX >> 1)).await;
}

/// There is nothing to own where there is no such generation.
pub async fn an_unknown_generation_cannot_be_claimed(store: impl TestRows) {
    store.build(NAME, 1).await;
    for generation in [0, 2, u64::MAX] {
        let place = store.place(generation, 1);
        assert_fenced(store.store(NAME).claim(&place).await, &place);
    }
    assert_eq!(store.generations(NAME).await.len(), 1);
}

/// T-429: an owner that was followed, and does not know it, writes nothing.
pub async fn t_429_an_owner_that_was_followed_cannot_commit(store: impl TestRows) {
    let old = store.build_active(NAME, 1).await;
    let new = RowPlace { epoch: 2, ..old.clone() };
    let mut under_way = store.store(NAME).begin(&old).await.expect("it is owned");
    store.put(under_way.connection(), "a", "old").await;
    store.claim(&new).await;
    assert_fenced(under_way.commit(0, HandlerCommit::new().position(1)).await, &old);
    let write = async |place: &RowPlace, row: (&str, &str)| {
        store.write(place, 0, row, HandlerCommit::new().position(1)).await
    };
    assert_fenced(write(&old, ("a", "old")).await, &old);
    assert!(store.read(NAME).await.is_empty());
    write(&new, ("a", "new")).await.expect("it is owned");
    assert_eq!(store.read(NAME).await, rows([("a", "new")]));
}

/// T-429: of two owners that write the same row, the earlier one is undone, though it was the first to begin.
pub async fn t_429_what_an_earlier_owner_wrote_is_undone(store: impl TestRows) {
    let old = store.build_active(NAME, 1).await;
    let new = RowPlace { epoch: 2, ..old.clone() };
    let mut under_way = store.store(NAME).begin(&old).await.expect("it is owned");
    store.claim(&new).await;
    store.advance(&new, 0, ("a", "new")).await;
    store.put(under_way.connection(), "a", "old").await;
    assert_fenced(under_way.commit(0, HandlerCommit::new().position(1)).await, &old);
    assert_eq!(store.read(NAME).await, rows([("a", "new")]));
    assert_eq!(store.claim(&new).await.position, 1);
}

/// Nor does it create any.
pub async fn an_earlier_owner_makes_no_rows(store: impl TestRows) {
    store.store(NAME).add(NAME, 1, LOG).await.expect("nothing is built");
    let (old, new) = (store.place(1, 1), store.place(1, 2));
    store.claim(&old).await;
    store.claim(&new).await;
    let commit = async |place: &RowPlace| {
        let mut transaction = store.store(NAME).make(place).await?;
        store.create(transaction.connection()).await;
        transaction.commit(0, HandlerCommit::new().position(0)).await
    };
    assert_fenced(commit(&old).await, &old);
    assert!(!store.claim(&new).await.is_made);
    commit(&new).await.expect("it is owned");
    assert!(store.claim(&new).await.is_made);
}

/// Of owners that claim at once, the latest one stays.
pub async fn of_concurrent_owners_the_latest_stays(store: impl TestRows) {
    let store = Arc::new(store);
    let place = store.build_active(NAME, 1).await;
    let mut tasks = JoinSet::new();
    for epoch in 2..=9 {
        let (store, place) = (Arc::clone(&store), RowPlace { epoch, ..place.clone() });
        // The earlier ones may be refused.
        tasks.spawn(async move { drop(store.store(NAME).claim(&place).await) });
    }
    tasks.join_all().await;
    let latest = RowPlace { epoch: 9, ..place.clone() };
    for epoch in 1..9 {
        let place = RowPlace { epoch, ..place.clone() };
        assert_fenced(store.write(&place, 0, ("a", "1"), HandlerCommit::new()).await, &place);
    }
    store.advance(&latest, 0, ("a", "9")).await;
}

//! Which rows readers see.

use std::sync::Arc;
use std::time::Duration;

use super::rows::{LOG, NAME, Rows as _, TestRows, assert_fenced, rows};
use crate::projection::GenerationState::{Active, Building, Kept};
use crate::projection::{RowError, RowPlace, RowStore as _, RowTransaction as _};
use crate::store::HandlerCommit;

/// Longer than any case takes.
const LONG: Duration = Duration::from_secs(3_600);

/// Readers see nothing of what is built, and all of it once it is theirs.
pub async fn readers_see_rows_when_they_are_active(store: impl TestRows) {
    let place = store.build(NAME, 1).await;
    store.advance(&place, 0, ("a", "1")).await;
    assert!(store.read(NAME).await.is_empty());
    assert_eq!(store.rows_of(&place).await, rows([("a", "1")]));
    store.store(NAME).activate(&place, 1, 1).await.expect("it is owned, and there is no other");
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
    assert_eq!(store.states(NAME).await, [(1, Active, 1)]);
}

/// EV-82: rows are built beside the active ones, both go on, and readers get the new ones at once.
pub async fn ev_082_new_rows_take_the_place_of_the_active_ones(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    store.advance(&first, 0, ("a", "old 1")).await;
    let second = store.build(NAME, 1).await;
    store.advance(&second, 0, ("a", "new 1")).await;
    store.advance(&first, 1, ("b", "old 2")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "old 1"), ("b", "old 2")]));
    assert_eq!(store.rows_of(&second).await, rows([("a", "new 1")]));
    store.advance(&second, 1, ("b", "new 2")).await;
    // There was nothing for them at position 3.
    store.store(NAME).activate(&second, 2, 3).await.expect("they are as far");
    assert_eq!(store.read(NAME).await, rows([("a", "new 1"), ("b", "new 2")]));
    assert_eq!(store.states(NAME).await, [(1, Kept, 2), (2, Active, 3)]);
    let claim = store.claim(&second).await;
    assert_eq!((claim.position, claim.is_made), (3, true));
    store.advance(&second, 3, ("c", "new 3")).await;
    assert_eq!(store.read(NAME).await.len(), 3);
}

/// Readers are never given less than they had.
pub async fn rows_that_are_behind_are_not_activated(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    for position in 0..3 {
        store.advance(&first, position, ("a", &position.to_string())).await;
    }
    let second = store.build(NAME, 1).await;
    store.advance(&second, 0, ("a", "new")).await;
    for to in [1, 2] {
        let behind = store.store(NAME).activate(&second, 1, to).await;
        assert!(matches!(behind, Err(RowError::Behind { active: 3 })), "{behind:?}");
    }
    assert_eq!(store.states(NAME).await, [(1, Active, 3), (2, Building, 1)]);
    assert_eq!(store.read(NAME).await, rows([("a", "2")]));
    // Both are owned as before.
    store.advance(&first, 3, ("a", "3")).await;
    store.advance(&second, 1, ("b", "new")).await;
    store.store(NAME).activate(&second, 2, 4).await.expect("they are as far");
    assert_eq!(store.read(NAME).await, rows([("a", "new"), ("b", "new")]));
}

/// Only the owner of what is built can give it to readers, and only from where it is made.
pub async fn an_activation_needs_the_owner_and_the_position(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    let second = store.build(NAME, 5).await;
    store.advance(&second, 0, ("a", "1")).await;
    let activate = async |place: &RowPlace, from: u64| store.store(NAME).activate(place, from, 9).await;
    for epoch in [0, 4, 6] {
        let place = RowPlace { epoch, ..second.clone() };
        assert_fenced(activate(&place, 1).await, &place);
    }
    for from in [0, 2] {
        assert_fenced(activate(&second, from).await, &second);
    }
    // One that is active already, and one that is not there.
    assert_fenced(activate(&first, 0).await, &first);
    let unknown = store.place(3, 5);
    assert_fenced(activate(&unknown, 0).await, &unknown);
    assert_eq!(store.states(NAME).await, [(1, Active, 0), (2, Building, 1)]);
    activate(&second, 1).await.expect("it is owned");
    assert_fenced(activate(&second, 9).await, &second);
    assert_fenced(activate(&first, 0).await, &first);
    assert_eq!(store.states(NAME).await, [(1, Kept, 0), (2, Active, 9)]);
}

/// Neither generation has an owner after the switch, whatever was under way.
pub async fn an_activation_leaves_no_owner(store: impl TestRows) {
    let first = store.build_active(NAME, 7).await;
    let second = store.build(NAME, 7).await;
    let under_way = store.store(NAME).begin(&first).await.expect("it is owned");
    store.store(NAME).activate(&second, 0, 0).await.expect("it is owned");
    assert_fenced(under_way.commit(0, HandlerCommit::new().position(1)).await, &first);
    for place in [&first, &second] {
        assert_fenced(store.write(place, 0, ("a", "1"), HandlerCommit::new().position(1)).await, place);
    }
    assert!(store.read(NAME).await.is_empty());
    // Whoever is next need not have a later epoch: the leases of what builds and of what follows are two.
    let place = RowPlace { epoch: 1, ..second };
    assert_eq!(store.claim(&place).await.position, 0);
    store.advance(&place, 0, ("a", "1")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
}

/// What was written to the old rows when readers get the new ones is in neither.
pub async fn a_write_that_is_under_way_at_the_switch_is_undone(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    store.advance(&first, 0, ("a", "old")).await;
    let second = store.build(NAME, 2).await;
    store.advance(&second, 0, ("a", "new")).await;
    let mut under_way = store.store(NAME).begin(&first).await.expect("it is owned");
    store.store(NAME).activate(&second, 1, 1).await.expect("they are as far");
    store.put(under_way.connection(), "b", "late").await;
    assert_fenced(under_way.commit(1, HandlerCommit::new().position(2)).await, &first);
    assert_eq!(store.read(NAME).await, rows([("a", "new")]));
    store.store(NAME).roll_back(NAME).await.expect("one is kept");
    assert_eq!(store.read(NAME).await, rows([("a", "old")]));
}

/// A commit to the active rows, and the switch to others that do not know of it: one of them is refused.
pub async fn of_a_commit_and_an_activation_at_once_one_wins(store: impl TestRows) {
    let store = Arc::new(store);
    let mut first = store.build_active(NAME, 1).await;
    for from in 0..20 {
        let second = store.build(NAME, 1).await;
        let position = HandlerCommit::new().position(from + 1);
        store.write(&second, 0, ("a", "1"), HandlerCommit::new().position(from)).await.expect("it is owned");
        let (committed, activated) =
            tokio::join!(async { store.write(&first, from, ("a", "1"), position).await }, async {
                store.store(NAME).activate(&second, from, from).await
            },);
        match (committed, activated) {
            (Ok(()), Err(RowError::Behind { active })) => assert_eq!(active, from + 1),
            (refused @ Err(_), Ok(())) => {
                assert_fenced(refused, &first);
                store.store(NAME).discard(NAME, first.generation).await.expect("it is kept");
                first = second;
                store.claim(&first).await;
                store.advance(&first, from, ("a", "1")).await;
                continue;
            }
            other => panic!("{other:?}"),
        }
        store.store(NAME).discard(NAME, second.generation).await.expect("readers do not see it");
    }
    assert_eq!(store.states(NAME).await, [(first.generation, Active, 20)]);
}

/// Rows that stand still take no commits, and say so; those that are built go on.
pub async fn active_rows_stand_still_for_the_next_ones(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    store.advance(&first, 0, ("a", "old")).await;
    let second = store.build(NAME, 2).await;
    let under_way = store.store(NAME).begin(&first).await.expect("it is owned");
    assert_eq!(store.store(NAME).hold_active(&second, LONG).await.expect("it is owned"), 1);
    let is_held: Vec<_> = store.generations(NAME).await.iter().map(|one| one.is_held).collect();
    assert_eq!(is_held, [true, false]);
    assert_fenced(under_way.commit(1, HandlerCommit::new().position(2)).await, &first);
    assert_fenced(store.write(&first, 1, ("a", "late"), HandlerCommit::new().position(2)).await, &first);
    assert_eq!(store.read(NAME).await, rows([("a", "old")]));
    store.advance(&second, 0, ("a", "new")).await;
    store.store(NAME).activate(&second, 1, 1).await.expect("they are as far");
    assert!(store.generations(NAME).await.iter().all(|one| !one.is_held), "it was for the switch");
    store.claim(&second).await;
    store.advance(&second, 1, ("a", "newer")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "newer")]));
}

/// The time for which rows stand still passes.
pub async fn rows_go_on_when_the_time_has_passed(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    let second = store.build(NAME, 2).await;
    for limit in [LONG, Duration::ZERO] {
        assert_eq!(store.store(NAME).hold_active(&second, limit).await.expect("it is owned"), 0);
    }
    assert!(!store.generations(NAME).await[0].is_held);
    store.advance(&first, 0, ("a", "1")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
}

/// Only the owner of what is built can have the active rows stand still.
pub async fn rows_stand_still_for_the_owner_of_the_next_ones_only(store: impl TestRows) {
    store.store(NAME).add(NAME, 1, LOG).await.expect("nothing is built");
    let lone = store.place(1, 1);
    store.claim(&lone).await;
    assert_fenced(store.store(NAME).hold_active(&lone, LONG).await, &lone);
    store.store(NAME).discard(NAME, 1).await.expect("readers do not see it");
    let first = store.build_active(NAME, 1).await;
    let second = store.build(NAME, 5).await;
    let others = [RowPlace { epoch: 4, ..second.clone() }, first.clone(), store.place(9, 5)];
    for place in others {
        assert_fenced(store.store(NAME).hold_active(&place, LONG).await, &place);
    }
    store.advance(&first, 0, ("a", "1")).await;
}

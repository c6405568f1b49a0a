//! Several projections: nothing crosses from one to another.

use super::rows::{LOG, NAME, Rows as _, TestRows, rows};
use crate::projection::GenerationState::{Active, Building, Kept};
use crate::projection::{GenerationError, RowPlace, RowStore as _};
use crate::store::{HandlerCommit, HandlerRecord};

/// T-428: each projection has rows, generations, a position, records and owners of its own.
pub async fn t_428_projections_do_not_mix(store: impl TestRows) {
    let first = store.build_active(NAME, 7).await;
    let other = store.build_active("owners", 1).await;
    let data = "{}".into();
    let parked =
        HandlerRecord { kind: "parked".into(), key: "a".to_owned(), position: 1, due_at: None, data };
    let commit = HandlerCommit::new().position(3).put(parked);
    store.write(&first, 0, ("a", "1"), commit).await.expect("it is owned");
    store.advance(&other, 0, ("a", "other")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
    assert_eq!(store.read("owners").await, rows([("a", "other")]));
    let claim = store.claim(&other).await;
    assert_eq!((claim.position, claim.records.len()), (1, 0));
    // What becomes of the generations of one is nothing to the other.
    let second = store.build(NAME, 8).await;
    store.store(NAME).activate(&second, 0, 3).await.expect("they are as far");
    assert_eq!(store.states(NAME).await, [(1, Kept, 3), (2, Active, 3)]);
    assert_eq!(store.states("owners").await, [(1, Active, 1)]);
    store.advance(&other, 1, ("b", "other")).await;
    assert_eq!(store.read("owners").await.len(), 2);
    assert!(store.read(NAME).await.is_empty());
}

/// Each projection has one generation that is built.
pub async fn projections_are_built_side_by_side(store: impl TestRows) {
    for name in [NAME, "owners"] {
        store.build(name, 1).await;
        let again = store.store(name).add(name, 1, LOG).await;
        assert!(matches!(again, Err(GenerationError::Building { .. })), "{again:?}");
    }
    for name in [NAME, "owners"] {
        assert_eq!(store.states(name).await, [(1, Building, 0)]);
        store.store(name).discard(name, 1).await.expect("readers do not see it");
        assert_eq!(store.states(name).await, []);
    }
}

/// A name is any text, and what differs stays apart.
pub async fn names_are_taken_literally(store: impl TestRows) {
    let long = "long-".repeat(60);
    let names =
        ["open accounts", "Öffnungen", "it's \"quoted\" \\; drop table x --", "a%b$c{d}", &long, "open-2"];
    for (number, name) in (1..).zip(names) {
        let place = store.build_active(name, 1).await;
        store.write(&place, 0, ("name", name), HandlerCommit::new().position(number)).await.expect("owned");
    }
    for (number, name) in (1..).zip(names) {
        assert_eq!(store.states(name).await, [(1, Active, number)], "{name}");
        assert_eq!(store.read(name).await, rows([("name", name)]));
        let next = store.build(name, 2).await;
        store.store(name).activate(&next, 0, number).await.expect("they are as far");
        assert!(store.read(name).await.is_empty());
        store.store(name).roll_back(name).await.expect("one is kept");
        assert_eq!(store.read(name).await, rows([("name", name)]));
    }
}

/// Handles to rows lead to the same ones.
pub async fn clones_lead_to_the_same_rows(store: impl TestRows) {
    let handle = store.store(NAME);
    let place = store.build_active(NAME, 1).await;
    let clone = handle.clone();
    assert_eq!(clone.generations(NAME).await.expect("generations can be read").len(), 1);
    let later = RowPlace { epoch: 2, ..place };
    clone.claim(&later).await.expect("nobody owns it later");
    store.advance(&later, 0, ("a", "1")).await;
    assert_eq!(handle.generations(NAME).await.expect("generations can be read")[0].position, 1);
}

//! Generations of rows: which there are, which is built, which are kept.

use std::collections::BTreeSet;

use super::rows::{LOG, NAME, Rows as _, TestRows, assert_fenced, rows};
use crate::projection::GenerationState::{Active, Building, Kept, RolledBack};
use crate::projection::{GenerationError, RowStore as _, RowTransaction as _};
use crate::store::HandlerCommit;

/// What a first look finds: a store of rows needs no preparation.
pub async fn a_projection_begins_without_generations(store: impl TestRows) {
    assert_eq!(store.states(NAME).await, []);
    assert!(store.read(NAME).await.is_empty());
    let nothing = store.store(NAME).roll_back(NAME).await;
    assert!(matches!(nothing, Err(GenerationError::NothingKept { .. })), "{nothing:?}");
    let unknown = store.store(NAME).discard(NAME, 1).await;
    assert!(matches!(unknown, Err(GenerationError::NoSuchGeneration { generation: 1, .. })), "{unknown:?}");
}

/// A generation can be begun before anybody has looked.
pub async fn a_generation_can_be_begun_at_once(store: impl TestRows) {
    assert_eq!(store.store(NAME).add(NAME, 1, LOG).await.expect("nothing is built"), 1);
    assert_eq!(store.states(NAME).await, [(1, Building, 0)]);
}

/// A generation is as it was begun.
pub async fn a_generation_describes_itself(store: impl TestRows) {
    let log = "postgres://\"log\"/ümlaut";
    let number = store.store(NAME).add(NAME, u32::MAX, log).await.expect("nothing is built");
    let all = store.generations(NAME).await;
    let [one] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((one.number, one.version, one.state, one.position), (number, u32::MAX, Building, 0));
    assert_eq!((&*one.log, one.is_held), (log, false));
    assert_eq!(store.generations(NAME).await[0].created_at, one.created_at, "it was begun once");
}

/// At most one is being built, also when several begin at once.
pub async fn one_generation_is_built_at_a_time(store: impl TestRows) {
    let add = async || store.store(NAME).add(NAME, 1, LOG).await;
    let begun = futures_util::future::join_all((0..8).map(|_| add())).await;
    let (begun, refused): (Vec<_>, Vec<_>) = begun.into_iter().partition(Result::is_ok);
    assert_eq!(begun.len(), 1, "{begun:?}");
    let is_building = |refused: &Result<u64, GenerationError>| match refused {
        Err(GenerationError::Building { projection }) => projection == NAME,
        _ => false,
    };
    assert!(refused.iter().all(is_building), "{refused:?}");
    assert_eq!(store.generations(NAME).await.len(), 1);
}

/// The next one may be begun when readers see the one that was built, or when it was discarded. Numbers grow, and none
/// comes again.
pub async fn numbers_are_given_once(store: impl TestRows) {
    let mut given = BTreeSet::new();
    let mut last = 0;
    for round in 1..=6 {
        let place = store.build(NAME, round).await;
        assert!(place.generation > last, "{} after {last}", place.generation);
        last = place.generation;
        assert!(given.insert(last));
        if round % 2 == 0 {
            store.store(NAME).activate(&place, 0, 0).await.expect("it is owned");
        } else {
            store.store(NAME).discard(NAME, last).await.expect("readers do not see it");
        }
    }
    assert_eq!(store.generations(NAME).await.len(), 3);
}

/// Whatever readers do not see can be discarded, once; what they see cannot.
pub async fn what_readers_do_not_see_can_be_discarded(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    store.advance(&first, 0, ("a", "1")).await;
    let second = store.build(NAME, 2).await;
    store.store(NAME).activate(&second, 0, 1).await.expect("it is owned");
    store.store(NAME).roll_back(NAME).await.expect("one is kept");
    let third = store.build(NAME, 3).await;
    let states = [(1, Active, 1), (2, RolledBack, 1), (3, Building, 0)];
    assert_eq!(store.states(NAME).await, states);
    let refused = |number: u64, result: Result<(), GenerationError>| match result {
        Err(GenerationError::NoSuchGeneration { projection, generation }) => {
            assert_eq!((&*projection, generation), (NAME, number));
        }
        other => panic!("generation {number}: {other:?}"),
    };
    for gone in [1, 4, u64::MAX] {
        refused(gone, store.store(NAME).discard(NAME, gone).await);
    }
    assert_eq!(store.states(NAME).await, states);
    for place in [second, third] {
        store.store(NAME).discard(NAME, place.generation).await.expect("readers do not see it");
        refused(place.generation, store.store(NAME).discard(NAME, place.generation).await);
        assert_fenced(store.store(NAME).claim(&place).await, &place);
    }
    assert_eq!(store.states(NAME).await, states[..1]);
    assert_eq!(store.read(NAME).await, rows([("a", "1")]));
}

/// Whoever builds what is discarded meanwhile writes nothing.
pub async fn what_is_discarded_takes_no_commits(store: impl TestRows) {
    let place = store.build(NAME, 1).await;
    let transaction = store.store(NAME).begin(&place).await.expect("it is owned");
    store.store(NAME).discard(NAME, place.generation).await.expect("readers do not see it");
    assert_fenced(transaction.commit(0, HandlerCommit::new().position(1)).await, &place);
    assert_fenced(store.store(NAME).activate(&place, 0, 0).await, &place);
    assert_eq!(store.states(NAME).await, []);
}

/// The way back leads to the rows that were kept last, as they were, step by step.
pub async fn the_way_back_leads_to_what_was_kept_last(store: impl TestRows) {
    for number in 1..=3 {
        let place = store.build(NAME, number).await;
        for position in 0..number {
            store.advance(&place, position, ("rows", &format!("{number} of {position}"))).await;
        }
        store.store(NAME).activate(&place, number, number).await.expect("it is owned");
    }
    assert_eq!(store.states(NAME).await, [(1, Kept, 1), (2, Kept, 2), (3, Active, 3)]);
    let back = async || store.store(NAME).roll_back(NAME).await;
    assert_eq!(back().await.expect("two are kept"), 2);
    assert_eq!(store.states(NAME).await, [(1, Kept, 1), (2, Active, 2), (3, RolledBack, 3)]);
    assert_eq!(store.read(NAME).await, rows([("rows", "2 of 1")]));
    assert_eq!(back().await.expect("one is kept"), 1);
    assert_eq!(store.read(NAME).await, rows([("rows", "1 of 0")]));
    let end = back().await;
    assert!(
        matches!(&end, Err(GenerationError::NothingKept { projection }) if projection == NAME),
        "{end:?}"
    );
    assert_eq!(store.states(NAME).await, [(1, Active, 1), (2, RolledBack, 2), (3, RolledBack, 3)]);
    assert_eq!(store.read(NAME).await, rows([("rows", "1 of 0")]));
}

/// After the way back the rows are owned anew, and are made from where they were.
pub async fn rows_that_are_given_back_go_on(store: impl TestRows) {
    let first = store.build_active(NAME, 1).await;
    store.advance(&first, 0, ("a", "1")).await;
    let second = store.build(NAME, 2).await;
    store.store(NAME).activate(&second, 0, 5).await.expect("it is owned");
    let second_claim = store.claim(&second).await;
    assert_eq!(second_claim.position, 5);
    let under_way = store.store(NAME).begin(&second).await.expect("it is owned");
    store.store(NAME).roll_back(NAME).await.expect("one is kept");
    assert_fenced(under_way.commit(5, HandlerCommit::new().position(6)).await, &second);
    let position = HandlerCommit::new().position(2);
    assert_fenced(store.write(&first, 1, ("b", "old"), position).await, &first);
    let claim = store.claim(&first).await;
    assert_eq!((claim.position, claim.is_made), (1, true));
    store.advance(&first, 1, ("b", "2")).await;
    assert_eq!(store.read(NAME).await, rows([("a", "1"), ("b", "2")]));
}

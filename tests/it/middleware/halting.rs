use cqrs::MemoryStore;
use cqrs::middleware::FailureKind;
use cqrs::prelude::*;

use super::domain::{Answer, Before, Plan, lamps, plan, switch};
use crate::support::log::sound_log;

// T-125, N-029, L-016: the failure hooks run for the layers that were entered, and for no others.
#[tokio::test]
async fn n_029_a_refusal_is_an_error_with_its_reason_and_its_layer() {
    let store = MemoryStore::new();
    let plans = [Plan::default(), plan(Before::Refuse), Plan::default()];
    let (lamps, record) = lamps(store.clone(), plans).await;
    let error = lamps.dispatch(switch(true)).await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Halted);
    let DispatchError::Halted { middleware, source, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((middleware, source.to_string().as_str()), ("Middle", "not today"));
    let expected = ["Outer before", "Middle before", "Middle failed Halted", "Outer failed Halted"];
    assert_eq!(record.take(), expected);
    assert!(sound_log(&store).await.is_empty());
    assert!(lamps.live_aggregates().is_empty());
    lamps.shutdown().await;
}

// T-125, E-011, E-014: an answer in the aggregate's stead is a success, with the aggregate as it stands.
#[tokio::test]
async fn t_125_a_layer_may_answer_by_itself() {
    let store = MemoryStore::new();
    let (first, _) = lamps(store.clone(), Default::default()).await;
    first.dispatch(switch(true)).await.unwrap();
    first.shutdown().await;

    let plans = [Plan::default(), plan(Before::Respond), Plan::default()];
    let (lamps, record) = lamps(store.clone(), plans).await;
    record.take();
    let dispatched = lamps.dispatch(switch(false)).consistency(Strong).await.unwrap();
    assert_eq!(dispatched.halted_by(), Some("Middle"));
    assert_eq!(dispatched.extensions().get::<Answer>(), Some(&Answer("Middle")));
    assert_eq!((dispatched.version(), dispatched.state().on), (1, true));
    assert_eq!((dispatched.position(), dispatched.events().len()), (None, 0));
    let expected = ["Outer before", "Middle before", "Middle after v1", "Outer after v1"];
    assert_eq!(record.take(), expected);
    assert_eq!(sound_log(&store).await.len(), 1);
    lamps.shutdown().await;
}

// E-010
#[tokio::test]
async fn e_010_without_a_halt_nobody_has_answered() {
    let (lamps, _) = lamps(MemoryStore::new(), Default::default()).await;
    let dispatched = lamps.dispatch(switch(true)).await.unwrap();
    assert_eq!(dispatched.halted_by(), None);
    assert!(dispatched.extensions().is_empty());
    lamps.shutdown().await;
}

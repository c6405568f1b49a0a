use cqrs::MemoryStore;
use cqrs::dispatch::PanicPlace;
use cqrs::prelude::*;

use super::domain::{Before, Plan, lamps, plan, switch};
use crate::support::log::sound_log;

// T-130, G10
#[tokio::test]
async fn t_130_a_panic_before_is_a_typed_error() {
    let store = MemoryStore::new();
    let plans = [Plan::default(), plan(Before::Panic), Plan::default()];
    let (lamps, record) = lamps(store.clone(), plans).await;
    let error = lamps.dispatch(switch(true)).await.unwrap_err();
    let DispatchError::Panicked { place, message, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!((place, message.as_str()), (PanicPlace::Middleware("Middle"), "before"));
    let expected = ["Outer before", "Middle before", "Middle failed Panicked", "Outer failed Panicked"];
    assert_eq!(record.take(), expected);
    assert!(sound_log(&store).await.is_empty());
    lamps.shutdown().await;
}

// T-130: the events are stored by then, and the other layers are left all the same.
#[tokio::test]
async fn t_130_a_panic_after_changes_nothing() {
    let plans = [Plan::default(), Plan { before: Before::Pass, panic_after: true }, Plan::default()];
    let (lamps, record) = lamps(MemoryStore::new(), plans).await;
    let dispatched = lamps.dispatch(switch(true)).await.unwrap();
    assert_eq!(dispatched.version(), 1);
    let notes = record.take();
    assert_eq!(notes.last().unwrap(), "Outer after v1");
    let error = lamps.dispatch(switch(true)).await.unwrap_err();
    assert!(error.rejection().is_some(), "{error:?}");
    assert_eq!(record.take().last().unwrap(), "Outer failed Rejected");
    lamps.shutdown().await;
}

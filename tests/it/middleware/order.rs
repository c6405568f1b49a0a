use cqrs::MemoryStore;
use cqrs::prelude::*;
use serde_json::json;

use super::domain::{lamps, switch};

// T-120, T-128
#[tokio::test]
async fn t_128_layers_form_an_onion_of_application_and_router() {
    let (lamps, record) = lamps(MemoryStore::new(), Default::default()).await;
    for version in 1..=2 {
        lamps.dispatch(switch(version == 1)).consistency(Strong).await.unwrap();
        let after = |layer| format!("{layer} after v{version}");
        let expected = [
            "Outer before".to_owned(),
            "Middle before".to_owned(),
            "Inner before".to_owned(),
            "handled".to_owned(),
            after("Inner"),
            after("Middle"),
            after("Outer"),
        ];
        assert_eq!(record.take(), expected);
    }
    lamps.shutdown().await;
}

// T-129: the hooks after success come when the handlers that were waited for have handled.
#[tokio::test]
async fn t_129_strong_consistency_lies_inside_the_layers() {
    let (lamps, record) = lamps(MemoryStore::new(), Default::default()).await;
    lamps.dispatch(switch(true)).consistency(Strong).await.unwrap();
    let notes = record.take();
    let place = |note: &str| notes.iter().position(|known| known == note).unwrap();
    assert!(place("handled") < place("Inner after v1"), "{notes:?}");
    lamps.shutdown().await;
}

// T-121
#[tokio::test]
async fn t_121_a_refusal_by_the_domain_leaves_through_the_failure_hooks() {
    let (lamps, record) = lamps(MemoryStore::new(), Default::default()).await;
    lamps.dispatch(switch(false)).await.unwrap_err();
    let expected = [
        "Outer before",
        "Middle before",
        "Inner before",
        "Inner failed Rejected",
        "Middle failed Rejected",
        "Outer failed Rejected",
    ];
    assert_eq!(record.take(), expected);
    lamps.shutdown().await;
}

#[tokio::test]
async fn a_command_by_name_goes_through_the_same_layers() {
    let (lamps, record) = lamps(MemoryStore::new(), Default::default()).await;
    lamps.dispatch(switch(true)).consistency(Strong).await.unwrap();
    let typed = record.take();
    lamps.dispatch_json("Switch", json!({ "id": "2", "on": true })).await.unwrap();
    let mut by_name = record.take();
    by_name.retain(|note| note != "handled");
    assert_eq!(by_name.len(), 6);
    assert!(by_name.iter().all(|note| typed.contains(note)), "{by_name:?}");
    lamps.shutdown().await;
}

// A command that no router carries meets no layer.
#[tokio::test]
async fn an_unknown_command_enters_no_layer() {
    let (lamps, record) = lamps(MemoryStore::new(), Default::default()).await;
    lamps.dispatch_json("Unheard", json!({})).await.unwrap_err();
    lamps.dispatch_json("Switch", json!({})).await.unwrap_err();
    assert!(record.take().is_empty());
    lamps.shutdown().await;
}

use cqrs::MemoryStore;
use cqrs::prelude::*;
use serde_json::{Value, json};

use super::domain::{Shop, name, shops};
use crate::support::log::{names_of, raw, write};

/// Stores an event of old, then a command and a handler meet it: the aggregate and the handler must be told
/// what is given.
async fn check(stored: (&'static str, u32, Value), aggregate: &[&str], handler: &[&str]) {
    let store = MemoryStore::new();
    let (event_type, version, data) = stored;
    write(&store, "shop-1", vec![raw(event_type, version, &data)]).await;
    let (shops, heard) = shops(store.clone()).await;

    let new = r#"Named { name: "new" }"#;
    let dispatched = shops.dispatch(name("1", "new")).consistency(Strong).await.unwrap();
    assert_eq!(dispatched.state().told, [aggregate, &[new]].concat());
    assert_eq!(dispatched.version(), 2, "a stored event counts once, whatever it becomes");
    assert_eq!(heard.take(), [handler, &[new]].concat());

    // What is stored stays as it was, and a replay gives the same as the live state.
    assert_eq!(names_of(&store, "shop-1").await, [event_type, "shop.Named"]);
    shops.shutdown().await;
    let (shops, heard) = super::domain::shops(store).await;
    let replayed = shops.aggregate_state::<Shop>("1").await.unwrap();
    assert_eq!((replayed.version, &replayed.state), (2, dispatched.state()));
    assert!(heard.take().is_empty(), "handled before the restart");
    shops.shutdown().await;
}

// N-024, T-341, DEF-020
#[tokio::test]
async fn n_024_an_old_payload_reaches_aggregates_and_handlers_in_its_present_shape() {
    let priced = &[r#"Priced { cents: 700, currency: "USD" }"#];
    let stored = json!({ "price": 7, "currency": "USD" });
    check(("shop.Priced", 2, stored), priced, priced).await;
}

#[tokio::test]
async fn n_024_upcasters_form_a_chain() {
    let priced = &[r#"Priced { cents: 700, currency: "EUR" }"#];
    check(("shop.Priced", 1, json!({ "price": 7 })), priced, priced).await;
}

#[tokio::test]
async fn an_event_in_its_present_shape_is_not_upcast() {
    let priced = &[r#"Priced { cents: 7, currency: "EUR" }"#];
    let stored = json!({ "cents": 7, "currency": "EUR" });
    check(("shop.Priced", 3, stored), priced, priced).await;
}

#[tokio::test]
async fn an_event_of_old_names_is_read() {
    let named = &[r#"Named { name: "corner" }"#];
    check(("shop.Titled", 1, json!({ "name": "corner" })), named, named).await;
    check(("shop.Called", 1, json!({ "name": "corner" })), named, named).await;
}

#[tokio::test]
async fn t_342_an_event_whose_type_is_gone_is_read_by_its_successor() {
    let priced = &[r#"Priced { cents: 700, currency: "EUR" }"#];
    check(("shop.Tagged", 1, json!({ "price": 7 })), priced, priced).await;
}

#[tokio::test]
async fn t_343_one_event_becomes_several_in_order() {
    let lines = [r#"LineAdded { article: "tea" }"#, r#"LineAdded { article: "jam" }"#];
    let all = [&["Ordered { lines: 2 }"], &lines[..]].concat();
    // The handler asked for lines only: it gets those that old orders hold.
    check(("shop.Ordered", 1, json!({ "lines": ["tea", "jam"] })), &all, &lines).await;
}

#[tokio::test]
async fn t_343_one_event_becomes_none() {
    check(("shop.Noticed", 1, json!(null)), &[], &[]).await;
}

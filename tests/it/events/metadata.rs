use cqrs::MemoryStore;
use cqrs::prelude::*;
use serde_json::json;

use super::domain::name;
use crate::events::domain::shops;
use crate::support::log::events_of;
use crate::support::tally::{add_each, tallies};

// T-036, E-072
#[tokio::test]
async fn t_036_metadata_is_stored_with_each_event() {
    let store = MemoryStore::new();
    let tallies = tallies(store.clone()).await;
    let dispatch = tallies.dispatch(add_each("1", &[1, 2]));
    let dispatched = dispatch.metadata("actor", "u-7").metadata("tags", json!(["a", "b"])).await.unwrap();
    assert_eq!(dispatched.metadata().get("actor"), Some(&json!("u-7")));
    let events = events_of(&store, "tally-1").await;
    assert_eq!(events.len(), 2);
    for event in events {
        assert_eq!(event.metadata.get("actor"), Some(&json!("u-7")));
        assert_eq!(event.metadata.get("tags"), Some(&json!(["a", "b"])));
        assert_eq!(event.metadata.iter().count(), 2, "nothing else");
    }
    tallies.shutdown().await;
}

// E-072, L-028: metadata and the envelope are two spaces.
#[tokio::test]
async fn e_072_metadata_never_stands_in_for_the_envelope() {
    let store = MemoryStore::new();
    let (shops, _) = shops(store.clone()).await;
    let dispatch = shops.dispatch(name("1", "new"));
    let envelope = ["version", "schema_version", "position", "stream_id", "event_id"];
    let dispatch = envelope.iter().fold(dispatch, |dispatch, &key| dispatch.metadata(key, 99));
    dispatch.consistency(Strong).await.unwrap();
    let event = &events_of(&store, "shop-1").await[0];
    assert_eq!((event.schema_version, event.position, event.stream_version), (1, 1, 1));
    assert_eq!(event.stream_id.as_str(), "shop-1");
    assert_eq!(event.metadata.get("version"), Some(&json!(99)));
    shops.shutdown().await;
}

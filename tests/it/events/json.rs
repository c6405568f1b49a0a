//! What events look like where they are stored.

use std::collections::BTreeMap;
use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::log::events_of;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Stop {
    Harbour { name: String },
    OpenSea { degrees: (i32, i32) },
}

/// Durations as minutes.
mod minutes {
    use super::*;

    pub fn serialize<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{} min", time.as_secs() / 60))
    }

    pub fn deserialize<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(deserializer)?;
        let minutes = text.strip_suffix(" min").and_then(|minutes| minutes.parse().ok());
        let minutes: u64 = minutes.ok_or_else(|| serde::de::Error::custom("no minutes"))?;
        Ok(Duration::from_secs(60 * minutes))
    }
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "ship.Sailed")]
#[serde(rename_all = "camelCase")]
pub struct Sailed {
    pub stops: Vec<Stop>,
    #[serde(with = "minutes")]
    pub time_at_sea: Duration,
    pub cargo: BTreeMap<String, Option<u64>>,
}

#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = ShipRouter, aggregate = Ship, identify_by = |_| 1)]
pub struct Sail(pub Vec<Sailed>);

#[derive(Default, Clone, Debug)]
pub struct Ship {
    logbook: Vec<Sailed>,
}

#[aggregate(stream_prefix = "ship")]
impl Ship {
    #[execute]
    fn sail(&self, command: &Sail) -> Vec<Sailed> {
        command.0.clone()
    }

    #[apply]
    fn sailed(&mut self, event: &Sailed) {
        self.logbook.push(event.clone());
    }
}

#[derive(Router)]
pub struct ShipRouter;

application! {
    pub struct Fleet {
        routers: [ShipRouter],
    }
}

/// E-056: without upcasters, an event is what was stored.
#[tokio::test]
async fn t_414_an_event_goes_through_json_and_back_with_all_that_is_in_it() {
    let store = MemoryStore::new();
    let sailed = Sailed {
        stops: vec![Stop::Harbour { name: "Łódź \"B\"".to_owned() }, Stop::OpenSea { degrees: (-12, 7) }],
        time_at_sea: Duration::from_secs(90 * 60),
        cargo: [("tea".to_owned(), Some(u64::MAX)), ("jam".to_owned(), None)].into(),
    };
    let empty = Sailed { stops: vec![], time_at_sea: Duration::ZERO, cargo: BTreeMap::new() };
    let logbook = vec![sailed, empty];
    let fleet = Fleet::builder(store.clone()).start().await.unwrap();
    fleet.dispatch(Sail(logbook.clone())).await.unwrap();
    fleet.shutdown().await;

    let stored = events_of(&store, "ship-1").await;
    let data: Vec<Value> = stored.iter().map(|event| serde_json::from_slice(&event.data).unwrap()).collect();
    let stops = json!([
        { "kind": "harbour", "name": "Łódź \"B\"" },
        { "kind": "open_sea", "degrees": [-12, 7] },
    ]);
    let cargo = json!({ "tea": u64::MAX, "jam": null });
    let expected = [
        json!({ "stops": stops, "timeAtSea": "90 min", "cargo": cargo }),
        json!({ "stops": [], "timeAtSea": "0 min", "cargo": {} }),
    ];
    assert_eq!(data, expected);
    assert!(stored.iter().all(|event| event.event_type == "ship.Sailed"));

    let fleet = Fleet::builder(store).start().await.unwrap();
    assert_eq!(fleet.aggregate_state::<Ship>("1").await.unwrap().state.logbook, logbook);
    fleet.shutdown().await;
}

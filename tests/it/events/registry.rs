use cqrs::MemoryStore;
use cqrs::application::{Builder, StartError, StartFault};
use cqrs::event::{EventSchema, RegistryFault};
use cqrs::prelude::*;
use serde::{Deserialize, Serialize};

use super::domain::{Priced, Shops, shops};

/// Takes a name that another type has had.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Impostor;

impl Event for Impostor {
    const SCHEMA: &'static EventSchema = &EventSchema::new("shop.Titled", 1).at("impostor.rs", 7);
}
cqrs::event::event_set_of_one!(Impostor);

/// Has a past that nobody can read.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Amnesiac;

impl Event for Amnesiac {
    const SCHEMA: &'static EventSchema = &EventSchema::new("shop.Amnesiac", 3).at("amnesiac.rs", 8);
}
cqrs::event::event_set_of_one!(Amnesiac);

/// Is not derived, hence not in the list of the program.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Guest;

impl Event for Guest {
    const SCHEMA: &'static EventSchema = &EventSchema::new("shop.Guest", 1).at("guest.rs", 9);
}
cqrs::event::event_set_of_one!(Guest);

async fn faults(builder: Builder<Shops>) -> Vec<StartFault> {
    match builder.start().await {
        Err(StartError::Invalid { faults, .. }) => faults,
        other => panic!("{other:?}"),
    }
}

// E-053, T-415
#[tokio::test]
async fn e_053_types_are_found_by_their_names_present_and_of_old() {
    let (shops, _) = shops(MemoryStore::new()).await;
    for name in ["shop.Priced", "shop.Tagged"] {
        let schema = shops.events().find(name).unwrap();
        assert_eq!((schema.name, schema.version), ("shop.Priced", 3));
    }
    assert_eq!(Priced::SCHEMA.name, "shop.Priced");
    assert!(shops.events().find("shop.Unheard").is_none());
    let names: Vec<_> = shops.events().events().map(|schema| schema.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    assert!(names.contains(&"shop.Named") && !names.contains(&"shop.Titled"));
    shops.shutdown().await;
}

#[tokio::test]
async fn two_types_of_one_name_are_refused_with_both_places() {
    let builder = Shops::builder(MemoryStore::new()).register_events::<Impostor>();
    let faults = faults(builder).await;
    let [StartFault::Event(RegistryFault::DuplicateName { name, first, second })] = &faults[..] else {
        panic!("{faults:?}");
    };
    assert_eq!((*name, second.as_str()), ("shop.Titled", "impostor.rs:7"));
    assert!(first.contains("domain.rs:"), "{first}");
}

#[tokio::test]
async fn all_faults_are_told_at_once() {
    let builder =
        Shops::builder(MemoryStore::new()).register_events::<Impostor>().register_events::<Amnesiac>();
    let faults = faults(builder).await;
    let missing: Vec<_> = faults
        .iter()
        .filter_map(|fault| match fault {
            StartFault::Event(RegistryFault::MissingUpcaster { name, from, .. }) => Some((*name, *from)),
            _ => None,
        })
        .collect();
    assert_eq!(missing, [("shop.Amnesiac", 1), ("shop.Amnesiac", 2)]);
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[tokio::test]
async fn a_type_that_is_registered_by_hand_is_known() {
    let builder = Shops::builder(MemoryStore::new()).register_events::<Guest>().register_events::<Guest>();
    let shops = builder.start().await.unwrap();
    assert_eq!(shops.events().find("shop.Guest").unwrap().file, "guest.rs");
    shops.shutdown().await;
}

//! Two crates, or two modules, that register one event name. The event types of a program are seen by every
//! application in it, hence a binary of its own.

#![expect(unreachable_pub, reason = "the modules read like crates")]

use cqrs::MemoryStore;
use cqrs::application::{StartError, StartFault};
use cqrs::event::RegistryFault;
use cqrs::prelude::*;

mod sales {
    use cqrs::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    pub struct Placed {}
}

mod shipping {
    use cqrs::prelude::*;
    use serde::{Deserialize, Serialize};

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    pub struct Placed {}

    #[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
    #[event(aliases = ["Placed"])]
    pub struct PutDown {}
}

#[derive(Router)]
struct NoRouter;

application! {
    struct Shop {
        routers: [NoRouter],
    }
}

// CA-002 (1)
#[tokio::test]
async fn ca_002_an_event_name_that_is_taken_twice_is_refused_with_both_places() {
    let error = Shop::builder(MemoryStore::new()).start().await.unwrap_err();
    let text = error.to_string();
    let StartError::Invalid { application, faults } = error else {
        panic!("{error:?}");
    };
    assert_eq!(application, "Shop");
    assert_eq!(faults.len(), 2, "{text}");
    let mut places = Vec::new();
    for fault in &faults {
        let StartFault::Event(RegistryFault::DuplicateName { name, first, second }) = fault else {
            panic!("{fault:?}");
        };
        assert_eq!(*name, "Placed");
        assert!(first.contains("duplicate_events.rs:") && second.contains("duplicate_events.rs:"), "{text}");
        assert_ne!(first, second);
        places.push(second.clone());
    }
    assert_ne!(places[0], places[1], "the type and the alias");
    assert!(text.contains("#[event(name = "), "the message names the cure: {text}");

    // Both are types of this program; to use them is not needed for the conflict.
    let _ = (sales::Placed {}, shipping::Placed {}, shipping::PutDown {});
}

//! Several process managers in one application.

use cqrs::MemoryStore;
use cqrs::prelude::*;
use cqrs::testing::settle;
use serde::{Deserialize, Serialize};

use super::domain::*;

/// Counts what each job is told.
#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq)]
pub struct Counter {
    count: u64,
}

#[process_manager(name = "counter", interested_in = [Told], error = Broken)]
impl Counter {
    #[on(with = interest)]
    fn told(&mut self, _event: &Told, process: &mut Process) -> Result<(), Broken> {
        self.count += 1;
        process.send(Do { task: process.instance().to_owned(), what: format!("count {}", self.count) });
        Ok(())
    }
}

application! {
    struct Office {
        routers: [JobRouter],
        process_managers: [Foreman, Counter],
    }
}

/// Instances of one name are each process manager's own, with the commands that they send.
#[tokio::test]
async fn n_019_def_015_instances_of_one_name_are_kept_apart() {
    let store = MemoryStore::new();
    let office = Office::builder(store.clone()).start().await.unwrap();
    for word in ["start:do=1", "go:do=2", "stop"] {
        office.dispatch(tell("a", word)).await.unwrap();
        settle(&office).within(LIMIT).await;
        let state = async |manager| {
            let instance = office.process_manager(manager).unwrap().instance("a").await.unwrap();
            instance.map(|instance| instance.state)
        };
        match word {
            "start:do=1" => {
                assert_eq!(state("foreman").await.unwrap()["words"], serde_json::json!([word]));
                assert_eq!(state("counter").await.unwrap(), serde_json::json!({ "count": 1 }));
            }
            "go:do=2" => assert_eq!(state("counter").await.unwrap(), serde_json::json!({ "count": 2 })),
            _ => assert_eq!((state("foreman").await, state("counter").await), (None, None)),
        }
    }
    let mut all = done(&store, "a").await;
    all.sort_unstable();
    assert_eq!(all, ["1", "2", "count 1", "count 2", "count 3"]);
    office.shutdown().await;
}

//! Aggregates whose commands are given up, whose runtime goes away, or whose stream is deleted: none is lost
//! for the commands that come after.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cqrs::prelude::*;
use cqrs::store::{Deletion, EventStore, ExpectedVersion, StreamId};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[event(name = "abandoned.Rung")]
pub struct Rung;

#[derive(Router)]
pub struct BellRouter;

/// Decided by a service that does not answer the first time.
#[derive(Command, Serialize, Deserialize)]
#[command(name = "abandoned.Ask", router = BellRouter, aggregate = Bell, identify_by = id, handler = Service)]
pub struct Ask {
    pub id: u64,
}

#[derive(Command, Serialize, Deserialize)]
#[command(name = "abandoned.Ring", router = BellRouter, aggregate = Bell, identify_by = id)]
pub struct Ring {
    pub id: u64,
}

#[derive(Default, Clone)]
pub struct Bell {
    rings: u64,
}

#[aggregate(stream_prefix = "abandoned_bell")]
impl Bell {
    #[execute]
    fn ring(&self, _: &Ring) -> Rung {
        Rung
    }

    #[apply]
    fn rung(&mut self, _: &Rung) {
        self.rings += 1;
    }
}

#[derive(Clone, Default)]
pub struct Service {
    calls: Arc<AtomicUsize>,
    called: Arc<Notify>,
}

#[command_handler(aggregate = Bell)]
impl Service {
    #[execute]
    async fn ask(&self, _: &Bell, _: &Ask) -> Rung {
        self.called.notify_one();
        if self.calls.fetch_add(1, Ordering::SeqCst) == 0 {
            std::future::pending::<()>().await;
        }
        Rung
    }
}

application! {
    pub struct Bells {
        routers: [BellRouter],
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_hangs_ends_with_its_caller() {
    let bells = Bells::builder(MemoryStore::new()).command_handler(Service::default()).start().await.unwrap();
    let first = bells.dispatch(Ask { id: 1 }).timeout(Duration::from_secs(1)).await;
    assert!(matches!(first, Err(DispatchError::Timeout { .. })));
    assert_eq!(bells.dispatch(Ring { id: 1 }).await.unwrap().version(), 1);
    assert!(bells.shutdown().await.is_clean());
}

#[test]
fn an_aggregate_outlives_the_runtime_of_its_caller() {
    let runtime = |threads| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
    };
    let (home, abroad) = (runtime(1), runtime(1));
    let service = Service::default();
    let bells = home.block_on(async {
        let builder = Bells::builder(MemoryStore::new()).command_handler(service.clone());
        builder.start().await.unwrap()
    });
    let asking = bells.clone();
    let dispatch = abroad.spawn(async move { asking.dispatch(Ask { id: 1 }).no_timeout().await.is_ok() });
    abroad.block_on(service.called.notified());
    drop(abroad);
    drop(dispatch);
    home.block_on(async {
        assert_eq!(bells.dispatch(Ring { id: 1 }).await.unwrap().version(), 1);
        bells.shutdown().await;
    });
}

#[tokio::test(start_paused = true)]
async fn a_hard_deletion_is_noticed_by_a_live_aggregate() {
    let store = MemoryStore::builder().allow_hard_deletion().build();
    let bells = Bells::builder(store.clone()).command_handler(Service::default()).start().await.unwrap();
    let stream_id = StreamId::new("abandoned_bell-1").unwrap();
    for _ in 0..3 {
        bells.dispatch(Ring { id: 1 }).await.unwrap();
    }
    store.delete_stream(&stream_id, ExpectedVersion::Any, Deletion::Hard).await.unwrap();

    let expecting = bells.dispatch(Ring { id: 1 }).expected_version(3).no_timeout().await.unwrap_err();
    assert!(
        matches!(expecting, DispatchError::WrongExpectedVersion { expected: 3, actual: 0, .. }),
        "{expecting:?}"
    );

    bells.dispatch(Ring { id: 1 }).await.unwrap();
    bells.dispatch(Ring { id: 1 }).await.unwrap();
    store.delete_stream(&stream_id, ExpectedVersion::Any, Deletion::Hard).await.unwrap();
    let rung = bells.dispatch(Ring { id: 1 }).await.unwrap();
    assert_eq!((rung.version(), rung.state().rings), (1, 1));
}

//! One plant in several programs, which differ in how they keep snapshots; and a snapshot store that tells.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use cqrs::MemoryStore;
use cqrs::aggregate::AggregateLifespan;
use cqrs::prelude::*;
use cqrs::store::{Snapshot, SnapshotStore, StoreError, StreamId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::watch;

use crate::support::gate::Gate;
use crate::support::log::stream;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "plant.Grown")]
pub struct Grown;

#[derive(Debug, thiserror::Error)]
#[error("it is winter")]
pub struct Winter;

macro_rules! plants {
    ($($program:ident { $($option:tt)* })*) => {
        $(
            pub mod $program {
                use cqrs::prelude::*;
                use serde::{Deserialize, Serialize};

                #[derive(Command, Serialize, Deserialize, Clone, Debug)]
                #[command(router = PlantRouter, aggregate = Plant, identify_by = id)]
                pub struct Grow {
                    pub id: u32,
                    pub by: u64,
                    pub in_winter: bool,
                }

                #[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
                pub struct Plant {
                    pub height: u64,
                }

                #[aggregate(stream_prefix = "plant", error = super::Winter, $($option)*)]
                impl Plant {
                    #[execute]
                    fn grow(&self, command: &Grow) -> Result<Vec<super::Grown>, super::Winter> {
                        if command.in_winter {
                            return Err(super::Winter);
                        }
                        Ok((0..command.by).map(|_| super::Grown).collect())
                    }

                    #[apply]
                    fn grown(&mut self, _event: &super::Grown) {
                        self.height += 1;
                    }
                }

                #[derive(Router)]
                pub struct PlantRouter;

                application! {
                    pub struct Garden {
                        routers: [PlantRouter],
                    }
                }

                pub fn grow(by: u64) -> Grow {
                    Grow { id: 1, by, in_winter: false }
                }

                /// The program on a store for events and one for snapshots.
                pub async fn garden(store: &cqrs::MemoryStore, snapshots: &super::Snapshots) -> Garden {
                    let builder = Garden::builder(store.clone()).snapshots(snapshots.clone());
                    builder.start().await.unwrap()
                }
            }
        )*
    };
}

plants! {
    never {}
    every_none { snapshot_every = 0 }
    every_1 { snapshot_every = 1 }
    every_3 { snapshot_every = 3 }
    every_5 { snapshot_every = 5 }
    every_10 { snapshot_every = 10 }
    second_version { snapshot_every = 10, snapshot_version = 2 }
    on_passivation { snapshot_on_passivation }
    stopping { snapshot_every = 2, lifespan = super::Brief }
    stopping_after_snapshot { snapshot_every = 1_000, lifespan = super::Farewell }
}

/// Nothing stays.
pub struct Brief;

impl<A: Aggregate> AggregateLifespan<A> for Brief {
    fn after_event(_event: &A::Event) -> Lifespan {
        Lifespan::Stop
    }
}

/// Nothing stays without a snapshot.
pub struct Farewell;

impl<A: Aggregate> AggregateLifespan<A> for Farewell {
    fn after_event(_event: &A::Event) -> Lifespan {
        Lifespan::StopAfterSnapshot
    }
}

/// What goes wrong in a snapshot store.
#[derive(Clone, Debug, Default)]
pub enum Fault {
    #[default]
    None,
    Fail,
    Panic,
    Hold(Gate),
}

impl Fault {
    async fn happen(&self) -> Result<(), StoreError> {
        match self {
            Self::None => Ok(()),
            Self::Fail => Err(StoreError::Unavailable("unplugged".into())),
            Self::Panic => panic!("a snapshot store panics"),
            Self::Hold(gate) => {
                gate.pass().await;
                Ok(())
            }
        }
    }
}

/// A snapshot store that remembers what came, and may fail.
#[derive(Clone, Debug)]
pub struct Snapshots {
    inner: MemoryStore,
    pub on_save: Arc<Mutex<Fault>>,
    pub on_load: Arc<Mutex<Fault>>,
    came: Arc<watch::Sender<Vec<u64>>>,
}

impl Snapshots {
    pub fn new() -> Self {
        Self {
            inner: MemoryStore::new(),
            on_save: Arc::default(),
            on_load: Arc::default(),
            came: Arc::default(),
        }
    }

    pub fn failing(on_save: Fault, on_load: Fault) -> Self {
        let snapshots = Self::new();
        *snapshots.on_save.lock().unwrap() = on_save;
        *snapshots.on_load.lock().unwrap() = on_load;
        snapshots
    }

    /// The versions of the snapshots that came, failed ones included.
    pub fn came(&self) -> Vec<u64> {
        self.came.borrow().clone()
    }

    /// Waits until so many have come.
    pub async fn wait_for(&self, count: usize) {
        let mut came = self.came.subscribe();
        came.wait_for(|came| came.len() >= count).await.unwrap();
    }

    /// The snapshot that is kept.
    pub async fn kept(&self) -> Option<Snapshot> {
        self.inner.latest_snapshot(&stream("plant-1")).await.unwrap()
    }

    /// Puts a snapshot of a plant in, whose height tells it from all that events make.
    pub async fn forge(&self, version: u64) {
        self.forge_with(version, |_| {}).await;
    }

    pub async fn forge_with(&self, version: u64, change: impl FnOnce(&mut Snapshot)) {
        let mut snapshot = Snapshot {
            stream_id: stream("plant-1"),
            version,
            state_type: "Plant".to_owned(),
            schema_version: 1,
            data: Bytes::from(json!({ "height": FORGED }).to_string()),
            created_at: chrono::DateTime::UNIX_EPOCH,
        };
        change(&mut snapshot);
        self.inner.save_snapshot(snapshot).await.unwrap();
    }
}

/// The height in a forged snapshot.
pub const FORGED: u64 = 1_000;

#[async_trait]
impl SnapshotStore for Snapshots {
    async fn save_snapshot(&self, snapshot: Snapshot) -> Result<(), StoreError> {
        self.came.send_modify(|came| came.push(snapshot.version));
        let fault = self.on_save.lock().unwrap().clone();
        fault.happen().await?;
        self.inner.save_snapshot(snapshot).await
    }

    async fn latest_snapshot(&self, stream_id: &StreamId) -> Result<Option<Snapshot>, StoreError> {
        let fault = self.on_load.lock().unwrap().clone();
        fault.happen().await?;
        self.inner.latest_snapshot(stream_id).await
    }

    async fn delete_snapshot(&self, stream_id: &StreamId) -> Result<(), StoreError> {
        self.inner.delete_snapshot(stream_id).await
    }
}

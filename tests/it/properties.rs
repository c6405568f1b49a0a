//! What holds for any interleaving and any history.

use cqrs::MemoryStore;
use cqrs::application::Config;
use cqrs::prelude::*;
use cqrs::store::{EventStore as _, SnapshotStore as _};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::support::log::{events_of, sound_log, stream};
use crate::support::store::ScriptedStore;

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "vault.Put")]
pub struct Put {
    pub amount: u64,
}

#[derive(Event, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[event(name = "vault.Got")]
pub struct Got {
    pub amount: u64,
}

/// Puts amounts in and gets others out, all or nothing.
#[derive(Command, Serialize, Deserialize, Clone, Debug)]
#[command(router = VaultRouter, aggregate = Vault, identify_by = id, retry_attempts = 10_000, timeout = "30s")]
pub struct Move {
    pub id: u8,
    pub amounts: Vec<i8>,
}

#[derive(Debug, thiserror::Error)]
#[error("not enough")]
pub struct NotEnough;

#[derive(Default, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Vault {
    pub amount: u64,
    pub moves: Vec<i64>,
}

#[aggregate(stream_prefix = "vault", error = NotEnough, snapshot_every = 3)]
impl Vault {
    #[execute]
    fn execute_move(&self, command: &Move, emitter: &mut Emitter<'_, Self>) -> Result<(), NotEnough> {
        for &amount in &command.amounts {
            let size = u64::from(amount.unsigned_abs());
            if amount >= 0 {
                emitter.emit(Put { amount: size });
            } else if emitter.state().amount < size {
                return Err(NotEnough);
            } else {
                emitter.emit(Got { amount: size });
            }
        }
        Ok(())
    }

    #[apply]
    fn put(&mut self, event: &Put) {
        self.amount += event.amount;
        self.moves.push(i64::try_from(event.amount).unwrap());
    }

    #[apply]
    fn got(&mut self, event: &Got) {
        self.amount -= event.amount;
        self.moves.push(-i64::try_from(event.amount).unwrap());
    }
}

#[derive(Router)]
pub struct VaultRouter;

application! {
    pub struct Bank {
        routers: [VaultRouter],
    }
}

async fn bank(store: &MemoryStore, node: &str) -> Bank {
    // Few live aggregates and small pages: eviction, replay and snapshots all take part.
    let config = Config::new().max_live_aggregates(2).replay_page(2);
    let slow = ScriptedStore::slow(store.clone());
    Bank::builder(slow).node(node).config(config).start().await.unwrap()
}

fn commands() -> impl Strategy<Value = Vec<(u8, Move)>> {
    let amounts = prop::collection::vec(-20_i8..=30, 0..5);
    let command = (0..3_u8, 0..3_u8, amounts).prop_map(|(node, id, amounts)| (node, Move { id, amounts }));
    prop::collection::vec(command, 1..40)
}

fn run<F: Future<Output = Result<(), TestCaseError>>>(threads: usize, test: F) -> Result<(), TestCaseError> {
    let mut builder = match threads {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.worker_threads(threads).enable_all().build().unwrap().block_on(test)
}

/// What an aggregate is without any store, after the commands that were accepted, in the order of their versions.
fn expected(accepted: &[(u64, Vec<i8>)]) -> Vec<i64> {
    accepted.iter().flat_map(|(_, amounts)| amounts).map(|&amount| i64::from(amount)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// G2, G3, G4: commands from three nodes at once are all or nothing, in one order, without hole or duplicate.
    #[test]
    fn any_interleaving_of_nodes_keeps_the_guarantees(commands in commands()) {
        run(3, async {
            let store = MemoryStore::new();
            let nodes = [bank(&store, "a").await, bank(&store, "b").await, bank(&store, "c").await];
            let mut dispatches = JoinSet::new();
            for (node, command) in commands {
                let node = nodes[usize::from(node)].clone();
                dispatches.spawn(async move {
                    match node.dispatch(command.clone()).await {
                        Ok(dispatched) => Some((command.id, dispatched.version(), command.amounts)),
                        Err(DispatchError::Rejected(NotEnough)) => None,
                        Err(other) => panic!("{other:?}"),
                    }
                });
            }
            let accepted: Vec<_> = dispatches.join_all().await.into_iter().flatten().collect();
            let log = sound_log(&store).await;
            let events: usize = accepted.iter().map(|(.., amounts)| amounts.len()).sum();
            prop_assert_eq!(log.len(), events, "all events of a command or none");
            for id in 0..3 {
                let of_id = accepted.iter().filter(|(of, _, amounts)| *of == id && !amounts.is_empty());
                let mut of_id: Vec<_> = of_id.map(|(_, version, amounts)| (*version, amounts.clone())).collect();
                of_id.sort_unstable_by_key(|(version, _)| *version);
                for node in &nodes {
                    let state = node.aggregate_state::<Vault>(id).await.unwrap();
                    prop_assert_eq!(&state.state.moves, &expected(&of_id));
                    prop_assert_eq!(state.version, state.state.moves.len() as u64);
                }
            }
            for node in nodes {
                node.shutdown().await;
            }
            Ok(())
        })?;
    }

    /// A replay from the beginning, from any snapshot on the way, and the live state are one state.
    #[test]
    fn replay_and_snapshot_and_live_state_agree(commands in commands()) {
        run(1, async {
            let store = MemoryStore::new();
            let live = bank(&store, "live").await;
            let mut snapshots = Vec::new();
            for (_, mut command) in commands {
                command.id = 0;
                let _ = live.dispatch(command).await;
                snapshots.extend(store.latest_snapshot(&stream("vault-0")).await.unwrap());
            }
            let state = live.aggregate_state::<Vault>(0).await.unwrap();
            live.shutdown().await;
            prop_assert_eq!(events_of(&store, "vault-0").await.len() as u64, state.version);
            snapshots.dedup();
            for snapshot in snapshots {
                store.delete_snapshot(&snapshot.stream_id).await.unwrap();
                store.save_snapshot(snapshot).await.unwrap();
                let restored = bank(&store, "restored").await;
                let found = restored.aggregate_state::<Vault>(0).await.unwrap();
                prop_assert_eq!((found.version, &found.state), (state.version, &state.state));
                restored.shutdown().await;
            }
            store.delete_snapshot(&stream("vault-0")).await.unwrap();
            let replayed = bank(&store, "replayed").await;
            let found = replayed.aggregate_state::<Vault>(0).await.unwrap();
            prop_assert_eq!((found.version, &found.state), (state.version, &state.state));
            prop_assert_eq!(store.head().await.unwrap(), state.version);
            replayed.shutdown().await;
            Ok(())
        })?;
    }
}

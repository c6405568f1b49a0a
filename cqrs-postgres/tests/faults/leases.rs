use std::time::Duration;

use cqrs_core::id::NodeId;
use cqrs_core::store::{CheckpointError, CheckpointStore as _, LeaseStore as _};
use cqrs_postgres::{PostgresConfig, PostgresStore};
use nix::sys::signal::Signal;

use crate::children::{ChildProcess, hear, tell};
use crate::support::{NEVER, config, in_time, open, shared, sql};

/// Long enough for an owner that is alive on a busy machine.
const TTL: Duration = Duration::from_secs(2);

/// The child: takes the lease, prolongs it all the time, and saves its checkpoint whenever it is told to.
pub(crate) async fn own(url: &str, schema: &str) {
    let store = PostgresStore::connect(PostgresConfig::new(url).schema(schema)).await.unwrap();
    let owner = NodeId::new();
    let epoch = store.acquire_lease("handler", owner, TTL).await.unwrap().unwrap();
    tell(&epoch.to_string());
    let prolong = async {
        loop {
            tokio::time::sleep(TTL / 6).await;
            store.renew_leases(owner, TTL).await.unwrap();
        }
    };
    let save = async {
        while let Some(position) = hear().await {
            match store.save_checkpoint("handler", position.parse().unwrap(), epoch).await {
                Ok(()) => tell("saved"),
                Err(CheckpointError::Fenced { .. }) => tell("fenced"),
                Err(error) => tell(&error.to_string()),
            }
        }
    };
    tokio::select! { () = prolong => {}, () = save => {} }
}

/// An owner is stopped for longer than its lease, another takes it, and the first one goes on as if nothing were
/// (H14): what it has handled meanwhile does not count.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_121_a_paused_owner_is_fenced() {
    let schema = shared().await;
    let store = open(config(&schema)).await;
    let mut owner = ChildProcess::start("owner", schema.url(), schema.name());
    let old: u64 = owner.hear().await.parse().unwrap();
    owner.tell("5").await;
    assert_eq!(owner.hear().await, "saved");
    assert_eq!(store.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap(), None);

    owner.send(Signal::SIGSTOP);
    // The database's time, which is the one that counts.
    in_time(sql(
        &schema,
        "select pg_sleep(extract(epoch from lease_until - clock_timestamp()) + 0.01) from subscriptions",
    ))
    .await;
    // What the owner had sent before it stopped can prolong the lease once more.
    let new = in_time(async {
        loop {
            if let Some(epoch) = store.acquire_lease("handler", NodeId::new(), NEVER).await.unwrap() {
                break epoch;
            }
        }
    })
    .await;
    assert!(new > old);
    owner.tell("9").await;
    owner.send(Signal::SIGCONT);
    assert_eq!(owner.hear().await, "fenced");
    assert_eq!(store.checkpoint("handler").await.unwrap(), Some(5));
    store.save_checkpoint("handler", 7, new).await.unwrap();
    owner.tell("10").await;
    assert_eq!(owner.hear().await, "fenced");
    assert_eq!(store.checkpoint("handler").await.unwrap(), Some(7));
}

/// An owner that is killed is followed by another one when its lease is over, and by one of two only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_098_a_killed_owner_is_followed_by_one() {
    let schema = shared().await;
    let (store, other) = (open(config(&schema)).await, open(config(&schema)).await);
    let mut owner = ChildProcess::start("owner", schema.url(), schema.name());
    let old: u64 = owner.hear().await.parse().unwrap();
    owner.send(Signal::SIGKILL);
    owner.end().await;
    let epoch = in_time(async {
        loop {
            let (one, two) = tokio::join!(
                store.acquire_lease("handler", NodeId::new(), NEVER),
                other.acquire_lease("handler", NodeId::new(), NEVER)
            );
            match (one.unwrap(), two.unwrap()) {
                (None, None) => {}
                (Some(epoch), None) | (None, Some(epoch)) => break epoch,
                (Some(one), Some(two)) => panic!("both own it, in epochs {one} and {two}"),
            }
        }
    })
    .await;
    assert!(epoch > old);
}

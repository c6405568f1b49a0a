use std::time::Duration;

use cqrs::MemoryStore;
use cqrs::application::Config;

use super::domain::{Snapshots, on_passivation, stopping, stopping_after_snapshot};

// E-034
#[tokio::test(start_paused = true)]
async fn e_034_a_snapshot_when_the_lifespan_ends() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = on_passivation::garden(&store, &snapshots).await;
    garden.dispatch(on_passivation::grow(3)).await.unwrap();
    garden.dispatch(on_passivation::grow(1)).await.unwrap();
    assert!(snapshots.came().is_empty());
    tokio::time::sleep(Duration::from_secs(31 * 60)).await;
    assert!(garden.live_aggregates().is_empty());
    assert_eq!(snapshots.came(), [4]);
    // Nothing new, no new one.
    garden.dispatch(on_passivation::grow(0)).await.unwrap();
    tokio::time::sleep(Duration::from_secs(31 * 60)).await;
    assert!(garden.live_aggregates().is_empty());
    garden.shutdown().await;
    assert_eq!(snapshots.came(), [4]);
    assert_eq!(snapshots.kept().await.unwrap().data, r#"{"height":4}"#);
}

// N-027 in part: pushed out by the bound.
#[tokio::test]
async fn a_snapshot_when_the_bound_pushes_an_instance_out() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let builder = on_passivation::Garden::builder(store).snapshots(snapshots.clone());
    let garden = builder.config(Config::new().max_live_aggregates(1)).start().await.unwrap();
    garden.dispatch(on_passivation::grow(2)).await.unwrap();
    let other = on_passivation::Grow { id: 2, by: 1, in_winter: false };
    garden.dispatch(other).await.unwrap();
    garden.shutdown().await;
    assert_eq!(snapshots.came(), [2]);
    assert_eq!(snapshots.kept().await.unwrap().version, 2);
}

// T-176
#[tokio::test]
async fn t_176_a_snapshot_that_is_due_on_the_command_that_stops() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = stopping::garden(&store, &snapshots).await;
    for version in 1..=5 {
        assert_eq!(garden.dispatch(stopping::grow(1)).await.unwrap().version(), version);
        assert!(garden.live_aggregates().is_empty());
        // Saved in the background; the next load counts from it.
        snapshots.wait_for(usize::try_from(version / 2).unwrap()).await;
        tokio::task::yield_now().await;
    }
    garden.shutdown().await;
    assert_eq!(snapshots.came(), [2, 4]);
}

#[tokio::test]
async fn a_lifespan_may_ask_for_a_snapshot_before_it_ends() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let garden = stopping_after_snapshot::garden(&store, &snapshots).await;
    garden.dispatch(stopping_after_snapshot::grow(3)).await.unwrap();
    assert!(garden.live_aggregates().is_empty());
    garden.shutdown().await;
    assert_eq!(snapshots.came(), [3]);
}

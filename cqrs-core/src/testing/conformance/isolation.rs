//! Two stores have nothing in common.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};

use super::fixture::{Calls as _, Leases as _, append_of, events, state, stream, to};
use crate::id::NodeId;
use crate::store::{ExpectedVersion, Snapshot, Store};

/// Two stores are told apart.
pub async fn two_stores_have_two_identities(first: Arc<dyn Store>, second: Arc<dyn Store>) {
    assert_ne!(first.identity(), second.identity());
}

/// The same append, with the same ids and streams, happens in each.
pub async fn n_008_one_append_happens_in_each_store(first: Arc<dyn Store>, second: Arc<dyn Store>) {
    let account = stream("account-1");
    let append =
        append_of([to(&account, ExpectedVersion::NoStream, events(2)), state(&stream("state-1"), 0, 1)]);
    for store in [&first, &second] {
        let made = store.append(append.clone()).await.expect("the stream is new");
        assert!(!made.repeated);
        assert_eq!(store.events_of(&account).await.len(), 2);
    }
    first.write(&account, 1).await;
    assert_eq!((first.position().await, second.position().await), (3, 2));
    assert!(*second.watch_head().borrow() <= 2);
}

/// Nothing that is kept in one is found in the other.
pub async fn nothing_crosses_from_store_to_store(first: Arc<dyn Store>, second: Arc<dyn Store>) {
    let account = stream("account-1");
    let append = append_of([to(&account, ExpectedVersion::Any, events(2)), state(&stream("state-1"), 0, 1)]);
    first.append(append.clone()).await.expect("nothing is expected");
    first.save("balances", 2).await;
    let snapshot = Snapshot {
        stream_id: account.clone(),
        version: 2,
        state_type: "Account".to_owned(),
        schema_version: 1,
        data: Bytes::from_static(b"{}"),
        created_at: DateTime::<Utc>::UNIX_EPOCH,
    };
    first.save_snapshot(snapshot).await.expect("snapshots can be saved");
    first.bind("bank").await.expect("the store has no owner");

    assert!(second.log().await.is_empty());
    assert_eq!(second.info(&account).await, None);
    assert_eq!(second.outcome(append.id).await.expect("outcomes can be read"), None);
    assert_eq!(second.stored_state(&stream("state-1")).await.expect("states can be read"), None);
    assert_eq!(second.checkpoint("balances").await.expect("checkpoints can be read"), None);
    assert_eq!(second.latest_snapshot(&account).await.expect("snapshots can be read"), None);
    second.bind("shop").await.expect("the store has no owner");
}

/// A lease of one store says nothing about the other, be it of the same owner and name.
pub async fn leases_do_not_cross_from_store_to_store(first: Arc<dyn Store>, second: Arc<dyn Store>) {
    const LONG: Duration = Duration::from_secs(3_600);
    let (owner, other) = (NodeId::new(), NodeId::new());
    let epoch = first.take("balances", owner, LONG).await.expect("nobody has it");
    assert_eq!(second.held(owner).await, []);
    assert!(second.save_checkpoint("balances", 1, epoch).await.is_err());
    let foreign = second.take("balances", other, LONG).await.expect("nobody has it here");
    second.release_lease("balances", foreign).await.expect("leases can be given back");
    assert_eq!(first.held(owner).await, [("balances".to_owned(), epoch)]);
    assert_eq!(first.take("balances", other, LONG).await, None);
}

//! Whose store it is, and which.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::fixture::{Calls as _, stream};
use crate::store::{BindError, Store};

/// The identity of a store stays as it is.
pub async fn an_identity_stays_the_same(store: Arc<dyn Store>) {
    let before = store.identity();
    store.write(&stream("account-1"), 1).await;
    store.bind("bank").await.expect("the store has no owner");
    assert_eq!(store.identity(), before);
    assert_eq!(store.identity().to_string(), before.to_string());
    assert!(!before.to_string().is_empty());
}

/// The first application that binds a store owns it; it may come again.
pub async fn the_first_application_owns_the_store(store: Arc<dyn Store>) {
    for _ in 0..2 {
        store.bind("bank").await.expect("the store has no other owner");
        match store.bind("shop").await {
            Err(BindError::OwnedByAnother { owner, application }) => {
                assert_eq!((owner.as_str(), application.as_str()), ("bank", "shop"));
            }
            other => panic!("expected another owner, found {other:?}"),
        }
    }
    for other in ["Bank", "bank ", ""] {
        let refused = store.bind(other).await;
        assert!(matches!(refused, Err(BindError::OwnedByAnother { .. })), "{other:?}: {refused:?}");
    }
}

/// Of applications that bind at once, one becomes the owner.
pub async fn of_concurrent_applications_one_becomes_the_owner(store: Arc<dyn Store>) {
    let mut applications = JoinSet::new();
    for number in 0..10 {
        let store = Arc::clone(&store);
        applications.spawn(async move {
            let name = format!("application-{number}");
            store.bind(&name).await.map(|()| name)
        });
    }
    let (bound, refused): (Vec<_>, Vec<_>) =
        applications.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!(bound.len(), 1, "{bound:?}");
    let winner = bound.into_iter().find_map(Result::ok);
    for refusal in refused {
        match refusal {
            Err(BindError::OwnedByAnother { owner, .. }) => assert_eq!(Some(owner), winner),
            other => panic!("expected another owner, found {other:?}"),
        }
    }
}

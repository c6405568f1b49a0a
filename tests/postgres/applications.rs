//! One application on one schema, and several side by side.

use cqrs::application::StartError;
use cqrs::dispatch::DispatchError;
use cqrs::prelude::*;
use cqrs::store::{EventFilter, EventStore as _, SnapshotStore as _, StreamId};
use futures_util::future::join_all;

use crate::domain::{Account, TooLittle, bank, draw, in_time, pay, schema, store};

/// What was acknowledged is there for the next process, with its snapshots, and handlers go on where they were.
#[tokio::test]
async fn a_bank_is_found_again_as_it_was_left() {
    let schema = schema().await;
    let (first, mut hear) = bank(store(&schema).await).await;
    for amount in 1..=25 {
        let receipt = first.dispatch(pay("a", amount)).await.unwrap();
        assert_eq!((receipt.version(), receipt.position()), (amount, Some(amount)));
    }
    assert!(first.shutdown().await.is_clean());
    let mut handled = 0;
    while hear.try_recv().is_ok() {
        handled += 1;
    }
    let store = store(&schema).await;
    let (second, mut hear) = bank(store.clone()).await;
    let account = second.aggregate_state::<Account>("a").await.unwrap();
    assert_eq!((account.version, account.state.balance), (25, 325));
    assert!(store.latest_snapshot(&StreamId::new("account-a").unwrap()).await.unwrap().is_some());
    second.dispatch(draw("a", 325)).await.unwrap();
    let refused = second.dispatch(draw("a", 1)).await;
    assert!(matches!(refused, Err(DispatchError::Rejected(TooLittle(0)))), "{refused:?}");
    second.dispatch(pay("a", 1)).consistency(Strong).await.unwrap();
    while hear.try_recv().is_ok() {
        handled += 1;
    }
    assert_eq!(handled, 26, "each payment is handled once, over both lives");
    second.shutdown().await;
}

/// G8: a command that comes again, to another process and after a restart, happens once.
#[tokio::test]
async fn t_080_a_repeated_command_happens_once() {
    let schema = schema().await;
    let (first, _hear) = bank(store(&schema).await).await;
    let receipt = first.dispatch(pay("a", 7)).idempotency_key("request-1").await.unwrap();
    assert!(!receipt.is_repeated());
    first.shutdown().await;
    let (second, _hear) = bank(store(&schema).await).await;
    let again = second.dispatch(pay("a", 7)).idempotency_key("request-1").await.unwrap();
    assert!(again.is_repeated());
    assert_eq!((again.version(), again.position(), again.state().balance), (1, receipt.position(), 7));
    assert_eq!(second.aggregate_state::<Account>("a").await.unwrap().version, 1);
    second.shutdown().await;
}

/// Commands of one aggregate that come at once follow each other without a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hot_account_takes_every_command_once() {
    const COMMANDS: u64 = 500;
    let schema = schema().await;
    let store = store(&schema).await;
    let (bank, _hear) = bank(store.clone()).await;
    let dispatches = (0..COMMANDS).map(|_| {
        let bank = bank.clone();
        tokio::spawn(async move { bank.dispatch(pay("hot", 1)).await.unwrap().version() })
    });
    let mut versions: Vec<_> = in_time(join_all(dispatches)).await.into_iter().map(Result::unwrap).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=COMMANDS).collect::<Vec<_>>());
    assert_eq!(bank.aggregate_state::<Account>("hot").await.unwrap().state.balance, COMMANDS);
    let page = store.read_log(0, &EventFilter::all(), usize::MAX).await.unwrap();
    assert_eq!(page.events.len() as u64, COMMANDS);
    bank.shutdown().await;
}

/// CA-3: the same account and the same command id in three schemas are three accounts and three commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ca_003_banks_do_not_touch_each_other() {
    let mut banks = Vec::new();
    for _ in 0..3 {
        let schema = schema().await;
        banks.push((bank(store(&schema).await).await, schema));
    }
    let dispatches = (1..).zip(&banks).flat_map(|(amount, ((bank, _), _))| {
        (0..20).map(move |number| {
            let bank = bank.clone();
            async move {
                let key = format!("command-{number}");
                bank.dispatch(pay("a", amount)).idempotency_key(key).consistency(Strong).await.unwrap()
            }
        })
    });
    for receipt in in_time(join_all(dispatches)).await {
        assert!(!receipt.is_repeated());
    }
    for (amount, ((bank, hear), _)) in (1..).zip(&mut banks) {
        let account = bank.aggregate_state::<Account>("a").await.unwrap();
        assert_eq!((account.version, account.state.balance), (20, 20 * amount));
        let mut positions = Vec::new();
        while let Ok((_, position)) = hear.try_recv() {
            positions.push(position);
        }
        assert_eq!(positions, (1..=20).collect::<Vec<_>>());
        bank.shutdown().await;
    }
}

/// A schema belongs to the application that came first.
#[tokio::test]
async fn ca_006_a_schema_of_another_application_is_refused() {
    let schema = schema().await;
    let (first, _hear) = bank(store(&schema).await).await;
    first.shutdown().await;
    let (told, _hear) = tokio::sync::mpsc::channel(1);
    let other = crate::domain::Bank::builder(store(&schema).await)
        .name("other")
        .event_handler(crate::domain::Statements { node: "only", told })
        .start()
        .await
        .unwrap_err();
    assert!(matches!(other, StartError::Bind { .. }), "{other:?}");
}

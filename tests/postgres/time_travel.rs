//! What an aggregate was at a version, at a position of the log, at a time.

use cqrs::aggregate::At;
use cqrs::application::Config;
use cqrs::store::{Direction, EventFilter, EventStore as _, SnapshotStore as _, StreamId};
use tokio::sync::mpsc;

use crate::domain::{Account, Bank, Statements, bank, in_time, pay, schema, store};

#[tokio::test]
async fn an_account_is_seen_as_it_was() {
    let schema = schema().await;
    let (first, _hear) = bank(store(&schema).await).await;
    // The account has every second position, from 2 to 50, and a snapshot at version 20.
    for amount in 1..=25 {
        first.dispatch(pay("b", 1_000)).await.unwrap();
        first.dispatch(pay("a", amount)).await.unwrap();
    }
    assert!(first.shutdown().await.is_clean());

    let (store, account_id) = (store(&schema).await, StreamId::new("account-a").unwrap());
    assert_eq!(store.latest_snapshot(&account_id).await.unwrap().unwrap().version, 20);
    let (told, _hear) = mpsc::channel(100);
    let builder = Bank::builder(store.clone()).event_handler(Statements { node: "only", told });
    let second = builder.config(Config::new().replay_page(4)).start().await.unwrap();
    let check = async |at, version: u64| {
        let then = in_time(second.aggregate_state_at::<Account>("a", at)).await.unwrap();
        assert_eq!((then.version, then.state.balance), (version, version * (version + 1) / 2), "{at:?}");
    };
    for version in [0, 1, 4, 5, 19, 20, 21, 24, 25, 26, u64::MAX] {
        check(At::Version(version), version.min(25)).await;
    }
    for position in [0, 1, 2, 3, 8, 9, 10, 39, 40, 41, 49, 50, 51] {
        check(At::Position(position), position / 2).await;
    }
    let events = store.read_stream(&account_id, 1, Direction::Forward, 100).await.unwrap();
    for event in &events {
        // Events may share a time, and the server's clock may be set back.
        let at = event.created_at;
        let version = events.iter().take_while(|event| event.created_at <= at).count();
        check(At::Time(at), version as u64).await;
    }
    check(At::Time(chrono::DateTime::UNIX_EPOCH), 0).await;
    check(At::Time(chrono::Utc::now() + chrono::TimeDelta::days(1)), 25).await;
    assert!(second.live_aggregates().is_empty());
    second.shutdown().await;
}

#[tokio::test]
async fn the_log_is_read_up_to_a_position() {
    let schema = schema().await;
    let (bank, _hear) = bank(store(&schema).await).await;
    for amount in 1..=15 {
        bank.dispatch(pay("b", 1_000)).await.unwrap();
        bank.dispatch(pay("a", amount)).await.unwrap();
    }
    let log = bank.store().read_log(0, &EventFilter::all(), 100).await.unwrap().events;
    let of_account = EventFilter::all().stream(StreamId::new("account-a").unwrap());
    for up_to in [0, 1, 2, 15, 29, 30, 31, u64::MAX] {
        for (filter, limit) in [(EventFilter::all(), 7), (of_account.clone(), 4), (of_account.clone(), 100)] {
            let (mut events, mut after) = (Vec::new(), 0);
            loop {
                let page = bank.store().read_log_up_to(after, up_to, &filter, limit);
                let page = in_time(page).await.unwrap();
                if page.read_to <= after {
                    break;
                }
                events.extend(page.events);
                after = page.read_to;
            }
            let expected = log.iter().filter(|event| event.position <= up_to && filter.passes(event));
            assert_eq!(events, expected.cloned().collect::<Vec<_>>(), "up to {up_to}");
        }
    }
    bank.shutdown().await;
}

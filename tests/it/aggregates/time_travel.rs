//! What an aggregate was at a version, at a position of the log, at a time.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use cqrs::MemoryStore;
use cqrs::aggregate::{At, ReplayError};
use cqrs::application::{Config, StateError};
use cqrs::command::InvalidIdentity;
use cqrs::store::{Deletion, EventFilter, EventStore as _, ExpectedVersion, Link, Store, StoreError};
use cqrs::testing::TestClock;
use serde_json::json;

use super::state_stored::{Preferences, SetTo, Settings};
use crate::events::domain::{Shop, shops};
use crate::snapshots::domain::{FORGED, Snapshots, every_10, never};
use crate::support::log::{events_of, raw, sound_log, stream, write};
use crate::support::store::ScriptedStore;
use crate::support::tally::{Tallies, Tally, add, add_each, added, tallies};

/// The application on a store, which replays three events at a time.
async fn in_small_pages(store: impl Store) -> Tallies {
    Tallies::builder(store).config(Config::new().replay_page(3)).start().await.unwrap()
}

/// The version and the total of a tally.
async fn tally_at(tallies: &Tallies, at: At) -> (u64, u64) {
    let then = tallies.aggregate_state_at::<Tally>("1", at).await.unwrap();
    assert_eq!(then.stream_id, stream("tally-1"));
    assert_eq!(then.state.events, then.version, "each event once");
    (then.version, then.state.total)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_version_is_so_many_events() {
    let store = ScriptedStore::default();
    write(&store, "tally-1", (1..=10).map(added).collect()).await;
    let tallies = in_small_pages(store.clone()).await;
    for version in 0..=10 {
        let total = version * (version + 1) / 2;
        assert_eq!(tally_at(&tallies, At::Version(version)).await, (version, total));
    }
    for beyond in [11, 12, 1_000, u64::MAX] {
        assert_eq!(tally_at(&tallies, At::Version(beyond)).await, (10, 55));
    }
    assert!(store.largest_page() <= 3, "a page of {}", store.largest_page());
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_position_is_how_far_the_log_had_come() {
    let store = MemoryStore::new();
    // The tally has every second position, from 2 to 20.
    for amount in 1..=10 {
        write(&store, "tally-2", vec![added(100)]).await;
        write(&store, "tally-1", vec![added(amount)]).await;
    }
    let tallies = in_small_pages(store).await;
    for position in 0..=21 {
        let version = (position / 2).min(10);
        let total = version * (version + 1) / 2;
        assert_eq!(tally_at(&tallies, At::Position(position)).await, (version, total));
    }
    assert_eq!(tally_at(&tallies, At::Position(u64::MAX)).await, (10, 55));
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_time_includes_the_events_of_that_very_time() {
    let clock = TestClock::new();
    let store = MemoryStore::builder().clock(std::sync::Arc::new(clock.clone())).build();
    // Two events every 10 seconds.
    for _ in 0..5 {
        clock.advance(seconds(10));
        write(&store, "tally-1", vec![added(1), added(1)]).await;
    }
    let tallies = in_small_pages(store.clone()).await;
    for (event, version) in events_of(&store, "tally-1").await.iter().zip([2, 2, 4, 4, 6, 6, 8, 8, 10, 10]) {
        let (at, moment) = (event.created_at, TimeDelta::nanoseconds(1));
        assert_eq!(tally_at(&tallies, At::Time(at)).await, (version, version));
        assert_eq!(tally_at(&tallies, At::Time(at + moment)).await, (version, version));
        assert_eq!(tally_at(&tallies, At::Time(at - moment)).await, (version - 2, version - 2));
    }
    assert_eq!(tally_at(&tallies, At::Time(DateTime::<Utc>::MIN_UTC)).await, (0, 0));
    assert_eq!(tally_at(&tallies, At::Time(DateTime::<Utc>::MAX_UTC)).await, (10, 10));
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_ends_the_past_at_the_first_later_event() {
    let clock = TestClock::new();
    let store = MemoryStore::builder().clock(std::sync::Arc::new(clock.clone())).build();
    let midnight = DateTime::<Utc>::UNIX_EPOCH;
    for second in [10, 30, 20, 40] {
        clock.set(midnight + seconds(second));
        write(&store, "tally-1", vec![added(second)]).await;
    }
    let tallies = in_small_pages(store).await;
    for (second, then) in
        [(9, (0, 0)), (10, (1, 10)), (20, (1, 10)), (29, (1, 10)), (30, (3, 60)), (40, (4, 100))]
    {
        assert_eq!(tally_at(&tallies, At::Time(midnight + seconds(second))).await, then);
    }
    tallies.shutdown().await;
}

#[tokio::test]
async fn nothing_is_read_behind_the_page_in_which_the_past_ends() {
    let store = ScriptedStore::default();
    write(&store, "tally-1", (1..=30).map(added).collect()).await;
    let tallies = in_small_pages(store.clone()).await;
    for (at, pages) in [
        (At::Version(0), 0),
        (At::Version(3), 1),
        (At::Version(4), 2),
        (At::Position(0), 1),
        (At::Position(4), 2),
        (At::Time(DateTime::<Utc>::MIN_UTC), 1),
    ] {
        let before = store.reads();
        tally_at(&tallies, at).await;
        assert_eq!(store.reads() - before, pages, "{at:?}");
    }
    tallies.shutdown().await;
}

#[tokio::test]
async fn looking_back_neither_makes_nor_changes_live_instances() {
    let store = MemoryStore::new();
    write(&store, "tally-1", vec![added(1), added(2)]).await;
    let tallies = tallies(store).await;
    assert_eq!(tally_at(&tallies, At::Version(1)).await, (1, 1));
    assert!(tallies.live_aggregates().is_empty());

    tallies.dispatch(add_each("1", &[3, 4])).await.unwrap();
    let live = tallies.live_aggregates();
    assert_eq!(tally_at(&tallies, At::Version(1)).await, (1, 1));
    assert_eq!(tally_at(&tallies, At::Position(3)).await, (3, 6));
    assert_eq!(tallies.live_aggregates(), live);
    let dispatched = tallies.dispatch(add("1", 5)).expected_version(4).await.unwrap();
    assert_eq!(dispatched.state().total, 15);
    tallies.shutdown().await;
}

/// Every kind of moment, for a log of ten events of one plant.
fn moments(now: DateTime<Utc>) -> [At; 4] {
    [At::Version(10), At::Version(u64::MAX), At::Position(10), At::Time(now)]
}

// A snapshot whose state no events make tells whether it was used.
#[tokio::test]
async fn a_snapshot_is_used_for_versions_that_it_does_not_pass() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let grown = || raw("plant.Grown", 1, &json!(null));
    write(&store, "plant-1", (0..10).map(|_| grown()).collect()).await;
    snapshots.forge(5).await;
    let garden = every_10::garden(&store, &snapshots).await;
    let height = async |at| {
        let then = garden.aggregate_state_at::<every_10::Plant>(1, at).await.unwrap();
        (then.version, then.state.height)
    };
    for version in 0..5 {
        assert_eq!(height(At::Version(version)).await, (version, version), "from a snapshot of later");
    }
    for version in 5..=10 {
        assert_eq!(height(At::Version(version)).await, (version, FORGED + version - 5));
    }
    assert_eq!(height(At::Version(u64::MAX)).await, (10, FORGED + 5));
    // Nothing tells where in the log and when a snapshot belongs.
    for position in 0..=11 {
        let version = position.min(10);
        assert_eq!(height(At::Position(position)).await, (version, version));
    }
    assert_eq!(height(At::Time(DateTime::<Utc>::MIN_UTC)).await, (0, 0));
    assert_eq!(height(At::Time(DateTime::<Utc>::MAX_UTC)).await, (10, 10));
    assert!(snapshots.kept().await.is_some_and(|kept| kept.version == 5), "left as it was");
    assert!(snapshots.came().is_empty(), "looking takes none");
    garden.shutdown().await;
}

#[tokio::test]
async fn a_snapshot_that_is_ahead_of_its_stream_is_of_no_use() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let grown = || raw("plant.Grown", 1, &json!(null));
    write(&store, "plant-1", (0..10).map(|_| grown()).collect()).await;
    let garden = every_10::garden(&store, &snapshots).await;
    for at in moments(Utc::now()) {
        snapshots.forge(11).await;
        let then = garden.aggregate_state_at::<every_10::Plant>(1, at).await.unwrap();
        assert_eq!((then.version, then.state.height), (10, 10), "{at:?}");
    }
    garden.shutdown().await;
}

#[tokio::test]
async fn an_aggregate_without_snapshots_ignores_those_that_are_there() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let grown = || raw("plant.Grown", 1, &json!(null));
    write(&store, "plant-1", (0..10).map(|_| grown()).collect()).await;
    snapshots.forge(5).await;
    let garden = never::garden(&store, &snapshots).await;
    for at in moments(Utc::now()) {
        let then = garden.aggregate_state_at::<never::Plant>(1, at).await.unwrap();
        assert_eq!((then.version, then.state.height), (10, 10), "{at:?}");
    }
    garden.shutdown().await;
}

#[tokio::test]
async fn old_events_are_seen_in_their_present_shape() {
    let store = MemoryStore::new();
    let priced = raw("shop.Tagged", 1, &json!({ "price": 7 }));
    let ordered = raw("shop.Ordered", 1, &json!({ "lines": ["tea", "jam"] }));
    let named = raw("shop.Called", 1, &json!({ "name": "corner" }));
    write(&store, "shop-1", vec![priced, ordered, named]).await;
    let (shops, _heard) = shops(store).await;
    let told = [
        r#"Priced { cents: 700, currency: "EUR" }"#,
        "Ordered { lines: 2 }",
        r#"LineAdded { article: "tea" }"#,
        r#"LineAdded { article: "jam" }"#,
        r#"Named { name: "corner" }"#,
    ];
    // One stored event counts once, whatever it becomes.
    for (version, lines) in [(0, 0), (1, 1), (2, 4), (3, 5)] {
        for at in [At::Version(version), At::Position(version)] {
            let then = shops.aggregate_state_at::<Shop>("1", at).await.unwrap();
            assert_eq!(then.version, version, "{at:?}");
            assert_eq!(then.state.told, told[..lines], "{at:?}");
        }
    }
    shops.shutdown().await;
}

#[tokio::test]
async fn a_linked_event_counts_with_its_own_position() {
    let store = MemoryStore::new();
    for (stream_id, amount) in [("tally-1", 1), ("tally-2", 10), ("tally-1", 2), ("tally-2", 20)] {
        write(&store, stream_id, vec![added(amount)]).await;
    }
    let (stream_id, expected) = (stream("tally-1"), ExpectedVersion::Exact(2));
    store.link(Link { stream_id, expected, positions: vec![2, 4] }).await.unwrap();
    write(&store, "tally-1", vec![added(3)]).await;
    let tallies = in_small_pages(store).await;
    for (position, then) in [(1, (1, 1)), (2, (1, 1)), (3, (3, 13)), (4, (4, 33)), (5, (5, 36))] {
        assert_eq!(tally_at(&tallies, At::Position(position)).await, then, "at {position}");
    }
    assert_eq!(tally_at(&tallies, At::Version(3)).await, (3, 13));
    tallies.shutdown().await;
}

#[tokio::test]
async fn an_unknown_aggregate_has_always_had_the_initial_state() {
    let tallies = tallies(MemoryStore::new()).await;
    for at in moments(Utc::now()) {
        let then = tallies.aggregate_state_at::<Tally>("nobody", at).await.unwrap();
        assert_eq!((then.version, &*then.state), (0, &Tally::default()), "{at:?}");
    }
    let error = tallies.aggregate_state_at::<Tally>("", At::Version(1)).await.unwrap_err();
    assert!(matches!(error, StateError::InvalidIdentity { source: InvalidIdentity::Empty, .. }), "{error:?}");
    tallies.shutdown().await;
}

#[tokio::test]
async fn an_aggregate_is_found_by_its_stream() {
    let store = MemoryStore::new();
    write(&store, "tally-1", vec![added(1), added(2)]).await;
    let tallies = tallies(store).await;
    let then = tallies.aggregate_state_of_at::<Tally>(stream("tally-1"), At::Position(1)).await.unwrap();
    assert_eq!((then.version, then.state.total), (1, 1));
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_state_stored_aggregate_has_no_past() {
    let preferences = Preferences::builder(MemoryStore::new()).start().await.unwrap();
    preferences.dispatch(SetTo { values: vec![1, 2] }).await.unwrap();
    for at in moments(Utc::now()) {
        let error = preferences.aggregate_state_at::<Settings>(1, at).await.unwrap_err();
        assert!(matches!(error, StateError::NoHistory { aggregate: "Settings", .. }), "{error:?}");
        assert!(error.to_string().contains("settings-1"), "{error}");
    }
    preferences.shutdown().await;
}

/// The log as it was at a position, whatever was written since.
#[tokio::test]
async fn the_log_is_read_up_to_a_position() {
    let store = ScriptedStore::default();
    let tallies = in_small_pages(store.clone()).await;
    for amount in 1..=10 {
        tallies.dispatch(add("1", amount)).await.unwrap();
        tallies.dispatch(add_each("2", &[amount, amount])).await.unwrap();
    }
    let log = sound_log(&store).await;
    for up_to in [0, 1, 2, 15, 29, 30, 31, u64::MAX] {
        for limit in [1, 7, usize::MAX] {
            let (mut events, mut after) = (Vec::new(), 0);
            loop {
                let all = EventFilter::all();
                let page = tallies.store().read_log_up_to(after, up_to, &all, limit).await.unwrap();
                assert!(page.read_to <= up_to.min(30).max(after), "up to {up_to}: {page:?}");
                if page.read_to <= after {
                    break;
                }
                events.extend(page.events);
                after = page.read_to;
            }
            assert_eq!(events, log[..usize::try_from(up_to.min(30)).unwrap()], "up to {up_to}");
            // What an aggregate was by then is what these events make of it.
            let total = events.iter().filter(|event| event.stream_id == stream("tally-1"));
            assert_eq!(tally_at(&tallies, At::Position(up_to)).await.0, total.count() as u64);
        }
    }
    // A few events do not cost a large page.
    let filter = EventFilter::all().stream(stream("tally-2"));
    let page = tallies.store().read_log_up_to(0, 5, &filter, 1_000).await.unwrap();
    let found: Vec<_> = page.events.iter().map(|event| event.position).collect();
    assert_eq!((found, page.read_to), (vec![2, 3, 5], 5));
    tallies.shutdown().await;
}

#[tokio::test]
async fn a_softly_deleted_aggregate_cannot_be_read_even_with_a_snapshot() {
    let (store, snapshots) = (MemoryStore::new(), Snapshots::new());
    let grown = || raw("plant.Grown", 1, &json!(null));
    write(&store, "plant-1", (0..10).map(|_| grown()).collect()).await;
    snapshots.forge(10).await;
    store.delete_stream(&stream("plant-1"), ExpectedVersion::Any, Deletion::Soft).await.unwrap();
    let garden = every_10::garden(&store, &snapshots).await;
    for at in moments(Utc::now()) {
        let error = garden.aggregate_state_at::<every_10::Plant>(1, at).await.unwrap_err();
        let StateError::Replay { source: ReplayError::Store(source), .. } = error else {
            panic!("{error:?}")
        };
        assert!(matches!(source, StoreError::StreamDeleted { .. }), "{at:?}: {source:?}");
    }
    garden.shutdown().await;
}

//! Reading the log: order, pages, filters, and where it ends.

use std::sync::Arc;

use super::fixture::{Calls as _, event_of, one_to, positions, stream};
use crate::store::{EventFilter, ExpectedVersion, RecordedEvent, Store};

async fn log_page(
    store: &Arc<dyn Store>,
    after: u64,
    filter: &EventFilter,
    limit: usize,
) -> Vec<RecordedEvent> {
    store.read_log(after, filter, limit).await.expect("the log can be read").events
}

/// The log holds all events in the order of their positions, each with its origin.
pub async fn pg_042_the_log_holds_all_events_with_their_origin(store: Arc<dyn Store>) {
    let (first, second) = (stream("account-1"), stream("account-2"));
    store.write(&first, 2).await;
    store.write(&second, 1).await;
    store.write(&first, 1).await;
    let log = store.log().await;
    let origins: Vec<_> =
        log.iter().map(|event| (event.position, event.stream_id.as_str(), event.stream_version)).collect();
    let expected = [(1, "account-1", 1), (2, "account-1", 2), (3, "account-2", 1), (4, "account-1", 3)];
    assert_eq!(origins, expected);
    for after in [4, 5, i64::MAX as u64, u64::MAX] {
        assert!(log_page(&store, after, &EventFilter::all(), 10).await.is_empty());
    }
}

/// Pages have neither overlap nor hole.
pub async fn pg_043_pages_have_neither_overlap_nor_hole(store: Arc<dyn Store>) {
    for number in 0..10 {
        store.write(&stream(&format!("account-{}", number % 3)), 2).await;
    }
    let all = EventFilter::all();
    assert_eq!(positions(&log_page(&store, 0, &all, 10).await), one_to(10));
    assert_eq!(positions(&log_page(&store, 10, &all, 10).await), (11..=20).collect::<Vec<_>>());
    assert!(log_page(&store, 20, &all, 10).await.is_empty());
}

/// A page tells how far it reaches, past events that do not pass; the end is a page that reaches no further.
pub async fn c_039_a_page_tells_how_far_it_reaches(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let types = ["Opened", "Deposited", "Opened", "Deposited", "Deposited"];
    let written = types.iter().enumerate().map(|(number, name)| event_of(name, number)).collect();
    let appended = store.try_write(&account, ExpectedVersion::Any, written).await;
    appended.expect("nothing is expected");
    for name in ["Opened", "Unknown"] {
        let filter = EventFilter::types([name]);
        for limit in [1, 2, 10] {
            let mut after = 0;
            let mut found = Vec::new();
            loop {
                let page = store.read_log(after, &filter, limit).await.expect("the log can be read");
                let reached = page.read_to;
                assert!(page.events.iter().all(|event| after < event.position && event.position <= reached));
                assert!(page.events.len() <= limit);
                found.extend(positions(&page.events));
                if reached <= after {
                    break;
                }
                after = reached;
            }
            assert_eq!(after, 5, "{name} by {limit}: it ends at the end of the log");
            let expected: &[u64] = if name == "Opened" { &[1, 3] } else { &[] };
            assert_eq!(found, expected, "{name} by {limit}");
        }
    }
    for after in [5, 6, u64::MAX] {
        let page = store.read_log(after, &EventFilter::all(), 10).await.expect("the log can be read");
        assert!(page.events.is_empty() && page.read_to == after, "{after}: {page:?}");
    }
}

/// A page begins behind the position it is asked for, and ends at its limit.
pub async fn c_017_a_page_begins_behind_its_position(store: Arc<dyn Store>) {
    store.write(&stream("account-1"), 4).await;
    let all = EventFilter::all();
    assert_eq!(positions(&log_page(&store, 0, &all, 2).await), [1, 2]);
    assert_eq!(positions(&log_page(&store, 1, &all, 2).await), [2, 3]);
    assert_eq!(positions(&log_page(&store, 3, &all, 2).await), [4]);
    assert!(log_page(&store, 0, &all, 0).await.is_empty());
}

/// The log up to a position is what it was when it had come there: pages end at it, whatever passes behind.
pub async fn the_log_is_read_up_to_a_position(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let types = ["Opened", "Deposited", "Opened", "Deposited", "Deposited", "Opened"];
    let written = types.iter().enumerate().map(|(number, name)| event_of(name, number)).collect();
    let appended = store.try_write(&account, ExpectedVersion::Any, written).await;
    appended.expect("nothing is expected");
    for filter in [EventFilter::all(), EventFilter::types(["Opened"]), EventFilter::types(["Unknown"])] {
        let all = log_page(&store, 0, &filter, usize::MAX).await;
        for up_to in [0, 1, 2, 3, 5, 6, 7, u64::MAX] {
            for limit in [1, 2, usize::MAX] {
                let (mut after, mut found) = (0, Vec::new());
                loop {
                    let page = store.read_log_up_to(after, up_to, &filter, limit).await;
                    let page = page.expect("the log can be read");
                    assert!(
                        page.events.len() <= limit && page.read_to <= up_to.max(after),
                        "{up_to}: {page:?}"
                    );
                    found.extend(page.events);
                    if page.read_to <= after {
                        break;
                    }
                    after = page.read_to;
                }
                assert_eq!(after, up_to.min(6), "{filter:?} by {limit}: it ends there");
                let expected: Vec<_> = all.iter().filter(|event| event.position <= up_to).cloned().collect();
                assert_eq!(found, expected, "{filter:?} up to {up_to} by {limit}");
            }
        }
    }
    let behind = store.read_log_up_to(5, 3, &EventFilter::all(), 10).await.expect("the log can be read");
    assert!(behind.events.is_empty() && behind.read_to == 5, "{behind:?}");
}

/// A filter lets its types pass; the limit counts what passes.
pub async fn a_filter_lets_its_types_pass(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let types = ["Opened", "Withdrawn", "Deposited", "Withdrawn", "Withdrawn", "Closed", "opened"];
    let written = types.iter().enumerate().map(|(number, name)| event_of(name, number)).collect();
    let appended = store.try_write(&account, ExpectedVersion::Any, written).await;
    appended.expect("nothing is expected");
    let withdrawn = EventFilter::types(["Withdrawn"]);
    assert_eq!(positions(&log_page(&store, 0, &withdrawn, 10).await), [2, 4, 5]);
    assert_eq!(positions(&log_page(&store, 0, &withdrawn, 2).await), [2, 4]);
    assert_eq!(positions(&log_page(&store, 4, &withdrawn, 2).await), [5]);
    let two = EventFilter::types(["Opened", "Closed", "Opened", "Unknown"]);
    assert_eq!(positions(&log_page(&store, 0, &two, 10).await), [1, 6]);
    let unknown = EventFilter::types(["Unknown"]);
    assert!(log_page(&store, 0, &unknown, 10).await.is_empty());
}

/// A filter without any type lets nothing pass.
pub async fn a_filter_without_types_lets_nothing_pass(store: Arc<dyn Store>) {
    store.write(&stream("account-1"), 3).await;
    let nothing = EventFilter::types(Vec::<String>::new());
    assert!(log_page(&store, 0, &nothing, 10).await.is_empty());
}

/// A filter finds a few events among many.
pub async fn a_filter_finds_few_among_many(store: Arc<dyn Store>) {
    let account = stream("account-1");
    let written = (1..=9_000)
        .map(|number| event_of(if number % 3_000 == 0 { "Rare" } else { "Common" }, number))
        .collect();
    let appended = store.try_write(&account, ExpectedVersion::Any, written).await;
    appended.expect("nothing is expected");
    let rare = EventFilter::types(["Rare"]);
    assert_eq!(positions(&log_page(&store, 0, &rare, 10).await), [3_000, 6_000, 9_000]);
    assert_eq!(positions(&log_page(&store, 3_000, &rare, 1).await), [6_000]);
    let common = EventFilter::types(["Common"]);
    assert_eq!(log_page(&store, 0, &common, usize::MAX).await.len(), 8_997);
}

/// The head is the position of the latest event; neither failures nor empty appends move it.
pub async fn the_head_is_the_latest_position(store: Arc<dyn Store>) {
    let account = stream("account-1");
    assert_eq!(store.position().await, 0);
    store.write(&account, 3).await;
    assert_eq!(store.position().await, 3);
    store.write(&account, 0).await;
    let refused = store.try_write(&account, ExpectedVersion::NoStream, vec![event_of("Lost", 1)]).await;
    assert!(refused.is_err());
    assert_eq!(store.position().await, 3);
    store.write(&stream("account-2"), 1).await;
    assert_eq!(store.position().await, 4);
}

/// Failed appends leave no hole in the log.
pub async fn n_040_failures_leave_no_hole(store: Arc<dyn Store>) {
    let account = stream("account-1");
    for round in 1..=5_u64 {
        let refused =
            store.try_write(&account, ExpectedVersion::Exact(round + 7), vec![event_of("Lost", 1)]).await;
        assert!(refused.is_err());
        assert_eq!(store.write(&account, 1).await.position, round);
    }
    assert_eq!(positions(&store.log().await), one_to(5));
}

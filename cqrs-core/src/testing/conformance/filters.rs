//! Filters of the log: by type, category, stream and correlation, alone and together.

use std::sync::Arc;

use super::fixture::{Calls as _, event, event_of, one_to, positions, stream};
use crate::id::CorrelationId;
use crate::store::{Deletion, EventData, EventFilter, ExpectedVersion, LogPage, RecordedEvent, Store};

async fn page(store: &Arc<dyn Store>, after: u64, filter: &EventFilter, limit: usize) -> LogPage {
    store.read_log(after, filter, limit).await.expect("the log can be read")
}

/// The positions of all events that pass.
async fn found(store: &Arc<dyn Store>, filter: &EventFilter) -> Vec<u64> {
    positions(&page(store, 0, filter, usize::MAX).await.events)
}

async fn write(store: &Arc<dyn Store>, name: &str, events: Vec<EventData>) {
    let written = store.try_write(&stream(name), ExpectedVersion::Any, events).await;
    written.expect("an append that expects nothing succeeds");
}

/// Reads in pages to the end of the log; no page may hold what it does not reach, or reach over what it does not hold.
async fn read_in_pages(
    store: &Arc<dyn Store>,
    begin: u64,
    filter: &EventFilter,
    limit: usize,
) -> Vec<RecordedEvent> {
    let (mut after, mut read) = (begin, Vec::new());
    loop {
        let page = page(store, after, filter, limit).await;
        let lies_within = |event: &RecordedEvent| after < event.position && event.position <= page.read_to;
        assert!(page.events.iter().all(lies_within) && page.events.len() <= limit, "{filter:?}: {page:?}");
        read.extend(page.events);
        if page.read_to <= after {
            assert_eq!(after, begin.max(store.position().await), "{filter:?}: the end of the log");
            return read;
        }
        after = page.read_to;
    }
}

/// Streams of several categories, which take turns; each event is of one of two types and one of two correlations.
async fn mixed(store: &Arc<dyn Store>, correlations: [CorrelationId; 2]) {
    let names = ["account-1", "order-1", "account-2", "accounts-1", "account", "account-1-a", "-account"];
    for (number, name) in (0..3).flat_map(|_| names).enumerate() {
        let event_type = if number % 2 == 0 { "Opened" } else { "Closed" };
        let correlation_id = correlations[number / 2 % 2];
        write(store, name, vec![EventData { correlation_id, ..event_of(event_type, number) }]).await;
    }
}

/// Every combination of conditions gives what fulfils all of them, in pages of any size.
pub async fn every_combination_gives_what_passes(store: Arc<dyn Store>) {
    let correlations = [CorrelationId::new(), CorrelationId::new()];
    mixed(&store, correlations).await;
    let log = store.log().await;
    let types =
        [EventFilter::all(), EventFilter::types(["Opened"]), EventFilter::types(["Closed", "Unknown"])];
    for of_types in types {
        for category in [None, Some("account"), Some("order"), Some("none")] {
            for name in [None, Some("account-1"), Some("order-1"), Some("none-1")] {
                for correlation in [None, Some(correlations[0]), Some(CorrelationId::new())] {
                    let mut filter = of_types.clone();
                    filter = category.into_iter().fold(filter, EventFilter::category);
                    filter = name.into_iter().fold(filter, |filter, name| filter.stream(stream(name)));
                    filter = correlation.into_iter().fold(filter, EventFilter::correlation);
                    let expected: Vec<_> = log.iter().filter(|event| filter.passes(event)).cloned().collect();
                    for limit in [2, usize::MAX] {
                        assert_eq!(read_in_pages(&store, 0, &filter, limit).await, expected, "{filter:?}");
                    }
                }
            }
        }
    }
}

/// A category is what stands before the first `-` of a stream's name, no more and no less.
pub async fn pg_051_a_category_is_the_whole_prefix(store: Arc<dyn Store>) {
    mixed(&store, [CorrelationId::new(), CorrelationId::new()]).await;
    for (category, expected) in [
        ("account", vec![1, 3, 5, 6, 8, 10, 12, 13, 15, 17, 19, 20]),
        ("accounts", vec![4, 11, 18]),
        ("", vec![7, 14, 21]),
        ("acc", vec![]),
        ("account-1", vec![]),
        ("Account", vec![]),
        ("acc%", vec![]),
    ] {
        let filter = EventFilter::all().category(category);
        assert_eq!(found(&store, &filter).await, expected, "{category:?}");
        assert_eq!(page(&store, 0, &filter, usize::MAX).await.read_to, 21, "{category:?}");
    }
}

/// The events of one stream come in the order of its versions, behind any position of the log; those of others do not.
pub async fn t_225_m_007_one_stream_is_read_behind_any_position(store: Arc<dyn Store>) {
    for number in 0..20 {
        store.write(&stream("account-1"), 1 + number % 3).await;
        store.write(&stream(&format!("account-{}", 10 + number)), 2).await;
    }
    let account = stream("account-1");
    let filter = EventFilter::all().stream(account.clone());
    let own = store.events_of(&account).await;
    for after in 0..=store.position().await + 1 {
        let expected: Vec<_> = own.iter().filter(|event| event.position > after).cloned().collect();
        for limit in [3, usize::MAX] {
            assert_eq!(read_in_pages(&store, after, &filter, limit).await, expected, "behind {after}");
        }
    }
}

/// A stream that nothing was written to has no events, and the page that says so reaches to the end of the log.
pub async fn pg_077_a_stream_that_is_begun_later_is_found_then(store: Arc<dyn Store>) {
    store.write(&stream("account-1"), 3).await;
    let filter = EventFilter::all().stream(stream("account-2"));
    let before = page(&store, 0, &filter, 10).await;
    assert_eq!((before.events.len(), before.read_to), (0, 3));
    store.write(&stream("account-2"), 2).await;
    let then = page(&store, before.read_to, &filter, 10).await;
    assert_eq!((positions(&then.events), then.read_to), (vec![4, 5], 5));
}

/// A link adds nothing: an event passes by the stream that it was written to, and only there.
pub async fn a_linked_event_passes_by_its_origin_only(store: Arc<dyn Store>) {
    let (source, target) = (stream("account-1"), stream("report-1"));
    for round in 0..10 {
        store.write(&source, 2).await;
        let linked = store.try_link(&target, &[3 * round + 1, 3 * round + 2]).await;
        linked.expect("the events can be linked");
        store.write(&target, 1).await;
    }
    let own: Vec<u64> = (1..=10).map(|round| 3 * round).collect();
    let of_target = EventFilter::all().stream(target.clone());
    assert_eq!(found(&store, &EventFilter::all().category("report")).await, own);
    // The links leave holes among the versions of the stream's own events.
    for after in 0..=30 {
        let expected: Vec<u64> = own.iter().copied().filter(|position| *position > after).collect();
        let read = read_in_pages(&store, after, &of_target, 2).await;
        assert_eq!(positions(&read), expected, "behind {after}");
    }
    let linked = store.try_link(&target, &[28]).await;
    assert!(linked.is_err(), "it is there already");
    store.write(&source, 1).await;
    let linked = store.try_link(&target, &[31]).await;
    linked.expect("the event can be linked");
    assert_eq!(found(&store, &of_target).await, own, "the stream ends with a link");
    assert_eq!(found(&store, &EventFilter::all().stream(source)).await.len(), 21);
}

/// The events of a stream that was deleted softly stay in the log, and pass as before.
pub async fn pg_065_events_of_a_deleted_stream_pass(store: Arc<dyn Store>) {
    let account = stream("account-1");
    store.write(&account, 2).await;
    store.write(&stream("account-2"), 1).await;
    let deleted = store.delete_stream(&account, ExpectedVersion::Any, Deletion::Soft).await;
    deleted.expect("the stream can be deleted");
    assert_eq!(found(&store, &EventFilter::all().stream(account)).await, [1, 2]);
    assert_eq!(found(&store, &EventFilter::all().category("account")).await, one_to(3));
}

/// What belongs together by a correlation is found in every stream, or in those that the filter asks for.
pub async fn pg_052_a_correlation_goes_with_other_conditions(store: Arc<dyn Store>) {
    let correlation_id = CorrelationId::new();
    for (number, name) in ["account-1", "order-1", "account-2"].into_iter().cycle().take(30).enumerate() {
        let together = EventData { correlation_id, ..event_of("Together", number) };
        write(&store, name, vec![together, event(number)]).await;
    }
    let filter = EventFilter::all().correlation(correlation_id);
    let all: Vec<u64> = (0..30).map(|number| 2 * number + 1).collect();
    assert_eq!(found(&store, &filter).await, all);
    let first = page(&store, 0, &filter, 3).await;
    assert_eq!((positions(&first.events), first.read_to), (vec![1, 3, 5], 5));
    let of_orders = filter.clone().category("order");
    let first = page(&store, 0, &of_orders, 3).await;
    assert_eq!(
        (positions(&first.events), first.read_to),
        (vec![3, 9, 15], 15),
        "the limit counts what passes"
    );
    assert_eq!(page(&store, 57, &of_orders, 3).await.read_to, 60, "nothing is left");
    assert_eq!(found(&store, &filter.stream(stream("account-2"))).await.len(), 10);
    let of_other_type = EventFilter::types(["Other"]).correlation(correlation_id);
    assert!(found(&store, &of_other_type).await.is_empty());
}

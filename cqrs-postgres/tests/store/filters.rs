//! Filters, where the conformance suite does not lead to every statement: long streams, and logs whose head is not known.

use cqrs_core::id::CorrelationId;
use cqrs_core::store::{EventData, EventFilter, EventStore as _, LogPage};
use sqlx::Executor as _;

use crate::support::{append, event, log, schema, store, stream};

fn positions(page: &LogPage) -> Vec<u64> {
    page.events.iter().map(|event| event.position).collect()
}

/// A page looks at so many events of a stream and no more, and says so.
#[tokio::test]
async fn a_long_stream_is_looked_through_in_pages() {
    const LAST: u64 = 200_100;
    let schema = schema().await;
    let reader = store(&schema).await;
    let mut connection = schema.connect().await.unwrap();
    // Every second event is another stream's; the types of a few differ.
    let fill = format!(
        "insert into streams (stream_id, version, created_at, name) overriding system value \
           values (1, {LAST} / 2, now(), 'even-1'), (2, {LAST} / 2, now(), 'odd-1'); \
         insert into events (position, stream_id, version, recorded_at, event_id, correlation_id, causation_id, schema_version, \
           type, data) \
         select p, 1 + p % 2, (p + 1) / 2, now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 1, \
           case when p = 10 or p = {LAST} then 'Rare' else 'Common' end, '{{}}' \
         from generate_series(1, {LAST}) p"
    );
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(fill))).await.unwrap();
    let rare = EventFilter::types(["Rare"]).stream(stream("even-1"));
    let first = reader.read_log(0, &rare, 10).await.unwrap();
    assert_eq!((positions(&first), first.read_to), (vec![10], 200_001), "100,000 events of the stream");
    let last = reader.read_log(first.read_to, &rare, 10).await.unwrap();
    assert_eq!((positions(&last), last.read_to), (vec![LAST], LAST));
    for after in [0, 1, 99_999, 100_000, LAST - 5, LAST - 1, LAST, LAST + 1] {
        let of_stream = reader.read_log(after, &EventFilter::all().stream(stream("odd-1")), 2).await.unwrap();
        let odd = (after + 1..=LAST).filter(|position| position % 2 == 1);
        assert_eq!(positions(&of_stream), odd.take(2).collect::<Vec<_>>(), "behind {after}");
    }
}

/// The index of correlations serves together with other conditions as alone. A store that has written nothing, and follows
/// nobody, does not know the head, so that it uses the index.
#[tokio::test]
async fn an_index_leads_to_a_correlation_of_some_types_and_streams() {
    let schema = schema().await;
    let (writer, reader) = (store(&schema).await, store(&schema).await);
    let correlation_id = CorrelationId::new();
    for number in 0..30_u64 {
        let name = ["account-1", "order-1", "account-2"][usize::try_from(number % 3).unwrap()];
        let event_type = if number % 2 == 0 { "Opened" } else { "Closed" }.into();
        let together = EventData { event_type, correlation_id, ..event(number) };
        writer.append(append(name, vec![together, event(number)])).await.unwrap();
    }
    let all = log(&writer).await;
    for of_types in [EventFilter::all(), EventFilter::types(["Opened"]), EventFilter::types(["None"])] {
        for category in [None, Some("account"), Some("order"), Some("none")] {
            let filter = of_types.clone().correlation(correlation_id);
            let filter = category.into_iter().fold(filter, EventFilter::category);
            let expected: Vec<_> = all.iter().filter(|event| filter.passes(event)).cloned().collect();
            let (mut after, mut found) = (0, Vec::new());
            loop {
                let page = reader.read_log(after, &filter, 3).await.unwrap();
                assert!(page.events.len() <= 3);
                found.extend(page.events);
                if page.read_to <= after {
                    break;
                }
                after = page.read_to;
            }
            assert_eq!((found, after), (expected, 60), "{filter:?}");
        }
    }
}

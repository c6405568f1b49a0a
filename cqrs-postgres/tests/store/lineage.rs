use cqrs_core::id::{CausationId, CorrelationId};
use cqrs_core::store::EventStore as _;
use sqlx::{Executor as _, Row as _};

use crate::support::{append, event_with, schema, store};

/// The summaries of the indexes lead to what is asked for, and to little else.
#[tokio::test]
async fn what_belongs_together_is_found_among_many_by_an_index() {
    const LAST: u64 = 6_000;
    let schema = schema().await;
    let store = store(&schema).await;
    let (together, command) = (CorrelationId::new(), CausationId::new());
    let padding = "x".repeat(400);
    let places = [1, 1_500, 3_000, LAST];
    let events = (1..=LAST).map(|position| {
        let mut event = event_with(format!("{{\"padding\":\"{padding}\"}}"));
        if places.contains(&position) {
            event.correlation_id = together;
        }
        if position > 3_000 && places.contains(&position) {
            event.causation_id = command;
        }
        event
    });
    store.append(append("account-1", events.collect())).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    let size = connection.fetch_one("select pg_relation_size('events')").await.unwrap().get::<i64, _>(0);
    assert!(size > 2 * 1_024 * 1_024, "the events fill more than two ranges");
    for index in ["events_correlation", "events_causation"] {
        let summarize = sqlx::query("select brin_summarize_new_values($1::regclass)").bind(index);
        summarize.execute(&mut connection).await.unwrap();
    }
    let page = store.read_correlated(together, 0, 100).await.unwrap();
    let positions: Vec<_> = page.events.iter().map(|event| event.position).collect();
    assert_eq!((positions.as_slice(), page.read_to), (&places[..], LAST));
    assert_eq!(store.find_message(command).await.unwrap().unwrap().position, LAST);

    // The same conditions and settings as within the functions.
    let settings =
        "set enable_seqscan = off; set enable_bitmapscan = on; set max_parallel_workers_per_gather = 0";
    connection.execute(sqlx::raw_sql(settings)).await.unwrap();
    for (column, index) in [("correlation_id", "events_correlation"), ("causation_id", "events_causation")] {
        let sql = format!(
            "explain (analyze, costs off, timing off) select position from events where {column} = '{}' \
             and position + 0 > 0 order by position limit 10",
            CorrelationId::new()
        );
        let plan = connection.fetch_all(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await.unwrap();
        let plan: String = plan.iter().map(|row| row.get::<String, _>(0) + "\n").collect();
        assert!(plan.contains(&format!("Bitmap Index Scan on {index}")), "{plan}");
        // An unknown id is hardly in any summary: at the most the end, which is not summarised yet, is looked at.
        let looked_at = plan.split("lossy=").nth(1).and_then(|rest| rest.split_whitespace().next());
        let looked_at: u32 = looked_at.map_or(0, |blocks| blocks.parse().unwrap());
        assert!(looked_at < 300, "{plan}");
    }
}

/// The first events of a schema do not write a summary each.
#[tokio::test]
async fn the_first_events_write_no_summaries() {
    let schema = schema().await;
    let store = store(&schema).await;
    store.append(append("account-1", vec![event_with("{}")])).await.unwrap();
    let mut connection = schema.connect().await.unwrap();
    for index in ["events_correlation", "events_causation"] {
        let summarize = sqlx::query("select brin_summarize_range($1::regclass, 0)").bind(index);
        let ranges: i32 = summarize.fetch_one(&mut connection).await.unwrap().get(0);
        assert_eq!(ranges, 1, "{index}: there was no summary yet");
    }
}

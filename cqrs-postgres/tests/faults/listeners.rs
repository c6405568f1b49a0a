use std::sync::Arc;

use cqrs_core::store::{EventFilter, EventStore};
use cqrs_core::subscription::Follow;
use sqlx::AssertSqlSafe;

use crate::ledger::Ledger;
use crate::support::{append, config, in_time, open, shared};

/// Whoever follows sees every event once and in order, however often the connection that listens is lost (H6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_100_lost_listeners_lose_no_event() {
    const APPENDS: u64 = 300;
    let schema = shared().await;
    let (writer, reader) = (open(config(&schema)).await, open(config(&schema)).await);
    let ledger = Ledger::default();
    let mut follow = Follow::new(Arc::new(reader) as Arc<dyn EventStore>, 0, EventFilter::all());
    let writing = async {
        for _ in 0..APPENDS {
            ledger.append(&writer, &append("s", 1)).await.unwrap();
        }
    };
    let killing = async {
        let mut connection = schema.connect().await.unwrap();
        let kill = format!(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity \
             where query ilike 'listen%' and query like '%{}%'",
            schema.name()
        );
        let mut killed = 0;
        while ledger.written() < APPENDS || killed < 3 {
            let query = sqlx::query_scalar::<_, i64>(AssertSqlSafe(kill.clone()));
            killed += query.fetch_one(&mut connection).await.unwrap();
        }
    };
    let following = async {
        for position in 1..=APPENDS {
            assert_eq!(follow.next().await.unwrap().position, position);
        }
        assert_eq!(follow.try_next().await.unwrap(), None);
    };
    in_time(async { tokio::join!(writing, killing, following) }).await;
    ledger.prove(&schema, &writer).await;
}

use std::sync::Arc;
use std::time::Duration;

use cqrs_core::store::ExpectedVersion;
use cqrs_postgres::testing::Proxy;
use futures_util::future::join_all;

use crate::ledger::Ledger;
use crate::support::{append_at, config_at, in_time, open, shared};

/// A server that is far away: whoever waits for the same answer travels in the same transaction (H8).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_from_the_server_appends_travel_together() {
    const CALLERS: u64 = 64;
    const APPENDS: u64 = 5;
    const FAR: Duration = Duration::from_millis(200);
    let schema = shared().await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let store = open(config_at(proxy.url(), &schema)).await;
    proxy.delay_requests(FAR);
    proxy.delay_answers(FAR);
    let ledger = Arc::new(Ledger::default());
    let callers = (0..CALLERS).map(|caller| {
        let (store, ledger) = (store.clone(), Arc::clone(&ledger));
        tokio::spawn(async move {
            for version in 0..APPENDS {
                let exact = append_at(&format!("s-{caller}"), ExpectedVersion::Exact(version), 1);
                ledger.append(&store, &exact).await.unwrap();
            }
        })
    });
    for caller in in_time(join_all(callers)).await {
        caller.unwrap();
    }
    let transactions: i64 = sqlx::query_scalar("select count(distinct xmin::text) from appends")
        .fetch_one(&mut schema.connect().await.unwrap())
        .await
        .unwrap();
    let appends = i64::try_from(CALLERS * APPENDS).unwrap();
    assert!(transactions * 8 <= appends, "{appends} appends took {transactions} transactions");
    proxy.delay_requests(Duration::ZERO);
    proxy.delay_answers(Duration::ZERO);
    ledger.prove(&schema, &store).await;
}

//! Rows in tables of user code, and how far they are made.

use cqrs::postgres::testing::{TestDatabase, TestServer};
use cqrs::postgres::{PostgresRows, sqlx};
use cqrs::prelude::*;
use cqrs::projection::{GenerationState, RowStore as _};

use super::domain::*;

/// T-420: events lead to rows, and after a restart each has taken effect once.
#[tokio::test]
async fn t_420_events_lead_to_rows_of_a_table() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    for round in 1..=3 {
        let till = till(&store, Balances::on(&rows)).await;
        pay_all(&till, &[("a", 10), ("b", 1)]).await;
        in_time(till.dispatch(draw("a", 4)).consistency(Strong)).await.unwrap();
        assert_eq!(account(&rows, "a").await, Some((6 * round, 2 * round)));
        till.shutdown().await;
    }
    assert_eq!(generations(&rows).await, [(1, 1, GenerationState::Active)]);
    assert_eq!(rows.generations("balances").await.unwrap()[0].position, 9);
}

/// The rows may lie in another database than the log.
#[tokio::test]
async fn rows_lie_in_another_database() {
    let schema = schema().await;
    let database = TestDatabase::new(TestServer::shared().await.unwrap()).await.unwrap();
    let pool = sqlx::PgPool::connect(database.url()).await.unwrap();
    let (store, rows) = (store(&schema).await, PostgresRows::new(pool, "views"));
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 10), ("a", 1)]).await;
    assert_eq!(account(&rows, "a").await, Some((11, 2)));
    let position = till.dispatch(pay("a", 1)).await.unwrap().position().unwrap();
    let balances = till.projection::<Balances>().unwrap();
    balances.at_least(position, std::time::Duration::from_secs(20)).await.unwrap();
    assert_eq!(account(&rows, "a").await, Some((12, 3)));
    till.shutdown().await;
    rows.pool().close().await;
}

/// T-428: two projections of one type have rows and positions of their own, on one handle.
#[tokio::test]
async fn t_428_several_projections_share_a_handle() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let till = Till::builder(store.clone())
        .projection(Balances::on(&rows))
        .projection_as("other-balances", Balances::on(&rows))
        .start()
        .await
        .unwrap();
    pay_all(&till, &[("a", 10)]).await;
    let other = rows.schema_of("other-balances");
    assert_ne!(other, rows.schema_of("balances"));
    let sql = format!("select balance from {other}.accounts");
    let balance: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(rows.pool()).await.unwrap();
    assert_eq!(balance, 10);
    till.shutdown().await;
}

/// Of two nodes on a schema one makes the rows, and another one goes on when it stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_make_the_rows_in_turn() {
    let schema = schema().await;
    let stores = [store(&schema).await, store(&schema).await];
    let rows = stores.each_ref().map(PostgresRows::beside);
    let first = node("first", &stores[0], Balances::on(&rows[0])).await;
    let second = node("second", &stores[1], Balances::on(&rows[1])).await;
    for till in [&first, &second, &first, &second] {
        pay_all(till, &[("a", 1)]).await;
    }
    assert_eq!(account(&rows[0], "a").await, Some((4, 4)));
    first.shutdown().await;
    pay_all(&second, &[("a", 1)]).await;
    assert_eq!(account(&rows[1], "a").await, Some((5, 5)));
    second.shutdown().await;
}

//! What becomes of events that cannot be projected, and of rows that cannot be reached.

use std::time::Duration;

use cqrs::application::Config;
use cqrs::postgres::testing::{Proxy, StopMode, TestSchema, TestServer};
use cqrs::postgres::{PostgresRows, sqlx};
use cqrs::projection::{RowError, RowPlace, RowStore as _, RowTransaction as _};
use cqrs::store::HandlerCommit;

use super::domain::*;

async fn check_fault(fault: Fault, reason: &str) {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let faults = Faults::of(13, fault);
    let till = till(&store, Balances { rows: rows.clone(), faults: faults.clone() }).await;
    pay_all(&till, &[("a", 1), ("a", 13), ("b", 1), ("a", 2), ("b", 2)]).await;
    assert_eq!(account(&rows, "a").await, Some((1, 1)), "what failed left no rows");
    assert_eq!(account(&rows, "b").await, Some((3, 2)), "the others go on");
    let handle = till.handler("balances").unwrap();
    let parked = handle.parked(None, 10).await.unwrap();
    assert_eq!((parked.len(), parked[0].key.as_str(), parked[0].position), (1, "account-a", 2));
    assert!(parked[0].error.contains(reason), "{}", parked[0].error);
    faults.mend(13);
    handle.retry_parked("account-a").await.unwrap();
    until_parked(&till, 0).await;
    assert_eq!(account(&rows, "a").await, Some((16, 3)), "each once");
    till.shutdown().await;
}

/// T-423, T-427: an error, a panic, and a statement that fails in silence leave no rows; the key is parked and made up
/// for.
#[tokio::test]
async fn t_423_t_427_an_error_undoes_the_rows() {
    check_fault(Fault::Fail, "division by zero").await;
}

#[tokio::test]
async fn t_427_a_panic_undoes_the_rows() {
    check_fault(Fault::Panic, "on purpose").await;
}

#[tokio::test]
async fn t_427_a_statement_that_fails_in_silence_undoes_the_rows() {
    check_fault(Fault::FailInSilence, "could not be committed").await;
}

/// D11: a statement that does not end is given up, and leaves neither rows nor locks: the next attempt, which wants the same
/// row, is not held up by it.
#[tokio::test]
async fn a_statement_that_does_not_end_undoes_the_rows() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let faults = Faults::of(13, Fault::Hang);
    let balances = Balances { rows: rows.clone(), faults: faults.clone() };
    // Far more than writing a row takes.
    let config = Config::new().handling_limit(Duration::from_secs(3));
    let till = Till::builder(store).config(config).projection(balances).start().await.unwrap();
    pay_all(&till, &[("a", 1)]).await;
    for (account, amount) in [("a", 13), ("b", 1), ("a", 2)] {
        till.dispatch(pay(account, amount)).await.unwrap();
    }
    until_parked(&till, 1).await;
    let handle = till.handler("balances").unwrap();
    let parked = handle.parked(None, 10).await.unwrap();
    assert_eq!((parked[0].key.as_str(), parked[0].position), ("account-a", 2));
    assert_eq!(parked[0].error, "the handler took longer than 3s");
    until_caught_up(&till).await;
    assert_eq!(account(&rows, "a").await, Some((1, 1)), "what was given up left no rows");
    assert_eq!(account(&rows, "b").await, Some((1, 1)), "the others go on");
    let sleeping = "select count(*) from pg_stat_activity where query like 'select pg_sleep(3600)%' \
        and datname = current_database() and state = 'active'";
    let sleeping: i64 = sqlx::query_scalar(sleeping).persistent(false).fetch_one(rows.pool()).await.unwrap();
    assert_eq!(sleeping, 0, "nothing goes on in the server");
    faults.mend(13);
    handle.retry_parked("account-a").await.unwrap();
    until_parked(&till, 0).await;
    assert_eq!(account(&rows, "a").await, Some((16, 3)), "each once");
    till.shutdown().await;
}

/// A table that was dropped fails each event, which is parked; when it is back, everything is made up for.
#[tokio::test]
async fn a_dropped_table_parks_and_is_made_up_for() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1)]).await;
    let name = rows.schema_of("balances");
    let run = async |sql: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(rows.pool()).await.unwrap();
    };
    run(format!("alter table {name}.accounts rename to gone")).await;
    pay_all(&till, &[("a", 2), ("b", 2), ("a", 3)]).await;
    assert_eq!(till.handlers().await.unwrap()[0].parked, 2);
    run(format!("alter table {name}.gone rename to accounts")).await;
    for key in ["account-a", "account-b"] {
        till.handler("balances").unwrap().retry_parked(key).await.unwrap();
    }
    until_parked(&till, 0).await;
    assert_eq!((account(&rows, "a").await, account(&rows, "b").await), (Some((6, 3)), Some((2, 1))));
    // A rebuild would have healed it as well.
    run(format!("drop table {name}.accounts")).await;
    in_time(till.projection::<Balances>().unwrap().rebuild().await.unwrap().switched()).await.unwrap();
    assert_eq!((account(&rows, "a").await, account(&rows, "b").await), (Some((6, 3)), Some((2, 1))));
    till.shutdown().await;
}

/// T-429: of two owners at once, the earlier one cannot commit, and its rows are undone.
#[tokio::test]
async fn t_429_an_owner_that_was_followed_cannot_commit() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1)]).await;
    till.shutdown().await;
    let place = |epoch| RowPlace { projection: "balances".into(), generation: 1, epoch };
    let upsert = "update accounts set balance = balance + 100";
    rows.claim(&place(100)).await.unwrap();
    let mut old = rows.begin(&place(100)).await.unwrap();
    rows.claim(&place(101)).await.unwrap();
    let mut new = rows.begin(&place(101)).await.unwrap();
    sqlx::query(upsert).execute(new.connection()).await.unwrap();
    new.commit(1, HandlerCommit::new().position(2)).await.unwrap();
    sqlx::query(upsert).execute(old.connection()).await.unwrap();
    let refused = old.commit(1, HandlerCommit::new().position(2)).await;
    assert!(matches!(refused, Err(RowError::Fenced { .. })), "{refused:?}");
    assert_eq!(account(&rows, "a").await, Some((101, 1)));
}

/// G7: connections that break at the commit, before and behind it, repeat nothing and lose nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_a_connection_that_breaks_at_the_commit_repeats_nothing() {
    let schema = schema().await;
    let store = store(&schema).await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let pool = sqlx::PgPool::connect(&proxy.url_of(schema.url()).unwrap()).await.unwrap();
    let rows = PostgresRows::new(pool, format!("{}_views", schema.name()));
    let direct = PostgresRows::beside(&store);
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1)]).await;
    for round in 1..=10 {
        match round % 3 {
            // The answer to the commit is lost: it has happened.
            0 => proxy.lose_answer_to("commit and chain"),
            // The answer to the statement before it: it has not.
            1 => proxy.lose_answer_to("insert into accounts"),
            _ => proxy.cut().await,
        }
        till.dispatch(pay("a", 1)).await.unwrap();
        until(async || (account(&direct, "a").await == Some((round + 1, round + 1))).then_some(())).await;
        until_caught_up(&till).await;
    }
    assert!(proxy.lost_answers() > 0, "something was lost");
    assert_eq!(till.handlers().await.unwrap()[0].parked, 0, "it is no event's fault");
    till.shutdown().await;
}

/// The position moves and the commit happens in one call, and a transaction that is committed leaves none open.
#[tokio::test]
async fn the_end_of_a_transaction_is_one_call() {
    let schema = schema().await;
    let store = store(&schema).await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let pool = sqlx::PgPool::connect(&proxy.url_of(schema.url()).unwrap()).await.unwrap();
    let rows = PostgresRows::new(pool, format!("{}_views", schema.name()));
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1)]).await;
    proxy.lose_answer_to("COMMIT");
    proxy.lose_answer_to("move_on($");
    for _ in 0..5 {
        pay_all(&till, &[("a", 1)]).await;
    }
    assert_eq!(proxy.lost_answers(), 0);
    assert_eq!(account(&rows, "a").await, Some((6, 6)));
    till.shutdown().await;
    rows.pool().close().await;
}

/// What is looked at with the commit refuses it: no position moves.
#[tokio::test]
async fn a_deferred_constraint_refuses_the_rows() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1)]).await;
    till.shutdown().await;
    let place = RowPlace { projection: "balances".into(), generation: 1, epoch: 100 };
    rows.claim(&place).await.unwrap();
    let mut wrong = rows.begin(&place).await.unwrap();
    let twice = "create table once (n integer unique deferrable initially deferred); insert into once values (1), (1)";
    sqlx::raw_sql(twice).execute(wrong.connection()).await.unwrap();
    let refused = wrong.commit(1, HandlerCommit::new().position(2)).await;
    assert!(matches!(refused, Err(RowError::Refused(_))), "{refused:?}");
    assert_eq!(rows.claim(&place).await.unwrap().position, 1);
    let right = rows.begin(&place).await.unwrap();
    right.commit(1, HandlerCommit::new().position(2)).await.unwrap();
    assert_eq!(rows.claim(&place).await.unwrap().position, 2);
}

/// CA-4, G7: a server that dies again and again loses neither rows nor events, and repeats nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_a_server_that_dies_loses_no_rows() {
    let (log, views) =
        (TestServer::shared().await.unwrap(), TestServer::builder().durable().start().await.unwrap());
    let schema = TestSchema::new(log);
    let pool = sqlx::PgPool::connect(views.url()).await.unwrap();
    let (store, rows) = (store(&schema).await, PostgresRows::new(pool, "views"));
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1)]).await;
    for round in 1..=3 {
        for _ in 0..20 {
            till.dispatch(pay("a", 1)).await.unwrap();
        }
        views.restart(StopMode::Immediate).await.unwrap();
        until_caught_up(&till).await;
        until(async || {
            let sql = "select balance, events from views_balances.accounts";
            let found: Result<(i64, i64), _> = sqlx::query_as(sql).fetch_one(rows.pool()).await;
            (found.ok()? == (20 * round + 1, 20 * round + 1)).then_some(())
        })
        .await;
    }
    till.shutdown().await;
    rows.pool().close().await;
}

/// Rows that cannot be reached when the application starts are waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_cannot_be_reached_are_waited_for() {
    let schema = schema().await;
    let store = store(&schema).await;
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let pool = sqlx::postgres::PgPoolOptions::new()
        .acquire_timeout(Duration::from_secs(1))
        .connect_lazy(&proxy.url_of(schema.url()).unwrap())
        .unwrap();
    proxy.refuse().await;
    let rows = PostgresRows::new(pool, format!("{}_views", schema.name()));
    let till = till(&store, Balances::on(&rows)).await;
    till.dispatch(pay("a", 1)).await.unwrap();
    until(async || till.handlers().await.unwrap()[0].last_error.clone()).await;
    proxy.accept().await.unwrap();
    until_caught_up(&till).await;
    assert_eq!(account(&PostgresRows::beside(&store), "a").await, Some((1, 1)));
    till.shutdown().await;
}

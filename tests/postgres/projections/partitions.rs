//! Rebuilds that are divided by key, the partitions side by side on connections of their own.

use std::collections::BTreeMap;
use std::time::Duration;

use cqrs::handler::HandlerConsistency;
use cqrs::postgres::testing::{StopMode, TestSchema, TestServer};
use cqrs::postgres::{PostgresRows, sqlx};
use cqrs::prelude::*;
use cqrs::projection::GenerationState;
use cqrs::store::{EventFilter, EventStore as _};
use futures_util::future::{join, try_join_all};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgConnection};

use super::domain::*;

/// What was paid to each account, in order, rebuilt in so many partitions.
#[derive(Clone)]
struct Payments<const N: u16> {
    rows: PostgresRows,
    faults: Faults,
    /// Whether there is a row that all accounts write to.
    has_total: bool,
}

const TABLES: &str = "create table accounts (account_id text primary key, amounts bigint[] not null); \
     create table total (amount bigint not null); insert into total values (0)";
const APPEND: &str = "insert into accounts as a (account_id, amounts) values ($1, array[$2]) \
     on conflict (account_id) do update set amounts = a.amounts || excluded.amounts";

impl<const N: u16> Payments<N> {
    fn on(rows: &PostgresRows) -> Self {
        Self { rows: rows.clone(), faults: Faults::default(), has_total: false }
    }
}

impl<const N: u16> Projection for Payments<N> {
    const NAME: &'static str = "balances";
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Strong;
    const REBUILD_PARTITIONS: u16 = N;
    type Event = Paid;
    type Rows = PostgresRows;
    type Error = sqlx::Error;

    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(TABLES).execute(rows).await.map(drop)
    }

    async fn handle(
        &self,
        event: &Paid,
        rows: &mut PgConnection,
        _context: &ProjectionContext,
    ) -> Result<(), sqlx::Error> {
        let amount = event.amount.cast_signed();
        sqlx::query(APPEND).bind(event.account_id.clone()).bind(amount).execute(&mut *rows).await?;
        if self.has_total {
            let total = sqlx::query("update total set amount = amount + $1").bind(amount);
            total.execute(&mut *rows).await?;
        }
        self.faults.at(event.amount, rows).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction {
        ErrorAction::Park
    }
}

/// A log with payments of "1", "2", .. in turn to the accounts "0" to "9". It is read from the database by applications that
/// start later, in pages; what they have heard of meanwhile comes in shorter stretches.
async fn past(store: &PostgresStore, amounts: std::ops::RangeInclusive<u64>) {
    let till = Till::builder(store.clone()).start().await.unwrap();
    pay_ten(&till, amounts).await;
    till.shutdown().await;
}

/// Pays "1", "2", .. in turn to the accounts "0" to "9".
async fn pay_ten(till: &Till, amounts: std::ops::RangeInclusive<u64>) {
    // One after the other to an account, so that it is known what comes first.
    let amounts = &amounts;
    let accounts = (0..10).map(async |account| {
        for amount in amounts.clone().filter(|amount| amount % 10 == account) {
            till.dispatch(pay(&account.to_string(), amount)).await?;
        }
        Ok::<_, DispatchError<_>>(())
    });
    in_time(try_join_all(accounts)).await.unwrap();
}

/// That the rows are what the log comes to.
async fn check(rows: &PostgresRows, store: &PostgresStore, has_total: bool) {
    let mut expected = BTreeMap::<String, Vec<i64>>::new();
    for event in store.read_log(0, &EventFilter::all(), 100_000).await.unwrap().events {
        let Paid { account_id, amount } = serde_json::from_slice(&event.data).unwrap();
        expected.entry(account_id).or_default().push(amount.cast_signed());
    }
    let schema = rows.schema_of("balances");
    let made: Vec<(String, Vec<i64>)> =
        sqlx::query_as(AssertSqlSafe(format!("select account_id, amounts from {schema}.accounts")))
            .fetch_all(rows.pool())
            .await
            .unwrap();
    assert_eq!(made.into_iter().collect::<BTreeMap<_, _>>(), expected);
    if has_total {
        let sum: i64 = expected.values().flatten().sum();
        let total = sqlx::query_scalar(AssertSqlSafe(format!("select amount from {schema}.total")));
        assert_eq!(total.fetch_one(rows.pool()).await.ok(), Some(sum));
    }
}

/// How many transactions of a stretch are committed that is not made wholly.
async fn made(rows: &PostgresRows, schema: &str) -> i64 {
    let sql = format!("select count(*) from {schema}.records where kind = 'made'");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(rows.pool()).await.unwrap()
}

async fn rebuild<const N: u16>(till: &Till) {
    let rebuild = till.projection::<Payments<N>>().unwrap().rebuild().await.unwrap();
    in_time(rebuild.switched()).await.unwrap();
}

/// EV-82: the rows are those of the log, also one that all keys write to, and with fewer connections than partitions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_keys_are_rebuilt_side_by_side_on_few_connections() {
    let schema = schema().await;
    let store = store(&schema).await;
    let pool = PgPoolOptions::new().max_connections(2).connect(schema.url()).await.unwrap();
    let rows = PostgresRows::new(pool, format!("{}_views", schema.name()));
    let payments = Payments::<4> { has_total: true, ..Payments::on(&rows) };
    past(&store, 1..=500).await;
    let till = till(&store, payments).await;
    until_caught_up(&till).await;
    rebuild::<4>(&till).await;
    check(&rows, &store, true).await;
    assert_eq!(made(&rows, &format!("{}_views", schema.name())).await, 0, "nothing is left of it");
    pay_all(&till, &[("3", 1)]).await;
    check(&rows, &store, true).await;
    till.shutdown().await;
}

/// EV-82, G7: what was written of a stretch before a crash is not written again, whatever the number of partitions is then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_a_divided_rebuild_goes_on_after_a_crash() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let payments = Payments::<4>::on(&rows);
    past(&store, 1..=300).await;
    let first = till(&store, payments.clone()).await;
    until_caught_up(&first).await;
    let (fault, came, _go) = Fault::hold();
    payments.faults.set(287, fault);
    first.projection::<Payments<4>>().unwrap().rebuild().await.unwrap();
    arrival(&came).await;
    let views = format!("{}_views", schema.name());
    until(async || (made(&rows, &views).await == 3).then_some(())).await;
    first.shutdown_within(Duration::from_millis(200)).await;
    let second = till(&store, Payments::<3>::on(&rows)).await;
    pay_ten(&second, 301..=310).await;
    until_active(&rows, 2).await;
    until_caught_up(&second).await;
    check(&rows, &store, false).await;
    assert_eq!(made(&rows, &views).await, 0);
    second.shutdown().await;
}

/// A statement that fails parks its key, and nothing else waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_event_parks_its_key_and_no_other() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let payments = Payments::<4>::on(&rows);
    past(&store, 1..=300).await;
    let till = till(&store, payments.clone()).await;
    until_caught_up(&till).await;
    payments.faults.set(157, Fault::Fail);
    rebuild::<4>(&till).await;
    until_parked(&till, 1).await;
    let sql = format!("select sum(cardinality(amounts))::int8 from {}.accounts", rows.schema_of("balances"));
    let written: i64 = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(rows.pool()).await.unwrap();
    assert_eq!(written, 285, "15 of one account wait");
    payments.faults.mend(157);
    // The log's store hears of parked keys a moment later.
    until(async || till.handler("balances")?.retry_parked("account-7").await.ok()).await;
    until_parked(&till, 0).await;
    check(&rows, &store, false).await;
    till.shutdown().await;
}

/// Transactions that wait for each other: the database ends one of them, whose events are projected again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_of_two_partitions_is_made_good() {
    struct Crosswise {
        rows: PostgresRows,
        faults: Faults,
    }

    #[projection(name = "balances", interested_in = [Paid], rebuild_partitions = 2)]
    impl Crosswise {
        fn rows(&self) -> &PostgresRows {
            &self.rows
        }

        async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
            let create = "create table sums (name text primary key, amount bigint not null); \
                 insert into sums values ('x', 0), ('y', 0)";
            sqlx::raw_sql(create).execute(rows).await.map(drop)
        }

        async fn on_paid(&self, event: &Paid, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
            let names = if event.account_id == "1" { ["x", "y"] } else { ["y", "x"] };
            for name in names {
                let update = sqlx::query("update sums set amount = amount + $1 where name = $2");
                update.bind(event.amount.cast_signed()).bind(name).execute(&mut *rows).await?;
                if name == names[0] {
                    self.faults.at(event.amount, rows).await?;
                }
            }
            Ok(())
        }
    }

    let schema = schema().await;
    let store = store(&schema).await;
    let (rows, faults) = (PostgresRows::beside(&store), Faults::default());
    let past = Till::builder(store.clone()).start().await.unwrap();
    // The keys of these two fall to different partitions.
    let payments = ["1", "2"].map(async |account| {
        for amount in 7..70 {
            past.dispatch(pay(account, amount)).await.unwrap();
        }
    });
    in_time(futures_util::future::join_all(payments)).await;
    past.shutdown().await;
    let till = till(&store, Crosswise { rows: rows.clone(), faults: faults.clone() }).await;
    until_caught_up(&till).await;
    let (fault, came, go) = Fault::hold();
    faults.set(7, fault);
    let rebuild = till.projection::<Crosswise>().unwrap().rebuild().await.unwrap();
    arrival(&came).await;
    arrival(&came).await;
    // Each has a row that the other one wants.
    go.add_permits(100);
    in_time(rebuild.switched()).await.unwrap();
    let sql = format!("select amount from {}.sums", rows.schema_of("balances"));
    let sums: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(rows.pool()).await.unwrap();
    assert_eq!(sums, [2 * (7..70).sum::<i64>(); 2]);
    assert_eq!(till.handlers().await.unwrap()[0].parked, 0);
    till.shutdown().await;
}

/// CA-4, G7: a server that dies in the middle of a stretch forgets some of what it said was committed. Nothing is missing
/// for that, and nothing is there twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g7_a_server_that_dies_in_a_divided_rebuild_loses_no_rows() {
    let (log, views) =
        (TestServer::shared().await.unwrap(), TestServer::builder().durable().start().await.unwrap());
    let schema = TestSchema::new(log);
    let pool = sqlx::PgPool::connect(views.url()).await.unwrap();
    let (store, rows) = (store(&schema).await, PostgresRows::new(pool, "views"));
    let payments = Payments::<4>::on(&rows);
    past(&store, 1..=300).await;
    let till = till(&store, payments.clone()).await;
    until_caught_up(&till).await;
    for round in 0..3 {
        let (fault, came, go) = Fault::hold();
        payments.faults.set(287, fault);
        let rebuild = till.projection::<Payments<4>>().unwrap().rebuild().await.unwrap();
        arrival(&came).await;
        if round > 0 {
            until(async || (made(&rows, "views").await == 3).then_some(())).await;
        }
        views.restart(StopMode::Immediate).await.unwrap();
        payments.faults.mend(287);
        go.add_permits(100);
        in_time(rebuild.switched()).await.unwrap();
        check(&rows, &store, false).await;
    }
    till.shutdown().await;
    rows.pool().close().await;
}

/// EV-82: divided rebuilds under live writes lose nothing and repeat nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_divided_rebuilds_under_live_writes_lose_nothing() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let payments = Payments::<4> { has_total: true, ..Payments::on(&rows) };
    past(&store, 1..=300).await;
    let till = till(&store, payments).await;
    until_caught_up(&till).await;
    let rebuilds = async {
        for _ in 0..2 {
            rebuild::<4>(&till).await;
        }
    };
    join(rebuilds, pay_ten(&till, 301..=600)).await;
    until_caught_up(&till).await;
    check(&rows, &store, true).await;
    let balances = till.projection::<Payments<4>>().unwrap();
    let states: Vec<_> = balances.generations().await.unwrap().iter().map(|one| one.state).collect();
    assert_eq!(states, [GenerationState::Kept, GenerationState::Kept, GenerationState::Active]);
    till.shutdown().await;
}

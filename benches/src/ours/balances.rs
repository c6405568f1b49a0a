//! Balances as rows: by projections, and by hand.

use cqrs::event::EventRegistry;
use cqrs::postgres::{BulkRows, BulkWriter, PostgresRows};
use cqrs::prelude::*;
use cqrs::store::{EventFilter, EventStore as _, RecordedEvent};
use serde::Deserialize;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use crate::domain::{AccountOpened, MoneyDeposited, MoneyWithdrawn};
use crate::point::BoxError;
use crate::postgres::Database;

const CREATE: &str = "create table balances (account_id text primary key, balance bigint not null)";

const ONE: &str = "insert into balances as b values ($1, $2) \
     on conflict (account_id) do update set balance = b.balance + excluded.balance";

const MANY: &str = "insert into balances as b \
     select account_id, sum(amount) from unnest($1::text[], $2::bigint[]) u(account_id, amount) \
     group by account_id order by account_id \
     on conflict (account_id) do update set balance = b.balance + excluded.balance";

/// Where rows lie: in the database of the log, on connections of their own.
pub(super) async fn rows(database: &Database) -> Result<PostgresRows, BoxError> {
    rows_on(database, 4).await
}

/// The same on that many connections.
pub(super) async fn rows_on(database: &Database, connections: u32) -> Result<PostgresRows, BoxError> {
    let pool = PgPoolOptions::new().max_connections(connections).connect(database.url().as_str()).await?;
    Ok(PostgresRows::new(pool, "views"))
}

/// Writes a row an event.
pub(super) struct OneByOne(pub(super) PostgresRows);

#[projection(name = "one_by_one", interested_in = [AccountOpened, MoneyDeposited])]
impl OneByOne {
    fn rows(&self) -> &PostgresRows {
        &self.0
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows).await.map(drop)
    }

    async fn on_opened(&self, event: &AccountOpened, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(ONE).bind(event.account_id.clone()).bind(0_i64).execute(rows).await.map(drop)
    }

    async fn on_deposited(&self, event: &MoneyDeposited, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(ONE).bind(event.account_id.clone()).bind(amount(event)).execute(rows).await.map(drop)
    }
}

/// Has a row an event written with those of other events.
pub(super) struct InBulk(pub(super) BulkRows);

#[projection(name = "in_bulk", interested_in = [AccountOpened, MoneyDeposited])]
impl InBulk {
    fn rows(&self) -> &BulkRows {
        &self.0
    }

    async fn create(&self, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows.connection().await?).await.map(drop)
    }

    async fn on_opened(&self, event: &AccountOpened, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        rows.write(MANY, (event.account_id.clone(), 0_i64)).await
    }

    async fn on_deposited(&self, event: &MoneyDeposited, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        rows.write(MANY, (event.account_id.clone(), amount(event))).await
    }
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub(super) enum BalanceEvent {
    Opened(AccountOpened),
    Deposited(MoneyDeposited),
}

/// Writes the rows of a batch with one statement.
pub(super) struct Batched(pub(super) PostgresRows);

#[projection(name = "batched", events = BalanceEvent)]
impl Batched {
    fn rows(&self) -> &PostgresRows {
        &self.0
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows).await.map(drop)
    }

    async fn on_batch(
        &self,
        events: &[Projected<BalanceEvent>],
        rows: &mut PgConnection,
    ) -> Result<(), sqlx::Error> {
        let rows_of_batch = events.iter().map(|one| match &one.event {
            BalanceEvent::Opened(event) => (event.account_id.clone(), 0),
            BalanceEvent::Deposited(event) => (event.account_id.clone(), amount(event)),
        });
        upsert_many(rows_of_batch.unzip(), rows).await
    }
}

#[derive(EventSet, Clone, Debug, PartialEq)]
pub(super) enum Movement {
    Opened(AccountOpened),
    Deposited(MoneyDeposited),
    Withdrawn(MoneyWithdrawn),
}

/// Writes a row an event, of all events that there are: with them or behind them, and in so many partitions when the rows
/// are made anew.
pub(super) struct Each<const INLINE: bool, const PARTITIONS: u16>(pub(super) PostgresRows);

impl<const INLINE: bool, const PARTITIONS: u16> Projection for Each<INLINE, PARTITIONS> {
    const NAME: &'static str = "each";
    const INLINE: bool = INLINE;
    const REBUILD_PARTITIONS: u16 = PARTITIONS;
    type Event = Movement;
    type Rows = PostgresRows;
    type Error = sqlx::Error;

    fn rows(&self) -> &PostgresRows {
        &self.0
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows).await.map(drop)
    }

    async fn handle(
        &self,
        event: &Movement,
        rows: &mut PgConnection,
        _context: &ProjectionContext,
    ) -> Result<(), sqlx::Error> {
        let (account_id, amount) = match event {
            Movement::Opened(event) => (&event.account_id, 0),
            Movement::Deposited(event) => (&event.account_id, amount(event)),
            Movement::Withdrawn(event) => {
                (&event.account_id, -i64::try_from(event.amount).unwrap_or(i64::MAX))
            }
        };
        sqlx::query(ONE).bind(account_id.clone()).bind(amount).execute(rows).await.map(drop)
    }
}

fn amount(event: &MoneyDeposited) -> i64 {
    i64::try_from(event.amount).unwrap_or(i64::MAX)
}

async fn upsert_many(
    (accounts, amounts): (Vec<String>, Vec<i64>),
    connection: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query(MANY).bind(accounts).bind(amounts).execute(connection).await.map(drop)
}

/// What a program does that is written for nothing else: it reads pages of 500 events, and writes the rows of each with
/// one statement, together with its position.
pub(super) async fn by_hand(
    store: &PostgresStore,
    pool: &PgPool,
    schema: &str,
    events: u64,
) -> Result<(), BoxError> {
    const PAGE: usize = 500;
    let mut connection = pool.acquire().await?;
    let create = format!(
        "create schema {schema}; set search_path to {schema}; {CREATE}; \
         create table position (position bigint not null); insert into position values (0)"
    );
    sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *connection).await?;
    let filter = EventFilter::types(["bench.AccountOpened", "bench.MoneyDeposited"]);
    let mut position = 0;
    while position < events {
        let page = store.read_log(position, &filter, PAGE).await?;
        let rows = page.events.iter().map(row).collect::<Result<Vec<_>, _>>()?;
        let mut transaction = sqlx::Connection::begin(&mut *connection).await?;
        upsert_many(rows.into_iter().unzip(), &mut transaction).await?;
        position = page.read_to;
        let moved = sqlx::query("update position set position = $1").bind(i64::try_from(position)?);
        moved.execute(&mut *transaction).await?;
        transaction.commit().await?;
    }
    sqlx::raw_sql(AssertSqlSafe(format!("drop schema {schema} cascade; reset search_path")))
        .execute(&mut *connection)
        .await?;
    Ok(())
}

#[derive(Deserialize)]
struct Row {
    account_id: String,
    #[serde(default)]
    amount: i64,
}

fn row(event: &RecordedEvent) -> Result<(String, i64), serde_json::Error> {
    serde_json::from_slice(&event.data).map(|Row { account_id, amount }| (account_id, amount))
}

/// That the events are stored under the names that are read by hand.
pub(super) fn check_names() -> Result<(), BoxError> {
    let registry = EventRegistry::of_program();
    match ["bench.AccountOpened", "bench.MoneyDeposited"].iter().all(|name| registry.find(name).is_some()) {
        true => Ok(()),
        false => Err("the events of the bank have other names".into()),
    }
}

//! Balances as rows of a table, and faults that a test sets.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use cqrs::postgres::PostgresRows;
use cqrs::postgres::sqlx::{self, AssertSqlSafe, PgConnection, PgPool};
use cqrs::prelude::*;
use cqrs::projection::{Generation, GenerationState, RowStore as _};
use tokio::sync::Semaphore;

pub use crate::domain::{Desk, Drawn, Paid, draw, in_time, pay, schema, store};

application! {
    /// Projections are given by each test.
    pub struct Till {
        routers: [Desk],
    }
}

/// What happens at payments of certain amounts, when their rows are written.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<HashMap<u64, Fault>>>);

#[derive(Clone)]
pub enum Fault {
    /// A statement that the database refuses.
    Fail,
    /// A statement that the database refuses, of which nothing is told.
    FailInSilence,
    Panic,
    /// A statement that does not end.
    Hang,
    /// A permit lets one go on; whoever comes adds one to the other.
    Hold {
        came: Arc<Semaphore>,
        go: Arc<Semaphore>,
    },
}

impl Fault {
    pub fn hold() -> (Self, Arc<Semaphore>, Arc<Semaphore>) {
        let (came, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        (Self::Hold { came: came.clone(), go: go.clone() }, came, go)
    }
}

impl Faults {
    pub fn of(amount: u64, fault: Fault) -> Self {
        let faults = Self::default();
        faults.set(amount, fault);
        faults
    }

    pub fn set(&self, amount: u64, fault: Fault) {
        self.0.lock().unwrap().insert(amount, fault);
    }

    pub fn mend(&self, amount: u64) {
        self.0.lock().unwrap().remove(&amount);
    }

    pub async fn at(&self, amount: u64, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        let fault = self.0.lock().unwrap().get(&amount).cloned();
        match fault {
            None => Ok(()),
            Some(Fault::Fail) => sqlx::query("select 1 / 0").execute(connection).await.map(drop),
            Some(Fault::FailInSilence) => {
                let _ = sqlx::query("select 1 / 0").execute(connection).await;
                Ok(())
            }
            Some(Fault::Panic) => panic!("on purpose"),
            Some(Fault::Hang) => sqlx::query("select pg_sleep(3600)").execute(connection).await.map(drop),
            Some(Fault::Hold { came, go }) => {
                came.add_permits(1);
                go.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }
}

pub async fn arrival(came: &Semaphore) {
    in_time(came.acquire()).await.unwrap().forget();
}

/// What each account has, and how many events made it.
#[derive(Clone)]
pub struct Balances {
    pub rows: PostgresRows,
    pub faults: Faults,
}

const CREATE: &str = "create table accounts (account_id text primary key, balance bigint not null, \
     events bigint not null)";
const UPSERT: &str = "insert into accounts as a (account_id, balance, events) values ($1, $2, 1) \
     on conflict (account_id) do update set balance = a.balance + excluded.balance, events = a.events + 1";

#[projection(name = "balances", interested_in = [Paid, Drawn], version = 1, consistency = strong)]
impl Balances {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows).await.map(drop)
    }

    async fn on_paid(&self, event: &Paid, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        add(&event.account_id, event.amount.cast_signed(), rows).await?;
        self.faults.at(event.amount, rows).await
    }

    async fn on_drawn(&self, event: &Drawn, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        add(&event.account_id, -event.amount.cast_signed(), rows).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction {
        ErrorAction::Park
    }
}

async fn add(account: &str, amount: i64, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(UPSERT).bind(account.to_owned()).bind(amount).execute(rows).await.map(drop)
}

/// The next version: another table, in cents.
#[derive(Clone)]
pub struct Cents {
    pub rows: PostgresRows,
    pub faults: Faults,
}

#[projection(name = "balances", interested_in = [Paid, Drawn], version = 2, consistency = strong)]
impl Cents {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let create = "create table accounts (account_id text primary key, cents bigint not null)";
        sqlx::raw_sql(create).execute(rows).await.map(drop)
    }

    async fn on_paid(&self, event: &Paid, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        add_cents(&event.account_id, 100 * event.amount.cast_signed(), rows).await?;
        self.faults.at(event.amount, rows).await
    }

    async fn on_drawn(&self, event: &Drawn, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        add_cents(&event.account_id, -100 * event.amount.cast_signed(), rows).await
    }
}

async fn add_cents(account: &str, cents: i64, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
    let upsert = "insert into accounts as a (account_id, cents) values ($1, $2) \
         on conflict (account_id) do update set cents = a.cents + excluded.cents";
    sqlx::query(upsert).bind(account.to_owned()).bind(cents).execute(rows).await.map(drop)
}

impl Balances {
    pub fn on(rows: &PostgresRows) -> Self {
        Self { rows: rows.clone(), faults: Faults::default() }
    }
}

pub async fn till(store: &PostgresStore, projection: impl Projection) -> Till {
    Till::builder(store.clone()).projection(projection).start().await.unwrap()
}

pub async fn node(name: &str, store: &PostgresStore, projection: impl Projection) -> Till {
    Till::builder(store.clone()).node(name).projection(projection).start().await.unwrap()
}

/// Dispatches payments, and waits until they are projected or parked.
pub async fn pay_all(till: &Till, payments: &[(&str, u64)]) {
    for (account, amount) in payments {
        match in_time(till.dispatch(pay(account, *amount)).consistency(Strong)).await {
            Ok(_) => {}
            Err(DispatchError::NotHandled { pending, .. }) if pending[0].is_parked => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// A row as readers see it: the balance, and how many events made it.
pub async fn account(rows: &PostgresRows, name: &str) -> Option<(i64, i64)> {
    let sql =
        format!("select balance, events from {}.accounts where account_id = $1", rows.schema_of("balances"));
    sqlx::query_as(AssertSqlSafe(sql)).bind(name.to_owned()).fetch_optional(rows.pool()).await.unwrap()
}

pub async fn cents(pool: &PgPool, schema: &str, name: &str) -> Option<i64> {
    let sql = format!("select cents from {schema}.accounts where account_id = $1");
    let cents = sqlx::query_scalar(AssertSqlSafe(sql)).bind(name.to_owned());
    cents.fetch_optional(pool).await.unwrap_or_default()
}

/// The generations of rows: number, version and state.
pub async fn generations(rows: &PostgresRows) -> Vec<(u64, u32, GenerationState)> {
    generations_of(rows, "balances").await
}

pub async fn generations_of(rows: &PostgresRows, projection: &str) -> Vec<(u64, u32, GenerationState)> {
    let generations = rows.generations(projection).await.unwrap();
    generations.iter().map(|Generation { number, version, state, .. }| (*number, *version, *state)).collect()
}

/// Waits until there is something to see.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    in_time(async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

pub async fn until_active(rows: &PostgresRows, number: u64) {
    let is_active =
        |(one, _, state): &(u64, u32, GenerationState)| *one == number && *state == GenerationState::Active;
    until(async || generations(rows).await.iter().any(is_active).then_some(())).await;
}

pub async fn until_parked(till: &Till, count: usize) {
    until(async || (till.handlers().await.unwrap()[0].parked == count).then_some(())).await;
}

pub async fn until_caught_up(till: &Till) {
    until(async || (till.handlers().await.unwrap()[0].lag == 0).then_some(())).await;
}

//! Methods that write a row each, which are gathered and written many at a time.

use std::collections::BTreeMap;

use cqrs::application::{ForeignRows, StartError, StartFault};
use cqrs::postgres::sqlx::{self, AssertSqlSafe};
use cqrs::postgres::{BulkRows, BulkWriter, PostgresRows};
use cqrs::prelude::*;
use cqrs::store::EventStore as _;

use super::domain::*;
use crate::domain::pay_past;

/// What accounts have, and how often their table was written to.
#[derive(Clone)]
struct Ledger {
    rows: BulkRows,
}

const CREATE: &str = "create table accounts (account_id text primary key check (account_id <> 'b'), \
       balance bigint not null, events bigint not null); \
     create table statements (rows bigint not null); \
     create function told() returns trigger language plpgsql as \
       $$ begin insert into statements select count(*) from written; return null; end $$; \
     create trigger told after insert on accounts referencing new table as written \
       for each statement execute function told()";

const ADD: &str = "insert into accounts as a \
     select account_id, sum(amount), count(*) from unnest($1::text[], $2::bigint[]) r(account_id, amount) group by 1 \
     on conflict (account_id) do update set balance = a.balance + excluded.balance, \
       events = a.events + excluded.events";

#[projection(name = "balances", interested_in = [Paid, Drawn], consistency = strong)]
impl Ledger {
    fn rows(&self) -> &BulkRows {
        &self.rows
    }

    async fn create(&self, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows.connection().await?).await.map(drop)
    }

    async fn on_paid(&self, event: &Paid, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        rows.write(ADD, (event.account_id.clone(), event.amount.cast_signed())).await
    }

    async fn on_drawn(&self, event: &Drawn, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        rows.write(ADD, (event.account_id.clone(), -event.amount.cast_signed())).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction {
        ErrorAction::Park
    }
}

async fn statements(rows: &PostgresRows) -> i64 {
    let sql = format!("select count(*) from {}.statements", rows.schema_of("balances"));
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(rows.pool()).await.unwrap()
}

/// 400 payments to 40 accounts, which a projection that begins later finds.
async fn paid_before(store: &PostgresStore) {
    let accounts: Vec<_> = (0..400).map(|number| format!("a{}", number % 40)).collect();
    pay_past(store, &accounts.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// The rows of many events are written with few statements, and each event takes effect once, also where it comes alone.
#[tokio::test]
async fn t_420_rows_of_many_events_are_written_at_once() {
    let schema = schema().await;
    let store = store(&schema).await;
    paid_before(&store).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Ledger { rows: rows.clone().bulk() }).await;
    until_caught_up(&till).await;
    // Those of account a1 are 2, 42, 82 and so on.
    assert_eq!(account(&rows, "a1").await, Some((10 * 2 + 40 * 45, 10)));
    let written = statements(&rows).await;
    assert!((1..10).contains(&written), "400 events took {written} statements");
    pay_all(&till, &[("a1", 10)]).await;
    in_time(till.dispatch(draw("a1", 4)).consistency(Strong)).await.unwrap();
    assert_eq!(account(&rows, "a1").await, Some((1_820 + 6, 12)));
    assert!((1..=2).contains(&(statements(&rows).await - written)));
    till.shutdown().await;
}

/// A row that the database refuses is found among the others of its batch: its event is parked, all others take effect.
#[tokio::test]
async fn a_refused_row_of_many_is_found() {
    let schema = schema().await;
    let store = store(&schema).await;
    pay_past(&store, &["a", "a", "b", "c", "b"]).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Ledger { rows: rows.clone().bulk() }).await;
    until_parked(&till, 1).await;
    until_caught_up(&till).await;
    assert_eq!(account(&rows, "a").await, Some((3, 2)));
    assert_eq!(account(&rows, "c").await, Some((4, 1)));
    let parked = till.handler("balances").unwrap().parked(None, 10).await.unwrap();
    assert_eq!((&*parked[0].key, parked[0].position), ("account-b", 3));
    assert!(parked[0].error.contains("accounts_account_id_check"), "{}", parked[0].error);
    till.shutdown().await;
}

/// Such rows cannot be written in the transactions of appends, which is told at the start.
#[tokio::test]
async fn rows_in_bulk_are_not_written_inline() {
    #[derive(Clone)]
    struct Inline(BulkRows);

    #[projection(name = "balances", interested_in = [Paid], inline, error = sqlx::Error)]
    impl Inline {
        fn rows(&self) -> &BulkRows {
            &self.0
        }

        fn on_paid(&self, _: &Paid) {}
    }

    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store).bulk();
    let refused = Till::builder(store.clone()).projection(Inline(rows)).start().await.unwrap_err();
    let StartError::Invalid { faults, .. } = &refused else { panic!("{refused:?}") };
    assert!(matches!(&faults[..], [StartFault::ForeignRows { reason: ForeignRows::Kind, .. }]), "{faults:?}");
}

/// Rows that come, go and change by statements of their own.
#[derive(Clone)]
struct Doors {
    rows: BulkRows,
}

const OPEN: &str = "insert into doors select distinct on (door) door, at from unnest($1::text[], $2::bigint[]) r(door, at) \
     order by door, at desc on conflict (door) do update set at = excluded.at";
const CLOSE: &str = "delete from doors where door = any($1)";
const MOVE: &str = "update doors d set at = -r.at \
     from (select door, max(at) as at from unnest($1::text[], $2::bigint[]) r(door, at) group by 1) r where d.door = r.door";

#[projection(name = "doors", interested_in = [Paid], consistency = strong)]
impl Doors {
    fn rows(&self) -> &BulkRows {
        &self.rows
    }

    async fn create(&self, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        let create = "create table doors (door text primary key, at bigint not null)";
        sqlx::raw_sql(create).execute(rows.connection().await?).await.map(drop)
    }

    async fn on_paid(&self, event: &Paid, rows: &mut BulkWriter) -> Result<(), sqlx::Error> {
        let (door, at) = (event.account_id.clone(), event.amount.cast_signed());
        match what(event.amount) {
            What::Open => rows.write(OPEN, (door, at)).await,
            What::Close => rows.write(CLOSE, (door,)).await,
            What::Move => rows.write(MOVE, (door, at)).await,
            What::Look => {
                let look =
                    sqlx::query_scalar("select count(*) from doors where door = $1").bind(door.clone());
                let open: i64 = look.fetch_one(rows.connection().await?).await?;
                rows.write(OPEN, (format!("{door}, seen"), 2 * at + open)).await
            }
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Open,
    Close,
    Move,
    Look,
}

/// What the payment of an amount does, in no order that repeats itself soon.
fn what(amount: u64) -> What {
    match amount.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56 {
        0..100 => What::Open,
        100..170 => What::Close,
        170..250 => What::Move,
        _ => What::Look,
    }
}

/// Whatever is gathered, the rows are as if each event had been alone.
#[tokio::test]
async fn what_is_done_with_a_row_is_done_in_order() {
    let schema = schema().await;
    let store = store(&schema).await;
    let doors: Vec<_> = (0..600_u64).map(|number| format!("d{}", number.wrapping_mul(7) % 11)).collect();
    pay_past(&store, &doors.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut expected = BTreeMap::new();
    for (door, amount) in doors.iter().zip(1_u64..) {
        let at = amount.cast_signed();
        match what(amount) {
            What::Open => drop(expected.insert(door.clone(), at)),
            What::Close => drop(expected.remove(door)),
            What::Move => drop(expected.get_mut(door).map(|place| *place = -at)),
            What::Look => {
                let open = i64::from(expected.contains_key(door));
                expected.insert(format!("{door}, seen"), 2 * at + open);
            }
        }
    }
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Doors { rows: rows.clone().bulk() }).await;
    let doors = till.projection::<Doors>().unwrap();
    doors.at_least(store.head().await.unwrap(), crate::domain::LIMIT).await.unwrap();
    let sql = format!("select door, at from {}.doors", rows.schema_of("doors"));
    let seen: Vec<(String, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(rows.pool()).await.unwrap();
    assert_eq!(seen.into_iter().collect::<BTreeMap<_, _>>(), expected);
    till.shutdown().await;
}

//! Rows made anew beside those that readers see.

use std::sync::Arc;
use std::time::Duration;

use cqrs::postgres::sqlx::PgConnection;
use cqrs::postgres::{PostgresRows, sqlx};
use cqrs::prelude::*;
use cqrs::projection::{GenerationState, RebuildError, RowStore as _};
use tokio::sync::Semaphore;

use super::domain::*;

/// EV-82: a rebuild under live writes loses nothing and repeats nothing, and no reader ever misses a row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_a_rebuild_under_live_writes_loses_nothing() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, Balances::on(&rows)).await;
    pay_all(&till, &[("a", 1); 200]).await;
    let writer = async {
        for _ in 0..400 {
            till.dispatch(pay("a", 1)).await.unwrap();
        }
    };
    let rebuilds = async {
        for _ in 0..3 {
            let rebuild = till.projection::<Balances>().unwrap().rebuild().await.unwrap();
            in_time(rebuild.switched()).await.unwrap();
        }
    };
    let reader = async {
        let mut most = 0;
        while most < 600 {
            let (balance, events) = account(&rows, "a").await.expect("the row is always there");
            assert_eq!(balance, events);
            assert!(events >= most, "readers saw {most} events, and then {events}");
            most = events;
        }
    };
    in_time(futures_util::future::join3(writer, rebuilds, reader)).await;
    assert_eq!(account(&rows, "a").await, Some((600, 600)));
    assert_eq!(
        generations(&rows).await.iter().map(|(_, _, state)| *state).collect::<Vec<_>>(),
        [GenerationState::Kept, GenerationState::Kept, GenerationState::Kept, GenerationState::Active]
    );
    let balances = till.projection::<Balances>().unwrap();
    for kept in 1..=3 {
        balances.discard(kept).await.unwrap();
    }
    let left: i64 = sqlx::query_scalar("select count(*) from pg_namespace where nspname like $1 || '%'")
        .bind(rows.schema_of("balances"))
        .fetch_one(rows.pool())
        .await
        .unwrap();
    assert_eq!(left, 1, "the schemas of the others are gone");
    till.shutdown().await;
}

/// A rebuild that is interrupted goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_goes_on_after_a_restart() {
    let schema = schema().await;
    let store = store(&schema).await;
    let (rows, faults) = (PostgresRows::beside(&store), Faults::default());
    let balances = Balances { rows: rows.clone(), faults: faults.clone() };
    let first = till(&store, balances.clone()).await;
    pay_all(&first, &[("a", 1); 1_500]).await;
    pay_all(&first, &[("a", 7)]).await;
    let (fault, came, _go) = Fault::hold();
    faults.set(7, fault);
    first.projection::<Balances>().unwrap().rebuild().await.unwrap();
    arrival(&came).await;
    first.shutdown_within(Duration::from_millis(200)).await;
    let begun = rows.generations("balances").await.unwrap()[1].position;
    assert!((1..=1_500).contains(&begun), "{begun}");
    assert_eq!(account(&rows, "a").await, Some((1_507, 1_501)), "what readers see is as it was");
    faults.mend(7);
    let second = till(&store, balances).await;
    until_active(&rows, 2).await;
    assert_eq!(account(&rows, "a").await, Some((1_507, 1_501)));
    second.shutdown().await;
}

/// Waits in front of its first statement while rows are built, and stops at the first failure.
struct Payments {
    rows: PostgresRows,
    came: Arc<Semaphore>,
    go: Arc<Semaphore>,
}

#[projection(name = "payments", interested_in = [Paid], consistency = strong)]
impl Payments {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("create table payments (amount bigint)").execute(rows).await.map(drop)
    }

    async fn on_paid(
        &self,
        event: &Paid,
        rows: &mut PgConnection,
        context: &ProjectionContext,
    ) -> Result<(), sqlx::Error> {
        if context.is_rebuild() {
            self.came.add_permits(1);
            self.go.acquire().await.unwrap().forget();
        }
        let insert = sqlx::query("insert into payments values ($1)").bind(event.amount.cast_signed());
        insert.execute(rows).await.map(drop)
    }

    async fn on_error(&self, _failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction {
        ErrorAction::Stop
    }
}

/// That the tables are gone is not the fault of an event that was to be written to them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_are_discarded_while_they_are_built_fail_no_event() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let (came, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let till = till(&store, Payments { rows: rows.clone(), came: came.clone(), go: go.clone() }).await;
    pay_all(&till, &[("a", 1)]).await;
    let payments = till.projection::<Payments>().unwrap();
    let discarded = payments.rebuild().await.unwrap();
    arrival(&came).await;
    // As another node would: this one is not told.
    rows.discard("payments", discarded.generation()).await.unwrap();
    go.add_permits(1);
    // The batch has failed; its event is tried by itself.
    arrival(&came).await;
    go.add_permits(10);
    let gone = in_time(discarded.switched()).await;
    assert!(matches!(gone, Err(RebuildError::Discarded { .. })), "{gone:?}");
    in_time(payments.rebuild().await.unwrap().switched()).await.unwrap();
    till.shutdown().await;
}

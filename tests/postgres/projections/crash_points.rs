//! Projections on Postgres that are cut off at each step that they take, and whose calls fail one after the other: the
//! rows are what the log leads to, and readers see nothing else meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs::application::Config;
use cqrs::postgres::sqlx::{self, AssertSqlSafe, PgConnection};
use cqrs::postgres::{PostgresPool, PostgresRows};
use cqrs::prelude::*;
use cqrs::projection::{GenerationError, GenerationState, RebuildError, RowStore as _};
use cqrs::testing::settle;
use tokio::sync::Notify;

use super::domain::*;
use crate::domain::{LIMIT, pay_past, pool};
use crate::mortal::{Fate, MortalRows, MortalStore, each_death, each_fault};

/// The accounts of the payments, whose amounts are their positions: those that are there, and those that come later.
const ACCOUNTS: [&str; 8] = ["a", "b", "a", "c", "b", "a", "c", "b"];
const PAST: usize = 4;

/// What cannot be projected at first.
const BAD: u64 = 2;

type Ledger = BTreeMap<String, Vec<i64>>;

/// The amounts paid into each account, in their order.
#[derive(Clone)]
pub struct Payments {
    rows: MortalRows<PostgresRows>,
    is_mended: Arc<AtomicBool>,
}

const CREATE: &str = "create table payments (account_id text primary key, amounts bigint[] not null)";
const UPSERT: &str = "insert into payments as p (account_id, amounts) values ($1, array[$2]) \
     on conflict (account_id) do update set amounts = p.amounts || excluded.amounts";

#[projection(name = "payments", interested_in = [Paid])]
impl Payments {
    fn rows(&self) -> &MortalRows<PostgresRows> {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows).await.map(drop)
    }

    async fn on_paid(&self, event: &Paid, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let upsert = sqlx::query(UPSERT).bind(event.account_id.clone()).bind(event.amount.cast_signed());
        upsert.execute(&mut *rows).await?;
        match event.amount == BAD && !self.is_mended.load(Ordering::SeqCst) {
            true => sqlx::query("select 1 / 0").execute(rows).await.map(drop),
            false => Ok(()),
        }
    }

    async fn on_error(&self, _failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction {
        ErrorAction::Park
    }
}

/// What the log leads to up to a position.
fn fold(position: usize) -> Ledger {
    let mut ledger = Ledger::new();
    for (account, amount) in ACCOUNTS[..position].iter().zip(1..) {
        ledger.entry((*account).to_owned()).or_default().push(amount);
    }
    ledger
}

/// The rows that readers see, and up to where they are made.
async fn look(rows: &PostgresRows) -> Option<(usize, Ledger)> {
    let views = &rows.schema_of("payments");
    let schema = views.strip_suffix("_payments").unwrap();
    let sql = format!(
        "select g.position, p.account_id, p.amounts from {schema}.generations g \
         left join {views}.payments p on true where g.projection = 'payments' and g.state = 'active'"
    );
    // Until they are made there is no table, or no row.
    let found: Vec<(i64, Option<String>, Option<Vec<i64>>)> =
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(rows.pool()).await.ok()?;
    let position = usize::try_from(found.first()?.0).unwrap();
    let row = |(_, account, amounts)| Option::zip(account, amounts);
    Some((position, found.into_iter().filter_map(row).collect()))
}

/// Starts, also when the first attempt fails.
async fn start(store: &MortalStore<PostgresStore>, node: &str, payments: &Payments) -> Till {
    let config = Config::new().checkpoint_every(1).tail_page(3);
    loop {
        let builder = Till::builder(store.clone()).node(node).config(config.clone());
        if let Ok(till) = builder.projection(payments.clone()).start().await {
            return till;
        }
        // It may have got leases without hearing of it.
        store.let_leases_run_out().await;
    }
}

/// Everything that is there, what comes later, and what was parked.
async fn live(till: &Till, store: &PostgresStore, is_mended: &AtomicBool) {
    settle(till).within(LIMIT).await;
    pay_past(store, &ACCOUNTS).await;
    settle(till).within(LIMIT).await;
    is_mended.store(true, Ordering::SeqCst);
    let handler = till.handler("payments").unwrap();
    in_time(async {
        // Each look is a step of its own: not more of them than it takes.
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        loop {
            looks.tick().await;
            let Ok(parked) = handler.parked(None, 10).await else { continue };
            if parked.is_empty() {
                return;
            }
            for parked in &parked {
                let _ = handler.retry_parked(&parked.key).await;
            }
        }
    })
    .await;
    settle(till).within(LIMIT).await;
}

/// The rows are made up to where they say, but for those that wait behind the one that fails.
async fn check_position(rows: &PostgresRows) {
    let Some((position, mut ledger)) = look(rows).await else { return };
    let mut expected = fold(position);
    let (waiting, all) = (ledger.remove("b").unwrap_or_default(), expected.remove("b").unwrap_or_default());
    assert_eq!(ledger, expected, "made up to {position}");
    assert!(all.starts_with(&waiting), "{waiting:?} of {all:?}");
}

async fn run(pool: &PostgresPool, fate: Fate) {
    let (schema, is_mended) = (schema().await, Arc::new(AtomicBool::new(false)));
    let store = pool.store(schema.name()).await.unwrap();
    let rows = PostgresRows::beside(&store);
    let payments =
        |fate: &Fate| Payments { rows: MortalRows::new(&rows, fate), is_mended: Arc::clone(&is_mended) };
    pay_past(&store, &ACCOUNTS[..PAST]).await;
    let mortal = MortalStore::new(&store, &fate);
    let life = async {
        let till = start(&mortal, "mortal", &payments(&fate)).await;
        live(&till, &store, &is_mended).await;
        till.shutdown().await;
    };
    fate.live(life).await;
    check_position(&rows).await;
    mortal.let_leases_run_out().await;
    let heir = start(&MortalStore::new(&store, &Fate::kind()), "heir", &payments(&Fate::kind())).await;
    live(&heir, &store, &is_mended).await;
    heir.shutdown().await;
    assert_eq!(look(&rows).await, Some((ACCOUNTS.len(), fold(ACCOUNTS.len()))));
}

/// G5, G7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_g_007_whatever_step_a_projection_is_cut_off_at_its_rows_are_those_of_the_log() {
    let pool = pool().await;
    let deaths = each_death(async |fate| run(&pool, fate).await).await;
    println!("cut off at {deaths} steps");
    assert!(deaths > 80, "there were {deaths} only");
}

/// G5, G7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_005_g_007_whatever_call_of_a_projection_fails_its_rows_are_those_of_the_log() {
    let pool = pool().await;
    let faults = each_fault(async |fate| run(&pool, fate).await).await;
    println!("{faults} faults");
    assert!(faults > 80, "there were {faults} only");
}

/// Has rows built beside the old ones, and given to readers, unless that is done.
async fn build(till: &Till, rows: &PostgresRows) {
    let payments = till.projection_named("payments").unwrap();
    let all = async || rows.generations("payments").await.unwrap();
    while all().await.len() < 2 {
        match payments.rebuild().await {
            Ok(_) | Err(GenerationError::Building { .. } | GenerationError::Store(_)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    in_time(async {
        while all().await[1].state != GenerationState::Active {
            match payments.building().await {
                Ok(Some(rebuild)) => match rebuild.switched().await {
                    Ok(()) | Err(RebuildError::Store(_)) => {}
                    Err(error) => panic!("{error:?}"),
                },
                Ok(None) | Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
}

async fn run_rebuild(pool: &PostgresPool, fate: Fate) {
    let (schema, is_mended) = (schema().await, Arc::new(AtomicBool::new(true)));
    let store = pool.store(schema.name()).await.unwrap();
    let rows = PostgresRows::beside(&store);
    let payments =
        |fate: &Fate| Payments { rows: MortalRows::new(&rows, fate), is_mended: Arc::clone(&is_mended) };
    pay_past(&store, &ACCOUNTS[..PAST]).await;
    let before = start(&MortalStore::new(&store, &Fate::kind()), "before", &payments(&Fate::kind())).await;
    settle(&before).within(LIMIT).await;
    before.shutdown().await;
    // What is written meanwhile comes between the steps.
    let steps = Arc::new(Notify::new());
    let step = Arc::clone(&steps);
    let fate = fate.seen_by(move || step.notify_one());
    let mortal = MortalStore::new(&store, &fate);
    let work = async {
        let life = async {
            let till = start(&mortal, "mortal", &payments(&fate)).await;
            let writes = async {
                for count in PAST + 1..ACCOUNTS.len() {
                    steps.notified().await;
                    pay_past(&store, &ACCOUNTS[..count]).await;
                }
            };
            futures_util::future::join(build(&till, &rows), writes).await;
            settle(&till).within(LIMIT).await;
            till.shutdown().await;
        };
        fate.live(life).await;
        mortal.let_leases_run_out().await;
        let heir = start(&MortalStore::new(&store, &Fate::kind()), "heir", &payments(&Fate::kind())).await;
        build(&heir, &rows).await;
        pay_past(&store, &ACCOUNTS).await;
        settle(&heir).within(LIMIT).await;
        heir.shutdown().await;
    };
    let reader = async {
        let mut least = PAST;
        while least < ACCOUNTS.len() {
            // The position may be that of the next rows already: the statement has found the table before.
            let (_, ledger) = look(&rows).await.expect("there are always rows");
            let count = ledger.values().map(Vec::len).sum();
            assert_eq!(ledger, fold(count));
            assert!(count >= least, "readers saw {least} events, and then {count}");
            least = count;
        }
    };
    in_time(futures_util::future::join(work, reader)).await;
    assert_eq!(look(&rows).await, Some((ACCOUNTS.len(), fold(ACCOUNTS.len()))));
    let states = generations_of(&rows, "payments").await;
    assert_eq!(states, [(1, 1, GenerationState::Kept), (2, 1, GenerationState::Active)]);
}

/// EV-82, G7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_g_007_whatever_step_a_rebuild_is_cut_off_at_readers_see_rows_of_the_log() {
    let pool = pool().await;
    let deaths = each_death(async |fate| run_rebuild(&pool, fate).await).await;
    println!("cut off at {deaths} steps");
    assert!(deaths > 60, "there were {deaths} only");
}

/// EV-82, G7
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ev_082_g_007_whatever_call_of_a_rebuild_fails_readers_see_rows_of_the_log() {
    let pool = pool().await;
    let faults = each_fault(async |fate| run_rebuild(&pool, fate).await).await;
    println!("{faults} faults");
    assert!(faults > 60, "there were {faults} only");
}

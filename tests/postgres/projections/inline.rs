//! Rows of tables that are written in the transaction of the events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cqrs::application::{Config, ForeignRows, StartError, StartFault};
use cqrs::id::{CommandId, CorrelationId, EventId};
use cqrs::postgres::sqlx::{self, AssertSqlSafe, PgConnection};
use cqrs::postgres::testing::{Proxy, TestSchema};
use cqrs::postgres::{PostgresConfig, PostgresRows};
use cqrs::prelude::*;
use cqrs::projection::{InlineError, RowsNotReady};
use cqrs::store::{Append, EventData, EventFilter, EventStore, ExpectedVersion, StreamId};
use futures_util::future::join_all;

use super::domain::*;

/// What each account has, and how many events made it: written together with them.
#[derive(Clone)]
pub struct Inline {
    pub rows: PostgresRows,
    pub faults: Faults,
}

/// The amount at which the database falls asleep.
const SLEEPY: u64 = 99;

/// The amount at which a constraint that is looked at last is violated.
const DEFERRED: u64 = 98;

const CREATE: &str = "create table accounts (account_id text primary key, balance bigint not null, \
       events bigint not null); \
     create table receipts (position bigint primary key deferrable initially deferred, amount bigint not null)";
const UPSERT: &str = "insert into accounts as a (account_id, balance, events) values ($1, $2, 1) \
     on conflict (account_id) do update set balance = a.balance + excluded.balance, events = a.events + 1";

#[projection(name = "balances", interested_in = [Paid, Drawn], inline, error = sqlx::Error)]
impl Inline {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(CREATE).execute(rows).await.map(drop)
    }

    async fn on_paid(
        &self,
        event: &Paid,
        rows: &mut PgConnection,
        context: &ProjectionContext,
    ) -> Result<(), sqlx::Error> {
        write(&event.account_id, event.amount.cast_signed(), context, rows).await?;
        if event.amount == SLEEPY {
            sqlx::query("select pg_sleep(30)").execute(&mut *rows).await?;
        }
        if event.amount == DEFERRED {
            sqlx::query("insert into receipts select position, amount from receipts")
                .execute(&mut *rows)
                .await?;
        }
        self.faults.at(event.amount, rows).await
    }

    async fn on_drawn(
        &self,
        event: &Drawn,
        rows: &mut PgConnection,
        context: &ProjectionContext,
    ) -> Result<(), sqlx::Error> {
        write(&event.account_id, -event.amount.cast_signed(), context, rows).await
    }

    async fn on_error(&self, _failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction {
        ErrorAction::Park
    }
}

async fn write(
    account: &str,
    amount: i64,
    context: &ProjectionContext,
    rows: &mut PgConnection,
) -> Result<(), sqlx::Error> {
    sqlx::query(UPSERT).bind(account.to_owned()).bind(amount).execute(&mut *rows).await?;
    let receipt = sqlx::query("insert into receipts (position, amount) values ($1, $2)");
    receipt.bind(context.position().cast_signed()).bind(amount).execute(rows).await.map(drop)
}

/// The next version: in cents, another table.
#[derive(Clone)]
struct InlineCents {
    rows: PostgresRows,
}

#[projection(name = "balances", interested_in = [Paid, Drawn], inline, version = 2)]
impl InlineCents {
    fn rows(&self) -> &PostgresRows {
        &self.rows
    }

    async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let create = "create table accounts (account_id text primary key, cents bigint not null)";
        sqlx::raw_sql(create).execute(rows).await.map(drop)
    }

    async fn on_paid(&self, event: &Paid, rows: &mut PgConnection) -> Result<(), sqlx::Error> {
        let upsert = "insert into accounts as a (account_id, cents) values ($1, $2) \
             on conflict (account_id) do update set cents = a.cents + excluded.cents";
        let amount = 100 * event.amount.cast_signed();
        sqlx::query(upsert).bind(event.account_id.clone()).bind(amount).execute(rows).await.map(drop)
    }

    async fn on_drawn(&self, _: &Drawn) -> Result<(), sqlx::Error> {
        Ok(())
    }
}

pub fn inline(rows: &PostgresRows) -> Inline {
    Inline { rows: rows.clone(), faults: Faults::default() }
}

/// That the rows are what the log makes of them.
pub async fn check(store: &PostgresStore, rows: &PostgresRows) {
    let events = store.read_log(0, &EventFilter::all(), usize::MAX).await.unwrap().events;
    let mut expected: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut positions = Vec::new();
    for event in &events {
        let (account, amount) = match &*event.event_type {
            "Paid" => {
                let paid: Paid = serde_json::from_slice(&event.data).unwrap();
                (paid.account_id, paid.amount.cast_signed())
            }
            _ => {
                let drawn: Drawn = serde_json::from_slice(&event.data).unwrap();
                (drawn.account_id, -drawn.amount.cast_signed())
            }
        };
        let row = expected.entry(account).or_default();
        *row = (row.0 + amount, row.1 + 1);
        positions.push(event.position.cast_signed());
    }
    let schema = rows.schema_of("balances");
    let accounts = format!("select account_id, balance, events from {schema}.accounts");
    let accounts: Vec<(String, i64, i64)> =
        sqlx::query_as(AssertSqlSafe(accounts)).fetch_all(rows.pool()).await.unwrap();
    let accounts: BTreeMap<_, _> =
        accounts.into_iter().map(|(id, balance, count)| (id, (balance, count))).collect();
    assert_eq!(accounts, expected);
    let receipts = format!("select position from {schema}.receipts order by position");
    let receipts: Vec<i64> =
        sqlx::query_scalar(AssertSqlSafe(receipts)).fetch_all(rows.pool()).await.unwrap();
    assert_eq!(receipts, positions);
}

/// Writes a payment as another program would.
fn payment(account: &str, amount: u64) -> Append {
    let data = serde_json::json!({ "account_id": account, "amount": amount }).to_string();
    let event = EventData {
        event_id: EventId::new(),
        event_type: "Paid".into(),
        schema_version: 1,
        data: data.into(),
        metadata: cqrs::event::Metadata::new(),
        causation_id: CommandId::new().into(),
        correlation_id: CorrelationId::new(),
    };
    let stream = StreamId::new(format!("account-{account}")).unwrap();
    Append::to_stream(CommandId::new(), stream, ExpectedVersion::Any, vec![event])
}

/// A proxy in front of the server, and a store that reaches its schema by way of it.
async fn by_proxy(schema: &TestSchema) -> (Proxy, PostgresStore) {
    let proxy = Proxy::start(schema.url()).await.unwrap();
    let config = PostgresConfig::new(proxy.url_of(schema.url()).unwrap()).schema(schema.name());
    let store = PostgresStore::connect(config).await.unwrap();
    (proxy, store)
}

fn refusal<E: std::fmt::Debug>(error: DispatchError<E>) -> InlineError {
    assert!(!error.is_committed() && !error.is_outcome_unknown(), "{error:?}");
    match error {
        DispatchError::NotProjected { projection, source, .. } if projection == "balances" => *source,
        error => panic!("{error:?}"),
    }
}

/// The rows hold the events of a command when it has returned, whoever dispatches meanwhile, on whichever node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_there_when_a_dispatch_returns() {
    let schema = schema().await;
    let (one, other) = (store(&schema).await, store(&schema).await);
    let rows = PostgresRows::beside(&one);
    // One of them owns the rows, the other one does not.
    let nodes = [
        node("one", &one, inline(&rows)).await,
        node("other", &other, inline(&PostgresRows::beside(&other))).await,
    ];
    let dispatchers = (0..64_usize).map(|at| {
        let (till, rows) = (nodes[at % 2].clone(), rows.clone());
        tokio::spawn(async move {
            for _ in 0..5 {
                let name = format!("{}", at % 9);
                let paid =
                    in_time(till.dispatch(pay(&name, 1)).no_timeout().retry_attempts(1_000)).await.unwrap();
                let version = paid.version().cast_signed();
                let (balance, events) = account(&rows, &name).await.unwrap();
                assert!(balance >= version && events >= version, "{version}");
            }
        })
    });
    // Meanwhile another program writes as well.
    let others = async {
        for _ in 0..50 {
            one.append(payment("other", 1)).await.unwrap();
            let mut transaction = other.begin().await.unwrap();
            transaction.append(payment("another", 1)).await.unwrap();
            transaction.commit().await.unwrap();
        }
    };
    let (done, ()) = in_time(async { tokio::join!(join_all(dispatchers), others) }).await;
    done.into_iter().for_each(|done| done.unwrap());
    in_time(nodes[1].dispatch(pay("last", 1)).no_timeout()).await.unwrap();
    check(&one, &rows).await;
    for node in nodes {
        node.shutdown().await;
    }
    check(&one, &rows).await;
}

async fn check_refused(amount: u64, fault: Option<Fault>, is_it: impl Fn(&InlineError) -> bool) {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let faults = fault.map(|fault| Faults::of(amount, fault)).unwrap_or_default();
    let config = Config::new().inline_limit(Duration::from_millis(500));
    let till = Till::builder(store.clone())
        .config(config)
        .projection(Inline { rows: rows.clone(), faults })
        .start()
        .await
        .unwrap();
    till.dispatch(pay("a", 1)).await.unwrap();
    let error = refusal(in_time(till.dispatch(pay("a", amount))).await.unwrap_err());
    assert!(is_it(&error), "{error:?}");
    assert_eq!(
        in_time(till.dispatch(pay("a", 2))).await.unwrap().version(),
        2,
        "nothing was stored in between"
    );
    assert_eq!(account(&rows, "a").await, Some((3, 2)));
    assert_eq!(till.handlers().await.unwrap()[0].parked, 0);
    check(&store, &rows).await;
    // Nothing goes on in the database.
    let sleeping = "select count(*) from pg_stat_activity where datname = current_database() \
         and query like '%pg_sleep(30)%' and state = 'active' and pid <> pg_backend_pid()";
    until(async || {
        let sleeping: i64 = sqlx::query_scalar(sleeping).fetch_one(store.user_pool()).await.unwrap();
        (sleeping == 0).then_some(())
    })
    .await;
    till.shutdown().await;
}

/// A command whose events cannot be projected is refused, and nothing of it is stored.
#[tokio::test]
async fn a_failure_refuses_the_command() {
    check_refused(13, Some(Fault::Fail), |error| {
        matches!(error, InlineError::Failed(source) if source.to_string().contains("division by zero"))
    })
    .await;
}

#[tokio::test]
async fn a_panic_refuses_the_command() {
    check_refused(13, Some(Fault::Panic), |error| matches!(error, InlineError::Panicked(_))).await;
}

#[tokio::test]
async fn a_statement_that_fails_in_silence_refuses_the_command() {
    check_refused(13, Some(Fault::FailInSilence), |error| matches!(error, InlineError::NotCommitted(_)))
        .await;
}

#[tokio::test]
async fn a_constraint_that_is_looked_at_last_refuses_the_command() {
    check_refused(DEFERRED, None, |error| matches!(error, InlineError::NotCommitted(_))).await;
}

#[tokio::test]
async fn code_that_hangs_refuses_the_command() {
    let (hold, ..) = Fault::hold();
    check_refused(13, Some(hold), |error| matches!(error, InlineError::TimedOut { .. })).await;
}

#[tokio::test]
async fn a_statement_that_hangs_refuses_the_command() {
    check_refused(SLEEPY, None, |error| matches!(error, InlineError::TimedOut { .. })).await;
}

/// A command that is repeated has its first outcome, and is not projected again.
#[tokio::test]
async fn a_repeated_command_is_projected_once() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, inline(&rows)).await;
    let id = CommandId::new();
    let first = till.dispatch(pay("a", 1)).command_id(id).await.unwrap();
    let again = till.dispatch(pay("a", 1)).command_id(id).await.unwrap();
    assert_eq!((first.position(), first.version()), (again.position(), again.version()));
    assert_eq!(account(&rows, "a").await, Some((1, 1)));
    till.shutdown().await;
}

/// Connections that break at the commit, before and behind it, repeat nothing and lose nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_the_commit_repeats_nothing() {
    let schema = schema().await;
    let (direct, (proxy, store)) = (store(&schema).await, by_proxy(&schema).await);
    let rows = PostgresRows::beside(&direct);
    let till = till(&store, inline(&rows)).await;
    in_time(till.dispatch(pay("a", 1)).no_timeout()).await.unwrap();
    for round in 1..=12 {
        match round % 4 {
            // The answer to the commit is lost: it has happened.
            0 => proxy.lose_answer_to("commit\0"),
            // The answer to the statement before it: it has not.
            1 => proxy.lose_answer_to("txid_current() = $5"),
            // That of the projection's own statement.
            2 => proxy.lose_answer_to("insert into receipts"),
            _ => proxy.cut().await,
        }
        let paid = in_time(till.dispatch(pay("a", 1)).no_timeout()).await.unwrap();
        assert_eq!(paid.version(), round + 1);
        let count = (round + 1).cast_signed();
        assert_eq!(account(&rows, "a").await, Some((count, count)));
    }
    assert_eq!(proxy.lost_answers(), 9);
    check(&direct, &rows).await;
    till.shutdown().await;
}

/// Whatever is lost on the way: what is stored is in the rows, each event once, and what was answered is stored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_leave_no_event_without_rows() {
    let schema = schema().await;
    let (direct, (proxy, store)) = (store(&schema).await, by_proxy(&schema).await);
    let rows = PostgresRows::beside(&direct);
    let till = till(&store, inline(&rows)).await;
    in_time(till.dispatch(pay("0", 1)).no_timeout()).await.unwrap();
    proxy.lose_answers(0.03, 7);
    let dispatchers = (0..8).map(|at| {
        let till = till.clone();
        tokio::spawn(async move {
            let mut answered = 0;
            for _ in 0..15 {
                let name = format!("{}", at % 3);
                match till.dispatch(pay(&name, 1)).no_timeout().retry_attempts(1_000).await {
                    Ok(_) => answered += 1,
                    Err(
                        DispatchError::Store { .. }
                        | DispatchError::Replay { .. }
                        | DispatchError::OutcomeUnknown { .. },
                    ) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            answered
        })
    });
    let answered: i64 = in_time(join_all(dispatchers)).await.into_iter().map(|done| done.unwrap()).sum();
    proxy.lose_no_answers();
    in_time(till.dispatch(pay("0", 1)).no_timeout()).await.unwrap();
    check(&direct, &rows).await;
    let mut stored = 0;
    for name in ["0", "1", "2"] {
        stored += account(&rows, name).await.map_or(0, |(_, events)| events);
    }
    assert!(stored >= answered + 2, "{stored} {answered}");
    assert!(answered > 60 && proxy.lost_answers() > 0, "{answered} {}", proxy.lost_answers());
    till.shutdown().await;
}

/// Events that others have written are there with the next command, each once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_others_are_made_up_for() {
    let schema = schema().await;
    let store = store(&schema).await;
    let rows = PostgresRows::beside(&store);
    for _ in 0..600 {
        store.append(payment("past", 1)).await.unwrap();
    }
    let till = till(&store, inline(&rows)).await;
    until_caught_up(&till).await;
    for round in 0..20 {
        store.append(payment("other", 1)).await.unwrap();
        let mut transaction = store.begin().await.unwrap();
        transaction.append(payment("b", 1)).await.unwrap();
        transaction.commit().await.unwrap();
        in_time(till.dispatch(pay("a", 1))).await.unwrap();
        assert_eq!(account(&rows, "a").await, Some((round + 1, round + 1)));
        check(&store, &rows).await;
    }
    till.shutdown().await;
    // While nobody runs, much is written.
    for _ in 0..700 {
        store.append(payment("past", 1)).await.unwrap();
    }
    let till = self::till(&store, inline(&rows)).await;
    in_time(till.dispatch(pay("a", 1)).no_timeout()).await.unwrap();
    check(&store, &rows).await;
    until_caught_up(&till).await;
    till.shutdown().await;
    check(&store, &rows).await;
}

/// All rows are made anew while commands go on, and each event is in them once; a higher version takes over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_rebuilt_while_commands_go_on() {
    let schema = schema().await;
    let (store, next) = (store(&schema).await, store(&schema).await);
    let rows = PostgresRows::beside(&store);
    let till = node("one", &store, inline(&rows)).await;
    in_time(till.dispatch(pay("0", 1)).no_timeout()).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writers = (0..3).map(|at| {
        let (till, rows, stop) = (till.clone(), rows.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let name = format!("{at}");
                let paid = in_time(till.dispatch(pay(&name, 1)).no_timeout()).await.unwrap();
                let version = paid.version().cast_signed();
                assert_eq!(account(&rows, &name).await, Some((version, version)));
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    for _ in 0..3 {
        let handle = till.projection::<Inline>().unwrap();
        in_time(in_time(handle.rebuild()).await.unwrap().switched()).await.unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    in_time(join_all(writers)).await.into_iter().for_each(|done| done.unwrap());
    check(&store, &rows).await;
    let new = node("next", &next, InlineCents { rows: PostgresRows::beside(&next) }).await;
    in_time(async {
        loop {
            match new.dispatch(pay("new", 1)).await {
                Ok(_) => return,
                Err(error) => match refusal(error) {
                    InlineError::NotReady(RowsNotReady::OtherVersion { active: 1, own: 2 }) => {}
                    InlineError::NotReady(reason) => assert!(reason.will_pass(), "{reason:?}"),
                    error => panic!("{error:?}"),
                },
            }
        }
    })
    .await;
    let error = refusal(till.dispatch(pay("old", 1)).await.unwrap_err());
    assert!(
        matches!(error, InlineError::NotReady(RowsNotReady::OtherVersion { active: 2, own: 1 })),
        "{error:?}"
    );
    let shown = rows.schema_of("balances");
    assert_eq!(cents(rows.pool(), &shown, "new").await, Some(100));
    assert_eq!(cents(rows.pool(), &shown, "old").await, None);
    till.shutdown().await;
    new.shutdown().await;
}

fn foreign_rows(refused: Result<Till, StartError>) -> ForeignRows {
    match refused {
        Err(StartError::Invalid { faults, .. }) => match &*faults {
            [StartFault::ForeignRows { reason, .. }] => *reason,
            faults => panic!("{faults:?}"),
        },
        started => panic!("{started:?}"),
    }
}

#[derive(Clone, Default)]
struct InMemory {
    rows: MemoryRows<String, u64>,
}

#[projection(name = "in-memory", interested_in = [Paid], inline)]
impl InMemory {
    fn rows(&self) -> &MemoryRows<String, u64> {
        &self.rows
    }

    fn on_paid(&self, _: &Paid) {}
}

/// Rows in another database, and rows of another kind, are refused at the start; those in the same database on other
/// connections are not.
#[tokio::test]
async fn foreign_rows_are_refused_at_the_start() {
    let schema = schema().await;
    let store = store(&schema).await;
    let refused = Till::builder(store.clone()).projection(InMemory::default()).start().await;
    assert_eq!(foreign_rows(refused), ForeignRows::Kind);
    let elsewhere = another_database(&schema).await;
    let refused = Till::builder(store.clone()).projection(inline(&elsewhere)).start().await;
    assert_eq!(foreign_rows(refused), ForeignRows::Database);
    let pool = sqlx::PgPool::connect(schema.url()).await.unwrap();
    let rows = PostgresRows::new(pool, format!("{}_own", schema.name()));
    let till = till(&store, inline(&rows)).await;
    in_time(till.dispatch(pay("a", 1)).no_timeout()).await.unwrap();
    assert_eq!(account(&rows, "a").await, Some((1, 1)));
    till.shutdown().await;
    let drop = format!("drop schema if exists {0}_own, {0}_own_balances cascade", schema.name());
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(rows.pool()).await.unwrap();
}

/// The database that every server has, which is not that of the tests.
async fn another_database(schema: &TestSchema) -> PostgresRows {
    let own: String = {
        let pool = sqlx::PgPool::connect(schema.url()).await.unwrap();
        sqlx::query_scalar("select current_database()::text").fetch_one(&pool).await.unwrap()
    };
    let other = if own == "template1" { "postgres" } else { "template1" };
    let options: sqlx::postgres::PgConnectOptions = schema.url().parse().unwrap();
    PostgresRows::new(sqlx::PgPool::connect_with(options.database(other)).await.unwrap(), "views")
}

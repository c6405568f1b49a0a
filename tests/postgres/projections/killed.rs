//! Rows that are written with their events, in a process that is killed, and on a server that is.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use cqrs::id::CommandId;
use cqrs::postgres::testing::{StopMode, TestSchema, TestServer};
use cqrs::postgres::{PostgresConfig, PostgresRows, sqlx};
use cqrs::prelude::*;
use cqrs::store::{EventFilter, EventStore as _};
use futures_util::future::join_all;
use tokio::sync::mpsc;

use super::domain::*;
use super::inline::{Inline, check, inline};

const PART: &str = "INLINE_PART";
const URL: &str = "INLINE_URL";
const SCHEMA: &str = "INLINE_SCHEMA";
/// Begins what a child tells its parent.
const TELLS: &str = "child: ";

/// How many commands a child has under way at once.
const AT_ONCE: usize = 8;

/// The amount at which a child stops in the middle of its transaction.
const HELD: u64 = 13;

/// A process of its own that dispatches commands, told by `part`.
struct ChildProcess {
    process: Child,
    told: mpsc::Receiver<String>,
    part: String,
}

impl ChildProcess {
    fn start(part: &str, schema: &TestSchema) -> Self {
        let test = format!("{}::in_a_child_process", module_path!().split_once("::").unwrap().1);
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", &test, "--nocapture"]).env(PART, part);
        command.env(URL, schema.url()).env(SCHEMA, schema.name());
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (tell, told) = mpsc::channel(100);
        // Ends with the child, or with its parent's interest.
        std::thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            let mut told = lines.filter_map(|line| line.strip_prefix(TELLS).map(str::to_owned));
            while told.next().is_some_and(|line| tell.blocking_send(line).is_ok()) {}
        });
        Self { process, told, part: part.to_owned() }
    }

    /// What the child tells next.
    async fn hear(&mut self) -> String {
        in_time(self.told.recv()).await.expect("the child goes on")
    }

    /// Kills it, and waits until the server has noticed.
    async fn kill(mut self, schema: &TestSchema) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let mut watcher = schema.connect().await.unwrap();
        let left = "select count(*) from pg_stat_activity where application_name = $1";
        let mut left = async || {
            let left = sqlx::query_scalar(left).bind(format!("{} {}", schema.name(), self.part));
            (left.fetch_one(&mut watcher).await.ok() == Some(0_i64)).then_some(())
        };
        until(&mut left).await;
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Which command of a part it is.
fn id(part: &str, of: usize, number: usize) -> CommandId {
    CommandId::from_key(&format!("{part}/{of}/{number}"))
}

fn account_of(of: usize) -> String {
    (of % 3).to_string()
}

/// Not a test, but what the children of tests run: dispatches, and tells what was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_child_process() {
    let Ok(part) = env::var(PART) else { return };
    let (url, schema) = (env::var(URL).unwrap(), env::var(SCHEMA).unwrap());
    let url = format!("{url}{}application_name={schema}%20{part}", if url.contains('?') { '&' } else { '?' });
    let store = PostgresStore::connect(PostgresConfig::new(url).schema(schema)).await.unwrap();
    let (hold, came, _go) = Fault::hold();
    let faults = Faults::of(HELD, hold);
    let till = node(&part, &store, Inline { rows: PostgresRows::beside(&store), faults }).await;
    if part == "held" {
        let dispatch = till.dispatch(pay("held", HELD)).command_id(id(&part, 0, 0)).no_timeout();
        let telling = async {
            arrival(&came).await;
            println!("\n{TELLS}held");
        };
        tokio::join!(dispatch.into_future(), telling).0.unwrap();
    }
    join_all((0..AT_ONCE).map(async |of| {
        for number in 0.. {
            let dispatch = till.dispatch(pay(&account_of(of), 1)).command_id(id(&part, of, number));
            dispatch.no_timeout().retry_attempts(1_000).await.unwrap();
            println!("\n{TELLS}{of} {number}");
        }
    }))
    .await;
}

/// The rows that readers see, and a till that was there once.
async fn begun(schema: &TestSchema) -> (PostgresStore, PostgresRows) {
    let store = store(schema).await;
    let rows = PostgresRows::beside(&store);
    let till = till(&store, inline(&rows)).await;
    in_time(till.dispatch(pay("first", 1)).no_timeout()).await.unwrap();
    till.shutdown().await;
    (store, rows)
}

/// G7: wherever it is killed, the rows are those of the log; what was answered is there, and what is dispatched again is
/// there once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_a_process_that_is_killed_leaves_the_rows_of_the_log() {
    let schema = schema().await;
    let (store, rows) = begun(&schema).await;
    let mut sent = Vec::new();
    for round in 0..8 {
        let part = round.to_string();
        let mut child = ChildProcess::start(&part, &schema);
        let mut answered = [None; AT_ONCE];
        for _ in 0..5 + 7 * round {
            let told = child.hear().await;
            let (of, number) = told.split_once(' ').unwrap();
            answered[of.parse::<usize>().unwrap()] = Some(number.parse::<usize>().unwrap());
        }
        child.kill(&schema).await;
        check(&store, &rows).await;
        for (of, last) in answered.into_iter().enumerate() {
            for number in 0..last.map_or(0, |last| last + 1) {
                assert!(store.outcome(id(&part, of, number)).await.unwrap().is_some(), "it was answered");
            }
            // Those that it may have been at, and some that it had not come to.
            let count = last.map_or(0, |last| last + 1) + 3;
            sent.extend((0..count).map(|number| (of, id(&part, of, number))));
        }
    }
    let till = till(&store, inline(&rows)).await;
    for (of, id) in &sent {
        let dispatch = till.dispatch(pay(&account_of(*of), 1)).command_id(*id).no_timeout();
        in_time(dispatch).await.unwrap();
    }
    check(&store, &rows).await;
    let stored = store.read_log(0, &EventFilter::all(), usize::MAX).await.unwrap().events;
    let again = stored.iter().filter(|event| sent.iter().any(|(_, id)| event.causation_id == (*id).into()));
    assert_eq!(again.count(), sent.len(), "each once");
    till.shutdown().await;
}

/// G7: of a command whose rows were being written nothing is left, and nobody has to wait for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_a_process_that_is_killed_while_it_projects_leaves_nothing_of_the_command() {
    let schema = schema().await;
    let (store, rows) = begun(&schema).await;
    let mut child = ChildProcess::start("held", &schema);
    assert_eq!(child.hear().await, "held");
    child.kill(&schema).await;
    assert_eq!(store.outcome(id("held", 0, 0)).await.unwrap(), None);
    assert_eq!(account(&rows, "held").await, None);
    check(&store, &rows).await;
    let till = till(&store, inline(&rows)).await;
    for _ in 0..2 {
        let again = till.dispatch(pay("held", HELD)).command_id(id("held", 0, 0)).no_timeout();
        assert_eq!(in_time(again).await.unwrap().version(), 1);
    }
    assert_eq!(account(&rows, "held").await, Some((HELD.cast_signed(), 1)));
    check(&store, &rows).await;
    till.shutdown().await;
}

/// CA-4, G7: a server that dies amid commands has the events with their rows, or neither.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g_007_a_server_that_dies_has_events_with_their_rows() {
    let server = TestServer::builder().durable().start().await.unwrap();
    let schema = TestSchema::new(&server);
    let (store, rows) = begun(&schema).await;
    let till = till(&store, inline(&rows)).await;
    const EACH: usize = 30;
    let dispatchers = join_all((0..AT_ONCE).map(async |of| {
        for number in 0..EACH {
            let dispatch = || till.dispatch(pay(&account_of(of), 1)).command_id(id("server", of, number));
            while dispatch().retry_attempts(1_000).await.is_err() {
                tokio::task::yield_now().await;
            }
        }
    }));
    let deaths = async {
        for round in 1..=3 {
            let enough = u64::try_from(round * AT_ONCE * EACH / 4).unwrap();
            until(async || (store.head().await.ok()? > enough).then_some(())).await;
            server.stop(StopMode::Immediate).await.unwrap();
            server.start_again().await.unwrap();
            until(async || store.head().await.ok()).await;
        }
    };
    in_time(futures_util::future::join(dispatchers, deaths)).await;
    assert_eq!(store.head().await.unwrap(), u64::try_from(AT_ONCE * EACH + 1).unwrap(), "each once");
    check(&store, &rows).await;
    till.shutdown().await;
}

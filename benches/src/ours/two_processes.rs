//! Two processes on one log against one: each appends and dispatches with its own callers.

use std::fmt;
use std::process::Stdio;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use clap::ValueEnum as _;
use cqrs::postgres::Schema;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::Mutex;

use crate::child;
use crate::ours::append::{Appends, Jsonb};
use crate::ours::bank::Bank;
use crate::ours::log;
use crate::point::{BoxError, Metric, Value};
use crate::postgres::{Banking, Contender, Course, Database, OnPostgres as _, Ready, Slice};
use crate::workload::{Teller, per_second};

pub(super) struct TwoProcesses {
    processes: Mutex<[Process; 2]>,
    stored: AtomicUsize,
}

impl TwoProcesses {
    pub(super) async fn ready(course: Course<'_>) -> Result<Ready, BoxError> {
        let accounts = course.effort().pick(1_000, 10_000);
        let subject = Appends::<Jsonb>::set_up(course.database()).await?;
        let first = Process::start(course.database(), 0, accounts).await?;
        let second = Process::start(course.database(), 1, accounts).await?;
        let (processes, stored) = (Mutex::new([first, second]), AtomicUsize::new(2 * accounts));
        Ok(Ready::of(subject, Self { processes, stored }))
    }

    fn count(&self, answer: Answer) -> usize {
        self.stored.fetch_add(answer.acknowledged, Ordering::Relaxed);
        answer.events
    }
}

#[async_trait]
impl Contender for TwoProcesses {
    async fn measure(&self, slice: Slice) -> Result<Vec<Value>, BoxError> {
        let mut values = Vec::new();
        let [first, second] = &mut *self.processes.lock().await;
        for metric in [Metric::Append, Metric::Dispatch] {
            let one = self.count(first.run(metric, slice).await?);
            let (one_of_two, other) = tokio::try_join!(first.run(metric, slice), second.run(metric, slice))?;
            let two = self.count(one_of_two) + self.count(other);
            let [one, two] = [one, two].map(|events| per_second(events, slice.length));
            let name = Metric::TwoProcesses;
            values.push(Value::new(format_args!("{name}-{metric}"), two / one, "x"));
            values.push(Value::new(format_args!("{name}-{metric}-one"), one, "events/s"));
            values.push(Value::new(format_args!("{name}-{metric}-both"), two, "events/s"));
        }
        Ok(values)
    }

    fn acknowledged(&self) -> usize {
        self.stored.load(Ordering::Relaxed)
    }
}

/// A process that waits for orders on its standard input, and answers each with a line.
struct Process {
    number: usize,
    slices: usize,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    /// Killed when it is dropped.
    _child: tokio::process::Child,
}

impl Process {
    async fn start(database: &Database, number: usize, accounts: usize) -> Result<Self, BoxError> {
        let mut command = child::role("load", database.url(), &[number.to_string(), accounts.to_string()])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let orders = child.stdin.take().ok_or("the process takes no orders")?;
        let answers = child.stdout.take().ok_or("the process gives no answers")?;
        let mut process =
            Self { number, slices: 0, orders, answers: BufReader::new(answers).lines(), _child: child };
        // It answers once when its accounts are open.
        process.answer().await?;
        Ok(process)
    }

    async fn run(&mut self, metric: Metric, slice: Slice) -> Result<Answer, BoxError> {
        let number = self.slices;
        self.slices += 1;
        let order = Order { metric, slice: Slice { number, ..slice } };
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        self.answer().await
    }

    async fn answer(&mut self) -> Result<Answer, BoxError> {
        let line = self.answers.next_line().await?;
        line.ok_or_else(|| format!("process {} has ended", self.number))?.parse()
    }
}

/// The child's side: obeys until there are no more orders.
pub(super) async fn serve(database: &Database, number: usize, accounts: usize) -> Result<(), BoxError> {
    let store = log::open(database, Schema::default()).await?;
    let appends = Appends::<Jsonb>::to(store.clone())?;
    let branch = Branch { number, bank: Bank::start(store).await? };
    let banking = Banking::open(branch.clone(), accounts, Metric::Dispatch).await?;
    answer(&Answer { events: 0, acknowledged: accounts }).await?;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await? {
        let Order { metric, slice } = order.parse()?;
        let answered = match metric {
            // The streams of two processes have to differ.
            Metric::Append => Slice { number: slice.number * 2 + number, ..slice }.run(&appends).await?,
            _ => slice.run(&banking).await?,
        };
        answer(&Answer { events: answered.events, acknowledged: answered.acknowledged }).await?;
    }
    branch.bank.close().await;
    Ok(())
}

async fn answer(answer: &Answer) -> Result<(), BoxError> {
    let mut out = tokio::io::stdout();
    out.write_all(format!("{answer}\n").as_bytes()).await?;
    Ok(out.flush().await?)
}

/// A bank whose accounts are not those of another branch.
#[derive(Clone)]
struct Branch {
    number: usize,
    bank: Bank,
}

impl Branch {
    fn id(&self, account_id: &str) -> String {
        format!("{}-{account_id}", self.number)
    }
}

impl Teller for Branch {
    async fn open(&self, account_id: String, owner: String) -> Result<(), BoxError> {
        self.bank.open(self.id(&account_id), owner).await
    }

    async fn deposit(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.bank.deposit(self.id(&account_id), amount).await
    }

    async fn withdraw(&self, account_id: String, amount: u64) -> Result<(), BoxError> {
        self.bank.withdraw(self.id(&account_id), amount).await
    }
}

#[derive(Clone, Copy, Debug)]
struct Order {
    metric: Metric,
    slice: Slice,
}

impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Slice { number, callers, warm_up, length } = self.slice;
        let (warm_up, length) = (warm_up.as_millis(), length.as_millis());
        write!(formatter, "{} {number} {callers} {warm_up} {length}", self.metric)
    }
}

impl FromStr for Order {
    type Err = BoxError;

    fn from_str(line: &str) -> Result<Self, BoxError> {
        let fields: Vec<_> = line.split(' ').collect();
        let [metric, number, callers, warm_up, length] = fields[..] else {
            return Err(format!("not an order: {line:?}").into());
        };
        Ok(Self {
            metric: Metric::from_str(metric, false)?,
            slice: Slice {
                number: number.parse()?,
                callers: callers.parse()?,
                warm_up: Duration::from_millis(warm_up.parse()?),
                length: Duration::from_millis(length.parse()?),
            },
        })
    }
}

/// What a process did: the events within the slice, and all.
#[derive(Clone, Copy, Debug)]
struct Answer {
    events: usize,
    acknowledged: usize,
}

impl fmt::Display for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.events, self.acknowledged)
    }
}

impl FromStr for Answer {
    type Err = BoxError;

    fn from_str(line: &str) -> Result<Self, BoxError> {
        let (events, acknowledged) =
            line.split_once(' ').ok_or_else(|| format!("not an answer: {line:?}"))?;
        Ok(Self { events: events.parse()?, acknowledged: acknowledged.parse()? })
    }
}

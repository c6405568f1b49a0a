//! Benchmarks of the framework, side by side with others: `cargo run --release -p benches -- all`.
//!
//! Every single measurement in memory runs in a process of its own, which this program starts: so none inherits
//! the heap of another, and subjects are measured in turn, run by run. Those on Postgres take turns in one
//! process, see [`postgres`].

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

mod compile;
mod dispatch;
mod domain;
mod footprint;
mod hot;
mod peers;
mod point;
mod postgres;
mod raw;
mod rehydrate;
mod report;
mod workload;

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compile::Generated;
use crate::point::{BoxError, Effort, Metric, Point, Subject, Value};
use crate::postgres::{Contest, Server};
use crate::report::{Format, Report};
use crate::workload::two_workers;

/// Benchmarks of the cqrs framework.
///
/// Values are medians over runs in which the subjects take turns.
#[derive(Debug, Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// All metrics.
    All(Options),
    /// Events a second appended one by one, and the latency of each (p50, p99); on Postgres only.
    Append(Options),
    /// Commands a second on 10,000 accounts, and the latency of each (p50, p99).
    Dispatch(Options),
    /// The same on one account.
    DispatchHot(Options),
    /// Milliseconds to rebuild a state from 10,000 events.
    Rehydrate(Options),
    /// Bytes of an idle aggregate with a state of 100 bytes.
    Footprint(Options),
    /// Events a second of a handler that catches up.
    CatchUp(Options),
    /// Seconds to compile 100 commands and 100 events, with the macros and by hand; not part of a quick run of all.
    Compile(Options),
    /// One measurement in this process, for the program itself.
    #[command(hide = true)]
    Measure {
        metric: Metric,
        subject: Subject,
        callers: usize,
        #[arg(long)]
        quick: bool,
    },
}

#[derive(Debug, Args)]
struct Options {
    /// Less work and fewer runs: under three minutes for all, and noisier.
    #[arg(long)]
    quick: bool,
    /// Only what is in memory, or only what is on Postgres.
    #[arg(long, value_enum)]
    only: Option<Place>,
    /// How the report looks.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How many runs the medians are over [default: 5, quick: 3 in memory, 2 on Postgres].
    #[arg(long)]
    runs: Option<usize>,
}

/// Where the events are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Place {
    Memory,
    /// On the server that `DATABASE_URL` names.
    Postgres,
}

impl Options {
    fn includes(&self, place: Place) -> bool {
        self.only.is_none_or(|only| only == place)
    }

    fn runs(&self, quick: usize) -> usize {
        self.runs.unwrap_or(if self.quick { quick } else { 5 }).max(1)
    }

    fn effort(&self) -> Effort {
        if self.quick { Effort::Quick } else { Effort::Full }
    }
}

/// What a child's line on standard error begins with when it holds a value.
const RESULT: &str = "result\t";

fn main() -> Result<(), BoxError> {
    use Metric::{Append, CatchUp, Compile, Dispatch, DispatchHot, Footprint, Rehydrate};
    match Cli::parse().what {
        What::All(options) => {
            let mut metrics = vec![Append, Dispatch, DispatchHot, Rehydrate, Footprint, CatchUp];
            metrics.extend((!options.quick).then_some(Compile));
            run(&metrics, &options)
        }
        What::Append(options) => run(&[Append], &options),
        What::Dispatch(options) => run(&[Dispatch], &options),
        What::DispatchHot(options) => run(&[DispatchHot], &options),
        What::Rehydrate(options) => run(&[Rehydrate], &options),
        What::Footprint(options) => run(&[Footprint], &options),
        What::CatchUp(options) => run(&[CatchUp], &options),
        What::Compile(options) => run(&[Compile], &options),
        What::Measure { metric, subject, callers, quick } => {
            let effort = if quick { Effort::Quick } else { Effort::Full };
            measure(Point { metric, subject, callers }, effort)
        }
    }
}

fn run(metrics: &[Metric], options: &Options) -> Result<(), BoxError> {
    let mut report = Report::default();
    if options.includes(Place::Memory) {
        in_memory(metrics, options, &mut report)?;
    }
    let on_postgres: Vec<_> =
        metrics.iter().copied().filter(|metric| !metric.on_postgres().is_empty()).collect();
    if options.includes(Place::Postgres) && !on_postgres.is_empty() {
        two_workers()?.block_on(on_server(&on_postgres, options, &mut report))?;
    }
    report.print(options.format);
    Ok(())
}

/// Measures in child processes.
fn in_memory(metrics: &[Metric], options: &Options, report: &mut Report) -> Result<(), BoxError> {
    for metric in metrics {
        let generated = match metric {
            Metric::Compile => Some(Generated::prepare()?),
            _ => None,
        };
        for _ in 0..options.runs(3) {
            for point in metric.in_memory() {
                let values = match &generated {
                    Some(generated) => generated.build(point.subject)?,
                    None => in_child(point, options.quick)?,
                };
                values.into_iter().for_each(|value| report.add(point, value));
            }
        }
    }
    Ok(())
}

/// Measures on a Postgres server.
async fn on_server(metrics: &[Metric], options: &Options, report: &mut Report) -> Result<(), BoxError> {
    let server = Server::find()?;
    let database = server.create_database("settings").await?;
    let head = postgres::head(&database).await;
    server.drop_database(&database).await?;
    report.add_head(head?);
    for &metric in metrics {
        let (effort, rounds) = (options.effort(), options.runs(2));
        Contest { server: &server, metric, effort, rounds }.run(report).await?;
    }
    Ok(())
}

/// A measurement in a process of its own. What it prints is thrown away, since a peer prints with each
/// command; the values come on standard error.
fn in_child(point: Point, quick: bool) -> Result<Vec<Value>, BoxError> {
    let mut child = Command::new(std::env::current_exe()?);
    child
        .arg("measure")
        .args([point.metric.to_string(), point.subject.to_string(), point.callers.to_string()])
        .stdout(Stdio::null());
    if quick {
        child.arg("--quick");
    }
    let output = child.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{} of {} failed: {said}", point.metric, point.subject).into());
    }
    said.lines().filter_map(|line| line.strip_prefix(RESULT)).map(parse).collect()
}

fn parse(line: &str) -> Result<Value, BoxError> {
    let fields: Vec<_> = line.split('\t').collect();
    let [metric, value, unit] = fields[..] else {
        return Err(format!("not a value: {line:?}").into());
    };
    Ok(Value::new(metric, value.parse()?, unit))
}

/// The child's side of [`in_child`].
fn measure(point: Point, effort: Effort) -> Result<(), BoxError> {
    let values = match point.metric {
        Metric::Append => return Err("events are appended on Postgres only".into()),
        Metric::Dispatch => dispatch::measure(point, effort)?,
        Metric::DispatchHot => hot::measure(point, effort)?,
        Metric::Rehydrate => rehydrate::rehydrate()?,
        Metric::Footprint => footprint::measure(effort)?,
        Metric::CatchUp => rehydrate::catch_up(effort)?,
        Metric::Compile => Generated::prepare()?.build(point.subject)?,
    };
    let mut out = std::io::stderr().lock();
    for Value { metric, value, unit } in values {
        writeln!(out, "{RESULT}{metric}\t{value}\t{unit}")?;
    }
    Ok(())
}

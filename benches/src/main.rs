//! Benchmarks of the framework, side by side with others: `cargo run --release -p benches -- all`.
//!
//! Every single measurement in memory runs in a process of its own, which this program starts: so none inherits
//! the heap of another, and subjects are measured in turn, run by run. Those on Postgres take turns in one
//! process, see [`postgres`].

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

mod child;
mod compile;
mod dispatch;
mod domain;
mod footprint;
mod hot;
mod ours;
mod peers;
mod point;
mod postgres;
mod quotients;
mod raw;
mod rehydrate;
mod report;
mod workload;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compile::Generated;
use crate::ours::Role;
use crate::point::{BoxError, Effort, Metric, Point, Subject};
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
    /// The append rate at 1,000,000 stored events against that at 10,000.
    FlatCost(Options),
    /// The rates of two processes on one schema against those of one.
    TwoProcesses(Options),
    /// How often an event is read that 100 handlers of one application are given.
    TailReads(Options),
    /// Bytes of the write-ahead log for an event of 256 bytes.
    Wal(Options),
    /// Memory of a process that appends with 256 callers.
    Memory(Options),
    /// Events a second that a projection makes rows of, against code written by hand.
    Projection(Options),
    /// The same when rows are made anew, and the rate of appends meanwhile.
    Rebuild(Options),
    /// Events a second when rows are made anew by one upsert an event: in one partition, and in 8.
    Divided(Options),
    /// Commands a second with a projection whose rows are written with their events, behind them, and without one.
    Inline(Options),
    /// Seconds to start 500 applications on a schema each, and the memory of an idle one.
    Tenants(Options),
    /// Transfers of money a second that a process manager finishes, 64 at a time.
    Transfers(Options),
    /// Events a second of a handler that waits 1 ms with each event: by itself, and in 16 partitions.
    Partitions(Options),
    /// The latency of a lone dispatch (p50) that waits for a handler or a projection, against one that waits for nobody.
    Strong(Options),
    /// Scheduled commands a second, of 10,000 that are due together.
    Timers(Options),
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
    /// A part in a measurement on Postgres, for the program itself.
    #[command(hide = true)]
    Play {
        #[command(subcommand)]
        role: Role,
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
    /// Only this subject; may be given several times.
    #[arg(long = "subject")]
    subjects: Vec<Subject>,
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
    /// On the server that `DATABASE_URL` names, or on one that is started for it.
    Postgres,
}

impl Options {
    fn includes(&self, place: Place) -> bool {
        self.only.is_none_or(|only| only == place)
    }

    /// Those of the points that are wanted.
    fn wanted(&self, mut points: Vec<Point>) -> Vec<Point> {
        points.retain(|point| self.subjects.is_empty() || self.subjects.contains(&point.subject));
        points
    }

    fn runs(&self, quick: usize) -> usize {
        self.runs.unwrap_or(if self.quick { quick } else { 5 }).max(1)
    }

    fn effort(&self) -> Effort {
        if self.quick { Effort::Quick } else { Effort::Full }
    }
}

fn main() -> Result<(), BoxError> {
    use Metric::{
        Append, CatchUp, Compile, Dispatch, DispatchHot, Divided, FlatCost, Footprint, Inline, Memory,
        Partitions, Projection, Rebuild, Rehydrate, Strong, TailReads, Tenants, Timers, Transfers,
        TwoProcesses, Wal,
    };
    match Cli::parse().what {
        What::All(options) => {
            let mut metrics = vec![Append, Dispatch, DispatchHot, Rehydrate, Footprint, CatchUp];
            metrics.extend([
                FlatCost,
                TwoProcesses,
                TailReads,
                Wal,
                Memory,
                Projection,
                Rebuild,
                Divided,
                Inline,
                Partitions,
                Strong,
                Transfers,
                Timers,
                Tenants,
            ]);
            metrics.extend((!options.quick).then_some(Compile));
            run(&metrics, &options)
        }
        What::Append(options) => run(&[Append], &options),
        What::Dispatch(options) => run(&[Dispatch], &options),
        What::DispatchHot(options) => run(&[DispatchHot], &options),
        What::Rehydrate(options) => run(&[Rehydrate], &options),
        What::Footprint(options) => run(&[Footprint], &options),
        What::CatchUp(options) => run(&[CatchUp], &options),
        What::FlatCost(options) => run(&[FlatCost], &options),
        What::TwoProcesses(options) => run(&[TwoProcesses], &options),
        What::TailReads(options) => run(&[TailReads], &options),
        What::Wal(options) => run(&[Wal], &options),
        What::Memory(options) => run(&[Memory], &options),
        What::Projection(options) => run(&[Projection], &options),
        What::Rebuild(options) => run(&[Rebuild], &options),
        What::Divided(options) => run(&[Divided], &options),
        What::Inline(options) => run(&[Inline], &options),
        What::Tenants(options) => run(&[Tenants], &options),
        What::Transfers(options) => run(&[Transfers], &options),
        What::Partitions(options) => run(&[Partitions], &options),
        What::Strong(options) => run(&[Strong], &options),
        What::Timers(options) => run(&[Timers], &options),
        What::Compile(options) => run(&[Compile], &options),
        What::Measure { metric, subject, callers, quick } => {
            let effort = if quick { Effort::Quick } else { Effort::Full };
            measure(Point { metric, subject, callers }, effort)
        }
        What::Play { role } => role.play(),
    }
}

fn run(metrics: &[Metric], options: &Options) -> Result<(), BoxError> {
    let mut report = Report::default();
    let runtime = two_workers()?;
    if options.includes(Place::Memory) {
        runtime.block_on(in_memory(metrics, options, &mut report))?;
    }
    let mut on_postgres: Vec<_> =
        metrics.iter().map(|metric| (*metric, options.wanted(metric.on_postgres()))).collect();
    on_postgres.retain(|(_, points)| !points.is_empty());
    if options.includes(Place::Postgres) && !on_postgres.is_empty() {
        runtime.block_on(on_server(on_postgres, options, &mut report))?;
    }
    report.print(options.format);
    Ok(())
}

/// Measures in child processes.
async fn in_memory(metrics: &[Metric], options: &Options, report: &mut Report) -> Result<(), BoxError> {
    for metric in metrics {
        let generated = match metric {
            Metric::Compile => Some(Generated::prepare()?),
            _ => None,
        };
        for _ in 0..options.runs(3) {
            for point in options.wanted(metric.in_memory()) {
                let values = match &generated {
                    Some(generated) => generated.build(point.subject)?,
                    None => child::measure(point, options.quick).await?,
                };
                values.into_iter().for_each(|value| report.add(point, value));
            }
        }
    }
    Ok(())
}

/// Measures on a Postgres server.
async fn on_server(
    metrics: Vec<(Metric, Vec<Point>)>,
    options: &Options,
    report: &mut Report,
) -> Result<(), BoxError> {
    let server = Server::find().await?;
    let database = server.create_database("settings").await?;
    let head = postgres::head(&database).await;
    server.drop_database(&database).await?;
    report.add_head(head?);
    for (metric, points) in metrics {
        let (effort, rounds) = (options.effort(), options.runs(2));
        Contest { server: &server, metric, points, effort, rounds }.run(report).await?;
    }
    Ok(())
}

/// The child's side of [`child::measure`].
fn measure(point: Point, effort: Effort) -> Result<(), BoxError> {
    let values = match point.metric {
        Metric::Dispatch => dispatch::measure(point, effort)?,
        Metric::DispatchHot => hot::measure(point, effort)?,
        Metric::Rehydrate => rehydrate::rehydrate()?,
        Metric::Footprint => footprint::measure(effort)?,
        Metric::CatchUp => rehydrate::catch_up(effort)?,
        Metric::Compile => Generated::prepare()?.build(point.subject)?,
        metric => return Err(format!("{metric} is measured on Postgres only").into()),
    };
    child::tell(values)
}

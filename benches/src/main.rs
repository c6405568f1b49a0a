//! Benchmarks of the framework, side by side with others: `cargo run --release -p benches -- all`.
//!
//! Every single measurement runs in a process of its own, which this program starts: so none inherits the
//! heap of another, and subjects are measured in turn, run by run.

#![expect(clippy::print_stdout, reason = "the report goes to standard output")]

mod compile;
mod dispatch;
mod distant;
mod domain;
mod footprint;
mod hot;
mod peers;
mod point;
mod rehydrate;
mod report;
mod workload;

use std::io::Write as _;
use std::process::{Command, Stdio};

use clap::{Args, Parser, Subcommand};

use crate::compile::Generated;
use crate::point::{BoxError, Effort, Metric, Point, Subject, Value};
use crate::report::{Format, Report};

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
    /// Commands a second on 10,000 accounts, and the latency of each (p50, p99).
    Dispatch(Options),
    /// The same on one account.
    DispatchHot(Options),
    /// The same on one account whose store takes a millisecond an append.
    DispatchDistant(Options),
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
    /// Less work and 3 runs: under a minute for all, and noisier.
    #[arg(long)]
    quick: bool,
    /// How the report looks.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How many runs the medians are over [default: 5, quick: 3].
    #[arg(long)]
    runs: Option<usize>,
}

/// What a child's line on standard error begins with when it holds a value.
const RESULT: &str = "result\t";

fn main() -> Result<(), BoxError> {
    use Metric::{CatchUp, Compile, Dispatch, DispatchDistant, DispatchHot, Footprint, Rehydrate};
    match Cli::parse().what {
        What::All(options) if options.quick => {
            run(&[Dispatch, DispatchHot, DispatchDistant, Rehydrate, Footprint, CatchUp], &options)
        }
        What::All(options) => {
            run(&[Dispatch, DispatchHot, DispatchDistant, Rehydrate, Footprint, CatchUp, Compile], &options)
        }
        What::Dispatch(options) => run(&[Dispatch], &options),
        What::DispatchHot(options) => run(&[DispatchHot], &options),
        What::DispatchDistant(options) => run(&[DispatchDistant], &options),
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

/// Measures in child processes and reports.
fn run(metrics: &[Metric], options: &Options) -> Result<(), BoxError> {
    let runs = options.runs.unwrap_or(if options.quick { 3 } else { 5 }).max(1);
    let mut report = Report::default();
    for metric in metrics {
        let generated = match metric {
            Metric::Compile => Some(Generated::prepare()?),
            _ => None,
        };
        for _ in 0..runs {
            for point in metric.points() {
                let values = match &generated {
                    Some(generated) => generated.build(point.subject)?,
                    None => in_child(point, options.quick)?,
                };
                values.into_iter().for_each(|value| report.add(point, value));
            }
        }
    }
    report.print(options.format);
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
        Metric::Dispatch => dispatch::measure(point, effort)?,
        Metric::DispatchHot => hot::measure(point, effort)?,
        Metric::DispatchDistant => distant::measure(point, effort)?,
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

//! Medians, their ratios, and how they are shown.

use std::process::Command;

use clap::ValueEnum;

use crate::point::{Point, Subject, Value};
use crate::quotients::{QUOTIENTS, Quotient};

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Format {
    /// Columns for people.
    Table,
    /// metric, subject, concurrency, value and unit, separated by tabs.
    Tsv,
}

/// The values of one metric at one point, run by run.
#[derive(Debug)]
struct Row {
    metric: String,
    subject: Subject,
    callers: usize,
    values: Vec<f64>,
    unit: String,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What the figures depend on, beyond the machine.
    head: Vec<String>,
    rows: Vec<Row>,
}

/// A row as it is shown.
struct Line<'a> {
    metric: &'a str,
    subject: String,
    callers: usize,
    median: f64,
    unit: &'a str,
    /// The median of the first subject of the metric, in proportion to this one.
    ratio: Option<f64>,
}

impl Report {
    pub(crate) fn add_head(&mut self, lines: Vec<String>) {
        self.head.extend(lines);
    }

    pub(crate) fn add(&mut self, point: Point, value: Value) {
        let subject = point.subject;
        let same = |row: &&mut Row| {
            row.metric == value.metric && row.subject == subject && row.callers == point.callers
        };
        match self.rows.iter_mut().find(same) {
            Some(row) => row.values.push(value.value),
            None => self.rows.push(Row {
                metric: value.metric,
                subject,
                callers: point.callers,
                values: vec![value.value],
                unit: value.unit,
            }),
        }
    }

    pub(crate) fn print(&self, format: Format) {
        let head = [machine()].into_iter().chain(self.head.iter().cloned());
        match format {
            Format::Table => {
                head.for_each(|line| println!("{line}"));
                let (metric, subject) = ("metric", "subject");
                println!("\n{metric:<27} {subject:<26} callers {:>12}  {:<11} first/this", "median", "unit");
            }
            Format::Tsv => head.for_each(|line| println!("# {line}")),
        }
        for Line { metric, subject, callers, median, unit, ratio } in self.lines() {
            let median = shown(median);
            match format {
                Format::Table => {
                    let ratio = ratio.map(shown).unwrap_or_default();
                    println!("{metric:<27} {subject:<26} {callers:>7} {median:>12}  {unit:<11} {ratio:>10}");
                }
                Format::Tsv => println!("{metric}\t{subject}\t{callers}\t{median}\t{unit}"),
            }
        }
    }

    /// The rows of one metric next to each other.
    fn lines(&self) -> Vec<Line<'_>> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        let first = |metric: &str| self.rows.iter().position(|row| row.metric == metric);
        rows.sort_by_key(|row| first(&row.metric));
        let mut lines: Vec<_> = rows
            .iter()
            .map(|row| Line {
                metric: &row.metric,
                subject: row.subject.to_string(),
                callers: row.callers,
                median: row.median(),
                unit: &row.unit,
                ratio: self.ratio(row),
            })
            .collect();
        lines.extend(QUOTIENTS.iter().filter_map(|quotient| self.line_of(quotient)));
        lines
    }

    fn line_of(&self, quotient: &Quotient) -> Option<Line<'static>> {
        let median = |(metric, subject, callers)| {
            let is_it = |row: &&Row| (&*row.metric, row.subject, row.callers) == (metric, subject, callers);
            self.rows.iter().find(is_it).map(Row::median)
        };
        Some(Line {
            metric: quotient.metric,
            subject: quotient.subject(),
            callers: quotient.above.2,
            median: median(quotient.above)? / median(quotient.below)?,
            unit: "x",
            ratio: None,
        })
    }

    /// How a row compares with the first subject of its metric on the same kind of store, if it is another.
    fn ratio(&self, row: &Row) -> Option<f64> {
        let first = self.rows.iter().find(|first| {
            first.metric == row.metric
                && first.callers == row.callers
                && first.subject.is_on_postgres() == row.subject.is_on_postgres()
        })?;
        (first.subject != row.subject).then(|| first.median() / row.median())
    }
}

impl Row {
    fn median(&self) -> f64 {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        f64::midpoint(lower, upper)
    }
}

fn shown(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let version = Command::new("rustc").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let version = version.unwrap_or_else(|_| "rustc not found".to_owned());
    format!("{cores} cores, {version}")
}

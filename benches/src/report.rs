//! Medians, and how they are shown.

use std::process::Command;

use clap::ValueEnum;

use crate::point::{Point, Subject, Value};

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
    subject: String,
    callers: usize,
    values: Vec<f64>,
    unit: String,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
}

impl Report {
    pub(crate) fn add(&mut self, point: Point, value: Value) {
        let subject = point.subject.to_string();
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
        let machine = machine();
        match format {
            Format::Table => {
                println!("{machine}\n");
                let (metric, subject) = ("metric", "subject");
                println!("{metric:<20} {subject:<14} callers {:>12}  unit", "median");
            }
            Format::Tsv => println!("# {machine}"),
        }
        for (metric, subject, callers, value, unit) in self.lines() {
            match format {
                Format::Table => println!("{metric:<20} {subject:<14} {callers:>7} {value:>12}  {unit}"),
                Format::Tsv => println!("{metric}\t{subject}\t{callers}\t{value}\t{unit}"),
            }
        }
    }

    /// The rows as text, those of one metric next to each other.
    fn lines(&self) -> Vec<(&str, String, usize, String, &str)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        let first = |metric: &str| self.rows.iter().position(|row| row.metric == metric);
        rows.sort_by_key(|row| first(&row.metric));
        let mut lines = Vec::new();
        for row in &rows {
            let (metric, subject) = (row.metric.as_str(), row.subject.clone());
            lines.push((metric, subject, row.callers, shown(row.median()), row.unit.as_str()));
        }
        let compiled = |subject: Subject| {
            let subject = subject.to_string();
            rows.iter().find(|row| row.subject == subject).map(|row| row.median())
        };
        if let (Some(macros), Some(by_hand)) = (compiled(Subject::Macros), compiled(Subject::ByHand)) {
            let subject = format!("{}/{}", Subject::Macros, Subject::ByHand);
            lines.push(("compile-ratio", subject, 1, shown(macros / by_hand), "x"));
        }
        lines
    }
}

impl Row {
    fn median(&self) -> f64 {
        let mut values = self.values.clone();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
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

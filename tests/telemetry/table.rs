//! The tables of the documentation.

use std::collections::{BTreeMap, BTreeSet};

const PAGE: &str = include_str!("../../cqrs-core/src/docs/telemetry.md");

pub type Names = BTreeSet<String>;

/// What is said about a span, or found out about it.
#[derive(Debug, PartialEq, Eq)]
pub struct SpanNames {
    pub level: String,
    pub kind: String,
    pub fields: Names,
}

/// What is said about a metric, or found out about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct MetricNames {
    pub instrument: String,
    pub labels: Names,
}

/// The table of spans.
pub fn spans() -> BTreeMap<String, SpanNames> {
    let span = |row: Vec<&str>| {
        let [name, level, kind, _, _, fields] = row[..] else { panic!("six columns: {row:?}") };
        let names =
            SpanNames { level: level.to_owned(), kind: kind.to_owned(), fields: quoted(fields).collect() };
        (quoted(name).next().unwrap(), names)
    };
    rows("Spans").map(span).collect()
}

/// The table of metrics.
pub fn metrics() -> BTreeMap<String, MetricNames> {
    let metric = |row: Vec<&str>| {
        let [name, instrument, unit, labels, what] = row[..] else { panic!("five columns: {row:?}") };
        assert!(!unit.is_empty() && !what.is_empty(), "{name} has no unit, or it is not said what it is");
        let names = MetricNames {
            instrument: instrument.trim_matches('`').to_owned(),
            labels: quoted(labels).collect(),
        };
        (quoted(name).next().unwrap(), names)
    };
    rows("Metrics").map(metric).collect()
}

/// The fields, and those of them that have many values.
pub fn fields() -> BTreeMap<String, bool> {
    let field = |row: Vec<&str>| (quoted(row[0]).next().unwrap(), row[1] == "wide");
    rows("Fields").map(field).collect()
}

/// The cells of each row of the table under this heading, without the head.
fn rows(heading: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let heading = format!("# {heading}");
    let section = PAGE.lines().skip_while(move |line| *line != heading).skip(1);
    let rows = section.take_while(|line| !line.starts_with("# ")).filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect())
}

fn quoted(cell: &str) -> impl Iterator<Item = String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

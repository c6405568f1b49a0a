//! What is measured: a metric of a subject at a number of callers.

use std::error::Error;
use std::fmt;

use clap::ValueEnum;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What a benchmark finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Metric {
    /// Commands a second for 10,000 accounts, and how long each takes.
    Dispatch,
    /// The same for a single account.
    DispatchHot,
    /// The same for a single account whose store takes a millisecond an append.
    DispatchDistant,
    /// How long it takes to rebuild a state from 10,000 events.
    Rehydrate,
    /// How much memory an idle aggregate with a state of 100 bytes takes.
    Footprint,
    /// Events a second of a handler that comes late.
    CatchUp,
    /// How long 100 commands and 100 events take to compile, with the macros and by hand.
    Compile,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Subject {
    /// This framework on its in-memory store.
    CqrsMemory,
    /// The crate `cqrs-es` on the in-memory store that it ships.
    CqrsEs,
    /// The crate `cqrs-es` on that store without its printing.
    CqrsEsQuiet,
    /// The crate `cqrs-es` on events kept as JSON, as its database stores keep them.
    CqrsEsJson,
    /// Code that uses the macros.
    Macros,
    /// The equivalent code by hand.
    ByHand,
}

/// How much work a measurement does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effort {
    Quick,
    Full,
}

/// One thing to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) metric: Metric,
    pub(crate) subject: Subject,
    pub(crate) callers: usize,
}

/// One value of a measurement.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) metric: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

impl Value {
    pub(crate) fn new(metric: impl fmt::Display, value: f64, unit: &str) -> Self {
        Self { metric: metric.to_string(), value, unit: unit.to_owned() }
    }
}

impl Effort {
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

impl Metric {
    /// The points at which the metric is measured, subjects that are compared next to each other.
    pub(crate) fn points(self) -> Vec<Point> {
        let point = |subject, callers| Point { metric: self, subject, callers };
        let subjects = [Subject::CqrsMemory, Subject::CqrsEs, Subject::CqrsEsQuiet, Subject::CqrsEsJson];
        match self {
            Self::Dispatch => [1, 8, 64]
                .into_iter()
                .flat_map(|callers| subjects.map(|subject| point(subject, callers)))
                .collect(),
            Self::DispatchHot | Self::DispatchDistant => {
                [1, 8, 64].map(|callers| point(Subject::CqrsMemory, callers)).into()
            }
            Self::Rehydrate | Self::Footprint | Self::CatchUp => vec![point(Subject::CqrsMemory, 1)],
            Self::Compile => [Subject::Macros, Subject::ByHand].map(|subject| point(subject, 1)).into(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self, formatter)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        name(self, formatter)
    }
}

fn name(value: &impl ValueEnum, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value.to_possible_value() {
        Some(value) => formatter.write_str(value.get_name()),
        None => Ok(()),
    }
}

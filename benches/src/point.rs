//! What is measured: a metric of a subject at a number of callers.

use std::error::Error;
use std::fmt;

use clap::ValueEnum;

use crate::peers::on_postgres as peers;

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// What a benchmark finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Metric {
    /// Events a second that are appended one by one.
    Append,
    /// Commands a second for 10,000 accounts, and how long each takes.
    Dispatch,
    /// The same for a single account.
    DispatchHot,
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
    /// One insert a transaction, by hand, on 16 connections.
    RawInsert,
    /// The same on 32 connections.
    #[value(name = "raw-insert-32")]
    RawInsert32,
    /// A thousand inserts a transaction, by hand.
    RawCoalesced,
    /// Events read by hand.
    RawRead,
    /// The crate `cqrs-es` on Postgres.
    CqrsEsPostgres,
    /// The crate `disintegrate` on Postgres.
    Disintegrate,
    /// The crate `eventcore` on Postgres.
    Eventcore,
    /// The crate `eventsourced` on Postgres.
    Eventsourced,
    /// The crate `evento` on Postgres.
    Evento,
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
    /// The points at which the metric is measured in memory, subjects that are compared next to each other.
    pub(crate) fn in_memory(self) -> Vec<Point> {
        use Subject::{ByHand, CqrsEs, CqrsEsJson, CqrsEsQuiet, CqrsMemory, Macros};
        match self {
            Self::Append => Vec::new(),
            Self::Dispatch => self.each(&[1, 8, 64], &[CqrsMemory, CqrsEs, CqrsEsQuiet, CqrsEsJson]),
            Self::DispatchHot => self.each(&[1, 8, 64], &[CqrsMemory]),
            Self::Rehydrate | Self::Footprint | Self::CatchUp => self.each(&[1], &[CqrsMemory]),
            Self::Compile => self.each(&[1], &[Macros, ByHand]),
        }
    }

    /// The points at which it is measured on Postgres. The first subject is what the others are compared with.
    pub(crate) fn on_postgres(self) -> Vec<Point> {
        use Subject::{RawCoalesced, RawInsert, RawInsert32, RawRead};
        match self {
            Self::Append => {
                let mut points = self.each(&[1, 8, 64, 256], &[RawInsert, RawInsert32]);
                points.extend(self.each(&[1], &[RawCoalesced]));
                points
            }
            Self::Dispatch => self.each(&[1, 8, 64, 256], &peers::ALL),
            Self::DispatchHot => self.each(&[64], &peers::ALL),
            Self::Rehydrate => self.each(&[1], &[&[RawRead], &peers::ALL[..]].concat()),
            Self::CatchUp => self.each(&[1], &[&[RawRead], &peers::WITH_HANDLERS[..]].concat()),
            Self::Footprint | Self::Compile => Vec::new(),
        }
    }

    fn each(self, callers: &[usize], subjects: &[Subject]) -> Vec<Point> {
        let with = |&callers| subjects.iter().map(move |&subject| Point { metric: self, subject, callers });
        callers.iter().flat_map(with).collect()
    }
}

impl Subject {
    pub(crate) fn is_on_postgres(self) -> bool {
        match self {
            Self::CqrsMemory
            | Self::CqrsEs
            | Self::CqrsEsQuiet
            | Self::CqrsEsJson
            | Self::Macros
            | Self::ByHand => false,
            Self::RawInsert
            | Self::RawInsert32
            | Self::RawCoalesced
            | Self::RawRead
            | Self::CqrsEsPostgres
            | Self::Disintegrate
            | Self::Eventcore
            | Self::Eventsourced
            | Self::Evento => true,
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

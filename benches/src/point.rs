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
    /// Whether an append costs the same in a long log as in a short one.
    FlatCost,
    /// What two processes on one log reach together.
    TwoProcesses,
    /// How often an event is read that many handlers are given.
    TailReads,
    /// How much the server writes ahead for an event.
    Wal,
    /// How much memory a process takes that appends as fast as it can.
    Memory,
    /// Events a second that a projection makes rows of, and how that compares with code written by hand.
    Projection,
    /// The same when the rows are made anew, and what that costs those who append meanwhile.
    Rebuild,
    /// What 8 partitions bring to a rebuild by one upsert an event.
    Divided,
    /// Commands a second whose rows are written with their events.
    Inline,
    /// How long many applications on one pool take to start, and how much memory they take.
    Tenants,
    /// Transfers of money a second that a process manager finishes.
    Transfers,
    /// What 16 partitions bring to a handler that waits 1 ms with each event.
    Partitions,
    /// How much longer a lone dispatch takes that waits for a handler, or for a projection.
    Strong,
    /// Scheduled commands a second that are due together.
    Timers,
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
    /// This framework on its Postgres store.
    CqrsPostgres,
    /// The same with payloads as bytes.
    CqrsPostgresBytea,
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

    /// A number that is told, but not reported.
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub(crate) fn of_count(metric: &str, count: usize) -> Self {
        Self::new(metric, count as f64, "")
    }

    /// That number.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was a count")]
    pub(crate) fn count(&self) -> usize {
        self.value as usize
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
            Self::Dispatch => self.each(&[1, 8, 64], &[CqrsMemory, CqrsEs, CqrsEsQuiet, CqrsEsJson]),
            Self::DispatchHot => self.each(&[1, 8, 64], &[CqrsMemory]),
            Self::Rehydrate | Self::Footprint | Self::CatchUp => self.each(&[1], &[CqrsMemory]),
            Self::Compile => self.each(&[1], &[Macros, ByHand]),
            Self::Append
            | Self::FlatCost
            | Self::TwoProcesses
            | Self::TailReads
            | Self::Wal
            | Self::Memory
            | Self::Projection
            | Self::Rebuild
            | Self::Divided
            | Self::Inline
            | Self::Transfers
            | Self::Partitions
            | Self::Strong
            | Self::Timers
            | Self::Tenants => Vec::new(),
        }
    }

    /// The points at which it is measured on Postgres. The first subject is what the others are compared with.
    pub(crate) fn on_postgres(self) -> Vec<Point> {
        use Subject::{CqrsPostgres, CqrsPostgresBytea, RawCoalesced, RawInsert, RawInsert32, RawRead};
        let ours = &[CqrsPostgres][..];
        match self {
            Self::Append => {
                let subjects = [CqrsPostgres, CqrsPostgresBytea, RawInsert, RawInsert32];
                let mut points = self.each(&[1, 8, 64, 256], &subjects);
                points.extend(self.each(&[1], &[RawCoalesced]));
                points
            }
            Self::Dispatch => self.each(&[1, 8, 64, 256], &[ours, &peers::ALL].concat()),
            Self::DispatchHot => self.each(&[64], &[ours, &peers::ALL].concat()),
            Self::Rehydrate => self.each(&[1], &[ours, &[RawRead], &peers::ALL].concat()),
            Self::CatchUp => self.each(&[1], &[ours, &[RawRead], &peers::WITH_HANDLERS].concat()),
            Self::FlatCost | Self::TwoProcesses => self.each(&[64], ours),
            Self::TailReads => self.each(&[8], ours),
            Self::Wal => self.each(&[64], &[CqrsPostgres, RawInsert]),
            Self::Memory => self.each(&[256], ours),
            Self::Transfers => self.each(&[64], ours),
            Self::Timers | Self::Partitions | Self::Strong => self.each(&[1], ours),
            Self::Projection | Self::Divided | Self::Tenants => self.each(&[1], ours),
            Self::Rebuild => self.each(&[8], ours),
            Self::Inline => self.each(&[1, 8, 64], ours),
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
            Self::CqrsPostgres
            | Self::CqrsPostgresBytea
            | Self::RawInsert
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

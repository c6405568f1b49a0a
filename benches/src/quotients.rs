//! Medians in proportion to others, where a target is about two of them.

use crate::point::Subject;

/// A median: its metric, subject and callers.
pub(crate) type Place = (&'static str, Subject, usize);

pub(crate) struct Quotient {
    pub(crate) metric: &'static str,
    pub(crate) above: Place,
    pub(crate) below: Place,
}

pub(crate) const QUOTIENTS: [Quotient; 3] = [
    Quotient {
        metric: "compile-ratio",
        above: ("compile-macros", Subject::Macros, 1),
        below: ("compile-by-hand", Subject::ByHand, 1),
    },
    // A command of a lone caller against an insert of one.
    Quotient {
        metric: "latency-lone",
        above: ("latency-p50", Subject::CqrsPostgres, 1),
        below: ("latency-p50-append", Subject::RawInsert, 1),
    },
    // How much longer the slow commands take.
    Quotient {
        metric: "latency-spread",
        above: ("latency-p99", Subject::CqrsPostgres, 64),
        below: ("latency-p50", Subject::CqrsPostgres, 64),
    },
];

impl Quotient {
    pub(crate) fn subject(&self) -> String {
        match (self.above.1, self.below.1) {
            (above, below) if above == below => above.to_string(),
            (above, below) => format!("{above}/{below}"),
        }
    }
}

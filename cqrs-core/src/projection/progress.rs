use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

/// How far rows are that are built beside those that readers see.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RebuildProgress {
    /// The number of the generation.
    pub generation: u64,
    /// The version of the projection's code.
    pub version: u32,
    /// The position up to which the rows are made.
    pub position: u64,
    /// Where the log ends; it may grow.
    pub target: u64,
    /// How many positions a second were passed since this node began; `None` at the very beginning, and on nodes that
    /// do not build.
    pub rate: Option<f64>,
    /// How long the rest takes at that rate.
    pub remaining: Option<Duration>,
}

impl RebuildProgress {
    /// Between 0 and 1.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        match self.target {
            0 => 1.0,
            target => (float(self.position) / float(target)).min(1.0),
        }
    }
}

impl fmt::Display for RebuildProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, target, .. } = self;
        write!(formatter, "{position} of {target}")?;
        if let Some(rate) = self.rate {
            write!(formatter, ", {rate:.0}/s")?;
        }
        match self.remaining {
            Some(remaining) => write!(formatter, ", {} s left", remaining.as_secs()),
            None => Ok(()),
        }
    }
}

/// When a node began to build, and where.
#[derive(Debug)]
pub(crate) struct Pace {
    generation: u64,
    version: u32,
    from: u64,
    began: Instant,
}

impl Pace {
    pub(crate) fn new(generation: u64, version: u32, from: u64) -> Self {
        Self { generation, version, from, began: Instant::now() }
    }

    pub(crate) fn progress(&self, position: u64, end: u64) -> RebuildProgress {
        let target = end.max(position);
        let took = self.began.elapsed().as_secs_f64();
        let rate = (position > self.from && took > 0.0).then(|| float(position - self.from) / took);
        let rest = float(target - position);
        RebuildProgress {
            generation: self.generation,
            version: self.version,
            position,
            target,
            rate,
            remaining: rate.and_then(|rate| Duration::try_from_secs_f64(rest / rate).ok()),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn float(position: u64) -> f64 {
    position as f64
}

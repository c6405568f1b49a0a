//! One metric, measured with all of its subjects in turn.

use std::time::{Duration, Instant};

use crate::point::{BoxError, Effort, Metric, Point, Subject, Value};
use crate::postgres::slice::Slice;
use crate::postgres::subjects::set_up;
use crate::postgres::{Course, Database, Ready, Server};
use crate::report::Report;

#[derive(Clone, Debug)]
pub(crate) struct Contest<'a> {
    pub(crate) server: &'a Server,
    pub(crate) metric: Metric,
    /// The first subject is what the others are compared with.
    pub(crate) points: Vec<Point>,
    pub(crate) effort: Effort,
    pub(crate) rounds: usize,
}

/// A subject in the contest.
struct Entrant {
    subject: Subject,
    database: Database,
    ready: Ready,
    slices: usize,
    /// How long the last slice took.
    took: Duration,
}

/// Who takes longer for a slice is left out of the rounds that follow.
const PATIENCE: Duration = Duration::from_secs(15);

impl Contest<'_> {
    /// Sets the subjects up, measures them and drops their databases.
    pub(crate) async fn run(self, report: &mut Report) -> Result<(), BoxError> {
        let mut entrants = Vec::new();
        let outcome = self.measured(&mut entrants, report).await;
        for Entrant { database, ready, .. } in entrants {
            drop(ready.contender);
            ready.close.await;
            self.server.drop_database(&database).await?;
        }
        outcome
    }

    async fn measured(&self, entrants: &mut Vec<Entrant>, report: &mut Report) -> Result<(), BoxError> {
        for point in &self.points {
            if !entrants.iter().any(|entrant| entrant.subject == point.subject) {
                entrants.push(self.entrant(point.subject).await?);
            }
        }
        for entrant in &*entrants {
            entrant.database.analyze().await?;
        }
        for _ in 0..self.rounds {
            for &point in &self.points {
                let entrant = entrants.iter_mut().find(|entrant| entrant.subject == point.subject);
                let entrant = entrant.ok_or("every subject is set up")?;
                if entrant.took > PATIENCE {
                    continue;
                }
                let values = entrant.measure(point.callers, self.effort).await?;
                values.into_iter().for_each(|value| report.add(point, value));
            }
        }
        for entrant in entrants {
            entrant.check().await?;
        }
        Ok(())
    }

    async fn entrant(&self, subject: Subject) -> Result<Entrant, BoxError> {
        let Self { server, metric, effort, .. } = *self;
        let database = server.create_database(&format!("{metric}_{subject}")).await?;
        match set_up(subject, Course::new(metric, effort, &database)).await {
            Ok(ready) => Ok(Entrant { subject, database, ready, slices: 0, took: Duration::ZERO }),
            Err(error) => {
                server.drop_database(&database).await?;
                Err(format!("{subject} cannot be set up for {metric}: {error}").into())
            }
        }
    }
}

impl Entrant {
    async fn measure(&mut self, callers: usize, effort: Effort) -> Result<Vec<Value>, BoxError> {
        let slice = Slice {
            number: self.slices,
            callers,
            warm_up: Duration::from_millis(effort.pick(100, 300)),
            length: Duration::from_millis(effort.pick(500, 1_500)),
        };
        self.slices += 1;
        let began = Instant::now();
        let values = self.ready.contender.measure(slice).await;
        self.took = began.elapsed();
        values.map_err(|error| format!("{} failed with {callers} callers: {error}", self.subject).into())
    }

    /// Whether the database holds what was acknowledged, no more and no less, and in order.
    async fn check(&self) -> Result<(), BoxError> {
        let stored = self.database.number(self.ready.count).await?;
        let acknowledged = self.ready.contender.acknowledged();
        if stored != acknowledged {
            return Err(
                format!("{} acknowledged {acknowledged} events and stored {stored}", self.subject).into()
            );
        }
        let Some(faults) = self.ready.faults else { return Ok(()) };
        match self.database.number(faults).await? {
            0 => Ok(()),
            faults => Err(format!("the log of {} has {faults} faults", self.subject).into()),
        }
    }
}

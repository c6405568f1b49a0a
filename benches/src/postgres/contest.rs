//! One metric, measured with all of its subjects in turn.

use std::time::Duration;

use crate::point::{BoxError, Effort, Metric, Subject, Value};
use crate::postgres::slice::Slice;
use crate::postgres::subjects::set_up;
use crate::postgres::{Course, Database, Ready, Server};
use crate::report::Report;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Contest<'a> {
    pub(crate) server: &'a Server,
    pub(crate) metric: Metric,
    pub(crate) effort: Effort,
    pub(crate) rounds: usize,
}

/// A subject in the contest.
struct Entrant {
    subject: Subject,
    database: Database,
    ready: Ready,
    slices: usize,
}

impl Contest<'_> {
    /// Sets the subjects up, measures them and drops their databases.
    pub(crate) async fn run(self, report: &mut Report) -> Result<(), BoxError> {
        let mut entrants = Vec::new();
        let outcome = self.measured(&mut entrants, report).await;
        for Entrant { database, ready, .. } in entrants {
            drop(ready);
            self.server.drop_database(&database).await?;
        }
        outcome
    }

    async fn measured(self, entrants: &mut Vec<Entrant>, report: &mut Report) -> Result<(), BoxError> {
        let points = self.metric.on_postgres();
        for point in &points {
            if !entrants.iter().any(|entrant| entrant.subject == point.subject) {
                entrants.push(self.entrant(point.subject).await?);
            }
        }
        for entrant in &*entrants {
            entrant.database.analyze().await?;
        }
        for _ in 0..self.rounds {
            for &point in &points {
                let entrant = entrants.iter_mut().find(|entrant| entrant.subject == point.subject);
                let values =
                    entrant.ok_or("every subject is set up")?.measure(point.callers, self.effort).await?;
                values.into_iter().for_each(|value| report.add(point, value));
            }
        }
        for entrant in entrants {
            entrant.check().await?;
        }
        Ok(())
    }

    async fn entrant(self, subject: Subject) -> Result<Entrant, BoxError> {
        let Self { server, metric, effort, .. } = self;
        let database = server.create_database(&format!("{metric}_{subject}")).await?;
        match set_up(subject, Course::new(metric, effort, &database)).await {
            Ok(ready) => Ok(Entrant { subject, database, ready, slices: 0 }),
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
        let values = self.ready.contender.measure(slice).await;
        values.map_err(|error| format!("{} failed with {callers} callers: {error}", self.subject).into())
    }

    /// Whether the database holds what was acknowledged, no more and no less.
    async fn check(&self) -> Result<(), BoxError> {
        let stored = self.database.number(self.ready.count).await?;
        let acknowledged = self.ready.contender.acknowledged();
        if stored == acknowledged {
            return Ok(());
        }
        Err(format!("{} acknowledged {acknowledged} events and stored {stored}", self.subject).into())
    }
}

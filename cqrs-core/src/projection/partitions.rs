//! Keys side by side: a stretch of the log is divided by key, and each partition is projected in a transaction of its own.

use futures_util::future::join_all;

use crate::backoff::Backoff;
use crate::handler::partition::key_or_stream;
use crate::handler::worker::End;
use crate::handler::{HandlerRunner, HandlerState, Partition, Tenure};
use crate::panics;
use crate::projection::batch::Batch;
use crate::projection::made::record;
use crate::projection::projecting::{Projecting, Trouble};
use crate::projection::{Projected, Projection, RowError};
use crate::store::{HandlerCommit, RecordedEvent};

/// The fewest events that are worth more than one transaction.
const FEWEST: usize = 100;

impl<P: Projection> Projecting<P> {
    /// Among how many transactions events are divided.
    pub(crate) fn partitions(&self) -> usize {
        match self.is_rebuild() {
            true => usize::from(P::REBUILD_PARTITIONS.max(1)),
            false => 1,
        }
    }

    /// Projects events that follow each other in the log, divided by key, the partitions side by side. Some may be left,
    /// to be projected in order: those of a partition that has failed, and those that wait behind parked ones.
    pub(crate) async fn project_partitions(
        &mut self,
        runner: &HandlerRunner,
        stretch: &[&RecordedEvent],
        tenure: &mut Tenure,
    ) -> Result<(), End> {
        if stretch.len() < FEWEST {
            return Ok(());
        }
        let partitions = self.divide(runner, stretch, tenure)?;
        if partitions.len() < 2 {
            return Ok(());
        }
        let tried = join_all(partitions.iter().map(|batch| self.try_partition(runner, batch))).await;
        let mut unreachable = None;
        for trouble in tried.into_iter().filter_map(Result::err) {
            match trouble {
                Trouble::Fenced => return Err(End::Yielded),
                Trouble::Rows(error) => unreachable = Some(error),
                Trouble::Event(_) => {}
            }
        }
        if let Some(error) = unreachable {
            self.wait(runner, &error, &mut Backoff::new(), tenure).await?;
        }
        // What was said of a commit is not believed: one that does not wait for the disk is lost with the server, and the
        // position, which it has not moved, does not tell.
        self.claim(runner, tenure).await?;
        runner.set_state(HandlerState::Running);
        Ok(())
    }

    /// The events of each partition that has some, but for those that wait behind parked ones. A partition in which one
    /// cannot be decoded is left out.
    fn divide<'a>(
        &self,
        runner: &HandlerRunner,
        stretch: &[&'a RecordedEvent],
        tenure: &Tenure,
    ) -> Result<Vec<Batch<'a, P::Event>>, End> {
        let count = P::REBUILD_PARTITIONS;
        let mut partitions: Vec<_> = Partition::all(count).map(|_| Some(Batch::default())).collect();
        for event in stretch {
            let projected = self.projected(runner, event)?;
            let key = self.key_of_projected(event, projected.as_deref().unwrap_or_default());
            let partition = &mut partitions[usize::from(Partition::of_key(&key, count).index)];
            match (projected, partition.as_mut()) {
                (Some(_), _) if tenure.parked.contains_key(&key) => {}
                (Some(projected), Some(batch)) => {
                    batch.projected.extend(projected);
                    batch.events.push(event);
                }
                (_, _) => *partition = None,
            }
        }
        Ok(partitions.into_iter().flatten().filter(|batch| !batch.events.is_empty()).collect())
    }

    /// As [`Reaction::key_of`](crate::handler::reaction::Reaction::key_of), of an event that is decoded.
    fn key_of_projected(&self, event: &RecordedEvent, projected: &[Projected<P::Event>]) -> String {
        let first = projected.first();
        let partition_by =
            |one: &Projected<P::Event>| self.shared.projection.partition_by(&one.event, &one.context);
        let key = first.and_then(|first| panics::catch(|| partition_by(first)).ok());
        key_or_stream(key, event)
    }

    /// Writes the rows of a partition, and which events they are made of.
    async fn try_partition(
        &self,
        runner: &HandlerRunner,
        batch: &Batch<'_, P::Event>,
    ) -> Result<(), Trouble> {
        let Some(made) = record(&batch.events) else { return Ok(()) };
        self.try_batch(runner, batch, HandlerCommit::new().put(made)).await.map(drop)
    }

    /// Takes away what is said of events up to where all rows are made by now.
    pub(crate) async fn settle(&mut self, runner: &HandlerRunner, tenure: &mut Tenure) -> Result<(), End> {
        let position = runner.position();
        let mut backoff = Backoff::new();
        while let Some(commit) = self.made.settled(position) {
            match self.write(commit, &tenure.parked).await {
                Ok(()) => self.made.forget(position),
                Err(RowError::Store(error)) => {
                    self.wait(runner, &error, &mut backoff, tenure).await?;
                    // It may have been committed all the same.
                    self.claim(runner, tenure).await?;
                    runner.set_state(HandlerState::Running);
                }
                Err(_) => return Err(End::Yielded),
            }
        }
        Ok(())
    }
}

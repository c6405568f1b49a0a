use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use cqrs_core::projection::{InlineError, InlineProjection, RowsNotReady};
use cqrs_core::store::{
    Append, AppendError, Appended, EventStore as _, InlineAppend, InlineRowsError, RecordedEvent,
};

use crate::MemoryStore;
use crate::append_all::Trial;
use crate::inline_rows::{self, InlineRows, Writing, foreign, not_projected};

/// Keeps others from appending while rows are written for an append.
struct Alone<'a>(&'a MemoryStore);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.lock().is_reserved = false;
        self.0.free().notify_waiters();
    }
}

impl MemoryStore {
    /// Appends in one go, unless rows are written for another append: then it waits.
    pub(crate) async fn append_in_turn<T>(
        &self,
        append: impl FnOnce(&mut crate::contents::Contents) -> Result<T, AppendError>,
    ) -> Result<T, AppendError> {
        let (appended, watched) = loop {
            let free = {
                let mut contents = self.lock();
                if !contents.is_reserved {
                    let appended = append(&mut contents)?;
                    break (appended, self.note_head(&contents));
                }
                // Woken by what happens from here on, before it is polled, too.
                self.free().notified()
            };
            free.await;
        };
        if watched {
            self.announce();
        }
        Ok(appended)
    }

    async fn alone(&self) -> Alone<'_> {
        loop {
            let free = {
                let mut contents = self.lock();
                if !contents.is_reserved {
                    contents.is_reserved = true;
                    return Alone(self);
                }
                self.free().notified()
            };
            free.await;
        }
    }
}

#[async_trait]
impl InlineAppend for MemoryStore {
    async fn check_rows(&self, rows: &(dyn Any + Send + Sync)) -> Result<(), InlineRowsError> {
        match rows.is::<InlineRows>() {
            true => Ok(()),
            false => Err(InlineRowsError::OtherKind),
        }
    }

    async fn append_inline(
        &self,
        appends: Vec<Append>,
        projections: &[Arc<InlineProjection>],
    ) -> Result<Vec<Appended>, AppendError> {
        if let [append] = &*appends
            && let Some(first) = self.lock().outcome(append.id)
        {
            return Ok(vec![first]);
        }
        let Some(first) = projections.first() else { return self.append_all(appends).await };
        let _turn = self.turn().await;
        let mut begun = Vec::with_capacity(projections.len());
        for projection in projections {
            let name = projection.name();
            let rows = projection.rows().downcast_ref::<InlineRows>();
            let writing = match rows {
                Some(rows) => rows.0.begin(name).await,
                None => Err(foreign()),
            };
            begun.push(writing.map_err(|error| not_projected(name, error))?);
        }
        let alone = self.alone().await;
        let trial = match self.lock().try_append_all(&appends, self.clock()) {
            // Another one with this id came in between.
            Err(AppendError::AlreadyAppended { append_id }) if appends.len() == 1 => {
                return Ok(self.lock().outcome(append_id).into_iter().collect());
            }
            trial => trial?,
        };
        for (projection, writing) in projections.iter().zip(&mut begun) {
            let written = self.write_rows(projection, &mut **writing, &trial).await;
            written.map_err(|error| not_projected(projection.name(), error))?;
        }
        let mut is_watched = false;
        let mut append = || {
            let mut contents = self.lock();
            if contents.log.head() != trial.head {
                // Only a store that was reset has gone elsewhere.
                return Err(not_projected(first.name(), RowsNotReady::Busy.into()));
            }
            let appended = contents.append_all(appends.clone(), trial.now)?;
            is_watched = self.note_head(&contents);
            Ok(appended)
        };
        let appended = commit_all(begun, trial.last(), &mut append);
        drop(alone);
        if is_watched {
            self.announce();
        }
        appended
    }
}

impl MemoryStore {
    async fn write_rows(
        &self,
        projection: &InlineProjection,
        writing: &mut dyn Writing,
        trial: &Trial,
    ) -> Result<(), InlineError> {
        projection.check(writing.active(), self.identity())?;
        let position = writing.active().map_or(0, |active| active.position);
        let missed = self.missed(projection, position, trial.head).await?;
        let records = writing.records().to_vec();
        projection.project(position, &missed, &trial.events, &records, writing.connection()).await
    }

    /// The events that are missing in rows which are made up to `position`.
    async fn missed(
        &self,
        projection: &InlineProjection,
        position: u64,
        head: u64,
    ) -> Result<Vec<RecordedEvent>, InlineError> {
        if position >= head {
            return Ok(Vec::new());
        }
        let limit = InlineProjection::MOST_MISSED + 1;
        let page = self.read_log(position, projection.filter(), limit).await;
        let missed = page.map_err(InlineError::NotCommitted)?.events;
        match missed.len() < limit {
            true => Ok(missed),
            false => Err(RowsNotReady::Behind { position }.into()),
        }
    }
}

/// Makes the writes to all rows, around the append: with all of them, or none.
fn commit_all(
    mut rows: Vec<Box<dyn Writing>>,
    position: u64,
    append: &mut inline_rows::Append<'_>,
) -> Result<Vec<Appended>, AppendError> {
    match rows.pop() {
        None => append(),
        Some(last) => {
            last.commit(position, &mut || commit_all(std::mem::take(&mut rows), position, &mut *append))
        }
    }
}

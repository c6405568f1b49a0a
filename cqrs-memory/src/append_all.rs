use std::collections::HashSet;

use chrono::{DateTime, Utc};
use cqrs_core::clock::Clock;
use cqrs_core::id::CommandId;
use cqrs_core::store::{Append, AppendError, Appended, RecordedEvent, StoredState, StreamId, StreamWrite};

use crate::contents::Contents;
use crate::stream::Stream;

/// What several appends that are made as one have changed so far, for the case that a later one fails.
struct Made {
    head: u64,
    ids: Vec<CommandId>,
    /// The states as they were before, oldest first.
    states: Vec<(StreamId, Option<StoredState>)>,
}

/// What several appends would write.
pub(crate) struct Trial {
    pub(crate) now: DateTime<Utc>,
    /// The position before their events.
    pub(crate) head: u64,
    pub(crate) events: Vec<RecordedEvent>,
}

impl Trial {
    /// The position of their last event.
    pub(crate) fn last(&self) -> u64 {
        self.events.last().map_or(self.head, |event| event.position)
    }
}

impl Contents {
    /// Makes several appends, all or none.
    pub(crate) fn append_all(
        &mut self,
        appends: Vec<Append>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Appended>, AppendError> {
        self.make_all(appends, now).map(|(appended, _)| appended)
    }

    /// What several appends would write if they were made now; nothing is changed.
    pub(crate) fn try_append_all(
        &mut self,
        appends: &[Append],
        clock: &dyn Clock,
    ) -> Result<Trial, AppendError> {
        let (now, head) = (clock.now(), self.log.head());
        let (_, made) = self.make_all(appends.to_vec(), now)?;
        let events = (head + 1..=self.log.head()).filter_map(|position| self.log.get(position).cloned());
        let events = events.collect();
        self.take_back(made);
        Ok(Trial { now, head, events })
    }

    fn make_all(
        &mut self,
        appends: Vec<Append>,
        now: DateTime<Utc>,
    ) -> Result<(Vec<Appended>, Made), AppendError> {
        self.check_ids(&appends)?;
        let mut made =
            Made { head: self.log.head(), ids: Vec::with_capacity(appends.len()), states: Vec::new() };
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            if let Err(error) = self.check_append(&append) {
                self.take_back(made);
                return Err(error);
            }
            made.ids.push(append.id);
            for write in &append.writes {
                if let StreamWrite::State { stream_id, .. } = write {
                    made.states.push((stream_id.clone(), self.states.get(stream_id).cloned()));
                }
            }
            outcomes.push(self.make(append, now));
        }
        Ok((outcomes, made))
    }

    fn check_ids(&self, appends: &[Append]) -> Result<(), AppendError> {
        let mut seen = HashSet::with_capacity(appends.len());
        for Append { id, .. } in appends {
            if self.outcomes.contains_key(id) || !seen.insert(id) {
                return Err(AppendError::AlreadyAppended { append_id: *id });
            }
        }
        Ok(())
    }

    fn take_back(&mut self, made: Made) {
        while self.log.head() > made.head {
            let Some(event) = self.log.take_back() else { continue };
            self.event_ids.remove(&event.event_id);
            // A stream that holds nothing does not exist.
            if self.streams.get_mut(&event.stream_id).is_some_and(Stream::take_back) {
                self.streams.remove(&event.stream_id);
            }
        }
        for id in made.ids {
            self.outcomes.remove(&id);
        }
        for (stream_id, before) in made.states.into_iter().rev() {
            match before {
                Some(state) => self.states.insert(stream_id, state),
                None => self.states.remove(&stream_id),
            };
        }
    }
}

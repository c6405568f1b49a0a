use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::handler::ParkedKey;
use crate::store::{CheckpointStore, HandlerCommit, HandlerRecord, StoreError, all_records};

/// The kind of the records that hold the results of effects.
pub(crate) const EFFECT: &str = "effect";

/// Why an effect gave nothing: see [`EventContext::once`](crate::event::EventContext::once).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnceError<E: Error + 'static> {
    /// It failed. Nothing was noted down: it is made again when the event is tried again.
    #[error("effect {label:?} failed")]
    Failed {
        /// The effect's label.
        label: String,
        /// Why.
        #[source]
        source: E,
    },
    /// It was made, but its result could not be noted down: it is made again when the event is tried again.
    #[error("the result of effect {label:?} could not be stored")]
    NotStored {
        /// The effect's label.
        label: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
    /// Its result is no JSON, or what was noted down of an earlier attempt does not fit the type any more.
    #[error("the result of effect {label:?} could not be encoded or decoded")]
    Unfit {
        /// The effect's label.
        label: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
}

/// The position of the event, which of the values it is that the event was upcast to, and the label.
type Place = (u64, u32, String);

/// The results of effects, as the handler's owner knows them: by where they belong.
///
/// A result is kept from when the effect was made until the event is handled, or given up, and the checkpoint or the
/// record of the parked key says so.
#[derive(Debug)]
pub(crate) struct Effects {
    handler: Arc<str>,
    store: Arc<dyn CheckpointStore>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    results: BTreeMap<Place, Bytes>,
    /// Those of events that are done with, which go with the next commit.
    done: BTreeSet<Place>,
}

impl Effects {
    pub(crate) fn new(handler: Arc<str>, store: Arc<dyn CheckpointStore>) -> Self {
        Self { handler, store, known: Mutex::default() }
    }

    /// Reads what earlier owners have left. What belongs to events that are handled is of no use any more: those up to
    /// `saved`, and before the first that is parked. Behind that one some may wait, and an owner may have made their
    /// effects when it tried them again.
    pub(crate) async fn load<'a>(
        &self,
        saved: u64,
        parked: impl Iterator<Item = &'a ParkedKey>,
    ) -> Result<(), StoreError> {
        let first_parked = parked.map(|parked| parked.position).min().unwrap_or(u64::MAX);
        let mut known = Known::default();
        for HandlerRecord { key, position, data, .. } in
            all_records(&*self.store, &self.handler, EFFECT).await?
        {
            let place = place(position, &key);
            if position <= saved && position < first_parked {
                known.done.insert(place.clone());
            }
            known.results.insert(place, data);
        }
        *self.lock() = known;
        Ok(())
    }

    pub(crate) async fn once<T, E, F>(
        &self,
        position: u64,
        ordinal: u32,
        label: &str,
        effect: impl FnOnce() -> F,
    ) -> Result<T, OnceError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let unfit = |source| OnceError::Unfit { label: label.to_owned(), source };
        let place = (position, ordinal, label.to_owned());
        let earlier = self.lock().results.get(&place).cloned();
        if let Some(result) = earlier {
            return serde_json::from_slice(&result).map_err(unfit);
        }
        let result =
            effect().await.map_err(|source| OnceError::Failed { label: label.to_owned(), source })?;
        let data = Bytes::from(serde_json::to_vec(&result).map_err(unfit)?);
        let record = HandlerRecord {
            kind: EFFECT.into(),
            key: key(&place),
            position,
            due_at: None,
            data: data.clone(),
        };
        // Whoever owns the handler: what has happened has happened.
        let stored = self.store.change_records(&self.handler, HandlerCommit::new().put(record)).await;
        stored.map_err(|error| OnceError::NotStored { label: label.to_owned(), source: error.into() })?;
        self.lock().results.insert(place, data);
        Ok(result)
    }

    /// The event is handled or given up.
    pub(crate) fn done_with(&self, position: u64) {
        self.done_with_labels(position, |_| true);
    }

    /// An instance of a process manager has handled the event, or given it up. It may be for others as well.
    pub(crate) fn done_with_one(&self, position: u64, instance: &str) {
        self.done_with_labels(position, |label| label.starts_with(&label_of(instance, "")));
    }

    fn done_with_labels(&self, position: u64, is_done: impl Fn(&str) -> bool) {
        let mut known = self.lock();
        if known.results.is_empty() {
            return;
        }
        let of_event = (position, 0, String::new())..(position + 1, 0, String::new());
        let places = known.results.range(of_event).map(|(place, _)| place);
        let places: Vec<_> = places.filter(|(.., label)| is_done(label)).cloned().collect();
        known.done.extend(places);
    }

    /// The handler begins anew.
    pub(crate) fn done_with_all(&self) {
        let mut known = self.lock();
        known.done = known.results.keys().cloned().collect();
    }

    /// Adds to a commit that what is of no use any more goes; gives what that is.
    pub(crate) fn forget(&self, commit: HandlerCommit) -> (HandlerCommit, Vec<Place>) {
        let places: Vec<_> = self.lock().done.iter().cloned().collect();
        (places.iter().fold(commit, |commit, place| commit.remove(EFFECT, key(place))), places)
    }

    /// What was to be forgotten is gone.
    pub(crate) fn forgotten(&self, places: &[Place]) {
        let mut known = self.lock();
        for place in places {
            known.results.remove(place);
            known.done.remove(place);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The label of an effect that an instance of a process manager makes. The length keeps those of instances apart whose
/// names begin alike.
pub(crate) fn label_of(instance: &str, label: &str) -> String {
    format!("{}:{instance}/{label}", instance.len())
}

fn key((position, ordinal, label): &Place) -> String {
    match ordinal {
        0 => format!("{position:020}:{label}"),
        _ => format!("{position:020}.{ordinal}:{label}"),
    }
}

fn place(position: u64, key: &str) -> Place {
    let (event, label) = key.split_once(':').unwrap_or(("", key));
    let ordinal = event.split_once('.').and_then(|(_, ordinal)| ordinal.parse().ok());
    (position, ordinal.unwrap_or_default(), label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_again_by_its_key() {
        for ordinal in [0, 1, 12] {
            for label in ["", "charge", "1:a/b.2:c"] {
                let one = (7, ordinal, label.to_owned());
                assert_eq!(place(7, &key(&one)), one);
            }
        }
    }
}

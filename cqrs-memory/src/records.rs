use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use chrono::{DateTime, DurationRound as _, Utc};
use cqrs_core::store::{HandlerCommit, HandlerRecord};

/// What handlers keep: by handler and kind, in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Records(HashMap<(Box<str>, Box<str>), BTreeMap<String, HandlerRecord>>);

impl Records {
    pub(crate) fn change(&mut self, handler: &str, commit: HandlerCommit) {
        for ((kind, key), record) in commit.records {
            let kept = self.0.entry((handler.into(), (&*kind).into())).or_default();
            match record {
                Some(mut record) => {
                    // What a database keeps of it.
                    let due_at = record.due_at.map(|due_at| {
                        due_at.duration_trunc(chrono::TimeDelta::microseconds(1)).unwrap_or(due_at)
                    });
                    record.due_at = due_at;
                    kept.insert(key, record)
                }
                None => kept.remove(&key),
            };
        }
    }

    pub(crate) fn get(&self, handler: &str, kind: &str, key: &str) -> Option<HandlerRecord> {
        self.of(handler, kind)?.get(key).cloned()
    }

    pub(crate) fn page(
        &self,
        handler: &str,
        kind: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<HandlerRecord> {
        let Some(kept) = self.of(handler, kind) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        kept.range::<str, _>((from, Bound::Unbounded)).map(|(_, record)| record.clone()).take(limit).collect()
    }

    pub(crate) fn due(
        &self,
        handler: &str,
        kind: &str,
        at: DateTime<Utc>,
        limit: usize,
    ) -> Vec<HandlerRecord> {
        let Some(kept) = self.of(handler, kind) else { return Vec::new() };
        let mut due: Vec<_> =
            kept.values().filter(|record| record.due_at.is_some_and(|due| due <= at)).collect();
        due.sort_by_key(|record| record.due_at);
        due.into_iter().take(limit).cloned().collect()
    }

    fn of(&self, handler: &str, kind: &str) -> Option<&BTreeMap<String, HandlerRecord>> {
        self.0.get(&(handler.into(), kind.into()))
    }
}

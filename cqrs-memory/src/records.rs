use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use cqrs_core::store::{HandlerCommit, HandlerRecord};

/// What handlers keep: by handler and kind, in the order of their keys.
#[derive(Debug, Default)]
pub(crate) struct Records(HashMap<(Box<str>, Box<str>), BTreeMap<String, HandlerRecord>>);

impl Records {
    pub(crate) fn change(&mut self, handler: &str, commit: HandlerCommit) {
        for ((kind, key), record) in commit.records {
            let kept = self.0.entry((handler.into(), (&*kind).into())).or_default();
            match record {
                Some(record) => kept.insert(key, as_kept(record)),
                None => kept.remove(&key),
            };
        }
    }

    /// Where the first of the records lies that change, and are not as the commit expects them.
    pub(crate) fn first_changed<'a>(
        &self,
        handler: &str,
        commit: &'a HandlerCommit,
    ) -> Option<&'a (Cow<'static, str>, String)> {
        let is_as_expected = |place: &(Cow<'static, str>, String), expected: &Option<HandlerRecord>| {
            self.get(handler, &place.0, &place.1) == expected.clone().map(as_kept)
        };
        let changing = commit.expected.iter().filter(|(place, _)| commit.records.contains_key(*place));
        let mut changed = changing.filter(|(place, expected)| !is_as_expected(place, expected));
        changed.next().map(|(place, _)| place)
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

/// What a database keeps of a record.
fn as_kept(record: HandlerRecord) -> HandlerRecord {
    let micros = |due_at: DateTime<Utc>| due_at.duration_trunc(TimeDelta::microseconds(1)).unwrap_or(due_at);
    HandlerRecord { due_at: record.due_at.map(micros), ..record }
}

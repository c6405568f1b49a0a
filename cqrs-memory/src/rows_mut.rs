use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The rows of a projection in memory, as its methods write to them: what was written is seen by later reads of the
/// same transaction, and by others when it is committed.
pub struct RowsMut<K, V> {
    before: Arc<BTreeMap<K, V>>,
    /// `None` for rows that are removed.
    changes: BTreeMap<K, Option<V>>,
}

impl<K: Ord + Clone, V: Clone> RowsMut<K, V> {
    pub(crate) fn new(before: Arc<BTreeMap<K, V>>) -> Self {
        Self { before, changes: BTreeMap::new() }
    }

    /// A row.
    #[must_use]
    pub fn get<Q>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        match self.changes.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.before.get(key),
        }
    }

    /// A row to be changed in place, which begins as `V::default()` when it is not there.
    pub fn row(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let before = &self.before;
        let changed = self.changes.entry(key);
        let changed = changed.or_insert_with_key(|key| before.get(key).cloned());
        changed.get_or_insert_default()
    }

    /// Writes a row, whether it is there or not.
    pub fn insert(&mut self, key: K, value: V) {
        self.changes.insert(key, Some(value));
    }

    /// Removes a row; it need not be there.
    pub fn remove(&mut self, key: K) {
        self.changes.insert(key, None);
    }

    /// All rows, in the order of their keys. This merges the rows with what was written in the transaction, which takes
    /// as long as there are rows.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let unchanged = self.before.iter().filter(|(key, _)| !self.changes.contains_key(*key));
        let changed = self.changes.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        let merged: BTreeMap<&K, &V> = unchanged.chain(changed).collect();
        merged.into_iter()
    }

    /// The rows that were written.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &K> {
        self.changes.keys()
    }

    /// Makes the changes in `rows`, which are those from before unless somebody else has written.
    pub(crate) fn apply(self, rows: &mut Arc<BTreeMap<K, V>>) {
        let Self { before, changes } = self;
        if changes.is_empty() {
            return;
        }
        // Given back first: what nobody else holds is changed in place.
        drop(before);
        let rows = Arc::make_mut(rows);
        for (key, value) in changes {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
    }
}

impl<K, V> fmt::Debug for RowsMut<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RowsMut")
            .field("rows_before", &self.before.len())
            .field("rows_changed", &self.changes.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E-090
    #[test]
    fn writes_are_seen_before_they_are_made() {
        let mut before = Arc::new(BTreeMap::from([("a", 1), ("b", 2), ("c", 3)]));
        let mut rows = RowsMut::new(Arc::clone(&before));
        rows.insert("d", 4);
        rows.remove("b");
        *rows.row("a") += 10;
        *rows.row("e") += 5;
        *rows.row("b") += 7;
        rows.remove("c");
        assert_eq!(
            (rows.get("a"), rows.get("b"), rows.get("c"), rows.get("x")),
            (Some(&11), Some(&7), None, None)
        );
        let all: Vec<_> = rows.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(all, [("a", 11), ("b", 7), ("d", 4), ("e", 5)]);
        assert_eq!(before.len(), 3, "nobody else sees that");
        rows.apply(&mut before);
        assert_eq!(before.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>(), all);
    }
}

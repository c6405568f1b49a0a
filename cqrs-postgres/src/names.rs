use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cqrs_core::store::{StoreError, StreamId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::store_error;

/// How many positions a page of the log covers whose streams are all looked up in the same statement.
pub(crate) const SMALL_PAGE: u64 = 100;

/// How many names are remembered, of 255 bytes at most.
const LIMIT: usize = 16_384;

/// A stream by its number, which is given once in the life of a schema; one that is dropped and made again counts from
/// 1 again, as another store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stream {
    pub(crate) store_id: Uuid,
    pub(crate) number: i64,
}

impl Stream {
    /// From a column of a row and the one after it.
    pub(crate) fn of(row: &PgRow, column: usize) -> Result<Self, sqlx::Error> {
        Ok(Self { store_id: row.try_get(column)?, number: row.try_get(column + 1)? })
    }
}

/// The names of streams that this process has read.
#[derive(Default)]
pub(crate) struct Names {
    known: Mutex<HashMap<Stream, StreamId>>,
}

impl Names {
    pub(crate) fn get(&self, stream: Stream) -> Option<StreamId> {
        self.lock().get(&stream).cloned()
    }

    pub(crate) fn remember(&self, stream: Stream, name: &StreamId) {
        let mut known = self.lock();
        if known.len() >= LIMIT {
            known.clear();
        }
        known.insert(stream, name.clone());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Stream, StreamId>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PostgresStore {
    /// Asks for the names of streams.
    pub(crate) async fn names_of(
        &self,
        streams: &HashSet<Stream>,
    ) -> Result<HashMap<Stream, String>, StoreError> {
        let numbers: Vec<i64> = streams.iter().map(|stream| stream.number).collect();
        self.ask(
            &self.shared.statements.names,
            |query| query.bind(numbers.clone()),
            |found: &mut HashMap<Stream, String>, row| {
                let stream = Stream::of(row, 0).map_err(store_error)?;
                found.insert(stream, row.try_get(2).map_err(store_error)?);
                Ok(false)
            },
        )
        .await
    }
}

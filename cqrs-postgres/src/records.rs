use bytes::Bytes;
use chrono::{DateTime, Utc};
use cqrs_core::store::{HandlerCommit, HandlerRecord, StoreError};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::error::store_error;
use crate::payload::{Json, Stored};
use crate::read::Ask;
use crate::rows::{Time, signed, unsigned};
use crate::session::Query;

/// The changes of a commit as columns, which is how they travel.
#[derive(Clone, Default)]
pub(crate) struct Changes {
    handler: String,
    removed_kinds: Vec<String>,
    removed_keys: Vec<String>,
    kinds: Vec<String>,
    keys: Vec<String>,
    positions: Vec<i64>,
    due_at: Vec<Option<DateTime<Utc>>>,
    data: Vec<Json>,
}

impl Changes {
    pub(crate) fn of(handler: &str, commit: HandlerCommit) -> Self {
        let mut changes = Self { handler: handler.to_owned(), ..Self::default() };
        for ((kind, key), record) in commit.records {
            match record {
                None => {
                    changes.removed_kinds.push(kind.into_owned());
                    changes.removed_keys.push(key);
                }
                Some(record) => {
                    changes.kinds.push(kind.into_owned());
                    changes.keys.push(key);
                    changes.positions.push(signed(record.position));
                    changes.due_at.push(record.due_at);
                    changes.data.push(Json(record.data));
                }
            }
        }
        changes
    }

    pub(crate) fn bind(&self, query: Query<'static>) -> Query<'static> {
        let Self { handler, removed_kinds, removed_keys, kinds, keys, positions, due_at, data } =
            self.clone();
        query
            .bind(handler)
            .bind(removed_kinds)
            .bind(removed_keys)
            .bind(kinds)
            .bind(keys)
            .bind(positions)
            .bind(due_at)
            .bind(data)
    }
}

/// The first arguments of the statements that read records.
pub(crate) fn of_kind(handler: &str, kind: &str) -> impl Ask {
    let (handler, kind) = (handler.to_owned(), kind.to_owned());
    move |query: Query<'static>| query.bind(handler.clone()).bind(kind.clone())
}

/// Takes a record, of which there is always another one to be had.
pub(crate) fn record(found: &mut Vec<HandlerRecord>, row: &PgRow) -> Result<bool, StoreError> {
    let columns = || {
        Ok(HandlerRecord {
            kind: row.try_get::<String, _>(0)?.into(),
            key: row.try_get(1)?,
            position: unsigned(row.try_get(2)?),
            due_at: row.try_get::<Option<Time>, _>(3)?.map(|Time(due_at)| due_at),
            data: Bytes::copy_from_slice(row.try_get::<Stored<'_>, _>(4)?.0),
        })
    };
    found.push(columns().map_err(store_error)?);
    Ok(false)
}

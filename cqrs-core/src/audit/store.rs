use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::audit::{AuditOutcome, AuditQuery, AuditRecord};
use crate::id::AuditId;
use crate::store::StoreError;

/// Keeps an audit. The stores of this project all do; an audit may as well be kept in another store than the events.
#[async_trait]
pub trait AuditStore: fmt::Debug + Send + Sync + 'static {
    /// Writes a record before its command is dispatched. When this succeeds, the record is as durable as an append. A
    /// record of an id that is there already is left as it is.
    async fn begin_audit(&self, record: AuditRecord) -> Result<(), StoreError>;

    /// Notes how the dispatch ended. A record that is not there, or not any more, is no failure.
    async fn end_audit(&self, id: AuditId, outcome: AuditOutcome) -> Result<(), StoreError>;

    /// The records that the query asks for with ids behind `after`, all when it is `None`, at most `limit` of them, in the
    /// order of their ids: the oldest first.
    async fn audit(
        &self,
        query: &AuditQuery,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError>;

    /// Removes the records of dispatches that occurred before a time, whatever became of them; gives how many. What was
    /// removed before a failure stays so.
    async fn delete_audit_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError>;
}

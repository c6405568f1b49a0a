use std::ops::Bound;

use async_trait::async_trait;
use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use cqrs_core::audit::{AuditOutcome, AuditQuery, AuditRecord, AuditStore};
use cqrs_core::id::AuditId;
use cqrs_core::store::StoreError;

use crate::MemoryStore;

#[async_trait]
impl AuditStore for MemoryStore {
    async fn begin_audit(&self, mut record: AuditRecord) -> Result<(), StoreError> {
        // What a database keeps of it.
        let kept = record.occurred_at.duration_trunc(TimeDelta::microseconds(1));
        record.occurred_at = kept.unwrap_or(record.occurred_at);
        self.lock().audit.entry(record.id).or_insert(record);
        Ok(())
    }

    async fn end_audit(&self, id: AuditId, mut outcome: AuditOutcome) -> Result<(), StoreError> {
        let below_microseconds = outcome.duration.subsec_nanos() % 1_000;
        outcome.duration -= std::time::Duration::from_nanos(u64::from(below_microseconds));
        if let Some(record) = self.lock().audit.get_mut(&id) {
            record.outcome = Some(outcome);
        }
        Ok(())
    }

    async fn audit(
        &self,
        query: &AuditQuery,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let contents = self.lock();
        let records = contents.audit.range((from, Bound::Unbounded)).map(|(_, record)| record);
        Ok(records.filter(|record| query.accepts(record)).take(limit).cloned().collect())
    }

    async fn delete_audit_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        let audit = &mut self.lock().audit;
        let before = audit.len();
        audit.retain(|_, record| record.occurred_at >= time);
        Ok((before - audit.len()) as u64)
    }
}

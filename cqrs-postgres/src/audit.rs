use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use cqrs_core::audit::{AuditError, AuditOutcome, AuditQuery, AuditRecord, AuditStatus, AuditStore};
use cqrs_core::event::Metadata;
use cqrs_core::id::{AuditId, CausationId, CommandId, CorrelationId};
use cqrs_core::store::StoreError;
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::store_error;
use crate::rows::{Time, signed, unsigned};
use crate::session::Query;

/// How many records are removed at a time.
const DELETE_AT_ONCE: i64 = 10_000;

#[async_trait]
impl AuditStore for PostgresStore {
    async fn begin_audit(&self, record: AuditRecord) -> Result<(), StoreError> {
        let metadata = Value::Object(Map::from(record.metadata));
        let (data, metadata) = (record.data.to_string(), metadata.to_string());
        let bind = |query: Query<'static>| {
            query
                .bind(record.id.as_uuid())
                .bind(record.command_id.as_uuid())
                .bind(record.causation_id.map(CausationId::as_uuid))
                .bind(record.correlation_id.as_uuid())
                .bind(record.occurred_at)
                .bind(record.command.clone())
                .bind(record.actor.clone())
                .bind(data.clone())
                .bind(metadata.clone())
        };
        self.ask_one(&self.shared.statements.begin_audit, bind, |_| Ok(())).await.map(drop)
    }

    async fn end_audit(&self, id: AuditId, outcome: AuditOutcome) -> Result<(), StoreError> {
        let duration = i64::try_from(outcome.duration.as_micros()).unwrap_or(i64::MAX);
        let (kind, text) = outcome.error.map(|error| (error.kind, error.text)).unzip();
        let bind = |query: Query<'static>| {
            query.bind(id.as_uuid()).bind(duration).bind(kind.clone()).bind(text.clone())
        };
        self.ask_one(&self.shared.statements.end_audit, bind, |_| Ok(())).await.map(drop)
    }

    async fn audit(
        &self,
        query: &AuditQuery,
        after: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<AuditRecord>, StoreError> {
        let statements = &self.shared.statements;
        // The condition that leaves the fewest records chooses the index.
        let sql = if query.command_id.is_some() {
            &statements.audit_of_command
        } else if query.correlation_id.is_some() {
            &statements.audit_of_correlation
        } else if query.actor.is_some() {
            &statements.audit_of_actor
        } else if query.since.is_some() || query.until.is_some() {
            &statements.audit_in_time
        } else {
            &statements.audit
        };
        let status = query.status.map(|status| match status {
            AuditStatus::Succeeded => "succeeded",
            AuditStatus::Failed => "failed",
            AuditStatus::Unfinished => "unfinished",
        });
        let bind = |asked: Query<'static>| {
            asked
                .bind(after.map(AuditId::as_uuid))
                .bind(query.command_id.map(CommandId::as_uuid))
                .bind(query.correlation_id.map(CorrelationId::as_uuid))
                .bind(query.actor.clone())
                .bind(query.command.clone())
                .bind(status)
                .bind(query.since)
                .bind(query.until)
                .bind(signed(limit as u64))
        };
        self.ask(sql, bind, |records: &mut Vec<AuditRecord>, row| {
            records.push(record(row).map_err(store_error)?);
            Ok(false)
        })
        .await
    }

    async fn delete_audit_before(&self, time: DateTime<Utc>) -> Result<u64, StoreError> {
        let sql = &self.shared.statements.delete_audit;
        let mut removed = 0;
        loop {
            let bind = |query: Query<'static>| query.bind(time).bind(DELETE_AT_ONCE);
            let some = self.ask_one(sql, bind, |row| row.try_get(0).map(unsigned)).await?.unwrap_or_default();
            removed += some;
            if some == 0 {
                return Ok(removed);
            }
        }
    }
}

/// A value of a column that keeps the text of JSON, whatever characters are escaped in it.
fn json(row: &PgRow, column: usize) -> Result<Value, sqlx::Error> {
    serde_json::from_str(row.try_get(column)?).map_err(|fault| sqlx::Error::Decode(fault.into()))
}

fn record(row: &PgRow) -> Result<AuditRecord, sqlx::Error> {
    let duration: Option<i64> = row.try_get(9)?;
    let kind: Option<String> = row.try_get(10)?;
    let error = match kind {
        Some(kind) => Some(AuditError { kind, text: row.try_get(11)? }),
        None => None,
    };
    Ok(AuditRecord {
        id: AuditId::from(row.try_get::<Uuid, _>(0)?),
        command_id: CommandId::from(row.try_get::<Uuid, _>(1)?),
        causation_id: row.try_get::<Option<Uuid>, _>(2)?.map(CausationId::from),
        correlation_id: CorrelationId::from(row.try_get::<Uuid, _>(3)?),
        occurred_at: row.try_get::<Time, _>(4)?.0,
        command: row.try_get(5)?,
        actor: row.try_get(6)?,
        data: json(row, 7)?,
        metadata: match json(row, 8)? {
            Value::Object(entries) => Metadata::from(entries),
            _ => Metadata::new(),
        },
        outcome: duration
            .map(|duration| AuditOutcome { duration: Duration::from_micros(unsigned(duration)), error }),
    })
}

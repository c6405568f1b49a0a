//! Every subject on Postgres, by name.

use crate::ours::{self, Appends, Bytea, Wal};
use crate::peers::on_postgres as peers;
use crate::point::{BoxError, Metric, Subject};
use crate::postgres::{Course, Ready};
use crate::raw;

pub(super) async fn set_up(subject: Subject, course: Course<'_>) -> Result<Ready, BoxError> {
    match (subject, course.metric()) {
        (Subject::CqrsPostgres, _) => ours::set_up(course).await,
        (Subject::CqrsPostgresBytea, Metric::Append) => course.calls::<Appends<Bytea>>().await,
        (Subject::RawInsert, Metric::Wal) => Wal::<raw::Insert<16>>::ready(course).await,
        (Subject::RawInsert, Metric::Append) => course.calls::<raw::Insert<16>>().await,
        (Subject::RawInsert32, Metric::Append) => course.calls::<raw::Insert<32>>().await,
        (Subject::RawCoalesced, Metric::Append) => course.calls::<raw::Coalesced>().await,
        (Subject::RawRead, Metric::Rehydrate) => course.rehydration::<raw::Read>().await,
        (Subject::RawRead, Metric::CatchUp) => course.catching_up::<raw::Read>().await,
        _ => peers::set_up(subject, course).await,
    }
}

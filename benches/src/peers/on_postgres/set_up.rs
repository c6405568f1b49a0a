//! Every peer on Postgres, by name.

use crate::peers::on_postgres::{cqrs_es, disintegrate, eventcore, evento, eventsourced};
use crate::point::{BoxError, Metric, Subject};
use crate::postgres::{Course, Ready};

pub(crate) const ALL: [Subject; 5] = [
    Subject::CqrsEsPostgres,
    Subject::Disintegrate,
    Subject::Eventcore,
    Subject::Eventsourced,
    Subject::Evento,
];

/// Those that have handlers of events, or something like them.
pub(crate) const WITH_HANDLERS: [Subject; 4] =
    [Subject::CqrsEsPostgres, Subject::Disintegrate, Subject::Eventcore, Subject::Evento];

pub(crate) async fn set_up(subject: Subject, course: Course<'_>) -> Result<Ready, BoxError> {
    use Metric::{CatchUp, Dispatch, DispatchHot, Rehydrate};
    match (subject, course.metric()) {
        (Subject::CqrsEsPostgres, Dispatch | DispatchHot) => course.banking::<cqrs_es::Bank>().await,
        (Subject::CqrsEsPostgres, Rehydrate) => course.rehydration::<cqrs_es::Bank>().await,
        (Subject::CqrsEsPostgres, CatchUp) => course.catching_up::<cqrs_es::Bank>().await,
        (Subject::Disintegrate, Dispatch | DispatchHot) => course.banking::<disintegrate::Bank>().await,
        (Subject::Disintegrate, Rehydrate) => course.rehydration::<disintegrate::Bank>().await,
        (Subject::Disintegrate, CatchUp) => course.catching_up::<disintegrate::Bank>().await,
        (Subject::Eventcore, Dispatch | DispatchHot) => course.banking::<eventcore::Bank>().await,
        (Subject::Eventcore, Rehydrate) => course.rehydration::<eventcore::Bank>().await,
        (Subject::Eventcore, CatchUp) => course.catching_up::<eventcore::Bank>().await,
        (Subject::Eventsourced, Dispatch | DispatchHot) => course.banking::<eventsourced::Bank>().await,
        (Subject::Eventsourced, Rehydrate) => course.rehydration::<eventsourced::Bank>().await,
        (Subject::Evento, Dispatch | DispatchHot) => course.banking::<evento::Bank>().await,
        (Subject::Evento, Rehydrate) => course.rehydration::<evento::Bank>().await,
        (Subject::Evento, CatchUp) => course.catching_up::<evento::Bank>().await,
        (subject, metric) => Err(format!("{subject} has no {metric}").into()),
    }
}

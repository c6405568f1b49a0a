use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use crate::ambient::HandlerKey;
use crate::application::builder::Parts;
use crate::application::check::Assembly;
use crate::application::{ForeignRows, StartError, StartFault};
use crate::event::EventRegistry;
use crate::projection::{InlineProjection, InlineSource};
use crate::store::{EventStore, InlineRowsError, StoreError};

/// An inline projection whose rows can be written together with the events of the application's store.
pub(crate) struct Inline {
    name: Arc<str>,
    source: Arc<dyn InlineSource>,
    rows: Arc<dyn Any + Send + Sync>,
}

/// The inline projections of an application, in the order of their names.
pub(crate) async fn of(parts: &Parts, assembly: &Assembly) -> Result<Vec<Inline>, StartError> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for handler in &assembly.handlers {
        let Some(source) = &handler.inline else { continue };
        let (name, source) = (Arc::clone(&handler.name), Arc::clone(source));
        match rows_of(&*source, &*parts.store).await {
            Ok(Ok(rows)) => all.push(Inline { name, source, rows }),
            Ok(Err(reason)) => faults.push(StartFault::ForeignRows {
                projection: name.as_ref().to_owned(),
                store: parts.store.identity().to_string(),
                reason,
            }),
            Err(source) => return Err(StartError::Store { application: parts.name.clone(), source }),
        }
    }
    if !faults.is_empty() {
        return Err(StartError::Invalid { application: parts.name.clone(), faults });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The rows, as the store knows them.
async fn rows_of(
    source: &dyn InlineSource,
    store: &dyn EventStore,
) -> Result<Result<Arc<dyn Any + Send + Sync>, ForeignRows>, StoreError> {
    let Some(inline) = store.inline() else { return Ok(Err(ForeignRows::Store)) };
    let Some(rows) = source.rows() else { return Ok(Err(ForeignRows::Kind)) };
    match inline.check_rows(&*rows).await {
        Ok(()) => Ok(Ok(rows)),
        Err(InlineRowsError::OtherKind) => Ok(Err(ForeignRows::Kind)),
        Err(InlineRowsError::OtherDatabase) => Ok(Err(ForeignRows::Database)),
        Err(InlineRowsError::Store(error)) => Err(error),
    }
}

impl Inline {
    /// As the store is given it.
    pub(crate) fn with(
        self,
        application: &Arc<str>,
        registry: &Arc<EventRegistry>,
        limit: Duration,
        key: impl FnOnce(Arc<str>) -> HandlerKey,
    ) -> Arc<InlineProjection> {
        let Self { name, source, rows } = self;
        Arc::new(source.inline(rows, Arc::clone(application), key(name), Arc::clone(registry), limit))
    }
}

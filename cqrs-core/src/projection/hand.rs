use crate::ambient::Ambient;
use crate::handler::HandlerError;
use crate::panics;
use crate::projection::{Projected, Projection, RowStore};

/// Has a projection write the rows of events. What it does is caused by `ambient`; a panic is an error.
pub(crate) async fn hand<P: Projection>(
    projection: &P,
    events: &[Projected<P::Event>],
    rows: &mut <P::Rows as RowStore>::Connection,
    ambient: Ambient,
) -> Result<(), HandlerError<P::Error>> {
    match panics::catch_async(Box::pin(ambient.enter(projection.handle_batch(events, rows)))).await {
        Ok(handled) => handled.map_err(HandlerError::Failed),
        Err(panic) => Err(HandlerError::Panicked(panic)),
    }
}

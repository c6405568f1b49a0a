use std::time::Duration;

use crate::ambient::Ambient;
use crate::handler::HandlerError;
use crate::projection::{Projected, Projection, RowStore};
use crate::user_code;

/// Has a projection write the rows of events. What it does is caused by `ambient`; a panic is an error,
/// and so is to take longer than `limit`: what state the connection is in nobody knows then.
pub(crate) async fn hand<P: Projection>(
    projection: &P,
    events: &[Projected<P::Event>],
    rows: &mut <P::Rows as RowStore>::Connection,
    ambient: Ambient,
    limit: Duration,
) -> Result<(), HandlerError<P::Error>> {
    let work = Box::pin(ambient.enter(projection.handle_batch(events, rows)));
    user_code::call(limit, work).await?.map_err(HandlerError::Failed)
}

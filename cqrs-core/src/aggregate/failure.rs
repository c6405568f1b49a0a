use std::time::Duration;

use crate::BoxError;
use crate::aggregate::{Aggregate, Order, ReplayError};
use crate::dispatch::{DispatchError, PanicPlace, TimeoutOutcome};
use crate::id::CommandId;
use crate::store::{AppendError, StoreError, StreamId};

/// The command comes to nothing: it took too long, or its caller gave it up.
pub(crate) fn abandoned<A: Aggregate>(order: &Order<A>) -> DispatchError<A::Error> {
    DispatchError::Timeout {
        command: order.command.name(),
        command_id: order.command_id,
        limit: order.limit.unwrap_or(Duration::MAX),
        outcome: TimeoutOutcome::DidNotRun,
    }
}

/// What a panic says of the command: after it was handed to the store, or before it is known whether it was
/// carried out earlier, nothing for sure.
pub(crate) fn panicked<A: Aggregate>(
    order: &Order<A>,
    stream_id: &StreamId,
    message: String,
) -> DispatchError<A::Error> {
    if order.progress.is_open() {
        return unknown(order, stream_id, message);
    }
    DispatchError::Panicked { command_id: order.command_id, place: PanicPlace::Aggregate(A::NAME), message }
}

pub(crate) fn untold<E>(
    command_id: CommandId,
    stream_id: &StreamId,
    source: impl Into<BoxError>,
) -> DispatchError<E> {
    DispatchError::Untold { command_id, stream_id: stream_id.clone(), source: source.into() }
}

pub(crate) fn unknown<A: Aggregate>(
    order: &Order<A>,
    stream_id: &StreamId,
    source: impl Into<BoxError>,
) -> DispatchError<A::Error> {
    let append_id = order.append_id;
    let source = source.into();
    store_error(order.command_id, stream_id, AppendError::OutcomeUnknown { append_id, source })
}

pub(crate) fn replay_error<E>(
    command_id: CommandId,
    stream_id: &StreamId,
    error: ReplayError,
) -> DispatchError<E> {
    match error {
        ReplayError::Store(StoreError::StreamDeleted { stream_id }) => {
            let source = AppendError::StreamDeleted { stream_id: stream_id.clone() };
            store_error(command_id, &stream_id, source)
        }
        error => DispatchError::Replay { command_id, stream_id: stream_id.clone(), source: Box::new(error) },
    }
}

pub(crate) fn store_error<E>(
    command_id: CommandId,
    stream_id: &StreamId,
    error: AppendError,
) -> DispatchError<E> {
    let stream_id = stream_id.clone();
    let source = Box::new(error);
    match *source {
        AppendError::TooLarge { bytes, limit, .. } => {
            DispatchError::TooLarge { command_id, stream_id, size: bytes, limit }
        }
        AppendError::NotProjected { projection, source } => {
            DispatchError::NotProjected { command_id, stream_id, projection, source }
        }
        AppendError::OutcomeUnknown { .. } => DispatchError::OutcomeUnknown { command_id, stream_id, source },
        _ => DispatchError::Store { command_id, stream_id, source },
    }
}

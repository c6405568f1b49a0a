use crate::middleware::{DispatchContext, Halt, Middleware};

/// Answers repeated commands with their first outcome, before the layers inside it are entered.
///
/// A command that the caller gives an id or an idempotency key is executed at most once in any case: the
/// store keeps the outcome under the id, in the same transaction as the events, and concurrent repetitions
/// wait for the first. This layer looks earlier, so that layers inside it are spared; and with
/// [`Idempotency::required`] it refuses commands that cannot be repeated safely.
#[derive(Clone, Copy, Debug, Default)]
pub struct Idempotency {
    required: bool,
}

/// A command without an id or an idempotency key of the caller's was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the command needs an idempotency key or an id that the caller chose")]
pub struct MissingIdempotencyKey;

impl Idempotency {
    /// Refuses commands that the caller gave neither an id nor an idempotency key.
    #[must_use]
    pub fn required() -> Self {
        Self { required: true }
    }
}

impl Middleware for Idempotency {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        if !context.is_repeatable() {
            return if self.required { Err(Halt::refuse(MissingIdempotencyKey)) } else { Ok(()) };
        }
        match context.store.outcome(context.append_id).await {
            Ok(Some(_)) => Err(Halt::repeat()),
            // A store that does not answer is asked once more in the aggregate, where a failure is told as what
            // it is: the outcome of the command is unknown.
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

use crate::middleware::{DispatchContext, Halt, Middleware};

/// Lets only commands through whose own validation agrees, before the layers inside it are entered.
///
/// Every command is validated in any case, right before it is executed. This layer does it earlier, so that
/// layers inside it, such as an authorization that asks a service, never see a command that is wrong by
/// itself. The dispatch fails with [`DispatchError::Invalid`](crate::dispatch::DispatchError::Invalid) in
/// both cases.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validation;

impl Middleware for Validation {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        context.command().validate().map_err(Halt::refuse)
    }
}

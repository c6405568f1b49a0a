use std::borrow::Cow;
use std::fmt;

use crate::middleware::{DispatchContext, Halt, Middleware};

/// Lets only commands through that a policy of the user's allows.
///
/// ```
/// use cqrs_core::middleware::{Authorization, Authorize, DispatchContext, Forbidden};
///
/// struct OnlyKnownActors;
///
/// impl Authorize for OnlyKnownActors {
///     async fn authorize(&self, context: &DispatchContext) -> Result<(), Forbidden> {
///         match context.metadata().get("actor") {
///             Some(_) => Ok(()),
///             None => Err(Forbidden::new("no actor")),
///         }
///     }
/// }
///
/// let layer = Authorization::new(OnlyKnownActors);
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Authorization<P> {
    policy: P,
}

/// Decides who may send what.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an authorization policy: implement `cqrs::middleware::Authorize` for it"
)]
pub trait Authorize: Send + Sync + 'static {
    /// Whether the command may be executed.
    fn authorize(&self, context: &DispatchContext) -> impl Future<Output = Result<(), Forbidden>> + Send;
}

/// A command that may not be executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forbidden(Cow<'static, str>);

impl Forbidden {
    /// Forbidden, with a reason.
    #[must_use]
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(reason.into())
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Forbidden {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "forbidden: {}", self.0)
    }
}

impl std::error::Error for Forbidden {}

impl<P: Authorize> Authorization<P> {
    /// A layer with this policy.
    #[must_use]
    pub fn new(policy: P) -> Self {
        Self { policy }
    }
}

impl<P: Authorize> Middleware for Authorization<P> {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        self.policy.authorize(context).await.map_err(Halt::refuse)
    }
}

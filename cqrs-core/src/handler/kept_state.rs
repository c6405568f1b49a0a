use std::any::TypeId;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What an event handler can keep between events: [`EventHandler::State`](crate::handler::EventHandler::State).
///
/// Any type that serde writes as JSON and reads again, that has a beginning, and of which an attempt can have a copy of
/// its own. A handler that keeps nothing says `()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the state of an event handler: derive `Serialize`, `Deserialize`, `Default` and `Clone` for it",
    label = "cannot be kept"
)]
pub trait KeptState: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<S: Serialize + DeserializeOwned + Default + Clone + Send + Sync + 'static> KeptState for S {}

/// Whether there is anything to be kept.
pub(crate) fn is_kept<S: KeptState>() -> bool {
    TypeId::of::<S>() != TypeId::of::<()>()
}

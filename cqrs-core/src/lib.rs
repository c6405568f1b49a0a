//! Traits and runtime of the cqrs framework.
//!
//! Applications use the facade crate `cqrs`, which re-exports what they type. This crate is for store
//! adapters, which implement the traits of [`store`], and for whoever reads the code. A command walks
//! through the modules in this order:
//!
//! | step | module |
//! |---|---|
//! | a caller dispatches through a running application | [`application`], [`dispatch`] |
//! | its layers are entered | [`router`], [`middleware`] |
//! | the aggregate decides | [`command`], [`aggregate`] |
//! | its events are appended | [`event`], [`store`] |
//! | the log is tailed | [`subscription`] |
//! | handlers react | [`handler`] |

//pub mod aggregate;
//pub mod ambient;
//pub mod application;
pub mod clock;
//pub mod command;
//pub mod dispatch;
pub mod event;
//pub mod handler;
pub mod id;
//pub mod middleware;
//pub mod router;
pub mod store;
//pub mod subscription;
#[cfg(feature = "testing")]
pub mod testing;

mod panics;
mod services;

pub use services::Services;

/// A boxed error of a foreign type, kept as the source of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What code made by the macros calls. Not for people.
#[doc(hidden)]
pub mod __private {
    pub use bytes::Bytes;
    pub use inventory;
    pub use serde_json;

    use crate::event::Event;

    /// Encodes an event.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn encode<E: Event>(event: &E) -> Result<Bytes, serde_json::Error> {
        crate::event::encode_json(event)
    }
}

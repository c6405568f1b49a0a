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
//! | handlers react, projections make rows | [`handler`], [`projection`] |
//! | process managers coordinate, publishers tell others | [`process_manager`], [`publisher`] |
//!
//! Beside that way lie [`lineage`], which looks back on it, [`audit`], which keeps a list of it, [`telemetry`], which tells
//! of it, and [`schema`], which guards the shapes of stored events.

pub mod aggregate;
pub mod ambient;
pub mod application;
pub mod audit;
pub mod clock;
pub mod command;
pub mod dispatch;
pub mod event;
pub mod handler;
pub mod id;
pub mod lineage;
pub mod memory_pressure;
pub mod middleware;
pub mod process_manager;
pub mod projection;
pub mod publisher;
pub mod router;
pub mod schedule;
pub mod schema;
pub mod store;
pub mod subscription;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;

mod backoff;
mod error_text;
mod lease;
mod panics;
mod services;
mod user_code;

pub use services::Services;

/// A boxed error of a foreign type, kept as the source of one of ours.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What code made by the macros calls. Not for people.
#[doc(hidden)]
pub mod __private {
    pub use bytes::Bytes;
    pub use inventory;
    pub use serde_json;

    use std::marker::PhantomData;

    use serde::Serialize;

    /// Encodes an event.
    ///
    /// # Errors
    /// When the value has no JSON form.
    pub fn encode<T: Serialize>(event: &T) -> Result<Bytes, serde_json::Error> {
        crate::event::encode_json(event)
    }

    /// Calls a function. Through it a closure learns the type of its argument, which `(|x| ..)(y)` does not
    /// tell it.
    pub fn call<A, T>(function: impl FnOnce(A) -> T, argument: A) -> T {
        function(argument)
    }

    /// In scope where `Self::validate` is called, so that the call is ambiguous, and not one of the method
    /// it stands in, when the type has no method `validate` of its own.
    pub trait InherentValidateIsMissing {
        /// What is found in place of the missing method.
        fn validate(&self) {}
    }

    impl<T> InherentValidateIsMissing for T {}

    /// Finds out whether a type has a `Default`: the method of the trait with fewer references to take is
    /// found first, and exists only for types that have one.
    #[derive(Debug)]
    pub struct Probe<T>(pub PhantomData<T>);

    /// See [`Probe`].
    pub trait ViaDefault<T> {
        /// An instance.
        fn instance(&self) -> Option<T>;
    }

    impl<T: Default> ViaDefault<T> for &Probe<T> {
        fn instance(&self) -> Option<T> {
            Some(T::default())
        }
    }

    /// See [`Probe`].
    pub trait ViaNothing<T> {
        /// No instance.
        fn instance(&self) -> Option<T>;
    }

    impl<T> ViaNothing<T> for Probe<T> {
        fn instance(&self) -> Option<T> {
            None
        }
    }

    pub use crate::schema::check_events_lock;
    pub use crate::{default_instance, register_command};
}

/// An instance of a concrete type when it has a `Default`, else `None`. Not for people.
#[doc(hidden)]
#[macro_export]
macro_rules! default_instance {
    ($type:ty) => {{
        #[allow(unused_imports, reason = "one of the two is used")]
        use $crate::__private::{ViaDefault as _, ViaNothing as _};
        (&&$crate::__private::Probe::<$type>(::core::marker::PhantomData)).instance()
    }};
}

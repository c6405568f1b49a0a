use std::any::{Any, TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::aggregate::{AggregateDescription, Aggregates};
use crate::command::Command;
use crate::dispatch::{DispatchAny, Typed};
use crate::router::Router;

/// One command type in the program-wide list, put there by `#[derive(Command)]` through `inventory`.
#[derive(Clone, Copy)]
pub struct CommandRegistration {
    pub(crate) name: &'static str,
    pub(crate) command: fn() -> TypeId,
    pub(crate) router: fn() -> TypeId,
    pub(crate) router_name: &'static str,
    pub(crate) aggregate: fn() -> AggregateDescription,
    /// Makes the settings of its aggregate.
    pub(crate) prepare: fn(&Aggregates),
    pub(crate) stream_prefix: fn() -> std::borrow::Cow<'static, str>,
    pub(crate) handler: fn() -> TypeId,
    pub(crate) handler_name: fn() -> &'static str,
    pub(crate) default_handler: fn() -> Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) from_json: fn(Value) -> Result<Box<dyn DispatchAny>, serde_json::Error>,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
}

impl CommandRegistration {
    /// The registration of a command type; `default_handler` makes the instance of its handler type when
    /// the application was given none.
    #[must_use]
    pub const fn of<C: Command>(
        default_handler: fn() -> Option<Arc<dyn Any + Send + Sync>>,
        file: &'static str,
        line: u32,
    ) -> Self {
        Self {
            name: C::NAME,
            command: TypeId::of::<C>,
            router: TypeId::of::<C::Router>,
            router_name: <C::Router as Router>::NAME,
            aggregate: AggregateDescription::of::<C::Aggregate>,
            prepare: |aggregates| drop(aggregates.of::<C::Aggregate>()),
            stream_prefix: C::stream_prefix,
            handler: TypeId::of::<C::Handler>,
            handler_name: type_name::<C::Handler>,
            default_handler,
            from_json: |value| Ok(Box::new(Typed::<C>::new(serde_json::from_value(value)?))),
            file,
            line,
        }
    }

    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name of the router that carries it.
    #[must_use]
    pub fn router_name(&self) -> &'static str {
        self.router_name
    }

    /// The name of the aggregate that runs it.
    #[must_use]
    pub fn aggregate_name(&self) -> &'static str {
        (self.aggregate)().name
    }
}

impl fmt::Debug for CommandRegistration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}:{})", self.name, self.file, self.line)
    }
}

inventory::collect!(CommandRegistration);

/// Registers a command that implements [`Command`](crate::command::Command) by hand, as `#[derive(Command)]`
/// does by itself. A command that is not registered cannot be dispatched.
#[macro_export]
macro_rules! register_command {
    ($command:ty) => {
        $crate::__private::inventory::submit! {
            $crate::command::CommandRegistration::of::<$command>(
                || {
                    $crate::default_instance!(<$command as $crate::command::Command>::Handler).map(|handler| {
                        ::std::sync::Arc::new(handler)
                            as ::std::sync::Arc<dyn ::core::any::Any + ::core::marker::Send + ::core::marker::Sync>
                    })
                },
                ::core::file!(),
                ::core::line!(),
            )
        }
    };
}

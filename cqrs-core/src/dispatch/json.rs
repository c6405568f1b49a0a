use std::fmt;
use std::future::IntoFuture;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::ambient::Ambient;
use crate::application::Core;
use crate::command::Command;
use crate::dispatch::setters::option_setters;
use crate::dispatch::{CallOptions, DispatchError, Dispatched, Rejection, Request, dispatch};
use crate::event::EventSet as _;
use crate::id::{CommandId, CorrelationId};
use crate::panics;

/// A dispatch by name: what adapters use that receive commands as JSON.
///
/// It goes the same way as a typed dispatch, through the same layers.
#[must_use = "a dispatch does nothing until it is awaited"]
pub struct DispatchJson {
    core: Arc<Core>,
    name: String,
    data: Value,
    call: CallOptions,
    ambient: Option<Ambient>,
}

/// What came of a command that was dispatched by name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JsonDispatched {
    /// The identity of the aggregate.
    pub aggregate_id: String,
    /// The stream of the aggregate.
    pub stream_id: String,
    /// The aggregate's version after.
    pub version: u64,
    /// The position of the last event; `None` when there was none.
    pub position: Option<u64>,
    /// The events.
    pub events: Vec<JsonEvent>,
    /// Whether this is the outcome of an earlier dispatch of the same command id.
    pub repeated: bool,
    /// The command's id.
    pub command_id: CommandId,
    /// What the command belongs together with.
    pub correlation_id: CorrelationId,
}

/// An event as JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct JsonEvent {
    /// The wire name.
    #[serde(rename = "type")]
    pub event_type: &'static str,
    /// The payload.
    pub data: Value,
}

impl DispatchJson {
    pub(crate) fn new(core: Arc<Core>, name: &str, data: Value) -> Self {
        let ambient = Ambient::current();
        Self { core, name: name.to_owned(), data, call: CallOptions::default(), ambient }
    }

    option_setters!();

    async fn run(self) -> Result<JsonDispatched, DispatchError<Rejection>> {
        let Self { core, name, data, call, ambient } = self;
        let Some(registration) = core.command(&name) else {
            let application = core.name().to_owned();
            return Err(DispatchError::UnknownCommand { application, command: name });
        };
        match panics::catch(|| (registration.from_json)(data)) {
            Ok(Ok(command)) => command.dispatch(core, call, ambient).await,
            Ok(Err(error)) => Err(DispatchError::Malformed { command: name, source: error.into() }),
            Err(panic) => Err(DispatchError::Malformed { command: name, source: panic.into() }),
        }
    }
}

impl IntoFuture for DispatchJson {
    type Output = Result<JsonDispatched, DispatchError<Rejection>>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for DispatchJson {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("DispatchJson").field("command", &self.name).finish_non_exhaustive()
    }
}

/// A command whose type is no longer known, ready to be dispatched.
pub(crate) trait DispatchAny: Send {
    fn dispatch(
        self: Box<Self>,
        core: Arc<Core>,
        call: CallOptions,
        ambient: Option<Ambient>,
    ) -> BoxFuture<'static, Result<JsonDispatched, DispatchError<Rejection>>>;

    /// [`DispatchAny::dispatch`] for those who do not look at what came of it.
    fn send(
        self: Box<Self>,
        core: Arc<Core>,
        call: CallOptions,
        ambient: Option<Ambient>,
    ) -> BoxFuture<'static, Result<(), DispatchError<Rejection>>>;
}

pub(crate) struct Typed<C>(C);

impl<C> Typed<C> {
    pub(crate) fn new(command: C) -> Self {
        Self(command)
    }
}

impl<C: Command> DispatchAny for Typed<C> {
    fn dispatch(
        self: Box<Self>,
        core: Arc<Core>,
        call: CallOptions,
        ambient: Option<Ambient>,
    ) -> BoxFuture<'static, Result<JsonDispatched, DispatchError<Rejection>>> {
        Box::pin(async move {
            let request = Request::new(self.0, call, ambient);
            let dispatched = dispatch(&core, request).await;
            to_json(&dispatched.map_err(|error| error.map_rejection(Rejection::new))?)
        })
    }

    fn send(
        self: Box<Self>,
        core: Arc<Core>,
        call: CallOptions,
        ambient: Option<Ambient>,
    ) -> BoxFuture<'static, Result<(), DispatchError<Rejection>>> {
        Box::pin(async move {
            let request = Request::new(self.0, call, ambient);
            let dispatched = dispatch(&core, request).await;
            dispatched.map(drop).map_err(|error| error.map_rejection(Rejection::new))
        })
    }
}

fn to_json<A: crate::aggregate::Aggregate>(
    dispatched: &Dispatched<A>,
) -> Result<JsonDispatched, DispatchError<Rejection>> {
    let command_id = dispatched.command_id();
    // The events of a state-stored aggregate are encoded here for the first time, and the command is carried out.
    let untold = |error: serde_json::Error| DispatchError::Untold {
        command_id,
        stream_id: dispatched.stream_id().clone(),
        source: error.into(),
    };
    let json = |event: &A::Event| {
        let event_type = event.schema().name;
        let bytes = event.encode().map_err(untold)?;
        let data = serde_json::from_slice(&bytes).map_err(untold)?;
        Ok(JsonEvent { event_type, data })
    };
    Ok(JsonDispatched {
        aggregate_id: dispatched.aggregate_id().to_owned(),
        stream_id: dispatched.stream_id().to_string(),
        version: dispatched.version(),
        position: dispatched.position(),
        events: dispatched.events().iter().map(json).collect::<Result<_, _>>()?,
        repeated: dispatched.is_repeated(),
        command_id,
        correlation_id: dispatched.correlation_id(),
    })
}

use std::any::TypeId;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::aggregate::{Aggregate, Job, Progress, Success};
use crate::ambient::Ambient;
use crate::application::Core;
use crate::command::{AnyCommand, Command, Run, ValidationErrors, runner};
use crate::dispatch::{
    CallOptions, DispatchDefaults, DispatchError, Dispatched, PanicPlace, Resolved, TimeoutOutcome,
};
use crate::event::EventSet as _;
use crate::handler::{Awaited, Entry};
use crate::id::{CommandId, CorrelationId};
use crate::middleware::{DispatchContext, DispatchFailure, Extensions, Halted, within};
use crate::panics;
use crate::store::StreamId;
use crate::telemetry::dispatch::Dispatching;

/// A command on its way, its type known by its aggregate only.
pub(crate) struct Request<A: Aggregate> {
    command: AnyCommand,
    run: Run<A>,
    command_type: TypeId,
    router: TypeId,
    defaults: DispatchDefaults,
    call: CallOptions,
    ambient: Option<Ambient>,
}

type Outcome<A> = Result<Dispatched<A>, DispatchError<<A as Aggregate>::Error>>;

impl<A: Aggregate> Request<A> {
    pub(crate) fn new<C: Command<Aggregate = A>>(
        command: C,
        call: CallOptions,
        ambient: Option<Ambient>,
    ) -> Self {
        Self {
            command: AnyCommand::new(command),
            run: runner::<C>(),
            command_type: TypeId::of::<C>(),
            router: TypeId::of::<C::Router>(),
            defaults: C::defaults(),
            call,
            ambient,
        }
    }
}

/// Carries a command through the layers to its aggregate and back.
pub(crate) async fn dispatch<A: Aggregate>(core: &Arc<Core>, request: Request<A>) -> Outcome<A> {
    let dispatching = Dispatching::begin::<A>(core, request.command.name(), request.ambient.as_ref());
    let span = dispatching.span.clone();
    // Pinned where it is made: the wrapper would otherwise copy it, and it is large.
    let outcome = pin!(dispatch_in_span(core, request, &dispatching)).instrument(span).await;
    dispatching.end(&outcome);
    outcome
}

async fn dispatch_in_span<A: Aggregate>(
    core: &Arc<Core>,
    request: Request<A>,
    dispatching: &Dispatching<'_>,
) -> Outcome<A> {
    let Request { command, run, command_type, router, defaults, call, ambient } = request;
    let _in_flight = core
        .admit(ambient.as_ref())
        .map_err(|state| DispatchError::NotRunning { application: core.name().to_owned(), state })?;
    let route = core.route(router).filter(|_| core.knows(command.name(), command_type));
    let Some(route) = route else {
        let application = core.name().to_owned();
        return Err(DispatchError::UnknownCommand { application, command: command.name().to_owned() });
    };
    let options = call.defaults.clone().or(&defaults).or(&route.defaults);
    let mut context = context(core, command, call, Resolved::from(options), ambient.as_ref());
    dispatching.identified(&context);
    core.propagation.carry(&dispatching.span, &mut context.metadata, ambient.as_ref());
    let (entered, reached) = route.chain.enter(&mut context).await;
    let result = carry_out(core, &context, run, reached, ambient.as_ref()).await;
    if entered > 0 {
        match &result {
            Ok(dispatched) => {
                route.chain.succeed(entered, &mut context, &dispatched.outcome()).await;
            }
            Err(error) => {
                let failure = DispatchFailure { kind: error.kind(), error };
                route.chain.fail(entered, &mut context, &failure).await;
            }
        }
    }
    result.map(|dispatched| Dispatched { extensions: context.extensions, ..dispatched })
}

fn context(
    core: &Core,
    command: AnyCommand,
    call: CallOptions,
    options: Resolved,
    ambient: Option<&Ambient>,
) -> DispatchContext {
    let command_id = call.command_id.unwrap_or_else(CommandId::new);
    let inherited = ambient.map(|ambient| ambient.correlation_id);
    let causation_id = call.causation_id.or_else(|| ambient.map(|ambient| ambient.causation_id));
    let is_keyed = call.idempotency_key.is_some() || call.command_id.is_some();
    DispatchContext {
        application: Arc::clone(&core.name),
        command,
        command_id,
        append_id: call.idempotency_key.unwrap_or(command_id),
        is_keyed,
        may_be_repetition: is_keyed && !call.is_new,
        correlation_id: call.correlation_id.or(inherited).unwrap_or_else(CorrelationId::new),
        causation_id,
        metadata: call.metadata,
        expected_version: call.expected_version,
        options,
        extensions: Extensions::default(),
        started: Instant::now(),
        store: Arc::clone(&core.store),
    }
}

/// What lies inside the layers: the command is executed, or answered by the layer that halted it, and
/// handlers are waited for.
async fn carry_out<A: Aggregate>(
    core: &Arc<Core>,
    context: &DispatchContext,
    run: Run<A>,
    reached: Result<(), Halted>,
    ambient: Option<&Ambient>,
) -> Outcome<A> {
    // Asked first: a handler that does not exist is to be known before anything is stored.
    let own = ambient.and_then(|ambient| ambient.handler.as_ref()).filter(|key| core.owns(key));
    let handlers = core.board.selected(context.consistency(), own);
    let handlers = handlers
        .map_err(|handler| DispatchError::UnknownHandler { application: core.name().to_owned(), handler })?;
    let dispatched = match reached {
        Ok(()) => execute(core, context, run).await?,
        Err(halted) => halt(core, context, halted).await?,
    };
    wait_for_handlers(core, context, &dispatched, &handlers).await?;
    Ok(dispatched)
}

/// Validates the command, finds its aggregate and has it executed there.
async fn execute<A: Aggregate>(core: &Arc<Core>, context: &DispatchContext, run: Run<A>) -> Outcome<A> {
    let stream_id = check(context)?;
    let (progress, watched) = Progress::new(context.may_be_repetition);
    let (job, reply) = Job::new(context, run, progress);
    let runtime = core.aggregates.of::<A>();
    let submitted = async {
        core.aggregates.submit(&runtime, &stream_id, job).await;
        reply.await
    };
    match within(context.deadline(), submitted).await {
        Some(Ok(result)) => result.map(|success| dispatched(context, stream_id, success)),
        // The task that had the command was ended: the shutdown deadline has passed.
        Some(Err(_)) => Err(timeout(context, watched.give_up())),
        None => Err(timeout(context, watched.give_up())),
    }
}

fn timeout<E>(context: &DispatchContext, outcome: TimeoutOutcome) -> DispatchError<E> {
    DispatchError::Timeout {
        command: context.command.name(),
        command_id: context.command_id,
        limit: context.timeout().unwrap_or(Duration::MAX),
        outcome,
    }
}

/// What is known of a command before the store was asked whether it was carried out earlier.
fn before_asking(context: &DispatchContext) -> TimeoutOutcome {
    if context.may_be_repetition { TimeoutOutcome::Unknown } else { TimeoutOutcome::DidNotRun }
}

/// Validates the command and finds the stream of its aggregate.
fn check<E>(context: &DispatchContext) -> Result<StreamId, DispatchError<E>> {
    caught(context, || context.command.validate())?.map_err(|errors| DispatchError::Invalid {
        command: context.command.name(),
        command_id: context.command_id,
        errors,
    })?;
    identify(context)
}

fn identify<E>(context: &DispatchContext) -> Result<StreamId, DispatchError<E>> {
    caught(context, || context.command.stream_id())?.map_err(|source| DispatchError::InvalidIdentity {
        command: context.command.name(),
        command_id: context.command_id,
        source,
    })
}

/// Runs code of the command's own.
fn caught<T, E>(context: &DispatchContext, work: impl FnOnce() -> T) -> Result<T, DispatchError<E>> {
    panics::catch(work).map_err(|message| DispatchError::Panicked {
        command_id: context.command_id,
        place: PanicPlace::Command(context.command.name()),
        message,
    })
}

/// What the caller gets when a layer did not let the command through.
async fn halt<A: Aggregate>(core: &Arc<Core>, context: &DispatchContext, halted: Halted) -> Outcome<A> {
    let command_id = context.command_id;
    let layer = match halted {
        Halted::Refused { layer, error } => {
            return Err(match error.downcast::<ValidationErrors>() {
                Ok(errors) => {
                    DispatchError::Invalid { command: context.command.name(), command_id, errors: *errors }
                }
                Err(source) => DispatchError::Halted { command_id, middleware: layer, source },
            });
        }
        Halted::Panicked { layer, message } => {
            let place = PanicPlace::Middleware(layer);
            return Err(DispatchError::Panicked { command_id, place, message });
        }
        Halted::TimedOut => return Err(timeout(context, before_asking(context))),
        Halted::Responded { layer } => Some(layer),
        Halted::Repeat => None,
    };
    let stream_id = identify(context)?;
    let runtime = core.aggregates.of::<A>();
    let answer = async {
        match layer {
            Some(_) => runtime.current(&stream_id, command_id).await,
            None => runtime.repeat(&stream_id, command_id, context.append_id).await,
        }
    };
    let Some(answer) = within(context.deadline(), answer).await else {
        return Err(timeout(context, before_asking(context)));
    };
    let dispatched = dispatched(context, stream_id, answer?);
    Ok(Dispatched { halted_by: layer, ..dispatched })
}

fn dispatched<A: Aggregate>(
    context: &DispatchContext,
    stream_id: StreamId,
    success: Success<A>,
) -> Dispatched<A> {
    Dispatched {
        command_id: context.command_id,
        correlation_id: context.correlation_id,
        stream_id,
        version: success.version,
        position: success.position,
        events: success.events,
        state: success.state,
        repeated: success.repeated,
        halted_by: None,
        metadata: context.metadata.clone(),
        extensions: Extensions::default(),
    }
}

async fn wait_for_handlers<A: Aggregate>(
    core: &Core,
    context: &DispatchContext,
    dispatched: &Dispatched<A>,
    handlers: &[Arc<Entry>],
) -> Result<(), DispatchError<A::Error>> {
    let Some(last) = dispatched.position else {
        return Ok(());
    };
    if handlers.is_empty() {
        return Ok(());
    }
    let types: Vec<_> = dispatched.events.iter().map(|event| event.schema().name).collect();
    let awaited = Awaited {
        event_types: &types,
        stream_id: &dispatched.stream_id,
        correlation_id: (!dispatched.repeated).then_some(context.correlation_id),
        first: (last + 1).saturating_sub(types.len() as u64),
        last,
    };
    let limit = context.options.consistency_timeout;
    let pending = core.board.wait(&*core.store, &*core.checkpoints, handlers, &awaited, limit).await;
    if pending.is_empty() {
        return Ok(());
    }
    Err(DispatchError::NotHandled { outcome: Box::new(dispatched.outcome()), pending })
}

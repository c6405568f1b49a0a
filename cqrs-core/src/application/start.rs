use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use futures_util::future::{BoxFuture, join_all};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::aggregate::{Aggregates, Environment, sweep};
use crate::ambient::HandlerKey;
use crate::application::builder::Parts;
use crate::application::check::Assembly;
use crate::application::core::Core;
use crate::application::inline::{self, Inline};
use crate::application::instances::Claim;
use crate::application::places::{Place, places_of};
use crate::application::supervisor::{Supervised, supervise};
use crate::application::{ApplicationState, StartError};
use crate::handler::repartition::{RepartitionError, repartition};
use crate::handler::spread::SpreadTask;
use crate::handler::{HandlerBoard, HandlerDefinition, HandlerRunner, HandlerState, Role, StartFrom};
use crate::lease::Leases;
use crate::memory_pressure::{self, MemoryMeter};
use crate::projection::ProjectionControl;
use crate::subscription::Tail;
use crate::telemetry;

/// Checks the parts, claims the store, starts the handlers and opens the gate.
pub(crate) async fn start(mut parts: Parts) -> Result<Arc<Core>, StartError> {
    let assembly = Assembly::of(&mut parts)?;
    let identity = parts.store.identity();
    let Some(claim) = Claim::take(identity.clone(), &parts.name, parts.node.as_deref()) else {
        return Err(StartError::AlreadyRunning { application: parts.name, store: identity.to_string() });
    };
    if let Err(source) = parts.store.bind(&parts.name).await {
        return Err(StartError::Bind { application: parts.name, source });
    }
    let inline = inline::of(&parts, &assembly).await?;
    run(parts, assembly, inline, claim).await
}

async fn run(
    parts: Parts,
    assembly: Assembly,
    inline: Vec<Inline>,
    claim: Claim,
) -> Result<Arc<Core>, StartError> {
    let Assembly { handlers, routes, commands, registry } = assembly;
    init(&parts.name, &handlers).await?;
    static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);
    let instance = NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed);
    let name: Arc<str> = Arc::from(parts.name.as_str());
    let config = parts.config.clone();
    let tasks = TaskTracker::new();
    let dispatches = TaskTracker::new();
    dispatches.close();
    let stop_handlers = CancellationToken::new();
    let stop_services = CancellationToken::new();

    let unread = |source| StartError::Store { application: parts.name.clone(), source };
    let head = parts.store.head().await.map_err(unread)?;
    let mut board = HandlerBoard::default();
    let mut places = Vec::new();
    for handler in &handlers {
        let (entry, own) = places_of(handler, &name, &parts, &registry);
        if handler.role != Role::Build {
            board.add(entry);
        }
        places.extend(own);
    }
    let tail = Arc::new(Tail::new(
        Arc::clone(&name),
        Arc::clone(&parts.store),
        places.iter().map(|place| Arc::clone(&place.subscriber)).collect(),
        head,
        config.tail_page,
        config.poll_interval,
        config.tail_buffer,
    ));
    let leases =
        Leases::new(Arc::clone(&name), Arc::clone(&parts.leases), config.lease_ttl, config.lease_retry);
    let runner = |place: &Place| HandlerRunner {
        handler: Arc::clone(&place.definition.name),
        partition: place.partition,
        spread: place.spread.clone(),
        name: Arc::clone(&place.name),
        role: place.definition.role,
        keeps_state: place.definition.keeps_state,
        application: Arc::clone(&name),
        core: Weak::new(),
        key: HandlerKey { instance, name: Arc::clone(&place.definition.name) },
        store: Arc::clone(&parts.store),
        checkpoints: Arc::clone(&parts.checkpoints),
        registry: Arc::clone(&registry),
        clock: Arc::clone(&parts.clock),
        propagation: parts.propagation.clone(),
        tail: Arc::clone(&tail),
        subscriber: Arc::clone(&place.subscriber),
        progress: Arc::clone(&place.progress),
        waiters: Arc::clone(&place.waiters),
        control: Arc::clone(&place.control),
        effects: Arc::clone(&place.effects),
        leases: Arc::clone(&leases),
        last_tenure: Arc::default(),
        start_from: place.definition.start_from,
        start: start_position(place.definition.start_from, head),
        stop: stop_handlers.clone(),
        page: config.tail_page,
        pages: Arc::clone(&place.pages),
        checkpoint_every: config.checkpoint_every,
        checkpoint_interval: config.checkpoint_interval,
        max_parked: config.max_parked,
        commands_in_flight: config.commands_in_flight,
    };
    let runners: Vec<_> = places.iter().map(runner).collect();
    let given_up = begin(&name, &runners, leases, &tasks, &stop_services).await?;
    let key = |handler| HandlerKey { instance, name: handler };
    let inline = inline.into_iter().map(|one| one.with(&name, &registry, config.inline_limit, key)).collect();
    let environment = Environment::new(
        Arc::clone(&name),
        Arc::clone(&parts.store),
        inline,
        parts.snapshots,
        Arc::clone(&registry),
        Arc::new(parts.services),
        Arc::clone(&parts.clock),
        tasks.clone(),
        &config,
    );
    let aggregates = Aggregates::new(environment);
    commands.values().for_each(|command| (command.prepare)(&aggregates));
    let core = Arc::new(Core {
        name,
        application: parts.application,
        instance,
        store: parts.store,
        checkpoints: parts.checkpoints,
        leases: parts.leases,
        clock: parts.clock,
        propagation: parts.propagation,
        registry,
        aggregates,
        board,
        projections: projections(&handlers),
        config,
        routes,
        commands,
        state: AtomicU8::new(0),
        dispatches,
        handlers: tokio::sync::Mutex::default(),
        tasks,
        stop_handlers,
        stop_services,
        shutdown: tokio::sync::Mutex::new(Some(claim)),
    });
    spawn_services(&core, tail, parts.memory_meter);
    spawn_spreads(&core, &runners);
    let definitions = places.into_iter().map(|place| place.definition);
    spawn_handlers(&core, definitions.zip(runners));
    given_up.disarm();
    core.set_state(ApplicationState::Running);
    tracing::info!(
        cqrs.application = core.name(),
        cqrs.events = core.registry.events().count(),
        cqrs.commands = core.commands.len(),
        cqrs.handlers = core.board.statuses(head).len(),
        cqrs.position = head,
        "started"
    );
    Ok(core)
}

/// Has the handlers prepare themselves, one after the other.
async fn init(application: &str, handlers: &[HandlerDefinition]) -> Result<(), StartError> {
    for handler in handlers {
        handler.start.init().await.map_err(|source| StartError::Init {
            application: application.to_owned(),
            handler: handler.name.as_ref().to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// The projections among the handlers, by name.
fn projections(handlers: &[HandlerDefinition]) -> HashMap<Arc<str>, Arc<dyn ProjectionControl>> {
    let named = |handler: &HandlerDefinition| {
        Some((Arc::clone(&handler.name), Arc::clone(handler.projection.as_ref()?)))
    };
    handlers.iter().filter_map(named).collect()
}

/// Takes the leases of handlers that no other node runs, and finds out where each handler stands.
///
/// The task that gives leases back runs before any is taken. A start that fails waits for it, one that is dropped
/// tells it to stop: that is what the guard is for.
async fn begin(
    application: &str,
    runners: &[HandlerRunner],
    leases: Arc<Leases>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<DropGuard, StartError> {
    let given_up = stop.clone().drop_guard();
    if !runners.is_empty() {
        let task = LeaseTask { leases, stop: stop.clone() };
        let stop = stop.clone();
        tasks.spawn(async move { supervise("leases", stop, task).await });
    }
    let begun = async {
        let first = runners.iter().filter(|runner| runner.partition.index == 0);
        let divided =
            first.map(async |first| repartition(first).await.map_err(|error| not_divided(first, error)));
        // Each one is awaited to its end: a division that is cut off would have to be begun again.
        join_all(divided).await.into_iter().collect::<Result<(), _>>()?;
        let begun = runners.iter().filter(|runner| runner.role != Role::Build).map(HandlerRunner::begin);
        let begun = join_all(begun).await.into_iter().collect::<Result<(), _>>();
        begun.map_err(|source| StartError::Store { application: application.to_owned(), source })
    };
    if let Err(error) = begun.await {
        runners.iter().for_each(|runner| runner.last_tenure().begun = None);
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        return Err(error);
    }
    Ok(given_up)
}

fn not_divided(runner: &HandlerRunner, error: RepartitionError) -> StartError {
    let application = runner.application.as_ref().to_owned();
    match error {
        RepartitionError::InUse { before, now } => {
            StartError::Partitions { application, handler: runner.handler.as_ref().to_owned(), before, now }
        }
        RepartitionError::KeepsState { before, now } => StartError::PartitionedState {
            application,
            handler: runner.handler.as_ref().to_owned(),
            before,
            now,
        },
        RepartitionError::Store(source) => StartError::Store { application, source },
    }
}

/// Where a handler begins that has never run. `head` is where the log ended when the application was started, so
/// that an event that comes after the start is not missed.
fn start_position(start_from: StartFrom, head: u64) -> u64 {
    match start_from {
        StartFrom::Origin => 0,
        StartFrom::Current => head,
        StartFrom::Position(position) => position,
    }
}

struct LeaseTask {
    leases: Arc<Leases>,
    stop: CancellationToken,
}

impl Supervised for LeaseTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.leases.run(self.stop.clone()))
    }

    /// Without it every handler would stop after a while.
    fn may_be_given_up(&self) -> bool {
        false
    }
}

struct TailTask {
    tail: Arc<Tail>,
    stop: CancellationToken,
}

impl Supervised for TailTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.tail.run(self.stop.clone()))
    }

    /// All handlers read through it, and none of them would notice that it is gone.
    fn may_be_given_up(&self) -> bool {
        false
    }
}

struct SweepTask {
    core: Arc<Core>,
    stop: CancellationToken,
}

impl Supervised for SweepTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(sweep::run(&self.core.aggregates, self.stop.clone()))
    }

    /// Without it idle aggregates would never leave memory.
    fn may_be_given_up(&self) -> bool {
        false
    }
}

struct SampleTask {
    core: Arc<Core>,
    stop: CancellationToken,
}

impl Supervised for SampleTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        Box::pin(telemetry::sample::run(&self.core, self.stop.clone()))
    }

    /// Nobody else depends on it.
    fn may_be_given_up(&self) -> bool {
        true
    }
}

struct MemoryTask {
    core: Arc<Core>,
    meter: Arc<dyn MemoryMeter>,
    stop: CancellationToken,
}

impl Supervised for MemoryTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        let Core { aggregates, config, .. } = &*self.core;
        Box::pin(memory_pressure::watch(aggregates, &*self.meter, config, &self.stop))
    }
}

struct HandlerTask {
    handler: HandlerDefinition,
    runner: HandlerRunner,
}

impl Supervised for HandlerTask {
    fn run(&self) -> BoxFuture<'_, ()> {
        self.handler.start.run(self.runner.clone())
    }

    fn restarting(&self, panic: &str) {
        self.runner.set_failure(HandlerState::Restarting, &panic);
    }

    fn given_up(&self, panic: &str) {
        self.runner.set_failure(HandlerState::Failed, &panic);
    }
}

fn spawn_services(core: &Arc<Core>, tail: Arc<Tail>, meter: Arc<dyn MemoryMeter>) {
    let stop = core.stop_services.clone();
    let task = TailTask { tail, stop: stop.clone() };
    core.tasks.spawn(async move { supervise("tail", stop, task).await });
    let stop = core.stop_services.clone();
    let task = SweepTask { core: Arc::clone(core), stop: stop.clone() };
    core.tasks.spawn(async move { supervise("sweep", stop, task).await });
    let stop = core.stop_services.clone();
    let task = SampleTask { core: Arc::clone(core), stop: stop.clone() };
    core.tasks.spawn(async move { supervise("metrics", stop, task).await });
    if !core.config.ignores_memory {
        let stop = core.stop_services.clone();
        let task = MemoryTask { core: Arc::clone(core), meter, stop: stop.clone() };
        core.tasks.spawn(async move { supervise("memory", stop, task).await });
    }
}

/// Has this node share the partitions of handlers with others.
fn spawn_spreads(core: &Arc<Core>, runners: &[HandlerRunner]) {
    for runner in runners.iter().filter(|runner| runner.partition.index == 0) {
        let Some(spread) = runner.spread.clone() else { continue };
        // As long as the handlers run: then the others take over.
        let stop = core.stop_handlers.clone();
        let (checkpoints, leases) = (Arc::clone(&runner.checkpoints), Arc::clone(&runner.leases));
        let task = SpreadTask { spread, checkpoints, leases, stop: stop.clone() };
        core.tasks.spawn(async move { supervise("spread", stop, task).await });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "handlers are joined by name, so that a shutdown can say which hangs"
)]
fn spawn_handlers(core: &Arc<Core>, handlers: impl Iterator<Item = (HandlerDefinition, HandlerRunner)>) {
    let spawn = |(handler, runner): (HandlerDefinition, HandlerRunner)| {
        let name = Arc::clone(&runner.name);
        let stop = runner.stop.clone();
        let task_name = Arc::clone(&name);
        let runner = HandlerRunner { core: Arc::downgrade(core), ..runner };
        let task = HandlerTask { handler, runner };
        let core = Arc::clone(core);
        (
            name,
            tokio::spawn(async move {
                supervise(&task_name, stop, task).await;
                // Until here the instance has its name.
                drop(core);
            }),
        )
    };
    let running = handlers.map(spawn).collect();
    *core.handlers.try_lock().expect("nobody stops what has not started") = running;
}

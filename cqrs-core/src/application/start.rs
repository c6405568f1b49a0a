use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aggregate::{Aggregates, Environment, sweep};
use crate::ambient::HandlerKey;
use crate::application::attach;
use crate::application::attachment::Attachment;
use crate::application::builder::Parts;
use crate::application::check::Assembly;
use crate::application::core::Core;
use crate::application::inline::{self, Inline};
use crate::application::instances::Claim;
use crate::application::supervisor::{Supervised, supervise};
use crate::application::{ApplicationState, StartError};
use crate::handler::{HandlerBoard, HandlerDefinition};
use crate::lease::Leases;
use crate::memory_pressure::{self, MemoryMeter};
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
    for handler in &handlers {
        handler.init(&parts.name, parts.config.handling_limit).await?;
    }
    static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);
    let instance = NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed);
    let name: Arc<str> = Arc::from(parts.name.as_str());
    let config = parts.config;
    let tasks = TaskTracker::new();
    let dispatches = TaskTracker::new();
    dispatches.close();

    let unread = |source| StartError::Store { application: parts.name.clone(), source };
    let head = parts.store.head().await.map_err(unread)?;
    let tail = Tail::new(
        Arc::clone(&name),
        Arc::clone(&parts.store),
        head,
        config.tail_page,
        config.poll_interval,
        config.tail_buffer,
    );
    let leases = Leases::new(Arc::clone(&name), parts.leases, config.lease_ttl, config.lease_retry);
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
        leases,
        tail: Arc::new(tail),
        clock: parts.clock,
        propagation: parts.propagation,
        registry,
        aggregates,
        board: HandlerBoard::default(),
        config,
        routes,
        commands,
        state: AtomicU8::new(0),
        dispatches,
        handlers: tokio::sync::Mutex::default(),
        tasks,
        stop_handlers: CancellationToken::new(),
        stop_services: CancellationToken::new(),
        shutdown: tokio::sync::Mutex::new(Some(claim)),
    });
    // A start that fails waits for its tasks, one that is dropped tells them to stop.
    let given_up = core.stop_services.clone().drop_guard();
    spawn_leases(&core);
    let place = |handler: &HandlerDefinition| {
        let attachment = Attachment::of(&core, &handler.name).expect("no two handlers have one name");
        attach::place(&core, handler, attachment, head)
    };
    let handlers: Vec<_> = handlers.iter().map(place).collect();
    if let Err(error) = attach::begin(&core, &handlers).await {
        drop(handlers);
        core.stop_services.cancel();
        core.tasks.close();
        core.tasks.wait().await;
        return Err(error);
    }
    spawn_services(&core, parts.memory_meter);
    let are_running = attach::run(&core, handlers).await;
    debug_assert!(are_running, "nobody stops what has not started");
    given_up.disarm();
    core.set_state(ApplicationState::Running);
    tracing::info!(
        cqrs.application = core.name(),
        cqrs.events = core.registry.events().count(),
        cqrs.commands = core.commands.len(),
        cqrs.handlers = core.board.entries().len(),
        cqrs.position = head,
        "started"
    );
    Ok(core)
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

/// It runs before any lease is taken.
fn spawn_leases(core: &Arc<Core>) {
    let stop = core.stop_services.clone();
    let task = LeaseTask { leases: Arc::clone(&core.leases), stop: stop.clone() };
    core.tasks.spawn(async move { supervise("leases", stop, task).await });
}

fn spawn_services(core: &Arc<Core>, meter: Arc<dyn MemoryMeter>) {
    let stop = core.stop_services.clone();
    let task = TailTask { tail: Arc::clone(&core.tail), stop: stop.clone() };
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

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Services;
use crate::aggregate::{AggregateDescription, Aggregates, Environment, sweep};
use crate::ambient::HandlerKey;
use crate::application::builder::{Parts, unlisted};
use crate::application::core::{Core, Route};
use crate::application::instances::Claim;
use crate::application::supervisor::{Supervised, supervise};
use crate::application::{ApplicationState, StartError, StartFault};
use crate::command::{CommandRegistration, check_prefix};
use crate::dispatch::DispatchDefaults;
use crate::event::EventRegistry;
use crate::handler::{HandlerBoard, HandlerDefinition, HandlerRunner, HandlerState, StartFrom};
use crate::middleware::{Chain, Layer, MiddlewareEntry};
use crate::router::RouterDefinition;
use crate::store::StoreError;
use crate::subscription::{Subscriber, Tail};

/// Checks the parts, claims the store, starts the handlers and opens the gate.
pub(crate) async fn start(mut parts: Parts) -> Result<Arc<Core>, StartError> {
    let mut faults = Vec::new();
    let handlers = handlers(&mut parts, &mut faults);
    let routes = routes(&parts, &mut faults);
    let commands = commands(&routes, &mut faults);
    services(&commands, &mut parts.services, &mut faults);
    prefixes(&commands, &mut faults);
    let registry = registry(&parts, &handlers, &commands, &mut faults);
    if !faults.is_empty() {
        return Err(StartError::Invalid {
            application: parts.name,
            faults,
        });
    }
    let identity = parts.store.identity();
    let Some(claim) = Claim::take(identity.clone(), &parts.name, parts.node.as_deref()) else {
        return Err(StartError::AlreadyRunning {
            application: parts.name,
            store: identity.to_string(),
        });
    };
    if let Err(source) = parts.store.bind(&parts.name).await {
        return Err(StartError::Bind {
            application: parts.name,
            source,
        });
    }
    let name = parts.name.clone();
    run(parts, handlers, routes, commands, registry, claim)
        .await
        .map_err(|source| StartError::Store {
            application: name,
            source,
        })
}

/// The handlers to run, each with its instance.
fn handlers(parts: &mut Parts, faults: &mut Vec<StartFault>) -> Vec<HandlerDefinition> {
    let mut handlers = Vec::new();
    let mut listed = Vec::new();
    for entry in &parts.definition.event_handlers {
        listed.push(entry.type_id);
        match parts
            .event_handlers
            .get(&entry.type_id)
            .or(entry.definition.as_ref())
        {
            Some(definition) => handlers.push(definition.clone()),
            None => faults.push(StartFault::NoInstance {
                kind: "event handler",
                type_name: entry.type_name,
                method: "event_handler",
            }),
        }
    }
    handlers.extend(unlisted(&parts.given_handlers, &listed, &parts.event_handlers).cloned());
    handlers.append(&mut parts.named_handlers);
    let mut by_name: HashMap<&str, &'static str> = HashMap::new();
    for handler in &handlers {
        if handler.name.is_empty() {
            faults.push(StartFault::UnnamedHandler {
                type_name: handler.type_name,
            });
        } else if let Some(first) = by_name.insert(&handler.name, handler.type_name) {
            let name = handler.name.as_ref().to_owned();
            faults.push(StartFault::DuplicateHandler {
                name,
                first,
                second: handler.type_name,
            });
        }
    }
    handlers
}

/// The layers and defaults of each router, those of the routers around it included.
fn routes(parts: &Parts, faults: &mut Vec<StartFault>) -> HashMap<TypeId, Route> {
    let mut listed = Vec::new();
    parts
        .definition
        .middleware
        .iter()
        .for_each(|entry| listed.push(entry.type_id));
    parts
        .definition
        .routers
        .iter()
        .for_each(|router| collect_middleware(router, &mut listed));
    let mut outer = Chain::default();
    push_layers(&mut outer, &parts.definition.middleware, parts, faults);
    let unlisted: Vec<_> = unlisted(&parts.given_middleware, &listed, &parts.middleware)
        .cloned()
        .collect();
    push_layers(&mut outer, &unlisted, parts, faults);
    let mut routes = HashMap::new();
    for router in &parts.definition.routers {
        add_route(
            router,
            &outer,
            &parts.definition.defaults,
            parts,
            &mut routes,
            faults,
        );
    }
    routes
}

fn collect_middleware(router: &RouterDefinition, listed: &mut Vec<TypeId>) {
    listed.extend(router.middleware.iter().map(|entry| entry.type_id));
    router
        .includes
        .iter()
        .for_each(|router| collect_middleware(router, listed));
}

fn add_route(
    router: &RouterDefinition,
    outer: &Chain,
    outer_defaults: &DispatchDefaults,
    parts: &Parts,
    routes: &mut HashMap<TypeId, Route>,
    faults: &mut Vec<StartFault>,
) {
    let mut chain = outer.clone();
    push_layers(&mut chain, &router.middleware, parts, faults);
    let defaults = router.defaults.clone().or(outer_defaults);
    for included in &router.includes {
        add_route(included, &chain, &defaults, parts, routes, faults);
    }
    if routes.insert(router.type_id, Route { chain, defaults }).is_some() {
        faults.push(StartFault::DuplicateRouter { name: router.name });
    }
}

fn push_layers(chain: &mut Chain, entries: &[MiddlewareEntry], parts: &Parts, faults: &mut Vec<StartFault>) {
    for entry in entries {
        let given = parts
            .middleware
            .get(&entry.type_id)
            .and_then(|given| given.instance.as_ref());
        match given.or(entry.instance.as_ref()) {
            Some(middleware) => chain.push(Layer {
                name: entry.name,
                middleware: Arc::clone(middleware),
            }),
            None => {
                let fault = StartFault::NoInstance {
                    kind: "middleware",
                    type_name: entry.name,
                    method: "middleware",
                };
                // A layer may be listed by several routers; once is enough to be told.
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
            }
        }
    }
}

type Commands = HashMap<&'static str, &'static CommandRegistration>;

/// The commands of the routers, by name.
fn commands(routes: &HashMap<TypeId, Route>, faults: &mut Vec<StartFault>) -> Commands {
    let mut routed: Vec<_> = inventory::iter::<CommandRegistration>()
        .filter(|registration| routes.contains_key(&(registration.router)()))
        .collect();
    // `inventory` has no order of its own.
    routed.sort_by_key(|registration| (registration.name, registration.file, registration.line));
    let mut commands = Commands::new();
    for registration in routed {
        if let Some(first) = commands.insert(registration.name, registration) {
            faults.push(StartFault::DuplicateCommand {
                name: registration.name,
                first: format!("{}:{}", first.file, first.line),
                second: format!("{}:{}", registration.file, registration.line),
            });
        }
    }
    commands
}

/// Sees to it that every command handler has an instance.
fn services(commands: &Commands, services: &mut Services, faults: &mut Vec<StartFault>) {
    let mut missing = BTreeMap::new();
    let direct = TypeId::of::<crate::command::Direct>();
    for registration in commands.values() {
        let id = (registration.handler)();
        if id == direct || services.contains(id) {
            continue;
        }
        let name = (registration.handler_name)();
        match (registration.default_handler)() {
            Some(instance) => services.insert_shared(id, name, instance),
            None => drop(missing.insert(name, ())),
        }
    }
    faults.extend(missing.into_keys().map(|type_name| StartFault::NoInstance {
        kind: "command handler",
        type_name,
        method: "command_handler",
    }));
}

/// Sees to it that no two aggregate types can meet in one stream.
fn prefixes(commands: &Commands, faults: &mut Vec<StartFault>) {
    let mut owners: BTreeMap<String, AggregateDescription> = BTreeMap::new();
    let mut used: Vec<_> = commands.values().collect();
    used.sort_by_key(|registration| registration.name);
    for registration in used {
        let aggregate = (registration.aggregate)();
        let own = aggregate.stream_prefix.to_owned();
        for prefix in [own, (registration.stream_prefix)().into_owned()] {
            if check_prefix(&prefix).is_err() {
                let fault = StartFault::InvalidPrefix {
                    prefix,
                    aggregate: aggregate.type_name,
                };
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
                continue;
            }
            match owners.get(&prefix) {
                Some(owner) if owner.type_id != aggregate.type_id => {
                    let (first, second) = (owner.type_name, aggregate.type_name);
                    let fault = StartFault::SharedPrefix {
                        prefix,
                        first,
                        second,
                    };
                    if !faults.contains(&fault) {
                        faults.push(fault);
                    }
                }
                Some(_) => {}
                None => drop(owners.insert(prefix, aggregate)),
            }
        }
    }
}

/// All event types: those of the program, and those that handlers and aggregates bring along.
fn registry(
    parts: &Parts,
    handlers: &[HandlerDefinition],
    commands: &Commands,
    faults: &mut Vec<StartFault>,
) -> Arc<EventRegistry> {
    let mut registry = EventRegistry::of_program();
    let of_handlers = handlers.iter().flat_map(|handler| (handler.schemas)());
    let of_aggregates = commands
        .values()
        .flat_map(|command| ((command.aggregate)().schemas)());
    let given = parts.schemas.iter().copied();
    of_handlers
        .chain(of_aggregates)
        .chain(given)
        .for_each(|schema| registry.register(schema));
    registry.check_upcasters();
    faults.extend(registry.faults().iter().cloned().map(StartFault::Event));
    Arc::new(registry)
}

async fn run(
    parts: Parts,
    handlers: Vec<HandlerDefinition>,
    routes: HashMap<TypeId, Route>,
    commands: Commands,
    registry: Arc<EventRegistry>,
    claim: Claim,
) -> Result<Arc<Core>, StoreError> {
    static NEXT_INSTANCE: AtomicU64 = AtomicU64::new(1);
    let instance = NEXT_INSTANCE.fetch_add(1, Ordering::Relaxed);
    let name: Arc<str> = Arc::from(parts.name.as_str());
    let config = parts.config;
    let tasks = TaskTracker::new();
    let dispatches = TaskTracker::new();
    dispatches.close();
    let stop_handlers = CancellationToken::new();
    let stop_services = CancellationToken::new();

    let head = parts.store.head().await?;
    let mut positions = Vec::new();
    for handler in &handlers {
        positions.push(first_position(&*parts.checkpoints, handler, head).await?);
    }

    let mut board = HandlerBoard::default();
    let mut subscribers = Vec::new();
    let mut progresses = Vec::new();
    for (handler, position) in handlers.iter().zip(&positions) {
        let subscriber = Arc::new(Subscriber::new((handler.filter)(&registry)));
        let progress = board.add(Arc::clone(&handler.name), handler.strong, Arc::clone(&subscriber));
        progress.send_modify(|progress| progress.position = *position);
        subscribers.push(subscriber);
        progresses.push(Arc::new(progress));
    }
    let tail = Arc::new(Tail::new(
        Arc::clone(&parts.store),
        subscribers.clone(),
        head,
        config.tail_page,
        config.poll_interval,
        config.tail_buffer,
    ));
    let runners: Vec<_> = handlers
        .iter()
        .zip(positions.iter().zip(subscribers.into_iter().zip(progresses)))
        .map(|(handler, (position, (subscriber, progress)))| HandlerRunner {
            name: Arc::clone(&handler.name),
            application: Arc::clone(&name),
            core: Weak::new(),
            key: HandlerKey {
                instance,
                name: Arc::clone(&handler.name),
            },
            store: Arc::clone(&parts.store),
            checkpoints: Arc::clone(&parts.checkpoints),
            registry: Arc::clone(&registry),
            clock: Arc::clone(&parts.clock),
            tail: Arc::clone(&tail),
            subscriber,
            saved: Arc::new(AtomicU64::new(*position)),
            progress,
            stop: stop_handlers.clone(),
            page: config.tail_page,
            checkpoint_every: config.checkpoint_every,
            checkpoint_interval: config.checkpoint_interval,
        })
        .collect();
    let environment = Environment::new(
        Arc::clone(&name),
        Arc::clone(&parts.store),
        parts.snapshots,
        Arc::clone(&registry),
        Arc::new(parts.services),
        parts.clock,
        tasks.clone(),
        config.payload_limit,
        config.replay_page,
        config.max_live_aggregates,
    );
    let aggregates = Aggregates::new(environment);
    commands
        .values()
        .for_each(|command| (command.prepare)(&aggregates));
    let core = Arc::new(Core {
        name,
        application: parts.application,
        instance,
        store: parts.store,
        registry,
        aggregates,
        board,
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
    spawn_services(&core, tail);
    spawn_handlers(&core, handlers, runners);
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

/// Where a handler begins. The answer is saved for a handler that has never run: one that starts from the
/// current position begins there even when it is stopped before its first event.
async fn first_position(
    checkpoints: &dyn crate::store::CheckpointStore,
    handler: &HandlerDefinition,
    head: u64,
) -> Result<u64, StoreError> {
    if let Some(position) = checkpoints.checkpoint(&handler.name).await? {
        return Ok(position);
    }
    let position = match handler.start_from {
        StartFrom::Origin => 0,
        StartFrom::Current => head,
        StartFrom::Position(position) => position,
    };
    checkpoints.save_checkpoint(&handler.name, position).await?;
    Ok(position)
}

struct TailTask {
    tail: Arc<Tail>,
    stop: CancellationToken,
}

impl Supervised for TailTask {
    fn run(&self) -> futures_util::future::BoxFuture<'_, ()> {
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
    fn run(&self) -> futures_util::future::BoxFuture<'_, ()> {
        Box::pin(sweep::run(&self.core.aggregates, self.stop.clone()))
    }

    /// Without it idle aggregates would never leave memory.
    fn may_be_given_up(&self) -> bool {
        false
    }
}

struct HandlerTask {
    handler: HandlerDefinition,
    runner: HandlerRunner,
}

impl Supervised for HandlerTask {
    fn run(&self) -> futures_util::future::BoxFuture<'_, ()> {
        self.handler.start.run(self.runner.clone())
    }

    fn restarting(&self, panic: &str) {
        self.runner.set_failure(HandlerState::Restarting, &panic);
    }

    fn given_up(&self, panic: &str) {
        self.runner.set_failure(HandlerState::Failed, &panic);
    }
}

fn spawn_services(core: &Arc<Core>, tail: Arc<Tail>) {
    let stop = core.stop_services.clone();
    let task = TailTask {
        tail,
        stop: stop.clone(),
    };
    core.tasks
        .spawn(async move { supervise("tail", stop, task).await });
    let stop = core.stop_services.clone();
    let task = SweepTask {
        core: Arc::clone(core),
        stop: stop.clone(),
    };
    core.tasks
        .spawn(async move { supervise("sweep", stop, task).await });
}

#[expect(
    clippy::disallowed_methods,
    reason = "handlers are joined by name, so that a shutdown can say which hangs"
)]
fn spawn_handlers(core: &Arc<Core>, handlers: Vec<HandlerDefinition>, runners: Vec<HandlerRunner>) {
    let spawn = |(handler, runner): (HandlerDefinition, HandlerRunner)| {
        let name = Arc::clone(&handler.name);
        let stop = runner.stop.clone();
        let task_name = Arc::clone(&name);
        let runner = HandlerRunner {
            core: Arc::downgrade(core),
            ..runner
        };
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
    let running = handlers.into_iter().zip(runners).map(spawn).collect();
    *core
        .handlers
        .try_lock()
        .expect("nobody stops what has not started") = running;
}

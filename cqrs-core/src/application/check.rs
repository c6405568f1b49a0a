//! What `start()` checks before anything runs: every fault is noted, none ends the search for others.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::Services;
use crate::aggregate::AggregateDescription;
use crate::application::builder::{Parts, unlisted};
use crate::application::core::Route;
use crate::application::{StartError, StartFault};
use crate::command::{CommandRegistration, check_prefix};
use crate::dispatch::DispatchDefaults;
use crate::event::EventRegistry;
use crate::handler::HandlerDefinition;
use crate::handler::partition::MOST;
use crate::middleware::{Chain, Layer, MiddlewareEntry};
use crate::router::RouterDefinition;

/// An application whose parts fit together.
pub(crate) struct Assembly {
    /// The handlers to run, each with its instance.
    pub(crate) handlers: Vec<HandlerDefinition>,
    pub(crate) routes: HashMap<TypeId, Route>,
    pub(crate) commands: Commands,
    pub(crate) registry: Arc<EventRegistry>,
}

/// The commands that can be dispatched, by name.
pub(crate) type Commands = HashMap<&'static str, &'static CommandRegistration>;

impl Assembly {
    /// Puts the parts together.
    pub(crate) fn of(parts: &mut Parts) -> Result<Self, StartError> {
        let mut faults = Vec::new();
        let handlers = handlers(parts, &mut faults);
        let routes = routes(parts, &mut faults);
        let commands = commands(&routes, &mut faults);
        services(&commands, &mut parts.services, &mut faults);
        prefixes(&commands, &mut faults);
        let registry = registry(parts, &handlers, &commands, &mut faults);
        if faults.is_empty() {
            return Ok(Self { handlers, routes, commands, registry });
        }
        Err(StartError::Invalid { application: parts.name.clone(), faults })
    }
}

/// The handlers to run, each with its instance.
fn handlers(parts: &mut Parts, faults: &mut Vec<StartFault>) -> Vec<HandlerDefinition> {
    let mut handlers = Vec::new();
    let mut listed = Vec::new();
    for entry in &parts.definition.event_handlers {
        listed.push(entry.type_id);
        match parts.event_handlers.get(&entry.type_id).or(entry.definition.as_ref()) {
            Some(definition) => handlers.push(definition.clone()),
            None => faults.push(StartFault::NoInstance {
                kind: entry.kind,
                type_name: entry.type_name,
                method: entry.method,
            }),
        }
    }
    handlers.extend(unlisted(&parts.given_handlers, &listed, &parts.event_handlers).cloned());
    handlers.append(&mut parts.named_handlers);
    let mut by_name: HashMap<&str, &'static str> = HashMap::new();
    for handler in &handlers {
        check_handler(handler, faults);
        for part in std::iter::once(handler).chain(handler.build.as_deref()) {
            if !handler.name.is_empty()
                && let Some(first) = by_name.insert(&part.name, part.type_name)
            {
                let name = part.name.as_ref().to_owned();
                faults.push(StartFault::DuplicateHandler { name, first, second: part.type_name });
            }
        }
    }
    handlers
}

/// What can be wrong with a handler by itself.
pub(crate) fn check_handler(handler: &HandlerDefinition, faults: &mut Vec<StartFault>) {
    let name = || handler.name.as_ref().to_owned();
    let is_possible = |partitions: &u16| (1..=MOST).contains(partitions);
    if let Err(reason) = handler.subscribe_to.check() {
        let subscribe_to = handler.subscribe_to;
        faults.push(StartFault::InvalidSubscription { handler: name(), subscribe_to, reason });
    }
    if !is_possible(&handler.partitions) {
        faults.push(StartFault::InvalidPartitions { name: name(), partitions: handler.partitions });
    }
    let rebuild_partitions = handler.projection.as_ref().map(|projection| projection.rebuild_partitions());
    if let Some(partitions) = rebuild_partitions.filter(|partitions| !is_possible(partitions)) {
        faults.push(StartFault::InvalidRebuildPartitions { name: name(), partitions });
    }
    if handler.name.is_empty() {
        faults.push(StartFault::UnnamedHandler { type_name: handler.type_name });
    }
}

/// The layers and defaults of each router, those of the routers around it included.
fn routes(parts: &Parts, faults: &mut Vec<StartFault>) -> HashMap<TypeId, Route> {
    let mut listed = Vec::new();
    parts.definition.middleware.iter().for_each(|entry| listed.push(entry.type_id));
    parts.definition.routers.iter().for_each(|router| collect_middleware(router, &mut listed));
    let mut outer = Chain::default();
    push_layers(&mut outer, &parts.definition.middleware, parts, faults);
    let unlisted: Vec<_> = unlisted(&parts.given_middleware, &listed, &parts.middleware).cloned().collect();
    push_layers(&mut outer, &unlisted, parts, faults);
    let mut routes = HashMap::new();
    for router in &parts.definition.routers {
        add_route(router, &outer, &parts.definition.defaults, parts, &mut routes, faults);
    }
    routes
}

fn collect_middleware(router: &RouterDefinition, listed: &mut Vec<TypeId>) {
    listed.extend(router.middleware.iter().map(|entry| entry.type_id));
    router.includes.iter().for_each(|router| collect_middleware(router, listed));
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
        let given = parts.middleware.get(&entry.type_id).and_then(|given| given.instance.as_ref());
        match given.or(entry.instance.as_ref()) {
            Some(middleware) => chain.push(Layer { name: entry.name, middleware: Arc::clone(middleware) }),
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
                let fault = StartFault::InvalidPrefix { prefix, aggregate: aggregate.type_name };
                if !faults.contains(&fault) {
                    faults.push(fault);
                }
                continue;
            }
            match owners.get(&prefix) {
                Some(owner) if owner.type_id != aggregate.type_id => {
                    let (first, second) = (owner.type_name, aggregate.type_name);
                    let fault = StartFault::SharedPrefix { prefix, first, second };
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
    let of_aggregates = commands.values().flat_map(|command| ((command.aggregate)().schemas)());
    let given = parts.schemas.iter().copied();
    of_handlers.chain(of_aggregates).chain(given).for_each(|schema| registry.register(schema));
    registry.check_upcasters();
    faults.extend(registry.faults().iter().cloned().map(StartFault::Event));
    Arc::new(registry)
}

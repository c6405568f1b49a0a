//! How handlers come to an application, when it starts or later.

use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::ambient::HandlerKey;
use crate::application::StartError;
use crate::application::attachment::Attachment;
use crate::application::core::Core;
use crate::application::places::{Place, keys_of, places_of};
use crate::application::supervisor::{Supervised, supervise};
use crate::handler::repartition::{RepartitionError, repartition};
use crate::handler::spread::SpreadTask;
use crate::handler::{Entry, HandlerDefinition, HandlerRunner, HandlerState, Role, StartFrom};

/// A handler that can run: it knows where it stands, and has the leases that were free.
pub(crate) struct Ready {
    attachment: Arc<Attachment>,
    pub(crate) entry: Arc<Entry>,
    tasks: Vec<HandlerTask>,
}

/// Gives a handler its places, and has the tail read for it. `head` is the end of the log, where a handler begins that starts
/// from the present.
pub(crate) fn place(
    core: &Arc<Core>,
    definition: &HandlerDefinition,
    mut attachment: Attachment,
    head: u64,
) -> Ready {
    let stop = core.stop_handlers.child_token();
    let mut places = places_of(definition, core);
    let entry = Entry {
        name: Arc::clone(&definition.name),
        strong: definition.strong,
        is_inline: definition.inline.is_some(),
        role: definition.role,
        filter: definition.filter(&core.registry),
        keys_of: keys_of(definition, core),
        projection: definition.projection.clone(),
        stop: stop.clone(),
        cut_off: CancellationToken::new(),
        running: attachment.running(),
        parts: places.iter().map(Place::part).collect(),
    };
    places.extend(definition.build.iter().flat_map(|build| places_of(build, core)));
    attachment.join(places.iter().map(|place| Arc::clone(&place.subscriber)).collect(), head);
    let task = |place| HandlerTask::of(core, place, &stop, head);
    Ready {
        attachment: Arc::new(attachment),
        entry: Arc::new(entry),
        tasks: places.into_iter().map(task).collect(),
    }
}

/// Takes the leases of handlers that no other node runs, and finds out where each handler stands.
///
/// # Cancel safety
/// When the future is dropped, what was taken is given back with the handlers.
pub(crate) async fn begin(core: &Core, handlers: &[Ready]) -> Result<(), StartError> {
    let runners = || handlers.iter().flat_map(|handler| &handler.tasks).map(|task| &task.runner);
    let first = runners().filter(|runner| runner.partition.index == 0);
    let divided =
        first.map(async |first| repartition(first).await.map_err(|error| not_divided(first, error)));
    // Each one is awaited to its end: a division that is cut off would have to be begun again.
    join_all(divided).await.into_iter().collect::<Result<(), _>>()?;
    let begun = runners().filter(|runner| runner.role != Role::Build).map(HandlerRunner::begin);
    let begun = join_all(begun).await.into_iter().collect::<Result<(), _>>();
    begun.map_err(|source| StartError::Store { application: core.name().to_owned(), source })
}

/// Has handlers run; tells whether they do, which they do not when the application is stopping.
pub(crate) async fn run(core: &Arc<Core>, handlers: Vec<Ready>) -> bool {
    let mut tasks = core.handlers.lock().await;
    // Looked at under the lock under which they are joined: what runs is either joined, or was not begun.
    if core.stop_handlers.is_cancelled() {
        return false;
    }
    tasks.retain(|(_, task)| !task.is_finished());
    for Ready { attachment, entry, tasks: own } in handlers {
        core.board.add(Arc::clone(&entry));
        spawn_spread(core, &own, &attachment);
        tasks.extend(own.into_iter().map(|task| spawn(task, &entry.cut_off, &attachment)));
    }
    true
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

/// Where a handler begins that has never run. `head` is where the log ended when it was started, so that an event that comes
/// after that is not missed.
fn start_position(start_from: StartFrom, head: u64) -> u64 {
    match start_from {
        StartFrom::Origin => 0,
        StartFrom::Current => head,
        StartFrom::Position(position) => position,
    }
}

/// What runs of a handler by itself.
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

impl HandlerTask {
    fn of(core: &Arc<Core>, place: Place, stop: &CancellationToken, head: u64) -> Self {
        let Place {
            definition,
            partition,
            name,
            subscriber,
            waiters,
            control,
            progress,
            effects,
            pages,
            spread,
        } = place;
        let config = &core.config;
        let runner = HandlerRunner {
            handler: Arc::clone(&definition.name),
            partition,
            spread,
            name,
            role: definition.role,
            keeps_state: definition.keeps_state,
            application: Arc::clone(&core.name),
            core: Arc::downgrade(core),
            key: HandlerKey { instance: core.instance, name: Arc::clone(&definition.name) },
            store: Arc::clone(&core.store),
            checkpoints: Arc::clone(&core.checkpoints),
            registry: Arc::clone(&core.registry),
            clock: Arc::clone(&core.clock),
            propagation: core.propagation.clone(),
            tail: Arc::clone(&core.tail),
            subscriber,
            progress,
            waiters,
            control,
            effects,
            leases: Arc::clone(&core.leases),
            last_tenure: Arc::default(),
            start_from: definition.start_from,
            start: start_position(definition.start_from, head),
            stop: stop.clone(),
            page: config.tail_page,
            pages,
            checkpoint_every: config.checkpoint_every,
            checkpoint_interval: config.checkpoint_interval,
            handling_limit: config.handling_limit,
            max_parked: config.max_parked,
            commands_in_flight: config.commands_in_flight,
        };
        Self { handler: definition, runner }
    }
}

/// Has this node share the partitions of a handler with others.
fn spawn_spread(core: &Core, tasks: &[HandlerTask], attachment: &Arc<Attachment>) {
    let runners = tasks.iter().map(|task| &task.runner);
    for runner in runners.filter(|runner| runner.partition.index == 0) {
        let Some(spread) = runner.spread.clone() else { continue };
        // As long as the handler runs: then the others take over.
        let stop = runner.stop.clone();
        let (checkpoints, leases) = (Arc::clone(&runner.checkpoints), Arc::clone(&runner.leases));
        let task = SpreadTask { spread, checkpoints, leases, stop: stop.clone() };
        let attachment = Arc::clone(attachment);
        core.tasks.spawn(async move {
            supervise("spread", stop, task).await;
            drop(attachment);
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "handlers are joined by name, so that a shutdown can say which hangs"
)]
fn spawn(
    task: HandlerTask,
    cut_off: &CancellationToken,
    attachment: &Arc<Attachment>,
) -> (Arc<str>, JoinHandle<()>) {
    let name = Arc::clone(&task.runner.name);
    let (task_name, stop) = (Arc::clone(&name), task.runner.stop.clone());
    let (cut_off, attachment) = (cut_off.clone(), Arc::clone(attachment));
    let running = async move {
        cut_off.run_until_cancelled(supervise(&task_name, stop, task)).await;
        // Until here it has its name, and the application its own.
        drop(attachment);
    };
    (name, tokio::spawn(running))
}

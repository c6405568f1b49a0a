use std::any::{TypeId, type_name};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::event::EventSet;
use crate::handler::partition::{KeyPlace, key_of};
use crate::handler::{
    HandlerConsistency, HandlerDefinition, HandlerEntry, HandlerRunner, KeysOf, Role, StartFrom, StartHandler,
};
use crate::projection::batch::BatchSize;
use crate::projection::build::Build;
use crate::projection::control::Shared;
use crate::projection::live::Live;
use crate::projection::projecting::Projecting;
use crate::projection::{Projection, ProjectionContext, ProjectionPlace};
use crate::store::EventFilter;

/// A place for a projection in an application: its type, and how to make an instance when the application is given
/// none.
#[derive(Clone, Debug)]
pub struct ProjectionEntry(pub(crate) HandlerEntry);

impl ProjectionEntry {
    /// A projection of type `P`; `instance` is `None` when the type has no `Default`, and the application's builder
    /// must then be given one.
    #[must_use]
    pub fn new<P: Projection>(instance: Option<P>) -> Self {
        Self(HandlerEntry {
            type_id: TypeId::of::<P>(),
            type_name: type_name::<P>(),
            definition: instance.map(|instance| definition(P::NAME, instance)),
            name: P::NAME,
            kind: "projection",
            method: "projection",
        })
    }
}

/// How many pages of the log are read at a time at most, for partitions to be worth a transaction.
const MOST_PAGES: usize = 16;

/// A projection with its instance, as the handlers that it consists of: one for the rows that readers see, and one that
/// builds rows beside them.
pub(crate) fn definition<P: Projection>(name: &str, instance: P) -> HandlerDefinition {
    let name: Arc<str> = Arc::from(name);
    let shared = Arc::new(Shared::new(Arc::clone(&name), instance));
    let definition = |name, role, start| HandlerDefinition {
        name,
        type_name: type_name::<P>(),
        start_from: StartFrom::Origin,
        // Nobody has to wait for rows that are there already.
        strong: P::CONSISTENCY == HandlerConsistency::Strong && !P::INLINE,
        subscribe_to: P::SUBSCRIBE_TO,
        partitions: 1,
        pages: 1,
        keeps_state: false,
        schemas: <P::Event as EventSet>::schemas,
        types: |registry| EventFilter::types(registry.stored_names_of::<P::Event>()),
        start,
        role,
        projection: None,
        inline: None,
        build: None,
    };
    let build_name = Arc::from(format!("{name}/build"));
    let build = HandlerDefinition {
        pages: usize::from(P::REBUILD_PARTITIONS).clamp(1, MOST_PAGES),
        ..definition(
            build_name,
            Role::Build,
            Arc::new(StartBuild(Arc::clone(&shared))) as Arc<dyn StartHandler>,
        )
    };
    HandlerDefinition {
        projection: Some(Arc::clone(&shared) as _),
        inline: P::INLINE.then(|| Arc::clone(&shared) as _),
        build: Some(Box::new(build)),
        ..definition(name, Role::Projection, Arc::new(StartLive(shared)))
    }
}

struct StartLive<P>(Arc<Shared<P>>);

impl<P: Projection> StartHandler for StartLive<P> {
    fn run(&self, runner: HandlerRunner) -> BoxFuture<'static, ()> {
        let projecting = Projecting::new(Arc::clone(&self.0), BatchSize::LIVE, false);
        Box::pin(async move { runner.run(&mut Live(projecting)).await })
    }

    fn keys_of(&self, place: KeyPlace) -> Box<KeysOf> {
        keys_of(Arc::clone(&self.0), place)
    }
}

fn keys_of<P: Projection>(shared: Arc<Shared<P>>, place: KeyPlace) -> Box<KeysOf> {
    let KeyPlace { registry, application, handler, .. } = place;
    let place = ProjectionPlace { application, projection: handler, version: P::VERSION, is_rebuild: false };
    let place = Arc::new(place);
    Box::new(move |event| {
        let context = ProjectionContext::new(event.clone(), Arc::clone(&place), 1);
        let by = |typed: &P::Event| shared.projection.partition_by(typed, &context);
        vec![key_of::<P::Event>(&registry, event, by)]
    })
}

struct StartBuild<P>(Arc<Shared<P>>);

impl<P: Projection> StartHandler for StartBuild<P> {
    fn run(&self, runner: HandlerRunner) -> BoxFuture<'static, ()> {
        self.0.build.get_or_init(|| runner.progress.subscribe());
        let projecting = Projecting::new(Arc::clone(&self.0), BatchSize::BULK, true);
        Box::pin(async move { runner.run(&mut Build::new(projecting)).await })
    }

    fn keys_of(&self, place: KeyPlace) -> Box<KeysOf> {
        keys_of(Arc::clone(&self.0), place)
    }
}

use std::any::{TypeId, type_name};
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::event::EventSet;
use crate::handler::partition::KeyPlace;
use crate::handler::{
    HandlerConsistency, HandlerDefinition, HandlerEntry, HandlerRunner, KeysOf, Role, StartHandler,
};
use crate::publisher::publishing::Publishing;
use crate::publisher::{Message, Publisher};
use crate::store::EventFilter;

impl HandlerEntry {
    /// A publisher of type `P`; `instance` is `None` when the type has no `Default`, and the application's builder must
    /// then be given one.
    #[must_use]
    pub fn publisher<P: Publisher>(instance: Option<P>) -> Self {
        Self {
            type_id: TypeId::of::<P>(),
            type_name: type_name::<P>(),
            definition: instance.map(|instance| HandlerDefinition::of_publisher(P::NAME, instance)),
            name: P::NAME,
            kind: "publisher",
            method: "publisher",
        }
    }
}

impl HandlerDefinition {
    pub(crate) fn of_publisher<P: Publisher>(name: &str, instance: P) -> Self {
        Self {
            name: Arc::from(name),
            type_name: type_name::<P>(),
            start_from: P::START_FROM,
            strong: P::CONSISTENCY == HandlerConsistency::Strong,
            subscribe_to: P::SUBSCRIBE_TO,
            partitions: 1,
            pages: 1,
            keeps_state: false,
            schemas: <P::Event as EventSet>::schemas,
            types: |registry| EventFilter::types(registry.stored_names_of::<P::Event>()),
            start: Arc::new(Instance(Arc::new(instance))),
            role: Role::Handler,
            projection: None,
            inline: None,
            build: None,
        }
    }
}

struct Instance<P>(Arc<P>);

impl<P: Publisher> StartHandler for Instance<P> {
    fn run(&self, runner: HandlerRunner) -> BoxFuture<'static, ()> {
        let publisher = Arc::clone(&self.0);
        Box::pin(async move { runner.run(&mut Publishing(publisher)).await })
    }

    fn keys_of(&self, place: KeyPlace) -> Box<KeysOf> {
        let publishing = Publishing(Arc::clone(&self.0));
        Box::new(move |event| {
            let messages = publishing.messages(&place.registry, &place.handler, event, &place.context(event));
            let keys = |message: &Message| message.keys().map(str::to_owned);
            messages.map_or_else(
                |_| vec![event.stream_id.as_str().to_owned()],
                |all| all.iter().flat_map(keys).collect(),
            )
        })
    }
}

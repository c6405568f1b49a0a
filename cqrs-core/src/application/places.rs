use std::sync::Arc;

use tokio::sync::watch;

use crate::application::builder::Parts;
use crate::event::EventRegistry;
use crate::handler::partition::KeyPlace;
use crate::handler::spread::Spread;
use crate::handler::{
    Effects, Entry, HandlerControl, HandlerDefinition, HandlerProgress, Part, Partition, Partitioner, Waiters,
};
use crate::subscription::{Pages, Subscriber};

/// Where a handler, or one partition of it, runs, and what is seen of it from outside.
pub(crate) struct Place {
    pub(crate) definition: HandlerDefinition,
    pub(crate) partition: Partition,
    pub(crate) name: Arc<str>,
    pub(crate) subscriber: Arc<Subscriber>,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) control: Arc<HandlerControl>,
    pub(crate) progress: Arc<watch::Sender<HandlerProgress>>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) pages: Arc<Pages>,
    pub(crate) spread: Option<Arc<Spread>>,
}

/// The places of a handler's partitions, and its entry on the board.
pub(crate) fn places_of(
    definition: &HandlerDefinition,
    application: &Arc<str>,
    parts: &Parts,
    registry: &Arc<EventRegistry>,
) -> (Entry, Vec<Place>) {
    let filter = (definition.filter)(registry);
    let count = definition.partitions;
    let (store, size) = (Arc::clone(&parts.store), parts.config.tail_page.saturating_mul(definition.pages));
    let pages = Arc::new(Pages::new(store, filter.clone(), size, usize::from(count)));
    let effects = |name: &Arc<str>| Arc::new(Effects::new(Arc::clone(name), Arc::clone(&parts.checkpoints)));
    let partitioner = || {
        let key_of = definition.start.key_of(KeyPlace {
            registry: Arc::clone(registry),
            application: Arc::clone(application),
            handler: Arc::clone(&definition.name),
            effects: effects(&definition.name),
        });
        Arc::new(Partitioner::new(count, key_of))
    };
    let partitioner = (count > 1).then(partitioner);
    let spread = (count > 1).then(|| Arc::new(Spread::new(Arc::clone(&definition.name), count)));
    let place = |partition: Partition| {
        let name = partition.name(&definition.name);
        let subscriber = Subscriber::new(filter.clone());
        let subscriber = match partitioner.clone() {
            Some(partitioner) => subscriber.only(move |event| partitioner.is_of(event, partition)),
            None => subscriber,
        };
        Place {
            definition: definition.clone(),
            partition,
            subscriber: Arc::new(subscriber),
            waiters: Arc::default(),
            control: Arc::default(),
            progress: Arc::new(HandlerProgress::sender()),
            effects: effects(&name),
            pages: Arc::clone(&pages),
            spread: spread.clone(),
            name,
        }
    };
    let places: Vec<_> = Partition::all(count).map(place).collect();
    let part = |place: &Place| Part {
        name: Arc::clone(&place.name),
        subscriber: Arc::clone(&place.subscriber),
        waiters: Arc::clone(&place.waiters),
        control: Arc::clone(&place.control),
        progress: place.progress.subscribe(),
    };
    let entry = Entry {
        name: Arc::clone(&definition.name),
        strong: definition.strong,
        is_inline: definition.inline.is_some(),
        role: definition.role,
        filter,
        parts: places.iter().map(part).collect(),
    };
    (entry, places)
}

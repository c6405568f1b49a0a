use std::sync::Arc;

use tokio::sync::watch;

use crate::application::Core;
use crate::handler::partition::KeyPlace;
use crate::handler::spread::Spread;
use crate::handler::{
    Effects, HandlerControl, HandlerDefinition, HandlerProgress, KeysOf, Part, Partition, Partitioner,
    Waiters,
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

/// The places of a handler's partitions.
pub(crate) fn places_of(definition: &HandlerDefinition, core: &Core) -> Vec<Place> {
    let filter = definition.filter(&core.registry);
    let count = definition.partitions;
    let size = core.config.tail_page.saturating_mul(definition.pages);
    let pages = Arc::new(Pages::new(Arc::clone(&core.store), filter.clone(), size, usize::from(count)));
    let effects = |name: &Arc<str>| Arc::new(Effects::new(Arc::clone(name), Arc::clone(&core.checkpoints)));
    let partitioner = || Arc::new(Partitioner::new(count, keys_of(definition, core)));
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
    Partition::all(count).map(place).collect()
}

/// What tells the keys of a handler's events.
pub(crate) fn keys_of(definition: &HandlerDefinition, core: &Core) -> Box<KeysOf> {
    let handler = Arc::clone(&definition.name);
    definition.start.keys_of(KeyPlace {
        registry: Arc::clone(&core.registry),
        application: Arc::clone(&core.name),
        effects: Arc::new(Effects::new(Arc::clone(&handler), Arc::clone(&core.checkpoints))),
        handler,
    })
}

impl Place {
    /// As it is seen from outside.
    pub(crate) fn part(&self) -> Part {
        Part {
            name: Arc::clone(&self.name),
            subscriber: Arc::clone(&self.subscriber),
            waiters: Arc::clone(&self.waiters),
            control: Arc::clone(&self.control),
            progress: self.progress.subscribe(),
        }
    }
}

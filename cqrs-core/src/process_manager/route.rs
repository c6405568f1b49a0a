use std::collections::HashMap;
use std::sync::Arc;

use crate::event::{DecodeError, Decoded, EventContext, EventRegistry, decode};
use crate::panics;
use crate::process_manager::interest::invalid_instance;
use crate::process_manager::{ProcessManager, Role};
use crate::store::RecordedEvent;

/// What an event is to an instance.
pub(crate) enum Content<P: ProcessManager> {
    /// What the event was decoded to, and what that does to the instance.
    Events(Vec<(Role, P::Event)>),
    /// It could not be told what the event is, or whom it is for.
    Fault(Fault),
}

/// Why it cannot be told what an event is to anybody.
pub(crate) enum Fault {
    Undecodable,
    Panicked(String),
    /// An instance has a name that no database takes.
    InvalidInstance(String),
}

/// The instances that an event is for. One that cannot be told counts as one named like the event's stream.
pub(crate) fn route<P: ProcessManager>(
    registry: &EventRegistry,
    event: &RecordedEvent,
    context: &EventContext,
) -> Vec<(Arc<str>, Content<P>)> {
    let routed = panics::catch(|| {
        let mut order: Vec<Arc<str>> = Vec::new();
        let mut contents: HashMap<Arc<str>, Vec<(Role, P::Event)>> = HashMap::new();
        let decoded = decode::<P::Event, DecodeError>(registry, event, |decoded| {
            if let Decoded::Event(typed) = decoded {
                let interest = P::interest(&typed, context);
                for id in interest.instances {
                    let id: Arc<str> = id.into();
                    if !contents.contains_key(&id) {
                        order.push(Arc::clone(&id));
                    }
                    contents.entry(id).or_default().push((interest.role, typed.clone()));
                }
            }
            Ok(())
        });
        decoded.map(|()| {
            let content = |id: Arc<str>| contents.remove(&id).map(|events| (id, Content::Events(events)));
            order.into_iter().filter_map(content).collect::<Vec<_>>()
        })
    });
    let fault = match routed {
        Ok(Ok(routed)) => match invalid_instance(routed.iter().map(|(id, _)| &**id)) {
            Some(invalid) => Fault::InvalidInstance(invalid),
            None => return routed,
        },
        Ok(Err(_)) => Fault::Undecodable,
        Err(panic) => Fault::Panicked(panic),
    };
    vec![(event.stream_id.as_str().into(), Content::Fault(fault))]
}

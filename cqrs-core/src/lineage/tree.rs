use std::collections::HashMap;

use crate::id::CausationId;
use crate::store::RecordedEvent;

/// All that one message led to, directly and further on, as far as it was read.
#[derive(Clone, Debug)]
pub struct LineageTree {
    root: CausationId,
    nodes: Vec<LineageNode>,
    places: HashMap<CausationId, usize>,
    is_cut: bool,
}

/// An event in a [`LineageTree`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LineageNode {
    /// The event.
    pub event: RecordedEvent,
    /// The event that made a handler send this one's command, by its index among the nodes; `None` for an event without
    /// one in the tree: the root itself, or those of the command that is the root.
    pub cause: Option<usize>,
    /// How many events lie above.
    pub depth: usize,
}

impl LineageTree {
    pub(crate) fn new(root: CausationId) -> Self {
        Self { root, nodes: Vec::new(), places: HashMap::new(), is_cut: false }
    }

    /// The command or event that the tree was asked for.
    #[must_use]
    pub fn root(&self) -> CausationId {
        self.root
    }

    /// The events in the order of the log: a cause comes before its effects.
    #[must_use]
    pub fn nodes(&self) -> &[LineageNode] {
        &self.nodes
    }

    /// The direct effects of a node.
    pub fn effects_of(&self, index: usize) -> impl Iterator<Item = &LineageNode> {
        self.nodes.iter().filter(move |node| node.cause == Some(index))
    }

    /// Whether the tree has more events than were asked for.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Takes the next event of the log, if it belongs to the tree. False when it does, and there is no room for it.
    pub(crate) fn take(&mut self, event: RecordedEvent, limit: usize) -> bool {
        let command_cause = event.metadata.command_causation_id();
        let cause = command_cause.and_then(|id| self.places.get(&id).copied());
        let is_root = [Some(event.event_id.into()), Some(event.causation_id), command_cause];
        let is_root = is_root.contains(&Some(self.root));
        if cause.is_none() && !is_root {
            return true;
        }
        if self.nodes.len() >= limit {
            self.is_cut = true;
            return false;
        }
        let depth = cause.map_or(0, |cause| self.nodes[cause].depth + 1);
        self.places.insert(event.event_id.into(), self.nodes.len());
        // A caller may name a command as the cause of another one: its first event stands for it.
        self.places.entry(event.causation_id).or_insert(self.nodes.len());
        self.nodes.push(LineageNode { event, cause, depth });
        true
    }
}

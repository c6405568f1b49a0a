use std::sync::Arc;

use tokio::sync::watch;

use crate::application::core::Core;
use crate::subscription::Subscriber;

/// What a handler has of its application while anything of it runs: its name, and what the tail reads for it. It is given
/// back by the last one of its tasks, however that ends.
pub(crate) struct Attachment {
    core: Arc<Core>,
    name: Arc<str>,
    subscribers: Vec<Arc<Subscriber>>,
    running: watch::Sender<()>,
}

impl Attachment {
    /// Takes the name; `None` while another handler has it.
    pub(crate) fn of(core: &Arc<Core>, name: &Arc<str>) -> Option<Self> {
        let attachment = || Self {
            core: Arc::clone(core),
            name: Arc::clone(name),
            subscribers: Vec::new(),
            running: watch::Sender::new(()),
        };
        core.board.take_name(name).then(attachment)
    }

    /// Has the tail read for the handler; `head` is the end of the log.
    pub(crate) fn join(&mut self, subscribers: Vec<Arc<Subscriber>>, head: u64) {
        self.core.tail.join(&subscribers, head);
        self.subscribers.extend(subscribers);
    }

    /// Closed when nothing of the handler runs any more.
    pub(crate) fn running(&self) -> watch::Receiver<()> {
        self.running.subscribe()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.core.tail.leave(&self.subscribers);
        self.core.board.free_name(&self.name);
    }
}

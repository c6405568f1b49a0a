use crate::handler::{HandlerRunner, Tenure};
use crate::publisher::publishing::Publishing;
use crate::publisher::{Message, PublishError, Publisher};
use crate::store::RecordedEvent;

/// Events that become messages, and messages that wait to be confirmed.
pub(super) struct Queue<'a> {
    events: &'a [RecordedEvent],
    ready: Vec<Message>,
    /// All events up to here have become messages, or gave none.
    taken: u64,
    /// How many of the messages go one by one, since they failed together.
    alone: usize,
}

impl<'a> Queue<'a> {
    pub(super) fn new(events: &'a [RecordedEvent], position: u64) -> Self {
        Self { events, ready: Vec::new(), taken: position, alone: 0 }
    }

    /// Makes messages of events, as many as go at once, those that have to wait left out. The error is that the next
    /// event cannot be made a message; it is for later while others are in front of it.
    pub(super) fn fill<P: Publisher>(
        &mut self,
        publishing: &Publishing<P>,
        runner: &HandlerRunner,
        tenure: &Tenure,
    ) -> Result<(), PublishError<P::Error>> {
        let limits = publishing.0.limits();
        while let Some((event, rest)) = self.events.split_first() {
            if limits.is_reached(&self.ready) {
                break;
            }
            if event.position > self.taken && runner.subscriber.wants(event) {
                if tenure.parked.contains_key(event.stream_id.as_str()) {
                    runner.control.leave(event.position);
                } else {
                    self.ready.extend(publishing.messages_of(runner, event)?);
                    self.leave_waiting(runner, tenure);
                }
            }
            self.taken = self.taken.max(event.position);
            self.events = rest;
        }
        Ok(())
    }

    /// The messages that go at once.
    pub(super) fn batch<P: Publisher>(&self, publishing: &Publishing<P>) -> &[Message] {
        let count = match self.alone {
            0 => publishing.0.limits().count(&self.ready),
            _ => 1.min(self.ready.len()),
        };
        &self.ready[..count]
    }

    /// The event that could not be made a message.
    pub(super) fn faulty(&self) -> Option<&'a RecordedEvent> {
        self.events.first()
    }

    /// That event is not to be published, or only later.
    pub(super) fn pass_faulty(&mut self) {
        if let Some((event, rest)) = self.events.split_first() {
            self.taken = self.taken.max(event.position);
            self.events = rest;
        }
    }

    /// The first messages are done with.
    pub(super) fn remove(&mut self, count: usize) {
        self.ready.drain(..count);
        self.alone = self.alone.saturating_sub(count);
    }

    /// The first messages failed together, and have to be told apart.
    pub(super) fn go_alone(&mut self, count: usize) {
        self.alone = count;
    }

    /// Leaves out what waits behind a parked key.
    pub(super) fn leave_waiting(&mut self, runner: &HandlerRunner, tenure: &Tenure) {
        if tenure.parked.is_empty() {
            return;
        }
        self.ready.retain(|message| {
            let waits = message.keys().iter().any(|key| tenure.parked.contains_key(*key));
            if waits {
                runner.control.leave(message.position);
            }
            !waits
        });
    }

    /// Up to where everything is confirmed, parked or skipped.
    pub(super) fn reached(&self) -> u64 {
        self.ready.first().map_or(self.taken, |message| message.position - 1)
    }
}

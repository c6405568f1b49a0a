use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::application::{Application, Core, Running};
use crate::command::Command;
use crate::event::{EventContext, Metadata};
use crate::handler::{Effects, OnceError, is_key, label_of};
use crate::id::{CausationId, CorrelationId};
use crate::process_manager::Sending;
use crate::process_manager::command::Content;
use crate::process_manager::sending::{Draft, Unkeepable, content};
use crate::process_manager::timer::TimerChange;

/// An instance of a process manager at work: what it is told, and what it wants to happen.
///
/// What is asked for here happens when the method has ended well, and its outcome is written down.
#[derive(Debug)]
pub struct Process {
    pub(crate) instance: Arc<str>,
    pub(crate) event: Option<EventContext>,
    pub(crate) cause: Cause,
    pub(crate) now: DateTime<Utc>,
    pub(crate) core: Weak<Core>,
    pub(crate) effects: Arc<Effects>,
    pub(crate) wanted: Wanted,
}

/// What the commands of a step inherit.
#[derive(Clone, Debug)]
pub(crate) struct Cause {
    pub(crate) causation_id: CausationId,
    pub(crate) correlation_id: CorrelationId,
    pub(crate) metadata: Metadata,
}

/// What an instance wants to happen.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) timers: Vec<TimerChange>,
    pub(crate) is_stopped: bool,
    /// The first of it that cannot be written down.
    pub(crate) fault: Option<Unkeepable>,
}

impl Process {
    /// The identity of the instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The event that is handled, or has failed; `None` when it is something else.
    #[must_use]
    pub fn event(&self) -> Option<&EventContext> {
        self.event.as_ref()
    }

    /// What time it is, by the application's clock.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// What the instance's commands belong together with.
    #[must_use]
    pub fn correlation_id(&self) -> CorrelationId {
        self.cause.correlation_id
    }

    /// What the caller and the middleware attached to what led here; commands inherit it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.cause.metadata
    }

    /// The application that the process manager runs in, to look something up. Commands are better sent with
    /// [`Process::send`]: those that are dispatched here are carried out again when the event is.
    #[must_use]
    pub fn app<A: Application>(&self) -> Option<A> {
        Running::inside(self.core.upgrade()?).map(A::from_running)
    }

    /// Sends a command, behind the earlier ones of the instance. It is caused by the event, belongs together with it,
    /// and inherits its metadata; its id comes from the instance and the event.
    ///
    /// ```
    /// # use cqrs_core::command::Command;
    /// # use cqrs_core::process_manager::Process;
    /// fn withdraw(process: &mut Process, withdraw: impl Command, deposit_back: impl Command) {
    ///     process.send(withdraw).compensate(deposit_back).metadata("reason", "transfer");
    /// }
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away, as to a dispatch")]
    pub fn send<C: Command>(&mut self, command: C) -> Sending<'_> {
        let Wanted { drafts, fault, .. } = &mut self.wanted;
        let draft = Draft::of(&command, fault);
        let at = drafts.len();
        drafts.extend(draft);
        Sending { fault, draft: drafts.get_mut(at) }
    }

    /// Has [`on_deadline`](crate::process_manager::ProcessManager::on_deadline) called at a time, by the application's
    /// clock, once, on whichever node runs the process manager then. A deadline or scheduled command of the same name is
    /// replaced. Events that were stored before that time are handled first. A name of more than 255 bytes, or with a
    /// NUL character, makes what is handled fail.
    pub fn deadline(&mut self, name: impl Into<String>, at: DateTime<Utc>) {
        self.set(name.into(), at, None);
    }

    /// [`Process::deadline`] after some time from now.
    pub fn deadline_in(&mut self, name: impl Into<String>, time: Duration) {
        let at = after(self.now, time);
        self.deadline(name, at);
    }

    /// Has a command sent at a time, by the application's clock, once, on whichever node runs the process manager then.
    /// A deadline or scheduled command of the same name is replaced.
    #[expect(clippy::needless_pass_by_value, reason = "a command is given away, as to a dispatch")]
    pub fn schedule<C: Command>(&mut self, name: impl Into<String>, command: C, at: DateTime<Utc>) {
        if let Some(content) = content(&command, &mut self.wanted.fault) {
            self.set(name.into(), at, Some(content));
        }
    }

    /// [`Process::schedule`] after some time from now.
    pub fn schedule_in<C: Command>(&mut self, name: impl Into<String>, command: C, time: Duration) {
        let at = after(self.now, time);
        self.schedule(name, command, at);
    }

    /// Cancels a deadline or a scheduled command; there need not be one of that name.
    pub fn cancel(&mut self, name: impl Into<String>) {
        let name = name.into();
        // There is none of another one, and that it could not be looked for must not be in the way.
        if is_key(&name) {
            self.wanted.timers.push(TimerChange::Cancel { name });
        }
    }

    fn set(&mut self, name: String, due_at: DateTime<Utc>, command: Option<Content>) {
        match is_key(&name) {
            true => self.wanted.timers.push(TimerChange::Set { name, due_at, command }),
            false => drop(self.wanted.fault.get_or_insert(Unkeepable::Timer { name })),
        }
    }

    /// Ends the instance: its state, deadlines and scheduled commands are gone. Commands that it has sent are carried
    /// out all the same.
    pub fn stop(&mut self) {
        self.wanted.is_stopped = true;
    }

    /// [`EventContext::once`] for process managers. Outside of an event nothing is noted down: the effect is made each
    /// time.
    ///
    /// # Errors
    /// When the effect fails, its result is no JSON, or the store cannot be reached.
    ///
    /// # Cancel safety
    /// As [`EventContext::once`].
    pub async fn once<T, E, F>(&self, label: &str, effect: impl FnOnce() -> F) -> Result<T, OnceError<E>>
    where
        T: Serialize + DeserializeOwned,
        E: std::error::Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        match &self.event {
            Some(event) => {
                let label = label_of(&self.instance, label);
                self.effects.once(event.position(), event.ordinal, &label, effect).await
            }
            None => effect().await.map_err(|source| OnceError::Failed { label: label.to_owned(), source }),
        }
    }
}

/// Some time from now, within what a date can tell.
fn after(now: DateTime<Utc>, time: Duration) -> DateTime<Utc> {
    let time = chrono::Duration::from_std(time).ok();
    time.and_then(|time| now.checked_add_signed(time)).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

//! Handlers that come and go while their application runs.

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::ambient::Ambient;
use crate::application::attachment::Attachment;
use crate::application::check::check_handler;
use crate::application::{
    AddHandlerError, Application, ApplicationState, Core, RemoveHandlerError, Running, StartError, attach,
};
use crate::handler::{Entry, EventHandler, HandlerDefinition, HandlerHandle, SubscribeTo};
use crate::process_manager::{ProcessManager, ProcessManagerHandle};
use crate::projection::{self, Projection, ProjectionHandle};
use crate::publisher::Publisher;

/// How long it may take until a handler that is ended has ended.
const CUT_OFF: Duration = Duration::from_secs(1);

impl<A: Application> Running<A> {
    /// Adds an event handler while the application runs, under [its own name](EventHandler::NAME). It prepares itself first
    /// ([`EventHandler::init`]) and begins where its name had come to, or where it says
    /// ([`EventHandler::START_FROM`]) when there is no such place. No event is missed in between, and none comes twice
    /// because of it. From then on it is like those that the application was started with, strong dispatches that
    /// begin later included.
    ///
    /// It is added on this node alone: other nodes run it when it is added there, one of them at a time.
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # use cqrs_core::handler::EventHandler;
    /// # async fn example<A: Application>(bank: A, webhook: impl EventHandler) -> Result<(), Box<dyn std::error::Error>> {
    /// bank.add_event_handler_as("webhook-of-acme", webhook).await?;
    /// // Later, when nobody wants it any more:
    /// bank.remove_handler("webhook-of-acme").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the name is taken, the handler cannot be prepared or is put together wrongly, the application does not know its
    /// events or is stopping, or the store fails. Nothing has changed then.
    ///
    /// # Cancel safety
    /// When the future is dropped, the handler is either added or not at all.
    pub async fn add_event_handler<H: EventHandler>(
        &self,
        handler: H,
    ) -> Result<HandlerHandle<'_>, AddHandlerError> {
        self.add_event_handler_as(H::NAME, handler).await
    }

    /// [`Running::add_event_handler`] under a name of its own, so that several instances of one type can run.
    ///
    /// # Errors
    /// As there.
    pub async fn add_event_handler_as<H: EventHandler>(
        &self,
        name: &str,
        handler: H,
    ) -> Result<HandlerHandle<'_>, AddHandlerError> {
        self.add(HandlerDefinition::new(name, handler)).await
    }

    /// [`Running::add_event_handler_as`] with another subscription than [its own](EventHandler::SUBSCRIBE_TO), such as what
    /// one command led to. A name goes with one subscription, on all nodes that add it.
    ///
    /// It is meant for a few at a time, each of which has a place, a lease and figures of its own. Who only looks on and
    /// need not go on after a crash has less to carry with [`Follow`](crate::subscription::Follow).
    ///
    /// ```no_run
    /// # use cqrs_core::application::Application;
    /// # use cqrs_core::handler::EventHandler;
    /// # use cqrs_core::id::CorrelationId;
    /// # async fn example<A: Application>(
    /// #     bank: A,
    /// #     progress: impl EventHandler,
    /// #     correlation_id: CorrelationId,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// use cqrs_core::handler::SubscribeTo;
    ///
    /// let name = format!("progress-{correlation_id}");
    /// bank.add_event_handler_to(&name, SubscribeTo::Correlation(correlation_id), progress).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As there.
    pub async fn add_event_handler_to<H: EventHandler>(
        &self,
        name: &str,
        subscribe_to: SubscribeTo,
        handler: H,
    ) -> Result<HandlerHandle<'_>, AddHandlerError> {
        self.add(HandlerDefinition { subscribe_to, ..HandlerDefinition::new(name, handler) }).await
    }

    /// Adds a process manager while the application runs, as [`Running::add_event_handler`] does.
    ///
    /// # Errors
    /// As there.
    pub async fn add_process_manager<P: ProcessManager>(
        &self,
    ) -> Result<ProcessManagerHandle<'_>, AddHandlerError> {
        self.add(HandlerDefinition::of_process_manager::<P>()).await.map(ProcessManagerHandle::new)
    }

    /// Adds a projection while the application runs, as [`Running::add_event_handler`] does.
    ///
    /// # Errors
    /// As there; also for an inline projection.
    pub async fn add_projection<P: Projection>(
        &self,
        projection: P,
    ) -> Result<ProjectionHandle<'_>, AddHandlerError> {
        self.add_projection_as(P::NAME, projection).await
    }

    /// [`Running::add_projection`] under a name of its own, so that several instances of one type can run, each with rows of
    /// its own.
    ///
    /// # Errors
    /// As there.
    pub async fn add_projection_as<P: Projection>(
        &self,
        name: &str,
        projection: P,
    ) -> Result<ProjectionHandle<'_>, AddHandlerError> {
        let entry = self.core().add_handler(projection::definition(name, projection)).await?;
        let handle = ProjectionHandle::new(self.core(), entry);
        Ok(handle.unwrap_or_else(|| unreachable!("the definition of a projection says that it is one")))
    }

    /// Adds a publisher while the application runs, as [`Running::add_event_handler`] does.
    ///
    /// # Errors
    /// As there.
    pub async fn add_publisher<P: Publisher>(
        &self,
        publisher: P,
    ) -> Result<HandlerHandle<'_>, AddHandlerError> {
        self.add_publisher_as(P::NAME, publisher).await
    }

    /// [`Running::add_publisher`] under a name of its own, so that several instances of one type can run. The ids of its
    /// messages follow from this name.
    ///
    /// # Errors
    /// As there.
    pub async fn add_publisher_as<P: Publisher>(
        &self,
        name: &str,
        publisher: P,
    ) -> Result<HandlerHandle<'_>, AddHandlerError> {
        self.add(HandlerDefinition::of_publisher(name, publisher)).await
    }

    async fn add(&self, definition: HandlerDefinition) -> Result<HandlerHandle<'_>, AddHandlerError> {
        let entry = self.core().add_handler(definition).await?;
        Ok(HandlerHandle::new(self.core(), entry))
    }
}

impl<A> Running<A> {
    /// Removes a handler, of whichever kind and however it came, from this node: it finishes the event that it is at, saves how
    /// far it came, and gives its lease back, so that another node may go on. What it keeps in the store stays: when it is
    /// added again, it goes on where it was. To have it forgotten, [reset](HandlerHandle::reset) it before.
    ///
    /// Waits until nothing of it runs any more, at most as long as a shutdown takes
    /// ([`Config::shutdown_deadline`](crate::application::Config::shutdown_deadline)). A handler that removes itself is not
    /// waited for. Dispatches that are waiting for the handler are told that it has stopped.
    ///
    /// # Errors
    /// When there is none of this name, it is an inline projection, or it did not finish its event in time.
    ///
    /// # Cancel safety
    /// When the future is dropped, the handler stops all the same. Its name is free when it has.
    pub async fn remove_handler(&self, name: &str) -> Result<(), RemoveHandlerError> {
        self.core().remove_handler(name).await
    }
}

impl Core {
    async fn add_handler(
        self: &Arc<Self>,
        definition: HandlerDefinition,
    ) -> Result<Arc<Entry>, AddHandlerError> {
        let (application, name) = (|| self.name().to_owned(), Arc::clone(&definition.name));
        let handler = || name.as_ref().to_owned();
        let not_running = |state| AddHandlerError::NotRunning { application: application(), state };
        // It counts as a dispatch: a shutdown waits for it as long as for those.
        let _admitted = self.admit(None).map_err(not_running)?;
        self.check_new(&definition)?;
        let Some(attachment) = Attachment::of(self, &name) else {
            return Err(AddHandlerError::NameTaken { application: application(), handler: handler() });
        };
        let stopped = || not_running(ApplicationState::ShuttingDown);
        let begun = async {
            definition.init(self.name(), self.config.handling_limit).await?;
            let unread = |source| StartError::Store { application: application(), source };
            let head = self.store.head().await.map_err(unread)?;
            let ready = attach::place(self, &definition, attachment, head);
            attach::begin(self, slice::from_ref(&ready)).await?;
            Ok::<_, StartError>(ready)
        };
        let ready = self.stop_handlers.run_until_cancelled(begun).await.ok_or_else(stopped)??;
        let entry = Arc::clone(&ready.entry);
        if !attach::run(self, vec![ready]).await {
            return Err(stopped());
        }
        tracing::info!(cqrs.application = self.name(), cqrs.handler = &*name, "handler added");
        Ok(entry)
    }

    fn check_new(&self, definition: &HandlerDefinition) -> Result<(), AddHandlerError> {
        let (application, handler) = (self.name().to_owned(), definition.name.as_ref().to_owned());
        let mut faults = Vec::new();
        check_handler(definition, &mut faults);
        if !faults.is_empty() {
            return Err(AddHandlerError::Invalid { application, handler, faults });
        }
        if definition.inline.is_some() {
            return Err(AddHandlerError::Inline { application, handler });
        }
        let unknown = (definition.schemas)().into_iter().filter(|schema| !self.registry.knows(schema));
        let events: Vec<_> = unknown.map(|schema| schema.name).collect();
        match events.is_empty() {
            true => Ok(()),
            false => Err(AddHandlerError::UnknownEvents { application, handler, events }),
        }
    }

    async fn remove_handler(&self, name: &str) -> Result<(), RemoveHandlerError> {
        let (application, handler) = (|| self.name().to_owned(), || name.to_owned());
        let Some(entry) = self.board.remove(name, |entry| !entry.is_inline) else {
            return Err(match self.board.get(name) {
                Some(_) => RemoveHandlerError::Inline { application: application(), handler: handler() },
                None => RemoveHandlerError::Unknown { application: application(), handler: handler() },
            });
        };
        entry.stop.cancel();
        let own = Ambient::current().and_then(|ambient| ambient.handler);
        if own.is_some_and(|own| self.owns(&own) && *own.name == *name) {
            return Ok(());
        }
        let limit = self.config.shutdown_deadline;
        if timeout(limit, entry.ended()).await.is_err() {
            entry.cut_off.cancel();
            // A handler that never gives its thread back cannot be ended.
            let _ = timeout(CUT_OFF, entry.ended()).await;
            return Err(RemoveHandlerError::CutOff { application: application(), handler: handler(), limit });
        }
        tracing::info!(cqrs.application = self.name(), cqrs.handler = name, "handler removed");
        Ok(())
    }
}

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::audit::{AuditError, AuditOutcome, AuditRecord, AuditStore};
use crate::clock::{Clock, SystemClock};
use crate::command::Redaction;
use crate::error_text::error_text;
use crate::event::Metadata;
use crate::handler::storable;
use crate::id::AuditId;
use crate::middleware::{DispatchContext, DispatchFailure, DispatchOutcome, Halt, Middleware};
use crate::store::StoreError;

/// Keeps an audit: a record is written before the command is dispatched, and completed when that has ended. A command
/// whose record cannot be written is refused.
///
/// Put it outside of the layers whose refusals shall be recorded, and inside of those that tell who the actor is. The record
/// tells the command as it was when it came to this layer.
///
/// What a command redacts ([`Command::REDACTION`](crate::command::Command::REDACTION), `#[command(redact = [..])]`) is
/// never written, neither is what has one of the names of [`Audit::redact`], at any depth of the command and its metadata.
/// The texts of errors are written as they are: an error that shows a secret shows it to the audit as well.
///
/// The commands of handlers, process managers and schedules are recorded like any other, with the message that caused them.
/// Those of a process manager have the metadata of its event, so that the actor is who began it; those of an event handler
/// and of a schedule have what is attached to them.
///
/// A dispatch whose caller stopped waiting, whose process ended, or whose record could not be completed leaves its record
/// open; the latter is logged, since the events are stored by then.
///
/// ```no_run
/// # use cqrs_core::application::{Application, StartError};
/// # use cqrs_core::audit::AuditStore;
/// # use cqrs_core::store::Store;
/// # async fn example<Bank: Application, S: Store + AuditStore + Clone>(
/// #     store: S,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_core::audit::{AuditQuery, AuditStatus, AuditStore as _};
/// use cqrs_core::middleware::Audit;
///
/// let audit = Audit::new(store.clone()).actor_from("user");
/// let bank = Bank::builder(store.clone()).middleware(audit).start().await?;
///
/// let failed = AuditQuery::new().status(AuditStatus::Failed);
/// for record in store.audit(&failed, None, 100).await? {
///     println!("{} {} by {:?}", record.occurred_at, record.command, record.actor);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Audit {
    store: Arc<dyn AuditStore>,
    actor: String,
    redacted: HashSet<String>,
    is_required: bool,
    clock: Arc<dyn Clock>,
}

/// The records of a dispatch that the layers of this kind have begun, the outermost first.
#[derive(Clone, Default)]
struct Begun(Vec<AuditId>);

/// Why a command was refused by [`Audit`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotAudited {
    /// The record could not be written.
    #[error("the command could not be recorded")]
    Store(#[from] StoreError),
    /// The command has no JSON form.
    #[error("the command could not be recorded: it has no JSON form")]
    Json(#[from] serde_json::Error),
}

impl Audit {
    /// The name of the metadata entry that tells the actor, unless another one is given.
    pub const ACTOR: &'static str = "actor";

    /// What is redacted by its name, unless other names are given.
    pub const REDACTED: [&'static str; 3] = ["password", "password_confirmation", "secret"];

    /// An audit that is kept in this store.
    #[must_use]
    pub fn new(store: impl AuditStore) -> Self {
        Self {
            store: Arc::new(store),
            actor: Self::ACTOR.to_owned(),
            redacted: Self::REDACTED.map(str::to_owned).into(),
            is_required: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// The name of the metadata entry that tells the actor; `"actor"` unless set. A text is taken as it is, anything else
    /// as JSON.
    #[must_use]
    pub fn actor_from(mut self, name: impl Into<String>) -> Self {
        self.actor = name.into();
        self
    }

    /// The names of fields, in any command and in the metadata, whose values are never written, whatever their upper and
    /// lower case; [`Audit::REDACTED`] unless set.
    #[must_use]
    pub fn redact(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.redacted = names.into_iter().map(|name| name.as_ref().to_lowercase()).collect();
        self
    }

    /// Lets commands through whose record cannot be written, and logs an error. Without this they are refused, with
    /// [`NotAudited`] as the source of [`DispatchError::Halted`](crate::dispatch::DispatchError::Halted).
    #[must_use]
    pub fn best_effort(mut self) -> Self {
        self.is_required = false;
        self
    }

    /// The clock that records are stamped with; [`SystemClock`] unless set.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    async fn begin(&self, id: AuditId, context: &DispatchContext) -> Result<(), NotAudited> {
        let record = self.record(id, context)?;
        Ok(self.store.begin_audit(record).await?)
    }

    fn record(&self, id: AuditId, context: &DispatchContext) -> Result<AuditRecord, NotAudited> {
        let mut data = context.command().to_redacted_json()?;
        self.redact_names(&mut data);
        let actor = context.metadata().get(&self.actor).map(|actor| match actor {
            Value::String(actor) => storable(actor.clone()),
            other => other.to_string(),
        });
        let mut metadata = Value::Object(Map::from(context.metadata().clone()));
        self.redact_names(&mut metadata);
        Ok(AuditRecord {
            id,
            command_id: context.command_id(),
            causation_id: context.causation_id(),
            correlation_id: context.correlation_id(),
            occurred_at: self.clock.now(),
            command: context.command().name().to_owned(),
            data,
            metadata: match metadata {
                Value::Object(entries) => Metadata::from(entries),
                _ => Metadata::new(),
            },
            actor,
            outcome: None,
        })
    }

    fn redact_names(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    if self.redacted.contains(&name.to_lowercase()) {
                        *field = Redaction::MARK.into();
                    } else {
                        self.redact_names(field);
                    }
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(|element| self.redact_names(element)),
            _ => {}
        }
    }

    async fn end(&self, context: &mut DispatchContext, error: Option<AuditError>) {
        let Some(id) = context.extensions_mut().get_mut::<Begun>().and_then(|begun| begun.0.pop()) else {
            return;
        };
        let outcome = AuditOutcome { duration: context.elapsed(), error };
        if let Err(error) = self.store.end_audit(id, outcome).await {
            tracing::error!(
                cqrs.command = context.command().name(),
                cqrs.command_id = %context.command_id(),
                error = error_text(&error),
                "the audit record could not be completed"
            );
        }
    }
}

impl Middleware for Audit {
    async fn before_dispatch(&self, context: &mut DispatchContext) -> Result<(), Halt> {
        let id = AuditId::new();
        // Noted down first: this layer is left, and takes its id away again, however it was entered.
        if context.extensions().get::<Begun>().is_none() {
            context.extensions_mut().insert(Begun::default());
        }
        if let Some(begun) = context.extensions_mut().get_mut::<Begun>() {
            begun.0.push(id);
        }
        match self.begin(id, context).await {
            Ok(()) => Ok(()),
            Err(error) if self.is_required => Err(Halt::refuse(error)),
            Err(error) => {
                tracing::error!(
                    cqrs.command = context.command().name(),
                    cqrs.command_id = %context.command_id(),
                    error = error_text(&error),
                    "the audit record could not be written"
                );
                Ok(())
            }
        }
    }

    async fn after_dispatch(&self, context: &mut DispatchContext, _outcome: &DispatchOutcome) {
        self.end(context, None).await;
    }

    async fn after_failure(&self, context: &mut DispatchContext, failure: &DispatchFailure<'_>) {
        let error =
            AuditError { kind: failure.kind.as_str().to_owned(), text: storable(error_text(failure.error)) };
        self.end(context, Some(error)).await;
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Audit")
            .field("store", &self.store)
            .field("actor", &self.actor)
            .field("is_required", &self.is_required)
            .finish_non_exhaustive()
    }
}

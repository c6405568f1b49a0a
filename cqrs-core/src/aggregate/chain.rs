use std::error::Error;
use std::sync::Arc;

use crate::BoxError;
use crate::aggregate::failure::{store_error, unknown};
use crate::aggregate::instance::{Instance, Loaded};
use crate::aggregate::{Aggregate, AggregateRuntime, Job, Order};
use crate::dispatch::DispatchError;
use crate::panics;
use crate::projection::{InlineError, RowsNotReady};
use crate::store::{Append, AppendError, Appended, StoreError, StreamId, StreamWrite};
use crate::telemetry::append::Appending;

/// Commands that are appended together, so that an aggregate for which many wait is not held to one append a command.
///
/// Each is decided on the state that those before it will leave. Nobody sees that state, nor a reply, before the store
/// said yes; when it says anything else, the decisions are thrown away and the commands are run one by one.
pub(crate) struct Chain<A: Aggregate> {
    pub(crate) links: Vec<Link<A>>,
    /// One for each link, until they are sent.
    appends: Vec<Append>,
    bytes: usize,
}

/// A command of a [`Chain`]. It has taken the right to append.
pub(crate) struct Link<A: Aggregate> {
    pub(crate) job: Job<A>,
    pub(crate) events: Vec<A::Event>,
    /// The state that it leaves.
    pub(crate) after: Loaded<A>,
}

/// What became of a chain: in any case the same for all of it.
pub(crate) enum Fate {
    /// It is stored, with these outcomes.
    Stored(Vec<Appended>),
    /// Nothing is stored, and each command may append anew.
    NotStored,
    /// The same, since another writer was first and left the stream at this version.
    Overtaken(u64),
    /// The store has gone: running the commands again would be in vain, or might store them twice.
    Failed(Failure),
}

/// What is told to each of the callers.
pub(crate) enum Failure {
    /// Nothing is stored.
    Unavailable(SharedError),
    /// Nothing is stored, since the rows of an inline projection are not ready.
    NotReady(String, RowsNotReady),
    /// It may be stored.
    Unknown(SharedError),
}

type SharedError = Arc<dyn Error + Send + Sync>;

/// A command that makes a chain this large is its last.
const MAX_BYTES: usize = 1024 * 1024;

/// What an event weighs beside its payload, about.
const EVENT_BYTES: usize = 256;

impl<A: Aggregate> AggregateRuntime<A> {
    /// The chain that begins with `first`, and the command that ended it, if one did. It may have no link.
    ///
    /// A chain is for commands that are sure to be simple. What is refused or decides nothing has to be decided on a
    /// committed state; what may be a repetition, panics, has to wait or is too late has its own ways to end. All that is
    /// left to the ordinary path.
    pub(crate) fn chain(
        &self,
        instance: &Instance<A>,
        known: &Loaded<A>,
        first: Job<A>,
    ) -> (Chain<A>, Option<Job<A>>) {
        let mut chain = Chain { links: Vec::new(), appends: Vec::new(), bytes: 0 };
        let mut next = Some(first);
        while let Some(job) = next {
            let current = chain.links.last().map_or(known, |link| &link.after);
            let decide = || panics::catch(|| self.link(&instance.stream_id, current, &job));
            let Ok(Some((append, events, after))) = job.order.span.in_scope(decide) else {
                return (chain, Some(job));
            };
            chain.bytes += size_of(&append);
            chain.appends.push(append);
            chain.links.push(Link { job, events, after });
            let is_full =
                chain.links.len() >= self.environment.commands_per_append || chain.bytes >= MAX_BYTES;
            next = if is_full { None } else { instance.take() };
        }
        (chain, None)
    }

    /// Decides one command of a chain; `None` when it cannot be in one. Taking the right to append is the last step:
    /// from then on its caller, should it give up, is told that the outcome is unknown.
    fn link(
        &self,
        stream_id: &StreamId,
        current: &Loaded<A>,
        Job { order, reply }: &Job<A>,
    ) -> Option<(Append, Vec<A::Event>, Loaded<A>)> {
        let is_as_expected = order.expected_version.is_none_or(|expected| expected == current.version);
        if order.is_keyed || reply.is_closed() || order.is_late() || !is_as_expected {
            return None;
        }
        let (events, changed) = self.decide_at_once(stream_id, current, order)?;
        if events.is_empty() {
            return None;
        }
        let append = self.append_of(stream_id, current, order, &events, changed.as_ref()).ok()?;
        let after = current.after(&events, changed);
        order.progress.begin_append().then_some((append, events, after))
    }

    /// Appends a chain, and finds out what became of it.
    pub(crate) async fn append_chain(&self, stream_id: &StreamId, chain: &mut Chain<A>) -> Fate {
        let sent = panics::catch_async(self.send(stream_id, chain)).await;
        let fate =
            sent.unwrap_or_else(|message| Fate::Failed(Failure::Unknown(BoxError::from(message).into())));
        if let Fate::NotStored
        | Fate::Overtaken(_)
        | Fate::Failed(Failure::Unavailable(_) | Failure::NotReady(..)) = fate
        {
            chain.orders().for_each(|order| order.progress.nothing_stored());
        }
        fate
    }

    async fn send(&self, stream_id: &StreamId, chain: &mut Chain<A>) -> Fate {
        // The decisions of the others may have taken their time.
        if self.environment.is_closed() || chain.orders().any(Order::is_late) {
            return Fate::NotStored;
        }
        let events = chain.links.iter().map(|link| link.events.len()).sum();
        let dispatches = chain.links.iter().map(|link| &link.job.order.span);
        let appending = Appending::of_many::<A>(&self.environment, stream_id, events, dispatches);
        match appending.observe(self.environment.append_all(std::mem::take(&mut chain.appends))).await {
            Ok(appended) => Fate::Stored(appended),
            Err(AppendError::WrongExpectedVersion { actual, .. }) => {
                tracing::debug!(
                    cqrs.stream_id = %stream_id,
                    "another writer was first"
                );
                Fate::Overtaken(actual)
            }
            Err(AppendError::OutcomeUnknown { source, .. }) => self.find_out(chain, source).await,
            Err(error @ AppendError::AlreadyAppended { .. }) => self.find_out(chain, error.into()).await,
            Err(AppendError::Store(StoreError::Unavailable(source))) => {
                Fate::Failed(Failure::Unavailable(source.into()))
            }
            Err(AppendError::NotProjected { projection, source }) => match *source {
                InlineError::NotReady(reason) => Fate::Failed(Failure::NotReady(projection, reason)),
                // Whose events it is that cannot be projected shows when each goes by itself.
                _ => Fate::NotStored,
            },
            Err(_) => Fate::NotStored,
        }
    }

    /// What became of a chain that the store lost sight of. One that is not stored by now may still be on its way.
    async fn find_out(&self, chain: &Chain<A>, reason: BoxError) -> Fate {
        let mut outcomes = Vec::with_capacity(chain.links.len());
        for order in chain.orders() {
            match self.environment.store.outcome(order.append_id).await {
                Ok(Some(appended)) => outcomes.push(appended),
                Ok(None) | Err(_) => return Fate::Failed(Failure::Unknown(reason.into())),
            }
        }
        Fate::Stored(outcomes)
    }
}

impl<A: Aggregate> Chain<A> {
    fn orders(&self) -> impl Iterator<Item = &Order<A>> {
        self.links.iter().map(|link| &link.job.order)
    }
}

impl Failure {
    /// What it means for one of the commands.
    pub(crate) fn of<A: Aggregate>(&self, order: &Order<A>, stream_id: &StreamId) -> DispatchError<A::Error> {
        match self {
            Self::Unavailable(source) => {
                let error = StoreError::Unavailable(Box::new(Arc::clone(source)));
                store_error(order.command_id, stream_id, error.into())
            }
            Self::NotReady(projection, reason) => {
                let (projection, source) = (projection.clone(), Box::new(reason.clone().into()));
                store_error(order.command_id, stream_id, AppendError::NotProjected { projection, source })
            }
            Self::Unknown(source) => unknown(order, stream_id, Box::new(Arc::clone(source))),
        }
    }
}

/// What an append weighs, about.
fn size_of(append: &Append) -> usize {
    let of_write = |write: &StreamWrite| match write {
        StreamWrite::Events { events, .. } => {
            events.iter().map(|event| EVENT_BYTES + event.data.len()).sum::<usize>()
        }
        StreamWrite::State { data, .. } => data.len(),
    };
    append.writes.iter().map(of_write).sum()
}

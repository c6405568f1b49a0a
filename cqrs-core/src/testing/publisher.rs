use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::event::EventSet;
use crate::handler::{ErrorAction, HandlerConsistency};
use crate::publisher::{BatchLimits, Confirmed, Message, PublishFailure, Publisher};

/// A publisher and its broker: it keeps messages in memory, and fails when it is told to. Strong dispatches wait for it.
///
/// Clones are one broker: give one to the application, or one after the other to several, and look into another.
///
/// ```no_run
/// # use cqrs_core::application::Application;
/// # use cqrs_core::event::EventSet;
/// # async fn example<Bank: Application, Opened: EventSet>(store: impl cqrs_core::store::Store) -> Result<(), Box<dyn std::error::Error>> {
/// use cqrs_core::testing::TestPublisher;
///
/// let broker = TestPublisher::<Opened>::new();
/// broker.fail_before("away").fail_after("connection lost");
/// let bank = Bank::builder(store).publisher(broker.clone()).start().await?;
/// // One attempt reaches nobody, one is not confirmed, and the third one is.
/// let messages = broker.received(2).await;
/// assert_eq!(messages[0].id, messages[1].id);
/// # Ok(())
/// # }
/// ```
pub struct TestPublisher<E> {
    broker: Arc<Broker>,
    limits: BatchLimits,
    events: PhantomData<fn() -> E>,
}

/// Why a [`TestPublisher`] did not publish.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TestPublishError {
    /// It was told to fail.
    #[error("{0}")]
    Told(String),
    /// It was told to refuse a message among those.
    #[error("refused")]
    Refused,
}

type Predicate = Box<dyn Fn(&Message) -> bool + Send>;
type Decision = Box<dyn Fn(&PublishFailure<TestPublishError>) -> ErrorAction + Send>;

struct Broker {
    messages: watch::Sender<Vec<Message>>,
    batches: Mutex<Vec<usize>>,
    script: Mutex<VecDeque<Act>>,
    refuses: Mutex<Option<Predicate>>,
    on_error: Mutex<Option<Decision>>,
}

enum Act {
    FailBefore(String),
    FailAfter(String),
    ConfirmFirst(usize),
}

impl<E: EventSet> TestPublisher<E> {
    /// A broker that has nothing yet, and takes everything.
    #[must_use]
    pub fn new() -> Self {
        let broker = Broker {
            messages: watch::Sender::new(Vec::new()),
            batches: Mutex::default(),
            script: Mutex::default(),
            refuses: Mutex::default(),
            on_error: Mutex::default(),
        };
        Self { broker: Arc::new(broker), limits: BatchLimits::new(), events: PhantomData }
    }

    /// Sets how many messages are published at once; as with every publisher unless set.
    #[must_use]
    pub fn limits(mut self, limits: BatchLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what becomes of messages that were not published; as with every publisher unless set.
    #[must_use]
    pub fn on_error(
        self,
        decide: impl Fn(&PublishFailure<TestPublishError>) -> ErrorAction + Send + 'static,
    ) -> Self {
        *lock(&self.broker.on_error) = Some(Box::new(decide));
        self
    }

    /// The next attempt that nothing else was said about fails before the broker has taken anything.
    pub fn fail_before(&self, error: impl Into<String>) -> &Self {
        self.act(Act::FailBefore(error.into()))
    }

    /// The next attempt that nothing else was said about fails when the broker has taken all messages.
    pub fn fail_after(&self, error: impl Into<String>) -> &Self {
        self.act(Act::FailAfter(error.into()))
    }

    /// At the next attempt that nothing else was said about the broker takes all messages, and confirms so many of them.
    #[expect(clippy::must_use_candidate, reason = "it is given back only for chaining")]
    pub fn confirm_first(&self, count: usize) -> &Self {
        self.act(Act::ConfirmFirst(count))
    }

    /// From now on the broker takes no batch with such a message in it.
    pub fn refuse(&self, refuses: impl Fn(&Message) -> bool + Send + 'static) -> &Self {
        *lock(&self.broker.refuses) = Some(Box::new(refuses));
        self
    }

    /// All that the broker has taken, in the order in which it came, duplicates included.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.broker.messages.borrow().clone()
    }

    /// The same without those whose id had come before.
    #[must_use]
    pub fn distinct_messages(&self) -> Vec<Message> {
        let mut seen = HashSet::new();
        let mut messages = self.messages();
        messages.retain(|message| seen.insert(message.id));
        messages
    }

    /// How many messages each attempt had, failed ones included.
    #[must_use]
    pub fn attempts(&self) -> Vec<usize> {
        lock(&self.broker.batches).clone()
    }

    /// What the broker has taken, as soon as it is at least so much, duplicates included.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn received(&self, count: usize) -> Vec<Message> {
        let mut messages = self.broker.messages.subscribe();
        // The sender is ours, so that it cannot go meanwhile.
        let _ = messages.wait_for(|messages| messages.len() >= count).await;
        self.messages()
    }

    fn act(&self, act: Act) -> &Self {
        lock(&self.broker.script).push_back(act);
        self
    }
}

impl<E: EventSet> Publisher for TestPublisher<E> {
    const NAME: &'static str = "test-publisher";
    const CONSISTENCY: HandlerConsistency = HandlerConsistency::Strong;
    type Event = E;
    type Error = TestPublishError;

    async fn publish(&self, messages: &[Message]) -> Result<Confirmed, TestPublishError> {
        let broker = &*self.broker;
        lock(&broker.batches).push(messages.len());
        let act = lock(&broker.script).pop_front();
        if let Some(Act::FailBefore(error)) = act {
            return Err(TestPublishError::Told(error));
        }
        if lock(&broker.refuses).as_ref().is_some_and(|refuses| messages.iter().any(refuses)) {
            return Err(TestPublishError::Refused);
        }
        broker.messages.send_modify(|taken| taken.extend_from_slice(messages));
        match act {
            Some(Act::FailAfter(error)) => Err(TestPublishError::Told(error)),
            Some(Act::ConfirmFirst(count)) => Ok(Confirmed::First(count)),
            Some(Act::FailBefore(_)) | None => Ok(Confirmed::All),
        }
    }

    fn limits(&self) -> BatchLimits {
        self.limits
    }

    async fn on_error(&self, failure: &PublishFailure<TestPublishError>) -> ErrorAction {
        let decide = lock(&self.broker.on_error);
        decide.as_ref().map_or_else(|| failure.retry_for_ever(), |decide| decide(failure))
    }
}

impl<E> Clone for TestPublisher<E> {
    fn clone(&self) -> Self {
        Self { broker: Arc::clone(&self.broker), limits: self.limits, events: PhantomData }
    }
}

impl<E: EventSet> Default for TestPublisher<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> fmt::Debug for TestPublisher<E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TestPublisher")
            .field("messages", &self.broker.messages.borrow().len())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

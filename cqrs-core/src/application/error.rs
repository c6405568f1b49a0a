use std::fmt;
use std::time::Duration;

use crate::event::RegistryFault;
use crate::handler::{InitError, InvalidSubscription, SubscribeTo};
use crate::store::{BindError, StoreError};

/// Why an application did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It is put together wrongly; all faults are listed.
    #[error("application {application:?} cannot start:{}", list(faults))]
    Invalid {
        /// Its name.
        application: String,
        /// What is wrong, all of it.
        faults: Vec<StartFault>,
    },
    /// An instance of this name runs on the same store in this process.
    #[error("an instance named {application:?} runs on {store} already")]
    AlreadyRunning {
        /// The name.
        application: String,
        /// The store.
        store: String,
    },
    /// The store belongs to another application.
    #[error("application {application:?} cannot use its store")]
    Bind {
        /// Its name.
        application: String,
        /// Why not.
        #[source]
        source: BindError,
    },
    /// A handler is divided into another number of partitions than before, and cannot be divided anew while it runs.
    #[error(
        "handler {handler:?} of application {application:?} has {now} partitions and had {before}: \
         stop the nodes that run it with {before} first, or give it another name"
    )]
    Partitions {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
        /// How many partitions it had; 1 if it was not divided.
        before: u16,
        /// How many it has now.
        now: u16,
    },
    /// A handler is divided into another number of partitions than before, and has kept a state with each of those, which
    /// cannot be divided.
    #[error(
        "handler {handler:?} of application {application:?} has {now} partitions and keeps a state in each of the {before} \
         that it had: start it with {before}, pause and reset it, and then start it with {now}, or give it another name"
    )]
    PartitionedState {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
        /// How many partitions it had; 1 if it was not divided.
        before: u16,
        /// How many it has now.
        now: u16,
    },
    /// A handler could not be prepared.
    #[error("handler {handler:?} of application {application:?} could not be prepared")]
    Init {
        /// The application's name.
        application: String,
        /// The handler's name.
        handler: String,
        /// Why not.
        #[source]
        source: InitError,
    },
    /// The store failed.
    #[error("application {application:?} cannot read its store")]
    Store {
        /// Its name.
        application: String,
        /// Why not.
        #[source]
        source: StoreError,
    },
}

/// What is wrong with how an application is put together, and cannot be seen by the compiler.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartFault {
    /// Something is wrong with the event types of the program.
    #[error(transparent)]
    Event(#[from] RegistryFault),
    /// Two commands have one name.
    #[error(
        "command name {name:?} is taken twice: at {first} and at {second}; give one of them another name with `#[command(name = \"..\")]`"
    )]
    DuplicateCommand {
        /// The name.
        name: &'static str,
        /// Where the one is declared.
        first: String,
        /// Where the other is declared.
        second: String,
    },
    /// Two handlers have one name.
    #[error("handler name {name:?} is taken twice: by {first} and by {second}")]
    DuplicateHandler {
        /// The name.
        name: String,
        /// The type of the one.
        first: &'static str,
        /// The type of the other.
        second: &'static str,
    },
    /// A handler has no name.
    #[error("event handler {type_name} has an empty name")]
    UnnamedHandler {
        /// Its type.
        type_name: &'static str,
    },
    /// A handler is subscribed to what can be no stream.
    #[error("handler {handler:?} cannot be subscribed to {subscribe_to}: {reason}")]
    InvalidSubscription {
        /// Its name.
        handler: String,
        /// What it is subscribed to.
        subscribe_to: SubscribeTo,
        /// Why there can be no such stream.
        reason: InvalidSubscription,
    },
    /// A handler is divided into too many partitions, or into none.
    #[error("event handler {name:?} has {partitions} partitions: 1 to 1,024 are possible")]
    InvalidPartitions {
        /// Its name.
        name: String,
        /// How many it is to have.
        partitions: u16,
    },
    /// A rebuild is divided among too many transactions, or among none.
    #[error("projection {name:?} has {partitions} rebuild partitions: 1 to 1,024 are possible")]
    InvalidRebuildPartitions {
        /// Its name.
        name: String,
        /// How many it is to have.
        partitions: u16,
    },
    /// The rows of an inline projection cannot be written in the transactions of the application's store.
    #[error(
        "inline projection {projection:?} cannot write its rows together with events of {store}: {reason}"
    )]
    ForeignRows {
        /// The projection.
        projection: String,
        /// The application's store.
        store: String,
        /// Why not.
        reason: ForeignRows,
    },
    /// A router is listed or included twice.
    #[error("router {name} is listed twice")]
    DuplicateRouter {
        /// Its name.
        name: &'static str,
    },
    /// Two aggregate types have one stream prefix.
    #[error("stream prefix {prefix:?} is used by two aggregates: {first} and {second}")]
    SharedPrefix {
        /// The prefix.
        prefix: String,
        /// The one.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A stream prefix is empty or holds a `-`.
    #[error("stream prefix {prefix:?} of {aggregate} is empty or holds a `-`")]
    InvalidPrefix {
        /// The prefix.
        prefix: String,
        /// Whose it is.
        aggregate: &'static str,
    },
    /// Something has no `Default` and the builder was given no instance of it.
    #[error(
        "{kind} {type_name} has no instance: implement `Default` for it, or give one to the builder with `.{method}(..)`"
    )]
    NoInstance {
        /// What it is.
        kind: &'static str,
        /// Its type.
        type_name: &'static str,
        /// The builder's method that takes it.
        method: &'static str,
    },
}

/// Why rows cannot share a transaction with the events of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignRows {
    /// The store writes no rows in the transactions of its appends.
    #[error("the store writes events alone")]
    Store,
    /// The rows are not of the store's kind, or of one that can be written in no append's transaction.
    #[error("the rows are of another kind than the store")]
    Kind,
    /// The rows lie in another database.
    #[error("the rows lie in another database")]
    Database,
}

pub(super) fn list(faults: &[StartFault]) -> String {
    faults.iter().map(|fault| format!("\n- {fault}")).collect()
}

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// How long it took.
    pub took: Duration,
    /// Dispatches that were under way when the deadline passed. Their commands come to nothing, unless their
    /// events were on the way to the store.
    pub unfinished_dispatches: usize,
    /// Handlers that were busy with an event when the deadline passed. They were stopped there, and handle
    /// the event again at the next start.
    pub unfinished_handlers: Vec<String>,
    /// Other tasks that were not done, such as the writing of snapshots.
    pub unfinished_tasks: usize,
}

impl ShutdownReport {
    /// Whether everything that was accepted is finished.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unfinished_dispatches == 0 && self.unfinished_handlers.is_empty() && self.unfinished_tasks == 0
    }
}

impl fmt::Display for ShutdownReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return write!(formatter, "clean, in {:?}", self.took);
        }
        write!(
            formatter,
            "after {:?}, unfinished: {} dispatches, {} other tasks, handlers {:?}",
            self.took, self.unfinished_dispatches, self.unfinished_tasks, self.unfinished_handlers
        )
    }
}
